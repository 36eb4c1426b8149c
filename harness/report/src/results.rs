//! A results directory as read back, and what was swept in it.

use std::path::Path;

use measure::{
    CdfRow, CsvRow, EventRow, GapRow, KeptRow, LoadModelRow, Manifest, NetworkRow, RecoveryRow,
    ReplicaRow, ReturnRow, SummaryRow, TimeseriesRow, VerdictRow, read_rows, read_summary,
};

use crate::{error::ReportError, numbers};

/// Everything a report is made of.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) manifest: Manifest,
    pub(crate) summary: Vec<SummaryRow>,
    pub(crate) replicas: Vec<ReplicaRow>,
    pub(crate) timeseries: Vec<TimeseriesRow>,
    pub(crate) events: Vec<EventRow>,
    /// None in results of older versions.
    pub(crate) gaps: Vec<GapRow>,
    /// None where nothing is promised, and in results of older versions.
    pub(crate) returns: Vec<ReturnRow>,
    pub(crate) verdicts: Vec<VerdictRow>,
    pub(crate) cdf: Vec<CdfRow>,
    /// Empty, too, for results of versions that did not impair networks.
    pub(crate) networks: Vec<NetworkRow>,
    /// What became of acknowledged writes, and restarts; none in results of older versions.
    pub(crate) kept: Vec<KeptRow>,
    pub(crate) recoveries: Vec<RecoveryRow>,
    /// None in results of older versions.
    pub(crate) load_model: Vec<LoadModelRow>,
    /// In the order in which they first ran.
    pub(crate) protocols: Vec<String>,
    /// In the order in which they first ran.
    pub(crate) points: Vec<Point>,
    /// The keys that take more than one value.
    pub(crate) dimensions: Vec<Dimension>,
    /// The files of which nothing is told because they were left out, as of the committed results.
    pub(crate) absent: Vec<&'static str>,
}

/// One combination of the swept values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// As it stands in the files.
    pub(crate) text: String,
    /// The value of each dimension, in the dimensions' order.
    pub(crate) values: Vec<String>,
}

/// A swept key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dimension {
    pub(crate) key: String,
    /// Distinct values; numbers in ascending order, texts as they came.
    pub(crate) values: Vec<String>,
}

impl Results {
    /// Reads the directory `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, ReportError> {
        let summary = read_summary(dir)?;
        if summary.is_empty() {
            return Err(ReportError::Empty { path: dir.to_owned() });
        }
        let manifest = Manifest::read(dir)?;
        let dimensions = dimensions(&summary, &manifest);
        Ok(Self {
            load_model: rows_if_there(dir)?,
            manifest,
            replicas: read_rows(dir)?,
            timeseries: rows_if_there(dir)?,
            events: rows_if_there(dir)?,
            gaps: rows_if_there(dir)?,
            returns: rows_if_there(dir)?,
            verdicts: read_rows(dir)?,
            cdf: rows_if_there(dir)?,
            networks: rows_if_there(dir)?,
            kept: rows_if_there(dir)?,
            recoveries: rows_if_there(dir)?,
            absent: absent(dir),
            protocols: distinct(summary.iter().map(|row| row.protocol.clone())),
            points: points(&summary, &dimensions),
            dimensions,
            summary,
        })
    }

    /// Whether the workload says how many clients there are in all, and not how many at each site.
    pub(crate) fn counts_clients_in_all(&self) -> bool {
        counts_clients_in_all(&self.manifest)
    }

    /// The 99th percentile, in milliseconds, up to which a cluster bears a rate, where the highest
    /// such rate was searched for.
    pub(crate) fn searched_p99_ms(&self) -> Option<f64> {
        searched_p99_ms(&self.manifest)
    }

    /// The dimension of `key`, if it was swept, with its place among the dimensions.
    pub(crate) fn dimension(&self, key: &str) -> Option<(usize, &Dimension)> {
        self.dimensions.iter().enumerate().find(|(_, dimension)| dimension.key == key)
    }

    /// What distinguishes `point` from the others, for people, without the dimension at `except`.
    pub(crate) fn label(&self, point: &Point, except: Option<usize>) -> String {
        let parts = self.dimensions.iter().zip(&point.values).enumerate();
        let parts: Vec<String> = parts
            .filter(|(index, _)| Some(*index) != except)
            .map(|(_, (dimension, value))| dimension.label(value))
            .collect();
        parts.join(", ")
    }
}

