//! What goes wrong, and when.

use std::ops::RangeInclusive;

use protocols::{ReplicaId, ReplicaSet};

/// One change for the worse, or back.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// From now on this share of messages is lost.
    Loss(f64),
    /// From now on this share of messages arrives twice.
    Duplicate(f64),
    /// From now on each message takes this much longer, drawn, in nanoseconds.
    Delay(RangeInclusive<u64>),
    /// Nothing passes between replicas of different sets any more; a replica in no set is cut off from nobody.
    Partition(Vec<ReplicaSet>),
    /// Nothing passes from the first set to the second any more; the other direction is as it was.
    OneWay(ReplicaSet, ReplicaSet),
    /// Every partition ends.
    Heal,
    /// The replica is gone, with everything that it had not made durable.
    Crash(ReplicaId),
    /// The replica crashes amid carrying out what its next step asks for: some of it is done, the rest is lost. Void
    /// once the replica has crashed otherwise or a [`Fault::Restart`] has come first.
    CrashMidway(ReplicaId),
    /// A crashed replica comes back with what it had made durable; nothing if it has not crashed.
    Restart(ReplicaId),
    /// The replica does nothing until it is resumed; what arrives waits.
    Pause(ReplicaId),
    /// The replica goes on with what waited.
    Resume(ReplicaId),
}

/// Faults with their times in nanoseconds, ascending. What a plan breaks it has to mend: after its last fault the cluster
/// must come to rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan(pub Vec<(u64, Fault)>);

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// When the last fault happens; 0 if there is none.
    pub fn end_ns(&self) -> u64 {
        self.0.last().map_or(0, |(at, _)| *at)
    }
}
