//! A latency histogram that refuses to answer what its samples cannot support.
//!
//! Values are nanoseconds with three significant digits, from 1 ns to one hour; longer ones count as one hour. The
//! array of counts grows with the largest value seen, so that an empty histogram is small and a warm one does not
//! allocate. It may not read a clock: whoever records brings the duration.

use std::fmt;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// Chosen: longer than any client timeout, and a bound on memory (about 34,000 counts).
const VALUE_NS_MAX: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Chosen: a percentile is reported when at least this many samples lie beyond it. p50 then needs 4 samples, p90 20,
/// p99 200 and p99.9 2,000.
const SAMPLES_BEYOND_MIN: f64 = 2.0;

/// Durations in nanoseconds, with three significant digits.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
}

/// Bytes that are not a histogram of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(String);

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        let mut counts = hdrhistogram::Histogram::new(SIGNIFICANT_DIGITS)
            .expect("three significant digits are within the range the crate accepts");
        counts.auto(true);
        Self { counts }
    }

    /// Counts one duration. Zero counts as 1 ns, more than an hour as one hour.
    pub fn record_ns(&mut self, value_ns: u64) {
        self.counts
            .record(value_ns.clamp(1, VALUE_NS_MAX))
            .expect("the histogram resizes itself and the value is bounded");
    }

    /// Counts one duration `times` times.
    pub(crate) fn record_many_ns(&mut self, value_ns: u64, times: u64) {
        self.counts
            .record_n(value_ns.clamp(1, VALUE_NS_MAX), times)
            .expect("the histogram resizes itself and the value is bounded");
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts).expect("the histogram resizes itself");
    }

    /// Takes away every sample of `earlier`, which must be an older state of this same histogram.
    ///
    /// # Errors
    /// If `earlier` holds samples that this histogram does not.
    pub fn subtract(&mut self, earlier: &Self) -> Result<(), DecodeError> {
        self.counts
            .subtract(&earlier.counts)
            .map_err(|error| DecodeError(format!("not an older state: {error:?}")))
    }

    /// The number of samples.
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The value in µs that `percentile` (0 to 100) of the samples do not exceed; `None` where fewer than two samples
    /// lie beyond it.
    pub fn percentile_us(&self, percentile: f64) -> Option<f64> {
        self.supports(percentile / 100.0).then(|| micros(self.value_at(percentile / 100.0)))
    }

    /// The mean in µs; `None` when empty.
    pub fn mean_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.counts.mean() / 1e3)
    }

    /// The largest value in µs; `None` when empty.
    pub fn max_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| micros(self.counts.max()))
    }

    /// The lower end of the bucket that a value in µs is counted in.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most an hour")]
    pub(crate) fn lower_end_us(&self, us: f64) -> f64 {
        micros(self.counts.lowest_equivalent((us * 1e3).round() as u64))
    }

    /// The smallest value in µs; `None` when empty.
    pub(crate) fn min_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| micros(self.counts.min()))
    }

    /// The distribution as (quantile, latency in µs), evenly spaced on the axis `log10(1 / (1 − quantile))`, twenty
    /// points per decade, as far into the tail as the samples support.
    pub fn distribution_us(&self) -> Vec<(f64, f64)> {
        const POINTS_PER_DECADE: f64 = 20.0;
        (0u32..)
            .map(|step| 1.0 - 10f64.powf(-f64::from(step) / POINTS_PER_DECADE))
            .take_while(|quantile| self.supports(*quantile))
            .map(|quantile| (quantile, micros(self.value_at(quantile))))
            .collect()
    }

    /// The HdrHistogram V2 encoding, not compressed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.counts, &mut bytes)
            .expect("writing to memory does not fail and the counts fit the format");
        bytes
    }

    /// Reads what [`Histogram::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are not such a histogram.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        let mut counts: hdrhistogram::Histogram<u64> =
            Deserializer::new()
                .deserialize(&mut rest)
                .map_err(|error| DecodeError(error.to_string()))?;
        if counts.sigfig() != SIGNIFICANT_DIGITS || !rest.is_empty() {
            return Err(DecodeError("another precision, or bytes left over".to_owned()));
        }
        counts.auto(true);
        Ok(Self { counts })
    }

    /// The counts, for the writer of interval logs.
    pub(crate) fn counts(&self) -> &hdrhistogram::Histogram<u64> {
        &self.counts
    }

    /// The value at a quantile, in nanoseconds. 99.9 / 100 is a little more than 0.999, and its rank among 10,000 samples
    /// would be the 9,991st: so much is taken off that no rank is missed by it.
    fn value_at(&self, quantile: f64) -> u64 {
        self.counts.value_at_quantile(quantile * (1.0 - 1e-14))
    }

    fn supports(&self, quantile: f64) -> bool {
        // The tolerance absorbs the binary rounding of 1 − 0.999 and its like.
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 samples")]
        let beyond = self.len() as f64 * (1.0 - quantile);
        beyond >= SAMPLES_BEYOND_MIN - 1e-6
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("samples", &self.len())
            .field("p50_us", &self.percentile_us(50.0))
            .field("max_us", &self.max_us())
            .finish()
    }
}

