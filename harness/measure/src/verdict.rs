//! Whether a run may be quoted, and why not.
//!
//! [`judge`] is pure: the driver gathers [`RunFacts`], the rules are here alone, and every rule that bites says what to
//! do about it.

use serde::{Deserialize, Serialize};

/// What the linearizability checker said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linearizable {
    /// The history is linearizable.
    True,
    /// It is not.
    False,
    /// Not checked, or the checker's budget ended first. Not a pass.
    #[default]
    Unknown,
}

/// How much of the clients' history was checked. Linearizability is local: some keys with all of their operations are as
/// sound a sample as all keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Operations that were checked; those of the warm-up and the closing reads count, too.
    pub operations: u64,
    /// How many of them were reads: writes alone cannot contradict each other.
    pub reads: u64,
    /// On how many keys.
    pub keys: u64,
    /// How many operations the clients began.
    pub operations_begun: u64,
    /// How many keys they touched; of a run with very many keys, those that were counted.
    pub keys_touched: u64,
}

/// How the text of the finding begins that the host, not the protocol, was the limit. Reports compare operations per
/// CPU-second where it stands.
pub const HOST_BOUND: &str = "host-bound";

/// How the text of the finding begins that a simulated throughput is of a load on which the simulator's costs were not measured.
/// Reports mark it.
pub const NOT_TO_BE_QUOTED: &str = "not to be quoted";

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The figures stand, with this said beside them.
    #[default]
    Warning,
    /// The figures must not be quoted.
    Invalid,
    /// The replicas or the history contradict each other.
    Violation,
}

/// Something a reader of the figures has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What was found, with the figure and the limit.
    pub text: String,
    /// What to do about it.
    pub advice: String,
}

/// The verdict of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the run may be quoted.
    pub valid: bool,
    /// Why not, and warnings.
    pub reasons: Vec<Finding>,
    /// Whether the clients' history is linearizable.
    pub linearizable: Linearizable,
    /// How much of it was checked; `None` if nothing was.
    pub checked: Option<Checked>,
    /// Whether all replicas came to rest in the same state; `None` when they could not be compared.
    pub replicas_agree: Option<bool>,
}

/// How the clients load the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// Each client waits for its reply.
    #[default]
    Closed,
    /// Each client keeps a window of requests outstanding.
    Pipelined,
    /// Requests are sent on a schedule, whatever the replies do.
    Open,
}

/// What [`judge`] needs to know about a run.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// How the load was made.
    pub mode: LoadMode,
    /// The open loop's schedule, operations per second; `None` in other modes.
    pub offered_ops_per_s: Option<f64>,
    /// Operations per second that were answered.
    pub achieved_ops_per_s: f64,
    /// 99th percentile of how late the open loop's generator sent, µs; `None` in other modes.
    pub generator_lag_us_p99: Option<f64>,
    /// Operations measured.
    pub samples: u64,
    /// Share of the host's CPU taken by others, 0..=1; `None` where it is not known or has no meaning (simulation).
    pub foreign_cpu_share: Option<f64>,
    /// Share of the host's CPU that was busy, 0..=1; `None` as above.
    pub host_busy_share: Option<f64>,
    /// One text per process that died unasked: which, and its last words.
    pub deaths: Vec<String>,
    /// Whether the run was cut short.
    pub interrupted: bool,
    /// What the checker said.
    pub linearizable: Linearizable,
    /// Of how much of the history it said so.
    pub checked: Option<Checked>,
    /// In a sentence without its stop, why the history is not linearizable or nobody knows; empty otherwise.
    pub history_reason: String,
    /// What comparing the replicas said.
    pub replicas_agree: Option<bool>,
    /// Further findings of the driver's own.
    pub findings: Vec<Finding>,
}

/// The limits a run is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// An open loop must achieve this share of what was offered.
    pub achieved_share_min: f64,
    /// An open loop's generator may be this late at its 99th percentile, µs.
    pub generator_lag_us_p99_max: f64,
    /// Fewer samples than this are not a measurement.
    pub samples_min: u64,
    /// Others may take this share of the host's CPU.
    pub foreign_cpu_share_max: f64,
    /// Above this share of busy CPU the host, not the protocol, is what was measured.
    pub host_busy_share_max: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            achieved_share_min: 0.95,
            // Chosen: an order of magnitude above a scheduler's time slice on a busy two-core host.
            generator_lag_us_p99_max: 20_000.0,
            samples_min: 200,
            // Chosen: on two cores, a fifth of one core.
            foreign_cpu_share_max: 0.10,
            host_busy_share_max: 0.90,
        }
    }
}

