//! From what was seen to a [`RunRecord`] with its verdict.

use std::time::{Duration, SystemTime};

use measure::{
    Event, Finding, Kept, Limits, Promise, Recovery, ReplicaReport, RunFacts, RunRecord, Severity,
    judge, network_findings,
};
use node::agent::wire::HostSample;
use protocols::{ReplicaId, ReplicaSet};
use workload::{Driver, Durability, Mode, Run};

use super::{compare::Agreement, fleet::Fleet, generator::Generator, hosts, network};
use crate::{Error, Stop, clients::given_up, history::Judged, naming::identity};

/// The CPU clocks of the hosts and of the processes that order them about, at one moment: this
/// host's first, then those of the replicas' hosts by number, if they are others.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks(pub(super) Vec<HostSample>);

impl Clocks {
    /// Reads them.
    ///
    /// # Errors
    /// If a host does not say.
    pub(super) async fn now(fleet: &Fleet) -> Result<Self, Error> {
        fleet.samples().await.map(Self)
    }
}

/// Everything seen in the measured window of one run.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) started: SystemTime,
    pub(super) elapsed: Duration,
    pub(super) before: Clocks,
    pub(super) after: Clocks,
    /// What the replicas report; those that could not be asked are missing.
    pub(super) replicas: Vec<ReplicaReport>,
    /// What those reported last that were killed.
    pub(super) ended: Vec<ReplicaReport>,
    /// Those that the fault plan killed and did not start again.
    pub(super) killed: ReplicaSet,
    /// The CPU time that those lives of each replica used in the window that were killed, seconds,
    /// by number; none where it is not known.
    pub(super) killed_cpu_s: Vec<Option<f64>>,
    /// The names of the replicas' hosts, by number; none if all are on this one.
    pub(super) hosts: Vec<String>,
    /// Those that it started again.
    pub(super) restarted: ReplicaSet,
    /// The faults as they happened.
    pub(super) faults: Vec<Event>,
    /// How those came back that were started again.
    pub(super) recoveries: Vec<Recovery>,
    /// None if the run ended before its time.
    pub(super) agreement: Option<Agreement>,
    /// What the replicas' records survive.
    pub(super) durability: Durability,
    pub(super) stop: Option<Stop>,
    /// What could not be done beside the run, a line each.
    pub(super) warnings: Vec<String>,
}

impl Seen {
    /// Is nothing of it evidence of anything, as far as that is known before the history is judged?
    pub(super) fn is_in_order(&self) -> bool {
        let agree = self.agreement.as_ref().and_then(|agreement| agreement.agree);
        agree == Some(true) && self.stop.is_none()
    }

    /// Those that said what they did in the window.
    pub(super) fn reported(&self) -> ReplicaSet {
        let replica = |report: &ReplicaReport| {
            ReplicaId::from_index(usize::try_from(report.replica).expect("at most 51"))
        };
        self.replicas.iter().map(replica).collect()
    }

    /// Completes a report with the latencies of what came in during the window and was executed after it.
    pub(super) fn complete(&mut self, late: ReplicaReport) {
        let its = |report: &&mut ReplicaReport| report.replica == late.replica;
        if let Some(report) = self.replicas.iter_mut().find(its) {
            report.commit = late.commit;
            report.execute = late.execute;
        }
    }
}

/// The record of `run`.
pub(super) fn record(
    run: &Run,
    mut load: Generator,
    judged: &Judged,
    seen: Seen,
    promise: Option<Promise>,
) -> RunRecord {
    let elapsed_s = seen.elapsed.as_secs_f64();
    let all_reported = seen.replicas.len() + seen.killed.len() == run.point.replicas;
    let replicas_cpu_s = hosts::replicas_cpu_s(&seen.replicas, &seen.killed_cpu_s);
    let server_cpu_s: Option<f64> =
        replicas_cpu_s.iter().copied().sum::<Option<f64>>().filter(|_| all_reported);
    let client_cpu_s = hosts::own_s(&seen.before, &seen.after);
    let of_hosts = hosts::of(&seen, &replicas_cpu_s, all_reported);
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
    let offered_ops_per_s =
        (run.point.mode == Mode::Open).then(|| load.tally.due as f64 / elapsed_s.max(1e-9));
    let sites = std::mem::take(&mut load.tally.sites);
    let mut record = RunRecord {
        identity: identity(run, Driver::Quic),
        started: seen.started,
        elapsed: seen.elapsed,
        offered_ops_per_s,
        generator_lag: (run.point.mode == Mode::Open).then(|| load.tally.lag.clone()),
        has_fast_path: run.protocol.has_fast_path,
        sites,
        replies: std::mem::take(&mut load.tally.replies),
        replicas: seen.replicas,
        ended: seen.ended,
        server_cpu_s,
        client_cpu_s,
        events: Vec::new(),
        promise,
        recoveries: seen.recoveries,
        // Whoever did not come to rest may lack what it has yet to execute.
        kept: (seen.agreement.as_ref().filter(|agreement| agreement.agree.is_some()))
            .map(|agreement| kept(agreement, judged, seen.durability)),
        networks: Vec::new(),
        steps: Vec::new(),
        verdict: measure::Verdict::default(),
    };
    record.networks = network::reports(&record.replicas, &record.sites, &load.networks);
    record.events = events(&load, seen.faults, &seen.stop, seen.elapsed);
    let core_share = client_cpu_s.map(|client_s| client_s / elapsed_s.max(1e-9));
    let mut facts = RunFacts {
        generator_still_ms: Some(load.stood_still.as_secs_f64() * 1e3),
        generator_core_share: core_share,
        foreign_cpu_share: of_hosts.foreign.share,
        host_busy_share: of_hosts.busy.share,
        throttled_share: of_hosts.throttled.share,
        host_restriction: of_hosts.busy.restriction,
        foreign_host: of_hosts.foreign.name,
        busy_host: of_hosts.busy.name,
        throttled_host: of_hosts.throttled.name,
        deaths: match &seen.stop {
            Some(Stop::Died(death)) => vec![death.to_string()],
            _ => Vec::new(),
        },
        interrupted: matches!(seen.stop, Some(Stop::Interrupted(_))),
        replicas_agree: seen.agreement.as_ref().and_then(|agreement| agreement.agree),
        findings: findings(&record, &load, seen.killed, &seen.stop, seen.agreement),
        ..record.facts()
    };
    judged.enter(&mut facts);
    record.verdict = judge(&facts, &Limits::default());
    record
}

