//! One instance as one replica holds it.

use std::collections::BTreeMap;

use super::message::{Phase, Report};
use crate::{
    ballot::InstanceBallot,
    command::{BATCH_BYTES_MAX, Batch, Footprint},
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, ReplicaSet},
    kept::{KeptLog, Weigh},
    replica::Path,
};

/// What is known of an instance.
///
/// There are two ballots: `ballot` is promised, `accepted_ballot` is the one of the last Accept taken. With a single one a
/// recovery cannot tell which of two accepted tuples is newer (Sutra 2019).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) phase: Phase,
    pub(super) ballot: InstanceBallot,
    pub(super) accepted_ballot: InstanceBallot,
    /// The ballot at which phase 1 was taken: 0 but in the published variant, whose recovery may begin phase 1 again.
    pub(super) pre_accepted_ballot: InstanceBallot,
    pub(super) batch: Batch,
    pub(super) dependencies: Dependencies,
    /// What the row's replica proposed, known through its PreAccept or through Validate. In the published variant through
    /// its PreAccept alone: what is pre-accepted counts as a part of a fast path only where this is known.
    pub(super) initial: Option<Initial>,
    /// Of the command that the row's replica proposed, once it is known in any way; empty before.
    pub(super) footprint: Footprint,
    /// What this replica does to get it decided, if it leads the current ballot.
    pub(super) leading: Option<Box<Leading>>,
}

/// The proposal of the row's replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Initial {
    pub(super) batch: Batch,
    pub(super) dependencies: Dependencies,
}

/// Where the leader of a ballot stands. Its own vote is not in the sets; it is counted with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leading {
    /// Collecting PreAcceptOks.
    PreAccept {
        acks: ReplicaSet,
        /// How many of them had the proposed dependencies.
        equal: usize,
        /// The union of the dependencies in them.
        union: Dependencies,
    },
    /// The published variant: collecting PreAcceptOks of the instance's fast quorum.
    Thrifty {
        /// That quorum without this replica; it never changes.
        asked: ReplicaSet,
        acks: ReplicaSet,
        /// Has each of them the same dependencies?
        identical: bool,
        /// The union of the dependencies in them.
        union: Dependencies,
    },
    /// The published variant: collecting answers to phase 1 of a majority, with no fast path.
    PreAcceptAgain {
        acks: ReplicaSet,
        /// The union of the dependencies in them.
        union: Dependencies,
    },
    /// Collecting AcceptOks.
    Accept { acks: ReplicaSet, path: Path },
    /// Collecting RecoverOks, its own among them.
    Recover { reports: BTreeMap<ReplicaId, Report> },
    /// Collecting ValidateOks from all of a quorum.
    Validate { candidate: Candidate, acks: ReplicaSet },
    /// Waiting for instances that stand against the candidate to be decided.
    Wait { candidate: Candidate },
}

/// Dependencies that may have been committed on the fast path, on trial by a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub(super) batch: Batch,
    pub(super) dependencies: Dependencies,
    /// Q: those whose RecoverOks were counted, this replica included.
    pub(super) quorum: ReplicaSet,
    /// |R|: in how many of them the dependencies were the proposed ones.
    pub(super) matching: usize,
    /// I: what stands against it, with the highest phase heard.
    pub(super) against: BTreeMap<InstanceId, Phase>,
}

/// Decided, it weighs the same at every replica. The command of the row's replica and what is
/// accepted or decided are one batch, or one of them is a no-op; a command that a decided no-op
/// took the place of is left out.
impl Weigh for Instance {
    fn weight(&self) -> u64 {
        let batch = if self.is_committed() { self.batch.weight() } else { self.known_weight() };
        size_of::<Self>() as u64 + batch
    }
}

impl Instance {
    /// The most that the instance weighs once it is decided, as far as can be told here; `None` is
    /// one of which nothing is held.
    pub(super) fn weight_at_most(held: Option<&Self>) -> u64 {
        let known = held.filter(|entry| entry.is_committed() || entry.known_weight() > 0);
        known.map_or(2 * BATCH_BYTES_MAX as u64, Self::weight)
    }

