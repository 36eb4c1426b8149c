//! `bench agreement`: one workload on real replicas and simulated, and whether both put the
//! protocols into one order.

mod held;
mod table;

use std::{fs, path::Path, process::ExitCode, time::SystemTime};

use measure::{Host, read_rows, utc_text, write_rows};
use workload::{Driver, Override, Point, Workload};

pub(crate) use self::held::{Held, calibrated, held, spread};
use self::table::{Row, Setting, conclusion, differs, markdown, rows};
use crate::{
    cli::AgreementArguments,
    commands::calibrate::{Asked, Ended, made},
    exit::{self, Failure},
    output,
};

/// The table as Markdown, beside the CSV.
const MARKDOWN_FILE: &str = "agreement.md";

pub(crate) fn run(arguments: &AgreementArguments) -> Result<ExitCode, Failure> {
    if let Some(dir) = &arguments.of {
        let rows: Vec<Row> = read_rows(dir).map_err(Failure::usage)?;
        output::print(&markdown(&rows))?;
        return Ok(code(&rows));
    }
    match compare(arguments) {
        Ok(code) => Ok(code),
        Err(Ended::WithCode(code)) => Ok(ExitCode::from(code)),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

fn compare(arguments: &AgreementArguments) -> Result<ExitCode, Ended> {
    let (real, simulated) = (load(arguments, Driver::Quic)?, load(arguments, Driver::Sim)?);
    fs::create_dir_all(&arguments.out).map_err(|error| {
        Failure::usage(format!("{}: cannot be written: {error}", arguments.out.display()))
    })?;
    let asked = Asked {
        what: "compared",
        results: &arguments.results,
        quiet: arguments.quiet,
        only_valid: false,
    };
    let (real_loads, _) = made(&asked, &real)?;
    let (simulated_loads, _) = made(&asked, &simulated)?;
    let rows = written(&arguments.out, &real, &held(&real_loads, &simulated_loads))?;
    output::print(&told(&rows))?;
    let place = arguments.out.display();
    output::print(&format!("\nWritten: {place}/agreement.csv, {place}/{MARKDOWN_FILE}\n"))?;
    Ok(code(&rows))
}

/// Writes the table of `loads`, which are of `workload`, as CSV and as Markdown; returns what to
/// say of it.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(out: &Path, workload: &Workload, loads: &[Held]) -> Result<String, Failure> {
    Ok(told(&written(out, workload, loads)?))
}

fn written(out: &Path, workload: &Workload, loads: &[Held]) -> Result<Vec<Row>, Failure> {
    let host = Host::probe();
    let setting = Setting {
        workload: workload.name.clone(),
        date_utc: utc_text(SystemTime::now()),
        cpu: host.cpu.unwrap_or_else(|| "an unknown CPU".to_owned()),
        cores: host.cores.unwrap_or(0),
    };
    let rows = rows(&setting, loads);
    write_rows(out, &rows).map_err(Failure::failed)?;
    let path = out.join(MARKDOWN_FILE);
    fs::write(&path, markdown(&rows))
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    Ok(rows)
}

fn told(rows: &[Row]) -> String {
    format!("{}\n{}.\n", markdown(rows), conclusion(rows))
}

/// The end of a comparison: figures in another order may not be quoted.
fn code(rows: &[Row]) -> ExitCode {
    if differs(rows) { ExitCode::from(exit::NOT_VALID) } else { ExitCode::SUCCESS }
}

/// The workload for one of the drivers.
fn load(arguments: &AgreementArguments, driver: Driver) -> Result<Workload, Failure> {
    let mut overrides = vec![Override::by_flag("--driver", "cluster.driver", driver.name())];
    for text in &arguments.set {
        overrides.push(Override::parse(text).map_err(Failure::usage)?);
    }
    if let (Driver::Sim, Some(path)) = (driver, &arguments.calibration) {
        let path = path.display().to_string();
        overrides.push(Override::by_flag("--calibration", "sim.calibration", path));
    }
    let overrides = if driver == Driver::Sim { once(overrides) } else { overrides };
    of_sizes(&arguments.workload, &overrides)
}

/// Overrides of a simulated workload with a single repetition: its runs differ by their seeds
/// alone, and take longer than real ones.
pub(crate) fn once(mut overrides: Vec<Override>) -> Vec<Override> {
    overrides.push(Override::by_flag("a simulation", "repetitions", 1));
    overrides
}

/// A workload that differs in nothing but its clusters' sizes from point to point.
pub(crate) fn of_sizes(file: &Path, overrides: &[Override]) -> Result<Workload, Failure> {
    let workload = Workload::load(file, overrides).map_err(Failure::usage)?;
    if let Some(error) = workload.unsupported() {
        return Err(Failure::usage(error));
    }
    let points = workload.protocols.first().map(|protocol| workload.points(*protocol));
    let swept = points.iter().flatten().flat_map(Point::swept);
    match swept.map(|(key, _)| *key).find(|key| *key != "replicas") {
        None => Ok(workload),
        Some(key) => Err(Failure::usage(format!(
            "{}: {key}: must be one value: orders are compared at sizes of a cluster alone",
            file.display()
        ))),
    }
}
