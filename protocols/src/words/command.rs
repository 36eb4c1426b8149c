//! Commands, requests and batches.
//!
//! A [`Batch`] is its own wire form: one shared, validated run of bytes. The log entry, the messages and the execution
//! of an instance hold the same allocation, sending a batch is one copy, and receiving one is a check and one
//! allocation, however many commands it has.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    id::{ClientId, RequestNumber},
    key_map::{KeyHash, key_hash},
};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4 << 10;
/// The longest value, in bytes; an append that would go beyond it is refused.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// The most commands in one batch.
pub const BATCH_COMMANDS_MAX: usize = 1 << 16;
/// The longest batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// An operation on the key-value state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command<'a> {
    /// Reads the value.
    Get {
        /// The key read.
        key: &'a [u8],
    },
    /// Sets the value.
    Put {
        /// The key written.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Removes the key.
    Delete {
        /// The key removed.
        key: &'a [u8],
    },
    /// Adds to the end of the value; an absent key counts as an empty value.
    Append {
        /// The key written.
        key: &'a [u8],
        /// What is added.
        value: &'a [u8],
    },
    /// Sets the value if it is as expected.
    CompareAndSet {
        /// The key written.
        key: &'a [u8],
        /// The value that must be there, or none for an absent key.
        #[serde(borrow)]
        expected: Option<&'a [u8]>,
        /// Its new value.
        value: &'a [u8],
    },
}

impl<'a> Command<'a> {
    /// The one key that the command touches.
    pub const fn key(&self) -> &'a [u8] {
        match self {
            Self::Get { key }
            | Self::Put { key, .. }
            | Self::Delete { key }
            | Self::Append { key, .. }
            | Self::CompareAndSet { key, .. } => key,
        }
    }

    /// Does the command only read? Two reads do not conflict.
    pub const fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. })
    }

    /// The bytes of its key and its values.
    pub fn payload_bytes(&self) -> usize {
        let values = match self {
            Self::Get { .. } | Self::Delete { .. } => 0,
            Self::Put { value, .. } | Self::Append { value, .. } => value.len(),
            Self::CompareAndSet { expected, value, .. } => {
                value.len() + expected.map_or(0, <[u8]>::len)
            }
        };
        self.key().len() + values
    }

    fn check(&self) -> Result<(), BatchError> {
        let (value, expected) = match self {
            Self::Get { .. } | Self::Delete { .. } => (0, 0),
            Self::Put { value, .. } | Self::Append { value, .. } => (value.len(), 0),
            Self::CompareAndSet { expected, value, .. } => {
                (value.len(), expected.map_or(0, <[u8]>::len))
            }
        };
        if self.key().len() > KEY_BYTES_MAX {
            return Err(BatchError::KeyTooLong(self.key().len()));
        }
        if value.max(expected) > VALUE_BYTES_MAX {
            return Err(BatchError::ValueTooLong(value.max(expected)));
        }
        Ok(())
    }
}

/// A client's command with what exactly-once execution needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request<'a> {
    /// The session.
    pub client: ClientId,
    /// The request within the session; a retry keeps it.
    pub number: RequestNumber,
    /// The index of the lowest write that the client has no answer to: cached results below it are freed.
    pub unanswered_from: u64,
    /// What to do.
    #[serde(borrow)]
    pub command: Command<'a>,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The write took effect.
    Done,
    /// What a read found.
    Value(Option<Vec<u8>>),
    /// Whether a compare-and-set found what it expected, and so wrote.
    Swapped(bool),
    /// An append that would have made the value longer than [`VALUE_BYTES_MAX`]; nothing changed.
    TooLong,
    /// The write had taken effect before, and the client had said that it needs its result no more.
    Forgotten,
}

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// They do not decode.
    Malformed,
    /// A batch of no commands, which only a no-op is.
    Empty,
    /// More commands than [`BATCH_COMMANDS_MAX`].
    TooManyCommands(u64),
    /// Longer than [`BATCH_BYTES_MAX`].
    TooLong(usize),
    /// A key longer than [`KEY_BYTES_MAX`].
    KeyTooLong(usize),
    /// A value longer than [`VALUE_BYTES_MAX`].
    ValueTooLong(usize),
    /// A request whose number says read and whose command writes, or the reverse.
    WrongNumber,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "batch does not decode"),
            Self::Empty => write!(f, "batch has no command"),
            Self::TooManyCommands(n) => {
                write!(f, "batch of {n} commands: at most {BATCH_COMMANDS_MAX}")
            }
            Self::TooLong(n) => write!(f, "batch of {n} bytes: at most {BATCH_BYTES_MAX}"),
            Self::KeyTooLong(n) => write!(f, "key of {n} bytes: at most {KEY_BYTES_MAX}"),
            Self::ValueTooLong(n) => write!(f, "value of {n} bytes: at most {VALUE_BYTES_MAX}"),
            Self::WrongNumber => write!(f, "a read numbered as a write, or the reverse"),
        }
    }
}

