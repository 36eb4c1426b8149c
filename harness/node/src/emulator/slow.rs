//! A replica that is slower than its host: for every second of CPU time that its thread uses, the thread stands still for
//! some more.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use measure::SlowReport;
use nix::time::{ClockId, clock_gettime};

/// Chosen: a shorter stand would cost more than it lasts.
const STILL_MIN: Duration = Duration::from_micros(200);
/// Chosen: a thread stands still no longer than this at once, so that it answers at least so often; the rest follows.
const STILL_MAX: Duration = Duration::from_millis(50);

/// A thread, slowed. It must be told often, always on the same thread, and sleeps inside.
#[derive(Debug)]
pub(crate) struct Slow {
    factor: f64,
    /// The thread's CPU time when it was last looked at.
    used: Duration,
    /// How long it has to stand still yet; below zero if it stood too long.
    owed_ns: i64,
    pub(crate) report: SlowReport,
}

impl Slow {
    /// This thread, as fast as it is; no clock is read until it is slowed.
    pub(crate) fn new() -> Self {
        Self { factor: 1.0, used: Duration::ZERO, owed_ns: 0, report: SlowReport::default() }
    }

    /// From now on every CPU-second takes `factor` seconds.
    pub(crate) fn set(&mut self, factor: f64) {
        self.factor = if factor > 1.0 { factor.min(1e6) } else { 1.0 };
        self.used = cpu_time();
        self.owed_ns = 0;
    }

    /// Stands still for what was used since the last time. True if more is owed: then the thread should come back soon.
    pub(crate) fn pay(&mut self) -> bool {
        if self.factor <= 1.0 {
            return false;
        }
        let now = cpu_time();
        let used = now.saturating_sub(self.used);
        self.used = now;
        let still = used.mul_f64(self.factor - 1.0);
        self.owed_ns = self.owed_ns.saturating_add_unsigned(nanoseconds(still));
        self.report.cpu_ns += nanoseconds(used);
        self.report.still_asked_ns += nanoseconds(still);
        let owed = Duration::from_nanos(u64::try_from(self.owed_ns).unwrap_or(0));
        if owed < STILL_MIN {
            return false;
        }
        let start = Instant::now();
        sleep(owed.min(STILL_MAX));
        let had = start.elapsed();
        self.report.still_ns += nanoseconds(had);
        self.owed_ns = self.owed_ns.saturating_sub_unsigned(nanoseconds(had));
        owed > had + STILL_MIN
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses about so much CPU time.
    fn work(time: Duration) {
        let until = cpu_time() + time;
        while cpu_time() < until {}
    }

    #[test]
    fn a_slowed_thread_stands_still_in_proportion_to_what_it_used() {
        let mut slow = Slow::new();
        slow.set(4.0);
        for _ in 0..20 {
            work(Duration::from_millis(2));
            while slow.pay() {}
        }
        let report = slow.report;
        assert!(report.cpu_ns >= 40_000_000, "{report:?}");
        let asked = 3 * report.cpu_ns;
        assert!(report.still_asked_ns.abs_diff(asked) < asked / 1_000, "{report:?}");
        // It sleeps at least what it owes, but for a last stand that is too short to make.
        let least = report.still_asked_ns - nanoseconds(STILL_MIN);
        assert!(report.still_ns >= least, "{report:?}");
    }

    #[test]
    fn a_thread_that_is_not_slowed_counts_and_sleeps_nothing() {
        let mut slow = Slow::new();
        for factor in [1.0, 0.0, -3.0, f64::NAN] {
            slow.set(factor);
            work(Duration::from_millis(1));
            assert!(!slow.pay());
        }
        assert_eq!(slow.report, SlowReport::default());
    }
}
