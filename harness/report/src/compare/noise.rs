//! What of a change is noise: how far repetitions of one and the same build lie apart (A/A), and at
//! least a stated minimum.
//!
//! Many figures are compared at once, and few repetitions show too little of how far they spread.
//! So the noise of a figure is the largest that any point of the protocol shows, on either side:
//! the more is compared, the more is looked for. With normal noise two results of one build are
//! then told apart by chance in 1 to 3 of 100 comparisons of one point, with 3 to 20 repetitions,
//! of two repetitions in 4; with four points in 0 to 2 (simulated, 10,000 comparisons each). A
//! change of three standard deviations is noticed by 41 of 100 comparisons of three repetitions,
//! and by 93 of six.

use measure::{Change, Interval};

use super::{FIGURES, Figure};
use crate::{
    numbers::{BOUND_KEY, NONE, Observed, Spread, digits3},
    results::Results,
};

/// Chosen: 2 % (or percentage points). What is less than that on a real host is nobody's concern: alignment of the binary and
/// placement of pages alone move figures by that much (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously
/// Wrong!", ASPLOS 2009).
const LEAST: f64 = 0.02;

/// Chosen: where no side was repeated nothing is known of its noise. The committed reference runs' repetitions, on a shared
/// machine, lie up to 40 % apart in throughput and in the median latency.
const ASSUMED: f64 = 0.4;

/// The noise of two results, as far as it is the same for several points.
#[derive(Debug)]
pub(super) struct Floors {
    /// Is every run simulated, from one seed?
    is_exact: bool,
    /// The largest spread that any point shows, by protocol and figure.
    shown: Vec<(String, [Option<f64>; FIGURES.len()])>,
}

/// What noise is taken for at least, and where it is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Floor {
    least: f64,
    /// If one repetition tells nothing.
    unknown: f64,
    /// Few repetitions count as farther apart than they are.
    is_wary: bool,
}

/// A change with what is known of it. Shares of A's figure, or differences; as the figure's [`Change`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) change: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// With what probability the change lies between low and high at least; `None` where they are
    /// no interval but the extremes.
    pub(super) coverage: Option<f64>,
    pub(super) noise: f64,
    /// Whether the noise is assumed, for no side was repeated.
    pub(super) assumed: bool,
    pub(super) known: Known,
    kind: Change,
}

/// How well a change is known between medians that may be lower bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Exactly,
    /// B's median is a lower bound.
    AtLeast,
    /// A's is.
    AtMost,
    /// Both are.
    NotAtAll,
}

impl Floors {
    /// Of these two results.
    pub(super) fn of(a: &Results, b: &Results) -> Self {
        let is_simulated =
            |results: &Results| results.summary.iter().all(|row| row.driver == "sim");
        let is_exact = is_simulated(a) && is_simulated(b) && a.manifest.seed == b.manifest.seed;
        let mut floors = Self { is_exact, shown: Vec::new() };
        if is_exact {
            return floors;
        }
        for results in [a, b] {
            for protocol in &results.protocols {
                for point in &results.points {
                    floors.show(results, protocol, &point.text);
                }
            }
        }
        floors
    }

    fn show(&mut self, results: &Results, protocol: &str, point: &str) {
        let Some(cell) = results.cell(point, protocol).filter(crate::cell::Cell::is_valid) else {
            return;
        };
        let place = self.shown.iter().position(|(known, _)| known == protocol);
        let place = place.unwrap_or_else(|| {
            self.shown.push((protocol.to_owned(), [None; FIGURES.len()]));
            self.shown.len() - 1
        });
        for (figure, shown) in FIGURES.iter().zip(&mut self.shown[place].1) {
            let spread = within(figure.change, &known(&figure.values(&cell)), true);
            *shown = [*shown, spread].into_iter().flatten().reduce(f64::max);
        }
    }

    /// The noise of a figure of this protocol.
    pub(super) fn floor(&self, protocol: &str, figure: &Figure) -> Floor {
        if self.is_exact {
            // Nothing but the seed decides a simulated run. Its repetitions have seeds of their own.
            return Floor { least: 0.0, unknown: 0.0, is_wary: false };
        }
        let shown = self.shown.iter().find(|(known, _)| known == protocol);
        let place = FIGURES.iter().position(|known| known.column.name == figure.column.name);
        let shown = shown.zip(place).and_then(|((_, shown), place)| shown[place]);
        Floor {
            least: shown.unwrap_or(0.0).max(LEAST),
            unknown: shown.unwrap_or(ASSUMED),
            is_wary: true,
        }
    }
}

