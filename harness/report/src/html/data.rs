//! What a panel shows, as a table for who cannot see it, as a sentence for who listens, and as JSON for the script.

use serde_json::{Value, json};

use super::{
    chart::Frame,
    markup::{boxed_table, escape},
};
use crate::{
    cell::RunCount,
    document::grade_of,
    numbers::{AtLeast, NONE, bounded, spread_name},
    plot::{
        axis::{Axis, Reading, Scale},
        model::{Mark, Panel},
    },
    verdict::Grade,
};

/// Chosen: a longer table is not read; the file has all of it.
const TABLE_ROWS_MAX: usize = 50;

/// Chosen: more points than this are said by their range.
const SAID_POINTS_MAX: usize = 8;

/// The points of all lines of one name.
struct Series<'a> {
    name: &'a str,
    points: Vec<&'a Mark>,
}

impl Series<'_> {
    /// The verdict of all of its points, if they have one in common.
    fn verdict(&self) -> Option<RunCount> {
        let first = self.points.first()?.run_count;
        self.points.iter().all(|mark| mark.run_count == first).then_some(first)
    }

    fn at(&self, x: f64) -> Option<&Mark> {
        self.points.iter().copied().find(|mark| is_near(mark.x, x))
    }
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs())
}

/// What the horizontal axis is of, though a picture says it once for several panels.
fn x_name(panel: &Panel) -> &str {
    match (panel.x.label.as_str(), panel.x.reading) {
        ("", Reading::Seconds) => "time (s)",
        ("", _) => "protocol",
        (name, _) => name,
    }
}

fn series(panel: &Panel) -> Vec<Series<'_>> {
    let mut all: Vec<Series<'_>> = Vec::new();
    for line in panel.drawn_lines() {
        match all.iter_mut().find(|series| series.name == line.name) {
            Some(series) => series.points.extend(&line.points),
            None => all.push(Series { name: &line.name, points: line.points.iter().collect() }),
        }
    }
    all
}

/// The panel in a sentence or some: what its axes are, and every point or the range of many, with the verdict of their runs.
pub(super) fn sentence(panel: &Panel) -> String {
    let mut parts = vec![format!("{} against {}.", panel.y.label, x_name(panel))];
    for series in series(panel) {
        let (name, points) = (series.name, &series.points);
        let verdict = |mark: &Mark| mark.run_count.verdict();
        if points.len() <= SAID_POINTS_MAX {
            let said = points.iter().map(|mark| {
                format!(
                    "{} at {} ({})",
                    median(&panel.y, mark),
                    panel.x.text(mark.x),
                    verdict(mark)
                )
            });
            parts.push(format!("{name}: {}.", said.collect::<Vec<_>>().join(", ")));
        } else {
            let verdict = series.verdict().map_or("verdicts differ".to_owned(), RunCount::verdict);
            let range = range(&panel.y, points);
            parts.push(format!("{name}: {} points, {range} ({verdict}).", points.len()));
        }
    }
    for bar in &panel.bars {
        let what = if bar.place.is_empty() { "" } else { ", " };
        let (y, verdict) = (median(&panel.y, &bar.mark), bar.mark.run_count.verdict());
        parts.push(format!("{}{what}{}: {y} ({verdict}).", bar.name, bar.place));
    }
    parts.join(" ")
}

