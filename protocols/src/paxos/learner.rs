//! Learning what is decided, executing it in order, finishing what others left open, and discarding what everyone has
//! executed.

use super::{
    message::{Message, Record},
    replica::{Entry, Paxos},
};
use crate::{
    Limit,
    ballot::Ballot,
    command::Batch,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, Slot},
    pacing::Pacing,
    replica::{Effect, Effects, Path},
};

/// At the end of which period without progress a replica asks the others about the first open slot. chosen: the first of
/// them may have begun just before it ended.
const PERIODS_BEFORE_ASKING: u32 = 2;
/// At the end of which it finishes the slot itself. chosen: the answer has a whole period to come.
const PERIODS_BEFORE_FILLING: u32 = 3;
/// At the end of which it finishes a slot of which another replica has said that it is decided, and is asked. chosen: the
/// request has gone to a further replica by then; whoever knows the slot answers phase 1 with its decision, too.
const PERIODS_BEFORE_FILLING_KNOWN: u32 = 8;
/// The most holes filled at once. chosen: above a usual window, so that what a crashed proposer left is done in one go.
const HOLES_AT_ONCE: Limit = Limit::new("holes at once", 1, 16);

impl Paxos {
    pub(super) fn on_commit(
        &mut self,
        from: ReplicaId,
        slot: Slot,
        ballot: Ballot,
        effects: &mut Effects<Self>,
    ) {
        // Nothing is to be learnt below the executed slot, and nothing is kept far above it.
        if slot <= self.executed || slot > self.highest_slot_kept() {
            return;
        }
        self.highest = self.highest.max(slot);
        self.retransmit_later(effects);
        match self.log.get(slot) {
            Some(entry) if entry.decided => {}
            // Whatever is accepted at or above the ballot at which a batch was chosen is that batch.
            Some(entry) if entry.ballot >= ballot && entry.ballot != Ballot::ZERO => {
                let batch = entry.batch.clone();
                self.learn(slot, batch, effects);
                self.advance(effects);
                self.fill_window(effects);
            }
            // Its Accept was lost, overtaken or refused.
            _ => effects.reply(from, Message::Fetch { first: slot, last: slot, bytes_max: 0 }),
        }
    }

    /// Another replica says that `batch` is decided at `slot`.
    pub(super) fn learn(&mut self, slot: Slot, batch: Batch, effects: &mut Effects<Self>) {
        // Nothing is to be learnt below the executed slot, and nothing is kept far above it.
        if slot <= self.executed || slot > self.highest_slot_kept() {
            return;
        }
        let unknown = Entry::default();
        let entry = self.log.get(slot).unwrap_or(&unknown);
        if entry.decided {
            assert!(entry.batch == batch, "slot {slot} is decided as two batches");
            return;
        }
        if !entry.is_known() || entry.batch != batch {
            let learnt = Entry { batch: batch.clone(), ..entry.clone() };
            self.log.put(slot, learnt);
            effects.persist(Record::Decided { slot, batch: batch.clone() });
        }
        self.record_decision(slot, batch, Path::Learned, effects);
    }

    /// `slot`, of which the log has the batch, is decided.
    pub(super) fn record_decision(
        &mut self,
        slot: Slot,
        batch: Batch,
        path: Path,
        effects: &mut Effects<Self>,
    ) {
        let decide = |entry: &mut Entry| {
            assert!(!entry.decided, "slot {slot} is decided twice");
            entry.decided = true;
        };
        self.log.amend(slot, decide).expect("only a slot that is held gets decided");
        self.highest = self.highest.max(slot);
        self.settle(slot, &batch);
        self.end_attempt(slot, &batch, effects);
        effects.push(committed(slot, batch, path));
        // The others are told how far this replica is, and are watched until they are there too.
        self.retransmit_later(effects);
    }

    /// Executes what is decided next in the order.
    pub(super) fn advance(&mut self, effects: &mut Effects<Self>) {
        while let Some(entry) = self.log.get(self.executed + 1)
            && entry.decided
        {
            self.executed += 1;
            let instance = InstanceId::single_row(self.executed);
            effects.push(Effect::Execute { instance, batch: entry.batch.clone() });
        }
    }

