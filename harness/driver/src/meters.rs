//! What a replica counts and times about itself.
//!
//! Counters and what happened over time are of the measured time. Latencies are of the requests
//! that came in during it, however late they are committed and executed: those that are quick to
//! come would be told alone otherwise.

use measure::{Population, ReplicaCounters, ReplicaReport, SeriesRecorder};

use crate::Nanos;

/// Chosen: a tenth of a second; little comes in within it, and a look costs microseconds.
const LOOK_AGAIN_AFTER: Nanos = 100_000_000;

/// Counters and histograms since the measuring began.
#[derive(Debug)]
pub struct Meters {
    pub(crate) counters: ReplicaCounters,
    commit: Population,
    execute: Population,
    series: SeriesRecorder,
    began: Nanos,
    /// When it ended, if it has.
    ended: Option<Nanos>,
    /// When to look next how much the core holds.
    look_at: Nanos,
}

impl Meters {
    /// Begins at `now`.
    pub fn new(now: Nanos) -> Self {
        Self {
            counters: ReplicaCounters::default(),
            commit: Population::default(),
            execute: Population::default(),
            series: SeriesRecorder::default(),
            began: now,
            ended: None,
            look_at: now,
        }
    }

    /// Ends the measured time at `now`: what comes in from then on is in no latency.
    pub fn end(&mut self, now: Nanos) {
        self.ended.get_or_insert(now);
    }

    /// A commit became known at `now`, of a request of this replica or of another.
    pub(crate) fn commit_seen(&mut self, now: Nanos) {
        self.series.commit_seen(self.since_began_ns(now));
    }

    /// Something was executed at `now`.
    pub(crate) fn execution_seen(&mut self, now: Nanos) {
        self.series.execution_seen(self.since_began_ns(now));
    }

    /// A request asked for here, which came in at `entered`, was committed at `now`.
    pub(crate) fn committed(&mut self, entered: Nanos, now: Nanos) {
        let latency_ns = now.saturating_sub(entered);
        if self.counts(entered) {
            self.commit.record_ns(latency_ns);
        }
        self.series.committed(self.since_began_ns(now), latency_ns);
    }

    /// A request asked for here, which came in at `entered` and was committed at `committed`, was
    /// executed at `now`.
    pub(crate) fn executed(&mut self, entered: Nanos, committed: Nanos, now: Nanos) {
        let latency_ns = now.saturating_sub(entered);
        if self.counts(entered) {
            self.execute.record_ns(latency_ns);
        }
        let [now_ns, committed_ns] = [now, committed].map(|at| self.since_began_ns(at));
        self.series.executed(now_ns, latency_ns, committed_ns);
    }

    /// A request that came in at `entered` is waited for no more, at `now`: neither for its commit,
    /// unless it was committed before, nor for its execution.
    pub(crate) fn forgotten(&mut self, entered: Nanos, is_committed: bool, now: Nanos) {
        if self.counts(entered) {
            censor((&mut self.commit, &mut self.execute), (entered, is_committed), now);
        }
    }

    /// The core holds `bytes` at `now`. Until [`LOOK_AGAIN_AFTER`] later nobody need look again.
    pub(crate) fn held(&mut self, bytes: u64, now: Nanos) {
        self.counters.held_bytes_max = self.counters.held_bytes_max.max(bytes);
        self.look_at = now + LOOK_AGAIN_AFTER;
    }

    /// Is it time to look again how much the core holds?
    pub(crate) fn is_to_look(&self, now: Nanos) -> bool {
        now >= self.look_at
    }

    /// `inputs` were ready at once.
    pub(crate) fn drained(&mut self, inputs: u64) {
        self.counters.queue_depth_max = self.counters.queue_depth_max.max(inputs);
        self.counters.queue_depth_sum += inputs;
        self.counters.queue_depth_samples += 1;
    }

    /// Everything so far. `open` are the requests that are not executed, each with when it came in
    /// and whether it is committed: they have taken until `now` at least. The fields that the
    /// meters do not know are left at their defaults.
    pub fn report(&self, now: Nanos, open: impl Iterator<Item = (Nanos, bool)>) -> ReplicaReport {
        let (mut commit, mut execute) = (self.commit.clone(), self.execute.clone());
        for request in open.filter(|(entered, _)| self.counts(*entered)) {
            censor((&mut commit, &mut execute), request, now);
        }
        ReplicaReport {
            counters: self.counters,
            commit,
            execute,
            series: self.series.series(self.since_began_ns(now)),
            ..ReplicaReport::default()
        }
    }

    /// Did a request that came in at `entered` do so in the measured time?
    fn counts(&self, entered: Nanos) -> bool {
        entered >= self.began && self.ended.is_none_or(|ended| entered < ended)
    }

    fn since_began_ns(&self, at: Nanos) -> u64 {
        at.saturating_sub(self.began)
    }
}

/// Takes down that a request, which came in at `entered`, is not executed at `now`, and perhaps not
/// committed.
fn censor(
    (commit, execute): (&mut Population, &mut Population),
    (entered, is_committed): (Nanos, bool),
    now: Nanos,
) {
    let waited_ns = now.saturating_sub(entered);
    if !is_committed {
        commit.censor_ns(waited_ns);
    }
    execute.censor_ns(waited_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Nanos = 1_000_000_000;

    /// So many milliseconds after the meters began.
    const fn at(ms: u64) -> Nanos {
        BEGAN + ms * 1_000_000
    }

    #[test]
    fn latencies_are_of_what_came_in_during_the_measured_time() {
        let mut meters = Meters::new(BEGAN);
        let early = BEGAN - 5_000_000;
        let [ten, twenty, thirty] = [10, 20, 30].map(at);
        meters.end(at(25));
        meters.end(at(35));
        meters.committed(early, ten);
        meters.executed(early, ten, twenty);
        meters.committed(ten, twenty);
        meters.executed(ten, twenty, thirty);
        meters.committed(thirty, at(40));
        let report = meters.report(at(50), std::iter::empty());
        assert_eq!((report.commit.len(), report.execute.len()), (1, 1), "{report:?}");
        assert_eq!(report.execute.censored(), 0);
    }

    #[test]
    fn what_is_open_or_forgotten_is_censored_in_both_or_in_executions_alone() {
        let mut meters = Meters::new(BEGAN);
        let now = at(20);
        meters.committed(BEGAN, now);
        meters.forgotten(BEGAN, true, now);
        meters.forgotten(BEGAN, false, now);
        let report = meters.report(at(50), [(BEGAN, false)].into_iter());
        assert_eq!((report.commit.len(), report.commit.censored()), (3, 2));
        assert_eq!((report.execute.len(), report.execute.censored()), (3, 3));
        let again = meters.report(at(50), std::iter::empty());
        assert_eq!(again.commit.censored(), 1, "a report changes nothing");
    }
}
