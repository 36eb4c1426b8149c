//! A script's hands: what happened before an exploration begins, step by step.

use protocols::ReplicaId;

use crate::{
    flight::Packet,
    model::Model,
    state::{Action, Event, State},
    subject::Subject,
};

/// Leads a configuration from its start to where its exploration begins. Whatever a script asks for must be possible: a
/// script that does not fit the protocol any more fails loudly.
#[derive(Debug)]
pub struct Director<'m, R: Subject> {
    model: &'m Model<R>,
    state: State,
}

impl<'m, R: Subject> Director<'m, R> {
    pub(crate) const fn new(model: &'m Model<R>, state: State) -> Self {
        Self { model, state }
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }

    /// The configuration's proposal with this index is made.
    pub fn propose(&mut self, proposal: u8) {
        self.take(Event::Propose(proposal));
    }

    /// What is under way now and matches (sender, receiver, message) is delivered, in the order in which it was first
    /// sent; says how many messages that were.
    pub fn deliver(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) -> usize {
        let now = self.matching(matches);
        for packet in &now {
            self.take(Event::Deliver(*packet));
        }
        assert!(!now.is_empty(), "the script delivers what was not sent");
        now.len()
    }

    /// The same, and it stays under way.
    pub fn deliver_copies(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) -> usize {
        let now = self.matching(matches);
        for packet in &now {
            self.take(Event::DeliverCopy(*packet));
        }
        assert!(!now.is_empty(), "the script delivers what was not sent");
        now.len()
    }

    /// What is under way now and matches is lost.
    pub fn lose(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) {
        for packet in self.matching(matches) {
            self.take(Event::Lose(packet));
        }
    }

    /// A timer of a replica, which runs there, runs out.
    pub fn fire(&mut self, replica: u8, timer: R::Timer) {
        let replica = ReplicaId(replica);
        let running = &self.model.host(&self.state, replica).timers;
        assert!(running.contains(&timer), "{timer:?} does not run at {replica}: {running:?}");
        self.take(Event::Fire(replica, self.model.timer_number(timer)));
    }

    /// Has this replica committed nothing yet?
    pub fn is_undecided(&self, replica: u8) -> bool {
        self.model.host(&self.state, ReplicaId(replica)).has_committed_nothing()
    }

    /// A replica dies.
    pub fn crash(&mut self, replica: u8) {
        self.take(Event::Crash(ReplicaId(replica)));
    }

    /// A replica comes back.
    pub fn restart(&mut self, replica: u8) {
        self.take(Event::Restart(ReplicaId(replica)));
    }

    fn matching(&self, matches: impl Fn(u8, u8, &R::Message) -> bool) -> Vec<Packet> {
        let fits = |packet: &Packet| {
            let envelope = self.model.envelope(packet.number);
            matches(envelope.from.0, envelope.to.0, &envelope.message)
        };
        self.model.flight(&self.state).filter(fits).collect()
    }

    fn take(&mut self, event: Event) {
        let action: Action = self.model.act(&self.state, event);
        self.state = self.model.next(&self.state, action);
        let breach = self.model.breach(&self.state);
        assert!(breach.is_none(), "the script breaks a rule: {breach:?}");
    }
}