/// The panel as a table. Of more rows than are read every so many is there, and it says so.
pub(super) fn table(panel: &Panel, label: &str) -> String {
    let all = series(panel);
    let mut places: Vec<f64> = all.iter().flat_map(|series| &series.points).map(|m| m.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup_by(|a, b| is_near(*a, *b));
    let longest = all.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let one_by_one = !panel.bars.is_empty() || places.len() > longest;
    if one_by_one { long(panel, &all, label) } else { wide(panel, &all, &places, label) }
}

/// A row per point.
fn long(panel: &Panel, all: &[Series<'_>], label: &str) -> String {
    let bars = panel.bars.iter().map(|bar| {
        let place = if bar.place.is_empty() { NONE.to_owned() } else { bar.place.clone() };
        (bar.name.as_str(), place, &bar.mark)
    });
    let points = all.iter().flat_map(|series| {
        series.points.iter().map(|mark| (series.name, panel.x.text(mark.x), *mark))
    });
    let rows: Vec<String> = bars
        .chain(points)
        .map(|(name, place, mark)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"verdict{}\">{}</td></tr>\n",
                escape(name),
                escape(&place),
                escape(&with_spread(&panel.y, mark)),
                bad(mark.run_count),
                escape(&mark.run_count.verdict())
            )
        })
        .collect();
    let place = if panel.bars.is_empty() { x_name(panel) } else { "replica" };
    let headings = ["series", place, &panel.y.label, "verdict"].map(str::to_owned);
    thinned(label, &headings, &rows)
}

/// A row per place on the x axis, a column per series.
fn wide(panel: &Panel, all: &[Series<'_>], places: &[f64], label: &str) -> String {
    let heading = |series: &Series<'_>| match series.verdict() {
        Some(run_count) => format!("{} ({})", series.name, run_count.verdict()),
        None => series.name.to_owned(),
    };
    let first = x_name(panel).to_owned();
    let headings: Vec<String> = std::iter::once(first).chain(all.iter().map(heading)).collect();
    let row = |x: &f64| {
        let mut row = format!("<tr><th scope=\"row\">{}</th>", escape(&panel.x.text(*x)));
        for series in all {
            let Some(mark) = series.at(*x) else {
                row.push_str(&format!("<td>{NONE}</td>"));
                continue;
            };
            let mut text = with_spread(&panel.y, mark);
            if series.verdict().is_none() || !mark.valid {
                text.push_str(&format!(", {}", mark.run_count.verdict()));
            }
            row.push_str(&format!(
                "<td class=\"value{}\">{}</td>",
                bad(mark.run_count),
                escape(&text)
            ));
        }
        row + "</tr>\n"
    };
    let rows: Vec<String> = places.iter().map(row).collect();
    thinned(label, &headings, &rows)
}

fn thinned(label: &str, headings: &[String], rows: &[String]) -> String {
    let every = rows.len().div_ceil(TABLE_ROWS_MAX).max(1);
    let kept: String = rows.iter().step_by(every).map(String::as_str).collect();
    let mut text = boxed_table(label, "data", headings, &format!("<tbody>\n{kept}</tbody>"));
    if every > 1 {
        text.push_str(&format!(
            "<p class=\"note\">One of every {every} of {} rows; the CSV files have all of them.</p>\n",
            rows.len()
        ));
    }
    text
}

fn bad(run_count: RunCount) -> &'static str {
    if grade_of(run_count) >= Grade::NotValid { " bad" } else { "" }
}

/// The figure alone, with `≥` if it is a lower bound.
fn median(axis: &Axis, mark: &Mark) -> String {
    bounded(mark.at_least.median, axis.text(mark.y))
}

/// From the least of many figures to the largest. The largest is at least what it is known to be as soon as one figure is a
/// lower bound; the least if it is one itself.
fn range(axis: &Axis, points: &[&Mark]) -> String {
    let low = points.iter().map(|mark| mark.y).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|mark| mark.y).fold(f64::NEG_INFINITY, f64::max);
    let bounds = points.iter().filter(|mark| mark.at_least.median);
    let count = bounds.clone().count();
    let is_least = bounds.map(|mark| mark.y).fold(f64::INFINITY, f64::min) <= low;
    let of_them = if count > 0 { format!(", {count} of them lower bounds") } else { String::new() };
    let (low, high) = (bounded(is_least, axis.text(low)), bounded(count > 0, axis.text(high)));
    format!("{low} to {high}{of_them}")
}

fn with_spread(axis: &Axis, mark: &Mark) -> String {
    let median = median(axis, mark);
    let low = || bounded(mark.at_least.low, axis.text(mark.low));
    let high = || bounded(mark.at_least.high, axis.text(mark.high));
    match mark.low < mark.high {
        true => format!("{median} ({} … {})", low(), high()),
        false => median,
    }
}

