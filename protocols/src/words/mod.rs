//! The types that all cores share.

pub mod ballot;
pub mod command;
pub mod dependencies;
pub mod id;
pub mod key_map;
pub mod log;
pub mod quorum;

pub use self::{
    command::{Batch, Command, Outcome, Request},
    dependencies::Dependencies,
    id::{ClientId, InstanceId, ReplicaId, ReplicaSet, RequestNumber, Slot},
};
