//! Phase 1a: campaigning, and what a new leader does about the slots that earlier leaders left open.

use std::collections::BTreeMap;

use super::{
    leader::{IN_FLIGHT, Leader},
    message::{Message, Promise, Record, Timer},
    pre_vote::Watch,
    replica::{MultiPaxos, Role},
};
use crate::{
    ballot::Ballot,
    command::Batch,
    id::{ReplicaId, ReplicaSet, Slot},
    replica::Effects,
};

/// How far an acceptor's log may reach above what it keeps of the executed slots, in what a leader
/// has in flight at most. chosen: twice what it takes in above them, since it may have executed far
/// more than the candidate. A candidate further behind than that leaves the leadership to others
/// until it has caught up.
const PROMISED_AHEAD: u64 = 4;

/// What a candidate has collected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    /// Whose promise is whole, the candidate's own among them.
    promises: ReplicaSet,
    /// Per replica, where the next piece of its promise begins; above all of it once it is whole.
    next: Vec<Slot>,
    /// Per slot the batch accepted at the highest ballot, as far as told.
    values: BTreeMap<Slot, (Ballot, Batch)>,
    /// The highest slot through which a promise said that the log is discarded, and who said so.
    discarded: Slot,
    source: ReplicaId,
    /// Did a piece of a promise come since the election timer was set? A long promise takes many round trips: who begins
    /// again amid them may never end.
    gets_on: bool,
    /// Did one come since the retransmission timer was set?
    got_on: bool,
    /// How many retransmission periods have passed.
    periods: u32,
}

impl MultiPaxos {
    /// Tries to become the leader, at a ballot above any seen.
    pub(super) fn campaign(&mut self, effects: &mut Effects<Self>) {
        let ballot = self.seen.max(self.promised).next_for(self.id);
        self.patience.campaign_begins(ballot);
        self.promised = ballot;
        self.seen = ballot;
        self.leader = None;
        self.commit = 0;
        effects.persist(Record::Promised(ballot));
        let first = self.executed + 1;
        self.role = Role::Candidate(Candidate {
            promises: ReplicaSet::only(self.id),
            next: vec![first; self.config.replicas],
            values: BTreeMap::new(),
            discarded: 0,
            source: self.id,
            gets_on: false,
            got_on: false,
            periods: 0,
        });
        effects.send(self.others, Message::Prepare { ballot, first });
        self.await_leader(effects);
        self.retransmit_later(effects);
        self.lead_if_promised(effects);
    }

    pub(super) fn on_promise(
        &mut self,
        from: ReplicaId,
        promise: Promise,
        effects: &mut Effects<Self>,
    ) {
        self.patience.sign_came(promise.ballot);
        // The promise of an earlier ballot, or of one that has its majority; or one that nobody makes.
        if promise.ballot != self.promised
            || !matches!(self.role, Role::Candidate(_))
            || !self.is_in_reach(&promise)
        {
            return;
        }
        let Role::Candidate(candidate) = &mut self.role else { return };
        // A piece that has been counted, or one that overtook another.
        if candidate.promises.contains(from) || promise.first != candidate.next[from.index()] {
            return;
        }
        candidate.gets_on = true;
        candidate.got_on = true;
        if self.watch != Watch::Hearing {
            self.await_leader(effects);
        }
        let Role::Candidate(candidate) = &mut self.role else {
            unreachable!("checked above");
        };
        if promise.discarded > candidate.discarded {
            candidate.discarded = promise.discarded;
            candidate.source = from;
        }
        match promise.next {
            Some(next) => {
                assert!(next > promise.first, "a piece of a promise holds a slot at least");
                candidate.next[from.index()] = next;
                let prepare = Message::Prepare { ballot: promise.ballot, first: next };
                effects.reply(from, prepare);
            }
            None => {
                candidate.promises.insert(from);
                let last = promise.entries.last().map_or(promise.first, |entry| entry.slot);
                candidate.next[from.index()] = last + 1;
            }
        }
        let (decided, accepted): (Vec<_>, Vec<_>) =
            promise.entries.into_iter().partition(|entry| entry.decided);
        for entry in accepted {
            candidate.adopt(entry.slot, entry.ballot, entry.batch);
        }
        for entry in decided {
            self.learn(entry.slot, entry.batch, effects);
        }
        self.advance(effects);
        self.lead_if_promised(effects);
    }

