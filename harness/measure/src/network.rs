//! What was done to packets and messages on purpose, beside what was asked, and whether the two are the same.
//!
//! Whoever impairs a link adds up, for every packet or message, what was asked of it at that moment (the share that was
//! to be lost, the delay that was planned), and what was done. The sums stay comparable however often links change.

use serde::{Deserialize, Serialize};

use crate::{
    csv_row::CsvRow,
    identity::Identity,
    verdict::{Finding, Severity},
};

/// One layer, packets or messages, as one process impaired it. Only what passed a link that was impaired is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Packets or messages that something was asked of, those of a partition not counted.
    pub seen: u64,
    /// Not let through by a partition.
    pub cut: u64,
    /// How many were to be lost: the sum of their probabilities.
    pub lost_asked: f64,
    /// How many were lost.
    pub lost: u64,
    /// How many were to arrive twice.
    pub doubled_asked: f64,
    /// How many were sent twice.
    pub doubled: u64,
    /// How many were to be held back, for others to overtake them.
    pub held_back_asked: f64,
    /// How many were held back.
    pub held_back: u64,
    /// How many left that were to be delayed, doubles counted apart.
    pub delayed: u64,
    /// The sum of the delays planned for these, in nanoseconds.
    pub delay_asked_ns: u64,
    /// The sum of the delays that they had.
    pub delay_ns: u64,
    /// Lost unasked, since too much was under way.
    pub overflowed: u64,
}

/// How a replica was slowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowReport {
    /// CPU time that it used while it was slowed, in nanoseconds.
    pub cpu_ns: u64,
    /// How long it was to stand still for that, in nanoseconds.
    pub still_asked_ns: u64,
    /// How long it stood still.
    pub still_ns: u64,
}

/// Everything that one process, a replica's or the clients', did on purpose to the network and to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Datagrams, under QUIC.
    pub packets: LayerReport,
    /// Messages between replicas, above QUIC.
    pub messages: LayerReport,
    /// The process itself.
    pub slow: SlowReport,
}

impl LayerReport {
    /// Adds what another process did.
    pub fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.cut += other.cut;
        self.lost_asked += other.lost_asked;
        self.lost += other.lost;
        self.doubled_asked += other.doubled_asked;
        self.doubled += other.doubled;
        self.held_back_asked += other.held_back_asked;
        self.held_back += other.held_back;
        self.delayed += other.delayed;
        self.delay_asked_ns += other.delay_asked_ns;
        self.delay_ns += other.delay_ns;
        self.overflowed += other.overflowed;
    }

    /// What happened between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            seen: less(self.seen, earlier.seen),
            cut: less(self.cut, earlier.cut),
            lost_asked: (self.lost_asked - earlier.lost_asked).max(0.0),
            lost: less(self.lost, earlier.lost),
            doubled_asked: (self.doubled_asked - earlier.doubled_asked).max(0.0),
            doubled: less(self.doubled, earlier.doubled),
            held_back_asked: (self.held_back_asked - earlier.held_back_asked).max(0.0),
            held_back: less(self.held_back, earlier.held_back),
            delayed: less(self.delayed, earlier.delayed),
            delay_asked_ns: less(self.delay_asked_ns, earlier.delay_asked_ns),
            delay_ns: less(self.delay_ns, earlier.delay_ns),
            overflowed: less(self.overflowed, earlier.overflowed),
        }
    }

    /// Was anything done at all?
    pub const fn is_used(&self) -> bool {
        self.seen > 0 || self.cut > 0
    }

    /// The mean delay that was asked and the one that was had, in milliseconds; none if nothing was delayed.
    #[expect(clippy::cast_precision_loss, reason = "sums of a run's delays in nanoseconds")]
    pub fn delays_ms_mean(&self) -> Option<(f64, f64)> {
        let mean_ms = |ns: u64| ns as f64 / self.delayed as f64 / 1e6;
        (self.delayed > 0).then(|| (mean_ms(self.delay_asked_ns), mean_ms(self.delay_ns)))
    }

    /// What was asked and done, for people: `lost 9.97 % (10.00 % asked)`; empty if nothing was.
    #[expect(clippy::cast_precision_loss, reason = "counts of packets")]
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        let percent = |count: f64| format!("{:.2} %", 100.0 * count / self.seen.max(1) as f64);
        for (done, count, asked) in [
            ("lost", self.lost, self.lost_asked),
            ("doubled", self.doubled, self.doubled_asked),
            ("held back", self.held_back, self.held_back_asked),
        ] {
            if asked > 0.0 {
                words.push(format!("{done} {} ({} asked)", percent(count as f64), percent(asked)));
            }
        }
        if let Some((asked_ms, had_ms)) = self.delays_ms_mean() {
            words.push(format!("delayed by {had_ms:.2} ms ({asked_ms:.2} ms asked)"));
        }
        if self.cut > 0 {
            words.push(format!("{} cut off", self.cut));
        }
        if self.overflowed > 0 {
            words.push(format!("{} lost for want of room", self.overflowed));
        }
        words.join(", ")
    }
}

