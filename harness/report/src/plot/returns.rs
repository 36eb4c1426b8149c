//! Whether throughput came back after each fault: that of every site over time, as a share of what
//! it was before the first fault, with the faults shaded and a line at the promised share.

use measure::{ALL, ReturnRow, TimeseriesRow, site_name};
use plotters::style::RGBColor;

use super::{
    axis::{Axis, Reading},
    look::{Look, Marker, look_of_site},
    model::{Entry, Figure, Line, Mark, Panel, Sample, Shade},
    sweep::paged,
    timeline::{end_s, time_axis},
};
use crate::{
    cell::Cell,
    known::display_name,
    numbers::{Spread, percent},
    results::{Point, Results},
};

/// The line at the promised share.
const PROMISED: Look =
    Look { colour: RGBColor(95, 95, 95), marker: Marker::None, dashes: &[8.0, 8.0] };
/// Chosen: what waited during a fault is answered in a burst of many times the usual rate; of it
/// the beginning is enough.
const SHARE_MAX: f64 = 1.6;
/// Chosen: what the names of the faults take above the lines.
const ROOM: f64 = 0.4;
/// Chosen: half a second around each tenth of one, less than any fault that is looked at lasts.
const AROUND: usize = 2;
/// Markers along a line, so that it is known in grey.
const MARKERS: usize = 8;

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let of = |protocol: &String| {
        let panels = results.points.iter().filter_map(|point| panel(results, point, protocol));
        let panels: Vec<(Panel, Vec<Entry>)> = panels.collect();
        // Of the largest cluster, which has all the sites of the others.
        let legend = panels.iter().map(|(_, legend)| legend).max_by_key(|legend| legend.len());
        let legend = legend.cloned().unwrap_or_default();
        let title =
            format!("{}: throughput of each site, of what it was before", display_name(protocol));
        let panels = panels.into_iter().map(|(panel, _)| panel).collect();
        paged(results, &format!("returns-{protocol}"), &title, &legend, panels)
    };
    results.protocols.iter().flat_map(of).collect()
}

fn panel(results: &Results, point: &Point, protocol: &str) -> Option<(Panel, Vec<Entry>)> {
    let of_it =
        |row: &&ReturnRow| row.protocol == protocol && row.point == point.text && row.site != ALL;
    let rows: Vec<&ReturnRow> = results.returns.iter().filter(of_it).collect();
    let promised = rows.first()?.promised_share;
    let cell = results.cell(&point.text, protocol)?;
    let mut sites: Vec<&str> = Vec::new();
    for row in &rows {
        if !sites.contains(&row.site.as_str()) {
            sites.push(&row.site);
        }
    }
    let mut legend = Vec::new();
    let mut lines = Vec::new();
    for (place, site) in sites.into_iter().enumerate() {
        let look = look_of_site(place);
        legend.push(Entry { label: site_name(site), look, sample: Sample::Line });
        let points = shares(results, (point, protocol, site), &rows, &cell);
        let marker_every = points.len().div_ceil(MARKERS).max(1);
        let name = site_name(site);
        lines.push(Line { name, look, points, joined: true, band: false, marker_every });
    }
    let end_s = end_s(results, point);
    let name = format!("{} of before", percent(promised));
    legend.push(Entry { label: name.clone(), look: PROMISED, sample: Sample::Line });
    let model = lines.iter().find_map(|line| line.points.first().copied())?;
    let at = |x| Mark { x, y: promised, low: promised, high: promised, values: 1, ..model };
    let points = vec![at(0.0), at(end_s)];
    let promised =
        Line { name, look: PROMISED, points, joined: true, band: false, marker_every: 1 };
    lines.push(promised);
    let highest = lines.iter().flat_map(|line| &line.points).map(|mark| mark.y).fold(1.0, f64::max);
    let what = match highest >= SHARE_MAX {
        true => format!("of before (all above {} cut off)", percent(SHARE_MAX)),
        false => "of before".to_owned(),
    };
    let mut y = Axis::from_zero(&what, [highest + ROOM]);
    y.reading = Reading::Share;
    y.ticks.iter_mut().for_each(|tick| tick.label = percent(tick.at));
    let windows = results.windows(&point.text, Some(protocol), end_s).into_iter();
    let shade = |window: measure::Window| Shade {
        from: window.from_s,
        to: window.to_s,
        label: window.label,
    };
    let shades = windows.map(shade).collect();
    let title = results.label(point, None);
    let panel = Panel { lines, shades, ..Panel::new(&title, time_axis(end_s), y) };
    Some((panel, legend))
}

/// The throughput of a site, as a share of what it was: the median over the repetitions that count.
fn shares(
    results: &Results,
    (point, protocol, site): (&Point, &str, &str),
    returns: &[&ReturnRow],
    cell: &Cell<'_>,
) -> Vec<Mark> {
    let of_run = |repetition: u32| -> Option<Vec<(f64, f64)>> {
        let its = |row: &&&ReturnRow| row.site == site && row.repetition == repetition;
        let before = returns.iter().find(its)?.before_ops_per_s;
        let rows = results.timeseries.iter().filter(|row| {
            row.site == site
                && row.protocol == protocol
                && row.point == point.text
                && row.repetition == repetition
        });
        (before > 0.0).then(|| smoothed(&rows.collect::<Vec<_>>(), before))
    };
    let runs: Vec<Vec<(f64, f64)>> =
        cell.rows.iter().filter_map(|row| of_run(row.repetition)).collect();
    let Some(longest) = runs.iter().max_by_key(|run| run.len()) else { return Vec::new() };
    let mark = |(place, (x, _)): (usize, &(f64, f64))| {
        let values = runs.iter().filter_map(|run| run.get(place)).map(|(_, share)| *share);
        Some(Mark::new(*x, Spread::of(values)?, cell))
    };
    longest.iter().enumerate().filter_map(mark).collect()
}

/// When, and the share around it.
fn smoothed(rows: &[&TimeseriesRow], before: f64) -> Vec<(f64, f64)> {
    let share = |place: usize| {
        let around = &rows[place.saturating_sub(AROUND)..rows.len().min(place + AROUND + 1)];
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
        let operations = around.iter().map(|row| row.operations as f64).sum::<f64>();
        let length_s: f64 = around.iter().map(|row| row.width_s()).sum();
        (operations / length_s / before).min(SHARE_MAX)
    };
    let middle_s = |row: &TimeseriesRow| {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
        let begin_s = row.t_ms as f64 / 1e3;
        begin_s + row.width_s() / 2.0
    };
    rows.iter().enumerate().map(|(place, row)| (middle_s(row), share(place))).collect()
}
