//! What a replica counts and times about itself.

use std::time::{Duration, Instant};

use measure::{Histogram, ReplicaCounters, ReplicaReport};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// Counters and histograms since the measuring began.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) counters: ReplicaCounters,
    commit: Histogram,
    execute: Histogram,
    /// The process' CPU time when the measuring began; none since the start of the process.
    cpu_ns_before: u64,
}

impl Meters {
    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Self { cpu_ns_before: cpu_ns().unwrap_or(0), ..Self::default() };
    }

    /// A request asked for here was committed, `latency` after it came in.
    pub(crate) fn committed(&mut self, latency: Duration) {
        self.commit.record_ns(nanoseconds(latency));
    }

    /// A request asked for here was executed, `latency` after it came in.
    pub(crate) fn executed(&mut self, latency: Duration) {
        self.execute.record_ns(nanoseconds(latency));
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
            ..ReplicaReport::default()
        }
    }
}

/// From `earlier` to `now`, zero if the stamps were taken in the other order.
pub(crate) fn since(earlier: Instant, now: Instant) -> Duration {
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
