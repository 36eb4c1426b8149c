//! The one way in which loading fails: a line for the person who wrote the file.

use std::fmt;

use toml::Value;

/// The longest rendering of a value inside an error, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// Why a workload cannot be used. `Display` is one line: file (or flag), key, value, remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    origin: String,
    key: Option<String>,
    value: Option<String>,
    remedy: String,
}

impl LoadError {
    /// An error of the file as a whole.
    pub(crate) fn of_file(origin: &str, remedy: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), key: None, value: None, remedy: remedy.into() }
    }

    /// An error of one key, with the value that was found, if any.
    pub(crate) fn of_key(
        origin: &str,
        key: &str,
        value: Option<&Value>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            origin: origin.to_owned(),
            key: Some(key.to_owned()),
            value: value.map(one_line),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, "{key} = {value}: ")?,
            (Some(key), None) => write!(f, "{key}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.remedy)
    }
}

impl std::error::Error for LoadError {}

/// The value as TOML writes it, on one line and not too long for a terminal.
fn one_line(value: &Value) -> String {
    let text = match value {
        // TOML would spread a string with a line break over several lines.
        Value::String(text) => format!("{text:?}"),
        other => other.to_string().replace('\n', " "),
    };
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(VALUE_CHARS_MAX - 1).collect();
    format!("{head}…")
}
