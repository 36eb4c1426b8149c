//! What is found is told, by a toy protocol that decides one slot twice.

#![allow(dead_code, reason = "the simulator's toy has more bugs than are explored")]

#[path = "../../sim/tests/toy/mod.rs"]
mod toy;

use explore::{Bounds, Limits, Mark, Marks, Rule, Setup, explore};
use toy::Toy;

fn setups<const BUG: u8>() -> [Setup<Toy<BUG>>; 2] {
    let (about, reach) = ("three commands at the leader", Marks::only(Mark::Everywhere));
    let mut setup = Setup::plain("three", about, 3, 3, Bounds::NONE, reach);
    setup.propose_all_at(0);
    let (about, reach) = ("a leader that starts again", Marks::NONE);
    let bounds = Bounds { crashes: 1, restarts: 1, ..Bounds::NONE }.with_timers(0, 1);
    let mut crash = Setup::plain("crash", about, 3, 2, bounds, reach);
    crash.propose_all_at(0);
    [setup, crash]
}

fn named<const BUG: u8>(name: &str) -> Setup<Toy<BUG>> {
    let setup = setups().into_iter().find(|setup| setup.name == name);
    setup.unwrap_or_else(|| panic!("the toy has no configuration {name}"))
}

/// What is found is told as a sequence of messages, the shortest there is: also with threads, which
/// do not go by depth.
#[test]
fn a_counterexample_is_the_shortest_and_reads_as_a_sequence_of_messages() {
    let setup = named::<{ toy::DECIDES_TWICE }>("three");
    let found = explore(&setup, &Limits::default()).counterexample.expect("slot 3 differs");
    // Three proposals, and the third decision overtakes the others on its way to r1.
    assert_eq!((found.breach.rule, found.events), (Rule::Agreement, 4));
    let text = format!("\n{}", found.lines.join("\n"));
    for expected in [
        "\nr0 is asked for ",
        "\n    sends to {r1, r2}: Decided(3, ",
        "\nr0 → r1: Decided(3, ",
        "\nBroken: agreement: 0.3 was committed as [",
    ] {
        assert!(text.contains(expected), "{expected:?} in{text}");
    }
    let threads = explore(&setup, &Limits { threads: 2, ..Limits::default() });
    assert_eq!(threads.counterexample.map(|found| found.events), Some(4));
}

#[test]
fn crashes_and_restarts_are_told() {
    let setup = named::<{ toy::FORGETS }>("crash");
    let found = explore(&setup, &Limits::default()).counterexample.expect("slot 1 differs");
    assert_eq!((found.breach.rule, found.events), (Rule::Agreement, 4));
    let text = found.lines.join("\n");
    assert!(text.contains("\nr0 crashes\nr0 starts again\n"), "{text}");
}

#[test]
fn a_toy_without_a_bug_breaks_nothing() {
    for name in ["three", "crash"] {
        let report = explore(&named::<{ toy::NONE }>(name), &Limits::default());
        assert!(report.is_clean(), "{name}: {:?} {:?}", report.counterexample, report.missing);
    }
}
