//! Which writes a value consists of.
//!
//! Without appends a value is what one write wrote. With appends it is what several wrote, one after the other; if no
//! written value is the beginning of another (a prefix code), there is only one way to take it apart.

use rustc_hash::FxHashMap;

use crate::history::{Kind, Operation};

/// Who wrote what.
pub(crate) struct Elements<'a> {
    writers: FxHashMap<&'a [u8], u32>,
    /// With appends: the lengths of what was written, each once.
    lengths: Vec<usize>,
    appends: bool,
}

impl<'a> Elements<'a> {
    /// The writes among `operations`; none if what they wrote does not tell them apart.
    pub(crate) fn new(operations: &[&'a Operation]) -> Option<Self> {
        let mut writers = FxHashMap::default();
        writers.reserve(operations.len());
        let mut appends = false;
        for (at, operation) in (0u32..).zip(operations) {
            let Some(value) = operation.kind.written() else { continue };
            if operation.is_failed_swap() {
                continue;
            }
            appends |= matches!(operation.kind, Kind::Append(_));
            if writers.insert(value, at).is_some() {
                return None;
            }
        }
        let lengths = if appends { prefix_code_lengths(&writers)? } else { Vec::new() };
        Some(Self { writers, lengths, appends })
    }

    /// The writes that `value` consists of, in order, into `parts`; false if it contains what nobody wrote.
    pub(crate) fn split(&self, value: &[u8], parts: &mut Vec<u32>) -> bool {
        parts.clear();
        if !self.appends {
            parts.extend(self.writers.get(value));
            return !parts.is_empty();
        }
        let mut rest = value;
        while !rest.is_empty() {
            let Some((part, length)) = self.first(rest) else { return false };
            parts.push(part);
            rest = &rest[length..];
        }
        !parts.is_empty()
    }

    fn first(&self, value: &[u8]) -> Option<(u32, usize)> {
        self.lengths.iter().find_map(|&length| {
            let writer = self.writers.get(value.get(..length)?)?;
            Some((*writer, length))
        })
    }
}

/// The lengths of the values, each once, or none if one is the beginning of another.
fn prefix_code_lengths(writers: &FxHashMap<&[u8], u32>) -> Option<Vec<usize>> {
    let mut values: Vec<&[u8]> = writers.keys().copied().collect();
    // In this order, a value stands directly before one that it is the beginning of, if there is any.
    values.sort_unstable();
    if values.windows(2).any(|pair| pair[1].starts_with(pair[0])) || values[0].is_empty() {
        return None;
    }
    let mut lengths: Vec<usize> = values.iter().map(|value| value.len()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    Some(lengths)
}
