//! What a model checker must know of Multi-Paxos.

mod setups;

use super::{Message, MultiPaxos, Timer};
use crate::{
    Effect, InstanceId, ReplicaId,
    explored::{Mark, Marks, Setup, Subject},
};

/// Indices into the kinds of timers.
pub(super) const ELECTION: usize = 0;
pub(super) const HEARTBEAT: usize = 1;
pub(super) const RETRANSMIT: usize = 2;

/// A replica other than the first leader led.
pub(super) const LEADER_CHANGED: Mark = Mark::Own(0);

impl Subject for MultiPaxos {
    const MARKS: &'static [&'static str] = &["leader changed"];

    fn timer_kind(timer: &Timer) -> usize {
        match timer {
            Timer::Election => ELECTION,
            Timer::Heartbeat => HEARTBEAT,
            Timer::Retransmit => RETRANSMIT,
            Timer::Supply => 3,
        }
    }

    fn marks(effect: &Effect<Self>) -> Marks {
        match effect {
            // A heartbeat is the first thing that a new leader sends. Replica 0 leads first.
            Effect::Send { message: Message::Heartbeat { ballot, .. }, .. }
                if ballot.leader != ReplicaId(0) =>
            {
                Marks::only(LEADER_CHANGED)
            }
            _ => Marks::NONE,
        }
    }

    /// Even a late vote tells the leader how far its sender is.
    fn meaningless_after(_: &Message) -> Option<InstanceId> {
        None
    }

    fn setups() -> Vec<Setup<Self>> {
        setups::all()
    }
}
