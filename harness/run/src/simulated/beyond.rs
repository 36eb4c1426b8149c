//! A simulated throughput follows from what work costs, which was measured on some loads and not on
//! others: what lies beyond them is said beside the figures.

use measure::{Finding, NOT_TO_BE_QUOTED, RunRecord, Severity};
use workload::{Run, SimCosts, calibrated::LoadPoint};

/// What there is to say of the throughput of `run`; nothing where its load was calibrated, or where
/// the CPU costs nothing, so that throughput is a matter of round trips.
pub(super) fn finding(run: &Run, record: &RunRecord, costs: &SimCosts) -> Option<Finding> {
    if costs.of_cpu().iter().all(|(_, cost)| *cost == 0.0) {
        return None;
    }
    let (what, advice) = if costs.calibrated.is_none() {
        let what = "costs of its CPU were given by hand".to_owned();
        (what, "leave [sim] to the defaults, or name a file of bench calibrate as sim.calibration")
    } else {
        let advice =
            "compare it with other simulated runs at most, or calibrate there: bench calibrate";
        match costs.calibrated.of(run.protocol) {
            None => (format!("no run of {} was calibrated", run.protocol), advice),
            Some(calibrated) => {
                let beyond = calibrated.beyond(&load(run, record)?);
                (beyond.first()?.clone(), advice)
            }
        }
    };
    Some(Finding {
        severity: Severity::Warning,
        text: format!("{NOT_TO_BE_QUOTED}: its throughput, which follows from costs: {what}"),
        advice: advice.to_owned(),
    })
}

/// The load as it came out; none if nothing was done.
#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
fn load(run: &Run, record: &RunRecord) -> Option<LoadPoint> {
    let throughput_ops_per_s =
        record.throughput_ops_per_s().filter(|ops_per_s| *ops_per_s > 0.0)?;
    let busiest_ns = record.replicas.iter().filter_map(|replica| replica.cpu_ns).max()?;
    let latency_s = record.merged().latency.mean_us()?.us / 1e6;
    Some(LoadPoint {
        replicas: run.point.replicas as u64,
        value_bytes: run.point.value_bytes as u64,
        // As many as come while one is under way, in every kind of loop.
        requests_under_way: throughput_ops_per_s * latency_s,
        operations_per_cpu_s: record.operations() as f64 / (busiest_ns.max(1) as f64 / 1e9),
    })
}
