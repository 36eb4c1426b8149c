// The pages of tests/pages.rs in a real browser. scripts/browser-tests writes the pages, installs what this needs, and starts it.
//
// PAGES is the directory of the pages; with SHOTS, a directory, what a person should look at is photographed into it.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

const { PAGES, SHOTS, CHROMIUM = "/usr/bin/chromium" } = process.env;
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync",
];
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const NAMES = ["reference", "not-valid", "long", "evil", "sparse"];

let browser;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

before(async () => {
  assert.ok(PAGES, "PAGES names the directory of the pages");
  // Playwright gives every browser an empty profile of its own.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  if (SHOTS) await mkdir(SHOTS, { recursive: true });
});
after(() => browser?.close());

// Opens a page, and closes it after `use`; anything that it loads, complains about or throws is a failure.
async function open(name, options, use) {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const own = request.isNavigationRequest() && request.url().startsWith("file:");
    if (!own && !request.url().startsWith("data:")) wrong.push(`request: ${request.url()}`);
  });
  await page.goto(pathToFileURL(path.join(PAGES, `${name}.html`)).href);
  await use(page, wrong);
  assert.deepEqual(wrong, []);
  await context.close();
}

const shot = async (page, name) => {
  if (SHOTS) await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
};
const figure = (page, stem) => page.locator(`figure[data-stem^="${stem}"]`).first();
const ticks = (plot) => plot.locator(".canvas").first().locator(".x-ticks text").allTextContents();
const said = (page) => page.locator("#said").textContent();

// Presses Tab until what is focused matches `selector`.
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`80 times Tab did not reach ${selector}`);
}

for (const name of NAMES) {
  test(`${name}: nothing is loaded, nothing overflows a phone, dark differs from light`, async () => {
    const backgrounds = new Set();
    for (const [colorScheme, viewport] of [["light", DESKTOP], ["dark", DESKTOP], ["light", PHONE], ["dark", PHONE]]) {
      await open(name, { colorScheme, viewport }, async (page) => {
        const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.equal(content, window, `${colorScheme} ${viewport.width}`);
        backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
        await shot(page, `${name}-${viewport.width}-${colorScheme}`);
      });
    }
    assert.equal(backgrounds.size, 2);
  });
}

