//! The state of a Multi-Paxos replica, its recovery, and the dispatch of inputs to the handlers.

use std::time::Duration;

use super::{
    candidate::Candidate,
    leader::Leader,
    message::{Message, Record, Timer},
    outbox::Outbox,
    patience::Patience,
    pre_vote::Watch,
    route::Route,
};
use crate::{
    Protocol,
    ballot::Ballot,
    catch_up::CatchUp,
    command::Batch,
    config::{Config, doubled},
    id::{ReplicaId, ReplicaSet, Slot},
    kept::{KeptLog, Weigh},
    observed::Observed,
    quorum::majority,
    replica::{Effects, Input, Replica, Snapshot, Status},
    transfer::{Supply, executed_in},
};

/// A replica of Multi-Paxos.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultiPaxos {
    pub(super) id: ReplicaId,
    pub(super) config: Config,
    pub(super) others: ReplicaSet,
    /// Nothing below this ballot is answered. While this replica leads, the ballot it leads.
    pub(super) promised: Ballot,
    /// The highest ballot heard of.
    pub(super) seen: Ballot,
    /// Who leads the promised ballot, once it was heard to lead.
    pub(super) leader: Option<ReplicaId>,
    pub(super) role: Role,
    pub(super) log: KeptLog<Entry>,
    /// Everything through here is decided and executed.
    pub(super) executed: Slot,
    /// The highest commit index heard at the promised ballot.
    pub(super) commit: Slot,
    pub(super) outbox: Outbox,
    pub(super) route: Route,
    pub(super) catch_up: CatchUp,
    pub(super) supply: Supply,
    /// Was the leader heard since the election timer was set?
    pub(super) leader_heard: bool,
    pub(super) watch: Watch,
    /// The number of the last question whether others miss the leader.
    pub(super) polls: u64,
    pub(super) patience: Patience,
    /// Where the last piece began that the candidate of the promised ballot asked for.
    pub(super) prepared_from: Slot,
    /// Does the retransmission timer run?
    pub(super) retransmitting: bool,
    pub(super) takeovers: Observed<u64>,
    pub(super) installs: Observed<u64>,
}

/// What a replica is doing about leadership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Follower,
    Candidate(Candidate),
    Leader(Leader),
}

/// One slot of the log. The default is a slot of which nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// At which ballot the batch was accepted; [`Ballot::ZERO`] if it was not.
    pub(super) ballot: Ballot,
    pub(super) batch: Batch,
    /// The leader's count of who accepted at `ballot`.
    pub(super) votes: ReplicaSet,
    pub(super) decided: bool,
    /// Was it proposed again in a takeover?
    pub(super) recovered: bool,
    /// Was it proposed by a client of this replica, which leads?
    pub(super) own: bool,
}

impl Entry {
    /// Is there a batch here, accepted or decided?
    pub(super) fn is_known(&self) -> bool {
        self.decided || self.ballot != Ballot::ZERO
    }

    /// What is decided here, if that is known.
    pub(super) fn decision(&self) -> Option<&Batch> {
        self.decided.then_some(&self.batch)
    }
}

impl Weigh for Entry {
    fn weight(&self) -> u64 {
        size_of::<Self>() as u64 + self.batch.weight()
    }
}

impl Replica for MultiPaxos {
    type Message = Message;
    type Record = Record;
    type Timer = Timer;

