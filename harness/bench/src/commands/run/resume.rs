//! `bench run --resume`: the runs that an interrupted sweep lacks, in the order and with the seeds that were planned.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use measure::{Identity, Manifest, ResultsDir};
use run::{
    naming::{identity, is_of, stem},
    simulated::formulas::Formulas,
};
use serde_json::Value;
use workload::{Plan, Run, Workload};

use super::{Keeping, Sweep, carry_on, commits, conclude, hosts, swept_keys};
use crate::{cli::RunArguments, exit::Failure, output};

pub(super) fn run(
    arguments: &RunArguments,
    dir: &Path,
    file: Option<&Path>,
) -> Result<ExitCode, Failure> {
    // results/latest may be another directory before this ends.
    let dir = fs::canonicalize(dir).map(|full| shortened(&full)).map_err(|error| {
        let remedy = "name the results directory of an interrupted run";
        Failure::usage(format!("{}: {error}: {remedy}", dir.display()))
    })?;
    let mut manifest = Manifest::read(&dir).map_err(Failure::usage)?;
    let workload = recorded(&dir, &manifest)?;
    match file {
        Some(file) => is_the_same(arguments, file, &workload)?,
        None => no_changes(arguments)?,
    }
    if manifest.complete {
        let runs = manifest.runs_planned;
        output::print(&format!("{}: all {runs} runs are there: nothing to do\n", dir.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let differing = manifest.differing_here();
    if !differing.is_empty() && !arguments.force {
        return Err(Failure::usage(format!(
            "{}: it began with another {}: resume it as it began, or use --force",
            dir.display(),
            differing.join(", ")
        )));
    }
    let mut plan = Plan::new(&workload);
    let lab = hosts(arguments, &workload, &plan)?;
    let planned: Vec<Identity> =
        plan.runs.iter().map(|run| identity(run, workload.cluster.driver)).collect();
    let has_formulas = Formulas::new(&workload).is_some();
    let is_there = |place: usize| !has_formulas || commits::are_there(&dir, &plan.runs[place]);
    let (results, rows) =
        ResultsDir::resume(&dir, &swept_keys(&plan), &planned, is_there).map_err(Failure::usage)?;
    let made: Vec<Run> = plan.runs.drain(..rows.len()).collect();
    for run in &plan.runs {
        forget_data(&dir, run)?;
    }
    manifest.resume(rows.len() as u64, differing);
    results.write_manifest(&manifest).map_err(Failure::failed)?;
    let made = made.into_iter().zip(rows).collect();
    let sweep = Sweep { workload: &workload, plan, made };
    let keeping = Keeping::of(arguments, lab.as_ref().map(|(lab, _)| lab));
    let (tried, path) = carry_on(&keeping, sweep, manifest, results)?;
    conclude(arguments, &tried, &path)
}

/// A path below the working directory as people write it.
fn shortened(full: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| full.strip_prefix(here).ok());
    below.filter(|below| below.components().next().is_some()).unwrap_or(full).to_owned()
}

/// The workload that the manifest records.
fn recorded(dir: &Path, manifest: &Manifest) -> Result<Workload, Failure> {
    let place = dir.join("manifest.json").display().to_string();
    let workload = Workload::recorded(&place, &manifest.workload).map_err(Failure::usage)?;
    if as_recorded(&workload) != manifest.workload {
        let remedy = "its workload was recorded by another version: run it anew";
        return Err(Failure::usage(format!("{place}: {remedy}")));
    }
    match workload.unsupported() {
        Some(error) => Err(Failure::usage(error)),
        None => Ok(workload),
    }
}

fn as_recorded(workload: &Workload) -> Value {
    serde_json::to_value(workload).expect("a workload is plain data")
}

/// A workload file beside --resume, with what changes it, must be what is resumed.
fn is_the_same(arguments: &RunArguments, file: &Path, recorded: &Workload) -> Result<(), Failure> {
    let given = super::load(arguments, file)?;
    let differing = report::differing_keys(&as_recorded(recorded), &as_recorded(&given));
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{}: is not the workload that is resumed: {}: leave it away, or begin a run of its own",
        file.display(),
        differing.join(", ")
    )))
}

/// Without a file there is nothing that a flag could change.
fn no_changes(arguments: &RunArguments) -> Result<(), Failure> {
    let given = [
        ("--set", !arguments.set.is_empty()),
        ("--seed", arguments.seed.is_some()),
        ("--driver", arguments.driver.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => Err(Failure::usage(format!(
            "{flag}: what is resumed runs as it began: leave it away, or begin a run of its own"
        ))),
    }
}

/// Removes what replicas kept of a run whose program was killed, or of a step of its search: the
/// run begins anew.
fn forget_data(dir: &Path, run: &Run) -> Result<(), Failure> {
    let (data, stem) = (dir.join("data"), stem(run));
    let fail = |error| Failure::failed(format!("{}: {error}", data.display()));
    if !data.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&data).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if is_of(&stem, &entry.file_name().to_string_lossy()) {
            fs::remove_dir_all(entry.path()).map_err(fail)?;
        }
    }
    Ok(())
}
