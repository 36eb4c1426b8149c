//! One panel as SVG, complete without any script. The script of the page moves what is here when it zooms, and finds it
//! by class and order, so that a change here is one in `page.js`.

use std::fmt::Write;

use super::markup::escape;
use crate::{
    numbers::bounded,
    plot::{
        axis::{Axis, Tick},
        look::{Look, Marker},
        model::{Bar, Entry, Line, Mark, Panel, Sample, Shade, Spacing, Stretch},
    },
};

/// Chosen: without script a picture is scaled from this width, at which its letters are as large as the page's small ones.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 50.0;
/// How wide a letter of an axis is, at most.
const LETTER: f64 = 7.2;

/// Half the width of an error bar's ends.
const CAP: f64 = 4.0;

/// A caret, and how far it stands above the figure and above the high end of its spread.
const CARET: &str = "M-5 0L0-4.5L5 0";
const CARET_ABOVE: [f64; 2] = [9.0, 3.0];
/// How far those of a line with many points are apart.
const CARETS_APART: f64 = 30.0;

/// Where a panel is drawn, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
}

impl Frame {
    pub(super) fn of(panel: &Panel) -> Self {
        let letters = panel.y.ticks.iter().map(|tick| width(&tick.label)).fold(0.0, f64::max);
        Self { left: (letters + 16.0).max(44.0) }
    }

    /// Height, and the margins: left, right, top, bottom.
    pub(super) const fn sizes(self) -> [f64; 5] {
        [HEIGHT, self.left, RIGHT, TOP, BOTTOM]
    }

    fn across(self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.share(value) * (WIDTH - RIGHT - self.left)
    }

    fn up(axis: &Axis, value: f64) -> f64 {
        HEIGHT - BOTTOM - axis.share(value).clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
    }

    fn place(self, panel: &Panel, x: f64, y: f64) -> (f64, f64) {
        (self.across(&panel.x, x), Self::up(&panel.y, y))
    }
}

#[expect(clippy::cast_precision_loss, reason = "letters of a label")]
fn width(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// The picture; `id` is unique in the page, `title` and `about` are what a screen reader says.
pub(super) fn svg(id: &str, panel: &Panel, title: &str, about: &str) -> String {
    let frame = Frame::of(panel);
    let (left, inner) = (n(frame.left), n(WIDTH - RIGHT - frame.left));
    let (high, low) = (TOP, HEIGHT - BOTTOM);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\
         <clipPath id=\"{id}-c\"><rect x=\"{left}\" y=\"{}\" width=\"{inner}\" height=\"{}\"/></clipPath>\
         <text class=\"y-name\" x=\"0\" y=\"16\">{}</text>\n",
        escape(title),
        escape(about),
        n(high - 8.0),
        n(low - high + 16.0),
        escape(&panel.y.label),
    );
    text.push_str(&y_ticks(frame, &panel.y));
    text.push_str(&x_ticks(frame, &panel.x));
    let _ = write!(
        text,
        "<text class=\"x-name\" x=\"{}\" y=\"{}\">{}</text>\n<g clip-path=\"url(#{id}-c)\">",
        n(f64::midpoint(frame.left, WIDTH - RIGHT)),
        n(HEIGHT - 8.0),
        escape(&panel.x.label),
    );
    text.push_str(&shades(frame, panel));
    for rule in &panel.rules {
        let x = n(frame.across(&panel.x, rule.x));
        let label = escape(&rule.label);
        let _ = write!(
            text,
            "<g class=\"rule\" transform=\"translate({x} 0)\"><path d=\"M0 {high}V{low}\"/>\
             <text x=\"4\" y=\"{}\">{label}</text></g>",
            n(high + 12.0)
        );
    }
    panel.bars.iter().for_each(|bar| text.push_str(&drawn_bar(frame, panel, bar)));
    panel.drawn_lines().for_each(|line| text.push_str(&drawn_line(frame, panel, line)));
    let _ = write!(text, "</g>\n<path class=\"frame\" d=\"M{left} {high}V{low}h{inner}\"/></svg>");
    text
}

