//! Values of runs with more than gets and puts.
//!
//! There a value is what one write wrote as a whole, or nothing, and behind it what appends put on
//! its end, one after the other. Each is told by its writer, so that a value is a chain of writers.
//! A chain is a number: that of what was there before, and the last one. Most values that are read
//! were read before with one append less, so that a read makes one number at most.

use rustc_hash::FxHashMap;
use workload::{APPEND_BYTES, fill_value, value_writer};

use super::entry::Value;

/// The values of a run that consist of several writes, or of an append alone.
#[derive(Debug, Default)]
pub(super) struct States {
    /// What was there, and what an append put on its end.
    chains: Vec<(Value, Value)>,
    numbers: FxHashMap<(Value, Value), Value>,
    /// What compare-and-sets expected.
    expected: Vec<Value>,
    /// The writes that a simulator has seen take effect, in their order.
    pub(super) effects: Vec<Value>,
}

impl States {
    /// What `before` becomes when `last` is put on its end.
    pub(super) fn appended(&mut self, before: Value, last: Value) -> Value {
        let Self { chains, numbers, .. } = self;
        *numbers.entry((before, last)).or_insert_with(|| {
            chains.push((before, last));
            Value::chain(chains.len() - 1)
        })
    }

    /// Takes note of what a compare-and-set expects; gives the number of that.
    pub(super) fn expect(&mut self, value: Value) -> u32 {
        self.expected.push(value);
        u32::try_from(self.expected.len() - 1).expect("a run has fewer requests than 2^32")
    }

    /// What the compare-and-set with this number expects.
    pub(super) fn expected(&self, number: u32) -> Value {
        self.expected[number as usize]
    }

    /// The last write that `value` consists of; itself if it is a single one.
    pub(super) fn last(&self, value: Value) -> Value {
        value.chain_number().map_or(value, |number| self.chains[number].1)
    }

    /// The writes that `value` consists of, with whether each is an append, in their order; a value
    /// that no client writes is one such.
    pub(super) fn parts(&self, mut value: Value) -> Vec<(Value, bool)> {
        let mut parts = Vec::new();
        while let Some(number) = value.chain_number() {
            let (before, last) = self.chains[number];
            parts.push((last, true));
            value = before;
        }
        if value != Value::ABSENT {
            parts.push((value, false));
        }
        parts.reverse();
        parts
    }

    /// The value that has these bytes, if clients of a run write such, of which a whole one has
    /// `value_bytes`.
    pub(super) fn read(&mut self, bytes: &[u8], value_bytes: usize) -> Option<Value> {
        let whole = bytes.split_at_checked(value_bytes).and_then(|(whole, rest)| {
            let first = element(whole, value_bytes)?;
            rest.len().is_multiple_of(APPEND_BYTES).then_some((first, rest))
        });
        let (mut value, appended) = whole.unwrap_or((Value::ABSENT, bytes));
        if bytes.is_empty() || !appended.len().is_multiple_of(APPEND_BYTES) {
            return None;
        }
        for last in appended.chunks(APPEND_BYTES) {
            value = self.appended(value, element(last, APPEND_BYTES)?);
        }
        Some(value)
    }

    /// Makes `bytes` the bytes of `value`; false, and nothing, if it is absent.
    pub(super) fn write(&self, value: Value, value_bytes: usize, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        let mut element = Vec::new();
        for (part, is_append) in self.parts(value) {
            let (client, number) = part.writer();
            let length = if is_append { APPEND_BYTES } else { value_bytes };
            fill_value(&mut element, client, number, length);
            bytes.extend_from_slice(&element);
        }
        !bytes.is_empty()
    }
}

/// The write that wrote `bytes`, of which there are `length`.
fn element(bytes: &[u8], length: usize) -> Option<Value> {
    let (client, number) = value_writer(bytes, length)?;
    Value::read(client, number)
}

#[cfg(test)]
mod tests {
    use protocols::ClientId;

    use super::*;

    fn written(client: u64, index: u64) -> Value {
        Value::written(ClientId(client), index)
    }

    #[test]
    fn a_value_is_read_as_it_was_written_whatever_it_consists_of() {
        // Lengths at which a whole value could be taken for appends, if its rest were not looked
        // at.
        for value_bytes in [16, 17, 20, 32, 48, 100] {
            let mut states = States::default();
            let whole = written(1, 7);
            let one = states.appended(whole, written(2, 1));
            let two = states.appended(one, written(46, 46));
            let alone = states.appended(Value::ABSENT, written(3, 9));
            let grown = states.appended(alone, written(3, 10));
            for value in [whole, one, two, grown] {
                let mut bytes = Vec::new();
                assert!(states.write(value, value_bytes, &mut bytes));
                let read = states.read(&bytes, value_bytes).unwrap();
                let writers = |value| -> Vec<Value> {
                    states.parts(value).into_iter().map(|(part, _)| part).collect()
                };
                assert_eq!(writers(read), writers(value), "{value_bytes}");
                // A first append of the length of a whole value is taken for one.
                assert!(read == value || value_bytes == APPEND_BYTES, "{value_bytes}");
            }
            let mut nothing = vec![1];
            assert!(!states.write(Value::ABSENT, value_bytes, &mut nothing) && nothing.is_empty());
            assert_eq!(states.last(two), written(46, 46));
            assert_eq!(states.last(whole), whole);
        }
    }

    #[test]
    fn what_no_client_writes_is_no_value() {
        let mut states = States::default();
        let value = states.appended(written(1, 7), written(2, 1));
        let mut bytes = Vec::new();
        states.write(value, 20, &mut bytes);
        for place in [17, 28] {
            let mut garbled = bytes.clone();
            garbled[place] = b'?';
            assert_eq!(states.read(&garbled, 20), None, "{place}");
        }
        assert_eq!(states.read(&bytes[..35], 20), None);
        assert_eq!(states.read(b"", 20), None);
    }
}
