//! What a leader sends again to each follower: the Accepts that seem lost, as fast as that follower
//! takes them in, in bytes ([`pacing`](crate::pacing)).
//!
//! A follower that has said nothing for a period lacks all that it has not accepted, and one that
//! has accepted a later slot lacks what is before. A queue that merely is long is not sent twice.

use super::{
    leader::Peer,
    message::Message,
    replica::{MultiPaxos, Role},
};
use crate::{
    id::{ReplicaId, Slot},
    pacing::Pacing,
    replica::Effects,
};

/// What is sent again to one follower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Again {
    pacing: Pacing,
    /// It has said nothing for a period, and lacks what it has not accepted through this slot.
    silent_through: Slot,
    /// What it lacks through this slot has been sent since the rounds began again.
    sent_through: Slot,
    /// The last slot of the round under way.
    last: Slot,
}

impl MultiPaxos {
    /// The retransmission timer ran out: begins rounds for those that are not in the middle of one.
    /// Is anything left to watch?
    pub(super) fn resend_accepts(&mut self, effects: &mut Effects<Self>) -> bool {
        self.propose_kept(effects);
        let (executed, last) = (self.executed, self.log.last());
        let Role::Leader(leader) = &mut self.role else { return false };
        leader.old_through = std::mem::replace(&mut leader.resend_through, last);
        for peer in self.others.iter() {
            let Role::Leader(leader) = &mut self.role else { return false };
            let old_through = leader.old_through;
            let Peer { again, answered, .. } = leader.peer_mut(peer);
            let is_silent = !std::mem::take(answered);
            if again.pacing.passed(1) {
                again.silent_through = if is_silent { old_through } else { 0 };
                again.sent_through = executed;
                self.send_accepts_again(peer, effects);
            }
        }
        last > executed || !self.outbox.is_empty()
    }

    /// `peer` has answered something about `slot`. If that was the last one of a round, the next
    /// one begins.
    pub(super) fn note_taken_in(
        &mut self,
        peer: ReplicaId,
        slot: Slot,
        effects: &mut Effects<Self>,
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        let again = &mut leader.peer_mut(peer).again;
        if again.last == slot && again.pacing.progressed() {
            self.send_accepts_again(peer, effects);
        }
    }

    /// Sends `peer` one round of what it seems to lack.
    fn send_accepts_again(&mut self, peer: ReplicaId, effects: &mut Effects<Self>) {
        let (ballot, commit) = (self.promised, self.executed);
        let Role::Leader(leader) = &mut self.role else { return };
        let (collect, old_through) = (leader.collect, leader.old_through);
        let Peer { again, accepted, .. } = leader.peer_mut(peer);
        let through = again.silent_through.max(accepted.saturating_sub(1)).min(old_through);
        let mut budget = again.pacing.budget();
        let mut last = None;
        for slot in again.sent_through.max(commit) + 1..=through {
            let entry = self.log.get(slot).expect("between the executed and the last slot");
            if !entry.decided && !entry.votes.contains(peer) {
                if !budget.take(entry.batch.as_bytes().len()) {
                    break;
                }
                let batch = entry.batch.clone();
                effects.reply(peer, Message::Accept { ballot, slot, batch, commit, collect });
                last = Some(slot);
            }
            again.sent_through = slot;
        }
        if let Some(last) = last {
            again.last = last;
            again.pacing.sent();
        }
    }
}
