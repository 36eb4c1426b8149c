//! From what a simulation did to a [`RunRecord`] with its verdict.

use std::time::{Duration, SystemTime};

use measure::{Event, Finding, Limits, ReplicaReport, RunFacts, RunRecord, Severity, judge};
use protocols::{Replica, ReplicaId};
use sim::{Broken, Simulation, Violation};
use workload::{Driver, Mode, Run, Workload};

use super::{beyond, generator::Generator};
use crate::{
    clients::{self, given_up},
    history::Judged,
    naming::identity,
};

/// Everything seen in one run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) elapsed: Duration,
    /// What the replicas did in the measured window.
    pub(super) replicas: Vec<ReplicaReport>,
    pub(super) events: Vec<Event>,
    /// Whether those that live are in equal states; none if they did not come to rest.
    pub(super) agree: Option<bool>,
    pub(super) findings: Vec<Finding>,
}

/// The record of `run`.
pub(super) fn record(
    run: &Run,
    load: Generator,
    judged: &Judged,
    seen: Seen,
    workload: &Workload,
) -> RunRecord {
    let open = run.point.mode == Mode::Open;
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
    let offered_ops_per_s =
        open.then(|| load.tally.due as f64 / seen.elapsed.as_secs_f64().max(1e-9));
    let closing_unanswered = load.closing_unanswered;
    let mut record = RunRecord {
        identity: identity(run, Driver::Sim),
        // Whatever is written depends on the workload alone.
        started: SystemTime::UNIX_EPOCH,
        elapsed: seen.elapsed,
        offered_ops_per_s,
        generator_lag: open.then_some(load.tally.lag),
        has_fast_path: run.protocol.has_fast_path,
        sites: load.tally.sites,
        replies: load.tally.replies,
        server_cpu_s: cpu_s(&seen.replicas),
        // Simulated clients take no time.
        client_cpu_s: None,
        replicas: seen.replicas,
        // A simulated replica that died can still be asked.
        ended: Vec::new(),
        events: seen.events,
        promise: clients::promise(workload),
        recoveries: Vec::new(),
        kept: None,
        networks: Vec::new(),
        steps: Vec::new(),
        verdict: measure::Verdict::default(),
    };
    let mut findings = seen.findings;
    findings.extend(of_clients(&record, closing_unanswered));
    findings.extend(workload.sim.as_ref().and_then(|costs| beyond::finding(run, &record, costs)));
    findings.extend(record.missed_returns());
    let mut facts = RunFacts { replicas_agree: seen.agree, findings, ..record.facts() };
    judged.enter(&mut facts);
    record.verdict = judge(&facts, &Limits::default());
    record
}

fn of_clients(record: &RunRecord, closing_unanswered: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |severity, text: String, advice: &str| {
        findings.push(Finding { severity, text, advice: advice.to_owned() });
    };
    if closing_unanswered > 0 {
        let text = format!(
            "{closing_unanswered} closing reads were not answered: nobody knows whether those replicas hold the last \
             writes"
        );
        find(Severity::Invalid, text, "lower the load, or raise timeouts.client_ms");
    }
    findings.extend(given_up(record));
    findings
}

/// What an observer has to say of the rule that was broken.
pub(super) fn finding(violation: &Violation) -> Finding {
    let breach = &violation.breach;
    Finding {
        severity: Severity::Violation,
        text: format!("{:?} broken at {} ns: {}", breach.broken, violation.at_ns, breach.detail),
        advice:
            "the evidence file in the results has the last events; the same command shows it again"
                .to_owned(),
    }
}

/// Is the rule one about replicas that must agree?
pub(super) const fn disagree(broken: Broken) -> bool {
    matches!(broken, Broken::Agreement | Broken::Visibility | Broken::Order | Broken::Equality)
}

/// Simulated CPU time of all replicas, seconds; none if work takes none.
fn cpu_s(reports: &[ReplicaReport]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
    reports.iter().map(|report| report.cpu_ns.map(|ns| ns as f64 / 1e9)).sum()
}

/// What each replica has counted and timed in the measured window.
pub(super) fn reports<R: Replica>(
    simulation: &Simulation<R, Generator>,
    replicas: usize,
) -> Vec<ReplicaReport> {
    ReplicaId::all(replicas).map(|replica| simulation.report(replica)).collect()
}

/// Completes the reports with the latencies of what came in during the window and was executed after it.
pub(super) fn complete<R: Replica>(
    simulation: &Simulation<R, Generator>,
    reports: &mut [ReplicaReport],
) {
    for (replica, report) in ReplicaId::all(reports.len()).zip(reports) {
        let late = simulation.report(replica);
        (report.commit, report.execute) = (late.commit, late.execute);
    }
}
