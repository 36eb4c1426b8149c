//! Phase 1a and 2a: what a replica proposes, how it counts the answers, and how it gives way.

use super::{
    message::{Message, Record, Timer},
    replica::{Entry, Paxos},
};
use crate::{
    ballot::Ballot,
    command::Batch,
    config::doubled,
    id::{ReplicaId, ReplicaSet, Slot},
    parts::batch_queue::Name,
    replica::{Effects, Path},
};

/// The first back-off is between one and three times this fraction of the retransmission period, which is above the
/// largest round trip. chosen: with every preemption it doubles, so that it passes two round trips, which is what the
/// other proposer needs, after four at the latest, and at once where the period has some slack.
const FIRST_BACK_OFF: u32 = 8;
/// How often preemptions at earlier slots double the back-off at most: to four periods. chosen: above what several
/// proposals that follow each other take. Preemptions at one slot double it without end, so that however long messages
/// take, someone is left alone for long enough in the end; and never for longer than the slot was open before.
const DOUBLINGS_MAX: u32 = 5;

/// The proposing of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) slot: Slot,
    pub(super) ballot: Ballot,
    pub(super) phase: Phase,
    /// The batch to propose if the slot is free; none if a hole is filled.
    pub(super) own: Option<Batch>,
    /// The highest ballot that refused this attempt.
    refused_for: Ballot,
    /// How often that has happened.
    preemptions: u32,
    /// How many periods have ended since the phase's message was sent, two at most.
    age: u8,
}

impl Attempt {
    /// A period has ended.
    pub(super) fn grow_older(&mut self) {
        self.age = (self.age + 1).min(2);
    }

    /// Was the phase's message sent before the last whole period began?
    pub(super) fn is_old(&self) -> bool {
        self.age == 2
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Collecting promises; with the highest ballot among them at which anything was accepted, and what.
    Prepare { promises: ReplicaSet, highest: (Ballot, Batch) },
    /// Collecting votes for this batch.
    Accept { votes: ReplicaSet, batch: Batch },
    /// Waiting for the back-off timer.
    BackOff,
}

impl Paxos {
    /// Begins with waiting batches while the window has room, each at the lowest slot that is open.
    pub(super) fn fill_window(&mut self, effects: &mut Effects<Self>) {
        let own = |attempt: &&Attempt| attempt.own.is_some();
        while self.attempts.iter().filter(own).count() < self.window()
            && let Some(batch) = self.queue.pop_front()
        {
            let slot = self.lowest_open_slot();
            self.attempt(slot, Some(batch), effects);
        }
    }

    /// The lowest slot that is undecided as far as known here, and that this replica is not proposing for.
    fn lowest_open_slot(&self) -> Slot {
        let is_open = |slot: &Slot| {
            !self.log.get(*slot).is_some_and(|entry| entry.decided)
                && !self.attempts.iter().any(|attempt| attempt.slot == *slot)
        };
        (self.executed + 1..).find(is_open).expect("slots do not end")
    }

    /// Begins to propose for `slot`.
    pub(super) fn attempt(&mut self, slot: Slot, own: Option<Batch>, effects: &mut Effects<Self>) {
        self.attempts.push(Attempt {
            slot,
            ballot: Ballot::ZERO,
            phase: Phase::BackOff,
            own,
            refused_for: Ballot::ZERO,
            preemptions: 0,
            age: 0,
        });
        self.prepare(slot, effects);
    }

    /// Phase 1a, at a ballot above any seen for the slot.
    fn prepare(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        let (id, losses) = (self.id, self.losses);
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.slot == slot);
        let attempt = attempt.expect("the caller has it");
        let entry = self.log.make(slot).expect("an undecided slot is not collected");
        let mut seen = entry.promised.max(attempt.refused_for);
        // Who lost before takes precedence: else ties would always go to the same replica.
        seen.round = seen.round.max(losses);
        let ballot = seen.next_for(id);
        if ballot.round > 1 {
            self.retries.0 += 1;
        }
        attempt.ballot = ballot;
        attempt.age = 0;
        // The own promise is counted here and now.
        let highest = (entry.ballot, entry.batch.clone());
        self.log.amend(slot, |entry| entry.promised = ballot);
        attempt.phase = Phase::Prepare { promises: ReplicaSet::only(id), highest };
        effects.persist(Record::Promised { slot, ballot });
        effects.send(self.others, Message::Prepare { slot, ballot });
        self.retransmit_later(effects);
        if self.majority() == 1 {
            self.accept_promised(slot, effects);
        }
    }

    pub(super) fn on_promise(
        &mut self,
        from: ReplicaId,
        slot: Slot,
        ballot: Ballot,
        accepted: Option<(Ballot, Batch)>,
        effects: &mut Effects<Self>,
    ) {
        let majority = self.majority();
        // Of an attempt that has ended, or at a ballot that was given up.
        let Some(attempt) = self.attempt_at(slot, ballot) else { return };
        // The majority was there before.
        let Phase::Prepare { promises, highest } = &mut attempt.phase else { return };
        // A repetition.
        if !promises.insert(from) {
            return;
        }
        if let Some(accepted) = accepted
            && accepted.0 > highest.0
        {
            *highest = accepted;
        }
        if promises.len() == majority {
            self.accept_promised(slot, effects);
        }
    }

