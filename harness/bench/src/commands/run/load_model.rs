//! `load-model.csv`: what the busiest-replica model says of the runs that were made.

use std::path::Path;

use measure::{LoadModelRow, MeasureError, SummaryRow, read_summary, write_rows};
use protocols::Protocol;
use workload::{Point, Workload};

/// Writes a row per replica of every protocol and point that has a run in the results at `dir`. The share of slow paths is
/// the mean of the point's runs, valid ones alone if there are any.
///
/// # Errors
/// If `summary.csv` cannot be read, or the file cannot be written.
pub(super) fn write(workload: &Workload, dir: &Path) -> Result<(), MeasureError> {
    let summary = read_summary(dir)?;
    let mut rows = Vec::new();
    for protocol in &workload.protocols {
        for point in workload.points(*protocol) {
            rows.extend(of_point(workload, *protocol, &point, &summary));
        }
    }
    write_rows(dir, &rows)
}

fn of_point(
    workload: &Workload,
    protocol: Protocol,
    point: &Point,
    summary: &[SummaryRow],
) -> Vec<LoadModelRow> {
    let canonical = point.canonical();
    let is_of = |row: &&SummaryRow| row.protocol == protocol.name() && row.point == canonical;
    let runs: Vec<&SummaryRow> = summary.iter().filter(is_of).collect();
    if runs.is_empty() {
        return Vec::new();
    }
    let slow = slow_path_ratio(&runs);
    let blank = LoadModelRow {
        protocol: protocol.name().to_owned(),
        driver: workload.cluster.driver.name().to_owned(),
        point: canonical,
        replicas: u32::try_from(point.replicas).expect("at most 51"),
        slow_path_ratio: slow,
        ..LoadModelRow::default()
    };
    let loads = match workload.load_model(protocol, point, slow) {
        Ok(loads) => loads,
        Err(why) => return vec![LoadModelRow { note: why.to_owned(), ..blank }],
    };
    let costs = workload.modelled_costs();
    let row = |(replica, load): (u32, &workload::ReplicaLoad)| {
        let capacity =
            costs.and_then(|costs| costs.capacity(load, point.write_ratio, point.value_bytes));
        LoadModelRow {
            replica,
            messages_per_op: Some(load.messages),
            client_messages_per_op: Some(load.client_messages),
            values_out_per_op: Some(load.values_out),
            capacity_ops_per_s: capacity.map(|capacity| capacity.ops_per_s),
            saturates: capacity
                .map(|capacity| capacity.saturates.name().to_owned())
                .unwrap_or_default(),
            ..blank.clone()
        }
    };
    (0..).zip(&loads).map(row).collect()
}

fn slow_path_ratio(runs: &[&SummaryRow]) -> f64 {
    let ratios = |valid: bool| -> Vec<f64> {
        let counted = runs.iter().filter(|run| !valid || run.valid);
        counted.filter_map(|run| run.fast_path_ratio).collect()
    };
    let valid = ratios(true);
    let ratios = if valid.is_empty() { ratios(false) } else { valid };
    #[expect(clippy::cast_precision_loss, reason = "a number of repetitions")]
    let count = ratios.len() as f64;
    if ratios.is_empty() { 0.0 } else { 1.0 - ratios.iter().sum::<f64>() / count }
}
