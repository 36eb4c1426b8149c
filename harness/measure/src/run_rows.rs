//! The rows of a run that come of its record alone: what was kept, who came back, and the steps of
//! a search.

use std::time::Duration;

use crate::{
    histogram::Histogram,
    identity::Identity,
    kept::{KeptRow, RecoveryRow},
    knee::{KneeRow, Step},
    run::RunRecord,
};

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

    /// What a step of a search comes to that this run is, where the 99th percentile may be at most
    /// `p99_ms_max` milliseconds.
    pub fn step(&self, p99_ms_max: f64) -> Step {
        Step::of(&self.summary_row(), &self.verdict, p99_ms_max)
    }

    /// The rows of `knee.csv`.
    pub(crate) fn knee_rows(&self) -> Vec<KneeRow> {
        let Identity { protocol, driver, point, repetition, .. } = &self.identity;
        let row = |(number, step): (u32, &Step)| KneeRow {
            protocol: protocol.clone(),
            driver: driver.clone(),
            point: point.clone(),
            repetition: *repetition,
            step: number,
            rate_ops_per_s: step.rate_ops_per_s,
            throughput_ops_per_s: step.throughput_ops_per_s,
            latency_us_p99: step.latency_us_p99,
            valid: step.valid,
            passed: step.passed(),
            kept: step.kept,
            why_not: step.why_not.clone().unwrap_or_default(),
        };
        (1..).zip(&self.steps).map(row).collect()
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
    use crate::kept::{Kept, Recovery};

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
