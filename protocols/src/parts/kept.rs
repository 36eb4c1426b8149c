//! A log that knows how many bytes it holds, and how far it must be collected to hold fewer.
//!
//! Two sums are kept, each at a constant price a step. The one is of all entries, whatever is
//! done to them: what is handed out to be changed is weighed again before anything else is done.
//! Most changes leave an entry's weight, and are made without weighing it ([`KeptLog::amend`]).
//! The other is of the executed entries at the head, which nothing changes any more; it is looked
//! at, and brought up to date, where the first one passes a budget. Past that budget they are given
//! up although a silent replica may still lack them: it takes a snapshot.

use std::{
    hash::{Hash, Hasher},
    ops::Deref,
};

use crate::{id::Slot, log::SlotLog};

/// Something that takes memory.
pub trait Weigh {
    /// Its bytes, those of the batch that it holds included. A batch that several places share
    /// counts once. What is small and of no fixed size, as sets of replicas are, may be left out.
    fn weight(&self) -> u64;
}

/// A [`SlotLog`] that is weighed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeptLog<T> {
    log: SlotLog<T>,
    tally: Tally,
}

/// A function of the log, and what was done to it: no part of what makes two logs equal.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Of all entries, but for what was done to the lent one since it was weighed.
    bytes: u64,
    /// The entry that was handed out last, and its weight before.
    lent: Option<(Slot, u64)>,
    /// Up to here entries are executed, and never change.
    settled: Slot,
    /// Up to here they have been weighed.
    weighed: Slot,
    /// The weight of those that are held.
    settled_bytes: u64,
    crowded_out: u64,
}

impl PartialEq for Tally {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Tally {}

impl Hash for Tally {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for KeptLog<T> {
    type Target = SlotLog<T>;

    fn deref(&self) -> &SlotLog<T> {
        &self.log
    }
}

impl<T: Default + Weigh> KeptLog<T> {
    /// As [`SlotLog::get_mut`].
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.take_back();
        let entry = self.log.get_mut(slot)?;
        self.tally.lent = Some((slot, entry.weight()));
        Some(entry)
    }

    /// As [`SlotLog::ensure`].
    pub fn ensure(&mut self, slot: Slot) -> Option<&mut T> {
        self.take_back();
        let weight = self.make(slot)?.weight();
        self.tally.lent = Some((slot, weight));
        self.log.get_mut(slot)
    }

    /// The entry at `slot`, with empty entries made up to it; none if it is collected.
    pub fn make(&mut self, slot: Slot) -> Option<&T> {
        let last = self.log.last();
        if slot > last {
            self.log.ensure(slot);
            self.tally.bytes += (slot - last) * T::default().weight();
        }
        self.log.get(slot)
    }

    /// Makes `entry` the one at `slot`, with empty entries made up to it; false if that is
    /// collected.
    pub fn put(&mut self, slot: Slot, entry: T) -> bool {
        self.take_back();
        self.tally.bytes += entry.weight();
        if slot == self.log.last() + 1 {
            self.log.push(entry);
            return true;
        }
        if self.make(slot).is_none() {
            self.tally.bytes -= entry.weight();
            return false;
        }
        let place = self.log.get_mut(slot).expect("just made");
        self.tally.bytes -= place.weight();
        *place = entry;
        true
    }

    /// Changes the entry at `slot`, and not its weight: that is not looked at. None if it is
    /// collected or beyond the last.
    #[inline]
    pub fn amend<A>(&mut self, slot: Slot, change: impl FnOnce(&mut T) -> A) -> Option<A> {
        let entry = self.log.get_mut(slot)?;
        let before = if cfg!(debug_assertions) { entry.weight() } else { 0 };
        let changed = change(entry);
        debug_assert_eq!(entry.weight(), before, "slot {slot} weighs no longer what it did");
        Some(changed)
    }

    /// As [`SlotLog::collect`].
    #[inline]
    pub fn collect(&mut self, slot: Slot) {
        // Mostly nothing is to go.
        if slot > self.log.collected() {
            self.collect_more(slot);
        }
    }

    fn collect_more(&mut self, slot: Slot) {
        self.take_back();
        let weighed = self.tally.weighed;
        let (mut bytes, mut settled_bytes) = (0, 0);
        for (gone, entry) in self.log.iter().take_while(|(gone, _)| *gone <= slot) {
            let weight = entry.weight();
            bytes += weight;
            settled_bytes += if gone <= weighed { weight } else { 0 };
        }
        self.tally.bytes -= bytes;
        self.tally.settled_bytes -= settled_bytes;
        self.log.collect(slot);
    }

    /// How far the log must be collected for the executed entries through `settled` to weigh less
    /// than `bytes_max` beside one more: each is counted from the first time on that it is among
    /// them, and must not change from then on. Those that were among them once, and are beyond
    /// `settled` now, weigh as before and stay. The highest collected slot if nothing has to go.
    #[inline]
    pub fn crowded(&mut self, settled: Slot, bytes_max: u64) -> Slot {
        let settled = settled.min(self.log.last());
        self.tally.settled = settled.max(self.tally.settled);
        // Mostly there is room for all, executed or not.
        if self.bytes() < bytes_max {
            return self.log.collected();
        }
        self.without_room(settled, bytes_max)
    }

