//! Simulated commit latencies beside what the formulas say, as a table for the terminal.

use std::fmt::Write;

use measure::FormulaRow;
use run::simulated::formulas::NOT_VALID;

use crate::output::aligned;

/// The rows for a terminal, a part for each combination of swept keys other than the conflict rate; none if there are no
/// rows.
pub(super) fn table(rows: &[FormulaRow]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let mut parts: Vec<(String, Vec<[String; 7]>)> = Vec::new();
    for row in rows {
        let swept = swept(row);
        let part = parts.iter().position(|(known, _)| *known == swept).unwrap_or_else(|| {
            parts.push((swept, vec![HEADINGS.map(str::to_owned)]));
            parts.len() - 1
        });
        parts[part].1.push(line(row));
    }
    let mut text = "Commit latency against the formulas\n".to_owned();
    for (swept, lines) in parts {
        if !swept.is_empty() {
            let _ = writeln!(text, "\n{swept}");
        }
        text.push_str(&aligned(&lines));
    }
    let _ = writeln!(text, "{}", conclusion(rows));
    Some(text)
}

const HEADINGS: [&str; 7] = [
    "protocol",
    "site",
    "conflict",
    "formula (ms)",
    "simulated median (ms)",
    "difference",
    "commits",
];

fn conclusion(rows: &[FormulaRow]) -> String {
    let exact = rows.iter().filter(|row| row.difference_ns.is_some());
    let (with_formula, off) = exact.fold((0, 0), |(rows, off), row| {
        (rows + 1, off + usize::from(row.commits_within != Some(row.commits)))
    });
    match (with_formula, off) {
        (0, _) => "No row has a formula that gives one figure".to_owned(),
        (all, 0) => {
            format!("Every commit of all {all} rows with an exact formula takes exactly that")
        }
        (all, off) => format!("{off} of {all} rows with an exact formula DIFFER from it"),
    }
}

/// The swept keys that have no column.
fn swept(row: &FormulaRow) -> String {
    let others = row
        .point
        .split(' ')
        .filter(|part| part.contains('=') && !part.starts_with("conflict_rate="));
    others.collect::<Vec<_>>().join(" ")
}

fn line(row: &FormulaRow) -> [String; 7] {
    let dash = || "–".to_owned();
    let formula = match (row.formula_ns_min, row.formula_ns_max) {
        (Some(least_ns), Some(most_ns)) if least_ns == most_ns => ms(least_ns),
        (Some(least_ns), Some(most_ns)) => format!("{} to {}", ms(least_ns), ms(most_ns)),
        _ => dash(),
    };
    let difference = match row.difference_ns {
        Some(ns @ ..=-1) => format!("-{}", ms(ns.unsigned_abs())),
        Some(0) => "0".to_owned(),
        Some(ns) => format!("+{}", ms(ns.unsigned_abs())),
        None => dash(),
    };
    let agreeing = if row.difference_ns.is_some() { "exact" } else { "within" };
    let mark = if row.note.starts_with(NOT_VALID) { ", NOT VALID" } else { "" };
    let commits = match row.commits_within {
        None => format!("{}, {}", row.commits, row.note),
        Some(within) if within == row.commits => format!("all {within} {agreeing}{mark}"),
        Some(within) => format!("{within} of {} {agreeing}{mark}", row.commits),
    };
    [
        row.protocol.clone(),
        row.site.clone(),
        row.conflict_rate.map_or_else(dash, |rate| format!("{} %", percent(rate))),
        formula,
        row.median_ns.map_or_else(dash, ms),
        difference,
        commits,
    ]
}