impl SlowReport {
    /// What happened between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            cpu_ns: less(self.cpu_ns, earlier.cpu_ns),
            still_asked_ns: less(self.still_asked_ns, earlier.still_asked_ns),
            still_ns: less(self.still_ns, earlier.still_ns),
        }
    }

    /// How many times its CPU time was asked, and how many times it took; none if it was not slowed.
    #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
    pub fn factors(&self) -> Option<(f64, f64)> {
        let factor = |still_ns: u64| 1.0 + still_ns as f64 / self.cpu_ns as f64;
        (self.cpu_ns > 0).then(|| (factor(self.still_asked_ns), factor(self.still_ns)))
    }
}

impl NetworkReport {
    /// Was anything done at all?
    pub const fn is_used(&self) -> bool {
        self.packets.is_used() || self.messages.is_used() || self.slow.cpu_ns > 0
    }

    /// What happened between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            packets: self.packets.since(&earlier.packets),
            messages: self.messages.since(&earlier.messages),
            slow: self.slow.since(&earlier.slow),
        }
    }
}

/// A row of `network.csv`: what one process did on purpose to the network of a run, on one layer, or to itself. Nothing
/// was impaired in a run that has no rows here. `layer` is `packet`, under QUIC, `message`, above it, or `process`, for its
/// pace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `LayerReport` and `SlowReport`")]
pub struct NetworkRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub process: String,
    pub layer: String,
    pub seen: u64,
    pub cut: u64,
    pub lost_asked: f64,
    pub lost: u64,
    pub doubled_asked: f64,
    pub doubled: u64,
    pub held_back_asked: f64,
    pub held_back: u64,
    pub delayed: u64,
    pub delay_asked_ns: u64,
    pub delay_ns: u64,
    pub overflowed: u64,
    pub slow_factor_asked: Option<f64>,
    pub slow_factor: Option<f64>,
}

impl CsvRow for NetworkRow {
    const FILE: &'static str = "network.csv";
}

impl NetworkRow {
    /// The rows of what `process` did in the run `identity`.
    pub(crate) fn of(identity: &Identity, process: &str, report: &NetworkReport) -> Vec<Self> {
        let row = |layer: &str| Self {
            protocol: identity.protocol.clone(),
            driver: identity.driver.clone(),
            point: identity.point.clone(),
            repetition: identity.repetition,
            process: process.to_owned(),
            layer: layer.to_owned(),
            ..Self::default()
        };
        let rounded = |value: f64| (value * 1e3).round() / 1e3;
        let of_layer = |(layer, report): (&str, &LayerReport)| Self {
            seen: report.seen,
            cut: report.cut,
            lost_asked: rounded(report.lost_asked),
            lost: report.lost,
            doubled_asked: rounded(report.doubled_asked),
            doubled: report.doubled,
            held_back_asked: rounded(report.held_back_asked),
            held_back: report.held_back,
            delayed: report.delayed,
            delay_asked_ns: report.delay_asked_ns,
            delay_ns: report.delay_ns,
            overflowed: report.overflowed,
            ..row(layer)
        };
        let layers = [("packet", &report.packets), ("message", &report.messages)];
        let used = layers.into_iter().filter(|(_, layer)| layer.is_used());
        let mut rows: Vec<Self> = used.map(of_layer).collect();
        rows.extend(report.slow.factors().map(|(asked, had)| Self {
            slow_factor_asked: Some(rounded(asked)),
            slow_factor: Some(rounded(had)),
            ..row("process")
        }));
        rows
    }