    const PROTOCOL: Protocol = super::PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        let mut replica = Self::new(id, config);
        if let Some(snapshot) = snapshot {
            replica.executed = executed_in(snapshot);
            replica.log.collect(replica.executed);
        }
        replica.replay(records);
        replica
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Start => self.on_start(effects),
            Input::Propose(batch) => self.on_propose(batch, effects),
            Input::Message { from, message } => self.on_message(from, message, effects),
            Input::Timer(timer) => self.on_timer(timer, effects),
            Input::Captured(machine) => self.on_captured(machine, effects),
            Input::Checkpoint(machine) => self.on_checkpoint(machine, effects),
            Input::Flush => self.on_flush(effects),
        }
    }

    fn admissible(message: &Message, replicas: usize) -> bool {
        message.ballots().all(|ballot| ballot.leader.index() < replicas) && message.is_proper()
    }

    fn forgotten_by(&self, rebuilt: &Self) -> Option<String> {
        self.not_in(rebuilt)
    }

    fn status(&self) -> Status {
        let own = match &self.role {
            Role::Leader(leader) => leader.own_undecided,
            Role::Follower | Role::Candidate(_) => 0,
        };
        Status {
            leader: self.leader,
            unexecuted: self.unexecuted(),
            undecided: own + self.outbox.len() as u64,
            held: self.log.len() as u64,
            held_bytes: self.log.bytes()
                + self.outbox.bytes()
                + self.catch_up.bytes()
                + self.supply.bytes(),
            crowded_out: self.log.crowded_out(),
            longest_component: 0,
            ordering_steps: 0,
            takeovers: self.takeovers.0,
            installs: self.installs.0,
        }
    }
}

impl MultiPaxos {
    fn new(id: ReplicaId, config: &Config) -> Self {
        Self {
            id,
            config: *config,
            others: ReplicaSet::others(id, config.replicas),
            promised: Ballot::ZERO,
            seen: Ballot::ZERO,
            leader: None,
            role: Role::Follower,
            log: KeptLog::default(),
            executed: 0,
            commit: 0,
            outbox: Outbox::default(),
            route: Route::default(),
            catch_up: CatchUp::default(),
            supply: Supply::default(),
            leader_heard: false,
            watch: Watch::Hearing,
            polls: 0,
            patience: Patience::default(),
            prepared_from: 0,
            retransmitting: false,
            takeovers: Observed(0),
            installs: Observed(0),
        }
    }

    /// How many slots are to be executed yet: those that the leader has chosen or proposed, and, while nobody is known to
    /// lead, all in which something is accepted, for the next leader to close. What was accepted of an earlier leader and
    /// is not closed by this one was not chosen, and is no work left.
    fn unexecuted(&self) -> u64 {
        let chosen = self.commit.saturating_sub(self.executed);
        let is_open = |slot: &Slot| {
            self.log.get(*slot).is_some_and(|entry| {
                let proposed = entry.ballot == self.promised || self.leader.is_none();
                entry.decided || (entry.is_known() && proposed)
            })
        };
        let open = (self.executed + 1..=self.log.last()).filter(is_open);
        chosen.max(open.count() as u64)
    }

    /// Takes the records in, in the order in which they were emitted.
    fn replay(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut known_executed = 0;
        for record in records {
            match record {
                Record::Promised(ballot) => self.promised = self.promised.max(ballot),
                Record::Accepted { slot, ballot, batch, executed } => {
                    self.promised = self.promised.max(ballot);
                    known_executed = known_executed.max(executed);
                    // Below the snapshot nothing is kept.
                    let Some(entry) = self.log.ensure(slot) else { continue };
                    if !entry.decided {
                        *entry = Entry { ballot, batch, ..Entry::default() };
                    }
                }
                Record::Decided { slot, batch } => {
                    let Some(entry) = self.log.ensure(slot) else { continue };
                    entry.batch = batch;
                    entry.decided = true;
                }
            }
        }
        self.seen = self.promised;
        for slot in self.executed + 1..=known_executed {
            let entry = self.log.get_mut(slot).filter(|entry| entry.is_known());
            entry.expect("what was executed is in the snapshot or in the records").decided = true;
        }
    }

    fn on_start(&mut self, effects: &mut Effects<Self>) {
        let fresh = self.promised == Ballot::ZERO && self.executed == 0 && self.log.is_empty();
        self.announce_recovered(effects);
        // A restarted replica leaves the cluster to whoever leads it now, if anyone does.
        if fresh && self.id == self.config.first_leader {
            self.campaign(effects);
        } else {
            self.await_leader(effects);
        }
    }

