//! The one net of the tests: cores beside what a driver would keep for them, and the messages
//! between them in a list. Golden scripts, random and directed tests, the memory benches and the
//! fuzzer's corpus are its users.
//!
//! The net interprets the effects. Its user picks what happens next (a message, a timer, a crash, a
//! restart), and its user's [`World`] hears of everything in the order of the effects and may take
//! the messages into a schedule of its own.
//!
//! It is a file that its users include by path and no crate. All of it is generic, so each user
//! compiles its own copy in any case, and a crate of it would be a dependency of the crate on which
//! it depends.

#![allow(dead_code, unreachable_pub, reason = "each user needs a part of it")]

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use protocols::{
    Batch, Config, Dependencies, Effect, Effects, Input, InstanceId, Outcome, Path, Replica,
    ReplicaId, ReplicaSet, Request, Snapshot, kv::Kv,
};

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<M> {
    pub from: ReplicaId,
    pub to: ReplicaId,
    pub message: M,
}

/// How much of a step is done before its replica crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It does not crash.
    Whole,
    /// It crashes after so many effects, unless there are fewer.
    After(usize),
    /// All is persisted, and nothing is sent, executed or answered.
    BeforeSend,
}

/// A decision as a replica came to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub batch: Batch,
    pub dependencies: Dependencies,
    pub path: Path,
}

/// What surrounds the replicas. Each method is called at its effect, in the order of the effects.
pub trait World<R: Replica> {
    /// Are records, snapshots and timers kept? Without them no replica can come back, and time does
    /// not pass.
    const KEEPS: bool = true;

    /// A life begins, from what is durable.
    fn begins(&mut self, _node: &Node<R>) {}

    /// A life is over. `amid` tells that it ended in the middle of a step.
    fn ends(&mut self, _node: &Node<R>, _amid: bool) {}

    /// A replica is about to take `input`.
    fn takes(&mut self, _node: &Node<R>, _input: &Input<R>) {}

    /// A record becomes durable.
    fn persists(&mut self, _node: &Node<R>, _record: &R::Record) {}

    /// A message is sent, once for all its receivers.
    fn sends(&mut self, _node: &Node<R>, _to: ReplicaSet, _message: &R::Message) {}

    /// A message begins its way to one receiver: by default it is the last in the list of those in
    /// flight.
    fn posts(
        &mut self,
        _receiver: &Node<R>,
        envelope: Envelope<R::Message>,
        flight: &mut VecDeque<Envelope<R::Message>>,
    ) {
        flight.push_back(envelope);
    }

    /// A timer is set, perhaps again.
    fn sets_timer(&mut self, _node: &Node<R>, _timer: R::Timer, _after: &RangeInclusive<Duration>) {
    }

    /// A replica knows a decision.
    fn commits(&mut self, _node: &Node<R>, _at: InstanceId, _decision: Decision) {}

    /// A batch is about to be applied to the node's machine.
    fn executes(&mut self, _node: &Node<R>, _at: InstanceId, _batch: &Batch) {}

    /// A request of the batch was applied, and this is the reply to its client.
    fn answers(&mut self, _node: &Node<R>, _request: &Request<'_>, _outcome: Outcome) {}

    /// All of the batch was applied.
    fn executed(&mut self, _node: &Node<R>, _at: InstanceId, _batch: Batch) {}

    /// A state was asked for: by default it is given back right after the step. If this returns
    /// none, the world gives it back itself.
    fn captures(&mut self, _node: &Node<R>, machine: Arc<[u8]>) -> Option<Arc<[u8]>> {
        Some(machine)
    }

    /// The node's machine was replaced by a snapshot's.
    fn installs(&mut self, _node: &Node<R>, _snapshot: &Snapshot) {}

    /// A snapshot of the node itself is kept for its next life.
    fn checkpoints(&mut self, _node: &Node<R>, _snapshot: &Snapshot) {}
}

/// A replica beside what its driver keeps for it.
pub struct Node<R: Replica> {
    pub id: ReplicaId,
    /// None while it is down.
    pub core: Option<R>,
    pub kv: Kv,
    /// Those that are durable and that no snapshot has made superfluous.
    pub records: Vec<R::Record>,
    pub snapshot: Option<Snapshot>,
    /// Those that run, each with the range that its end is drawn from.
    pub timers: BTreeMap<R::Timer, RangeInclusive<Duration>>,
    /// How many lives have begun.
    pub life: u64,
}

/// A replica, named by its id or by its number alone.
pub trait At {
    fn id(self) -> ReplicaId;
}

impl At for ReplicaId {
    fn id(self) -> ReplicaId {
        self
    }
}

impl At for u8 {
    fn id(self) -> ReplicaId {
        ReplicaId(self)
    }
}

/// The cluster.
pub struct Net<R: Replica, W: World<R>> {
    pub config: Config,
    pub nodes: Vec<Node<R>>,
    /// The messages under way, the oldest first.
    pub flight: VecDeque<Envelope<R::Message>>,
    pub world: W,
    effects: Effects<R>,
    rest: Rest,
}

/// What the step under way leaves to be done once all its effects are carried out.
#[derive(Default)]
struct Rest {
    captured: VecDeque<Arc<[u8]>>,
    /// How many of the oldest records a snapshot made superfluous.
    superfluous: usize,
}

impl<R: Replica, W: World<R>> Net<R, W> {
    /// A cluster whose replicas all live and have taken [`Input::Start`].
    pub fn of(config: Config, world: W) -> Self {
        let node = |id| Node {
            id,
            core: None,
            kv: Kv::default(),
            records: Vec::new(),
            snapshot: None,
            timers: BTreeMap::new(),
            life: 0,
        };
        let mut net = Self {
            config,
            nodes: ReplicaId::all(config.replicas).map(node).collect(),
            flight: VecDeque::new(),
            world,
            effects: Effects::default(),
            rest: Rest::default(),
        };
        for replica in ReplicaId::all(config.replicas) {
            net.recover(replica);
        }
        for replica in ReplicaId::all(config.replicas) {
            net.step(replica, Input::Start);
        }
        net
    }

