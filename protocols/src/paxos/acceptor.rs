//! Phase 1b and 2b: what a replica promises and accepts, slot by slot.

use super::{
    message::{Message, Record},
    replica::{Entry, Paxos},
};
use crate::{
    ballot::Ballot,
    command::Batch,
    id::{ReplicaId, Slot},
    replica::Effects,
};

impl Paxos {
    pub(super) fn on_prepare(
        &mut self,
        from: ReplicaId,
        slot: Slot,
        ballot: Ballot,
        effects: &mut Effects<Self>,
    ) {
        if self.answer_settled(from, slot, effects) {
            return;
        }
        let entry = self.log.make(slot).expect("a collected slot is settled");
        if ballot < entry.promised {
            effects.reply(from, Message::Refuse { slot, ballot, promised: entry.promised });
            return;
        }
        let accepted = (entry.ballot != Ballot::ZERO).then(|| (entry.ballot, entry.batch.clone()));
        // At the ballot held the Prepare is a repetition, and gets its answer again.
        if ballot > entry.promised {
            self.log.amend(slot, |entry| entry.promised = ballot);
            effects.persist(Record::Promised { slot, ballot });
        }
        effects.reply(from, Message::Promise { slot, ballot, accepted });
    }

    pub(super) fn on_accept(
        &mut self,
        from: ReplicaId,
        slot: Slot,
        ballot: Ballot,
        batch: Batch,
        effects: &mut Effects<Self>,
    ) {
        if self.answer_settled(from, slot, effects) {
            return;
        }
        let executed = self.executed;
        let unknown = Entry::default();
        let entry = self.log.get(slot).unwrap_or(&unknown);
        if ballot < entry.promised {
            effects.reply(from, Message::Refuse { slot, ballot, promised: entry.promised });
            return;
        }
        if ballot == entry.ballot {
            assert!(entry.batch == batch, "two batches are proposed at slot {slot} and {ballot:?}");
        } else {
            effects.persist(Record::Accepted { slot, ballot, batch: batch.clone(), executed });
            let is_put =
                self.log.put(slot, Entry { promised: ballot, ballot, batch, decided: false });
            assert!(is_put, "a collected slot is settled");
            self.highest = self.highest.max(slot);
        }
        effects.reply(from, Message::Accepted { slot, ballot });
        self.retransmit_later(effects);
    }

    /// Answers a request about a slot that needs no ballot any more. True if that was all there is to do.
    fn answer_settled(&self, from: ReplicaId, slot: Slot, effects: &mut Effects<Self>) -> bool {
        if slot <= self.log.collected() {
            effects.reply(from, Message::Discarded { through: self.log.collected() });
            return true;
        }
        if let Some(entry) = self.log.get(slot)
            && entry.decided
        {
            let batches = vec![entry.batch.clone()];
            effects.reply(from, Message::Decided { first: slot, batches });
            return true;
        }
        // As good as lost: this replica must catch up first.
        slot > self.highest_slot_kept()
    }
}
