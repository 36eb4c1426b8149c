//! A TOML document whose keys are looked up by dotted name and whose errors know where a value came from.

use toml::{Table, Value};

use crate::{error::LoadError, sweep::Sweep};

/// Where values come from: a file, and flags that override some of its keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) file: String,
    /// Overridden dotted key and the flag that did it.
    pub(crate) flags: Vec<(String, &'static str)>,
}

impl Origin {
    /// The flag that gave `key` its value; none if the file did.
    pub(crate) fn flag_of(&self, key: &str) -> Option<&'static str> {
        let covers = |flag_key: &str| {
            key.strip_prefix(flag_key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.flags.iter().rev().find(|(flag_key, _)| covers(flag_key)).map(|(_, flag)| *flag)
    }

    /// An error about `key`.
    pub(crate) fn error(
        &self,
        key: &str,
        value: Option<&Value>,
        remedy: impl Into<String>,
    ) -> LoadError {
        LoadError::of_key(self.flag_of(key).unwrap_or(&self.file), key, value, remedy)
    }
}

/// A parsed document together with its origin.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) origin: Origin,
    pub(crate) table: Table,
}

impl Document {
    /// The value under a dotted key.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.table.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_table()?.get(part))
    }

    /// An error about `key` as it stands in the document.
    pub(crate) fn error(&self, key: &str, remedy: impl Into<String>) -> LoadError {
        self.origin.error(key, self.value(key), remedy)
    }

    /// The value under `key`, parsed; none if it is absent.
    pub(crate) fn one<T>(
        &self,
        key: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, LoadError> {
        self.value(key)
            .map(|value| parse(value).map_err(|remedy| self.origin.error(key, Some(value), remedy)))
            .transpose()
    }

    /// The value or the list of values under `key`, each parsed; none if it is absent.
    pub(crate) fn sweep<T: PartialEq>(
        &self,
        key: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Option<Sweep<T>>, LoadError> {
        let Some(Value::Array(list)) = self.value(key) else {
            return Ok(self.one(key, parse)?.map(Sweep::One));
        };
        if list.is_empty() {
            return Err(self.error(key, "must hold at least one value"));
        }
        let mut values = Vec::with_capacity(list.len());
        for item in list {
            let value = parse(item).map_err(|remedy| self.origin.error(key, Some(item), remedy))?;
            if values.contains(&value) {
                return Err(self.origin.error(key, Some(item), "is listed twice: list it once"));
            }
            values.push(value);
        }
        Ok(Some(Sweep::Many(values)))
    }
}