    pub fn node(&self, at: impl At) -> &Node<R> {
        &self.nodes[at.id().index()]
    }

    pub fn lives(&self, at: impl At) -> bool {
        self.node(at).core.is_some()
    }

    /// The core of a replica that lives.
    pub fn core(&self, at: impl At) -> &R {
        self.node(at).core.as_ref().expect("the replica lives")
    }

    /// The nodes that live, with their cores.
    pub fn live(&self) -> impl Iterator<Item = (&Node<R>, &R)> + Clone {
        self.nodes.iter().filter_map(|node| Some((node, node.core.as_ref()?)))
    }

    /// Begins a life of a replica that is down, from what is durable.
    pub fn start(&mut self, at: impl At) {
        let at = at.id();
        self.recover(at);
        self.step(at, Input::Start);
    }

    fn recover(&mut self, at: ReplicaId) {
        let node = &mut self.nodes[at.index()];
        assert!(node.core.is_none(), "{at} lives already");
        let snapshot = node.snapshot.as_ref();
        node.kv = snapshot.map_or_else(Kv::default, machine);
        node.core = Some(R::recover(at, &self.config, snapshot, node.records.iter().cloned()));
        node.life += 1;
        self.world.begins(node);
    }

    /// Ends a life: what is not durable is gone, and so are the messages on their way to it.
    pub fn crash(&mut self, at: impl At) {
        self.end(at.id(), false);
    }

    fn end(&mut self, at: ReplicaId, amid: bool) {
        let node = &mut self.nodes[at.index()];
        node.core = None;
        node.timers.clear();
        self.flight.retain(|envelope| envelope.to != at);
        self.world.ends(node, amid);
    }

    /// Gives a replica its state, so that it can forget the past; nothing if it is down.
    pub fn checkpoint(&mut self, at: impl At) {
        let at = at.id();
        let machine = self.node(at).kv.snapshot();
        self.step(at, Input::Checkpoint(machine.into()));
    }

    /// Hands a message over, whether it was in flight or not; nothing if its receiver is down.
    pub fn hand_over(&mut self, envelope: Envelope<R::Message>) {
        let Envelope { from, to, message } = envelope;
        self.step(to, Input::Message { from, message });
    }

    /// Delivers, in order, what is in flight now and matches; returns how many.
    pub fn deliver(&mut self, matches: impl Fn(&Envelope<R::Message>) -> bool) -> usize {
        let flight = std::mem::take(&mut self.flight);
        let (now, later): (VecDeque<_>, _) = flight.into_iter().partition(matches);
        self.flight = later;
        let delivered = now.len();
        for envelope in now {
            self.hand_over(envelope);
        }
        delivered
    }

    /// Loses what is in flight and matches.
    pub fn lose(&mut self, matches: impl Fn(&Envelope<R::Message>) -> bool) {
        self.flight.retain(|envelope| !matches(envelope));
    }

    /// Delivers the oldest message until nothing is in flight; false if more than `messages_max`
    /// are not the end of it.
    pub fn settle(&mut self, messages_max: usize) -> bool {
        for _ in 0..messages_max {
            let Some(envelope) = self.flight.pop_front() else { return true };
            self.hand_over(envelope);
        }
        self.flight.is_empty()
    }

    /// The timers that run at a replica.
    pub fn timers(&self, at: impl At) -> Vec<R::Timer> {
        self.node(at).timers.keys().copied().collect()
    }

    /// Stops a timer; false if it does not run.
    pub fn stop(&mut self, at: impl At, timer: R::Timer) -> bool {
        self.nodes[at.id().index()].timers.remove(&timer).is_some()
    }

    /// Lets a timer run out that runs.
    pub fn fire(&mut self, at: impl At, timer: R::Timer) {
        let at = at.id();
        assert!(self.stop(at, timer), "{timer:?} does not run at {at}: {:?}", self.timers(at));
        self.step(at, Input::Timer(timer));
    }

