//! The verdict over all runs, in the words that stand under every table and every plot.

use std::{collections::BTreeSet, fmt::Write};

use measure::{Checked, Linearizable, SummaryRow};

use crate::{
    cell::quotable,
    numbers::{BOUND_KEY, SpreadName, grouped, spread_names},
    results::Results,
    table::fold,
};

/// What may be done with results as a whole, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    Valid,
    /// Some runs are not valid, and the figures are taken from the others.
    Partly,
    NotValid,
    Violation,
}

/// What the marks of a plot are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Of how many repetitions those medians are that are shown with their spread.
    pub(crate) spreads: BTreeSet<usize>,
    /// Whether one is a lower bound.
    pub(crate) bound: bool,
    /// Whether one is of a run that is not valid.
    pub(crate) invalid: bool,
}

impl Grade {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Partly => "PARTLY VALID",
            Self::NotValid => "NOT VALID",
            Self::Violation => "VIOLATION",
        }
    }

    /// The grade of one run.
    pub(crate) fn of_run(row: &SummaryRow) -> Self {
        match (row.is_violation(), quotable(row)) {
            (true, _) => Self::Violation,
            (false, true) => Self::Valid,
            (false, false) => Self::NotValid,
        }
    }
}

impl Results {
    /// The grade of all runs together, and why in figures: "3 of 18 runs may not be quoted".
    pub(crate) fn grade(&self) -> (Grade, String) {
        let grades: Vec<Grade> = self.summary.iter().map(Grade::of_run).collect();
        let count = |grade| grades.iter().filter(|other| **other == grade).count();
        let (all, not_valid, violations) =
            (grades.len(), count(Grade::NotValid), count(Grade::Violation));
        let mut parts = Vec::new();
        if violations > 0 {
            parts.push(format!("{violations} of {all} runs contradict consistency"));
        }
        if not_valid > 0 {
            parts.push(format!("{not_valid} of {all} runs may not be quoted"));
        }
        if !self.manifest.complete {
            parts.push(format!(
                "incomplete: {all} of {} planned runs are here",
                self.manifest.runs_planned
            ));
        }
        let grade = match (violations, parts.is_empty()) {
            (0, true) => Grade::Valid,
            (0, false) => Grade::NotValid,
            _ => Grade::Violation,
        };
        if grade == Grade::Valid {
            parts.push(format!("all {all} runs may be quoted"));
        }
        // Runs of a version that judged no history were valid without it.
        let unjudged = |row: &&SummaryRow| {
            Grade::of_run(row) == Grade::Valid && row.linearizable == Linearizable::Unknown
        };
        let unknown = self.summary.iter().filter(unjudged).count();
        if unknown > 0 {
            parts.push(format!("whether {unknown} valid runs are linearizable is not known"));
        }
        (grade, parts.join(", "))
    }

    /// For instance: 18 of 18 runs valid · replicas agree · linearizable (123,456 operations on 49 keys checked)
    pub(crate) fn verdict_text(&self) -> String {
        let rows: Vec<&SummaryRow> = self.summary.iter().collect();
        let valid = rows.iter().filter(|row| quotable(row)).count();
        let mut parts = vec![format!("{valid} of {} runs valid", rows.len())];
        parts.push(agreement(&rows));
        parts.push(linearizability(&rows));
        match self.runs_not_back() {
            (_, 0) => {}
            (0, _) => parts.push("back in time after every fault".to_owned()),
            (some, _) => parts.push(format!("NOT BACK in time in {some}")),
        }
        match rows.iter().filter(|row| self.is_beyond(row)).count() {
            0 => {}
            some => parts.push(format!("throughput of {some} not to be quoted")),
        }
        if !self.manifest.complete {
            parts.push("incomplete".to_owned());
        }
        parts.join(" · ")
    }

