//! What round trips alone promise a cluster, protocol by protocol: the protocols' own promises for
//! every site and every leader.

use protocols::{
    Protocol, ReplicaId,
    formula::{Promised, When},
    registry,
};

use crate::sites::Sites;

/// Commit latencies by site, in nanoseconds, of commands that come in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise(Vec<u64>);

impl Promise {
    fn new(sites: usize, formula: impl Fn(usize) -> u64) -> Self {
        Self((0..sites).map(formula).collect())
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

/// What one protocol promises in one case.
#[derive(Clone, Debug)]
pub struct Promising {
    /// Who.
    pub protocol: Protocol,
    /// In which case, and what that is called.
    pub facts: &'static Promised,
    /// Under each leader where there is a stable one, replica 0 first; else there is one promise.
    pub by_leader: Vec<Promise>,
}

/// What a matrix promises a cluster in which nothing takes time but the network, nothing fails and
/// there is no jitter.
#[derive(Clone, Debug)]
pub struct Promises {
    /// The sites' names, replica 0's first.
    pub sites: Vec<String>,
    /// Of every protocol that promises something: those with a fast path first, those with a stable
    /// leader last.
    pub all: Vec<Promising>,
}

impl Promises {
    /// What `sites` promise.
    pub fn new(sites: &Sites) -> Self {
        let round_trips = sites.round_trips();
        let mut protocols = registry::all();
        protocols.sort_by_key(|protocol| (protocol.has_stable_leader, !protocol.has_fast_path));
        let leaders =
            |protocol: Protocol| if protocol.has_stable_leader { sites.count() } else { 1 };
        let promising = |(protocol, facts): (Protocol, &'static Promised)| {
            let under =
                |leader| Promise::new(sites.count(), |site| (facts.ns)(&round_trips, site, leader));
            let by_leader = ReplicaId::all(leaders(protocol)).map(under).collect();
            Promising { protocol, facts, by_leader }
        };
        let promised = protocols
            .into_iter()
            .flat_map(|protocol| protocol.facts().promises.iter().map(move |of| (protocol, of)));
        Self { sites: sites.names.clone(), all: promised.map(promising).collect() }
    }

    /// The first promise of a protocol for such commands; none if it makes none.
    pub fn of(&self, protocol: Protocol, when: When) -> Option<&Promising> {
        self.all.iter().find(|of| of.protocol == protocol && of.facts.when == when)
    }
}

impl Promising {
    /// The leader under which it takes least on average, the first of several.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn best_leader_by_mean(&self) -> usize {
        self.best_leader(Promise::sum_ns)
    }

    /// The leader under which the site that waits longest waits least; of several the one with the
    /// least mean.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn best_leader_by_worst(&self) -> usize {
        self.best_leader(|promise| (promise.worst().1, promise.sum_ns()))
    }

    /// The promise under the leader of [`Promising::best_leader_by_mean`], or the only one.
    ///
    /// # Panics
    /// If there are no sites.
    pub fn best(&self) -> &Promise {
        &self.by_leader[self.best_leader_by_mean()]
    }

    fn best_leader<K: Ord>(&self, key: impl Fn(&Promise) -> K) -> usize {
        let leaders = 0..self.by_leader.len();
        leaders.min_by_key(|leader| key(&self.by_leader[*leader])).expect("a cluster has sites")
    }
}
