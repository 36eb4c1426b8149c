//! The simulator itself, by a protocol of no crate of the workspace: what it must let pass, and
//! what it must catch.

mod mistaken;

use mistaken::{Mistaken, turns::Turns};
use protocols::{ReplicaId, ReplicaSet};
use sim::{Broken, Fault, FaultPlan, Hostility, Load, Mix, Network, Scenario, hostile, run};

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
        let outcome = run::<Turns>(&hostile(seed, &HOSTILITY))
            .unwrap_or_else(|violation| panic!("{violation}"));
        crashes += outcome.replicas.iter().map(|replica| replica.crashes).sum::<u64>();
        let operations = outcome.history.operations();
        retries += operations.iter().filter(|operation| operation.attempts > 1).count();
        assert_eq!(outcome.operations, operations.len() as u64);
    }
    assert!(crashes > 60 && retries > 60, "{crashes} crashes, {retries} retries: not hostile");
}

#[test]
fn one_seed_gives_one_run_and_another_gives_another() {
    let hash = |seed| run::<Turns>(&hostile(seed, &HOSTILITY)).unwrap().trace_hash;
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
    // A commit takes a round trip to the nearest. Execution waits for the slots below, whose owners
    // decide no-ops there as soon as they hear of the slot: but for the first, a round trip to
    // each.
    for (site, nearest, first, all) in [(0, 30, 30, 50), (1, 30, 30, 70), (2, 50, 70, 70)] {
        let load = Load::private(ReplicaSet::only(ReplicaId::from_index(site)), 10);
        let outcome = run::<Turns>(&Scenario::new(network.clone(), load, 1)).unwrap();
        let latencies = &outcome.sites[site];
        assert_eq!(latencies.commit_ns, [nearest * MS; 10], "site {site}");
        let mut executed = [all * MS; 10];
        executed[0] = first * MS;
        for of in [&latencies.execute_ns, &latencies.client_ns] {
            assert_eq!(*of, executed, "site {site}");
        }
    }
}

fn caught<const MISTAKE: u8>(scenario: &Scenario) -> Broken {
    let violation =
        run::<Mistaken<Turns, MISTAKE>>(scenario).expect_err("the mistake went unnoticed");
    assert!(!violation.trace.is_empty());
    assert!(violation.to_string().contains("seed 1"), "{violation}");
    violation.breach.broken
}

#[test]
fn every_mistake_is_caught_as_what_it_is() {
    assert_eq!(caught::<{ mistaken::DECIDES_ANOTHER }>(&busy()), Broken::Agreement);
    assert_eq!(caught::<{ mistaken::IGNORES_ORDER }>(&busy()), Broken::Order);
    assert_eq!(caught::<{ mistaken::EXECUTES_TWICE }>(&busy()), Broken::ExecutedTwice);
    assert_eq!(caught::<{ mistaken::COMMITS_TWICE }>(&busy()), Broken::CommittedTwice);
    assert_eq!(caught::<{ mistaken::IS_SILENT }>(&busy()), Broken::Liveness);
    assert_eq!(caught::<{ mistaken::DOES_NOT_SAY }>(&busy()), Broken::Undecided);
    assert_eq!(caught::<{ mistaken::PANICS }>(&busy()), Broken::Assertion);
    assert_eq!(caught::<{ mistaken::SKIPS_ONE }>(&busy()), Broken::Order);
}

#[test]
fn a_replica_that_forgets_in_a_crash_is_caught() {
    let crash = |at, fault| (at * MS, fault);
    let plan = FaultPlan(vec![
        crash(40, Fault::Crash(ReplicaId(0))),
        crash(60, Fault::Restart(ReplicaId(0))),
    ]);
    // What the crash lost is asked for again.
    let load = Load { timeout_ns: Some(200 * MS), ..busy().load };
    let scenario = Scenario { faults: plan, load, ..busy() };
    assert_eq!(caught::<{ mistaken::FORGETS }>(&scenario), Broken::Agreement);
    run::<Turns>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
}
