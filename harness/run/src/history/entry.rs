//! One operation, in 40 bytes.

use check::{
    Kind, Operation, Outcome,
    register::{ABSENT, Access, NEVER},
};
use protocols::{ClientId, RequestNumber};

use super::states::States;

/// In place of a client: what was read is nothing that a client of this run writes. Its number says which such value.
const STRANGE: u32 = u32::MAX;
/// In place of a client: several writes made the value. Its number says which they were.
const CHAIN: u32 = STRANGE - 1;

/// What an entry is, below its key.
const KIND_BITS: u32 = 5;
const READ: u32 = 1;
const CLOSING: u32 = 1 << 1;
/// What a write does; none of these is a put.
const APPEND: u32 = 1 << 2;
const DELETE: u32 = 2 << 2;
const COMPARE_AND_SET: u32 = 3 << 2;
const CHANGE: u32 = 3 << 2;
/// A compare-and-set that found what it expected.
const SWAPPED: u32 = 1 << 4;

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It sets the value.
    Put,
    /// It adds to the value.
    Append,
    /// It removes the key.
    Delete,
    /// It sets the value if it is what this number stands for.
    CompareAndSet(u32),
}

/// A written value by its writer: the client in the upper half, the index of its write in the lower. 0 for none, as both
/// count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Value(u64);

impl Value {
    /// The key was absent.
    pub(super) const ABSENT: Self = Self(ABSENT);

    /// What `client`'s write of this index wrote.
    pub(super) fn written(client: ClientId, index: u64) -> Self {
        Self(pair(short(client.0), short(index)))
    }

    /// The value whose head says that it was written so; none if no client can have done that.
    pub(super) fn read(client: u64, number: u64) -> Option<Self> {
        let client = u32::try_from(client).ok().filter(|client| (1..CHAIN).contains(client))?;
        let index = u32::try_from(number >> 1).ok().filter(|index| *index > 0)?;
        let is_write = RequestNumber::write(u64::from(index)).as_u64() == number;
        is_write.then_some(Self(pair(client, index)))
    }

    /// The strange value of this number.
    pub(super) fn strange(number: u32) -> Self {
        Self(pair(STRANGE, number))
    }

    /// The value of this number among those that several writes made.
    pub(super) fn chain(number: usize) -> Self {
        Self(pair(CHAIN, short(number as u64)))
    }

    /// Which of these it is, if it is one.
    pub(super) fn chain_number(self) -> Option<usize> {
        let (client, number) = self.parts();
        (client == CHAIN).then_some(number as usize)
    }

    /// The client and the number that the value of a single write has at its head.
    pub(super) fn writer(self) -> (u64, u64) {
        let (client, index) = self.parts();
        (u64::from(client), RequestNumber::write(u64::from(index)).as_u64())
    }

    /// Which strange value it is, if it is one.
    pub(super) fn strangeness(self) -> Option<usize> {
        let (client, number) = self.parts();
        (client == STRANGE).then_some(number as usize)
    }

    fn parts(self) -> (u32, u32) {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
        let parts = ((self.0 >> 32) as u32, self.0 as u32);
        parts
    }
}

fn pair(client: u32, index: u32) -> u64 {
    u64::from(client) << 32 | u64::from(index)
}

/// Runs are far from 2^32 clients, and from 2^32 writes of one client.
fn short(number: u64) -> u32 {
    u32::try_from(number).expect("a run has fewer clients and requests than fit in 32 bits")
}

/// The times of an operation, in nanoseconds of the recorder's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When it should have been asked for.
    pub(super) due: u64,
    pub(super) invoke: u64,
    pub(super) returned: u64,
}

/// One operation on one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    due: u64,
    invoke: u64,
    returned: u64,
    /// What was written, or seen.
    value: Value,
    /// Only for people; of a compare-and-set the number of what it expected.
    client_or_expected: u32,
    key_and_kind: u32,
}

impl Entry {
    /// A write of `value`, which its client has written and nobody else; a delete is known by it.
    /// `swapped` if it is a compare-and-set that found what it expected.
    pub(super) fn write(
        key: u32,
        (change, swapped): (Change, bool),
        value: Value,
        times: Times,
    ) -> Self {
        let Times { due, invoke, returned } = times;
        let (client, _) = value.parts();
        let (kind, client_or_expected) = match change {
            Change::Put => (0, client),
            Change::Append => (APPEND, client),
            Change::Delete => (DELETE, client),
            Change::CompareAndSet(expected) => (COMPARE_AND_SET, expected),
        };
        let kind = if swapped { kind | SWAPPED } else { kind };
        let key_and_kind = key << KIND_BITS | kind;
        Self { due, invoke, returned, value, client_or_expected, key_and_kind }
    }

