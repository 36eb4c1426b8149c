//! One replica with all that lies around its core: what it has persisted, which timers run, the machine. And what a step
//! of it comes to.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use protocols::{
    Batch, Config, Effect, Effects, Input, InstanceId, Path, ReplicaId, Snapshot,
    explored::{Mark, Marks, Subject},
    key_map::KeyHash,
    kv::Kv,
};

use crate::{
    breach::{Breach, Rule},
    ledger::{Observation, Place},
};

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExploredReplica<R: Subject> {
    pub(crate) id: ReplicaId,
    /// None while it is down.
    pub(crate) core: Option<R>,
    /// Has it taken an input since its last flush? Only where flushes come late.
    pub(crate) unflushed: bool,
    /// What it has persisted. Empty once nobody can crash any more: then it decides nothing.
    records: Vec<R::Record>,
    /// How many of them a checkpoint taken in this step makes superfluous. They go when the step is done.
    obsolete: usize,
    snapshot: Option<Snapshot>,
    /// The timers that run, in order. Any of them may run out at any time, so their ranges say nothing.
    pub(crate) timers: Vec<R::Timer>,
    pub(crate) machine: Machine,
    /// What it has reported as committed in this life, in order.
    committed: Vec<InstanceId>,
    /// The machine's state, asked for and not given yet.
    pub(crate) captured: Option<Arc<[u8]>>,
}

/// The key-value machine, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) kv: Kv,
    executed: Vec<InstanceId>,
    writes: Vec<(KeyHash, u32)>,
}

impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kv.digest().hash(state);
        self.executed.hash(state);
    }
}

/// What a driver may do to a replica.
#[derive(Clone, Debug)]
pub(crate) enum Stimulus<R: Subject> {
    /// Give it an input.
    Input(Input<R>),
    /// Kill it.
    Crash,
    /// Start it from what it persisted.
    Restart,
    /// Forget what it persisted: nobody can crash any more.
    Forget,
}

/// How a driver treats all replicas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driver {
    pub(crate) config: Config,
    /// Is every input followed by a flush, or does the flush come when it comes?
    pub(crate) flush_late: bool,
    /// Are records kept, because a crash is still to come?
    pub(crate) keep: bool,
}

/// What a step came to.
#[derive(Clone, Debug)]
pub(crate) struct Stepped<R: Subject> {
    pub(crate) host: ExploredReplica<R>,
    pub(crate) sent: Vec<(ReplicaId, R::Message)>,
    pub(crate) observed: Vec<Observation>,
    pub(crate) marks: Marks,
    pub(crate) breach: Option<Breach>,
}

impl<R: Subject> ExploredReplica<R> {
    /// A replica that has never run.
    pub(crate) fn new(id: ReplicaId) -> Self {
        Self {
            id,
            core: None,
            unflushed: false,
            records: Vec::new(),
            obsolete: 0,
            snapshot: None,
            timers: Vec::new(),
            machine: Machine::default(),
            committed: Vec::new(),
            captured: None,
        }
    }

    /// Has it reported `instance` as committed in this life?
    pub(crate) fn has_committed(&self, instance: InstanceId) -> bool {
        self.committed.binary_search(&instance).is_ok()
    }

    pub(crate) const fn has_committed_nothing(&self) -> bool {
        self.committed.is_empty()
    }

    /// The effects of a stimulus, in order, with the core as it is after them. A failed assertion is a breach.
    pub(crate) fn effects(
        &self,
        stimulus: &Stimulus<R>,
        driver: &Driver,
    ) -> Result<(Option<R>, Vec<Effect<R>>), Breach> {
        let stepping = || match stimulus {
            Stimulus::Input(input) => {
                let mut core = self.core.clone().expect("only replicas that live take inputs");
                let mut effects = Effects::default();
                let late = driver.flush_late && !matches!(input, Input::Flush);
                core.step(input.clone(), &mut effects);
                if !late && !matches!(input, Input::Flush) {
                    core.step(Input::Flush, &mut effects);
                }
                (Some(core), effects)
            }
            Stimulus::Restart => {
                let records = self.records.iter().cloned();
                let mut core = R::recover(self.id, &driver.config, self.snapshot.as_ref(), records);
                let mut effects = Effects::default();
                core.step(Input::Start, &mut effects);
                core.step(Input::Flush, &mut effects);
                (Some(core), effects)
            }
            Stimulus::Crash => (None, Effects::default()),
            Stimulus::Forget => (self.core.clone(), Effects::default()),
        };
        let (core, mut effects) = caught(stepping).map_err(|message| {
            let detail = format!("{}: {message}", self.id);
            Breach::new(Rule::Assertions, detail)
        })?;
        Ok((core, effects.drain().collect()))
    }

