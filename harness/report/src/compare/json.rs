//! A comparison for programs.

use serde_json::{Value, json};

use super::{
    Better, Case, Compared, Line, Runs, Side,
    noise::{Known, Measured},
};
use crate::numbers::Spread;

impl Compared {
    /// The comparison as one JSON document; a row per protocol, point and figure. Changes, intervals and noise are shares of
    /// A's figure; of ratios, differences. An end of an interval that a lower bound leaves open is null.
    pub fn json(&self) -> Value {
        let outcome = self.outcome();
        let rows =
            self.cases.iter().flat_map(|case| case.lines.iter().map(move |of| row(case, of)));
        json!({
            "a": side(&self.a),
            "b": side(&self.b),
            "different_workload_keys": self.differing,
            "warnings": self.warnings(),
            "rows": rows.collect::<Vec<_>>(),
            "only_on_one_side": self.alone,
            "regressed": outcome.regressed,
            "improved": outcome.improved,
            "changed": outcome.changed,
            "within_noise": outcome.within_noise,
            "not_compared": outcome.not_compared,
            "violation": outcome.violation,
        })
    }
}

fn side(side: &Side) -> Value {
    json!({
        "results": side.dir.display().to_string(),
        "name": side.manifest.name,
        "seed": side.manifest.seed,
        "started_utc": side.manifest.started_utc,
        "complete": side.manifest.complete,
        "driver": side.driver,
        "host": side.manifest.host,
        "versions": side.manifest.versions,
        "verdict": side.verdict,
    })
}

fn row(case: &Case, line: &Line) -> Value {
    let change = line.change.as_ref();
    json!({
        "protocol": case.protocol,
        "point": case.point,
        "figure": line.figure.column.name,
        "better": match line.figure.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neutral => "neither",
        },
        "a": of_side(line.a, &case.a),
        "b": of_side(line.b, &case.b),
        "change": change.and_then(Measured::known_change),
        "change_at_least": change.is_some_and(|change| change.known == Known::AtLeast),
        "change_at_most": change.is_some_and(|change| change.known == Known::AtMost),
        "change_low": change.map(|change| change.low),
        "change_high": change.map(|change| change.high),
        "interval": change.map(Measured::between_name),
        "coverage_at_least": change.and_then(|change| change.coverage),
        "noise": change.map(|change| change.noise),
        "noise_assumed": change.map(|change| change.assumed),
        "verdict": line.judgement.words(),
        "reason": line.judgement.reason(),
    })
}

fn of_side(spread: Option<Spread>, runs: &Runs) -> Value {
    json!({
        "median": spread.map(|spread| spread.median),
        "low": spread.map(|spread| spread.low),
        "high": spread.map(|spread| spread.high),
        "at_least": spread.is_some_and(|spread| spread.at_least.median),
        "low_at_least": spread.is_some_and(|spread| spread.at_least.low),
        "high_at_least": spread.is_some_and(|spread| spread.at_least.high),
        "repetitions": spread.map_or(0, |spread| spread.count),
        "runs": runs.runs,
        "valid_runs": runs.valid_runs,
        "valid": runs.valid,
        "verdict": runs.verdict,
    })
}
