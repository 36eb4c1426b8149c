//! Axes: from a value to a place between 0 and 1, and the ticks on the way.

use crate::numbers::{bytes, digits3, human, percent, short};

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// What a value on an axis is, for whoever reads one off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// A measured one, read to three digits.
    Number,
    /// One that was asked for, read as it is.
    Given,
    /// A part of 1, read as a percentage.
    Share,
    Bytes,
    /// In µs, read in the axis' unit.
    Duration {
        unit_us: f64,
    },
    Seconds,
    /// The quantile 1 − 10⁻ˣ.
    Nines,
    /// The place of a label.
    Place,
}

/// A tick: where, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// One axis of a panel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) scale: Scale,
    pub(crate) reading: Reading,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<Tick>,
}

/// Chosen: above this ratio of largest to smallest, a linear axis hides the small.
const LOG_RATIO_MIN: f64 = 20.0;

impl Axis {
    /// An axis from zero to a little above the largest of `values`.
    pub(crate) fn from_zero(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().fold(0.0, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = nice_step(largest / 4.0);
        let high = largest * 1.08;
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            reading: Reading::Number,
            low: 0.0,
            high,
            ticks: steps(step, high).map(|at| Tick { at, label: short(at) }).collect(),
        }
    }

    /// An axis for durations given in µs: from zero, or logarithmic where they span a wide range. The unit is in the
    /// label; what is drawn stays in µs.
    pub(crate) fn durations(what: &str, values_us: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values_us.into_iter().filter(|value| *value > 0.0).collect();
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(0.0, f64::max);
        let (unit_us, unit) = match largest {
            size if size < 1e3 => (1.0, "µs"),
            size if size < 1e7 => (1e3, "ms"),
            _ => (1e6, "s"),
        };
        let in_unit = values.iter().map(|value| value / unit_us);
        let label = format!("{what} ({unit})");
        let mut axis = if values.is_empty() || largest / smallest < LOG_RATIO_MIN {
            Self::from_zero(&label, in_unit)
        } else {
            Self::log(&label, smallest / unit_us, largest / unit_us)
        };
        axis.reading = Reading::Duration { unit_us };
        axis.low *= unit_us;
        axis.high *= unit_us;
        axis.ticks.iter_mut().for_each(|tick| tick.at *= unit_us);
        axis
    }

    /// A logarithmic axis around the range from `smallest` to `largest`.
    pub(crate) fn log(label: &str, smallest: f64, largest: f64) -> Self {
        // Room for a marker at either end, however wide the range is.
        let margin = (largest / smallest).powf(0.12).max(1.25);
        let (low, high) = (smallest / margin, largest * margin);
        let decades = (largest / smallest).log10();
        let per_decade: &[f64] = match decades {
            size if size < 1.3 => &[1.0, 2.0, 5.0],
            size if size < 2.4 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let exponents = exponent(low)..=exponent(high);
        let values = exponents
            .flat_map(|exponent| per_decade.iter().map(move |digit| digit * 10f64.powi(exponent)));
        let ticks = values
            .filter(|at| (low..=high).contains(at))
            .map(|at| Tick { at, label: short(at) })
            .collect();
        let (label, reading) = (label.to_owned(), Reading::Number);
        Self { label, scale: Scale::Log, reading, low, high, ticks }
    }

    /// An axis with a place per label: 0, 1, 2, …
    pub(crate) fn ordinal(label: &str, labels: impl IntoIterator<Item = String>) -> Self {
        let places = (0u32..).map(f64::from);
        let ticks: Vec<Tick> = places.zip(labels).map(|(at, label)| Tick { at, label }).collect();
        let last = ticks.last().map_or(0.0, |tick| tick.at);
        let margin = if ticks.len() > 1 { 0.3 } else { 0.5 };
        let label = label.to_owned();
        let (scale, reading) = (Scale::Linear, Reading::Place);
        Self { label, scale, reading, low: -margin, high: last + margin, ticks }
    }

    /// A value with its unit, as precisely as a measured one is worth.
    pub(crate) fn text(&self, value: f64) -> String {
        match self.reading {
            Reading::Given => short(value),
            Reading::Number => human(value),
            Reading::Share => percent(value),
            Reading::Bytes => bytes(value),
            Reading::Duration { unit_us } => {
                let unit = if unit_us < 1e3 {
                    "µs"
                } else if unit_us < 1e6 {
                    "ms"
                } else {
                    "s"
                };
                format!("{} {unit}", digits3(value / unit_us))
            }
            Reading::Seconds => format!("{value:.2} s"),
            Reading::Nines => quantile_text(1.0 - 10f64.powf(-value)),
            Reading::Place => {
                let near = |tick: &&Tick| (tick.at - value).abs() < 0.5;
                self.ticks.iter().find(near).map(|tick| tick.label.clone()).unwrap_or_default()
            }
        }
    }

    /// Where `value` lies, 0 at the low end and 1 at the high end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        }
    }
}