impl std::error::Error for BatchError {}

/// One or more requests that are ordered as one, or a no-op. Cloning shares.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Batch(Option<Arc<[u8]>>);

impl Batch {
    /// The batch that does nothing.
    pub const NOOP: Self = Self(None);

    /// A batch of one request. Fails on a key or value beyond its limit.
    pub fn single(request: &Request<'_>) -> Result<Self, BatchError> {
        Self::new(std::slice::from_ref(request))
    }

    /// A batch of `requests`, in order. Fails on none of them, too many, or one beyond its limits.
    pub fn new(requests: &[Request<'_>]) -> Result<Self, BatchError> {
        if requests.is_empty() {
            return Err(BatchError::Empty);
        }
        let mut bytes = Vec::with_capacity(64 * requests.len());
        encode_into(requests, &mut bytes);
        validate(&bytes)?;
        Ok(Self(Some(Arc::from(bytes))))
    }

    /// The batch whose wire form is `bytes`; no bytes are a no-op.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.is_empty() {
            return Ok(Self::NOOP);
        }
        validate(bytes)?;
        Ok(Self(Some(Arc::from(bytes))))
    }

    /// The wire form.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// What the batch takes in memory, in bytes: what it says, and what is counted beside it.
    pub fn weight(&self) -> u64 {
        const COUNTERS: u64 = 2 * size_of::<usize>() as u64;
        match &self.0 {
            None => 0,
            Some(bytes) => bytes.len() as u64 + COUNTERS,
        }
    }

    /// Does the batch do nothing?
    pub const fn is_noop(&self) -> bool {
        self.0.is_none()
    }

    /// The requests, in order; none for a no-op.
    pub fn requests(&self) -> Requests<'_> {
        match &self.0 {
            None => Requests { left: 0, bytes: &[] },
            Some(bytes) => {
                let (left, bytes) = postcard::take_from_bytes(bytes).expect("validated when made");
                Requests { left, bytes }
            }
        }
    }

    /// The keys touched and how, without repetition: what decides about conflicts.
    pub fn footprint(&self) -> Footprint {
        let touch = |request: Request<'_>| Touch {
            key: key_hash(request.command.key()),
            write: !request.command.is_read(),
        };
        self.requests().map(touch).collect()
    }
}

/// Appends to `bytes` the wire form of a batch of `requests`, without checking limits: for a client that writes straight
/// into its send buffer. The receiver checks.
pub fn encode_into(requests: &[Request<'_>], bytes: &mut Vec<u8>) {
    struct Into<'v>(&'v mut Vec<u8>);
    impl Extend<u8> for Into<'_> {
        fn extend<I: IntoIterator<Item = u8>>(&mut self, iter: I) {
            self.0.extend(iter);
        }
    }
    let count = requests.len() as u64;
    postcard::to_extend(&count, Into(bytes)).expect("a vector takes every byte");
    for request in requests {
        postcard::to_extend(request, Into(bytes)).expect("a vector takes every byte");
    }
}

fn validate(bytes: &[u8]) -> Result<(), BatchError> {
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(BatchError::TooLong(bytes.len()));
    }
    let (count, mut bytes): (u64, _) =
        postcard::take_from_bytes(bytes).map_err(|_| BatchError::Malformed)?;
    if count == 0 {
        return Err(BatchError::Empty);
    }
    if count > BATCH_COMMANDS_MAX as u64 {
        return Err(BatchError::TooManyCommands(count));
    }
    for _ in 0..count {
        let (request, rest): (Request<'_>, _) =
            postcard::take_from_bytes(bytes).map_err(|_| BatchError::Malformed)?;
        request.command.check()?;
        if request.number.is_read() != request.command.is_read() {
            return Err(BatchError::WrongNumber);
        }
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(BatchError::Malformed) }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_noop() {
            return f.write_str("no-op");
        }
        let ids = self.requests().map(|r| {
            format!(
                "c{}{:?} {}{}",
                r.client.0,
                r.number,
                if r.command.is_read() { "reads " } else { "writes " },
                String::from_utf8_lossy(r.command.key())
            )
        });
        f.debug_list().entries(ids).finish()
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a batch")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Batch, E> {
                Batch::from_bytes(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// The requests of a batch, in order.
#[derive(Clone, Debug)]
pub struct Requests<'a> {
    left: u64,
    bytes: &'a [u8],
}

impl<'a> Iterator for Requests<'a> {
    type Item = Request<'a>;

    fn next(&mut self) -> Option<Request<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (request, rest) = postcard::take_from_bytes(self.bytes).expect("validated when made");
        self.bytes = rest;
        Some(request)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).expect("at most BATCH_COMMANDS_MAX");
        (left, Some(left))
    }
}

impl ExactSizeIterator for Requests<'_> {}

/// The keys that a batch touches, each once; a key both read and written counts as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Footprint(Touches);

