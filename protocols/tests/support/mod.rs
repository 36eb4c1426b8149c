//! A cluster in virtual time, for tests: one seed decides every delay, loss, repetition and crash. Beside running the
//! cores it checks, at every effect, what must hold of every protocol that orders by slot.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod hand;
pub mod net;
pub mod random;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use net::{Decision, Envelope, Lives, Net, Node, World};
use protocols::{
    Batch, ClientId, Command, Config, Input, InstanceId, Path, Replica, ReplicaId, Request,
    RequestNumber, Slot, Snapshot, Status,
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
    Deliver(Envelope<R::Message>),
    Timer { replica: ReplicaId, timer: R::Timer, generation: u64 },
    Captured { replica: ReplicaId, life: u64, machine: Arc<[u8]> },
}

type Tap<R> = Box<dyn FnMut(ReplicaId, ReplicaId, &<R as Replica>::Message) -> bool>;

/// The cluster.
pub type Cluster<R> = Net<R, Virtual<R>>;

/// Virtual time, in which messages travel and timers run, and what must hold at every effect.
pub struct Virtual<R: Replica> {
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
    pub lives: Lives,
    /// The last slot that each replica executed in its life; [`Slot::MAX`] behind a snapshot.
    last_executed: BTreeMap<ReplicaId, Slot>,
    queue: BTreeMap<(Time, u64), Event<R>>,
    /// Which event is the end of each timer as it was set last.
    generations: BTreeMap<(ReplicaId, R::Timer), u64>,
    sequence: u64,
}

impl<R: Replica> Virtual<R> {
    fn new(seed: u64) -> Self {
        Self {
            now: 0,
            faults: Faults::NONE,
            sent: Vec::new(),
            record_sent: false,
            tap: None,
            rng: ChaCha8Rng::seed_from_u64(seed),
            decided: BTreeMap::new(),
            lives: Lives::default(),
            last_executed: BTreeMap::new(),
            queue: BTreeMap::new(),
            generations: BTreeMap::new(),
            sequence: 0,
        }
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
}

impl<R: Replica> World<R> for Virtual<R> {
    fn begins(&mut self, node: &Node<R>) {
        self.lives.begin(node.id);
        self.last_executed.remove(&node.id);
    }

    fn posts(
        &mut self,
        _: &Node<R>,
        envelope: Envelope<R::Message>,
        _: &mut VecDeque<Envelope<R::Message>>,
    ) {
        let Envelope { from, to, message } = &envelope;
        if self.record_sent {
            self.sent.push((*from, *to, message.clone()));
        }
        if let Some(tap) = &mut self.tap
            && !tap(*from, *to, message)
        {
            return;
        }
        if self.percent(self.faults.loss_percent) {
            return;
        }
        let copies = 1 + u32::from(self.percent(self.faults.duplicate_percent));
        for _ in 0..copies {
            let delay_us = self.draw(self.faults.delay_us.0..=self.faults.delay_us.1);
            self.push(self.now + delay_us * 1000, Event::Deliver(envelope.clone()));
        }
    }

    fn sets_timer(&mut self, node: &Node<R>, timer: R::Timer, after: &RangeInclusive<Duration>) {
        let nanos = |d: &Duration| u64::try_from(d.as_nanos()).unwrap();
        let after = self.draw(nanos(after.start())..=nanos(after.end()));
        let (replica, generation) = (node.id, self.sequence + 1);
        self.generations.insert((replica, timer), generation);
        self.push(self.now + after, Event::Timer { replica, timer, generation });
    }

    fn commits(&mut self, node: &Node<R>, at: InstanceId, decision: Decision) {
        let replica = node.id;
        let decided = self.decided.entry(at.slot).or_insert_with(|| decision.batch.clone());
        assert_eq!(*decided, decision.batch, "agreement at {at}, learnt by {replica}");
        let before = self.lives.of_mut(replica).committed.insert(at, decision);
        assert_eq!(before, None, "{replica} commits {at} twice in one life");
    }

