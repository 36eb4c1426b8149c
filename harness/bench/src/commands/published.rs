//! `bench published`: what a paper printed beside formulas and runs.

use std::process::ExitCode;

use report::Markup;

use crate::{
    cli::{PublishedArguments, TableFormat},
    exit::Failure,
    output,
};

pub(crate) fn run(arguments: &PublishedArguments) -> Result<ExitCode, Failure> {
    let markup = match arguments.format {
        TableFormat::Text => Markup::Plain,
        TableFormat::Markdown => Markup::Markdown,
    };
    let table = report::published(&arguments.figures, &arguments.results, markup);
    output::print(&table.map_err(Failure::usage)?)?;
    Ok(ExitCode::SUCCESS)
}