impl Verdict {
    /// Whether consistency was violated, which outweighs everything else.
    pub fn is_violation(&self) -> bool {
        self.linearizable == Linearizable::False
            || self.replicas_agree == Some(false)
            || self.reasons.iter().any(|finding| finding.severity == Severity::Violation)
    }
}

impl Linearizable {
    /// The word written to the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl LoadMode {
    /// The word written to the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Pipelined => "pipelined",
            Self::Open => "open",
        }
    }
}

/// Judges a run.
pub fn judge(facts: &RunFacts, limits: &Limits) -> Verdict {
    let mut reasons = facts.findings.clone();
    reasons.extend(violations(facts));
    reasons.extend(undecided(facts));
    reasons.extend(deaths(facts));
    reasons.extend(too_few_samples(facts, limits));
    reasons.extend(foreign_load(facts, limits));
    match facts.mode {
        LoadMode::Open => {
            reasons.extend(rate_missed(facts, limits));
            reasons.extend(generator_late(facts, limits));
        }
        LoadMode::Closed | LoadMode::Pipelined => reasons.extend(host_bound(facts, limits)),
    }
    reasons.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Verdict {
        valid: reasons.iter().all(|finding| finding.severity == Severity::Warning),
        reasons,
        linearizable: facts.linearizable,
        checked: facts.checked,
        replicas_agree: facts.replicas_agree,
    }
}

fn finding(severity: Severity, text: impl Into<String>, advice: &str) -> Finding {
    Finding { severity, text: text.into(), advice: advice.to_owned() }
}

fn violations(facts: &RunFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.replicas_agree == Some(false) {
        found.push(finding(
            Severity::Violation,
            "the replicas do not agree",
            "keep the results directory: its logs and history are the evidence",
        ));
    }
    if facts.linearizable == Linearizable::False {
        found.push(finding(
            Severity::Violation,
            format!("the clients' history is not linearizable: {}", facts.history_reason),
            "keep the results directory: its history is the evidence",
        ));
    }
    found
}

/// Unknown is not a pass.
fn undecided(facts: &RunFacts) -> Option<Finding> {
    (facts.linearizable == Linearizable::Unknown).then(|| {
        let reason = match facts.history_reason.as_str() {
            "" => "it was not checked",
            reason => reason,
        };
        finding(
            Severity::Invalid,
            format!("nobody knows whether the clients' history is linearizable: {reason}"),
            "judge the file in history/ with bench check, or make the run shorter",
        )
    })
}

fn deaths(facts: &RunFacts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts
        .deaths
        .iter()
        .map(|death| {
            let text = format!("died unasked: {death}");
            finding(Severity::Invalid, text, "read that process's log in the results directory")
        })
        .collect();
    if facts.interrupted {
        found.push(finding(Severity::Invalid, "the run was interrupted", "run it again"));
    }
    found
}

fn too_few_samples(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    (facts.samples < limits.samples_min).then(|| {
        finding(
            Severity::Invalid,
            format!("{} samples, fewer than {}", facts.samples, limits.samples_min),
            "raise load.duration_s or the load",
        )
    })
}

fn foreign_load(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.foreign_cpu_share?;
    (share > limits.foreign_cpu_share_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "other programs took {} of the host's CPU, more than {}",
                percent(share),
                percent(limits.foreign_cpu_share_max)
            ),
            "stop them and run again",
        )
    })
}

fn rate_missed(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let offered = facts.offered_ops_per_s?;
    let share = facts.achieved_ops_per_s / offered;
    // Written so that an offered rate of zero, whose share is not a number, does not pass.
    let reached = share >= limits.achieved_share_min;
    (!reached).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "{:.0} of {offered:.0} operations/s offered were answered, less than {}",
                facts.achieved_ops_per_s,
                percent(limits.achieved_share_min)
            ),
            "lower load.rate_ops_per_s: the cluster is past its capacity",
        )
    })
}

fn generator_late(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let lag_us = facts.generator_lag_us_p99?;
    (lag_us > limits.generator_lag_us_p99_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "the load generator sent {:.1} ms late at its p99, more than {:.1} ms",
                lag_us / 1e3,
                limits.generator_lag_us_p99_max / 1e3
            ),
            "lower load.rate_ops_per_s or use fewer clients: the host is short of CPU",
        )
    })
}

