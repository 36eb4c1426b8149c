//! Site matrices, round trips in milliseconds, and what follows from them.

use sim::Network;

const MS: u64 = 1_000_000;

/// Virginia, California, Oregon, Japan, Ireland: the sites of the SOSP'13 paper; three of the pairs are inferred.
const SOSP13: [[u64; 5]; 5] = [
    [0, 85, 82, 165, 90],
    [85, 0, 21, 118, 156],
    [82, 21, 0, 127, 150],
    [165, 118, 127, 0, 278],
    [90, 156, 150, 278, 0],
];

/// Invented: a near group, a far group, one site between. No two pairs are the same.
const TWO_GROUPS: [[u64; 7]; 7] = [
    [0, 11, 203, 14, 97, 211, 19],
    [11, 0, 207, 16, 101, 217, 23],
    [203, 207, 0, 199, 113, 29, 205],
    [14, 16, 199, 0, 89, 209, 26],
    [97, 101, 113, 89, 0, 127, 95],
    [211, 217, 29, 209, 127, 0, 213],
    [19, 23, 205, 26, 95, 213, 0],
];

/// Invented: a chain of sites, every hop longer than the one before. No two pairs are the same.
const CHAIN: [[u64; 7]; 7] = [
    [0, 10, 31, 65, 112, 171, 245],
    [10, 0, 22, 54, 103, 163, 234],
    [31, 22, 0, 35, 83, 142, 214],
    [65, 54, 35, 0, 47, 107, 179],
    [112, 103, 83, 47, 0, 60, 131],
    [171, 163, 142, 107, 60, 0, 73],
    [245, 234, 214, 179, 131, 73, 0],
];

/// A matrix of round trips in nanoseconds, with its name.
pub(crate) struct Sites {
    pub(crate) name: String,
    pub(crate) round_trips_ns: Vec<Vec<u64>>,
}

impl Sites {
    fn new<const M: usize>(name: &str, matrix: &[[u64; M]; M], chosen: &[usize]) -> Self {
        let row = |a: &usize| chosen.iter().map(|b| matrix[*a][*b] * MS).collect();
        Self {
            name: format!("{name}, N = {}", chosen.len()),
            round_trips_ns: chosen.iter().map(row).collect(),
        }
    }

    /// Every matrix at every cluster size that it has the sites for.
    pub(crate) fn all() -> Vec<Self> {
        let seven = [0, 1, 2, 3, 4, 5, 6];
        let mut all = vec![
            Self::new("SOSP'13", &SOSP13, &[0, 1, 4]),
            Self::new("SOSP'13", &SOSP13, &[0, 1, 2, 3, 4]),
        ];
        for n in [3, 5, 7] {
            all.push(Self::new("two groups", &TWO_GROUPS, &seven[..n]));
            all.push(Self::new("chain", &CHAIN, &seven[..n]));
        }
        all
    }

    pub(crate) fn count(&self) -> usize {
        self.round_trips_ns.len()
    }

    pub(crate) fn network(&self) -> Network {
        Network::from_round_trips(&self.round_trips_ns)
    }

    /// The sites from the nearest to `site` on, itself first.
    pub(crate) fn nearest(&self, site: usize) -> Vec<usize> {
        let mut sites: Vec<_> = (0..self.count()).collect();
        sites.sort_by_key(|other| self.round_trips_ns[site][*other]);
        sites
    }

    /// The round trip from `site` to its `k`-th nearest, itself the first.
    pub(crate) fn q(&self, site: usize, k: usize) -> u64 {
        self.round_trips_ns[site][self.nearest(site)[k - 1]]
    }
}
