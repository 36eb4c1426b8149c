//! Paxos as a subject.

use protocols::{
    Effect, InstanceId,
    paxos::{Message, Paxos, Timer},
};

use super::Subject;
use crate::{
    mark::{Mark, Marks},
    setups::{self, Setup},
};

/// Indices into the kinds of timers.
pub(crate) const BACK_OFF: usize = 0;
pub(crate) const RETRANSMIT: usize = 1;

impl Subject for Paxos {
    const TIMER_KINDS: &'static [&'static str] = &["back-off", "retransmit", "supply"];

    fn timer_kind(timer: &Timer) -> usize {
        match timer {
            Timer::BackOff => BACK_OFF,
            Timer::Retransmit => RETRANSMIT,
            Timer::Supply => 2,
        }
    }

    fn marks(effect: &Effect<Self>) -> Marks {
        match effect {
            Effect::SetTimer { timer: Timer::BackOff, .. } => Marks::only(Mark::Preempted),
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
        setups::paxos::all()
    }
}
