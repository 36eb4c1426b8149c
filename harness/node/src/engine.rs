//! The driver of one core, without its sockets and its clock: it steps the core, applies what is to be executed,
//! remembers who waits for which request, and carries the core's effects out onto an [`Output`].
//!
//! Whoever owns an engine hands it every frame that is ready and then calls [`Engine::flush`] once: the effects of all
//! of them are carried out together, in the order in which the core asked for them.
//!
//! **Invariants.** A request is proposed only if it is neither pending here nor applied. A reply leaves only after the
//! execution of its request. Effects are carried out only in [`Engine::flush`], in the core's order. An engine with a
//! journal collects there what must be durable: whoever owns the engine takes it with [`Engine::take_work`], and lets
//! nothing of what the flush put out leave before that is done. One without drops every record, which is durability
//! "memory": a replica that died does not come back under its identity.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use measure::{ReplicaReport, Role, StateDigest};
use protocols::{
    Batch, ClientId, Config, Effect, Effects, Input, InstanceId, Path, Replica, ReplicaId,
    ReplicaSet, Request, RequestNumber, Snapshot,
    command::BatchError,
    config::Batching,
    dependencies::Dependencies,
    gather::Gathered,
    kv::{KeyDigest, Kv},
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{
    NodeError,
    failpoint::{self, Failpoint},
    frame::append_value_frame,
    meters::Meters,
    storage::{Durability, Journal, Past, Work},
    timers::Timers,
    wire::{Refusal, ReplicaStatus, Reply, StorageStatus},
};

/// A client's connection, numbered by whoever accepted it; numbers are never used again.
pub type ConnectionId = u64;

/// Where an engine's messages and replies go.
pub trait Output {
    /// Takes one encoded frame for each of `to`; returns how many of them it was taken for.
    fn send(&mut self, to: ReplicaSet, frame: &[u8]) -> u64;

    /// Takes one reply for a client. The connection may be gone.
    fn reply(&mut self, connection: ConnectionId, reply: &Reply);
}

/// A frame of a peer that is no message of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessage;

impl std::fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the frame is no message of the protocol, or one that names a replica beyond the cluster")
    }
}

impl std::error::Error for NotAMessage {}

/// A request that a client waits for here.
#[derive(Clone, Copy, Debug)]
struct Pending {
    connection: ConnectionId,
    entered: Instant,
    /// When it was first known to be committed.
    committed: Option<Instant>,
}

/// One core with all that it needs but sockets and a clock.
#[derive(Debug)]
pub struct Engine<R: Replica> {
    id: ReplicaId,
    replicas: usize,
    core: R,
    kv: Kv,
    effects: Effects<R>,
    timers: Timers<R::Timer>,
    pending: FxHashMap<(ClientId, RequestNumber), Pending>,
    /// How many requests are pending for each connection that has some.
    pending_of: FxHashMap<ConnectionId, usize>,
    batching: Batching,
    gathered: Gathered,
    /// Until when what is gathered waits for more.
    gathered_until: Option<Instant>,
    /// Answers that need no execution, until the next flush.
    answers: Vec<(ConnectionId, Reply)>,
    /// States asked for by the core, until they are handed back.
    captured: Vec<Arc<[u8]>>,
    /// What is to be durable; none with durability "memory".
    journal: Option<Journal>,
    /// What is said of it.
    storage: StorageStatus,
    encoded: Vec<u8>,
    inputs: u64,
    commits: u64,
    commit_digest: u64,
    executed: u64,
    dropped: u64,
    meters: Meters,
    /// When the measuring began.
    ordering_steps_before: u64,
}

impl<R: Replica> Engine<R> {
    /// A new replica, started, that records nothing; `seed` is where its timers' draws come from.
    pub fn new(id: ReplicaId, config: &Config, seed: u64) -> Self {
        Self::start(id, config, seed, R::recover(id, config, None, []), Kv::default())
    }

    /// The replica that left `past`, started again. It goes on recording into `journal`.
    ///
    /// # Errors
    /// If something was recorded that this program does not understand.
    pub fn recover(
        id: ReplicaId,
        config: &Config,
        seed: u64,
        past: &Past,
        journal: Journal,
    ) -> Result<Self, NodeError> {
        let kv = match &past.snapshot {
            Some(snapshot) => Kv::restore(&snapshot.machine).map_err(|error| {
                NodeError::new(error.to_string()).context(past.path().display())
            })?,
            None => Kv::default(),
        };
        let mut records = past.records();
        let core = R::recover(id, config, past.snapshot.as_ref(), &mut records);
        let replayed = records.finish()?;
        let mut engine = Self::start(id, config, seed, core, kv);
        engine.journal = Some(journal);
        engine.storage.records_replayed = replayed;
        Ok(engine)
    }

