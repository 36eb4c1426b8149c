//! A cluster in virtual time, for tests: one seed decides every delay, loss, repetition and crash. Beside running the
//! cores it checks, at every effect, what must hold of every protocol that orders by slot.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod hand;
pub mod random;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use protocols::{
    Batch, ClientId, Command, Config, Effect, Effects, Input, Path, Replica, ReplicaId, Request,
    RequestNumber, Slot, Snapshot, Status, kv::Kv,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Nanoseconds of virtual time.
pub type Time = u64;

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Share of messages lost, in percent.
    pub loss_percent: u32,
    /// Share of messages delivered twice, in percent.
    pub duplicate_percent: u32,
    /// One-way delay in µs; the wider, the more is reordered.
    pub delay_us: (u64, u64),
}

impl Faults {
    /// Every message arrives once, after exactly 1 ms.
    pub const NONE: Self = Self { loss_percent: 0, duplicate_percent: 0, delay_us: (1000, 1000) };
}

enum Event<R: Replica> {
    Deliver { from: ReplicaId, to: ReplicaId, message: R::Message },
    Timer { replica: ReplicaId, timer: R::Timer, generation: u64 },
    Captured { replica: ReplicaId, life: u64, machine: Arc<[u8]> },
}

/// A replica with what its driver keeps for it.
pub struct Node<R: Replica> {
    pub core: Option<R>,
    pub kv: Kv,
    pub records: Vec<R::Record>,
    /// How many of them a snapshot made durable in this step makes superfluous.
    obsolete: usize,
    pub snapshot: Option<Snapshot>,
    /// Executed in this life, in order; slots covered by a snapshot are missing.
    pub executed: Vec<(Slot, Batch)>,
    /// Committed in this life.
    pub committed: BTreeMap<Slot, Path>,
    pub life: u64,
    timers: BTreeMap<R::Timer, u64>,
    last_executed: Slot,
}

type Tap<R> = Box<dyn FnMut(ReplicaId, ReplicaId, &<R as Replica>::Message) -> bool>;

/// The cluster.
pub struct Cluster<R: Replica> {
    pub config: Config,
    pub nodes: Vec<Node<R>>,
    pub now: Time,
    pub faults: Faults,
    /// Every message sent, in order: for tests that count.
    pub sent: Vec<(ReplicaId, ReplicaId, R::Message)>,
    pub record_sent: bool,
    /// Messages for which it returns false are lost.
    pub tap: Option<Tap<R>>,
    pub rng: ChaCha8Rng,
    /// Agreement: what any replica in any life took for decided.
    pub decided: BTreeMap<Slot, Batch>,
    queue: BTreeMap<(Time, u64), Event<R>>,
    sequence: u64,
}

impl<R: Replica> Cluster<R> {
    pub fn new(config: Config, seed: u64) -> Self {
        let nodes = ReplicaId::all(config.replicas).map(|_| Node {
            core: None,
            kv: Kv::default(),
            records: Vec::new(),
            obsolete: 0,
            snapshot: None,
            executed: Vec::new(),
            committed: BTreeMap::new(),
            life: 0,
            timers: BTreeMap::new(),
            last_executed: 0,
        });
        let mut cluster = Self {
            config,
            nodes: nodes.collect(),
            now: 0,
            faults: Faults::NONE,
            sent: Vec::new(),
            record_sent: false,
            tap: None,
            rng: ChaCha8Rng::seed_from_u64(seed),
            decided: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
        };
        for replica in ReplicaId::all(config.replicas) {
            cluster.start(replica);
        }
        cluster
    }

    /// Starts (again) a replica that is not running, from its snapshot and its records.
    pub fn start(&mut self, replica: ReplicaId) {
        let node = &mut self.nodes[replica.index()];
        assert!(node.core.is_none(), "{replica} runs already");
        node.core = Some(R::recover(
            replica,
            &self.config,
            node.snapshot.as_ref(),
            node.records.iter().cloned(),
        ));
        node.kv = match &node.snapshot {
            Some(snapshot) => Kv::restore(&snapshot.machine).unwrap(),
            None => Kv::default(),
        };
        node.executed.clear();
        node.committed.clear();
        node.last_executed = 0;
        node.life += 1;
        self.step(replica, Input::Start);
    }

    /// Ends a replica; what it did not persist is gone.
    pub fn crash(&mut self, replica: ReplicaId) {
        let node = &mut self.nodes[replica.index()];
        node.core = None;
        node.timers.clear();
    }

    pub fn core(&self, replica: ReplicaId) -> &R {
        self.nodes[replica.index()].core.as_ref().expect("the replica runs")
    }