    /// Gives a replica one input, flushes it, and carries out what it asks for; nothing if it is
    /// down.
    pub fn step(&mut self, at: ReplicaId, input: Input<R>) {
        self.step_cut(at, input, Cut::Whole);
    }

    /// As [`Net::step`], as far as `cut` says.
    #[inline]
    pub fn step_cut(&mut self, at: ReplicaId, input: Input<R>, cut: Cut) {
        let node = &mut self.nodes[at.index()];
        if node.core.is_none() {
            return;
        }
        self.world.takes(node, &input);
        let Some(core) = &mut node.core else { return };
        core.step(input, &mut self.effects);
        core.step(Input::Flush, &mut self.effects);
        let dies = match cut {
            Cut::Whole => false,
            Cut::After(done) => done <= self.effects.as_slice().len(),
            Cut::BeforeSend => true,
        };
        for (done, effect) in self.effects.drain().enumerate() {
            let happens = match cut {
                Cut::Whole => true,
                Cut::After(effects) => done < effects,
                Cut::BeforeSend => matches!(effect, Effect::Persist(_)),
            };
            if happens {
                carry_out(
                    &mut self.nodes,
                    &mut self.flight,
                    &mut self.world,
                    at,
                    effect,
                    &mut self.rest,
                );
            }
        }
        let superfluous = std::mem::take(&mut self.rest.superfluous);
        if dies {
            self.rest.captured.clear();
            self.end(at, true);
            return;
        }
        // All of the step is durable now, and the core has said again what it needs beside the
        // snapshot.
        if superfluous > 0 {
            self.nodes[at.index()].records.drain(..superfluous);
        }
        while let Some(machine) = self.rest.captured.pop_front() {
            self.step(at, Input::Captured(machine));
        }
    }
}

/// Carries one effect out. Inlined, so that the benches of the cores do not pay for moving each
/// effect once more.
#[inline(always)]
fn carry_out<R: Replica, W: World<R>>(
    nodes: &mut [Node<R>],
    flight: &mut VecDeque<Envelope<R::Message>>,
    world: &mut W,
    at: ReplicaId,
    effect: Effect<R>,
    rest: &mut Rest,
) {
    let node = &mut nodes[at.index()];
    match effect {
        Effect::Persist(record) => {
            world.persists(node, &record);
            if W::KEEPS {
                node.records.push(record);
            }
        }
        Effect::Send { to, message } => {
            assert!(!to.contains(at), "{at} sends to itself");
            world.sends(node, to, &message);
            for to in to.iter() {
                let envelope = Envelope { from: at, to, message: message.clone() };
                world.posts(&nodes[to.index()], envelope, flight);
            }
        }
        Effect::SetTimer { timer, after } => {
            world.sets_timer(node, timer, &after);
            if W::KEEPS {
                node.timers.insert(timer, after);
            }
        }
        Effect::CancelTimer(timer) => {
            if W::KEEPS {
                node.timers.remove(&timer);
            }
        }
        Effect::Committed { instance, batch, dependencies, path } => {
            world.commits(node, instance, Decision { batch, dependencies, path });
        }
        Effect::Execute { instance, batch } => {
            world.executes(node, instance, &batch);
            for request in batch.requests() {
                let outcome = node.kv.apply(&request);
                world.answers(node, &request, outcome);
            }
            world.executed(node, instance, batch);
        }
        Effect::Capture => {
            let state = node.kv.snapshot().into();
            rest.captured.extend(world.captures(node, state));
        }
        Effect::Install(snapshot) => {
            node.kv = machine(&snapshot);
            world.installs(node, &snapshot);
            keep::<R, W>(node, snapshot, rest);
        }
        Effect::Checkpoint(snapshot) => {
            world.checkpoints(node, &snapshot);
            keep::<R, W>(node, snapshot, rest);
        }
    }
}

/// The snapshot is what the next life begins with, in place of the records so far.
fn keep<R: Replica, W: World<R>>(node: &mut Node<R>, snapshot: Snapshot, rest: &mut Rest) {
    if W::KEEPS {
        rest.superfluous = node.records.len();
        node.snapshot = Some(snapshot);
    }
}

fn machine(snapshot: &Snapshot) -> Kv {
    Kv::restore(&snapshot.machine).expect("a state that a replica captured")
}

/// What one replica knows and did in its present life.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub committed: BTreeMap<InstanceId, Decision>,
    /// In order; what a snapshot brought is missing.
    pub executed: Vec<(InstanceId, Batch)>,
}

/// What each replica knows and did, for worlds to keep.
#[derive(Clone, Debug, Default)]
pub struct Lives(Vec<Life>);

impl Lives {
    /// Forgets the life before.
    pub fn begin(&mut self, replica: ReplicaId) {
        if self.0.len() <= replica.index() {
            self.0.resize_with(replica.index() + 1, Life::default);
        }
        self.0[replica.index()] = Life::default();
    }

    pub fn of(&self, at: impl At) -> &Life {
        &self.0[at.id().index()]
    }

    pub fn of_mut(&mut self, at: impl At) -> &mut Life {
        &mut self.0[at.id().index()]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Life> {
        self.0.iter()
    }
}
