//! Delays that no timeout was made for: twenty times every one of them and more, for all of a run. Nobody is ever wrong about
//! who is alive for good, so everything proposed completes.

use std::time::Duration;

use protocols::{
    Replica, ReplicaId, ReplicaSet, config::Timeouts, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use sim::{Fault, FaultPlan, Load, Network, Scenario, run};

const MILLISECOND: u64 = 1_000_000;

/// All timeouts.
const TIMEOUT: Duration = Duration::from_millis(10);
/// Twenty of them.
const LONG_NS: u64 = 200 * MILLISECOND;
/// Two hundred of them.
const VERY_LONG_NS: u64 = 2_000 * MILLISECOND;

/// A cluster whose messages take `delay` nanoseconds one way, or up to that.
fn slow(replicas: usize, seed: u64, delay: u64, jitter: bool) -> Scenario {
    let network = if jitter {
        Network::uniform(replicas, 0).with_jitter(delay)
    } else {
        Network::uniform(replicas, delay)
    };
    let load = Load {
        clients_per_site: 2,
        window: 2,
        shared: 0.5,
        ..Load::private(ReplicaSet::all(replicas), 10)
    };
    let mut scenario = Scenario::new(network, load, seed);
    scenario.config.timeouts =
        Timeouts { retransmit: TIMEOUT, election: TIMEOUT, recovery: TIMEOUT };
    scenario.settle_ns_max = 1_000 * delay;
    scenario
}

/// Five seeds of 3 and of 5 replicas, with all messages late alike and with each late in its own way. A run that does not
/// come to rest fails; the figure printed is how long it took, in delays.
fn outlasts<R: Replica>(delay: u64) {
    for replicas in [3, 5] {
        for jitter in [false, true] {
            for seed in 0..5 {
                let outcome = run::<R>(&slow(replicas, seed, delay, jitter));
                let outcome = outcome.unwrap_or_else(|violation| panic!("{violation}"));
                let delays = outcome.simulated_ns / delay;
                println!("{} of {replicas}, jitter {jitter}: {delays} delays", R::PROTOCOL);
            }
        }
    }
}

#[test]
fn paxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<Paxos>(LONG_NS);
}

#[test]
fn multi_paxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<MultiPaxos>(LONG_NS);
}

#[test]
fn epaxos_outlasts_delays_far_above_its_timeouts() {
    outlasts::<EPaxos>(LONG_NS);
    outlasts::<EPaxos>(VERY_LONG_NS);
}

/// One replica is cut off until the others have collected what it lacks: the snapshot comes in pieces, each of which takes
/// forty retransmission periods to come.
fn catches_up<R: Replica>() {
    let mut installs = 0;
    for seed in 0..5 {
        let mut scenario = slow(3, seed, LONG_NS, seed % 2 == 1);
        scenario.config.kept_slots_max = 2;
        scenario.config.piece_bytes_max = 700;
        scenario.load.sites = [ReplicaId(0), ReplicaId(1)].into_iter().collect();
        scenario.load.submissions = 20;
        let cut_off = vec![ReplicaSet::only(ReplicaId(2)), scenario.load.sites];
        let plan = [(0, Fault::Partition(cut_off)), (60_000 * MILLISECOND, Fault::Heal)];
        scenario.faults = FaultPlan(plan.to_vec());
        let outcome = run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
        installs += outcome.replicas[2].installs;
        println!("{}: {} ms", R::PROTOCOL, outcome.simulated_ns / MILLISECOND);
    }
    assert!(installs >= 5, "{installs} snapshots installed");
}

#[test]
fn a_snapshot_of_paxos_arrives_however_long_its_pieces_take() {
    catches_up::<Paxos>();
}

#[test]
fn a_snapshot_of_multi_paxos_arrives_however_long_its_pieces_take() {
    catches_up::<MultiPaxos>();
}

#[test]
fn a_snapshot_of_epaxos_arrives_however_long_its_pieces_take() {
    catches_up::<EPaxos>();
}
