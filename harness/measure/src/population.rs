//! Durations of everything that was due, some of which are known only as lower bounds.
//!
//! A request that was not answered has taken at least as long as it was waited for: it is *censored* there. All requests
//! are sorted by these known lower bounds, and the value at a rank is exact as long as no censored one lies at or below
//! it. From there on the true value is that one or more, and is said to be so: `at_least`.
//!
//! **Invariant.** Nothing is left out because it came late, or never.

use serde::{Deserialize, Serialize};

use crate::histogram::{DecodeError, Histogram};

/// A figure in µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The value, or what it is at least.
    pub us: f64,
    /// Is the true value perhaps larger?
    pub at_least: bool,
}

/// Durations in nanoseconds, each exact or censored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// What is known of each: its duration, or the lower bound of it.
    known: Histogram,
    /// Those of `known` that are lower bounds.
    censored: Histogram,
}

impl Population {
    /// An empty population.
    pub fn new() -> Self {
        Self::default()
    }

    /// What two histograms hold: every known value, and those among them that are lower bounds.
    pub(crate) const fn of(known: Histogram, censored: Histogram) -> Self {
        Self { known, censored }
    }

    /// Counts a duration that is known.
    pub fn record_ns(&mut self, value_ns: u64) {
        self.known.record_ns(value_ns);
    }

    /// Counts one that is at least `waited_ns`.
    pub fn censor_ns(&mut self, waited_ns: u64) {
        self.known.record_ns(waited_ns);
        self.censored.record_ns(waited_ns);
    }

    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &Self) {
        self.known.merge(&other.known);
        self.censored.merge(&other.censored);
    }

    /// Takes away everything in `earlier`, which must be an older state of this same population.
    ///
    /// # Errors
    /// If `earlier` holds what this population does not.
    pub fn subtract(&mut self, earlier: &Self) -> Result<(), DecodeError> {
        self.known.subtract(&earlier.known)?;
        self.censored.subtract(&earlier.censored)
    }

    /// How many there are, censored ones included.
    pub fn len(&self) -> u64 {
        self.known.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many are censored.
    pub fn censored(&self) -> u64 {
        self.censored.len()
    }

    /// The value that `percentile` (0 to 100) of all do not exceed; `None` where fewer than two lie beyond it.
    pub fn percentile_us(&self, percentile: f64) -> Option<Bound> {
        self.known.percentile_us(percentile).map(|us| self.bound(us))
    }

    /// The mean; `None` when empty. A lower bound as soon as one is.
    pub fn mean_us(&self) -> Option<Bound> {
        self.known.mean_us().map(|us| Bound { us, at_least: !self.censored.is_empty() })
    }

    /// The largest; `None` when empty. A lower bound as soon as one is.
    pub fn max_us(&self) -> Option<Bound> {
        let max_us = self.known.max_us()?;
        let is_exact = self.censored.is_empty();
        Some(if is_exact {
            Bound { us: max_us, at_least: false }
        } else {
            self.lower_bound(max_us)
        })
    }

    /// The distribution as (quantile, value), as [`Histogram::distribution_us`] gives it.
    pub fn distribution_us(&self) -> Vec<(f64, Bound)> {
        let points = self.known.distribution_us().into_iter();
        points.map(|(quantile, us)| (quantile, self.bound(us))).collect()
    }

    /// Every known value, lower bounds among them.
    pub(crate) const fn known(&self) -> &Histogram {
        &self.known
    }

    /// The lower bounds alone.
    pub(crate) const fn lower_bounds(&self) -> &Histogram {
        &self.censored
    }

    fn bound(&self, us: f64) -> Bound {
        match self.censored.min_us() {
            Some(least_us) if least_us <= us => self.lower_bound(us),
            _ => Bound { us, at_least: false },
        }
    }

    /// A lower bound claims no more than is known: it is the lower end of its bucket.
    fn lower_bound(&self, us: f64) -> Bound {
        Bound { us: self.known.lower_end_us(us), at_least: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_percentile_is_exact_below_the_first_censored_one_and_a_lower_bound_from_there() {
        let mut population = Population::new();
        (1..=990).for_each(|ms| population.record_ns(ms * MS));
        (0..10).for_each(|_| population.censor_ns(950 * MS));
        assert_eq!((population.len(), population.censored()), (1_000, 10));
        let at = |percentile| population.percentile_us(percentile).unwrap();
        let near = |bound: Bound, ms: f64| (bound.us / 1e3 - ms).abs() / ms < 1e-3;
        assert!(near(at(50.0), 500.0) && !at(50.0).at_least, "{:?}", at(50.0));
        assert!(near(at(94.0), 940.0) && !at(94.0).at_least, "{:?}", at(94.0));
        // Rank 950 is the first of eleven at 950 ms.
        assert!(near(at(95.0), 950.0) && at(95.0).at_least, "{:?}", at(95.0));
        assert!(near(at(99.0), 980.0) && at(99.0).at_least, "{:?}", at(99.0));
        assert!(population.max_us().unwrap().at_least && population.mean_us().unwrap().at_least);
    }

    #[test]
    fn without_censored_ones_every_figure_is_exact() {
        let mut population = Population::new();
        (1..=1_000).for_each(|ms| population.record_ns(ms * MS));
        let figures = [
            population.percentile_us(99.0),
            population.mean_us(),
            population.max_us(),
            population.distribution_us().last().map(|(_, bound)| *bound),
        ];
        assert!(figures.iter().all(|figure| figure.is_some_and(|figure| !figure.at_least)));
    }

    #[test]
    fn merging_keeps_what_is_censored_and_subtracting_undoes_it() {
        let mut all = Population::new();
        all.record_ns(MS);
        let earlier = all.clone();
        let mut other = Population::new();
        other.censor_ns(5 * MS);
        all.merge(&other);
        assert_eq!((all.len(), all.censored()), (2, 1));
        all.subtract(&earlier).unwrap();
        assert_eq!(all, other);
    }
}
