//! The sites of one cluster: the matrix that a simulated network takes and that latencies are computed from.

use std::time::Duration;

/// Delays between the sites of a cluster, one replica at each. Delays are in nanoseconds, from the first index to the
/// second; a site's way to itself takes none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// By replica.
    pub names: Vec<String>,
    /// Without jitter. The two directions of a pair may differ.
    pub one_way_ns: Vec<Vec<u64>>,
    /// The most that is added to a message, uniformly drawn from 0 on.
    pub jitter_ns: Vec<Vec<u64>>,
}

impl Sites {
    /// How many there are: N.
    pub const fn count(&self) -> usize {
        self.names.len()
    }

    /// From `a` to `b` and back, without jitter.
    pub fn round_trip_ns(&self, a: usize, b: usize) -> u64 {
        self.one_way_ns[a][b] + self.one_way_ns[b][a]
    }

    /// The longest that a round trip between two sites can take, jitter included.
    pub fn round_trip_ns_max(&self) -> u64 {
        let jittered = |a: usize, b: usize| {
            self.round_trip_ns(a, b) + self.jitter_ns[a][b] + self.jitter_ns[b][a]
        };
        self.pairs().map(|(a, b)| jittered(a, b)).max().unwrap_or(0)
    }

    /// [`Sites::round_trip_ns_max`] as a duration.
    pub fn round_trip_max(&self) -> Duration {
        Duration::from_nanos(self.round_trip_ns_max())
    }

    /// Does every message between two sites take the same time as the next?
    pub fn is_steady(&self) -> bool {
        self.jitter_ns.iter().flatten().all(|jitter_ns| *jitter_ns == 0)
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count()).flat_map(|b| (0..b).map(move |a| (a, b)))
    }
}