    fn on_message(&mut self, from: ReplicaId, message: Message, effects: &mut Effects<Self>) {
        let known = self.seen.max(self.promised);
        // Only its leader speaks for a ballot, and nobody is so far ahead.
        if message.ballot_led().is_some_and(|ballot| ballot.leader != from)
            || !message.ballots().all(|ballot| ballot.is_near(known))
        {
            return;
        }
        match message {
            Message::Prepare { ballot, first } => self.on_prepare(from, ballot, first, effects),
            Message::Promise(promise) => self.on_promise(from, promise, effects),
            Message::Accept { ballot, slot, batch, commit, collect } => {
                self.on_accept(from, (ballot, slot), batch, (commit, collect), effects);
            }
            Message::Accepted { ballot, slot, executed } => {
                self.on_accepted(from, ballot, slot, executed, effects);
            }
            Message::Commit { ballot, commit, collect } => {
                self.on_commit(ballot, commit, collect, effects);
            }
            Message::Heartbeat { ballot, commit, collect, beat, heard } => {
                self.on_heartbeat(from, ballot, (commit, collect), (beat, heard), effects);
            }
            Message::Alive { ballot, beat, executed } => {
                self.on_alive(from, ballot, beat, executed);
            }
            Message::Refuse { promised } => self.on_refuse(promised, effects),
            Message::Forward { batch, executed } => self.on_forward(batch, executed, effects),
            Message::Relay { batch, executed } => self.on_relay(from, batch, executed, effects),
            Message::Led { executed } => self.on_led(from, executed, effects),
            Message::Fetch { first, last, bytes_max } => {
                self.on_fetch(from, (first, last), bytes_max, effects);
            }
            Message::Decided { first, batches } => self.on_decided(from, first, batches, effects),
            Message::Discarded { through } => self.on_discarded(from, through, effects),
            Message::FetchSnapshot { through, offset, bytes_max } => {
                self.on_fetch_snapshot(from, (through, offset), bytes_max, effects);
            }
            Message::Piece(piece) => self.on_piece(from, &piece, effects),
            Message::PreVote { poll } => self.on_pre_vote(from, poll, effects),
            Message::PreVoteGranted { poll, promised } => {
                self.on_pre_vote_granted(from, poll, promised, effects);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer, effects: &mut Effects<Self>) {
        match timer {
            Timer::Election => self.on_election_timer(effects),
            Timer::Heartbeat => self.on_heartbeat_timer(effects),
            Timer::Retransmit => self.on_retransmit_timer(effects),
            Timer::Supply => self.on_supply_timer(effects),
        }
    }

    pub(super) fn on_propose(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        if self.has_room() {
            self.propose_own(batch, effects);
            return;
        }
        // Without room in the outbox either, the batch is left to its client's retry.
        if self.outbox.push(batch.clone()) {
            self.forward_last(batch, effects);
        }
    }

    fn on_retransmit_timer(&mut self, effects: &mut Effects<Self>) {
        self.retransmitting = false;
        let unanswered = match &self.role {
            Role::Leader(_) => self.resend_accepts(effects),
            Role::Candidate(_) => self.resend_prepares(effects),
            Role::Follower => self.resend_forwards(effects),
        };
        let asks = self.resend_pre_vote(effects);
        if self.resend_fetch(effects) || unanswered || asks {
            self.retransmit_later(effects);
        }
    }

    pub(super) fn retransmit_later(&mut self, effects: &mut Effects<Self>) {
        if !self.retransmitting {
            self.retransmitting = true;
            let period = self.config.timeouts.retransmit;
            effects.set_timer(Timer::Retransmit, period..=period);
        }
    }

    pub(super) fn election_timeout(&self) -> Duration {
        doubled(self.config.timeouts.election, self.patience.doublings())
    }

    pub(super) fn majority(&self) -> usize {
        majority(self.config.replicas)
    }
}