    /// Takes a stimulus and carries out all that it calls for.
    pub(crate) fn step(&self, stimulus: &Stimulus<R>, driver: &Driver) -> Stepped<R> {
        let mut stepped = Stepped::of(self.clone());
        match self.effects(stimulus, driver) {
            Err(breach) => stepped.breach = Some(breach),
            Ok((core, effects)) => {
                stepped.host.begin(stimulus);
                let acted = !effects.is_empty() || core != self.core;
                if let (Stimulus::Input(input), Some(before), Some(after)) =
                    (stimulus, &self.core, &core)
                {
                    stepped.marks = R::marks_between(before, input, after);
                }
                stepped.host.core = core;
                for effect in effects {
                    stepped.carry_out(effect);
                }
                let obsolete = std::mem::take(&mut stepped.host.obsolete);
                stepped.host.records.drain(..obsolete);
                let flushes = matches!(stimulus, Stimulus::Input(Input::Flush));
                stepped.host.unflushed =
                    driver.flush_late && stepped.host.core.is_some() && !flushes && acted;
                if !driver.keep && stepped.host.core.is_some() {
                    stepped.host.records.clear();
                    stepped.host.snapshot = None;
                }
            }
        }
        stepped
    }

    /// Takes a stimulus and dies in the middle: once for every way in which that leaves something else. A driver may
    /// keep to the order of the effects, or make all records durable first.
    pub(crate) fn step_cut_short(
        &self,
        stimulus: &Stimulus<R>,
        driver: &Driver,
    ) -> Vec<Stepped<R>> {
        let Ok((_, in_order)) = self.effects(stimulus, driver) else { return Vec::new() };
        let mut durable_first = in_order.clone();
        if !in_order.iter().any(|effect| matches!(effect, Effect::Install(_))) {
            durable_first.sort_by_key(|effect| !matches!(effect, Effect::Persist(_)));
        }
        let mut cuts: Vec<Stepped<R>> = Vec::new();
        for effects in [in_order, durable_first] {
            for done in 1..effects.len() {
                let mut cut = Stepped::of(Self { core: None, ..self.clone() });
                cut.host.begin(stimulus);
                for effect in &effects[..done] {
                    cut.carry_out(effect.clone());
                }
                cut.host.crash();
                cut.marks = cut.marks.with(Mark::Midway).with(Mark::Crashed);
                let same = |other: &Stepped<R>| {
                    (&other.host, &other.sent, &other.observed)
                        == (&cut.host, &cut.sent, &cut.observed)
                };
                let crashed_before = cut.sent.is_empty()
                    && cut.observed.is_empty()
                    && cut.host.records == self.records
                    && cut.host.snapshot == self.snapshot;
                if !crashed_before && !cuts.iter().any(same) {
                    cuts.push(cut);
                }
            }
        }
        cuts
    }

    /// What changes before any effect does.
    fn begin(&mut self, stimulus: &Stimulus<R>) {
        match stimulus {
            Stimulus::Input(Input::Timer(timer)) => self.timers.retain(|other| other != timer),
            Stimulus::Input(Input::Captured(_)) => self.captured = None,
            Stimulus::Restart => {
                let machine =
                    self.snapshot.as_ref().map(|snapshot| Machine::decode(&snapshot.machine));
                self.machine = machine.unwrap_or_default();
            }
            Stimulus::Crash => self.crash(),
            Stimulus::Input(_) | Stimulus::Forget => {}
        }
    }

    /// Everything that is not durable is gone.
    fn crash(&mut self) {
        let (records, snapshot) = (std::mem::take(&mut self.records), self.snapshot.take());
        *self = Self { records, snapshot, ..Self::new(self.id) };
    }
}

impl<R: Subject> Stepped<R> {
    fn of(host: ExploredReplica<R>) -> Self {
        Self { host, sent: Vec::new(), observed: Vec::new(), marks: Marks::NONE, breach: None }
    }

    fn breaks(&mut self, rule: Rule, detail: String) {
        self.breach.get_or_insert(Breach::new(rule, detail));
    }

