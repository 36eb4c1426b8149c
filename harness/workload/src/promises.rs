//! What round trips alone promise a cluster, protocol by protocol: [`crate::formula`] for every site and every leader.

use protocols::{ReplicaId, config::FastQuorum};

use crate::{
    formula::{epaxos_fast_ns, epaxos_slow_ns, multi_paxos_ns, paxos_ns},
    sites::Sites,
};

/// Commit latencies by site, in nanoseconds, of commands that come in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise(Vec<u64>);

impl Promise {
    fn new(sites: &Sites, formula: impl Fn(usize) -> u64) -> Self {
        Self((0..sites.count()).map(formula).collect())
    }

    /// That at each site.
    pub fn by_site_ns(&self) -> &[u64] {
        &self.0
    }

    /// The mean over the sites: as many commands come in at each.
    pub fn mean_ns(&self) -> f64 {
        self.sum_ns() as f64 / self.0.len() as f64
    }

    /// The site that waits longest, the first of several, and how long.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn worst(&self) -> (usize, u64) {
        let slowest = |one: &(usize, u64), other: &(usize, u64)| one.1.cmp(&other.1);
        let sites = self.0.iter().copied().enumerate().rev();
        sites.max_by(slowest).expect("a cluster has sites")
    }

    fn sum_ns(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What a matrix promises a cluster in which nothing takes time but the network, nothing fails and there is no jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promises {
    /// The sites' names, replica 0's first.
    pub sites: Vec<String>,
    /// EPaxos without conflicts, with the optimized fast quorum.
    pub epaxos_fast: Promise,
    /// EPaxos where a conflict was met, with the optimized fast quorum, at most.
    pub epaxos_slow: Promise,
    /// EPaxos without conflicts, with the simple fast quorum.
    pub epaxos_simple_fast: Promise,
    /// EPaxos where a conflict was met, with the simple fast quorum, at most.
    pub epaxos_simple_slow: Promise,
    /// Paxos where nobody else proposes.
    pub paxos: Promise,
    /// Multi-Paxos under each leader, replica 0 first.
    pub multi_paxos: Vec<Promise>,
}

impl Promises {
    /// What `sites` promise.
    pub fn new(sites: &Sites) -> Self {
        let fast = |kind| Promise::new(sites, |site| epaxos_fast_ns(sites, site, kind));
        let slow = |kind| Promise::new(sites, |site| epaxos_slow_ns(sites, site, kind));
        let under = |leader| Promise::new(sites, |site| multi_paxos_ns(sites, site, leader));
        Self {
            sites: sites.names.clone(),
            epaxos_fast: fast(FastQuorum::Optimized),
            epaxos_slow: slow(FastQuorum::Optimized),
            epaxos_simple_fast: fast(FastQuorum::Simple),
            epaxos_simple_slow: slow(FastQuorum::Simple),
            paxos: Promise::new(sites, |site| paxos_ns(sites, site)),
            multi_paxos: ReplicaId::all(sites.count()).map(under).collect(),
        }
    }

    /// The leader under which Multi-Paxos takes least on average, the first of several.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn best_leader_by_mean(&self) -> usize {
        self.best_leader(Promise::sum_ns)
    }

    /// The leader under which the site that waits longest waits least; of several the one with the least mean.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn best_leader_by_worst(&self) -> usize {
        self.best_leader(|promise| (promise.worst().1, promise.sum_ns()))
    }

    fn best_leader<K: Ord>(&self, key: impl Fn(&Promise) -> K) -> usize {
        let leaders = 0..self.multi_paxos.len();
        leaders.min_by_key(|leader| key(&self.multi_paxos[*leader])).expect("a cluster has sites")
    }
}
