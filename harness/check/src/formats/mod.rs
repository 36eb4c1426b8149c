//! Histories as files: own JSON lines, Jepsen's EDN, porcupine's KV text.
//!
//! [`json`] is what this program writes. The other two are events in the order in which they happened; the position of
//! an event is its time.

mod edn;
mod events;
pub mod json;

use std::fmt;

use crate::history::History;

/// A way to write a history down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An operation per line, see [`json`].
    Json,
    /// `{:process 0, :type :invoke, :f :write, :value 3}`: a register, or with values `[key value]` several.
    Jepsen,
    /// `{:process 0, :type :invoke, :f :append, :key "1", :value "x 0 0 y"}`: a store of texts, at first empty.
    Porcupine,
}

/// What is wrong with a history's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where, counted from 1.
    pub line: usize,
    /// What, and what to do about it.
    pub what: String,
}

impl ParseError {
    pub(crate) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// Reads a history, in `format` or, without one, in the format that its content shows.
///
/// # Errors
/// If the text is none, or a history of nothing: what checks nothing is no pass.
pub fn parse(text: &str, format: Option<Format>) -> Result<History, ParseError> {
    let history = match format.map_or_else(|| detect(text), Ok)? {
        Format::Json => json::parse(text)?,
        Format::Jepsen => events::jepsen(&edn::read(text)?)?,
        Format::Porcupine => events::porcupine(&edn::read(text)?)?,
    };
    if history.operations().is_empty() {
        return Err(nothing());
    }
    Ok(history)
}

fn nothing() -> ParseError {
    ParseError::new(1, "no operation: name a file with a history")
}

fn detect(text: &str) -> Result<Format, ParseError> {
    let content = text.trim_start();
    if content.is_empty() {
        return Err(nothing());
    }
    if content.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"')) {
        return Ok(Format::Json);
    }
    if !content.starts_with(['{', '[', '(', '#', ';']) {
        let line = 1 + text[..text.len() - content.len()].matches('\n').count();
        let what = "no history that is known: use JSON lines, Jepsen's EDN or porcupine's KV text";
        return Err(ParseError::new(line, what));
    }
    // Only porcupine's events have a key of their own; Jepsen's keys are part of the value.
    let first = &content[..content.find('}').unwrap_or(content.len())];
    Ok(if first.contains(":key ") { Format::Porcupine } else { Format::Jepsen })
}
