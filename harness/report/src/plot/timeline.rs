//! What happened over time: throughput and latencies, with the times during which a fault lasted shaded.
//!
//! Throughput is always drawn; the latencies, and every site by itself, where there were faults.

use measure::{ALL, SummaryRow, TimeseriesRow, makes_windows, site_name};

use super::{
    axis::{Axis, Reading, Scale, Tick, nice_step, steps},
    look::{Look, look, look_of_site},
    model::{Entry, Figure, Line, Mark, Panel, Rule, Sample, Shade},
    sweep::{entries, paged},
};
use crate::{
    cell::Cell,
    figure::{Column, over_time},
    known::display_name,
    numbers::{Observed, Spread, short},
    results::{Point, Results},
};

/// Markers along a line, so that it is known in grey.
const MARKERS: usize = 6;

/// A column of `timeseries.csv`.
struct What {
    label: &'static str,
    is_rate: bool,
    figure: Column<TimeseriesRow>,
}

const THROUGHPUT: What =
    What { label: "throughput (ops/s)", is_rate: true, figure: over_time::RATE };

/// A kind of latency.
struct Latency {
    /// Of the file.
    stem: &'static str,
    title: &'static str,
    usual: What,
    tail: What,
    /// Where there are too few samples in a bucket for a percentile.
    slowest: What,
}

const LATENCIES: [Latency; 3] = [
    Latency {
        stem: "latency-over-time",
        title: "Client latency over time",
        usual: What::latency("p50 latency", over_time::LATENCY_P50),
        tail: What::latency("p99 latency", over_time::LATENCY_P99),
        slowest: What::latency("slowest reply", over_time::LATENCY_MAX),
    },
    Latency {
        stem: "commit-latency-over-time",
        title: "Commit latency over time",
        usual: What::latency("p50 commit", over_time::COMMIT_P50),
        tail: What::latency("p99 commit", over_time::COMMIT_P99),
        slowest: What::latency("slowest commit", over_time::COMMIT_MAX),
    },
    Latency {
        stem: "execution-latency-over-time",
        title: "Execution latency over time",
        usual: What::latency("p50 execution", over_time::EXECUTE_P50),
        tail: What::latency("p99 execution", over_time::EXECUTE_P99),
        slowest: What::latency("slowest execution", over_time::EXECUTE_MAX),
    },
];

/// What is drawn of every site above its latencies.
const OF_SITE: What = What { label: "ops/s", is_rate: true, figure: over_time::RATE };

/// One line to be: which rows of the file it is of.
struct Of<'a> {
    protocol: &'a str,
    point: &'a Point,
    site: &'a str,
    name: String,
    look: Look,
}

impl What {
    const fn latency(label: &'static str, figure: Column<TimeseriesRow>) -> Self {
        Self { label, is_rate: false, figure }
    }
}

impl Latency {
    /// The median, unless most of the buckets of a protocol that have samples have too few for one.
    fn drawn(&self, results: &Results, point: &Point, site: impl Fn(&str) -> bool) -> &What {
        const WITH_MEDIAN_MIN: f64 = 0.25;
        let rows = || results.timeseries.iter().filter(|row| row.point == point.text);
        let is_sparse = results.protocols.iter().any(|protocol| {
            let ours = || rows().filter(|row| row.protocol == *protocol && site(&row.site));
            let some = ours().filter(|row| self.slowest.figure.of(row).is_some()).count();
            let with_median = ours().filter(|row| self.usual.figure.of(row).is_some()).count();
            #[expect(clippy::cast_precision_loss, reason = "tenths of seconds of a run")]
            let share = with_median as f64 / some as f64;
            some > 0 && share < WITH_MEDIAN_MIN
        });
        if is_sparse { &self.slowest } else { &self.usual }
    }
}

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let panels = results.points.iter().map(|point| overall(results, point, &THROUGHPUT)).collect();
    let legend = entries(results);
    let mut figures =
        paged(results, "throughput-over-time", "Throughput over time", &legend, panels);
    if !results.events.iter().any(|event| makes_windows(&event.event)) {
        return figures;
    }
    for latency in &LATENCIES {
        let panels = results.points.iter().flat_map(|point| {
            let drawn = latency.drawn(results, point, |site| site == ALL);
            let tail = overall(results, point, &latency.tail);
            [Some(overall(results, point, drawn)), Some(tail).filter(has_enough)]
        });
        let panels = panels.flatten();
        figures.extend(paged(results, latency.stem, latency.title, &legend, panels.collect()));
    }
    for protocol in &results.protocols {
        let pages: Vec<&Point> = results.points.iter().collect();
        for (page, point) in (1..).zip(&pages) {
            let page = (pages.len() > 1).then_some(page);
            figures.extend(of_sites(results, point, protocol, page));
        }
    }
    figures
}

