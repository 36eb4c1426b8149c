//! The facts that a protocol states of itself, beside its core, for the rest of the program.
//!
//! Nothing outside a protocol's own folder, [`crate::registry`] and tests names a protocol. Code
//! that depends on the protocol asks its [`Facts`]: an observer asks whether commands have
//! dependencies, a table asks for a leader, a plot for the title.

use std::fmt;

use crate::{
    Config,
    formula::{FastQuorumSize, LatencyQuestion, Prediction, Promised},
    load_model::{LoadQuestion, ReplicaLoad},
    options::OptionFacts,
};

/// The way in which a protocol orders commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Each command has a slot, and slots are executed one after the other.
    Slots,
    /// Each command names the conflicting commands that it depends on; others need no order.
    Dependencies,
}

/// The facts of a protocol. Another crate keeps those of its protocol in a `static`, begins them
/// with [`Facts::plain`], and gives them to [`crate::registry::register`].
#[derive(Clone, Copy)]
pub struct Facts {
    /// The name that users type. It has lower-case letters, digits and hyphens, such as
    /// `multi-paxos`.
    pub name: &'static str,
    /// The name in prose, such as `Multi-Paxos`.
    pub title: &'static str,
    /// A line that describes it, without a full stop.
    pub description: &'static str,
    /// The way in which it orders commands. Observers check visibility where dependencies are the
    /// order, and nowhere else.
    pub order: Order,
    /// Does one replica lead until it fails? Then clients can ask it,
    /// [`crate::Config::first_leader`] says which one begins, and a replica that does not lead
    /// follows.
    pub has_stable_leader: bool,
    /// Does an undisturbed command commit after one round trip to a fast quorum
    /// ([`crate::Path::Fast`])?
    pub has_fast_path: bool,
    /// The names of the kinds of its timers.
    pub timers: &'static [&'static str],
    /// Its own options, in the order of their places. The choices of the option
    /// [`VARIANT`](crate::options::VARIANT) are its variants.
    pub options: &'static [OptionFacts],
    /// The place of its colour, marker and dashes among those that plots have. With one it looks
    /// the same in every plot; without one it takes the next that is free.
    pub look: Option<usize>,
    /// The number of other replicas that a replica of this configuration asks first. A driver puts
    /// so many, the nearest, into [`Config::nearest`]. None, here or from the function, means that
    /// it asks all alike.
    pub nearest: Option<fn(&Config) -> Option<usize>>,
    /// A word for those options that decide which sets of votes are enough. It must not change over
    /// a cluster's life, and data directories hold it. None means that N alone decides.
    pub votes: Option<fn(&Config) -> &'static str>,
    /// The sizes of its fast quorums.
    pub fast_quorums: &'static [FastQuorumSize],
    /// The latencies that round trips alone promise,
    /// [`Undisturbed`](crate::formula::When::Undisturbed) before the slow path's.
    pub promises: &'static [Promised],
    /// The latency of a commit that a matrix of sites lets expect. None means that no formula is
    /// known.
    pub latency: Option<fn(&LatencyQuestion<'_>) -> Prediction>,
    /// The work of a replica per command, without requests and replies. None means that no model is
    /// known.
    pub load_model: Option<LoadModel>,
}

/// The work of a replica per command, or the reason why there is no model of it.
pub type LoadModel = fn(&LoadQuestion<'_>) -> Result<ReplicaLoad, &'static str>;

impl Facts {
    /// The facts of a protocol of which nothing but its name is known: it orders by slots, without
    /// a leader, a fast path or timers.
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
