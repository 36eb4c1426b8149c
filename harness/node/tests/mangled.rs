//! What comes from a peer is decoded and checked without a panic, whatever it is.
//!
//! The messages to mangle are those of a small cluster of drivers that lives through losses and
//! replicas that are cut off one after the other, so that nearly every kind of message is among
//! them. A true message with one byte changed may still be one that a replica could have sent; that
//! one is not given to a core, because a forged decision may rightly trip an assertion.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::collections::BTreeMap;

use common::put;
use driver::{
    ConnectionId, Driver, Nanos, NoStore, NotAMessage, Output, Reply, Sent, encode::append_value,
};
use node::frame::whole_value;
use protocols::{
    Batch, Config, Replica, ReplicaId, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

const REPLICAS: usize = 5;
const SENDER: ReplicaId = ReplicaId(1);
/// The drivers that the bytes are given to.
const REFUSING: ReplicaId = ReplicaId(0);
const TAKING: ReplicaId = ReplicaId(2);
const TICK: Nanos = 10_000_000;
/// How many messages of each kind are mangled.
const MESSAGES_PER_KIND: usize = 40;
const CASES_MIN: usize = 20_000;

/// Frames on their way: from whom, to whom, and what without its length.
type Wire = Vec<(ReplicaId, ReplicaId, Vec<u8>)>;

struct Sending<'w> {
    from: ReplicaId,
    wire: &'w mut Wire,
}

impl<R: Replica> Output<R> for Sending<'_> {
    fn send(&mut self, to: ReplicaSet, message: R::Message) -> Sent {
        let mut bytes = Vec::new();
        append_value(&mut bytes, &message);
        for peer in to.iter() {
            self.wire.push((self.from, peer, bytes.clone()));
        }
        Sent { receivers: to.len() as u64, bytes: bytes.len() as u64 }
    }

    fn reply(&mut self, _: ConnectionId, _: Reply) {}

    fn release(&mut self) {}
}

/// Gives a driver what `from` sent, as a replica does that has taken a frame from a stream.
fn hear<R: Replica>(
    driver: &mut Driver<R>,
    from: ReplicaId,
    bytes: &[u8],
) -> Result<(), NotAMessage> {
    let message = whole_value(bytes).ok_or(NotAMessage)?;
    driver.on_message(from, message, bytes.len() as u64)
}

/// Carries out what `driver` asks for.
fn flush<R: Replica>(driver: &mut Driver<R>, now: Nanos, from: ReplicaId, wire: &mut Wire) {
    driver.turn(now, &mut NoStore, &mut Sending { from, wire }, &mut ()).unwrap();
}

/// A cluster in memory whose network loses, delays and reorders.
struct Net<R: Replica> {
    drivers: Vec<Driver<R>>,
    now: Nanos,
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
            drivers: ReplicaId::all(REPLICAS).map(|id| Driver::new(id, &config, seed, 0)).collect(),
            now: 0,
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
                self.drivers[id.index()].on_time(self.now, &mut ());
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
                    hear(&mut self.drivers[to.index()], from, &frame).unwrap();
                    self.flush(to);
                }
                self.sent.entry(frame[0]).or_default().push(frame);
            }
        }
    }

    fn propose(&mut self) {
        let driver = &mut self.drivers[self.random.random_range(0..REPLICAS)];
        if driver.pending() < 32 {
            self.proposed += 1;
            let key = [self.random.random_range(0..4u8)];
            let batch = Batch::single(&put(1, self.proposed, &key, b"value")).unwrap();
            driver.on_requests(1, batch, self.now).unwrap();
        }
    }

    fn flush(&mut self, id: ReplicaId) {
        flush(&mut self.drivers[id.index()], self.now, id, &mut self.wire);
    }

    /// Takes a driver out; of two, the one with the higher number first.
    fn take(&mut self, id: ReplicaId) -> Driver<R> {
        self.drivers.remove(id.index())
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

/// Gives `driver` bytes that are no message.
fn refuse<R: Replica>(driver: &mut Driver<R>, bytes: &[u8]) {
    assert_eq!(hear(driver, SENDER, bytes), Err(NotAMessage), "{bytes:?}");
}

/// Gives `refusing` bytes that are no message, and `taking` those that by chance are one.
fn random_bytes<R: Replica>(net: &mut Net<R>, refusing: &mut Driver<R>, taking: &mut Driver<R>) {
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
            hear(taking, SENDER, &bytes).unwrap();
            flush(taking, net.now, TAKING, &mut Wire::new());
            taken += 1;
        } else {
            refuse(refusing, &bytes);
        }
    }
    assert!(taken < CASES_MIN / 100, "{taken} of {CASES_MIN} decode");
}

fn cut_short<R: Replica>(driver: &mut Driver<R>, messages: &[&[u8]]) -> usize {
    for message in messages {
        assert!(passes::<R>(message), "{message:?}");
        (0..message.len()).for_each(|length| refuse(driver, &message[..length]));
        refuse(driver, &[message, &[0][..]].concat());
    }
    messages.iter().map(|message| message.len() + 1).sum()
}

fn one_byte_changed<R: Replica>(
    driver: &mut Driver<R>,
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
                    refuse(driver, &bytes);
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
    let (mut taking, mut driver) = (net.take(TAKING), net.take(REFUSING));
    let before = driver.status();
    random_bytes(&mut net, &mut driver, &mut taking);
    let messages = net.chosen();
    let cut = cut_short(&mut driver, &messages);
    let changed = one_byte_changed(&mut driver, &messages, &mut SmallRng::seed_from_u64(6));
    assert!(cut + changed >= CASES_MIN, "{cut} cut short, {changed} changed");

    // Nothing of all that was refused left a trace.
    let mut wire = Wire::new();
    flush(&mut driver, net.now, REFUSING, &mut wire);
    assert_eq!(wire, []);
    let after = driver.status();
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
