//! One operation, in 40 bytes.

use check::{
    Kind, Operation, Outcome,
    register::{ABSENT, Access, NEVER},
};
use protocols::{ClientId, RequestNumber};

/// In place of a client: what was read is nothing that a client of this run writes. Its number says which such value.
const STRANGE: u32 = u32::MAX;

/// What an entry is, below its key.
const KIND_BITS: u32 = 2;
const READ: u32 = 1;
const CLOSING: u32 = 2;

/// A written value by its writer: the client in the upper half, the index of its write in the lower. 0 for none, as both
/// count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let client = u32::try_from(client).ok().filter(|client| (1..STRANGE).contains(client))?;
        let index = u32::try_from(number >> 1).ok().filter(|index| *index > 0)?;
        let is_write = RequestNumber::write(u64::from(index)).as_u64() == number;
        is_write.then_some(Self(pair(client, index)))
    }

    /// The strange value of this number.
    pub(super) fn strange(number: u32) -> Self {
        Self(pair(STRANGE, number))
    }

    /// Which strange value it is, if it is one.
    fn strangeness(self) -> Option<usize> {
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
    /// Only for people.
    client: u32,
    key_and_kind: u32,
}

impl Entry {
    /// A put of `value`.
    pub(super) fn write(key: u32, client: ClientId, value: Value, times: Times) -> Self {
        let Times { due, invoke, returned } = times;
        let key_and_kind = key << KIND_BITS;
        Self { due, invoke, returned, value, client: short(client.0), key_and_kind }
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
        Self { due, invoke, returned, value, client: short(client.0), key_and_kind }
    }

    /// The put that must have written what this get saw, if it was among those left out, which all ended by `until`.
    pub(super) fn left_out(&self, until: u64) -> Self {
        let (client, _) = self.value.parts();
        let key_and_kind = self.key() << KIND_BITS;
        Self { due: 0, invoke: 0, returned: until, value: self.value, client, key_and_kind }
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

    /// Saw a value that some client may have written.
    pub(super) fn saw_a_write(&self) -> bool {
        self.is_read() && self.value != Value::ABSENT && self.value.strangeness().is_none()
    }

    /// The same in full; `key` and `strange` are what the numbers stand for.
    pub(super) fn operation(&self, key: &[u8], strange: &[Vec<u8>]) -> Operation {
        let bytes = match (self.value, self.value.strangeness()) {
            (Value::ABSENT, _) => None,
            (_, Some(number)) => Some(strange[number].clone()),
            (value, None) => {
                let (client, index) = value.parts();
                Some(format!("c{client}#{index}").into_bytes())
            }
        };
        let (kind, outcome) = if self.is_read() {
            (Kind::Get, Outcome::Value(bytes))
        } else {
            (Kind::Put(bytes.expect("a put writes something")), Outcome::Done)
        };
        let answer = (self.returned != NEVER).then_some((self.returned, outcome));
        let process = u64::from(self.client);
        Operation { process, key: key.to_vec(), kind, invoke: self.invoke, answer }
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
