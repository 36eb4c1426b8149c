//! Turns: replicas take turns at the slots of one log.
//!
//! Slot 1 belongs to replica 0, slot 2 to replica 1, and so on. The owner of a slot proposes there
//! at ballot 0, the lowest, without a first phase: a majority decides in one round trip. A replica
//! that sees a slot in use decides no-ops at its own unused slots below. A slot that stays open is
//! taken over, with both phases of Paxos. The idea is that of Mencius (Mao et al., OSDI'08),
//! without its optimisations. The README explains the rules (R1) to (R7).

use std::{collections::BTreeMap, time::Duration};

use protocols::{
    Batch, Config, Dependencies, Effect, Effects, Facts, Input, InstanceId, Path, Protocol,
    Replica, ReplicaId, ReplicaSet, Slot, Snapshot, Status,
    ballot::InstanceBallot as Ballot,
    explored::{Bounds, Mark, Marks, Setup, Subject},
    observed::Observed,
    options::{InFiles, OptionFacts, OptionKind},
    quorum::majority,
};
use serde::{Deserialize, Serialize};

/// How far above the executed slots a message may lie. chosen: seconds of work.
const AHEAD_MAX: Slot = 1 << 16;
/// How many slots are told or taken over at once. chosen: more than are usually open.
const AT_ONCE: usize = 256;

/// What the laboratory must know of the protocol.
pub static FACTS: Facts = Facts {
    title: "Turns",
    description: "replicas take turns at slots: one round trip, then a wait for the slots below",
    timers: &["tick", "take-over"],
    options: &[OptionFacts {
        key: "patience",
        about: "how many retransmission periods pass before a slot that stays open is taken over",
        kind: OptionKind::Number { least: 1, most: 1_000 },
        default: 2,
        files: InFiles::Swept,
        fixed: None,
        hostile: &[1, 2, 4],
    }],
    ..Facts::plain("turns")
};

/// What replicas tell each other about a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Say {
    /// Phase 1: promise this ballot, and say what you accepted.
    Prepare(Ballot),
    /// The answer, with what the sender accepted, and at which ballot.
    Promise(Ballot, Option<(Ballot, Batch)>),
    /// Phase 2: accept this batch. The answer is a vote.
    Accept(Ballot, Batch),
    Vote(Ballot),
    /// This batch is decided.
    Decided(Batch),
    /// What is decided, from this slot on?
    Ask,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// When to send again what is unanswered, and to ask what is missing.
    Tick,
    /// When to take over slots that stay open.
    TakeOver,
}

/// What an acceptor knows of a slot, and may not forget: each change is a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    promised: Ballot,
    accepted: Option<(Ballot, Batch)>,
    decided: Option<Batch>,
}

/// What this replica proposes at a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    ballot: Ballot,
    /// The message that the others are to answer: a Prepare or an Accept.
    asks: Say,
    /// The replicas that have, this one among them.
    answered: ReplicaSet,
    /// What was accepted at the highest ballot, as far as the promises tell.
    highest: Option<(Ballot, Batch)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Turns {
    id: ReplicaId,
    replicas: usize,
    others: ReplicaSet,
    period: Duration,
    patience: u32,
    log: BTreeMap<Slot, Entry>,
    attempts: BTreeMap<Slot, Attempt>,
    /// The undecided batches of this replica's clients, by the slots at which they are proposed.
    own: BTreeMap<Slot, Batch>,
    /// The lowest of its own slots that this replica has not used.
    next: Slot,
    /// Everything through here is decided and executed.
    executed: Slot,
    /// The highest slot in use, as far as known here.
    highest: Slot,
    /// The executed and the highest slot when the takeover timer was set; none if it does not run.
    watched: Option<(Slot, Slot)>,
    /// How often it ran out since something was executed.
    in_vain: u32,
    last_asked: usize,
    takeovers: Observed<u64>,
}

impl Replica for Turns {
    type Message = (Slot, Say);
    type Timer = Timer;
    type Record = (Slot, Entry);
    const PROTOCOL: Protocol = Protocol::new(&FACTS);

