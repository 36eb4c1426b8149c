//! What a driver collects about one run. Both drivers, real and simulated, fill the same record; all rows follow from
//! it.

use std::time::{Duration, SystemTime};

use crate::{
    identity::Identity,
    kept::{Kept, KeptRow, Recovery, RecoveryRow},
    knee::{KneeRow, Step},
    network::{NetworkReport, NetworkRow},
    population::Population,
    replica::ReplicaReport,
    returns::{Promise, ReturnRow},
    rows::{EventRow, GapRow, LatencyRow, ReplicaRow, SummaryRow, TimeseriesRow, VerdictRow},
    silence::Silences,
    timeline::Timeline,
    verdict::{RunFacts, Verdict},
};

/// Latencies of one kind of operation: of all that were due in the measured time, answered or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationRecord {
    /// From the time at which the request was due to the reply. In closed and pipelined loops it is due when it is sent.
    pub latency: Population,
    /// From the actual send to the reply. Equal to `latency` but in an open loop.
    pub service: Population,
}

/// What the clients of one site saw, warm-up excluded.
#[derive(Clone, Debug)]
pub struct SiteRecord {
    /// The site's name.
    pub site: String,
    /// Reads that were due in the measured time.
    pub reads: OperationRecord,
    /// Writes that were due in the measured time.
    pub writes: OperationRecord,
    /// What was due and never sent, so that nobody knows whether it would have been a read; without a service time.
    pub unsent: OperationRecord,
    /// Operations that were answered in the measured time, whenever they were due: the throughput.
    pub answered: u64,
    /// Operations due in the measured time that were refused.
    pub errors: u64,
    /// Operations due in the measured time that were never answered: nobody knows their outcome.
    pub unknown: u64,
    /// The same over time.
    pub timeline: Timeline,
    /// When nothing was answered.
    pub replies: Silences,
}

/// A request that was due in the measured time, as far as its time is known. Times are in nanoseconds since the start of
/// measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When it was due.
    pub due_ns: u64,
    /// When it was sent first.
    pub sent_ns: u64,
    /// When it was answered, refused or given up.
    pub ended_ns: u64,
}

/// A fault, or whatever else happened during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Seconds since the start of measuring; negative during the warm-up.
    pub t_s: f64,
    /// What: kill, restart, partition, heal, …
    pub event: String,
    /// To whom, and how it went.
    pub detail: String,
}

/// One run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Which run.
    pub identity: Identity,
    /// When measuring started. A simulation gives the epoch, so that its files depend on nothing but the seed.
    pub started: SystemTime,
    /// How long was measured.
    pub elapsed: Duration,
    /// The open loop's schedule over the measured time, operations per second; `None` in other modes.
    pub offered_ops_per_s: Option<f64>,
    /// How late an open loop's requests left that were due in the measured time; `None` in other modes.
    pub generator_lag: Option<Population>,
    /// Whether the protocol has a fast path; without one the fast-path figures have no meaning and stay empty.
    pub has_fast_path: bool,
    /// What the clients saw, per site; the site at each place is that of the replica with this number.
    pub sites: Vec<SiteRecord>,
    /// When nothing was answered anywhere.
    pub replies: Silences,
    /// What the replicas did in the measured time.
    pub replicas: Vec<ReplicaReport>,
    /// What processes reported last that ended in the measured time, as far as they could still be asked. Only what they
    /// did over time is taken from it.
    pub ended: Vec<ReplicaReport>,
    /// CPU time of all replica processes in the measured time, seconds.
    pub server_cpu_s: Option<f64>,
    /// CPU time of all clients in the measured time, seconds.
    pub client_cpu_s: Option<f64>,
    /// Faults and the like, in order.
    pub events: Vec<Event>,
    /// What the run is held to after each fault; `None` if nothing is promised.
    pub promise: Option<Promise>,
    /// The replicas that were started again, in order.
    pub recoveries: Vec<Recovery>,
    /// What became of the acknowledged writes; `None` if nobody looked.
    pub kept: Option<Kept>,
    /// What was done on purpose to the network, and to replicas' pace, by the name of whoever did it.
    pub networks: Vec<(String, NetworkReport)>,
    /// The steps of the search of which this run is the outcome; none where the rate was given.
    pub steps: Vec<Step>,
    /// Whether this run may be quoted.
    pub verdict: Verdict,
}

