//! Lays a figure out and draws it: title, legend (above the panels, never over data), panels, footer.
//!
//! Sizes are for a canvas of 1800 pixels that is printed 8.5 cm wide, a paper's column: 44 pixels are 6 points then.

use plotters::{
    coord::Shift,
    prelude::{Color, DrawingArea, DrawingBackend, RGBColor, WHITE},
    style::text_anchor::{HPos, VPos},
};

use super::{
    axis::{Axis, Tick},
    canvas::{Canvas, Drawn, Lift, Place, Text},
    model::{Bar, Entry, Figure, Line, Mark, Panel, Sample, Shade, Spacing},
};

const WIDTH: f64 = 1800.0;
const EDGE: f64 = 30.0;
const TITLE_HEIGHT: f64 = 84.0;
const LEGEND_HEIGHT: f64 = 74.0;
const PLOT_HEIGHT_ALONE: f64 = 820.0;
const PLOT_HEIGHT_STACKED: f64 = 560.0;
const PANEL_TITLE_HEIGHT: f64 = 84.0;
const TICKS_HEIGHT: f64 = 76.0;
const AXIS_LABEL_HEIGHT: f64 = 66.0;
const PANEL_GAP: f64 = 30.0;
const FOOTER_HEIGHT: f64 = 44.0;
const SAMPLE_WIDTH: f64 = 120.0;

const TITLE_SIZE: f64 = 54.0;
const LEGEND_SIZE: f64 = 50.0;
const LABEL_SIZE: f64 = 50.0;
const TICK_SIZE: f64 = 46.0;
const NOTE_SIZE: f64 = 38.0;
const FOOTER_SIZE: f64 = 34.0;

const INK: RGBColor = RGBColor(30, 30, 30);
const PALE: RGBColor = RGBColor(222, 222, 222);
const GREY: RGBColor = RGBColor(95, 95, 95);
/// Between the protocols' colours, and light on a grey printout.
const SHADE: RGBColor = RGBColor(205, 170, 90);
const LINE_WIDTH: u32 = 6;
/// Of a part of a line above which the true one may lie.
const BOUND_WIDTH: u32 = 2;
/// How far a caret stands above what it marks: there is a marker between, as a rule.
const CARET_ABOVE: f64 = 26.0;
/// How far a caret stands above the high end of a spread.
const CARET_ABOVE_HIGH: f64 = 8.0;
/// How far carets of a line whose points are many stand apart.
const CARETS_APART: f64 = 96.0;

/// The plot's rectangle in pixels.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The canvas a figure needs: width and height in pixels.
pub(super) fn size(figure: &Figure) -> (u32, u32) {
    let panels: f64 = figure.panels.iter().map(|panel| panel_height(figure, panel)).sum();
    let height = 2.0 * EDGE + head_height(figure) + panels + footer_height(figure);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let height = height.ceil() as u32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a constant")]
    let width = WIDTH as u32;
    (width, height)
}

/// Draws `figure` onto an area of its [`size`].
pub(super) fn draw<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    lift: Lift,
    figure: &Figure,
) -> Drawn {
    let canvas = Canvas::new(area, lift);
    canvas.fill(WHITE)?;
    let title = Text { bold: true, ..Text::new(TITLE_SIZE, INK) };
    canvas.text(&figure.title, (EDGE, EDGE + TITLE_HEIGHT / 2.0), title)?;
    legend(&canvas, &figure.legend)?;
    let left = EDGE + AXIS_LABEL_HEIGHT + widest_tick(&canvas, figure) + 30.0;
    let mut top = EDGE + head_height(figure);
    for panel in &figure.panels {
        draw_panel(&canvas, figure, panel, left, top)?;
        top += panel_height(figure, panel);
    }
    for line in &figure.footer {
        let at = (EDGE, top + FOOTER_HEIGHT / 2.0 + PANEL_GAP / 2.0);
        canvas.text(line, at, Text::new(FOOTER_SIZE, GREY))?;
        top += FOOTER_HEIGHT;
    }
    canvas.finish()
}

fn head_height(figure: &Figure) -> f64 {
    TITLE_HEIGHT + LEGEND_HEIGHT * rows(figure.legend.len()) + 16.0
}

/// Entries stand three to a row.
const ENTRIES_PER_ROW: usize = 3;

