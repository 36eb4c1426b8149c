//! What EPaxos replicas tell each other, what they write down, and the names of their timers.

use serde::{Deserialize, Serialize};

use crate::{
    ballot::InstanceBallot,
    command::Batch,
    dependencies::Dependencies,
    epaxos::Variant,
    id::{InstanceId, ReplicaId},
    transfer::Piece,
};

/// How far an instance has come at one replica.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Phase {
    /// Nothing is accepted in any way, though the command may be known through Validate.
    #[default]
    None,
    /// The row's PreAccept was taken, at ballot 0; or in the published variant a PreAcceptAgain.
    PreAccepted,
    /// An Accept was taken.
    Accepted,
    /// Decided, for ever.
    Committed,
}

/// What a replica holds of an instance when it promises a ballot: the answer to Recover.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report {
    /// How far it has come; never `Committed`, which is answered with Commit.
    pub phase: Phase,
    /// The ballot of the last Accept taken, 0 also for none.
    pub accepted_ballot: InstanceBallot,
    /// The command; a no-op also for none.
    pub batch: Batch,
    /// The dependencies of the last PreAccept or Accept taken.
    pub dependencies: Dependencies,
    /// The dependencies that the row's replica proposed, if that is known; in the published variant only if what is held comes
    /// of that proposal, and may be a part of a fast path.
    pub initial_dependencies: Option<Dependencies>,
}

/// Messages. The table in the module's documentation says who sends which to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Phase 1 of the row's replica, at ballot 0.
    PreAccept {
        /// The instance.
        instance: InstanceId,
        /// Its command.
        batch: Batch,
        /// Every conflicting instance that the row's replica knows.
        dependencies: Dependencies,
    },
    /// A replica has stored a PreAccept.
    PreAcceptOk {
        /// The instance.
        instance: InstanceId,
        /// The stored dependencies, if they are more than the ones proposed.
        more: Option<Dependencies>,
    },
    /// Phase 2, at ballot 0 by the row's replica, else by the one that recovers.
    Accept {
        /// The instance.
        instance: InstanceId,
        /// The sender's ballot.
        ballot: InstanceBallot,
        /// The command or a no-op.
        batch: Batch,
        /// Its dependencies.
        dependencies: Dependencies,
    },
    /// A replica has stored an Accept.
    AcceptOk {
        /// The instance.
        instance: InstanceId,
        /// The Accept's ballot.
        ballot: InstanceBallot,
    },
    /// The decision.
    Commit {
        /// The instance.
        instance: InstanceId,
        /// The command; none if it is the one that the row's replica proposed.
        batch: Option<Batch>,
        /// The dependencies; none if they are the ones that the row's replica proposed.
        dependencies: Option<Dependencies>,
    },
    /// Please send the whole decision.
    Ask {
        /// The instance.
        instance: InstanceId,
    },
    /// How far the sender is, so that others send again what it lacks and collect what it has executed.
    Progress {
        /// Per row: it knows the decision of every slot up to here.
        committed: Dependencies,
        /// Per row: it has executed every slot up to here.
        executed: Dependencies,
        /// What it has to do with what is sent again.
        pace: Pace,
    },
    /// A replica wants to finish an instance at a ballot of its own.
    Recover {
        /// The instance.
        instance: InstanceId,
        /// The sender's ballot.
        ballot: InstanceBallot,
    },
    /// A promise to take part in no lower ballot, with what the replica holds.
    RecoverOk {
        /// The instance.
        instance: InstanceId,
        /// The ballot promised.
        ballot: InstanceBallot,
        /// What the replica holds. Boxed: recoveries are rare, and the common messages would be as large.
        report: Box<Report>,
    },
    /// Does anything stand against these dependencies, which may have been committed on the fast path?
    Validate {
        /// The instance.
        instance: InstanceId,
        /// The sender's ballot.
        ballot: InstanceBallot,
        /// The command that the row's replica proposed.
        batch: Batch,
        /// The dependencies that it proposed.
        dependencies: Dependencies,
    },
    /// What stands against them here.
    ValidateOk {
        /// The instance.
        instance: InstanceId,
        /// The Validate's ballot.
        ballot: InstanceBallot,
        /// Conflicting instances of which neither names the other, with their phase.
        against: Vec<(InstanceId, Phase)>,
    },
    /// The recovery of this instance waits for others to be decided.
    Waiting {
        /// The instance.
        instance: InstanceId,
        /// In how many replies its dependencies were the proposed ones.
        matching: u8,
    },
    /// The request came at a ballot below the one promised.
    Refused {
        /// The instance.
        instance: InstanceId,
        /// The ballot promised.
        ballot: InstanceBallot,
    },
    /// The sender has executed the instance and holds nothing of it any more.
    Collected {
        /// The instance.
        instance: InstanceId,
    },
    /// Please send a piece of a snapshot.
    Fetch {
        /// Which, by the number of instances that it has executed; 0 for any.
        snapshot: u64,
        /// Where the piece begins, in bytes.
        offset: u64,
    },
    /// A piece of a snapshot, which is named after the number of instances that it has executed.
    Piece(Piece),
    /// Phase 1 without a fast path, in the published variant: at ballot 0 when the fixed fast quorum does not answer, else by
    /// the replica that recovers.
    PreAcceptAgain {
        /// The instance.
        instance: InstanceId,
        /// The sender's ballot.
        ballot: InstanceBallot,
        /// Its command.
        batch: Batch,
        /// Every conflicting instance that the sender knows, or has been told of.
        dependencies: Dependencies,
    },
    /// A replica holds the instance as pre-accepted.
    PreAcceptAgainOk {
        /// The instance.
        instance: InstanceId,
        /// The ballot of the request.
        ballot: InstanceBallot,
        /// The dependencies that it holds.
        dependencies: Dependencies,
    },
}

