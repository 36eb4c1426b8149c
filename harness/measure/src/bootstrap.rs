//! The bootstrap of a median over repetitions, worked out instead of drawn.
//!
//! A resample takes as many of the repetitions as there are, with replacement. How likely each value is to be its median
//! follows from the binomial distribution (Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics
//! 7 (1979), section 3), so that no random number is needed: the result is that of infinitely many resamples, and the same
//! every time. Intervals are percentile intervals (Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter
//! 13). No well-kept library offers either; criterion's is not public.

/// Chosen: with fewer repetitions than this the extremes are likely medians of a resample, and a 95 % interval would say
/// more than there is.
pub const BOOTSTRAP_REPETITIONS_MIN: usize = 6;

/// What an interval leaves out on each side: 95 % are in it.
const TAIL: f64 = 0.025;

/// Absorbs the rounding of sums of probabilities.
const ROUNDING: f64 = 1e-9;

/// Chosen: with more repetitions than this the two middle ones are as good as one.
const AVERAGED_MAX: usize = 1_000;

/// How a change is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// As a share of the first: 0.1 is a tenth more. Has no meaning unless all values are above zero.
    Relative,
    /// As the difference.
    Absolute,
}

/// The distribution of the median over all resamples.
#[derive(Clone, Debug, PartialEq)]
pub struct MedianDistribution {
    /// Values in ascending order, each with the probability of it or a smaller one.
    up_to: Vec<(f64, f64)>,
}

impl Change {
    /// The change from `from` to `to`; `None` where it has no meaning.
    pub fn of(self, from: f64, to: f64) -> Option<f64> {
        match self {
            Self::Relative => (from > 0.0 && to >= 0.0).then(|| to / from - 1.0),
            Self::Absolute => Some(to - from),
        }
    }

    /// What changed from `from` by `change`.
    fn applied(self, from: f64, change: f64) -> f64 {
        match self {
            Self::Relative => from * (1.0 + change),
            Self::Absolute => from + change,
        }
    }
}

impl MedianDistribution {
    /// Of these repetitions' figures; `None` if there are fewer than [`BOOTSTRAP_REPETITIONS_MIN`] or one is not a number.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < BOOTSTRAP_REPETITIONS_MIN || !values.iter().all(|value| value.is_finite())
        {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let averaged = sorted.len().is_multiple_of(2) && sorted.len() <= AVERAGED_MAX;
        let mut atoms = if averaged { even(&sorted) } else { odd(&sorted) };
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        for atom in &mut atoms {
            sum += atom.1;
            atom.1 = sum;
        }
        Some(Self { up_to: atoms })
    }

    /// The 95 % interval of the median.
    pub fn interval(&self) -> (f64, f64) {
        let quantile = |share: f64| {
            let reached = self.up_to.iter().find(|(_, up_to)| *up_to >= share - ROUNDING);
            reached.or(self.up_to.last()).map_or(f64::NAN, |(value, _)| *value)
        };
        (quantile(TAIL), quantile(1.0 - TAIL))
    }

    /// The 95 % interval of the change from this median to that of `to`, resampled independently; `None` where a change
    /// has no meaning.
    pub fn change_interval(&self, to: &Self, change: Change) -> Option<(f64, f64)> {
        let ((least, most), (to_least, to_most)) = (self.ends(), to.ends());
        let (low, high) = (change.of(most, to_least)?, change.of(least, to_most)?);
        let quantile = |share: f64| {
            let (mut below, mut reached) = (low, high);
            if self.share_up_to(to, change, below) >= share - ROUNDING {
                return below;
            }
            // Halved until nothing is left between them.
            loop {
                let middle = f64::midpoint(below, reached);
                if middle <= below || middle >= reached {
                    return reached;
                }
                match self.share_up_to(to, change, middle) >= share - ROUNDING {
                    true => reached = middle,
                    false => below = middle,
                }
            }
        };
        Some((quantile(TAIL), quantile(1.0 - TAIL)))
    }

