//! What a driver collects about one run. Both drivers, real and simulated, fill the same record; all rows follow from
//! it.

use std::time::{Duration, SystemTime};

use crate::histogram::Histogram;
use crate::kept::{Kept, KeptRow, Recovery, RecoveryRow};
use crate::knee::{KneeRow, Step};
use crate::network::{NetworkReport, NetworkRow};
use crate::replica::ReplicaReport;
use crate::rows::{
    EventRow, GapRow, LatencyRow, ReplicaRow, SummaryRow, TimeseriesRow, VerdictRow,
};
use crate::silence::Silences;
use crate::timeline::Timeline;
use crate::verdict::{LoadMode, Verdict};

/// Which run this is: protocol × point × repetition, and the workload's values at that point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The protocol's name.
    pub protocol: String,
    /// The driver's name: quic or sim.
    pub driver: String,
    /// Canonical text of the swept keys and their values; empty when nothing is swept.
    pub point: String,
    /// Counted from 1.
    pub repetition: u32,
    /// Replicas in the cluster.
    pub replicas: u32,
    /// How the load is made.
    pub mode: LoadMode,
    /// Share of commands on the shared key; `None` with other key choices.
    pub conflict_rate: Option<f64>,
    /// Clients in all. They are spread over the sites as evenly as it goes, one more at each of the
    /// first.
    pub clients: u32,
    /// Outstanding requests per client.
    pub window: u32,
    /// The whole cluster's offered rate as configured; `None` unless the loop is open.
    pub rate_ops_per_s: Option<f64>,
    /// Size of a value.
    pub value_bytes: u64,
    /// Every swept key (its name without the table) with its value as text. Those without a column of their own in
    /// `summary.csv` become one.
    pub swept: Vec<(String, String)>,
}

impl Identity {
    /// Clients at each site; `None` if not as many at each.
    pub fn clients_per_site(&self) -> Option<u32> {
        let left_over = self.clients.checked_rem(self.replicas)?;
        (left_over == 0).then(|| self.clients / self.replicas)
    }
}

/// Latencies of one kind of operation. The number of operations is the number of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationRecord {
    /// From the intended send to the reply.
    pub latency: Histogram,
    /// From the actual send to the reply. Equal to `latency` but in an open loop.
    pub service: Histogram,
}

/// What the clients of one site saw, warm-up excluded.
#[derive(Clone, Debug)]
pub struct SiteRecord {
    /// The site's name.
    pub site: String,
    /// Reads that were answered.
    pub reads: OperationRecord,
    /// Writes that were answered.
    pub writes: OperationRecord,
    /// Operations that certainly failed.
    pub errors: u64,
    /// Operations whose outcome is not known: a timeout, a lost connection.
    pub unknown: u64,
    /// The same over time.
    pub timeline: Timeline,
    /// When nothing was answered.
    pub replies: Silences,
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
    /// Counts one answered operation.
    pub fn record_ns(&mut self, latency_ns: u64, service_ns: u64) {
        self.latency.record_ns(latency_ns);
        self.service.record_ns(service_ns);
    }

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
            errors: 0,
            unknown: 0,
            timeline: Timeline::new(duration),
            replies: Silences::default(),
        }
    }

    /// Counts an operation that was answered `at_ns` after the start of measuring.
    pub fn record(&mut self, at_ns: u64, is_read: bool, latency_ns: u64, service_ns: u64) {
        let operation = if is_read { &mut self.reads } else { &mut self.writes };
        operation.record_ns(latency_ns, service_ns);
        self.timeline.record(at_ns, latency_ns);
        self.replies.mark(at_ns);
    }

    /// Counts an operation that certainly failed, as seen `at_ns` after the start of measuring.
    pub fn record_error(&mut self, at_ns: u64) {
        self.errors += 1;
        self.timeline.record_error(at_ns);
    }

    /// Counts an operation whose outcome is not known, given up `at_ns` after the start of measuring. Over time it
    /// counts as an error.
    pub fn record_unknown(&mut self, at_ns: u64) {
        self.unknown += 1;
        self.timeline.record_error(at_ns);
    }

    /// Reads and writes together.
    pub fn all(&self) -> OperationRecord {
        let mut all = self.reads.clone();
        all.merge(&self.writes);
        all
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
            has_fast_path: false,
            sites: Vec::new(),
            replies: Silences::default(),
            replicas: Vec::new(),
            ended: Vec::new(),
            server_cpu_s: None,
            client_cpu_s: None,
            events: Vec::new(),
            recoveries: Vec::new(),
            kept: None,
            networks: Vec::new(),
            steps: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// Operations that were answered.
    pub fn operations(&self) -> u64 {
        self.sites.iter().map(|site| site.reads.latency.len() + site.writes.latency.len()).sum()
    }

    /// Operations answered per second; `None` if no time was measured.
    pub fn throughput_ops_per_s(&self) -> Option<f64> {
        let elapsed_s = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 operations")]
        (elapsed_s > 0.0).then(|| self.operations() as f64 / elapsed_s)
    }

    /// The client latencies of all sites and operations, merged.
    pub fn merged(&self) -> OperationRecord {
        let mut merged = OperationRecord::default();
        for site in &self.sites {
            merged.merge(&site.reads);
            merged.merge(&site.writes);
        }
        merged
    }

    /// The commit latencies of all replicas, merged.
    pub fn merged_commit(&self) -> Histogram {
        merge_all(self.replicas.iter().map(|report| &report.commit))
    }

    /// The execution latencies of all replicas, merged.
    pub fn merged_execute(&self) -> Histogram {
        merge_all(self.replicas.iter().map(|report| &report.execute))
    }
}

fn merge_all<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Histogram {
    histograms.fold(Histogram::new(), |mut merged, histogram| {
        merged.merge(histogram);
        merged
    })
}
