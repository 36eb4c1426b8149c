//! The one error of this crate: a line that names the file, what is wrong with it, and the remedy where there is one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What went wrong with which file, on one line.
#[derive(Debug)]
pub struct MeasureError {
    path: PathBuf,
    what: String,
}

impl MeasureError {
    /// An error about `path`. `what` says what is wrong and, if it can be helped, how.
    pub fn new(path: &Path, what: impl fmt::Display) -> Self {
        // A parser's message may span lines; a terminal's last line should not.
        let what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { path: path.to_owned(), what }
    }

    /// The file or folder concerned.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for MeasureError {}
