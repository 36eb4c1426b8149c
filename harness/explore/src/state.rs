//! States and what leads from one to the next, in numbers: what they stand for is in the tables of the
//! [model](crate::model).

use protocols::{
    ReplicaId,
    explored::{Bounds, TIMER_KINDS_MAX},
};
use smallvec::SmallVec;

use crate::flight::{Flight, Number, Packet};

/// All replicas, all that is under way, and what may still go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) hosts: SmallVec<[Number; 5]>,
    pub(crate) flight: Flight,
    pub(crate) ledger: Number,
    /// Which of the configuration's proposals have been made, a bit each.
    pub(crate) proposed: u32,
    pub(crate) left: Left,
    pub(crate) breach: Option<Number>,
}

/// How much of what is bounded may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) losses: u8,
    pub(crate) duplicates: u8,
    pub(crate) overtakings: u8,
    pub(crate) crashes: u8,
    pub(crate) restarts: u8,
    pub(crate) checkpoints: u8,
    pub(crate) timers: [u8; TIMER_KINDS_MAX],
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    pub(crate) event: Event,
    /// The replica's step, and which of its outcomes: the whole, or one cut short by a crash.
    pub(crate) step: Number,
    pub(crate) cut: Option<u8>,
}

impl Action {
    /// Does the replica die in the middle of it?
    pub(crate) const fn is_cut_short(&self) -> bool {
        self.cut.is_some()
    }
}

/// What happens to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A client of a replica proposes, as the configuration says under this index.
    Propose(u8),
    /// A message arrives.
    Deliver(Packet),
    /// A message arrives before one that was sent before it on the same link.
    Overtake(Packet),
    /// A message arrives, and is to arrive again.
    DeliverCopy(Packet),
    /// A message is lost.
    Lose(Packet),
    /// A timer of a replica runs out.
    Fire(ReplicaId, Number),
    /// A replica is given the machine's state that it asked for.
    Capture(ReplicaId),
    /// A replica is told that all that was ready has been stepped.
    Flush(ReplicaId),
    /// A replica is given the machine's state, to forget what led there.
    Checkpoint(ReplicaId),
    /// A replica dies.
    Crash(ReplicaId),
    /// A replica comes back.
    Restart(ReplicaId),
}

impl Left {
    /// For a prefix, which is not bounded.
    pub(crate) const ENOUGH: Self = Self {
        losses: u8::MAX,
        duplicates: u8::MAX,
        overtakings: u8::MAX,
        crashes: u8::MAX,
        restarts: u8::MAX,
        checkpoints: u8::MAX,
        timers: [u8::MAX; TIMER_KINDS_MAX],
    };

    pub(crate) const fn new(bounds: &Bounds) -> Self {
        Self {
            losses: bounds.losses,
            duplicates: some_or_none(bounds.duplicates),
            overtakings: some_or_none(bounds.overtakings),
            crashes: bounds.crashes,
            restarts: bounds.restarts,
            checkpoints: bounds.checkpoints,
            timers: bounds.timers,
        }
    }
}

/// Where there is no bound there is nothing to count.
const fn some_or_none(bound: Option<u8>) -> u8 {
    match bound {
        Some(bound) => bound,
        None => 0,
    }
}
