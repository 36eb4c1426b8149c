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

/// How the text of the finding begins that others took the host's CPU.
pub const FOREIGN_LOAD: &str = "other programs took";

/// How the text of the finding begins that a simulated throughput is of a load on which the
/// simulator's costs were not measured. Reports mark it.
pub const NOT_TO_BE_QUOTED: &str = "not to be quoted";

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The figures stand, with this said beside them.
    #[default]
    Warning,
    /// The figures stand, and are not what the workload file promises.
    Missed,
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
    /// The longest that the generator stood still, ms; `None` where it has no clock of its own (simulation).
    pub generator_still_ms: Option<f64>,
    /// Share of one core that the generator used, 0..=1; `None` as above.
    pub generator_core_share: Option<f64>,
    /// Requests that were due in the measured time.
    pub due: u64,
    /// Those of them that were not answered, refused ones included.
    pub unanswered: u64,
    /// Where executions were faster than commits, in a sentence without its stop; empty if nowhere.
    pub executed_before_commit: String,
    /// Share of the CPUs that the run may use taken by others, 0..=1; `None` where it is not known or has no meaning
    /// (simulation).
    pub foreign_cpu_share: Option<f64>,
    /// Share of what the run may use of the host's CPUs that was busy, 0..=1; `None` as above.
    pub host_busy_share: Option<f64>,
    /// Share of the periods in which the control group was throttled, 0..=1; `None` without a quota.
    pub throttled_share: Option<f64>,
    /// What the run may use, where it is not the whole host; empty otherwise.
    pub host_restriction: String,
    /// The name of the host whose CPU others took most of; empty where there is one host alone.
    pub foreign_host: String,
    /// The same of the busiest.
    pub busy_host: String,
    /// The same of the one that was throttled most.
    pub throttled_host: String,
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

impl RunFacts {
    /// Which share of what was due was not answered, 0..=1.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
    pub fn unanswered_share(&self) -> f64 {
        self.unanswered as f64 / self.due.max(1) as f64
    }
}

/// The limits a run is judged by. Results of older versions do not name all of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// An open loop must achieve this share of what was offered.
    pub achieved_share_min: f64,
    /// An open loop's generator may be this late at its 99th percentile, µs.
    pub generator_lag_us_p99_max: f64,
    /// The generator may stand still for so long, ms.
    pub generator_still_ms_max: f64,
    /// The generator may use this share of one core: it has one thread.
    pub generator_core_share_max: f64,
    /// This share of what was due may be without an answer.
    pub unanswered_share_max: f64,
    /// Fewer answered samples than this are not a measurement.
    pub samples_min: u64,
    /// Others may take this share of the CPUs that the run may use.
    pub foreign_cpu_share_max: f64,
    /// Above this share of busy CPU the host, not the protocol, is what was measured.
    pub host_busy_share_max: f64,
    /// The control group may be throttled in this share of its periods.
    pub throttled_share_max: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            achieved_share_min: 0.95,
            // Chosen: an order of magnitude above a scheduler's time slice on a busy two-core host.
            generator_lag_us_p99_max: 20_000.0,
            // Chosen: a saturated two-core host lets its programs wait for tens of milliseconds; a stop is longer.
            generator_still_ms_max: 100.0,
            // Chosen: above it the generator's own thread is what was measured.
            generator_core_share_max: 0.95,
            // Chosen: with more the p99 itself is not known.
            unanswered_share_max: 0.01,
            samples_min: 200,
            // Chosen: on two cores, a fifth of one core.
            foreign_cpu_share_max: 0.10,
            host_busy_share_max: 0.90,
            // Chosen: one period of 100 ms in ten seconds.
            throttled_share_max: 0.01,
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
    reasons.extend(not_enough(facts, limits));
    reasons.extend(unanswered(facts, limits));
    reasons.extend(executed_before_commit(facts));
    reasons.extend(foreign_load(facts, limits));
    reasons.extend(generator_still(facts, limits));
    reasons.extend(generator_full(facts, limits));
    reasons.extend(throttled(facts, limits));
    reasons.extend(host_bound(facts, limits));
    if facts.mode == LoadMode::Open {
        reasons.extend(rate_missed(facts, limits));
        reasons.extend(generator_late(facts, limits));
    }
    reasons.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Verdict {
        valid: reasons.iter().all(|finding| finding.severity < Severity::Invalid),
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

fn not_enough(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    if facts.due == 0 {
        let text = "no request was due in the measured time";
        let advice = "raise load.duration_s or the load: there is nothing to measure";
        return Some(finding(Severity::Invalid, text, advice));
    }
    let samples = facts.due.saturating_sub(facts.unanswered);
    (samples < limits.samples_min).then(|| {
        finding(
            Severity::Invalid,
            format!("{samples} samples, fewer than {}", limits.samples_min),
            "raise load.duration_s or the load",
        )
    })
}

fn unanswered(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let RunFacts { due, unanswered, .. } = *facts;
    let share = facts.unanswered_share();
    (share > limits.unanswered_share_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "{unanswered} of {due} requests that were due ({:.1} %) were not answered, more than {}",
                share * 100.0,
                percent(limits.unanswered_share_max)
            ),
            "lower the load, or raise timeouts.client_ms: percentiles marked ≥ are lower bounds",
        )
    })
}

