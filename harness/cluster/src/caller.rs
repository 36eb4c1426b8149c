//! Sends commands and sees to it that each is answered.
//!
//! A command keeps its number however often it is sent, so that it takes effect once. It is sent again, to the next replica
//! that answers, when its session breaks or its attempt's time is over, and given up when all of its time is: then it may
//! have taken effect or not, unless it never left. A replica that answers other commands meanwhile is slow, and sending it
//! all again elsewhere would only make it slower: a command waits longer for such a one, up to half of all its time.
//!
//! **Invariants.** No command outlives its time-out. A command that is asked of one replica alone is sent to no other.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use driver::{Refusal, Reply};
use node::{
    client::{Connector, Session},
    identity::Role,
    link::{Endpoint, SessionLink},
};
use protocols::{
    ClientId, Command, Outcome, ReplicaId, Request, RequestNumber, session::OUTCOMES_MAX,
};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{Description, Directory, Error, Sight};

/// Chosen: how exactly time-outs are kept.
const SWEEP_EVERY: Duration = Duration::from_millis(5);
/// Chosen: beyond so many unsent bytes no further commands are taken on.
const UNSENT_BYTES_MAX: usize = 4 << 20;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// When a command is given up.
    pub timeout: Duration,
    /// How often it may be sent again.
    pub retries_max: u32,
}

impl Policy {
    /// What one attempt has.
    fn attempt(&self) -> Duration {
        self.timeout / (self.retries_max + 1)
    }
}

/// A value to be set.
#[derive(Clone, Debug)]
pub enum Value {
    /// These bytes.
    Given(Vec<u8>),
    /// This number, padded with zeros to so many bytes: what many of them cost does not grow with their length.
    Number(u64, usize),
}

impl Value {
    /// Writes it into `bytes`.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self {
            Self::Given(given) => bytes.extend_from_slice(given),
            Self::Number(number, length) => {
                let digits = number.to_string();
                bytes.resize(length.saturating_sub(digits.len()), b'0');
                bytes.extend_from_slice(digits.as_bytes());
            }
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which key.
    pub key: Vec<u8>,
    /// None: the key is read.
    pub value: Option<Value>,
    /// Who is asked first.
    pub to: ReplicaId,
    /// Is nobody else asked?
    pub pinned: bool,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was answered.
    Answered(Outcome),
    /// It was not taken on by anybody.
    Refused(Refusal),
    /// It never left.
    NotSent,
    /// It left, and no answer came.
    Unknown,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its number.
    pub number: RequestNumber,
    /// How.
    pub end: End,
    /// Who answered.
    pub by: Option<ReplicaId>,
    /// How often it was sent again.
    pub retries: u32,
    /// How long it took.
    pub took: Duration,
}

/// A command that has not ended.
#[derive(Debug)]
struct Open {
    order: Order,
    begun: Instant,
    attempt_ends: Instant,
    ends: Instant,
    /// Who has it, or would if there were a session.
    at: usize,
    /// Is it on its way over the present session there?
    in_flight: bool,
    sends: u32,
}

/// The way to one replica.
#[derive(Debug)]
struct Way {
    link: SessionLink,
    /// Let an attempt's time pass without an answer, and has not been heard since.
    silent: bool,
    /// When it answered last.
    heard: Option<Instant>,
}

/// One client with all that it has outstanding.
#[derive(Debug)]
pub struct Caller {
    id: ClientId,
    policy: Policy,
    ways: Vec<Way>,
    writes: BTreeMap<u64, Open>,
    reads: BTreeMap<u64, Open>,
    writes_begun: u64,
    reads_begun: u64,
    sweep: Interval,
    value: Vec<u8>,
    ended: Vec<Ended>,
}

