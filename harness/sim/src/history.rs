//! What the clients did and saw: what consistency is judged by.

use protocols::{Batch, Outcome, Request};
use rustc_hash::FxHashMap;

use crate::{
    queue::Nanos,
    violation::{Breach, Broken},
};

/// The length of one written element: each write writes one, and no two are the same.
pub(crate) const ELEMENT_BYTES: usize = 8;

/// One command of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    batch: Batch,
    position: usize,
    /// When the client first sent it, in nanoseconds.
    pub invoke_ns: u64,
    /// When the client had the answer, in nanoseconds, and what it was.
    pub answer: Option<(u64, Outcome)>,
    /// How often the client sent it.
    pub attempts: u32,
}

impl Operation {
    /// What was asked for.
    pub fn request(&self) -> Request<'_> {
        self.batch.requests().nth(self.position).expect("made from a request of this batch")
    }
}

/// The operations of all clients, in the order in which they were invoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Operation>);

impl History {
    /// The operations, in the order in which they were invoked.
    pub fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// Notes that all requests of `batch` were sent at `now`; returns where the first of them is kept.
    pub(crate) fn invoke(&mut self, batch: &Batch, now: Nanos) -> usize {
        let first = self.0.len();
        self.0.extend(batch.requests().enumerate().map(|(position, _)| Operation {
            batch: batch.clone(),
            position,
            invoke_ns: now,
            answer: None,
            attempts: 1,
        }));
        first
    }

    /// Notes that the operation kept at `place` was answered at `now`.
    pub(crate) fn answer(&mut self, place: usize, outcome: Outcome, now: Nanos) {
        self.0[place].answer = Some((now, outcome));
    }

    /// Notes that the operation kept at `place` was sent again.
    pub(crate) fn retry(&mut self, place: usize) {
        self.0[place].attempts += 1;
    }

    /// How many distinct writes there are.
    pub(crate) fn writes(&self) -> u64 {
        self.0.iter().filter(|operation| !operation.request().number.is_read()).count() as u64
    }

    /// How many of them were answered.
    pub(crate) fn answered_writes(&self) -> u64 {
        let is_answered = |operation: &&Operation| {
            operation.answer.is_some() && !operation.request().number.is_read()
        };
        self.0.iter().filter(is_answered).count() as u64
    }

    /// No read has returned an element that nobody had begun to write to that key, or one twice.
    pub(crate) fn check_reads(&self) -> Result<(), Breach> {
        let mut written: FxHashMap<&[u8], (&[u8], Nanos)> = FxHashMap::default();
        for operation in &self.0 {
            let request = operation.request();
            if let Some(element) = written_element(&request) {
                written.insert(element, (request.command.key(), operation.invoke_ns));
            }
        }
        for operation in &self.0 {
            let Some((returned, Outcome::Value(Some(value)))) = &operation.answer else { continue };
            let request = operation.request();
            let known = |element| {
                written.get(element).is_some_and(|(key, invoked)| {
                    *key == request.command.key() && invoked <= returned
                })
            };
            if !elements(value).all(known) || repeated_element(value).is_some() {
                return Err(Breach::new(
                    Broken::Answer,
                    format!("{:?} was answered with {}", operation.batch, Elements(value)),
                ));
            }
        }
        Ok(())
    }

    /// The elements that clients appended to `key`, each with whether that was answered, in the
    /// order in which they were asked for.
    pub(crate) fn appended<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = (&'a [u8], bool)> {
        self.0.iter().filter_map(move |operation| match operation.request().command {
            protocols::Command::Append { key: other, value } if other == key => {
                Some((value, operation.answer.is_some()))
            }
            _ => None,
        })
    }
}

fn written_element<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    use protocols::Command::{Append, CompareAndSet, Delete, Get, Put};
    match request.command {
        Get { .. } | Delete { .. } => None,
        Put { value, .. } | Append { value, .. } | CompareAndSet { value, .. } => Some(value),
    }
}

/// The elements that `value` consists of; a rest that is no whole element is one too, and known to nobody.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.chunks(ELEMENT_BYTES)
}

/// An element that is in `value` twice.
pub(crate) fn repeated_element(value: &[u8]) -> Option<&[u8]> {
    let mut sorted: Vec<_> = elements(value).collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Prints a value as its elements.
pub(crate) struct Elements<'a>(pub(crate) &'a [u8]);

impl std::fmt::Display for Elements<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, element) in elements(self.0).enumerate() {
            let gap = if i == 0 { "" } else { " " };
            match <[u8; ELEMENT_BYTES]>::try_from(element) {
                Ok(bytes) => {
                    let word = u64::from_be_bytes(bytes);
                    write!(f, "{gap}c{}#{}", word >> 32, word & u64::from(u32::MAX))?;
                }
                Err(_) => write!(f, "{gap}{element:?}")?,
            }
        }
        Ok(())
    }
}