    /// The weight of its command, if that is known.
    fn known_weight(&self) -> u64 {
        let initial = self.initial.as_ref().map_or(0, |initial| initial.batch.weight());
        self.batch.weight().max(initial)
    }

    pub(super) fn is_committed(&self) -> bool {
        self.phase == Phase::Committed
    }

    /// Takes a decision; true if it is news. A second one, which can only be the same, changes nothing.
    pub(super) fn decide(&mut self, batch: &Batch, dependencies: &Dependencies) -> bool {
        if self.is_committed() {
            assert!(
                self.batch == *batch && self.dependencies == *dependencies,
                "committed as {:?} {:?} and now as {batch:?} {dependencies:?}",
                self.batch,
                self.dependencies,
            );
            return false;
        }
        self.phase = Phase::Committed;
        // Mostly the proposal, which is held already: one allocation serves both.
        let proposed = self.initial.as_ref().map(|initial| &initial.batch);
        self.batch = proposed.filter(|proposed| *proposed == batch).unwrap_or(batch).clone();
        self.dependencies = dependencies.clone();
        self.leading = None;
        true
    }

    /// What a promise reports. What the row's replica proposed is part of it as long as this is what was pre-accepted, and
    /// not what a recovery asked about when it began phase 1 again.
    pub(super) fn report(&self) -> Report {
        let initial = self.initial.as_ref();
        let initial = initial.filter(|_| self.pre_accepted_ballot == InstanceBallot::INITIAL);
        Report {
            phase: self.phase,
            accepted_ballot: self.accepted_ballot,
            batch: self.batch.clone(),
            dependencies: self.dependencies.clone(),
            initial_dependencies: initial.map(|initial| initial.dependencies.clone()),
        }
    }
}

/// One row as one replica holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) log: KeptLog<Instance>,
    /// Every slot up to here is committed.
    pub(super) committed_to: u64,
    /// The highest slot known of, if only by name.
    pub(super) mentioned_to: u64,
    /// While the row's timer runs: the oldest uncommitted slot and the highest one mentioned when it was set.
    pub(super) watch: Option<Watch>,
    /// How many times the row's timer range is to be doubled: it was too short for this row's live replica.
    pub(super) patience: u32,
}

/// What a row's timer looks at when it runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    pub(super) oldest: u64,
    pub(super) mentioned_to: u64,
    /// The row's patience when the timer was set.
    pub(super) patience: u32,
    /// Has an instance of the row become a no-op since?
    pub(super) noop: bool,
}

impl Row {
    /// Has the row a slot that is known of and not committed?
    pub(super) fn is_open(&self) -> bool {
        self.committed_to < self.mentioned_to
    }

    /// Notes that the slots up to `slot` exist; true if that is news.
    pub(super) fn mention(&mut self, slot: u64) -> bool {
        let news = self.mentioned_to < slot;
        self.mentioned_to = self.mentioned_to.max(slot);
        news
    }

    /// A recovery met the row's live replica, or was given up before its answers came: the timer was too short. However
    /// many recoveries it began, that counts once.
    pub(super) fn timer_was_short(&mut self) {
        if let Some(watch) = self.watch {
            self.patience = self.patience.max(watch.patience + 1);
        }
    }

    /// An instance of the row is decided; `noop` if as a no-op.
    pub(super) fn decided(&mut self, noop: bool) {
        if let Some(watch) = &mut self.watch {
            watch.noop |= noop;
        }
        self.advance_committed();
    }

    /// The row was decided in time for a whole run of its timer. A no-op does not show that: its timer may have been what
    /// made it one.
    pub(super) fn run_of(&mut self, watch: Watch) {
        if !watch.noop {
            self.patience = self.patience.saturating_sub(1);
        }
    }

    /// Moves `committed_to` over what is committed.
    pub(super) fn advance_committed(&mut self) {
        while self.log.get(self.committed_to + 1).is_some_and(Instance::is_committed) {
            self.committed_to += 1;
        }
    }
}
