//! Shrinking: which few of a plan's faults a violation needs. Delta debugging, by running again and again.

use protocols::Replica;

use crate::{
    fault::{Fault, FaultPlan},
    queue::Nanos,
    scenario::Scenario,
    soak::{replay, run},
    violation::{Broken, Violation},
};

/// A scenario that breaks the same rule with fewer faults.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// As it was, but for the faults left out.
    pub scenario: Scenario,
    /// How it ends, with the last events.
    pub violation: Violation,
    /// How many runs the search took.
    pub runs: usize,
    /// Without any one of the faults left the rule holds. False if the search ended before that was known.
    pub minimal: bool,
}

/// Leaves faults out of `scenario`, which breaks a rule, as long as it still breaks the same rule,
/// in at most `runs_max` runs and one more for the events of the last. What the faults left break
/// is mended when the original plan ends, so that no violation is of the shrinking's own making;
/// faults that are to last do. None if `scenario` breaks no rule.
pub fn shrink<R: Replica>(scenario: &Scenario, runs_max: usize) -> Option<Shrunk> {
    let quick = Scenario { trace_lines_max: 0, ..scenario.clone() };
    let broken = run::<R>(&quick).err()?.breach.broken;
    let mut search = Search { scenario: quick, broken, runs: 1, runs_max };
    let end_ns = scenario.faults.end_ns();
    let last_act = |(at, fault): &(Nanos, Fault)| *at == end_ns && fault.mends();
    let faults = scenario.faults.0.iter().filter(|entry| !last_act(entry)).cloned().collect();
    let (faults, minimal) = search.fewest::<R>(faults, end_ns);
    let mut shrunk = scenario.clone();
    if let Some(faults) = faults {
        shrunk.faults = search.plan(&faults, end_ns);
    }
    let violation = replay::<R>(&shrunk).expect_err("equal scenarios give equal runs");
    Some(Shrunk { scenario: shrunk, violation, runs: search.runs, minimal })
}

/// The search under way.
struct Search {
    scenario: Scenario,
    broken: Broken,
    runs: usize,
    runs_max: usize,
}

impl Search {
    fn plan(&self, faults: &[(Nanos, Fault)], end_ns: Nanos) -> FaultPlan {
        if self.scenario.progress.is_some() {
            return FaultPlan(faults.to_vec());
        }
        FaultPlan::mended(faults, end_ns, self.scenario.config.replicas)
    }

    /// Leaves out ever smaller runs of neighbours. The faults left, if it could leave out any, and whether none of them
    /// can be left out alone.
    fn fewest<R: Replica>(
        &mut self,
        mut faults: Vec<(Nanos, Fault)>,
        end_ns: Nanos,
    ) -> (Option<Vec<(Nanos, Fault)>>, bool) {
        let (all, mut size) = (faults.len(), faults.len());
        while size > 0 {
            let (before, mut start) = (faults.len(), 0);
            while start < faults.len() {
                if self.runs >= self.runs_max {
                    return ((faults.len() < all).then_some(faults), false);
                }
                let end = faults.len().min(start + size);
                let fewer = [&faults[..start], &faults[end..]].concat();
                if self.still_breaks::<R>(self.plan(&fewer, end_ns)) {
                    faults = fewer;
                } else {
                    start = end;
                }
            }
            // The last round is repeated until it finds nothing: one fault left out may make another needless.
            if size > 1 || faults.len() == before {
                size /= 2;
            }
        }
        ((faults.len() < all).then_some(faults), true)
    }

    fn still_breaks<R: Replica>(&mut self, plan: FaultPlan) -> bool {
        self.runs += 1;
        self.scenario.faults = plan;
        let ended = run::<R>(&self.scenario);
        ended.is_err_and(|violation| violation.breach.broken == self.broken)
    }
}
