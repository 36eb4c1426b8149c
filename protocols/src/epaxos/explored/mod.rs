//! What a model checker must know of EPaxos.

mod branches;
mod dead_owners;
mod mark;
mod sosp13;
mod star;

use self::mark::{PHASE_ONE_AGAIN, VALIDATED, WAITED};
use super::{ConflictWindow, EPaxos, Execution, Message, Timer};
use crate::{
    Effect, Input, InstanceId, ReplicaId,
    explored::{Bounds, Marks, Proposal, Setup, Subject},
};

/// Indices into the kinds of timers.
pub(super) const ROW: usize = 0;
pub(super) const INSTANCE: usize = 1;
pub(super) const RETRANSMIT: usize = 2;
pub(super) const PROGRESS: usize = 3;
pub(super) const FAST_QUORUM: usize = 4;

impl Subject for EPaxos {
    const MARKS: &'static [&'static str] = &mark::NAMES;

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
            Effect::Send { message: Message::Validate { .. }, .. } => Marks::only(VALIDATED),
            Effect::Send { message: Message::Waiting { .. }, .. } => Marks::only(WAITED),
            Effect::Send { message: Message::PreAcceptAgain { .. }, .. } => {
                Marks::only(PHASE_ONE_AGAIN)
            }
            _ => Marks::NONE,
        }
    }

    fn marks_between(before: &Self, input: &Input<Self>, after: &Self) -> Marks {
        branches::taken(before, input, after)
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
        let mut all = star::all();
        all.extend(sosp13::all());
        all
    }
}

/// Three commands that conflict, executed by the bounded rule.
fn bounded(bounds: Bounds, reach: Marks) -> Setup<EPaxos> {
    let about = "three commands, ordered links, executed by the bounded rule";
    let mut setup = Setup::plain("bounded", about, 3, 3, bounds, reach);
    setup.config.options.put(Execution::Bounded);
    setup
}

/// Two commands at one replica that conflict, the second of which waits for the first, and one at
/// another; by the bounded rule.
fn windowed(bounds: Bounds, reach: Marks) -> Setup<EPaxos> {
    let about = "a command waits for an earlier one of its row, and one of another row conflicts";
    let mut setup = Setup::plain("window", about, 3, 3, bounds, reach);
    setup.proposals[2] = Proposal { command: 2, replica: ReplicaId(0) };
    setup.config.options.put(Execution::Bounded);
    setup.config.options.put(ConflictWindow::of(1));
    setup
}
