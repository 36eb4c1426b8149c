//! What a few repetitions say of the median that endlessly many would have, and of a change between
//! two results.
//!
//! **Median.** A repetition lies below that median with probability one half. So the k-th least of
//! n independent repetitions lies above it exactly if at most k − 1 of them lie below it, and the
//! k-th largest lies below it exactly if at most k − 1 lie above. The interval between the two
//! covers the median with probability 1 − 2·P(B ≤ k − 1), where B is binomial with n trials of
//! probability one half. That holds for every continuous distribution of the figures (Thompson, "On
//! Confidence Ranges for the Median and Other Expectation Distributions for Populations of Unknown
//! Distribution Form", Annals of Mathematical Statistics 7 (1936)).
//!
//! **Change.** If n repetitions of one result and m of another are distributed alike but for a
//! change, be it a difference or a factor, then of the changes between all n·m pairs as many lie
//! below it as Mann and Whitney's U counts. The interval between the k-th least and the k-th
//! largest of them covers it with probability 1 − 2·P(U ≤ k − 1) (Mann and Whitney, Annals of
//! Mathematical Statistics 18 (1947); Lehmann, "Nonparametric Confidence Intervals for a Shift
//! Parameter", the same, 34 (1963)).
//!
//! Where figures are equal, both cover at least as often. No well-kept library offers either.

use std::f64::consts::LN_2;

/// Chosen: an interval covers what it is of with at least this probability, as is customary; else
/// there is none.
pub const COVERAGE_MIN: f64 = 0.95;

/// Absorbs the rounding of sums of probabilities.
const ROUNDING: f64 = 1e-12;

/// Chosen: of more pairs than these the changes are not counted out, for that takes the square of
/// their number in time.
const PAIRS_MAX: usize = 10_000;

/// How a change is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// As a share of the first: 0.1 is a tenth more. Has no meaning unless all values are above
    /// zero.
    Relative,
    /// As the difference.
    Absolute,
}

/// An interval of a median, or of the change from one median to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end, in the unit of the values.
    pub low: f64,
    /// The upper end, in the unit of the values.
    pub high: f64,
    /// The probability that it covers what it is of.
    pub coverage: f64,
}

impl Change {
    /// The change from `from` to `to`; `None` where it has no meaning.
    pub fn of(self, from: f64, to: f64) -> Option<f64> {
        match self {
            Self::Relative => (from > 0.0 && to >= 0.0).then(|| to / from - 1.0),
            Self::Absolute => Some(to - from),
        }
    }
}

impl Interval {
    /// The narrowest interval between a k-th least and a k-th largest value that covers the median
    /// with at least [`COVERAGE_MIN`]; `None` if there are too few values for one, or one is not a
    /// number.
    pub fn of_median(values: &[f64]) -> Option<Self> {
        Self::between(values, COVERAGE_MIN)
    }

    /// The narrowest interval between a k-th least and a k-th largest change of any pair that
    /// covers the change from `from` to `to` with at least [`COVERAGE_MIN`], if the two are
    /// independent and distributed alike but for that change; `None` if there are too few values
    /// for one, one is not a number, or a change has no meaning. A value without an upper end may be
    /// infinite on one of the sides.
    ///
    /// Of very many pairs it is wider and needs no such condition: both medians lie in intervals of
    /// their own with the product of their coverages, and then the change of the median lies
    /// between those of the intervals' ends.
    pub fn of_change(from: &[f64], to: &[f64], change: Change) -> Option<Self> {
        if from.iter().chain(to).any(|value| value.is_nan()) {
            return None;
        }
        if from.len() * to.len() > PAIRS_MAX {
            let [from, to] = [from, to].map(|values| Self::between(values, COVERAGE_MIN.sqrt()));
            let (from, to) = (from?, to?);
            let (low, high) = (change.of(from.high, to.low)?, change.of(from.low, to.high)?);
            return Some(Self { low, high, coverage: from.coverage * to.coverage });
        }
        let (place, coverage) = narrowest_of_pairs(from.len(), to.len())?;
        let pairs = from.iter().flat_map(|from| to.iter().map(|to| change.of(*from, *to)));
        let mut changes = pairs.collect::<Option<Vec<f64>>>()?;
        changes.sort_by(f64::total_cmp);
        Some(Self { low: changes[place], high: changes[changes.len() - 1 - place], coverage })
    }

    fn between(values: &[f64], at_least: f64) -> Option<Self> {
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let (place, coverage) = narrowest(values.len(), at_least)?;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self { low: sorted[place], high: sorted[values.len() - 1 - place], coverage })
    }
}

/// The probability with which the interval of the median of `repetitions` covers it; `None` of too
/// few for an interval.
pub fn median_coverage(repetitions: usize) -> Option<f64> {
    narrowest(repetitions, COVERAGE_MIN).map(|(_, coverage)| coverage)
}

