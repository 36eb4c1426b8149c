//! A cluster of EPaxos replicas whose messages and timers a test carries out by hand.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use protocols::{
    Batch, ClientId, Command, Config, Effect, Effects, Input, InstanceId, Path, Replica, ReplicaId,
    Request, RequestNumber, Snapshot,
    dependencies::Dependencies,
    epaxos::{EPaxos, Message, Record, Timer},
    kv::Kv,
};

pub(crate) struct Net {
    pub(crate) config: Config,
    replicas: Vec<Option<EPaxos>>,
    /// What each has persisted since its last snapshot, if it has one.
    records: Vec<Vec<Record>>,
    snapshots: Vec<Option<Snapshot>>,
    pub(crate) machines: Vec<Kv>,
    timers: Vec<BTreeMap<Timer, RangeInclusive<Duration>>>,
    pub(crate) flight: Vec<Envelope>,
    pub(crate) committed: Vec<BTreeMap<InstanceId, (Batch, Dependencies, Path)>>,
    pub(crate) executed: Vec<Vec<(InstanceId, Batch)>>,
    proposed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) message: Message,
}

pub(crate) fn id(row: u8, slot: u64) -> InstanceId {
    InstanceId::new(ReplicaId(row), slot)
}

impl Net {
    pub(crate) fn new(replicas: usize) -> Self {
        Self::with(Config::new(replicas))
    }

    pub(crate) fn with(config: Config) -> Self {
        let replicas = config.replicas;
        let mut net = Self {
            config,
            replicas: vec![None; replicas],
            records: vec![Vec::new(); replicas],
            snapshots: vec![None; replicas],
            machines: vec![Kv::default(); replicas],
            timers: vec![BTreeMap::new(); replicas],
            flight: Vec::new(),
            committed: vec![BTreeMap::new(); replicas],
            executed: vec![Vec::new(); replicas],
            proposed: 0,
        };
        for replica in 0..u8::try_from(replicas).expect("few") {
            net.restart(replica);
        }
        net
    }

