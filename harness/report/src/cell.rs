//! One protocol at one point: its repetitions, which of them count, and the figures over them.

use std::collections::BTreeSet;

use measure::{NOT_TO_BE_QUOTED, ReplicaRow, Role, SummaryRow};

use crate::{figure::Column, numbers::Spread, results::Results};

/// The repetitions of one protocol at one point.
#[derive(Debug)]
pub(crate) struct Cell<'a> {
    /// The rows that figures are taken from: the valid ones, or all where none is.
    pub(crate) rows: Vec<&'a SummaryRow>,
    /// Number of repetitions.
    pub(crate) runs: usize,
    /// How many of them may be quoted.
    pub(crate) valid_runs: usize,
    /// Whether any of them contradicted itself.
    pub(crate) violation: bool,
}

/// What stands beside a throughput that is of a load on which a simulator's costs were not
/// measured.
pub(crate) const BEYOND: &str = " †";

/// How many runs stand behind a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RunCount {
    /// Number of repetitions.
    pub(crate) runs: usize,
    /// How many of them may be quoted.
    pub(crate) valid_runs: usize,
    /// Whether any of them contradicted itself.
    pub(crate) violation: bool,
}

/// The replica that handled the most messages.
#[derive(Debug)]
pub(crate) struct Busiest {
    pub(crate) replica: u32,
    pub(crate) role: Role,
    /// Its messages relative to the mean of all replicas.
    pub(crate) messages_ratio: f64,
    /// Its CPU time relative to the mean; `None` where it is not known.
    pub(crate) cpu_ratio: Option<f64>,
}

impl Results {
    /// The runs of every protocol at every point.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.points.iter().flat_map(|point| {
            self.protocols.iter().filter_map(|protocol| self.cell(&point.text, protocol))
        })
    }

    /// How many repetitions' figures any protocol has at any point.
    pub(crate) fn repetitions_of(&self, figure: Column<SummaryRow>) -> BTreeSet<usize> {
        self.cells().filter_map(|cell| Some(cell.spread(figure)?.count)).collect()
    }

    /// How many repetitions count at most, of any protocol at any point.
    pub(crate) fn repetitions_most(&self) -> usize {
        self.cells().map(|cell| cell.rows.len()).max().unwrap_or(1)
    }

    /// The runs of `protocol` at the point with this text; `None` if there are none.
    pub(crate) fn cell(&self, point: &str, protocol: &str) -> Option<Cell<'_>> {
        let all = self.summary.iter().filter(|row| row.point == point && row.protocol == protocol);
        let (valid, not_valid): (Vec<_>, Vec<_>) = all.partition(|row| quotable(row));
        let violation = not_valid.iter().any(|row| row.is_violation());
        let (runs, valid_runs) = (valid.len() + not_valid.len(), valid.len());
        let rows = if valid.is_empty() { not_valid } else { valid };
        (runs > 0).then_some(Cell { rows, runs, valid_runs, violation })
    }

    /// The rows of `replicas.csv` that belong to one run.
    pub(crate) fn replicas_of(&self, run: &SummaryRow) -> Vec<&ReplicaRow> {
        let rows = self.replicas.iter().filter(|row| {
            row.protocol == run.protocol
                && row.point == run.point
                && row.repetition == run.repetition
        });
        rows.collect()
    }

    /// Median and spread of a replica's figure over the repetitions that have it.
    pub(crate) fn spread_of_replica(
        &self,
        cell: &Cell<'_>,
        replica: usize,
        figure: Column<ReplicaRow>,
    ) -> Option<Spread> {
        Spread::of(cell.rows.iter().filter_map(|run| {
            let rows = self.replicas_of(run);
            figure.of(rows.iter().find(|row| row.replica as usize == replica)?)
        }))
    }

    /// Does a run's throughput follow from costs that were not measured on such a load?
    pub(crate) fn is_beyond(&self, run: &SummaryRow) -> bool {
        self.verdicts.iter().any(|row| {
            row.text.starts_with(NOT_TO_BE_QUOTED)
                && row.protocol == run.protocol
                && row.point == run.point
                && row.repetition == run.repetition
        })
    }

    /// What stands beside the throughput of `cell`.
    pub(crate) fn beyond(&self, cell: &Cell<'_>) -> &'static str {
        if cell.rows.iter().any(|run| self.is_beyond(run)) { BEYOND } else { "" }
    }

    /// The replica with the largest share of messages over the repetitions that count.
    pub(crate) fn busiest(&self, cell: &Cell<'_>) -> Option<Busiest> {
        let replicas = cell.rows.first()?.replicas;
        (0..replicas).filter_map(|replica| self.load(cell, replica)).max_by(|a, b| {
            // Of equals the first, so that the answer does not wander.
            a.messages_ratio.total_cmp(&b.messages_ratio).then(b.replica.cmp(&a.replica))
        })
    }

    fn load(&self, cell: &Cell<'_>, replica: u32) -> Option<Busiest> {
        let mut role = Role::Peer;
        let (mut messages, mut cpu) = (Vec::new(), Vec::new());
        for run in &cell.rows {
            let rows = self.replicas_of(run);
            let Some(own) = rows.iter().find(|row| row.replica == replica) else { continue };
            role = own.role;
            messages.extend(relative(&rows, own, |row| Some(peer_messages(row))));
            cpu.extend(relative(&rows, own, |row| row.cpu_s));
        }
        Some(Busiest {
            replica,
            role,
            messages_ratio: Spread::of(messages)?.median,
            cpu_ratio: Spread::of(cpu).map(|spread| spread.median),
        })
    }
}

