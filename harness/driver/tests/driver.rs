//! The driver alone: which connection is answered, when, and what is proposed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::explicit_iter_loop,
    reason = "it belongs to a crate with lints of its own"
)]
#[path = "../../../docs/own-protocol/src/turns.rs"]
mod turns;

use std::time::Duration;

use driver::{
    ConnectionId, Driver, Nanos, NoStore, NotAMessage, Output, Reply, Sent, machine::Machine,
};
use protocols::{
    Batch, ClientId, Command, Config, Effect, Effects, Input, InstanceId, Outcome, Path, Protocol,
    Replica, ReplicaId, ReplicaSet, Request, RequestNumber, Slot, Snapshot, Status,
    ballot::InstanceBallot,
    command::BatchError,
    config::Batching,
    dependencies::Dependencies,
    epaxos::{self, EPaxos},
};
use turns::{Say, Turns};

/// The owner of slots 1, 4, 7 and so on.
const LEADER: ReplicaId = ReplicaId(0);
const FOLLOWER: ReplicaId = ReplicaId(1);
const MS: Nanos = 1_000_000;
/// When the drivers of these tests begin.
const NOW: Nanos = 1_000 * MS;

/// Keeps what comes out of a driver.
struct Kept<R: Replica> {
    sent: Vec<(ReplicaSet, R::Message)>,
    replies: Vec<(ConnectionId, Reply)>,
    /// How many of both were released together.
    released: usize,
}

impl<R: Replica> Default for Kept<R> {
    fn default() -> Self {
        Self { sent: Vec::new(), replies: Vec::new(), released: 0 }
    }
}

impl<R: Replica> Output<R> for Kept<R> {
    fn send(&mut self, to: ReplicaSet, message: R::Message) -> Sent {
        let receivers = to.len() as u64;
        self.sent.push((to, message));
        Sent { receivers, bytes: 10 }
    }

    fn reply(&mut self, connection: ConnectionId, reply: Reply) {
        self.replies.push((connection, reply));
    }

    fn release(&mut self) {
        self.released = self.sent.len() + self.replies.len();
    }
}

const fn put<'a>(client: u64, index: u64, key: &'a [u8], value: &'a [u8]) -> Request<'a> {
    let number = RequestNumber::write(index);
    let command = Command::Put { key, value };
    Request { client: ClientId(client), number, unanswered_from: 1, command }
}

const fn get(client: u64, index: u64, key: &[u8]) -> Request<'_> {
    let (number, command) = (RequestNumber::read(index), Command::Get { key });
    Request { client: ClientId(client), number, unanswered_from: 1, command }
}

fn batch(requests: &[Request<'_>]) -> Batch {
    Batch::new(requests).unwrap()
}

/// Lets `driver` do at `now` what is to be done.
fn turn<R: Replica>(driver: &mut Driver<R>, now: Nanos, kept: &mut Kept<R>) {
    assert!(driver.turn(now, &mut NoStore, kept, &mut ()).unwrap(), "nothing is to be stored");
    assert_eq!(kept.released, kept.sent.len() + kept.replies.len());
}

fn proposed(kept: &Kept<Turns>) -> usize {
    kept.sent.iter().filter(|(_, (_, say))| matches!(say, Say::Accept(..))).count()
}

/// A follower votes for what the leader proposes at its slot.
fn vote(driver: &mut Driver<Turns>, slot: Slot) {
    driver.on_message(FOLLOWER, (slot, Say::Vote(InstanceBallot::INITIAL)), 10).unwrap();
}

/// Those whose turn it is at the two slots below `slot` propose nothing there.
fn pass_below(driver: &mut Driver<Turns>, slot: Slot) {
    for slot in [slot - 2, slot - 1] {
        driver.on_message(FOLLOWER, (slot, Say::Decided(Batch::NOOP)), 10).unwrap();
    }
}

fn nanoseconds(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap()
}

fn leader() -> Driver<Turns> {
    Driver::new(LEADER, &Config::new(3), 1, NOW)
}

#[test]
fn a_reply_comes_after_execution_and_not_before() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    driver.on_requests(7, batch(&[put(1, 1, b"k", b"v")]), now).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!((proposed(&kept), kept.replies.len()), (1, 0));
    assert_eq!((driver.pending(), driver.pending_of(7)), (1, 1));
    assert_eq!(kept.sent[0].0, ReplicaSet::others(LEADER, 3), "encoded once for both");

    let later = now + 3 * MS;
    vote(&mut driver, 1);
    turn(&mut driver, later, &mut kept);
    let [(connection, reply)] = &kept.replies[..] else { panic!("{:?}", kept.replies) };
    assert_eq!((*connection, &reply.answer), (7, &Ok(Outcome::Done)));
    assert_eq!((driver.pending(), driver.pending_of(7)), (0, 0));

    let report = driver.report(now);
    let counters = report.counters;
    assert_eq!((counters.client_requests, counters.client_replies), (1, 1));
    assert_eq!((counters.commands_led, counters.commits_slow, counters.messages_in), (1, 1, 1));
    assert_eq!((report.commit.len(), report.execute.len()), (1, 1));
    let mean_us = report.execute.mean_us().unwrap().us;
    assert!((mean_us - 3_000.0).abs() < 10.0, "{mean_us}");
}

