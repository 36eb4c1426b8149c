"""The pages of tests/pages.rs in a real browser.

scripts/browser-tests writes the pages, installs what this needs, and starts it.

PAGES is the directory of the pages; with SHOTS, a directory, what a person should look at is photographed into it.
"""

import contextlib
import os
import unittest
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

PAGES = Path(os.environ["PAGES"]).resolve()
SHOTS = Path(os.environ["SHOTS"]).resolve() if os.environ.get("SHOTS") else None
CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
NAMES = ["reference", "not-valid", "long", "evil", "sparse", "bounds"]

ACTIVE = "document.activeElement"
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LOAD_FROM_ELSEWHERE = """async () => {
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
}"""


def shot(page, name):
    if SHOTS:
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def figure(page, stem):
    return page.locator(f'figure[data-stem^="{stem}"]').first


def ticks(plot):
    return plot.locator(".canvas").first.locator(".x-ticks text").all_text_contents()


def said(page):
    return page.locator("#said").text_content()


def button(plot, text):
    return plot.locator("button", has_text=text)


def tip(page):
    return page.locator(".tip:visible")


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Page(unittest.TestCase):
    longMessage = True
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if SHOTS:
            SHOTS.mkdir(parents=True, exist_ok=True)
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        # Playwright gives every browser an empty profile of its own.
        cls.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cls.addClassCleanup(cls.browser.close)

    @contextlib.contextmanager
    def opened(self, name, **options):
        """Opens a page, and closes it afterwards.

        Anything that it loads, complains about or throws is a failure.
        """
        context = self.browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options})
        try:
            page = context.new_page()
            wrong = []

            def dialog(shown):
                wrong.append(f"dialog: {shown.message}")
                shown.dismiss()

            def request(asked):
                own = asked.is_navigation_request() and asked.url.startswith("file:")
                if not own and not asked.url.startswith("data:"):
                    wrong.append(f"request: {asked.url}")

            page.on("console", lambda message: wrong.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: wrong.append(f"error: {error.message}"))
            page.on("dialog", dialog)
            page.on("request", request)
            page.goto((PAGES / f"{name}.html").as_uri())
            yield page, wrong
            # Whatever happened before this answer has been heard of.
            page.evaluate("0")
            self.assertEqual(wrong, [])
        finally:
            context.close()

    def tab_to(self, page, selector):
        """Presses Tab until what is focused matches `selector`."""
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate(f"(wanted) => {ACTIVE}.matches(wanted)", selector):
                return
        self.fail(f"80 times Tab did not reach {selector}")

    def assert_no_wider_than_its_window(self, page, where):
        content, window = page.evaluate(WIDTHS)
        self.assertEqual(content, window, where)

    def test_nothing_is_loaded_nothing_overflows_a_phone_and_dark_differs_from_light(self):
        for name in NAMES:
            with self.subTest(name):
                backgrounds = set()
                for scheme, viewport in [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)]:
                    with self.opened(name, color_scheme=scheme, viewport=viewport) as (page, _):
                        self.assert_no_wider_than_its_window(page, f"{scheme} {viewport['width']}")
                        backgrounds.add(page.evaluate(BACKGROUND))
                        shot(page, f"{name}-{viewport['width']}-{scheme}")
                self.assertEqual(len(backgrounds), 2, backgrounds)

    def test_the_pages_policy_stops_what_would_load_something(self):
        with self.opened("reference") as (page, wrong):
            failures = []
            page.on("requestfailed", lambda request: failures.append(request.failure))
            stopped = page.evaluate(LOAD_FROM_ELSEWHERE)
            self.assertEqual(stopped, ["connect-src", "img-src", "script-src-elem", "style-src-elem"])
            page.evaluate("0")
            self.assertTrue(failures)
            self.assertEqual(set(failures), {"csp"})
            self.assertGreaterEqual(len(wrong), 4, "the console says so")
            wrong.clear()

    def test_pointing_at_a_plot_shows_values_with_their_verdict(self):
        with self.opened("not-valid") as (page, _):
            plot = figure(page, "throughput-vs-conflict-rate")
            plot.scroll_into_view_if_needed()
            self.assertEqual(tip(page).count(), 0)
            hollow = plot.locator('.series[data-key="Multi-Paxos"] .mark.hollow')
            self.assertEqual(hollow.count(), 1)
            page.mouse.move(*middle(hollow.bounding_box()))
            shown = tip(page).inner_text()
            for part in [
                "Multi-Paxos", "conflict rate: 2 %", "throughput (ops/s): 1.58k", "min … max: ", "3 runs, verdict: NOT VALID",
            ]:
                self.assertIn(part, shown)
            self.assertRegex(shown, r"EPaxos: .* \(valid\)", "what it hides is said, too")
            if SHOTS:
                plot.screenshot(path=SHOTS / "tip.png")
            page.mouse.move(5, 5)
            self.assertEqual(tip(page).count(), 0)
            bars = figure(page, "load-messages")
            bars.locator('.bar[data-key="Multi-Paxos"]').first.hover()
            self.assertRegex(tip(page).inner_text(), r"Multi-Paxos\s+replica 0, leader")

    def test_a_lower_bound_is_read_off_as_one_and_keeps_its_caret_when_zoomed(self):
        def carets(page, stem):
            return figure(page, stem).locator(".series .caret").count()

        stems = ["latency-vs-rate", "latency-cdf", "latency-over-time"]
        with self.opened("bounds", java_script_enabled=False) as (page, _):
            without = [carets(page, stem) for stem in stems]
        with self.opened("bounds") as (page, _):
            # Of few points each has its caret; of many some have, as many as there is room for.
            self.assertEqual(carets(page, stems[0]), without[0])
            self.assertEqual(without[0], 7)
            for stem, count in zip(stems[1:], without[1:]):
                self.assertGreater(count, 4, stem)
                self.assertGreater(carets(page, stem), count / 3, stem)
            plot = figure(page, stems[0])
            plot.scroll_into_view_if_needed()
            mark = plot.locator('.series[data-key="Multi-Paxos"] .mark').nth(2)
            page.mouse.move(*middle(mark.bounding_box()))
            shown = tip(page).inner_text()
            self.assertRegex(shown, r"Multi-Paxos\s+offered rate.*: 16k\s+p50 latency: ≥40\.0 ms")
            if SHOTS:
                plot.screenshot(path=SHOTS / "bounds.png")
            mark = plot.locator('.series[data-key="Paxos"] .mark').nth(2)
            page.mouse.move(*middle(mark.bounding_box()))
            shown = tip(page).inner_text()
            self.assertRegex(shown, r"p50 latency: 1[0-9]+ ms\s+min … max: 1[0-9]+ ms … ≥900 ms")
            self.assertIn("Multi-Paxos: ≥40.0 ms (NOT VALID)", shown)
            thin = plot.locator('.series[data-key="Multi-Paxos"] .line.bound').first
            before = thin.get_attribute("d")
            self.assertRegex(before, r"\AM[^M]+\Z", "one stretch, to the last point")
            button(plot, "Zoom in").click()
            self.assertNotEqual(thin.get_attribute("d"), before)
            self.assertEqual(carets(page, stems[0]), without[0])
            explained = plot.locator(".legend .note", has_text="≥ lower bound")
            self.assertEqual(explained.locator(".caret").count(), 1)
            self.assertEqual(explained.locator("button").count(), 0, "it is no series")

    def test_a_finger_reads_a_value_off_and_it_stays_until_another_place_is_touched(self):
        with self.opened("not-valid", viewport=PHONE, has_touch=True, is_mobile=True) as (page, _):
            mark = figure(page, "throughput-vs-conflict-rate").locator('.series[data-key="EPaxos"] .mark').last
            mark.scroll_into_view_if_needed()
            mark.tap(force=True)
            self.assertRegex(tip(page).inner_text(), r"\AEPaxos\s+conflict rate: 100 %")
            box = page.locator(".tip").bounding_box()
            self.assertGreaterEqual(box["x"], 0, "it is within the screen")
            self.assertLessEqual(box["x"] + box["width"], PHONE["width"], "it is within the screen")
            page.locator("h1").tap()
            self.assertEqual(tip(page).count(), 0)

    def test_a_button_of_any_legend_hides_a_protocol_in_every_plot(self):
        with self.opened("not-valid") as (page, _):
            shown = page.locator('.series[data-key="EPaxos"]:visible')
            others = page.locator('.series[data-key="Paxos"]:visible')
            count, other_count, figures = shown.count(), others.count(), page.locator("figure.plot").count()
            self.assertGreater(count, figures)
            self.assertGreaterEqual(figures, 7)
            figure(page, "latency-cdf").locator("button.entry", has_text="EPaxos").click()
            self.assertEqual(shown.count(), 0)
            self.assertEqual(others.count(), other_count)
            pressed = page.locator('button.entry[data-key="EPaxos"]')
            self.assertEqual(pressed.count(), figures)
            for entry in pressed.all():
                self.assertEqual(entry.get_attribute("aria-pressed"), "false")
            if SHOTS:
                figure(page, "latency-cdf").screenshot(path=SHOTS / "hidden.png")
            figure(page, "load-cpu").locator("button.entry", has_text="EPaxos").click()
            self.assertEqual(shown.count(), count)

    def test_a_range_the_wheel_and_buttons_zoom_all_panels_of_a_figure_and_a_reset_shows_all_again(self):
        with self.opened("reference") as (page, _):
            plot = figure(page, "latency-over-time")
            canvas = plot.locator(".canvas").first
            canvas.scroll_into_view_if_needed()
            whole = ticks(plot)
            line = plot.locator(".line").last
            path = line.get_attribute("d")
            box = canvas.bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 120, steps=4)
            page.mouse.up()
            part = ticks(plot)
            self.assertNotEqual(part, whole)
            self.assertGreater(float(part[0]), 0, part)
            self.assertLess(float(part[-1]), float(whole[-1]), part)
            self.assertNotEqual(line.get_attribute("d"), path, "the last panel follows the first")
            self.assertRegex(said(page), r"\AZoomed to [0-9]+\.[0-9]+ s … [0-9]+\.[0-9]+ s\Z")
            if SHOTS:
                plot.screenshot(path=SHOTS / "zoomed.png")
            reset = button(plot, "Reset zoom")
            self.assertEqual(reset.get_attribute("aria-disabled"), "false")
            reset.click()
            self.assertEqual(ticks(plot), whole)
            self.assertEqual(line.get_attribute("d"), path)
            self.assertEqual(reset.get_attribute("aria-disabled"), "true")

            page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
            scrolled = page.evaluate("scrollY")
            page.keyboard.down("Control")
            page.mouse.wheel(0, -100)
            page.keyboard.up("Control")
            page.wait_for_function('(text) => document.querySelector("#said").textContent !== text', arg="Whole axis")
            self.assertNotEqual(ticks(plot), whole)
            self.assertEqual(page.evaluate("scrollY"), scrolled, "the page did not scroll")
            canvas.dblclick(position={"x": box["width"] / 2, "y": 100})
            self.assertEqual(ticks(plot), whole)

            button(plot, "Zoom in").click()
            self.assertNotEqual(ticks(plot), whole)
            button(plot, "Zoom out").click()
            self.assertEqual(ticks(plot), whole)

    def test_every_kind_of_horizontal_axis_zooms_and_keeps_ticks_that_tell_apart(self):
        with self.opened("reference") as (page, _):
            for stem in ["latency-cdf", "throughput-over-time"]:
                plot = figure(page, stem)
                for _ in range(6):
                    button(plot, "Zoom in").click()
                labels = ticks(plot)
                self.assertGreaterEqual(len(labels), 2, f"{stem}: {labels}")
                self.assertEqual(len(set(labels)), len(labels), f"{stem}: {labels}")
            bars = figure(page, "load-messages")
            bar = bars.locator(".bar rect").nth(4)
            before = float(bar.get_attribute("width"))
            button(bars, "Zoom in").click()
            self.assertGreater(float(bar.get_attribute("width")), before * 1.5)

    def test_latencies_are_drawn_on_a_linear_or_a_logarithmic_axis(self):
        with self.opened("reference") as (page, _):
            plot = figure(page, "latency-cdf")
            log = button(plot, "Log y")
            labels = plot.locator(".canvas").first.locator(".y-ticks text")
            before, pressed = labels.all_text_contents(), log.get_attribute("aria-pressed")
            log.click()
            self.assertNotEqual(log.get_attribute("aria-pressed"), pressed)
            other = labels.all_text_contents()
            self.assertNotEqual(other, before)
            self.assertEqual(len(set(other)), len(other), other)
            log.click()
            self.assertEqual(labels.all_text_contents(), before)
            self.assertEqual(button(figure(page, "throughput-vs"), "Log y").count(), 0)

    def test_the_keyboard_alone_reaches_and_operates_everything(self):
        with self.opened("not-valid") as (page, _):
            press = page.keyboard.press
            press("Tab")
            self.assertEqual(page.evaluate(f"{ACTIVE}.textContent"), "Skip to the results")
            press("Enter")
            self.assertEqual(page.evaluate(f"{ACTIVE}.id"), "main")
            self.tab_to(page, 'button.entry[data-key="Paxos"]')
            self.assertEqual(page.evaluate(f"getComputedStyle({ACTIVE}).outlineStyle"), "solid", "focus is seen")
            press("Space")
            self.assertEqual(page.locator('.series[data-key="Paxos"]:visible').count(), 0)
            self.assertEqual(said(page), "Paxos hidden in every plot")
            press("Enter")
            self.assertEqual(said(page), "Paxos shown in every plot")

            self.tab_to(page, ".canvas")
            plot = figure(page, "throughput-vs-conflict-rate")
            self.assertTrue(plot.locator(".canvas").evaluate(f"(canvas) => canvas === {ACTIVE}"))
            press("ArrowRight")
            self.assertRegex(said(page), r"\APaxos, conflict rate: 0 %, throughput \(ops/s\): .*2 runs, verdict: 2/3 valid")
            self.assertEqual(tip(page).count(), 1)
            press("ArrowDown")
            press("ArrowRight")
            self.assertRegex(said(page), r"\AMulti-Paxos, conflict rate: 2 %.*verdict: NOT VALID")
            press("End")
            self.assertRegex(said(page), r"\AMulti-Paxos, conflict rate: 100 %")
            marks = plot.locator(".x-ticks .tick")
            whole = marks.count()
            press("+")
            press("+")
            self.assertLess(marks.count(), whole)
            press("Home")
            self.assertRegex(said(page), r"\AMulti-Paxos, conflict rate: 0 %", "and what is read is in view")
            self.assertIn("0 %", plot.locator(".x-ticks text").all_text_contents())
            press("-")
            press("-")
            press("0")
            self.assertEqual(marks.count(), whole)
            press("Escape")
            self.assertEqual(tip(page).count(), 0)

            self.tab_to(page, "summary")
            press("Enter")
            self.assertTrue(plot.locator("details table").is_visible())

    def test_without_script_everything_is_there(self):
        def there(script, viewport):
            with self.opened("not-valid", java_script_enabled=script, viewport=viewport) as (page, _):
                found = {
                    what: page.locator(selector).count()
                    for what, selector in [
                        ("plots", "figure.plot svg[role=img]:visible"),
                        ("series", ".series:visible"),
                        ("marks", ".mark"),
                        ("tables", "table"),
                        ("verdicts", ".verdict-line:visible"),
                        ("rows", "table.results td.verdict:visible"),
                    ]
                }
                if not script:
                    self.assertEqual(page.locator("button").count(), 0, "nothing that would do nothing")
                    self.assertGreater(page.locator(".mark > title").count(), 50)
                    page.locator("summary").first.click()
                    self.assertTrue(page.locator("details table").first.is_visible())
                    self.assert_no_wider_than_its_window(page, viewport["width"])
                    shot(page, f"no-script-{viewport['width']}")
            return found

        without, phone, with_script = there(False, DESKTOP), there(False, PHONE), there(True, DESKTOP)
        self.assertEqual(without, phone)
        self.assertEqual(without, with_script)
        for what, least in [("plots", 15), ("series", 60), ("marks", 80), ("tables", 18), ("verdicts", 8)]:
            self.assertGreaterEqual(without[what], least, what)
        self.assertEqual(without["rows"], 9)

    def test_on_paper_everything_is_open_light_and_without_what_one_presses(self):
        for script in [True, False]:
            with self.subTest(script=script):
                with self.opened("not-valid", color_scheme="dark", java_script_enabled=script) as (page, _):
                    closed = page.locator("details:not([open]) table").first
                    self.assertFalse(closed.is_visible())
                    page.emulate_media(media="print")
                    self.assertTrue(closed.is_visible())
                    self.assertGreater(closed.bounding_box()["height"], 50)
                    self.assertTrue(page.locator("details pre").first.is_visible())
                    self.assertEqual(page.locator("button:visible:not(.entry)").count(), 0)
                    self.assertEqual(page.evaluate(BACKGROUND), "rgb(255, 255, 255)")
                    kept = {"path": SHOTS / f"print-{str(script).lower()}.pdf"} if SHOTS else {}
                    self.assertGreater(len(page.pdf(format="A4", **kept)), 10_000)

    def test_what_a_file_says_is_text_wherever_it_is_shown(self):
        with self.opened("evil") as (page, _):
            self.assertEqual(page.locator("img, iframe, object, embed").count(), 0)
            evil = r"\A</script><script>alert\(1\)"
            self.assertRegex(page.locator("h1").inner_text(), evil)
            plot = figure(page, "throughput-vs-conflict-rate")
            plot.locator(".canvas").focus()
            page.keyboard.press("ArrowRight")
            for _ in range(2):
                page.keyboard.press("ArrowDown")
            self.assertRegex(tip(page).inner_text(), evil)
            plot.locator("button.entry").last.click()
            self.assertRegex(said(page), r"alert\('2'\).*hidden in every plot\Z")

    def test_axe_finds_nothing(self):
        for name, options in [
            ("reference", {}), ("sparse", {}), ("bounds", {}), ("not-valid", {}), ("not-valid", {"color_scheme": "dark"}),
            ("several", {"viewport": PHONE}), ("not-valid", {"java_script_enabled": False}),
        ]:
            with self.subTest(name, **options):
                # Where the page has no script, only its tester has: axe runs in a copy that is stripped
                # of the page's own.
                stripped = options.get("java_script_enabled") is False
                with self.opened(name, **{**options, "java_script_enabled": True}) as (page, _):
                    if stripped:
                        html = (PAGES / f"{name}.html").read_text(encoding="utf-8")
                        start = html.rindex("<script>")
                        page.set_content(html[:start] + html[html.index("</script>", start):])
                    page.evaluate('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
                    violations = Axe().run(page).response["violations"]
                    told = [
                        f"{found['impact']} {found['id']} ({len(found['nodes'])}): {found['nodes'][0]['html'][:200]}"
                        for found in violations
                    ]
                    self.assertEqual(told, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
