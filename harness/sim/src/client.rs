//! Clients: what they ask for, and what they wait for.
//!
//! Numbers, retries and giving up are those of every client's session ([`driver::session`]). A
//! submission is a batch of requests that are sent together, so that they are overdue together.

use std::ops::RangeInclusive;

use driver::session::{ClientSession, Due, Policy, RequestKind, Target};
use protocols::{Batch, ClientId, Command, Outcome, ReplicaId, ReplicaSet, Request, RequestNumber};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::{history::ELEMENT_BYTES, queue::Nanos};

/// How often each kind of command is drawn, as weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Reads.
    pub get: u32,
    /// Overwriting writes.
    pub put: u32,
    /// Appends.
    pub append: u32,
    /// Compare-and-set, of which the client expects what it last saw.
    pub compare_and_set: u32,
    /// Deletions.
    pub delete: u32,
}

impl Mix {
    /// Nothing but overwriting writes.
    pub const PUTS: Self = Self { get: 0, put: 1, append: 0, compare_and_set: 0, delete: 0 };
    /// Some of everything.
    pub const ALL: Self = Self { get: 6, put: 4, append: 4, compare_and_set: 3, delete: 1 };
}

/// What the clients do: each keeps a number of submissions outstanding, until it has made all of
/// its own. It sends to its site's replica; when an answer is late it sends what is not answered
/// again to the next replica, and gives up in the end if it is told when.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The sites that have clients.
    pub sites: ReplicaSet,
    /// When the clients begin, in nanoseconds.
    pub start_ns: u64,
    /// How many clients each of them has.
    pub clients_per_site: usize,
    /// How many submissions a client keeps outstanding.
    pub window: usize,
    /// How many submissions each client makes.
    pub submissions: u64,
    /// The most commands in one submission, all ordered as one batch; their number is drawn.
    pub batch_max: usize,
    /// How long a client waits between an answer and the next submission, drawn, in nanoseconds.
    pub think_ns: RangeInclusive<u64>,
    /// How long a client waits for an answer before it tries another replica, in nanoseconds; for ever if not given.
    pub timeout_ns: Option<u64>,
    /// How often a client sends a submission before it gives it up; without end if not given.
    pub sends_max: Option<u32>,
    /// Which commands.
    pub mix: Mix,
    /// How long a value is that overwrites another, in bytes: 8 at least, which is what tells it
    /// from every other value. A history with longer ones is not judged by its values.
    pub value_bytes: usize,
    /// The share of commands on keys that all clients use, 0 to 1; the others are on the client's own key.
    pub shared: f64,
    /// How many shared keys take every kind of command.
    pub mixed_keys: u32,
    /// How many shared keys take reads and appends alone, so that every write can be found in the final value.
    pub append_only_keys: u32,
}

impl Load {
    /// One client at each of `sites`, each with `submissions` puts to its own key, one at a time.
    pub fn private(sites: ReplicaSet, submissions: u64) -> Self {
        Self {
            sites,
            start_ns: 0,
            clients_per_site: 1,
            window: 1,
            submissions,
            batch_max: 1,
            think_ns: 0..=0,
            timeout_ns: None,
            sends_max: None,
            mix: Mix::PUTS,
            value_bytes: ELEMENT_BYTES,
            shared: 0.0,
            mixed_keys: 1,
            append_only_keys: 0,
        }
    }

    /// When a client sends again, and when it gives up.
    fn policy(&self) -> Policy {
        Policy {
            attempt_ns: self.timeout_ns.unwrap_or(Nanos::MAX),
            total_ns: Nanos::MAX,
            sends_max: self.sends_max.unwrap_or(u32::MAX),
        }
    }

    /// The keys that take reads and appends alone.
    pub(crate) fn append_only(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.append_only_keys).map(append_only_key)
    }
}

fn append_only_key(index: u32) -> Vec<u8> {
    format!("append-{index}").into_bytes()
}

/// What a client waits for.
#[derive(Debug)]
pub(crate) struct Submission {
    number: u64,
    batch: Batch,
    /// Where the history keeps its first command.
    first_operation: usize,
    /// How many of its requests are open.
    open: usize,
    pub(crate) sent_at: Nanos,
}

