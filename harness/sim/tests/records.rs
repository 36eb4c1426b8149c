//! Records say what the core knows: a replica rebuilt from them is held against the living one.

mod mistaken;

use mistaken::Mistaken;
use protocols::{
    Replica, config::Config, epaxos::EPaxos, epaxos::Variant, multi_paxos::MultiPaxos, paxos::Paxos,
};
use sim::{Broken, Hostility, Scenario, hostile, run};

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const SEEDS: u64 = 30;

type LeavesOut<R> = Mistaken<R, { mistaken::LEAVES_RECORDS_OUT }>;

/// In most seeds it is noticed by the comparison, before it does any harm. The correct core is not
/// accused.
fn is_noticed<R: Replica>(configure: impl Fn(&mut Config)) {
    let (mut noticed, mut otherwise) = (0, Vec::new());
    for seed in 0..SEEDS {
        let mut scenario = Scenario { trace_lines_max: 0, ..hostile(seed, &HOSTILITY) };
        configure(&mut scenario.config);
        run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
        match run::<LeavesOut<R>>(&scenario).map_err(|violation| violation.breach.broken) {
            Err(Broken::Forgotten) => noticed += 1,
            ended => otherwise.extend(ended.err()),
        }
    }
    assert!(noticed > SEEDS * 2 / 3, "{noticed} of {SEEDS}, {otherwise:?}");
}

#[test]
fn a_record_that_paxos_leaves_out_is_noticed() {
    is_noticed::<Paxos>(|_| {});
}

#[test]
fn a_record_that_multi_paxos_leaves_out_is_noticed() {
    is_noticed::<MultiPaxos>(|_| {});
}

#[test]
fn a_record_that_epaxos_leaves_out_is_noticed() {
    is_noticed::<EPaxos>(|_| {});
}

#[test]
fn a_record_that_the_published_epaxos_leaves_out_is_noticed() {
    is_noticed::<EPaxos>(|config| config.options.put(Variant::Sosp13));
}
