//! Progress while faults last: a majority is healthy, all else is broken for ever, and clients of
//! the healthy replicas go on having answers, however much is under way.

mod mistaken;

use std::ops::Range;

use mistaken::Mistaken;
use protocols::{
    Replica,
    epaxos::{EPaxos, Variant},
    multi_paxos::MultiPaxos,
    paxos::Paxos,
};
use sim::{Broken, Scenario, lasting, run, shrink};

fn quick(seed: u64) -> Scenario {
    Scenario { trace_lines_max: 0, ..lasting(seed, None) }
}

/// No stretch of a seed is over its bound, and all but one of a hundred are within the usual one.
fn goes_on<R: Replica>(seeds: Range<u64>) {
    variant_goes_on::<R>(seeds, Variant::Star);
}

/// The same with a variant, which only EPaxos has.
fn variant_goes_on<R: Replica>(seeds: Range<u64>, variant: Variant) {
    let (all, mut usual) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let mut scenario = lasting(seed, None);
        if variant != Variant::Star {
            scenario.config.options.put(variant);
        }
        let outcome = run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
        let asked = scenario.progress.expect("faults last");
        usual += u64::from(outcome.longest_stretch_ns <= asked.stretch_ns_usual);
    }
    assert!(usual * 100 >= all * 99, "{usual} of {all} within the usual bound");
}

#[test]
fn paxos_goes_on_while_faults_last() {
    goes_on::<Paxos>(0..100);
}

#[test]
fn multi_paxos_goes_on_while_faults_last() {
    goes_on::<MultiPaxos>(0..40);
}

#[test]
fn epaxos_goes_on_while_faults_last() {
    goes_on::<EPaxos>(0..40);
}

#[test]
fn epaxos_as_published_goes_on_while_faults_last() {
    variant_goes_on::<EPaxos>(0..40, Variant::Sosp13);
}

/// One that sets no timer finishes nothing that another has begun.
type Impassive = Mistaken<EPaxos, { mistaken::SETS_NO_TIMER }>;

#[test]
fn a_core_that_stands_still_is_found_and_its_faults_are_shrunk() {
    let stops = |scenario: &Scenario| {
        run::<Impassive>(scenario)
            .is_err_and(|violation| violation.breach.broken == Broken::Progress)
    };
    // Shrinking runs a seed again and again: those with little under way will do.
    let is_small = |scenario: &Scenario| scenario.load.clients_per_site == 1;
    let small = (0..100).map(quick).filter(is_small);
    let stopped: Vec<Scenario> = small.filter(stops).take(4).collect();
    assert_eq!(stopped.len(), 4, "of 100 seeds");
    for scenario in &stopped {
        let outcome = run::<EPaxos>(scenario);
        assert!(outcome.is_ok(), "seed {}: the correct core goes on", scenario.seed);
    }
    let few = |scenario: &&Scenario| scenario.faults.breaking() > 1;
    let scenario = stopped.iter().find(few).expect("one with several faults");
    let shrunk = shrink::<Impassive>(scenario, 100).expect("it breaks a rule");
    assert_eq!(shrunk.violation.breach.broken, Broken::Progress);
    let plan = &shrunk.scenario.faults;
    assert!(shrunk.minimal && plan.breaking() < scenario.faults.breaking(), "{plan}");
    assert!(plan.0.iter().all(|(_, fault)| !fault.mends()), "what is left lasts: {plan}");
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let [once, again] = [(), ()].map(|()| run::<Paxos>(&quick(4)).expect("it goes on"));
    assert_eq!(once.trace_hash, again.trace_hash);
    assert_eq!(once.longest_stretch_ns, again.longest_stretch_ns);
    assert!(once.longest_stretch_ns > 0);
}
