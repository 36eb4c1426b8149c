//! What Paxos states of itself.

use super::{
    formula::{PROMISES, latency},
    load_model::load,
    options::OPTIONS,
};
use crate::{Facts, Order, Protocol};

/// Paxos, as the rest of the program knows it.
pub static FACTS: Facts = Facts {
    name: "paxos",
    title: "Paxos",
    description: "no leader: both phases of the synod for every command",
    order: Order::Slots,
    has_stable_leader: false,
    has_fast_path: false,
    timers: &["back-off", "retransmit", "supply"],
    options: &OPTIONS,
    look: Some(2),
    nearest: None,
    votes: None,
    fast_quorums: &[],
    promises: &PROMISES,
    latency: Some(latency),
    load_model: Some(load),
};

/// The handle to [`FACTS`].
pub const PROTOCOL: Protocol = Protocol::new(&FACTS);