    /// The figures of a layer.
    pub fn layer_report(&self) -> LayerReport {
        LayerReport {
            seen: self.seen,
            cut: self.cut,
            lost_asked: self.lost_asked,
            lost: self.lost,
            doubled_asked: self.doubled_asked,
            doubled: self.doubled,
            held_back_asked: self.held_back_asked,
            held_back: self.held_back,
            delayed: self.delayed,
            delay_asked_ns: self.delay_asked_ns,
            delay_ns: self.delay_ns,
            overflowed: self.overflowed,
        }
    }
}

/// How far what was done may be from what was asked.
const MISSED_SHARE_MAX: f64 = 0.10;
/// Chosen: from this expected count on, chance alone moves a rate by 10 % less than once in ten thousand runs (its
/// standard deviation is then at most 2.6 %).
const EXPECTED_MIN: f64 = 1_500.0;
/// Chosen: a mean delay is judged from so many packets on; delays hardly vary, so that few would do.
const DELAYED_MIN: u64 = 1_000;
/// Chosen: a process is judged as slowed from a tenth of a second of CPU time on.
const SLOWED_CPU_NS_MIN: u64 = 100_000_000;
/// Chosen: more than this share lost for want of room is another loss rate than was asked.
const OVERFLOWED_SHARE_MAX: f64 = 0.01;

/// One layer of a report.
type Part = fn(&NetworkReport) -> &LayerReport;