    pub fn status(&self, replica: ReplicaId) -> Status {
        self.core(replica).status()
    }

    pub fn is_up(&self, replica: ReplicaId) -> bool {
        self.nodes[replica.index()].core.is_some()
    }

    /// Steps one input, then flushes, then carries out every effect.
    pub fn step(&mut self, replica: ReplicaId, input: Input<R>) {
        self.step_and_crash_after(replica, input, usize::MAX);
    }

    /// As [`Cluster::step`], but the replica dies after `effects_done` effects.
    pub fn step_and_crash_after(
        &mut self,
        replica: ReplicaId,
        input: Input<R>,
        effects_done: usize,
    ) {
        let Some(core) = &mut self.nodes[replica.index()].core else { return };
        let mut effects = Effects::default();
        core.step(input, &mut effects);
        core.step(Input::Flush, &mut effects);
        let all: Vec<_> = effects.drain().collect();
        let dies = effects_done <= all.len();
        for effect in all.into_iter().take(effects_done) {
            self.carry_out(replica, effect);
        }
        if dies {
            self.crash(replica);
        }
        // Once the whole drain is durable a driver may forget what was recorded before a snapshot: the core has said again
        // what it still needs.
        let node = &mut self.nodes[replica.index()];
        let obsolete = std::mem::take(&mut node.obsolete);
        if !dies {
            node.records.drain(..obsolete);
        }
    }

    /// Gives a replica its state, to forget what led there.
    pub fn checkpoint(&mut self, replica: ReplicaId) {
        let machine = self.nodes[replica.index()].kv.snapshot();
        self.step(replica, Input::Checkpoint(machine.into()));
    }

    pub fn propose(&mut self, replica: ReplicaId, batch: Batch) {
        self.step(replica, Input::Propose(batch));
    }

    fn push(&mut self, at: Time, event: Event<R>) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    fn draw(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.rng.random_range(range)
    }

    fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100u32) < percent
    }

    fn carry_out(&mut self, replica: ReplicaId, effect: Effect<R>) {
        let node = &mut self.nodes[replica.index()];
        match effect {
            Effect::Persist(record) => node.records.push(record),
            Effect::Send { to, message } => {
                assert!(!to.contains(replica), "{replica} sends to itself");
                for to in to.iter() {
                    self.send(replica, to, &message);
                }
            }
            Effect::SetTimer { timer, after } => {
                let nanos = |d: &Duration| u64::try_from(d.as_nanos()).unwrap();
                let after = self.draw(nanos(after.start())..=nanos(after.end()));
                let generation = self.sequence + 1;
                self.nodes[replica.index()].timers.insert(timer, generation);
                self.push(self.now + after, Event::Timer { replica, timer, generation });
            }
            Effect::CancelTimer(timer) => {
                node.timers.remove(&timer);
            }
            Effect::Committed { instance, batch, path, .. } => {
                let before = node.committed.insert(instance.slot, path);
                assert_eq!(before, None, "{replica} commits {instance} twice in one life");
                let decided = self.decided.entry(instance.slot).or_insert_with(|| batch.clone());
                assert_eq!(*decided, batch, "agreement at {instance}, learnt by {replica}");
            }
            Effect::Execute { instance, batch } => self.execute(replica, instance.slot, batch),
            Effect::Capture => {
                let machine = node.kv.snapshot().into();
                let life = node.life;
                let at = self.now + self.draw(0..=2_000_000);
                self.push(at, Event::Captured { replica, life, machine });
            }
            Effect::Install(snapshot) => {
                node.kv = Kv::restore(&snapshot.machine).unwrap();
                node.snapshot = Some(snapshot);
                node.obsolete = node.records.len();
                node.last_executed = Slot::MAX;
            }
            Effect::Checkpoint(snapshot) => {
                node.snapshot = Some(snapshot);
                node.obsolete = node.records.len();
            }
        }
    }

    fn execute(&mut self, replica: ReplicaId, slot: Slot, batch: Batch) {
        let node = &mut self.nodes[replica.index()];
        assert!(node.committed.contains_key(&slot), "{replica} executes {slot} uncommitted");
        // After a snapshot the order goes on wherever the snapshot ends.
        if node.last_executed == Slot::MAX || (node.executed.is_empty() && node.snapshot.is_some())
        {
            assert!(node.executed.last().is_none_or(|(last, _)| *last < slot));
        } else {
            assert_eq!(slot, node.last_executed + 1, "{replica} executes out of order");
        }
        node.last_executed = slot;
        for request in batch.requests() {
            node.kv.apply(&request);
        }
        node.executed.push((slot, batch));
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaId, message: &R::Message) {
        if self.record_sent {
            self.sent.push((from, to, message.clone()));
        }
        if let Some(tap) = &mut self.tap
            && !tap(from, to, message)
        {
            return;
        }
        if self.percent(self.faults.loss_percent) {
            return;
        }
        let copies = 1 + u32::from(self.percent(self.faults.duplicate_percent));
        for _ in 0..copies {
            let delay_us = self.draw(self.faults.delay_us.0..=self.faults.delay_us.1);
            let message = message.clone();
            self.push(self.now + delay_us * 1000, Event::Deliver { from, to, message });
        }
    }

    /// Hands a message over as if it had arrived now.
    pub fn deliver(&mut self, from: ReplicaId, to: ReplicaId, message: R::Message) {
        self.step(to, Input::Message { from, message });
    }

    /// Takes the next event. False if there is none before `until`.
    pub fn run_one(&mut self, until: Time) -> bool {
        let Some((replica, input)) = self.next_input(until) else { return false };
        if let Some(input) = input {
            self.step(replica, input);
        }
        true
    }

    /// The next event's replica, and its input unless nobody is there to take it.
    pub fn next_input(&mut self, until: Time) -> Option<(ReplicaId, Option<Input<R>>)> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > until {
            return None;
        }
        let ((at, _), event) = entry.remove_entry();
        self.now = at;
        Some(match event {
            Event::Deliver { from, to, message } => (to, Some(Input::Message { from, message })),
            Event::Timer { replica, timer, generation } => {
                let timers = &mut self.nodes[replica.index()].timers;
                let runs = timers.get(&timer) == Some(&generation);
                if runs {
                    timers.remove(&timer);
                }
                (replica, runs.then_some(Input::Timer(timer)))
            }
            Event::Captured { replica, life, machine } => {
                let same = self.nodes[replica.index()].life == life;
                (replica, same.then_some(Input::Captured(machine)))
            }
        })
    }

    /// Runs for `millis` of virtual time.
    pub fn run_ms(&mut self, millis: u64) {
        let until = self.now + millis * 1_000_000;
        while self.run_one(until) {}
        self.now = until;
    }

    /// Runs until `done`, for at most `millis`; false if it did not come to that.
    pub fn run_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + millis * 1_000_000;
        while !done(self) {
            if !self.run_one(until) {
                return false;
            }
        }
        true
    }

    /// Are all replicas up, with nothing known unexecuted, and in the same state?
    pub fn at_rest(&self) -> bool {
        let up =
            || self.nodes.iter().filter_map(|node| node.core.as_ref().map(|core| (node, core)));
        let Some((first, _)) = up().next() else { return true };
        up().all(|(node, core)| {
            let status = core.status();
            status.unexecuted == 0
                && status.undecided == 0
                && node.kv.digest().sessions == first.kv.digest().sessions
        })
    }

    /// All running replicas hold the same state, reached in the same order.
    pub fn assert_equal_states(&self) {
        let digests: BTreeSet<_> = self
            .nodes
            .iter()
            .filter(|node| node.core.is_some())
            .map(|node| format!("{:?}", node.kv.digest()))
            .collect();
        assert!(digests.len() <= 1, "replicas differ: {digests:#?}");
    }

    /// Has `replica` applied `batch`?
    pub fn has_applied(&self, replica: ReplicaId, batch: &Batch) -> bool {
        let kv = &self.nodes[replica.index()].kv;
        batch.requests().all(|request| kv.answered(&request).is_some())
    }

    /// What is decided, as far as anyone learnt: one entry per slot, no-ops as none.
    pub fn log(&self) -> Vec<Option<(u64, u64)>> {
        self.decided.values().map(id_of).collect()
    }
}

/// Client and write index of a batch's first request.
pub fn id_of(batch: &Batch) -> Option<(u64, u64)> {
    batch.requests().next().map(|request| (request.client.0, request.number.index()))
}

/// The `index`-th write of `client`: an append to one of a few keys.
pub fn write(client: u64, index: u64) -> Batch {
    let key = format!("k{}", (client + index) % 3);
    let value = format!("{client}.{index};");
    Batch::single(&Request {
        client: ClientId(client),
        number: RequestNumber::write(index),
        unanswered_from: 1,
        command: Command::Append { key: key.as_bytes(), value: value.as_bytes() },
    })
    .unwrap()
}

/// Replica `index`.
pub const fn r(index: u8) -> ReplicaId {
    ReplicaId(index)
}
