//! The state of a Paxos replica, its recovery, and the dispatch of inputs to the handlers.

use super::{
    again::Again,
    message::{Message, Record, Timer},
    options::Window,
    proposer::Attempt,
};
use crate::{
    Limit, Protocol,
    ballot::Ballot,
    catch_up::CatchUp,
    command::Batch,
    config::Config,
    id::{ReplicaId, ReplicaSet, Slot},
    kept::{KeptLog, Weigh},
    observed::Observed,
    parts::batch_queue::{BatchQueue, Name},
    quorum::majority,
    replica::{Effects, Input, Replica, Snapshot, Status},
    transfer::{Supply, executed_in},
};

/// The most batches that wait for a slot; one beyond it is left to its client's retry. chosen: minutes of work for a
/// protocol with two round trips per slot, and 16 MiB of small batches.
const QUEUE_MAX: usize = 1 << 16;
/// How far above the executed slots anything is kept. chosen: far above any window, and 8 MiB of log.
const AHEAD: Limit = Limit::new("slots ahead", 4, 1 << 17);

/// A replica of Paxos.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paxos {
    pub(super) id: ReplicaId,
    pub(super) config: Config,
    pub(super) others: ReplicaSet,
    pub(super) log: KeptLog<Entry>,
    /// Everything through here is decided and executed.
    pub(super) executed: Slot,
    /// The highest slot at which something is known to be accepted or decided.
    pub(super) highest: Slot,
    /// Batches of this replica's clients that wait for a slot.
    pub(super) queue: BatchQueue,
    /// What this replica is proposing: the window, and holes that it fills.
    pub(super) attempts: Vec<Attempt>,
    /// What is sent again to each replica.
    pub(super) again: Vec<Again>,
    /// Slots lost to other proposers since one was won.
    pub(super) losses: u64,
    /// Preemptions since a slot was won, up to the most that count.
    pub(super) preemptions: u32,
    /// Does the back-off timer run?
    pub(super) backing_off: bool,
    /// How far each replica has executed, as last reported.
    pub(super) reported: Vec<Slot>,
    /// Who believes something old of this replica.
    pub(super) misinformed: ReplicaSet,
    /// The executed slot when the last period ended, and for how many periods it has stood there.
    pub(super) stalled: (Slot, u32),
    pub(super) catch_up: CatchUp,
    pub(super) supply: Supply,
    /// Does the retransmission timer run?
    pub(super) retransmitting: bool,
    pub(super) retries: Observed<u64>,
    pub(super) installs: Observed<u64>,
}

/// One slot of the log. The default is a slot of which nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// Nothing below this ballot is answered here.
    pub(super) promised: Ballot,
    /// At which ballot the batch was accepted; [`Ballot::ZERO`] if it was not.
    pub(super) ballot: Ballot,
    pub(super) batch: Batch,
    pub(super) decided: bool,
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

impl Replica for Paxos {
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
            replica.highest = replica.executed;
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
            Input::Timer(Timer::BackOff) => self.on_back_off_timer(effects),
            Input::Timer(Timer::Retransmit) => self.on_retransmit_timer(effects),
            Input::Timer(Timer::Supply) => self.on_supply_timer(effects),
            Input::Captured(machine) => self.on_captured(machine, effects),
            Input::Checkpoint(machine) => self.on_checkpoint(machine, effects),
            // Every slot's decision is told by itself: nothing is saved up for the flush.
            Input::Flush => {}
        }
    }

    fn admissible(message: &Message, replicas: usize) -> bool {
        message.all_ballots(|ballot| ballot.leader.index() < replicas) && message.is_proper()
    }

    fn forgotten_by(&self, rebuilt: &Self) -> Option<String> {
        self.not_in(rebuilt)
    }

    fn status(&self) -> Status {
        let own = self.attempts.iter().filter(|attempt| attempt.own.is_some()).count();
        Status {
            leader: None,
            unexecuted: self.highest.saturating_sub(self.executed),
            undecided: (self.queue.len() + own) as u64,
            held: self.log.len() as u64,
            held_bytes: self.log.bytes()
                + self.queue.bytes()
                + self.catch_up.bytes()
                + self.supply.bytes(),
            crowded_out: self.log.crowded_out(),
            longest_component: 0,
            ordering_steps: 0,
            takeovers: self.retries.0,
            installs: self.installs.0,
        }
    }
}

impl Paxos {
    fn new(id: ReplicaId, config: &Config) -> Self {
        Self {
            id,
            config: *config,
            others: ReplicaSet::others(id, config.replicas),
            log: KeptLog::default(),
            executed: 0,
            highest: 0,
            queue: BatchQueue::default(),
            attempts: Vec::new(),
            again: vec![Again::default(); config.replicas],
            losses: 0,
            preemptions: 0,
            backing_off: false,
            reported: vec![0; config.replicas],
            misinformed: ReplicaSet::EMPTY,
            stalled: (0, 0),
            catch_up: CatchUp::default(),
            supply: Supply::default(),
            retransmitting: false,
            retries: Observed(0),
            installs: Observed(0),
        }
    }

