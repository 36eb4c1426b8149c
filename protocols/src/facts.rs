//! What the rest of the program must know of a protocol, stated by the protocol itself beside its core.
//!
//! Nothing outside a protocol's own folder and [`crate::registry`] names a protocol. Whatever depends on which one runs asks its
//! [`Facts`]: an observer whether commands have dependencies, a table whether there is a leader, a plot what the protocol is
//! called.

use std::fmt;

use crate::{
    Config,
    formula::{FastQuorumSize, LatencyQuestion, Prediction, Promised},
    load_model::{LoadQuestion, ReplicaLoad},
    options::OptionFacts,
};

/// By what commands are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Each command has a slot, and slots are executed one after the other.
    Slots,
    /// Each command names the conflicting commands that it depends on; others need no order.
    Dependencies,
}

/// What a protocol states of itself. One that is brought from outside is a `static` of its crate, begun with
/// [`Facts::plain`], and given to [`crate::registry::register`].
#[derive(Clone, Copy)]
pub struct Facts {
    /// What users type: lower-case letters, digits and hyphens, such as `multi-paxos`.
    pub name: &'static str,
    /// How it is written in prose, such as `Multi-Paxos`.
    pub title: &'static str,
    /// What it does, in a line without a full stop.
    pub description: &'static str,
    /// By what its commands are ordered. Only dependencies are checked for visibility.
    pub order: Order,
    /// Does one replica lead until it fails? Then clients can ask it, [`crate::Config::first_leader`] says which one begins,
    /// and a replica that does not lead follows.
    pub has_stable_leader: bool,
    /// Does an undisturbed command commit after one round trip to a fast quorum ([`crate::Path::Fast`])?
    pub has_fast_path: bool,
    /// The kinds of its timers, by name.
    pub timers: &'static [&'static str],
    /// Its own options, in the order of their places. Its variants are the choices of the one whose key is
    /// [`VARIANT`](crate::options::VARIANT).
    pub options: &'static [OptionFacts],
    /// The place of its colour, marker and dashes among those that plots have, so that it looks the same in every plot; none
    /// takes one that is free.
    pub look: Option<usize>,
    /// How many others a replica of this configuration asks first, the nearest ones: [`Config::nearest`] has them. None, here
    /// or of the function, if it asks all alike.
    pub nearest: Option<fn(&Config) -> Option<usize>>,
    /// What of a configuration decides which sets of votes are enough, in a word: it may not change over a cluster's life, and
    /// data directories hold it. None if nothing but N does.
    pub votes: Option<fn(&Config) -> &'static str>,
    /// The sizes of its fast quorums.
    pub fast_quorums: &'static [FastQuorumSize],
    /// The latencies that round trips alone promise, [`Undisturbed`](crate::formula::When::Undisturbed) before the slow path's.
    pub promises: &'static [Promised],
    /// The latency of a commit that a matrix of sites lets expect; none if no formula is known.
    pub latency: Option<fn(&LatencyQuestion<'_>) -> Prediction>,
    /// What a replica exchanges with its peers per command, requests and replies left out, or why that is not known; none if no
    /// model is known.
    pub load_model: Option<LoadModel>,
}

/// What a replica does per command, or why there is no model of it.
pub type LoadModel = fn(&LoadQuestion<'_>) -> Result<ReplicaLoad, &'static str>;

impl Facts {
    /// The facts of a protocol of which nothing but its name is known: it orders by slots, without a leader, a fast path or
    /// timers.
    pub const fn plain(name: &'static str) -> Self {
        Self {
            name,
            title: name,
            description: "",
            order: Order::Slots,
            has_stable_leader: false,
            has_fast_path: false,
            timers: &[],
            options: &[],
            look: None,
            nearest: None,
            votes: None,
            fast_quorums: &[],
            promises: &[],
            latency: None,
            load_model: None,
        }
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("name", &self.name).finish_non_exhaustive()
    }
}
