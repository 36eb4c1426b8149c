//! The near-linear method for keys to which no value was written twice.
//!
//! What is left out, and why that is sound:
//! - A write without an answer that nobody saw need not have happened, and if it had, leaving it out changes no answer.
//! - A compare-and-set that failed changes nothing, so a contradiction among the others is one of all. If there is none,
//!   the search has to place it.
//! - Who saw an absent key saw the beginning, unless there are deletes: then the search decides.

use crate::{
    blocks::{Blocks, Contradiction, Stop},
    history::Operation,
    zones,
};

/// What the method came to.
#[derive(Debug)]
pub(crate) enum Unique {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Contradiction(Contradiction),
    /// The method does not apply.
    Undecided,
}

/// Judges operations that are all on one key.
pub(crate) fn check(operations: &[&Operation]) -> Unique {
    match try_check(operations) {
        Ok(()) if operations.iter().any(|operation| operation.is_failed_swap()) => {
            Unique::Undecided
        }
        Ok(()) => Unique::Linearizable,
        Err(Stop::Undecided) => Unique::Undecided,
        Err(Stop::Contradiction(contradiction)) => Unique::Contradiction(contradiction),
    }
}

fn try_check(operations: &[&Operation]) -> Result<(), Stop> {
    let blocks = Blocks::new(operations)?;
    let zones = blocks.zones()?;
    match zones::crossing(&zones) {
        None => Ok(()),
        Some((a, b)) => Err(blocks.crossed(&a, &b)),
    }
}
