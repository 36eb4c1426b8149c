// Adds to the page what only a script can: reading points off, hiding a series in every plot, zooming. Without it everything
// that the results say is there. It moves what `chart.rs` has drawn, which it finds by class and order, and uses nothing but
// the page: no library, no network. It is one file, and longer than others, because a page takes in one script.
"use strict";
(() => {
  const NARROWEST = 0.01; // Of the whole axis.
  const STEP = 0.6; // What is left of the view after one step of zooming.
  const LETTER = 7.2; // As in chart.rs.
  const CAP = 4;
  const CARET = "M-5 0L0-4.5L5 0";
  const CARET_ABOVE = [9, 3];
  const CARETS_APART = 30;
  const PRINTED = 680; // A page's width, so that letters on paper are as large as those around.
  const DRAG_MIN = 6;

  const said = document.getElementById("said");
  const hidden = new Set();

  // Axes: a share is 0 at the low end and 1 at the high end.
  const share = (axis, value) => axis.log
    ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
    : (value - axis.low) / (axis.high - axis.low);
  const unshare = (axis, part) => axis.log
    ? axis.low * (axis.high / axis.low) ** part
    : axis.low + part * (axis.high - axis.low);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const px = (value) => Math.round(value * 10) / 10;

  // Numbers, as the rest of the page writes them.
  const digits3 = (value) => {
    const size = Math.abs(value);
    return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.095 || size === 0 ? 2 : 3);
  };
  const withUnit = (value, format, near) => {
    for (const [unit, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(value) >= unit * near) return format(value / unit) + suffix;
    }
    return format(value);
  };
  const trimmed = (value) => String(Number(value.toFixed(6)));
  const percent = (part) => `${Number((part * 100).toFixed(2))} %`;
  const bytes = (value) => {
    for (const [unit, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
      if (value >= unit) return `${Number((value / unit).toFixed(2))} ${name}`;
    }
    return `${Number(value.toFixed(2))} B`;
  };
  const quantile = (nines) => {
    const decimals = clamp(Math.ceil(nines) - 1, 2, 7);
    return `${Number((100 - 100 * 10 ** -nines).toFixed(decimals))} %`;
  };
  const UNITS = { 1: "µs", 1e3: "ms", 1e6: "s" };
  const text = (axis, value) => {
    switch (axis.reading) {
      case "share": return percent(value);
      case "bytes": return bytes(value);
      case "duration": return `${digits3(value / axis.unit)} ${UNITS[axis.unit]}`;
      case "seconds": return `${value.toFixed(2)} s`;
      case "nines": return quantile(value);
      case "place": return (axis.ticks.find(([at]) => Math.abs(at - value) < 0.5) ?? [0, ""])[1];
      case "given": return withUnit(value, trimmed, 1);
      default: return withUnit(value, digits3, 0.9995);
    }
  };

  // Ticks of the part of an axis from share a to share b, as [value, label].
  const tickLabel = (axis, value) => {
    switch (axis.reading) {
      case "share": return percent(value);
      case "bytes": return bytes(value);
      case "duration": return withUnit(value / axis.unit, trimmed, 1);
      default: return withUnit(value, trimmed, 1);
    }
  };
  const niceStep = (rough) => {
    const magnitude = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 2.5, 5, 10].find((digit) => digit * magnitude >= rough * 0.999) * magnitude;
  };
  const steps = (axis, low, high) => {
    const unit = axis.unit;
    const step = niceStep((high - low) / unit / 5) * unit;
    const values = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-12); k += 1) values.push(k * step);
    return values.map((value) => [value, tickLabel(axis, value)]);
  };
  const decades = (axis, low, high) => {
    for (const digits of [[1], [1, 3], [1, 2, 5]]) {
      const values = [];
      for (let e = Math.floor(Math.log10(low / axis.unit)); e <= Math.log10(high / axis.unit); e += 1) {
        digits.forEach((digit) => values.push(digit * 10 ** e * axis.unit));
      }
      const within = values.filter((value) => value >= low && value <= high);
      if (within.length >= 3) return within.map((value) => [value, tickLabel(axis, value)]);
    }
    return steps(axis, low, high);
  };
  const nines = (low, high) => {
    for (const digits of [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const values = [];
      for (let e = 0; e <= 9; e += 1) digits.forEach((digit) => values.push(e - Math.log10(digit)));
      const within = values.filter((value) => value >= low - 1e-9 && value <= high + 1e-9);
      if (within.length >= 3) return within.sort((a, b) => a - b).map((value) => [value, quantile(value)]);
    }
    return [low, (low + high) / 2, high].map((value) => [value, quantile(value)]);
  };
  const ticks = (axis, a, b) => {
    const [low, high] = [unshare(axis, a), unshare(axis, b)];
    if (axis.reading === "place") return axis.ticks.filter(([at]) => at >= low && at <= high);
    if (a === 0 && b === 1 && axis.ticks) return axis.ticks;
    if (axis.reading === "nines") return nines(low, high);
    return axis.log ? decades(axis, low, high) : steps(axis, low, high);
  };

  // The same axis the other way: linear from zero, or logarithmic around what there is.
  const otherScale = (axis, values) => {
    const positive = values.filter((value) => value > 0);
    const [least, most] = [Math.min(...positive), Math.max(...positive)];
    const margin = Math.max((most / least) ** 0.12, 1.25);
    const [low, high] = axis.log ? [0, most * 1.08] : [least / margin, most * margin];
    return { ...axis, log: !axis.log, low, high, ticks: null };
  };

  const element = (name, attributes = {}, parent = null) => {
    const made = name === "svg" || SVG_NAMES.has(name)
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent?.append(made);
    return made;
  };
  const SVG_NAMES = new Set(["g", "path", "text", "circle", "rect"]);

  const tip = element("div", { class: "tip", "aria-hidden": "true", hidden: "" });

  class Plot {
    constructor(panel, figure) {
      this.panel = panel;
      this.figure = figure;
      this.canvas = panel.querySelector(".canvas");
      this.svg = this.canvas.querySelector("svg");
      this.data = JSON.parse(panel.querySelector("script").textContent);
      [this.height, this.left, this.right, this.top, this.bottom] = this.data.sizes;
      this.x = this.data.x;
      this.y = this.data.y;
      this.view = [0, 1];
      this.reading = null;
      const point = (made, place = "") => ([x, y, low, high, tally, bounds = 0]) => ({
        x, y, low: low ?? y, high: high ?? y, place, tally: this.data.tallies[tally], made,
        atLeast: { y: (bounds & 1) > 0, low: (bounds & 2) > 0, high: (bounds & 4) > 0 },
      });
      const elements = [...this.svg.querySelectorAll(".series")];
      const all = [...this.data.bars, ...this.data.lines];
      this.series = all.map((made, index) => ({
        key: made.key,
        made,
        element: elements[index],
        points: made.points ? made.points.map(point(made)) : [point(made, made.place)(made.point)],
      }));
      const values = this.series.flatMap(({ points }) => points.flatMap(({ y, low, high }) => [y, low, high]));
      // Zeros have no logarithm; rates and loads are compared from zero.
      this.canSwitch = this.y.reading === "duration" && values.length > 0 && values.every((value) => value > 0);
      if (this.canSwitch) this.scales = [this.y, otherScale(this.y, values)];
      this.name();
      this.listen();
    }

    // The accessible name moves to an attribute: an SVG's title would be shown beside our own words.
    name() {
      const title = this.svg.querySelector("title");
      this.svg.setAttribute("aria-label", title.textContent);
      this.svg.removeAttribute("aria-labelledby");
      this.svg.setAttribute("aria-describedby", this.svg.querySelector("desc").id);
      this.svg.querySelectorAll("title").forEach((each) => each.remove());
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-roledescription", "plot");
      this.ring = element("circle", { class: "reading off", r: 8 }, this.svg);
      this.range = element("rect", { class: "range off", y: this.top, height: this.height - this.top - this.bottom }, this.svg);
    }

    get inner() { return this.width - this.left - this.right; }
    across(value) {
      const [a, b] = this.view;
      return this.left + (share(this.x, value) - a) / (b - a) * this.inner;
    }
    up(value) {
      const part = this.y.log && value <= 0 ? 0 : share(this.y, value);
      return this.height - this.bottom - clamp(part, 0, 1) * (this.height - this.bottom - this.top);
    }

    draw(width = this.canvas.clientWidth) {
      this.width = Math.max(width, 240);
      const floor = this.height - this.bottom;
      const svg = this.svg;
      svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      const clip = svg.querySelector("clipPath rect");
      clip.setAttribute("width", px(this.inner));
      svg.querySelector(".frame").setAttribute("d", `M${this.left} ${this.top}V${floor}h${px(this.inner)}`);
      svg.querySelector(".x-name").setAttribute("x", px(this.left + this.inner / 2));
      this.drawTicks(floor);
      this.drawMoments(floor);
      this.series.forEach((series) => (series.made.points ? this.drawLine(series) : this.drawBar(series, floor)));
      if (this.reading) this.read(...this.reading);
    }

    drawTicks(floor) {
      const up = this.svg.querySelector(".y-ticks");
      up.replaceChildren();
      for (const [at, label] of ticks(this.y, 0, 1)) {
        const tick = element("g", { class: "tick", transform: `translate(${this.left} ${px(this.up(at))})` }, up);
        element("path", { d: `M0 0H${px(this.inner)}` }, tick);
        element("text", { x: -8, y: 4 }, tick).textContent = label;
      }
      const across = this.svg.querySelector(".x-ticks");
      across.replaceChildren();
      let free = -Infinity;
      for (const [at, label] of ticks(this.x, ...this.view)) {
        const x = this.across(at);
        const half = label.length * LETTER / 2;
        const middle = Math.min(x, this.width - half);
        const tick = element("g", { class: "tick", transform: `translate(${px(x)} ${floor})` }, across);
        element("path", { d: "M0 0V5" }, tick);
        if (middle - half < free) continue;
        element("text", { x: px(middle - x), y: 18 }, tick).textContent = label;
        free = middle + half + 8;
      }
    }

    // What lasted, and what happened at a moment.
    drawMoments(floor) {
      const free = [-Infinity, -Infinity];
      this.svg.querySelectorAll(".shade").forEach((shade, index) => {
        const [from, to, label] = this.data.shades[index];
        const within = (x) => clamp(this.across(x), this.left, this.width - this.right);
        const [a, b] = [within(from), within(to)];
        shade.setAttribute("transform", `translate(${px(a)} 0)`);
        shade.firstElementChild.setAttribute("width", b > a ? px(Math.max(b - a, 1)) : 0);
        const row = free.findIndex((start) => a >= start);
        const words = shade.lastElementChild;
        words.textContent = row >= 0 && b > a ? label : "";
        words.setAttribute("y", this.top + 12 + 14 * Math.max(row, 0));
        if (words.textContent) free[row] = a + label.length * LETTER + 8;
      });
      this.svg.querySelectorAll(".rule").forEach((rule, index) => {
        rule.setAttribute("transform", `translate(${px(this.across(this.data.rules[index]))} 0)`);
      });
    }

    spread(x, { low, high }) {
      const [bottom, top] = [this.up(low), this.up(high)];
      if (bottom - top < 2) return "";
      const ends = [bottom, top].map((y) => `M${px(x - CAP)} ${px(y)}h${2 * CAP}`);
      return `M${px(x)} ${px(bottom)}V${px(top)}${ends.join("")}`;
    }

    drawLine({ made, element: group, points }) {
      const place = ({ x }, value) => `${px(this.across(x))} ${px(this.up(value))}`;
      const band = group.querySelector(".band");
      if (band && points.some(({ low, high }) => low < high)) {
        const above = points.map((point) => place(point, point.high));
        const below = points.map((point) => place(point, point.low)).reverse();
        band.setAttribute("d", `M${[...above, ...below].join(" ")}Z`);
      }
      this.drawStretches(group, points.map((point) => ({ at: place(point, point.y), isBound: point.atLeast.y })));
      const spreads = points.filter(({ low, high }) => low < high);
      group.querySelectorAll(".spread").forEach((spread, index) => {
        spread.setAttribute("d", this.spread(this.across(spreads[index].x), spreads[index]));
      });
      group.querySelectorAll(".mark").forEach((mark, index) => {
        const point = points[Math.floor(made.every / 2) + index * made.every];
        mark.setAttribute("transform", `translate(${place(point, point.y)})`);
      });
      this.drawCarets(group, points, made.every > 1);
    }

    // A line in two paths: what is exact, and what has a lower bound at an end.
    drawStretches(group, points) {
      const [exact, bound] = [group.querySelector(".line:not(.bound)"), group.querySelector(".line.bound")];
      const paths = { exact: "", bound: "" };
      let last = "";
      points.slice(1).forEach(({ at, isBound }, before) => {
        const kind = isBound || points[before].isBound ? "bound" : "exact";
        paths[kind] += kind === last ? ` ${at}` : `M${points[before].at} ${at}`;
        last = kind;
      });
      exact?.setAttribute("d", paths.exact);
      bound?.setAttribute("d", paths.bound);
    }

    // Above what is a lower bound, as chart.rs does; of many points one in every stretch of the axis.
    drawCarets(group, points, isThinned) {
      group.querySelectorAll(".caret").forEach((caret) => caret.remove());
      const look = Number(/\bs(\d)/.exec(group.getAttribute("class"))[1]);
      const stretch = (at) => Math.floor(at / CARETS_APART - look / 3);
      const last = [-Infinity, -Infinity];
      for (const { x, y, low, high, atLeast } of points) {
        [atLeast.y ? y : null, atLeast.high && low < high && high > y ? high : null].forEach((value, place) => {
          const at = this.across(x);
          const hasRoom = !isThinned || (stretch(at) > stretch(last[place]) && at >= last[place] + CARETS_APART / 2);
          if (value === null || !hasRoom) return;
          last[place] = at;
          const up = this.up(value) - CARET_ABOVE[place];
          element("path", { class: "caret", transform: `translate(${px(at)} ${px(up)})`, d: CARET }, group);
        });
      }
    }

    drawBar({ made, element: group, points: [point] }, floor) {
      const [from, to] = [-1, 1].map((side) => this.across(point.x + side * made.width / 2));
      const top = this.up(point.y);
      const [bar, spread, label] = group.children;
      const model = group.querySelector(".model");
      const sizes = { x: px(from), y: px(top), width: px(to - from), height: px(floor - top) };
      for (const [key, value] of Object.entries(sizes)) bar.setAttribute(key, value);
      const middle = (from + to) / 2;
      spread.setAttribute("d", this.spread(middle, point));
      label.setAttribute("x", px(middle));
      label.setAttribute("y", px(this.up(Math.max(point.high, point.y)) - 6));
      model?.setAttribute("d", `M${px(from - 2)} ${px(this.up(made.model))}H${px(to + 2)}`);
      this.drawCarets(group, [point], false);
    }

    // Reading off.
    seen({ x }) {
      const at = this.across(x);
      return at >= this.left - 1 && at <= this.width - this.right + 1;
    }

    nearest(x, y) {
      let best = null;
      let least = Infinity;
      this.series.forEach(({ key, made, points }, s) => {
        if (hidden.has(key)) return;
        points.forEach((point, i) => {
          if (!this.seen(point)) return;
          // A bar is meant wherever above or below it one points.
          const far = Math.hypot(this.across(point.x) - x, made.points ? (this.up(point.y) - y) * 0.6 : 0);
          if (far < least) [best, least] = [[s, i], far];
        });
      });
      return best;
    }

    // A figure of a point, which may be a lower bound.
    value(point, which) {
      return `${point.atLeast[which] ? "≥" : ""}${text(this.y, point[which])}`;
    }

    words({ key, point }) {
      const x = point.place || text(this.x, point.x);
      // A value that says its unit needs no name that does.
      const named = ({ name, reading }) => (["duration", "seconds"].includes(reading) ? name.split(" (")[0] : name);
      const axis = this.x.name && !point.place ? `${named(this.x)}: ` : "";
      const { verdict, runs, interval } = point.tally;
      const lines = [`${axis}${x}`, `${named(this.y)}: ${this.value(point, "y")}`];
      if (point.low < point.high) lines.push(`${interval}: ${this.value(point, "low")} … ${this.value(point, "high")}`);
      lines.push(`${runs} ${runs === 1 ? "run" : "runs"}, verdict: ${verdict}`);
      return [key, ...lines, ...this.beside(key, point)];
    }

    // What the other lines say at the same place: one may hide the other.
    beside(key, { x, place }) {
      const OTHERS_MAX = 6;
      if (place) return [];
      const others = this.series.filter((other) => other.key !== key && !hidden.has(other.key));
      const there = others.flatMap((other) => other.points
        .filter((point) => Math.abs(point.x - x) <= 1e-9 * (1 + Math.abs(x)))
        .map((point) => `${other.key}: ${this.value(point, "y")} (${point.tally.verdict})`));
      return there.slice(0, OTHERS_MAX);
    }

    read(s, i) {
      const point = this.series[s].points[i];
      const key = this.series[s].key;
      this.reading = [s, i];
      const [x, y] = [this.across(point.x), this.up(point.y)];
      this.ring.setAttribute("cx", px(x));
      this.ring.setAttribute("cy", px(y));
      this.ring.classList.toggle("off", !this.seen(point));
      const [name, ...lines] = this.words({ key, point });
      element("strong", {}, tip).textContent = name;
      tip.replaceChildren(tip.lastChild, lines.join("\n"));
      this.panel.append(tip);
      tip.hidden = !this.seen(point);
      const box = tip.getBoundingClientRect();
      const across = x > this.width / 2 ? x - box.width - 14 : x + 14;
      tip.style.left = `${clamp(this.canvas.offsetLeft + across, 0, Math.max(this.panel.clientWidth - box.width, 0))}px`;
      tip.style.top = `${this.canvas.offsetTop + clamp(y - box.height - 10, 0, this.height - box.height)}px`;
      return [name, ...lines];
    }

    forget() {
      this.reading = null;
      this.ring.classList.add("off");
      if (tip.parentNode === this.panel) tip.hidden = true;
    }

    say(reading) {
      if (reading) said.textContent = this.read(...reading).join(", ");
    }

    // Along a line (by = 1 or −1), to its end (±∞), or to the next line.
    move(along, between) {
      const shown = this.series.map((_, s) => s).filter((s) => !hidden.has(this.series[s].key));
      if (shown.length === 0) return;
      const first = this.series[shown[0]].points.findIndex((point) => this.seen(point));
      let [s, i] = this.reading ?? [shown[0], Math.max(first, 0)];
      if (this.reading) {
        const flat = shown.flatMap((each) => this.series[each].points.map((_, index) => [each, index]));
        const ofKey = flat.filter(([each]) => this.series[each].key === this.series[s].key);
        if (between === 0) {
          const at = ofKey.findIndex(([each, index]) => each === s && index === i);
          [s, i] = ofKey[clamp(at + along, 0, ofKey.length - 1)];
        } else {
          const keys = [...new Set(shown.map((each) => this.series[each].key))];
          const key = keys[(keys.indexOf(this.series[s].key) + between + keys.length) % keys.length];
          const from = this.series[s].points[i].x;
          const far = ([each, index]) => Math.abs(this.series[each].points[index].x - from);
          const others = flat.filter(([each]) => this.series[each].key === key);
          [s, i] = others.reduce((best, each) => (far(each) < far(best) ? each : best));
        }
      }
      const at = share(this.x, this.series[s].points[i].x);
      const [a, b] = this.view;
      if (at < a || at > b) this.figure.zoom(this, at - (b - a) / 2, at + (b - a) / 2);
      this.say([s, i]);
    }

    listen() {
      const canvas = this.canvas;
      const place = (event) => {
        const box = this.svg.getBoundingClientRect();
        const scale = this.width / box.width;
        return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      };
      const part = (x) => {
        const [a, b] = this.view;
        return a + clamp((x - this.left) / this.inner, 0, 1) * (b - a);
      };
      let from = null;
      const dragged = (x) => {
        if (from === null || Math.abs(x - from) < DRAG_MIN) return null;
        return [from, x].map((end) => clamp(end, this.left, this.width - this.right)).sort((a, b) => a - b);
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        [from] = place(event);
        canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        const [x, y] = place(event);
        const range = dragged(x);
        this.range.classList.toggle("off", !range);
        if (range) {
          this.range.setAttribute("x", px(range[0]));
          this.range.setAttribute("width", px(range[1] - range[0]));
          this.forget();
          return;
        }
        const nearest = this.nearest(x, y);
        if (nearest) this.read(...nearest);
      });
      const end = (event) => {
        const [x, y] = place(event);
        const range = event.type === "pointerup" && dragged(x);
        const tapped = event.type === "pointerup" && !range && this.nearest(x, y);
        from = null;
        this.range.classList.add("off");
        if (range) this.figure.zoom(this, ...range.map(part));
        if (tapped) this.read(...tapped);
      };
      canvas.addEventListener("pointerup", end);
      canvas.addEventListener("pointercancel", end);
      // A finger leaves as soon as it is lifted; what it tapped stays until something else is.
      canvas.addEventListener("pointerleave", (event) => {
        if (from === null && event.pointerType !== "touch") this.forget();
      });
      canvas.addEventListener("dblclick", () => this.figure.reset());
      canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.figure.step(this, event.deltaY < 0 ? STEP : 1 / STEP, part(place(event)[0]));
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const keys = {
          ArrowRight: () => this.move(1, 0),
          ArrowLeft: () => this.move(-1, 0),
          ArrowUp: () => this.move(0, -1),
          ArrowDown: () => this.move(0, 1),
          Home: () => this.move(-Infinity, 0),
          End: () => this.move(Infinity, 0),
          "+": () => this.figure.step(this, STEP, this.focus()),
          "=": () => this.figure.step(this, STEP, this.focus()),
          "-": () => this.figure.step(this, 1 / STEP, this.focus()),
          0: () => this.figure.reset(),
          Escape: () => this.forget(),
        };
        if (!keys[event.key]) return;
        event.preventDefault();
        keys[event.key]();
      });
      canvas.addEventListener("blur", () => this.forget());
    }

    // Around what the keyboard zooms: the point that is read, else the middle.
    focus() {
      if (!this.reading) return (this.view[0] + this.view[1]) / 2;
      const [s, i] = this.reading;
      return share(this.x, this.series[s].points[i].x);
    }
  }

  // A figure's panels have one horizontal axis, or the same quantity on each: they zoom together.
  class Figure {
    constructor(figure) {
      this.plots = [...figure.querySelectorAll(".panel")].map((panel) => new Plot(panel, this));
      const name = figure.querySelector("h3, h4").textContent;
      const tools = element("div", { class: "tools", role: "group", "aria-label": `Zoom of ${name}` });
      const button = (label, act) => {
        const made = element("button", { type: "button", "aria-label": `${label}: ${name}` }, tools);
        made.textContent = label;
        made.addEventListener("click", () => act(made));
        return made;
      };
      button("Zoom in", () => this.step(this.plots[0], STEP, this.plots[0].focus()));
      button("Zoom out", () => this.step(this.plots[0], 1 / STEP, this.plots[0].focus()));
      this.back = button("Reset zoom", () => this.reset());
      this.back.setAttribute("aria-disabled", "true");
      if (this.plots.some((plot) => plot.canSwitch)) {
        const log = button("Log y", () => this.switchScale(log));
        log.classList.add("scale");
        log.setAttribute("aria-pressed", String(this.plots.every((plot) => !plot.canSwitch || plot.y.log)));
      }
      const legend = figure.querySelector(".legend");
      const controls = element("div", { class: "controls" });
      legend.replaceWith(controls);
      controls.append(legend, tools);
    }

    // Shows the part from share a to share b of this plot's axis, and of the others what is the same there.
    zoom(plot, a, b) {
      const width = clamp(b - a, NARROWEST, 1);
      const low = clamp(a, 0, 1 - width);
      const values = [low, low + width].map((end) => unshare(plot.x, end));
      for (const each of this.plots) {
        const [from, to] = values.map((value) => clamp(share(each.x, value), 0, 1));
        each.view = each === plot ? [low, low + width] : to - from >= NARROWEST ? [from, to] : [0, 1];
        each.draw();
      }
      const whole = width === 1;
      this.back.setAttribute("aria-disabled", String(whole));
      said.textContent = whole || plot.x.reading === "place"
        ? whole ? "Whole axis" : `Zoomed to ${Math.round(width * 100)} % of the axis`
        : `Zoomed to ${text(plot.x, values[0])} … ${text(plot.x, values[1])}`;
    }

    step(plot, factor, around) {
      const [a, b] = plot.view;
      this.zoom(plot, around - (around - a) * factor, around + (b - around) * factor);
    }

    reset() { this.zoom(this.plots[0], 0, 1); }

    switchScale(button) {
      const log = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(log));
      for (const plot of this.plots.filter((each) => each.canSwitch)) {
        plot.y = plot.scales.find((scale) => scale.log === log);
        plot.draw();
      }
    }
  }

  document.documentElement.classList.add("js");
  const figures = [...document.querySelectorAll("figure.plot")].map((figure) => new Figure(figure));
  const plots = figures.flatMap((figure) => figure.plots);

  const toggle = (key) => {
    if (!hidden.delete(key)) hidden.add(key);
    const off = hidden.has(key);
    for (const plot of plots) {
      plot.series.filter((series) => series.key === key).forEach(({ element: group }) => group.classList.toggle("off", off));
      if (plot.reading && hidden.has(plot.series[plot.reading[0]].key)) plot.forget();
    }
    document.querySelectorAll("button.entry").forEach((button) => {
      if (button.dataset.key === key) button.setAttribute("aria-pressed", String(!off));
    });
    said.textContent = `${key} ${off ? "hidden" : "shown"} in every plot`;
  };
  document.querySelectorAll("span.entry").forEach((entry) => {
    const { key } = entry.dataset;
    const button = element("button", { type: "button", class: "entry", "aria-pressed": "true", "data-key": key });
    button.title = `Hide or show ${key} in every plot`;
    button.append(...entry.childNodes);
    button.addEventListener("click", () => toggle(key));
    entry.replaceWith(button);
  });
  document.querySelectorAll("[id$='-plots']").forEach((heading) => {
    const note = element("p", { class: "note how" });
    note.textContent = "Point at a plot to read its values, drag over a part of it to zoom in (or Ctrl and the wheel), "
      + "double-click to see all. By keyboard: Tab to a plot, ←\u00a0→ along a line, ↑\u00a0↓ to the next, "
      + "+\u00a0−\u00a00 to zoom. A button of a "
      + "legend hides its line in every plot.";
    heading.after(note);
  });

  // Drawn as wide as there is room, now and whenever that changes.
  const byCanvas = new Map(plots.map((plot) => [plot.canvas, plot]));
  plots.forEach((plot) => plot.draw());
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = byCanvas.get(target);
      if (plot.canvas.clientWidth !== plot.width) plot.draw();
    }
  });
  plots.forEach((plot) => observer.observe(plot.canvas));

  // On paper everything is open, which not every browser takes from the style sheet, and a page has its own width.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((each) => { each.open = true; });
    plots.forEach((plot) => plot.draw(PRINTED));
  });
  window.addEventListener("afterprint", () => {
    closed.forEach((each) => { each.open = false; });
    plots.forEach((plot) => plot.draw());
  });
})();
