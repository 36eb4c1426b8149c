//! `sim.calibration`: the costs that `bench calibrate` measured on some host, and the loads on
//! which it did.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use protocols::{Protocol, registry};
use toml::{Table, Value};

use super::{not_toml, sections::COST_MAX};
use crate::{
    calibrated::{Calibrated, Loads},
    document::{Document, Origin},
    error::LoadError,
    kind::{mismatch, number, whole},
    known::refuse_unknown_in,
    sim_costs::SimCosts,
};

pub(super) const KEY: &str = "calibration";
const DOTTED: &str = "sim.calibration";
/// The table with the costs; whatever else the file holds says how they came to be.
const SECTION: &str = "sim";
/// The table with the loads, in it.
pub(super) const LOADS: &str = "calibrated";
/// chosen: more than any load has of anything.
const COUNT_MAX: u64 = 1 << 40;

/// The file that a workload names, from where the workload file is, or from the working directory if a flag names it; none
/// if there is no such key.
pub(super) fn path(document: &Document) -> Result<Option<PathBuf>, LoadError> {
    let Some(value) = document.value(DOTTED) else { return Ok(None) };
    let name = value.as_str().ok_or_else(|| document.error(DOTTED, mismatch("a path", value)))?;
    let from = match document.origin.flag_of(DOTTED) {
        Some(_) => Path::new(""),
        None => Path::new(&document.origin.file).parent().unwrap_or(Path::new("")),
    };
    Ok(Some(from.join(name)))
}

/// The costs in the file.
pub(super) fn costs(document: &Document, path: &Path) -> Result<SimCosts, LoadError> {
    let text = fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        document
            .error(DOTTED, format!("{path} cannot be read ({error}): `bench calibrate` writes one"))
    })?;
    read(&path.display().to_string(), &text)
}

/// The costs in `text`; `file` is what errors call it. A file of before there was some cost has
/// what that is in the others: nothing can be made of it but a wrong order of protocols.
pub(super) fn read(file: &str, text: &str) -> Result<SimCosts, LoadError> {
    let table: Table = text.parse().map_err(|error| not_toml(file, text, &error))?;
    let origin = Origin { file: file.to_owned(), flags: Vec::new() };
    let Some(Value::Table(section)) = table.get(SECTION) else {
        let remedy = "missing: is this what `bench calibrate` wrote?";
        return Err(origin.error(SECTION, table.get(SECTION), remedy));
    };
    let mut costs = SimCosts::NONE;
    let of_cpu = costs.of_cpu().map(|(key, _)| key);
    let known: Vec<&str> = of_cpu.into_iter().chain([LOADS]).collect();
    refuse_unknown_in(&origin, SECTION, section, &known)?;
    let value = |key: &str| {
        let missing =
            || origin.error(&format!("{SECTION}.{key}"), None, "missing: measure it again");
        section.get(key).ok_or_else(missing)
    };
    for (key, cost) in costs.by_key().into_iter().filter(|(key, _)| of_cpu.contains(key)) {
        let value = value(key)?;
        *cost = number(0.0..=COST_MAX)(value)
            .map_err(|remedy| origin.error(&format!("{SECTION}.{key}"), Some(value), remedy))?;
    }
    costs.calibrated = calibrated(&origin, value(LOADS)?)?;
    Ok(costs)
}

/// What stands in `sim.calibrated`: a table of loads for each protocol that was calibrated.
pub(super) fn calibrated(origin: &Origin, value: &Value) -> Result<Calibrated, LoadError> {
    let path = format!("{SECTION}.{LOADS}");
    let Value::Table(protocols) = value else {
        return Err(origin.error(&path, Some(value), mismatch("a table of protocols", value)));
    };
    refuse_unknown_in(
        origin,
        &path,
        protocols,
        &registry::all().into_iter().map(Protocol::name).collect::<Vec<_>>(),
    )?;
    let mut calibrated = Calibrated::NONE;
    for protocol in registry::all() {
        let Some(value) = protocols.get(protocol.name()) else { continue };
        let path = format!("{path}.{protocol}");
        let Value::Table(table) = value else {
            return Err(origin.error(&path, Some(value), mismatch("a table of loads", value)));
        };
        calibrated.add(protocol, &loads(origin, &path, table)?);
    }
    Ok(calibrated)
}

fn loads(origin: &Origin, path: &str, table: &Table) -> Result<Loads, LoadError> {
    const RANGES: [&str; 3] = ["replicas", "value_bytes", "requests_under_way"];
    const BYTES: &str = "bytes_under_way_max";
    const OPERATIONS: &str = "operations_per_cpu_s_max";
    refuse_unknown_in(origin, path, table, &[RANGES.as_slice(), &[BYTES, OPERATIONS]].concat())?;
    let [replicas, value_bytes, requests_under_way] =
        RANGES.map(|key| one(origin, path, table, key, range));
    Ok(Loads {
        replicas: replicas?,
        value_bytes: value_bytes?,
        requests_under_way: requests_under_way?,
        bytes_under_way_max: one(origin, path, table, BYTES, whole(0..=COUNT_MAX))?,
        operations_per_cpu_s_max: one(origin, path, table, OPERATIONS, most)?,
    })
}

fn one<T>(
    origin: &Origin,
    path: &str,
    table: &Table,
    key: &str,
    parse: impl Fn(&Value) -> Result<T, String>,
) -> Result<T, LoadError> {
    let at = format!("{path}.{key}");
    let value =
        table.get(key).ok_or_else(|| origin.error(&at, None, "missing: measure it again"))?;
    parse(value).map_err(|remedy| origin.error(&at, Some(value), remedy))
}

fn range(value: &Value) -> Result<[u64; 2], String> {
    let count = whole(1..=COUNT_MAX);
    match value.as_array().map(Vec::as_slice) {
        Some([least, most]) => match [count(least)?, count(most)?] {
            [least, most] if least > most => Err("must be the least before the most".to_owned()),
            range => Ok(range),
        },
        _ => Err("must be the least and the most, such as [3, 9]".to_owned()),
    }
}

fn most(value: &Value) -> Result<f64, String> {
    number(0.0..=COUNT_MAX as f64)(value)
}

impl Default for SimCosts {
    /// As measured.
    fn default() -> Self {
        const FILE: &str = "default-costs.toml";
        static MEASURED: LazyLock<SimCosts> = LazyLock::new(|| {
            let read = read(FILE, include_str!("../../default-costs.toml"));
            read.unwrap_or_else(|error| panic!("{error}"))
        });
        *MEASURED
    }
}
