//! Standard output: coloured only where somebody sees it, and no error when the reader has gone.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anstream::{AutoStream, ColorChoice};

use crate::exit::Failure;

/// Whether standard output takes colours: it is a terminal and `NO_COLOR` is not set.
pub(crate) fn takes_colour() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Writes `text` to standard output.
///
/// # Errors
/// If it cannot be written; a reader that went away (`bench list | head -1`) is none.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = AutoStream::auto(io::stdout());
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Writes `bytes` to standard output as they are.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Chosen: what fits on a screen, with a margin of four.
const LINE_CHARS: usize = 96;

/// `text` as lines of whole words.
pub(crate) fn folded(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is at least one line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= LINE_CHARS {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Rows as columns, two spaces apart.
pub(crate) fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
