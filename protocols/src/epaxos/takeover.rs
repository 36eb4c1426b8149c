//! Taking over a row whose replica is silent: which of its instances are recovered when.
//!
//! A row's timer runs out over an oldest slot that has stayed uncommitted for a whole period. That
//! begins recoveries of what is as old, in a window that slides: each decision in the row starts
//! the next ones, and widens the window, until all that the row's replica left open is under way.
//! So a dead replica's instances take a few round trips, however many they are, and not a period
//! for each window.
//!
//! The window is bounded in instances and in bytes of their commands. It begins small, since the
//! suspicion may be wrong, and the takeover ends at the first sign of that: an answer of the row's
//! own replica, or one that came later than it was waited for. Both lengthen the row's timer as
//! well. What is younger than a period is left to the row's replica as long as the row is heard to
//! grow.
//!
//! One replica at a time leads: the timers are staggered, and decisions of one that leads keep
//! those of the others from running out over the same slot. If two begin all the same, the second
//! one takes the oldest instances from the first, which then starts no more.
//!
//! A replica that has restarted never goes on with what its earlier lives have proposed. It is the
//! one that answers for its row, so that others leave it to it; it takes its own row over.

use std::collections::BTreeMap;

use super::{
    EPaxos,
    instance::{Instance, Watch},
};
use crate::{
    Limit,
    config::Config,
    id::{InstanceId, ReplicaId, Slot},
    replica::Effects,
};

/// chosen: how many instances one run of a row's timer begins to recover before anything is known
/// of the row's replica. That many commands of a live one become no-ops by mistake.
const FIRST_AT_ONCE: Limit = Limit::new("recoveries at first", 1, 64);
/// chosen: so many more may be under way for each that is decided. The window is four times as wide
/// after each recovery's time.
const MORE_PER_DECISION: usize = 3;
/// chosen: how many recoveries of a row are under way at most, with a timer each.
const AT_ONCE: Limit = Limit::new("recoveries at once", 1, 4096);
/// chosen: how many bytes of commands those have at most, unless a single one has more. Each
/// travels to and from every replica.
const BYTES_AT_ONCE: Limit = Limit::new("bytes of recoveries", 1, 4 << 20);

/// A row that this replica takes over, as long as there is something left to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Takeover {
    /// The next slot to look at.
    next: Slot,
    /// Up to here the slots are older than a period.
    old_to: Slot,
    /// Up to here they were known when the takeover began.
    known_to: Slot,
    /// What is under way, with the bytes that it is counted for.
    running: BTreeMap<Slot, usize>,
    /// The sum of those.
    bytes: usize,
    /// What an instance is counted for whose command is not known here: the most that any has had.
    largest: usize,
    /// How many instances may be under way.
    window: usize,
    /// How many may be at most, and with how many bytes.
    window_max: usize,
    bytes_max: usize,
}

impl Takeover {
    fn new(config: &Config) -> Self {
        Self {
            next: 0,
            old_to: 0,
            known_to: 0,
            running: BTreeMap::new(),
            bytes: 0,
            largest: 0,
            window: FIRST_AT_ONCE.count(config),
            window_max: AT_ONCE.count(config),
            bytes_max: BYTES_AT_ONCE.count(config),
        }
    }

    fn has_room(&self) -> bool {
        self.running.is_empty() || (self.running.len() < self.window && self.bytes < self.bytes_max)
    }

    fn begun(&mut self, slot: Slot, known_bytes: Option<usize>) {
        self.largest = self.largest.max(known_bytes.unwrap_or(0));
        let bytes = known_bytes.unwrap_or(self.largest);
        self.running.insert(slot, bytes);
        self.bytes += bytes;
    }

    /// `slot` is decided with a command of so many bytes.
    fn decided(&mut self, slot: Slot, bytes: usize) {
        self.largest = self.largest.max(bytes);
        if let Some(counted) = self.running.remove(&slot) {
            self.bytes -= counted;
            self.window = (self.window + MORE_PER_DECISION).min(self.window_max);
        }
    }
}

impl EPaxos {
    /// The row's oldest uncommitted slot has been so for a whole period: takes the row over.
    pub(super) fn on_row_timer(&mut self, row: ReplicaId, effects: &mut Effects<Self>) {
        let earlier_lives_to = if row == self.id { self.earlier_lives_to } else { 0 };
        let state = &mut self.rows[row.index()];
        let Some(watch) = state.watch.take() else { return };
        let moved = state.committed_to >= watch.oldest;
        if moved {
            state.run_of(watch);
        }
        // Nobody goes on with what an earlier life of this replica has left open.
        let left_open = state.committed_to < earlier_lives_to;
        // A snapshot on its way is likely to bring what is missing.
        if (!moved || left_open) && !self.snapshots.is_fetching() {
            self.take_over(row, watch, effects);
        }
        self.watch_row(row, effects);
    }

