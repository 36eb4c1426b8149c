//! What a replica counts and times about itself.
//!
//! Counters, CPU time and what happened over time are of the measured time. Latencies are of the requests that came in
//! during it, however late they are committed and executed: those that are quick to come would be told alone otherwise.

use std::time::{Duration, Instant};

use measure::{Population, ReplicaCounters, ReplicaReport, SeriesRecorder};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// Counters and histograms since the measuring began.
#[derive(Debug)]
pub(crate) struct Meters {
    pub(crate) counters: ReplicaCounters,
    commit: Population,
    execute: Population,
    series: SeriesRecorder,
    began: Instant,
    /// When it ended, if it has.
    ended: Option<Instant>,
    /// The process' CPU time when the measuring began; none since the start of the process.
    cpu_ns_before: u64,
}

impl Meters {
    /// Begins at the start of the process.
    pub(crate) fn new() -> Self {
        Self {
            counters: ReplicaCounters::default(),
            commit: Population::default(),
            execute: Population::default(),
            series: SeriesRecorder::default(),
            began: Instant::now(),
            ended: None,
            cpu_ns_before: 0,
        }
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Self { cpu_ns_before: cpu_ns().unwrap_or(0), ..Self::new() };
    }

    /// Ends the measured time: what comes in from now on is in no latency.
    pub(crate) fn end(&mut self) {
        self.ended.get_or_insert_with(Instant::now);
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
        if self.counts(entered) {
            self.commit.record_ns(latency_ns);
        }
        self.series.committed(self.since_began_ns(now), latency_ns);
    }

    /// A request asked for here, which came in at `entered` and was committed at `committed`, was executed at `now`.
    pub(crate) fn executed(&mut self, entered: Instant, committed: Instant, now: Instant) {
        let latency_ns = nanoseconds(since(entered, now));
        if self.counts(entered) {
            self.execute.record_ns(latency_ns);
        }
        let [now_ns, committed_ns] = [now, committed].map(|at| self.since_began_ns(at));
        self.series.executed(now_ns, latency_ns, committed_ns);
    }

    /// A request that came in at `entered` is waited for no more, at `now`: neither for its commit, unless it was committed
    /// before, nor for its execution.
    pub(crate) fn forgotten(&mut self, entered: Instant, is_committed: bool, now: Instant) {
        if self.counts(entered) {
            censor((&mut self.commit, &mut self.execute), (entered, is_committed), now);
        }
    }

    /// `inputs` were ready at once.
    pub(crate) fn drained(&mut self, inputs: u64) {
        self.counters.queue_depth_max = self.counters.queue_depth_max.max(inputs);
        self.counters.queue_depth_sum += inputs;
        self.counters.queue_depth_samples += 1;
    }

    /// Everything so far. `open` are the requests that are not executed, each with when it came in and whether it is
    /// committed: they have taken until now at least. The fields that the meters do not know are left at their defaults.
    pub(crate) fn report(&self, open: impl Iterator<Item = (Instant, bool)>) -> ReplicaReport {
        let now = Instant::now();
        let (mut commit, mut execute) = (self.commit.clone(), self.execute.clone());
        for request in open.filter(|(entered, _)| self.counts(*entered)) {
            censor((&mut commit, &mut execute), request, now);
        }
        ReplicaReport {
            counters: self.counters,
            cpu_ns: cpu_ns().map(|now| now.saturating_sub(self.cpu_ns_before)),
            rss_bytes: measure::rss_bytes(),
            commit,
            execute,
            series: self.series.series(self.since_began_ns(now)),
            ..ReplicaReport::default()
        }
    }

    /// Did a request that came in at `entered` do so in the measured time?
    fn counts(&self, entered: Instant) -> bool {
        entered >= self.began && self.ended.is_none_or(|ended| entered < ended)
    }

    fn since_began_ns(&self, at: Instant) -> u64 {
        nanoseconds(since(self.began, at))
    }
}

/// Takes down that a request, which came in at `entered`, is not executed at `now`, and perhaps not committed.
fn censor(
    (commit, execute): (&mut Population, &mut Population),
    (entered, is_committed): (Instant, bool),
    now: Instant,
) {
    let waited_ns = nanoseconds(since(entered, now));
    if !is_committed {
        commit.censor_ns(waited_ns);
    }
    execute.censor_ns(waited_ns);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `ms` after the meters began.
    fn at(meters: &Meters, ms: u64) -> Instant {
        meters.began + Duration::from_millis(ms)
    }

    #[test]
    fn latencies_are_of_what_came_in_during_the_measured_time() {
        let mut meters = Meters::new();
        let early = meters.began.checked_sub(Duration::from_millis(5)).unwrap();
        let [ten, twenty, thirty] = [10, 20, 30].map(|ms| at(&meters, ms));
        meters.ended = Some(at(&meters, 25));
        meters.committed(early, ten);
        meters.executed(early, ten, twenty);
        meters.committed(ten, twenty);
        meters.executed(ten, twenty, thirty);
        meters.committed(thirty, at(&meters, 40));
        let report = meters.report(std::iter::empty());
        assert_eq!((report.commit.len(), report.execute.len()), (1, 1), "{report:?}");
        assert_eq!(report.execute.censored(), 0);
    }

    #[test]
    fn what_is_open_or_forgotten_is_censored_in_both_or_in_executions_alone() {
        let mut meters = Meters::new();
        let began = meters.began;
        let now = at(&meters, 20);
        meters.committed(began, now);
        meters.forgotten(began, true, now);
        meters.forgotten(began, false, now);
        let report = meters.report([(began, false)].into_iter());
        assert_eq!((report.commit.len(), report.commit.censored()), (3, 2));
        assert_eq!((report.execute.len(), report.execute.censored()), (3, 3));
        let again = meters.report(std::iter::empty());
        assert_eq!(again.commit.censored(), 1, "a report changes nothing");
    }
}