/// Whether more is seen than a few buckets: those right after a silence have enough samples for a tail, others not.
fn has_enough(panel: &Panel) -> bool {
    const BUCKETS_MIN: usize = 10;
    panel.lines.iter().map(|line| line.points.len()).sum::<usize>() >= BUCKETS_MIN
}

/// A panel with a line per protocol, of all sites together.
fn overall<'a>(results: &'a Results, point: &'a Point, what: &What) -> Panel {
    let of = |protocol: &'a String| Of {
        protocol,
        point,
        site: ALL,
        name: display_name(protocol),
        look: look(&results.protocols, protocol),
    };
    let lines = results.protocols.iter().map(of);
    let lines: Vec<Line> = lines.flat_map(|of| segments(results, &of, what)).collect();
    panel(results, (point, None), &results.label(point, None), what, lines)
}

/// A figure with a line per site, of one protocol at one point.
fn of_sites(
    results: &Results,
    point: &Point,
    protocol: &str,
    page: Option<usize>,
) -> Option<Figure> {
    let sites = sites(results, point, protocol);
    let entry = |(place, site): (usize, &&str)| Entry {
        label: site_name(site),
        look: look_of_site(place),
        sample: Sample::Line,
    };
    let legend: Vec<Entry> = sites.iter().enumerate().map(entry).collect();
    let mut panels: Vec<Panel> = Vec::new();
    let latencies =
        LATENCIES.iter().map(|latency| latency.drawn(results, point, |site| site != ALL));
    for what in [&OF_SITE].into_iter().chain(latencies) {
        let lines = sites.iter().enumerate().flat_map(|(place, site)| {
            let (name, look) = (site_name(site), look_of_site(place));
            let of = Of { protocol, point, site, name, look };
            segments(results, &of, what)
        });
        panels.push(panel(results, (point, Some(protocol)), "", what, lines.collect()));
    }
    panels.retain(|panel| !panel.is_empty());
    // Said once, under the last of them; the faults at the first.
    let last = panels.len().checked_sub(1)?;
    panels[..last].iter_mut().for_each(|panel| panel.x.label.clear());
    for panel in &mut panels[1..] {
        panel.shades.iter_mut().for_each(|shade| shade.label.clear());
    }
    let label = match results.label(point, None) {
        label if label.is_empty() => String::new(),
        label => format!(", {label}"),
    };
    let page = page.map(|page| format!("-{page}")).unwrap_or_default();
    let figure = Figure {
        stem: format!("sites-over-time-{protocol}{page}"),
        title: format!("{} at each site{label}", display_name(protocol)),
        legend,
        panels,
        footer: Vec::new(),
    };
    Some(figure.finished(results))
}

/// The sites of a protocol's runs at a point, in the order of the file.
fn sites<'a>(results: &'a Results, point: &Point, protocol: &str) -> Vec<&'a str> {
    // The sites with clients are the first ones. Of others there is something to be drawn only if
    // clients from elsewhere asked there.
    let of_it = |row: &&SummaryRow| row.protocol == protocol && row.point == point.text;
    let clients = results.summary.iter().find(of_it).and_then(|row| row.clients);
    let with_clients = clients.map_or(usize::MAX, |clients| clients as usize);
    let mut sites: Vec<(&str, bool)> = Vec::new();
    for row in &results.timeseries {
        if row.protocol != protocol || row.point != point.text || row.site == ALL {
            continue;
        }
        let known = sites.iter().position(|(site, _)| *site == row.site);
        let place = known.unwrap_or_else(|| {
            sites.push((&row.site, sites.len() < with_clients));
            sites.len() - 1
        });
        sites[place].1 |= row.commits.is_some_and(|commits| commits > 0);
    }
    sites.into_iter().filter_map(|(site, is_drawn)| is_drawn.then_some(site)).collect()
}

fn panel(
    results: &Results,
    (point, protocol): (&Point, Option<&str>),
    title: &str,
    what: &What,
    lines: Vec<Line>,
) -> Panel {
    let marks = || lines.iter().flat_map(|line| &line.points);
    let end_s = end_s(results, point);
    let y = match what.is_rate {
        true => Axis::from_zero(what.label, marks().map(|mark| mark.high)),
        false => Axis::durations(what.label, marks().flat_map(|mark| [mark.low, mark.high])),
    };
    let windows = results.windows(&point.text, protocol, end_s);
    let shades = windows
        .into_iter()
        .map(|window| Shade { from: window.from_s, to: window.to_s, label: window.label })
        .collect();
    let rules = rules(results, point, protocol, end_s);
    Panel { lines, rules, shades, ..Panel::new(title, time_axis(end_s), y) }
}