impl Message {
    /// The instance that the message is about, if it is about one.
    pub(super) fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::PreAccept { instance, .. }
            | Self::PreAcceptOk { instance, .. }
            | Self::Accept { instance, .. }
            | Self::AcceptOk { instance, .. }
            | Self::Commit { instance, .. }
            | Self::Ask { instance }
            | Self::Recover { instance, .. }
            | Self::RecoverOk { instance, .. }
            | Self::Validate { instance, .. }
            | Self::ValidateOk { instance, .. }
            | Self::Waiting { instance, .. }
            | Self::Refused { instance, .. }
            | Self::Collected { instance }
            | Self::PreAcceptAgain { instance, .. }
            | Self::PreAcceptAgainOk { instance, .. } => Some(*instance),
            Self::Progress { .. } | Self::Fetch { .. } | Self::Piece(_) => None,
        }
    }

    /// The ballot of that instance that the message names.
    pub(super) fn ballot(&self) -> Option<InstanceBallot> {
        match self {
            Self::Accept { ballot, .. }
            | Self::AcceptOk { ballot, .. }
            | Self::Recover { ballot, .. }
            | Self::RecoverOk { ballot, .. }
            | Self::Validate { ballot, .. }
            | Self::ValidateOk { ballot, .. }
            | Self::Refused { ballot, .. }
            | Self::PreAcceptAgain { ballot, .. }
            | Self::PreAcceptAgainOk { ballot, .. } => Some(*ballot),
            Self::PreAccept { .. }
            | Self::PreAcceptOk { .. }
            | Self::Commit { .. }
            | Self::Ask { .. }
            | Self::Progress { .. }
            | Self::Waiting { .. }
            | Self::Collected { .. }
            | Self::Fetch { .. }
            | Self::Piece(_) => None,
        }
    }

    /// Does the message fit a cluster of `replicas`: known rows, slots that exist, dependencies with a slot per row?
    pub(super) fn is_for(&self, replicas: usize) -> bool {
        let known = |instance: &InstanceId| instance.row.index() < replicas && instance.slot > 0;
        let fits = |dependencies: &Dependencies| dependencies.rows() == replicas;
        match self {
            Self::PreAccept { instance, dependencies, .. }
            | Self::Accept { instance, dependencies, .. }
            | Self::Validate { instance, dependencies, .. }
            | Self::PreAcceptAgain { instance, dependencies, .. }
            | Self::PreAcceptAgainOk { instance, dependencies, .. } => {
                // Nobody proposes an instance that comes after itself.
                known(instance) && fits(dependencies) && !dependencies.contain(*instance)
            }
            Self::PreAcceptOk { instance, more: dependencies }
            | Self::Commit { instance, dependencies, .. } => {
                known(instance) && dependencies.iter().all(|on| fits(on) && !on.contain(*instance))
            }
            Self::Progress { committed, executed, .. } => fits(committed) && fits(executed),
            Self::RecoverOk { instance, report, .. } => {
                let proper = |on: &Dependencies| fits(on) && !on.contain(*instance);
                let empty = report.phase == Phase::None && report.dependencies.rows() == 0;
                known(instance)
                    && report.phase < Phase::Committed
                    && (empty || proper(&report.dependencies))
                    && report.initial_dependencies.iter().all(proper)
            }
            Self::ValidateOk { instance, against, .. } => {
                known(instance) && against.iter().all(|(other, _)| known(other))
            }
            Self::AcceptOk { instance, .. }
            | Self::Ask { instance }
            | Self::Recover { instance, .. }
            | Self::Waiting { instance, .. }
            | Self::Refused { instance, .. }
            | Self::Collected { instance } => known(instance),
            // What a piece is part of is looked at when it is whole.
            Self::Fetch { .. } | Self::Piece(_) => true,
        }
    }

    /// Is it one that replicas of this variant send: of a kind that it has, with sequence numbers where it has them?
    pub(super) fn is_of(&self, variant: Variant) -> bool {
        let published = variant == Variant::Sosp13;
        // Nothing is held where there are no rows.
        let proper = |on: &Dependencies| on.rows() == 0 || on.seq().is_some() == published;
        match self {
            Self::PreAccept { dependencies, .. } | Self::Accept { dependencies, .. } => {
                proper(dependencies)
            }
            Self::PreAcceptOk { more: dependencies, .. } | Self::Commit { dependencies, .. } => {
                dependencies.iter().all(proper)
            }
            Self::RecoverOk { report, .. } => {
                proper(&report.dependencies) && report.initial_dependencies.iter().all(proper)
            }
            Self::Progress { committed, executed, .. } => {
                committed.seq().is_none() && executed.seq().is_none()
            }
            Self::Validate { .. } | Self::ValidateOk { .. } | Self::Waiting { .. } => !published,
            Self::PreAcceptAgain { dependencies, .. }
            | Self::PreAcceptAgainOk { dependencies, .. } => published && proper(dependencies),
            Self::AcceptOk { .. }
            | Self::Ask { .. }
            | Self::Recover { .. }
            | Self::Refused { .. }
            | Self::Collected { .. }
            | Self::Fetch { .. }
            | Self::Piece(_) => true,
        }
    }
}

