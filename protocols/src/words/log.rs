//! A dense log of one row, of which the head is collected.

use std::collections::VecDeque;

use crate::id::Slot;

/// chosen: room for so many entries is kept, whatever there is in it.
const ROOM_KEPT: usize = 1 << 10;

/// Entries by slot. Slots at or below [`SlotLog::collected`] are gone; a slot above the last entry is not there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotLog<T> {
    entries: VecDeque<T>,
    collected: Slot,
}

impl<T: Default> SlotLog<T> {
    /// An empty log, nothing collected.
    pub fn new() -> Self {
        Self { entries: VecDeque::new(), collected: 0 }
    }

    /// The highest collected slot: this one and all below are gone.
    pub fn collected(&self) -> Slot {
        self.collected
    }

    /// The highest slot that has an entry, or the highest collected one.
    pub fn last(&self) -> Slot {
        self.collected + self.entries.len() as u64
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is no entry held?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `slot`; none if it is collected or beyond the last.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(self.position(slot)?)
    }

    /// The entry at `slot`, to be changed; none if it is collected or beyond the last.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let position = self.position(slot)?;
        self.entries.get_mut(position)
    }

    /// The entry at `slot`, with empty entries made up to it; none if it is collected.
    pub fn ensure(&mut self, slot: Slot) -> Option<&mut T> {
        let position = self.position(slot)?;
        while self.entries.len() <= position {
            self.entries.push_back(T::default());
        }
        self.entries.get_mut(position)
    }

    /// Adds `entry` behind the last one.
    pub fn push(&mut self, entry: T) {
        self.entries.push_back(entry);
    }

    /// Drops every entry at or below `slot`; the log then begins above it, even if it had not reached it.
    pub fn collect(&mut self, slot: Slot) {
        while self.collected < slot {
            self.collected += 1;
            if self.entries.pop_front().is_none() {
                self.collected = slot;
            }
        }
        // A log that was long once gives its room back, a constant price an entry.
        let capacity = self.entries.capacity();
        if capacity > ROOM_KEPT && self.entries.len() < capacity / 4 {
            self.entries.shrink_to((2 * self.entries.len()).max(ROOM_KEPT));
        }
    }

    /// The entries held, with their slots, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (self.collected + 1..).zip(&self.entries)
    }

    fn position(&self, slot: Slot) -> Option<usize> {
        let position = slot.checked_sub(self.collected + 1)?;
        usize::try_from(position).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_start_at_one_and_zero_is_never_there() {
        let mut log = SlotLog::<u32>::new();
        assert_eq!(log.ensure(0), None);
        *log.ensure(3).unwrap() = 7;
        assert_eq!((log.get(1), log.get(3), log.get(4)), (Some(&0), Some(&7), None));
        assert_eq!((log.last(), log.len()), (3, 3));
    }

    #[test]
    fn a_log_that_was_long_gives_its_room_back() {
        let mut log = SlotLog::<u32>::new();
        *log.ensure(100_000).unwrap() = 7;
        log.collect(99_990);
        assert!(log.entries.capacity() <= 2 * ROOM_KEPT, "{}", log.entries.capacity());
        assert_eq!((log.len(), log.get(100_000)), (10, Some(&7)));
    }

    #[test]
    fn collecting_drops_the_head_and_may_go_beyond_the_end() {
        let mut log = SlotLog::<u32>::new();
        *log.ensure(5).unwrap() = 5;
        log.collect(3);
        assert_eq!((log.collected(), log.len(), log.last()), (3, 2, 5));
        assert_eq!((log.get(3), log.get(5)), (None, Some(&5)));
        assert_eq!(log.ensure(2), None);
        log.collect(2);
        assert_eq!(log.collected(), 3, "collecting never goes back");
        log.collect(9);
        assert_eq!((log.collected(), log.len(), log.last()), (9, 0, 9));
        *log.ensure(10).unwrap() = 10;
        assert_eq!(log.iter().collect::<Vec<_>>(), [(10, &10)]);
    }
}