#[expect(clippy::cast_precision_loss, reason = "a handful of entries")]
fn rows(entries: usize) -> f64 {
    entries.div_ceil(ENTRIES_PER_ROW) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
fn footer_height(figure: &Figure) -> f64 {
    figure.footer.len() as f64 * FOOTER_HEIGHT + PANEL_GAP / 2.0
}

fn plot_height(figure: &Figure) -> f64 {
    if figure.panels.len() == 1 { PLOT_HEIGHT_ALONE } else { PLOT_HEIGHT_STACKED }
}

fn panel_height(figure: &Figure, panel: &Panel) -> f64 {
    let title = if panel.title.is_empty() { 0.0 } else { PANEL_TITLE_HEIGHT };
    let label = if panel.x.label.is_empty() { 0.0 } else { AXIS_LABEL_HEIGHT };
    title + plot_height(figure) + TICKS_HEIGHT + label + PANEL_GAP
}

fn widest_tick<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, figure: &Figure) -> f64 {
    let ticks = figure.panels.iter().flat_map(|panel| &panel.y.ticks);
    let widths = ticks.map(|tick| canvas.width(&tick.label, Text::new(TICK_SIZE, INK)));
    widths.fold(0.0, f64::max)
}

fn legend<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, entries: &[Entry]) -> Drawn {
    let set = Text::new(LEGEND_SIZE, INK);
    let mut y = EDGE + TITLE_HEIGHT + LEGEND_HEIGHT / 2.0;
    for row in entries.chunks(ENTRIES_PER_ROW) {
        let mut x = EDGE;
        for entry in row {
            sample(canvas, (x, y), entry)?;
            canvas.text(&entry.label, (x + SAMPLE_WIDTH + 20.0, y), set)?;
            x += SAMPLE_WIDTH + 20.0 + canvas.width(&entry.label, set) + 70.0;
        }
        y += LEGEND_HEIGHT;
    }
    Ok(())
}

fn sample<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, (x, y): Place, entry: &Entry) -> Drawn {
    const BAR: f64 = 22.0;
    let (look, middle) = (&entry.look, x + SAMPLE_WIDTH / 2.0);
    match entry.sample {
        Sample::Line => {
            let ends = [(x, y), (x + SAMPLE_WIDTH, y)];
            canvas.dashed(&ends, look.dashes, look.colour, LINE_WIDTH)?;
            canvas.marker((middle, y), look, false)
        }
        Sample::HollowMarker => canvas.marker((middle, y), look, true),
        Sample::Bound => {
            let low = y + 20.0;
            canvas.marker((middle, low), look, false)?;
            canvas.caret((middle, low - CARET_ABOVE), look.colour)
        }
        Sample::HollowBar => {
            // Filled shapes alone: they have sharp corners on every backend.
            let square = |half: f64| {
                [(-half, -half), (half, -half), (half, half), (-half, half)]
                    .map(|(across, down)| (middle + across, y + down))
            };
            canvas.area(&square(BAR), look.colour)?;
            canvas.area(&square(BAR - 3.0), WHITE)
        }
    }
}

fn draw_panel<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    figure: &Figure,
    panel: &Panel,
    left: f64,
    top: f64,
) -> Drawn {
    let title_height = if panel.title.is_empty() { 0.0 } else { PANEL_TITLE_HEIGHT };
    let top = top + title_height;
    let frame = Frame { left, right: WIDTH - EDGE, top, bottom: top + plot_height(figure) };
    if !panel.title.is_empty() {
        let set = Text { vertical: VPos::Center, ..Text::new(LABEL_SIZE, INK) };
        canvas.text(&panel.title, (frame.left, top - PANEL_TITLE_HEIGHT * 0.42), set)?;
    }
    draw_shades(canvas, panel, frame)?;
    draw_y_axis(canvas, panel, frame)?;
    draw_x_axis(canvas, panel, frame)?;
    draw_shade_labels(canvas, panel, frame)?;
    draw_rules(canvas, panel, frame)?;
    panel.lines.iter().try_for_each(|line| draw_band(canvas, panel, frame, line))?;
    panel.bars.iter().try_for_each(|bar| draw_bar(canvas, panel, frame, bar))?;
    panel.lines.iter().try_for_each(|line| draw_line(canvas, panel, frame, line))?;
    panel.lines.iter().try_for_each(|line| draw_markers(canvas, panel, frame, line))
}

impl Frame {
    fn place(&self, panel: &Panel, x: f64, y: f64) -> Place {
        (self.across(&panel.x, x), self.up(&panel.y, y))
    }

    fn across(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.share(value) * (self.right - self.left)
    }

    fn up(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.share(value).clamp(0.0, 1.0) * (self.bottom - self.top)
    }
}