    /// A get that saw `value`; a closing one was asked of one replica when the load was over.
    pub(super) fn read(
        key: u32,
        client: ClientId,
        value: Value,
        times: Times,
        closing: bool,
    ) -> Self {
        let Times { due, invoke, returned } = times;
        let kind = if closing { READ | CLOSING } else { READ };
        let key_and_kind = key << KIND_BITS | kind;
        Self { due, invoke, returned, value, client_or_expected: short(client.0), key_and_kind }
    }

    /// The put that must have written what this get saw, if it was among those left out, which all ended by `until`.
    pub(super) fn left_out(&self, until: u64) -> Self {
        let times = Times { due: 0, invoke: 0, returned: until };
        Self::write(self.key(), (Change::Put, false), self.value, times)
    }

    /// On which key.
    pub(super) const fn key(&self) -> u32 {
        self.key_and_kind >> KIND_BITS
    }

    /// When it should have been asked for.
    pub(super) const fn due(&self) -> u64 {
        self.due
    }

    /// Is it a closing read?
    pub(super) const fn is_closing(&self) -> bool {
        self.key_and_kind & CLOSING != 0
    }

    /// Is it known by when it had taken effect?
    pub(super) const fn has_ended(&self) -> bool {
        self.returned != NEVER
    }

    /// Is it a delete?
    pub(super) const fn is_delete(&self) -> bool {
        self.key_and_kind & CHANGE == DELETE
    }

    /// Is it a write that its answer says has changed nothing?
    pub(super) const fn is_failed_swap(&self) -> bool {
        self.key_and_kind & (CHANGE | SWAPPED) == COMPARE_AND_SET && self.has_ended()
    }

    /// What was written, or seen.
    pub(super) const fn written_or_seen(&self) -> Value {
        self.value
    }

    /// Saw a value that some client may have written.
    pub(super) fn saw_a_write(&self) -> bool {
        self.is_read() && self.value != Value::ABSENT && self.value.strangeness().is_none()
    }

    /// The same in full; `key` and `told` are what the numbers stand for.
    pub(super) fn operation(&self, key: &[u8], told: &Told<'_>) -> Operation {
        let written = || told.value(self.value).expect("a write writes something");
        let (kind, outcome) = match self.key_and_kind & CHANGE {
            _ if self.is_read() => (Kind::Get, Outcome::Value(told.value(self.value))),
            APPEND => (Kind::Append(written()), Outcome::Done),
            DELETE => (Kind::Delete, Outcome::Done),
            COMPARE_AND_SET => {
                let expected = told.states.expected(self.client_or_expected);
                let kind = Kind::CompareAndSet { expected: told.value(expected), value: written() };
                (kind, Outcome::Swapped(self.key_and_kind & SWAPPED != 0))
            }
            _ => (Kind::Put(written()), Outcome::Done),
        };
        let answer = (self.returned != NEVER).then_some((self.returned, outcome));
        let client = if self.is_read() { self.client_or_expected } else { self.value.parts().0 };
        let process = u64::from(client);
        Operation { process, key: key.to_vec(), kind, invoke: self.invoke, answer }
    }
}

/// What the numbers of a history stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// The values that no client writes.
    pub(super) strange: &'a [Vec<u8>],
    /// The values that several writes made.
    pub(super) states: &'a States,
    /// Are there other commands than gets and puts? Then a value has an end mark, so that none is
    /// another's beginning.
    pub(super) is_mixed: bool,
}

impl Told<'_> {
    /// A value for people and for `check`, short for what clients write; none if it is absent.
    fn value(&self, value: Value) -> Option<Vec<u8>> {
        if value == Value::ABSENT {
            return None;
        }
        if let Some(number) = value.strangeness() {
            return Some(self.strange[number].clone());
        }
        let one = |value: Value| {
            let (client, index) = value.parts();
            if self.is_mixed {
                format!("<c{client}#{index}>")
            } else {
                format!("c{client}#{index}")
            }
        };
        let parts = self.states.parts(value).into_iter();
        Some(parts.map(|(part, _)| one(part)).collect::<String>().into_bytes())
    }
}

impl Access for Entry {
    fn value(&self) -> u64 {
        self.value.0
    }

    fn is_read(&self) -> bool {
        self.key_and_kind & READ != 0
    }

    fn invoke(&self) -> u64 {
        self.invoke
    }

    fn returned(&self) -> u64 {
        self.returned
    }
}