/// The panel for the script. A point is `[x, y, low, high, verdict]`, `low` and `high` null where they are `y`; the verdict
/// is a place in `tallies`. A sixth number says which are lower bounds, the sum of 1 for `y`, 2 for `low` and 4 for `high`.
pub(super) fn json(panel: &Panel) -> Value {
    let mut tallies: Vec<(RunCount, usize)> = Vec::new();
    let mut point = |mark: &Mark| {
        let own = (mark.run_count, mark.values);
        let place = tallies.iter().position(|known| *known == own).unwrap_or_else(|| {
            tallies.push(own);
            tallies.len() - 1
        });
        let spread = mark.low < mark.high;
        let end = |value| if spread { Value::from(rounded(value)) } else { Value::Null };
        let mut point =
            vec![json!(rounded(mark.x)), json!(rounded(mark.y)), end(mark.low), end(mark.high)];
        point.push(json!(place));
        let AtLeast { median, low, high } = mark.at_least;
        let bounds = u8::from(median) + 2 * u8::from(low) + 4 * u8::from(high);
        point.extend((bounds > 0).then(|| json!(bounds)));
        Value::from(point)
    };
    let lines: Vec<Value> = panel
        .drawn_lines()
        .map(|line| {
            let points: Vec<Value> = line.points.iter().map(&mut point).collect();
            json!({ "key": line.name, "every": line.marker_every.max(1), "points": points })
        })
        .collect();
    let bars: Vec<Value> = panel
        .bars
        .iter()
        .map(|bar| {
            let point = point(&bar.mark);
            json!({
                "key": bar.name, "place": bar.place, "width": bar.width, "model": bar.model, "point": point
            })
        })
        .collect();
    let shades = panel.shades.iter().map(|shade| json!([shade.from, shade.to, shade.label]));
    let run_count = |(run_count, values): &(RunCount, usize)| {
        let (verdict, runs) = (run_count.verdict(), run_count.counted());
        json!({ "verdict": verdict, "runs": runs, "interval": spread_name(*values) })
    };
    json!({
        "sizes": Frame::of(panel).sizes(),
        "x": axis(&panel.x),
        "y": axis(&panel.y),
        "lines": lines,
        "bars": bars,
        "shades": shades.collect::<Vec<_>>(),
        "rules": panel.rules.iter().map(|rule| rule.x).collect::<Vec<_>>(),
        "tallies": tallies.iter().map(run_count).collect::<Vec<_>>(),
    })
}

fn axis(axis: &Axis) -> Value {
    let (reading, unit) = match axis.reading {
        Reading::Number => ("number", 1.0),
        Reading::Given => ("given", 1.0),
        Reading::Share => ("share", 1.0),
        Reading::Bytes => ("bytes", 1.0),
        Reading::Duration { unit_us } => ("duration", unit_us),
        Reading::Seconds => ("seconds", 1.0),
        Reading::Nines => ("nines", 1.0),
        Reading::Place => ("place", 1.0),
    };
    let ticks: Vec<Value> =
        axis.ticks.iter().map(|tick| json!([rounded(tick.at), tick.label])).collect();
    json!({
        "name": axis.label,
        "log": axis.scale == Scale::Log,
        "low": axis.low,
        "high": axis.high,
        "reading": reading,
        "unit": unit,
        "ticks": ticks,
    })
}

/// Six significant digits: more than a picture shows, and short.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a double")]
    let digits = 5 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.abs());
    if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits() {
        let values = [41_234.567_8, 0.000_123_456_78, 123_456_789.0, -2.5, 0.0, f64::NAN];
        let expected = [41_234.6, 0.000_123_457, 123_457_000.0, -2.5, 0.0, 0.0];
        for (value, expected) in values.into_iter().zip(expected) {
            assert!((rounded(value) - expected).abs() <= 1e-12 * expected.abs(), "{value}");
        }
    }
}
