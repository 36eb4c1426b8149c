//! One replica as a process: QUIC transport, identities, client sessions.
//!
//! The way of a command: [`client::Session`] frames a request → the replica's `server` reads the
//! frame and hands it to the [`driver`], which steps the protocol's core → once everything ready
//! has been stepped, the core's effects are carried out: messages are encoded once and appended to
//! the outbox of each peer, commands are applied and their replies appended to the outbox of their
//! client, and every outbox is written with one call.
//!
//! **Invariants.** Only this crate and the command line name a runtime or QUIC. The [`driver`]
//! knows neither: it has no socket and reads no clock. Everything of one replica runs on one
//! thread, so that its CPU time is that of its process and no message crosses a channel. No frame
//! is allocated for before its length was checked. Nobody is served whose certificate the cluster's
//! own authority did not sign.

pub mod address;
pub mod agent;
pub mod alarm;
pub mod child;
pub mod client;
mod clock;
mod congestion;
pub mod control;
pub mod disk;
pub mod emulator;
mod error;
pub mod failpoint;
mod forgetful;
pub mod frame;
pub mod hosted;
pub mod identity;
pub mod interrupt;
pub mod limits;
pub mod link;
mod log;
mod options;
mod outbox;
pub mod replica_process;
mod role;
mod server;
mod store;
mod tls;
pub mod transport;
pub mod wire;

pub use error::NodeError;