/// The change of the median from the repetitions `a` to the repetitions `b`; `None` where a side has none, or a change has
/// no meaning.
///
/// A repetition that is a lower bound may be anything above: the low end of the change is taken with A's as large as can be,
/// the high end with B's.
pub(super) fn measured(
    kind: Change,
    a: &[Observed],
    b: &[Observed],
    floor: Floor,
) -> Option<Measured> {
    let (median_a, median_b) = (Spread::of(a.iter().copied())?, Spread::of(b.iter().copied())?);
    let change = kind.of(median_a.median, median_b.median)?;
    let ([a, most_a], [b, most_b]) = ([known(a), at_most(a)], [known(b), at_most(b)]);
    let intervals = [(&most_a, &b), (&a, &most_b)].map(|(a, b)| Interval::of_change(a, b, kind));
    let coverage = intervals[0].map(|interval| interval.coverage);
    let (low, high) = match intervals {
        // The median may change by more than the shift of all figures: then the interval is made to
        // have both.
        [Some(least), Some(most)] => (least.low.min(change), most.high.max(change)),
        _ => (kind.of(ends(&most_a)?.1, ends(&b)?.0)?, kind.of(ends(&a)?.0, ends(&most_b)?.1)?),
    };
    let within = [&a, &b].map(|values| within(kind, values, floor.is_wary));
    let shown = within.into_iter().flatten().reduce(f64::max);
    let assumed = shown.is_none() && floor.unknown == ASSUMED;
    let noise = shown.unwrap_or(floor.unknown).max(floor.least);
    let known = match (median_a.at_least.median, median_b.at_least.median) {
        (false, false) => Known::Exactly,
        (false, true) => Known::AtLeast,
        (true, false) => Known::AtMost,
        (true, true) => Known::NotAtAll,
    };
    Some(Measured { change, low, high, coverage, noise, assumed, known, kind })
}

/// The values as far as they are known.
fn known(values: &[Observed]) -> Vec<f64> {
    values.iter().map(|of| of.value).collect()
}

/// What the values are at most.
fn at_most(values: &[Observed]) -> Vec<f64> {
    let most = |of: &Observed| if of.at_least { f64::INFINITY } else { of.value };
    values.iter().map(most).collect()
}

/// How far apart two results lie that both have these repetitions: how far the interval of the
/// change between them reaches, or, of few repetitions, those that are farthest apart; `None` of
/// one. If `is_wary`, two or three are taken to lie farther apart than they show.
fn within(kind: Change, values: &[f64], is_wary: bool) -> Option<f64> {
    if let Some(interval) = Interval::of_change(values, values, kind) {
        return Some(size(kind, interval.low).max(size(kind, interval.high)));
    }
    // Chosen by simulation: see the module's rates.
    let times = match (values.len(), is_wary) {
        (0 | 1, _) => return None,
        (2, true) => 3.0,
        (3, true) => 1.5,
        _ => 1.0,
    };
    let (least, most) = ends(values)?;
    Some(size(kind, kind.of(least, most)?) * times)
}

/// How large a change is, whichever way it goes: a fall is as large as the rise that undoes it.
fn size(kind: Change, change: f64) -> f64 {
    match kind {
        Change::Relative if change < 0.0 => 1.0 / (1.0 + change) - 1.0,
        _ => change.abs(),
    }
}

fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().reduce(f64::min)?;
    Some((least, values.iter().copied().reduce(f64::max)?))
}

impl Measured {
    /// Whether it is more than noise: larger than the floor and, where there is an interval, without zero in it.
    pub(super) fn is_beyond_noise(&self) -> bool {
        let excludes_zero = self.low > 0.0 || self.high < 0.0;
        size(self.kind, self.change) > self.noise && (excludes_zero || self.coverage.is_none())
    }

    /// Whether the change can be judged: it is exact, or its bound is beyond noise on the side to which it may grow.
    pub(super) fn decides(&self) -> bool {
        match self.known {
            Known::Exactly => true,
            Known::AtLeast => self.change > 0.0 && self.is_beyond_noise(),
            Known::AtMost => self.change < 0.0 && self.is_beyond_noise(),
            Known::NotAtAll => false,
        }
    }

    /// The change, or its bound; `None` of two lower bounds.
    pub(super) fn known_change(&self) -> Option<f64> {
        (self.known != Known::NotAtAll).then_some(self.change)
    }

