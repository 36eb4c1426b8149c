//! Shrinking, by a protocol with mistakes that need faults to show.

mod mistaken;

use mistaken::{Mistaken, turns::Turns};
use protocols::{ReplicaId, ReplicaSet};
use sim::{Broken, Fault, FaultPlan, Hostility, Scenario, hostile, replay, run, shrink};

type Forgetful = Mistaken<Turns, { mistaken::FORGETS }>;

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const RUNS_MAX: usize = 400;

/// Hostile scenarios in which a replica that forgets breaks agreement.
fn forgetful() -> impl Iterator<Item = Scenario> {
    let breaks = |scenario: &Scenario| {
        run::<Forgetful>(scenario)
            .is_err_and(|violation| violation.breach.broken == Broken::Agreement)
    };
    (0..50).map(|seed| hostile(seed, &HOSTILITY)).filter(breaks)
}

#[test]
fn a_forgetful_replica_needs_crashes_and_restarts_and_few_other_faults() {
    let mut alone = 0;
    for scenario in forgetful().take(6) {
        let shrunk = shrink::<Forgetful>(&scenario, RUNS_MAX).unwrap();
        assert!(shrunk.minimal && shrunk.runs <= RUNS_MAX, "{} runs", shrunk.runs);
        assert_eq!(shrunk.violation.breach.broken, Broken::Agreement);
        assert!(!shrunk.violation.trace.is_empty());
        let plan = &shrunk.scenario.faults;
        // Of twenty. The schedule of messages must let the crash come between two decisions.
        assert!((1..=5).contains(&plan.breaking()), "{plan}");
        let restarts = |fault: &Fault| matches!(fault, Fault::Restart(_));
        let crashes = |fault: &Fault| matches!(fault, Fault::Crash(_) | Fault::CrashMidway(_));
        assert!(plan.0.iter().any(|(_, fault)| restarts(fault)), "{plan}");
        assert!(plan.0.iter().any(|(_, fault)| crashes(fault)), "{plan}");
        alone += u32::from(plan.0.iter().all(|(_, fault)| restarts(fault) || crashes(fault)));
    }
    assert!(alone >= 2, "{alone} of 6 need nothing else");
}

#[test]
fn the_search_finds_the_same_plan_again() {
    let scenario = forgetful().next().expect("a crash makes it forget");
    let [once, again] = [(), ()].map(|()| shrink::<Forgetful>(&scenario, RUNS_MAX).unwrap());
    assert_eq!(again.scenario.faults, once.scenario.faults);
    assert_eq!(again.violation, once.violation);
}

#[test]
fn a_mistake_that_needs_no_fault_is_left_without_any() {
    let scenario = hostile(1, &HOSTILITY);
    let shrunk = shrink::<Mistaken<Turns, { mistaken::PANICS }>>(&scenario, RUNS_MAX).unwrap();
    assert_eq!(shrunk.scenario.faults, FaultPlan::none());
    assert_eq!(shrunk.violation.breach.broken, Broken::Assertion);
    assert_eq!((shrunk.runs, shrunk.minimal), (2, true));
}

#[test]
fn the_search_is_bounded_and_says_when_it_gave_up() {
    let scenario = forgetful().next().expect("a crash makes it forget");
    let shrunk = shrink::<Forgetful>(&scenario, 2).unwrap();
    assert_eq!((shrunk.runs, shrunk.minimal), (2, false));
    assert_eq!(shrunk.violation.breach.broken, Broken::Agreement);
}

#[test]
fn there_is_nothing_to_shrink_where_no_rule_breaks() {
    assert!(shrink::<Turns>(&hostile(1, &HOSTILITY), RUNS_MAX).is_none());
}

#[test]
fn a_replay_is_the_run_with_its_events_written_down() {
    let scenario = hostile(1, &HOSTILITY);
    let first = run::<Turns>(&scenario).unwrap();
    let again = replay::<Turns>(&scenario).unwrap();
    assert_eq!((first.trace_hash, first.trace.len()), (again.trace_hash, 0));
    assert_eq!(again.trace.len(), scenario.trace_lines_max);
    let all = replay::<Turns>(&Scenario { trace_lines_max: usize::MAX, ..scenario });
    assert!(all.unwrap().trace.ends_with(&again.trace));
}

#[test]
fn a_plan_reads_as_a_list() {
    let (r0, r1) = (ReplicaId(0), ReplicaId(1));
    let plan = FaultPlan(vec![
        (1_500_000, Fault::Loss(0.25)),
        (2_000_000, Fault::OneWay(ReplicaSet::only(r0), ReplicaSet::only(r1))),
        (3_000_000, Fault::Crash(r1)),
        (4_000_000, Fault::Restart(r1)),
    ]);
    let expected = "     1.500000 25.0 % of messages are lost\n     2.000000 nothing passes from {r0} to {r1}\n     \
        3.000000 r1 crashes\n     4.000000 r1 restarts if it has crashed\n";
    assert_eq!(plan.to_string(), expected);
    assert_eq!(plan.breaking(), 3);
}
