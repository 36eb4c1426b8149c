//! Makes the evidence small where only the search could tell.
//!
//! Nothing is left out whose absence could itself be the violation: only what changes nothing (reads and failed
//! compare-and-sets), writes that nobody is left to have seen, and ends of operations, which turns them into unanswered
//! ones. So what remains excludes an order of the whole history too.

use crate::{
    history::{Kind, Operation},
    search::{Found, Seen, search},
    unique::{self, Unique},
    verdict::{Budget, Witness},
};

/// Chosen: shrinking takes no longer than a moment.
const ATTEMPTS_MAX: usize = 500;
/// Chosen: with the attempts, a few seconds at most.
const STEPS_PER_ATTEMPT_MAX: u64 = 100_000;

/// The smallest witness found that `operations`, known not to be linearizable, are not.
pub(crate) fn witness(
    operations: &[&Operation],
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> Witness {
    let mut kept = beginning(operations, budget, go_on);
    let small = Budget {
        steps_max: STEPS_PER_ATTEMPT_MAX.min(budget.steps_max),
        memory_bytes_max: budget.memory_bytes_max,
    };
    let last = only_last_read(&kept);
    if is_violation(&last, &small, go_on) {
        kept = last;
    }
    thin(&mut kept, &small, go_on);
    let all: Vec<&Operation> = kept.iter().collect();
    let mut witness = match unique::check(&all) {
        Unique::Contradiction(contradiction) => Witness::of(&all, contradiction),
        Unique::Linearizable | Unique::Undecided => {
            kept.sort_by_key(|operation| (operation.invoke, operation.returned()));
            let reason = "no order of these that time allows explains every answer".to_owned();
            Witness { key: operations[0].key.clone(), operations: kept, others: 0, reason }
        }
    };
    witness.others = operations.len() - witness.operations.len();
    witness
}

fn is_violation(
    operations: &[Operation],
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> bool {
    let all: Vec<&Operation> = operations.iter().collect();
    match unique::check(&all) {
        Unique::Contradiction(_) => true,
        Unique::Linearizable => false,
        Unique::Undecided => search(&all, budget, go_on) == Found::NoOrder,
    }
}

/// What had happened when the first answer came that cannot be explained.
fn beginning(
    operations: &[&Operation],
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> Vec<Operation> {
    let mut times: Vec<u64> = operations
        .iter()
        .filter(|operation| operation.answer.is_some())
        .map(|operation| operation.returned())
        .collect();
    times.sort_unstable();
    times.dedup();
    // Invariant: until `times[high]` it is a violation; before `times[low]` it is none, or that is not known.
    let (mut low, mut high) = (0, times.len() - 1);
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_violation(&until(operations, times[middle]), budget, go_on) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    until(operations, times[high])
}

/// The operations as known at `time`.
fn until(operations: &[&Operation], time: u64) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.invoke <= time);
    begun
        .map(|&operation| {
            let mut operation = operation.clone();
            operation.answer = operation.answer.filter(|(at, _)| *at <= time);
            operation
        })
        .collect()
}

/// Changes nothing, so that leaving it out leaves all others as they are.
fn is_silent(operation: &Operation) -> bool {
    operation.kind == Kind::Get || operation.is_failed_swap()
}

/// The operations without those that change nothing, but for the last answer: often that one alone contradicts the writes.
fn only_last_read(kept: &[Operation]) -> Vec<Operation> {
    let answers = kept.iter().filter_map(|operation| operation.answer.as_ref());
    let last = answers.map(|(at, _)| *at).max();
    let stays = |operation: &&Operation| {
        !is_silent(operation) || operation.answer.as_ref().map(|(at, _)| *at) == last
    };
    kept.iter().filter(stays).cloned().collect()
}

/// Leaves out what can be left out, first large parts, then small ones.
fn thin(kept: &mut Vec<Operation>, budget: &Budget, go_on: &mut dyn FnMut() -> bool) {
    let mut attempts = 0;
    let mut part = kept.len().div_ceil(2);
    loop {
        let before = kept.len();
        let mut from = 0;
        while from < kept.len() && attempts < ATTEMPTS_MAX {
            // Who has no patience left has the evidence as it is.
            attempts = if go_on() { attempts + 1 } else { ATTEMPTS_MAX };
            let rest = without(kept, from..(from + part).min(kept.len()));
            if rest.len() < kept.len() && is_violation(&rest, budget, go_on) {
                *kept = rest;
            } else {
                from += part;
            }
        }
        if attempts >= ATTEMPTS_MAX || (part == 1 && kept.len() == before) {
            return;
        }
        part = if part == 1 { 1 } else { part.div_ceil(2) };
    }
}

/// The operations without those of `range` that may be left out.
fn without(kept: &[Operation], range: std::ops::Range<usize>) -> Vec<Operation> {
    // Reads first: once they are gone, what they saw may go too.
    let rest: Vec<&Operation> = kept
        .iter()
        .enumerate()
        .filter(|(at, operation)| !range.contains(at) || !is_silent(operation))
        .map(|(_, operation)| operation)
        .collect();
    let seen = Seen::of(&rest);
    let in_range: Vec<&Operation> = kept[range].iter().collect();
    let goes = |operation: &Operation| {
        in_range.iter().any(|&other| std::ptr::eq(other, operation)) && seen.is_without(operation)
    };
    rest.into_iter().filter(|operation| !goes(operation)).cloned().collect()
}
