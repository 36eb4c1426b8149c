//! The summary for programs: the same figures as the terminal's, with the same verdicts.

use std::path::Path;

use measure::{Linearizable, Severity, SummaryRow};
use serde_json::{Map, Value, json};

use crate::{
    cell::{Cell, quotable},
    error::ReportError,
    figure::{self, Column},
    formula::Formula,
    numbers::{Ratio, Spread, spread_name},
    results::{Point, Results},
    verdict::total_checked,
};

/// The figures of a protocol at a point, each with median and spread over the repetitions.
const FIGURES: [Column<SummaryRow>; 19] = [
    figure::OFFERED,
    figure::THROUGHPUT,
    figure::OPS_PER_CPU_S,
    figure::SERVER_CPU,
    figure::CLIENT_CPU,
    figure::FAST_PATH,
    figure::LATENCY_MEAN,
    figure::LATENCY_P50,
    figure::LATENCY_P90,
    figure::LATENCY_P99,
    figure::LATENCY_P999,
    figure::LATENCY_MAX,
    figure::SERVICE_P50,
    figure::SERVICE_P99,
    figure::COMMIT_P50,
    figure::COMMIT_P99,
    figure::EXECUTE_P50,
    figure::EXECUTE_P99,
    figure::GENERATOR_LAG_P99,
];

/// The summary of the results in `dir` as one JSON document.
///
/// # Errors
/// If a file is missing or not what it should be, or no run ended.
pub fn json(dir: &Path) -> Result<Value, ReportError> {
    let results = Results::read(dir)?;
    let manifest = &results.manifest;
    let points: Vec<Value> =
        results.points.iter().map(|point| point_value(&results, point)).collect();
    Ok(json!({
        "name": manifest.name,
        "seed": manifest.seed,
        "started_utc": manifest.started_utc,
        "complete": manifest.complete,
        "results": dir.display().to_string(),
        "host": manifest.host,
        "versions": manifest.versions,
        "verdict": {
            "text": results.verdict_text(),
            "runs": results.summary.len(),
            "valid_runs": results.summary.iter().filter(|row| quotable(row)).count(),
            "linearizable": linearizable(results.summary.iter()),
            "checked": checked(results.summary.iter()),
            "replicas_agree": replicas_agree(results.summary.iter()),
            "kept": results.kept_value(None),
        },
        "points": points,
        "comparisons": comparisons(&results),
        "formulas": formulas(&results, dir)?,
        "gaps": results.gaps,
        "returns": results.returns,
        "warnings": warnings(&results),
    }))
}

/// The rows of `formulas.csv`, with the lower bound of the median where it is one.
fn formulas(results: &Results, dir: &Path) -> Result<Vec<Value>, ReportError> {
    let value = |formula: &Formula| {
        let mut value = json!(formula.row);
        value["median_at_least_ns"] = json!(formula.at_least_ns);
        value
    };
    Ok(results.formulas(dir)?.iter().map(value).collect())
}

fn point_value(results: &Results, point: &Point) -> Value {
    let keys = results.dimensions.iter().map(|dimension| dimension.key.clone());
    let swept: Map<String, Value> =
        keys.zip(point.values.iter().map(|value| scalar(value))).collect();
    let protocols: Vec<Value> = results
        .protocols
        .iter()
        .filter_map(|protocol| {
            let cell = results.cell(&point.text, protocol)?;
            Some(protocol_value(results, point, protocol, &cell))
        })
        .collect();
    json!({ "point": point.text, "swept": swept, "protocols": protocols })
}

