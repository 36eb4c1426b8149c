//! Wrong versions of the protocols, one value each, to show that the tests would notice.
//!
//! A mutant is a mistake that an implementation made, or that is easily made. [`Config::mutant`](crate::Config) makes every
//! core of a cluster make it, and the test of the mutants (`harness/sim/tests/mutants.rs`) shows which check notices. All of
//! this exists under the cargo feature `mutants` alone, which is no default and which no binary of the workspace asks for:
//! without it the `mutated!` in the cores is the constant `false`.

/// `mutated!(config, Mutant)`: is the core of this configuration to make this mistake? Constantly false without the feature.
macro_rules! mutated {
    ($config:expr, $mutant:ident) => {{
        #[cfg(feature = "mutants")]
        let made = $config.mutant == Some($crate::mutant::Mutant::$mutant);
        #[cfg(not(feature = "mutants"))]
        let made = {
            let _ = &$config;
            false
        };
        made
    }};
}
pub(crate) use mutated;

use crate::id::{ReplicaId, ReplicaSet};

/// Counts the vote of `from`: was it news? If `twice`, which only a mutant says, a second vote stands for another replica's.
pub(crate) fn counted(votes: &mut ReplicaSet, from: ReplicaId, twice: bool) -> bool {
    if votes.insert(from) {
        return true;
    }
    let absent = |replica: &ReplicaId| !votes.contains(*replica);
    let another = ReplicaId::all(crate::id::REPLICAS_MAX).find(absent);
    twice && another.is_some_and(|another| votes.insert(another))
}

#[cfg(feature = "mutants")]
use serde::{Deserialize, Serialize};

#[cfg(feature = "mutants")]
use crate::Protocol;

/// A mistake.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mutant {
    /// EPaxos: one ballot variable, so that a promise makes an old tuple look new. (SUT)
    SingleBallot,
    /// EPaxos: what may have been committed on the fast path is accepted without Validate. (STAR)
    NoValidate,
    /// EPaxos: one matching pre-acceptance is enough for a candidate, instead of |Q|−E. (STAR)
    AnyMatching,
    /// EPaxos: replies that equal each other commit on the fast path, whatever was proposed. (S13, STAR)
    EqualReplies,
    /// EPaxos: a majority is a fast quorum, at N = 7 too. (the authors' implementation of S13)
    MajorityIsFast,
    /// EPaxos: a recovery that should wait accepts its candidate.
    AcceptInsteadOfWaiting,
    /// EPaxos: a recovery that should wait chooses a no-op.
    NoOpInsteadOfWaiting,
    /// EPaxos: that the row's replica is in the recovery quorum decides nothing.
    NoRowOwnerRule,
    /// EPaxos as published: the owner commits on the fast path also after phase 1 has gone to all.
    FastAfterWidening,
    /// EPaxos as published: besides, what others then store counts as a part of a fast path. (S13 at N = 3)
    WidenedCounts,
    /// EPaxos: the owner's fast commit is sent without being persisted.
    FastCommitUnpersisted,
    /// EPaxos: a collected instance is answered as one of which nothing is known.
    CollectedAsNone,
    /// EPaxos: a duplicate PreAccept has its dependencies worked out again.
    RecomputedDependencies,
    /// EPaxos: Validate is taken in every phase, and overwrites an accepted command.
    NoPhaseGuard,
    /// EPaxos: whoever restarts from a checkpoint has collected all that it had executed.
    CheckpointCollects,
    /// Multi-Paxos: a promise does not say through which slot the log is discarded. (PMMC §4.2)
    DiscardedUnsaid,
    /// Multi-Paxos: the commit index vouches for entries of older ballots too.
    CommitOverOldBallot,
    /// Paxos, Multi-Paxos: phase 2 proposes the own command (a no-op) whatever the promises say was accepted. (PMS §2.2)
    AcceptedIgnored,
    /// All: Accept is taken at a ballot below the promised one. (PMS §2.2)
    PromiseIgnored,
    /// All: what is persisted beside a snapshot lacks the promises above it.
    SnapshotWithoutPromises,
    /// All: what is persisted beside a snapshot lacks what is accepted above it and not known to be decided.
    SnapshotWithoutOpen,
    /// All: a second vote of one replica counts as another's.
    VoteCountedTwice,
    /// The driver: clients are answered when their command is committed, before it is executed.
    ReplyBeforeExecution,
    /// The driver: what is sent and answered leaves before the records that it relies on are durable.
    SendBeforePersist,
    /// The state machine: a command that was chosen twice is applied twice.
    NoSessionTable,
    /// The state machine: below the client's lowest unanswered write everything counts as applied.
    SessionFloor,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::SingleBallot,
        Self::NoValidate,
        Self::AnyMatching,
        Self::EqualReplies,
        Self::MajorityIsFast,
        Self::AcceptInsteadOfWaiting,
        Self::NoOpInsteadOfWaiting,
        Self::NoRowOwnerRule,
        Self::FastAfterWidening,
        Self::WidenedCounts,
        Self::FastCommitUnpersisted,
        Self::CollectedAsNone,
        Self::RecomputedDependencies,
        Self::NoPhaseGuard,
        Self::CheckpointCollects,
        Self::DiscardedUnsaid,
        Self::CommitOverOldBallot,
        Self::AcceptedIgnored,
        Self::PromiseIgnored,
        Self::SnapshotWithoutPromises,
        Self::SnapshotWithoutOpen,
        Self::VoteCountedTwice,
        Self::ReplyBeforeExecution,
        Self::SendBeforePersist,
        Self::NoSessionTable,
        Self::SessionFloor,
    ];

    /// Is it tried in EPaxos' published variant as well? What that variant shares with the corrected protocol need not be.
    pub const fn is_of_published_variant(self) -> bool {
        matches!(
            self,
            Self::SingleBallot
                | Self::AnyMatching
                | Self::FastAfterWidening
                | Self::WidenedCounts
                | Self::FastCommitUnpersisted
                | Self::VoteCountedTwice
                | Self::SnapshotWithoutOpen
        )
    }

    /// The protocols that can make the mistake, EPaxos as corrected; where one is enough to show that it is noticed, that one.
    pub const fn protocols(self) -> &'static [Protocol] {
        use crate::{
            epaxos::PROTOCOL as EPAXOS, multi_paxos::PROTOCOL as MULTI_PAXOS,
            paxos::PROTOCOL as PAXOS,
        };
        match self {
            Self::SingleBallot
            | Self::NoValidate
            | Self::AnyMatching
            | Self::EqualReplies
            | Self::MajorityIsFast
            | Self::AcceptInsteadOfWaiting
            | Self::NoOpInsteadOfWaiting
            | Self::NoRowOwnerRule
            | Self::FastCommitUnpersisted
            | Self::CollectedAsNone
            | Self::RecomputedDependencies
            | Self::NoPhaseGuard
            | Self::CheckpointCollects
            | Self::SessionFloor => &[EPAXOS],
            Self::FastAfterWidening | Self::WidenedCounts => &[],
            Self::DiscardedUnsaid | Self::CommitOverOldBallot => &[MULTI_PAXOS],
            Self::AcceptedIgnored => &[PAXOS, MULTI_PAXOS],
            Self::PromiseIgnored
            | Self::SnapshotWithoutPromises
            | Self::SnapshotWithoutOpen
            | Self::VoteCountedTwice
            | Self::ReplyBeforeExecution
            | Self::SendBeforePersist
            | Self::NoSessionTable => &[PAXOS, MULTI_PAXOS, EPAXOS],
        }
    }
}
