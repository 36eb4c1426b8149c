//! Operations as the clients saw them.

use std::fmt;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads the value.
    Get,
    /// Sets the value.
    Put(Vec<u8>),
    /// Removes the key.
    Delete,
    /// Adds to the end of the value; an absent key counts as an empty value.
    Append(Vec<u8>),
    /// Sets the value if it is as expected.
    CompareAndSet {
        /// The value that must be there, or none for an absent key.
        expected: Option<Vec<u8>>,
        /// Its new value.
        value: Vec<u8>,
    },
}

impl Kind {
    /// What is written, if the operation takes effect.
    pub(crate) fn written(&self) -> Option<&[u8]> {
        match self {
            Self::Put(value) | Self::Append(value) | Self::CompareAndSet { value, .. } => {
                Some(value)
            }
            Self::Get | Self::Delete => None,
        }
    }
}

/// What an operation was answered with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A put, delete or append took effect.
    Done,
    /// What a get found.
    Value(Option<Vec<u8>>),
    /// Whether a compare-and-set found what it expected, and so wrote.
    Swapped(bool),
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Who asked; only for people, one process may have several operations under way.
    pub process: u64,
    /// The key that is read or written.
    pub key: Vec<u8>,
    /// What was asked for.
    pub kind: Kind,
    /// When it was asked for. The unit does not matter, only the order does.
    pub invoke: u64,
    /// When the answer came, in the unit of `invoke`, and what it was. None: the outcome is unknown.
    pub answer: Option<(u64, Outcome)>,
}

impl Operation {
    /// When the answer came; the end of time if none did.
    pub(crate) fn returned(&self) -> u64 {
        self.answer.as_ref().map_or(u64::MAX, |(at, _)| *at)
    }

    /// Was it a compare-and-set that found something else than it expected?
    pub(crate) fn is_failed_swap(&self) -> bool {
        matches!(self.answer, Some((_, Outcome::Swapped(false))))
    }

    /// What a get returned.
    pub(crate) fn read(&self) -> Option<Option<&[u8]>> {
        match &self.answer {
            Some((_, Outcome::Value(value))) => Some(value.as_deref()),
            _ => None,
        }
    }

    /// The value that somebody must have left there for this operation to be answered, or to have an effect, as it did
    /// or may have.
    pub(crate) fn observed(&self) -> Option<Option<&[u8]>> {
        match &self.kind {
            Kind::Get => self.read(),
            Kind::CompareAndSet { expected, .. } => Some(expected.as_deref()),
            Kind::Put(_) | Kind::Delete | Kind::Append(_) => None,
        }
    }

    /// Whose it is and when, without what it did.
    pub(crate) fn brief(&self) -> String {
        let what = match self.kind {
            Kind::Get => "get",
            Kind::Put(_) => "put",
            Kind::Delete => "delete",
            Kind::Append(_) => "append",
            Kind::CompareAndSet { .. } => "cas",
        };
        let end = self.answer.as_ref().map_or_else(|| "?".to_owned(), |(at, _)| at.to_string());
        format!("c{}'s {what} [{}..{end}]", self.process, self.invoke)
    }

    fn is_sound(&self) -> bool {
        let Some((at, outcome)) = &self.answer else { return true };
        let fits = matches!(
            (&self.kind, outcome),
            (Kind::Get, Outcome::Value(_))
                | (Kind::Put(_) | Kind::Delete | Kind::Append(_), Outcome::Done)
                | (Kind::CompareAndSet { .. }, Outcome::Swapped(_))
        );
        fits && *at >= self.invoke && *at < u64::MAX - 1
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{} [{}..", self.process, self.invoke)?;
        match &self.answer {
            Some((at, _)) => write!(f, "{at}] ")?,
            None => f.write_str("?] ")?,
        }
        match &self.kind {
            Kind::Get => f.write_str("get")?,
            Kind::Put(value) => write!(f, "put {}", Shown(value))?,
            Kind::Delete => f.write_str("delete")?,
            Kind::Append(value) => write!(f, "append {}", Shown(value))?,
            Kind::CompareAndSet { expected, value } => {
                write!(f, "cas {} to {}", shown(expected.as_deref()), Shown(value))?;
            }
        }
        match &self.answer {
            None => f.write_str(" -> no answer"),
            Some((_, Outcome::Done)) => f.write_str(" -> done"),
            Some((_, Outcome::Value(value))) => write!(f, " -> {}", shown(value.as_deref())),
            Some((_, Outcome::Swapped(true))) => f.write_str(" -> swapped"),
            Some((_, Outcome::Swapped(false))) => f.write_str(" -> not as expected"),
        }
    }
}

/// What was done to all keys. An operation precedes another if it was answered before the other was invoked; at the same
/// time counts as side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Operation>);

impl History {
    /// Adds an operation; the order of adding does not matter.
    ///
    /// # Panics
    /// If the outcome is none that its kind can have, or the answer came before the question: a bug of the caller.
    pub fn push(&mut self, operation: Operation) {
        assert!(operation.is_sound(), "no operation ends like this: {operation}");
        self.0.push(operation);
    }

    /// The operations.
    pub fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// Only the operations on `key`.
    #[must_use]
    pub fn only(mut self, key: &[u8]) -> Self {
        self.0.retain(|operation| operation.key == key);
        self
    }
}

impl FromIterator<Operation> for History {
    /// As [`push`](History::push) for each.
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        let mut history = Self::default();
        operations.into_iter().for_each(|operation| history.push(operation));
        history
    }
}

/// A value or its absence, for people.
pub(crate) fn shown(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| Shown(value).to_string())
}

/// Bytes for people: quoted if they are text, and short.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

/// Chosen: two values and what is around them fit on a line.
const SHOWN_BYTES_MAX: usize = 48;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        if bytes.len() <= SHOWN_BYTES_MAX {
            return write!(f, "\"{}\"", bytes.escape_ascii());
        }
        // The end tells values apart that share their beginning.
        let (head, tail) = (&bytes[..16], &bytes[bytes.len() - 16..]);
        let (head, tail) = (head.escape_ascii(), tail.escape_ascii());
        write!(f, "\"{head}…{tail}\" ({} bytes)", bytes.len())
    }
}
