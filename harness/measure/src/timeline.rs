//! What happened when: operations, errors and latencies in buckets of 100 ms.
//!
//! Operations count in the bucket in which they were answered: that is throughput. Latencies and errors count in the
//! bucket in which their request was due, so that a stall shows where it was, and what was never answered shows at all.
//! The last bucket may be shorter than the others: a rate in it is over its own length.
//!
//! Memory is bounded by the planned duration: a bucket holds a small histogram (microseconds, two significant digits,
//! a few kilobytes), made when its first request counts. It may not read a clock.

use std::time::Duration;

use crate::{
    histogram::Histogram,
    population::{Bound, Population},
};

/// The width of a bucket in milliseconds.
pub const BUCKET_MS: u64 = 100;

pub(crate) const BUCKET_NS: u64 = BUCKET_MS * 1_000_000;

/// Per-bucket counts and latencies of one site.
#[derive(Clone, Debug)]
pub struct Timeline {
    buckets: Vec<Bucket>,
    duration: Duration,
    outside: u64,
}

/// One tenth of a second.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    operations: u64,
    errors: u64,
    latency_us: Small,
    /// Those in `latency_us` that are lower bounds.
    censored_us: Small,
}

/// The figures of one bucket, as written to `timeseries.csv`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BucketFigures {
    pub(crate) operations: u64,
    pub(crate) errors: u64,
    pub(crate) latency_us_p50: Option<Bound>,
    pub(crate) latency_us_p99: Option<Bound>,
    pub(crate) latency_us_max: Option<Bound>,
}

impl Timeline {
    /// A timeline that covers `duration` from the start of measuring.
    pub fn new(duration: Duration) -> Self {
        let buckets = duration.as_millis().div_ceil(u128::from(BUCKET_MS));
        let buckets = usize::try_from(buckets).expect("a run is shorter than a geological age");
        Self { buckets: vec![Bucket::default(); buckets], duration, outside: 0 }
    }

    /// Counts an operation that was answered `at_ns` after the start of measuring.
    pub fn answer(&mut self, at_ns: u64) {
        if let Some(bucket) = self.bucket(at_ns) {
            bucket.operations += 1;
        }
    }

    /// Counts the latency of a request that was due `due_ns` after the start of measuring.
    pub fn record(&mut self, due_ns: u64, latency_ns: u64) {
        if let Some(bucket) = self.bucket(due_ns) {
            add_ns(&mut bucket.latency_us, latency_ns);
        }
    }

    /// Counts an error of a request that was due `due_ns` after the start of measuring: its latency is at least
    /// `waited_ns`.
    pub fn record_error(&mut self, due_ns: u64, waited_ns: u64) {
        if let Some(bucket) = self.bucket(due_ns) {
            bucket.errors += 1;
            add_ns(&mut bucket.latency_us, waited_ns);
            add_ns(&mut bucket.censored_us, waited_ns);
        }
    }

    /// Adds every sample of `other`, which covers the same time.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), Bucket::default());
        }
        self.duration = self.duration.max(other.duration);
        for (bucket, added) in self.buckets.iter_mut().zip(&other.buckets) {
            bucket.merge(added);
        }
        self.outside += other.outside;
    }

    /// The buckets in order; bucket *i* starts `i × BUCKET_MS` after the start of measuring.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// How long bucket `index` is, in ms: [`BUCKET_MS`], but for what is left for the last one.
    pub fn width_ms(&self, index: usize) -> f64 {
        let begin_ms = index as f64 * BUCKET_MS as f64;
        (self.duration.as_secs_f64() * 1e3 - begin_ms).clamp(0.0, BUCKET_MS as f64)
    }

    /// How many samples fell outside the time covered.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    fn bucket(&mut self, at_ns: u64) -> Option<&mut Bucket> {
        // The last bucket ends where the planned time does, though a real window may last a little
        // longer.
        if u128::from(at_ns) >= self.duration.as_nanos() {
            self.outside += 1;
            return None;
        }
        self.buckets.get_mut(usize::try_from(at_ns / BUCKET_NS).unwrap_or(usize::MAX))
    }
}

impl Bucket {
    /// Operations answered in this bucket.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Errors of requests that were due in this bucket.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    pub(crate) fn figures(&self) -> BucketFigures {
        let of = |histogram: &Small| histogram.as_deref().map(as_nanoseconds).unwrap_or_default();
        let latency = Population::of(of(&self.latency_us), of(&self.censored_us));
        BucketFigures {
            operations: self.operations,
            errors: self.errors,
            latency_us_p50: latency.percentile_us(50.0),
            latency_us_p99: latency.percentile_us(99.0),
            latency_us_max: latency.max_us(),
        }
    }

    fn merge(&mut self, added: &Self) {
        self.operations += added.operations;
        self.errors += added.errors;
        merge(&mut self.latency_us, added.latency_us.as_deref());
        merge(&mut self.censored_us, added.censored_us.as_deref());
    }
}

