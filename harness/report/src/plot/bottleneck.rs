//! What the busiest replica does as the cluster grows, measured and by the model.

use super::{
    axis::Axis,
    look::{Look, Marker, look},
    model::{Entry, Figure, Line, Mark, Panel, Sample},
    sweep::{dimension_axis, entries, facets, paged},
};
use crate::{
    bottleneck::Bottleneck,
    figure,
    known::display_name,
    numbers::Spread,
    results::{Point, Results},
};

type Measured = fn(&Bottleneck<'_>) -> Option<Spread>;
type Modelled = fn(&Bottleneck<'_>) -> Option<f64>;

/// The line of a model: that of its protocol, dotted, without markers.
const DOTS: &[f64] = &[5.0, 11.0];

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let Some((place, dimension)) = results.dimension("replicas") else { return Vec::new() };
    if !results.asks_for_bottlenecks() {
        return Vec::new();
    }
    let (x, positions) = dimension_axis(dimension);
    let facets = facets(results, place);
    let several = facets.len() > 1;
    let simulated = results.load_model.iter().any(|row| row.capacity_ops_per_s.is_some());
    let mut legend = entries(results);
    legend.extend(results.protocols.iter().map(|protocol| Entry {
        label: model_name(protocol),
        look: model_look(look(&results.protocols, protocol)),
        sample: Sample::Line,
    }));
    let figures = (1..).zip(facets).flat_map(|(number, (label, points))| {
        let panel = |title: &str, unit: &str, measured: Measured, modelled: Modelled| {
            let lines = lines(results, (place, &positions), &points, measured, modelled);
            let highs = lines.iter().flat_map(|line| line.points.iter().map(|mark| mark.high));
            let y = Axis::from_zero(unit, highs);
            let title =
                if label.is_empty() { title.to_owned() } else { format!("{title}, {label}") };
            Panel { lines, ..Panel::new(&title, x.clone(), y) }
        };
        let messages = panel(
            "Messages with its peers",
            "messages per op",
            |of| of.messages_per_op,
            |of| of.model.messages_per_op,
        );
        let bound = if simulated {
            panel(
                "What the cluster bears",
                "throughput (ops/s)",
                |of| of.cell.spread(figure::THROUGHPUT),
                |of| of.model.capacity_ops_per_s,
            )
        } else {
            panel(
                "What one CPU there bears",
                "ops per its CPU-second",
                |of| of.ops_per_busiest_cpu_s,
                |_| None,
            )
        };
        let stem = "busiest-vs-replicas";
        let stem = if several { format!("{stem}-{number}") } else { stem.to_owned() };
        let title = "The busiest replica as the cluster grows";
        paged(results, &stem, title, &legend, vec![messages, bound])
    });
    figures.collect()
}

/// A line per protocol for what was measured, and one for what the model says.
fn lines(
    results: &Results,
    (place, positions): (usize, &[f64]),
    points: &[&Point],
    measured: Measured,
    modelled: Modelled,
) -> Vec<Line> {
    let values = &results.dimensions[place].values;
    let mut lines = Vec::new();
    for protocol in &results.protocols {
        let own = look(&results.protocols, protocol);
        let (mut seen, mut said) = (Vec::new(), Vec::new());
        for point in points {
            let Some(of) = results.bottleneck(point, protocol) else { continue };
            let position = values.iter().position(|value| *value == point.values[place]);
            let Some(x) = position.map(|index| positions[index]) else { continue };
            let mark = |spread| Mark::new(x, spread, &of.cell);
            seen.extend(measured(&of).map(mark));
            said.extend(Spread::of(modelled(&of)).map(mark));
        }
        let line = |name, look, points| Line {
            name,
            look,
            points,
            joined: true,
            band: false,
            marker_every: 1,
        };
        lines.push(line(model_name(protocol), model_look(own), said));
        lines.push(line(display_name(protocol), own, seen));
    }
    lines
}

fn model_name(protocol: &str) -> String {
    format!("{}, model", display_name(protocol))
}

fn model_look(own: Look) -> Look {
    Look { marker: Marker::None, dashes: DOTS, ..own }
}
