//! Every protocol under hostile schedules: each seed draws a cluster, a network, clients and faults, and every invariant
//! is watched throughout. A failure prints the seed and the last events. `bench soak` runs more of them.

use protocols::{
    Replica,
    epaxos::{EPaxos, Variant},
    multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use sim::{Hostility, Outcome, hostile, run};

/// Loss, duplication, delay, partitions, pauses, and crashes with restarts.
const HOSTILE: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

fn outcome<R: Replica>(seed: u64, hostility: &Hostility, variant: Variant) -> Outcome {
    let mut scenario = hostile(seed, hostility);
    if variant != Variant::Star {
        scenario.config.options.put(variant);
    }
    run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"))
}

/// Runs `seeds` at each cluster size; returns the sums of what makes a schedule worth running.
fn soak<R: Replica>(seeds: std::ops::Range<u64>) -> Sums {
    soak_variant::<R>(seeds, Variant::Star)
}

fn soak_variant<R: Replica>(seeds: std::ops::Range<u64>, variant: Variant) -> Sums {
    let mut sums = Sums::default();
    for seed in seeds {
        for replicas in [3, 5, 7] {
            let hostility = Hostility { replicas: Some(replicas), ..HOSTILE };
            let outcome = outcome::<R>(seed, &hostility, variant);
            let operations = outcome.history.operations();
            sums.retries += operations.iter().filter(|operation| operation.attempts > 1).count();
            for counters in &outcome.replicas {
                sums.crashes += counters.crashes;
                sums.fast += counters.fast;
                sums.slow += counters.slow;
                sums.recovered += counters.recovered;
            }
            sums.longest_component = sums.longest_component.max(outcome.longest_component);
        }
    }
    sums
}

/// Evidence that the schedules were hostile.
#[derive(Debug, Default)]
struct Sums {
    retries: usize,
    crashes: u64,
    fast: u64,
    slow: u64,
    recovered: u64,
    longest_component: u64,
}

#[test]
fn paxos_survives_hostile_schedules() {
    let sums = soak::<Paxos>(0..60);
    assert!(sums.retries > 0 && sums.crashes > 0, "{sums:?}");
}

#[test]
fn multi_paxos_survives_hostile_schedules() {
    let sums = soak::<MultiPaxos>(0..120);
    assert!(sums.retries > 0 && sums.crashes > 0, "{sums:?}");
}

#[test]
fn epaxos_survives_hostile_schedules() {
    let sums = soak::<EPaxos>(0..120);
    assert!(sums.retries > 0 && sums.crashes > 0 && sums.fast > 0 && sums.slow > 0, "{sums:?}");
    assert!(sums.longest_component > 1, "{sums:?}: no cycle was ever executed");
}

#[test]
fn epaxos_as_published_survives_hostile_schedules() {
    let sums = soak_variant::<EPaxos>(0..120, Variant::Sosp13);
    assert!(sums.retries > 0 && sums.crashes > 0 && sums.fast > 0 && sums.slow > 0, "{sums:?}");
    assert!(sums.recovered > 0, "{sums:?}");
    assert!(sums.longest_component > 1, "{sums:?}: no cycle was ever executed");
}

fn repeats<R: Replica>(variant: Variant) {
    let hash = |seed| outcome::<R>(seed, &HOSTILE, variant).trace_hash;
    let (first, again) = ([hash(1), hash(2)], [hash(1), hash(2)]);
    assert_eq!(first, again, "one seed, one run");
    assert_ne!(first[0], first[1], "another seed, another run");
}

#[test]
fn a_seed_decides_everything() {
    repeats::<Paxos>(Variant::Star);
    repeats::<MultiPaxos>(Variant::Star);
    repeats::<EPaxos>(Variant::Star);
    repeats::<EPaxos>(Variant::Sosp13);
}
