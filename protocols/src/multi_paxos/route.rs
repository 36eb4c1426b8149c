//! How the batches of a follower's clients get to the leader: straight, or through a peer.
//!
//! While a fault lasts, a majority may answer a leader although some other replica does not hear
//! it, is not heard by it, or is heard late. An election would not help: the next leader may be no
//! better. Such a replica looks for a peer that the leader and the peer itself hear in time. It
//! sends its batches to that peer, and learns from it what is decided.
//!
//! One peer between is enough. The leader and those that answer it are a majority, and any two
//! majorities have a member in common: so each majority of replicas that hear each other has a
//! member that reaches the leader.

use super::{
    message::Message,
    pre_vote::Watch,
    replica::{MultiPaxos, Role},
};
use crate::{
    command::Batch,
    id::{ReplicaId, Slot},
    parts::batch_queue::Names,
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

    /// Whom batches are sent to, and whether that is the leader.
    fn way(&self) -> Option<(ReplicaId, bool)> {
        match (&self.role, self.route.via) {
            (Role::Follower, Some(via)) if !self.is_led() => Some((via, false)),
            (Role::Follower, _) => self.leader.map(|leader| (leader, true)),
            (Role::Candidate(_) | Role::Leader(_), _) => None,
        }
    }

    fn forward(&self, batches: Vec<Batch>, effects: &mut Effects<Self>) {
        let executed = self.executed;
        let Some((to, is_leader)) = self.way() else { return };
        for batch in batches {
            effects.reply(
                to,
                match is_leader {
                    true => Message::Forward { batch, executed },
                    false => Message::Relay { batch, executed },
                },
            );
        }
    }

    /// `batch` has just been kept: sends it if there is a way, and nothing waits before it.
    pub(super) fn forward_last(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        if self.way().is_some() && self.outbox.sends_last() {
            self.forward(vec![batch], effects);
        }
        self.retransmit_later(effects);
    }

    /// Begins to send everything that waits on a new way.
    pub(super) fn forward_all(&mut self, effects: &mut Effects<Self>) {
        let round = self.outbox.on_new_way();
        self.forward(round, effects);
        if !self.outbox.is_empty() {
            self.retransmit_later(effects);
        }
    }

    /// The leader has taken a round in: sends the next one.
    pub(super) fn forward_more(&mut self, effects: &mut Effects<Self>) {
        if self.way().is_some() {
            let round = self.outbox.round(&Names::default());
            self.forward(round, effects);
        }
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
        if self.way().is_some() {
            let round = self.outbox.on_period(&self.proposed());
            self.forward(round, effects);
        }
        true
    }

    /// What the leader of the promised ballot has proposed and is open here.
    fn proposed(&self) -> Names {
        let open = (self.executed + 1..=self.log.last()).filter_map(|slot| self.log.get(slot));
        open.filter(|entry| entry.ballot == self.promised).map(|entry| &entry.batch).collect()
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