    fn recover(
        id: ReplicaId,
        config: &Config,
        _: Option<&Snapshot>, // There is none: this core has no checkpoints.
        records: impl IntoIterator<Item = (Slot, Entry)>,
    ) -> Self {
        let mut turns = Self {
            id,
            replicas: config.replicas,
            others: ReplicaSet::others(id, config.replicas),
            period: config.timeouts.retransmit,
            patience: config.options.get(0).unwrap_or(FACTS.options[0].default),
            next: id.index() as Slot + 1,
            ..Self::default()
        };
        for (slot, entry) in records {
            // A slot of its own that has a record was used (R2).
            if turns.leader(slot, Ballot::INITIAL) == id {
                turns.next = turns.next.max(slot + turns.replicas as Slot);
            }
            turns.highest = turns.highest.max(slot);
            turns.log.insert(slot, entry);
        }
        turns
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Start => {
                for (slot, entry) in &self.log {
                    if let Some(batch) = &entry.decided {
                        committed(*slot, batch, Path::Learned, effects);
                    }
                }
                self.execute(effects);
                self.see(self.highest, effects);
                effects.set_timer(Timer::Tick, self.period..=2 * self.period);
            }
            Input::Propose(batch) => self.propose(batch, effects),
            Input::Message { from, message: (slot, say) } if slot <= self.executed + AHEAD_MAX => {
                self.hear(from, slot, say, effects);
            }
            Input::Timer(Timer::Tick) => self.tick(effects),
            Input::Timer(Timer::TakeOver) => self.take_over(effects),
            _ => {}
        }
        if self.watched.is_none() && self.executed < self.highest {
            self.watch(effects);
        }
    }

    fn admissible((slot, _): &(Slot, Say), _: usize) -> bool {
        *slot > 0
    }

    fn status(&self) -> Status {
        Status {
            unexecuted: self.highest - self.executed,
            undecided: self.own.len() as u64,
            held: self.log.len() as u64,
            takeovers: self.takeovers.0,
            ..Status::default()
        }
    }
}

impl Turns {
    /// Proposes `batch` at the next own slot, at ballot 0 (R2).
    fn propose(&mut self, batch: Batch, effects: &mut Effects<Self>) {
        let slot = self.next;
        self.next += self.replicas as Slot;
        self.own.insert(slot, batch.clone());
        self.accept(slot, Ballot::INITIAL, batch, effects);
    }

    fn hear(&mut self, from: ReplicaId, slot: Slot, say: Say, effects: &mut Effects<Self>) {
        if let Say::Prepare(ballot) | Say::Accept(ballot, _) = say {
            let known = self.entry(slot).promised;
            // A ballot has one leader, what is promised is kept (R4), and nobody is so far ahead.
            if self.leader(slot, ballot) != from || ballot < known || !ballot.is_near(known) {
                return;
            }
            self.see(slot, effects);
            if let Some(batch) = self.decided(slot).cloned() {
                return effects.reply(from, (slot, Say::Decided(batch)));
            }
        }
        match say {
            Say::Prepare(ballot) => {
                let entry = self.entry(slot);
                let accepted = entry.accepted.clone();
                if ballot > entry.promised {
                    self.keep(slot, Entry { promised: ballot, ..entry }, effects);
                    self.watch(effects); // That replica is at it: this one waits anew.
                }
                effects.reply(from, (slot, Say::Promise(ballot, accepted)));
            }
            Say::Accept(ballot, batch) => {
                self.vote(slot, ballot, batch, effects);
                effects.reply(from, (slot, Say::Vote(ballot)));
            }
            Say::Promise(ballot, accepted) => {
                let Some(attempt) = self.attempts.get_mut(&slot) else { return };
                if attempt.asks == Say::Prepare(ballot) {
                    attempt.answered.insert(from);
                    if accepted.as_ref().map(|of| of.0) > attempt.highest.as_ref().map(|of| of.0) {
                        attempt.highest = accepted;
                    }
                    self.count(slot, effects);
                }
            }
            Say::Vote(ballot) => {
                let Some(attempt) = self.attempts.get_mut(&slot) else { return };
                if attempt.ballot == ballot && matches!(attempt.asks, Say::Accept(..)) {
                    attempt.answered.insert(from);
                    self.count(slot, effects);
                }
            }
            Say::Decided(batch) => {
                let runs = self.executed / AT_ONCE as Slot;
                self.see(slot, effects);
                self.learn(slot, &batch, Path::Learned, effects);
                // A laggard asks for the next run as soon as it has one.
                if self.executed / AT_ONCE as Slot > runs {
                    effects.reply(from, (self.executed + 1, Say::Ask));
                }
            }
            Say::Ask => {
                for slot in (slot..).take(AT_ONCE) {
                    let Some(batch) = self.decided(slot).cloned() else { break };
                    effects.reply(from, (slot, Say::Decided(batch)));
                }
            }
        }
    }

