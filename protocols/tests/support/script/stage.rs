//! The net of the tests as a script sees it: its messages and timers are carried out by name, and
//! what happens is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocols::{
    Batch, Config, Dependencies, Input, InstanceId, Outcome, ReplicaId, ReplicaSet, Request,
    Snapshot, kv::Digest,
};

use super::{
    net::{Cut, Decision, Envelope, Lives, Net, Node, World},
    words::{Names, Words, dependencies, value},
};

/// The cluster of a script.
pub type Stage<R> = Net<R, Chronicle<R>>;

/// What happened, as a script tells it, and the rules that it must keep.
pub struct Chronicle<R: Words> {
    pub names: Names,
    /// Messages that stay under way whatever is delivered, until they are released.
    pub held: Vec<Envelope<R::Message>>,
    /// Who answered which label, and with what if it was a read.
    pub answered: BTreeMap<(ReplicaId, String), String>,
    lives: Lives,
    /// What clients wait for in this life of each replica.
    pending: BTreeMap<ReplicaId, Vec<Batch>>,
    /// What any replica in any life took for decided.
    decided: BTreeMap<InstanceId, (Batch, Dependencies)>,
    /// The writes that had taken effect at the replica that executes before it began with the
    /// batch.
    writes_before: u64,
    /// The first value that the batch being executed has read.
    found: Option<String>,
    lines: Vec<String>,
    /// Are sends left out of what is told?
    quiet: bool,
    broken: Option<String>,
}

impl<R: Words> Default for Chronicle<R> {
    fn default() -> Self {
        Self {
            names: Names::default(),
            held: Vec::new(),
            answered: BTreeMap::new(),
            lives: Lives::default(),
            pending: BTreeMap::new(),
            decided: BTreeMap::new(),
            writes_before: 0,
            found: None,
            lines: Vec::new(),
            quiet: false,
            broken: None,
        }
    }
}

impl<R: Words> World<R> for Chronicle<R> {
    fn begins(&mut self, node: &Node<R>) {
        self.lives.begin(node.id);
    }

    fn ends(&mut self, node: &Node<R>, amid: bool) {
        if amid {
            self.tell(format!("{} crashes", node.id));
        }
        self.pending.remove(&node.id);
    }

    fn sends(&mut self, node: &Node<R>, to: ReplicaSet, message: &R::Message) {
        if self.quiet {
            return;
        }
        let told = R::tell(message, &self.names);
        let to: Vec<_> = to.iter().map(|to| to.to_string()).collect();
        self.tell(format!("{} -> {}: {}", node.id, to.join(" "), told.line()));
    }

    /// A message to a replica that is down is lost.
    fn posts(
        &mut self,
        receiver: &Node<R>,
        envelope: Envelope<R::Message>,
        flight: &mut VecDeque<Envelope<R::Message>>,
    ) {
        if receiver.core.is_some() {
            flight.push_back(envelope);
        }
    }

    fn commits(&mut self, node: &Node<R>, at: InstanceId, decision: Decision) {
        let Decision { batch, dependencies: on, path } = &decision;
        let (name, after) = (self.names.of(batch), dependencies(on));
        let how = format!("{path:?}").to_lowercase();
        self.tell(format!("{} commits {} = {name}{after}, {how}", node.id, R::name(at)));
        let first = self.decided.entry(at).or_insert_with(|| (batch.clone(), on.clone()));
        if (&first.0, &first.1) != (batch, on) {
            let (was, was_after) = (self.names.of(&first.0), dependencies(&first.1));
            let text = format!("{} was decided as {was}{was_after}", R::name(at));
            let knows = format!("{} knows {name}{after}", node.id);
            self.broken.get_or_insert(format!("agreement: {text}, and {knows}"));
        }
        self.lives.of_mut(node.id).committed.insert(at, decision);
    }

    fn executes(&mut self, node: &Node<R>, _: InstanceId, _: &Batch) {
        self.writes_before = node.kv.digest().writes;
        self.found = None;
    }

    fn answers(&mut self, _: &Node<R>, _: &Request<'_>, outcome: Outcome) {
        if let Outcome::Value(read) = outcome {
            self.found.get_or_insert_with(|| value(read.as_deref()));
        }
    }

    fn executed(&mut self, node: &Node<R>, at: InstanceId, batch: Batch) {
        if batch.is_noop() {
            return;
        }
        let (replica, name) = (node.id, self.names.of(&batch));
        let again = node.kv.digest().writes == self.writes_before
            && batch.requests().any(|request| !request.command.is_read());
        let effect = if again { ", which has taken effect before" } else { "" };
        self.tell(format!("{replica} executes {} = {name}{effect}", R::name(at)));
        let pending = self.pending.entry(replica).or_default();
        if let Some(position) = pending.iter().position(|pending| *pending == batch) {
            pending.remove(position);
            let found = self.found.take();
            let with = found.as_ref().map(|value| format!(" with {value}")).unwrap_or_default();
            self.tell(format!("{replica} answers {name}{with}"));
            self.answered.insert((replica, name), found.unwrap_or_default());
        }
        self.lives.of_mut(replica).executed.push((at, batch));
    }

