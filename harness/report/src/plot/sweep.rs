//! What a swept key does to throughput, latency and operations per CPU-second; latency against throughput where the
//! load is swept; and bars where nothing is.

use measure::SummaryRow;

use super::{
    axis::{Axis, Reading},
    look::look,
    model::{Bar, Entry, Figure, Line, Mark, Panel, Sample},
};
use crate::{
    figure::{self, Column},
    known::display_name,
    results::{Dimension, Point, Results},
};

/// Keys that change how hard the cluster is pushed.
const LOAD_KEYS: [&str; 4] = ["rate_ops_per_s", "clients_per_site", "clients", "window"];

/// Chosen: more panels than this do not fit a page beside their caption.
pub(super) const PANELS_MAX: usize = 3;

/// Chosen: more values than this are drawn to scale, fewer each get their own place.
const ORDINAL_MAX: usize = 8;

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    if results.dimensions.is_empty() {
        let (rate, per_cpu) = ("operations per second", "operations per CPU-second");
        figures.extend(bars(results, "throughput", rate, figure::THROUGHPUT));
        figures.extend(bars(results, "efficiency", per_cpu, figure::OPS_PER_CPU_S));
    }
    for (place, dimension) in results.dimensions.iter().enumerate() {
        let key = dimension.key.replace('_', "-");
        figures.extend(stacked(
            results,
            place,
            &format!("throughput-vs-{key}"),
            "Throughput",
            "throughput (ops/s)",
            figure::THROUGHPUT,
        ));
        figures.extend(stacked(
            results,
            place,
            &format!("efficiency-vs-{key}"),
            "Operations per CPU-second",
            "ops per CPU-second",
            figure::OPS_PER_CPU_S,
        ));
        figures.extend(latency(results, place, &format!("latency-vs-{key}")));
        if LOAD_KEYS.contains(&dimension.key.as_str()) {
            figures.extend(latency_throughput(results, place, &key));
        }
    }
    figures
}

/// Legend entries for the protocols.
pub(super) fn entries(results: &Results) -> Vec<Entry> {
    let entry = |protocol: &String| Entry {
        label: display_name(protocol),
        look: look(&results.protocols, protocol),
        sample: Sample::Line,
    };
    results.protocols.iter().map(entry).collect()
}

/// Splits panels over figures and adds what every figure carries.
pub(super) fn paged(
    results: &Results,
    stem: &str,
    title: &str,
    legend: &[Entry],
    panels: Vec<Panel>,
) -> Vec<Figure> {
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| !panel.is_empty()).collect();
    let pages: Vec<&[Panel]> = panels.chunks(PANELS_MAX).collect();
    (1..)
        .zip(&pages)
        .map(|(page, panels)| {
            let stem = if pages.len() == 1 { stem.to_owned() } else { format!("{stem}-{page}") };
            let figure = Figure {
                stem,
                title: title.to_owned(),
                legend: legend.to_vec(),
                panels: panels.to_vec(),
                footer: Vec::new(),
            };
            figure.finished(results)
        })
        .collect()
}

/// The combinations of the other dimensions: for each, its label and its points in the order of the dimension at
/// `place`.
pub(super) fn facets(results: &Results, place: usize) -> Vec<(String, Vec<&Point>)> {
    let others = |point: &Point| {
        let mut values = point.values.clone();
        values.remove(place);
        values
    };
    let mut facets: Vec<(Vec<String>, Vec<&Point>)> = Vec::new();
    for point in &results.points {
        match facets.iter_mut().find(|(values, _)| *values == others(point)) {
            Some((_, points)) => points.push(point),
            None => facets.push((others(point), vec![point])),
        }
    }
    let order = |point: &&Point| {
        let values = &results.dimensions[place].values;
        values.iter().position(|value| *value == point.values[place])
    };
    facets
        .into_iter()
        .map(|(_, mut points)| {
            points.sort_by_key(order);
            (results.label(points[0], Some(place)), points)
        })
        .collect()
}

/// The axis of a dimension, and where each of its values stands on it.
pub(super) fn dimension_axis(dimension: &Dimension) -> (Axis, Vec<f64>) {
    let labels: Vec<String> =
        dimension.values.iter().map(|value| dimension.value_text(value)).collect();
    match dimension.numbers().filter(|numbers| numbers.len() > ORDINAL_MAX) {
        None => {
            let places = (0u32..).map(f64::from).take(labels.len()).collect();
            (Axis::ordinal(&dimension.name(), labels), places)
        }
        Some(numbers) => (scaled_axis(dimension, &numbers), numbers),
    }
}

fn scaled_axis(dimension: &Dimension, numbers: &[f64]) -> Axis {
    const LOG_RATIO_MIN: f64 = 50.0;
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let mut axis = if first > 0.0 && last / first >= LOG_RATIO_MIN {
        Axis::log(&dimension.name(), first, last)
    } else {
        Axis::from_zero(&dimension.name(), numbers.iter().copied())
    };
    axis.reading = match dimension.key.as_str() {
        "conflict_rate" | "write_ratio" => Reading::Share,
        "value_bytes" => Reading::Bytes,
        _ => Reading::Given,
    };
    for tick in &mut axis.ticks {
        tick.label = dimension.value_text(&tick.at.to_string());
    }
    axis
}