#[test]
fn a_retry_of_a_pending_request_moves_the_reply_and_proposes_nothing() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    let request = batch(&[put(1, 1, b"k", b"v")]);
    driver.on_requests(7, request.clone(), now).unwrap();
    driver.forget(7);
    driver.on_requests(8, request, now).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!(proposed(&kept), 1);
    assert_eq!((driver.pending(), driver.pending_of(7), driver.pending_of(8)), (1, 0, 1));
    vote(&mut driver, 1);
    turn(&mut driver, now, &mut kept);
    assert_eq!(kept.replies.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [8]);
}

#[test]
fn a_retry_of_an_applied_write_is_answered_at_once_and_a_read_is_done_again() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    for (slot, request) in [(1, put(1, 1, b"k", b"v")), (4, get(1, 1, b"k"))] {
        driver.on_requests(7, batch(&[request]), now).unwrap();
        turn(&mut driver, now, &mut kept);
        if slot > 1 {
            pass_below(&mut driver, slot);
        }
        vote(&mut driver, slot);
        turn(&mut driver, now, &mut kept);
    }
    assert_eq!((proposed(&kept), kept.replies.len()), (2, 2));
    driver.on_requests(9, batch(&[put(1, 1, b"k", b"v")]), now).unwrap();
    driver.on_requests(9, batch(&[get(1, 1, b"k")]), now).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!((proposed(&kept), kept.replies.len()), (3, 3), "only the read goes out again");
    assert_eq!((kept.replies[2].0, &kept.replies[2].1.answer), (9, &Ok(Outcome::Done)));
    assert_eq!(driver.status().executed, 2);
}

#[test]
fn of_a_batch_only_what_is_new_is_proposed() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    let (a, b, c) = (put(1, 1, b"a", b"1"), put(1, 2, b"b", b"2"), put(1, 3, b"c", b"3"));
    driver.on_requests(7, batch(&[b]), now).unwrap();
    driver.on_requests(7, batch(&[a, b, c]), now).unwrap();
    turn(&mut driver, now, &mut kept);
    let (4, Say::Accept(_, batch)) = &kept.sent[1].1 else { panic!("{:?}", kept.sent) };
    assert_eq!(batch.requests().collect::<Vec<_>>(), [a, c]);
    assert_eq!(driver.pending(), 3);
}

#[test]
fn clients_ask_for_no_no_ops() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    assert_eq!(driver.on_requests(1, Batch::NOOP, now), Err(BatchError::Empty));
    turn(&mut driver, now, &mut kept);
    assert_eq!((kept.sent.len(), kept.replies.len(), driver.pending()), (0, 0, 0));
}

