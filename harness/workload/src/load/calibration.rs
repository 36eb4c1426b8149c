//! `sim.calibration`: the costs that `bench calibrate` measured on some host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{not_toml, sections::COST_MAX};
use crate::{
    document::{Document, Origin},
    error::LoadError,
    kind::{mismatch, number},
    known::refuse_unknown_in,
    sim_costs::SimCosts,
};

pub(super) const KEY: &str = "sim.calibration";
/// The table with the costs; whatever else the file holds says how they came to be.
const SECTION: &str = "sim";
const KEYS: &[&str] = &["cpu_us_per_wakeup", "cpu_us_per_message", "cpu_ns_per_byte"];

/// The file that a workload names, from where the workload file is, or from the working directory if a flag names it; none
/// if there is no such key.
pub(super) fn path(document: &Document) -> Result<Option<PathBuf>, LoadError> {
    let Some(value) = document.value(KEY) else { return Ok(None) };
    let name = value.as_str().ok_or_else(|| document.error(KEY, mismatch("a path", value)))?;
    let from = match document.origin.flag_of(KEY) {
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
            .error(KEY, format!("{path} cannot be read ({error}): `bench calibrate` writes one"))
    })?;
    read(&path.display().to_string(), &text)
}

fn read(file: &str, text: &str) -> Result<SimCosts, LoadError> {
    let table: Table = text.parse().map_err(|error| not_toml(file, text, &error))?;
    let origin = Origin { file: file.to_owned(), flags: Vec::new() };
    let Some(Value::Table(costs)) = table.get(SECTION) else {
        let remedy = "missing: is this what `bench calibrate` wrote?";
        return Err(origin.error(SECTION, table.get(SECTION), remedy));
    };
    refuse_unknown_in(&origin, SECTION, costs, KEYS)?;
    let cost = |key: &str| {
        let (dotted, value) = (format!("{SECTION}.{key}"), costs.get(key));
        let value =
            value.ok_or_else(|| origin.error(&dotted, None, "missing: measure it again"))?;
        number(0.0..=COST_MAX)(value).map_err(|remedy| origin.error(&dotted, Some(value), remedy))
    };
    Ok(SimCosts {
        cpu_us_per_wakeup: cost(KEYS[0])?,
        cpu_us_per_message: cost(KEYS[1])?,
        cpu_ns_per_byte: cost(KEYS[2])?,
        ..SimCosts::default()
    })
}
