//! The simulator itself, by a toy protocol: what it must let pass, and what it must catch.

mod toy;

use protocols::{ReplicaId, ReplicaSet};
use sim::{Broken, Fault, FaultPlan, Hostility, Load, Mix, Network, Scenario, hostile, run};
use toy::Toy;

const MS: u64 = 1_000_000;
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

/// A busy cluster of three, with delays that reorder.
fn busy() -> Scenario {
    let network = Network::uniform(3, 5 * MS).with_jitter(20 * MS);
    let load = Load {
        clients_per_site: 2,
        window: 4,
        shared: 1.0,
        mix: Mix::ALL,
        append_only_keys: 1,
        ..Load::private(ReplicaSet::all(3), 50)
    };
    Scenario { settle_ns_max: 5_000 * MS, ..Scenario::new(network, load, 1) }
}

#[test]
fn a_correct_protocol_keeps_every_rule_under_hostile_schedules() {
    let (mut crashes, mut retries) = (0, 0);
    for seed in 0..60 {
        let mut scenario = hostile(seed, &HOSTILITY);
        // The toy cannot do without its leader.
        scenario.faults.0.retain(|(_, fault)| !matches!(fault, Fault::BitFlips(_)));
        let outcome =
            run::<Toy<{ toy::NONE }>>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
        crashes += outcome.replicas.iter().map(|replica| replica.crashes).sum::<u64>();
        let operations = outcome.history.operations();
        retries += operations.iter().filter(|operation| operation.attempts > 1).count();
        assert_eq!(outcome.operations, operations.len() as u64);
    }
    assert!(crashes > 60 && retries > 60, "{crashes} crashes, {retries} retries: not hostile");
}

#[test]
fn one_seed_gives_one_run_and_another_gives_another() {
    let hash = |seed| run::<Toy<{ toy::NONE }>>(&hostile(seed, &HOSTILITY)).unwrap().trace_hash;
    let hashes: Vec<_> = (0..5).map(hash).collect();
    assert_eq!(hashes, (0..5).map(hash).collect::<Vec<_>>());
    let mut distinct = hashes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), hashes.len());
}

#[test]
fn latencies_are_those_of_the_network() {
    let network = Network::from_round_trips(&[
        vec![0, 30 * MS, 50 * MS],
        vec![30 * MS, 0, 70 * MS],
        vec![50 * MS, 70 * MS, 0],
    ]);
    let scenario = Scenario::new(network, Load::private(ReplicaSet::all(3), 10), 1);
    let outcome = run::<Toy<{ toy::NONE }>>(&scenario).unwrap();
    for (site, round_trip) in [0, 30 * MS, 50 * MS].into_iter().enumerate() {
        let latencies = &outcome.sites[site];
        for of in [&latencies.commit_ns, &latencies.execute_ns, &latencies.client_ns] {
            assert_eq!(*of, [round_trip; 10], "site {site}");
        }
    }
}

fn caught<const BUG: u8>(scenario: &Scenario) -> Broken {
    let violation = run::<Toy<BUG>>(scenario).expect_err("the bug went unnoticed");
    assert!(!violation.trace.is_empty());
    assert!(violation.to_string().contains("seed 1"), "{violation}");
    violation.breach.broken
}

#[test]
fn every_bug_is_caught_as_what_it_is() {
    assert_eq!(caught::<{ toy::DECIDES_TWICE }>(&busy()), Broken::Agreement);
    assert_eq!(caught::<{ toy::IGNORES_ORDER }>(&busy()), Broken::Order);
    assert_eq!(caught::<{ toy::EXECUTES_TWICE }>(&busy()), Broken::ExecutedTwice);
    assert_eq!(caught::<{ toy::COMMITS_TWICE }>(&busy()), Broken::CommittedTwice);
    assert_eq!(caught::<{ toy::NEVER_FORWARDS }>(&busy()), Broken::Liveness);
    assert_eq!(caught::<{ toy::DOES_NOT_SAY }>(&busy()), Broken::Undecided);
    assert_eq!(caught::<{ toy::PANICS }>(&busy()), Broken::Assertion);
    assert_eq!(caught::<{ toy::SKIPS_LAST }>(&busy()), Broken::Order);
}

#[test]
fn a_replica_that_forgets_in_a_crash_is_caught() {
    let crash = |at, fault| (at * MS, fault);
    let plan = FaultPlan(vec![
        crash(40, Fault::Crash(ReplicaId(0))),
        crash(60, Fault::Restart(ReplicaId(0))),
    ]);
    let scenario = Scenario { faults: plan, ..busy() };
    assert_eq!(caught::<{ toy::FORGETS }>(&scenario), Broken::Agreement);
    run::<Toy<{ toy::NONE }>>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
}
