//! Commands that wait for company: who waits, how long, and that joining them breaks no rule.

use std::time::Duration;

use protocols::{
    Replica, ReplicaId, ReplicaSet, config::Batching, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use sim::{Hostility, Load, Network, Outcome, Scenario, hostile, run};

const MS: u64 = 1_000_000;
/// Of every pair of sites, one way.
const FAR_NS: u64 = 10 * MS;
const DELAY: Duration = Duration::from_millis(5);

fn outcome<R: Replica>(scenario: &Scenario) -> Outcome {
    run::<R>(scenario).unwrap_or_else(|violation| panic!("{violation}"))
}

/// Clients at the first site, each with its own key, that begin at once.
fn scenario(clients: usize, commands_max: usize, delay: Duration) -> Scenario {
    let site = ReplicaSet::only(ReplicaId(0));
    let load = Load { clients_per_site: clients, start_ns: 1_000 * MS, ..Load::private(site, 1) };
    let mut scenario = Scenario::new(Network::uniform(3, FAR_NS), load, 1);
    scenario.config.batching = Batching { commands_max, delay };
    scenario
}

fn led(outcome: &Outcome) -> u64 {
    outcome.replicas.iter().map(sim::Counters::led).sum()
}

#[test]
fn a_full_batch_leaves_at_once_and_the_rest_when_the_first_of_it_has_waited() {
    let outcome = outcome::<EPaxos>(&scenario(8, 3, DELAY));
    assert_eq!(led(&outcome), 3, "three, three and two commands");
    assert_eq!(outcome.operations, 8);
    let delay_ns = 5 * MS;
    let mut latencies = outcome.sites[0].client_ns.clone();
    latencies.sort_unstable();
    let full = 2 * FAR_NS;
    assert_eq!(latencies, [full, full, full, full, full, full, full + delay_ns, full + delay_ns]);
    assert_eq!(outcome.sites[0].commit_ns.len(), 8, "each command's commit is seen");
}

#[test]
fn without_a_delay_only_what_comes_together_is_joined() {
    // While a replica is busy with the first of them the others come.
    let mut scenario = scenario(9, 100, Duration::ZERO);
    scenario.costs.cpu_ns_per_message = 50_000;
    let outcome = outcome::<MultiPaxos>(&scenario);
    assert_eq!((led(&outcome), outcome.operations), (2, 9));
    scenario.config.batching = Batching::default();
    assert_eq!(led(&run::<MultiPaxos>(&scenario).unwrap()), 9);
}

#[test]
fn a_joined_batch_that_two_replicas_were_asked_for_takes_effect_once_and_answers_everybody() {
    fn check<R: Replica>() {
        let hostility = Hostility { replicas: None, faults: 8, crashes: true };
        let mut joined = 0;
        for seed in 0..60 {
            let mut scenario = hostile(seed, &hostility);
            scenario.load.clients_per_site += 2;
            let alone = run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
            scenario.config.batching = Batching { commands_max: 5, delay: DELAY };
            let outcome = run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
            joined += u32::from(led(&outcome) < led(&alone));
        }
        assert!(joined > 30, "in {joined} of 60 scenarios fewer instances were led");
    }
    check::<Paxos>();
    check::<MultiPaxos>();
    check::<EPaxos>();
}
