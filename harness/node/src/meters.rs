//! What a replica counts and times about itself.

use std::time::{Duration, Instant};

use measure::{Histogram, ReplicaCounters, ReplicaReport, SeriesRecorder};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// Counters and histograms since the measuring began.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) counters: ReplicaCounters,
    commit: Histogram,
    execute: Histogram,
    series: SeriesRecorder,
    began: Instant,
    /// The process' CPU time when the measuring began; none since the start of the process.
    cpu_ns_before: u64,
}

impl Meters {
    /// Begins at the start of the process.
    pub(crate) fn new() -> Self {
        Self {
            counters: ReplicaCounters::default(),
            commit: Histogram::default(),
            execute: Histogram::default(),
            series: SeriesRecorder::default(),
            began: Instant::now(),
            cpu_ns_before: 0,
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Self { cpu_ns_before: cpu_ns().unwrap_or(0), ..Self::new() };
    }

    /// A commit became known at `now`, whoever had been asked for it.
    pub(crate) fn commit_seen(&mut self, now: Instant) {
        self.series.commit_seen(self.since_began_ns(now));
    }

    /// Something was executed at `now`.
    pub(crate) fn execution_seen(&mut self, now: Instant) {
        self.series.execution_seen(self.since_began_ns(now));
    }

    /// A request asked for here, which came in at `entered`, was committed at `now`.
    pub(crate) fn committed(&mut self, entered: Instant, now: Instant) {
        let latency_ns = nanoseconds(since(entered, now));
        self.commit.record_ns(latency_ns);
        self.series.committed(self.since_began_ns(now), latency_ns);
    }

    /// A request asked for here, which came in at `entered` and was committed at `committed`, was executed at `now`.
    pub(crate) fn executed(&mut self, entered: Instant, committed: Instant, now: Instant) {
        let latency_ns = nanoseconds(since(entered, now));
        self.execute.record_ns(latency_ns);
        let [now_ns, committed_ns] = [now, committed].map(|at| self.since_began_ns(at));
        self.series.executed(now_ns, latency_ns, committed_ns);
    }

    /// `inputs` were ready at once.
    pub(crate) fn drained(&mut self, inputs: u64) {
        self.counters.queue_depth_max = self.counters.queue_depth_max.max(inputs);
        self.counters.queue_depth_sum += inputs;
        self.counters.queue_depth_samples += 1;
    }

    /// Everything so far; the fields that the meters do not know are left at their defaults.
    pub(crate) fn report(&self) -> ReplicaReport {
        ReplicaReport {
            counters: self.counters,
            cpu_ns: cpu_ns().map(|now| now.saturating_sub(self.cpu_ns_before)),
            rss_bytes: measure::rss_bytes(),
            commit: self.commit.clone(),
            execute: self.execute.clone(),
            series: self.series.series(self.since_began_ns(Instant::now())),
            ..ReplicaReport::default()
        }
    }

    fn since_began_ns(&self, at: Instant) -> u64 {
        nanoseconds(since(self.began, at))
    }
}

/// From `earlier` to `now`, zero if the stamps were taken in the other order.
fn since(earlier: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(earlier)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this process, user and system.
fn cpu_ns() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok()
}