    fn carry_out(&mut self, effect: Effect<R>) {
        self.marks = self.marks.union(R::marks(&effect));
        match effect {
            Effect::Persist(record) => self.host.records.push(record),
            Effect::Send { to, message } => {
                assert!(!to.contains(self.host.id), "{} sends to itself", self.host.id);
                self.sent.extend(to.iter().map(|to| (to, message.clone())));
            }
            Effect::SetTimer { timer, .. } => {
                if let Err(place) = self.host.timers.binary_search(&timer) {
                    self.host.timers.insert(place, timer);
                }
            }
            Effect::CancelTimer(timer) => self.host.timers.retain(|other| *other != timer),
            Effect::Committed { instance, batch, dependencies, path } => {
                self.commit(instance, &batch, path);
                self.observed.push(Observation::Committed { instance, batch, dependencies });
            }
            Effect::Execute { instance, batch } => self.execute(instance, batch),
            Effect::Capture => self.host.captured = Some(self.host.machine.encode()),
            Effect::Install(snapshot) => {
                self.marks = self.marks.with(Mark::Installed);
                self.host.machine = Machine::decode(&snapshot.machine);
                self.host.snapshot = Some(snapshot);
            }
            Effect::Checkpoint(snapshot) => {
                self.marks = self.marks.with(Mark::Checkpointed);
                self.host.obsolete = self.host.records.len();
                self.host.snapshot = Some(snapshot);
            }
        }
    }

    fn commit(&mut self, instance: InstanceId, batch: &Batch, path: Path) {
        self.marks = match path {
            Path::Fast => self.marks.with(Mark::Fast),
            Path::Slow => self.marks.with(Mark::Slow),
            Path::Recovered => self.marks.with(Mark::Recovered),
            Path::Learned => self.marks,
        };
        if batch.is_noop() {
            self.marks = self.marks.with(Mark::NoOp);
        }
        match self.host.committed.binary_search(&instance) {
            Err(place) => self.host.committed.insert(place, instance),
            Ok(_) => {
                let detail = format!("{} reports {instance} again, as {batch:?}", self.host.id);
                self.breaks(Rule::CommittedOnce, detail);
            }
        }
    }

    fn execute(&mut self, instance: InstanceId, batch: Batch) {
        let host = &mut self.host;
        let (id, committed) = (host.id, host.has_committed(instance));
        match host.machine.executed.binary_search(&instance) {
            Err(place) if committed => host.machine.executed.insert(place, instance),
            Err(_) => {
                self.breaks(Rule::Execution, format!("{id} executes {instance} uncommitted"));
                return;
            }
            Ok(_) => {
                self.breaks(Rule::Execution, format!("{id} executes {instance} twice"));
                return;
            }
        }
        let footprint = batch.footprint();
        let places = footprint.touches().iter();
        let places = places.map(|touch| host.machine.place(touch.key, touch.write)).collect();
        let mut effects = Vec::new();
        for request in batch.requests() {
            let before = host.machine.kv.digest().writes;
            host.machine.kv.apply(&request);
            if host.machine.kv.digest().writes != before {
                let request = (request.client.0, request.number.as_u64());
                effects.push(Observation::Effect { request, instance });
            } else if !request.command.is_read() {
                self.marks = self.marks.with(Mark::Repeated);
            }
        }
        self.observed.push(Observation::Executed { instance, batch, places });
        self.observed.append(&mut effects);
    }
}

impl Machine {
    /// The place of a command that is executed next, which is thereby taken.
    fn place(&mut self, key: KeyHash, write: bool) -> Place {
        let at = match self.writes.binary_search_by_key(&key, |entry| entry.0) {
            Ok(at) => at,
            Err(at) => {
                self.writes.insert(at, (key, 0));
                at
            }
        };
        let writes_before = self.writes[at].1;
        self.writes[at].1 += u32::from(write);
        Place { key, write, writes_before }
    }

    /// The machine as bytes, with how far it has come: two states of equal content at different places differ.
    pub(crate) fn encode(&self) -> Arc<[u8]> {
        let parts = (&self.kv, &self.executed, &self.writes);
        postcard::to_stdvec(&parts).expect("a vector takes every byte").into()
    }

    fn decode(bytes: &[u8]) -> Self {
        let (kv, executed, writes) =
            postcard::from_bytes(bytes).expect("only what was encoded here is installed");
        Self { kv, executed, writes }
    }
}

thread_local! {
    static STEPPING: Cell<bool> = const { Cell::new(false) };
}

/// Is this thread stepping a core, whose panic is caught and reported as a broken rule? A panic hook may keep silent then.
pub fn is_stepping() -> bool {
    STEPPING.get()
}

/// Runs `step`; if it panics, says with what message.
fn caught<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    STEPPING.set(true);
    let done = catch_unwind(AssertUnwindSafe(step));
    STEPPING.set(false);
    done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a core failed without a message".to_owned())
    })
}
