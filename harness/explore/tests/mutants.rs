//! Wrong versions of the cores are found: each breaks a rule in some configuration, within so many generated states.
//!
//! Not all that are listed in `protocols::mutant` can be: `AnyMatching` and `NoRowOwnerRule` let recoveries wait for ever,
//! which is no broken rule; a vote counted twice makes no difference at N = 3, where the first vote of another replica is a
//! majority; the commands explored are first requests of their clients, so a session floor is never above one. What a
//! checkpoint of Multi-Paxos forgets, a promise or an accepted command, matters once another leader comes by who forgot it:
//! more states away than are bounded. The simulator's hostile schedules find the latter within ten seeds.

use std::sync::Once;

use explore::{Counterexample, Limits, Rule, Setup, Subject, explore};
use protocols::{
    epaxos::{EPaxos, Variant},
    multi_paxos::MultiPaxos,
    mutant::Mutant,
    paxos::Paxos,
};

/// Cores that are made to fail their assertions need not say so.
fn silence_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !explore::is_stepping() {
                usual(panic);
            }
        }));
    });
}

/// How `mutant` is found in a configuration.
fn found<R: Subject>(mutant: Mutant, name: &str, states_max: usize) -> Counterexample {
    found_in_variant::<R>(Variant::Star, mutant, name, states_max)
}

fn found_in_variant<R: Subject>(
    variant: Variant,
    mutant: Mutant,
    name: &str,
    states_max: usize,
) -> Counterexample {
    let of_variant = |setup: &Setup<R>| {
        let named = R::PROTOCOL.variant_of(&setup.config.options);
        named.is_none_or(|named| named == variant.name())
    };
    let named = |setup: &Setup<R>| setup.name == name && of_variant(setup);
    let setup = R::setups().into_iter().find(named);
    let mut setup = setup.unwrap_or_else(|| panic!("{} has no configuration {name}", R::PROTOCOL));
    setup.config.mutant = Some(mutant);
    silence_caught_panics();
    let limits = Limits { states_max: Some(states_max), ..Limits::default() };
    let report = explore(&setup, &limits);
    let survives = || panic!("{mutant:?} survives {} states of {name}", report.generated);
    report.counterexample.unwrap_or_else(survives)
}

fn all_found<R: Subject>(mutants: &[(Mutant, &str)]) {
    all_found_in_variant::<R>(Variant::Star, mutants);
}

fn all_found_in_variant<R: Subject>(variant: Variant, mutants: &[(Mutant, &str)]) {
    // chosen: the hardest of them needs 1.8 million.
    const STATES_MAX: usize = 4_000_000;
    for (mutant, name) in mutants {
        let found = found_in_variant::<R>(variant, *mutant, name, STATES_MAX);
        println!("{mutant:?}: {name}, {} events: {}", found.events, found.breach.rule);
    }
}

#[test]
fn mutants_of_paxos_are_found() {
    all_found::<Paxos>(&[
        (Mutant::AcceptedIgnored, "two"),
        (Mutant::PromiseIgnored, "two"),
        (Mutant::SnapshotWithoutPromises, "checkpoint"),
        (Mutant::SnapshotWithoutOpen, "checkpoint"),
        (Mutant::NoSessionTable, "repeated"),
    ]);
}

#[test]
fn mutants_of_multi_paxos_are_found() {
    all_found::<MultiPaxos>(&[
        (Mutant::AcceptedIgnored, "two-elections"),
        (Mutant::PromiseIgnored, "election"),
        (Mutant::CommitOverOldBallot, "gap"),
        (Mutant::NoSessionTable, "repeated"),
    ]);
}

#[test]
fn mutants_of_epaxos_are_found() {
    all_found::<EPaxos>(&[
        (Mutant::SingleBallot, "short-form"),
        (Mutant::NoValidate, "conflicting-fast"),
        (Mutant::EqualReplies, "recovery"),
        (Mutant::NoOpInsteadOfWaiting, "recovery"),
        (Mutant::AcceptInsteadOfWaiting, "two-waiting"),
        (Mutant::FastCommitUnpersisted, "crash"),
        (Mutant::CollectedAsNone, "snapshot"),
        (Mutant::SnapshotWithoutOpen, "checkpoint"),
        (Mutant::RecomputedDependencies, "repeated-messages"),
        (Mutant::NoSessionTable, "repeated"),
    ]);
}

#[test]
fn mutants_of_epaxos_as_published_are_found() {
    all_found_in_variant::<EPaxos>(
        Variant::Sosp13,
        &[
            (Mutant::SingleBallot, "short-form"),
            (Mutant::FastAfterWidening, "widened"),
            (Mutant::WidenedCounts, "widened"),
            (Mutant::AnyMatching, "one-match"),
            (Mutant::FastCommitUnpersisted, "crash"),
            (Mutant::SnapshotWithoutOpen, "checkpoint"),
        ],
    );
}

/// What is found is told as a sequence of messages, the shortest there is: also with threads, which do not go by depth.
#[test]
fn a_counterexample_is_the_shortest_and_reads_as_a_sequence_of_messages() {
    let found = found::<EPaxos>(Mutant::NoPhaseGuard, "duplicate-validate", 1_000_000);
    assert_eq!((found.breach.rule, found.events), (Rule::Agreement, 10));
    let text = found.lines.join("\n");
    for expected in [
        "\nr2 → r3: Validate { instance: 0.1",
        "\n    sends to {r2}: ValidateOk { instance: 0.1",
        "\nr3: Instance(0.1) runs out\n",
        "\nBroken: agreement: 0.1 was committed as no-op",
    ] {
        assert!(text.contains(expected), "{expected:?} in\n{text}");
    }

    let mut setup = EPaxos::setups().into_iter().find(|setup| setup.name == "duplicate-validate");
    let setup = setup.as_mut().unwrap();
    setup.config.mutant = Some(Mutant::NoPhaseGuard);
    let threads = explore(setup, &Limits { threads: 2, ..Limits::default() });
    assert_eq!(threads.counterexample.map(|found| found.events), Some(10));
}