    fn executed(&mut self, node: &Node<R>, at: InstanceId, batch: Batch) {
        let (replica, slot, life) = (node.id, at.slot, self.lives.of_mut(node.id));
        assert!(life.committed.contains_key(&at), "{replica} executes {slot} uncommitted");
        let last = self.last_executed.insert(replica, slot).unwrap_or(0);
        // After a snapshot the order goes on wherever the snapshot ends.
        if last == Slot::MAX || (life.executed.is_empty() && node.snapshot.is_some()) {
            assert!(life.executed.last().is_none_or(|(last, _)| last.slot < slot));
        } else {
            assert_eq!(slot, last + 1, "{replica} executes out of order");
        }
        life.executed.push((at, batch));
    }

    fn captures(&mut self, node: &Node<R>, machine: Arc<[u8]>) -> Option<Arc<[u8]>> {
        let at = self.now + self.draw(0..=2_000_000);
        self.push(at, Event::Captured { replica: node.id, life: node.life, machine });
        None
    }

    fn installs(&mut self, node: &Node<R>, _: &Snapshot) {
        self.last_executed.insert(node.id, Slot::MAX);
    }
}

impl<R: Replica> Cluster<R> {
    pub fn new(config: Config, seed: u64) -> Self {
        Self::of(config, Virtual::new(seed))
    }

    pub fn status(&self, replica: ReplicaId) -> Status {
        self.core(replica).status()
    }

    pub fn propose(&mut self, replica: ReplicaId, batch: Batch) {
        self.step(replica, Input::Propose(batch));
    }

    /// How each slot that `replica` knows decided in this life was decided.
    pub fn paths(&self, replica: ReplicaId) -> BTreeMap<Slot, Path> {
        let committed = self.world.lives.of(replica).committed.iter();
        committed.map(|(at, decision)| (at.slot, decision.path)).collect()
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
        let entry = self.world.queue.first_entry()?;
        if entry.key().0 > until {
            return None;
        }
        let ((at, _), event) = entry.remove_entry();
        self.world.now = at;
        Some(match event {
            Event::Deliver(Envelope { from, to, message }) => {
                (to, Some(Input::Message { from, message }))
            }
            Event::Timer { replica, timer, generation } => {
                let latest = self.world.generations.get(&(replica, timer)) == Some(&generation);
                let runs = latest && self.stop(replica, timer);
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
        let until = self.world.now + millis * 1_000_000;
        while self.run_one(until) {}
        self.world.now = until;
    }

    /// Runs until `done`, for at most `millis`; false if it did not come to that.
    pub fn run_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.world.now + millis * 1_000_000;
        while !done(self) {
            if !self.run_one(until) {
                return false;
            }
        }
        true
    }

    /// Are all replicas up, with nothing known unexecuted, and in the same state?
    pub fn at_rest(&self) -> bool {
        let Some((first, _)) = self.live().next() else { return true };
        self.live().all(|(node, core)| {
            let status = core.status();
            status.unexecuted == 0
                && status.undecided == 0
                && node.kv.digest().sessions == first.kv.digest().sessions
        })
    }

    /// All running replicas hold the same state, reached in the same order.
    pub fn assert_equal_states(&self) {
        let digests: BTreeSet<_> =
            self.live().map(|(node, _)| format!("{:?}", node.kv.digest())).collect();
        assert!(digests.len() <= 1, "replicas differ: {digests:#?}");
    }

    /// Has `replica` applied `batch`?
    pub fn has_applied(&self, replica: ReplicaId, batch: &Batch) -> bool {
        let kv = &self.node(replica).kv;
        batch.requests().all(|request| kv.answered(&request).is_some())
    }

    /// What is decided, as far as anyone learnt: one entry per slot, no-ops as none.
    pub fn log(&self) -> Vec<Option<(u64, u64)>> {
        self.world.decided.values().map(id_of).collect()
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

/// The `index`-th write of a client: a put of so many bytes on a key of its own.
pub fn large(index: u64, value_bytes: usize) -> Batch {
    Batch::single(&Request {
        client: ClientId(1),
        number: RequestNumber::write(index),
        unanswered_from: 1,
        command: Command::Put { key: &index.to_le_bytes(), value: &vec![7; value_bytes] },
    })
    .unwrap()
}

/// Replica `index`.
pub const fn r(index: u8) -> ReplicaId {
    ReplicaId(index)
}
