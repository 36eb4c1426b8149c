//! What a figure consists of, as plain data in the units of its axes.

use std::collections::BTreeSet;

use super::{
    axis::Axis,
    look::{Look, OF_NOBODY},
};
use crate::{
    cell::{Cell, RunCount},
    numbers::{AtLeast, Spread},
    results::Results,
    verdict::Shown,
};

/// A file's worth of panels, one above the other.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// The file's name without its extension.
    pub(crate) stem: String,
    pub(crate) title: String,
    pub(crate) legend: Vec<Entry>,
    pub(crate) panels: Vec<Panel>,
    /// What was measured, the verdict, and what a mark means.
    pub(crate) footer: Vec<String>,
}

/// A line of the legend.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) look: Look,
    pub(crate) sample: Sample,
}

/// What stands before a label of the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A line with its marker.
    Line,
    /// A marker, as of a point that is not valid.
    HollowMarker,
    /// A box, as of a bar that is not valid.
    HollowBar,
    /// A caret over a marker, as of a lower bound.
    Bound,
}

/// A pair of axes and what is drawn between them.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) shades: Vec<Shade>,
}

/// A line with markers and error bars.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it is of, as the legend has it.
    pub(crate) name: String,
    pub(crate) look: Look,
    pub(crate) points: Vec<Mark>,
    pub(crate) joined: bool,
    /// Whether low and high are drawn as an area behind the line, not as bars.
    pub(crate) band: bool,
    /// Every how many points a marker stands.
    pub(crate) marker_every: usize,
}

/// A part of a line, both ends among its points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch<'a> {
    pub(crate) points: &'a [Mark],
    /// Whether one end of each of its pieces is a lower bound, so that the true line may lie above.
    pub(crate) is_bound: bool,
}

/// Which points of a line have a caret: all that have a marker; of lines with more points than that one in every stretch of
/// the axis. Where a stretch begins depends on the line's look: lines that lie on each other, given up after the same time,
/// have their carets side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spacing {
    /// In pixels; none if every point has its caret.
    apart: Option<f64>,
    phase: f64,
    last: f64,
}

/// A point with its spread. One that is not valid is drawn hollow, one that is a lower bound with a caret above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) valid: bool,
    /// The runs that it was taken from.
    pub(crate) run_count: RunCount,
    /// How many repetitions' figures `y` is the median of; 1 where it is none.
    pub(crate) values: usize,
    /// Which of `y`, `low` and `high` are lower bounds.
    pub(crate) at_least: AtLeast,
}

/// A bar from zero. One that is not valid is drawn hollow.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What it is of, as a legend has it.
    pub(crate) name: String,
    /// Which of several bars of that name: the replica.
    pub(crate) place: String,
    pub(crate) look: Look,
    pub(crate) mark: Mark,
    pub(crate) width: f64,
    /// Drawn in full colour; the others in a tint.
    pub(crate) emphasis: bool,
    /// Stands above the bar.
    pub(crate) label: String,
    /// What a model says, drawn as a stroke across the bar.
    pub(crate) model: Option<f64>,
}

/// A vertical line where something happened.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) x: f64,
    pub(crate) label: String,
}

/// A stretch of the horizontal axis during which something lasted.
#[derive(Clone, Debug)]
pub(crate) struct Shade {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Empty where it is said in another panel.
    pub(crate) label: String,
}

impl Mark {
    /// The figure of a cell at `x`.
    pub(crate) fn new(x: f64, spread: Spread, cell: &Cell<'_>) -> Self {
        let (valid, run_count) = (cell.is_valid(), cell.run_count());
        let Spread { median: y, low, high, count: values, at_least } = spread;
        Self { x, y, low, high, valid, run_count, values, at_least }
    }

    /// Where carets stand: above the figure, above the high end of its spread.
    pub(crate) fn carets(&self) -> [Option<f64>; 2] {
        let of_high = self.at_least.high && self.low < self.high && self.high > self.y;
        [self.at_least.median.then_some(self.y), of_high.then_some(self.high)]
    }
}

impl Spacing {
    /// The carets of a line, `apart` pixels from each other if it has many points.
    pub(crate) fn new(line: &Line, apart: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "one of a handful of looks")]
        let phase = line.look.place() as f64 * apart / 3.0;
        Self { apart: (line.marker_every > 1).then_some(apart), phase, last: f64::NEG_INFINITY }
    }

    /// Whether the next point, `x` pixels along, has a caret. None is nearer to the last than half a stretch.
    pub(crate) fn has_room(&mut self, x: f64) -> bool {
        let has_room = self.apart.is_none_or(|apart| {
            let stretch = |x: f64| ((x - self.phase) / apart).floor();
            stretch(x) > stretch(self.last) && x >= self.last + apart / 2.0
        });
        if has_room {
            self.last = x;
        }
        has_room
    }
}

