//! Configurations: what is explored, and how far.

pub(crate) mod epaxos;
pub(crate) mod epaxos_sosp13;
pub(crate) mod multi_paxos;
pub(crate) mod paxos;

use protocols::{Batch, ClientId, Command, Config, Order, ReplicaId, Request, RequestNumber};

use crate::{
    breach::Rule,
    director::Director,
    mark::Marks,
    subject::{Subject, TIMER_KINDS_MAX},
};

/// A configuration of one protocol.
#[derive(Clone, Debug)]
pub struct Setup<R: Subject> {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is there to show, in a line.
    pub about: &'static str,
    /// The cores' configuration.
    pub config: Config,
    /// The keys that the commands write, one per command. Two commands conflict if they write one key.
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

/// A command given to a replica. A command given to two is a request that its client repeats elsewhere.
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
    /// How many messages arrive before one that was sent before them on the same link; none: links keep no order at all.
    pub overtakings: Option<u8>,
    /// How many times a replica crashes.
    pub crashes: u8,
    /// May a crash come in the middle of a step, after some of its effects?
    pub midway: bool,
    /// How many times a replica is started again.
    pub restarts: u8,
    /// How many times a replica takes a checkpoint and forgets what it recorded before. It does so while a crash is to come.
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
    pub(crate) const fn keeps_order(&self) -> bool {
        self.overtakings.is_some() && !self.duplicates_unbounded()
    }

    pub(crate) const fn duplicates_unbounded(&self) -> bool {
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

    /// Does `rule` say anything about this protocol?
    pub(crate) fn applies(&self, rule: Rule) -> bool {
        rule != Rule::Visibility || R::PROTOCOL.order == Order::Dependencies
    }

    /// The commands, each by a client of its own.
    pub(crate) fn batches(&self) -> Vec<Batch> {
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
fn repeated<R: Subject>(bounds: Bounds, reach: Marks) -> Setup<R> {
    let about = "a request given to two replicas takes effect once";
    let mut setup = Setup::plain("repeated", about, 3, 1, bounds, reach);
    setup.proposals.push(Proposal { command: 0, replica: ReplicaId(2) });
    setup.at_most(4_000_000)
}
