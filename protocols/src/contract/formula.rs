//! The words in which a protocol states its latency formulas, which need the matrix of sites alone.
//!
//! q(s, k) is the round trip from site s to its k-th nearest replica, itself the first. Near is
//! whose answer comes first: where the two directions of a pair differ, a round trip is both delays
//! together. Each protocol has its formulas in its own folder.

use crate::{ReplicaId, options::Options, quorum::majority};

/// The round trips between the sites of a cluster, one replica at each, in nanoseconds and without
/// jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundTrips(Vec<Vec<u64>>);

impl RoundTrips {
    /// Those of `sites` sites, by pair.
    pub fn new(sites: usize, round_trip_ns: impl Fn(usize, usize) -> u64) -> Self {
        Self((0..sites).map(|a| (0..sites).map(|b| round_trip_ns(a, b)).collect()).collect())
    }

    /// How many sites there are: N.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// From `a` to `b` and back.
    pub fn ns(&self, a: usize, b: usize) -> u64 {
        self.0[a][b]
    }

    /// q(s, k): the round trip from `site` to its `k`-th nearest replica, itself the first.
    ///
    /// # Panics
    /// If there are fewer than `k` sites, or `k` is 0.
    pub fn q_ns(&self, site: usize, k: usize) -> u64 {
        let mut round_trips = self.0[site].clone();
        round_trips.sort_unstable();
        round_trips[k - 1]
    }

    /// Two rounds from `site` to a majority, one after the other.
    pub fn two_rounds_ns(&self, site: usize) -> u64 {
        2 * self.q_ns(site, majority(self.count()))
    }
}

/// The latency of a commit at one site, as far as the matrix decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// That of every command, to the nanosecond.
    Exactly(u64),
    /// Every command's is within these: which one it is depends on whom it meets.
    Between(u64, u64),
    /// There is no formula, for this reason.
    Nothing(&'static str),
}

/// When does a command that comes in at a site commit, counted from its coming in there? Commands
/// come in at the site's own replica, nothing takes time but the network, and nothing fails.
#[derive(Clone, Copy, Debug)]
pub struct LatencyQuestion<'a> {
    /// The matrix.
    pub round_trips: &'a RoundTrips,
    /// The site at which the command comes in.
    pub site: usize,
    /// The leader, where there is a stable one.
    pub leader: ReplicaId,
    /// The protocol's own options.
    pub options: &'a Options,
    /// Is every command decided, and known to be so everywhere, before the next one comes in at any
    /// site?
    pub isolated: bool,
    /// Do no two commands conflict?
    pub without_conflicts: bool,
}

/// When a promise holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// For a command that meets no other.
    Undisturbed,
    /// At most, for a command that takes the slow path.
    SlowPath,
}

/// A commit latency that round trips alone promise at each site.
#[derive(Clone, Copy, Debug)]
pub struct Promised {
    /// For which commands.
    pub when: When,
    /// The two lines above its column. Where there is a stable leader, its site is the second.
    pub heading: [&'static str; 2],
    /// The key in JSON, with its unit.
    pub key: &'static str,
    /// The latency of a command that comes in at a site while a replica leads, in nanoseconds.
    pub ns: fn(&RoundTrips, usize, ReplicaId) -> u64,
}

/// A size of a fast quorum.
#[derive(Clone, Copy, Debug)]
pub struct FastQuorumSize {
    /// Its name.
    pub name: &'static str,
    /// How many replicas it has in a cluster of so many, the one that collects it included.
    pub of: fn(usize) -> usize,
}