/// The rows of one run for every file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRows {
    /// For `summary.csv`.
    pub summary: SummaryRow,
    /// For `latency.csv`.
    pub latency: Vec<LatencyRow>,
    /// For `replicas.csv`.
    pub replicas: Vec<ReplicaRow>,
    /// For `timeseries.csv`.
    pub timeseries: Vec<TimeseriesRow>,
    /// For `events.csv`.
    pub events: Vec<EventRow>,
    /// For `gaps.csv`.
    pub gaps: Vec<GapRow>,
    /// For `returns.csv`.
    pub returns: Vec<ReturnRow>,
    /// For `kept.csv`.
    pub kept: Option<KeptRow>,
    /// For `recoveries.csv`.
    pub recoveries: Vec<RecoveryRow>,
    /// For `network.csv`.
    pub networks: Vec<NetworkRow>,
    /// For `knee.csv`.
    pub knee: Vec<KneeRow>,
    /// For `verdicts.csv`.
    pub verdicts: Vec<VerdictRow>,
}

impl OperationRecord {
    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
    }
}

impl SiteRecord {
    /// A site that has seen nothing yet and will be measured for `duration`.
    pub fn new(site: &str, duration: Duration) -> Self {
        Self {
            site: site.to_owned(),
            reads: OperationRecord::default(),
            writes: OperationRecord::default(),
            unsent: OperationRecord::default(),
            answered: 0,
            errors: 0,
            unknown: 0,
            timeline: Timeline::new(duration),
            replies: Silences::default(),
        }
    }

    /// Counts an operation that was answered `at_ns` after the start of measuring, whenever it was due.
    pub fn answer(&mut self, at_ns: u64) {
        self.answered += 1;
        self.timeline.answer(at_ns);
        self.replies.mark(at_ns);
    }

    /// Takes down how long a request took that was due in the measured time and was answered.
    pub fn record(&mut self, is_read: bool, times: Timed) {
        let Timed { due_ns, sent_ns, ended_ns } = times;
        let operation = self.operation(is_read);
        operation.latency.record_ns(ended_ns - due_ns);
        operation.service.record_ns(ended_ns - sent_ns);
        self.timeline.record(due_ns, ended_ns - due_ns);
    }

    /// Takes down a request that was due in the measured time and was refused.
    pub fn record_error(&mut self, is_read: bool, times: Timed) {
        self.errors += 1;
        self.censor(is_read, times);
    }

    /// Takes down a request that was due in the measured time and was waited for until `times.ended_ns`, without an answer.
    pub fn record_unknown(&mut self, is_read: bool, times: Timed) {
        self.unknown += 1;
        self.censor(is_read, times);
    }

    /// Takes down a request that was due in the measured time and had not been sent at `until_ns`.
    pub fn record_unsent(&mut self, due_ns: u64, until_ns: u64) {
        self.unknown += 1;
        self.unsent.latency.censor_ns(until_ns - due_ns);
        self.timeline.record_error(due_ns, until_ns - due_ns);
    }

    /// Everything that was due.
    pub fn all(&self) -> OperationRecord {
        let mut all = self.reads.clone();
        all.merge(&self.writes);
        all.merge(&self.unsent);
        all
    }

    fn censor(&mut self, is_read: bool, times: Timed) {
        let Timed { due_ns, sent_ns, ended_ns } = times;
        let operation = self.operation(is_read);
        operation.latency.censor_ns(ended_ns - due_ns);
        operation.service.censor_ns(ended_ns - sent_ns);
        self.timeline.record_error(due_ns, ended_ns - due_ns);
    }