#[test]
fn timers_fire_when_they_are_due() {
    let (mut driver, mut kept, start) = (leader(), Kept::default(), NOW);
    turn(&mut driver, start, &mut kept);
    let due = driver.next_deadline().expect("the core set its tick");
    let period = nanoseconds(Config::new(3).timeouts.retransmit);
    assert!(due >= start + period && due <= start + 2 * period);
    driver.on_time(due - MS, &mut ());
    turn(&mut driver, due, &mut kept);
    assert_eq!(kept.sent.len(), 0);
    driver.on_time(due, &mut ());
    turn(&mut driver, due, &mut kept);
    assert_eq!(kept.sent.len(), 1, "the tick asks a follower");
    assert!(driver.next_deadline().unwrap() > due);
}

#[test]
fn measuring_begins_anew() {
    let (mut driver, mut kept, now) = (leader(), Kept::default(), NOW);
    driver.on_requests(7, batch(&[put(1, 1, b"k", b"v")]), now).unwrap();
    driver.on_requests(7, batch(&[put(1, 2, b"k", b"v")]), now).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!(driver.report(now).counters.queue_depth_max, 3, "two requests and the start");
    driver.begin_measuring(now);
    vote(&mut driver, 1);
    pass_below(&mut driver, 4);
    vote(&mut driver, 4);
    turn(&mut driver, now, &mut kept);
    let counters = driver.report(now).counters;
    assert_eq!((counters.client_requests, counters.client_replies), (0, 2));
    assert_eq!((counters.queue_depth_max, counters.queue_depth_samples), (4, 1), "four messages");
}

/// A core that captures, installs and executes as its messages say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Puppet;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
enum Order {
    Capture,
    Install(Snapshot),
    Commit(Batch),
    Execute(Batch),
    Captured(Vec<u8>),
}

impl Replica for Puppet {
    type Message = Order;
    type Timer = ();
    type Record = ();

    const PROTOCOL: Protocol = epaxos::PROTOCOL;

