//! What a model checker must know of Paxos.

mod setups;

use super::{Message, Paxos, Timer};
use crate::{
    Effect, InstanceId,
    explored::{Mark, Marks, Setup, Subject},
};

/// Indices into the kinds of timers.
pub(super) const BACK_OFF: usize = 0;
pub(super) const RETRANSMIT: usize = 1;

/// A proposer met a higher ballot and gave way.
pub(super) const PREEMPTED: Mark = Mark::Own(0);

impl Subject for Paxos {
    const MARKS: &'static [&'static str] = &["preempted"];

    fn timer_kind(timer: &Timer) -> usize {
        match timer {
            Timer::BackOff => BACK_OFF,
            Timer::Retransmit => RETRANSMIT,
            Timer::Supply => 2,
        }
    }

    fn marks(effect: &Effect<Self>) -> Marks {
        match effect {
            Effect::SetTimer { timer: Timer::BackOff, .. } => Marks::only(PREEMPTED),
            _ => Marks::NONE,
        }
    }

    fn meaningless_after(message: &Message) -> Option<InstanceId> {
        match message {
            Message::Promise { slot, .. }
            | Message::Accepted { slot, .. }
            | Message::Refuse { slot, .. } => Some(InstanceId::single_row(*slot)),
            _ => None,
        }
    }

    fn setups() -> Vec<Setup<Self>> {
        setups::all()
    }
}
