//! The busiest replica of each protocol at each point: what it did per operation, beside what the model of
//! `load-model.csv` says, and which of its resources was in use most.

use std::fmt::Write;

use measure::{LoadModelRow, ReplicaRow, SummaryRow};

use crate::{
    cell::{Cell, peer_messages},
    figure,
    known::display_name,
    numbers::{NONE, Spread, digits3, human, percent},
    results::{Point, Results},
    table::{Painted, Table},
};

/// Chosen: a longer table is not read; the CSV files have it all.
const ROWS_MAX: usize = 40;

/// One protocol at one point, seen at its busiest replica.
#[derive(Debug)]
pub(crate) struct Bottleneck<'a> {
    pub(crate) cell: Cell<'a>,
    /// The model's row of the replica that limits the cluster.
    pub(crate) model: &'a LoadModelRow,
    /// Messages with its peers per operation, measured there.
    pub(crate) messages_per_op: Option<Spread>,
    /// Operations of the cluster per second of CPU time there: what the cluster would bear if every replica had a CPU of its
    /// own and this one were in use all the time.
    pub(crate) ops_per_busiest_cpu_s: Option<Spread>,
    /// Share of the measured time in which its CPU worked; of one CPU.
    cpu_share: Option<Spread>,
    /// Share of the measured time in which its network card sent; none where that has no limit.
    nic_share: Option<Spread>,
    /// Is its throughput what the cluster bears, since the load saturates it?
    saturated: bool,
}

impl Results {
    /// Of `protocol` at `point`; none if there is no model or no run.
    pub(crate) fn bottleneck(&self, point: &Point, protocol: &str) -> Option<Bottleneck<'_>> {
        let cell = self.cell(&point.text, protocol)?;
        let is_of = |row: &&LoadModelRow| row.point == point.text && row.protocol == protocol;
        // Of equals the first.
        let model = self
            .load_model
            .iter()
            .filter(is_of)
            .reduce(|busiest, row| if weight(row) > weight(busiest) { row } else { busiest })?;
        model.messages_per_op?;
        let figure = |of: &dyn Fn(&SummaryRow, &ReplicaRow) -> Option<f64>| {
            let runs = cell.rows.iter().filter_map(|run| {
                let rows = self.replicas_of(run);
                of(run, rows.into_iter().find(|row| row.replica == model.replica)?)
            });
            Spread::of(runs)
        };
        let duration_s = self.manifest.duration_s;
        let nic_bits_per_s = self.nic_bits_per_s();
        Some(Bottleneck {
            messages_per_op: figure(&|run, row| per(peer_messages(row), operations(run))),
            ops_per_busiest_cpu_s: figure(&|run, row| per(operations(run), row.cpu_s?)),
            cpu_share: figure(&|_, row| per(row.cpu_s?, duration_s)),
            nic_share: figure(&|_, row| {
                #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 bytes")]
                let bits = row.bytes_out as f64 * 8.0;
                per(bits, nic_bits_per_s? * duration_s)
            }),
            saturated: self.searched_p99_ms().is_some() || cell.rows.first()?.mode != "open",
            model,
            cell,
        })
    }

    /// Messages with its peers per operation that the model gives a replica.
    pub(crate) fn modelled(&self, point: &str, protocol: &str, replica: u32) -> Option<f64> {
        let is_of = |row: &&LoadModelRow| {
            row.point == point && row.protocol == protocol && row.replica == replica
        };
        self.load_model.iter().find(is_of)?.messages_per_op
    }

    /// What a simulated network card sends in a second; none where it has no limit.
    fn nic_bits_per_s(&self) -> Option<f64> {
        let mbit_per_s = self.manifest.workload.get("sim")?.get("nic_mbit_per_s")?.as_f64()?;
        (mbit_per_s > 0.0).then_some(mbit_per_s * 1e6)
    }

    fn bottlenecks(&self) -> Vec<(&Point, &String, Bottleneck<'_>)> {
        let mut all = Vec::new();
        for point in &self.points {
            for protocol in &self.protocols {
                let of = self.bottleneck(point, protocol);
                all.extend(of.map(|of| (point, protocol, of)));
            }
        }
        all
    }

    /// Is what grows with the number of replicas, or what a simulated replica can bear, a question here?
    pub(crate) fn asks_for_bottlenecks(&self) -> bool {
        let is_given = |row: &LoadModelRow| row.messages_per_op.is_some();
        self.load_model.iter().any(is_given)
            && (self.dimension("replicas").is_some()
                || self.load_model.iter().any(|row| row.capacity_ops_per_s.is_some()))
    }

    /// The table for a terminal, and a sentence per protocol with the model's error; empty where there is no model.
    pub(crate) fn bottleneck_text(&self) -> String {
        let all = self.bottlenecks();
        let mut text = String::new();
        if all.is_empty() {
            return text;
        }
        if self.asks_for_bottlenecks() {
            let mut table = Table::default();
            table.push(HEADINGS.map(Painted::plain).into());
            for (point, protocol, of) in all.iter().take(ROWS_MAX) {
                let line = of.line(&self.label(point, None), protocol, self.beyond(&of.cell));
                table.push(line.map(Painted::plain).into());
            }
            for line in table.render(false) {
                let _ = writeln!(text, "{line}");
            }
            if let Some(more @ 1..) = all.len().checked_sub(ROWS_MAX) {
                let _ = writeln!(text, "  … and {more} more, see load-model.csv and replicas.csv");
            }
        }
        for protocol in &self.protocols {
            let own = all.iter().filter(|(_, of, _)| *of == protocol).map(|(.., of)| of);
            let (messages, capacity): (Vec<_>, Vec<_>) =
                own.map(|of| (of.messages_error(), of.capacity_error())).unzip();
            let mut parts = Vec::new();
            parts.extend(range(messages).map(|range| format!("{range} messages")));
            parts.extend(range(capacity).map(|range| format!("{range} throughput")));
            if !parts.is_empty() {
                let name = display_name(protocol);
                let _ =
                    writeln!(text, "  {name}: measured against the model: {}", parts.join(", "));
            }
        }
        text
    }
}