/// Milliseconds, with as many decimals as are needed to say it exactly.
fn ms(ns: u64) -> String {
    let text = format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 0.07 is 7, not 7.000000000000001.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

#[cfg(test)]
mod tests {
    use run::simulated::formulas::{Commits, Formulas};
    use workload::{Plan, Workload};

    use super::*;

    const TEXT: &str = "name = \"x\"\nprotocols = [\"multi-paxos\", \"epaxos\", \"paxos\"]\nrepetitions = 1\n\
        commands.conflict_rate = [0, 0.07]\ncluster = { driver = \"sim\", replicas = 3 }\n\
        sim = { cpu_us_per_message = 0, cpu_ns_per_byte = 0, nic_mbit_per_s = 0 }\n\
        network.topology = { source = \"invented\", sites = [\"A\", \"B\", \"C\"], \
        round_trip_ms = { A-B = 10, B-C = 20.5, A-C = 30 } }\n\
        network.jitter_ms = 0";

    fn workload() -> Workload {
        Workload::parse("x.toml", TEXT, &[]).unwrap()
    }

    /// As if every run had committed one command in `commit_ns` and two in `others_ns` at each site.
    fn formulas(workload: &Workload, commit_ns: u64, others_ns: u64) -> Formulas<'_> {
        let mut formulas = Formulas::new(workload).unwrap();
        for run in Plan::new(workload).runs.iter().rev() {
            for site in 0..3 {
                formulas.add(run, site, &Commits::of(&[others_ns, commit_ns]));
                formulas.add(run, site, &Commits::of(&[others_ns]));
            }
        }
        formulas
    }

    #[test]
    fn the_table_says_what_agrees_and_what_has_no_formula() {
        let workload = workload();
        let rows = formulas(&workload, 40_000_000, 10_000_000).rows();
        assert_eq!(rows.len(), 3 * 2 * 3, "protocols, points, sites");
        let expected = "\
Commit latency against the formulas
protocol     site  conflict  formula (ms)  simulated median (ms)  difference  commits
multi-paxos  A     0 %       10            10                     0           2 of 3 exact
multi-paxos  B     0 %       20            10                     -10         0 of 3 exact
multi-paxos  C     0 %       40            10                     -30         1 of 3 exact
multi-paxos  A     7 %       10            10                     0           2 of 3 exact
multi-paxos  B     7 %       20            10                     -10         0 of 3 exact
multi-paxos  C     7 %       40            10                     -30         1 of 3 exact
epaxos       A     0 %       10            10                     0           2 of 3 exact
epaxos       B     0 %       10            10                     0           2 of 3 exact
epaxos       C     0 %       20.5          10                     -10.5       0 of 3 exact
epaxos       A     7 %       10 to 20      10                     –           2 of 3 within
epaxos       B     7 %       10 to 20      10                     –           2 of 3 within
epaxos       C     7 %       20.5 to 41    10                     –           1 of 3 within
paxos        A     0 %       –             10                     –           3, proposers compete
paxos        B     0 %       –             10                     –           3, proposers compete
paxos        C     0 %       –             10                     –           3, proposers compete
paxos        A     7 %       –             10                     –           3, proposers compete
paxos        B     7 %       –             10                     –           3, proposers compete
paxos        C     7 %       –             10                     –           3, proposers compete
9 of 9 rows with an exact formula DIFFER from it
";
        assert_eq!(table(&rows).unwrap(), expected);
    }

    #[test]
    fn other_swept_keys_part_the_table() {
        let text =
            TEXT.replace("repetitions = 1", "repetitions = 1\nload.clients_per_site = [1, 2]");
        let workload = Workload::parse("x.toml", &text, &[]).unwrap();
        let text = table(&formulas(&workload, 10_000_000, 10_000_000).rows()).unwrap();
        let parts: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(parts.len(), 3, "{text}");
        assert!(
            parts[1].starts_with("clients_per_site=1\nprotocol     site  conflict  "),
            "{text}"
        );
        assert!(parts[2].starts_with("clients_per_site=2\nprotocol "), "{text}");
        assert!(parts[1].contains("multi-paxos  A     7 %       10            10 "), "{text}");
        assert!(parts[1].contains("  all 3 exact\n") && !parts[1].contains("all 6"), "{text}");
    }

    #[test]
    fn the_conclusion_counts_commits_not_medians() {
        let workload = workload();
        let only_a = |commit_ns: u64| {
            let mut formulas = Formulas::new(&workload).unwrap();
            let run = &Plan::new(&workload).runs[0];
            formulas.add(run, 0, &Commits::of(&[10_000_000, 10_000_000, commit_ns]));
            table(&formulas.rows()).unwrap()
        };
        let last = |text: &str| text.lines().last().unwrap().to_owned();
        assert_eq!(
            last(&only_a(10_000_000)),
            "Every commit of all 1 rows with an exact formula takes exactly that"
        );
        assert_eq!(last(&only_a(10_000_001)), "1 of 1 rows with an exact formula DIFFER from it");
    }

    #[test]
    fn what_is_not_valid_says_so_in_every_row() {
        let workload = workload();
        let mut formulas = formulas(&workload, 40_000_000, 10_000_000);
        let plan = Plan::new(&workload);
        let (epaxos, paxos) = (&plan.runs[1], &plan.runs[2]);
        assert_eq!(
            (epaxos.protocol, paxos.protocol),
            (protocols::epaxos::PROTOCOL, protocols::paxos::PROTOCOL)
        );
        formulas.distrust(epaxos);
        formulas.distrust(paxos);
        let rows = formulas.rows();
        let text = table(&rows).unwrap();
        let marked: Vec<&str> = text.lines().filter(|line| line.contains("NOT VALID")).collect();
        assert_eq!(marked.len(), 2 * 3, "{text}");
        assert!(marked.iter().all(|line| line.contains(" 0 % ")), "{text}");
        assert!(marked[0].ends_with("2 of 3 exact, NOT VALID"), "{text}");
        assert!(marked[5].ends_with("3, NOT VALID, proposers compete"), "{text}");
        let notes = rows.iter().filter(|row| row.note.starts_with(NOT_VALID));
        assert_eq!(notes.count(), 2 * 3);
    }

    #[test]
    fn without_rows_there_is_no_table() {
        assert_eq!(table(&[]), None);
    }

    #[test]
    fn milliseconds_are_exact() {
        assert_eq!([0, 1, 1_500_000, 10_000_000].map(ms), ["0", "0.000001", "1.5", "10"]);
    }
}