    /// How likely a change of at most `at_most` is.
    fn share_up_to(&self, to: &Self, change: Change, at_most: f64) -> f64 {
        let (mut share, mut before, mut place) = (0.0, 0.0, 0);
        for (from, up_to) in &self.up_to {
            // The larger `from` is, the larger may `to` be.
            let bound = change.applied(*from, at_most);
            while to.up_to.get(place).is_some_and(|(value, _)| *value <= bound) {
                place += 1;
            }
            let reached = place.checked_sub(1).map_or(0.0, |last| to.up_to[last].1);
            share += (up_to - before) * reached;
            before = *up_to;
        }
        share
    }

    fn ends(&self) -> (f64, f64) {
        (self.up_to[0].0, self.up_to[self.up_to.len() - 1].0)
    }
}

/// Each value with the probability that it is the middle one of a resample (the lower of two).
fn odd(sorted: &[f64]) -> Vec<(f64, f64)> {
    let choose = ln_choose(sorted.len());
    let middle = sorted.len().div_ceil(2);
    let mut before = 0.0;
    let atom = |(rank, value): (usize, &f64)| {
        let up_to = at_least(&choose, share(rank + 1, sorted.len()), middle);
        let atom = (*value, up_to - before);
        before = up_to;
        atom
    };
    sorted.iter().enumerate().map(atom).collect()
}

/// Each mean of two values with the probability that they are the two middle ones.
fn even(sorted: &[f64]) -> Vec<(f64, f64)> {
    let count = sorted.len();
    let half = count / 2;
    let choose = ln_choose(count);
    // Half of the draws are up to this rank, and one of them is this rank; by symmetry the other half from the far end.
    // Each takes the square root of the number of ways to part the draws in two halves.
    let root = choose[half] / 2.0;
    let power = |rank: usize| match rank {
        0 => 0.0,
        rank => (root + number(half) * share(rank, count).ln()).exp(),
    };
    let ends_at: Vec<f64> = (1..=count).map(|rank| power(rank) - power(rank - 1)).collect();
    let mut atoms = Vec::new();
    for (lower, (value, alone)) in odd(sorted).into_iter().enumerate() {
        let mut apart = 0.0;
        for upper in lower + 1..count {
            let probability = ends_at[lower] * ends_at[count - 1 - upper];
            apart += probability;
            atoms.push((f64::midpoint(value, sorted[upper]), probability));
        }
        atoms.push((value, (alone - apart).max(0.0)));
    }
    atoms
}

/// The probability that at least `least` of the draws hit what one hits with probability `share`.
fn at_least(choose: &[f64], share: f64, least: usize) -> f64 {
    if share >= 1.0 {
        return 1.0;
    }
    let draws = choose.len() - 1;
    let term = |hits: usize| {
        let others = number(draws - hits) * (1.0 - share).ln();
        (choose[hits] + number(hits) * share.ln() + others).exp()
    };
    (least..=draws).map(term).sum()
}

/// The logarithms of the binomial coefficients of `count` over 0, 1, and so on.
fn ln_choose(count: usize) -> Vec<f64> {
    let mut ln = 0.0;
    let mut all = vec![ln];
    for taken in 1..=count {
        ln += (number(count - taken + 1) / number(taken)).ln();
        all.push(ln);
    }
    all
}

fn share(part: usize, of: usize) -> f64 {
    number(part) / number(of)
}

