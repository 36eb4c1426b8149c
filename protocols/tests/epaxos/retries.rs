//! Many commands of few clients: requests retried at several replicas, and a key that everybody writes all the time.

use protocols::{
    Batch, ClientId, Command, InstanceId, Replica, Request, RequestNumber,
    kv::{Digest, Kv},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::net::Net;

fn append(client: u64, index: u64, key: &str) -> Batch {
    let value = format!("{client}.{index};");
    Batch::single(&Request {
        client: ClientId(client),
        number: RequestNumber::write(index),
        unanswered_from: 1,
        command: Command::Append { key: key.as_bytes(), value: value.as_bytes() },
    })
    .expect("small")
}

/// Delivers or loses one message out of those in flight.
fn carry_one(net: &mut Net, rng: &mut ChaCha8Rng, loss: f64) {
    if net.flight.is_empty() {
        return;
    }
    let envelope =
        net.flight.swap_remove_back(rng.random_range(0..net.flight.len())).expect("one of them");
    if !rng.random_bool(loss) {
        net.hand_over(envelope);
    }
}

/// The state of a machine that executed what `replica` did.
fn digest(net: &Net, replica: u8) -> Digest {
    let mut kv = Kv::default();
    for (_, batch) in net.executed_by(replica) {
        for request in batch.requests() {
            kv.apply(&request);
        }
    }
    kv.digest()
}

/// A client with 16 requests outstanding, on keys that conflict and keys that do not, has each of them retried at the other
/// replicas, in another order. Requests of one client that do not conflict execute in different orders at different
/// replicas: what is remembered as applied must be the exact set.
#[test]
fn a_window_of_16_retried_elsewhere_takes_effect_once_each() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut net = Net::new(3);
        let window: Vec<_> = (1..=16).map(|i| append(1, i, &format!("k{}", i % 7))).collect();
        for batch in &window {
            net.propose(0, batch.clone());
            carry_one(&mut net, &mut rng, 0.2);
        }
        for (replica, batch) in [1, 2].into_iter().cycle().zip(window.iter().rev()) {
            net.propose(replica, batch.clone());
            for _ in 0..rng.random_range(0..6) {
                carry_one(&mut net, &mut rng, 0.2);
            }
        }
        while !net.flight.is_empty() {
            carry_one(&mut net, &mut rng, 0.2);
        }
        net.come_to_rest();
        let digests = [0, 1, 2].map(|replica| digest(&net, replica));
        assert_eq!(digests[0].writes, 16, "seed {seed}");
        assert!(digests.iter().all(|digest| *digest == digests[0]), "seed {seed}: {digests:?}");
        let executed = net.executed_by(0).iter().filter(|(_, batch)| !batch.is_noop()).count();
        assert!(executed > 16, "seed {seed}: something was chosen twice");
    }
}

/// Every replica has clients that write one key, each its next command as soon as the last is executed, for a long time. A
/// component can grow for as long as commands arrive, and they arrive only as others are executed: so the wait between
/// commit and execution stays what it was, however long it goes on.
#[test]
fn a_hot_key_for_a_long_time_executes_without_growing_delay() {
    const CLIENTS_PER_REPLICA: usize = 4;
    const COMMANDS: usize = 3_000;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut net = Net::new(3);
    let mut next = 0;
    let mut waits = Vec::new();
    // Per command that is under way: its replica, its instance, and after how many deliveries it was committed there.
    let mut open: Vec<(u8, InstanceId, Option<u64>)> = Vec::new();
    let mut deliveries = 0u64;
    while waits.len() < COMMANDS {
        for replica in 0..3u8 {
            let at_work = open.iter().filter(|(at, ..)| *at == replica).count();
            for _ in at_work..CLIENTS_PER_REPLICA {
                next += 1;
                let instance = net.propose(replica, append(1, next, "hot"));
                open.push((replica, instance, None));
            }
        }
        carry_one(&mut net, &mut rng, 0.0);
        deliveries += 1;
        for (replica, instance, committed_at) in &mut open {
            if committed_at.is_none() && net.has_committed(*replica, *instance) {
                *committed_at = Some(deliveries);
            }
        }
        open.retain(|(replica, instance, committed_at)| {
            let executed = net.executed_by(*replica);
            let done = executed.iter().rev().take(64).any(|(other, _)| other == instance);
            if let Some(at) = committed_at.filter(|_| done) {
                waits.push(deliveries - at);
            }
            !done
        });
    }
    let longest = |waits: &[u64]| waits.iter().copied().max().unwrap_or_default();
    let (early, late) = waits.split_at(COMMANDS / 2);
    assert!(longest(late) <= 2 * longest(early), "{} after {}", longest(late), longest(early));
    let component = net.core(0).status().longest_component;
    assert!(component <= 3 * CLIENTS_PER_REPLICA as u64, "a component of {component}");
}
