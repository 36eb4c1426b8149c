//! One run of a workload: what its clients ask for, what they saw, and the verdict on it.
//!
//! Two drivers carry a run out, and neither knows the other: [`quic`] on a cluster of replica
//! processes, [`simulated`] on a simulated one. Both have the clients of `clients`, record what
//! these saw in `history` and have it judged, and give an [`Ended`].
//!
//! **Invariants.** Nothing here prints, parses a command line, or knows how results are shown. A
//! run has a record only together with its verdict. Whatever ends a run, no process that it
//! started is left.

mod clients;
mod ended;
mod error;
mod history;
pub mod naming;
mod progress;
pub mod quic;
pub mod simulated;

pub use self::{
    ended::{Ended, Stop},
    error::Error,
    progress::Progress,
};
