//! A cluster whose messages and timers a script carries out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocols::{
    Batch, Config, Dependencies, Effect, Effects, Input, InstanceId, Path, ReplicaId, Snapshot,
    kv::{Digest, Kv},
};

use super::words::{Names, Words, dependencies};

/// A message under way.
#[derive(Clone, Debug)]
pub struct Envelope<M> {
    pub from: u8,
    pub to: u8,
    pub message: M,
}

/// How much of a step is done before its replica crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It does not crash.
    Whole,
    /// Nothing is persisted, so nothing is sent.
    BeforePersist,
    /// All is persisted and nothing sent or answered.
    BeforeSend,
}

/// One replica with what its driver keeps for it.
struct Node<R: Words> {
    core: Option<R>,
    kv: Kv,
    records: Vec<R::Record>,
    snapshot: Option<Snapshot>,
    timers: BTreeSet<R::Timer>,
    /// Decided in this life, as this replica knows it.
    committed: BTreeMap<InstanceId, (Batch, Dependencies, Path)>,
    /// Executed in this life, no-ops left out.
    executed: Vec<Batch>,
    /// What clients wait for here.
    pending: Vec<Batch>,
}

/// The cluster.
pub struct Net<R: Words> {
    pub config: Config,
    pub names: Names,
    nodes: Vec<Node<R>>,
    pub flight: Vec<Envelope<R::Message>>,
    /// Messages that stay under way whatever is delivered, until they are released.
    pub held: Vec<Envelope<R::Message>>,
    /// What any replica in any life took for decided.
    decided: BTreeMap<InstanceId, (Batch, Dependencies)>,
    /// Who answered which label, and with what if it was a read.
    pub answered: BTreeMap<(u8, String), String>,
    lines: Vec<String>,
    /// Are sends left out of what is told?
    quiet: bool,
    broken: Option<String>,
}

impl<R: Words> Net<R> {
    pub fn new(config: Config) -> Self {
        let node = || Node {
            core: None,
            kv: Kv::default(),
            records: Vec::new(),
            snapshot: None,
            timers: BTreeSet::new(),
            committed: BTreeMap::new(),
            executed: Vec::new(),
            pending: Vec::new(),
        };
        let mut net = Self {
            config,
            names: Names::default(),
            nodes: std::iter::repeat_with(node).take(config.replicas).collect(),
            flight: Vec::new(),
            held: Vec::new(),
            decided: BTreeMap::new(),
            answered: BTreeMap::new(),
            lines: Vec::new(),
            quiet: false,
            broken: None,
        };
        for replica in net.all() {
            net.recover(replica);
        }
        for replica in net.all() {
            net.step(replica, Input::Start, Cut::Whole);
        }
        net
    }

    /// Every replica.
    pub fn all(&self) -> Vec<u8> {
        ReplicaId::all(self.config.replicas).map(|replica| replica.0).collect()
    }

    /// Every replica that lives.
    pub fn live(&self) -> Vec<u8> {
        self.all().into_iter().filter(|replica| self.lives(*replica)).collect()
    }

    pub fn lives(&self, replica: u8) -> bool {
        self.node(replica).core.is_some()
    }

    fn node(&self, replica: u8) -> &Node<R> {
        &self.nodes[usize::from(replica)]
    }

    fn node_mut(&mut self, replica: u8) -> &mut Node<R> {
        &mut self.nodes[usize::from(replica)]
    }

    /// Begins a life from what is durable.
    pub fn start(&mut self, replica: u8) {
        self.recover(replica);
        self.step(replica, Input::Start, Cut::Whole);
    }

    fn recover(&mut self, replica: u8) {
        let config = self.config;
        let node = self.node_mut(replica);
        node.committed.clear();
        node.executed.clear();
        node.kv = node.snapshot.as_ref().map_or_else(Kv::default, |snapshot| {
            Kv::restore(&snapshot.machine).expect("a snapshot that was captured")
        });
        let records = node.records.iter().cloned();
        node.core = Some(R::recover(ReplicaId(replica), &config, node.snapshot.as_ref(), records));
    }

    /// Ends a life: what is not durable is gone, with all that was on its way there.
    pub fn crash(&mut self, replica: u8) {
        let node = self.node_mut(replica);
        node.core = None;
        node.timers.clear();
        node.pending.clear();
        self.flight.retain(|envelope| envelope.to != replica);
    }

    /// Gives a replica its state, to forget what led there; nothing if it is down.
    pub fn checkpoint(&mut self, replica: u8) {
        let machine = self.node(replica).kv.snapshot();
        self.step(replica, Input::Checkpoint(machine.into()), Cut::Whole);
    }

    pub fn propose(&mut self, replica: u8, batch: Batch, cut: Cut) {
        let node = self.node_mut(replica);
        if let Some(outcome) = node.kv.answered(&batch.requests().next().expect("a request")) {
            let name = self.names.of(&batch);
            self.tell(format!("r{replica} answers {name} again: {outcome:?}"));
            return;
        }
        node.pending.push(batch.clone());
        self.step(replica, Input::Propose(batch), cut);
    }

