//! `bench plot`: every plot of a results directory anew, from its files alone.

use std::{fmt::Write, process::ExitCode};

use crate::{cli::PlotArguments, commands::report::must_be_directory, exit::Failure, output};

pub(crate) fn run(arguments: &PlotArguments) -> Result<ExitCode, Failure> {
    let dir = &arguments.results;
    must_be_directory(dir)?;
    let files = report::draw_all(dir).map_err(Failure::usage)?;
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "{}", file.display());
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
