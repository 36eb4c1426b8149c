//! Phase 1b and 2b: what a replica promises and accepts, and how it follows a leader.

use super::{
    leader::IN_FLIGHT_MAX,
    message::{Message, Promise, PromisedEntry, Record, Timer},
    replica::{Entry, MultiPaxos, Role},
    route::Route,
};
use crate::{
    ballot::Ballot,
    command::Batch,
    id::{ReplicaId, ReplicaSet, Slot},
    replica::{Effects, Path},
};

/// Bytes that an entry of a promise takes beside its batch, at most: three variable-length integers and two bytes.
const ENTRY_OVERHEAD_BYTES: usize = 32;

impl MultiPaxos {
    pub(super) fn on_prepare(
        &mut self,
        from: ReplicaId,
        ballot: Ballot,
        first: Slot,
        effects: &mut Effects<Self>,
    ) {
        if ballot < self.promised {
            effects.reply(from, Message::Refuse { promised: self.promised });
            return;
        }
        if ballot > self.promised {
            self.yield_to(ballot, effects);
        }
        // At the ballot held, the Prepare is a repetition or asks for the next piece; a candidate that gets on is let be.
        if first > self.prepared_from {
            self.prepared_from = first;
            self.note_leader(effects);
        }
        let promise = self.promise(first);
        effects.reply(from, Message::Promise(promise));
    }

    /// The promise, from slot `first` on, as far as it fits into one message.
    fn promise(&self, first: Slot) -> Promise {
        let discarded = self.log.collected();
        let mut promise =
            Promise { ballot: self.promised, first, entries: Vec::new(), next: None, discarded };
        let mut bytes = 0;
        for slot in first.max(discarded + 1)..=self.log.last() {
            let entry = self.log.get(slot).expect("between the discarded and the last slot");
            if !entry.is_known() {
                continue;
            }
            bytes += entry.batch.as_bytes().len() + ENTRY_OVERHEAD_BYTES;
            if bytes > self.config.piece_bytes_max && !promise.entries.is_empty() {
                promise.next = Some(slot);
                break;
            }
            promise.entries.push(PromisedEntry {
                slot,
                ballot: entry.ballot,
                decided: entry.decided,
                batch: entry.batch.clone(),
            });
        }
        promise
    }

    pub(super) fn on_accept(
        &mut self,
        from: ReplicaId,
        (ballot, slot): (Ballot, Slot),
        batch: Batch,
        (commit, collect): (Slot, Slot),
        effects: &mut Effects<Self>,
    ) {
        if ballot < self.promised {
            effects.reply(from, Message::Refuse { promised: self.promised });
            return;
        }
        self.follow(ballot, effects);
        if slot <= self.log.collected() {
            effects.reply(from, Message::Discarded { through: self.log.collected() });
        } else if slot <= self.highest_slot_kept() {
            self.accept(from, (ballot, slot), batch, effects);
        }
        // Beyond the highest slot kept an Accept is as good as lost: this replica must catch up first.
        self.learn_commit(from, commit, effects);
        self.collect(collect);
    }

    /// Accepts `batch` at `slot` and `ballot`, which is the promised one, and says so.
    fn accept(
        &mut self,
        from: ReplicaId,
        (ballot, slot): (Ballot, Slot),
        batch: Batch,
        effects: &mut Effects<Self>,
    ) {
        let executed = self.executed;
        let unknown = Entry::default();
        let entry = self.log.get(slot).unwrap_or(&unknown);
        if entry.decided {
            // Not always what was proposed: that of a leader which has not heard of its successor may be another batch.
            let batches = vec![entry.batch.clone()];
            effects.reply(from, Message::Decided { first: slot, batches });
            return;
        }
        if entry.ballot == ballot {
            // A repetition: its answer was lost, or is on its way.
            assert!(entry.batch == batch, "two batches are proposed at slot {slot} and {ballot:?}");
            effects.reply(from, Message::Accepted { ballot, slot, executed });
            return;
        }
        assert!(!entry.own, "own proposals leave the log when the leadership ends");
        effects.persist(Record::Accepted { slot, ballot, batch: batch.clone(), executed });
        let is_put = self.log.put(slot, Entry { ballot, batch, ..Entry::default() });
        assert!(is_put, "the caller saw that the slot is not collected");
        effects.reply(from, Message::Accepted { ballot, slot, executed });
        // The commit index may have been ahead of this Accept.
        if slot <= self.commit {
            self.decide(slot, Path::Learned, effects);
        }
    }

    pub(super) fn on_commit(
        &mut self,
        ballot: Ballot,
        commit: Slot,
        collect: Slot,
        effects: &mut Effects<Self>,
    ) {
        // A stale leader hears of the higher ballot when it sends an Accept or a heartbeat.
        if ballot < self.promised {
            return;
        }
        self.follow(ballot, effects);
        self.learn_commit(ballot.leader, commit, effects);
        self.collect(collect);
    }

    pub(super) fn on_heartbeat(
        &mut self,
        from: ReplicaId,
        ballot: Ballot,
        (commit, collect): (Slot, Slot),
        (beat, heard): (u64, ReplicaSet),
        effects: &mut Effects<Self>,
    ) {
        if ballot < self.promised {
            self.patience.sign_came(ballot);
            effects.reply(from, Message::Refuse { promised: self.promised });
            return;
        }
        self.follow(ballot, effects);
        self.route.is_heard = heard.is_empty() || heard.contains(self.id);
        self.await_leader(effects);
        self.learn_commit(from, commit, effects);
        self.collect(collect);
        effects.reply(from, Message::Alive { ballot, beat, executed: self.executed });
    }

    /// Takes the leader of `ballot`, which is not below the promised one, for the leader.
    fn follow(&mut self, ballot: Ballot, effects: &mut Effects<Self>) {
        if ballot > self.promised {
            self.yield_to(ballot, effects);
        }
        self.note_leader(effects);
        if self.leader == Some(ballot.leader) {
            return;
        }
        assert!(matches!(self.role, Role::Follower), "another leads this replica's own ballot");
        self.leader = Some(ballot.leader);
        self.patience.leader_found();
        self.route = Route::default();
        self.forward_all(effects);
    }

    /// Promises `ballot`, which is higher than the one promised so far.
    fn yield_to(&mut self, ballot: Ballot, effects: &mut Effects<Self>) {
        self.step_down(effects);
        self.promised = ballot;
        self.seen = self.seen.max(ballot);
        self.commit = 0;
        self.prepared_from = 0;
        effects.persist(Record::Promised(ballot));
    }

    /// Leads no more, and campaigns no more; waits for another to lead.
    pub(super) fn step_down(&mut self, effects: &mut Effects<Self>) {
        match std::mem::replace(&mut self.role, Role::Follower) {
            Role::Follower => {}
            Role::Candidate(_) => self.patience.election_failed(),
            Role::Leader(_) => {
                effects.cancel_timer(Timer::Heartbeat);
                self.keep_own_proposals();
            }
        }
        self.leader = None;
        self.await_leader(effects);
    }

    /// The highest slot that is kept in memory: a replica further behind catches up first. It is above what the leader
    /// may have in flight, so that only a replica that lags ever ignores anything.
    pub(super) fn highest_slot_kept(&self) -> Slot {
        self.executed + 2 * IN_FLIGHT_MAX
    }
}
