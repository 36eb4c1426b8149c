//! Is a history of key-value operations linearizable?
//!
//! Linearizability is local: a history is linearizable if what it says about each key is. Each key is judged by
//! [`unique`](self#methods) first and by the general search where that cannot decide.
//!
//! # Methods
//! - `unique`: where no value was written twice, what a read returned says which write it saw. Near-linear, after
//!   Gibbons and Korach, *Testing shared memories* (1997): the operations on one value form a zone in time, and two zones
//!   that each have to come first contradict each other.
//! - [`register`]: the same for puts and gets that are kept as numbers, as a load generator records them.
//! - `ordered`: whoever knows the order in which the writes took effect has the proof, if it is one ([`check_ordered`]).
//! - `search`: Wing and Gong's search with Lowe's memory of what was tried, as in the checker porcupine; exponential in
//!   the worst case, so it has a [`Budget`] whose end is [`Verdict::Unknown`], which is no pass.
//!
//! An operation without an answer may have happened at any time after its invocation, or never.
//!
//! **Invariants.** No socket, no file, no clock, no randomness: the same history gives the same verdict unless the caller
//! stops the search.

mod blocks;
mod elements;
pub mod formats;
mod history;
mod ordered;
pub mod register;
mod search;
mod shrink;
mod unique;
mod values;
mod verdict;
mod zones;

#[cfg(test)]
mod crosscheck;

use rustc_hash::FxHashMap;

pub use crate::{
    history::{History, Kind, Operation, Outcome},
    verdict::{Budget, Exhausted, Verdict, Witness},
};

use crate::unique::Unique;

/// What is known of one key's operations.
enum OfKey {
    Linearizable,
    NotLinearizable(Witness),
    Unknown(Exhausted),
}

/// Judges the whole history. `go_on` is asked now and then; once it says no, what is undecided stays unknown.
///
/// A violation on any key decides, also when another key is unknown.
pub fn check(history: &History, budget: &Budget, go_on: &mut dyn FnMut() -> bool) -> Verdict {
    judge(history, &mut |_| false, budget, go_on)
}

/// As [`check`], by somebody who has seen in which order the writes took effect: `writes` are the positions, among the
/// history's operations, of all that did, in an order that is right for each key. That is believed only where it explains
/// every answer; elsewhere the history is judged as if nothing were known.
pub fn check_ordered(
    history: &History,
    writes: &[usize],
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> Verdict {
    let mut of_key: FxHashMap<&[u8], Vec<&Operation>> = FxHashMap::default();
    for &at in writes {
        let write = &history.operations()[at];
        of_key.entry(&write.key).or_default().push(write);
    }
    let mut explained = |operations: &[&Operation]| {
        let writes = of_key.get(operations[0].key.as_slice()).map_or(&[][..], Vec::as_slice);
        ordered::explains(operations, writes)
    };
    judge(history, &mut explained, budget, go_on)
}

/// Judges key by key, but for those that are `explained`.
fn judge(
    history: &History,
    explained: &mut dyn FnMut(&[&Operation]) -> bool,
    budget: &Budget,
    go_on: &mut dyn FnMut() -> bool,
) -> Verdict {
    let keys = history.by_key();
    let mut unknown = None;
    for operations in &keys {
        if explained(operations) {
            continue;
        }
        match check_key(operations, budget, go_on) {
            OfKey::Linearizable => {}
            OfKey::NotLinearizable(witness) => return Verdict::NotLinearizable(Box::new(witness)),
            OfKey::Unknown(reason) => {
                unknown.get_or_insert((operations[0].key.clone(), reason));
            }
        }
    }
    match unknown {
        Some((key, reason)) => Verdict::Unknown { key, reason },
        None => Verdict::Linearizable { operations: history.operations().len(), keys: keys.len() },
    }
}

/// Judges operations that are all on one key.
fn check_key(operations: &[&Operation], budget: &Budget, go_on: &mut dyn FnMut() -> bool) -> OfKey {
    match unique::check(operations) {
        Unique::Linearizable => OfKey::Linearizable,
        Unique::Contradiction(contradiction) => {
            OfKey::NotLinearizable(Witness::of(operations, contradiction))
        }
        Unique::Undecided => match search::search(operations, budget, go_on) {
            search::Found::Order => OfKey::Linearizable,
            search::Found::NoOrder => {
                OfKey::NotLinearizable(shrink::witness(operations, budget, go_on))
            }
            search::Found::Exhausted(reason) => OfKey::Unknown(reason),
        },
    }
}

impl History {
    /// The operations key by key, in the order in which the keys appear.
    fn by_key(&self) -> Vec<Vec<&Operation>> {
        let mut index: FxHashMap<&[u8], usize> = FxHashMap::default();
        let mut keys: Vec<Vec<&Operation>> = Vec::new();
        for operation in self.operations() {
            let at = *index.entry(&operation.key).or_insert_with(|| {
                keys.push(Vec::new());
                keys.len() - 1
            });
            keys[at].push(operation);
        }
        keys
    }
}
