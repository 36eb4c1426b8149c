//! What a figure consists of, as plain data in the units of its axes.

use std::collections::BTreeSet;

use super::axis::Axis;
use super::look::{Look, OF_NOBODY};
use crate::cell::Tally;
use crate::results::Results;

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

/// A point with its spread. One that is not valid is drawn hollow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) valid: bool,
    /// The runs that it was taken from.
    pub(crate) tally: Tally,
    /// How many repetitions' figures `y` is the median of; 1 where it is none.
    pub(crate) values: usize,
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
    /// With what every figure carries: the footer with the verdict, and what a hollow mark means if there is one.
    pub(crate) fn finished(mut self, results: &Results) -> Self {
        if self.has_invalid() {
            let has_bars = self.panels.iter().any(|panel| !panel.bars.is_empty());
            self.legend.push(Entry {
                label: "not valid".to_owned(),
                look: OF_NOBODY,
                sample: if has_bars { Sample::HollowBar } else { Sample::HollowMarker },
            });
        }
        self.footer = results.footer(&self.spreads(), self.has_invalid());
        self
    }

    /// Whether anything in it is not valid.
    pub(crate) fn has_invalid(&self) -> bool {
        self.panels.iter().flat_map(Panel::marks).any(|mark| !mark.valid)
    }

    /// How many repetitions those marks are of that have a spread.
    pub(crate) fn spreads(&self) -> BTreeSet<usize> {
        let marks = self.panels.iter().flat_map(Panel::marks);
        marks.filter(|mark| mark.low < mark.high).map(|mark| mark.values).collect()
    }
}
