//! Values as numbers, so that a state of the search is one word.

use rustc_hash::FxHashMap;

/// A value's number; [`ABSENT`] for none.
pub(crate) type Value = u32;

/// The key is absent.
pub(crate) const ABSENT: Value = 0;

/// All values met so far, and what appending one to another makes.
#[derive(Default)]
pub(crate) struct Values {
    numbers: FxHashMap<Vec<u8>, Value>,
    /// By number - 1.
    bytes: Vec<Vec<u8>>,
    appended: FxHashMap<(Value, Value), Value>,
    memory_bytes: usize,
}

impl Values {
    /// The number of `value`.
    pub(crate) fn number(&mut self, value: Option<&[u8]>) -> Value {
        let Some(value) = value else { return ABSENT };
        if let Some(&known) = self.numbers.get(value) {
            return known;
        }
        self.bytes.push(value.to_vec());
        let number = Value::try_from(self.bytes.len()).expect("fewer values than fit in memory");
        self.numbers.insert(value.to_vec(), number);
        self.memory_bytes += 2 * value.len() + 64;
        number
    }

    /// The value that `state` becomes when `tail` is appended.
    pub(crate) fn append(&mut self, state: Value, tail: Value) -> Value {
        if let Some(&known) = self.appended.get(&(state, tail)) {
            return known;
        }
        let mut value = match state {
            ABSENT => Vec::new(),
            _ => self.bytes[state as usize - 1].clone(),
        };
        value.extend_from_slice(&self.bytes[tail as usize - 1]);
        let number = self.number(Some(&value));
        self.appended.insert((state, tail), number);
        self.memory_bytes += 32;
        number
    }

    /// About how much memory the values take.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}