/// A number of pixels, to a tenth.
fn n(pixels: f64) -> String {
    let text = format!("{pixels:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn y_ticks(frame: Frame, axis: &Axis) -> String {
    let mut text = String::from("<g class=\"y-ticks\">");
    for Tick { at, label } in &axis.ticks {
        let _ = write!(
            text,
            "<g class=\"tick\" transform=\"translate({} {})\"><path d=\"M0 0H{}\"/><text x=\"-8\" y=\"4\">{}</text></g>",
            n(frame.left),
            n(Frame::up(axis, *at)),
            n(WIDTH - RIGHT - frame.left),
            escape(label)
        );
    }
    text + "</g>\n"
}

/// Ticks without a line: what stands on a place has its own marks. A label that would touch its neighbour is left out.
fn x_ticks(frame: Frame, axis: &Axis) -> String {
    let mut text = String::from("<g class=\"x-ticks\">");
    let mut free_from = f64::NEG_INFINITY;
    for Tick { at, label } in &axis.ticks {
        let x = frame.across(axis, *at);
        let half = width(label) / 2.0;
        let middle = x.min(WIDTH - half);
        let label = if middle - half >= free_from { label.as_str() } else { "" };
        if !label.is_empty() {
            free_from = middle + half + 8.0;
        }
        let _ = write!(
            text,
            "<g class=\"tick\" transform=\"translate({} {})\"><path d=\"M0 0V5\"/><text x=\"{}\" y=\"18\">{}</text></g>",
            n(x),
            n(HEIGHT - BOTTOM),
            n(middle - x),
            escape(label)
        );
    }
    text + "</g>\n"
}

/// What lasted, each said at its beginning where there is room.
fn shades(frame: Frame, panel: &Panel) -> String {
    let mut text = String::new();
    let mut free_from = [f64::NEG_INFINITY; 2];
    for Shade { from, to, label } in &panel.shades {
        let within = |x: f64| frame.across(&panel.x, x).clamp(frame.left, WIDTH - RIGHT);
        let (from, to) = (within(*from), within(*to));
        let row = free_from.iter().position(|free| from >= *free);
        let label = if row.is_some() { label.as_str() } else { "" };
        let row = row.unwrap_or(0);
        free_from[row] = free_from[row].max(from + width(label) + 8.0);
        #[expect(clippy::cast_precision_loss, reason = "0 or 1")]
        let down = TOP + 12.0 + 14.0 * row as f64;
        let _ = write!(
            text,
            "<g class=\"shade\" transform=\"translate({} 0)\"><rect y=\"{TOP}\" width=\"{}\" height=\"{}\"/>\
             <text x=\"3\" y=\"{}\">{}</text></g>",
            n(from),
            n((to - from).max(1.0)),
            n(HEIGHT - BOTTOM - TOP),
            n(down),
            escape(label)
        );
    }
    text
}

fn hollow(valid: bool) -> &'static str {
    if valid { "" } else { " hollow" }
}

fn drawn_bar(frame: Frame, panel: &Panel, bar: &Bar) -> String {
    let Mark { x, y, low, high, valid, .. } = bar.mark;
    let (a, b) = (bar.width / 2.0, Frame::up(&panel.y, y));
    let (from, to) = (frame.across(&panel.x, x - a), frame.across(&panel.x, x + a));
    let (middle, top) = frame.place(panel, x, high.max(y));
    format!(
        "<g class=\"series bar s{}{}{}\" data-key=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\
         <path class=\"spread\" d=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>{}</g>",
        bar.look.place(),
        if bar.emphasis { "" } else { " pale" },
        hollow(valid),
        escape(&bar.name),
        n(from),
        n(b),
        n(to - from),
        n(HEIGHT - BOTTOM - b),
        spread(middle, Frame::up(&panel.y, low), Frame::up(&panel.y, high)),
        n(middle),
        n(top - 6.0),
        escape(&bar.label),
        bar.model.map_or_else(String::new, |model| {
            let y = n(Frame::up(&panel.y, model));
            format!("<path class=\"model\" d=\"M{} {y}H{}\"/>", n(from - 2.0), n(to + 2.0))
        }) + &carets(frame, panel, &bar.mark, |_, _| true),
    )
}

/// The carets of a mark for which there is room: given its place among the two and its pixels along.
fn carets(
    frame: Frame,
    panel: &Panel,
    mark: &Mark,
    mut has_room: impl FnMut(usize, f64) -> bool,
) -> String {
    let mut text = String::new();
    for (place, value) in mark.carets().into_iter().enumerate() {
        let Some(value) = value else { continue };
        let (x, y) = frame.place(panel, mark.x, value);
        if has_room(place, x) {
            let (x, y) = (n(x), n(y - CARET_ABOVE[place]));
            let _ = write!(
                text,
                "<path class=\"caret\" transform=\"translate({x} {y})\" d=\"{CARET}\"/>"
            );
        }
    }
    text
}

/// An error bar; nothing where it would be smaller than a marker's rim.
fn spread(x: f64, low: f64, high: f64) -> String {
    const LEAST: f64 = 2.0;
    if low - high < LEAST {
        return String::new();
    }
    let (left, low, high) = (n(x - CAP), n(low), n(high));
    let cap = 2.0 * CAP;
    format!("M{} {low}V{high}M{left} {low}h{cap}M{left} {high}h{cap}", n(x))
}

