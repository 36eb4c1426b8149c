//! What EPaxos states of itself.

use super::{
    formula::{FAST_QUORUMS, PROMISES, latency},
    load_model::load,
    options::{OPTIONS, nearest, votes},
};
use crate::{Facts, Order, Protocol};

/// EPaxos, as the rest of the program knows it.
pub static FACTS: Facts = Facts {
    name: "epaxos",
    title: "EPaxos",
    description: "no leader: one round trip from any replica unless commands conflict, ordered by dependencies",
    order: Order::Dependencies,
    has_stable_leader: false,
    has_fast_path: true,
    timers: &["row", "instance", "retransmit", "progress", "fast quorum"],
    options: &OPTIONS,
    look: Some(0),
    nearest: Some(nearest),
    votes: Some(votes),
    fast_quorums: &FAST_QUORUMS,
    promises: &PROMISES,
    latency: Some(latency),
    load_model: Some(load),
};

/// The handle to [`FACTS`].
pub const PROTOCOL: Protocol = Protocol::new(&FACTS);
