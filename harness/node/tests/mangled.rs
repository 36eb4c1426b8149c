//! What comes from a peer is decoded and checked without a panic, whatever it is.
//!
//! The messages to mangle are those of a small cluster of engines that lives through losses and replicas that are cut off
//! one after the other, so that nearly every kind of message is among them. A true message with one byte changed may
//! still be one that a replica could have sent; that one is not given to a core, because a forged decision may rightly
//! trip an assertion.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use common::put;
use driver::{ConnectionId, Engine, NotAMessage, Output, Reply};
use node::frame::HEADER_BYTES;
use protocols::{
    Batch, Config, Replica, ReplicaId, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

const REPLICAS: usize = 5;
const SENDER: ReplicaId = ReplicaId(1);
/// The engines that the bytes are given to.
const REFUSING: ReplicaId = ReplicaId(0);
const TAKING: ReplicaId = ReplicaId(2);
const TICK: Duration = Duration::from_millis(10);
/// How many messages of each kind are mangled.
const MESSAGES_PER_KIND: usize = 40;
const CASES_MIN: usize = 20_000;

/// Frames on their way: from whom, to whom, and what without its length.
type Wire = Vec<(ReplicaId, ReplicaId, Vec<u8>)>;

struct Sending<'w> {
    from: ReplicaId,
    wire: &'w mut Wire,
}

impl Output for Sending<'_> {
    fn send(&mut self, to: ReplicaSet, frame: &[u8]) -> u64 {
        for peer in to.iter() {
            self.wire.push((self.from, peer, frame[HEADER_BYTES..].to_vec()));
        }
        to.len() as u64
    }

    fn reply(&mut self, _: ConnectionId, _: &Reply) {}
}

/// A cluster in memory whose network loses, delays and reorders.
struct Net<R: Replica> {
    engines: Vec<Engine<R>>,
    now: Instant,
    random: SmallRng,
    wire: Wire,
    proposed: u64,
    /// Everything that was ever sent, by the byte that tells its kind.
    sent: BTreeMap<u8, Vec<Vec<u8>>>,
}

impl<R: Replica> Net<R> {
    fn new(seed: u64) -> Self {
        // Small enough that a replica which was away catches up by several pieces of a snapshot.
        let config = Config { kept_slots_max: 16, piece_bytes_max: 512, ..Config::new(REPLICAS) };
        Self {
            engines: ReplicaId::all(REPLICAS).map(|id| Engine::new(id, &config, seed)).collect(),
            now: Instant::now(),
            random: SmallRng::seed_from_u64(seed),
            wire: Wire::new(),
            proposed: 0,
            sent: BTreeMap::new(),
        }
    }

    /// Lets `ticks` pass; one in `1 / loss` frames is lost, and all from and to `cut_off`.
    fn pass(&mut self, ticks: usize, loss: f64, cut_off: Option<ReplicaId>) {
        for _ in 0..ticks {
            self.now += TICK;
            self.propose();
            for id in ReplicaId::all(REPLICAS) {
                self.engines[id.index()].on_time(self.now);
                self.flush(id);
            }
            // What is sent in answer to the last of these travels in the next tick.
            for _ in 0..60 {
                if self.wire.is_empty() {
                    break;
                }
                let next = self.random.random_range(0..self.wire.len());
                let (from, to, frame) = self.wire.swap_remove(next);
                let lost = Some(from) == cut_off || Some(to) == cut_off;
                if !lost && !self.random.random_bool(loss) {
                    self.engines[to.index()].on_peer_frame(from, &frame).unwrap();
                    self.flush(to);
                }
                self.sent.entry(frame[0]).or_default().push(frame);
            }
        }
    }

    fn propose(&mut self) {
        let engine = &mut self.engines[self.random.random_range(0..REPLICAS)];
        if engine.pending() < 32 {
            self.proposed += 1;
            let key = [self.random.random_range(0..4u8)];
            let batch = Batch::single(&put(1, self.proposed, &key, b"value")).unwrap();
            engine.on_client_frame(1, batch.as_bytes(), self.now).unwrap();
        }
    }

    fn flush(&mut self, id: ReplicaId) {
        let mut output = Sending { from: id, wire: &mut self.wire };
        self.engines[id.index()].flush(self.now, &mut output);
    }

    /// Takes an engine out; of two, the one with the higher number first.
    fn take(&mut self, id: ReplicaId) -> Engine<R> {
        self.engines.remove(id.index())
    }

    /// Some of the messages of each kind, from all over the cluster's life.
    fn chosen(&self) -> Vec<&[u8]> {
        let of_kind = |frames| {
            let frames: &Vec<Vec<u8>> = frames;
            let step = frames.len().div_ceil(MESSAGES_PER_KIND);
            frames.iter().step_by(step).map(Vec::as_slice)
        };
        self.sent.values().flat_map(of_kind).collect()
    }
}