impl Cell<'_> {
    /// Median and spread of a figure over the repetitions that have it.
    pub(crate) fn spread(&self, figure: Column<SummaryRow>) -> Option<Spread> {
        Spread::of(self.rows.iter().filter_map(|row| figure.of(row)))
    }

    /// Whether the figures come from valid runs.
    pub(crate) fn is_valid(&self) -> bool {
        self.valid_runs > 0 && !self.violation
    }

    /// What stands beside the figures.
    pub(crate) fn verdict(&self) -> String {
        self.run_count().verdict()
    }

    pub(crate) fn run_count(&self) -> RunCount {
        let Self { runs, valid_runs, violation, .. } = *self;
        RunCount { runs, valid_runs, violation }
    }
}

impl RunCount {
    /// How many runs a figure is taken from: the valid ones, or all where none is.
    pub(crate) fn counted(self) -> usize {
        if self.valid_runs > 0 { self.valid_runs } else { self.runs }
    }

    /// What stands beside a figure.
    pub(crate) fn verdict(self) -> String {
        match (self.violation, self.valid_runs, self.runs) {
            (true, ..) => "VIOLATION".to_owned(),
            (_, 0, _) => "NOT VALID".to_owned(),
            (_, valid, runs) if valid < runs => format!("{valid}/{runs} valid"),
            _ => "valid".to_owned(),
        }
    }
}

/// Messages that a replica sent to and received from its peers.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 messages")]
pub(crate) fn peer_messages(row: &ReplicaRow) -> f64 {
    (row.messages_in + row.messages_out) as f64
}

/// Whether a run's figures may be quoted.
pub(crate) fn quotable(row: &SummaryRow) -> bool {
    row.valid && !row.is_violation()
}

/// A replica's figure over the mean of all replicas' figures.
fn relative(
    rows: &[&ReplicaRow],
    own: &ReplicaRow,
    figure: impl Fn(&ReplicaRow) -> Option<f64>,
) -> Option<f64> {
    let all: Vec<f64> = rows.iter().filter_map(|row| figure(row)).collect();
    let sum: f64 = all.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "a number of replicas")]
    (sum > 0.0).then(|| figure(own).map(|value| value * all.len() as f64 / sum)).flatten()
}
