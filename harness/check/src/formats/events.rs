//! Jepsen's and porcupine's histories: events in the order in which they happened.
//!
//! `invoke` begins an operation of a process, `ok` ends it, `fail` says that it did not happen, `info` that its outcome
//! is unknown; after that the process never returns. What is under way at the end is unknown, too.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    ParseError,
    edn::{Edn, Map},
};
use crate::history::{History, Kind, Operation, Outcome};

/// The key of a history that is on one register.
const REGISTER: &[u8] = b"register";

/// Reads events as Jepsen writes them: a register or several, with `:read`, `:write` and `:cas`.
pub(crate) fn jepsen(events: &[Map]) -> Result<History, ParseError> {
    collect(events, &jepsen_operation)
}

/// Reads events as porcupine's tests have them: texts with `:get`, `:put` and `:append`. An absent key is an empty text
/// there.
pub(crate) fn porcupine(events: &[Map]) -> Result<History, ParseError> {
    collect(events, &porcupine_operation)
}

/// The key and what is done; none for an operation that neither changes nor sees anything. With the answering event, also
/// what came of it.
type Read<'a> = &'a dyn Fn(&Map, Option<&Map>) -> Result<Option<(Vec<u8>, Kind, Outcome)>, String>;

fn collect(events: &[Map], read: Read<'_>) -> Result<History, ParseError> {
    let mut under_way: FxHashMap<u64, (u64, &Map)> = FxHashMap::default();
    let mut gone: FxHashSet<u64> = FxHashSet::default();
    let mut history = History::default();
    for (time, event) in (0u64..).zip(events) {
        let at = |what: String| ParseError::new(event.line, what);
        let Some(process) = process(event).map_err(at)? else { continue };
        let word = keyword(event, "type").map_err(at)?;
        if word == "invoke" {
            if gone.contains(&process) {
                let what = format!("process {process} invokes after :info: it must never return");
                return Err(at(what));
            }
            if under_way.insert(process, (time, event)).is_some() {
                let what = format!("process {process} invokes twice: add what ended the first");
                return Err(at(what));
            }
            continue;
        }
        let Some((invoke, begun)) = under_way.remove(&process) else {
            return Err(at(format!("process {process} has nothing under way: add its :invoke")));
        };
        let answered = match word {
            "ok" => Some(event),
            // It did not happen: what it would have done is still read, so that what is no operation is refused.
            "fail" => {
                read(begun, None).map_err(|what| ParseError::new(begun.line, what))?;
                continue;
            }
            "info" => {
                gone.insert(process);
                None
            }
            _ => return Err(at(format!(":type :{word}: must be :invoke, :ok, :fail or :info"))),
        };
        let Some((key, kind, outcome)) = read(begun, answered).map_err(at)? else { continue };
        let answer = answered.map(|_| (time, outcome));
        history.push(Operation { process, key, kind, invoke, answer });
    }
    let mut rest: Vec<_> = under_way.into_iter().collect();
    rest.sort_unstable_by_key(|(_, (invoke, _))| *invoke);
    for (process, (invoke, begun)) in rest {
        let read = read(begun, None).map_err(|what| ParseError::new(begun.line, what))?;
        let Some((key, kind, _)) = read else { continue };
        history.push(Operation { process, key, kind, invoke, answer: None });
    }
    Ok(history)
}

/// None for what is no client, such as `:nemesis`.
fn process(event: &Map) -> Result<Option<u64>, String> {
    match event.field("process") {
        Some(Edn::Integer(number)) => u64::try_from(*number)
            .map(Some)
            .map_err(|_| format!(":process {number}: must not be negative")),
        Some(Edn::Keyword(_)) => Ok(None),
        Some(_) => Err(":process: must be a number".to_owned()),
        None => Err(":process: missing: add it".to_owned()),
    }
}

fn keyword<'a>(event: &'a Map, name: &str) -> Result<&'a str, String> {
    match event.field(name) {
        Some(Edn::Keyword(word)) => Ok(word),
        Some(_) => Err(format!(":{name}: must be a keyword")),
        None => Err(format!(":{name}: missing: add it")),
    }
}

