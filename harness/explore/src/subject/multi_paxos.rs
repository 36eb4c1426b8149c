//! Multi-Paxos as a subject.

use protocols::{
    Effect, InstanceId, ReplicaId,
    multi_paxos::{Message, MultiPaxos, Timer},
};

use super::Subject;
use crate::{
    mark::{Mark, Marks},
    setups::{self, Setup},
};

/// Indices into the kinds of timers.
pub(crate) const ELECTION: usize = 0;
pub(crate) const HEARTBEAT: usize = 1;
pub(crate) const RETRANSMIT: usize = 2;

impl Subject for MultiPaxos {
    const TIMER_KINDS: &'static [&'static str] = &["election", "heartbeat", "retransmit", "supply"];

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
                Marks::only(Mark::LeaderChanged)
            }
            _ => Marks::NONE,
        }
    }

    /// Even a late vote tells the leader how far its sender is.
    fn meaningless_after(_: &Message) -> Option<InstanceId> {
        None
    }

    fn setups() -> Vec<Setup<Self>> {
        setups::multi_paxos::all()
    }
}
