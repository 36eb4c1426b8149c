//! The committed site matrices, and what follows from them. Computed here once more, from the delays alone, so that a
//! formula and its test do not share a mistake.

use std::path::PathBuf;

use sim::Network;
use workload::Topology;

/// Those of which the first three and five, and seven where there are so many, are tried.
const TOPOLOGIES: [&str; 4] = ["ec2-2013", "two-groups", "chain", "skewed"];

/// The first sites of a topology, with a name for messages.
pub(crate) struct Sites {
    pub(crate) name: String,
    one_way_ns: Vec<Vec<u64>>,
}

impl Sites {
    /// Every matrix at every cluster size that it has the sites for.
    pub(crate) fn all() -> Vec<Self> {
        TOPOLOGIES.into_iter().flat_map(Self::of_topology).collect()
    }

    fn of_topology(name: &str) -> Vec<Self> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../workloads/topologies/{name}.toml"));
        let topology = Topology::load(&path).unwrap_or_else(|error| panic!("{error}")).topology;
        let fitting = [3, 5, 7].into_iter().filter(|n| *n <= topology.sites.len());
        fitting
            .map(|n| Self {
                name: format!("{name}, N = {n}"),
                one_way_ns: topology.sites(n).unwrap_or_else(|lack| panic!("{lack}")).one_way_ns,
            })
            .collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.one_way_ns.len()
    }

    pub(crate) fn one_way_ns(&self, a: usize, b: usize) -> u64 {
        self.one_way_ns[a][b]
    }

    pub(crate) fn round_trip_ns(&self, a: usize, b: usize) -> u64 {
        self.one_way_ns[a][b] + self.one_way_ns[b][a]
    }

    pub(crate) fn network(&self) -> Network {
        Network { one_way_ns: self.one_way_ns.clone(), ..Network::uniform(self.count(), 0) }
    }

    /// The sites from the one whose answer comes first to `site` on, itself first.
    pub(crate) fn nearest(&self, site: usize) -> Vec<usize> {
        let mut sites: Vec<_> = (0..self.count()).collect();
        sites.sort_by_key(|other| self.round_trip_ns(site, *other));
        sites
    }

    /// The round trip from `site` to its `k`-th nearest, itself the first.
    pub(crate) fn q(&self, site: usize, k: usize) -> u64 {
        self.round_trip_ns(site, self.nearest(site)[k - 1])
    }
}