    const fn operation(&mut self, is_read: bool) -> &mut OperationRecord {
        if is_read { &mut self.reads } else { &mut self.writes }
    }
}

impl RunRecord {
    /// A run in which nothing happened.
    #[cfg(test)]
    pub(crate) fn empty_for_tests() -> Self {
        Self {
            identity: Identity::default(),
            started: SystemTime::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            offered_ops_per_s: None,
            generator_lag: None,
            has_fast_path: false,
            sites: Vec::new(),
            replies: Silences::default(),
            replicas: Vec::new(),
            ended: Vec::new(),
            server_cpu_s: None,
            client_cpu_s: None,
            events: Vec::new(),
            promise: None,
            recoveries: Vec::new(),
            kept: None,
            networks: Vec::new(),
            steps: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// Operations that were answered in the measured time.
    pub fn operations(&self) -> u64 {
        self.sites.iter().map(|site| site.answered).sum()
    }

    /// Operations answered per second; `None` if no time was measured.
    pub fn throughput_ops_per_s(&self) -> Option<f64> {
        let elapsed_s = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
        (elapsed_s > 0.0).then(|| self.operations() as f64 / elapsed_s)
    }

    /// What the run is judged by, as far as the record knows.
    pub fn facts(&self) -> RunFacts {
        let sum = |count: fn(&SiteRecord) -> u64| self.sites.iter().map(count).sum::<u64>();
        let lag = self.generator_lag.as_ref();
        RunFacts {
            mode: self.identity.mode,
            offered_ops_per_s: self.offered_ops_per_s,
            achieved_ops_per_s: self.throughput_ops_per_s().unwrap_or(0.0),
            generator_lag_us_p99: lag.and_then(|lag| lag.percentile_us(99.0)).map(|lag| lag.us),
            due: sum(|site| site.all().latency.len()),
            unanswered: sum(|site| site.errors + site.unknown),
            executed_before_commit: self.executed_before_commit(),
            ..RunFacts::default()
        }
    }

    /// The client latencies of all sites and operations, merged.
    pub fn merged(&self) -> OperationRecord {
        let mut merged = OperationRecord::default();
        self.sites.iter().for_each(|site| merged.merge(&site.all()));
        merged
    }

    /// The commit latencies of all replicas, merged.
    pub fn merged_commit(&self) -> Population {
        merge_all(self.replicas.iter().map(|report| &report.commit))
    }

    /// The first percentile at which executions were faster than commits, at one replica or over all; empty if there is none.
    /// A request cannot be executed before it is committed, so that both sorted lists of latencies must say so, too.
    pub fn executed_before_commit(&self) -> String {
        let names = self.replicas.iter().map(|report| format!(" at replica {}", report.replica));
        let each =
            self.replicas.iter().map(|report| (report.commit.clone(), report.execute.clone()));
        let all = (String::new(), (self.merged_commit(), self.merged_execute()));
        let mut pairs = std::iter::once(all).chain(names.zip(each));
        let found = pairs.find_map(|(place, (commit, execute))| {
            // What is known of each, lower bound or not: of both the same end of a bucket.
            let (commit, execute) = (commit.known(), execute.known());
            let points = commit.distribution_us().into_iter().zip(execute.distribution_us());
            let below = |((_, commit), (_, execute)): &((f64, f64), (f64, f64))| execute < commit;
            let ((quantile, commit), (_, execute)) = points.into_iter().find(below)?;
            Some(format!(
                "p{:.4} of executions{place} {:.3} ms, of commits {:.3} ms",
                quantile * 100.0,
                execute / 1e3,
                commit / 1e3
            ))
        });
        found.unwrap_or_default()
    }

    /// The execution latencies of all replicas, merged.
    pub fn merged_execute(&self) -> Population {
        merge_all(self.replicas.iter().map(|report| &report.execute))
    }
}

fn merge_all<'a>(populations: impl Iterator<Item = &'a Population>) -> Population {
    populations.fold(Population::new(), |mut merged, population| {
        merged.merge(population);
        merged
    })
}