/// How many of `count` values are left out on each side of the narrowest interval that covers the
/// median with `at_least`, and with what probability it does.
fn narrowest(count: usize, at_least: f64) -> Option<(usize, f64)> {
    // The logarithm of the probability that so many values lie below the median: 2 to the power of
    // −1,100 is no `f64`.
    let mut ln_exactly = -number(count) * LN_2;
    let below = (0..count.div_ceil(2)).map(|below| {
        let exactly = ln_exactly.exp();
        ln_exactly += (number(count - below) / number(below + 1)).ln();
        exactly
    });
    last_of_tail(below, at_least)
}

/// The same of the changes between `n`·`m` pairs.
fn narrowest_of_pairs(n: usize, m: usize) -> Option<(usize, f64)> {
    // How likely U is to be 0, 1, and so on. Its generating function is the Gaussian binomial
    // coefficient of n + m over n, the product of (1 − qᵐ⁺ⁱ) / (1 − qⁱ) over i = 1 … n.
    let mut exactly = vec![1.0];
    for i in 1..=n {
        let mut next = exactly.clone();
        next.resize(i * m + i + 1, 0.0);
        for (u, probability) in exactly.iter().enumerate() {
            next[u + m + i] -= probability;
        }
        for u in i..next.len() {
            next[u] += next[u - i];
        }
        next.truncate(i * m + 1);
        next.iter_mut().for_each(|probability| *probability *= number(i) / number(m + i));
        exactly = next;
    }
    let half = (n * m).div_ceil(2);
    last_of_tail(exactly.into_iter().take(half), COVERAGE_MIN)
}

/// The last place of a tail, a probability each, that may be left out on both sides so that at
/// least `at_least` remains, and what remains.
fn last_of_tail(tail: impl Iterator<Item = f64>, at_least: f64) -> Option<(usize, f64)> {
    let left = tail.scan(1.0, |left, probability| {
        *left -= 2.0 * probability;
        Some(*left)
    });
    left.enumerate().take_while(|(_, left)| *left >= at_least - ROUNDING).last()
}

