//! Delays that no timeout was made for: twenty times every one of them, for all of a run. Nobody is ever wrong about who is
//! alive for good, so everything proposed completes.

use std::time::Duration;

use protocols::{
    Replica, ReplicaSet, config::Timeouts, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos,
};
use sim::{Load, Network, Scenario, run};

const MILLISECOND: u64 = 1_000_000;

/// A cluster whose messages take 200 ms one way, or up to that, with all timeouts at 10 ms.
fn slow(replicas: usize, seed: u64, jitter: bool) -> Scenario {
    let mut network = Network::uniform(replicas, if jitter { 0 } else { 200 * MILLISECOND });
    network.jitter_ns = 0..=if jitter { 200 * MILLISECOND } else { 0 };
    let load = Load {
        clients_per_site: 2,
        window: 2,
        shared: 0.5,
        ..Load::private(ReplicaSet::all(replicas), 10)
    };
    let mut scenario = Scenario::new(network, load, seed);
    let timeout = Duration::from_millis(10);
    scenario.config.timeouts =
        Timeouts { retransmit: timeout, election: timeout, recovery: timeout };
    scenario
}

/// Five seeds of 3 and of 5 replicas, with all messages late alike and with each late in its own way. A run that does not
/// come to rest fails; the figure printed is how long it took, in delays.
fn outlasts<R: Replica>() {
    for replicas in [3, 5] {
        for jitter in [false, true] {
            for seed in 0..5 {
                let outcome = run::<R>(&slow(replicas, seed, jitter));
                let outcome = outcome.unwrap_or_else(|violation| panic!("{violation}"));
                let delays = outcome.simulated_ns / (200 * MILLISECOND);
                println!("{} of {replicas}, jitter {jitter}: {delays} delays", R::PROTOCOL);
            }
        }
    }
}

#[test]
fn paxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<Paxos>();
}

#[test]
fn multi_paxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<MultiPaxos>();
}

#[test]
fn epaxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<EPaxos>();
}