#[expect(clippy::cast_precision_loss, reason = "a number of repetitions")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every one of the nⁿ resamples.
    fn medians(values: &[f64]) -> Vec<f64> {
        let count = values.len();
        let mut medians: Vec<f64> = (0..count.pow(u32::try_from(count).unwrap()))
            .map(|mut code| {
                let mut draws: Vec<f64> = (0..count)
                    .map(|_| {
                        let draw = values[code % count];
                        code /= count;
                        draw
                    })
                    .collect();
                draws.sort_by(f64::total_cmp);
                f64::midpoint(draws[(count - 1) / 2], draws[count / 2])
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        medians
    }

    #[test]
    fn it_is_what_all_resamples_give() {
        for values in [vec![3.0, 1.0, 4.0, 1.5, 9.0, 2.6], vec![3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3]]
        {
            let all = medians(&values);
            let distribution = MedianDistribution::of(&values).unwrap();
            for (value, up_to) in &distribution.up_to {
                let counted = all.partition_point(|median| median <= value);
                let last_of_equals = distribution.up_to.iter().rfind(|(other, _)| other == value);
                let up_to = last_of_equals.map_or(*up_to, |(_, up_to)| *up_to);
                assert!((share(counted, all.len()) - up_to).abs() < 1e-9, "{value} of {values:?}");
            }
            let at = |share: f64| {
                let reached =
                    all.iter().zip(1..).find(|(_, rank)| self::share(*rank, all.len()) >= share);
                *reached.unwrap().0
            };
            assert_eq!(distribution.interval(), (at(0.025), at(0.975)), "{values:?}");
        }
    }

    #[test]
    fn a_change_is_what_all_pairs_of_resamples_give() {
        let (a, b) = ([10.0, 11.0, 12.0, 13.0, 14.0, 18.0], [20.0, 21.0, 23.0, 26.0, 27.0, 29.0]);
        let of = |values: &[f64]| MedianDistribution::of(values).unwrap();
        let weights = |distribution: &MedianDistribution| {
            let mut before = 0.0;
            let atom = |(value, up_to): &(f64, f64)| {
                let atom = (*value, up_to - before);
                before = *up_to;
                atom
            };
            distribution.up_to.iter().map(atom).collect::<Vec<_>>()
        };
        for change in [Change::Relative, Change::Absolute] {
            let mut pairs: Vec<(f64, f64)> = Vec::new();
            for (from, p) in weights(&of(&a)) {
                for (to, q) in weights(&of(&b)) {
                    pairs.push((change.of(from, to).unwrap(), p * q));
                }
            }
            pairs.sort_by(|x, y| x.0.total_cmp(&y.0));
            let quantile = |share: f64| {
                let mut sum = 0.0;
                let reached = pairs.iter().find(|(_, probability)| {
                    sum += probability;
                    sum >= share - 1e-9
                });
                reached.unwrap().0
            };
            let (low, high) = of(&a).change_interval(&of(&b), change).unwrap();
            assert!((low - quantile(0.025)).abs() < 1e-9, "{change:?}: {low}");
            assert!((high - quantile(0.975)).abs() < 1e-9, "{change:?}: {high}");
        }
    }

    #[test]
    fn nothing_changes_where_nothing_varies() {
        let same = MedianDistribution::of(&[5.0; 8]).unwrap();
        assert_eq!(same.interval(), (5.0, 5.0));
        assert_eq!(same.change_interval(&same, Change::Relative), Some((0.0, 0.0)));
        assert_eq!(same.change_interval(&same, Change::Absolute), Some((0.0, 0.0)));
    }

    #[test]
    fn too_few_repetitions_give_no_interval_and_zero_no_relative_change() {
        assert_eq!(MedianDistribution::of(&[1.0; 5]), None);
        assert_eq!(MedianDistribution::of(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::NAN]), None);
        let (zero, one) = ([0.0; 6], [1.0; 6]);
        let of = |values: &[f64]| MedianDistribution::of(values).unwrap();
        assert_eq!(of(&zero).change_interval(&of(&one), Change::Relative), None);
        assert_eq!(of(&zero).change_interval(&of(&one), Change::Absolute), Some((1.0, 1.0)));
    }

    #[test]
    fn many_repetitions_narrow_the_interval() {
        let up_to = |count: u32| (1..=count).map(f64::from).collect::<Vec<f64>>();
        let mut width_before = 1.0;
        for count in [7, 40, 160, 1_000, 2_002] {
            let (low, high) = MedianDistribution::of(&up_to(count)).unwrap().interval();
            let middle = f64::midpoint(1.0, f64::from(count));
            assert!(low < middle && middle < high, "{count}: {low} {high}");
            let width = (high - low) / f64::from(count);
            assert!(width <= width_before, "{count}: {width}");
            width_before = width;
        }
        assert!(width_before < 0.05, "about 2 / √n: {width_before}");
    }
}
