//! The own format: one operation per line, as a JSON object.
//!
//! ```text
//! {"process":3,"key":"k","op":"put","value":"x","invoke_ns":10,"return_ns":20}
//! {"process":3,"key":"k","op":"get","result":"x","invoke_ns":30,"return_ns":40}
//! {"process":4,"key":"k","op":"append","value":"y","invoke_ns":30,"return_ns":45}
//! {"process":4,"key":"k","op":"cas","expected":"xy","value":"z","swapped":true,"invoke_ns":50,"return_ns":60}
//! {"process":5,"key":"k","op":"delete","invoke_ns":55}
//! ```
//! - `op`: `put` and `append` (with `value`), `get` (with `result`, null for an absent key), `delete`, `cas` (with
//!   `expected`, null for an absent key, `value` and `swapped`).
//! - Without `return_ns` the outcome is unknown: the operation may have happened at any time after `invoke_ns`, or never.
//!   Then there is no `result` and no `swapped`.
//! - `due_ns` is when the operation should have been asked for, `closing` marks a read made after the load, `gave_up_ns` is until
//!   when an answer was waited for that never came. None of them changes the verdict. `refused` marks an operation that had no
//!   effect: it is left out.
//! - Keys and values are strings, or `{"hex":"00ff"}` where the bytes are no UTF-8.
//! - Lines may be in any order; blank ones are skipped.

use std::fmt::Write;

use serde::{Deserialize, Deserializer, Serialize};

use super::ParseError;
use crate::history::{History, Kind, Operation, Outcome};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    process: u64,
    key: Text,
    op: Name,
    /// Outer none: not there. Inner none: null, the key was absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    expected: Option<Option<Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Text>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    result: Option<Option<Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swapped: Option<bool>,
    invoke_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gave_up_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    refused: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    closing: bool,
}

/// What a load generator knows of an operation beside what is judged. Times are those of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// When it should have been asked for.
    pub due_ns: Option<u64>,
    /// Until when an answer was waited for that never came.
    pub gave_up_ns: Option<u64>,
    /// It was refused, and had no effect.
    pub refused: bool,
    /// It is a read made after the load, to see what was kept.
    pub closing: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Get,
    Put,
    Delete,
    Append,
    Cas,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Hex { hex: String },
}

fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<Text>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Hex {
                hex: bytes.iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                }),
            },
        }
    }

    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Utf8(text) => Ok(text.into_bytes()),
            Self::Hex { hex } => {
                let digits: Option<Vec<u8>> = hex
                    .chars()
                    .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
                    .collect();
                match digits {
                    Some(digits) if digits.len() % 2 == 0 => {
                        Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
                    }
                    _ => Err(format!("hex = \"{hex}\": must be pairs of hexadecimal digits")),
                }
            }
        }
    }
}

/// Reads a history.
///
/// # Errors
/// At the first line that is no operation.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut history = History::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let parsed: Line = serde_json::from_str(line).map_err(|error| {
            // The parser counts lines within this one.
            let error = error.to_string();
            let error = error.split(" at line ").next().unwrap_or_default().to_owned();
            ParseError::new(number, format!("{error}: see the format of bench check --help"))
        })?;
        let refused = parsed.refused;
        let operation = operation(parsed).map_err(|what| ParseError::new(number, what))?;
        if !refused {
            history.push(operation);
        }
    }
    Ok(history)
}

/// The line for an operation, without its end.
pub fn line(operation: &Operation) -> String {
    recorded_line(operation, Recorded::default())
}

/// The line for an operation with what a load generator knows of it beside, without its end.
pub fn recorded_line(operation: &Operation, recorded: Recorded) -> String {
    let text = |value: &Option<Vec<u8>>| value.as_deref().map(Text::of);
    let (op, expected) = match &operation.kind {
        Kind::Get => (Name::Get, None),
        Kind::Put(_) => (Name::Put, None),
        Kind::Delete => (Name::Delete, None),
        Kind::Append(_) => (Name::Append, None),
        Kind::CompareAndSet { expected, .. } => (Name::Cas, Some(text(expected))),
    };
    let (result, swapped) = match &operation.answer {
        Some((_, Outcome::Value(value))) => (Some(text(value)), None),
        Some((_, Outcome::Swapped(swapped))) => (None, Some(*swapped)),
        Some((_, Outcome::Done)) | None => (None, None),
    };
    let line = Line {
        process: operation.process,
        key: Text::of(&operation.key),
        op,
        expected,
        value: operation.kind.written().map(Text::of),
        result,
        swapped,
        invoke_ns: operation.invoke,
        return_ns: operation.answer.as_ref().map(|(at, _)| *at),
        due_ns: recorded.due_ns,
        gave_up_ns: recorded.gave_up_ns,
        refused: recorded.refused,
        closing: recorded.closing,
    };
    serde_json::to_string(&line).expect("texts and numbers are always JSON")
}

fn operation(line: Line) -> Result<Operation, String> {
    let Line { process, key, op, expected, value, result, swapped, invoke_ns, return_ns, .. } =
        line;
    for (flag, name) in [(line.refused, "refused"), (line.gave_up_ns.is_some(), "gave_up_ns")] {
        if flag && return_ns.is_some() {
            return Err(format!("{name}: has no meaning beside return_ns: remove one of them"));
        }
    }
    if let Some(return_ns) = return_ns.filter(|&at| at < invoke_ns || at >= u64::MAX - 1) {
        return Err(format!("return_ns = {return_ns}: must be invoke_ns = {invoke_ns} or later"));
    }
    let allowed = |there: bool, name: &str, wanted: bool| match (there, wanted) {
        (true, false) => Err(format!("{name}: has no meaning here: remove it")),
        (false, true) => Err(format!("{name}: missing: add it")),
        _ => Ok(()),
    };
    let answered = return_ns.is_some();
    allowed(value.is_some(), "value", matches!(op, Name::Put | Name::Append | Name::Cas))?;
    allowed(expected.is_some(), "expected", matches!(op, Name::Cas))?;
    allowed(result.is_some(), "result", matches!(op, Name::Get) && answered)?;
    allowed(swapped.is_some(), "swapped", matches!(op, Name::Cas) && answered)?;
    let value = value.map(Text::bytes).transpose()?.unwrap_or_default();
    let kind = match op {
        Name::Get => Kind::Get,
        Name::Put => Kind::Put(value),
        Name::Delete => Kind::Delete,
        Name::Append => Kind::Append(value),
        Name::Cas => {
            let expected = expected.flatten().map(Text::bytes).transpose()?;
            Kind::CompareAndSet { expected, value }
        }
    };
    let outcome = match (op, swapped) {
        (Name::Get, _) => Outcome::Value(result.flatten().map(Text::bytes).transpose()?),
        (Name::Cas, Some(swapped)) => Outcome::Swapped(swapped),
        _ => Outcome::Done,
    };
    let answer = return_ns.map(|at| (at, outcome));
    Ok(Operation { process, key: key.bytes()?, kind, invoke: invoke_ns, answer })
}