fn drawn_line(frame: Frame, panel: &Panel, line: &Line) -> String {
    let place = |x, y| {
        let (x, y) = frame.place(panel, x, y);
        format!("{} {}", n(x), n(y))
    };
    let through = |places: Vec<String>| format!("M{}", places.join(" "));
    let mut text =
        format!("<g class=\"series s{}\" data-key=\"{}\">", line.look.place(), escape(&line.name));
    if line.band {
        let above = line.points.iter().map(|mark| place(mark.x, mark.high));
        let below = line.points.iter().rev().map(|mark| place(mark.x, mark.low));
        let has_spread = line.points.iter().any(|mark| mark.low < mark.high);
        let outline = through(above.chain(below).collect()) + "Z";
        let outline = if has_spread { outline.as_str() } else { "" };
        let _ = write!(text, "<path class=\"band\" d=\"{outline}\"/>");
    }
    if line.joined {
        // Of one point nothing is seen, but the script finds its path.
        let stretches = line.stretches();
        let of_kind = |is_bound: bool| -> String {
            let of_kind = stretches.iter().filter(|stretch| stretch.is_bound == is_bound);
            let d = |stretch: &Stretch<'_>| {
                through(stretch.points.iter().map(|mark| place(mark.x, mark.y)).collect())
            };
            of_kind.map(d).collect()
        };
        let (exact, bound, dashes) = (of_kind(false), of_kind(true), dashes(&line.look));
        let _ = write!(text, "<path class=\"line\"{dashes} d=\"{exact}\"/>");
        if !bound.is_empty() {
            let _ = write!(text, "<path class=\"line bound\"{dashes} d=\"{bound}\"/>");
        }
    }
    if !line.band {
        for mark in line.points.iter().filter(|mark| mark.low < mark.high) {
            let (x, low) = frame.place(panel, mark.x, mark.low);
            let d = spread(x, low, Frame::up(&panel.y, mark.high));
            let _ = write!(text, "<path class=\"spread\" d=\"{d}\"/>");
        }
    }
    let every = line.marker_every.max(1);
    for mark in line.points.iter().skip(every / 2).step_by(every) {
        let _ = write!(
            text,
            "<path class=\"mark{}\" transform=\"translate({})\" d=\"{}\"><title>{}</title></path>",
            hollow(mark.valid),
            place(mark.x, mark.y),
            shape(line.look.marker),
            escape(&said(panel, &line.name, mark, "")),
        );
    }
    // The script draws them anew, as here.
    let mut spacing = [Spacing::new(line, CARETS_APART); 2];
    for mark in &line.points {
        text.push_str(&carets(frame, panel, mark, |place, x| spacing[place].has_room(x)));
    }
    text + "</g>\n"
}

/// What a point says of itself: whose it is, where, how much, and its runs' verdict.
pub(super) fn said(panel: &Panel, name: &str, mark: &Mark, place: &str) -> String {
    let at = if place.is_empty() { panel.x.text(mark.x) } else { place.to_owned() };
    let verdict = mark.run_count.verdict();
    let figure = bounded(mark.at_least.median, panel.y.text(mark.y));
    format!("{name}, {at}: {figure}, {verdict}")
}

/// The dashes of a look, given for a canvas of 1800 pixels.
fn dashes(look: &Look) -> String {
    if look.dashes.is_empty() {
        return String::new();
    }
    let lengths: Vec<String> = look.dashes.iter().map(|length| n(length / 4.0)).collect();
    format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
}

/// A marker around the origin.
const fn shape(marker: Marker) -> &'static str {
    match marker {
        Marker::Circle => "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
        Marker::Square => "M-4.2-4.2h8.4v8.4h-8.4z",
        Marker::Triangle => "M0-5.6L5.2 3.8h-10.4z",
        Marker::Diamond => "M0-6L5.4 0L0 6L-5.4 0z",
        Marker::None => "",
    }
}

/// A piece of a line as a legend shows it.
pub(super) fn swatch(entry: &Entry) -> String {
    let look = &entry.look;
    if entry.sample == Sample::Bound {
        return format!(
            "<svg class=\"swatch\" width=\"44\" height=\"16\" viewBox=\"0 0 44 16\" aria-hidden=\"true\">\
             <path class=\"mark nobody\" transform=\"translate(22 11)\" d=\"{}\"/>\
             <path class=\"caret nobody\" transform=\"translate(22 5)\" d=\"{CARET}\"/></svg>",
            shape(look.marker)
        );
    }
    if entry.sample != Sample::Line {
        return format!(
            "<svg class=\"swatch\" width=\"44\" height=\"16\" viewBox=\"0 0 44 16\" aria-hidden=\"true\">\
             <path class=\"mark hollow nobody\" transform=\"translate(22 8)\" d=\"{}\"/></svg>",
            shape(if entry.sample == Sample::HollowBar { Marker::Square } else { look.marker })
        );
    }
    format!(
        "<svg class=\"swatch s{}\" width=\"44\" height=\"16\" viewBox=\"0 0 44 16\" aria-hidden=\"true\">\
         <path class=\"line\"{} d=\"M1 8h42\"/><path class=\"mark\" transform=\"translate(22 8)\" d=\"{}\"/></svg>",
        look.place(),
        dashes(look),
        shape(look.marker)
    )
}
