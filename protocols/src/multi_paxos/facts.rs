//! What Multi-Paxos states of itself.

use super::{
    formula::{PROMISES, latency},
    load_model::load,
};
use crate::{Facts, Order, Protocol};

/// Multi-Paxos, as the rest of the program knows it.
pub static FACTS: Facts = Facts {
    name: "multi-paxos",
    title: "Multi-Paxos",
    description: "one stable leader orders all commands: phase 1 once per leadership",
    order: Order::Slots,
    has_stable_leader: true,
    has_fast_path: false,
    timers: &["election", "heartbeat", "retransmit", "supply"],
    options: &[],
    look: Some(1),
    nearest: None,
    votes: None,
    fast_quorums: &[],
    promises: &PROMISES,
    latency: Some(latency),
    load_model: Some(load),
};

/// The handle to [`FACTS`].
pub const PROTOCOL: Protocol = Protocol::new(&FACTS);
