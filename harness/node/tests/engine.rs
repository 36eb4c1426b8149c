//! The engine alone: who is answered, when, and what is proposed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::time::{Duration, Instant};

use common::{
    get, put,
    toy::{Message, Toy},
};
use node::{
    engine::{ConnectionId, Engine, NotAMessage, Output},
    frame::{FrameBuffer, append_value},
    wire::Reply,
};
use protocols::{
    Batch, Config, Effect, Effects, Input, InstanceId, Outcome, Path, Protocol, Replica, ReplicaId,
    ReplicaSet, Request, Snapshot, Status,
    command::BatchError,
    config::Batching,
    dependencies::Dependencies,
    epaxos::{self, EPaxos},
    kv::Kv,
};

const LEADER: ReplicaId = ReplicaId(0);
const FOLLOWER: ReplicaId = ReplicaId(1);

/// Keeps what comes out of an engine.
#[derive(Default)]
struct Kept {
    sent: Vec<(ReplicaSet, Vec<u8>)>,
    replies: Vec<(ConnectionId, Reply)>,
}

impl Output for Kept {
    fn send(&mut self, to: ReplicaSet, frame: &[u8]) -> u64 {
        let mut buffer = FrameBuffer::default();
        buffer.room()[..frame.len()].copy_from_slice(frame);
        buffer.filled(frame.len());
        let content = buffer.next_frame().unwrap().expect("one whole frame").to_vec();
        self.sent.push((to, content));
        to.len() as u64
    }

    fn reply(&mut self, connection: ConnectionId, reply: &Reply) {
        self.replies.push((connection, reply.clone()));
    }
}

fn wire(requests: &[Request<'_>]) -> Vec<u8> {
    Batch::new(requests).unwrap().as_bytes().to_vec()
}

fn message(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_value(&mut bytes, message);
    bytes
}

fn stores(kept: &Kept) -> usize {
    let is_store = |bytes: &[u8]| matches!(postcard::from_bytes(bytes), Ok(Message::Store { .. }));
    kept.sent.iter().filter(|(_, bytes)| is_store(bytes)).count()
}

fn leader() -> Engine<Toy> {
    Engine::new(LEADER, &Config::new(3), 1)
}

#[test]
fn a_reply_comes_after_execution_and_not_before() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    engine.on_client_frame(7, &wire(&[put(1, 1, b"k", b"v")]), now).unwrap();
    engine.flush(now, &mut kept);
    assert_eq!((stores(&kept), kept.replies.len()), (1, 0));
    assert_eq!((engine.pending(), engine.pending_of(7)), (1, 1));
    assert_eq!(kept.sent[0].0, ReplicaSet::others(LEADER, 3), "encoded once for both");

    let later = now + Duration::from_millis(3);
    engine.on_peer_frame(FOLLOWER, &message(&Message::Stored(1))).unwrap();
    engine.flush(later, &mut kept);
    let [(connection, reply)] = &kept.replies[..] else { panic!("{:?}", kept.replies) };
    assert_eq!((*connection, &reply.answer), (7, &Ok(Outcome::Done)));
    assert_eq!((engine.pending(), engine.pending_of(7)), (0, 0));

    let report = engine.report();
    let counters = report.counters;
    assert_eq!((counters.client_requests, counters.client_replies), (1, 1));
    assert_eq!((counters.commands_led, counters.commits_slow, counters.messages_in), (1, 1, 1));
    assert_eq!((report.commit.len(), report.execute.len()), (1, 1));
    let mean_us = report.execute.mean_us().unwrap().us;
    assert!((mean_us - 3_000.0).abs() < 10.0, "{mean_us}");
}

#[test]
fn a_retry_of_a_pending_request_moves_the_reply_and_proposes_nothing() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    let request = wire(&[put(1, 1, b"k", b"v")]);
    engine.on_client_frame(7, &request, now).unwrap();
    engine.forget(7);
    engine.on_client_frame(8, &request, now).unwrap();
    engine.flush(now, &mut kept);
    assert_eq!(stores(&kept), 1);
    assert_eq!((engine.pending(), engine.pending_of(7), engine.pending_of(8)), (1, 0, 1));
    engine.on_peer_frame(FOLLOWER, &message(&Message::Stored(1))).unwrap();
    engine.flush(now, &mut kept);
    assert_eq!(kept.replies.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [8]);
}

