//! A core small enough to be right at a glance: replica 0 orders everything, a majority stores it, nobody may fail for
//! good. It sends again what a peer has not acknowledged, so that it survives lost links and replicas that come back
//! empty.

use std::time::Duration;

use protocols::{
    Batch, Config, Effect, Effects, Input, InstanceId, Path, Protocol, Replica, ReplicaId,
    ReplicaSet, Slot, Snapshot, Status, dependencies::Dependencies, quorum::majority,
};
use serde::{Deserialize, Serialize};

const LEADER: ReplicaId = ReplicaId(0);
const RESEND: Duration = Duration::from_millis(50);
/// How many entries are sent again at once.
const RESEND_ENTRIES_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toy {
    id: ReplicaId,
    replicas: usize,
    /// The log from slot 1.
    log: Vec<Batch>,
    committed: Slot,
    executed: Slot,
    /// The leader's: how much of the log each replica has, now and at the last tick.
    stored: Vec<Slot>,
    stored_before: Vec<Slot>,
    /// A follower's: what it acknowledged last.
    acknowledged: Slot,
    announced: Slot,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    Forward(Batch),
    Store { slot: Slot, batch: Batch },
    Stored(Slot),
    Committed(Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tick;

impl Toy {
    fn leads(&self) -> bool {
        self.id == LEADER
    }

    fn others(&self) -> ReplicaSet {
        ReplicaSet::others(self.id, self.replicas)
    }

    fn last(&self) -> Slot {
        self.log.len() as Slot
    }

    fn on_propose(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        if !self.leads() {
            return effects.reply(LEADER, Message::Forward(batch));
        }
        self.log.push(batch.clone());
        self.stored[0] = self.last();
        effects.send(self.others(), Message::Store { slot: self.last(), batch });
    }

    fn on_message(&mut self, from: ReplicaId, message: Message, effects: &mut Effects<Self>) {
        match message {
            Message::Forward(batch) => self.on_propose(batch, effects),
            Message::Store { slot, batch } => {
                if slot == self.last() + 1 {
                    self.log.push(batch);
                } else {
                    // Tells the leader where this replica stands.
                    self.acknowledged = Slot::MAX;
                }
            }
            Message::Stored(slot) => self.stored[from.index()] = slot,
            Message::Committed(slot) => self.committed = self.committed.max(slot),
        }
    }

    fn on_tick(&mut self, effects: &mut Effects<Self>) {
        effects.set_timer(Tick, RESEND..=2 * RESEND);
        for peer in self.others().iter().filter(|_| self.leads()) {
            let stored = self.stored[peer.index()];
            if stored == self.stored_before[peer.index()] && stored < self.last() {
                let from = usize::try_from(stored).unwrap();
                for (slot, batch) in (stored + 1..).zip(&self.log[from..]).take(RESEND_ENTRIES_MAX)
                {
                    effects.reply(peer, Message::Store { slot, batch: batch.clone() });
                }
            }
            effects.reply(peer, Message::Committed(self.committed));
        }
        self.stored_before.clone_from(&self.stored);
    }

    fn on_flush(&mut self, effects: &mut Effects<Self>) {
        if self.leads() {
            let mut stored = self.stored.clone();
            stored.sort_unstable_by(|a, b| b.cmp(a));
            self.committed = self.committed.max(stored[majority(self.replicas) - 1]);
            if self.committed > self.announced {
                self.announced = self.committed;
                effects.send(self.others(), Message::Committed(self.committed));
            }
        } else if self.acknowledged != self.last() {
            self.acknowledged = self.last();
            effects.reply(LEADER, Message::Stored(self.last()));
        }
        while self.executed < self.committed.min(self.last()) {
            let batch = self.log[usize::try_from(self.executed).unwrap()].clone();
            self.executed += 1;
            let instance = InstanceId::new(LEADER, self.executed);
            let path = if self.leads() { Path::Slow } else { Path::Learned };
            let dependencies = Dependencies::none(1);
            effects.push(Effect::Committed { instance, batch: batch.clone(), dependencies, path });
            effects.push(Effect::Execute { instance, batch });
        }
    }
}

impl Replica for Toy {
    type Message = Message;
    type Timer = Tick;
    type Record = ();

    const PROTOCOL: Protocol = protocols::multi_paxos::PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        _snapshot: Option<&Snapshot>,
        _records: impl IntoIterator<Item = ()>,
    ) -> Self {
        Self {
            id,
            replicas: config.replicas,
            log: Vec::new(),
            committed: 0,
            executed: 0,
            stored: vec![0; config.replicas],
            stored_before: vec![0; config.replicas],
            acknowledged: 0,
            announced: 0,
        }
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Start => effects.set_timer(Tick, RESEND..=2 * RESEND),
            Input::Propose(batch) => self.on_propose(batch, effects),
            Input::Message { from, message } => self.on_message(from, message, effects),
            Input::Timer(Tick) => self.on_tick(effects),
            Input::Captured(_) => unreachable!("nothing was asked for"),
            Input::Checkpoint(_) => unreachable!("it has no records to be made short"),
            Input::Flush => self.on_flush(effects),
        }
    }

    fn admissible(_: &Self::Message, _: usize) -> bool {
        true
    }

    fn status(&self) -> Status {
        Status {
            leader: Some(LEADER),
            unexecuted: self.last() - self.executed,
            ..Status::default()
        }
    }
}