    /// A put of a new value to `key`, proposed at `replica`; returns its instance.
    pub(crate) fn put(&mut self, replica: u8, key: &str) -> InstanceId {
        self.proposed += 1;
        let value = self.proposed.to_le_bytes();
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(self.proposed),
            unanswered_from: 1,
            command: Command::Put { key: key.as_bytes(), value: &value },
        };
        self.propose(replica, Batch::single(&request).expect("small"))
    }

    pub(crate) fn propose(&mut self, replica: u8, batch: Batch) -> InstanceId {
        let before = self.flight.len();
        self.step(replica, Input::Propose(batch));
        let Message::PreAccept { instance, .. } = self.flight[before].message else {
            panic!("a proposal begins with PreAccept");
        };
        instance
    }

    pub(crate) fn crash(&mut self, replica: u8) {
        self.replicas[usize::from(replica)] = None;
        self.timers[usize::from(replica)].clear();
        self.flight.retain(|envelope| envelope.to != replica);
    }

    /// Starts `replica` from what it persisted.
    pub(crate) fn restart(&mut self, replica: u8) {
        let at = usize::from(replica);
        let records = self.records[at].clone();
        self.committed[at].clear();
        self.executed[at].clear();
        let snapshot = self.snapshots[at].as_ref();
        self.machines[at] = snapshot.map_or_else(Kv::default, machine);
        let id = ReplicaId(replica);
        self.replicas[at] = Some(EPaxos::recover(id, &self.config, snapshot, records));
        self.step(replica, Input::Start);
    }

    /// Gives `replica` its state, to forget what led there.
    pub(crate) fn checkpoint(&mut self, replica: u8) {
        let machine = self.machines[usize::from(replica)].snapshot();
        self.step(replica, Input::Checkpoint(machine.into()));
    }

    /// Forgets the last record that `replica` persisted, as if it had crashed before.
    pub(crate) fn lose_last_record(&mut self, replica: u8) -> Record {
        self.records[usize::from(replica)].pop().expect("a record")
    }

    /// Delivers, in order, what is in flight now and matches; returns how many.
    pub(crate) fn deliver(&mut self, matches: impl Fn(&Envelope) -> bool) -> usize {
        let (now, later) = std::mem::take(&mut self.flight).into_iter().partition(matches);
        self.flight = later;
        let now: Vec<Envelope> = now;
        let delivered = now.len();
        for envelope in now {
            self.hand_over(envelope);
        }
        delivered
    }

    pub(crate) fn hand_over(&mut self, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        self.step(to, Input::Message { from: ReplicaId(from), message });
    }

    pub(crate) fn drop_all(&mut self, matches: impl Fn(&Envelope) -> bool) {
        self.flight.retain(|envelope| !matches(envelope));
    }

    /// Delivers until nothing is in flight.
    pub(crate) fn settle(&mut self) {
        let mut left = 100_000;
        while !self.flight.is_empty() {
            left -= self.deliver(|_| true);
            assert!(left > 0, "the messages never end");
        }
    }

    pub(crate) fn fire(&mut self, replica: u8, timer: Timer) {
        assert!(
            self.timers[usize::from(replica)].remove(&timer).is_some(),
            "{timer:?} does not run at {replica}: {:?}",
            self.timers[usize::from(replica)]
        );
        self.step(replica, Input::Timer(timer));
    }

    /// Lets every timer run out, settling after each round, until all live replicas have executed the same instances.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..60 {
            self.settle();
            for replica in 0..self.replicas.len() {
                for timer in self.timers[replica].clone().into_keys() {
                    let replica = u8::try_from(replica).expect("few");
                    if self.timers[usize::from(replica)].contains_key(&timer) {
                        self.fire(replica, timer);
                        self.settle();
                    }
                }
            }
            if self.is_idle() {
                break;
            }
        }
        let open: Vec<_> = self.live().map(Replica::status).collect();
        assert!(open.iter().all(|status| status.unexecuted == 0), "not at rest: {open:?}");
        self.check();
    }

    /// All live replicas hold the same.
    pub(crate) fn assert_equal_states(&self) {
        let digests: Vec<_> = (0..self.replicas.len())
            .filter(|at| self.replicas[*at].is_some())
            .map(|at| self.machines[at].digest())
            .collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }

    /// Does no timer run anywhere?
    pub(crate) fn is_idle(&self) -> bool {
        self.timers.iter().all(BTreeMap::is_empty)
    }

    /// The range of a timer that runs at `replica`.
    pub(crate) fn timer(&self, replica: u8, timer: Timer) -> &RangeInclusive<Duration> {
        self.timers[usize::from(replica)]
            .get(&timer)
            .unwrap_or_else(|| panic!("{timer:?} does not run at {replica}"))
    }

    /// Agreement, and one order of conflicting commands, over all live replicas.
    pub(crate) fn check(&self) {
        let mut decided = BTreeMap::new();
        for committed in &self.committed {
            for (instance, (batch, dependencies, _)) in committed {
                let decision = (batch, dependencies);
                let first = *decided.entry(instance).or_insert(decision);
                assert_eq!(first, decision, "{instance} is decided twice");
            }
        }
        let real: Vec<_> = decided.iter().filter(|(_, (batch, _))| !batch.is_noop()).collect();
        for (a, (batch_a, on_a)) in &real {
            for (b, (batch_b, on_b)) in &real {
                if a < b && batch_a.footprint().conflicts(&batch_b.footprint()) {
                    assert!(on_a.contain(***b) || on_b.contain(***a), "{a} and {b} are unordered");
                }
            }
        }
    }

    /// What `replica` executed, no-ops left out.
    pub(crate) fn order(&self, replica: u8) -> Vec<InstanceId> {
        let executed = self.executed[usize::from(replica)].iter();
        executed.filter(|(_, batch)| !batch.is_noop()).map(|(instance, _)| *instance).collect()
    }

    pub(crate) fn decision(
        &self,
        replica: u8,
        instance: InstanceId,
    ) -> &(Batch, Dependencies, Path) {
        let committed = &self.committed[usize::from(replica)];
        committed.get(&instance).unwrap_or_else(|| panic!("{replica} has not committed {instance}"))
    }

    pub(crate) fn has_committed(&self, replica: u8, instance: InstanceId) -> bool {
        self.committed[usize::from(replica)].contains_key(&instance)
    }

    pub(crate) fn replica(&self, replica: u8) -> &EPaxos {
        self.replicas[usize::from(replica)].as_ref().expect("alive")
    }

    fn live(&self) -> impl Iterator<Item = &EPaxos> {
        self.replicas.iter().flatten()
    }

    fn step(&mut self, replica: u8, input: Input<EPaxos>) {
        let at = usize::from(replica);
        let Some(core) = &mut self.replicas[at] else { return };
        let mut effects = Effects::default();
        core.step(input, &mut effects);
        core.step(Input::Flush, &mut effects);
        let mut captured = Vec::new();
        // What was recorded before a snapshot is not needed any more.
        let mut needless = 0;
        for effect in effects.drain() {
            match effect {
                Effect::Persist(record) => self.records[at].push(record),
                Effect::Send { to, message } => {
                    for to in to.iter().map(|to| to.0) {
                        let message = message.clone();
                        self.flight.push(Envelope { from: replica, to, message });
                    }
                }
                Effect::SetTimer { timer, after } => {
                    self.timers[at].insert(timer, after);
                }
                Effect::CancelTimer(timer) => {
                    self.timers[at].remove(&timer);
                }
                Effect::Committed { instance, batch, dependencies, path } => {
                    let twice = self.committed[at].insert(instance, (batch, dependencies, path));
                    assert!(twice.is_none(), "{instance} committed twice at {replica}");
                }
                Effect::Execute { instance, batch } => {
                    for request in batch.requests() {
                        self.machines[at].apply(&request);
                    }
                    self.executed[at].push((instance, batch));
                }
                Effect::Capture => captured.push(self.machines[at].snapshot()),
                Effect::Install(snapshot) => {
                    self.machines[at] = machine(&snapshot);
                    self.executed[at].clear();
                    self.snapshots[at] = Some(snapshot);
                    needless = self.records[at].len();
                }
                Effect::Checkpoint(snapshot) => {
                    self.snapshots[at] = Some(snapshot);
                    needless = self.records[at].len();
                }
            }
        }
        self.records[at].drain(..needless);
        for state in captured {
            self.step(replica, Input::Captured(state.into()));
        }
    }
}

fn machine(snapshot: &Snapshot) -> Kv {
    Kv::restore(&snapshot.machine).expect("a replica's own snapshot")
}

/// Is this a message of the kind named, such as `"PreAcceptOk"`?
pub(crate) fn is(kind: &str) -> impl Fn(&Envelope) -> bool {
    let kind = kind.to_owned();
    move |envelope| {
        let debug = format!("{:?}", envelope.message);
        debug.split([' ', '{', '(']).next() == Some(&kind)
    }
}

/// Both.
pub(crate) fn and(
    a: impl Fn(&Envelope) -> bool,
    b: impl Fn(&Envelope) -> bool,
) -> impl Fn(&Envelope) -> bool {
    move |envelope| a(envelope) && b(envelope)
}

/// From one replica to another.
pub(crate) fn link(from: u8, to: u8) -> impl Fn(&Envelope) -> bool {
    move |envelope| envelope.from == from && envelope.to == to
}

/// To one of these.
pub(crate) fn to(replicas: &[u8]) -> impl Fn(&Envelope) -> bool {
    let replicas = replicas.to_vec();
    move |envelope| replicas.contains(&envelope.to)
}