#[test]
fn a_retry_of_an_applied_write_is_answered_at_once_and_a_read_is_done_again() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    for (slot, request) in (1..).zip([put(1, 1, b"k", b"v"), get(1, 1, b"k")]) {
        engine.on_client_frame(7, &wire(&[request]), now).unwrap();
        engine.flush(now, &mut kept);
        engine.on_peer_frame(FOLLOWER, &message(&Message::Stored(slot))).unwrap();
        engine.flush(now, &mut kept);
    }
    assert_eq!((stores(&kept), kept.replies.len()), (2, 2));
    engine.on_client_frame(9, &wire(&[put(1, 1, b"k", b"v")]), now).unwrap();
    engine.on_client_frame(9, &wire(&[get(1, 1, b"k")]), now).unwrap();
    engine.flush(now, &mut kept);
    assert_eq!((stores(&kept), kept.replies.len()), (3, 3), "only the read goes out again");
    assert_eq!((kept.replies[2].0, &kept.replies[2].1.answer), (9, &Ok(Outcome::Done)));
    assert_eq!(engine.status().executed, 2);
}

#[test]
fn of_a_batch_only_what_is_new_is_proposed() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    let (a, b, c) = (put(1, 1, b"a", b"1"), put(1, 2, b"b", b"2"), put(1, 3, b"c", b"3"));
    engine.on_client_frame(7, &wire(&[b]), now).unwrap();
    engine.on_client_frame(7, &wire(&[a, b, c]), now).unwrap();
    engine.flush(now, &mut kept);
    let Ok(Message::Store { batch, .. }) = postcard::from_bytes(&kept.sent[1].1) else {
        panic!("a store was expected")
    };
    assert_eq!(batch.requests().collect::<Vec<_>>(), [a, c]);
    assert_eq!(engine.pending(), 3);
}

#[test]
fn what_does_not_decode_is_refused_and_changes_nothing() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    let good = message(&Message::Stored(1));
    assert!(engine.on_peer_frame(FOLLOWER, &[]).is_err());
    assert!(engine.on_peer_frame(FOLLOWER, &[250, 1, 2]).is_err());
    assert!(engine.on_peer_frame(FOLLOWER, &[&good[..], &[0]].concat()).is_err(), "bytes left");
    assert_eq!(
        engine.on_client_frame(1, &[], now),
        Err(BatchError::Empty),
        "no no-ops from clients"
    );
    assert!(engine.on_client_frame(1, &[1, 2, 3], now).is_err());
    engine.flush(now, &mut kept);
    assert_eq!((kept.sent.len(), kept.replies.len(), engine.pending()), (0, 0, 0));
}

#[test]
fn timers_fire_when_they_are_due() {
    let (mut engine, mut kept, start) = (leader(), Kept::default(), Instant::now());
    engine.flush(start, &mut kept);
    let due = engine.next_deadline().expect("the core set its tick");
    assert!(due >= start + Duration::from_millis(50) && due <= start + Duration::from_millis(100));
    engine.on_time(due - Duration::from_millis(1));
    engine.flush(due, &mut kept);
    assert_eq!(kept.sent.len(), 0);
    engine.on_time(due);
    engine.flush(due, &mut kept);
    assert_eq!(kept.sent.len(), 2, "the tick speaks to both followers");
    assert!(engine.next_deadline().unwrap() > due);
}

