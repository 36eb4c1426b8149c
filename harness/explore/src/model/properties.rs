//! What is checked in every state, and what must be reached in some, as properties of the checker.

use std::sync::atomic::Ordering;

use protocols::{
    Order,
    explored::{Mark, OWN_MARKS_MAX, Setup, Subject},
};
use stateright::Property;

use super::Model;
use crate::{breach::Rule, state::State};

/// The properties of a model: a rule is `always`, a mark is `sometimes`.
pub(crate) fn all<R: Subject>(model: &Model<R>) -> Vec<Property<Model<R>>> {
    let rules = Rule::ALL.into_iter().filter(|rule| applies(&model.setup, *rule));
    let rules = rules.map(|rule| Property::always(rule.name(), holds::<R>(rule)));
    let marks = model.setup.reach.iter();
    let marks = marks.map(|mark| Property::sometimes(mark.name::<R>(), happened::<R>(mark)));
    rules.chain(marks).collect()
}

/// Does `rule` say anything about the protocol of a setup?
pub(crate) fn applies<R: Subject>(_: &Setup<R>, rule: Rule) -> bool {
    rule != Rule::Visibility || R::PROTOCOL.order == Order::Dependencies
}

/// A property of a model.
type Condition<R> = fn(&Model<R>, &State) -> bool;

/// Conditions are plain functions, so there is one per rule.
fn holds<R: Subject>(rule: Rule) -> Condition<R> {
    fn keeps<R: Subject>(model: &Model<R>, state: &State, rule: Rule) -> bool {
        let broken = model.breach(state).is_some_and(|breach| breach.rule == rule);
        !broken || model.told.swap(true, Ordering::Relaxed)
    }
    match rule {
        Rule::Agreement => |model, state| keeps(model, state, Rule::Agreement),
        Rule::CommittedOnce => |model, state| keeps(model, state, Rule::CommittedOnce),
        Rule::Visibility => |model, state| keeps(model, state, Rule::Visibility),
        Rule::Execution => |model, state| keeps(model, state, Rule::Execution),
        Rule::OneOrder => |model, state| keeps(model, state, Rule::OneOrder),
        Rule::ExactlyOnce => |model, state| keeps(model, state, Rule::ExactlyOnce),
        Rule::Assertions => |model, state| keeps(model, state, Rule::Assertions),
    }
}

/// And one per mark.
fn happened<R: Subject>(mark: Mark) -> Condition<R> {
    match mark {
        Mark::Fast => |model, _| model.reached.is_news(Mark::Fast),
        Mark::Slow => |model, _| model.reached.is_news(Mark::Slow),
        Mark::Recovered => |model, _| model.reached.is_news(Mark::Recovered),
        Mark::NoOp => |model, _| model.reached.is_news(Mark::NoOp),
        Mark::Everywhere => |model, _| model.reached.is_news(Mark::Everywhere),
        Mark::Repeated => |model, _| model.reached.is_news(Mark::Repeated),
        Mark::Crashed => |model, _| model.reached.is_news(Mark::Crashed),
        Mark::Midway => |model, _| model.reached.is_news(Mark::Midway),
        Mark::Restarted => |model, _| model.reached.is_news(Mark::Restarted),
        Mark::Lost => |model, _| model.reached.is_news(Mark::Lost),
        Mark::Overtaken => |model, _| model.reached.is_news(Mark::Overtaken),
        Mark::Duplicated => |model, _| model.reached.is_news(Mark::Duplicated),
        Mark::Installed => |model, _| model.reached.is_news(Mark::Installed),
        Mark::Checkpointed => |model, _| model.reached.is_news(Mark::Checkpointed),
        Mark::Own(0) => |model, _| model.reached.is_news(Mark::Own(0)),
        Mark::Own(1) => |model, _| model.reached.is_news(Mark::Own(1)),
        Mark::Own(2) => |model, _| model.reached.is_news(Mark::Own(2)),
        Mark::Own(3) => |model, _| model.reached.is_news(Mark::Own(3)),
        Mark::Own(4) => |model, _| model.reached.is_news(Mark::Own(4)),
        Mark::Own(5) => |model, _| model.reached.is_news(Mark::Own(5)),
        Mark::Own(6) => |model, _| model.reached.is_news(Mark::Own(6)),
        Mark::Own(7) => |model, _| model.reached.is_news(Mark::Own(7)),
        Mark::Own(8) => |model, _| model.reached.is_news(Mark::Own(8)),
        Mark::Own(9) => |model, _| model.reached.is_news(Mark::Own(9)),
        Mark::Own(10) => |model, _| model.reached.is_news(Mark::Own(10)),
        Mark::Own(11) => |model, _| model.reached.is_news(Mark::Own(11)),
        Mark::Own(12) => |model, _| model.reached.is_news(Mark::Own(12)),
        Mark::Own(13) => |model, _| model.reached.is_news(Mark::Own(13)),
        Mark::Own(14) => |model, _| model.reached.is_news(Mark::Own(14)),
        Mark::Own(15) => |model, _| model.reached.is_news(Mark::Own(15)),
        Mark::Own(OWN_MARKS_MAX..) => unreachable!("a protocol has no such mark"),
    }
}
