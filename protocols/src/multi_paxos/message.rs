//! What Multi-Paxos replicas tell each other, keep and wait for.

use serde::{Deserialize, Serialize};

use crate::{
    ballot::Ballot,
    command::Batch,
    id::{ReplicaSet, Slot},
    transfer::Piece,
};

/// What replicas tell each other; the table in the module's documentation says who tells whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Phase 1a: promise `ballot` and say what you accepted from `first` on.
    Prepare {
        /// The candidate's ballot.
        ballot: Ballot,
        /// The candidate's first undecided slot, or where the next piece of the promise begins.
        first: Slot,
    },
    /// Phase 1b.
    Promise(Promise),
    /// Phase 2a.
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// Where.
        slot: Slot,
        /// What.
        batch: Batch,
        /// Everything through here is chosen.
        commit: Slot,
        /// Everything through here may be discarded once executed.
        collect: Slot,
    },
    /// Phase 2b.
    Accepted {
        /// The ballot of the Accept.
        ballot: Ballot,
        /// Its slot.
        slot: Slot,
        /// The sender's executed prefix.
        executed: Slot,
    },
    /// The commit index, when no Accept brings it.
    Commit {
        /// The leader's ballot.
        ballot: Ballot,
        /// Everything through here is chosen.
        commit: Slot,
        /// Everything through here may be discarded once executed.
        collect: Slot,
    },
    /// The leader lives.
    Heartbeat {
        /// The leader's ballot.
        ballot: Ballot,
        /// Everything through here is chosen.
        commit: Slot,
        /// Everything through here may be discarded once executed.
        collect: Slot,
        /// Its number in this leadership, from 1 on.
        beat: u64,
        /// Whose answers come in time, as far as can be told; of nobody if all take long.
        heard: ReplicaSet,
    },
    /// The answer to a heartbeat.
    Alive {
        /// The ballot of the heartbeat.
        ballot: Ballot,
        /// Its number.
        beat: u64,
        /// The sender's executed prefix.
        executed: Slot,
    },
    /// The sender has promised a higher ballot than that of the message it answers.
    Refuse {
        /// That higher ballot.
        promised: Ballot,
    },
    /// A batch for the leader to propose.
    Forward {
        /// The batch.
        batch: Batch,
        /// The executed prefix of the replica whose client asked for it.
        executed: Slot,
    },
    /// A batch for the receiver to forward to the leader, which the sender does not reach.
    Relay {
        /// The batch.
        batch: Batch,
        /// The sender's executed prefix.
        executed: Slot,
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
    /// Does the receiver miss the leader, too, so that it would promise a higher ballot?
    PreVote {
        /// The sender's number of the question.
        poll: u64,
    },
    /// It does.
    PreVoteGranted {
        /// The number of the question.
        poll: u64,
        /// What the sender has promised.
        promised: Ballot,
    },
    /// It does not: it hears the leader, and is heard by it, or leads.
    Led {
        /// The sender's executed prefix.
        executed: Slot,
    },
}

impl Message {
    /// The ballot for which the sender speaks as its leader.
    pub(super) fn ballot_led(&self) -> Option<Ballot> {
        match self {
            Self::Prepare { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Commit { ballot, .. }
            | Self::Heartbeat { ballot, .. } => Some(*ballot),
            _ => None,
        }
    }

    /// Are the slots that it names such as can be?
    pub(super) fn is_proper(&self) -> bool {
        match self {
            Self::Promise(promise) => promise.is_proper(),
            Self::Accept { slot, .. } => *slot > 0,
            Self::Decided { first, batches } => {
                *first > 0 && first.checked_add(batches.len() as u64).is_some()
            }
            _ => true,
        }
    }

    /// Every ballot that the message names.
    pub(super) fn ballots(&self) -> impl Iterator<Item = Ballot> {
        let (ballot, entries) = match self {
            Self::Promise(promise) => (Some(promise.ballot), promise.entries.as_slice()),
            Self::Prepare { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Accepted { ballot, .. }
            | Self::Commit { ballot, .. }
            | Self::Heartbeat { ballot, .. }
            | Self::Alive { ballot, .. }
            | Self::Refuse { promised: ballot }
            | Self::PreVoteGranted { promised: ballot, .. } => (Some(*ballot), &[][..]),
            Self::Forward { .. }
            | Self::Relay { .. }
            | Self::Led { .. }
            | Self::Fetch { .. }
            | Self::Decided { .. }
            | Self::Discarded { .. }
            | Self::FetchSnapshot { .. }
            | Self::Piece(_)
            | Self::PreVote { .. } => (None, &[][..]),
        };
        ballot.into_iter().chain(entries.iter().map(|entry| entry.ballot))
    }
}

/// A promise, or a piece of one. The candidate asks for the next piece with a further Prepare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promise {
    /// The ballot promised.
    pub ballot: Ballot,
    /// `first` of the Prepare that this answers.
    pub first: Slot,
    /// What the sender accepted or knows to be decided from there on, by ascending slot.
    pub entries: Vec<PromisedEntry>,
    /// Where the next piece begins; none if this is the last one.
    pub next: Option<Slot>,
    /// The slot through which the sender has discarded its log: decided, and not among the entries.
    pub discarded: Slot,
}

impl Promise {
    /// Do its slots ascend from the first one on, and does the next piece begin above them?
    fn is_proper(&self) -> bool {
        let ascending = self.entries.is_sorted_by(|a, b| a.slot < b.slot);
        let from_first = self.entries.first().is_none_or(|entry| entry.slot >= self.first);
        let last = self.entries.last().map_or(self.first, |entry| entry.slot);
        ascending && from_first && self.next.is_none_or(|next| next > last)
    }
}

/// One slot of a promise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PromisedEntry {
    /// The slot.
    pub slot: Slot,
    /// The ballot at which the sender accepted the batch.
    pub ballot: Ballot,
    /// Does the sender know that the batch is decided?
    pub decided: bool,
    /// The batch.
    pub batch: Batch,
}

/// What must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// No lower ballot will be answered.
    Promised(Ballot),
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
    /// When to campaign, unless the leader was heard.
    Election,
    /// When to tell the followers that the leader lives.
    Heartbeat,
    /// When to send again what is unanswered: one timer for Prepares, Accepts, forwards and fetches alike.
    Retransmit,
    /// When to free a snapshot that nobody asks for any more.
    Supply,
}