    /// Phase 2a: with what was accepted at the highest ballot, else with the own batch, else with a no-op.
    fn accept_promised(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        let (id, executed) = (self.id, self.executed);
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.slot == slot);
        let attempt = attempt.expect("the caller has it");
        let Phase::Prepare { highest, .. } = &mut attempt.phase else {
            unreachable!("only promises lead to phase 2");
        };
        let (accepted, adopted) = std::mem::take(highest);
        let ballot = attempt.ballot;
        let entry = self.log.get(slot).expect("phase 1 made it");
        // This replica, as an acceptor, has promised another proposer meanwhile.
        if entry.promised > ballot {
            let promised = entry.promised;
            self.give_way(slot, promised, effects);
            return;
        }
        let batch = if accepted == Ballot::ZERO {
            attempt.own.clone().unwrap_or(Batch::NOOP)
        } else {
            adopted
        };
        let promised = entry.promised;
        self.log.put(slot, Entry { promised, ballot, batch: batch.clone(), decided: false });
        attempt.age = 0;
        attempt.phase = Phase::Accept { votes: ReplicaSet::only(id), batch: batch.clone() };
        self.highest = self.highest.max(slot);
        effects.persist(Record::Accepted { slot, ballot, batch: batch.clone(), executed });
        effects.send(self.others, Message::Accept { slot, ballot, batch });
        if self.majority() == 1 {
            self.choose(slot, effects);
        }
    }

    pub(super) fn on_accepted(
        &mut self,
        from: ReplicaId,
        slot: Slot,
        ballot: Ballot,
        effects: &mut Effects<Self>,
    ) {
        let majority = self.majority();
        // Of an attempt that has ended, or at a ballot that was given up.
        let Some(attempt) = self.attempt_at(slot, ballot) else { return };
        let Phase::Accept { votes, .. } = &mut attempt.phase else { return };
        // A repetition.
        if !votes.insert(from) {
            return;
        }
        if votes.len() == majority {
            self.choose(slot, effects);
        }
    }

    /// A majority accepted what this replica proposes at `slot`.
    fn choose(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        let attempt = self.attempts.iter().find(|attempt| attempt.slot == slot);
        let attempt = attempt.expect("the caller has it");
        let Phase::Accept { batch, .. } = &attempt.phase else {
            unreachable!("only votes choose");
        };
        let (ballot, batch) = (attempt.ballot, batch.clone());
        let path = if attempt.own.as_ref() == Some(&batch) { Path::Slow } else { Path::Recovered };
        effects.send(self.others, Message::Commit { slot, ballot });
        self.record_decision(slot, batch, path, effects);
        self.advance(effects);
        self.fill_window(effects);
    }

    pub(super) fn on_refuse(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        promised: Ballot,
        effects: &mut Effects<Self>,
    ) {
        // Of an attempt that has ended, or at a ballot that was given up.
        if self.attempt_at(slot, ballot).is_some() {
            self.give_way(slot, promised, effects);
        }
    }

    /// Another proposer is at work on `slot`: leaves it alone for a while that grows with every time.
    fn give_way(&mut self, slot: Slot, promised: Ballot, effects: &mut Effects<Self>) {
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.slot == slot);
        let attempt = attempt.expect("the caller has it");
        attempt.refused_for = attempt.refused_for.max(promised);
        attempt.phase = Phase::BackOff;
        let doublings = self.preemptions.max(attempt.preemptions);
        let least = doubled(self.config.timeouts.retransmit / FIRST_BACK_OFF, doublings);
        self.preemptions = (self.preemptions + 1).min(DOUBLINGS_MAX);
        attempt.preemptions += 1;
        if !self.backing_off {
            self.backing_off = true;
            effects.set_timer(Timer::BackOff, least..=3 * least);
        }
    }

    pub(super) fn on_back_off_timer(&mut self, effects: &mut Effects<Self>) {
        self.backing_off = false;
        let backed_off = self.attempts.iter().filter(|attempt| attempt.phase == Phase::BackOff);
        let slots: Vec<Slot> = backed_off.map(|attempt| attempt.slot).collect();
        for slot in slots {
            self.prepare(slot, effects);
        }
    }

    /// `batch` is decided at `slot`. If this replica waits to propose it, or does so for another slot (its client has asked
    /// another replica, too), that is done with.
    pub(super) fn settle(&mut self, slot: Slot, batch: &Batch) {
        if !self.queue.is_empty() {
            self.queue.remove(Name::of(batch));
        }
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.slot != slot) {
            if attempt.own.as_ref() == Some(batch) {
                attempt.own = None;
            }
        }
    }

    /// `slot` is decided as `batch`: what this replica wanted there is done, or wants another slot.
    pub(super) fn end_attempt(&mut self, slot: Slot, batch: &Batch, effects: &mut Effects<Self>) {
        let position = self.attempts.iter().position(|attempt| attempt.slot == slot);
        let Some(position) = position else { return };
        let attempt = self.attempts.remove(position);
        if let Some(own) = attempt.own {
            if own == *batch {
                self.losses = 0;
                self.preemptions = 0;
            } else {
                self.losses += 1;
                self.queue.push_front(Name::of(&own), own);
            }
        }
        let waits = self.attempts.iter().any(|attempt| attempt.phase == Phase::BackOff);
        if self.backing_off && !waits {
            self.backing_off = false;
            effects.cancel_timer(Timer::BackOff);
        }
    }

    /// A snapshot covers everything through `slot`, and perhaps what was proposed there. Executed a second time, it brings
    /// its answer and no second effect.
    pub(super) fn end_attempts_through(&mut self, slot: Slot) {
        let ended: Vec<_> = self.attempts.extract_if(.., |attempt| attempt.slot <= slot).collect();
        for own in ended.into_iter().rev().filter_map(|attempt| attempt.own) {
            self.queue.push_front(Name::of(&own), own);
        }
    }

    /// The attempt at `slot` and `ballot`, if it is under way.
    fn attempt_at(&mut self, slot: Slot, ballot: Ballot) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| {
            attempt.slot == slot && attempt.ballot == ballot && attempt.phase != Phase::BackOff
        })
    }
}
