//! `bench plot`: every plot of a results directory anew, from its files alone.

use std::{fmt::Write, process::ExitCode};

use crate::{cli::PlotArguments, commands::report::must_be_directory, exit::Failure, output};

pub(crate) fn run(arguments: &PlotArguments) -> Result<ExitCode, Failure> {
    let dir = &arguments.results;
    must_be_directory(dir)?;
    let drawn = report::draw_all(dir).map_err(Failure::usage)?;
    if let Some(left_out) = drawn.left_out {
        say!("{}: {left_out}", dir.display());
    }
    let mut text = String::new();
    for file in drawn.files {
        let _ = writeln!(text, "{}", file.display());
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