fn jepsen_operation(
    begun: &Map,
    ended: Option<&Map>,
) -> Result<Option<(Vec<u8>, Kind, Outcome)>, String> {
    let given = begun.field("value").unwrap_or(&Edn::Nil);
    match keyword(begun, "f")? {
        "read" => {
            // The key stands beside the value in both events, or in none.
            let found = ended.map_or(given, |ended| ended.field("value").unwrap_or(&Edn::Nil));
            let (key, value) = keyed(found);
            Ok(Some((key, Kind::Get, Outcome::Value(value.map(bytes).transpose()?.flatten()))))
        }
        "write" => {
            let (key, value) = keyed(given);
            let value = value.map(bytes).transpose()?.flatten();
            let kind = value.map_or(Kind::Delete, Kind::Put);
            Ok(Some((key, kind, Outcome::Done)))
        }
        "cas" => {
            let (key, pair) = match given {
                Edn::Sequence(parts) => match parts.as_slice() {
                    [key, Edn::Sequence(pair)] => (key_bytes(key)?, pair.as_slice()),
                    pair => (REGISTER.to_vec(), pair),
                },
                _ => (REGISTER.to_vec(), [].as_slice()),
            };
            let [expected, value] = pair else {
                return Err(":cas: :value must be [expected new]".to_owned());
            };
            let value = bytes(value)?.ok_or(":cas: the new value must not be nil")?;
            let kind = Kind::CompareAndSet { expected: bytes(expected)?, value };
            Ok(Some((key, kind, Outcome::Swapped(true))))
        }
        other => Err(format!(":f :{other}: must be :read, :write or :cas")),
    }
}

/// The key of `[key value]`, and the value.
fn keyed(value: &Edn) -> (Vec<u8>, Option<&Edn>) {
    if let Edn::Sequence(parts) = value
        && let [key, value] = parts.as_slice()
        && let Ok(key) = key_bytes(key)
    {
        return (key, Some(value));
    }
    (REGISTER.to_vec(), Some(value))
}

fn key_bytes(key: &Edn) -> Result<Vec<u8>, String> {
    bytes(key)?.ok_or_else(|| "a key must not be nil".to_owned())
}

/// None for nil.
fn bytes(value: &Edn) -> Result<Option<Vec<u8>>, String> {
    match value {
        Edn::Nil => Ok(None),
        Edn::Integer(number) => Ok(Some(number.to_string().into_bytes())),
        Edn::String(text) | Edn::Word(text) => Ok(Some(text.clone().into_bytes())),
        Edn::Keyword(word) => Ok(Some(format!(":{word}").into_bytes())),
        Edn::Sequence(_) | Edn::Map(_) => {
            Err(":value: must be a number or text, or [key value]".to_owned())
        }
    }
}

fn porcupine_operation(
    begun: &Map,
    ended: Option<&Map>,
) -> Result<Option<(Vec<u8>, Kind, Outcome)>, String> {
    let text = |event: &Map, name: &str| match event.field(name) {
        Some(value) => Ok(bytes(value)?.unwrap_or_default()),
        None => Err(format!(":{name}: missing: add it")),
    };
    let key = text(begun, "key")?;
    let (kind, outcome) = match keyword(begun, "f")? {
        "get" => {
            let value = ended.map(|ended| text(ended, "value")).transpose()?;
            (Kind::Get, Outcome::Value(value.filter(|value| !value.is_empty())))
        }
        "put" => match text(begun, "value")? {
            value if value.is_empty() => (Kind::Delete, Outcome::Done),
            value => (Kind::Put(value), Outcome::Done),
        },
        "append" => match text(begun, "value")? {
            value if value.is_empty() => return Ok(None),
            value => (Kind::Append(value), Outcome::Done),
        },
        other => return Err(format!(":f :{other}: must be :get, :put or :append")),
    };
    Ok(Some((key, kind, outcome)))
}