    /// For instance +3.2 %, or ≥+3.2 %; a dash if nothing is known.
    pub(super) fn change_text(&self) -> String {
        let prefix = match self.known {
            Known::Exactly => "",
            Known::AtLeast => "≥",
            Known::AtMost => "≤",
            Known::NotAtAll => return NONE.to_owned(),
        };
        format!("{prefix}{}{}", signed(self.change), self.unit())
    }

    /// What [`Measured::between_text`] is: an interval, with how often it covers the change at
    /// least, or the extremes.
    pub(super) fn between_name(&self) -> String {
        let interval = |coverage| format!("interval of at least {}", at_least(coverage));
        self.coverage.map_or_else(|| "min … max".to_owned(), interval)
    }

    /// For instance [-1.0, +7.9] %, or [-1.0, ∞) %; a dash where nothing was repeated, or nothing is known.
    pub(super) fn between_text(&self) -> String {
        if self.known == Known::NotAtAll || self.coverage.is_none() && self.low == self.high {
            return NONE.to_owned();
        }
        let high = match self.high.is_finite() {
            true => format!("{}]", signed(self.high)),
            false => "∞)".to_owned(),
        };
        format!("[{}, {high}{}", signed(self.low), self.unit())
    }

    /// For instance 2.00 %, or ~40.0 % if it is assumed.
    pub(super) fn noise_text(&self) -> String {
        let assumed = if self.assumed { "~" } else { "" };
        format!("{assumed}{}{}", digits3(self.noise * 100.0), self.unit())
    }

    fn unit(&self) -> &'static str {
        match self.kind {
            Change::Relative => " %",
            Change::Absolute => " pp",
        }
    }
}

/// A share in per cent with its sign.
fn signed(share: f64) -> String {
    let text = digits3((share * 100.0).abs());
    // What rounds to nothing has no sign.
    let is_nothing = text.chars().all(|c| matches!(c, '0' | '.'));
    match (is_nothing, share < 0.0) {
        (true, _) => "0".to_owned(),
        (false, true) => format!("-{text}"),
        (false, false) => format!("+{text}"),
    }
}

/// What stands over [`Measured::between_text`] of all of these.
pub(super) fn between_heading(all: &[&Measured]) -> &'static str {
    let intervals = all.iter().filter(|of| of.coverage.is_some()).count();
    match (intervals > 0, intervals == all.len()) {
        (false, _) => "range",
        (true, true) => "interval",
        (true, false) => "interval or range",
    }
}

/// How these intervals, ranges and their noise are to be read; `has_bound` if any figure is a lower bound.
pub(super) fn key(all: &[&Measured], has_bound: bool) -> String {
    let least = all.iter().filter_map(|of| of.coverage).reduce(f64::min);
    let mut between = Vec::new();
    if let Some(least) = least {
        between.push(format!(
            "interval: covers the change with a probability of at least {}, if B's repetitions spread as A's do but for \
             that change (Mann-Whitney); ",
            at_least(least)
        ));
    }
    if all.iter().any(|of| of.coverage.is_none()) {
        between.push(
            "range: the extremes of any repetition of B over any of A, too few for an interval; "
                .to_owned(),
        );
    }
    format!(
        "Latencies in ms. change: of the median, B over A; {}noise: how far repetitions of one result lie apart at most, \
         at any point of the protocol (of two counted three times, of three one and a half, of \
         more as far as the interval of a change between two such results reaches), and at least {} %; of simulations from one seed, at that point alone; ~: assumed, for \
         nothing was repeated. A larger change (a fall counts as the rise that undoes it), whose interval, if it has one, \
         is without zero, is improved, regressed or (where neither way is better) changed.{}",
        between.concat(),
        LEAST * 100.0,
        if has_bound {
            format!(" {BOUND_KEY}; it is judged only where it decides.")
        } else {
            String::new()
        }
    )
}

