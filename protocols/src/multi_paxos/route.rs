//! How the batches of a follower's clients get to the leader: straight, or through a peer.
//!
//! While a fault lasts, a majority may answer a leader that does not hear some other replica, that
//! this one does not hear, or that hears it late. It is no reason for an election: the next leader
//! may be no better. Such a replica asks who hears the leader and is heard by it in time, sends
//! its batches to one of those, and learns from that one what is decided. One peer between is
//! enough: whatever majority hears each other, one of it is among those that keep the leader in its
//! place, since these are, the leader included, a majority, too.

use super::{
    message::Message,
    pre_vote::Watch,
    replica::{MultiPaxos, Role},
};
use crate::{
    command::Batch,
    id::{ReplicaId, Slot},
    replica::Effects,
};

/// What a follower knows of its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    /// Do this replica's answers reach the leader in time, as far as the leader has said?
    pub(super) is_heard: bool,
    /// The peer that batches go through while the straight way is broken.
    via: Option<ReplicaId>,
    /// Has it said in this period that it hears the leader?
    is_fresh: bool,
}

impl Default for Route {
    /// Straight, to a leader of which nothing is known yet.
    fn default() -> Self {
        Self { is_heard: true, via: None, is_fresh: false }
    }
}

impl MultiPaxos {
    /// Does this replica follow a leader that it hears, and that hears it?
    pub(super) fn is_led(&self) -> bool {
        let follows = matches!(self.role, Role::Follower) && self.leader.is_some();
        follows && self.watch == Watch::Hearing && self.route.is_heard
    }

    /// Sends `batch` on its way to the leader, if there is any.
    pub(super) fn forward(&self, batch: Batch, effects: &mut Effects<Self>) {
        let executed = self.executed;
        match (self.leader, self.route.via) {
            (_, Some(via)) if !self.is_led() => {
                effects.reply(via, Message::Relay { batch, executed });
            }
            (Some(leader), _) if leader != self.id => {
                effects.reply(leader, Message::Forward { batch, executed });
            }
            _ => {}
        }
    }

    /// Sends everything that waits on a new way.
    pub(super) fn forward_all(&mut self, effects: &mut Effects<Self>) {
        if self.outbox.is_empty() {
            return;
        }
        let all: Vec<Batch> = self.outbox.all_sent().cloned().collect();
        for batch in all {
            self.forward(batch, effects);
        }
        self.retransmit_later(effects);
    }

    /// Sends again what was forwarded and seems lost, and asks for a way where there is none. Is
    /// anything left to watch?
    pub(super) fn resend_forwards(&mut self, effects: &mut Effects<Self>) -> bool {
        if self.outbox.is_empty() {
            return false;
        }
        if !self.is_led() {
            self.ask_for_a_way(effects);
        }
        for batch in self.outbox.due(&self.proposed()) {
            self.forward(batch, effects);
        }
        true
    }

    fn ask_for_a_way(&mut self, effects: &mut Effects<Self>) {
        if !std::mem::take(&mut self.route.is_fresh) {
            self.route.via = None;
        }
        // While it asks for consent, that question is repeated.
        if !matches!(self.watch, Watch::Asking(_)) {
            effects.send(self.others, Message::PreVote { poll: self.polls });
        }
    }

    /// `from` hears the leader, or leads, and has executed everything through `executed`.
    pub(super) fn on_led(&mut self, from: ReplicaId, executed: Slot, effects: &mut Effects<Self>) {
        if self.is_led() || !matches!(self.role, Role::Follower) {
            return;
        }
        let is_new = self.route.via.is_none();
        let via = *self.route.via.get_or_insert(from);
        if via != from {
            return;
        }
        self.route.is_fresh = true;
        if executed > self.executed {
            self.seek(executed, from, effects);
        }
        if is_new {
            self.forward_all(effects);
        }
    }

    /// `from`, which has executed everything through `executed`, has a batch for the leader.
    pub(super) fn on_relay(
        &mut self,
        from: ReplicaId,
        batch: Batch,
        executed: Slot,
        effects: &mut Effects<Self>,
    ) {
        match (&self.role, self.leader) {
            (Role::Leader(_), _) => self.on_forward(batch, executed, effects),
            (Role::Follower, Some(leader)) if leader != from => {
                effects.reply(leader, Message::Forward { batch, executed });
            }
            // It asks again, and hears that there is no way through this replica.
            _ => {}
        }
    }
}