    /// Takes the records in, in the order in which they were emitted.
    fn replay(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut known_executed = 0;
        for record in records {
            let (Record::Promised { slot, .. }
            | Record::Accepted { slot, .. }
            | Record::Decided { slot, .. }) = record;
            // Below the snapshot nothing is kept.
            let Some(entry) = self.log.ensure(slot) else { continue };
            match record {
                Record::Promised { ballot, .. } => entry.promised = entry.promised.max(ballot),
                Record::Accepted { ballot, batch, executed, .. } => {
                    known_executed = known_executed.max(executed);
                    entry.promised = entry.promised.max(ballot);
                    if !entry.decided {
                        entry.ballot = ballot;
                        entry.batch = batch;
                    }
                    self.highest = self.highest.max(slot);
                }
                Record::Decided { batch, .. } => {
                    entry.batch = batch;
                    entry.decided = true;
                    self.highest = self.highest.max(slot);
                }
            }
        }
        for slot in self.executed + 1..=known_executed {
            let entry = self.log.get_mut(slot).filter(|entry| entry.is_known());
            entry.expect("what was executed is in the snapshot or in the records").decided = true;
        }
    }

    fn on_start(&mut self, effects: &mut Effects<Self>) {
        // A new replica has nothing to tell and nothing to ask.
        if self.executed == 0 && self.log.is_empty() {
            return;
        }
        self.announce_recovered(effects);
        let executed = self.executed;
        effects.send(self.others, Message::Report { executed, yours: 0 });
        self.retransmit_later(effects);
    }

    fn on_propose(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        // Left to the client's retry.
        if self.queue.len() >= QUEUE_MAX {
            return;
        }
        self.queue.push_back(Name::of(&batch), batch);
        self.fill_window(effects);
    }

    fn on_message(&mut self, from: ReplicaId, message: Message, effects: &mut Effects<Self>) {
        // Only its leader proposes at a ballot, and nobody is so far ahead.
        if message.ballot_led().is_some_and(|ballot| ballot.leader != from)
            || !self.are_near(&message)
        {
            return;
        }
        match message {
            Message::Prepare { slot, ballot } => self.on_prepare(from, slot, ballot, effects),
            Message::Promise { slot, ballot, accepted } => {
                self.on_promise(from, slot, ballot, accepted, effects);
                self.note_taken_in(from, slot, effects);
            }
            Message::Accept { slot, ballot, batch } => {
                self.on_accept(from, slot, ballot, batch, effects);
            }
            Message::Accepted { slot, ballot } => {
                self.on_accepted(from, slot, ballot, effects);
                self.note_taken_in(from, slot, effects);
            }
            Message::Refuse { slot, ballot, promised } => {
                self.on_refuse(slot, ballot, promised, effects);
                self.note_taken_in(from, slot, effects);
            }
            Message::Commit { slot, ballot } => self.on_commit(from, slot, ballot, effects),
            Message::Report { executed, yours } => self.on_report(from, executed, yours, effects),
            Message::Fetch { first, last, bytes_max } => {
                self.on_fetch(from, (first, last), bytes_max, effects);
            }
            Message::Decided { first, batches } => {
                self.on_decided(from, first, batches, effects);
                self.note_taken_in(from, first, effects);
            }
            Message::Discarded { through } => self.on_discarded(from, through, effects),
            Message::FetchSnapshot { through, offset, bytes_max } => {
                self.on_fetch_snapshot(from, (through, offset), bytes_max, effects);
            }
            Message::Piece(piece) => self.on_piece(from, &piece, effects),
        }
    }

    /// Are the ballots of `message` such as someone may have come to at its slot?
    fn are_near(&self, message: &Message) -> bool {
        let entry = message.slot().and_then(|slot| self.log.get(slot));
        let promised = entry.map_or(Ballot::ZERO, |entry| entry.promised);
        message.all_ballots(|ballot| ballot.is_near(promised))
    }

    fn on_retransmit_timer(&mut self, effects: &mut Effects<Self>) {
        self.retransmitting = false;
        self.resend_proposals(effects);
        self.report(effects);
        self.watch_holes(effects);
        let fetching = self.resend_fetch(effects);
        let behind = |replica: ReplicaId| self.reported[replica.index()] != self.executed;
        if fetching
            || !self.attempts.is_empty()
            || self.highest > self.executed
            || self.others.iter().any(behind)
        {
            self.retransmit_later(effects);
        }
    }

    pub(super) fn retransmit_later(&mut self, effects: &mut Effects<Self>) {
        if !self.retransmitting {
            self.retransmitting = true;
            // Drawn, so that replicas which wait for the same slot do not begin to fill it all at once.
            let period = self.config.timeouts.retransmit;
            effects.set_timer(Timer::Retransmit, period..=period * 3 / 2);
        }
    }

    pub(super) fn majority(&self) -> usize {
        majority(self.config.replicas)
    }

    /// How many slots a proposer works on at once.
    pub(super) fn window(&self) -> usize {
        self.config.options.of::<Window>().0 as usize
    }

    /// The highest slot that is kept in memory: a replica further behind catches up first.
    pub(super) fn highest_slot_kept(&self) -> Slot {
        self.executed + AHEAD.of(&self.config)
    }
}
