//! What a value may be: parsers of a single TOML value, whose error is the remedy.

use std::{fmt::Display, ops::RangeInclusive};

use toml::Value;

/// "a string", "an array" …, for messages.
fn described(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "a truth value",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

/// "must be X, not a Y".
pub(crate) fn mismatch(expected: &str, value: &Value) -> String {
    format!("must be {expected}, not {}", described(value))
}

/// A whole number within `range`.
pub(crate) fn whole(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let number = value.as_integer().ok_or_else(|| mismatch("a whole number", value))?;
        match u64::try_from(number) {
            Ok(number) if number > *range.end() => Err(format!("must be at most {}", range.end())),
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("must be at least {}", range.start())),
        }
    }
}

/// A whole number within `range`, as a type that holds all of `range`.
pub(crate) fn count<T>(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<T, String>
where
    T: TryFrom<u64, Error: Display>,
{
    let parse = whole(range);
    move |value| T::try_from(parse(value)?).map_err(|error| error.to_string())
}

/// A number, whole or not.
fn finite(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        _ => return Err(mismatch("a number", value)),
    };
    // Adding zero makes −0 plain 0, so that equal values have one text.
    if number.is_finite() { Ok(number + 0.0) } else { Err("must be finite".to_owned()) }
}

/// A number within `range`.
pub(crate) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, String> {
    move |value| {
        let number = finite(value)?;
        if range.contains(&number) {
            return Ok(number);
        }
        Err(format!("must be within {}..={}", range.start(), range.end()))
    }
}

/// A number above 0 and at most `max`.
pub(crate) fn positive(max: f64) -> impl Fn(&Value) -> Result<f64, String> {
    move |value| match finite(value)? {
        number if number <= 0.0 => Err("must be above 0".to_owned()),
        number if number > max => Err(format!("must be at most {max}")),
        number => Ok(number),
    }
}

/// `[a-z0-9.-]+`, and no dot at its beginning.
pub(crate) fn name(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| mismatch("a string", value))?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !text.is_empty() && !text.starts_with('.') && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("must be made of lower-case letters, digits, hyphens and dots".to_owned())
}

/// One of some names.
pub(crate) fn choice<T: Copy>(
    choices: &[(&'static str, T)],
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let found = value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            format!("must be {}", alternatives(choices.iter().map(|(name, _)| *name)))
        })
    }
}

/// `"a", "b" or "c"`.
pub(crate) fn alternatives(names: impl Iterator<Item = &'static str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
