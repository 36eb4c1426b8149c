//! What a check came to, and its evidence.

use std::fmt;

use crate::{
    blocks::Contradiction,
    history::{Operation, Shown},
};

/// How much the general search may do for each key before it gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Attempts to place an operation next.
    pub steps_max: u64,
    /// What the memory of attempts may hold, in bytes.
    pub memory_bytes_max: usize,
}

impl Default for Budget {
    /// Chosen: a minute or less of one core, and what a laptop can spare.
    fn default() -> Self {
        Self { steps_max: 1_000_000_000, memory_bytes_max: 1 << 30 }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The caller stopped the search, or [`Budget::steps_max`] was reached.
    Time,
    /// [`Budget::memory_bytes_max`] was reached.
    Memory,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "time",
            Self::Memory => "memory",
        })
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable {
        /// How many operations were checked.
        operations: usize,
        /// On how many keys.
        keys: usize,
    },
    /// There is none.
    NotLinearizable(Box<Witness>),
    /// The search ended early. This is no pass.
    Unknown {
        /// The first key that is undecided.
        key: Vec<u8>,
        /// What ran out.
        reason: Exhausted,
    },
}

/// Evidence of a violation: few operations on one key, and why they contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The key.
    pub key: Vec<u8>,
    /// The operations that contradict each other, in the order of their invocation.
    pub operations: Vec<Operation>,
    /// How many operations on the key there are besides.
    pub others: usize,
    /// One sentence.
    pub reason: String,
}

/// Chosen: half a screen.
const LINES_MAX: usize = 16;

impl Witness {
    /// The witness that a contradiction among `operations` is.
    pub(crate) fn of(operations: &[&Operation], contradiction: Contradiction) -> Self {
        let Contradiction { mut involved, reason } = contradiction;
        involved.sort_unstable();
        involved.dedup();
        let mut evidence: Vec<_> = involved.iter().map(|&at| operations[at].clone()).collect();
        evidence.sort_by_key(|operation| (operation.invoke, operation.returned()));
        Self {
            key: operations[0].key.clone(),
            others: operations.len() - evidence.len(),
            operations: evidence,
            reason,
        }
    }
}

impl fmt::Display for Witness {
    /// Several lines, without the last line's end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {}:", Shown(&self.key))?;
        for operation in self.operations.iter().take(LINES_MAX) {
            writeln!(f, "  {operation}")?;
        }
        if self.operations.len() > LINES_MAX {
            writeln!(f, "  and {} more like these", self.operations.len() - LINES_MAX)?;
        }
        write!(f, "{}", self.reason)
    }
}