/// A quantile as a percentage, with all the nines that it has.
pub(crate) fn quantile_text(quantile: f64) -> String {
    if quantile > 0.9999 {
        // Beyond two decimals a percentage is rounded; the digits are spelt out.
        let digits = format!("{:.5}", quantile * 100.0);
        return format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    percent(quantile)
}

/// The smallest of 1, 2, 2.5, 5 × 10ⁿ that is at least `rough`.
pub(crate) fn nice_step(rough: f64) -> f64 {
    let magnitude = 10f64.powi(exponent(rough));
    let digits = [1.0, 2.0, 2.5, 5.0, 10.0];
    let digit = digits.into_iter().find(|digit| digit * magnitude >= rough * 0.999);
    digit.unwrap_or(10.0) * magnitude
}

/// 0, step, 2 step, … up to `high`.
pub(crate) fn steps(step: f64, high: f64) -> impl Iterator<Item = f64> {
    (0u32..).map(move |index| f64::from(index) * step).take_while(move |at| *at <= high)
}

#[expect(clippy::cast_possible_truncation, reason = "the exponent of a double")]
fn exponent(value: f64) -> i32 {
    value.log10().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis::from_zero("ops/s", [41_234.0]);
        assert_eq!(labels(&axis), ["0", "20k", "40k"]);
        assert_eq!(labels(&Axis::from_zero("", [1_900.0])), ["0", "500", "1k", "1.5k", "2k"]);
        assert_eq!(labels(&Axis::from_zero("", [])), ["0", "0.25", "0.5", "0.75", "1"]);
        assert_eq!(labels(&Axis::log("", 0.8, 900.0)), ["1", "10", "100", "1k"]);
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        let axis = Axis::durations("latency", [1_500.0, 4_000.0]);
        assert_eq!((axis.label.as_str(), axis.scale), ("latency (ms)", Scale::Linear));
        assert_eq!(labels(&axis), ["0", "1", "2", "3", "4"]);
        assert_eq!(axis.ticks[1].at, 1_000.0);
        let wide = Axis::durations("latency", [100.0, 20_000.0]);
        assert_eq!(wide.scale, Scale::Log);
        assert_eq!(labels(&wide), ["0.1", "0.3", "1", "3", "10", "30"]);
        assert_eq!(Axis::durations("latency", [5.0]).label, "latency (µs)");
        assert_eq!(Axis::durations("latency", []).scale, Scale::Linear);
    }

    #[test]
    fn values_are_read_off_with_their_unit() {
        let plain = Axis::from_zero("", [1.0]);
        assert_eq!(
            [1_510.0, 41_234.5, 0.5].map(|value| plain.text(value)),
            ["1.51k", "41.2k", "0.50"]
        );
        assert_eq!(Axis::durations("", [1_500.0]).text(380.5), "0.38 ms");
        assert_eq!(Axis::ordinal("", ["a".to_owned(), "b".to_owned()]).text(1.0), "b");
        let read = |reading, value| Axis { reading, ..plain.clone() }.text(value);
        assert_eq!(read(Reading::Given, 12_500.0), "12.5k");
        assert_eq!(read(Reading::Share, 0.02), "2 %");
        assert_eq!(read(Reading::Bytes, 1_024.0), "1 KiB");
        assert_eq!(read(Reading::Seconds, 12.35), "12.35 s");
        assert_eq!(
            [1.0, 2.0, 5.0].map(|nines| read(Reading::Nines, nines)),
            ["90 %", "99 %", "99.999 %"]
        );
    }

    #[test]
    fn shares_run_from_zero_to_one() {
        let log = Axis::log("", 1.0, 100.0);
        assert!((log.share(10.0) - 0.5).abs() < 1e-9);
        let ordinal = Axis::ordinal("", ["a".to_owned(), "b".to_owned()]);
        assert!((ordinal.share(0.5) - 0.5).abs() < 1e-9);
        assert!(ordinal.share(0.0) > 0.0 && ordinal.share(1.0) < 1.0);
    }
}