/// Nearly every batch touches one key, and footprints are copied several times a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Touches {
    #[default]
    None,
    One([Touch; 1]),
    Many(Arc<[Touch]>),
}

/// One key of a [`Footprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    /// The key.
    pub key: KeyHash,
    /// Is it written?
    pub write: bool,
}

impl Footprint {
    /// The keys touched.
    pub fn touches(&self) -> &[Touch] {
        match &self.0 {
            Touches::None => &[],
            Touches::One(touch) => touch,
            Touches::Many(touches) => touches,
        }
    }

    /// Do two batches with these footprints conflict: is there a key that both touch and one writes?
    pub fn conflicts(&self, other: &Self) -> bool {
        let conflict = |a: &Touch, b: &Touch| a.key == b.key && (a.write || b.write);
        self.touches().iter().any(|a| other.touches().iter().any(|b| conflict(a, b)))
    }
}

impl FromIterator<Touch> for Footprint {
    fn from_iter<I: IntoIterator<Item = Touch>>(touches: I) -> Self {
        let mut touches = touches.into_iter();
        let Some(first) = touches.next() else { return Self::default() };
        let Some(second) = touches.next() else { return Self(Touches::One([first])) };
        let mut all = vec![first, second];
        all.extend(touches);
        all.sort_unstable_by_key(|touch| touch.key);
        all.dedup_by(|later, kept| {
            let same = later.key == kept.key;
            kept.write |= same && later.write;
            same
        });
        Self(Touches::Many(all.into()))
    }
}

/// For tests: a write of one client, by its number.
#[cfg(test)]
pub(crate) fn numbered(index: u64) -> Batch {
    let command = Command::Put { key: b"k", value: b"v" };
    let number = RequestNumber::write(index);
    Batch::single(&Request { client: ClientId(1), number, unanswered_from: 1, command })
        .expect("small")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &'static [u8]) -> Request<'static> {
        Request {
            client: ClientId(7),
            number: RequestNumber::write(300),
            unanswered_from: 299,
            command: Command::Put { key, value: b"value" },
        }
    }

    fn get(key: &'static [u8]) -> Request<'static> {
        Request { number: RequestNumber::read(1), command: Command::Get { key }, ..put(key) }
    }

    #[test]
    fn requests_come_out_as_they_went_in() {
        let cas = Request {
            command: Command::CompareAndSet { key: b"k", expected: Some(b"old"), value: b"new" },
            ..put(b"k")
        };
        let batch = Batch::new(&[put(b"a"), get(b"b"), cas]).unwrap();
        assert_eq!(batch.requests().collect::<Vec<_>>(), [put(b"a"), get(b"b"), cas]);
        let wire = postcard::to_stdvec(&batch).unwrap();
        assert_eq!(postcard::from_bytes::<Batch>(&wire).unwrap(), batch);
    }

    #[test]
    fn a_noop_is_no_bytes_and_survives_the_wire() {
        assert_eq!(Batch::from_bytes(&[]).unwrap(), Batch::NOOP);
        let wire = postcard::to_stdvec(&Batch::NOOP).unwrap();
        assert!(postcard::from_bytes::<Batch>(&wire).unwrap().is_noop());
        assert_eq!(Batch::NOOP.requests().count(), 0);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let good = Batch::single(&put(b"k")).unwrap().as_bytes().to_vec();
        for cut in 1..good.len() {
            assert!(Batch::from_bytes(&good[..cut]).is_err(), "cut to {cut} bytes");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(Batch::from_bytes(&longer), Err(BatchError::Malformed));
        assert_eq!(Batch::from_bytes(&[0]), Err(BatchError::Empty));
        let huge = vec![0; VALUE_BYTES_MAX + 1];
        let request = Request { command: Command::Put { key: b"k", value: &huge }, ..put(b"k") };
        assert_eq!(Batch::single(&request), Err(BatchError::ValueTooLong(huge.len())));
        let key = vec![0; KEY_BYTES_MAX + 1];
        let request = Request { command: Command::Delete { key: &key }, ..put(b"k") };
        assert_eq!(Batch::single(&request), Err(BatchError::KeyTooLong(key.len())));
        let request = Request { number: RequestNumber::read(1), ..put(b"k") };
        assert_eq!(Batch::single(&request), Err(BatchError::WrongNumber));
    }

    #[test]
    fn reads_conflict_with_writes_and_not_with_reads() {
        let footprint = |requests: &[Request<'_>]| Batch::new(requests).unwrap().footprint();
        let (read, write) = (footprint(&[get(b"k")]), footprint(&[put(b"k")]));
        assert!(write.conflicts(&write) && write.conflicts(&read) && read.conflicts(&write));
        assert!(!read.conflicts(&read));
        assert!(!write.conflicts(&footprint(&[put(b"other")])));
        let both = footprint(&[get(b"k"), put(b"k"), get(b"x")]);
        assert_eq!(both.touches().len(), 2);
        assert!(both.conflicts(&read));
    }
}