    /// Is every slot of `promise` within what an acceptor keeps above its discarded point? One that it is not is ignored
    /// as a whole: left out of it, an entry would be taken for one that does not exist.
    fn is_in_reach(&self, promise: &Promise) -> bool {
        let log_max =
            self.config.kept_slots_max.saturating_add(PROMISED_AHEAD * IN_FLIGHT.of(&self.config));
        let reach = self.executed.max(promise.discarded).saturating_add(log_max);
        promise.entries.last().is_none_or(|entry| entry.slot <= reach)
    }

    /// Leads, once a majority has promised and nothing they have discarded is missing here.
    pub(super) fn lead_if_promised(&mut self, effects: &mut Effects<Self>) {
        let Role::Candidate(candidate) = &self.role else { return };
        if candidate.promises.len() < self.majority() {
            return;
        }
        let (discarded, source) = (candidate.discarded, candidate.source);
        if self.executed < discarded {
            self.seek(discarded, source, effects);
            return;
        }
        let silence_max = self.silence_max(candidate.periods);
        let leader = Leader::new(self.config.replicas, &self.log, silence_max);
        let Role::Candidate(candidate) = std::mem::replace(&mut self.role, Role::Leader(leader))
        else {
            unreachable!("checked above");
        };
        self.leader = Some(self.id);
        self.patience.leader_found();
        self.takeovers.0 += 1;
        self.watch = Watch::Hearing;
        effects.cancel_timer(Timer::Election);
        self.beat(effects);
        self.close(candidate.values, effects);
        self.propose_kept(effects);
    }

    /// Proposes again, for every slot up to the highest seen, the batch of the highest ballot, or a no-op where no
    /// promise names one. (PMS §3)
    fn close(&mut self, mut values: BTreeMap<Slot, (Ballot, Batch)>, effects: &mut Effects<Self>) {
        let highest = values.last_key_value().map_or(0, |(slot, _)| *slot).max(self.log.last());
        for slot in self.executed + 1..=highest {
            let mut value = values.remove(&slot).unwrap_or_default();
            if let Some(entry) = self.log.get(slot) {
                if entry.decided {
                    continue;
                }
                if entry.ballot > value.0 {
                    value = (entry.ballot, entry.batch.clone());
                }
            }
            self.propose_at(slot, value.1, effects);
        }
    }

    /// Sends the Prepare again to those whose promise is not whole. There is always someone to wait for. Those whose promise
    /// is whole are told, by a Prepare from ever higher up, that the candidate gets on with the others: they would campaign
    /// themselves, and a long promise would have to be told from its beginning.
    pub(super) fn resend_prepares(&mut self, effects: &mut Effects<Self>) -> bool {
        let Role::Candidate(candidate) = &mut self.role else { return false };
        let got_on = std::mem::take(&mut candidate.got_on);
        candidate.periods = candidate.periods.saturating_add(1);
        for replica in self.others.iter() {
            let next = &mut candidate.next[replica.index()];
            if candidate.promises.contains(replica) {
                if !got_on {
                    continue;
                }
                *next += 1;
            }
            effects.reply(replica, Message::Prepare { ballot: self.promised, first: *next });
        }
        true
    }

    pub(super) fn on_refuse(&mut self, promised: Ballot, effects: &mut Effects<Self>) {
        self.seen = self.seen.max(promised);
        // It refuses a ballot that this replica has left by itself.
        if promised <= self.promised || matches!(self.role, Role::Follower) {
            return;
        }
        self.step_down(effects);
    }
}

impl Candidate {
    /// Has a piece of a promise come since this was asked last?
    pub(super) fn takes_note_that_it_gets_on(&mut self) -> bool {
        std::mem::take(&mut self.gets_on)
    }

    /// `batch` was accepted at `ballot`: it counts if no higher ballot does.
    fn adopt(&mut self, slot: Slot, ballot: Ballot, batch: Batch) {
        let value = self.values.entry(slot).or_default();
        if ballot > value.0 {
            *value = (ballot, batch);
        }
    }
}
