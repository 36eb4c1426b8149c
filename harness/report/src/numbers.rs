//! Numbers for people: three significant digits, a unit that fits, and spread over repetitions.

use std::collections::BTreeSet;

use measure::{Interval, median_coverage};

/// What stands where a figure has no meaning or too few samples.
pub(crate) const NONE: &str = "–";

/// What `≥` means before a figure, without its stop.
pub(crate) const BOUND_KEY: &str = "≥: a lower bound, for not all requests were answered";

/// A repetition's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observed {
    /// The value, or what it is at least.
    pub(crate) value: f64,
    /// Is the true value perhaps larger?
    pub(crate) at_least: bool,
}

/// The median of some repetitions, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) count: usize,
    pub(crate) at_least: AtLeast,
}

/// Which figures of a spread are lower bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtLeast {
    pub(crate) median: bool,
    pub(crate) low: bool,
    pub(crate) high: bool,
}

/// The ratio of two medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    /// Half the width of the interval around it that follows from both spreads, taken as independent.
    pub(crate) half: f64,
    /// Is the true ratio perhaps larger?
    pub(crate) at_least: bool,
    /// Is the true half-width perhaps larger?
    pub(crate) half_at_least: bool,
}

impl From<f64> for Observed {
    fn from(value: f64) -> Self {
        Self { value, at_least: false }
    }
}

impl Spread {
    /// The spread of `values`; `None` if there are none.
    ///
    /// As within a run, a figure is exact as long as every lower bound among the values lies above
    /// it; the middle between two values counts as the upper of them.
    pub(crate) fn of<V: Into<Observed>>(values: impl IntoIterator<Item = V>) -> Option<Self> {
        let observed = values.into_iter().map(Into::into);
        let observed: Vec<Observed> = observed.filter(|of| of.value.is_finite()).collect();
        let bounds = observed.iter().filter(|of| of.at_least).map(|of| of.value);
        let least_bound = bounds.fold(f64::INFINITY, f64::min);
        let mut values: Vec<f64> = observed.iter().map(|of| of.value).collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let last = count.checked_sub(1)?;
        let median = f64::midpoint(values[last / 2], values[count / 2]);
        let interval = Interval::of_median(&values);
        let (low, high) = interval.map_or((values[0], values[last]), |of| (of.low, of.high));
        let is_at_least = |value: f64| least_bound <= value;
        let at_least = AtLeast {
            median: is_at_least(values[count / 2]),
            low: is_at_least(low),
            high: is_at_least(high),
        };
        Some(Self { median, low, high, count, at_least })
    }

    /// With what probability low and high have the median between them; `None` if they are no
    /// interval but the extremes.
    pub(crate) fn coverage(&self) -> Option<f64> {
        median_coverage(self.count)
    }

    /// Half the way from low to high.
    pub(crate) fn half(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// The ratio to another's median; `None` where it is not known, not even what it is at least.
    pub(crate) fn ratio(&self, other: &Self) -> Option<Ratio> {
        let value = self.median / other.median;
        let relative = (self.half() / self.median).hypot(other.half() / other.median);
        let is_known = value.is_finite() && relative.is_finite() && !other.at_least.median;
        is_known.then_some(Ratio {
            value,
            half: value * relative,
            at_least: self.at_least.median,
            half_at_least: self.at_least.high || other.at_least.high,
        })
    }
}

/// A figure as it is shown: with `≥` if it is a lower bound.
pub(crate) fn bounded(at_least: bool, figure: impl std::fmt::Display) -> String {
    format!("{}{figure}", if at_least { "≥" } else { "" })
}

/// How `low` and `high` are to be called, given the number of repetitions: "98.4 % interval", by
/// the probability with which it covers the median, or "min … max".
pub(crate) fn spread_name(repetitions: usize) -> String {
    let interval = |coverage| format!("{:.1} % interval", coverage * 100.0);
    median_coverage(repetitions).map_or_else(|| "min … max".to_owned(), interval)
}

/// What spreads are to be called that several numbers of repetitions have: the most first, those of
/// one name together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SpreadName {
    pub(crate) name: String,
    /// Whether it is an interval, not the extremes.
    pub(crate) is_interval: bool,
    /// For instance "4 or 3".
    pub(crate) repetitions: String,
}

