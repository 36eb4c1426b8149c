//! Clusters that outlive the command that starts them, and their client.
//!
//! A cluster is a [`Directory`]: [`Description`] is the file in it that says what runs, [`Process`]
//! tells one of our processes from a stranger with the same number, [`start`] starts replicas, and
//! [`Lines`] asks them for their state. A [`Caller`] is a client of such a cluster. The replicas of
//! a cluster may be on hosts with agents ([`hosted`]) instead of on this one.
//!
//! **Invariants.** A process is signalled only if number, start time and boot are those that were
//! written down when it was started. The description is replaced in one step, after every start of
//! a process, so that none runs which it does not name. Nothing is removed from a directory but
//! what this crate put there. Nothing here prints or knows a command line.

pub mod caller;
mod description;
mod directory;
mod error;
pub mod hosted;
mod lines;
mod process;
pub mod start;

pub use self::{
    caller::Caller,
    description::Description,
    directory::{Directory, Lock, Removed},
    error::Error,
    lines::Lines,
    process::{Process, Sight, boot_id},
};
