//! Topologies: where the replicas are, and how long a message takes from one to another.
//!
//! # The format
//! A topology is a TOML file under `workloads/topologies/`, or the same keys as a table in a workload file:
//!
//! ```toml
//! # What it is. `bench list` shows this paragraph.
//! source = "where the numbers come from"
//! sites = ["VA", "CA", "EU"]      # replica i is at site i: a cluster of N takes the first N
//! jitter_ms = 0.5 # optional: added to every message, drawn uniformly from 0 to this, one way;
//! # absent: 0.5 between simulated sites, less where some are near; 0 between real ones
//!
//! [round_trip_ms]                 # half of it each way
//! VA-CA = 85                      # each pair once, in either order
//! VA-EU = 90
//!
//! [one_way_ms]                    # a pair whose two directions differ, instead of its round trip
//! CA-EU = [80, 76]                # from CA to EU, then from EU to CA
//!
//! [pair_jitter_ms]                # optional: a pair's own jitter, in both directions, instead of the overall one
//! CA-EU = 2
//! ```
//!
//! A workload file's `network.jitter_ms` stands for the jitter of every pair, whatever its topology
//! says. Messages from one site to another keep their order: jitter makes the later ones wait.
//!
//! Inside a workload file a table may also hold `name`, as what is recorded of a run does; a file's name is its own.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::sites::Sites;

/// The most jitter that simulated sites have where nothing says how much, in milliseconds one way.
/// Chosen: the least that frees the rounds of `ec2-2013`. There the median execution of EPaxos, all
/// commands conflicting, is 313.5 ms without jitter, at every seed; with 0.1 ms it is 302 to 325
/// ms, as the seed has it, with 0.5 ms 308 to 321, with 1 ms 314 to 318, and real replicas take 313
/// to 315 (2 minutes, 8 seeds).
const SIMULATED_JITTER_MS_MAX: f64 = 0.5;
/// The same as a share of the shortest way between two sites.
/// Chosen: a way must not be mostly jitter.
const SIMULATED_JITTER_SHARE_MAX: f64 = 0.05;

/// A site matrix, as its file gives it. Validated: every pair is of two known sites and stands there once. It may still
/// lack pairs, as long as no cluster needs them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topology {
    /// What results call it; none for a table without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the numbers come from.
    pub source: String,
    /// In the order in which replicas are placed; none twice.
    pub sites: Vec<String>,
    /// Most that is added one way; 0 is none.
    pub jitter_ms: f64,
    /// Pairs whose two directions take the same time: `A-B` to their round trip.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub round_trip_ms: BTreeMap<String, f64>,
    /// The other pairs: `A-B` to the times from A to B and from B to A.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub one_way_ms: BTreeMap<String, [f64; 2]>,
    /// Pairs with a jitter of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pair_jitter_ms: BTreeMap<String, f64>,
}

/// What a topology lacks to hold a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It has only so many sites.
    Sites(usize),
    /// It says nothing of this pair, `A-B`.
    Pair(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sites(sites) => write!(f, "there are only {sites} sites"),
            Self::Pair(pair) => write!(f, "the pair {pair} is missing"),
        }
    }
}

impl Topology {
    /// The matrix of a cluster of `replicas`: of the first sites.
    ///
    /// # Errors
    /// If there are too few sites, or one of their pairs is missing.
    pub fn sites(&self, replicas: usize) -> Result<Sites, Lack> {
        let Some(names) = self.sites.get(..replicas) else {
            return Err(Lack::Sites(self.sites.len()));
        };
        let mut one_way_ns = vec![vec![0; replicas]; replicas];
        let mut jitter_ns = one_way_ns.clone();
        for (b, to) in names.iter().enumerate() {
            for (a, from) in names[..b].iter().enumerate() {
                let (there, back) = self.one_way_ns(from, to)?;
                (one_way_ns[a][b], one_way_ns[b][a]) = (there, back);
                let own = either(&self.pair_jitter_ms, from, to).map(|(jitter_ms, _)| *jitter_ms);
                let jitter = nanoseconds(own.unwrap_or(self.jitter_ms));
                (jitter_ns[a][b], jitter_ns[b][a]) = (jitter, jitter);
            }
        }
        Ok(Sites { names: names.to_vec(), one_way_ns, jitter_ns })
    }

    /// The jitter of simulated sites where neither topology nor workload says any, in milliseconds
    /// one way: half a millisecond, or the twentieth part of the shortest way between two sites
    /// that takes any time, if that is less.
    ///
    /// Without jitter the rounds of different sites meet at the same moment again and again, or
    /// never: what is measured is one interleaving, and not the network.
    pub fn simulated_jitter_ms(&self) -> f64 {
        let halves = self.round_trip_ms.values().map(|round_trip_ms| round_trip_ms / 2.0);
        let ways = halves.chain(self.one_way_ms.values().flatten().copied());
        let shortest_ms = ways.filter(|way_ms| *way_ms > 0.0).fold(f64::INFINITY, f64::min);
        SIMULATED_JITTER_MS_MAX.min(SIMULATED_JITTER_SHARE_MAX * shortest_ms)
    }

    /// The times from `from` to `to` and back.
    fn one_way_ns(&self, from: &str, to: &str) -> Result<(u64, u64), Lack> {
        if let Some((round_trip_ms, _)) = either(&self.round_trip_ms, from, to) {
            let round_trip_ns = nanoseconds(*round_trip_ms);
            // An odd nanosecond goes to the way back, so that the round trip is what the file says.
            return Ok((round_trip_ns / 2, round_trip_ns - round_trip_ns / 2));
        }
        match either(&self.one_way_ms, from, to) {
            Some(([there, back], false)) => Ok((nanoseconds(*there), nanoseconds(*back))),
            Some(([back, there], true)) => Ok((nanoseconds(*there), nanoseconds(*back))),
            None => Err(Lack::Pair(format!("{from}-{to}"))),
        }
    }
}

/// What stands under the pair, and whether it stands there in the other order.
fn either<'a, T>(pairs: &'a BTreeMap<String, T>, a: &str, b: &str) -> Option<(&'a T, bool)> {
    let forward = pairs.get(&format!("{a}-{b}")).map(|value| (value, false));
    forward.or_else(|| pairs.get(&format!("{b}-{a}")).map(|value| (value, true)))
}

/// To the nearest nanosecond.
pub(crate) fn nanoseconds(milliseconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most a day, checked at load")]
    let ns = (milliseconds * 1e6).round() as u64;
    ns
}