/// The names of the spreads that so many repetitions have; one alone has none.
pub(crate) fn spread_names(counts: &BTreeSet<usize>) -> Vec<SpreadName> {
    let mut names: Vec<SpreadName> = Vec::new();
    for count in counts.iter().rev().filter(|count| **count > 1) {
        let name = spread_name(*count);
        match names.last_mut() {
            Some(last) if last.name == name => last.repetitions += &format!(" or {count}"),
            _ => names.push(SpreadName {
                name,
                is_interval: median_coverage(*count).is_some(),
                repetitions: count.to_string(),
            }),
        }
    }
    names
}

/// 41234 as 41.2k: three significant digits with k, M or G.
pub(crate) fn human(value: f64) -> String {
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        // 999.6 thousand would print as 1000k.
        if value.abs() >= unit * 0.9995 {
            return format!("{}{suffix}", digits3(value / unit));
        }
    }
    digits3(value)
}

/// 1234567 as 1,234,567: a count that is to be read exactly.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits, no exponent.
pub(crate) fn digits3(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.095 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `half` with as many decimals as `human(median)` shows, in its unit: "1.3k" beside "41.2k".
pub(crate) fn human_half(median: f64, half: f64) -> String {
    let suffix = human(median).chars().last().filter(|c| c.is_alphabetic());
    format!("{}{}", human_beside(median, half), suffix.map(String::from).unwrap_or_default())
}

/// The same without the unit: "1.3" beside "41.2k".
pub(crate) fn human_beside(median: f64, value: f64) -> String {
    let text = human(median);
    let suffix = text.chars().last().filter(|c| c.is_alphabetic());
    let unit = match suffix {
        Some('G') => 1e9,
        Some('M') => 1e6,
        Some('k') => 1e3,
        _ => 1.0,
    };
    let decimals = text
        .split_once('.')
        .map_or(0, |(_, after)| after.chars().filter(char::is_ascii_digit).count());
    format!("{:.decimals$}", value / unit)
}

/// A number as short as it can be written: axis ticks and swept values.
pub(crate) fn short(value: f64) -> String {
    for (unit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= unit {
            return format!("{}{suffix}", trimmed(value / unit));
        }
    }
    trimmed(value)
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A share as "12.5 %", without needless zeros.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", trimmed((share * 1e4).round() / 1e2))
}

/// 1024 as "1 KiB".
pub(crate) fn bytes(value: f64) -> String {
    for (unit, name) in [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB")] {
        if value >= unit {
            return format!("{} {name}", trimmed((value / unit * 100.0).round() / 100.0));
        }
    }
    format!("{} B", trimmed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let cases = [(41_234.0, "41.2k"), (999_600.0, "1.00M"), (0.0, "0.00"), (152.3, "152")];
        for (value, expected) in cases {
            assert_eq!(human(value), expected);
        }
        for (count, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(count), expected);
        }
        assert_eq!(human_half(41_234.0, 1_260.0), "1.3k");
        assert_eq!(human_half(1_234_000.0, 30_000.0), "0.03M");
        assert_eq!(human_half(152.0, 3.4), "3");
        assert_eq!(
            (short(1_500.0), short(0.02), short(10.0)),
            ("1.5k".into(), "0.02".into(), "10".into())
        );
        assert_eq!(
            (percent(0.02), percent(1.0), percent(0.125)),
            ("2 %".into(), "100 %".into(), "12.5 %".into())
        );
        assert_eq!(
            (bytes(16.0), bytes(1_024.0), bytes(16_384.0)),
            ("16 B".into(), "1 KiB".into(), "16 KiB".into())
        );
    }

    #[test]
    fn few_repetitions_spread_over_their_range() {
        let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of([0.0; 0]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    fn observed(values: &[(f64, bool)]) -> Spread {
        let of = |(value, at_least): &(f64, bool)| Observed { value: *value, at_least: *at_least };
        Spread::of(values.iter().map(of)).unwrap()
    }

    #[test]
    fn a_spreads_figure_is_a_lower_bound_from_the_first_repetition_on_that_is_one() {
        let flags = |values: &[(f64, bool)]| {
            let AtLeast { low, median, high } = observed(values).at_least;
            [low, median, high]
        };
        assert_eq!(flags(&[(1.0, false), (3.0, false), (2.0, false)]), [false; 3]);
        assert_eq!(flags(&[(1.0, false), (3.0, true), (2.0, false)]), [false, false, true]);
        assert_eq!(flags(&[(1.0, false), (2.0, true), (3.0, false)]), [false, true, true]);
        assert_eq!(flags(&[(1.0, true), (2.0, false), (3.0, false)]), [true; 3]);
        // Of an even count the upper of the two in the middle decides.
        assert_eq!(flags(&[(1.0, false), (2.0, true)]), [false, true, true]);
        let last = flags(&[(1.0, false), (2.0, false), (3.0, false), (3.5, true)]);
        assert_eq!(last, [false, false, true]);
        // Equal to a lower bound is not below it.
        assert_eq!(flags(&[(1.0, false), (2.0, false), (2.0, true)]), [false, true, true]);
        // One of ten lies outside of their interval on each side.
        let mut ten: Vec<(f64, bool)> = (1..=10).map(|value| (f64::from(value), false)).collect();
        ten[9].1 = true;
        assert_eq!((flags(&ten), observed(&ten).high), ([false; 3], 9.0));
        ten[8].1 = true;
        assert_eq!(flags(&ten), [false, false, true]);
    }

    #[test]
    fn a_ratio_is_at_least_so_large_over_an_exact_figure_and_unknown_over_a_bound() {
        let exact = Spread::of([2.0, 2.0, 2.0]).unwrap();
        let bound = observed(&[(5.0, true), (6.0, false), (7.0, false)]);
        let ratio = bound.ratio(&exact).unwrap();
        assert_eq!((ratio.value, ratio.at_least, ratio.half_at_least), (3.0, true, true));
        assert_eq!(exact.ratio(&bound), None);
        let open = observed(&[(1.0, false), (2.0, false), (3.0, true)]);
        let ratio = open.ratio(&exact).unwrap();
        assert_eq!((ratio.value, ratio.at_least, ratio.half_at_least), (1.0, false, true));
        assert_eq!([bounded(true, "2.05"), bounded(false, 3)], ["≥2.05", "3"]);
    }

    #[test]
    fn from_six_repetitions_on_the_spread_is_an_interval_with_its_true_coverage() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3, 2.0, 7.0];
        let of = |count: usize| {
            let spread = Spread::of(values[..count].iter().copied()).unwrap();
            (spread.low, spread.high, spread.coverage())
        };
        assert_eq!(of(5), (1.0, 9.0, None));
        assert_eq!(of(7), (1.0, 9.0, Some(126.0 / 128.0)));
        assert_eq!(of(9), (1.5, 7.0, Some(1.0 - 20.0 / 512.0)));
        let names = [5, 6, 7, 9].map(spread_name);
        assert_eq!(names, ["min … max", "96.9 % interval", "98.4 % interval", "96.1 % interval"]);
        let names = spread_names(&BTreeSet::from([1, 2, 4, 6, 10]));
        let names =
            names.iter().map(|of| (of.name.as_str(), of.is_interval, of.repetitions.as_str()));
        let expected = [
            ("97.9 % interval", true, "10"),
            ("96.9 % interval", true, "6"),
            ("min … max", false, "4 or 2"),
        ];
        assert!(names.eq(expected), "{:?}", spread_names(&BTreeSet::from([1, 2, 4, 6, 10])));
        assert_eq!(human_beside(41_234.0, 38_912.0), "38.9");
    }

    #[test]
    fn a_ratio_carries_both_spreads() {
        let (a, b) = (Spread::of([9.0, 10.0, 11.0]).unwrap(), Spread::of([5.0]).unwrap());
        let ratio = a.ratio(&b).unwrap();
        assert!((ratio.value - 2.0).abs() < 1e-9 && (ratio.half - 0.2).abs() < 1e-9);
        assert!(!ratio.at_least && !ratio.half_at_least);
        assert_eq!(a.ratio(&Spread::of([0.0]).unwrap()), None);
    }
}
