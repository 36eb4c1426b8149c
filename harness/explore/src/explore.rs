//! Running an exploration and reporting it.

use protocols::explored::{Mark, Marks, Setup, Subject};
use stateright::{Checker, HasDiscoveries, Model as _};

use crate::{
    breach::Rule,
    counterexample::{self, Counterexample},
    model::{self, Model},
};

/// How far and how an exploration goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Stop after about so many generated states; the setup's own limit if none.
    pub states_max: Option<usize>,
    /// Go no deeper than so many actions.
    pub depth_max: Option<usize>,
    /// With how many threads; 0 counts as one.
    pub threads: usize,
}

/// How an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every reachable state was visited.
    Complete,
    /// At the bound on generated states.
    StatesMax,
    /// Everywhere at the end or at the bound on depth.
    DepthMax,
    /// A rule was broken.
    Broken,
}

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The setup's name.
    pub name: &'static str,
    /// States generated, repetitions included.
    pub generated: usize,
    /// Different states.
    pub unique: usize,
    /// The most actions on the way to a state; with one thread, on the shortest way.
    pub depth: usize,
    /// Different states of a single replica.
    pub replica_states: usize,
    /// Different messages.
    pub messages: usize,
    /// How it ended.
    pub ended: Ended,
    /// The rules that were checked.
    pub rules: Vec<Rule>,
    /// What was reached.
    pub reached: Marks,
    /// What should have been.
    pub missing: Vec<Mark>,
    /// The way to a broken rule.
    pub counterexample: Option<Counterexample>,
}

impl Report {
    /// Does every rule hold, and was everything reached that had to be?
    pub fn is_clean(&self) -> bool {
        self.counterexample.is_none() && self.missing.is_empty()
    }
}

/// Explores a setup.
pub fn explore<R: Subject>(setup: &Setup<R>, limits: &Limits) -> Report {
    let report = explore_once(setup, limits);
    match &report.counterexample {
        // Threads do not go by depth, so there may be a shorter way to break a rule.
        Some(found) if limits.threads > 1 => {
            let depth_max = Some(found.events);
            explore_once(setup, &Limits { depth_max, threads: 1, states_max: None })
        }
        _ => report,
    }
}

fn explore_once<R: Subject>(setup: &Setup<R>, limits: &Limits) -> Report {
    let states_max = limits.states_max.or(setup.states_max);
    let mut checker = Model::new(setup.clone())
        .checker()
        .threads(limits.threads.max(1))
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(states) = states_max {
        checker = checker.target_state_count(states);
    }
    // The checker counts states on a path, and does not evaluate those at the bound.
    if let Some(depth) = limits.depth_max {
        checker = checker.target_max_depth(depth + 2);
    }
    let checker = checker.spawn_bfs().join();
    let model = checker.model();
    let rules: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| model::applies(setup, *rule)).collect();
    let broken = rules.iter().find_map(|rule| checker.discovery(rule.name()));
    let counterexample = broken.map(|path| counterexample::of(model, path));
    let (generated, depth) = (checker.state_count(), checker.max_depth().saturating_sub(1));
    let ended = if counterexample.is_some() {
        Ended::Broken
    } else if states_max.is_some_and(|states| generated >= states) {
        Ended::StatesMax
    } else if limits.depth_max.is_some_and(|bound| depth > bound) {
        Ended::DepthMax
    } else {
        Ended::Complete
    };
    let (replica_states, messages) = model.distinct();
    let reached = model.reached.all();
    Report {
        name: setup.name,
        generated,
        unique: checker.unique_state_count(),
        depth: limits.depth_max.map_or(depth, |bound| depth.min(bound)),
        replica_states,
        messages,
        ended,
        rules,
        reached,
        missing: setup.reach.iter().filter(|mark| !reached.contains(*mark)).collect(),
        counterexample,
    }
}