/// Where an open request stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    submission: u64,
    /// In the submission's batch.
    position: usize,
}

/// What a client does about a submission whose answers are late.
#[derive(Debug)]
pub(crate) enum Late {
    /// It asks `to` for what is not answered: `operations`, as the history keeps them.
    Again { to: ReplicaId, batch: Batch, operations: Vec<usize> },
    /// It gives up.
    GivenUp,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) site: ReplicaId,
    session: ClientSession<Place>,
    outstanding: Vec<Submission>,
    submitted: u64,
    elements: u64,
    private_key: Vec<u8>,
    /// What the client last saw of a key.
    seen: FxHashMap<Vec<u8>, Option<Vec<u8>>>,
}

/// A command before it has a number, with keys and values of its own.
struct Draft {
    kind: Kind,
    key: Vec<u8>,
    /// The element that is written, and for an overwriting value what makes it as long as it is to
    /// be.
    value: Vec<u8>,
    expected: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Put,
    Append,
    CompareAndSet,
    Delete,
}

impl Client {
    /// Client `number` at `site`, of a cluster of `replicas`.
    pub(crate) fn new(number: u64, site: ReplicaId, replicas: usize, load: &Load) -> Self {
        Self {
            site,
            session: ClientSession::new(ClientId(number), replicas, load.policy()),
            outstanding: Vec::new(),
            submitted: 0,
            elements: 0,
            private_key: format!("own-{number}").into_bytes(),
            seen: FxHashMap::default(),
        }
    }

    /// Has the client made its submissions and got its answers?
    pub(crate) fn is_done(&self, load: &Load) -> bool {
        self.submitted >= load.submissions && self.outstanding.is_empty()
    }

    /// Draws the next submission, which is sent at `now`; none if all have been made. The caller
    /// hands it to [`Client::await_answer`].
    pub(crate) fn next(&mut self, load: &Load, rng: &mut ChaCha8Rng, now: Nanos) -> Option<Batch> {
        if self.submitted >= load.submissions {
            return None;
        }
        self.submitted += 1;
        let commands = if load.batch_max > 1 { rng.random_range(1..=load.batch_max) } else { 1 };
        let drafts: Vec<_> = (0..commands).map(|_| self.draft(load, rng)).collect();
        let requests: Vec<_> = drafts
            .iter()
            .enumerate()
            .filter_map(|(position, draft)| self.begin(position, draft.command(), now))
            .collect();
        Some(Batch::new(&requests).expect("keys and values are short"))
    }

    /// Takes note of a submission just drawn; returns its number.
    pub(crate) fn await_answer(&mut self, batch: Batch, first_operation: usize, now: Nanos) -> u64 {
        let (number, open) = (self.submitted, batch.requests().count());
        self.outstanding.push(Submission { number, batch, first_operation, open, sent_at: now });
        number
    }

    /// Takes in the answer to request `number`, unless it had one: the operation that it answers,
    /// and the submission if that has all its answers now.
    pub(crate) fn answered(
        &mut self,
        number: RequestNumber,
        outcome: &Outcome,
    ) -> Option<(usize, Option<Submission>)> {
        let Place { submission, position } = self.session.close(number)?.kept;
        let place = self.place(submission)?;
        let submission = &mut self.outstanding[place];
        submission.open -= 1;
        let operation = submission.first_operation + position;
        let request = submission.batch.requests().nth(position).expect("it was made from it");
        if let Some(seen) = self.seen.get_mut(request.command.key()) {
            match (outcome, request.command) {
                (Outcome::Value(value), _) => seen.clone_from(value),
                (Outcome::Done, Command::Put { value, .. })
                | (Outcome::Swapped(true), Command::CompareAndSet { value, .. }) => {
                    *seen = Some(value.to_vec());
                }
                _ => {}
            }
        }
        let is_whole = submission.open == 0;
        Some((operation, is_whole.then(|| self.outstanding.swap_remove(place))))
    }