    pub fn hand_over(&mut self, envelope: Envelope<R::Message>, cut: Cut) {
        let Envelope { from, to, message } = envelope;
        self.step(to, Input::Message { from: ReplicaId(from), message }, cut);
    }

    /// Lets a timer run out; false if it does not run.
    pub fn fire(&mut self, replica: u8, timer: R::Timer, cut: Cut) -> bool {
        let runs = self.node_mut(replica).timers.remove(&timer);
        if runs {
            self.step(replica, Input::Timer(timer), cut);
        }
        runs
    }

    /// The timers that run at a replica.
    pub fn timers(&self, replica: u8) -> Vec<R::Timer> {
        self.node(replica).timers.iter().copied().collect()
    }

    fn step(&mut self, replica: u8, input: Input<R>, cut: Cut) {
        let Some(core) = &mut self.node_mut(replica).core else { return };
        let mut effects = Effects::default();
        core.step(input, &mut effects);
        core.step(Input::Flush, &mut effects);
        let effects: Vec<_> = effects.drain().collect();
        let mut captured = Vec::new();
        for effect in effects {
            let done = match cut {
                Cut::Whole => true,
                Cut::BeforePersist => false,
                Cut::BeforeSend => matches!(effect, Effect::Persist(_)),
            };
            if done {
                self.carry_out(replica, effect, &mut captured);
            }
        }
        if cut != Cut::Whole {
            self.tell(format!("r{replica} crashes"));
            self.crash(replica);
        }
        for machine in captured {
            self.step(replica, Input::Captured(machine), Cut::Whole);
        }
    }

    fn carry_out(&mut self, replica: u8, effect: Effect<R>, captured: &mut Vec<Arc<[u8]>>) {
        match effect {
            Effect::Persist(record) => self.node_mut(replica).records.push(record),
            Effect::Send { to, message } => {
                self.tell_sent(replica, to, &message);
                for to in to.iter().map(|to| to.0) {
                    if self.lives(to) {
                        let message = message.clone();
                        self.flight.push(Envelope { from: replica, to, message });
                    }
                }
            }
            Effect::SetTimer { timer, .. } => {
                self.node_mut(replica).timers.insert(timer);
            }
            Effect::CancelTimer(timer) => {
                self.node_mut(replica).timers.remove(&timer);
            }
            Effect::Committed { instance, batch, dependencies, path } => {
                self.committed(replica, instance, batch, dependencies, path);
            }
            Effect::Execute { instance, batch } => self.execute(replica, instance, &batch),
            Effect::Capture => captured.push(self.node(replica).kv.snapshot().into()),
            Effect::Install(snapshot) => {
                self.tell(format!("r{replica} installs a snapshot"));
                let node = self.node_mut(replica);
                node.kv = Kv::restore(&snapshot.machine).expect("a snapshot that was captured");
                node.snapshot = Some(snapshot);
            }
            Effect::Checkpoint(snapshot) => {
                self.tell(format!("r{replica} has a checkpoint"));
                let node = self.node_mut(replica);
                node.snapshot = Some(snapshot);
                // Nothing is cut short here: what comes behind it is as durable.
                node.records.clear();
            }
        }
    }

    fn committed(
        &mut self,
        replica: u8,
        at: InstanceId,
        batch: Batch,
        on: Dependencies,
        path: Path,
    ) {
        let (name, after) = (self.names.of(&batch), dependencies(&on));
        let how = format!("{path:?}").to_lowercase();
        self.tell(format!("r{replica} commits {} = {name}{after}, {how}", R::name(at)));
        let first = self.decided.entry(at).or_insert_with(|| (batch.clone(), on.clone())).clone();
        if first != (batch.clone(), on.clone()) {
            let (was, was_after) = (self.names.of(&first.0), dependencies(&first.1));
            let text = format!("{} was decided as {was}{was_after}", R::name(at));
            self.broken
                .get_or_insert(format!("agreement: {text}, and r{replica} knows {name}{after}"));
        }
        self.node_mut(replica).committed.insert(at, (batch, on, path));
    }

    fn execute(&mut self, replica: u8, at: InstanceId, batch: &Batch) {
        if batch.is_noop() {
            return;
        }
        let name = self.names.of(batch);
        let node = self.node_mut(replica);
        let writes = node.kv.digest().writes;
        let outcomes: Vec<_> = batch.requests().map(|request| node.kv.apply(&request)).collect();
        let again = node.kv.digest().writes == writes
            && batch.requests().any(|request| !request.command.is_read());
        node.executed.push(batch.clone());
        let waiting = node.pending.iter().position(|pending| pending == batch);
        waiting.map(|position| node.pending.remove(position));
        let effect = if again { ", which has taken effect before" } else { "" };
        self.tell(format!("r{replica} executes {} = {name}{effect}", R::name(at)));
        if waiting.is_some() {
            let found = outcomes.iter().find_map(|outcome| match outcome {
                protocols::Outcome::Value(value) => Some(super::words::value(value.as_deref())),
                _ => None,
            });
            let with = found.as_ref().map(|value| format!(" with {value}")).unwrap_or_default();
            self.tell(format!("r{replica} answers {name}{with}"));
            self.answered.insert((replica, name), found.unwrap_or_default());
        }
    }