impl From<Histogram> for Vec<u8> {
    fn from(histogram: Histogram) -> Self {
        histogram.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for Histogram {
    type Error = DecodeError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "histogram: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

#[expect(clippy::cast_precision_loss, reason = "values are at most an hour in nanoseconds")]
fn micros(value_ns: u64) -> f64 {
    value_ns as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(samples: u64) -> Histogram {
        let mut histogram = Histogram::new();
        (1..=samples).for_each(|value| histogram.record_ns(value * 1_000));
        histogram
    }

    #[test]
    fn a_percentile_needs_two_samples_beyond_it() {
        for (percentile, samples_min) in [(50.0, 4), (90.0, 20), (99.0, 200), (99.9, 2_000)] {
            assert_eq!(uniform(samples_min - 1).percentile_us(percentile), None, "{percentile}");
            assert!(uniform(samples_min).percentile_us(percentile).is_some(), "{percentile}");
        }
        assert_eq!(Histogram::new().mean_us(), None);
        assert_eq!(Histogram::new().max_us(), None);
        assert_eq!(Histogram::new().distribution_us(), []);
    }

    #[test]
    fn a_percentile_is_the_value_of_its_rank() {
        // 1 to 2,000 µs are in buckets of their own.
        for (samples, percentile, rank) in
            [(2_000, 99.9, 1_998.0), (1_000, 99.0, 990.0), (1_000, 50.0, 500.0), (999, 90.0, 900.0)]
        {
            let mut histogram = Histogram::new();
            (1..=samples).for_each(|value| histogram.record_ns(value));
            assert_eq!(histogram.percentile_us(percentile), Some(rank / 1e3), "{percentile}");
        }
    }

    #[test]
    fn values_have_three_digits_and_saturate_at_an_hour() {
        let histogram = uniform(1_000);
        let p50 = histogram.percentile_us(50.0).unwrap();
        assert!((p50 - 500.0).abs() / 500.0 < 1e-3, "{p50}");
        let mut long = Histogram::new();
        long.record_ns(u64::MAX);
        long.record_ns(0);
        let hour_us = 3.6e9;
        assert!((long.max_us().unwrap() - hour_us).abs() / hour_us < 1e-3);
    }

    #[test]
    fn merging_is_counting_both_and_subtracting_undoes_it() {
        let mut merged = uniform(300);
        let mut slow = Histogram::new();
        (0..100).for_each(|_| slow.record_ns(1_000_000_000));
        merged.merge(&slow);
        assert_eq!(merged.len(), 400);
        // An average of the two p50s would be half a second; the merged median is still among the fast ones.
        assert!(merged.percentile_us(50.0).unwrap() < 201.0);
        assert!(merged.percentile_us(99.0).unwrap() > 999_000.0);
        merged.subtract(&slow).unwrap();
        assert_eq!(merged.len(), 300);
        assert!(uniform(3).subtract(&slow).is_err());
    }

    #[test]
    fn bytes_carry_every_sample_and_garbage_is_refused() {
        let histogram = uniform(5_000);
        assert_eq!(Histogram::from_bytes(&histogram.to_bytes()).unwrap(), histogram);
        let through_postcard: Histogram =
            postcard::from_bytes(&postcard::to_stdvec(&histogram).unwrap()).unwrap();
        assert_eq!(through_postcard, histogram);
        assert!(Histogram::from_bytes(b"not a histogram").is_err());
        let mut long = histogram.to_bytes();
        long.push(0);
        assert!(Histogram::from_bytes(&long).is_err());
    }

    #[test]
    fn a_decoded_histogram_still_grows() {
        let mut histogram = Histogram::from_bytes(&uniform(10).to_bytes()).unwrap();
        histogram.record_ns(VALUE_NS_MAX);
        assert_eq!(histogram.len(), 11);
    }

    #[test]
    fn the_distribution_rises_and_stops_where_samples_do() {
        let points = uniform(2_000).distribution_us();
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        let last = points.last().unwrap().0;
        assert!((0.99..=0.999 + 1e-9).contains(&last), "{last}");
    }
}