fn draw_y_axis<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, panel: &Panel, frame: Frame) -> Drawn {
    let set = Text { horizontal: HPos::Right, ..Text::new(TICK_SIZE, INK) };
    for Tick { at, label } in &panel.y.ticks {
        let y = frame.up(&panel.y, *at);
        canvas.line(&[(frame.left, y), (frame.right, y)], PALE, 2)?;
        canvas.line(&[(frame.left - 12.0, y), (frame.left, y)], INK, 3)?;
        canvas.text(label, (frame.left - 20.0, y), set)?;
    }
    canvas.line(&[(frame.left, frame.top), (frame.left, frame.bottom)], INK, 3)?;
    let set = Text { horizontal: HPos::Center, upright: true, ..Text::new(LABEL_SIZE, INK) };
    let middle = f64::midpoint(frame.top, frame.bottom);
    canvas.text(&panel.y.label, (EDGE + AXIS_LABEL_HEIGHT / 2.0 - 6.0, middle), set)
}

fn draw_x_axis<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, panel: &Panel, frame: Frame) -> Drawn {
    let set = Text { horizontal: HPos::Center, ..Text::new(TICK_SIZE, INK) };
    let mut free_from = f64::NEG_INFINITY;
    for Tick { at, label } in &panel.x.ticks {
        let x = frame.across(&panel.x, *at);
        canvas.line(&[(x, frame.bottom), (x, frame.bottom + 12.0)], INK, 3)?;
        let width = canvas.width(label, set);
        // A label that would run off the canvas moves in; one that would touch its neighbour is left out.
        let middle = x.min(WIDTH - 8.0 - width / 2.0);
        if middle - width / 2.0 >= free_from {
            canvas.text(label, (middle, frame.bottom + 46.0), set)?;
            free_from = middle + width / 2.0 + 16.0;
        }
    }
    canvas.line(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], INK, 3)?;
    let set = Text { size: LABEL_SIZE, ..set };
    let middle = f64::midpoint(frame.left, frame.right);
    let y = frame.bottom + TICKS_HEIGHT + AXIS_LABEL_HEIGHT * 0.45;
    canvas.text(&panel.x.label, (middle, y), set)
}

/// Shades what lasted, the darker the more of it there is at once, with a line where it began.
fn draw_shades<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, panel: &Panel, frame: Frame) -> Drawn {
    for shade in &panel.shades {
        let (left, right) = ends(panel, frame, shade);
        let outline =
            [(left, frame.top), (right, frame.top), (right, frame.bottom), (left, frame.bottom)];
        canvas.area(&outline, SHADE.mix(0.28))?;
        canvas.line(&[(left, frame.top), (left, frame.bottom)], SHADE, 3)?;
    }
    Ok(())
}

/// Says at its upper left end what lasted. Two that would touch: the second is said further down, a third not at all.
fn draw_shade_labels<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
) -> Drawn {
    let set = Text { horizontal: HPos::Right, upright: true, ..Text::new(NOTE_SIZE, GREY) };
    let mut free_from = [f64::NEG_INFINITY; 2];
    for shade in panel.shades.iter().filter(|shade| !shade.label.is_empty()) {
        let x = ends(panel, frame, shade).0 + 24.0;
        let Some(row) = free_from.iter().position(|free| x >= *free) else { continue };
        let down = if row == 0 { 8.0 } else { (frame.bottom - frame.top) * 0.5 };
        canvas.text(&shade.label, (x, frame.top + down), set)?;
        free_from[row] = x + NOTE_SIZE * 1.15;
    }
    Ok(())
}

/// Where a shade begins and ends on the canvas.
fn ends(panel: &Panel, frame: Frame, shade: &Shade) -> (f64, f64) {
    let within = |x: f64| frame.across(&panel.x, x).clamp(frame.left, frame.right);
    (within(shade.from), within(shade.to))
}

fn draw_rules<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, panel: &Panel, frame: Frame) -> Drawn {
    let set = Text { horizontal: HPos::Right, upright: true, ..Text::new(NOTE_SIZE, GREY) };
    for rule in &panel.rules {
        let x = frame.across(&panel.x, rule.x);
        canvas.dashed(&[(x, frame.top), (x, frame.bottom)], &[12.0, 12.0], GREY, 3)?;
        canvas.text(&rule.label, (x - 26.0, frame.top + 8.0), set)?;
    }
    Ok(())
}

fn draw_band<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
    line: &Line,
) -> Drawn {
    if !line.band || line.points.len() < 2 {
        return Ok(());
    }
    let above = line.points.iter().map(|mark| frame.place(panel, mark.x, mark.high));
    let below = line.points.iter().rev().map(|mark| frame.place(panel, mark.x, mark.low));
    let outline: Vec<Place> = above.chain(below).collect();
    canvas.area(&outline, line.look.colour.mix(0.16))
}