    fn without_room(&mut self, settled: Slot, bytes_max: u64) -> Slot {
        self.take_back();
        let unweighed = self.tally.weighed.max(self.log.collected()) + 1..=self.tally.settled;
        self.tally.settled_bytes += unweighed.map(|slot| self.weight_at(slot)).sum::<u64>();
        self.tally.weighed = self.tally.settled;
        let (mut gone, mut left) = (self.log.collected(), self.tally.settled_bytes);
        while gone < settled {
            let without = left - self.weight_at(gone + 1);
            if without < bytes_max {
                break;
            }
            (gone, left) = (gone + 1, without);
        }
        gone
    }

    /// Collects through `slot`, which [`KeptLog::crowded`] gave.
    #[inline]
    pub fn crowd_out(&mut self, slot: Slot) {
        self.tally.crowded_out += slot.saturating_sub(self.log.collected());
        self.collect(slot);
    }

    /// How many entries had to go since all together had become too many bytes.
    pub fn crowded_out(&self) -> u64 {
        self.tally.crowded_out
    }

    /// The weight of all entries that are held.
    pub fn bytes(&self) -> u64 {
        let Tally { bytes, lent, .. } = self.tally;
        lent.map_or(bytes, |(slot, before)| bytes - before + self.weight_at(slot))
    }

    /// What was handed out is changed as far as it will be: weighs it.
    fn take_back(&mut self) {
        if let Some((slot, before)) = self.tally.lent.take() {
            self.tally.bytes = self.tally.bytes - before + self.weight_at(slot);
        }
    }

    fn weight_at(&self, slot: Slot) -> u64 {
        self.log.get(slot).map_or(0, Weigh::weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload, which weighs something beside a fixed size, and a mark, which does not.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct Entry(u64, bool);

    impl Weigh for Entry {
        fn weight(&self) -> u64 {
            10 + self.0
        }
    }

    fn recount(log: &KeptLog<Entry>) -> u64 {
        log.iter().map(|(_, entry)| entry.weight()).sum()
    }

    /// Over many orders of everything that may be done to a log.
    #[test]
    fn the_sums_are_what_a_recount_gives() {
        let mut state = 1u64;
        let mut draw = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let (mut log, mut executed, mut counted) = (KeptLog::<Entry>::default(), 0, 0);
        for _ in 0..20_000 {
            match draw(11) {
                0 => drop(log.ensure(log.last() + draw(4))),
                1 | 2 => {
                    // Only what is not executed changes.
                    if let Some(entry) = log.ensure(executed + 1 + draw(6)) {
                        entry.0 = draw(100);
                    }
                }
                3 => {
                    let slot = executed + 1 + draw(6);
                    if let Some(entry) = log.get_mut(slot) {
                        entry.0 += draw(50);
                    }
                }
                7 => drop(log.make(executed + draw(6))),
                8 => {
                    let (slot, collected) = (executed + 1 + draw(6), log.collected());
                    assert!(
                        log.put(slot, Entry(draw(100), false))
                            && !log.put(collected, Entry(7, true))
                    );
                }
                9 => drop(log.amend(executed + draw(6), |entry| entry.1 = true)),
                4 => executed = log.last().min(executed + draw(3)),
                5 => log.collect(executed.saturating_sub(draw(30))),
                6 if draw(50) == 0 => {
                    // As an installed snapshot does.
                    executed += draw(40);
                    log.collect(executed);
                }
                _ => {
                    let (budget, before) = (draw(300), log.collected());
                    // What is executed again after a snapshot is not executed for a while.
                    let settled = executed.saturating_sub(draw(4).saturating_sub(2));
                    let gone = log.crowded(settled, budget);
                    counted = counted.max(settled);
                    let kept = |from: Slot| -> u64 {
                        let counted =
                            log.iter().filter(|(slot, _)| (from..=counted).contains(slot));
                        counted.map(|(_, entry)| entry.weight()).sum()
                    };
                    assert!(gone <= settled.max(before));
                    let is_within = kept(gone + 2) < budget.max(1);
                    assert!(gone >= settled || is_within, "one is beside the budget");
                    assert!(gone == before || kept(gone + 1) >= budget, "no more than must go");
                    let crowded_out = log.crowded_out();
                    log.crowd_out(gone);
                    assert_eq!(log.crowded_out() - crowded_out, gone - before);
                }
            }
            assert_eq!(log.bytes(), recount(&log));
        }
        assert!(log.crowded_out() > 100, "{}", log.crowded_out());
    }

    #[test]
    fn logs_of_the_same_entries_are_equal_however_they_came_to_hold_them() {
        let (mut one, mut other) = (KeptLog::<Entry>::default(), KeptLog::<Entry>::default());
        one.ensure(2).unwrap().0 = 5;
        other.ensure(2).unwrap().0 = 9;
        assert_ne!(one, other);
        other.get_mut(2).unwrap().0 = 5;
        one.crowded(1, 1_000);
        assert_eq!(one, other);
    }
}
