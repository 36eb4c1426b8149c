//! Why something at this crate's edge failed, as one line that says what to do.

use std::{fmt, io, path::Path};

use driver::storage::StorageError;

/// A failure to set up, connect or talk, worded for a person.
#[derive(Debug)]
pub struct NodeError(String);

impl NodeError {
    /// A failure described by `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A failure to read or write a file.
    pub(crate) fn file(path: &Path, what: &str, error: &io::Error) -> Self {
        Self(format!("{}: cannot {what}: {error}", path.display()))
    }

    /// This failure with what was being done in front.
    pub(crate) fn context(self, doing: impl fmt::Display) -> Self {
        Self(format!("{doing}: {}", self.0))
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NodeError {}

impl From<StorageError> for NodeError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}
