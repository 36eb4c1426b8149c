//! Hostile schedules amid which as many replicas as may fail die for good: what only they knew is found out or made up for by
//! the others, and everything their clients asked for completes at those.

use protocols::{
    Replica, ReplicaId, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos,
    quorum::faults_tolerated,
};
use sim::{Fault, FaultPlan, Hostility, Load, Network, Scenario, hostile, run};

/// The hostile scenario of `seed`, where some replicas die half way through the faults and stay dead.
fn deadly(seed: u64, replicas: usize) -> Scenario {
    let hostility = Hostility { replicas: Some(replicas), faults: 20, crashes: true };
    let mut scenario = hostile(seed, &hostility);
    let first = usize::try_from(seed).unwrap_or_default();
    let dead: ReplicaSet = (0..faults_tolerated(replicas))
        .map(|next| ReplicaId::from_index((first + next) % replicas))
        .collect();
    let death = scenario.faults.end_ns() / 2;
    let is_of_dead = |fault: &Fault| match fault {
        Fault::Crash(id)
        | Fault::CrashMidway(id)
        | Fault::SyncFails(id)
        | Fault::DiskFull(id, _)
        | Fault::Restart(id)
        | Fault::Pause(id)
        | Fault::Resume(id) => dead.contains(*id),
        _ => false,
    };
    let mut plan = std::mem::take(&mut scenario.faults).0;
    plan.retain(|(at, fault)| *at < death || !is_of_dead(fault));
    // A replica that stays out is one more than may fail.
    plan.retain(|(_, fault)| !matches!(fault, Fault::BitFlips(_)));
    // A replica that is down already cannot die again: it comes back for a moment.
    plan.extend(dead.iter().map(|id| (death, Fault::Restart(id))));
    plan.extend(dead.iter().map(|id| (death + 1, Fault::Crash(id))));
    plan.sort_by_key(|(at, _)| *at);
    scenario.faults = FaultPlan(plan);
    assert_eq!(scenario.faults.leaves_dead(), dead);
    scenario
}

fn survives<R: Replica>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for replicas in [3, 5, 7] {
            let outcome = run::<R>(&deadly(seed, replicas));
            outcome.unwrap_or_else(|violation| panic!("{replicas} replicas: {violation}"));
        }
    }
}

#[test]
fn paxos_survives_a_minority_that_dies_for_good() {
    survives::<Paxos>(0..30);
}

#[test]
fn multi_paxos_survives_a_minority_that_dies_for_good() {
    survives::<MultiPaxos>(0..60);
}

#[test]
fn epaxos_survives_a_minority_that_dies_for_good() {
    survives::<EPaxos>(0..60);
}

/// Clients of a dead replica that ask nobody else have nothing but what they give up: that takes
/// longer than a cluster may go without progress.
#[test]
fn a_run_goes_on_for_as_long_as_its_clients_give_up() {
    const SECOND: u64 = 1_000_000_000;
    let dead = ReplicaId(0);
    let load = Load {
        timeout_ns: Some(10 * SECOND),
        sends_max: Some(1),
        ..Load::private(ReplicaSet::only(dead), 20)
    };
    let mut scenario = Scenario::new(Network::uniform(3, 1_000_000), load, 1);
    scenario.faults = FaultPlan(vec![(0, Fault::Crash(dead))]);
    assert!(scenario.settle_ns_max < 20 * 10 * SECOND);
    let outcome = run::<Paxos>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
    assert!(outcome.simulated_ns >= 20 * 10 * SECOND);
    assert!(outcome.history.operations().iter().all(|operation| operation.attempts == 1));
}
