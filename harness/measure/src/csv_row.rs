//! What binds a row type to its file of the results directory.

use serde::{Serialize, de::DeserializeOwned};

/// A row type that is bound to a file of the results directory.
pub trait CsvRow: Serialize + DeserializeOwned + Default {
    /// The file's name.
    const FILE: &'static str;
    /// The columns that results of older versions may lack.
    const NEWER: &'static [&'static str] = &[];
}
