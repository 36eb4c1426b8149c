//! Which protocol comes first at which size, of real clusters and of simulated ones.

use std::fmt::Write;

use measure::CsvRow;
use report::display_name;
use serde::{Deserialize, Serialize};

use super::held::{Held, Seen};

/// Chosen: figures of one build lie as far apart from one run to the next, so that what is nearer
/// is in no order.
const MARGIN: f64 = 0.05;

/// A row of `agreement.csv`: one protocol at one size. Figures are medians over the valid runs, or
/// over all where none is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) date_utc: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    /// N.
    pub(super) replicas: u32,
    pub(super) protocol: String,
    /// Operations per CPU-second of the replica that takes most CPU time, of real replicas.
    pub(super) real_ops_per_busiest_cpu_s: f64,
    /// The same of simulated ones.
    pub(super) simulated_ops_per_busiest_cpu_s: f64,
    pub(super) real_runs: u32,
    pub(super) real_runs_valid: u32,
    pub(super) simulated_runs: u32,
    pub(super) simulated_runs_valid: u32,
}

impl CsvRow for Row {
    const FILE: &'static str = "agreement.csv";
}

/// Where and when it was run.
#[derive(Clone, Debug, Default)]
pub(super) struct Setting {
    pub(super) workload: String,
    pub(super) date_utc: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
}

/// The rows of loads that differ in nothing but protocol and size.
pub(super) fn rows(setting: &Setting, loads: &[Held]) -> Vec<Row> {
    let row = |held: &Held| {
        let Seen { runs, valid_runs, per_busiest_cpu_s, .. } = held.real;
        Row {
            workload: setting.workload.clone(),
            date_utc: setting.date_utc.clone(),
            cpu: setting.cpu.clone(),
            cores: setting.cores,
            replicas: held.size,
            protocol: held.protocol.clone(),
            real_ops_per_busiest_cpu_s: per_busiest_cpu_s.round(),
            simulated_ops_per_busiest_cpu_s: held.simulated.per_busiest_cpu_s.round(),
            real_runs: runs,
            real_runs_valid: valid_runs,
            simulated_runs: held.simulated.runs,
            simulated_runs_valid: held.simulated.valid_runs,
        }
    };
    loads.iter().map(row).collect()
}

/// Are two protocols in one order, real and simulated?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Same,
    /// The simulator has them the other way round, or has them equal where the real ones are not.
    Other,
    /// The real ones are as good as equal, so that there is no order to agree on.
    None,
}

/// Two protocols at one size: how many times the operations per CPU-second of the second the first
/// has.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    replicas: u32,
    protocols: [String; 2],
    real: f64,
    simulated: f64,
}

impl Pair {
    fn order(&self) -> Order {
        let clear = |ratio: f64| ratio.ln().abs() > MARGIN.ln_1p();
        match (clear(self.real), clear(self.simulated)) {
            (false, _) => Order::None,
            (true, true) if (self.real > 1.0) == (self.simulated > 1.0) => Order::Same,
            _ => Order::Other,
        }
    }
}

/// Every pair of protocols at every size; the one that real replicas put first is named first.
fn pairs(rows: &[Row]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (place, one) in rows.iter().enumerate() {
        for other in rows[place + 1..].iter().filter(|other| other.replicas == one.replicas) {
            let real_first = |row: &Row| row.real_ops_per_busiest_cpu_s;
            let [first, second] =
                if real_first(one) >= real_first(other) { [one, other] } else { [other, one] };
            pairs.push(Pair {
                replicas: one.replicas,
                protocols: [first, second].map(|row| row.protocol.clone()),
                real: real_first(first) / real_first(second),
                simulated: first.simulated_ops_per_busiest_cpu_s
                    / second.simulated_ops_per_busiest_cpu_s,
            });
        }
    }
    pairs.sort_by_key(|pair| pair.replicas);
    pairs
}

/// Is any pair in another order?
pub(super) fn differs(rows: &[Row]) -> bool {
    pairs(rows).iter().any(|pair| pair.order() == Order::Other)
}

/// The table as GitHub's Markdown.
pub(super) fn markdown(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let day = first.date_utc.split('T').next().unwrap_or_default();
    let mut text = format!(
        "`{}`, {day}, {} cores of {}. Thousands of operations per CPU-second of the replica that takes \
         most CPU time:\n\n\
         | N | protocol | real | simulated | simulated / real | valid runs, real | simulated |\n\
         |--:|---|--:|--:|--:|--:|--:|\n",
        first.workload, first.cores, first.cpu
    );
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| row.replicas);
    for row in sorted {
        let (real, simulated) =
            (row.real_ops_per_busiest_cpu_s, row.simulated_ops_per_busiest_cpu_s);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {} of {} | {} of {} |",
            row.replicas,
            display_name(&row.protocol),
            thousands(real),
            thousands(simulated),
            simulated / real,
            row.real_runs_valid,
            row.real_runs,
            row.simulated_runs_valid,
            row.simulated_runs,
        );
    }
    text.push_str(
        "\nHow many times the operations per CPU-second one protocol has of another, and whether the \
         simulator has them in the same order:\n\n\
         | N | protocols | real | simulated | simulated / real | same order? |\n\
         |--:|---|--:|--:|--:|---|\n",
    );
    for pair in pairs(rows) {
        let [first, second] = pair.protocols.each_ref().map(|name| display_name(name));
        let order = match pair.order() {
            Order::Same => "yes",
            Order::Other => "**no**",
            Order::None => "none to agree on",
        };
        let _ = writeln!(
            text,
            "| {} | {first} over {second} | {:.2} | {:.2} | {:.2} | {order} |",
            pair.replicas,
            pair.real,
            pair.simulated,
            pair.simulated / pair.real,
        );
    }
    text
}