impl Caller {
    /// The client named `id` of the cluster that is described; it dials when there is something to send. Needs a runtime.
    pub fn new(
        directory: &Directory,
        description: &Description,
        id: ClientId,
        policy: Policy,
    ) -> Result<Self, Error> {
        let identity = directory.identity(description, Role::Client)?;
        let connector = Connector::new(&identity)?;
        let ways = ReplicaId::all(description.replicas()).map(|replica| Way {
            link: SessionLink::closed(Endpoint {
                connector: connector.clone(),
                replica,
                address: description.addresses[replica.index()],
            }),
            // Whoever is known to be dead is not waited for.
            silent: description.look(replica) != Sight::Running,
            heard: None,
        });
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            id,
            policy,
            ways: ways.collect(),
            writes: BTreeMap::new(),
            reads: BTreeMap::new(),
            writes_begun: 0,
            reads_begun: 0,
            sweep,
            value: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// Opens a session with every replica, and waits until all have one, but not for those that do not answer soon.
    pub async fn connect(&mut self) {
        let deadline = Instant::now() + self.policy.attempt();
        poll_fn(|cx| {
            let mut all = true;
            for way in self.ways.iter_mut().filter(|way| !way.silent) {
                way.link.dial();
                way.link.poll_opened(cx);
                all &= way.link.session.is_some();
            }
            while self.sweep.poll_tick(cx).is_ready() {}
            if all || Instant::now() >= deadline { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// How many commands have not ended.
    pub fn outstanding(&self) -> usize {
        self.writes.len() + self.reads.len()
    }

    /// May another one begin? Of a session's results only so many are kept: the oldest unanswered write holds them all.
    pub fn has_room(&self) -> bool {
        let span = self.writes_begun + 1 - self.unanswered_from();
        // What a silent replica does not take keeps nothing from the others.
        let ways = self.ways.iter().filter(|way| !way.silent);
        let sessions = ways.filter_map(|way| way.link.session.as_ref());
        span < OUTCOMES_MAX as u64
            && sessions.map(Session::unsent_bytes).sum::<usize>() < UNSENT_BYTES_MAX
    }

    /// Begins `order`; returns its number.
    pub fn begin(&mut self, order: Order) -> RequestNumber {
        let begun = Instant::now();
        let ends = begun + self.policy.timeout;
        let at = self.route(order.to.index(), order.pinned);
        let is_read = order.value.is_none();
        let attempt_ends = begun + self.policy.attempt();
        let open = Open { order, begun, attempt_ends, ends, at, in_flight: false, sends: 0 };
        let number = if is_read {
            self.reads_begun += 1;
            self.reads.insert(self.reads_begun, open);
            RequestNumber::read(self.reads_begun)
        } else {
            self.writes_begun += 1;
            self.writes.insert(self.writes_begun, open);
            RequestNumber::write(self.writes_begun)
        };
        self.send(number);
        number
    }

    /// Waits until at least one command has ended, and gives all that have; if there is none to wait for, for a moment.
    pub async fn next(&mut self) -> Vec<Ended> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Ended>> {
        self.read_replies(cx);
        for place in 0..self.ways.len() {
            if self.ways[place].link.poll_opened(cx) {
                self.ways[place].silent = false;
                self.send_waiting(place);
            }
        }
        let mut idle = false;
        while self.sweep.poll_tick(cx).is_ready() {
            self.sweep(Instant::now());
            idle = self.outstanding() == 0;
        }
        self.flush(cx);
        if self.ended.is_empty() && !idle {
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut self.ended))
    }

    fn read_replies(&mut self, cx: &mut Context<'_>) {
        for place in 0..self.ways.len() {
            let mut replies = Vec::new();
            while let Some(session) = &mut self.ways[place].link.session {
                match session.poll_replies(cx, |reply| replies.push(reply)) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(_)) => {
                        self.ways[place].silent = false;
                        self.ways[place].heard = Some(Instant::now());
                    }
                    Poll::Ready(Err(_)) => self.lose(place),
                }
            }
            for reply in replies {
                self.on_reply(place, reply);
            }
        }
    }

    fn on_reply(&mut self, place: usize, reply: Reply) {
        let Reply { client, number, answer } = reply;
        // A second answer, to a command that was sent twice, finds nothing.
        let own = client == self.id;
        let Some(open) = self.open_mut(number).filter(|_| own) else { return };
        let end = match answer {
            Ok(outcome) => End::Answered(outcome),
            // Another replica may have taken on what this one refuses.
            Err(_) if open.sends > 1 => End::Unknown,
            Err(refusal) => End::Refused(refusal),
        };
        self.end(number, end, Some(ReplicaId::from_index(place)));
    }

    fn end(&mut self, number: RequestNumber, end: End, by: Option<ReplicaId>) {
        let list = if number.is_read() { &mut self.reads } else { &mut self.writes };
        let Some(open) = list.remove(&number.index()) else { return };
        let retries = open.sends.saturating_sub(1);
        self.ended.push(Ended { number, end, by, retries, took: open.begun.elapsed() });
    }

    /// The session with this replica is lost: what was on its way there is sent elsewhere.
    fn lose(&mut self, place: usize) {
        self.ways[place].link.lose();
        for number in self.numbers(|open| open.at == place && open.in_flight) {
            if let Some(open) = self.open_mut(number) {
                open.in_flight = false;
            }
            self.again(number, Instant::now());
        }
    }

    /// What waits for a session with this replica goes over the one that there is now.
    fn send_waiting(&mut self, place: usize) {
        for number in self.numbers(|open| open.at == place && !open.in_flight) {
            self.send(number);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let (timeout, attempt) = (self.policy.timeout, self.policy.attempt());
        for number in self.numbers(|open| open.ends <= now || open.attempt_ends <= now) {
            let Some(open) = self.open_mut(number) else { continue };
            if open.ends <= now {
                let end = if open.sends == 0 { End::NotSent } else { End::Unknown };
                self.end(number, end, None);
                continue;
            }
            let (at, half) = (open.at, open.begun + timeout / 2);
            let heard = self.ways[at].heard;
            if heard.is_some_and(|heard| now - heard < attempt) && now < half {
                if let Some(open) = self.open_mut(number) {
                    open.attempt_ends = (now + attempt).min(half);
                }
                continue;
            }
            self.ways[at].silent = heard.is_none_or(|heard| now - heard >= attempt);
            self.again(number, now);
        }
    }

    /// Sends a command to the next replica, if it may be sent again; else it waits for its end.
    fn again(&mut self, number: RequestNumber, now: Instant) {
        let Policy { retries_max, .. } = self.policy;
        let attempt = self.policy.attempt();
        let Some(open) = self.open_mut(number) else { return };
        if open.sends > retries_max {
            open.attempt_ends = open.ends;
            return;
        }
        open.attempt_ends = (now + attempt).min(open.ends);
        let (at, pinned) = (open.at, open.order.pinned);
        let next = if pinned { at } else { self.route((at + 1) % self.ways.len(), false) };
        if let Some(open) = self.open_mut(number) {
            open.at = next;
            open.in_flight = false;
        }
        self.send(number);
    }

    /// Who gets what is meant for `place`: the first from there on that has a session and answers, or else that may yet.
    fn route(&self, place: usize, pinned: bool) -> usize {
        if pinned {
            return place;
        }
        let order = || (0..self.ways.len()).map(|step| (place + step) % self.ways.len());
        let answers = |place: &usize| !self.ways[*place].silent;
        let is_open = |place: &usize| self.ways[*place].link.session.is_some();
        let best = order().find(|place| answers(place) && is_open(place));
        best.or_else(|| order().find(answers)).or_else(|| order().find(is_open)).unwrap_or(place)
    }

    /// Sends a command to where it is meant to go, or lets a session be opened there, which then sends it.
    fn send(&mut self, number: RequestNumber) {
        let (client, unanswered_from) = (self.id, self.unanswered_from());
        let list = if number.is_read() { &mut self.reads } else { &mut self.writes };
        let Some(open) = list.get_mut(&number.index()) else { return };
        let link = &mut self.ways[open.at].link;
        let Some(session) = &mut link.session else { return link.dial() };
        let key = &open.order.key;
        let command = match &open.order.value {
            None => Command::Get { key },
            Some(value) => {
                value.write(&mut self.value);
                Command::Put { key, value: &self.value }
            }
        };
        session.send(&Request { client, number, unanswered_from, command });
        open.in_flight = true;
        open.sends += 1;
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        for place in 0..self.ways.len() {
            let Some(session) = &mut self.ways[place].link.session else { continue };
            if session.unsent_bytes() > 0
                && let Poll::Ready(Err(_)) = session.poll_flush(cx)
            {
                self.lose(place);
            }
        }
    }

    /// The lowest write without an answer: the next one, if all have theirs.
    fn unanswered_from(&self) -> u64 {
        self.writes.first_key_value().map_or(self.writes_begun + 1, |(first, _)| *first)
    }

    fn open_mut(&mut self, number: RequestNumber) -> Option<&mut Open> {
        let list = if number.is_read() { &mut self.reads } else { &mut self.writes };
        list.get_mut(&number.index())
    }

    fn numbers(&self, which: impl Fn(&Open) -> bool) -> Vec<RequestNumber> {
        let of = |list: &BTreeMap<u64, Open>, number: fn(u64) -> RequestNumber| {
            let found = list.iter().filter(|(_, open)| which(open));
            found.map(|(index, _)| number(*index)).collect::<Vec<_>>()
        };
        let mut numbers = of(&self.writes, RequestNumber::write);
        numbers.extend(of(&self.reads, RequestNumber::read));
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_value_of_any_length() {
        let mut bytes = b"before".to_vec();
        Value::Number(42, 6).write(&mut bytes);
        assert_eq!(bytes, b"000042");
        Value::Number(1_234_567, 4).write(&mut bytes);
        assert_eq!(bytes, b"1234567");
        Value::Given(b"x".to_vec()).write(&mut bytes);
        assert_eq!(bytes, b"x");
    }
}