/// What became of the acknowledged writes, as the replicas' own counts and the closing reads show it.
fn kept(agreement: &Agreement, judged: &Judged, durability: Durability) -> Kept {
    let (lost, twice, differing) = agreement.kept(judged.writes);
    Kept {
        durability: durability.name().to_owned(),
        acknowledged: judged.writes.acknowledged,
        lost: lost.max(judged.lost),
        twice,
        differing,
    }
}

/// What the rules of [`measure::judge`] do not see.
fn findings(
    record: &RunRecord,
    load: &Generator,
    killed: ReplicaSet,
    stop: &Option<Stop>,
    agreement: Option<Agreement>,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        agreement.and_then(|agreement| agreement.finding).into_iter().collect();
    findings.extend(network_findings(&record.networks));
    findings.extend(given_up(record).filter(|_| stop.is_none()));
    findings.extend(record.missed_returns());
    let mut find = |severity, text: String, advice: &str| {
        findings.push(Finding { severity, text, advice: advice.to_owned() });
    };
    if let Some(Kept { lost: lost @ 1.., acknowledged, .. }) = record.kept {
        let text = format!("{lost} of {acknowledged} acknowledged writes are lost");
        find(Severity::Violation, text, "keep the results directory: it is the evidence");
    }
    if let Some(Kept { twice: twice @ 1.., .. }) = record.kept {
        let text = format!("a replica applied {twice} writes more than clients asked for");
        find(Severity::Violation, text, "keep the results directory: it is the evidence");
    }
    if let Some(Stop::Failed(error)) = stop {
        find(Severity::Invalid, format!("the run failed: {error}"), "look at the replicas' logs");
    }
    for killed in killed.iter() {
        let cpu = if record.server_cpu_s.is_some() { "" } else { ", its CPU time not known" };
        let text =
            format!("killed as planned, and left out of what is compared{cpu}: r{}", killed.0);
        find(Severity::Warning, text, "see events.csv for the moment");
    }
    for loss in load.losses.iter().filter(|_| stop.is_none()) {
        let again = if loss.mended_ns.is_some() { "opened again" } else { "not opened again" };
        let text = format!("the clients lost their session, which was {again}: {}", loss.reason);
        find(Severity::Warning, text, "its requests were asked of the next replica at once");
    }
    if load.closing_unanswered > 0 && stop.is_none() {
        let text = format!(
            "{} closing reads were not answered: nobody knows whether those replicas hold the last writes",
            load.closing_unanswered
        );
        find(Severity::Invalid, text, "lower the load, or look at the replicas' logs");
    }
    let errors: u64 = record.sites.iter().map(|site| site.errors).sum();
    if errors > 0 {
        let text = format!("{errors} operations were refused");
        find(Severity::Warning, text, "use fewer clients: a replica admits so many sessions");
    }
    findings
}

fn events(
    load: &Generator,
    mut events: Vec<Event>,
    stop: &Option<Stop>,
    elapsed: Duration,
) -> Vec<Event> {
    for loss in &load.losses {
        let replica = format!("replica {}", loss.replica.0);
        events.push(Event {
            t_s: load.tally.since_begin_s(loss.at_ns),
            event: "session-lost".to_owned(),
            detail: format!("{replica}: {}", loss.reason),
        });
        events.extend(loss.mended_ns.map(|at_ns| Event {
            t_s: load.tally.since_begin_s(at_ns),
            event: "session-opened".to_owned(),
            detail: replica,
        }));
    }
    events.sort_by(|one, other| one.t_s.total_cmp(&other.t_s));
    let ended = match stop {
        None => None,
        Some(Stop::Interrupted(signal)) => Some(("interrupted", (*signal).to_owned())),
        Some(Stop::Died(death)) => Some(("died", death.to_string())),
        Some(Stop::Failed(error)) => Some(("failed", error.to_string())),
    };
    events.extend(ended.map(|(event, detail)| Event {
        t_s: elapsed.as_secs_f64(),
        event: event.to_owned(),
        detail,
    }));
    events
}
