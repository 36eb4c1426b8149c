//! Small configurations, explored whole.

use explore::{Ended, Limits, Report, Setup, Subject, explore};
use protocols::{
    epaxos::{EPaxos, Variant},
    explored::{Mark, Marks},
    multi_paxos::MultiPaxos,
    paxos::Paxos,
};

fn named<R: Subject>(name: &str) -> Setup<R> {
    of_variant(Variant::Star, name)
}

fn of_variant<R: Subject>(variant: Variant, name: &str) -> Setup<R> {
    let of_variant = |setup: &Setup<R>| {
        let named = R::PROTOCOL.variant_of(&setup.config.options);
        named.is_none_or(|named| named == variant.name())
    };
    let named = |setup: &Setup<R>| setup.name == name && of_variant(setup);
    let setup = R::setups().into_iter().find(named);
    setup.unwrap_or_else(|| panic!("{} has no configuration {name}", R::PROTOCOL))
}

fn whole<R: Subject>(name: &str) -> Report {
    explored_whole(&named::<R>(name))
}

fn explored_whole<R: Subject>(setup: &Setup<R>) -> Report {
    let name = setup.name;
    let report = explore(setup, &Limits::default());
    if let Some(counterexample) = &report.counterexample {
        panic!("{} {name}:\n{}", R::PROTOCOL, counterexample.lines.join("\n"));
    }
    assert_eq!(report.missing, [], "{} {name} did not get there", R::PROTOCOL);
    assert_eq!(report.ended, Ended::Complete, "{} {name}", R::PROTOCOL);
    report
}

/// Name, generated states, different ones, depth. A change to a core or to what is explored changes them, and should be a
/// change that was meant to: then the new figures are in the failure.
type Pinned = (&'static str, usize, usize, usize);

fn counted<R: Subject>(expected: &[Pinned]) {
    counted_of_variant::<R>(Variant::Star, expected);
}

fn counted_of_variant<R: Subject>(variant: Variant, expected: &[Pinned]) {
    let count = |(name, ..): &Pinned| {
        let report = explored_whole(&of_variant::<R>(variant, name));
        (report.name, report.generated, report.unique, report.depth)
    };
    let counted: Vec<Pinned> = expected.iter().map(count).collect();
    assert_eq!(counted, expected, "{}", R::PROTOCOL);
}

#[test]
fn state_counts_of_paxos() {
    counted::<Paxos>(&[
        ("duplicates", 1_994_310, 370_845, 26),
        ("faults", 58_598, 19_352, 15),
        ("snapshot", 2_556, 1_160, 14),
    ]);
}

#[test]
fn state_counts_of_multi_paxos() {
    counted::<MultiPaxos>(&[
        ("late-flush", 105_504, 27_491, 28),
        ("repeated", 260_998, 85_588, 28),
    ]);
}

#[test]
fn state_counts_of_epaxos() {
    counted::<EPaxos>(&[
        ("two", 86_515, 25_000, 22),
        ("three", 1_714_618, 461_507, 28),
        ("bounded", 1_714_618, 461_507, 28),
        ("window", 57_796, 19_141, 24),
        ("bounded-recovery", 789_173, 256_915, 36),
        ("duplicates", 282_973, 48_046, 24),
        ("faults", 1_427_904, 441_873, 18),
    ]);
}

#[test]
fn state_counts_of_epaxos_as_published() {
    counted_of_variant::<EPaxos>(
        Variant::Sosp13,
        &[
            ("two", 219, 119, 10),
            ("three", 10_555, 4_261, 15),
            ("bounded", 10_555, 4_261, 15),
            ("window", 2_208, 1_035, 15),
        ],
    );
}

/// Every branch of a recovery, and all else that a protocol marks, is what some configuration must
/// reach.
#[test]
fn every_mark_is_asked_for() {
    fn asked_for<R: Subject>() {
        let reach = R::setups().iter().fold(Marks::NONE, |all, setup| all.union(setup.reach));
        for (own, name) in (0..).zip(R::MARKS) {
            assert!(reach.contains(Mark::Own(own)), "{}: {name}", R::PROTOCOL);
        }
    }
    asked_for::<Paxos>();
    asked_for::<MultiPaxos>();
    asked_for::<EPaxos>();
}

/// Five replicas, two of which have proposed and stay dead; one of the others recovers once.
#[test]
fn dead_owners_commands_are_recovered_in_every_order() {
    let once = |variant, name| {
        let mut setup = of_variant::<EPaxos>(variant, name);
        setup.bounds.timers = setup.bounds.timers.map(|expirations| expirations.min(1));
        setup.reach = Marks::only(Mark::Recovered);
        let report = explored_whole(&setup);
        (report.generated, report.unique, report.depth)
    };
    let counted = [Variant::Star, Variant::Sosp13]
        .map(|variant| ["dead-owners", "dead-owners-known"].map(|name| once(variant, name)));
    let star = [(95_107, 29_993, 21), (87_874, 26_408, 21)];
    let published = [(27_413, 10_056, 20), (35_986, 13_157, 20)];
    assert_eq!(counted, [star, published]);
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

/// Configurations bound kinds of timers that the protocol has, and ask for marks that it has.
#[test]
fn configurations_name_only_what_their_protocol_states() {
    fn named<R: Subject>() {
        let kinds = R::PROTOCOL.timers.len();
        assert!(kinds <= explore::TIMER_KINDS_MAX, "{}", R::PROTOCOL);
        for setup in R::setups() {
            let (name, timers) = (setup.name, &setup.bounds.timers[kinds..]);
            assert!(timers.iter().all(|most| *most == 0), "{} {name}", R::PROTOCOL);
            for mark in setup.reach.iter() {
                assert!(!mark.name::<R>().is_empty(), "{} {name}", R::PROTOCOL);
            }
        }
    }
    named::<Paxos>();
    named::<MultiPaxos>();
    named::<EPaxos>();
}
