//! Small configurations, explored whole.

use explore::{Ended, Limits, Report, Setup, Subject, explore};
use protocols::{epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};

fn named<R: Subject>(name: &str) -> Setup<R> {
    let setup = R::setups().into_iter().find(|setup| setup.name == name);
    setup.unwrap_or_else(|| panic!("{} has no configuration {name}", R::PROTOCOL))
}

fn whole<R: Subject>(name: &str) -> Report {
    let report = explore(&named::<R>(name), &Limits::default());
    if let Some(counterexample) = &report.counterexample {
        panic!("{} {name}:\n{}", R::PROTOCOL, counterexample.lines.join("\n"));
    }
    assert_eq!(report.missing, [], "{} {name} did not get there", R::PROTOCOL);
    assert_eq!(report.ended, Ended::Complete, "{} {name}", R::PROTOCOL);
    report
}

#[test]
fn small_configurations_of_paxos_are_clean_and_complete() {
    for name in ["faults", "snapshot"] {
        whole::<Paxos>(name);
    }
}

#[test]
fn small_configurations_of_multi_paxos_are_clean_and_complete() {
    for name in ["late-flush", "repeated", "snapshot"] {
        whole::<MultiPaxos>(name);
    }
}

#[test]
fn small_configurations_of_epaxos_are_clean_and_complete() {
    for name in ["two", "duplicates"] {
        whole::<EPaxos>(name);
    }
}

/// However many threads share the work, they visit the same states.
#[test]
fn threads_do_not_change_what_is_visited() {
    let one = whole::<EPaxos>("two");
    let limits = Limits { threads: 3, ..Limits::default() };
    let three = explore(&named::<EPaxos>("two"), &limits);
    assert_eq!((one.generated, one.unique), (three.generated, three.unique));
    assert_eq!(one.reached, three.reached);
}

#[test]
fn a_bound_on_states_or_depth_ends_an_exploration_early() {
    let setup = named::<EPaxos>("two");
    let states = explore(&setup, &Limits { states_max: Some(2_000), ..Limits::default() });
    assert_eq!(states.ended, Ended::StatesMax);
    let depth = explore(&setup, &Limits { depth_max: Some(5), ..Limits::default() });
    assert_eq!((depth.ended, depth.depth), (Ended::DepthMax, 5));
    assert!(!depth.missing.is_empty() && !depth.is_clean(), "nothing is decided after 5 events");
}