    fn start(id: ReplicaId, config: &Config, seed: u64, core: R, kv: Kv) -> Self {
        let mut engine = Self {
            id,
            replicas: config.replicas,
            core,
            kv,
            effects: Effects::default(),
            timers: Timers::new(seed),
            pending: FxHashMap::default(),
            pending_of: FxHashMap::default(),
            batching: config.batching,
            gathered: Gathered::default(),
            gathered_until: None,
            answers: Vec::new(),
            captured: Vec::new(),
            journal: None,
            storage: StorageStatus::default(),
            encoded: Vec::new(),
            inputs: 0,
            commits: 0,
            commit_digest: 0,
            executed: 0,
            dropped: 0,
            meters: Meters::new(),
            ordering_steps_before: 0,
        };
        engine.step(Input::Start);
        engine
    }

    /// Takes note, for whoever asks, of what is kept and how long it took to become what was recorded.
    pub(crate) fn began(&mut self, durability: Durability, recovery: Duration) {
        self.storage.durability = durability;
        self.storage.recovery = recovery;
    }

    /// Takes a frame that `from` sent.
    ///
    /// # Errors
    /// If it is no message of the protocol.
    pub fn on_peer_frame(&mut self, from: ReplicaId, frame: &[u8]) -> Result<(), NotAMessage> {
        let (message, rest) =
            postcard::take_from_bytes::<R::Message>(frame).map_err(|_| NotAMessage)?;
        if !rest.is_empty() || !R::admissible(&message, self.replicas) {
            return Err(NotAMessage);
        }
        self.meters.counters.messages_in += 1;
        self.meters.counters.bytes_in += frame.len() as u64;
        self.step(Input::Message { from, message });
        Ok(())
    }

    /// Takes a frame that a client sent at `now`: a batch of one request or several, ordered as one.
    ///
    /// # Errors
    /// If it is no batch.
    pub fn on_client_frame(
        &mut self,
        connection: ConnectionId,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), BatchError> {
        let batch = Batch::from_bytes(frame)?;
        if batch.is_noop() {
            return Err(BatchError::Empty);
        }
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
    fn gather(&mut self, batch: Batch, now: Instant) {
        if !self.batching.is_on() {
            return self.step(Input::Propose(batch));
        }
        let mut full: SmallVec<[Batch; 2]> = SmallVec::new();
        self.gathered.add(&self.batching, batch, |batch| full.push(batch));
        if self.gathered.is_empty() {
            self.gathered_until = None;
        } else if self.gathered_until.is_none() || !full.is_empty() {
            // Whatever was closed to make room waited first.
            self.gathered_until = Some(now + self.batching.delay);
        }
        full.into_iter().for_each(|batch| self.step(Input::Propose(batch)));
    }

    /// Proposes what has waited long enough by `now`.
    fn propose_gathered(&mut self, now: Instant) {
        if self.gathered_until.is_none_or(|until| until > now) {
            return;
        }
        self.gathered_until = None;
        if let Some(batch) = self.gathered.close() {
            self.step(Input::Propose(batch));
        }
    }

    /// Steps every timer that ran out by `now`, and proposes what has waited for more until then.
    pub fn on_time(&mut self, now: Instant) {
        self.propose_gathered(now);
        while let Some(timer) = self.timers.expired(now) {
            self.step(Input::Timer(timer));
        }
    }

    /// When [`Engine::on_time`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next_deadline(), self.gathered_until].into_iter().flatten().min()
    }

