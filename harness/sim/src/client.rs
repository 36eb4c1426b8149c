//! Clients: what they ask for, and what they wait for.

use std::{collections::BTreeSet, ops::RangeInclusive};

use protocols::{Batch, ClientId, Command, Outcome, ReplicaId, ReplicaSet, Request, RequestNumber};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::queue::Nanos;

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
/// its own. It sends to its site's replica; when an answer is late it sends the same again to the
/// next replica, and gives up in the end if it is told when.
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
            shared: 0.0,
            mixed_keys: 1,
            append_only_keys: 0,
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
    pub(crate) number: u64,
    pub(crate) batch: Batch,
    /// Where the history keeps its first command.
    pub(crate) first_operation: usize,
    pub(crate) commands: usize,
    /// Its requests that are not answered.
    open: BTreeSet<RequestNumber>,
    pub(crate) sent_at: Nanos,
    pub(crate) attempts: u32,
    /// The lowest write in it.
    unanswered_from: u64,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    id: ClientId,
    pub(crate) site: ReplicaId,
    pub(crate) outstanding: Vec<Submission>,
    submitted: u64,
    writes: u64,
    reads: u64,
    elements: u64,
    private_key: Vec<u8>,
    /// What the client last saw of a key.
    seen: FxHashMap<Vec<u8>, Option<Vec<u8>>>,
}

/// A command before it has a number, with keys and values of its own.
struct Draft {
    kind: Kind,
    key: Vec<u8>,
    element: [u8; 8],
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
    pub(crate) fn new(number: u64, site: ReplicaId) -> Self {
        Self {
            id: ClientId(number),
            site,
            outstanding: Vec::new(),
            submitted: 0,
            writes: 0,
            reads: 0,
            elements: 0,
            private_key: format!("own-{number}").into_bytes(),
            seen: FxHashMap::default(),
        }
    }

    /// Has the client made its submissions and got its answers?
    pub(crate) fn is_done(&self, load: &Load) -> bool {
        self.submitted >= load.submissions && self.outstanding.is_empty()
    }

    /// Draws the next submission; none if all have been made. The caller adds it to `outstanding`.
    pub(crate) fn next(&mut self, load: &Load, rng: &mut ChaCha8Rng) -> Option<Batch> {
        if self.submitted >= load.submissions {
            return None;
        }
        self.submitted += 1;
        let commands = if load.batch_max > 1 { rng.random_range(1..=load.batch_max) } else { 1 };
        let drafts: Vec<_> = (0..commands).map(|_| self.draft(load, rng)).collect();
        let unanswered_from = self.unanswered_from();
        let requests: Vec<_> =
            drafts.iter().map(|draft| self.number(draft, unanswered_from)).collect();
        Some(Batch::new(&requests).expect("keys and values are short"))
    }

    /// Takes note of a submission just drawn.
    pub(crate) fn await_answer(&mut self, batch: Batch, first_operation: usize, now: Nanos) -> u64 {
        let (mut open, mut unanswered_from) = (BTreeSet::new(), u64::MAX);
        for request in batch.requests() {
            open.insert(request.number);
            if !request.number.is_read() {
                unanswered_from = unanswered_from.min(request.number.index());
            }
        }
        self.outstanding.push(Submission {
            number: self.submitted,
            batch,
            first_operation,
            commands: open.len(),
            open,
            sent_at: now,
            attempts: 1,
            unanswered_from,
        });
        self.submitted
    }

    /// Takes in the answer to request `number`, unless it had one: the operation that it answers,
    /// and the submission if that has all its answers now.
    pub(crate) fn answered(
        &mut self,
        number: RequestNumber,
        outcome: &Outcome,
    ) -> Option<(usize, Option<Submission>)> {
        let (place, position) = self.find(number)?;
        let submission = &mut self.outstanding[place];
        submission.open.remove(&number);
        let operation = submission.first_operation + position;
        let request = submission.batch.requests().nth(position).expect("it was found there");
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
        let is_whole = submission.open.is_empty();
        Some((operation, is_whole.then(|| self.outstanding.swap_remove(place))))
    }

    /// The client waits for submission `number` no more.
    pub(crate) fn give_up(&mut self, number: u64) {
        self.outstanding.retain(|submission| submission.number != number);
    }

    /// The submission with the open request `number`, and the request's position in it.
    fn find(&self, number: RequestNumber) -> Option<(usize, usize)> {
        let is_open = |submission: &Submission| submission.open.contains(&number);
        let place = self.outstanding.iter().position(is_open)?;
        let mut requests = self.outstanding[place].batch.requests();
        Some((place, requests.position(|request| request.number == number)?))
    }

    /// The lowest write without an answer, of those drawn before.
    fn unanswered_from(&self) -> u64 {
        let lowest = self.outstanding.iter().map(|submission| submission.unanswered_from).min();
        lowest.unwrap_or(u64::MAX).min(self.writes + 1)
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
        let element = (self.id.0 << 32 | self.elements).to_be_bytes();
        let expected = (kind == Kind::CompareAndSet)
            .then(|| self.seen.entry(key.clone()).or_default().clone())
            .flatten();
        Draft { kind, key, element, expected }
    }

    fn number<'d>(&mut self, draft: &'d Draft, unanswered_from: u64) -> Request<'d> {
        let (key, value) = (&draft.key[..], &draft.element[..]);
        let command = match draft.kind {
            Kind::Get => Command::Get { key },
            Kind::Put => Command::Put { key, value },
            Kind::Append => Command::Append { key, value },
            Kind::CompareAndSet => {
                Command::CompareAndSet { key, expected: draft.expected.as_deref(), value }
            }
            Kind::Delete => Command::Delete { key },
        };
        let number = if command.is_read() {
            self.reads += 1;
            RequestNumber::read(self.reads)
        } else {
            self.writes += 1;
            RequestNumber::write(self.writes)
        };
        Request { client: self.id, number, unanswered_from, command }
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