    /// The lines under a plot that shows such marks.
    pub(crate) fn footer(&self, shown: &Shown) -> Vec<String> {
        let verdict = format!("verdict: {}", self.verdict_text());
        [verdict, self.origin_text(), self.marks_text(shown)]
            .iter()
            .flat_map(|text| fold(text, 2).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// What the marks of a plot mean.
    pub(crate) fn marks_text(&self, shown: &Shown) -> String {
        let mut marks = String::new();
        for of in spread_names(&shown.spreads) {
            let SpreadName { name, repetitions, .. } = of;
            let _ = match marks.as_str() {
                "" => write!(marks, "median and {name} of {repetitions} repetitions"),
                _ => write!(marks, "; where only {repetitions} count, {name}"),
            };
        }
        if marks.is_empty() {
            marks = match self.repetitions_most() {
                1 => "one repetition".to_owned(),
                count => format!("{count} repetitions"),
            };
        }
        if shown.bound {
            let _ = write!(marks, " · {BOUND_KEY}");
        }
        if shown.invalid {
            marks.push_str(" · HOLLOW: NOT VALID, do not quote");
        }
        marks
    }

    /// For instance: conflict-sweep · seed 42 · 2026-01-31 · Some CPU, 2 cores
    pub(crate) fn origin_text(&self) -> String {
        let manifest = &self.manifest;
        let date = manifest.started_utc.split('T').next().unwrap_or_default();
        let mut parts =
            vec![manifest.name.clone(), format!("seed {}", manifest.seed), date.to_owned()];
        parts.extend(self.summary.first().map(|row| row.driver.clone()));
        if let Some(cpu) = &manifest.host.cpu {
            let cores = manifest.host.cores.map(|cores| format!(", {cores} cores"));
            parts.push(format!("{cpu}{}", cores.unwrap_or_default()));
        }
        parts.join(" · ")
    }
}

fn agreement(rows: &[&SummaryRow]) -> String {
    let count = |value| rows.iter().filter(|row| row.replicas_agree == value).count();
    match (count(Some(false)), count(None)) {
        (0, 0) => "replicas agree".to_owned(),
        (0, unknown) if unknown == rows.len() => "replicas not compared".to_owned(),
        (0, unknown) => format!("replicas agree, not compared in {unknown}"),
        (disagree, _) => format!("REPLICAS DISAGREE in {disagree}"),
    }
}

fn linearizability(rows: &[&SummaryRow]) -> String {
    let count = |value| rows.iter().filter(|row| row.linearizable == value).count();
    let checked = total_checked(rows).map(|checked| checked_text(&checked)).unwrap_or_default();
    match (count(Linearizable::False), count(Linearizable::Unknown)) {
        (0, 0) => format!("linearizable{checked}"),
        (0, unknown) if unknown == rows.len() => "linearizability unknown".to_owned(),
        (0, unknown) => format!("linearizable, UNKNOWN in {unknown}{checked}"),
        (violated, _) => format!("NOT LINEARIZABLE in {violated}{checked}"),
    }
}

/// Over all rows; none if nothing is known of any.
pub(crate) fn total_checked(rows: &[&SummaryRow]) -> Option<Checked> {
    let known: Vec<Checked> = rows.iter().filter_map(|row| row.checked).collect();
    let total = |figure: fn(&Checked) -> u64| known.iter().map(figure).sum();
    (!known.is_empty()).then(|| Checked {
        operations: total(|checked| checked.operations),
        reads: total(|checked| checked.reads),
        keys: total(|checked| checked.keys),
        operations_begun: total(|checked| checked.operations_begun),
        keys_touched: total(|checked| checked.keys_touched),
    })
}

/// What was checked, of how much if that was not everything. Keys of different runs are different keys.
fn checked_text(checked: &Checked) -> String {
    let part = |checked: u64, of: u64| match checked < of {
        true => format!("{} of {}", grouped(checked), grouped(of)),
        false => grouped(checked),
    };
    let operations = part(checked.operations, checked.operations_begun);
    let keys = part(checked.keys, checked.keys_touched);
    format!(" ({operations} operations on {keys} keys checked)")
}