fn draw_line<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
    line: &Line,
) -> Drawn {
    for stretch in line.stretches().iter().filter(|_| line.joined) {
        let places = stretch.points.iter().map(|mark| frame.place(panel, mark.x, mark.y));
        let places: Vec<Place> = places.collect();
        let width = if stretch.is_bound { BOUND_WIDTH } else { LINE_WIDTH };
        canvas.dashed(&places, line.look.dashes, line.look.colour, width)?;
    }
    if line.band {
        return Ok(());
    }
    line.points.iter().try_for_each(|mark| spread(canvas, panel, frame, mark, line.look.colour))
}

fn draw_markers<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
    line: &Line,
) -> Drawn {
    // The first marker stands half a step in, so that markers do not pile up on the axis.
    let every = line.marker_every.max(1);
    for mark in line.points.iter().skip(every / 2).step_by(every) {
        canvas.marker(frame.place(panel, mark.x, mark.y), &line.look, !mark.valid)?;
    }
    let mut spacing = [Spacing::new(line, CARETS_APART); 2];
    for mark in &line.points {
        for (spacing, caret) in spacing.iter_mut().zip(carets(panel, frame, mark)) {
            if let Some(at) = caret.filter(|(x, _)| spacing.has_room(*x)) {
                canvas.caret(at, line.look.colour)?;
            }
        }
    }
    Ok(())
}

/// Where a mark's carets stand on the canvas.
fn carets(panel: &Panel, frame: Frame, mark: &Mark) -> [Option<Place>; 2] {
    let above = |value: Option<f64>, above: f64| {
        let (x, y) = frame.place(panel, mark.x, value?);
        Some((x, y - above))
    };
    let [own, high] = mark.carets();
    [above(own, CARET_ABOVE), above(high, CARET_ABOVE_HIGH)]
}

fn draw_bar<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
    bar: &Bar,
) -> Drawn {
    let Mark { x, y, valid, .. } = bar.mark;
    let a = frame.place(panel, x - bar.width / 2.0, panel.y.low);
    let b = frame.place(panel, x + bar.width / 2.0, y);
    let colour = bar.look.colour;
    match (valid, bar.emphasis) {
        (false, _) => canvas.rectangle(a, b, WHITE, colour)?,
        (true, true) => canvas.rectangle(a, b, colour, colour)?,
        (true, false) => canvas.rectangle(a, b, colour.mix(0.45), colour)?,
    }
    spread(canvas, panel, frame, &bar.mark, INK)?;
    let mut carets = carets(panel, frame, &bar.mark).into_iter().flatten();
    carets.try_for_each(|at| canvas.caret(at, INK))?;
    if let Some(model) = bar.model {
        let y = frame.up(&panel.y, model);
        // Wider than the bar, so that it is seen where it coincides with the bar's end.
        canvas.line(&[(a.0 - 4.0, y), (b.0 + 4.0, y)], INK, LINE_WIDTH)?;
    }
    let set =
        Text { horizontal: HPos::Center, vertical: VPos::Bottom, ..Text::new(NOTE_SIZE, INK) };
    let top = frame.up(&panel.y, bar.mark.high.max(y));
    canvas.text(&bar.label, (frame.across(&panel.x, x), top - 12.0), set)
}

