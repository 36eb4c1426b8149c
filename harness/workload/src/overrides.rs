//! Keys given on the command line instead of in the file.

use toml::{Table, Value};

use crate::{
    document::{Document, Origin},
    error::LoadError,
    known,
};

/// A dotted key, its value, and the flag that gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    key: String,
    value: Value,
    flag: &'static str,
}

impl Override {
    /// Parses what follows `--set`: `key=value`, the value as TOML if it is TOML, else as a string.
    ///
    /// # Errors
    /// If there is no `=`, or nothing before it.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                let value = value.trim();
                let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
                Ok(Self { key: key.trim().to_owned(), value, flag: "--set" })
            }
            _ => Err(LoadError::of_key(
                "--set",
                text,
                None,
                "write it as key=value, such as load.window=4",
            )),
        }
    }

    /// A key that has a flag of its own, say `--seed`; errors name that flag.
    pub fn by_flag(flag: &'static str, key: &str, value: impl Into<Value>) -> Self {
        Self { key: key.to_owned(), value: value.into(), flag }
    }

    /// Writes the value into `document`, over what is there.
    pub(crate) fn apply(&self, document: &mut Document) -> Result<(), LoadError> {
        let origin = Origin { file: self.flag.to_owned(), flags: Vec::new() };
        if !known::is_known(&self.key) {
            return Err(known::unknown(&origin, &self.key, &self.value));
        }
        let (section, last) = match self.key.split_once('.') {
            Some((section, last)) => {
                let entry = document.table.entry(section).or_insert_with(|| Table::new().into());
                (Some(entry), last)
            }
            None => (None, self.key.as_str()),
        };
        let table = match section {
            None => &mut document.table,
            Some(Value::Table(table)) => table,
            // The file's own mistake; it is named when the whole document is checked.
            Some(_) => return Ok(()),
        };
        table.insert(last.to_owned(), self.value.clone());
        document.origin.flags.push((self.key.clone(), self.flag));
        Ok(())
    }
}
