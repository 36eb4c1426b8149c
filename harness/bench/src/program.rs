//! The name of this program, as messages and completions have it: `bench`, or that of a program of
//! one's own.

use std::{path::Path, sync::OnceLock};

/// The name where this library is not run as a program.
const USUAL: &str = "bench";

/// A line of this program's, which begins with its name.
macro_rules! line {
    ($($text:tt)*) => {
        format!("{}: {}", $crate::program::name(), format_args!($($text)*))
    };
}

/// Says a line on standard error.
macro_rules! say {
    ($($text:tt)*) => {
        eprintln!("{}: {}", $crate::program::name(), format_args!($($text)*))
    };
}

static NAME: OnceLock<String> = OnceLock::new();

/// Takes the name from the file that was started.
pub(crate) fn remember() {
    let started = std::env::args_os().next();
    let name = started.as_deref().and_then(|path| Path::new(path).file_stem());
    NAME.get_or_init(|| {
        name.map_or_else(|| USUAL.to_owned(), |name| name.to_string_lossy().into())
    });
}

/// The name.
pub(crate) fn name() -> &'static str {
    NAME.get().map_or(USUAL, String::as_str)
}
