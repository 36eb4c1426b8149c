//! What a replica did over time: how many requests asked of it were committed and executed in each tenth of a second and
//! how long that took, and when it committed or executed nothing at all.
//!
//! A [`SeriesRecorder`] runs along, a [`Series`] is what it hands over. Latencies are counted in classes of about 3 %, few
//! enough for one dense array while a bucket is open and a short list once it is over; so percentiles of several replicas
//! come from merged samples here, too. Memory is bounded: [`BUCKETS_MAX`] buckets, and in none more than [`CLASSES`] counts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    histogram::Histogram,
    silence::{BUCKETS_MAX, Silences},
    timeline::BUCKET_NS,
};

/// Classes per doubling of the latency, as a power of two: 32, so that a class is at most 3.2 % wide.
const CLASS_BITS: u32 = 5;
/// Enough for every number of microseconds in 32 bits, more than an hour.
const CLASSES: usize = ((32 - CLASS_BITS as usize) + 1) << CLASS_BITS;

/// What one replica did over time. Times are in nanoseconds since the replica was told to begin measuring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// When that was, since the start of the run's measuring. The driver's to know: zero but for a replica that came later.
    pub begins_ns: u64,
    /// When this was handed over.
    pub ends_ns: u64,
    /// Latencies of commits of requests that were asked of this replica.
    pub(crate) commit: Vec<SeriesBucket>,
    /// Latencies of their executions.
    pub(crate) execute: Vec<SeriesBucket>,
    /// Times in which this replica learned of no commit, whoever had been asked.
    pub commits: Silences,
    /// Times in which it executed nothing.
    pub executions: Silences,
    /// How long committed requests that were asked of it waited for their execution.
    pub waits: Silences,
}

/// The latencies of one tenth of a second: how many are in each class that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesBucket {
    pub(crate) bucket: u32,
    counts: Vec<(u16, u32)>,
}

/// What replicas did in one bucket of the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct At<'a> {
    commit: Vec<&'a SeriesBucket>,
    execute: Vec<&'a SeriesBucket>,
}

/// A series in the making.
#[derive(Clone, Debug, Default)]
pub struct SeriesRecorder {
    commit: Track,
    execute: Track,
    commits: Silences,
    executions: Silences,
    waits: Silences,
}

/// Latencies bucket by bucket.
#[derive(Clone, Debug, Default)]
struct Track {
    closed: Vec<SeriesBucket>,
    bucket: u32,
    /// The counts of every class in this bucket; empty before the first.
    open: Vec<u32>,
    /// Only these classes have counts: mostly a few of all.
    used: Range<usize>,
}

impl Series {
    /// Adds this series' latencies to the buckets of the run, as far as there are buckets.
    pub(crate) fn add_to<'a>(&'a self, buckets: &mut [At<'a>]) {
        for bucket in &self.commit {
            if let Some(at) = buckets.get_mut(bucket.of_run(self.begins_ns)) {
                at.commit.push(bucket);
            }
        }
        for bucket in &self.execute {
            if let Some(at) = buckets.get_mut(bucket.of_run(self.begins_ns)) {
                at.execute.push(bucket);
            }
        }
    }
}

impl At<'_> {
    /// The latencies of commits.
    pub(crate) fn commit(&self) -> Histogram {
        merged(&self.commit)
    }

    /// The latencies of executions.
    pub(crate) fn execute(&self) -> Histogram {
        merged(&self.execute)
    }
}

fn merged(buckets: &[&SeriesBucket]) -> Histogram {
    let mut histogram = Histogram::new();
    buckets.iter().for_each(|bucket| bucket.add_to(&mut histogram));
    histogram
}

impl SeriesRecorder {
    /// The replica learned of a commit.
    pub fn commit_seen(&mut self, at_ns: u64) {
        self.commits.mark(at_ns);
    }

    /// The replica executed something.
    pub fn execution_seen(&mut self, at_ns: u64) {
        self.executions.mark(at_ns);
    }

    /// A request that was asked of the replica is committed, so long after it came in.
    pub fn committed(&mut self, at_ns: u64, latency_ns: u64) {
        self.commit.record(at_ns, latency_ns);
    }

    /// A request that was asked of the replica is executed, so long after it came in; `committed_ns` is when it was
    /// committed.
    pub fn executed(&mut self, at_ns: u64, latency_ns: u64, committed_ns: u64) {
        self.execute.record(at_ns, latency_ns);
        self.waits.waited(committed_ns.min(at_ns), at_ns);
    }

    /// All of it up to now.
    pub fn series(&self, now_ns: u64) -> Series {
        Series {
            begins_ns: 0,
            ends_ns: now_ns,
            commit: self.commit.buckets(),
            execute: self.execute.buckets(),
            commits: self.commits.clone(),
            executions: self.executions.clone(),
            waits: self.waits.clone(),
        }
    }
}