    /// `slot` is in use: unused own slots up to there are given up, as no-ops (R3).
    fn see(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        self.highest = self.highest.max(slot);
        while self.next <= slot {
            let slot = self.next;
            self.next += self.replicas as Slot;
            self.learn(slot, &Batch::NOOP, Path::Slow, effects);
            effects.send(self.others, (slot, Say::Decided(Batch::NOOP)));
        }
    }

    /// Changes an entry, durably before anything that is sent from now on (R1).
    fn keep(&mut self, slot: Slot, entry: Entry, effects: &mut Effects<Self>) {
        effects.persist((slot, entry.clone()));
        self.log.insert(slot, entry);
    }

    fn vote(&mut self, slot: Slot, ballot: Ballot, batch: Batch, effects: &mut Effects<Self>) {
        let accepted = Some((ballot, batch));
        self.keep(slot, Entry { promised: ballot, accepted, decided: None }, effects);
    }

    /// Phase 2 of this replica's `ballot`.
    fn accept(&mut self, slot: Slot, ballot: Ballot, batch: Batch, effects: &mut Effects<Self>) {
        self.highest = self.highest.max(slot);
        self.vote(slot, ballot, batch.clone(), effects);
        self.ask(slot, ballot, Say::Accept(ballot, batch), effects);
    }

    /// Asks the others for promises or votes. The own one is there.
    fn ask(&mut self, slot: Slot, ballot: Ballot, asks: Say, effects: &mut Effects<Self>) {
        effects.send(self.others, (slot, asks.clone()));
        let (answered, highest) = (ReplicaSet::only(self.id), self.entry(slot).accepted);
        self.attempts.insert(slot, Attempt { ballot, asks, answered, highest });
        self.count(slot, effects);
    }

    /// Goes on if a majority has answered: with what was accepted highest, or a no-op (R5).
    fn count(&mut self, slot: Slot, effects: &mut Effects<Self>) {
        let Some(attempt) = self.attempts.get(&slot) else { return };
        if attempt.answered.len() < majority(self.replicas) {
            return;
        }
        let Attempt { ballot, asks, highest, .. } = attempt.clone();
        if let Say::Accept(_, batch) = asks {
            let own = ballot == Ballot::INITIAL;
            self.learn(slot, &batch, if own { Path::Slow } else { Path::Recovered }, effects);
            effects.send(self.others, (slot, Say::Decided(batch)));
        } else if ballot == self.entry(slot).promised {
            self.accept(slot, ballot, highest.map_or(Batch::NOOP, |of| of.1), effects);
        }
    }

    /// `batch` is decided. An own batch that lost its slot takes the next one.
    fn learn(&mut self, slot: Slot, batch: &Batch, path: Path, effects: &mut Effects<Self>) {
        if let Some(decided) = self.decided(slot) {
            return assert!(decided == batch, "slot {slot} is decided as two batches");
        }
        self.keep(slot, Entry { decided: Some(batch.clone()), ..Entry::default() }, effects);
        self.attempts.remove(&slot);
        committed(slot, batch, path, effects);
        self.execute(effects);
        if let Some(own) = self.own.remove(&slot).filter(|own| own != batch) {
            self.propose(own, effects);
        }
    }

