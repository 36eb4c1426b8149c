//! The times during which faults lasted in the runs of a point, for plots to shade.

use measure::{Event, EventRow, Window, windows};

use crate::results::Results;

impl Results {
    /// The windows at a point, of one protocol or of all: those that every run was meant to have are one, under a name
    /// that fits all of them.
    pub(crate) fn windows(&self, point: &str, protocol: Option<&str>, end_s: f64) -> Vec<Window> {
        let mut merged: Vec<Window> = Vec::new();
        for run in self.summary.iter().filter(|run| run.point == point) {
            if protocol.is_some_and(|protocol| protocol != run.protocol) {
                continue;
            }
            let of_run = |event: &&EventRow| {
                event.point == run.point
                    && event.protocol == run.protocol
                    && event.repetition == run.repetition
            };
            let events: Vec<Event> = self.events.iter().filter(of_run).map(event).collect();
            for window in windows(&events, end_s) {
                merge(&mut merged, window, end_s);
            }
        }
        merged.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
        merged
    }
}

fn merge(merged: &mut Vec<Window>, window: Window, end_s: f64) {
    let near = |a: f64, b: f64| (a - b).abs() < 0.02 * end_s.max(1.0);
    let same = |other: &&mut Window| other.kind == window.kind && near(other.from_s, window.from_s);
    match merged.iter_mut().find(same) {
        None => merged.push(window),
        Some(other) => {
            other.from_s = other.from_s.min(window.from_s);
            other.to_s = other.to_s.max(window.to_s);
            if other.label != window.label {
                other.label.clone_from(&other.kind);
            }
        }
    }
}

fn event(row: &EventRow) -> Event {
    Event { t_s: row.t_s, event: row.event.clone(), detail: row.detail.clone() }
}