impl Track {
    fn record(&mut self, at_ns: u64, latency_ns: u64) {
        let bucket = u32::try_from(at_ns / BUCKET_NS).unwrap_or(u32::MAX);
        if bucket as usize >= BUCKETS_MAX {
            return;
        }
        if bucket > self.bucket || self.open.is_empty() {
            self.closed.extend(self.close());
            self.bucket = bucket;
            self.open.resize(CLASSES, 0);
            self.open[self.used.clone()].fill(0);
            self.used = 0..0;
        }
        let class = class(latency_ns);
        self.open[class] += 1;
        self.used = if self.used.is_empty() {
            class..class + 1
        } else {
            self.used.start.min(class)..self.used.end.max(class + 1)
        };
    }

    /// The open bucket as a list; none if nothing is in it.
    fn close(&self) -> Option<SeriesBucket> {
        let first = u16::try_from(self.used.start).expect("there are fewer classes");
        let counts = (first..).zip(&self.open[self.used.clone()]).filter(|(_, count)| **count > 0);
        let counts: Vec<(u16, u32)> = counts.map(|(class, count)| (class, *count)).collect();
        (!counts.is_empty()).then_some(SeriesBucket { bucket: self.bucket, counts })
    }

    fn buckets(&self) -> Vec<SeriesBucket> {
        self.closed.iter().cloned().chain(self.close()).collect()
    }
}

impl SeriesBucket {
    /// Adds these latencies to `histogram`, each in the middle of its class.
    fn add_to(&self, histogram: &mut Histogram) {
        for (class, count) in &self.counts {
            histogram.record_many_ns(middle_ns(*class), u64::from(*count));
        }
    }

    /// In which of the run's buckets this one is, for a series that began at `begins_ns`.
    fn of_run(&self, begins_ns: u64) -> usize {
        usize::try_from(begins_ns / BUCKET_NS)
            .unwrap_or(usize::MAX)
            .saturating_add(self.bucket as usize)
    }
}

/// The class of a latency: those below 2^CLASS_BITS µs are exact, above each doubling has 2^CLASS_BITS of them.
fn class(latency_ns: u64) -> usize {
    let us = u32::try_from(latency_ns / 1_000).unwrap_or(u32::MAX);
    let doublings = (u32::BITS - us.leading_zeros()).saturating_sub(CLASS_BITS + 1);
    (us >> doublings) as usize + ((doublings as usize) << CLASS_BITS)
}

fn middle_ns(class: u16) -> u64 {
    let per_doubling = 1u64 << CLASS_BITS;
    let class = u64::from(class);
    let doublings = (class >> CLASS_BITS).saturating_sub(1);
    let first_us = (class - doublings * per_doubling) << doublings;
    first_us * 1_000 + (500 << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn merged(buckets: &[SeriesBucket]) -> Histogram {
        super::merged(&buckets.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_class_is_narrow_and_no_two_meet() {
        let classes: Vec<usize> = (0..5_000).map(|us| class(us * 1_000)).collect();
        assert!(classes.windows(2).all(|pair| pair[1] - pair[0] <= 1));
        assert_eq!(classes[..64], (0..64).collect::<Vec<_>>());
        for us in (0..32).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, 3 << bit]) {
            let class = class(us * 1_000);
            assert!(class < CLASSES, "{us}");
            let middle_us = middle_ns(u16::try_from(class).unwrap()) / 1_000;
            let us = us.min(u64::from(u32::MAX));
            assert!(middle_us.abs_diff(us) * 31 <= us.max(31), "{us} µs are told as {middle_us}");
        }
        assert!(class(u64::MAX) < CLASSES);
    }

    #[test]
    fn latencies_are_kept_by_bucket_and_survive_the_wire() {
        let mut recorder = SeriesRecorder::default();
        for at_ms in [5, 50, 99, 100, 350] {
            recorder.committed(at_ms * MS, 2 * MS);
            recorder.executed((at_ms + 1) * MS, 3 * MS, at_ms * MS);
        }
        let series = recorder.series(400 * MS);
        let buckets: Vec<u32> = series.commit.iter().map(|bucket| bucket.bucket).collect();
        assert_eq!(buckets, [0, 1, 3]);
        assert_eq!((merged(&series.commit[..1]).len(), merged(&series.commit).len()), (3, 5));
        assert_eq!(merged(&series.execute[..1]).len(), 2, "one of the three came later");
        let p50_us = merged(&series.commit).percentile_us(50.0).unwrap();
        assert!((p50_us - 2_000.0).abs() < 40.0, "{p50_us}");
        assert_eq!(series.waits.ended()[0].length_ns(), MS);
        let bytes = postcard::to_stdvec(&series).unwrap();
        assert_eq!(postcard::from_bytes::<Series>(&bytes).unwrap(), series);
    }

    #[test]
    fn a_long_run_takes_bounded_memory() {
        let mut recorder = SeriesRecorder::default();
        for bucket in 0..BUCKETS_MAX as u64 + 100 {
            (0..100).for_each(|step| recorder.committed(bucket * BUCKET_NS, step * step * 10_000));
        }
        let series = recorder.series(u64::MAX);
        assert_eq!(series.commit.len(), BUCKETS_MAX);
        let bytes = postcard::to_stdvec(&series).unwrap().len();
        assert!(bytes < 4 << 20, "{bytes} bytes must fit into a frame of 16 MiB, executions too");
    }
}
