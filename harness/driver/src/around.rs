//! What a driver meets: where its messages and replies go, and those that watch it.

use std::sync::Arc;

use protocols::{
    Batch, InstanceId, Path, Replica, ReplicaSet, Request, Snapshot, dependencies::Dependencies,
};

use crate::{Nanos, reply::Reply};

/// A client's connection, numbered by the owner of the driver; numbers are never used again.
pub type ConnectionId = u64;

/// Where a driver's messages and replies go.
pub trait Output<R: Replica> {
    /// Takes a message for each of `to`. It must not leave before the next [`Output::release`].
    fn send(&mut self, to: ReplicaSet, message: R::Message) -> Sent;

    /// Takes one reply for a client, whose connection may be gone. It must not leave before the
    /// next [`Output::release`].
    fn reply(&mut self, connection: ConnectionId, reply: Reply);

    /// Lets everything leave that was taken so far.
    fn release(&mut self);
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// For how many receivers it was taken. For the others it is lost.
    pub receivers: u64,
    /// How many bytes it takes for each of them.
    pub bytes: u64,
}

/// What a bystander may want to know. It sees effects as they are carried out, and changes nothing.
pub trait Watch<R: Replica> {
    /// A timer of the core has run out, and the core is told now.
    fn expired(&mut self, _: R::Timer) {}

    /// The replica knows `batch` to be decided at `instance`.
    fn committed(&mut self, _: InstanceId, _batch: &Batch, _: &Dependencies, _: Path) {}

    /// The replica executes `batch` now.
    fn executing(&mut self, _: InstanceId, _batch: &Batch) {}

    /// The command at this position of an instance's batch has changed the replica's state.
    fn took_effect(&mut self, _: (InstanceId, usize), _: &Request<'_>) {}

    /// The replica's state, as it is now, is `machine`.
    fn captured(&mut self, _machine: &Arc<[u8]>) {}

    /// The replica's record of the past begins with its present state from now on.
    fn checkpointed(&mut self) {}

    /// The replica's state is `snapshot`'s from now on.
    fn installed(&mut self, _: &Snapshot) {}

    /// A request that came in here at `entered` is known to be committed now.
    fn own_committed(&mut self, _entered: Nanos) {}

    /// A request that came in here at `entered` was executed now.
    fn own_executed(&mut self, _entered: Nanos) {}
}

/// Nobody watches.
impl<R: Replica> Watch<R> for () {}

/// How often a driver did what it rarely does, in this life: for tests that must know that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rarities {
    /// Retries that were answered from the session table.
    pub retries_answered: u64,
    /// Retries of requests that were still pending.
    pub retries_joined: u64,
    /// States captured, for other replicas or for checkpoints.
    pub captures: u64,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Pending reads dropped because a state was taken over.
    pub reads_forgotten: u64,
    /// Pending writes answered from a state that was taken over.
    pub writes_settled: u64,
}

/// A message that no replica of the cluster sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessage;

impl std::fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the frame is no message of the protocol, or one that names a replica beyond the cluster")
    }
}

impl std::error::Error for NotAMessage {}