/// The median over the repetitions, bucket by bucket, with the spread as a band: a line for every stretch of time in
/// which there are figures.
fn segments(results: &Results, of: &Of<'_>, what: &What) -> Vec<Line> {
    let Some(cell) = results.cell(&of.point.text, of.protocol) else { return Vec::new() };
    let buckets = buckets(results, of, &cell, what.figure);
    let marker_every = buckets.len().div_ceil(MARKERS).max(1);
    let mut segments: Vec<Vec<Mark>> = Vec::new();
    let mut next_ms = None;
    for Bucket { t_ms, width_s, values } in buckets {
        let Some(spread) = Spread::of(values) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
        let middle_s = (t_ms as f64 + width_s * 500.0) / 1e3;
        let mark = Mark::new(middle_s, spread, &cell);
        match segments.last_mut() {
            Some(segment) if next_ms == Some(t_ms) => segment.push(mark),
            _ => segments.push(vec![mark]),
        }
        next_ms = Some(t_ms + measure::BUCKET_MS);
    }
    let line = |points: Vec<Mark>| {
        // A stretch of one bucket has no line: its marker is all that is seen.
        let marker_every = if points.len() == 1 { 1 } else { marker_every };
        let (name, look) = (of.name.clone(), of.look);
        Line { name, look, points, joined: true, band: true, marker_every }
    };
    segments.into_iter().map(line).collect()
}

/// What happened in one time, in all repetitions that count.
struct Bucket {
    t_ms: u64,
    width_s: f64,
    values: Vec<Observed>,
}

/// Every bucket that has figures.
fn buckets(
    results: &Results,
    of: &Of<'_>,
    cell: &Cell<'_>,
    figure: Column<TimeseriesRow>,
) -> Vec<Bucket> {
    let counts = |row: &&TimeseriesRow| {
        row.site == of.site
            && row.protocol == of.protocol
            && row.point == of.point.text
            && cell.rows.iter().any(|run| run.repetition == row.repetition)
    };
    let mut buckets: Vec<Bucket> = Vec::new();
    for row in results.timeseries.iter().filter(counts) {
        let Some(value) = figure.of(row) else { continue };
        match buckets.binary_search_by_key(&row.t_ms, |bucket| bucket.t_ms) {
            Ok(index) => buckets[index].values.push(value),
            Err(index) => {
                let (t_ms, width_s) = (row.t_ms, row.width_s());
                buckets.insert(index, Bucket { t_ms, width_s, values: vec![value] });
            }
        }
    }
    buckets
}

/// Where the time axis of a point ends, the same for every figure of it.
pub(super) fn end_s(results: &Results, point: &Point) -> f64 {
    let rows = results.timeseries.iter().filter(|row| row.point == point.text);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    let ends = rows.map(|row| (row.t_ms as f64 + row.width_s() * 1e3) / 1e3);
    ends.fold(0.0, f64::max)
}

/// What happened at a moment and is no fault that lasts, said once for all protocols and repetitions where it was alike; what
/// happened at nearly one moment is one rule.
fn rules(results: &Results, point: &Point, protocol: Option<&str>, end_s: f64) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let ours = |event: &&measure::EventRow| {
        event.point == point.text
            && protocol.is_none_or(|protocol| protocol == event.protocol)
            && !makes_windows(&event.event)
    };
    for event in results.events.iter().filter(ours) {
        if !(0.0..=end_s).contains(&event.t_s) {
            continue;
        }
        let near = |rule: &&mut Rule| (rule.x - event.t_s).abs() < 0.02 * end_s.max(1.0);
        match rules.iter_mut().find(near) {
            Some(rule) if rule.label.split(", ").any(|label| label == event.event) => {}
            Some(rule) => rule.label = format!("{}, {}", rule.label, event.event),
            None => rules.push(Rule { x: event.t_s, label: event.event.clone() }),
        }
    }
    rules
}

pub(super) fn time_axis(end_s: f64) -> Axis {
    let high = if end_s > 0.0 { end_s } else { 1.0 };
    let ticks = steps(nice_step(high / 6.0), high).map(|at| Tick { at, label: short(at) });
    let ticks = ticks.collect();
    let (label, scale, reading) = ("time (s)".to_owned(), Scale::Linear, Reading::Seconds);
    Axis { label, scale, reading, low: 0.0, high, ticks }
}