impl Line {
    /// The line in parts, each of which is exact or a lower bound throughout.
    pub(crate) fn stretches(&self) -> Vec<Stretch<'_>> {
        let pieces: Vec<bool> = self
            .points
            .windows(2)
            .map(|ends| ends.iter().any(|mark| mark.at_least.median))
            .collect();
        let mut from = 0;
        let stretch = |alike: &[bool]| {
            let points = &self.points[from..=from + alike.len()];
            from += alike.len();
            Stretch { points, is_bound: alike[0] }
        };
        pieces.chunk_by(|a, b| a == b).map(stretch).collect()
    }
}

impl Panel {
    pub(crate) fn new(title: &str, x: Axis, y: Axis) -> Self {
        let (lines, bars, rules, shades) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { title: title.to_owned(), x, y, lines, bars, rules, shades }
    }

    /// Whether anything would be seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.lines.iter().all(|line| line.points.is_empty())
    }

    /// The lines that have points.
    pub(crate) fn drawn_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.points.is_empty())
    }

    fn marks(&self) -> impl Iterator<Item = &Mark> {
        let marks = self.lines.iter().flat_map(|line| &line.points);
        marks.chain(self.bars.iter().map(|bar| &bar.mark))
    }
}

impl Figure {
    /// With what every figure carries: the footer with the verdict, and what a hollow mark and a caret mean if there are such.
    pub(crate) fn finished(mut self, results: &Results) -> Self {
        let shown = self.shown();
        let mut explain = |label: &str, sample| {
            self.legend.push(Entry { label: label.to_owned(), look: OF_NOBODY, sample });
        };
        if shown.bound {
            explain("≥ lower bound", Sample::Bound);
        }
        if shown.invalid {
            let has_bars = self.panels.iter().any(|panel| !panel.bars.is_empty());
            explain("not valid", if has_bars { Sample::HollowBar } else { Sample::HollowMarker });
        }
        self.footer = results.footer(&shown);
        self
    }

    /// What its marks are.
    pub(crate) fn shown(&self) -> Shown {
        let marks = || self.panels.iter().flat_map(Panel::marks);
        let with_spread = marks().filter(|mark| mark.low < mark.high);
        Shown {
            spreads: with_spread.map(|mark| mark.values).collect::<BTreeSet<usize>>(),
            bound: marks().any(|mark| mark.carets().iter().any(Option::is_some)),
            invalid: marks().any(|mark| !mark.valid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::look::look;

    #[test]
    fn a_line_falls_into_exact_parts_and_lower_bounds() {
        let run_count = RunCount { runs: 1, valid_runs: 1, violation: false };
        let mark = |(x, bound): (u32, bool)| {
            let x = f64::from(x);
            let at_least = AtLeast { median: bound, low: bound, high: bound };
            Mark { x, y: 1.0, low: 1.0, high: 1.0, valid: true, run_count, values: 1, at_least }
        };
        let line = |bounds: &[bool]| Line {
            name: String::new(),
            look: look(&[], "epaxos"),
            points: (0..).zip(bounds.iter().copied()).map(mark).collect(),
            joined: true,
            band: false,
            marker_every: 1,
        };
        let of = |bounds: &[bool]| {
            let line = line(bounds);
            let stretches = line.stretches();
            let ends = |of: &Stretch<'_>| (of.points[0].x, of.points[of.points.len() - 1].x);
            stretches.iter().map(|of| (ends(of), of.is_bound)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[false; 3]), [((0.0, 2.0), false)]);
        let expected = [((0.0, 1.0), false), ((1.0, 3.0), true), ((3.0, 4.0), false)];
        assert_eq!(of(&[false, false, true, false, false]), expected);
        assert_eq!(of(&[false, true]), [((0.0, 1.0), true)]);
        assert_eq!(of(&[true]), []);
        let mut many = line(&[true; 3]);
        let rooms = |line: &Line| {
            let mut spacing = Spacing::new(line, 30.0);
            [41.0, 55.0, 59.0, 62.0, 75.0, 95.0].map(|x| spacing.has_room(x))
        };
        assert_eq!(rooms(&many), [true; 6], "every point has its marker");
        many.marker_every = 2;
        let of_first = [true, false, false, true, false, true];
        assert_eq!(rooms(&many), of_first, "one from 60, one from 90 on");
        many.look = look(&[], "multi-paxos");
        let of_second = [true, false, false, false, true, false];
        assert_eq!(rooms(&many), of_second, "from 70 on, for it begins a third later");
        let carets = mark((0, true)).carets();
        assert_eq!(carets, [Some(1.0), None], "one caret where there is no spread");
    }
}
