//! What became of acknowledged writes, and how replicas came back that were started again, in figures and in words.

use measure::{CsvRow, Histogram, KeptRow, RecoveryRow};
use serde_json::{Value, json};

use crate::{
    numbers::{NONE, digits3, grouped},
    results::Results,
};

/// The restarts of some runs.
#[derive(Debug)]
struct Recoveries {
    restarts: usize,
    up: Histogram,
    back: Histogram,
}

impl Recoveries {
    fn of<'a>(rows: impl Iterator<Item = &'a RecoveryRow>) -> Self {
        let mut all = Self { restarts: 0, up: Histogram::new(), back: Histogram::new() };
        for row in rows {
            all.restarts += 1;
            row.up_ms.into_iter().for_each(|ms| all.up.record_ns(nanoseconds(ms)));
            row.first_reply_ms.into_iter().for_each(|ms| all.back.record_ns(nanoseconds(ms)));
        }
        all
    }

    fn value(&self) -> Value {
        json!({
            "restarts": self.restarts,
            "up_ms_p50": self.up.percentile_us(50.0).map(ms),
            "up_ms_p99": self.up.percentile_us(99.0).map(ms),
            "recovery_ms_p50": self.back.percentile_us(50.0).map(ms),
            "recovery_ms_p99": self.back.percentile_us(99.0).map(ms),
            "recovery_ms_max": self.back.max_us().map(ms),
        })
    }

    fn text(&self) -> String {
        let shown = |us: Option<f64>| us.map_or(NONE.to_owned(), |us| digits3(us / 1e3));
        format!(
            "{} restarts; up and replayed after {} ms (p50), {} ms (p99), a client answered after {} ms (p50), {} ms (p99), \
             {} ms at most",
            self.restarts,
            shown(self.up.percentile_us(50.0)),
            shown(self.up.percentile_us(99.0)),
            shown(self.back.percentile_us(50.0)),
            shown(self.back.percentile_us(99.0)),
            shown(self.back.max_us()),
        )
    }
}

impl Results {
    /// For programs, of all runs or of those at a point with a protocol; null where nobody looked.
    pub(crate) fn kept_value(&self, of: Option<(&str, &str)>) -> Value {
        let is_of = |point: &str, protocol: &str| of.is_none_or(|of| of == (point, protocol));
        let rows: Vec<&KeptRow> =
            self.kept.iter().filter(|row| is_of(&row.point, &row.protocol)).collect();
        if rows.is_empty() {
            return Value::Null;
        }
        let total = |figure: fn(&KeptRow) -> u64| rows.iter().map(|row| figure(row)).sum::<u64>();
        let recoveries = self.recoveries.iter().filter(|row| is_of(&row.point, &row.protocol));
        json!({
            "acknowledged_checked": total(|row| row.acknowledged_checked),
            "acknowledged_lost": total(|row| row.acknowledged_lost),
            "applied_twice": total(|row| row.applied_twice),
            "differing_digests": total(|row| row.differing_digests),
            "recoveries": match self.absent.contains(&RecoveryRow::FILE) {
                true => Value::Null,
                false => Recoveries::of(recoveries).value(),
            },
        })
    }

    /// For people: a line on all writes, and one per protocol and point on its restarts.
    pub(crate) fn kept_lines(&self) -> Vec<String> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let total = |figure: fn(&KeptRow) -> u64| grouped(self.kept.iter().map(figure).sum());
        let mut durabilities: Vec<&str> =
            self.kept.iter().map(|row| row.durability.as_str()).collect();
        durabilities.sort_unstable();
        durabilities.dedup();
        let mut lines = vec![format!(
            "{} acknowledged writes looked for at every replica (durability {}): {} lost, {} applied twice; {} differing \
             digests",
            total(|row| row.acknowledged_checked),
            durabilities.join(", "),
            total(|row| row.acknowledged_lost),
            total(|row| row.applied_twice),
            total(|row| row.differing_digests),
        )];
        for point in &self.points {
            for protocol in &self.protocols {
                let is_of =
                    |row: &&RecoveryRow| row.point == point.text && row.protocol == *protocol;
                let recoveries = Recoveries::of(self.recoveries.iter().filter(is_of));
                if recoveries.restarts > 0 {
                    let name = crate::known::display_name(protocol);
                    let at = match self.label(point, None) {
                        label if label.is_empty() => String::new(),
                        label => format!(", {label}"),
                    };
                    lines.push(format!("{name}{at}: {}", recoveries.text()));
                }
            }
        }
        lines
    }
}

fn nanoseconds(ms: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "a time within a run")]
    #[expect(clippy::cast_sign_loss, reason = "a time after a restart")]
    let ns = (ms * 1e6).round() as u64;
    ns
}

/// Microseconds as milliseconds, with three decimals.
fn ms(us: f64) -> f64 {
    us.round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recoveries_of_several_runs_are_merged_and_never_averaged() {
        let row = |first_reply_ms| RecoveryRow {
            up_ms: Some(1.0),
            first_reply_ms,
            ..RecoveryRow::default()
        };
        let rows: Vec<RecoveryRow> =
            [Some(10.0), Some(10.0), Some(10.0), Some(500.0), None].map(row).into();
        let value = Recoveries::of(rows.iter()).value();
        assert_eq!(value["restarts"], 5);
        let p50 = value["recovery_ms_p50"].as_f64().unwrap();
        assert!((9.9..10.1).contains(&p50), "{value}");
        assert!(value["recovery_ms_p99"].is_null(), "{value}");
        let text = Recoveries::of(rows.iter()).text();
        assert!(
            text.starts_with("5 restarts; up and replayed after 1.00 ms (p50), – ms (p99)"),
            "{text}"
        );
    }
}
