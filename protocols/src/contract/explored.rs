//! What a model checker must know of a protocol beside how to step it, stated by the protocol:
//! which configurations are worth exploring, and what must be reached in them.
//!
//! The checker itself is the crate `explore`. Everything here has a default, so that a protocol of
//! which nothing is known can be explored as well.

use std::fmt;

use crate::{
    Batch, ClientId, Command, Config, Effect, Input, InstanceId, Replica, ReplicaId, Request,
    RequestNumber,
};

/// How many marks of its own a protocol may have.
pub const OWN_MARKS_MAX: u8 = 16;

/// The most kinds of timers that a protocol has.
pub const TIMER_KINDS_MAX: usize = 5;

/// A protocol that can be explored. Everything has a default: nothing is known of the protocol but
/// how to step it.
pub trait Subject: Replica {
    /// The names in reports of the marks that are this protocol's alone, [`OWN_MARKS_MAX`] at most.
    const MARKS: &'static [&'static str] = &[];

    /// The kind of a timer, as an index into [`Facts::timers`](crate::Facts::timers). A
    /// configuration bounds how often timers of each kind run out.
    fn timer_kind(_: &Self::Timer) -> usize {
        0
    }

    /// What carrying out `effect` shows to have happened, beside what every protocol has in common.
    fn marks(_: &Effect<Self>) -> Marks {
        Marks::NONE
    }

    /// What `before`, taking `input`, did to become `after`, as far as effects do not show it.
    fn marks_between(_before: &Self, _input: &Input<Self>, _after: &Self) -> Marks {
        Marks::NONE
    }

    /// The instance whose commit at the receiver makes `message` meaningless there, for as long as
    /// that replica lives: it is an answer that counts towards a decision, and changes nothing once
    /// the decision is known.
    fn meaningless_after(_: &Self::Message) -> Option<InstanceId> {
        None
    }

    /// The configurations that belong to this protocol, those of its usual variant first. Names
    /// differ within a variant.
    fn setups() -> Vec<Setup<Self>> {
        let reach = Marks::only(Mark::Everywhere);
        let about = "two commands, links in any order";
        vec![Setup::plain("two", about, 3, 2, Bounds::NONE, reach).at_most(4_000_000)]
    }
}

/// Something that happens in a step. A `sometimes` property is about steps and not about states:
/// which of two ways led to a state is not in the state, so a mark is noted when the step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// An instance committed after one round trip to a fast quorum.
    Fast,
    /// An instance committed in the ordinary way.
    Slow,
    /// A replica finished what another, or an earlier leadership, had begun.
    Recovered,
    /// A no-op was chosen.
    NoOp,
    /// Every replica is up and has applied every command.
    Everywhere,
    /// A request that had taken effect was executed again, without effect.
    Repeated,
    /// A replica crashed.
    Crashed,
    /// A replica crashed after some of a step's effects.
    Midway,
    /// A replica came back from what it had persisted.
    Restarted,
    /// A message was lost.
    Lost,
    /// A message arrived before one that was sent before it on the same link.
    Overtaken,
    /// A message was delivered twice.
    Duplicated,
    /// A snapshot was installed.
    Installed,
    /// A replica took a checkpoint.
    Checkpointed,
    /// Something of one protocol alone, by its place in [`Subject::MARKS`].
    Own(u8),
}

impl Mark {
    /// Every mark that all protocols have in common, in the order in which reports list them; each
    /// protocol's own come behind.
    pub const COMMON: [Self; 14] = [
        Self::Fast,
        Self::Slow,
        Self::Recovered,
        Self::NoOp,
        Self::Everywhere,
        Self::Repeated,
        Self::Crashed,
        Self::Midway,
        Self::Restarted,
        Self::Lost,
        Self::Overtaken,
        Self::Duplicated,
        Self::Installed,
        Self::Checkpointed,
    ];

    /// The name in reports of the protocol `R`.
    pub fn name<R: Subject>(self) -> &'static str {
        match self {
            Self::Fast => "fast path taken",
            Self::Slow => "slow path taken",
            Self::Recovered => "recovered commit",
            Self::NoOp => "no-op chosen",
            Self::Everywhere => "every command executed everywhere",
            Self::Repeated => "repeated request without effect",
            Self::Crashed => "crashed",
            Self::Midway => "crashed midway in a step",
            Self::Restarted => "restarted",
            Self::Lost => "message lost",
            Self::Overtaken => "message overtaken",
            Self::Duplicated => "message duplicated",
            Self::Installed => "snapshot installed",
            Self::Checkpointed => "checkpoint taken",
            Self::Own(place) => R::MARKS[usize::from(place)],
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::Fast => 1,
            Self::Slow => 1 << 1,
            Self::Recovered => 1 << 2,
            Self::NoOp => 1 << 3,
            Self::Everywhere => 1 << 4,
            Self::Repeated => 1 << 5,
            Self::Crashed => 1 << 6,
            Self::Midway => 1 << 7,
            Self::Restarted => 1 << 8,
            Self::Lost => 1 << 9,
            Self::Overtaken => 1 << 10,
            Self::Duplicated => 1 << 11,
            Self::Installed => 1 << 12,
            Self::Checkpointed => 1 << 13,
            Self::Own(place) => {
                assert!(place < OWN_MARKS_MAX, "a protocol has so many marks of its own at most");
                1 << (14 + place)
            }
        }
    }
}