    /// Says again, to the driver of a new life, what the records know to be decided, and executes it.
    pub(super) fn announce_recovered(&mut self, effects: &mut Effects<Self>) {
        for (slot, entry) in self.log.iter().filter(|(_, entry)| entry.decided) {
            effects.push(committed(slot, entry.batch.clone(), Path::Learned));
        }
        self.advance(effects);
    }

    /// A period has passed. If a slot is known above the executed ones and the order does not go on, asks for what is
    /// missing, and in the end finishes it with no-ops of its own.
    pub(super) fn watch_holes(&mut self, effects: &mut Effects<Self>) {
        let (executed, highest) = (self.executed, self.highest);
        if highest <= executed || self.stalled.0 != executed {
            self.stalled = (executed, 0);
            return;
        }
        self.stalled.1 += 1;
        if self.stalled.1 < PERIODS_BEFORE_ASKING {
            return;
        }
        let furthest = self.others.iter().max_by_key(|other| self.reported[other.index()]);
        if let Some(other) = furthest
            && self.reported[other.index()] > executed
        {
            self.seek(self.reported[other.index()], other, effects);
            // Who knows may be gone for ever. A snapshot on its way brings what nobody can finish any more.
            if self.stalled.1 >= PERIODS_BEFORE_FILLING_KNOWN && !self.catch_up.takes_snapshot() {
                self.fill_holes(effects);
            }
        } else if self.stalled.1 < PERIODS_BEFORE_FILLING {
            // All are asked at once, so for no more than one that nothing is known of yet.
            let (first, bytes_max) = (executed + 1, Pacing::default().bytes());
            effects.send(self.others, Message::Fetch { first, last: highest, bytes_max });
        } else {
            self.fill_holes(effects);
        }
    }

    /// Runs both phases at the first open slots.
    fn fill_holes(&mut self, effects: &mut Effects<Self>) {
        let last = self.highest.min(self.executed + HOLES_AT_ONCE.of(&self.config));
        for slot in self.executed + 1..=last {
            let decided = self.log.get(slot).is_some_and(|entry| entry.decided);
            if !decided && !self.attempts.iter().any(|attempt| attempt.slot == slot) {
                self.attempt(slot, None, effects);
            }
        }
    }

    /// Tells those who are not as far as this replica, or believe something old of it, how far it is.
    pub(super) fn report(&mut self, effects: &mut Effects<Self>) {
        let executed = self.executed;
        let misinformed = std::mem::take(&mut self.misinformed);
        for other in self.others.iter() {
            let yours = self.reported[other.index()];
            if yours != executed || misinformed.contains(other) {
                effects.reply(other, Message::Report { executed, yours });
            }
        }
        self.collect();
    }

    pub(super) fn on_report(
        &mut self,
        from: ReplicaId,
        executed: Slot,
        yours: Slot,
        effects: &mut Effects<Self>,
    ) {
        self.reported[from.index()] = executed;
        // At once, answers would follow each other as fast as the order goes on.
        if yours != self.executed {
            self.misinformed.insert(from);
            self.retransmit_later(effects);
        }
        // What is missing is probably on its way; if not, it is asked for when the period has passed.
        if executed != self.executed {
            self.highest = self.highest.max(executed);
            self.retransmit_later(effects);
        }
        self.collect();
    }

    /// Discards what everyone has executed, or what a silent replica would hold up for too long.
    fn collect(&mut self) {
        let reports = self.others.iter().map(|other| self.reported[other.index()]);
        let everywhere = reports.fold(self.executed, Slot::min);
        let kept = self.executed.saturating_sub(self.config.kept_slots_max);
        self.log.collect(everywhere.max(kept));
        let crowded = self.log.crowded(self.executed, self.config.kept_bytes_max);
        self.log.crowd_out(crowded);
    }
}

fn committed(slot: Slot, batch: Batch, path: Path) -> Effect<Paxos> {
    let instance = InstanceId::single_row(slot);
    Effect::Committed { instance, batch, dependencies: Dependencies::default(), path }
}