    /// An attempt of submission `number` is over at `now`: what the client does about those of its
    /// requests that are open. None if it waits for none of them.
    pub(crate) fn late(&mut self, number: u64, now: Nanos) -> Option<Late> {
        let place = self.place(number)?;
        let Submission { batch, first_operation, .. } = &self.outstanding[place];
        let session = &mut self.session;
        // All of them were sent at one time, as often and to the same replicas.
        let mut numbers = batch.requests().map(|request| request.number);
        let first = numbers.find(|number| session.get(*number).is_some())?;
        if session.due(first, now)? == Due::GiveUp {
            for request in batch.requests() {
                session.close(request.number);
            }
            self.outstanding.swap_remove(place);
            return Some(Late::GivenUp);
        }
        let (mut to, mut requests, mut operations) = (self.site, Vec::new(), Vec::new());
        for (position, request) in batch.requests().enumerate() {
            let Some(next) = session.move_on(request.number, now, |next| next) else { continue };
            to = next;
            requests.extend(session.send(request.number, request.command));
            operations.push(first_operation + position);
        }
        let batch = Batch::new(&requests).expect("it was part of a batch");
        Some(Late::Again { to, batch, operations })
    }

    /// What the client waits for, each with how often it was sent.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (RequestNumber, u32)> {
        self.session.iter().map(|(number, open)| (number, open.sends))
    }

    fn place(&self, submission: u64) -> Option<usize> {
        self.outstanding.iter().position(|other| other.number == submission)
    }

    fn draft(&mut self, load: &Load, rng: &mut ChaCha8Rng) -> Draft {
        let mut kind = draw_kind(&load.mix, rng);
        let mut key = self.private_key.clone();
        if load.shared > 0.0 && rng.random_bool(load.shared) {
            let index = rng.random_range(0..load.mixed_keys + load.append_only_keys);
            key = match index.checked_sub(load.mixed_keys) {
                None => format!("mixed-{index}").into_bytes(),
                Some(index) => {
                    kind = if kind == Kind::Get { Kind::Get } else { Kind::Append };
                    append_only_key(index)
                }
            };
        }
        self.elements += 1;
        let mut value = (self.session.client().0 << 32 | self.elements).to_be_bytes().to_vec();
        if kind == Kind::Put {
            value.resize(load.value_bytes.max(ELEMENT_BYTES), 0);
        }
        let expected = (kind == Kind::CompareAndSet)
            .then(|| self.seen.entry(key.clone()).or_default().clone())
            .flatten();
        Draft { kind, key, value, expected }
    }

    /// Opens the request for `command`, which is at `position` of the submission just drawn, and
    /// sends it.
    fn begin<'d>(
        &mut self,
        position: usize,
        command: Command<'d>,
        now: Nanos,
    ) -> Option<Request<'d>> {
        let kind = if command.is_read() { RequestKind::Read } else { RequestKind::Write };
        let place = Place { submission: self.submitted, position };
        let number = self.session.open(kind, Target::First(self.site), now, place);
        self.session.send(number, command)
    }
}

impl Draft {
    fn command(&self) -> Command<'_> {
        let (key, value) = (&self.key[..], &self.value[..]);
        match self.kind {
            Kind::Get => Command::Get { key },
            Kind::Put => Command::Put { key, value },
            Kind::Append => Command::Append { key, value },
            Kind::CompareAndSet => {
                Command::CompareAndSet { key, expected: self.expected.as_deref(), value }
            }
            Kind::Delete => Command::Delete { key },
        }
    }
}

fn draw_kind(mix: &Mix, rng: &mut ChaCha8Rng) -> Kind {
    let weights = [
        (Kind::Get, mix.get),
        (Kind::Put, mix.put),
        (Kind::Append, mix.append),
        (Kind::CompareAndSet, mix.compare_and_set),
        (Kind::Delete, mix.delete),
    ];
    let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.random_range(0..total);
    for (kind, weight) in weights {
        match left.checked_sub(weight) {
            None => return kind,
            Some(rest) => left = rest,
        }
    }
    unreachable!("a number below the sum of the weights falls into one of them")
}