test("the page's policy stops what would load something", async () => {
  await open("reference", {}, async (page, wrong) => {
    const failures = [];
    page.on("requestfailed", (request) => failures.push(request.failure().errorText));
    const stopped = await page.evaluate(async () => {
      const away = "https://example.invalid/other";
      const directives = [];
      document.addEventListener("securitypolicyviolation", (event) => directives.push(event.effectiveDirective));
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${away}.css` }));
      document.body.append(Object.assign(document.createElement("img"), { src: `${away}.png` }));
      document.body.append(Object.assign(document.createElement("script"), { src: `${away}.js` }));
      await fetch(`${away}.json`).catch(() => {});
      for (let waits = 0; directives.length < 4 && waits < 500; waits += 1) {
        await new Promise((resolve) => { setTimeout(resolve, 10); });
      }
      return directives.sort();
    });
    assert.deepEqual(stopped, ["connect-src", "img-src", "script-src-elem", "style-src-elem"]);
    assert.ok(failures.length > 0 && failures.every((failure) => failure === "csp"), failures.join());
    assert.ok(wrong.splice(0).length >= 4, "the console says so");
  });
});

test("pointing at a plot shows values with their verdict", async () => {
  await open("not-valid", {}, async (page) => {
    const plot = figure(page, "throughput-vs-conflict-rate");
    await plot.scrollIntoViewIfNeeded();
    assert.equal(await page.locator(".tip:visible").count(), 0);
    const hollow = plot.locator('.series[data-key="Multi-Paxos"] .mark.hollow');
    assert.equal(await hollow.count(), 1);
    const box = await hollow.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    const tip = await page.locator(".tip:visible").innerText();
    for (const part of ["Multi-Paxos", "conflict rate: 2 %", "throughput (ops/s): 1.58k", "min … max: ", "3 runs, verdict: NOT VALID"]) {
      assert.ok(tip.includes(part), `${part} is not in ${tip}`);
    }
    assert.match(tip, /EPaxos: .* \(valid\)/, "what it hides is said, too");
    if (SHOTS) await plot.screenshot({ path: path.join(SHOTS, "tip.png") });
    await page.mouse.move(5, 5);
    assert.equal(await page.locator(".tip:visible").count(), 0);
    const bars = figure(page, "load-messages");
    await bars.locator('.bar[data-key="Multi-Paxos"]').first().hover();
    assert.match(await page.locator(".tip:visible").innerText(), /Multi-Paxos\s+replica 0, leader/);
  });
});

test("a finger reads a value off, and it stays until another place is touched", async () => {
  await open("not-valid", { viewport: PHONE, hasTouch: true, isMobile: true }, async (page) => {
    const mark = figure(page, "throughput-vs-conflict-rate").locator('.series[data-key="EPaxos"] .mark').last();
    await mark.scrollIntoViewIfNeeded();
    await mark.tap({ force: true });
    assert.match(await page.locator(".tip:visible").innerText(), /^EPaxos\s+conflict rate: 100 %/);
    const box = await page.locator(".tip").boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= PHONE.width, "it is within the screen");
    await page.locator("h1").tap();
    assert.equal(await page.locator(".tip:visible").count(), 0);
  });
});

test("a button of any legend hides a protocol in every plot", async () => {
  await open("not-valid", {}, async (page) => {
    const shown = () => page.locator('.series[data-key="EPaxos"]:visible').count();
    const others = () => page.locator('.series[data-key="Paxos"]:visible').count();
    const [all, allOthers, figures] = [await shown(), await others(), await page.locator("figure.plot").count()];
    assert.ok(all > figures && figures >= 7);
    await figure(page, "latency-cdf").locator("button.entry", { hasText: "EPaxos" }).click();
    assert.equal(await shown(), 0);
    assert.equal(await others(), allOthers);
    const pressed = page.locator('button.entry[data-key="EPaxos"]');
    assert.equal(await pressed.count(), figures);
    for (const button of await pressed.all()) assert.equal(await button.getAttribute("aria-pressed"), "false");
    if (SHOTS) await figure(page, "latency-cdf").screenshot({ path: path.join(SHOTS, "hidden.png") });
    await figure(page, "load-cpu").locator("button.entry", { hasText: "EPaxos" }).click();
    assert.equal(await shown(), all);
  });
});

test("a range, the wheel and buttons zoom all panels of a figure, and a reset shows all again", async () => {
  await open("reference", {}, async (page) => {
    const plot = figure(page, "latency-over-time");
    const canvas = plot.locator(".canvas").first();
    await canvas.scrollIntoViewIfNeeded();
    const whole = await ticks(plot);
    const line = plot.locator(".line").last();
    const path0 = await line.getAttribute("d");
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 120, { steps: 4 });
    await page.mouse.up();
    const part = await ticks(plot);
    assert.notDeepEqual(part, whole);
    assert.ok(Number(part[0]) > 0 && Number(part.at(-1)) < Number(whole.at(-1)), part.join());
    assert.notEqual(await line.getAttribute("d"), path0, "the last panel follows the first");
    assert.match(await said(page), /^Zoomed to \d+\.\d+ s … \d+\.\d+ s$/);
    if (SHOTS) await plot.screenshot({ path: path.join(SHOTS, "zoomed.png") });
    const reset = plot.locator("button", { hasText: "Reset zoom" });
    assert.equal(await reset.getAttribute("aria-disabled"), "false");
    await reset.click();
    assert.deepEqual(await ticks(plot), whole);
    assert.equal(await line.getAttribute("d"), path0);
    assert.equal(await reset.getAttribute("aria-disabled"), "true");

    await page.mouse.move(box.x + box.width * 0.5, box.y + 100);
    const scrolled = await page.evaluate(() => scrollY);
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -100);
    await page.keyboard.up("Control");
    await page.waitForFunction((text) => document.querySelector("#said").textContent !== text, "Whole axis");
    assert.notDeepEqual(await ticks(plot), whole);
    assert.equal(await page.evaluate(() => scrollY), scrolled, "the page did not scroll");
    await canvas.dblclick({ position: { x: box.width / 2, y: 100 } });
    assert.deepEqual(await ticks(plot), whole);

    await plot.locator("button", { hasText: "Zoom in" }).click();
    assert.notDeepEqual(await ticks(plot), whole);
    await plot.locator("button", { hasText: "Zoom out" }).click();
    assert.deepEqual(await ticks(plot), whole);
  });
});

test("every kind of horizontal axis zooms, and keeps ticks that tell apart", async () => {
  await open("reference", {}, async (page) => {
    for (const stem of ["latency-cdf", "throughput-over-time"]) {
      const plot = figure(page, stem);
      for (let step = 0; step < 6; step += 1) await plot.locator("button", { hasText: "Zoom in" }).click();
      const labels = await ticks(plot);
      assert.ok(labels.length >= 2, `${stem}: ${labels}`);
      assert.equal(new Set(labels).size, labels.length, `${stem}: ${labels}`);
    }
    const bars = figure(page, "load-messages");
    const bar = bars.locator(".bar rect").nth(4);
    const before = Number(await bar.getAttribute("width"));
    await bars.locator("button", { hasText: "Zoom in" }).click();
    assert.ok(Number(await bar.getAttribute("width")) > before * 1.5);
  });
});

test("latencies are drawn on a linear or a logarithmic axis", async () => {
  await open("reference", {}, async (page) => {
    const plot = figure(page, "latency-cdf");
    const log = plot.locator("button", { hasText: "Log y" });
    const labels = () => plot.locator(".canvas").first().locator(".y-ticks text").allTextContents();
    const [before, pressed] = [await labels(), await log.getAttribute("aria-pressed")];
    await log.click();
    assert.notEqual(await log.getAttribute("aria-pressed"), pressed);
    const other = await labels();
    assert.notDeepEqual(other, before);
    assert.equal(new Set(other).size, other.length);
    await log.click();
    assert.deepEqual(await labels(), before);
    assert.equal(await figure(page, "throughput-vs").locator("button", { hasText: "Log y" }).count(), 0);
  });
});

test("the keyboard alone reaches and operates everything", async () => {
  await open("not-valid", {}, async (page) => {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the results");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await tabTo(page, 'button.entry[data-key="Paxos"]');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "focus is seen");
    await page.keyboard.press("Space");
    assert.equal(await page.locator('.series[data-key="Paxos"]:visible').count(), 0);
    assert.equal(await said(page), "Paxos hidden in every plot");
    await page.keyboard.press("Enter");
    assert.equal(await said(page), "Paxos shown in every plot");

    await tabTo(page, ".canvas");
    const plot = figure(page, "throughput-vs-conflict-rate");
    assert.ok(await plot.locator(".canvas").evaluate((canvas) => canvas === document.activeElement));
    await page.keyboard.press("ArrowRight");
    assert.match(await said(page), /^Paxos, conflict rate: 0 %, throughput \(ops\/s\): .*2 runs, verdict: 2\/3 valid/);
    assert.equal(await page.locator(".tip:visible").count(), 1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    assert.match(await said(page), /^Multi-Paxos, conflict rate: 2 %.*verdict: NOT VALID/);
    await page.keyboard.press("End");
    assert.match(await said(page), /^Multi-Paxos, conflict rate: 100 %/);
    const whole = await plot.locator(".x-ticks .tick").count();
    await page.keyboard.press("+");
    await page.keyboard.press("+");
    assert.ok(await plot.locator(".x-ticks .tick").count() < whole);
    await page.keyboard.press("Home");
    assert.match(await said(page), /^Multi-Paxos, conflict rate: 0 %/, "and what is read is in view");
    assert.ok((await plot.locator(".x-ticks text").allTextContents()).includes("0 %"));
    await page.keyboard.press("-");
    await page.keyboard.press("-");
    await page.keyboard.press("0");
    assert.equal(await plot.locator(".x-ticks .tick").count(), whole);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".tip:visible").count(), 0);

    await tabTo(page, "summary");
    await page.keyboard.press("Enter");
    assert.ok(await plot.locator("details table").isVisible());
  });
});

test("without script everything is there", async () => {
  const there = async (javaScriptEnabled, viewport) => {
    let found;
    await open("not-valid", { javaScriptEnabled, viewport }, async (page) => {
      const count = (selector) => page.locator(selector).count();
      found = {
        plots: await count("figure.plot svg[role=img]:visible"),
        series: await count(".series:visible"),
        marks: await count(".mark"),
        tables: await count("table"),
        verdicts: await count(".verdict-line:visible"),
        rows: await count("table.results td.verdict:visible"),
      };
      if (javaScriptEnabled) return;
      assert.equal(await count("button"), 0, "nothing that would do nothing");
      assert.ok(await count(".mark > title") > 50);
      const summary = page.locator("summary").first();
      await summary.click();
      assert.ok(await page.locator("details table").first().isVisible());
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.equal(content, window);
      await shot(page, `no-script-${viewport.width}`);
    });
    return found;
  };
  const [without, phone, with_] = [await there(false, DESKTOP), await there(false, PHONE), await there(true, DESKTOP)];
  assert.deepEqual(without, phone);
  assert.deepEqual(without, with_);
  for (const [what, least] of [["plots", 15], ["series", 60], ["marks", 80], ["tables", 18], ["verdicts", 8]]) {
    assert.ok(without[what] >= least, `${what}: ${without[what]}`);
  }
  assert.equal(without.rows, 9);
});

test("on paper everything is open, light, and without what one presses", async () => {
  for (const javaScriptEnabled of [true, false]) {
    await open("not-valid", { colorScheme: "dark", javaScriptEnabled }, async (page) => {
      const closed = page.locator("details:not([open]) table").first();
      assert.equal(await closed.isVisible(), false);
      await page.emulateMedia({ media: "print" });
      assert.equal(await closed.isVisible(), true);
      assert.ok((await closed.boundingBox()).height > 50);
      assert.ok(await page.locator("details pre").first().isVisible());
      assert.equal(await page.locator("button:visible:not(.entry)").count(), 0);
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(background, "rgb(255, 255, 255)");
      const pdf = await page.pdf({ format: "A4", path: SHOTS && path.join(SHOTS, `print-${javaScriptEnabled}.pdf`) });
      assert.ok(pdf.length > 10_000);
    });
  }
});

test("what a file says is text, wherever it is shown", async () => {
  await open("evil", {}, async (page) => {
    assert.equal(await page.locator("img, iframe, object, embed").count(), 0);
    assert.match(await page.locator("h1").innerText(), /^<\/script><script>alert\(1\)/);
    const plot = figure(page, "throughput-vs-conflict-rate");
    await plot.locator(".canvas").focus();
    await page.keyboard.press("ArrowRight");
    for (let line = 0; line < 2; line += 1) await page.keyboard.press("ArrowDown");
    assert.match(await page.locator(".tip:visible").innerText(), /^<\/script><script>alert\(1\)/);
    await plot.locator("button.entry").last().click();
    assert.match(await said(page), /alert\('2'\).*hidden in every plot$/);
  });
});

for (const [name, options] of [
  ["reference", {}], ["sparse", {}], ["not-valid", {}], ["not-valid", { colorScheme: "dark" }], ["several", { viewport: PHONE }],
  ["not-valid", { javaScriptEnabled: false }],
]) {
  test(`axe finds nothing in ${name} ${JSON.stringify(options)}`, async () => {
    // Where the page has no script, only its tester has: axe runs in a copy that is stripped of the page's own.
    const stripped = options.javaScriptEnabled === false;
    await open(name, { ...options, javaScriptEnabled: true }, async (page) => {
      if (stripped) {
        const html = await readFile(path.join(PAGES, `${name}.html`), "utf8");
        const start = html.lastIndexOf("<script>");
        await page.setContent(html.slice(0, start) + html.slice(html.indexOf("</script>", start)));
      }
      await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      const told = violations.map(({ id, impact, nodes }) => `${impact} ${id} (${nodes.length}): ${nodes[0].html.slice(0, 200)}`);
      assert.deepEqual(told, []);
    });
  });
}
