//! What is found is told, by a protocol with mistakes.

#[path = "../../sim/tests/mistaken/mod.rs"]
mod mistaken;

use explore::{Bounds, Limits, Mark, Marks, Rule, Setup, explore};
use mistaken::{Mistaken, turns::Turns};

fn setups<const MISTAKE: u8>() -> [Setup<Mistaken<Turns, MISTAKE>>; 2] {
    let (about, reach) = ("two commands at one replica", Marks::only(Mark::Everywhere));
    let mut setup = Setup::plain("two", about, 3, 2, Bounds::NONE, reach);
    setup.propose_all_at(0);
    let (about, reach) = ("a replica that starts again", Marks::NONE);
    let bounds = Bounds { crashes: 1, restarts: 1, overtakings: Some(0), ..Bounds::NONE };
    let mut crash = Setup::plain("crash", about, 3, 2, bounds, reach);
    crash.propose_all_at(0);
    [setup, crash]
}

fn named<const MISTAKE: u8>(name: &str) -> Setup<Mistaken<Turns, MISTAKE>> {
    let setup = setups().into_iter().find(|setup| setup.name == name);
    setup.unwrap_or_else(|| panic!("there is no configuration {name}"))
}

/// What is found is told as a sequence of messages, the shortest there is: also with threads, which
/// do not go by depth.
#[test]
fn a_counterexample_is_the_shortest_and_reads_as_a_sequence_of_messages() {
    let setup = named::<{ mistaken::DECIDES_ANOTHER }>("two");
    let found = explore(&setup, &Limits::default()).counterexample.expect("slot 1 differs");
    // A proposal, its acceptance, the vote, and the decision on its way to r1.
    assert_eq!((found.breach.rule, found.events), (Rule::Agreement, 4));
    let text = format!("\n{}", found.lines.join("\n"));
    for expected in [
        "\nr0 is asked for ",
        "\n    sends to {r1, r2}: (1, Accept(",
        "\nr0 → r1: (1, Accept(",
        "\nr1 → r0: (1, Vote(",
        "\nr0 → r1: (1, Decided(",
        "\nBroken: agreement: 0.1 was committed as [",
    ] {
        assert!(text.contains(expected), "{expected:?} in{text}");
    }
    let threads = explore(&setup, &Limits { threads: 2, ..Limits::default() });
    assert_eq!(threads.counterexample.map(|found| found.events), Some(4));
}

#[test]
fn crashes_and_restarts_are_told() {
    let setup = named::<{ mistaken::FORGETS }>("crash");
    let found = explore(&setup, &Limits::default()).counterexample.expect("slot 1 differs");
    // A decision takes three events, and another one at the same slot after the restart, too.
    assert_eq!((found.breach.rule, found.events), (Rule::Agreement, 8));
    let text = found.lines.join("\n");
    assert!(text.contains("\nr0 crashes\nr0 starts again\n"), "{text}");
}

#[test]
fn a_protocol_without_a_mistake_breaks_nothing() {
    for name in ["two", "crash"] {
        let report = explore(&named::<{ mistaken::NONE }>(name), &Limits::default());
        assert!(report.is_clean(), "{name}: {:?} {:?}", report.counterexample, report.missing);
    }
}