/// What is wrong with the emulated network of a run: rates and delays that are not those asked for. `reports` are those of
/// all processes, each with its name. Rates are judged over all of them together, delays and slowness for each.
pub fn network_findings(reports: &[(String, NetworkReport)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let layers: [(&str, Part); 2] =
        [("packets", |report| &report.packets), ("messages", |report| &report.messages)];
    for (layer, of) in layers {
        let mut all = LayerReport::default();
        reports.iter().for_each(|(_, report)| all.add(of(report)));
        findings.extend(rates(layer, &all));
        findings.extend(overflow(layer, &all));
        findings.extend(reports.iter().filter_map(|(name, report)| delay(layer, name, of(report))));
    }
    findings.extend(reports.iter().filter_map(|(name, report)| slowness(name, &report.slow)));
    findings
}

fn is_missed(asked: f64, had: f64) -> bool {
    (had - asked).abs() > MISSED_SHARE_MAX * asked
}

fn invalid(text: String) -> Finding {
    let advice = "lower the load: the host is too busy to emulate this network".to_owned();
    Finding { severity: Severity::Invalid, text, advice }
}

#[expect(clippy::cast_precision_loss, reason = "counts of packets")]
fn rates(layer: &str, all: &LayerReport) -> Vec<Finding> {
    let rates = [
        ("lost", all.lost, all.lost_asked),
        ("doubled", all.doubled, all.doubled_asked),
        ("held back", all.held_back, all.held_back_asked),
    ];
    let missed = rates
        .into_iter()
        .filter(|(_, count, asked)| *asked >= EXPECTED_MIN && is_missed(*asked, *count as f64));
    missed
        .map(|(done, count, asked)| {
            invalid(format!(
                "{count} of {} {layer} were {done} where {asked:.0} were asked for, which is more than 10 % off",
                all.seen
            ))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of packets")]
fn overflow(layer: &str, all: &LayerReport) -> Option<Finding> {
    (all.overflowed as f64 > OVERFLOWED_SHARE_MAX * all.seen as f64).then(|| {
        invalid(format!(
            "{} of {} {layer} were lost for want of room in the emulated network",
            all.overflowed, all.seen
        ))
    })
}

fn delay(layer: &str, name: &str, report: &LayerReport) -> Option<Finding> {
    let (asked_ms, had_ms) = report.delays_ms_mean()?;
    (report.delayed >= DELAYED_MIN && is_missed(asked_ms, had_ms)).then(|| {
        invalid(format!(
            "{layer} from {name} were delayed by {had_ms:.3} ms in the mean where {asked_ms:.3} ms were asked for, \
             which is more than 10 % off"
        ))
    })
}

fn slowness(name: &str, report: &SlowReport) -> Option<Finding> {
    let (asked, had) = report.factors()?;
    (report.cpu_ns >= SLOWED_CPU_NS_MIN && is_missed(asked, had)).then(|| {
        invalid(format!(
            "{name} took {had:.2} times its CPU time where {asked:.2} times were asked for, which is more than 10 % off"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(packets: LayerReport) -> Vec<String> {
        let report = NetworkReport { packets, ..NetworkReport::default() };
        let findings = network_findings(&[("replica 0".to_owned(), report)]);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Invalid));
        findings.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_rate_that_misses_by_more_than_a_tenth_is_not_valid_given_enough_packets() {
        let of = |lost, lost_asked| LayerReport {
            seen: 20_000,
            lost,
            lost_asked,
            ..LayerReport::default()
        };
        assert!(texts(of(2_199, 2_000.0)).is_empty());
        let expected = "2201 of 20000 packets were lost where 2000 were asked for, which is more than 10 % off";
        assert_eq!(texts(of(2_201, 2_000.0)), [expected]);
        assert_eq!(texts(of(1_799, 2_000.0)).len(), 1);
        assert!(texts(of(1_000, 1_499.0)).is_empty(), "too few to tell");
    }

    #[test]
    fn a_mean_delay_is_judged_for_each_process_and_overflow_for_all() {
        let of = |delayed, had_ms: u64| LayerReport {
            seen: delayed,
            delayed,
            delay_asked_ns: delayed * 10_000_000,
            delay_ns: delayed * had_ms * 1_000_000,
            ..LayerReport::default()
        };
        assert!(texts(of(1_000, 11)).is_empty());
        let expected = "packets from replica 0 were delayed by 12.000 ms in the mean where 10.000 ms were asked for, which is more \
             than 10 % off";
        assert_eq!(texts(of(1_000, 12)), [expected]);
        assert!(texts(of(999, 12)).is_empty());
        let full = LayerReport { seen: 1_000, overflowed: 11, ..LayerReport::default() };
        assert_eq!(texts(full).len(), 1);
    }

    #[test]
    fn a_slowed_process_is_judged_by_its_factor() {
        let of = |still_ms: u64| {
            let slow = SlowReport {
                cpu_ns: 200_000_000,
                still_asked_ns: 600_000_000,
                still_ns: still_ms * 1_000_000,
            };
            let report = NetworkReport { slow, ..NetworkReport::default() };
            network_findings(&[("replica 2".to_owned(), report)]).len()
        };
        assert_eq!((of(600), of(679), of(690), of(500)), (0, 0, 1, 1));
    }

    #[test]
    fn rows_name_the_layer_and_hold_what_a_report_does() {
        let packets = LayerReport { seen: 7, lost: 2, lost_asked: 2.5, ..LayerReport::default() };
        let slow = SlowReport { cpu_ns: 10, still_asked_ns: 30, still_ns: 31 };
        let report = NetworkReport { packets, slow, ..NetworkReport::default() };
        let rows = NetworkRow::of(&Identity::default(), "replica 1", &report);
        let layers: Vec<&str> = rows.iter().map(|row| row.layer.as_str()).collect();
        assert_eq!(layers, ["packet", "process"]);
        assert_eq!(rows[0].layer_report(), packets);
        assert_eq!((rows[1].slow_factor_asked, rows[1].slow_factor), (Some(4.0), Some(4.1)));
        assert!(NetworkRow::of(&Identity::default(), "x", &NetworkReport::default()).is_empty());
    }

    #[test]
    fn words_say_what_was_asked_and_done() {
        let report = LayerReport {
            seen: 1_000,
            lost_asked: 100.0,
            lost: 97,
            delayed: 10,
            delay_asked_ns: 400_000_000,
            delay_ns: 401_000_000,
            cut: 3,
            ..LayerReport::default()
        };
        let expected =
            "lost 9.70 % (10.00 % asked), delayed by 40.10 ms (40.00 ms asked), 3 cut off";
        assert_eq!(report.in_words(), expected);
        let mut twice = report;
        twice.add(&report);
        assert_eq!(twice.since(&report), report);
    }
}
