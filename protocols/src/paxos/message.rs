//! What Paxos replicas tell each other, keep and wait for.

use serde::{Deserialize, Serialize};

use crate::{ballot::Ballot, command::Batch, id::Slot, transfer::Piece};

/// What replicas tell each other; the table in the module's documentation says who tells whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Phase 1a: promise `ballot` at `slot` and say what you accepted there.
    Prepare {
        /// Where.
        slot: Slot,
        /// The proposer's ballot.
        ballot: Ballot,
    },
    /// Phase 1b.
    Promise {
        /// Where.
        slot: Slot,
        /// The ballot promised.
        ballot: Ballot,
        /// What the sender accepted there, and at which ballot.
        accepted: Option<(Ballot, Batch)>,
    },
    /// Phase 2a.
    Accept {
        /// Where.
        slot: Slot,
        /// The proposer's ballot.
        ballot: Ballot,
        /// What.
        batch: Batch,
    },
    /// Phase 2b.
    Accepted {
        /// The slot of the Accept.
        slot: Slot,
        /// Its ballot.
        ballot: Ballot,
    },
    /// The sender has promised a higher ballot for this slot.
    Refuse {
        /// The slot of the message refused.
        slot: Slot,
        /// Its ballot.
        ballot: Ballot,
        /// The higher ballot.
        promised: Ballot,
    },
    /// What was proposed at this ballot is chosen.
    Commit {
        /// Where.
        slot: Slot,
        /// The ballot at which a majority accepted.
        ballot: Ballot,
    },
    /// How far replicas are.
    Report {
        /// The sender's executed prefix.
        executed: Slot,
        /// What the sender knows of the receiver's.
        yours: Slot,
    },
    /// Asks for the decided batches of some slots.
    Fetch {
        /// The first slot wanted.
        first: Slot,
        /// The last slot wanted.
        last: Slot,
        /// How many bytes of payload are wanted at most; one slot is wanted in any case.
        bytes_max: u32,
    },
    /// Decided batches of consecutive slots.
    Decided {
        /// The slot of the first of them.
        first: Slot,
        /// The batches.
        batches: Vec<Batch>,
    },
    /// The slot asked about is decided, executed and gone at the sender, as is everything through here.
    Discarded {
        /// The sender's discarded point.
        through: Slot,
    },
    /// Asks for a piece of a snapshot.
    FetchSnapshot {
        /// Which snapshot, 0 for any.
        through: Slot,
        /// Where the piece begins, in bytes.
        offset: u64,
        /// How many bytes are wanted at most.
        bytes_max: u32,
    },
    /// A piece of a snapshot.
    Piece(Piece),
}

impl Message {
    /// The ballot at which the sender proposes.
    pub(super) fn ballot_led(&self) -> Option<Ballot> {
        match self {
            Self::Prepare { ballot, .. } | Self::Accept { ballot, .. } => Some(*ballot),
            _ => None,
        }
    }

    /// The slot whose ballots the message is about.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Prepare { slot, .. }
            | Self::Promise { slot, .. }
            | Self::Accept { slot, .. }
            | Self::Accepted { slot, .. }
            | Self::Refuse { slot, .. }
            | Self::Commit { slot, .. } => Some(*slot),
            Self::Report { .. }
            | Self::Fetch { .. }
            | Self::Decided { .. }
            | Self::Discarded { .. }
            | Self::FetchSnapshot { .. }
            | Self::Piece(_) => None,
        }
    }

    /// Are the slots that it names such as can be?
    pub(super) fn is_proper(&self) -> bool {
        match self {
            Self::Decided { first, batches } => {
                *first > 0 && first.checked_add(batches.len() as u64).is_some()
            }
            _ => true,
        }
    }

    /// Does `holds` say yes to every ballot that the message names?
    pub(super) fn all_ballots(&self, holds: impl Fn(Ballot) -> bool) -> bool {
        let (ballot, other) = match self {
            Self::Promise { ballot, accepted, .. } => {
                (Some(*ballot), accepted.as_ref().map(|(ballot, _)| *ballot))
            }
            Self::Refuse { ballot, promised, .. } => (Some(*ballot), Some(*promised)),
            Self::Prepare { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Accepted { ballot, .. }
            | Self::Commit { ballot, .. } => (Some(*ballot), None),
            Self::Report { .. }
            | Self::Fetch { .. }
            | Self::Decided { .. }
            | Self::Discarded { .. }
            | Self::FetchSnapshot { .. }
            | Self::Piece(_) => (None, None),
        };
        ballot.is_none_or(&holds) && other.is_none_or(&holds)
    }
}

/// What must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// No lower ballot will be answered at this slot.
    Promised {
        /// Where.
        slot: Slot,
        /// What was promised.
        ballot: Ballot,
    },
    /// A batch was accepted, which also promises its ballot.
    Accepted {
        /// Where.
        slot: Slot,
        /// At which ballot.
        ballot: Ballot,
        /// What.
        batch: Batch,
        /// The executed prefix at that time: everything through it is decided as recorded so far.
        executed: Slot,
    },
    /// A batch is decided, and it is not what this replica accepted there.
    Decided {
        /// Where.
        slot: Slot,
        /// What.
        batch: Batch,
    },
}

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// When preempted proposals start again.
    BackOff,
    /// When to send again what is unanswered, to report, and to look at slots that stay undecided.
    Retransmit,
    /// When to free a snapshot that nobody asks for any more.
    Supply,
}