/// A bound of a probability, never rounded up: 96.8 %.
fn at_least(probability: f64) -> String {
    format!("{:.1} %", (probability * 1e3).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: Floor = Floor { least: LEAST, unknown: ASSUMED, is_wary: true };
    const EXACT: Floor = Floor { least: 0.0, unknown: 0.0, is_wary: false };

    fn change(a: &[f64], b: &[f64], floor: Floor) -> Measured {
        measured(Change::Relative, &exact(a), &exact(b), floor).unwrap()
    }

    fn exact(values: &[f64]) -> Vec<Observed> {
        values.iter().copied().map(Observed::from).collect()
    }

    fn bounds(values: &[f64]) -> Vec<Observed> {
        values.iter().map(|value| Observed { value: *value, at_least: true }).collect()
    }

    #[test]
    fn a_lower_bound_is_judged_only_where_it_decides() {
        let of = |a: &[Observed], b: &[Observed]| measured(Change::Relative, a, b, REAL).unwrap();
        let (old, far, near) = (exact(&[100.0; 3]), bounds(&[300.0; 3]), bounds(&[101.0; 3]));
        let below = bounds(&[20.0; 3]);
        let decided = |a: &[Observed], b: &[Observed]| (of(a, b).decides(), of(a, b).known);
        assert_eq!(decided(&old, &far), (true, Known::AtLeast), "has grown at least so much");
        assert_eq!(decided(&old, &near), (false, Known::AtLeast), "may have grown beyond noise");
        assert_eq!(decided(&old, &below), (false, Known::AtLeast), "may be any");
        assert_eq!(decided(&far, &old), (true, Known::AtMost), "has fallen at least so much");
        assert_eq!(decided(&near, &old), (false, Known::AtMost));
        assert_eq!(decided(&below, &old), (false, Known::AtMost));
        assert_eq!(decided(&far, &far), (false, Known::NotAtAll));
        assert_eq!(decided(&below, &far), (false, Known::NotAtAll));
        let texts = |a, b| [of(a, b).change_text(), of(a, b).between_text()];
        assert_eq!(texts(&old, &far), ["≥+200 %", "[+200, ∞) %"]);
        assert_eq!(texts(&far, &old), ["≤-66.7 %", "[-100, -66.7] %"]);
        assert_eq!(texts(&far, &far), ["–", "–"]);
    }

    #[test]
    fn a_repetition_that_is_a_lower_bound_opens_the_interval_on_its_side() {
        let open = |values: &[f64]| {
            let mut values = exact(values);
            values.last_mut().unwrap().at_least = true;
            values
        };
        let few = [100.0, 101.0, 102.0];
        let of = |a: &[Observed], b: &[Observed]| measured(Change::Relative, a, b, REAL).unwrap();
        let to_open = of(&exact(&few), &open(&few));
        assert_eq!((to_open.known, to_open.change), (Known::Exactly, 0.0));
        assert_eq!((to_open.high, to_open.low), (f64::INFINITY, 100.0 / 102.0 - 1.0));
        let from_open = of(&open(&few), &exact(&few));
        assert_eq!((from_open.low, from_open.high), (-1.0, 102.0 / 100.0 - 1.0));
        // Most pairs of many are closed: an end that leaves the open ones out is finite, but farther off.
        let many: Vec<f64> = (0..12).map(|step| 100.0 + f64::from(step)).collect();
        let shifted: Vec<f64> = many.iter().map(|value| value * 1.5).collect();
        let closed = of(&exact(&many), &exact(&shifted));
        let to_open = of(&exact(&many), &open(&shifted));
        let from_open = of(&open(&many), &exact(&shifted));
        for open in [&to_open, &from_open] {
            assert!(open.coverage.is_some() && open.coverage == closed.coverage);
            assert!(open.decides() && open.is_beyond_noise());
        }
        assert!(to_open.high.is_finite() && to_open.high > closed.high, "{to_open:?}");
        assert!(from_open.low > 0.0 && from_open.low < closed.low, "{from_open:?}");
        assert_eq!((to_open.low, from_open.high), (closed.low, closed.high));
    }

    #[test]
    fn a_few_repetitions_are_judged_by_how_far_they_lie_apart() {
        let near = change(&[100.0, 96.0, 104.0], &[90.0, 92.0, 94.0], REAL);
        assert!((near.noise - 1.5 * (104.0 / 96.0 - 1.0)).abs() < 1e-9, "{near:?}");
        assert!(near.coverage.is_none() && !near.is_beyond_noise());
        assert_eq!((near.change_text(), near.noise_text()), ("-8.00 %".into(), "12.5 %".into()));
        assert_eq!(near.between_text(), "[-13.5, -2.08] %");
        assert!(change(&[100.0, 96.0, 104.0], &[87.0, 86.0, 85.0], REAL).is_beyond_noise());
        let noise = |values: &[f64], floor| change(values, &[1.0], floor).noise;
        assert!((noise(&[100.0, 98.0], REAL) - 3.0 * 2.0 / 98.0).abs() < 1e-9);
        assert!((noise(&[100.0, 98.0], EXACT) - 2.0 / 98.0).abs() < 1e-9);
        // Two of 25 pairs lie outside of the interval on each side: 102/98 and 101/98, then 102/99.
        assert!((noise(&[99.0, 98.0, 100.0, 101.0, 102.0], REAL) - 3.0 / 99.0).abs() < 1e-9);
    }

    #[test]
    fn a_change_below_the_least_noise_is_noise_even_if_it_repeats() {
        let (a, b) = ([100.0; 8], [101.5; 8]);
        let small = change(&a, &b, REAL);
        assert!(small.coverage.is_some() && small.low > 0.0 && !small.is_beyond_noise());
        assert!(change(&a, &[103.0; 8], REAL).is_beyond_noise());
    }

    #[test]
    fn many_repetitions_need_an_interval_without_zero() {
        let spread = |middle: f64| -> Vec<f64> {
            (0..9).map(|step| middle * (0.8 + 0.05 * f64::from(step))).collect()
        };
        let noisy = change(&spread(100.0), &spread(106.0), REAL);
        assert!(noisy.coverage.is_some() && noisy.low < 0.0 && noisy.high > 0.0, "{noisy:?}");
        assert!(!noisy.is_beyond_noise());
        assert!(change(&spread(100.0), &spread(160.0), REAL).is_beyond_noise());
    }

    #[test]
    fn an_interval_or_a_range_is_called_what_it_is() {
        let of = |count: usize| {
            change(&[100.0, 96.0, 104.0, 98.0][..count], &[90.0, 92.0, 94.0, 91.0], REAL)
        };
        let (four, three) = (of(4), of(3));
        assert_eq!(four.coverage.map(at_least), Some("97.1 %".to_owned()), "68 of 70");
        assert_eq!(four.between_name(), "interval of at least 97.1 %");
        assert_eq!((three.coverage, three.between_name()), (None, "min … max".to_owned()));
        let headings = [&[&four][..], &[&three], &[&four, &three]].map(between_heading);
        assert_eq!(headings, ["interval", "range", "interval or range"]);
        let five = [1.0, 2.0, 3.0, 4.0, 5.0];
        let key = key(&[&four, &change(&five, &five, REAL)], false);
        assert!(!key.contains('≥'), "{key}");
        assert!(key.contains("at least 96.8 %, if B's") && !key.contains("range: "), "{key}");
        assert_eq!(at_least(0.96899), "96.8 %", "never more than it is");
    }

    #[test]
    fn a_median_that_changes_by_more_than_its_interval_widens_it() {
        // Half of B's figures are A's, the others are far above, and one of them is the median.
        let a: Vec<f64> = (0..31).map(|step| 100.0 + f64::from(step) / 10.0).collect();
        let mut b = a.clone();
        b.iter_mut().skip(15).for_each(|value| *value = 1_000.0);
        let (own, shift) =
            (change(&a, &b, REAL), Interval::of_change(&a, &b, Change::Relative).unwrap());
        assert!(own.low <= own.change && own.change <= own.high, "{own:?}");
        assert!(own.low == shift.low && own.high > shift.high, "{own:?} {shift:?}");
        assert_eq!(own.coverage, Some(shift.coverage));
    }

    #[test]
    fn one_repetition_is_judged_by_an_assumed_noise_unless_it_is_simulated() {
        let one = change(&[100.0], &[130.0], REAL);
        assert!(one.assumed && !one.is_beyond_noise());
        assert_eq!(one.noise_text(), "~40.0 %");
        assert!(change(&[100.0], &[150.0], REAL).is_beyond_noise());
        assert!(change(&[150.0], &[100.0], REAL).is_beyond_noise(), "the same the other way round");
        let known_of_one = change(&[100.0], &[129.0, 130.0, 131.0], REAL);
        assert!(!known_of_one.assumed && known_of_one.is_beyond_noise());
        assert!(change(&[100.0], &[100.1], EXACT).is_beyond_noise());
        assert!(!change(&[100.0], &[100.0], EXACT).is_beyond_noise());
        assert_eq!(change(&[100.0], &[100.0], EXACT).change_text(), "0 %");
    }

    #[test]
    fn a_change_from_nothing_has_no_share() {
        let of = |kind, a: &[f64], b: &[f64]| measured(kind, &exact(a), &exact(b), REAL);
        assert_eq!(of(Change::Relative, &[0.0], &[1.0]), None);
        assert_eq!(of(Change::Relative, &[], &[1.0]), None);
        let ratio = of(Change::Absolute, &[0.0], &[0.3]).unwrap();
        assert_eq!(ratio.change_text(), "+30.0 pp");
    }
}
