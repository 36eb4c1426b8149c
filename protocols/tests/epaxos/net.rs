//! The net of the tests with EPaxos replicas, whose messages and timers a test carries out by hand.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use protocols::{
    Batch, ClientId, Command, Config, Input, InstanceId, Replica, ReplicaId, Request,
    RequestNumber, Snapshot,
    epaxos::{EPaxos, Message, Record, Timer},
};

use crate::support::{
    net::{self, Decision, Lives, Node, World},
    r,
};

pub(crate) type Net = net::Net<EPaxos, Known>;
pub(crate) type Envelope = net::Envelope<Message>;

/// What each replica knows and did in its present life.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) lives: Lives,
    proposed: u64,
}

impl World<EPaxos> for Known {
    fn begins(&mut self, node: &Node<EPaxos>) {
        self.lives.begin(node.id);
    }

    fn commits(&mut self, node: &Node<EPaxos>, at: InstanceId, decision: Decision) {
        let twice = self.lives.of_mut(node.id).committed.insert(at, decision);
        assert!(twice.is_none(), "{at} committed twice at {}", node.id);
    }

    fn executed(&mut self, node: &Node<EPaxos>, at: InstanceId, batch: Batch) {
        self.lives.of_mut(node.id).executed.push((at, batch));
    }

    /// What the machine holds now was executed elsewhere.
    fn installs(&mut self, node: &Node<EPaxos>, _: &Snapshot) {
        self.lives.of_mut(node.id).executed.clear();
    }
}

pub(crate) fn id(row: u8, slot: u64) -> InstanceId {
    InstanceId::new(ReplicaId(row), slot)
}

impl Net {
    pub(crate) fn new(replicas: usize) -> Self {
        Self::with(Config::new(replicas))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::of(config, Known::default())
    }

    /// A put of a new value to `key`, proposed at `replica`; returns its instance.
    pub(crate) fn put(&mut self, replica: u8, key: &str) -> InstanceId {
        self.world.proposed += 1;
        let number = self.world.proposed;
        let value = number.to_le_bytes();
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(number),
            unanswered_from: 1,
            command: Command::Put { key: key.as_bytes(), value: &value },
        };
        self.propose(replica, Batch::single(&request).expect("small"))
    }

    pub(crate) fn propose(&mut self, replica: u8, batch: Batch) -> InstanceId {
        let before = self.flight.len();
        self.step(ReplicaId(replica), Input::Propose(batch));
        match self.flight[before].message {
            Message::PreAccept { instance, .. } | Message::PreAcceptAgain { instance, .. } => {
                instance
            }
            _ => panic!("a proposal begins with phase 1"),
        }
    }

    /// Forgets the last record that `replica` persisted, as if it had crashed before.
    pub(crate) fn lose_last_record(&mut self, replica: u8) -> Record {
        self.nodes[usize::from(replica)].records.pop().expect("a record")
    }

    /// The messages in flight, the oldest first.
    pub(crate) fn in_flight(&mut self) -> &[Envelope] {
        self.flight.make_contiguous()
    }

    /// Delivers until nothing is in flight.
    pub(crate) fn deliver_all(&mut self) {
        assert!(self.settle(100_000), "the messages never end");
    }

    /// Lets every timer run out, settling after each round, until all live replicas have executed the same instances.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..60 {
            self.deliver_all();
            for replica in ReplicaId::all(self.config.replicas) {
                for timer in self.timers(replica) {
                    if self.node(replica).timers.contains_key(&timer) {
                        self.fire(replica, timer);
                        self.deliver_all();
                    }
                }
            }
            if self.is_idle() {
                break;
            }
        }
        let open: Vec<_> = self.live().map(|(_, core)| core.status()).collect();
        assert!(open.iter().all(|status| status.unexecuted == 0), "not at rest: {open:?}");
        self.check();
    }

    /// All live replicas hold the same.
    pub(crate) fn assert_equal_states(&self) {
        let digests: Vec<_> = self.live().map(|(node, _)| node.kv.digest()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }

    /// Does no timer run anywhere?
    pub(crate) fn is_idle(&self) -> bool {
        self.nodes.iter().all(|node| node.timers.is_empty())
    }

    /// The range of a timer that runs at `replica`.
    pub(crate) fn timer(&self, replica: u8, timer: Timer) -> &RangeInclusive<Duration> {
        let running = self.node(replica).timers.get(&timer);
        running.unwrap_or_else(|| panic!("{timer:?} does not run at {replica}"))
    }

    /// Agreement, and one order of conflicting commands, over all live replicas.
    pub(crate) fn check(&self) {
        let mut decided = BTreeMap::new();
        for life in self.world.lives.iter() {
            for (instance, Decision { batch, dependencies, .. }) in &life.committed {
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
        let executed = self.executed_by(replica).iter();
        executed.filter(|(_, batch)| !batch.is_noop()).map(|(instance, _)| *instance).collect()
    }

    /// What `replica` executed in this life, behind the snapshot that it installed, if it did.
    pub(crate) fn executed_by(&self, replica: u8) -> &[(InstanceId, Batch)] {
        &self.world.lives.of(replica).executed
    }

    pub(crate) fn decision(&self, replica: u8, instance: InstanceId) -> &Decision {
        let committed = &self.world.lives.of(replica).committed;
        committed.get(&instance).unwrap_or_else(|| panic!("{replica} has not committed {instance}"))
    }

    pub(crate) fn has_committed(&self, replica: u8, instance: InstanceId) -> bool {
        self.world.lives.of(replica).committed.contains_key(&instance)
    }
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
    move |envelope| envelope.from == r(from) && envelope.to == r(to)
}

/// To one of these.
pub(crate) fn to(replicas: &[u8]) -> impl Fn(&Envelope) -> bool {
    let replicas = replicas.to_vec();
    move |envelope| replicas.contains(&envelope.to.0)
}