/// A cluster of `R` that has been through a lot.
fn experienced<R: Replica>() -> Net<R> {
    let mut net = Net::new(5);
    net.pass(100, 0.0, None);
    for id in ReplicaId::all(REPLICAS) {
        // What it says last reaches only some.
        net.pass(25, 0.4, None);
        net.pass(150, 0.1, Some(id));
    }
    net.pass(150, 0.0, None);
    net
}

/// May these bytes be given to a core?
fn passes<R: Replica>(bytes: &[u8]) -> bool {
    postcard::take_from_bytes::<R::Message>(bytes)
        .is_ok_and(|(message, rest)| rest.is_empty() && R::admissible(&message, REPLICAS))
}

/// Gives `engine` bytes that are no message.
fn refuse<R: Replica>(engine: &mut Engine<R>, bytes: &[u8]) {
    assert_eq!(engine.on_peer_frame(SENDER, bytes), Err(NotAMessage), "{bytes:?}");
}

/// Gives `refusing` bytes that are no message, and `taking` those that by chance are one.
fn random_bytes<R: Replica>(net: &mut Net<R>, refusing: &mut Engine<R>, taking: &mut Engine<R>) {
    let kinds: Vec<u8> = net.sent.keys().copied().collect();
    let mut taken = 0;
    for case in 0..CASES_MIN {
        let mut bytes = vec![0; net.random.random_range(0..64)];
        net.random.fill_bytes(&mut bytes);
        // Every other one at least begins like a message.
        if let (1, Some(first)) = (case % 2, bytes.first_mut()) {
            *first = kinds[net.random.random_range(0..kinds.len())];
        }
        if passes::<R>(&bytes) {
            taking.on_peer_frame(SENDER, &bytes).unwrap();
            taking.flush(net.now, &mut Sending { from: TAKING, wire: &mut Wire::new() });
            taken += 1;
        } else {
            refuse(refusing, &bytes);
        }
    }
    assert!(taken < CASES_MIN / 100, "{taken} of {CASES_MIN} decode");
}

fn cut_short<R: Replica>(engine: &mut Engine<R>, messages: &[&[u8]]) -> usize {
    for message in messages {
        assert!(passes::<R>(message), "{message:?}");
        (0..message.len()).for_each(|length| refuse(engine, &message[..length]));
        refuse(engine, &[message, &[0][..]].concat());
    }
    messages.iter().map(|message| message.len() + 1).sum()
}

fn one_byte_changed<R: Replica>(
    engine: &mut Engine<R>,
    messages: &[&[u8]],
    random: &mut SmallRng,
) -> usize {
    let mut cases = 0;
    for message in messages {
        for place in 0..message.len() {
            for other in [0, 0x7f, 0xff, message[place] ^ (1 << random.random_range(0..8u32))] {
                let mut bytes = message.to_vec();
                bytes[place] = other;
                if !passes::<R>(&bytes) {
                    refuse(engine, &bytes);
                }
                cases += 1;
            }
        }
    }
    cases
}

fn nothing_mangled_gets_through<R: Replica>(kinds_min: usize) {
    let mut net = experienced::<R>();
    assert!(net.sent.len() >= kinds_min, "kinds of messages: {:?}", net.sent.keys());
    let (mut taking, mut engine) = (net.take(TAKING), net.take(REFUSING));
    let before = engine.status();
    random_bytes(&mut net, &mut engine, &mut taking);
    let messages = net.chosen();
    let cut = cut_short(&mut engine, &messages);
    let changed = one_byte_changed(&mut engine, &messages, &mut SmallRng::seed_from_u64(6));
    assert!(cut + changed >= CASES_MIN, "{cut} cut short, {changed} changed");

    // Nothing of all that was refused left a trace.
    let mut wire = Wire::new();
    engine.flush(net.now, &mut Sending { from: REFUSING, wire: &mut wire });
    assert_eq!(wire, []);
    let after = engine.status();
    assert_eq!((after.core, after.digest), (before.core, before.digest));
}

#[test]
fn multi_paxos_takes_no_mangled_message() {
    nothing_mangled_gets_through::<MultiPaxos>(14);
}

#[test]
fn paxos_takes_no_mangled_message() {
    nothing_mangled_gets_through::<Paxos>(12);
}

/// All kinds but Waiting, for which two recoveries would have to stand in each other's way.
#[test]
fn epaxos_takes_no_mangled_message() {
    nothing_mangled_gets_through::<EPaxos>(12);
}
