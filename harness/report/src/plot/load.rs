//! Who carries the load: messages and CPU time of every replica per operation, side by side.

use measure::{ReplicaRow, Role};

use super::{
    axis::{Axis, Reading, Scale, Tick},
    look::{INK, look},
    model::{Bar, Entry, Figure, Mark, Panel, Sample},
    sweep::paged,
};
use crate::{
    cell::{Cell, peer_messages},
    known::display_name,
    numbers::Spread,
    results::{Point, Results},
};

type Column = fn(&ReplicaRow) -> Option<f64>;

/// Chosen: with more bars than this in a panel, the leader's label would not fit its bar.
const LABELLED_BARS_MAX: usize = 24;

pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let messages: Column = |row| Some(peer_messages(row));
    let cpu: Column = |row| row.cpu_s.map(|cpu_s| cpu_s * 1e6);
    let mut figures = Vec::new();
    let title = "Messages per operation at each replica";
    figures.extend(of(results, "load-messages", title, "messages per op", messages, true));
    let title = "CPU time per operation at each replica";
    figures.extend(of(results, "load-cpu", title, "CPU µs per op", cpu, false));
    figures
}

/// `modelled`: is it messages, of which there is a model?
fn of(
    results: &Results,
    stem: &str,
    title: &str,
    unit: &str,
    load: Column,
    modelled: bool,
) -> Vec<Figure> {
    let panel = |point| panel(results, point, unit, load, modelled);
    let panels: Vec<Panel> = results.points.iter().map(panel).collect();
    let has_model = panels.iter().flat_map(|panel| &panel.bars).any(|bar| bar.model.is_some());
    let legend =
        has_model.then(|| Entry { label: "model".to_owned(), look: INK, sample: Sample::Line });
    paged(results, stem, title, legend.as_slice(), panels)
}

fn panel(results: &Results, point: &Point, unit: &str, load: Column, modelled: bool) -> Panel {
    let groups: Vec<(&String, Cell<'_>)> = results
        .protocols
        .iter()
        .filter_map(|protocol| Some((protocol, results.cell(&point.text, protocol)?)))
        .collect();
    let mut bars = Vec::new();
    let mut ticks = Vec::new();
    let mut x = 0.0;
    for (protocol, cell) in &groups {
        let start = x;
        for replica in 0..cell.rows[0].replicas {
            let model = modelled.then(|| results.modelled(&point.text, protocol, replica));
            let bar = bar(results, protocol, cell, replica, x, load);
            bars.extend(bar.map(|bar| Bar { model: model.flatten(), ..bar }));
            x += 1.0;
        }
        ticks.push(Tick { at: start + (x - start - 1.0) / 2.0, label: display_name(protocol) });
        // One bar's width between the protocols.
        x += 1.0;
    }
    if bars.len() > LABELLED_BARS_MAX {
        bars.iter_mut().for_each(|bar| bar.label.clear());
    }
    let (label, scale, reading) = (String::new(), Scale::Linear, Reading::Place);
    let axis = Axis { label, scale, reading, low: -0.8, high: x - 1.2, ticks };
    // Room for the label above the tallest bar.
    let y = Axis::from_zero(unit, bars.iter().map(|bar| bar.mark.high * 1.1));
    Panel { bars, ..Panel::new(&results.label(point, None), axis, y) }
}

fn bar(
    results: &Results,
    protocol: &str,
    cell: &Cell<'_>,
    replica: u32,
    x: f64,
    load: Column,
) -> Option<Bar> {
    let mut role = Role::Peer;
    let mut figures = Vec::new();
    for run in cell.rows.iter().filter(|run| run.operations > 0) {
        let rows = results.replicas_of(run);
        let Some(row) = rows.iter().find(|row| row.replica == replica) else { continue };
        role = row.role;
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
        figures.extend(load(row).map(|value| value / run.operations as f64));
    }
    let spread = Spread::of(figures)?;
    let place = match role {
        Role::Leader => format!("replica {replica}, leader"),
        Role::Follower => format!("replica {replica}, follower"),
        Role::Peer => format!("replica {replica}"),
    };
    Some(Bar {
        name: display_name(protocol),
        place,
        look: look(&results.protocols, protocol),
        mark: Mark::new(x, spread, cell),
        width: 0.84,
        emphasis: role != Role::Follower,
        label: if role == Role::Leader { "leader".to_owned() } else { String::new() },
        model: None,
    })
}