    fn installs(&mut self, node: &Node<R>, _: &Snapshot) {
        self.tell(format!("{} installs a snapshot", node.id));
    }

    fn checkpoints(&mut self, node: &Node<R>, _: &Snapshot) {
        self.tell(format!("{} has a checkpoint", node.id));
    }
}

impl<R: Words> Chronicle<R> {
    fn tell(&mut self, line: String) {
        self.lines.push(line);
    }

    /// What happened since this was asked last.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Agreement among all replicas in all lives; of two conflicting commands one is after the
    /// other.
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
    pub fn decision(&self, replica: ReplicaId, at: InstanceId) -> Option<String> {
        let Decision { batch, dependencies: on, path } =
            self.lives.of(replica).committed.get(&at)?;
        let how = format!("{path:?}").to_lowercase();
        Some(format!("{}{}, {how}", self.names.of(batch), dependencies(on)))
    }

    /// What `replica` executed in this life, by name.
    pub fn executed_by(&self, replica: ReplicaId) -> Vec<String> {
        let executed = self.lives.of(replica).executed.iter();
        executed.map(|(_, batch)| self.names.of(batch)).collect()
    }
}

impl<R: Words> Stage<R> {
    pub fn new(config: Config) -> Self {
        Self::of(config, Chronicle::default())
    }

    /// A client asks `replica`, which answers at once what it has applied.
    pub fn propose(&mut self, replica: ReplicaId, batch: Batch, cut: Cut) {
        let answered = self.node(replica).kv.answered(&batch.requests().next().expect("a request"));
        if let Some(outcome) = answered {
            let name = self.world.names.of(&batch);
            self.world.tell(format!("{replica} answers {name} again: {outcome:?}"));
            return;
        }
        self.world.pending.entry(replica).or_default().push(batch.clone());
        self.step_cut(replica, Input::Propose(batch), cut);
    }

    /// Delivers whatever is in flight until nothing is, without telling what is sent.
    pub fn settle_quietly(&mut self) -> Result<(), String> {
        const MESSAGES_MAX: usize = 20_000;
        self.world.quiet = true;
        let settled = self.settle(MESSAGES_MAX);
        self.world.quiet = false;
        if settled { Ok(()) } else { Err("liveness: the messages never end".to_owned()) }
    }

    /// Lets every timer run out, again and again, until the replicas that live have nothing left to
    /// do and are equal. What happens on the way depends on the timers and is not told:
    /// expectations say what must come of it.
    pub fn rest(&mut self) -> Result<(), String> {
        let told = self.world.lines.len();
        let ended = self.run_to_rest();
        self.world.lines.truncate(told);
        ended
    }

    fn run_to_rest(&mut self) -> Result<(), String> {
        const ROUNDS_MIN: usize = 4;
        const ROUNDS_MAX: usize = 60;
        for round in 0..ROUNDS_MAX {
            self.settle_quietly()?;
            if round >= ROUNDS_MIN && self.is_at_rest() {
                return Ok(());
            }
            let live: Vec<_> = self.live().map(|(node, _)| node.id).collect();
            for replica in live {
                for timer in self.timers(replica) {
                    self.world.quiet = true;
                    if self.stop(replica, timer) {
                        self.step(replica, Input::Timer(timer));
                    }
                    self.settle_quietly()?;
                }
            }
            self.world.check()?;
        }
        let all: Vec<_> =
            self.live().map(|(node, core)| (node.id, core.status(), node.kv.digest())).collect();
        Err(format!("liveness: the replicas do not come to rest: {all:?}"))
    }

    fn is_at_rest(&self) -> bool {
        let digests: BTreeSet<_> = self.live().map(|(node, _)| key(node.kv.digest())).collect();
        let mut statuses = self.live().map(|(_, core)| core.status());
        let idle = statuses.all(|status| status.unexecuted + status.undecided == 0);
        idle && digests.len() <= 1
    }

    /// The value of a key at `replica`.
    pub fn value(&self, replica: ReplicaId, key: &str) -> String {
        value(self.node(replica).kv.value(key.as_bytes()))
    }

    /// How many instances `replica` holds.
    pub fn held_by(&self, replica: ReplicaId) -> u64 {
        self.node(replica).core.as_ref().map_or(0, |core| core.status().held)
    }
}

fn key(digest: Digest) -> [u64; 4] {
    [digest.state, digest.order, digest.sessions, digest.writes]
}
