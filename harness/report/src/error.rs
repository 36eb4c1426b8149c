//! What can go wrong when results are read or drawn: one line, naming the file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use measure::MeasureError;

/// Why results could not be reported.
#[derive(Debug)]
pub enum ReportError {
    /// A file of the results directory is missing or not what it should be.
    Read(MeasureError),
    /// A plot could not be written.
    Draw {
        /// The plot's file.
        path: PathBuf,
        /// What the drawing library or the file system said.
        what: String,
    },
    /// A file of published figures is not what it should be, or has none of the runs at hand.
    Published {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Two results cannot be held against each other.
    NotComparable {
        /// Why, and what to do.
        what: String,
    },
    /// There is nothing to report: no run ended.
    Empty {
        /// The results directory.
        path: PathBuf,
    },
}

impl ReportError {
    pub(crate) fn draw(path: &Path, what: impl fmt::Display) -> Self {
        Self::Draw { path: path.to_owned(), what: what.to_string() }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Draw { path, what } | Self::Published { path, what } => {
                write!(f, "{}: {what}", path.display())
            }
            Self::NotComparable { what } => f.write_str(what),
            Self::Empty { path } => {
                write!(f, "{}: no run ended, so there is nothing to report", path.display())
            }
        }
    }
}

impl std::error::Error for ReportError {}

impl From<MeasureError> for ReportError {
    fn from(error: MeasureError) -> Self {
        Self::Read(error)
    }
}
