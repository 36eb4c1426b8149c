//! The stage on which a script acts before an exploration begins, step by step.

use protocols::{
    ReplicaId,
    explored::{Stage, Subject},
};

use super::Model;
use crate::{
    flight::Packet,
    state::{Action, Event, State},
};

/// The stage of one script: a model, and the state that it has come to.
#[derive(Debug)]
pub(crate) struct Scene<'m, R: Subject> {
    model: &'m Model<R>,
    state: State,
}

impl<'m, R: Subject> Scene<'m, R> {
    pub(crate) const fn new(model: &'m Model<R>, state: State) -> Self {
        Self { model, state }
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }

    fn matching(&self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) -> Vec<Packet> {
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

impl<R: Subject> Stage<R> for Scene<'_, R> {
    fn propose(&mut self, proposal: u8) {
        self.take(Event::Propose(proposal));
    }

    fn deliver(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) -> usize {
        let now = self.matching(matches);
        for packet in &now {
            self.take(Event::Deliver(*packet));
        }
        assert!(!now.is_empty(), "the script delivers what was not sent");
        now.len()
    }

    fn deliver_copies(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) -> usize {
        let now = self.matching(matches);
        for packet in &now {
            self.take(Event::DeliverCopy(*packet));
        }
        assert!(!now.is_empty(), "the script delivers what was not sent");
        now.len()
    }

    fn lose(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) {
        for packet in self.matching(matches) {
            self.take(Event::Lose(packet));
        }
    }

    fn fire(&mut self, replica: u8, timer: R::Timer) {
        let replica = ReplicaId(replica);
        let running = &self.model.host(&self.state, replica).timers;
        assert!(running.contains(&timer), "{timer:?} does not run at {replica}: {running:?}");
        self.take(Event::Fire(replica, self.model.timer_number(timer)));
    }

    fn is_undecided(&self, replica: u8) -> bool {
        self.model.host(&self.state, ReplicaId(replica)).has_committed_nothing()
    }

    fn crash(&mut self, replica: u8) {
        self.take(Event::Crash(ReplicaId(replica)));
    }

    fn restart(&mut self, replica: u8) {
        self.take(Event::Restart(ReplicaId(replica)));
    }
}
