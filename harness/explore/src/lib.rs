//! Model checking of the production cores: every interleaving of a small configuration.
//!
//! A [`Setup`] says how many replicas there are, what is proposed where, and how often messages are lost or repeated,
//! timers run out and replicas crash. [`explore()`] visits every state that can come of it, with `stateright`, and checks in
//! each that the [`Rule`]s hold. A setup also says which [`Mark`]s must be reached (a fast path, a no-op, a recovery that
//! waits …): an exploration that does not get there has shown nothing, and fails.
//!
//! Start with [`model`], which says what a state is and what is left out of the space without
//! losing anything; then [`protocols::explored`], in whose words each protocol states its
//! configurations in its own folder.
//!
//! **Invariants.** Nothing here draws a random number, reads a clock or touches a file. One thread comes to the same numbers
//! of states every time. The cores are stepped through [`protocols::Replica`] alone.

mod breach;
mod counterexample;
mod entries;
mod explore;
mod flight;
mod host;
mod ledger;
mod mark;
pub mod model;
mod state;
mod table;
#[cfg(test)]
mod twin;

pub use protocols::explored::{
    Bounds, Director, Mark, Marks, Proposal, Setup, Subject, TIMER_KINDS_MAX,
};

pub use breach::{Breach, Rule};
pub use counterexample::Counterexample;
pub use explore::{Ended, Limits, Report, explore};
pub use host::is_stepping;
pub use model::Model;
pub use state::{Action, State};
