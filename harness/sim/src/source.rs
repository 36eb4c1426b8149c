//! Where submissions come from: the clients' side of a run, as the simulation sees it.

use std::{fmt::Debug, ops::RangeInclusive};

use driver::Reply;
use protocols::{Batch, ReplicaId, Request};

use crate::{queue::Nanos, violation::Breach};

/// The clients of a run. They live at sites, know no more than what they are told here, and do everything through an
/// [`Agenda`].
pub trait Source {
    /// What the clients may want to be woken for.
    type Wake: Clone + Debug;

    /// The run begins.
    fn start(&mut self, agenda: &mut Agenda<Self::Wake>);

    /// A time has come that was asked for.
    fn on_wake(&mut self, wake: Self::Wake, agenda: &mut Agenda<Self::Wake>);

    /// A request of `client` is answered, perhaps not for the first time; true if it is the first.
    ///
    /// # Errors
    /// If no correct cluster gives such an answer.
    fn on_reply(
        &mut self,
        client: u32,
        reply: &Reply,
        agenda: &mut Agenda<Self::Wake>,
    ) -> Result<bool, Breach>;

    /// At which site is `client`?
    fn site_of(&self, client: u32) -> ReplicaId;

    /// The replica that was asked knows a request committed, so long after it came in.
    fn on_committed(&mut self, replica: ReplicaId, now_ns: u64, latency_ns: u64);

    /// The replica that was asked has executed a request, so long after it came in.
    fn on_executed(&mut self, _replica: ReplicaId, _now_ns: u64, _latency_ns: u64) {}

    /// A write took effect somewhere, nowhere before: for each key in the one order in which this happens to its writes.
    fn on_effect(&mut self, _request: &Request<'_>) {}

    /// Has all that will ever be asked for been asked and answered?
    fn is_done(&self) -> bool;

    /// What is waited for, in words: for the account of a run that does not end.
    fn waiting(&self) -> String;
}

/// What clients want to happen.
#[derive(Debug)]
pub struct Agenda<W> {
    /// The simulated time, in nanoseconds.
    pub now_ns: u64,
    pub(crate) wishes: Vec<Wish<W>>,
    /// Has a client given something up since it was last looked?
    pub(crate) has_given_up: bool,
}

/// One thing that clients want.
#[derive(Debug)]
pub(crate) enum Wish<W> {
    Ask(Ask),
    Wake { after: RangeInclusive<Nanos>, wake: W },
}

/// A submission on its way to a replica.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub client: u32,
    /// Which replica is asked.
    pub to: ReplicaId,
    /// For what.
    pub batch: Batch,
}

impl<W> Agenda<W> {
    pub(crate) const fn new() -> Self {
        Self { now_ns: 0, wishes: Vec::new(), has_given_up: false }
    }

    /// Sends a submission to a replica.
    pub fn ask(&mut self, ask: Ask) {
        self.wishes.push(Wish::Ask(ask));
    }

    /// Says that a client waits for something no more. That is progress: a client has only so much
    /// to give up.
    pub(crate) fn give_up(&mut self) {
        self.has_given_up = true;
    }

    /// Asks to be woken after a time out of `after`, drawn, in nanoseconds.
    pub fn wake_within(&mut self, after: RangeInclusive<u64>, wake: W) {
        self.wishes.push(Wish::Wake { after, wake });
    }

    /// Asks to be woken at `at_ns`, or now if that is over.
    pub fn wake_at(&mut self, at_ns: u64, wake: W) {
        let after = at_ns.saturating_sub(self.now_ns);
        self.wake_within(after..=after, wake);
    }
}
