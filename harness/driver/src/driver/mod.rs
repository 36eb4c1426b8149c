//! The driver of one core, without its sockets and its clock. It steps the core, applies what is to
//! be executed, remembers which connection waits for which request, and carries the core's effects
//! out onto an [`Output`].
//!
//! The owner of a driver hands it everything that is ready and then calls [`Driver::turn`] once:
//! the effects of all of it are carried out together, in the order in which the core asked for
//! them.
//!
//! **Invariants.**
//! * A request is proposed only if it is neither pending here nor applied.
//! * A reply leaves only after the execution of its request.
//! * Effects are carried out only in [`Driver::turn`], in the core's order, and none while
//!   something is on its way to the [`Store`].
//! * A driver with a journal releases what it has put out only when all that it recorded before is
//!   durable. One without drops every record, which is durability "memory": a replica that died
//!   does not come back under its identity.

mod carry;

use std::{sync::Arc, time::Duration};

use measure::{ReplicaReport, Role, StateDigest};
use protocols::{
    Batch, ClientId, Config, Effect, Effects, Input, Replica, ReplicaId, Request, RequestNumber,
    command::BatchError,
    config::Batching,
    gather::Gathered,
    kv::{Digest, KeyDigest, Kv},
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::carry::release;
use crate::{
    Nanos, Store,
    around::{ConnectionId, NotAMessage, Output, Rarities, Watch},
    disk::Disk,
    failpoint::{self, Failpoint},
    machine::Machine,
    meters::Meters,
    reply::{Refusal, Reply},
    status::{MemoryStatus, ReplicaStatus, StorageStatus},
    storage::{Durability, Journal, Past, StorageError, Work},
    timers::Timers,
};

/// A request that a client waits for here.
#[derive(Clone, Copy, Debug)]
struct Pending {
    connection: ConnectionId,
    entered: Nanos,
    /// When it was first known to be committed.
    committed: Option<Nanos>,
    /// Of its key and values.
    bytes: usize,
}

/// One core with all that it needs but sockets and a clock.
#[derive(Debug)]
pub struct Driver<R: Replica> {
    id: ReplicaId,
    replicas: usize,
    core: R,
    machine: Machine,
    effects: Effects<R>,
    timers: Timers<R::Timer>,
    pending: FxHashMap<(ClientId, RequestNumber), Pending>,
    /// The bytes of all that are pending.
    pending_bytes: usize,
    /// How many requests are pending for each connection that has some.
    pending_of: FxHashMap<ConnectionId, usize>,
    batching: Batching,
    gathered: Gathered,
    /// Until when what is gathered waits for more.
    gathered_until: Option<Nanos>,
    /// Answers that need no execution, until the next flush.
    answers: Vec<(ConnectionId, Reply)>,
    /// States asked for by the core, until they are handed back.
    captured: Vec<Arc<[u8]>>,
    /// What is to be durable; none with durability "memory".
    journal: Option<Journal>,
    /// What is said of it.
    storage: StorageStatus,
    /// Does the core answer when it is asked for a checkpoint? One that does not is not asked
    /// again.
    core_has_checkpoints: bool,
    /// Is the next flush to take a checkpoint, however short the log is?
    checkpoint_is_asked_for: bool,
    /// Was the core stepped since the last flush?
    stepped: bool,
    /// Was something put out and not released since?
    unreleased: bool,
    inputs: u64,
    /// What came in since the last flush, in bytes.
    unflushed_bytes: u64,
    proposals: u64,
    commits: u64,
    commit_digest: u64,
    executed: u64,
    dropped: u64,
    rarities: Rarities,
    meters: Meters,
    /// The core's own count when the measuring began.
    ordering_steps_before: u64,
}

impl<R: Replica> Driver<R> {
    /// A new replica, started at `now`, that records nothing. Its timers' draws come from `seed`.
    pub fn new(id: ReplicaId, config: &Config, seed: u64, now: Nanos) -> Self {
        let core = R::recover(id, config, None, []);
        Self::start(id, config, (seed, now), core, Machine::default())
    }

    /// The replica that left `past`, started again at `now`. It goes on recording into `journal`.
    ///
    /// # Errors
    /// If something was recorded that this program does not understand.
    pub fn recover<D: Disk>(
        id: ReplicaId,
        config: &Config,
        (seed, now): (u64, Nanos),
        past: &Past<D>,
        journal: Journal,
    ) -> Result<Self, StorageError> {
        let machine = match &past.snapshot {
            Some(snapshot) => Machine::restore(&snapshot.machine).map_err(|error| {
                StorageError::NotUnderstood { path: past.path(), what: error.to_string() }
            })?,
            None => Machine::default(),
        };
        let mut records = past.records();
        let core = R::recover(id, config, past.snapshot.as_ref(), &mut records);
        let replayed = records.finish()?;
        let mut driver = Self::start(id, config, (seed, now), core, machine);
        driver.journal = Some(journal);
        driver.storage.records_replayed = replayed;
        Ok(driver)
    }

    fn start(
        id: ReplicaId,
        config: &Config,
        (seed, now): (u64, Nanos),
        core: R,
        machine: Machine,
    ) -> Self {
        let mut driver = Self {
            id,
            replicas: config.replicas,
            core,
            machine,
            effects: Effects::default(),
            timers: Timers::new(seed),
            pending: FxHashMap::default(),
            pending_bytes: 0,
            pending_of: FxHashMap::default(),
            batching: config.batching,
            gathered: Gathered::default(),
            gathered_until: None,
            answers: Vec::new(),
            captured: Vec::new(),
            journal: None,
            storage: StorageStatus::default(),
            core_has_checkpoints: true,
            checkpoint_is_asked_for: false,
            stepped: false,
            unreleased: false,
            inputs: 0,
            unflushed_bytes: 0,
            proposals: 0,
            commits: 0,
            commit_digest: 0,
            executed: 0,
            dropped: 0,
            rarities: Rarities::default(),
            meters: Meters::new(now),
            ordering_steps_before: 0,
        };
        driver.step(Input::Start);
        driver
    }

    /// Takes note, for those that ask, of what is kept and how long it took to become what was
    /// recorded.
    pub fn began(&mut self, durability: Durability, recovery: Duration) {
        self.storage.durability = durability;
        self.storage.recovery = recovery;
    }

    /// Takes a message of `from`, which was a frame of `bytes`.
    ///
    /// # Errors
    /// If no replica of this cluster sends such a message.
    pub fn on_message(
        &mut self,
        from: ReplicaId,
        message: R::Message,
        bytes: u64,
    ) -> Result<(), NotAMessage> {
        if !R::admissible(&message, self.replicas) {
            return Err(NotAMessage);
        }
        self.meters.counters.messages_in += 1;
        self.meters.counters.bytes_in += bytes;
        self.unflushed_bytes += bytes;
        self.step(Input::Message { from, message });
        Ok(())
    }

    /// Takes a batch of one request or several that a client sent, to be ordered as one.
    ///
    /// # Errors
    /// If it is empty: clients ask for no no-ops.
    pub fn on_requests(
        &mut self,
        connection: ConnectionId,
        batch: Batch,
        now: Nanos,
    ) -> Result<(), BatchError> {
        if batch.is_noop() {
            return Err(BatchError::Empty);
        }
        self.stepped = true;
        let mut requests = 0;
        let fresh: SmallVec<[_; 1]> = batch
            .requests()
            .inspect(|_| requests += 1)
            .filter(|request| self.admit(connection, request, now))
            .collect();
        self.meters.counters.client_requests += requests as u64;
        let whole = fresh.len() == requests;
        if whole {
            drop(fresh);
            self.gather(batch, now);
        } else if !fresh.is_empty() {
            let part = Batch::new(&fresh).expect("part of a batch is a batch");
            self.gather(part, now);
        }
        Ok(())
    }

    /// Proposes `batch`, or lets it wait for more.
    fn gather(&mut self, batch: Batch, now: Nanos) {
        if !self.batching.is_on() {
            return self.propose(batch);
        }
        let mut full: SmallVec<[Batch; 2]> = SmallVec::new();
        self.gathered.add(&self.batching, batch, |batch| full.push(batch));
        if self.gathered.is_empty() {
            self.gathered_until = None;
        } else if self.gathered_until.is_none() || !full.is_empty() {
            // A batch that was closed to make room had waited first.
            self.gathered_until = Some(now + nanoseconds(self.batching.delay));
        }
        full.into_iter().for_each(|batch| self.propose(batch));
    }

    fn propose(&mut self, batch: Batch) {
        self.proposals += 1;
        self.step(Input::Propose(batch));
    }

    /// Proposes what has waited long enough by `now`.
    fn propose_gathered(&mut self, now: Nanos) {
        if self.gathered_until.is_none_or(|until| until > now) {
            return;
        }
        self.gathered_until = None;
        if let Some(batch) = self.gathered.close() {
            self.propose(batch);
        }
    }

    /// Steps every timer that ran out by `now`, and proposes what has waited for more until then.
    pub fn on_time(&mut self, now: Nanos, watch: &mut impl Watch<R>) {
        self.propose_gathered(now);
        while let Some(timer) = self.timers.expired(now) {
            watch.expired(timer);
            self.step(Input::Timer(timer));
        }
    }

    /// When [`Driver::on_time`] has something to do next.
    pub fn next_deadline(&self) -> Option<Nanos> {
        match (self.timers.next_deadline(), self.gathered_until) {
            (Some(timer), Some(gathered)) => Some(timer.min(gathered)),
            (timer, gathered) => timer.or(gathered),
        }
    }

    /// Lets the next turn take a checkpoint, as if the log had grown long. Nothing happens without
    /// a journal.
    pub fn ask_for_checkpoint(&mut self) {
        self.checkpoint_is_asked_for = self.journal.is_some();
        self.stepped |= self.checkpoint_is_asked_for;
    }

    /// Does what is to be done at `now`: carries out what the core has asked for, hands what must
    /// be durable to `store`, and releases what is put out as soon as that is done. False if it
    /// must wait for `store`: until then nothing is carried out or released. The core may be
    /// stepped on meanwhile, and what it then asks for is the next turn's.
    ///
    /// # Errors
    /// If something cannot be made durable. The driver must not be used any more.
    pub fn turn(
        &mut self,
        now: Nanos,
        store: &mut impl Store,
        output: &mut impl Output<R>,
        watch: &mut impl Watch<R>,
    ) -> Result<bool, StorageError> {
        loop {
            if !store.is_idle()? {
                return Ok(false);
            }
            let stepped = std::mem::take(&mut self.stepped);
            let unreleased = std::mem::take(&mut self.unreleased);
            if unreleased {
                failpoint::pass(Failpoint::Send);
            }
            if unreleased || !stepped {
                output.release();
            }
            if unreleased {
                failpoint::pass(Failpoint::Sent);
            }
            if !stepped {
                return Ok(true);
            }
            self.flush(&mut Surroundings { now, output, watch });
            self.unreleased = true;
            if let Some(work) = self.take_work() {
                store.begin(work);
            }
        }
    }

    /// Carries out all that was asked for since the last time.
    fn flush(&mut self, around: &mut Surroundings<'_, impl Output<R>, impl Watch<R>>) {
        self.propose_gathered(around.now);
        // A batch that was just proposed is part of this flush.
        self.stepped = false;
        self.meters.drained(std::mem::take(&mut self.inputs));
        self.unflushed_bytes = 0;
        if self.meters.is_to_look(around.now) {
            self.meters.held(self.core.status().held_bytes, around.now);
        }
        self.core.step(Input::Flush, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        loop {
            for effect in effects.drain() {
                self.carry_out(effect, around);
            }
            if !self.captured.is_empty() {
                for state in self.captured.drain(..) {
                    self.core.step(Input::Captured(state), &mut effects);
                }
            } else if self.needs_checkpoint() {
                failpoint::pass(Failpoint::Checkpoint);
                let machine = self.capture(around.watch);
                self.core.step(Input::Checkpoint(machine), &mut effects);
                let is_checkpoint = |effect: &Effect<R>| matches!(effect, Effect::Checkpoint(_));
                self.core_has_checkpoints = effects.as_slice().iter().any(is_checkpoint);
            } else {
                break;
            }
            self.core.step(Input::Flush, &mut effects);
        }
        self.effects = effects;
        if self.answers.is_empty() {
            return;
        }
        for (connection, reply) in self.answers.drain(..) {
            self.meters.counters.client_replies += 1;
            around.output.reply(connection, reply);
        }
    }

    /// Is a checkpoint due, or was one asked for?
    fn needs_checkpoint(&mut self) -> bool {
        let is_asked_for = std::mem::take(&mut self.checkpoint_is_asked_for);
        let is_long = self.journal.as_ref().is_some_and(Journal::is_long);
        self.core_has_checkpoints && (is_asked_for || is_long)
    }

    /// The machine's state as it is now.
    fn capture(&mut self, watch: &mut impl Watch<R>) -> Arc<[u8]> {
        self.rarities.captures += 1;
        let machine: Arc<[u8]> = self.machine.snapshot().into();
        watch.captured(&machine);
        machine
    }

    /// Takes out what must be durable before anything leaves that was put out since the last time;
    /// none if there is nothing.
    fn take_work(&mut self) -> Option<Work> {
        let work = self.journal.as_mut()?.take()?;
        let counters = &mut self.meters.counters;
        counters.records_written += u64::from(work.records);
        counters.record_bytes_written += work.frames.len() as u64;
        counters.writes += 1;
        self.storage.records_written += u64::from(work.records);
        self.storage.writes += 1;
        self.storage.snapshots_written += u64::from(work.snapshot.is_some());
        Some(work)
    }

    /// Is there something that the next turn will carry out?
    pub fn is_stepped(&self) -> bool {
        self.stepped
    }

    /// How often what is rare was done in this life.
    pub fn rarities(&self) -> Rarities {
        self.rarities
    }

    /// How many batches were proposed here.
    pub fn proposals(&self) -> u64 {
        self.proposals
    }

    /// How many requests of `connection` are pending.
    pub fn pending_of(&self, connection: ConnectionId) -> usize {
        self.pending_of.get(&connection).copied().unwrap_or(0)
    }

    /// How many requests are pending, those of connections that are gone included.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The bytes of their keys and values.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// The bytes of what other replicas have sent since effects were last carried out: as long as
    /// something is on its way to the [`Store`], they are not.
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes
    }

    /// `connection` is gone. Its requests stay pending, so that a retry does not propose them
    /// again.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.pending_of.remove(&connection);
    }

    /// Begins to count and to time anew, at `now`.
    pub fn begin_measuring(&mut self, now: Nanos) {
        self.meters = Meters::new(now);
        self.ordering_steps_before = self.core.status().ordering_steps;
    }

    /// The replica's life ends at `now`: what it has counted and timed, for its next life to go on
    /// with. What it has pending is waited for no more.
    pub fn retire(mut self, now: Nanos) -> Meters {
        let status = self.core.status();
        let counters = &mut self.meters.counters;
        counters.ordering_steps += status.ordering_steps - self.ordering_steps_before;
        counters.component_commands_max =
            counters.component_commands_max.max(status.longest_component);
        for pending in self.pending.values() {
            self.meters.forgotten(pending.entered, pending.committed.is_some(), now);
        }
        self.meters
    }

    /// Goes on counting and timing where an earlier life of the replica ended.
    pub fn resume_measuring(&mut self, meters: Meters) {
        self.meters = meters;
    }

    /// Ends the measured time, at `now`; what came in during it is timed until it is executed.
    pub fn end_measuring(&mut self, now: Nanos) {
        self.meters.end(now);
    }

    /// What was counted and timed, as of `now`, since the measuring began, or since the start. CPU
    /// time, memory and the network are left at their defaults.
    pub fn report(&self, now: Nanos) -> ReplicaReport {
        let (status, digest) = (self.core.status(), self.machine.kv.digest());
        let open =
            self.pending.values().map(|pending| (pending.entered, pending.committed.is_some()));
        let mut report = self.meters.report(now, open);
        report.replica = u32::from(self.id.0);
        report.role = match status.leader {
            Some(leader) if leader == self.id => Role::Leader,
            None if !R::PROTOCOL.has_stable_leader => Role::Peer,
            _ => Role::Follower,
        };
        let counters = &mut report.counters;
        counters.component_commands_max =
            counters.component_commands_max.max(status.longest_component);
        counters.ordering_steps += status.ordering_steps - self.ordering_steps_before;
        counters.held_bytes_max = counters.held_bytes_max.max(status.held_bytes);
        // Equal only if the session tables are, too.
        let sessions = [digest.sessions.to_le_bytes(), digest.writes.to_le_bytes()].concat();
        report.digest =
            StateDigest { state: xxh3_64_with_seed(&sessions, digest.state), order: digest.order };
        report
    }

    /// How things stand, as far as the driver knows. The rest is left at its defaults.
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            core: self.core.status(),
            digest: self.machine.kv.digest(),
            commits: self.commits,
            commit_digest: self.commit_digest,
            executed: self.executed,
            pending: self.pending.len() as u64,
            memory: MemoryStatus {
                pending_bytes: self.pending_bytes as u64,
                ..MemoryStatus::default()
            },
            messages_dropped: self.dropped,
            storage: self.storage_status(),
            ..ReplicaStatus::default()
        }
    }

    fn storage_status(&self) -> StorageStatus {
        let (log_bytes, snapshot_bytes) = self.journal.as_ref().map_or((0, 0), Journal::bytes);
        StorageStatus { log_bytes, snapshot_bytes, ..self.storage.clone() }
    }

    /// The core, to look at.
    pub fn core(&self) -> &R {
        &self.core
    }

    /// The key-value state, to look at.
    pub fn kv(&self) -> &Kv {
        &self.machine.kv
    }

    /// What the state is compared by.
    pub fn digest(&self) -> Digest {
        self.machine.kv.digest()
    }

    /// The keys of bucket `bucket` of `buckets`.
    pub fn key_digests(&self, bucket: u64, buckets: u64) -> Vec<KeyDigest> {
        self.machine.kv.key_digests(bucket, buckets.max(1))
    }

    fn step(&mut self, input: Input<R>) {
        self.stepped = true;
        self.inputs += 1;
        self.core.step(input, &mut self.effects);
    }

    /// Registers that `connection` waits for `request`; true if it is to be proposed.
    fn admit(&mut self, connection: ConnectionId, request: &Request<'_>, now: Nanos) -> bool {
        let key = (request.client, request.number);
        if let Some(pending) = self.pending.get_mut(&key) {
            self.rarities.retries_joined += 1;
            release(&mut self.pending_of, pending.connection);
            pending.connection = connection;
            *self.pending_of.entry(connection).or_default() += 1;
            return false;
        }
        let kv = &self.machine.kv;
        let answer = match kv.answered(request) {
            Some(outcome) => {
                self.rarities.retries_answered += 1;
                Ok(outcome)
            }
            None if !kv.sessions().admits(request.client, request.unanswered_from) => {
                Err(Refusal::SessionsFull)
            }
            None => {
                let bytes = request.command.payload_bytes();
                self.pending_bytes += bytes;
                let pending = Pending { connection, entered: now, bytes, committed: None };
                self.pending.insert(key, pending);
                *self.pending_of.entry(connection).or_default() += 1;
                return true;
            }
        };
        let reply = Reply { client: request.client, number: request.number, answer };
        self.answers.push((connection, reply));
        false
    }
}

/// What a flush acts on, and when it does.
struct Surroundings<'a, O, W> {
    now: Nanos,
    output: &'a mut O,
    watch: &'a mut W,
}

fn nanoseconds(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