/// A set of marks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Marks(u32);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);

    /// Just `mark`.
    pub const fn only(mark: Mark) -> Self {
        Self(mark.bit())
    }

    /// Those and `mark`.
    #[must_use]
    pub const fn with(self, mark: Mark) -> Self {
        Self(self.0 | mark.bit())
    }

    /// Those in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Is `mark` in the set?
    pub const fn contains(self, mark: Mark) -> bool {
        self.0 & mark.bit() != 0
    }

    /// The marks in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        let all = Mark::COMMON.into_iter().chain((0..OWN_MARKS_MAX).map(Mark::Own));
        all.filter(move |mark| self.contains(*mark))
    }

    /// The set as a number, a bit a mark.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set of this number.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Self {
        marks.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A configuration of one protocol.
#[derive(Clone, Debug)]
pub struct Setup<R: Subject> {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is there to show, in a line.
    pub about: &'static str,
    /// The cores' configuration.
    pub config: Config,
    /// The keys that the commands write, one per command. Two commands conflict if they write one
    /// key.
    pub keys: Vec<&'static str>,
    /// What is proposed where. Each proposal is made at most once, at any time.
    pub proposals: Vec<Proposal>,
    /// How much may go wrong.
    pub bounds: Bounds,
    /// Does the flush come at any time after an input, and not at once?
    pub flush_late: bool,
    /// What must be reached.
    pub reach: Marks,
    /// What has happened before the exploration begins.
    pub prefix: Option<fn(&mut Director<'_, R>)>,
    /// Stop after about so many generated states; the exploration is complete if it ends before.
    pub states_max: Option<usize>,
}

/// A command given to a replica. A command given to two is a request that its client repeats
/// elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The index of the command.
    pub command: usize,
    /// The replica that is asked.
    pub replica: ReplicaId,
}

/// What bounds an exploration. Nothing else does: in what order things happen, and when, is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// How many messages are lost.
    pub losses: u8,
    /// How many messages are delivered again; none: every one, as often as may be.
    pub duplicates: Option<u8>,
    /// How many messages arrive before one that was sent before them on the same link; none: links
    /// keep no order at all.
    pub overtakings: Option<u8>,
    /// How many times a replica crashes.
    pub crashes: u8,
    /// May a crash come in the middle of a step, after some of its effects?
    pub midway: bool,
    /// How many times a replica is started again.
    pub restarts: u8,
    /// How many times a replica takes a checkpoint and forgets what it recorded before. It does so
    /// while a crash is to come.
    pub checkpoints: u8,
    /// How many timers run out, by kind.
    pub timers: [u8; TIMER_KINDS_MAX],
}

impl Bounds {
    /// Nothing goes wrong but order and delay.
    pub const NONE: Self = Self {
        losses: 0,
        duplicates: Some(0),
        overtakings: None,
        crashes: 0,
        midway: false,
        restarts: 0,
        checkpoints: 0,
        timers: [0; TIMER_KINDS_MAX],
    };

    /// These, with so many timers of a kind running out.
    #[must_use]
    pub const fn with_timers(mut self, kind: usize, expirations: u8) -> Self {
        self.timers[kind] = expirations;
        self
    }

    /// Is there an order on a link that messages could break?
    pub const fn keeps_order(&self) -> bool {
        self.overtakings.is_some() && !self.duplicates_unbounded()
    }

    /// May every message come again, as often as may be?
    pub const fn duplicates_unbounded(&self) -> bool {
        self.duplicates.is_none()
    }
}

impl<R: Subject> Setup<R> {
    /// `commands` conflicting commands, one per replica in turn; nothing goes wrong.
    pub fn plain(
        name: &'static str,
        about: &'static str,
        replicas: usize,
        commands: usize,
        bounds: Bounds,
        reach: Marks,
    ) -> Self {
        let sites = ReplicaId::all(replicas).cycle();
        let proposals = (0..commands).zip(sites);
        Self {
            name,
            about,
            config: Config::new(replicas),
            keys: vec!["k"; commands],
            proposals: proposals.map(|(command, replica)| Proposal { command, replica }).collect(),
            bounds,
            flush_late: false,
            reach,
            prefix: None,
            states_max: None,
        }
    }