fn protocol_value(results: &Results, point: &Point, protocol: &str, cell: &Cell<'_>) -> Value {
    let all =
        || results.summary.iter().filter(|row| row.point == point.text && row.protocol == protocol);
    let mut value = json!({
        "protocol": protocol,
        "runs": cell.runs,
        "valid_runs": cell.valid_runs,
        "valid": cell.is_valid(),
        "linearizable": linearizable(all()),
        "checked": checked(all()),
        "replicas_agree": replicas_agree(all()),
        "kept": results.kept_value(Some((&point.text, protocol))),
        "operations": all().map(|row| row.operations).sum::<u64>(),
        "errors": all().map(|row| row.errors).sum::<u64>(),
        "unknown": all().map(|row| row.unknown).sum::<u64>(),
        "due": all().map(|row| row.due).sum::<Option<u64>>(),
        "censored": all().map(|row| row.censored).sum::<Option<u64>>(),
        "busiest_replica": results.busiest(cell).map(|busiest| json!({
            "replica": busiest.replica,
            "role": busiest.role,
            "messages_over_mean": busiest.messages_ratio,
            "cpu_over_mean": busiest.cpu_ratio,
        })),
    });
    for figure in FIGURES {
        value[figure.name] = spread_value(cell.spread(figure));
    }
    value
}

fn spread_value(spread: Option<Spread>) -> Value {
    spread.map_or(Value::Null, |spread| {
        json!({
            "median": spread.median,
            "low": spread.low,
            "high": spread.high,
            "interval": spread_name(spread.count),
            "coverage": spread.coverage(),
            "repetitions": spread.count,
            "at_least": spread.at_least.median,
            "low_at_least": spread.at_least.low,
            "high_at_least": spread.at_least.high,
        })
    })
}

fn comparisons(results: &Results) -> Vec<Value> {
    let comparisons = results.comparisons();
    let value = |comparison: &crate::summary::Comparison| {
        let others: Vec<Value> = comparison
            .others
            .iter()
            .map(|other| {
                let Ratio { value, half, at_least, half_at_least } = other.ratio;
                json!({
                    "protocol": other.protocol,
                    "ratio": value,
                    "at_least": at_least,
                    "half": half,
                    "half_at_least": half_at_least,
                })
            })
            .collect();
        json!({
            "point": comparison.point.text,
            "by": comparison.criterion.figure().name,
            "best": comparison.best,
            "others": others,
            "text": comparison.text(),
        })
    };
    comparisons.iter().map(value).collect()
}

fn warnings(results: &Results) -> Vec<Value> {
    let warnings = results.warnings();
    let value = |warning: &crate::summary::Warning| {
        let severity = match warning.severity {
            Severity::Warning => "warning",
            Severity::Missed => "missed",
            Severity::Invalid => "invalid",
            Severity::Violation => "violation",
        };
        json!({ "severity": severity, "text": warning.text, "advice": warning.advice })
    };
    warnings.iter().map(value).collect()
}

/// "false" if any history is not linearizable, "true" if all are, else "unknown".
fn linearizable<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> &'static str {
    let verdicts: Vec<Linearizable> = rows.map(|row| row.linearizable).collect();
    let verdict = if verdicts.contains(&Linearizable::False) {
        Linearizable::False
    } else if verdicts.contains(&Linearizable::Unknown) {
        Linearizable::Unknown
    } else {
        Linearizable::True
    };
    verdict.name()
}

/// How much of the histories was checked; null where nothing is known.
fn checked<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> Value {
    let rows: Vec<&SummaryRow> = rows.collect();
    total_checked(&rows).map_or(Value::Null, |checked| json!(checked))
}

/// False if any replicas disagree, true if all agree, null if some were not compared.
fn replicas_agree<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> Option<bool> {
    let verdicts: Vec<Option<bool>> = rows.map(|row| row.replicas_agree).collect();
    if verdicts.contains(&Some(false)) {
        return Some(false);
    }
    (!verdicts.contains(&None)).then_some(true)
}

/// A swept value as a number where it is one.
fn scalar(value: &str) -> Value {
    serde_json::from_str(value)
        .ok()
        .filter(Value::is_number)
        .unwrap_or_else(|| Value::String(value.to_owned()))
}
