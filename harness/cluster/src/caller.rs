//! Sends commands and sees to it that each is answered.
//!
//! Numbers, retries and the end of a command are those of every client's session
//! ([`driver::session`]). A command is sent again, to the next replica that answers, when its
//! connection breaks or its attempt's time is over, and given up when all of its time is. A replica
//! that answers other commands meanwhile is slow, and sending it all again elsewhere would only
//! make it slower: a command waits longer for such a one, up to half of all its time.
//!
//! **Invariants.** No command outlives its time-out. A command that is asked of one replica alone
//! is sent to no other.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use driver::{
    Nanos, Refusal, Reply,
    session::{self, ClientSession, Due, Open, RequestKind, Target, best_from},
};
use node::{
    client::{Connector, Session},
    identity::Role,
    link::{Endpoint, SessionLink},
};
use protocols::{ClientId, Command, Outcome, ReplicaId, RequestNumber};
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

    /// The same, as a session has it.
    fn of_session(&self) -> session::Policy {
        session::Policy {
            attempt_ns: nanoseconds(self.attempt()),
            total_ns: nanoseconds(self.timeout),
            sends_max: self.retries_max.saturating_add(1),
        }
    }
}

/// A value to be set.
#[derive(Clone, Debug)]
pub enum Value {
    /// These bytes.
    Given(Vec<u8>),
    /// This number, padded with zeros to so many bytes: what many of them cost does not grow with
    /// their length.
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
struct Asked {
    key: Vec<u8>,
    /// None: the key is read.
    value: Option<Value>,
    /// Is it on its way over the present connection?
    in_flight: bool,
}

/// The way to one replica.
#[derive(Debug)]
struct Way {
    link: SessionLink,
    /// Let an attempt's time pass without an answer, and has not been heard since.
    silent: bool,
    /// When it answered last.
    heard: Option<Nanos>,
}

/// One client with all that it has outstanding.
#[derive(Debug)]
pub struct Caller {
    session: ClientSession<Asked>,
    policy: Policy,
    ways: Vec<Way>,
    /// Times are counted from here.
    origin: Instant,
    sweep: Interval,
    key: Vec<u8>,
    value: Vec<u8>,
    ended: Vec<Ended>,
}

impl Caller {
    /// The client named `id` of the cluster that is described; it dials when there is something to
    /// send. Needs a runtime.
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
                address: description.addresses[replica.index()].clone(),
            }),
            // Whoever is known to be dead is not waited for.
            silent: description.look(replica) != Sight::Running,
            heard: None,
        });
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            session: ClientSession::new(id, description.replicas(), policy.of_session()),
            policy,
            ways: ways.collect(),
            origin: Instant::now(),
            sweep,
            key: Vec::new(),
            value: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// Opens a session with every replica, and waits until all have one, but not for those that do
    /// not answer soon.
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
        self.session.len()
    }

    /// May another one begin?
    pub fn has_room(&self) -> bool {
        // What a silent replica does not take keeps nothing from the others.
        let ways = self.ways.iter().filter(|way| !way.silent);
        let connections = ways.filter_map(|way| way.link.session.as_ref());
        self.session.has_room()
            && connections.map(Session::unsent_bytes).sum::<usize>() < UNSENT_BYTES_MAX
    }

    /// Begins `order`; returns its number.
    pub fn begin(&mut self, order: Order) -> RequestNumber {
        let Order { key, value, to, pinned } = order;
        let kind = if value.is_some() { RequestKind::Write } else { RequestKind::Read };
        let target = if pinned { Target::Only(to) } else { Target::First(route(&self.ways, to)) };
        let asked = Asked { key, value, in_flight: false };
        let number = self.session.open(kind, target, self.now(), asked);
        self.send(number);
        number
    }

    /// Waits until at least one command has ended, and gives all that have; if there is none to
    /// wait for, for a moment.
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
            self.sweep(self.now());
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
            let now = self.now();
            while let Some(session) = &mut self.ways[place].link.session {
                match session.poll_replies(cx, |reply| replies.push(reply)) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(_)) => {
                        self.ways[place].silent = false;
                        self.ways[place].heard = Some(now);
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
        if client != self.session.client() {
            return;
        }
        // A second answer, to a command that was sent twice, finds nothing.
        let Some(open) = self.session.close(number) else { return };
        let end = match answer {
            Ok(outcome) => End::Answered(outcome),
            Err(refusal) if open.is_without_effect(true) => End::Refused(refusal),
            Err(_) => End::Unknown,
        };
        self.end(number, &open, end, Some(ReplicaId::from_index(place)));
    }

    fn end(&mut self, number: RequestNumber, open: &Open<Asked>, end: End, by: Option<ReplicaId>) {
        let retries = open.sends.saturating_sub(1);
        let took = Duration::from_nanos(self.now() - open.begun);
        self.ended.push(Ended { number, end, by, retries, took });
    }

    /// The connection to this replica is lost: what was on its way there is sent elsewhere.
    fn lose(&mut self, place: usize) {
        self.ways[place].link.lose();
        let now = self.now();
        for number in self.asked_of(place, true) {
            if let Some(asked) = self.session.kept_mut(number) {
                asked.in_flight = false;
            }
            self.again(number, now);
        }
    }

    /// What waits for a connection to this replica goes over the one that there is now.
    fn send_waiting(&mut self, place: usize) {
        for number in self.asked_of(place, false) {
            self.send(number);
        }
    }

    fn sweep(&mut self, now: Nanos) {
        let attempt = nanoseconds(self.policy.attempt());
        let overdue: Vec<_> = self.session.overdue(now).collect();
        for (number, due) in overdue {
            if due == Due::GiveUp {
                let Some(open) = self.session.close(number) else { continue };
                let unsent = open.is_without_effect(false);
                self.end(number, &open, if unsent { End::NotSent } else { End::Unknown }, None);
                continue;
            }
            let Some(open) = self.session.get(number) else { continue };
            let half = open.begun + nanoseconds(self.policy.timeout / 2);
            let way = &mut self.ways[open.to.index()];
            let answers = way.heard.is_some_and(|heard| now.saturating_sub(heard) < attempt);
            if answers && now < half {
                self.session.postpone(number, (now + attempt).min(half));
                continue;
            }
            way.silent = !answers;
            self.again(number, now);
        }
    }

    /// Sends a command to the next replica, if it may be sent again; else it waits for its end.
    fn again(&mut self, number: RequestNumber, now: Nanos) {
        let ways = &self.ways;
        if self.session.move_on(number, now, |next| route(ways, next)).is_none() {
            return;
        }
        if let Some(asked) = self.session.kept_mut(number) {
            asked.in_flight = false;
        }
        self.send(number);
    }

    /// Sends a command to where it is meant to go, or lets a connection be opened there, which then
    /// sends it.
    fn send(&mut self, number: RequestNumber) {
        let Some(open) = self.session.get(number) else { return };
        let link = &mut self.ways[open.to.index()].link;
        let Some(connection) = &mut link.session else { return link.dial() };
        self.key.clone_from(&open.kept.key);
        let key = &self.key;
        let command = match &open.kept.value {
            None => Command::Get { key },
            Some(value) => {
                value.write(&mut self.value);
                Command::Put { key, value: &self.value }
            }
        };
        let Some(request) = self.session.send(number, command) else { return };
        connection.send(&request);
        if let Some(asked) = self.session.kept_mut(number) {
            asked.in_flight = true;
        }
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

    /// The commands that are asked of this replica: those on their way, or those that wait for a
    /// connection.
    fn asked_of(&self, place: usize, in_flight: bool) -> Vec<RequestNumber> {
        let is_there =
            |open: &Open<Asked>| open.to.index() == place && open.kept.in_flight == in_flight;
        let asked = self.session.iter().filter(|(_, open)| is_there(open));
        asked.map(|(number, _)| number).collect()
    }

    fn now(&self) -> Nanos {
        nanoseconds(self.origin.elapsed())
    }
}

/// Which replica gets what is meant for `to`: the first from there on that has a connection and
/// answers, or else that may yet.
fn route(ways: &[Way], to: ReplicaId) -> ReplicaId {
    best_from(to, ways.len(), |replica| {
        let way = &ways[replica.index()];
        (way.silent, way.link.session.is_none())
    })
}

fn nanoseconds(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
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