/// A line per protocol over the points of a facet.
fn lines(
    results: &Results,
    place: usize,
    positions: &[f64],
    points: &[&Point],
    column: Column<SummaryRow>,
) -> Vec<Line> {
    let values = &results.dimensions[place].values;
    let line = |protocol: &String| {
        let marks = points.iter().filter_map(|point| {
            let cell = results.cell(&point.text, protocol)?;
            let index = values.iter().position(|value| *value == point.values[place])?;
            Some(Mark::new(positions[index], cell.spread(column)?, &cell))
        });
        Line {
            name: display_name(protocol),
            look: look(&results.protocols, protocol),
            points: marks.collect(),
            joined: results.dimensions[place].numbers().is_some(),
            band: false,
            marker_every: 1,
        }
    };
    results.protocols.iter().map(line).collect()
}

fn highs(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| line.points.iter().map(|mark| mark.high))
}

fn stacked(
    results: &Results,
    place: usize,
    stem: &str,
    title: &str,
    unit: &str,
    column: Column<SummaryRow>,
) -> Vec<Figure> {
    let dimension = &results.dimensions[place];
    let (x, positions) = dimension_axis(dimension);
    let panels = facets(results, place).into_iter().map(|(label, points)| {
        let lines = lines(results, place, &positions, &points, column);
        let y = Axis::from_zero(unit, highs(&lines));
        Panel { lines, ..Panel::new(&label, x.clone(), y) }
    });
    let panels = panels.collect();
    let title = format!("{title} against {}", plain_name(dimension));
    paged(results, stem, &title, &entries(results), panels)
}

/// p50 and p99, one above the other, for each facet.
fn latency(results: &Results, place: usize, stem: &str) -> Vec<Figure> {
    let dimension = &results.dimensions[place];
    let (x, positions) = dimension_axis(dimension);
    let facets = facets(results, place);
    let title = format!("Latency against {}", plain_name(dimension));
    let several = facets.len() > 1;
    let figures = (1..).zip(facets).flat_map(|(number, (label, points))| {
        let panels = PERCENTILES.map(|(name, column)| {
            let lines = lines(results, place, &positions, &points, column);
            let y = Axis::durations(name, highs(&lines));
            Panel { lines, ..Panel::new(&label, x.clone(), y) }
        });
        let stem = if several { format!("{stem}-{number}") } else { stem.to_owned() };
        paged(results, &stem, &title, &entries(results), panels.into())
    });
    figures.collect()
}

const PERCENTILES: [(&str, Column<SummaryRow>); 2] =
    [("p50 latency", figure::LATENCY_P50), ("p99 latency", figure::LATENCY_P99)];

fn latency_throughput(results: &Results, place: usize, key: &str) -> Vec<Figure> {
    let facets = facets(results, place);
    let several = facets.len() > 1;
    let stem = format!("latency-throughput-by-{key}");
    let title =
        format!("Latency against throughput, by {}", plain_name(&results.dimensions[place]));
    let figures = (1..).zip(facets).flat_map(|(number, (label, points))| {
        let panels = PERCENTILES.map(|(name, column)| {
            let lines: Vec<Line> = results
                .protocols
                .iter()
                .map(|protocol| curve(results, protocol, &points, column))
                .collect();
            let reached = lines.iter().flat_map(|line| line.points.iter().map(|mark| mark.x));
            let x = Axis::from_zero("throughput (ops/s)", reached);
            let y = Axis::durations(name, highs(&lines));
            Panel { lines, ..Panel::new(&label, x, y) }
        });
        let stem = if several { format!("{stem}-{number}") } else { stem.clone() };
        paged(results, &stem, &title, &entries(results), panels.into())
    });
    figures.collect()
}

/// One protocol's latencies over what it achieved, in the order of the load.
fn curve(results: &Results, protocol: &str, points: &[&Point], column: Column<SummaryRow>) -> Line {
    let marks = points.iter().filter_map(|point| {
        let cell = results.cell(&point.text, protocol)?;
        let reached = cell.spread(figure::THROUGHPUT)?.median;
        Some(Mark::new(reached, cell.spread(column)?, &cell))
    });
    Line {
        name: display_name(protocol),
        look: look(&results.protocols, protocol),
        points: marks.collect(),
        joined: true,
        band: false,
        marker_every: 1,
    }
}

/// A bar per protocol, where only one point was measured.
fn bars(results: &Results, stem: &str, unit: &str, column: Column<SummaryRow>) -> Vec<Figure> {
    let point = &results.points[0];
    let places = (0u32..).map(f64::from);
    let bars: Vec<Bar> = places
        .zip(&results.protocols)
        .filter_map(|(x, protocol)| {
            let cell = results.cell(&point.text, protocol)?;
            Some(Bar {
                name: display_name(protocol),
                place: String::new(),
                look: look(&results.protocols, protocol),
                mark: Mark::new(x, cell.spread(column)?, &cell),
                width: 0.5,
                emphasis: true,
                label: String::new(),
                model: None,
            })
        })
        .collect();
    let mut x = Axis::ordinal("", results.protocols.iter().map(|name| display_name(name)));
    x.low -= 0.2;
    x.high += 0.2;
    let y = Axis::from_zero(unit, bars.iter().map(|bar| bar.mark.high));
    let panel = Panel { bars, ..Panel::new("", x, y) };
    let mut title = unit.to_owned();
    title.replace_range(..1, "O");
    paged(results, stem, &title, &[], vec![panel])
}

/// The name of a dimension without its unit.
fn plain_name(dimension: &Dimension) -> String {
    let name = dimension.name();
    name.split(" (").next().unwrap_or_default().to_owned()
}