/// What a reader has to know first.
pub(super) fn conclusion(rows: &[Row]) -> String {
    let pairs = pairs(rows);
    let others = pairs.iter().filter(|pair| pair.order() == Order::Other);
    let others: Vec<String> = others
        .map(|pair| {
            let [first, second] = pair.protocols.each_ref().map(|name| display_name(name));
            format!("{first} and {second} at N = {}", pair.replicas)
        })
        .collect();
    match others.as_slice() {
        [] => {
            format!("The simulator has all {} pairs in the order of the real clusters", pairs.len())
        }
        some => format!(
            "The simulator has {} of {} pairs in ANOTHER order than the real clusters: {}",
            some.len(),
            pairs.len(),
            some.join(", ")
        ),
    }
}

/// Three digits at least.
fn thousands(operations: f64) -> String {
    let thousands = operations / 1e3;
    match thousands {
        100.0.. => format!("{thousands:.0}"),
        10.0.. => format!("{thousands:.1}"),
        _ => format!("{thousands:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(replicas: u32, protocol: &str, real: f64, simulated: f64) -> Row {
        Row {
            workload: "saturated".to_owned(),
            date_utc: "2026-11-30T10:00:00Z".to_owned(),
            cpu: "Some CPU".to_owned(),
            cores: 2,
            replicas,
            protocol: protocol.to_owned(),
            real_ops_per_busiest_cpu_s: real,
            simulated_ops_per_busiest_cpu_s: simulated,
            real_runs: 3,
            real_runs_valid: 2,
            simulated_runs: 3,
            simulated_runs_valid: 3,
        }
    }

    /// What issue 11 found at N = 3 and 5, and what is as good as equal.
    fn all() -> Vec<Row> {
        vec![
            row(5, "epaxos", 440_000.0, 900_000.0),
            row(3, "multi-paxos", 800_000.0, 700_000.0),
            row(3, "epaxos", 500_000.0, 510_000.0),
            row(3, "paxos", 13_000.0, 7_200.0),
            row(5, "multi-paxos", 680_000.0, 500_000.0),
            row(7, "epaxos", 300_000.0, 310_000.0),
            row(7, "multi-paxos", 310_000.0, 620_000.0),
        ]
    }

    #[test]
    fn an_order_is_the_same_the_other_one_or_none() {
        let pairs = pairs(&all());
        let seen: Vec<_> = pairs
            .iter()
            .map(|pair| {
                let [first, second] = &pair.protocols;
                (pair.replicas, first.as_str(), second.as_str(), pair.order())
            })
            .collect();
        assert_eq!(
            seen,
            [
                (3, "multi-paxos", "epaxos", Order::Same),
                (3, "multi-paxos", "paxos", Order::Same),
                (3, "epaxos", "paxos", Order::Same),
                (5, "multi-paxos", "epaxos", Order::Other),
                (7, "multi-paxos", "epaxos", Order::None),
            ]
        );
        // Where the real ones are in order, equal is another order.
        let pair = |real, simulated| Pair {
            replicas: 3,
            protocols: ["a".to_owned(), "b".to_owned()],
            real,
            simulated,
        };
        assert_eq!(pair(1.5, 1.04).order(), Order::Other);
        assert_eq!(pair(1.5, 1.06).order(), Order::Same);
        assert_eq!(pair(1.04, 0.5).order(), Order::None);
    }

    #[test]
    fn the_table_has_both_figures_both_ratios_and_the_verdict() {
        crate::registry::tell_report();
        let expected = "\
`saturated`, 2026-11-30, 2 cores of Some CPU. Thousands of operations per CPU-second of the replica that takes \
most CPU time:

| N | protocol | real | simulated | simulated / real | valid runs, real | simulated |
|--:|---|--:|--:|--:|--:|--:|
| 3 | Multi-Paxos | 800 | 700 | 0.88 | 2 of 3 | 3 of 3 |
| 3 | EPaxos | 500 | 510 | 1.02 | 2 of 3 | 3 of 3 |
| 3 | Paxos | 13.0 | 7.20 | 0.55 | 2 of 3 | 3 of 3 |
| 5 | EPaxos | 440 | 900 | 2.05 | 2 of 3 | 3 of 3 |
| 5 | Multi-Paxos | 680 | 500 | 0.74 | 2 of 3 | 3 of 3 |
| 7 | EPaxos | 300 | 310 | 1.03 | 2 of 3 | 3 of 3 |
| 7 | Multi-Paxos | 310 | 620 | 2.00 | 2 of 3 | 3 of 3 |

How many times the operations per CPU-second one protocol has of another, and whether the simulator has them \
in the same order:

| N | protocols | real | simulated | simulated / real | same order? |
|--:|---|--:|--:|--:|---|
| 3 | Multi-Paxos over EPaxos | 1.60 | 1.37 | 0.86 | yes |
| 3 | Multi-Paxos over Paxos | 61.54 | 97.22 | 1.58 | yes |
| 3 | EPaxos over Paxos | 38.46 | 70.83 | 1.84 | yes |
| 5 | Multi-Paxos over EPaxos | 1.55 | 0.56 | 0.36 | **no** |
| 7 | Multi-Paxos over EPaxos | 1.03 | 2.00 | 1.94 | none to agree on |
";
        assert_eq!(markdown(&all()), expected);
        assert_eq!(
            conclusion(&all()),
            "The simulator has 1 of 5 pairs in ANOTHER order than the real clusters: Multi-Paxos and \
             EPaxos at N = 5"
        );
        let agreed = &all()[1..4];
        assert_eq!(
            conclusion(agreed),
            "The simulator has all 3 pairs in the order of the real clusters"
        );
        assert_eq!(markdown(&[]), "");
    }
}