    /// Executes what is decided, in the order of the slots, each once (R6).
    fn execute(&mut self, effects: &mut Effects<Self>) {
        while let Some(batch) = self.decided(self.executed + 1).cloned() {
            (self.executed, self.in_vain) = (self.executed + 1, 0);
            let instance = InstanceId::single_row(self.executed);
            effects.push(Effect::Execute { instance, batch });
        }
    }

    /// Sends again what is not answered, and asks the next replica for what is missing here (R7).
    fn tick(&mut self, effects: &mut Effects<Self>) {
        for (&slot, Attempt { asks, answered, .. }) in &self.attempts {
            let silent = self.others.difference(*answered);
            effects.send(silent, (slot, asks.clone()));
        }
        self.last_asked = (self.last_asked + 1) % self.others.len().max(1);
        if let Some(other) = self.others.iter().nth(self.last_asked) {
            effects.reply(other, (self.executed + 1, Say::Ask));
        }
        effects.set_timer(Timer::Tick, self.period..=2 * self.period);
    }

    /// Waits before slots are taken over: after every time in vain longer (R7).
    fn watch(&mut self, effects: &mut Effects<Self>) {
        self.watched = Some((self.executed, self.highest));
        let wait = self.period * self.patience * (1 << self.in_vain);
        effects.set_timer(Timer::TakeOver, wait..=2 * wait);
    }

    /// Leads both phases for the slots that were open when the timer was set, and still are (R7).
    fn take_over(&mut self, effects: &mut Effects<Self>) {
        let watched = self.watched.take().filter(|(executed, _)| *executed == self.executed);
        let Some((executed, highest)) = watched else { return };
        self.in_vain = (self.in_vain + 1).min(16); // From tenths of a second to hours.
        let open = (executed + 1..=highest).filter(|slot| self.decided(*slot).is_none());
        for slot in open.take(AT_ONCE).collect::<Vec<_>>() {
            let entry = self.entry(slot);
            let ballot = entry.promised.next_for(self.id, self.replicas);
            self.takeovers.0 += 1;
            self.keep(slot, Entry { promised: ballot, ..entry }, effects);
            self.ask(slot, ballot, Say::Prepare(ballot), effects);
        }
    }

    fn entry(&self, slot: Slot) -> Entry {
        self.log.get(&slot).cloned().unwrap_or_default()
    }

    fn decided(&self, slot: Slot) -> Option<&Batch> {
        self.log.get(&slot)?.decided.as_ref()
    }

    /// The replica that may propose at this ballot.
    fn leader(&self, slot: Slot, ballot: Ballot) -> ReplicaId {
        ballot.owner(ReplicaId::from_index((slot - 1) as usize % self.replicas), self.replicas)
    }
}

fn committed(slot: Slot, batch: &Batch, path: Path, effects: &mut Effects<Turns>) {
    let (instance, dependencies) = (InstanceId::single_row(slot), Dependencies::none(0));
    effects.push(Effect::Committed { instance, batch: batch.clone(), dependencies, path });
}

impl Subject for Turns {
    fn timer_kind(timer: &Timer) -> usize {
        *timer as usize
    }

    fn setups() -> Vec<Setup<Self>> {
        let (two, taken) = (Marks::only(Mark::Everywhere), Marks::only(Mark::Recovered));
        let crash = Bounds { crashes: 1, midway: true, restarts: 1, ..Bounds::NONE };
        let ordered = Bounds { overtakings: Some(0), ..crash };
        vec![
            Setup::plain("two", "two commands, any order", 3, 2, Bounds::NONE, two),
            Setup::plain("crash", "a crash, a takeover", 3, 1, crash.with_timers(1, 1), taken),
            Setup::plain("told", "a no-op told, a crash", 3, 2, ordered, two),
        ]
    }
}
