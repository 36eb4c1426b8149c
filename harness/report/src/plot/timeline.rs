//! Throughput over time, the faults marked.

use measure::{ALL, TimeseriesRow};

use super::axis::{Axis, Scale, Tick, nice_step, steps};
use super::look::look;
use super::model::{Figure, Line, Mark, Panel, Rule};
use super::sweep::{entries, paged};
use crate::cell::Cell;
use crate::numbers::{Spread, short};
use crate::results::{Point, Results};

/// Markers along a line, so that it is known in grey.
const MARKERS: usize = 6;

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let panels = results.points.iter().map(|point| panel(results, point)).collect();
    let title = "Throughput over time";
    paged(results, "throughput-over-time", title, &entries(results), panels)
}

fn panel(results: &Results, point: &Point) -> Panel {
    let lines: Vec<Line> = results
        .protocols
        .iter()
        .filter_map(|protocol| {
            let cell = results.cell(&point.text, protocol)?;
            Some(line(results, point, protocol, &cell))
        })
        .collect();
    let marks = || lines.iter().flat_map(|line| &line.points);
    let end_s = marks().map(|mark| mark.x).fold(0.0, f64::max);
    let y = Axis::from_zero("throughput (ops/s)", marks().map(|mark| mark.high));
    let rules = rules(results, point, end_s);
    Panel { lines, rules, ..Panel::new(&results.label(point, None), time_axis(end_s), y) }
}

/// The median over the repetitions, bucket by bucket, with the spread as a band.
fn line(results: &Results, point: &Point, protocol: &str, cell: &Cell<'_>) -> Line {
    let counts = |row: &&TimeseriesRow| {
        row.site == ALL
            && row.protocol == protocol
            && row.point == point.text
            && cell.rows.iter().any(|run| run.repetition == row.repetition)
    };
    let mut buckets: Vec<(u64, Vec<f64>)> = Vec::new();
    for row in results.timeseries.iter().filter(counts) {
        #[expect(clippy::cast_precision_loss, reason = "operations in a tenth of a second")]
        let rate = row.operations as f64 * 10.0;
        match buckets.binary_search_by_key(&row.t_ms, |(t_ms, _)| *t_ms) {
            Ok(index) => buckets[index].1.push(rate),
            Err(index) => buckets.insert(index, (row.t_ms, vec![rate])),
        }
    }
    let points: Vec<Mark> = buckets
        .into_iter()
        .filter_map(|(t_ms, rates)| {
            let spread = Spread::of(rates)?;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
            let x = (t_ms as f64 + 50.0) / 1e3;
            let valid = cell.is_valid();
            Some(Mark { x, y: spread.median, low: spread.low, high: spread.high, valid })
        })
        .collect();
    let marker_every = points.len().div_ceil(MARKERS);
    Line {
        look: look(&results.protocols, protocol),
        points,
        joined: true,
        band: true,
        marker_every,
    }
}

/// What happened at this point, said once for all protocols and repetitions where it was planned alike.
fn rules(results: &Results, point: &Point, end_s: f64) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for event in results.events.iter().filter(|event| event.point == point.text) {
        let seen = |rule: &Rule| {
            rule.label == event.event && (rule.x - event.t_s).abs() < 0.02 * end_s.max(1.0)
        };
        if (0.0..=end_s).contains(&event.t_s) && !rules.iter().any(seen) {
            rules.push(Rule { x: event.t_s, label: event.event.clone() });
        }
    }
    rules
}

fn time_axis(end_s: f64) -> Axis {
    let high = if end_s > 0.0 { end_s + 0.05 } else { 1.0 };
    let ticks = steps(nice_step(high / 6.0), high).map(|at| Tick { at, label: short(at) });
    let ticks = ticks.collect();
    Axis { label: "time (s)".to_owned(), scale: Scale::Linear, low: 0.0, high, ticks }
}