    fn tell_sent(&mut self, from: u8, to: protocols::ReplicaSet, message: &R::Message) {
        if self.quiet {
            return;
        }
        let told = R::tell(message, &self.names);
        let to: Vec<_> = to.iter().map(|to| to.to_string()).collect();
        self.tell(format!("r{from} -> {}: {}", to.join(" "), told.line()));
    }

    fn tell(&mut self, line: String) {
        self.lines.push(line);
    }

    /// What happened since this was asked last.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Delivers whatever is in flight until nothing is, without telling what is sent.
    pub fn settle(&mut self) -> Result<(), String> {
        self.quiet = true;
        let mut left = 20_000;
        while !self.flight.is_empty() && left > 0 {
            for envelope in std::mem::take(&mut self.flight) {
                left -= 1;
                self.hand_over(envelope, Cut::Whole);
            }
        }
        self.quiet = false;
        if left > 0 { Ok(()) } else { Err("liveness: the messages never end".to_owned()) }
    }

    /// Lets every timer run out, again and again, until the replicas that live have nothing left to do and are equal. What
    /// happens on the way depends on the timers and is not told: expectations say what must come of it.
    pub fn rest(&mut self) -> Result<(), String> {
        let told = self.lines.len();
        let ended = self.run_to_rest();
        self.lines.truncate(told);
        ended
    }

    fn run_to_rest(&mut self) -> Result<(), String> {
        const ROUNDS_MIN: usize = 4;
        const ROUNDS_MAX: usize = 60;
        for round in 0..ROUNDS_MAX {
            self.settle()?;
            if round >= ROUNDS_MIN && self.is_at_rest() {
                return Ok(());
            }
            for replica in self.live() {
                for timer in self.timers(replica) {
                    self.quiet = true;
                    self.fire(replica, timer, Cut::Whole);
                    self.settle()?;
                }
            }
            self.check()?;
        }
        let all: Vec<_> = self
            .live()
            .into_iter()
            .map(|replica| {
                let core = self.node(replica).core.as_ref().expect("it lives");
                (replica, core.status(), self.node(replica).kv.digest())
            })
            .collect();
        Err(format!("liveness: the replicas do not come to rest: {all:?}"))
    }

    fn is_at_rest(&self) -> bool {
        let live = self.nodes.iter().filter_map(|node| Some((node, node.core.as_ref()?)));
        let digests: BTreeSet<_> = live.clone().map(|(node, _)| key(node.kv.digest())).collect();
        let idle = live.map(|(_, core)| core.status()).all(|s| s.unexecuted + s.undecided == 0);
        idle && digests.len() <= 1
    }

    /// Agreement among all replicas in all lives; of two conflicting commands one is after the other.
    pub fn check(&mut self) -> Result<(), String> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let ordered = |on: &Dependencies| on.rows() > 0;
        let real: Vec<_> = self
            .decided
            .iter()
            .filter(|(_, (batch, on))| !batch.is_noop() && ordered(on))
            .collect();
        for (a, (batch_a, on_a)) in &real {
            for (b, (batch_b, on_b)) in &real {
                let conflict = batch_a.footprint().conflicts(&batch_b.footprint());
                if a < b && conflict && !on_a.contain(**b) && !on_b.contain(**a) {
                    let (a, b) = (R::name(**a), R::name(**b));
                    return Err(format!("visibility: neither of {a} and {b} is after the other"));
                }
            }
        }
        Ok(())
    }

    /// How `replica` knows `at` to be decided in this life.
    pub fn decision(&self, replica: u8, at: InstanceId) -> Option<String> {
        let (batch, on, path) = self.node(replica).committed.get(&at)?;
        let how = format!("{path:?}").to_lowercase();
        Some(format!("{}{}, {how}", self.names.of(batch), dependencies(on)))
    }

    /// What `replica` executed in this life, by name.
    pub fn executed(&self, replica: u8) -> Vec<String> {
        self.node(replica).executed.iter().map(|batch| self.names.of(batch)).collect()
    }

    /// The value of a key at `replica`.
    pub fn value(&self, replica: u8, key: &str) -> String {
        super::words::value(self.node(replica).kv.value(key.as_bytes()))
    }

    /// How many instances `replica` holds.
    pub fn held_by(&self, replica: u8) -> u64 {
        self.node(replica).core.as_ref().map_or(0, |core| core.status().held)
    }
}

fn key(digest: Digest) -> [u64; 4] {
    [digest.state, digest.order, digest.sessions, digest.writes]
}