#[test]
fn measuring_begins_anew() {
    let (mut engine, mut kept, now) = (leader(), Kept::default(), Instant::now());
    engine.on_client_frame(7, &wire(&[put(1, 1, b"k", b"v")]), now).unwrap();
    engine.on_client_frame(7, &wire(&[put(1, 2, b"k", b"v")]), now).unwrap();
    engine.flush(now, &mut kept);
    assert_eq!(engine.report().counters.queue_depth_max, 3, "two requests and the start");
    engine.begin_measuring();
    engine.on_peer_frame(FOLLOWER, &message(&Message::Stored(2))).unwrap();
    engine.flush(now, &mut kept);
    let counters = engine.report().counters;
    assert_eq!((counters.client_requests, counters.client_replies), (0, 2));
    assert_eq!((counters.queue_depth_max, counters.queue_depth_samples), (1, 1));
}

/// A core that captures, installs and executes as its messages say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Puppet;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
enum Order {
    Capture,
    Install(Snapshot),
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
            Input::Message { message: Order::Execute(batch), .. } => {
                let instance = InstanceId::new(LEADER, 1);
                let dependencies = Dependencies::none(3);
                let path = Path::Fast;
                effects.push(Effect::Committed {
                    instance,
                    batch: batch.clone(),
                    dependencies,
                    path,
                });
                effects.push(Effect::Execute { instance, batch });
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

fn order(order: &Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_value(&mut bytes, order);
    bytes
}

#[test]
fn a_capture_holds_what_was_executed_before_it_and_nothing_after() {
    let (mut engine, mut kept, now) =
        (Engine::<Puppet>::new(LEADER, &Config::new(3), 1), Kept::default(), Instant::now());
    let batch = |index| Batch::single(&put(1, index, b"k", b"v")).unwrap();
    for step in [Order::Execute(batch(1)), Order::Capture, Order::Execute(batch(2))] {
        engine.on_peer_frame(FOLLOWER, &order(&step)).unwrap();
    }
    engine.flush(now, &mut kept);
    let Ok(Order::Captured(state)) = postcard::from_bytes(&kept.sent[0].1) else {
        panic!("the state was expected")
    };
    assert_eq!(Kv::restore(&state).unwrap().digest().writes, 1);
    assert_eq!(engine.status().digest.writes, 2);
}

#[test]
fn an_installed_state_answers_the_pending_writes_that_it_holds() {
    let (mut engine, mut kept, now) =
        (Engine::<Puppet>::new(LEADER, &Config::new(3), 1), Kept::default(), Instant::now());
    for request in [put(1, 1, b"k", b"v"), put(1, 2, b"k", b"v"), get(1, 1, b"k")] {
        engine.on_client_frame(7, &wire(&[request]), now).unwrap();
    }
    let mut elsewhere = Kv::default();
    elsewhere.apply(&put(1, 1, b"k", b"v"));
    let snapshot = Snapshot { machine: elsewhere.snapshot().into(), core: Vec::new().into() };
    engine.on_peer_frame(FOLLOWER, &order(&Order::Install(snapshot))).unwrap();
    engine.flush(now, &mut kept);
    let answered: Vec<_> = kept.replies.iter().map(|(_, reply)| reply.number.index()).collect();
    assert_eq!(answered, [1]);
    assert_eq!((engine.pending(), engine.pending_of(7)), (1, 1), "the second write still waits");
    assert_eq!(engine.status().digest, elsewhere.digest());
}

/// A certified peer may still be broken: what it says is checked before the core acts on it.
/// Three engines whose frames all arrive.
struct Three(Vec<Engine<EPaxos>>);

impl Three {
    fn new() -> Self {
        let engine = |id| Engine::new(id, &Config::new(3), 1);
        Self(ReplicaId::all(3).map(engine).collect())
    }

    /// Replica 0 is asked for `request`, and everything is delivered that follows from it.
    fn ask(&mut self, request: &Request<'_>) {
        let now = Instant::now();
        self.0[0].on_client_frame(1, &wire(&[*request]), now).unwrap();
        loop {
            let mut sent = Vec::new();
            for (id, engine) in ReplicaId::all(3).zip(&mut self.0) {
                let mut kept = Kept::default();
                engine.flush(now, &mut kept);
                sent.extend(kept.sent.into_iter().map(|(to, frame)| (id, to, frame)));
            }
            if sent.is_empty() {
                return;
            }
            for (from, to, frame) in sent {
                for to in to.iter() {
                    self.0[to.index()].on_peer_frame(from, &frame).unwrap();
                }
            }
        }
    }

    fn ordering_steps(&self) -> Vec<u64> {
        self.0.iter().map(|engine| engine.report().counters.ordering_steps).collect()
    }
}

#[test]
fn an_instance_is_put_in_order_by_as_many_rows_as_there_are_replicas() {
    let mut three = Three::new();
    three.ask(&put(1, 1, b"k", b"v"));
    assert_eq!(three.ordering_steps(), [3; 3], "everybody executes it");
    three.ask(&put(1, 2, b"k", b"w"));
    assert_eq!(three.ordering_steps(), [6; 3]);
    three.0[0].begin_measuring();
    three.ask(&put(1, 3, b"other", b"w"));
    assert_eq!(three.ordering_steps(), [3, 9, 9], "of a measured time only what is in it counts");
}

#[test]
fn a_message_that_names_an_unknown_replica_is_refused() {
    let mut engine = Engine::<EPaxos>::new(ReplicaId(0), &Config::new(3), 1);
    let ask = |row| epaxos::Message::Ask { instance: InstanceId::new(ReplicaId(row), 1) };
    let frame = |message| postcard::to_stdvec(&message).expect("a vector takes every byte");
    assert_eq!(engine.on_peer_frame(ReplicaId(1), &frame(ask(2))), Ok(()));
    assert_eq!(engine.on_peer_frame(ReplicaId(1), &frame(ask(3))), Err(NotAMessage));
}

#[test]
fn commands_wait_for_others_until_the_batch_is_full_or_the_first_has_waited() {
    let delay = Duration::from_millis(5);
    let mut config = Config::new(3);
    config.batching = Batching { commands_max: 3, delay };
    let mut engine: Engine<Toy> = Engine::new(LEADER, &config, 1);
    let (mut kept, now) = (Kept::default(), Instant::now());
    let timers = engine.next_deadline();
    for index in 1..=4 {
        engine.on_client_frame(7, &wire(&[put(1, index, b"k", b"v")]), now).unwrap();
    }
    engine.flush(now, &mut kept);
    assert_eq!(stores(&kept), 1, "three of the four");
    assert_eq!((engine.pending(), engine.pending_of(7)), (4, 4));
    let deadline = timers.into_iter().chain([now + delay]).min();
    assert_eq!(engine.next_deadline(), deadline);
    // A retry of what waits is not a second command.
    engine.on_client_frame(8, &wire(&[put(1, 4, b"k", b"v")]), now).unwrap();
    let later = now + delay;
    engine.flush(later - Duration::from_micros(1), &mut kept);
    assert_eq!(stores(&kept), 1);
    engine.on_time(later);
    engine.flush(later, &mut kept);
    assert_eq!(stores(&kept), 2);
    for store in 1..=2 {
        engine.on_peer_frame(FOLLOWER, &message(&Message::Stored(store))).unwrap();
    }
    engine.flush(later, &mut kept);
    let answered: Vec<ConnectionId> = kept.replies.iter().map(|(to, _)| *to).collect();
    assert_eq!(answered, [7, 7, 7, 8]);
    assert_eq!(engine.report().counters.commits_slow, 2);
    assert_eq!(engine.report().commit.len(), 4);
}

#[test]
fn without_a_delay_what_is_there_at_a_flush_is_one_batch() {
    let mut config = Config::new(3);
    config.batching = Batching { commands_max: 1_000, delay: Duration::ZERO };
    let mut engine: Engine<Toy> = Engine::new(LEADER, &config, 1);
    let (mut kept, now) = (Kept::default(), Instant::now());
    for index in 1..=20 {
        engine.on_client_frame(7, &wire(&[put(1, index, b"k", b"v")]), now).unwrap();
    }
    engine.flush(now, &mut kept);
    assert_eq!(stores(&kept), 1);
}
