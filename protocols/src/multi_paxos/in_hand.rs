//! Which slot of a leader's log has which batch, so that a batch that comes twice is not ordered
//! twice.
//!
//! All batches are noted, whichever replica they come from. The driver notices if a client of this
//! replica asks twice, but two other cases remain. A client that waits for too long asks another
//! replica, which forwards the same bytes. And a new leader proposes what it has forwarded before,
//! while slots of the leader before it may hold the same batches.

use super::replica::Entry;
use crate::{
    command::Batch,
    id::Slot,
    key_map::{KeyMap, key_hash},
    log::SlotLog,
};

/// chosen: so many slots that have left the log stay noted, whatever its length. They take 32 KiB.
const GONE_MAX: usize = 1 << 10;

/// The slots by the hash of their batches' bytes; of equal batches the slot noted last. Slots that
/// have left the log are forgotten many at a time, at a constant price a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct InHand(KeyMap<Slot>);

impl InHand {
    /// What `log` has.
    pub(super) fn of(log: &SlotLog<Entry>) -> Self {
        let mut in_hand = Self::default();
        for (slot, entry) in log.iter() {
            in_hand.note(&entry.batch, slot, log);
        }
        in_hand
    }

    /// `slot` of `log` has `batch`, or will have it.
    pub(super) fn note(&mut self, batch: &Batch, slot: Slot, log: &SlotLog<Entry>) {
        if !batch.is_noop() {
            self.make_room(log);
            self.0.insert(key_hash(batch.as_bytes()), slot);
        }
    }

    /// The slot of `log` above `executed` that has `batch`; if none does, notes that `slot` will
    /// have it.
    pub(super) fn find_or_note(
        &mut self,
        batch: &Batch,
        executed: Slot,
        slot: Slot,
        log: &SlotLog<Entry>,
    ) -> Option<Slot> {
        self.make_room(log);
        let noted = self.0.get_or_insert_with(key_hash(batch.as_bytes()), || slot);
        // What was noted may have left the log, or have been replaced in it.
        let is_there = *noted > executed && log.get(*noted).is_some_and(|it| it.batch == *batch);
        if is_there {
            return Some(*noted);
        }
        *noted = slot;
        None
    }

    fn make_room(&mut self, log: &SlotLog<Entry>) {
        if self.0.len() >= 2 * log.len() + GONE_MAX {
            self.0.retain(|slot| *slot > log.collected());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::numbered as batch;

    /// A log with a batch of its own in each slot, and what is in hand of it.
    fn filled(slots: Slot) -> (SlotLog<Entry>, InHand) {
        let mut log = SlotLog::<Entry>::new();
        for slot in 1..=slots {
            log.ensure(slot).unwrap().batch = batch(slot);
        }
        let in_hand = InHand::of(&log);
        (log, in_hand)
    }

    #[test]
    fn a_batch_is_found_while_its_slot_has_it() {
        let (mut log, mut in_hand) = filled(3);
        assert_eq!(in_hand.find_or_note(&batch(2), 1, 4, &log), Some(2));
        assert_eq!(in_hand.find_or_note(&batch(2), 2, 4, &log), None, "it is executed");
        log.ensure(4).unwrap().batch = batch(2);
        assert_eq!(in_hand.find_or_note(&batch(2), 2, 5, &log), Some(4), "noted last");
        log.get_mut(3).unwrap().batch = batch(7);
        assert_eq!(in_hand.find_or_note(&batch(3), 0, 5, &log), None, "another took its place");
        log.ensure(5).unwrap().batch = batch(3);
        log.collect(1);
        assert_eq!(in_hand.find_or_note(&batch(1), 0, 6, &log), None, "it is gone");
        log.ensure(6).unwrap().batch = batch(1);
        assert_eq!(in_hand.find_or_note(&batch(1), 0, 7, &log), Some(6));
    }

    #[test]
    fn what_left_the_log_is_forgotten() {
        let (mut log, mut in_hand) = filled(3);
        let mut most = 0;
        for slot in 4..10_000 {
            assert_eq!(in_hand.find_or_note(&batch(slot), 0, slot, &log), None);
            log.ensure(slot).unwrap().batch = batch(slot);
            log.collect(slot - 3);
            most = most.max(in_hand.0.len());
            assert_eq!(in_hand.find_or_note(&batch(slot - 2), 0, 0, &log), Some(slot - 2));
        }
        assert!((GONE_MAX..GONE_MAX + 20).contains(&most), "{most}");
    }
}
