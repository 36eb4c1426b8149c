//! What a core is to the rest of a program, and what it states of itself.

pub mod config;
pub mod explored;
pub mod facts;
pub mod formula;
mod limit;
pub mod load_model;
pub mod observed;
pub mod options;
mod protocol;
pub mod replica;

pub use self::{
    config::Config,
    facts::{Facts, Order},
    limit::Limit,
    protocol::{Protocol, either},
    replica::{Effect, Effects, Input, Path, Replica, Snapshot, Status},
};