/// An error bar, unless it would be smaller than a marker's rim.
fn spread<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    frame: Frame,
    mark: &Mark,
    colour: RGBColor,
) -> Drawn {
    const CAP: f64 = 14.0;
    let (x, low) = frame.place(panel, mark.x, mark.low);
    let high = frame.up(&panel.y, mark.high);
    if low - high < 4.0 {
        return Ok(());
    }
    canvas.line(&[(x, low), (x, high)], colour, 4)?;
    canvas.line(&[(x - CAP, low), (x + CAP, low)], colour, 4)?;
    canvas.line(&[(x - CAP, high), (x + CAP, high)], colour, 4)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};

    use super::{
        super::{canvas::register_fonts, look::look},
        *,
    };
    use crate::{cell::RunCount, numbers::AtLeast};

    fn figure(valid: bool) -> Figure {
        let look = look(&[], "epaxos");
        let marks = [(0.0, 10.0), (1.0, 40.0)];
        let run_count = RunCount { runs: 1, valid_runs: usize::from(valid), violation: false };
        let mark = |(x, y)| Mark {
            x,
            y,
            low: y * 0.8,
            high: y * 1.2,
            valid,
            run_count,
            values: 1,
            at_least: AtLeast::default(),
        };
        let (name, points) = ("EPaxos".to_owned(), marks.map(mark).into());
        let line = Line { name, look, points, joined: true, band: false, marker_every: 1 };
        let x = Axis::ordinal("key", ["a", "b"].map(str::to_owned));
        let panel = Panel { lines: vec![line], ..Panel::new("", x, Axis::from_zero("y", [48.0])) };
        Figure {
            stem: "figure".to_owned(),
            title: "Title".to_owned(),
            legend: vec![Entry { label: "EPaxos".to_owned(), look, sample: Sample::Line }],
            panels: vec![panel],
            footer: vec!["verdict".to_owned()],
        }
    }

    /// The colours of the pixels, and how many pixels have the line's own colour.
    fn pixels(figure: &Figure) -> (BTreeSet<[u8; 3]>, usize) {
        register_fonts();
        let (width, height) = size(figure);
        let mut buffer = vec![0; (width * height * 3) as usize];
        let area = BitMapBackend::with_buffer(&mut buffer, (width, height)).into_drawing_area();
        draw(&area, Lift::BITMAP, figure).unwrap();
        drop(area);
        let own = look(&[], "epaxos").colour;
        let pixels = || buffer.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]);
        let count = pixels().filter(|rgb| *rgb == [own.0, own.1, own.2]).count();
        (pixels().collect(), count)
    }

    #[test]
    fn a_bitmap_has_ink_grid_text_and_the_lines_colour() {
        let (colours, count) = pixels(&figure(true));
        assert!(colours.contains(&[255, 255, 255]));
        assert!(colours.contains(&[INK.0, INK.1, INK.2]));
        assert!(colours.contains(&[PALE.0, PALE.1, PALE.2]));
        assert!(colours.len() > 20, "text is smoothed: {}", colours.len());
        assert!(count > 5_000, "{count}");
    }

    #[test]
    fn what_is_not_valid_is_hollow() {
        let (_, valid) = pixels(&figure(true));
        let (_, not_valid) = pixels(&figure(false));
        assert!(not_valid < valid, "{not_valid} of {valid}");
    }

    fn svg(figure: &Figure) -> String {
        register_fonts();
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, size(figure)).into_drawing_area();
        draw(&area, Lift::SVG, figure).unwrap();
        drop(area);
        text
    }

    /// How many carets are of this colour, and whether a line of it is of that width.
    fn of_colour(svg: &str, colour: &str, width: u32) -> (usize, bool) {
        let own = || svg.lines().filter(|line| line.contains(colour));
        let six = |line: &&str| line.starts_with("<polygon") && line.matches(',').count() == 6;
        let width = format!("stroke-width=\"{width}\"");
        let is_line = |line: &str| line.starts_with("<polyline") && line.contains(&width);
        (own().filter(six).count(), own().any(is_line))
    }

    #[test]
    fn a_lower_bound_has_a_caret_and_its_line_is_thin() {
        const OWN: &str = "#D55E00";
        let mut of = figure(true);
        of.legend.clear();
        assert_eq!(of_colour(&svg(&of), OWN, LINE_WIDTH), (0, true));
        assert_eq!(of_colour(&svg(&of), OWN, BOUND_WIDTH), (0, false));
        // The high end of a spread alone: a caret there, and the line as ever.
        of.panels[0].lines[0].points[1].at_least.high = true;
        assert_eq!(of_colour(&svg(&of), OWN, LINE_WIDTH), (1, true));
        of.panels[0].lines[0].points[1].at_least.median = true;
        assert_eq!(of_colour(&svg(&of), OWN, LINE_WIDTH), (2, false));
        assert_eq!(of_colour(&svg(&of), OWN, BOUND_WIDTH), (2, true));
    }

    #[test]
    fn a_bar_of_a_lower_bound_has_a_caret_too() {
        let mut of = figure(true);
        let Line { name, look, points, .. } = of.panels[0].lines.remove(0);
        let bar = |mark| Bar {
            name: name.clone(),
            place: String::new(),
            look,
            mark,
            width: 0.5,
            emphasis: true,
            label: String::new(),
            model: None,
        };
        of.panels[0].bars = points.into_iter().map(bar).collect();
        assert_eq!(of_colour(&svg(&of), "#1E1E1E", 4).0, 0);
        of.panels[0].bars[0].mark.at_least.median = true;
        assert_eq!(of_colour(&svg(&of), "#1E1E1E", 4).0, 1);
    }

    #[test]
    fn an_svg_names_a_family_that_every_viewer_has() {
        let text = svg(&figure(true));
        assert!(text.contains("font-family=\"sans-serif\""));
        assert!(text.contains("EPaxos") && text.contains("verdict"));
    }
}
