//! The steps of a search for the highest rate that a cluster bears: each a run of its own at one
//! rate.

use serde::{Deserialize, Serialize};

use crate::{
    csv_row::CsvRow,
    rows::SummaryRow,
    verdict::{FOREIGN_LOAD, Finding, Severity, Verdict},
};

/// One step of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// What was offered, operations per second of the whole cluster.
    pub rate_ops_per_s: f64,
    /// What was answered per second; `None` if nothing was measured.
    pub throughput_ops_per_s: Option<f64>,
    /// The 99th percentile of latency, µs; `None` if it is not known.
    pub latency_us_p99: Option<f64>,
    /// Whether the run may be quoted.
    pub valid: bool,
    /// Why the cluster does not bear the rate; `None` if it does.
    pub why_not: Option<String>,
    /// Whether others took the host's CPU, so that it says nothing of the cluster that it failed.
    pub spoilt: bool,
    /// Whether its figures are those of the search.
    pub kept: bool,
}

/// A row of `knee.csv`: one step of the search for the highest rate of one run. `kept` is the step
/// whose figures stand in all other files; `why_not` is empty if the cluster bears the rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Step`; units are in the names")]
pub struct KneeRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    /// Counted from 1.
    pub step: u32,
    pub rate_ops_per_s: f64,
    pub throughput_ops_per_s: Option<f64>,
    pub latency_us_p99: Option<f64>,
    pub valid: bool,
    pub passed: bool,
    pub kept: bool,
    pub why_not: String,
}

impl CsvRow for KneeRow {
    const FILE: &'static str = "knee.csv";
}

impl Step {
    /// That of a run at one rate: the cluster bears it if the run is valid and the 99th percentile
    /// of latency, as it is printed, is known and at most `p99_ms_max`.
    pub(crate) fn of(summary: &SummaryRow, verdict: &Verdict, p99_ms_max: f64) -> Self {
        Self {
            rate_ops_per_s: summary.rate_ops_per_s.unwrap_or_default(),
            why_not: why_not(summary, verdict, p99_ms_max),
            throughput_ops_per_s: summary.throughput_ops_per_s,
            latency_us_p99: summary.latency_us_p99,
            valid: summary.valid,
            spoilt: verdict.reasons.iter().any(is_foreign_load),
            kept: false,
        }
    }

    /// Whether the cluster bears the rate.
    pub fn passed(&self) -> bool {
        self.why_not.is_none()
    }
}

fn is_foreign_load(finding: &Finding) -> bool {
    finding.severity > Severity::Warning && finding.text.starts_with(FOREIGN_LOAD)
}

/// Why a cluster does not bear the rate of a run with these figures; `None` if it does.
fn why_not(summary: &SummaryRow, verdict: &Verdict, p99_ms_max: f64) -> Option<String> {
    if !summary.valid {
        let mut reasons = verdict.reasons.iter();
        let reason = reasons.find(|finding| finding.severity > Severity::Warning);
        return Some(reason.map_or_else(|| "not valid".to_owned(), |reason| reason.text.clone()));
    }
    let Some(p99_us) = summary.latency_us_p99 else {
        return Some("too few samples for a p99".to_owned());
    };
    let p99_ms = (p99_us * 1e3).round() / 1e6;
    if summary.is_at_least("latency_us_p99") {
        return Some(format!("p99 {p99_ms} ms is a lower bound: too little was answered"));
    }
    (p99_ms > p99_ms_max).then(|| format!("p99 {p99_ms} ms, more than {p99_ms_max} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(valid: bool, p99_us: Option<f64>) -> Option<String> {
        let summary = SummaryRow { valid, latency_us_p99: p99_us, ..SummaryRow::default() };
        let finding = |severity, text: &str| Finding {
            severity,
            text: text.to_owned(),
            advice: String::new(),
        };
        let mut reasons = vec![finding(Severity::Warning, "host-bound")];
        if !valid {
            reasons.insert(0, finding(Severity::Invalid, "too few were answered"));
        }
        let verdict = Verdict { valid, reasons, ..Verdict::default() };
        why_not(&summary, &verdict, 20.0)
    }

    #[test]
    fn a_rate_is_borne_by_a_valid_run_whose_p99_is_known_and_short() {
        assert_eq!(step(true, Some(20_000.0)), None, "a warning is no reason");
        let late = step(true, Some(20_000.1));
        assert_eq!(late.as_deref(), Some("p99 20.0001 ms, more than 20 ms"));
        assert_eq!(step(true, Some(31_234.5)).unwrap(), "p99 31.2345 ms, more than 20 ms");
        assert_eq!(step(true, None).unwrap(), "too few samples for a p99");
        assert_eq!(step(false, Some(1.0)).unwrap(), "too few were answered");
    }
}
