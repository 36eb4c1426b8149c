//! What a replica that is rebuilt from its records must know of what the living one does.

use super::replica::{Entry, MultiPaxos};

impl MultiPaxos {
    /// What `rebuilt` lacks, in words. That a slot is decided may be forgotten as long as its batch
    /// is known as accepted: the next leader finds it again.
    pub(super) fn not_in(&self, rebuilt: &Self) -> Option<String> {
        if rebuilt.promised != self.promised {
            let (lives, recorded) = (self.promised, rebuilt.promised);
            return Some(format!("{lives:?} is promised, {recorded:?} is on record"));
        }
        if rebuilt.executed > self.executed {
            return Some(format!("slot {} was never executed", rebuilt.executed));
        }
        let unknown = Entry::default();
        for slot in rebuilt.executed + 1..=self.executed.max(self.log.last()) {
            let known = rebuilt.log.get(slot).unwrap_or(&unknown);
            let lives = self.log.get(slot);
            let lacks = match lives {
                None => !known.is_known(),
                Some(entry) if entry.decided => !known.is_known() || known.batch != entry.batch,
                Some(entry) if entry.is_known() => {
                    known.ballot != entry.ballot || known.batch != entry.batch
                }
                Some(_) => false,
            };
            if lacks {
                return Some(format!("slot {slot}: {lives:?} lives, {known:?} is on record"));
            }
        }
        None
    }
}
