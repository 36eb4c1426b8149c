//! `bench report`: results as one page, from their files alone.

use std::{fs, path::Path, process::ExitCode};

use crate::{
    cli::{ReportArguments, ReportFormat},
    exit::Failure,
    output,
};

pub(crate) fn run(arguments: &ReportArguments) -> Result<ExitCode, Failure> {
    let dirs = &arguments.results;
    dirs.iter().try_for_each(|dir| must_be_directory(dir))?;
    let report = match arguments.format {
        ReportFormat::Html => report::html(dirs),
        ReportFormat::Markdown => report::markdown(dirs),
    };
    let report = report.map_err(Failure::usage)?;
    let file = match (&arguments.out, arguments.format, dirs.first()) {
        (Some(file), ..) => file.clone(),
        (None, ReportFormat::Html, Some(first)) => first.join(report::HTML_FILE),
        _ => {
            output::print(&report)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    fs::write(&file, report).map_err(|error| {
        let remedy = "name another file with --out";
        Failure::usage(format!("{}: cannot be written ({error}): {remedy}", file.display()))
    })?;
    output::print(&format!("{}\n", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what is no directory.
pub(crate) fn must_be_directory(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let remedy = "is no directory: name a results directory, such as results/latest";
    Err(Failure::usage(format!("{}: {remedy}", dir.display())))
}
