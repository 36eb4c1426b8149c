//! Paxos, Multi-Paxos and EPaxos as deterministic state machines, and the key-value machine that they replicate.
//!
//! Nothing here does I/O, reads a clock or draws a random number: a core is stepped with an
//! [`Input`] and answers with [`Effect`]s, which a driver carries out. The same code therefore
//! serves real clients, runs in a simulator and is model-checked. Start with [`replica`], the
//! contract; then the `mod.rs` of a protocol, which opens with its paper, its messages and its
//! invariants. A protocol states in its [`facts`] all that the rest of a program must know of it,
//! and [`registry`] finds it by its name.
//!
//! Sources are named by letters: PMS is Lamport, "Paxos Made Simple", 2001; PMMC is van Renesse and Altinbuken, "Paxos Made
//! Moderately Complex", 2015; S13 is Moraru, Andersen and Kaminsky, "There Is More Consensus in Egalitarian Parliaments",
//! SOSP 2013; SUT is Sutra, "On the correctness of Egalitarian Paxos", 2019; STAR is Ryabinin, Gotsman and Sutra, "Making
//! Democracy Work: Fixing and Simplifying Egalitarian Paxos", OPODIS 2025. "chosen:" marks a decision of this project.

pub mod ballot;
mod batch_queue;
pub mod catch_up;
pub mod command;
pub mod config;
pub mod dependencies;
pub mod epaxos;
pub mod explored;
pub mod facts;
pub mod formula;
pub mod gather;
pub mod id;
pub mod key_map;
pub mod kv;
pub mod load_model;
pub mod log;
pub mod multi_paxos;
pub mod observed;
pub mod options;
pub mod paxos;
mod protocol;
pub mod quorum;
pub mod registry;
pub mod replica;
pub mod session;
pub mod transfer;

pub use command::{Batch, Command, Outcome, Request};
pub use config::Config;
pub use dependencies::Dependencies;
pub use facts::{Facts, Order};
pub use id::{ClientId, InstanceId, ReplicaId, ReplicaSet, RequestNumber, Slot};
pub use protocol::{Protocol, UnknownProtocol, either};
pub use replica::{Effect, Effects, Input, Path, Replica, Snapshot, Status};
