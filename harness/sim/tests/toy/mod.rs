//! A toy protocol to test the simulator by: replica 0 decides alone, in the order in which it hears of commands, and
//! tells the others. It survives loss, duplicates, reordering, pauses and restarts, and has bugs to choose from.

use std::{collections::BTreeMap, time::Duration};

use protocols::{
    Batch, Config, Effect, Effects, Facts, Input, InstanceId, Path, Protocol, Replica, ReplicaId,
    ReplicaSet, Slot, Snapshot, Status,
    dependencies::Dependencies,
    explored::Subject,
    options::{InFiles, OptionFacts, OptionKind, Setting},
};
use serde::{Deserialize, Serialize};

pub(crate) const NONE: u8 = 0;
pub(crate) const DECIDES_TWICE: u8 = 1;
pub(crate) const IGNORES_ORDER: u8 = 2;
pub(crate) const EXECUTES_TWICE: u8 = 3;
pub(crate) const COMMITS_TWICE: u8 = 4;
pub(crate) const FORGETS: u8 = 5;
pub(crate) const NEVER_FORWARDS: u8 = 6;
pub(crate) const DOES_NOT_SAY: u8 = 7;
pub(crate) const PANICS: u8 = 8;
pub(crate) const SKIPS_LAST: u8 = 9;

/// What the toy states of itself, as a crate of one's own would.
pub(crate) static FACTS: Facts = Facts {
    title: "Toy",
    description: "replica 0 decides alone",
    has_stable_leader: true,
    timers: &["again"],
    options: &[OptionFacts {
        key: "fetch",
        about: "how many decisions one answer to a replica that lags has at most",
        kind: OptionKind::Number { least: 1, most: 50 },
        default: 50,
        files: InFiles::Swept,
        fixed: None,
        hostile: &[],
    }],
    ..Facts::plain("toy")
};

pub(crate) const PROTOCOL: Protocol = Protocol::new(&FACTS);

/// How many decisions one answer to a replica that lags has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetch(pub(crate) u32);

impl Setting for Fetch {
    const PROTOCOL: Protocol = PROTOCOL;
    const PLACE: usize = 0;

    fn from_number(number: Option<u32>) -> Self {
        Self(number.unwrap_or(50))
    }

    fn to_number(self) -> u32 {
        self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    Forward(Batch),
    Decided(Slot, Batch),
    /// Decisions from this slot on are wanted.
    Ask(Slot),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toy<const BUG: u8> {
    id: ReplicaId,
    replicas: usize,
    period: Duration,
    fetch: usize,
    decided: BTreeMap<Slot, Batch>,
    executed: Slot,
    forwarded: Vec<Batch>,
}

const LEADER: ReplicaId = ReplicaId(0);

impl<const BUG: u8> Replica for Toy<BUG> {
    type Message = Message;
    type Timer = ();
    type Record = (Slot, Batch);
    const PROTOCOL: Protocol = PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        _: Option<&Snapshot>,
        records: impl IntoIterator<Item = Self::Record>,
    ) -> Self {
        Self {
            id,
            replicas: config.replicas,
            period: config.timeouts.retransmit,
            fetch: config.options.of::<Fetch>().0 as usize,
            decided: records.into_iter().collect(),
            executed: 0,
            forwarded: Vec::new(),
        }
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Start => {
                let known = std::mem::take(&mut self.decided);
                for (slot, batch) in known {
                    self.learn(slot, batch, Path::Learned, effects);
                }
                self.set_timer(effects);
            }
            Input::Propose(batch) if self.id == LEADER => self.decide(batch, effects),
            Input::Propose(batch) => {
                if BUG != NEVER_FORWARDS {
                    effects.reply(LEADER, Message::Forward(batch.clone()));
                    self.forwarded.push(batch);
                }
            }
            Input::Message { from, message } => self.hear(from, message, effects),
            Input::Timer(()) => {
                for batch in &self.forwarded {
                    effects.reply(LEADER, Message::Forward(batch.clone()));
                }
                if self.id != LEADER {
                    effects.reply(LEADER, Message::Ask(self.executed + 1));
                }
                self.set_timer(effects);
            }
            Input::Captured(_) | Input::Checkpoint(_) | Input::Flush => {}
        }
    }

    fn admissible(_: &Self::Message, _: usize) -> bool {
        true
    }

    fn status(&self) -> Status {
        let known = self.decided.keys().next_back().copied().unwrap_or(0);
        Status {
            unexecuted: known.saturating_sub(self.executed),
            undecided: self.forwarded.len() as u64,
            ..Status::default()
        }
    }
}

impl<const BUG: u8> Toy<BUG> {
    fn set_timer(&self, effects: &mut Effects<Self>) {
        effects.set_timer((), self.period..=self.period * 2);
    }

    fn decide(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        let slot = self.decided.keys().next_back().copied().unwrap_or(0) + 1;
        let others = ReplicaSet::others(self.id, self.replicas);
        self.learn(slot, batch.clone(), Path::Slow, effects);
        effects.send(others, Message::Decided(slot, batch));
    }

    fn hear(&mut self, from: ReplicaId, message: Message, effects: &mut Effects<Self>) {
        match message {
            Message::Forward(batch) => {
                let known = self.decided.iter().find(|(_, other)| **other == batch);
                match known {
                    Some((slot, _)) => effects.reply(from, Message::Decided(*slot, batch)),
                    None => self.decide(batch, effects),
                }
            }
            Message::Decided(slot, mut batch) => {
                assert!(BUG != PANICS || slot != 3, "slot 3 is too much");
                if BUG == DECIDES_TWICE && self.id == ReplicaId(1) && slot == 3 {
                    batch = Batch::NOOP;
                }
                self.learn(slot, batch, Path::Learned, effects);
            }
            Message::Ask(slot) => {
                for (slot, batch) in self.decided.range(slot..).take(self.fetch) {
                    effects.reply(from, Message::Decided(*slot, batch.clone()));
                }
            }
        }
    }

    fn learn(&mut self, slot: Slot, batch: Batch, path: Path, effects: &mut Effects<Self>) {
        self.forwarded.retain(|other| *other != batch);
        if self.decided.contains_key(&slot) && BUG != COMMITS_TWICE {
            return;
        }
        if BUG != FORGETS {
            effects.persist((slot, batch.clone()));
        }
        if BUG != DOES_NOT_SAY {
            effects.push(Effect::Committed {
                instance: InstanceId::single_row(slot),
                batch: batch.clone(),
                dependencies: Dependencies::none(0),
                path,
            });
        }
        self.decided.insert(slot, batch);
        if BUG == IGNORES_ORDER {
            self.execute(slot, effects);
            return;
        }
        while self.decided.contains_key(&(self.executed + 1)) {
            self.execute(self.executed + 1, effects);
        }
    }

    fn execute(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        self.executed = self.executed.max(slot);
        if BUG == SKIPS_LAST && self.id == ReplicaId(2) && slot == 5 {
            return;
        }
        let batch = self.decided[&slot].clone();
        let instance = InstanceId::single_row(slot);
        effects.push(Effect::Execute { instance, batch: batch.clone() });
        if BUG == EXECUTES_TWICE && slot == 2 {
            effects.push(Effect::Execute { instance, batch });
        }
    }
}

impl<const BUG: u8> Subject for Toy<BUG> {}