#[expect(clippy::cast_precision_loss, reason = "a number of repetitions")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row of Pascal's triangle, in whole numbers.
    fn binomials(count: usize) -> Vec<u64> {
        let mut row = vec![1];
        for _ in 0..count {
            let inner = row.windows(2).map(|pair| pair[0] + pair[1]);
            row = [1].into_iter().chain(inner).chain([1]).collect();
        }
        row
    }

    /// So many values below a median of zero, all others above it.
    fn around_zero(below: usize, count: usize) -> Vec<f64> {
        (0..count).map(|place| if place < below { -1.0 } else { 1.0 }).collect()
    }

    fn share(ways: u64, count: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let ways = ways as f64;
        ways * 0.5_f64.powi(i32::try_from(count).unwrap())
    }

    /// In what share of all ways to fall below or above the median the interval has it, and what it
    /// says of itself.
    fn covered(count: usize, interval: impl Fn(&[f64]) -> Interval) -> (f64, f64) {
        let (mut ways, mut said) = (0, 0.0);
        for (below, of_these) in binomials(count).into_iter().enumerate() {
            let Interval { low, high, coverage } = interval(&around_zero(below, count));
            if low < 0.0 && high > 0.0 {
                ways += of_these;
            }
            said = coverage;
        }
        (share(ways, count), said)
    }

    #[test]
    fn an_interval_covers_the_median_as_often_as_it_says_and_no_narrower_one_does_with_95_per_cent()
    {
        for count in 6..=30 {
            let of = |values: &[f64]| Interval::of_median(values).unwrap();
            let (found, said) = covered(count, of);
            assert!((found - said).abs() < 1e-12, "{count}: {found}, said {said}");
            assert_eq!(median_coverage(count), Some(said));
            assert!(said >= 0.95, "{count}: {said}");

            let ranks: Vec<f64> = (1..=count).map(number).collect();
            let Interval { low, high, .. } = of(&ranks);
            assert_eq!(low + high, number(count + 1), "{count}: as many are left out on each side");
            let inner = |values: &[f64]| {
                let mut sorted = values.to_vec();
                sorted.sort_by(f64::total_cmp);
                let place = ranks.iter().position(|rank| *rank == low + 1.0).unwrap();
                let (low, high) = (sorted[place], sorted[count - 1 - place]);
                Interval { low, high, coverage: 0.0 }
            };
            let narrower = covered(count, inner).0;
            assert!(narrower < 0.95, "{count}: one that covers {narrower} is narrower");
        }
    }

    #[test]
    fn known_intervals() {
        let of =
            |values: &[f64]| Interval::of_median(values).map(|of| (of.low, of.high, of.coverage));
        let seven = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3];
        // Of 128 ways to fall, all below and all above are not covered. Without the two extremes
        // there would be 112.
        assert_eq!(of(&seven), Some((1.0, 9.0, 126.0 / 128.0)));
        assert_eq!(of(&seven[..6]), Some((1.0, 9.0, 62.0 / 64.0)));
        assert_eq!(of(&seven[..5]), None, "15 of 16 is less than 95 %");
        let nine = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        assert_eq!(of(&nine).unwrap().0..=of(&nine).unwrap().1, 2.0..=8.0);
        assert!((of(&nine).unwrap().2 - (1.0 - 20.0 / 512.0)).abs() < 1e-15);
        assert_eq!(of(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::NAN]), None);
        assert_eq!(of(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::INFINITY]).unwrap().1, f64::INFINITY);
        assert_eq!(of(&[]), None);
        // For many, half the width is 1.96 / 2 · √n ranks: the normal approximation.
        let many: Vec<f64> = (1..=2_500).map(f64::from).collect();
        let (low, high, coverage) = of(&many).unwrap();
        assert!((low - 1_201.5).abs() <= 1.0 && (high - 1_299.5).abs() <= 1.0, "{low} {high}");
        assert!((0.95..0.953).contains(&coverage), "{coverage}");
    }

    /// Every way to mix `n` repetitions of one result with `m` of another, as their places in
    /// ascending order.
    fn mixtures(n: usize, m: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
        let ways = (0_u32..1 << (n + m)).filter(|way| way.count_ones() as usize == n);
        let mixture = |way: u32| {
            let is_first = |place: &usize| way >> place & 1 == 1;
            let (a, b): (Vec<usize>, Vec<usize>) = (0..n + m).partition(is_first);
            let places = |of: Vec<usize>| of.into_iter().map(number).collect();
            (places(a), places(b))
        };
        ways.map(mixture).collect()
    }

    #[test]
    fn a_change_is_covered_as_often_as_its_interval_says() {
        // Without a change all mixtures are equally likely, and it is covered if zero lies between
        // the ends.
        for (n, m) in [(4, 4), (3, 5), (5, 5), (6, 6), (7, 7), (5, 9), (8, 8), (8, 9)] {
            let (mut covered, mut said) = (0, 0.0);
            let mixtures = mixtures(n, m);
            for (a, b) in &mixtures {
                let interval = Interval::of_change(a, b, Change::Absolute).unwrap();
                covered += u32::from(interval.low < 0.0 && interval.high > 0.0);
                said = interval.coverage;
            }
            let found = f64::from(covered) / number(mixtures.len());
            assert!((found - said).abs() < 1e-12 && said >= 0.95, "{n}, {m}: {found}, said {said}");
        }
    }

    #[test]
    fn known_intervals_of_changes() {
        // The critical values of tables of U, two-sided, 5 %: so many pairs are left out on each
        // side.
        for (n, m, critical) in [
            (4, 4, 0),
            (5, 5, 2),
            (6, 6, 5),
            (7, 7, 8),
            (8, 8, 13),
            (10, 10, 23),
            (5, 9, 7),
            (20, 20, 127),
        ] {
            assert_eq!(
                narrowest_of_pairs(n, m).map(|(place, _)| place),
                Some(critical),
                "{n}, {m}"
            );
        }
        assert_eq!(narrowest_of_pairs(3, 4), None, "33 of 35 is less than 95 %");
        let a = [10.0, 20.0, 40.0, 80.0];
        let b = [3.0, 6.0, 12.0, 24.0];
        let of = |a: &[f64], b: &[f64], change| Interval::of_change(a, b, change);
        let absolute = of(&a, &b, Change::Absolute).unwrap();
        assert_eq!((absolute.low, absolute.high), (3.0 - 80.0, 24.0 - 10.0));
        assert!((absolute.coverage - 68.0 / 70.0).abs() < 1e-12);
        let relative = of(&a, &b, Change::Relative).unwrap();
        assert_eq!((relative.low, relative.high), (3.0 / 80.0 - 1.0, 24.0 / 10.0 - 1.0));
        assert_eq!(of(&a[..3], &b, Change::Absolute), None);
        assert_eq!(of(&[], &b, Change::Absolute), None);
        assert_eq!(of(&[f64::NAN; 7], &[1.0; 7], Change::Absolute), None);
        assert_eq!(of(&[0.0; 7], &[1.0; 7], Change::Relative), None);
        assert_eq!(of(&[0.0; 7], &[1.0; 7], Change::Absolute).unwrap().low, 1.0);
        // What may be any size above has no end of its own.
        let open = [3.0, 6.0, 12.0, f64::INFINITY];
        let change = of(&a, &open, Change::Relative).unwrap();
        assert_eq!((change.low, change.high), (relative.low, f64::INFINITY));
        assert_eq!(of(&open, &a, Change::Relative).unwrap().low, -1.0);
    }

    #[test]
    fn of_very_many_pairs_a_change_lies_between_the_ends_of_both_medians_intervals() {
        let from: Vec<f64> = (1..=101).map(f64::from).collect();
        let to: Vec<f64> = (1..=101).map(|value| f64::from(value) + 1_000.0).collect();
        let many = Interval::of_change(&from, &to, Change::Absolute).unwrap();
        let fewer = Interval::of_change(&from[..100], &to[..100], Change::Absolute).unwrap();
        for Interval { low, high, coverage } in [many, fewer] {
            assert!(low < 1_000.0 && high > 1_000.0 && high - low < 50.0, "{low} {high}");
            assert!((0.95..0.97).contains(&coverage), "{coverage}");
        }
        assert!(many.low < fewer.low && many.high > fewer.high, "with no condition it is wider");
    }
}
