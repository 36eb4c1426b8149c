//! What the explorer must know of a protocol beside how to step it: little, and nothing of how it works inside.

pub(crate) mod epaxos;
pub(crate) mod multi_paxos;
pub(crate) mod paxos;

use protocols::{Effect, InstanceId, Replica};

use crate::{mark::Marks, setups::Setup};

/// The most kinds of timers that a protocol has.
pub const TIMER_KINDS_MAX: usize = 5;

/// A protocol that can be explored.
pub trait Subject: Replica {
    /// The kinds of timers, by name. A configuration bounds how often timers of each kind run out.
    const TIMER_KINDS: &'static [&'static str];

    /// The kind of a timer, as an index into [`Subject::TIMER_KINDS`].
    fn timer_kind(timer: &Self::Timer) -> usize;

    /// What carrying out `effect` shows to have happened, beside what every protocol has in common.
    fn marks(effect: &Effect<Self>) -> Marks;

    /// The instance whose commit at the receiver makes `message` meaningless there, for as long as that replica lives: it
    /// is an answer that counts towards a decision, and changes nothing once the decision is known.
    fn meaningless_after(message: &Self::Message) -> Option<InstanceId>;

    /// The configurations that belong to this protocol, of EPaxos those of either variant, the corrected one's first. Names
    /// differ within a variant.
    fn setups() -> Vec<Setup<Self>>;
}