fn executed_before_commit(facts: &RunFacts) -> Option<Finding> {
    (!facts.executed_before_commit.is_empty()).then(|| {
        finding(
            Severity::Invalid,
            format!("executions cannot be faster than commits: {}", facts.executed_before_commit),
            "the latencies of commits and executions are not of the same requests: report it",
        )
    })
}

fn foreign_load(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.foreign_cpu_share?;
    (share > limits.foreign_cpu_share_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "{FOREIGN_LOAD} {} of {}'s CPU{}, more than {}",
                percent(share),
                named(&facts.foreign_host),
                restriction(facts),
                percent(limits.foreign_cpu_share_max)
            ),
            "stop them and run again",
        )
    })
}

fn rate_missed(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let offered = facts.offered_ops_per_s.filter(|_| facts.due > 0)?;
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

/// In a closed loop, too: whoever stands still asks for nothing and sees every answer late.
fn generator_still(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let still_ms = facts.generator_still_ms?;
    (still_ms > limits.generator_still_ms_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "the load generator stood still for {still_ms:.0} ms, more than {:.0} ms",
                limits.generator_still_ms_max
            ),
            "it was stopped, or the host gave it no CPU: run it again on a host that does nothing else",
        )
    })
}

fn generator_full(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.generator_core_share?;
    (share > limits.generator_core_share_max).then(|| {
        finding(
            Severity::Invalid,
            format!(
                "the load generator used {} of its core, more than {}: it, not the cluster, was the limit",
                percent(share),
                percent(limits.generator_core_share_max)
            ),
            "use fewer clients, a smaller window or a lower rate",
        )
    })
}

/// A loop that saturates by design uses up its quota by design.
fn throttled(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.throttled_share?;
    let (severity, prefix) = match facts.mode {
        LoadMode::Open => (Severity::Invalid, String::new()),
        LoadMode::Closed | LoadMode::Pipelined => (Severity::Warning, format!("{HOST_BOUND}: ")),
    };
    (share > limits.throttled_share_max).then(|| {
        finding(
            severity,
            format!(
                "{prefix}the control group{} was throttled in {} of its periods, more than {}",
                of_host(&facts.throttled_host),
                percent(share),
                percent(limits.throttled_share_max)
            ),
            "compare operations per CPU-second, or raise its CPU quota",
        )
    })
}

fn host_bound(facts: &RunFacts, limits: &Limits) -> Option<Finding> {
    let share = facts.host_busy_share?;
    (share > limits.host_busy_share_max).then(|| {
        finding(
            Severity::Warning,
            format!(
                "{HOST_BOUND}: {}'s CPU was {} busy{}",
                named(&facts.busy_host),
                percent(share),
                restriction(facts)
            ),
            "compare operations per CPU-second",
        )
    })
}

/// Which host, where there are several.
fn named(host: &str) -> String {
    if host.is_empty() { "the host".to_owned() } else { format!("the host {host}") }
}

/// Of which host, where there are several.
fn of_host(host: &str) -> String {
    if host.is_empty() { String::new() } else { format!(" on {}", named(host)) }
}

/// In brackets, what the run may use of the host.
fn restriction(facts: &RunFacts) -> String {
    match facts.host_restriction.as_str() {
        "" => String::new(),
        restriction => format!(" (the run may use {restriction})"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests;
