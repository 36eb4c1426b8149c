//! The driver of a replica: the one interpreter of a core's effects in a cluster.
//!
//! A [`Driver`] steps one protocol core. It remembers which client waits for which request, joins
//! requests into batches, runs the core's timers, applies what is executed, records what must be
//! durable, and lets nothing leave before that. `node` puts sockets, files and a clock around it;
//! `sim` puts a queue of events around the same code. [`session`] is the other end: what a client
//! keeps of its requests.
//!
//! **Invariants.** Nothing here touches a socket, a file, a thread or a clock. Time is a parameter:
//! [`Nanos`] since an origin that the caller chooses. Everything else is behind three traits:
//! [`Output`] for what leaves, [`Store`] and [`disk::Disk`] for what must last, [`Watch`] for those
//! that observe.

mod around;
pub mod disk;
mod driver;
pub mod encode;
pub mod failpoint;
pub mod machine;
mod meters;
mod reply;
pub mod session;
mod status;
pub mod storage;
mod store;
mod timers;

pub use around::{ConnectionId, NotAMessage, Output, Rarities, Sent, Watch};
pub use driver::Driver;
pub use meters::Meters;
pub use reply::{Refusal, Reply};
pub use status::{MemoryStatus, ReplicaStatus, StorageStatus};
pub use store::{NoStore, Store};

/// Nanoseconds since an origin that the caller of a driver chooses.
pub type Nanos = u64;
