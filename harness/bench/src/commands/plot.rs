//! `bench plot`: every plot of a results directory anew, from its files alone.

use std::{fmt::Write, process::ExitCode};

use crate::{cli::PlotArguments, exit::Failure, output};

pub(crate) fn run(arguments: &PlotArguments) -> Result<ExitCode, Failure> {
    let dir = &arguments.results;
    if !dir.is_dir() {
        let remedy = "is no directory: name a results directory, such as results/latest";
        return Err(Failure::usage(format!("{}: {remedy}", dir.display())));
    }
    let files = report::draw_all(dir).map_err(Failure::usage)?;
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "{}", file.display());
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