const HEADINGS: [&str; 10] =
    ["", "busiest", "messages/op", "model", "CPU", "NIC", "ops/s", "model", "saturates", "verdict"];

impl Bottleneck<'_> {
    /// Measured over modelled messages, less one.
    pub(crate) fn messages_error(&self) -> Option<f64> {
        Some(self.messages_per_op?.median / self.model.messages_per_op? - 1.0)
    }

    /// Measured over modelled throughput, less one; none in an open loop at a given rate, which
    /// need not saturate anything.
    fn capacity_error(&self) -> Option<f64> {
        if !self.saturated {
            return None;
        }
        let measured = self.cell.spread(figure::THROUGHPUT)?;
        Some(measured.median / self.model.capacity_ops_per_s? - 1.0)
    }

    fn line(&self, label: &str, protocol: &str, beyond: &str) -> [String; 10] {
        let name = display_name(protocol);
        let share = |share: Option<Spread>| {
            share.map_or_else(|| NONE.to_owned(), |share| format!("{:.0} %", share.median * 100.0))
        };
        let number = |number: Option<f64>, format: fn(f64) -> String| {
            number.map_or_else(|| NONE.to_owned(), format)
        };
        let throughput = self.cell.spread(figure::THROUGHPUT);
        [
            if label.is_empty() { name } else { format!("{label}, {name}") },
            format!("r{}", self.model.replica),
            number(self.messages_per_op.map(|spread| spread.median), digits3),
            number(self.model.messages_per_op, digits3),
            share(self.cpu_share),
            share(self.nic_share),
            number(throughput.map(|spread| spread.median), human) + beyond,
            number(self.model.capacity_ops_per_s, human),
            match self.model.saturates.as_str() {
                "" => NONE.to_owned(),
                resource => resource.to_uppercase(),
            },
            self.cell.verdict(),
        ]
    }
}

/// What a replica weighs in the search for the busiest: where costs are known the time it needs per operation, else its
/// messages.
fn weight(row: &LoadModelRow) -> f64 {
    match row.capacity_ops_per_s {
        Some(ops_per_s) => 1.0 / ops_per_s,
        None => row.messages_per_op.unwrap_or(0.0) + row.client_messages_per_op.unwrap_or(0.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
fn operations(run: &SummaryRow) -> f64 {
    run.operations as f64
}

fn per(amount: f64, of: f64) -> Option<f64> {
    (of > 0.0).then_some(amount / of)
}

/// The least and the largest error in words; none if there are none.
fn range(errors: Vec<Option<f64>>) -> Option<String> {
    let mut errors: Vec<f64> = errors.into_iter().flatten().collect();
    errors.sort_by(f64::total_cmp);
    let (least, most) = (errors.first()?, errors.last()?);
    let (least, most) = (signed(*least), signed(*most));
    Some(if least == most { least } else { format!("{least} to {most}") })
}

fn signed(share: f64) -> String {
    let rounded = (share * 1e3).round() / 1e3;
    match percent(rounded.abs()) {
        zero if rounded == 0.0 => zero,
        magnitude if rounded < 0.0 => format!("−{magnitude}"),
        magnitude => format!("+{magnitude}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_range_with_signs() {
        assert_eq!(range(vec![None, None]), None);
        assert_eq!(range(vec![Some(0.0267)]).unwrap(), "+2.7 %");
        assert_eq!(range(vec![Some(0.02), None, Some(-0.4)]).unwrap(), "−40 % to +2 %");
        assert_eq!(signed(-0.000_01), "0 %");
    }
}