/// What a report of progress has to do with what is sent again (`rounds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pace {
    /// Nothing.
    Free,
    /// It comes behind the round of this number: please report in turn once that is taken in.
    Probe(u64),
    /// That round has been taken in.
    Answer(u64),
}

/// What an EPaxos replica must remember across a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A PreAccept proposed or taken.
    PreAccepted {
        /// The instance.
        instance: InstanceId,
        /// Its command.
        batch: Batch,
        /// What the row's replica proposed.
        initial_dependencies: Dependencies,
        /// What was stored here.
        dependencies: Dependencies,
    },
    /// An Accept sent or taken.
    Accepted {
        /// The instance.
        instance: InstanceId,
        /// At which ballot.
        ballot: InstanceBallot,
        /// The command or a no-op.
        batch: Batch,
        /// Its dependencies.
        dependencies: Dependencies,
    },
    /// A ballot promised.
    Promised {
        /// The instance.
        instance: InstanceId,
        /// The ballot.
        ballot: InstanceBallot,
    },
    /// A Validate taken.
    Validated {
        /// The instance.
        instance: InstanceId,
        /// The command that the row's replica proposed.
        batch: Batch,
        /// The dependencies that it proposed.
        initial_dependencies: Dependencies,
    },
    /// A decision made or learned.
    Committed {
        /// The instance.
        instance: InstanceId,
        /// The command or a no-op.
        batch: Batch,
        /// Its dependencies.
        dependencies: Dependencies,
    },
    /// Phase 1 without a fast path, begun or taken. (Published variant.)
    PreAcceptedAgain {
        /// The instance.
        instance: InstanceId,
        /// At which ballot.
        ballot: InstanceBallot,
        /// Its command.
        batch: Batch,
        /// What was stored here.
        dependencies: Dependencies,
    },
}

/// The timers of an EPaxos replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// When what is unanswered, or not known to have arrived, is sent again.
    Retransmit,
    /// When the others are told how far this replica is, if nothing else made it tell them.
    Progress,
    /// When own instances with a slow quorum but no fast one stop waiting for it (N ≥ 7); in the published variant those whose
    /// fixed fast quorum has not answered.
    FastQuorum,
    /// When the oldest uncommitted slot of this row has been so for too long.
    Row(ReplicaId),
    /// When the recovery of this instance, which has begun, is driven on.
    Instance(InstanceId),
}
