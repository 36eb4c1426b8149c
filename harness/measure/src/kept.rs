//! Whether what was acknowledged is still there, once each, and how long replicas took that came back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{files::CsvRow, histogram::Histogram, run::RunRecord};

/// What became of the writes that clients were told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the replicas' records survive: memory, buffered or fsync.
    pub durability: String,
    /// Acknowledged writes that were looked for, at every replica that was compared.
    pub acknowledged: u64,
    /// Those of them that a replica lacks: the most of any replica.
    pub lost: u64,
    /// Writes that a replica applied although nobody asked for so many: the most of any replica.
    pub twice: u64,
    /// Replicas whose state is another than that of the first that is in the same state as the most.
    pub differing: u64,
}

/// A replica that was started again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recovery {
    /// Which, counted from 0.
    pub replica: u32,
    /// When it was started, seconds since the start of measuring.
    pub restarted_s: f64,
    /// From then until it was up, with its log replayed; none if it was killed before.
    pub up: Option<Duration>,
    /// From then until it answered a client; none if it did not in this life.
    pub first_reply: Option<Duration>,
}

/// A row of `kept.csv`: one run. Losses and duplicates stand here as figures; the verdict on them is the history's and the
/// replicas' agreement. Recovery is from a replica's restart to its first reply to a client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Kept` and `Recovery`; units are in the names")]
pub struct KeptRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub replicas: u32,
    pub durability: String,
    pub acknowledged_checked: u64,
    pub acknowledged_lost: u64,
    pub applied_twice: u64,
    pub differing_digests: u64,
    pub restarts: u64,
    pub up_ms_p50: Option<f64>,
    pub up_ms_p99: Option<f64>,
    pub recovery_ms_p50: Option<f64>,
    pub recovery_ms_p99: Option<f64>,
    pub recovery_ms_max: Option<f64>,
}

/// A row of `recoveries.csv`: one restart. A cell is empty if the replica was killed before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Recovery`; units are in the names")]
pub struct RecoveryRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub replicas: u32,
    pub replica: u32,
    pub restarted_s: f64,
    pub up_ms: Option<f64>,
    pub first_reply_ms: Option<f64>,
}

impl CsvRow for KeptRow {
    const FILE: &'static str = "kept.csv";
}
impl CsvRow for RecoveryRow {
    const FILE: &'static str = "recoveries.csv";
}

impl RunRecord {
    /// None if the run ended before anything was looked for.
    pub(crate) fn kept_row(&self) -> Option<KeptRow> {
        let (id, kept) = (&self.identity, self.kept.as_ref()?);
        let up = histogram(self.recoveries.iter().filter_map(|recovery| recovery.up));
        let back = histogram(self.recoveries.iter().filter_map(|recovery| recovery.first_reply));
        Some(KeptRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            repetition: id.repetition,
            replicas: id.replicas,
            durability: kept.durability.clone(),
            acknowledged_checked: kept.acknowledged,
            acknowledged_lost: kept.lost,
            applied_twice: kept.twice,
            differing_digests: kept.differing,
            restarts: self.recoveries.len() as u64,
            up_ms_p50: up.percentile_us(50.0).map(ms),
            up_ms_p99: up.percentile_us(99.0).map(ms),
            recovery_ms_p50: back.percentile_us(50.0).map(ms),
            recovery_ms_p99: back.percentile_us(99.0).map(ms),
            recovery_ms_max: back.max_us().map(ms),
        })
    }

    pub(crate) fn recovery_rows(&self) -> Vec<RecoveryRow> {
        let id = &self.identity;
        let duration_ms = |duration: Duration| ms(duration.as_secs_f64() * 1e6);
        self.recoveries
            .iter()
            .map(|recovery| RecoveryRow {
                protocol: id.protocol.clone(),
                driver: id.driver.clone(),
                point: id.point.clone(),
                repetition: id.repetition,
                replicas: id.replicas,
                replica: recovery.replica,
                restarted_s: (recovery.restarted_s * 1e3).round() / 1e3,
                up_ms: recovery.up.map(duration_ms),
                first_reply_ms: recovery.first_reply.map(duration_ms),
            })
            .collect()
    }
}

fn histogram(durations: impl Iterator<Item = Duration>) -> Histogram {
    durations.fold(Histogram::new(), |mut histogram, duration| {
        histogram.record_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        histogram
    })
}

/// Microseconds as milliseconds, with three decimals.
fn ms(us: f64) -> f64 {
    us.round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_times_are_those_of_the_replicas_that_came_back() {
        let recovery = |up_ms: Option<u64>, reply_ms: Option<u64>| Recovery {
            up: up_ms.map(Duration::from_millis),
            first_reply: reply_ms.map(Duration::from_millis),
            ..Recovery::default()
        };
        let mut record = RunRecord::empty_for_tests();
        assert_eq!(record.kept_row(), None);
        record.kept = Some(Kept { acknowledged: 7, ..Kept::default() });
        record.recoveries = (1..=4).map(|n| recovery(Some(n), Some(10 * n))).collect();
        record.recoveries.push(recovery(Some(5), None));
        record.recoveries.push(recovery(None, None));
        let row = record.kept_row().unwrap();
        assert_eq!((row.acknowledged_checked, row.restarts), (7, 6));
        let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 0.1;
        assert!(near(row.up_ms_p50, 3.0) && near(row.recovery_ms_p50, 20.0), "{row:?}");
        assert!(near(row.recovery_ms_max, 40.0), "{row:?}");
        assert_eq!(row.recovery_ms_p99, None, "too few");
        let rows = record.recovery_rows();
        assert_eq!((rows[0].up_ms, rows[0].first_reply_ms), (Some(1.0), Some(10.0)));
        assert_eq!((rows[5].up_ms, rows[5].first_reply_ms), (None, None));
    }
}
