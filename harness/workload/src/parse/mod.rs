//! From a file's text to a [`Workload`]: the only module that reads files, the workload's and its topology's, and it does
//! nothing else with the system.
//!
//! Order of complaint: the file cannot be read, is not TOML, holds an unknown key, holds a value of the wrong type or
//! range, holds values that do not fit together.

mod calibration;
mod check;
mod fault_plan;
mod faults;
mod returns;
mod sections;
mod site_file;
mod topology;
mod unsupported;

use std::{fs, path::Path};

use serde::{Deserialize, Deserializer};
use toml::Table;

pub use self::{site_file::SiteFile, topology::TopologyFile};

use crate::{
    document::{Document, Origin},
    error::LoadError,
    known,
    model::Workload,
    overrides::Override,
};

impl Workload {
    /// Reads and validates a workload file; later overrides win over earlier ones, all win over the file.
    ///
    /// # Errors
    /// The first thing that is wrong, as one line. What a driver does not carry out is no error here: see
    /// [`Workload::unsupported`].
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let remedy = format!("cannot be read ({error}): `bench list` names the workload files");
            LoadError::of_file(&file, remedy)
        })?;
        Self::parse(&file, &text, overrides)
    }

    /// Validates the text of a workload file; `file` is what errors call it, and where a topology is looked for: in
    /// `topologies/` beside it, then in `workloads/topologies/` of the working directory.
    ///
    /// # Errors
    /// As [`Workload::load`].
    pub fn parse(file: &str, text: &str, overrides: &[Override]) -> Result<Self, LoadError> {
        let table: Table = text.parse().map_err(|error| not_toml(file, text, &error))?;
        let mut document = Document { origin: origin(file), table };
        for given in overrides {
            given.apply(&mut document)?;
        }
        validated(&document, question(text))
    }

    /// Validates a workload that was serialised, in whatever format; `file` is what errors call where it is recorded.
    ///
    /// # Errors
    /// If it is no table, or as [`Workload::load`].
    pub fn recorded<'de, D: Deserializer<'de>>(file: &str, recorded: D) -> Result<Self, LoadError> {
        let table = Table::deserialize(recorded)
            .map_err(|error| LoadError::of_file(file, format!("is no workload: {error}")))?;
        validated(&Document { origin: origin(file), table }, None)
    }
}

fn origin(file: &str) -> Origin {
    Origin { file: file.to_owned(), flags: Vec::new() }
}

fn validated(document: &Document, question: Option<String>) -> Result<Workload, LoadError> {
    known::refuse_unknown(document)?;
    let workload = sections::workload(document, question)?;
    check::together(document, &workload)?;
    Ok(workload)
}

fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> LoadError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let message = error.message().replace('\n', ", ");
    LoadError::of_file(file, format!("line {line} is not TOML: {message}"))
}

/// The first paragraph of the comment that the file opens with, without "Question:".
fn question(text: &str) -> Option<String> {
    let paragraph: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect();
    let question = paragraph.join(" ");
    let question = question.strip_prefix("Question:").unwrap_or(&question).trim();
    (!question.is_empty()).then(|| question.to_owned())
}