/// The files of which nothing can be told. Every version wrote the first three; older ones had not
/// the others, and nothing was lost there.
fn absent(dir: &Path) -> Vec<&'static str> {
    let is_absent = |file: &&str| !dir.join(file).exists();
    let always = [TimeseriesRow::FILE, CdfRow::FILE, EventRow::FILE];
    let newer = [<NetworkRow as CsvRow>::FILE, RecoveryRow::FILE];
    let mut absent: Vec<&str> = always.into_iter().filter(is_absent).collect();
    if !absent.is_empty() {
        absent.extend(newer.iter().filter(|file| is_absent(file)));
    }
    absent
}

fn rows_if_there<T: CsvRow>(dir: &Path) -> Result<Vec<T>, ReportError> {
    if dir.join(T::FILE).exists() { Ok(read_rows(dir)?) } else { Ok(Vec::new()) }
}

impl Dimension {
    /// The values as numbers; `None` unless all of them are.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        self.values.iter().map(|value| value.parse().ok()).collect()
    }

    /// What the key means, as an axis says it.
    pub(crate) fn name(&self) -> String {
        match self.key.as_str() {
            "conflict_rate" => "conflict rate".to_owned(),
            "rate_ops_per_s" => "offered rate (ops/s)".to_owned(),
            "value_bytes" => "value size".to_owned(),
            "clients_per_site" => "clients per site".to_owned(),
            "window" => "window (requests per client)".to_owned(),
            key => key.replace('_', " "),
        }
    }

    /// A value as an axis shows it.
    pub(crate) fn value_text(&self, value: &str) -> String {
        match (self.key.as_str(), value.parse::<f64>()) {
            ("conflict_rate" | "write_ratio", Ok(number)) => numbers::percent(number),
            ("value_bytes", Ok(number)) => numbers::bytes(number),
            (_, Ok(number)) => numbers::short(number),
            (_, Err(_)) => value.to_owned(),
        }
    }

    /// Key and value, as a heading says it.
    fn label(&self, value: &str) -> String {
        let value = self.value_text(value);
        match self.key.as_str() {
            "conflict_rate" => format!("{value} conflicts"),
            "write_ratio" => format!("{value} writes"),
            "value_bytes" => format!("{value} values"),
            "rate_ops_per_s" => format!("{value} ops/s offered"),
            "clients_per_site" => format!("{value} clients per site"),
            "clients" => format!("{value} clients"),
            "replicas" => format!("{value} replicas"),
            key => format!("{} {value}", key.replace('_', " ")),
        }
    }
}

/// The value of a swept key in a row; empty where the key has none there.
fn value_of(row: &SummaryRow, key: &str) -> String {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let count = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
    match key {
        "replicas" => row.replicas.to_string(),
        "conflict_rate" => number(row.conflict_rate),
        "clients_per_site" => count(row.clients_per_site),
        "clients" => count(row.clients),
        "window" => row.window.to_string(),
        "rate_ops_per_s" => number(row.rate_ops_per_s),
        "value_bytes" => row.value_bytes.to_string(),
        _ => {
            let swept = row.swept.iter().find(|(name, _)| name == key);
            swept.map(|(_, value)| value.clone()).unwrap_or_default()
        }
    }
}

fn counts_clients_in_all(manifest: &Manifest) -> bool {
    manifest.workload["load"].get("clients").is_some()
}

fn searched_p99_ms(manifest: &Manifest) -> Option<f64> {
    manifest.workload["load"].get("p99_ms_max")?.as_f64()
}

fn dimensions(summary: &[SummaryRow], manifest: &Manifest) -> Vec<Dimension> {
    // The other number of clients follows from this one and the number of replicas.
    let clients = if counts_clients_in_all(manifest) { "clients" } else { "clients_per_site" };
    let columns = ["replicas", clients, "window", "rate_ops_per_s", "conflict_rate", "value_bytes"];
    let others = summary.iter().flat_map(|row| row.swept.iter().map(|(key, _)| key.clone()));
    // A rate that was searched for is a figure, not a key.
    let is_found = |key: &&str| *key == "rate_ops_per_s" && searched_p99_ms(manifest).is_some();
    let keys =
        columns.into_iter().filter(|key| !is_found(key)).map(str::to_owned).chain(distinct(others));
    keys.map(|key| {
        let mut values = distinct(summary.iter().map(|row| value_of(row, &key)));
        if values.iter().all(|value| value.parse::<f64>().is_ok()) {
            let number = |value: &String| value.parse::<f64>().unwrap_or_default();
            values.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        Dimension { key, values }
    })
    .filter(|dimension| dimension.values.len() > 1)
    .collect()
}

fn points(summary: &[SummaryRow], dimensions: &[Dimension]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for row in summary {
        if !points.iter().any(|point| point.text == row.point) {
            let values = dimensions.iter().map(|dimension| value_of(row, &dimension.key)).collect();
            points.push(Point { text: row.point.clone(), values });
        }
    }
    points
}

fn distinct(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
