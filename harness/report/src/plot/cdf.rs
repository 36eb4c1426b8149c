//! The latency distribution with a logarithmic tail: half of the width shows the slowest hundredth, which a plain CDF
//! hides.

use measure::CdfRow;

use super::{
    axis::{Axis, Reading, Scale, Tick, quantile_text},
    look::look,
    model::{Figure, Line, Mark, Panel},
    sweep::{entries, paged},
};
use crate::{
    known::display_name,
    numbers::{Observed, Spread},
    results::{Point, Results},
};

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let panels = results.points.iter().map(|point| panel(results, point)).collect();
    let title = "Latency distribution, all repetitions merged";
    paged(results, "latency-cdf", title, &entries(results), panels)
}

fn panel(results: &Results, point: &Point) -> Panel {
    let rows: Vec<&CdfRow> = results.cdf.iter().filter(|row| row.point == point.text).collect();
    let y = Axis::durations("latency", rows.iter().map(|row| row.latency_us));
    let tail = rows.iter().map(|row| nines(row.quantile)).fold(1.0, f64::max);
    let lines = results.protocols.iter();
    let lines = lines.filter_map(|protocol| line(results, point, &rows, protocol)).collect();
    Panel { lines, ..Panel::new(&results.label(point, None), percentile_axis(tail), y) }
}

fn line(results: &Results, point: &Point, rows: &[&CdfRow], protocol: &str) -> Option<Line> {
    let cell = results.cell(&point.text, protocol)?;
    // A repetition that contradicts itself spoils those beside it.
    let is_valid = |row: &CdfRow| row.valid && cell.is_valid();
    let valid = rows.iter().filter(|row| row.protocol == protocol).all(|row| is_valid(row));
    let points: Vec<Mark> = rows
        .iter()
        .filter(|row| row.protocol == protocol)
        .filter_map(|row| {
            let latency = Observed { value: row.latency_us, at_least: row.at_least };
            let mark = Mark::new(nines(row.quantile), Spread::of([latency])?, &cell);
            Some(Mark { valid, ..mark })
        })
        .collect();
    let marker_every = points.len().div_ceil(6);
    let look = look(&results.protocols, protocol);
    let name = display_name(protocol);
    Some(Line { name, look, points, joined: true, band: false, marker_every })
}

/// 0.9 is 1, 0.99 is 2, and so on.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn percentile_axis(tail: f64) -> Axis {
    let quantiles = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999, 0.999_999_9];
    let ticks = quantiles
        .iter()
        .map(|quantile| Tick { at: nines(*quantile), label: quantile_text(*quantile) })
        .filter(|tick| tick.at <= tail + 1e-9)
        .collect();
    let label = "percentile of operations".to_owned();
    let (scale, reading) = (Scale::Linear, Reading::Nines);
    Axis { label, scale, reading, low: 0.0, high: tail, ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_the_nines_as_far_as_there_are_samples() {
        let axis = percentile_axis(nines(0.999));
        let labels: Vec<&str> = axis.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        assert_eq!(quantile_text(0.99999), "99.999 %");
    }
}