    fn take_over(&mut self, row: ReplicaId, watch: Watch, effects: &mut Effects<Self>) {
        let state = &self.rows[row.index()];
        let takeover = self.taking_over.entry(row).or_insert_with(|| Takeover::new(&self.config));
        takeover.next = state.committed_to + 1;
        takeover.old_to = watch.mentioned_to;
        takeover.known_to = state.mentioned_to;
        self.recover_next(row, watch.mentioned_to, effects);
    }

    /// `instance` is decided: its row's takeover goes on, if there is one.
    pub(super) fn go_on_with_takeover(
        &mut self,
        instance: InstanceId,
        effects: &mut Effects<Self>,
    ) {
        let row = instance.row;
        let Some(takeover) = self.taking_over.get_mut(&row) else { return };
        let state = &self.rows[row.index()];
        let bytes = state.log.get(instance.slot).map_or(0, |entry| entry.batch.as_bytes().len());
        takeover.decided(instance.slot, bytes);
        let is_silent = state.mentioned_to == takeover.known_to;
        let to = if is_silent { takeover.known_to } else { takeover.old_to };
        self.recover_next(row, to, effects);
    }

    /// Begins recoveries of slots up to `to`, as far as there is room.
    fn recover_next(&mut self, row: ReplicaId, to: Slot, effects: &mut Effects<Self>) {
        let Some(mut takeover) = self.taking_over.remove(&row) else { return };
        while takeover.next <= to && takeover.has_room() {
            let instance = InstanceId::new(row, takeover.next);
            if !self.is_in_reach_of_others(instance) {
                break; // It waits for earlier ones to be decided.
            }
            takeover.next += 1;
            if self.recover_unless_led(instance, effects) {
                let entry = self.entry(instance).expect("its recovery has begun");
                let is_known = !entry.batch.is_noop();
                takeover.begun(instance.slot, is_known.then(|| entry.batch.as_bytes().len()));
            }
        }
        if takeover.next <= takeover.known_to && !takeover.running.is_empty() {
            self.taking_over.insert(row, takeover);
        }
    }

    /// Begins to recover `instance` if nobody here is about it; true if so.
    fn recover_unless_led(&mut self, instance: InstanceId, effects: &mut Effects<Self>) -> bool {
        if self.recoveries.contains_key(&instance) {
            return false; // Under way, with a timer of its own.
        }
        let log = &mut self.rows[instance.row.index()].log;
        let is_open = |entry: &mut Instance| !entry.is_committed() && entry.leading.is_none();
        let begins = log.ensure(instance.slot).is_some_and(is_open);
        if begins {
            self.begin_recovery(instance, effects);
        }
        begins
    }

    /// Another replica leads `instance` now: if it was a part of a takeover, that one goes on with
    /// it.
    pub(super) fn yield_takeover(&mut self, instance: InstanceId) {
        let takeover = self.taking_over.get(&instance.row);
        if takeover.is_some_and(|takeover| takeover.running.contains_key(&instance.slot)) {
            self.taking_over.remove(&instance.row);
        }
    }

    /// The timer that began to take `row` over was too short.
    pub(super) fn suspected_too_soon(&mut self, row: ReplicaId) {
        self.rows[row.index()].timer_was_short();
        self.taking_over.remove(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All but one in `of` commands are known here, each of so many bytes.
    fn fill(takeover: &mut Takeover, bytes: usize, of: u64) {
        while takeover.has_room() {
            takeover.next += 1;
            let known = !takeover.next.is_multiple_of(of);
            takeover.begun(takeover.next, known.then_some(bytes));
        }
    }

    fn decide_all(takeover: &mut Takeover, bytes: usize) {
        let running: Vec<Slot> = takeover.running.keys().copied().collect();
        running.into_iter().for_each(|slot| takeover.decided(slot, bytes));
        assert_eq!((takeover.bytes, takeover.running.len()), (0, 0));
    }

    #[test]
    fn the_window_widens_with_what_is_decided_up_to_its_bound() {
        let mut takeover = Takeover::new(&Config::new(3));
        let mut widths = Vec::new();
        for _ in 0..5 {
            fill(&mut takeover, 50, 7);
            widths.push(takeover.running.len());
            decide_all(&mut takeover, 50);
        }
        assert_eq!(widths, [64, 256, 1024, 4096, 4096]);
    }

    #[test]
    fn what_another_replica_decides_does_not_widen_it() {
        let mut takeover = Takeover::new(&Config::new(3));
        (1..100).for_each(|slot| takeover.decided(slot, 10));
        fill(&mut takeover, 10, 7);
        assert_eq!(takeover.running.len(), FIRST_AT_ONCE.count(&Config::new(3)));
    }

    #[test]
    fn bytes_bound_it_and_unknown_commands_count_as_the_largest() {
        const LARGE: usize = 256 << 10;
        let mut takeover = Takeover::new(&Config::new(3));
        takeover.decided(1, LARGE);
        // Not one of the commands is known here.
        fill(&mut takeover, 1, 1);
        assert_eq!(takeover.running.len(), takeover.bytes_max / LARGE);
        decide_all(&mut takeover, LARGE);
        let too_large = 2 * takeover.bytes_max;
        fill(&mut takeover, too_large, 2);
        assert_eq!(takeover.running.len(), 1, "one alone may have more");
    }
}