    fn recover(
        _: ReplicaId,
        _: &Config,
        _: Option<&Snapshot>,
        _: impl IntoIterator<Item = ()>,
    ) -> Self {
        Self
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Message { message: Order::Capture, .. } => effects.push(Effect::Capture),
            Input::Message { message: Order::Install(snapshot), .. } => {
                effects.push(Effect::Install(snapshot));
            }
            Input::Message { message: Order::Commit(batch), .. } => {
                let (instance, dependencies) = (InstanceId::new(LEADER, 1), Dependencies::none(3));
                effects.push(Effect::Committed { instance, batch, dependencies, path: Path::Fast });
            }
            Input::Message { message: Order::Execute(batch), .. } => {
                effects.push(Effect::Execute { instance: InstanceId::new(LEADER, 1), batch });
            }
            Input::Captured(state) => effects.reply(FOLLOWER, Order::Captured(state.to_vec())),
            _ => {}
        }
    }

    fn admissible(_: &Self::Message, _: usize) -> bool {
        true
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

#[test]
fn a_capture_holds_what_was_executed_before_it_and_nothing_after() {
    let (mut driver, mut kept, now) =
        (Driver::<Puppet>::new(LEADER, &Config::new(3), 1, NOW), Kept::default(), NOW);
    let batch = |index| batch(&[put(1, index, b"k", b"v")]);
    for step in [Order::Execute(batch(1)), Order::Capture, Order::Execute(batch(2))] {
        driver.on_message(FOLLOWER, step, 10).unwrap();
    }
    turn(&mut driver, now, &mut kept);
    let Order::Captured(state) = &kept.sent[0].1 else { panic!("the state was expected") };
    assert_eq!(Machine::restore(state).unwrap().kv.digest().writes, 1);
    assert_eq!(driver.status().digest.writes, 2);
}

#[test]
fn what_is_committed_is_answered_when_it_is_executed() {
    let (mut driver, mut kept, now) =
        (Driver::<Puppet>::new(LEADER, &Config::new(3), 1, NOW), Kept::default(), NOW);
    let batch = batch(&[put(1, 1, b"k", b"v")]);
    driver.on_requests(7, batch.clone(), now).unwrap();
    driver.on_message(FOLLOWER, Order::Commit(batch.clone()), 10).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!((kept.replies.len(), driver.pending()), (0, 1), "committed, and not executed");
    driver.on_message(FOLLOWER, Order::Execute(batch), 10).unwrap();
    turn(&mut driver, now, &mut kept);
    assert_eq!((kept.replies.len(), driver.pending()), (1, 0));
}

#[test]
fn an_installed_state_answers_the_pending_writes_that_it_holds() {
    let (mut driver, mut kept, now) =
        (Driver::<Puppet>::new(LEADER, &Config::new(3), 1, NOW), Kept::default(), NOW);
    for request in [put(1, 1, b"k", b"v"), put(1, 2, b"k", b"v"), get(1, 1, b"k")] {
        driver.on_requests(7, batch(&[request]), now).unwrap();
    }
    let mut elsewhere = Machine::default();
    elsewhere.kv.apply(&put(1, 1, b"k", b"v"));
    let snapshot = Snapshot { machine: elsewhere.snapshot().into(), core: Vec::new().into() };
    driver.on_message(FOLLOWER, Order::Install(snapshot), 10).unwrap();
    turn(&mut driver, now, &mut kept);
    let answered: Vec<_> = kept.replies.iter().map(|(_, reply)| reply.number.index()).collect();
    assert_eq!(answered, [1]);
    assert_eq!((driver.pending(), driver.pending_of(7)), (1, 1), "the second write still waits");
    assert_eq!(driver.status().digest, elsewhere.kv.digest());
}

/// A key and a value of two bytes in all, or a key of one.
#[test]
fn bytes_are_pending_until_their_request_is_answered() {
    let (mut driver, mut kept) =
        (Driver::<Puppet>::new(LEADER, &Config::new(3), 1, NOW), Kept::default());
    let requests = [put(1, 1, b"k", b"v"), put(1, 2, b"k", b"v"), get(1, 1, b"k")];
    for request in requests {
        driver.on_requests(7, batch(&[request]), NOW).unwrap();
    }
    driver.on_requests(8, batch(&requests[..1]), NOW).unwrap();
    assert_eq!(driver.pending_bytes(), 5, "a retry is there already");
    let executed = batch(&requests[1..2]);
    driver.on_message(FOLLOWER, Order::Commit(executed.clone()), 10).unwrap();
    driver.on_message(FOLLOWER, Order::Execute(executed), 10).unwrap();
    turn(&mut driver, NOW, &mut kept);
    assert_eq!((driver.pending_bytes(), driver.status().memory.pending_bytes), (3, 3));
    let mut elsewhere = Machine::default();
    elsewhere.kv.apply(&requests[0]);
    let snapshot = Snapshot { machine: elsewhere.snapshot().into(), core: Vec::new().into() };
    driver.on_message(FOLLOWER, Order::Install(snapshot), 10).unwrap();
    turn(&mut driver, NOW, &mut kept);
    assert_eq!(driver.pending_bytes(), 0, "the write is answered, and the read forgotten");
}

#[test]
fn bytes_of_messages_are_unflushed_until_their_turn() {
    let (mut driver, mut kept) = (leader(), Kept::default());
    driver.on_requests(7, batch(&[put(1, 1, b"k", b"v")]), NOW).unwrap();
    assert_eq!(driver.unflushed_bytes(), 0, "requests are counted as pending");
    turn(&mut driver, NOW, &mut kept);
    for expected in [10, 20] {
        vote(&mut driver, 1);
        assert_eq!(driver.unflushed_bytes(), expected);
    }
    turn(&mut driver, NOW, &mut kept);
    assert_eq!(driver.unflushed_bytes(), 0);
}

/// Three drivers whose messages all arrive.
struct Three(Vec<Driver<EPaxos>>);

impl Three {
    fn new() -> Self {
        let driver = |id| Driver::new(id, &Config::new(3), 1, NOW);
        Self(ReplicaId::all(3).map(driver).collect())
    }

    /// Replica 0 is asked for `request`, and everything is delivered that follows from it.
    fn ask(&mut self, request: Request<'_>) {
        self.0[0].on_requests(1, batch(&[request]), NOW).unwrap();
        loop {
            let mut sent = Vec::new();
            for (id, driver) in ReplicaId::all(3).zip(&mut self.0) {
                let mut kept = Kept::default();
                turn(driver, NOW, &mut kept);
                sent.extend(kept.sent.into_iter().map(|(to, message)| (id, to, message)));
            }
            if sent.is_empty() {
                return;
            }
            for (from, to, message) in sent {
                for to in to.iter() {
                    self.0[to.index()].on_message(from, message.clone(), 10).unwrap();
                }
            }
        }
    }

    fn ordering_steps(&self) -> Vec<u64> {
        self.0.iter().map(|driver| driver.report(NOW).counters.ordering_steps).collect()
    }
}

#[test]
fn an_instance_is_put_in_order_by_as_many_rows_as_there_are_replicas() {
    let mut three = Three::new();
    three.ask(put(1, 1, b"k", b"v"));
    assert_eq!(three.ordering_steps(), [3; 3], "everybody executes it");
    three.ask(put(1, 2, b"k", b"w"));
    assert_eq!(three.ordering_steps(), [6; 3]);
    three.0[0].begin_measuring(NOW);
    three.ask(put(1, 3, b"other", b"w"));
    assert_eq!(three.ordering_steps(), [3, 9, 9], "of a measured time only what is in it counts");
}

/// A certified peer may still be broken: what it says is checked before the core acts on it.
#[test]
fn a_message_that_names_an_unknown_replica_is_refused() {
    let mut driver = Driver::<EPaxos>::new(ReplicaId(0), &Config::new(3), 1, NOW);
    let ask = |row| epaxos::Message::Ask { instance: InstanceId::new(ReplicaId(row), 1) };
    assert_eq!(driver.on_message(ReplicaId(1), ask(2), 10), Ok(()));
    assert_eq!(driver.on_message(ReplicaId(1), ask(3), 10), Err(NotAMessage));
}

#[test]
fn commands_wait_for_others_until_the_batch_is_full_or_the_first_has_waited() {
    let delay_ns = 5 * MS;
    let delay = Duration::from_nanos(delay_ns);
    let mut config = Config::new(3);
    config.batching = Batching { commands_max: 3, delay };
    let mut driver: Driver<Turns> = Driver::new(LEADER, &config, 1, NOW);
    let (mut kept, now) = (Kept::default(), NOW);
    let timers = driver.next_deadline();
    for index in 1..=4 {
        driver.on_requests(7, batch(&[put(1, index, b"k", b"v")]), now).unwrap();
    }
    turn(&mut driver, now, &mut kept);
    assert_eq!(proposed(&kept), 1, "three of the four");
    assert_eq!((driver.pending(), driver.pending_of(7)), (4, 4));
    let deadline = timers.into_iter().chain([now + delay_ns]).min();
    assert_eq!(driver.next_deadline(), deadline);
    // A retry of what waits is not a second command.
    driver.on_requests(8, batch(&[put(1, 4, b"k", b"v")]), now).unwrap();
    let later = now + delay_ns;
    turn(&mut driver, later - 1, &mut kept);
    assert_eq!(proposed(&kept), 1);
    driver.on_time(later, &mut ());
    turn(&mut driver, later, &mut kept);
    assert_eq!(proposed(&kept), 2);
    vote(&mut driver, 1);
    pass_below(&mut driver, 4);
    vote(&mut driver, 4);
    turn(&mut driver, later, &mut kept);
    let answered: Vec<ConnectionId> = kept.replies.iter().map(|(to, _)| *to).collect();
    assert_eq!(answered, [7, 7, 7, 8]);
    assert_eq!(driver.report(now).counters.commits_slow, 2);
    assert_eq!(driver.report(now).commit.len(), 4);
}

#[test]
fn without_a_delay_what_is_there_at_a_flush_is_one_batch() {
    let mut config = Config::new(3);
    config.batching = Batching { commands_max: 1_000, delay: Duration::ZERO };
    let mut driver: Driver<Turns> = Driver::new(LEADER, &config, 1, NOW);
    let (mut kept, now) = (Kept::default(), NOW);
    for index in 1..=20 {
        driver.on_requests(7, batch(&[put(1, index, b"k", b"v")]), now).unwrap();
    }
    turn(&mut driver, now, &mut kept);
    assert_eq!(proposed(&kept), 1);
}