    /// The same with a bound on generated states.
    #[must_use]
    pub fn at_most(self, states: usize) -> Self {
        Self { states_max: Some(states), ..self }
    }

    /// Every proposal is made at this replica.
    pub fn propose_all_at(&mut self, replica: u8) {
        for proposal in &mut self.proposals {
            proposal.replica = ReplicaId(replica);
        }
    }

    /// The commands, each by a client of its own.
    ///
    /// # Panics
    /// Never: the commands are small.
    pub fn batches(&self) -> Vec<Batch> {
        let commands = self.keys.iter().zip(1u8..);
        let batches = commands.map(|(key, client)| {
            let request = Request {
                client: ClientId(u64::from(client)),
                number: RequestNumber::write(1),
                unanswered_from: 1,
                command: Command::Put { key: key.as_bytes(), value: &[client] },
            };
            Batch::single(&request).expect("small")
        });
        batches.collect()
    }
}

/// One command that is given to two replicas, as by a client that got no answer.
pub fn repeated<R: Subject>(bounds: Bounds, reach: Marks) -> Setup<R> {
    let about = "a request given to two replicas takes effect once";
    let mut setup = Setup::plain("repeated", about, 3, 1, bounds, reach);
    setup.proposals.push(Proposal { command: 0, replica: ReplicaId(2) });
    setup.at_most(4_000_000)
}

/// What can be done to a cluster step by step. Whatever is asked for must be possible.
pub trait Stage<R: Replica> {
    /// The proposal with this index is made.
    fn propose(&mut self, proposal: u8);
    /// What is under way now and matches (sender, receiver, message) is delivered, in the order in
    /// which it was first sent; says how many messages that were.
    fn deliver(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) -> usize;
    /// The same, and it stays under way.
    fn deliver_copies(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool) -> usize;
    /// What is under way now and matches is lost.
    fn lose(&mut self, matches: &dyn Fn(u8, u8, &R::Message) -> bool);
    /// A timer of a replica, which runs there, runs out.
    fn fire(&mut self, replica: u8, timer: R::Timer);
    /// Has this replica committed nothing yet?
    fn is_undecided(&self, replica: u8) -> bool;
    /// A replica dies.
    fn crash(&mut self, replica: u8);
    /// A replica comes back.
    fn restart(&mut self, replica: u8);
}

/// Leads a configuration from its start to where its exploration begins. Whatever a script asks for
/// must be possible: a script that does not fit the protocol any more fails loudly.
pub struct Director<'s, R: Replica>(&'s mut dyn Stage<R>);

impl<R: Replica> fmt::Debug for Director<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Director")
    }
}

impl<'s, R: Replica> Director<'s, R> {
    /// One who acts on `stage`.
    pub fn new(stage: &'s mut dyn Stage<R>) -> Self {
        Self(stage)
    }

    /// The configuration's proposal with this index is made.
    pub fn propose(&mut self, proposal: u8) {
        self.0.propose(proposal);
    }

    /// What is under way now and matches (sender, receiver, message) is delivered, in the order in
    /// which it was first sent; says how many messages that were.
    pub fn deliver(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) -> usize {
        self.0.deliver(&matches)
    }

    /// The same, and it stays under way.
    pub fn deliver_copies(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) -> usize {
        self.0.deliver_copies(&matches)
    }

    /// What is under way now and matches is lost.
    pub fn lose(&mut self, matches: impl Fn(u8, u8, &R::Message) -> bool) {
        self.0.lose(&matches);
    }

    /// A timer of a replica, which runs there, runs out.
    pub fn fire(&mut self, replica: u8, timer: R::Timer) {
        self.0.fire(replica, timer);
    }

    /// Has this replica committed nothing yet?
    pub fn is_undecided(&self, replica: u8) -> bool {
        self.0.is_undecided(replica)
    }

    /// A replica dies.
    pub fn crash(&mut self, replica: u8) {
        self.0.crash(replica);
    }

    /// A replica comes back.
    pub fn restart(&mut self, replica: u8) {
        self.0.restart(replica);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_a_bit_of_its_own() {
        let all: Vec<Mark> =
            Mark::COMMON.into_iter().chain((0..OWN_MARKS_MAX).map(Mark::Own)).collect();
        let set: Marks = all.iter().copied().collect();
        assert_eq!(set.bits().count_ones() as usize, all.len());
        assert_eq!(set.iter().collect::<Vec<_>>(), all);
        assert_eq!(Marks::from_bits(set.bits()), set);
    }
}
