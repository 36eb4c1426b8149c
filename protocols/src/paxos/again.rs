//! What a proposer sends again to each of the others: what that one has not answered, as fast as it
//! takes it in, in bytes ([`pacing`](crate::pacing)).

use super::{message::Message, proposer::Phase, replica::Paxos};
use crate::{
    id::{ReplicaId, Slot},
    pacing::Pacing,
    replica::Effects,
};

/// What is sent again to one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Again {
    pacing: Pacing,
    /// What it has not answered through this slot has been sent since the rounds began again.
    sent_through: Slot,
    /// The last slot of the round under way.
    last: Slot,
}

impl Paxos {
    /// A period has passed: begins rounds for those that are not in the middle of one.
    pub(super) fn resend_proposals(&mut self, effects: &mut Effects<Self>) {
        for attempt in &mut self.attempts {
            attempt.grow_older();
        }
        for peer in self.others.iter() {
            let again = &mut self.again[peer.index()];
            if again.pacing.passed(1) {
                again.sent_through = 0;
                self.send_again(peer, effects);
            }
        }
    }

    /// `peer` has answered something about `slot`. If that was the last one of a round, the next
    /// one begins.
    pub(super) fn note_taken_in(
        &mut self,
        peer: ReplicaId,
        slot: Slot,
        effects: &mut Effects<Self>,
    ) {
        let again = &mut self.again[peer.index()];
        if again.last == slot && again.pacing.progressed() {
            self.send_again(peer, effects);
        }
    }

    /// Sends `peer` one round of what it has not answered.
    fn send_again(&mut self, peer: ReplicaId, effects: &mut Effects<Self>) {
        let again = &mut self.again[peer.index()];
        let old = self.attempts.iter().filter(|attempt| attempt.is_old());
        let mut unanswered: Vec<_> = old
            .filter(|attempt| attempt.slot > again.sent_through)
            .filter_map(|attempt| {
                let (slot, ballot) = (attempt.slot, attempt.ballot);
                match &attempt.phase {
                    Phase::Prepare { promises, .. } if !promises.contains(peer) => {
                        Some((slot, 0, Message::Prepare { slot, ballot }))
                    }
                    Phase::Accept { votes, batch } if !votes.contains(peer) => {
                        let (bytes, batch) = (batch.as_bytes().len(), batch.clone());
                        Some((slot, bytes, Message::Accept { slot, ballot, batch }))
                    }
                    Phase::Prepare { .. } | Phase::Accept { .. } | Phase::BackOff => None,
                }
            })
            .collect();
        unanswered.sort_unstable_by_key(|(slot, ..)| *slot);
        let (mut budget, mut last) = (again.pacing.budget(), None);
        for (slot, bytes, message) in unanswered {
            if !budget.take(bytes) {
                break;
            }
            effects.reply(peer, message);
            last = Some(slot);
        }
        if let Some(last) = last {
            (again.sent_through, again.last) = (last, last);
            again.pacing.sent();
        }
    }
}
