//! Standard output: coloured only where somebody sees it, and no error when the reader has gone.

use std::io::{self, Write};

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
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
