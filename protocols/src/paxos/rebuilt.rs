//! What a replica that is rebuilt from its records must know of what the living one does.

use super::replica::{Entry, Paxos};
use crate::{ballot::Ballot, id::Slot};

impl Paxos {
    /// What `rebuilt` lacks, in words. That a slot is decided may be forgotten as long as its batch
    /// is known as accepted: phase 1 finds it again.
    pub(super) fn not_in(&self, rebuilt: &Self) -> Option<String> {
        if rebuilt.executed > self.executed {
            return Some(format!("slot {} was never executed", rebuilt.executed));
        }
        let unknown = Entry::default();
        for slot in rebuilt.executed + 1..=self.executed.max(self.log.last()) {
            let known = rebuilt.log.get(slot).unwrap_or(&unknown);
            let lacks = match self.log.get(slot) {
                None => !known.is_known(),
                Some(entry) if entry.decided => !known.is_known() || known.batch != entry.batch,
                Some(entry) => entry.lacks(known),
            };
            if lacks {
                return Some(self.difference(slot, known));
            }
        }
        None
    }

    fn difference(&self, slot: Slot, known: &Entry) -> String {
        format!("slot {slot}: {:?} lives, {known:?} is on record", self.log.get(slot))
    }
}

impl Entry {
    /// Does `rebuilt` not know the promise or the accepted batch of this open slot?
    fn lacks(&self, rebuilt: &Self) -> bool {
        let accepted = self.ballot != Ballot::ZERO;
        rebuilt.promised != self.promised
            || rebuilt.ballot != self.ballot
            || (accepted && rebuilt.batch != self.batch)
    }
}
