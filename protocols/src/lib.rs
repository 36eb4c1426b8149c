//! Paxos, Multi-Paxos and EPaxos as deterministic state machines, and the key-value machine that they replicate.
//!
//! Nothing here does I/O, reads a clock or draws a random number: a core is stepped with an
//! [`Input`] and answers with [`Effect`]s, which a driver carries out. The same code therefore
//! serves real clients, runs in a simulator and is model-checked. Start with [`replica`], the
//! contract; then the `mod.rs` of a protocol, which opens with its paper, its messages and its
//! invariants. A protocol states in its [`facts`] all that the rest of a program must know of it,
//! and [`registry`] finds it by its name.
//!
//! Five rooms: `contract` is what a core is to the rest of a program, `words` the types that all
//! cores share, `machine` the replicated state, `parts` what several cores do alike, and a folder
//! per protocol. The first two know no protocol; a protocol knows no other.
//!
//! Sources are named by letters: PMS is Lamport, "Paxos Made Simple", 2001; PMMC is van Renesse and Altinbuken, "Paxos Made
//! Moderately Complex", 2015; S13 is Moraru, Andersen and Kaminsky, "There Is More Consensus in Egalitarian Parliaments",
//! SOSP 2013; SUT is Sutra, "On the correctness of Egalitarian Paxos", 2019; STAR is Ryabinin, Gotsman and Sutra, "Making
//! Democracy Work: Fixing and Simplifying Egalitarian Paxos", OPODIS 2025. "chosen:" marks a decision of this project.

mod contract;
pub mod epaxos;
mod machine;
pub mod multi_paxos;
mod parts;
pub mod paxos;
pub mod registry;
mod words;

pub use contract::{
    Config, Effect, Effects, Facts, Input, Limit, Order, Path, Protocol, Replica, Snapshot, Status,
    config, either, explored, facts, formula, load_model, observed, options, replica,
};
pub use machine::{kv, session};
pub use parts::{catch_up, gather, kept, pacing, transfer};
pub use registry::UnknownProtocol;
pub use words::{
    Batch, ClientId, Command, Dependencies, InstanceId, Outcome, ReplicaId, ReplicaSet, Request,
    RequestNumber, Slot, ballot, command, dependencies, id, key_map, log, quorum,
};