/// A histogram of microseconds that is made once something is in it.
type Small = Option<Box<hdrhistogram::Histogram<u32>>>;

fn add_ns(histogram: &mut Small, value_ns: u64) {
    histogram
        .get_or_insert_with(|| Box::new(small_histogram()))
        .record((value_ns / 1_000).max(1))
        .expect("the histogram resizes itself");
}

fn merge(histogram: &mut Small, added: Option<&hdrhistogram::Histogram<u32>>) {
    if let Some(added) = added {
        histogram
            .get_or_insert_with(|| Box::new(small_histogram()))
            .add(added)
            .expect("the histogram resizes itself");
    }
}

fn small_histogram() -> hdrhistogram::Histogram<u32> {
    let mut histogram =
        hdrhistogram::Histogram::new(2).expect("two significant digits are accepted");
    histogram.auto(true);
    histogram
}

/// The same samples as a [`Histogram`], which knows when a percentile has too few of them.
fn as_nanoseconds(latency_us: &hdrhistogram::Histogram<u32>) -> Histogram {
    let mut histogram = Histogram::new();
    for value in latency_us.iter_recorded() {
        histogram.record_many_ns(value.value_iterated_to() * 1_000, value.count_at_value().into());
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn samples_land_in_their_bucket() {
        let mut timeline = Timeline::new(Duration::from_secs(1));
        assert_eq!(timeline.buckets().len(), 10);
        for at_ns in [0, BUCKET_NS - 1, BUCKET_NS, SECOND_NS] {
            timeline.answer(at_ns);
        }
        timeline.record_error(SECOND_NS - 1, 5_000);
        timeline.record_error(u64::MAX, 5_000);
        let operations: Vec<u64> = timeline.buckets().iter().map(Bucket::operations).collect();
        assert_eq!(operations, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(timeline.buckets()[9].errors(), 1);
        assert_eq!(timeline.outside(), 2);
    }

    #[test]
    fn the_last_bucket_is_as_long_as_what_is_left() {
        let timeline = Timeline::new(Duration::from_millis(550));
        let widths: Vec<f64> = (0..6).map(|index| timeline.width_ms(index)).collect();
        assert_eq!(widths, [100.0, 100.0, 100.0, 100.0, 100.0, 50.0]);
        let mut late = timeline.clone();
        late.answer(550_000_000 - 1);
        late.answer(550_000_000);
        assert_eq!((late.buckets()[5].operations(), late.outside()), (1, 1));
        let mut merged = Timeline::new(Duration::ZERO);
        merged.merge(&timeline);
        assert!((merged.width_ms(5) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_latency_is_where_its_request_was_due_and_a_censored_one_marks_the_figures() {
        let mut timeline = Timeline::new(Duration::from_millis(200));
        (1..=9).for_each(|ms| timeline.record(0, ms * 1_000_000));
        timeline.record_error(0, 8_000_000);
        timeline.answer(BUCKET_NS);
        let figures = timeline.buckets()[0].figures();
        assert_eq!((figures.operations, figures.errors), (0, 1));
        let (p50, max) = (figures.latency_us_p50.unwrap(), figures.latency_us_max.unwrap());
        assert!((p50.us - 5_000.0).abs() < 100.0 && !p50.at_least, "{p50:?}");
        assert!((max.us - 9_000.0).abs() < 100.0 && max.at_least, "{max:?}");
    }

    #[test]
    fn merged_percentiles_come_from_merged_samples() {
        let mut fast = Timeline::new(Duration::from_millis(100));
        let mut slow = fast.clone();
        (0..300).for_each(|_| fast.record(0, 100_000));
        (0..100).for_each(|_| slow.record(0, 10_000_000));
        fast.merge(&slow);
        let figures = fast.buckets()[0].figures();
        assert!((figures.latency_us_p50.unwrap().us - 100.0).abs() < 2.0, "{figures:?}");
        assert!((figures.latency_us_p99.unwrap().us - 10_000.0).abs() < 200.0, "{figures:?}");
    }

    #[test]
    fn few_samples_give_no_percentile_but_a_slowest() {
        let mut timeline = Timeline::new(Duration::from_millis(100));
        (1..4).for_each(|step| timeline.record(0, step * 1_000_000));
        let figures = timeline.buckets()[0].figures();
        assert_eq!((figures.latency_us_p50, figures.latency_us_p99), (None, None));
        assert!((figures.latency_us_max.unwrap().us - 3_000.0).abs() < 60.0, "{figures:?}");
    }
}