    /// Carries out, as of `now`, all that was asked for since the last time.
    pub fn flush(&mut self, now: Instant, output: &mut impl Output) {
        self.propose_gathered(now);
        self.meters.drained(std::mem::take(&mut self.inputs));
        self.core.step(Input::Flush, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        loop {
            for effect in effects.drain() {
                self.carry_out(effect, now, output);
            }
            if !self.captured.is_empty() {
                for state in self.captured.drain(..) {
                    self.core.step(Input::Captured(state), &mut effects);
                }
            } else if self.journal.as_ref().is_some_and(Journal::is_long) {
                failpoint::pass(Failpoint::Checkpoint);
                self.core.step(Input::Checkpoint(self.kv.snapshot().into()), &mut effects);
            } else {
                break;
            }
            self.core.step(Input::Flush, &mut effects);
        }
        self.effects = effects;
        for (connection, reply) in self.answers.drain(..) {
            self.meters.counters.client_replies += 1;
            output.reply(connection, &reply);
        }
    }

    /// Takes out what must be durable before anything leaves that was put out since the last time; none if there is nothing.
    pub fn take_work(&mut self) -> Option<Work> {
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

    /// How many requests of `connection` are pending.
    pub fn pending_of(&self, connection: ConnectionId) -> usize {
        self.pending_of.get(&connection).copied().unwrap_or(0)
    }

    /// How many requests are pending, those of connections that are gone included.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// `connection` is gone. Its requests stay pending, so that a retry does not propose them again.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.pending_of.remove(&connection);
    }

    /// Begins to count and to time anew.
    pub fn begin_measuring(&mut self) {
        self.meters.reset();
        self.ordering_steps_before = self.core.status().ordering_steps;
    }

    /// Ends the measured time; what came in during it is timed until it is executed.
    pub fn end_measuring(&mut self) {
        self.meters.end();
    }

    /// What was counted and timed since the measuring began, or since the start.
    pub fn report(&self) -> ReplicaReport {
        let (status, digest) = (self.core.status(), self.kv.digest());
        let open =
            self.pending.values().map(|pending| (pending.entered, pending.committed.is_some()));
        let mut report = self.meters.report(open);
        report.replica = u32::from(self.id.0);
        report.role = match status.leader {
            Some(leader) if leader == self.id => Role::Leader,
            None if !R::PROTOCOL.has_stable_leader => Role::Peer,
            _ => Role::Follower,
        };
        report.counters.component_commands_max = status.longest_component;
        report.counters.ordering_steps = status.ordering_steps - self.ordering_steps_before;
        // Equal only if the session tables are, too.
        let sessions = [digest.sessions.to_le_bytes(), digest.writes.to_le_bytes()].concat();
        report.digest =
            StateDigest { state: xxh3_64_with_seed(&sessions, digest.state), order: digest.order };
        report
    }

    /// How things stand, as far as the engine knows.
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            is_insecure: false,
            incarnation: 0,
            core: self.core.status(),
            digest: self.kv.digest(),
            commits: self.commits,
            commit_digest: self.commit_digest,
            executed: self.executed,
            pending: self.pending.len() as u64,
            peers_connected: 0,
            messages_dropped: self.dropped,
            rss_bytes: measure::rss_bytes(),
            storage: self.storage_status(),
        }
    }

    fn storage_status(&self) -> StorageStatus {
        let (log_bytes, snapshot_bytes) = self.journal.as_ref().map_or((0, 0), Journal::bytes);
        StorageStatus { log_bytes, snapshot_bytes, ..self.storage.clone() }
    }

    /// The keys of bucket `bucket` of `buckets`.
    pub fn key_digests(&self, bucket: u64, buckets: u64) -> Vec<KeyDigest> {
        self.kv.key_digests(bucket, buckets.max(1))
    }

    fn step(&mut self, input: Input<R>) {
        self.inputs += 1;
        self.core.step(input, &mut self.effects);
    }

    /// Registers who waits for `request`; true if it is to be proposed.
    fn admit(&mut self, connection: ConnectionId, request: &Request<'_>, now: Instant) -> bool {
        let key = (request.client, request.number);
        if let Some(pending) = self.pending.get_mut(&key) {
            release(&mut self.pending_of, pending.connection);
            pending.connection = connection;
            *self.pending_of.entry(connection).or_default() += 1;
            return false;
        }
        let answer = match self.kv.answered(request) {
            Some(outcome) => Ok(outcome),
            None if !self.kv.sessions().admits(request.client, request.unanswered_from) => {
                Err(Refusal::SessionsFull)
            }
            None => {
                self.pending.insert(key, Pending { connection, entered: now, committed: None });
                *self.pending_of.entry(connection).or_default() += 1;
                return true;
            }
        };
        let reply = Reply { client: request.client, number: request.number, answer };
        self.answers.push((connection, reply));
        false
    }

    fn carry_out(&mut self, effect: Effect<R>, now: Instant, output: &mut impl Output) {
        match effect {
            Effect::Persist(record) => {
                failpoint::pass(Failpoint::Record);
                if let Some(journal) = &mut self.journal {
                    journal.record(&record);
                }
            }
            Effect::Send { to, message } => self.send(to, &message, output),
            Effect::SetTimer { timer, after } => self.timers.set(timer, now, after),
            Effect::CancelTimer(timer) => self.timers.cancel(timer),
            Effect::Committed { instance, batch, dependencies, path } => {
                self.on_committed(instance, &batch, &dependencies, path, now);
            }
            Effect::Execute { batch, .. } => self.execute(&batch, now, output),
            Effect::Capture => self.captured.push(self.kv.snapshot().into()),
            Effect::Install(snapshot) => {
                failpoint::pass(Failpoint::Install);
                self.install(&snapshot, now);
                self.keep(snapshot);
                failpoint::pass(Failpoint::Installed);
            }
            Effect::Checkpoint(snapshot) => {
                self.keep(snapshot);
                failpoint::pass(Failpoint::Checkpointed);
            }
        }
    }

    /// A state in place of all that was recorded: what is needed beyond it is recorded right behind this.
    fn keep(&mut self, snapshot: Snapshot) {
        if let Some(journal) = &mut self.journal {
            journal.replace(snapshot);
        }
    }

    fn send(&mut self, to: ReplicaSet, message: &R::Message, output: &mut impl Output) {
        self.encoded.clear();
        let accepted = match append_value_frame(&mut self.encoded, message) {
            Ok(()) => output.send(to, &self.encoded),
            Err(_) => 0,
        };
        self.meters.counters.messages_out += accepted;
        self.meters.counters.bytes_out += accepted * self.encoded.len() as u64;
        self.dropped += to.len() as u64 - accepted;
    }

    fn on_committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
        path: Path,
        now: Instant,
    ) {
        self.commits += 1;
        self.meters.commit_seen(now);
        self.commit_digest =
            self.commit_digest.wrapping_add(hash_of_commit(instance, batch, dependencies));
        match path {
            Path::Fast => self.meters.counters.commits_fast += 1,
            Path::Slow => self.meters.counters.commits_slow += 1,
            Path::Recovered => self.meters.counters.commits_recovered += 1,
            Path::Learned if self.pending.is_empty() => return,
            Path::Learned => {}
        }
        let led = u64::from(path != Path::Learned);
        for request in batch.requests() {
            self.meters.counters.commands_led += led;
            if let Some(pending) = self.pending.get_mut(&(request.client, request.number))
                && pending.committed.is_none()
            {
                pending.committed = Some(now);
                self.meters.committed(pending.entered, now);
            }
        }
    }

    fn execute(&mut self, batch: &Batch, now: Instant, output: &mut impl Output) {
        self.meters.execution_seen(now);
        for request in batch.requests() {
            failpoint::pass(Failpoint::Execute);
            let outcome = self.kv.apply(&request);
            failpoint::pass(Failpoint::Executed);
            self.executed += 1;
            self.meters.counters.commands_executed += 1;
            let Some(pending) = self.pending.remove(&(request.client, request.number)) else {
                continue;
            };
            release(&mut self.pending_of, pending.connection);
            if pending.committed.is_none() {
                self.meters.committed(pending.entered, now);
            }
            self.meters.executed(pending.entered, pending.committed.unwrap_or(now), now);
            self.meters.counters.client_replies += 1;
            let (client, number) = (request.client, request.number);
            output.reply(pending.connection, &Reply { client, number, answer: Ok(outcome) });
        }
    }

    /// Takes over the state of another replica. Pending writes that it holds are answered from it; pending reads are
    /// forgotten, because nothing tells whether they were executed before it: a retry proposes them again.
    fn install(&mut self, snapshot: &Snapshot, now: Instant) {
        self.kv = Kv::restore(&snapshot.machine)
            .expect("a core asks only for states that a replica of its cluster captured");
        let (kv, answers, pending_of) = (&self.kv, &mut self.answers, &mut self.pending_of);
        let meters = &mut self.meters;
        self.pending.retain(|(client, number), pending| {
            let (client, number) = (*client, *number);
            if number.is_read() {
                meters.forgotten(pending.entered, pending.committed.is_some(), now);
            } else {
                let Some(outcome) = kv.sessions().outcome(client, number.index()) else {
                    return true;
                };
                if pending.committed.is_none() {
                    meters.committed(pending.entered, now);
                }
                meters.executed(pending.entered, pending.committed.unwrap_or(now), now);
                answers.push((pending.connection, Reply { client, number, answer: Ok(outcome) }));
            }
            release(pending_of, pending.connection);
            false
        });
    }
}

/// One request less is pending for `connection`, if it is still there.
fn release(pending_of: &mut FxHashMap<ConnectionId, usize>, connection: ConnectionId) {
    if let Some(count) = pending_of.get_mut(&connection) {
        *count = count.saturating_sub(1);
    }
}

fn hash_of_commit(instance: InstanceId, batch: &Batch, dependencies: &Dependencies) -> u64 {
    let place = instance.slot.wrapping_mul(64).wrapping_add(u64::from(instance.row.0));
    let mut hash = xxh3_64_with_seed(batch.as_bytes(), place);
    for slot in dependencies.slots() {
        hash = hash.rotate_left(5) ^ slot.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    // The sum of unmixed words could hide a pair of differences that cancel each other.
    xxh3_64(&hash.to_le_bytes())
}
