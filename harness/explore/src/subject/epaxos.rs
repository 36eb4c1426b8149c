//! EPaxos as a subject.

use protocols::{
    Effect, InstanceId,
    epaxos::{EPaxos, Message, Timer},
};

use super::Subject;
use crate::{
    mark::{Mark, Marks},
    setups::{self, Setup},
};

/// Indices into the kinds of timers.
pub(crate) const ROW: usize = 0;
pub(crate) const INSTANCE: usize = 1;
pub(crate) const RETRANSMIT: usize = 2;
pub(crate) const PROGRESS: usize = 3;
pub(crate) const FAST_QUORUM: usize = 4;

impl Subject for EPaxos {
    const TIMER_KINDS: &'static [&'static str] =
        &["row", "instance", "retransmit", "progress", "fast quorum"];

    fn timer_kind(timer: &Timer) -> usize {
        match timer {
            Timer::Row(_) => ROW,
            Timer::Instance(_) => INSTANCE,
            Timer::Retransmit => RETRANSMIT,
            Timer::Progress => PROGRESS,
            Timer::FastQuorum => FAST_QUORUM,
        }
    }

    fn marks(effect: &Effect<Self>) -> Marks {
        match effect {
            Effect::Send { message: Message::Validate { .. }, .. } => Marks::only(Mark::Validated),
            Effect::Send { message: Message::Waiting { .. }, .. } => Marks::only(Mark::Waited),
            Effect::Send { message: Message::PreAcceptAgain { .. }, .. } => {
                Marks::only(Mark::PhaseOneAgain)
            }
            _ => Marks::NONE,
        }
    }

    /// A RecoverOk is not among them: even late it shows that a row's owner lives.
    fn meaningless_after(message: &Message) -> Option<InstanceId> {
        match message {
            Message::PreAcceptOk { instance, .. }
            | Message::AcceptOk { instance, .. }
            | Message::ValidateOk { instance, .. }
            | Message::PreAcceptAgainOk { instance, .. }
            | Message::Refused { instance, .. } => Some(*instance),
            _ => None,
        }
    }

    fn setups() -> Vec<Setup<Self>> {
        let mut all = setups::epaxos::all();
        all.extend(setups::epaxos_sosp13::all());
        all
    }
}
