//! Which slot of a leader's log has which batch, so that a batch that comes twice is not ordered
//! twice.

use super::replica::Entry;
use crate::{
    command::Batch,
    id::Slot,
    key_map::{KeyMap, key_hash},
    log::SlotLog,
};

/// The slots by the hash of their batches' bytes; of equal batches the slot noted last. As large as
/// the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct InHand(KeyMap<Slot>);

impl InHand {
    /// What `log` has.
    pub(super) fn of(log: &SlotLog<Entry>) -> Self {
        let mut in_hand = Self::default();
        for (slot, entry) in log.iter() {
            in_hand.note(&entry.batch, slot);
        }
        in_hand
    }

    /// `slot` has `batch`.
    pub(super) fn note(&mut self, batch: &Batch, slot: Slot) {
        if !batch.is_noop() {
            self.0.insert(key_hash(batch.as_bytes()), slot);
        }
    }

    /// `slot`, which has `batch`, leaves the log.
    pub(super) fn forget(&mut self, batch: &Batch, slot: Slot) {
        let hash = key_hash(batch.as_bytes());
        if self.0.get(hash) == Some(&slot) {
            self.0.remove(hash);
        }
    }

    /// The slot of `log` that has `batch`. What was noted may have been replaced in the log since.
    pub(super) fn slot_of(&self, batch: &Batch, log: &SlotLog<Entry>) -> Option<Slot> {
        let slot = *self.0.get(key_hash(batch.as_bytes()))?;
        log.get(slot).is_some_and(|entry| entry.batch == *batch).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::numbered as batch;

    #[test]
    fn a_batch_is_found_while_its_slot_has_it() {
        let mut log = SlotLog::<Entry>::new();
        for slot in 1..=3 {
            log.ensure(slot).unwrap().batch = batch(slot);
        }
        let mut in_hand = InHand::of(&log);
        assert_eq!(in_hand.slot_of(&batch(2), &log), Some(2));
        assert_eq!(in_hand.slot_of(&batch(4), &log), None);
        log.get_mut(2).unwrap().batch = batch(4);
        assert_eq!(in_hand.slot_of(&batch(2), &log), None, "another took its place");
        log.ensure(4).unwrap().batch = batch(1);
        in_hand.note(&batch(1), 4);
        in_hand.forget(&batch(1), 1);
        assert_eq!(in_hand.slot_of(&batch(1), &log), Some(4), "where it was noted last");
        in_hand.forget(&batch(1), 4);
        assert!(in_hand.slot_of(&batch(1), &log).is_none());
    }
}
