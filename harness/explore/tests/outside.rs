//! A protocol that states nothing but how it is stepped is explored as well.

#[path = "../../sim/tests/mistaken/mod.rs"]
mod mistaken;

use explore::{Ended, Limits, Report, Rule, Subject, explore};
use mistaken::{Mistaken, turns::Turns};

fn explored<R: Subject>() -> Report {
    let setups = R::setups();
    let [setup] = setups.as_slice() else { panic!("one configuration is there by default") };
    explore(setup, &Limits::default())
}

#[test]
fn its_default_configuration_is_explored_to_the_end() {
    let report = explored::<Mistaken<Turns, { mistaken::NONE }>>();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.name, report.ended), ("two", Ended::Complete));
    assert!(!report.rules.contains(&Rule::Visibility), "slots are the order");
    assert!(report.unique > 20, "{} states", report.unique);
}

#[test]
fn its_mistakes_are_found() {
    let report = explored::<Mistaken<Turns, { mistaken::EXECUTES_TWICE }>>();
    assert_eq!(report.counterexample.unwrap().breach.rule, Rule::Execution);
}
