//! The verdict over all runs, in the words that stand under every table and every plot.

use measure::{Linearizable, SummaryRow};

use crate::cell::quotable;
use crate::numbers::spread_name;
use crate::results::Results;
use crate::table::fold;

impl Results {
    /// For instance: 18 of 18 runs valid · replicas agree · linearizability unknown
    pub(crate) fn verdict_text(&self) -> String {
        let rows: Vec<&SummaryRow> = self.summary.iter().collect();
        let valid = rows.iter().filter(|row| quotable(row)).count();
        let mut parts = vec![format!("{valid} of {} runs valid", rows.len())];
        parts.push(agreement(&rows));
        parts.push(linearizability(&rows));
        if !self.manifest.complete {
            parts.push("incomplete".to_owned());
        }
        parts.join(" · ")
    }

    /// The lines under a plot: `has_spread` if it shows medians with their spread, `has_invalid` if it shows a run that is
    /// not valid.
    pub(crate) fn footer(&self, has_spread: bool, has_invalid: bool) -> Vec<String> {
        let repetitions = self.summary.iter().map(|row| row.repetition).max().unwrap_or(1);
        let mut marks = match usize::try_from(repetitions).unwrap_or(usize::MAX) {
            1 => "one repetition".to_owned(),
            count if !has_spread => format!("{count} repetitions"),
            count => format!("median and {} of {count} repetitions", spread_name(count)),
        };
        if has_invalid {
            marks.push_str(" · HOLLOW: NOT VALID, do not quote");
        }
        let verdict = format!("verdict: {}", self.verdict_text());
        [verdict, self.origin_text(), marks]
            .iter()
            .flat_map(|text| fold(text, 2).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
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
    match (count(Linearizable::False), count(Linearizable::Unknown)) {
        (0, 0) => "linearizable".to_owned(),
        (0, unknown) if unknown == rows.len() => "linearizability unknown".to_owned(),
        (0, unknown) => format!("linearizable, unknown in {unknown}"),
        (violated, _) => format!("NOT LINEARIZABLE in {violated}"),
    }
}