fn host_bound(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.host_busy_share?;
    (share > limits.host_busy_share_max).then(|| {
        finding(
            Severity::Warning,
            format!("{HOST_BOUND}: the host's CPU was {} busy", percent(share)),
            "compare operations per CPU-second",
        )
    })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(mode: LoadMode) -> RunFacts {
        RunFacts {
            mode,
            offered_ops_per_s: (mode == LoadMode::Open).then_some(1_000.0),
            achieved_ops_per_s: 999.0,
            generator_lag_us_p99: (mode == LoadMode::Open).then_some(100.0),
            samples: 5_000,
            foreign_cpu_share: Some(0.01),
            host_busy_share: Some(0.5),
            linearizable: Linearizable::True,
            replicas_agree: Some(true),
            ..RunFacts::default()
        }
    }

    fn reasons(facts: &RunFacts) -> (bool, Vec<String>) {
        let verdict = judge(facts, &Limits::default());
        (verdict.valid, verdict.reasons.into_iter().map(|finding| finding.text).collect())
    }

    #[test]
    fn a_good_run_is_valid_in_every_mode() {
        for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
            assert_eq!(reasons(&good(mode)), (true, vec![]), "{mode:?}");
        }
    }

    #[test]
    fn an_open_loop_must_achieve_what_was_offered_and_send_in_time() {
        let missed = RunFacts { achieved_ops_per_s: 949.0, ..good(LoadMode::Open) };
        let expected = "949 of 1000 operations/s offered were answered, less than 95 %";
        assert_eq!(reasons(&missed), (false, vec![expected.to_owned()]));
        let reached = RunFacts { achieved_ops_per_s: 950.0, ..good(LoadMode::Open) };
        assert!(reasons(&reached).0);
        let late = RunFacts { generator_lag_us_p99: Some(20_001.0), ..good(LoadMode::Open) };
        let expected = "the load generator sent 20.0 ms late at its p99, more than 20.0 ms";
        assert_eq!(reasons(&late), (false, vec![expected.to_owned()]));
        let nothing_offered = RunFacts {
            offered_ops_per_s: Some(0.0),
            achieved_ops_per_s: 0.0,
            ..good(LoadMode::Open)
        };
        assert!(!reasons(&nothing_offered).0);
    }

    #[test]
    fn a_full_host_is_a_warning_for_loops_that_saturate_by_design() {
        for mode in [LoadMode::Closed, LoadMode::Pipelined] {
            let full = RunFacts { host_busy_share: Some(0.97), ..good(mode) };
            let expected = "host-bound: the host's CPU was 97 % busy".to_owned();
            assert_eq!(reasons(&full), (true, vec![expected]));
        }
    }

    #[test]
    fn what_is_invalid_in_every_mode() {
        for mode in [LoadMode::Closed, LoadMode::Pipelined, LoadMode::Open] {
            let few = RunFacts { samples: 199, ..good(mode) };
            assert_eq!(reasons(&few), (false, vec!["199 samples, fewer than 200".to_owned()]));
            let foreign = RunFacts { foreign_cpu_share: Some(0.5), ..good(mode) };
            assert!(!reasons(&foreign).0);
            let dead = RunFacts { deaths: vec!["replica 1: out of memory".into()], ..good(mode) };
            assert_eq!(reasons(&dead).1, ["died unasked: replica 1: out of memory"]);
            assert!(!reasons(&dead).0);
            let interrupted = RunFacts { interrupted: true, ..good(mode) };
            assert!(!reasons(&interrupted).0);
        }
    }

    #[test]
    fn unknown_is_not_a_pass() {
        let unknown = RunFacts {
            linearizable: Linearizable::Unknown,
            history_reason: "no time was left".to_owned(),
            ..good(LoadMode::Closed)
        };
        let expected =
            "nobody knows whether the clients' history is linearizable: no time was left";
        assert_eq!(reasons(&unknown), (false, vec![expected.to_owned()]));
        assert!(!judge(&unknown, &Limits::default()).is_violation());
    }

    #[test]
    fn a_violation_is_not_valid_and_comes_first() {
        let facts = RunFacts {
            samples: 3,
            replicas_agree: Some(false),
            linearizable: Linearizable::False,
            ..good(LoadMode::Closed)
        };
        let verdict = judge(&facts, &Limits::default());
        assert!(verdict.is_violation() && !verdict.valid);
        let severities: Vec<Severity> = verdict.reasons.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Violation, Severity::Violation, Severity::Invalid]);
    }
}
