//! Everything about a run.

use std::time::Duration;

use driver::storage::Owner;
use protocols::{
    Config, Replica, ReplicaId,
    config::{Timeouts, Variant},
    quorum::fixed_fast_quorum,
};

use crate::{client::Load, cost::Costs, fault::FaultPlan, network::Network, store::Storage};

/// Everything about a run. Equal scenarios give equal runs.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the cores are told.
    pub config: Config,
    /// The network without faults; as many sites as replicas.
    pub network: Network,
    /// What work costs the replicas.
    pub costs: Costs,
    /// What the clients do.
    pub load: Load,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How replicas keep what must last. Nothing is kept where no replica restarts.
    pub storage: Storage,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How long after the last fault the cluster may go without progress and not be at rest, in simulated
    /// nanoseconds. Progress is a client's having its answer, or a decision of what was proposed.
    pub settle_ns_max: u64,
    /// How many events a violation tells of.
    pub trace_lines_max: usize,
}

/// What a simulation is of, without what happens to it: no clients, no faults.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What the cores are told.
    pub config: Config,
    /// The network without faults; as many sites as replicas.
    pub network: Network,
    /// What work costs the replicas.
    pub costs: Costs,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How replicas keep what must last. None: in no way, and a replica that crashed stays down.
    pub storage: Option<Storage>,
    /// Are the bytes of messages counted? They are wherever bytes cost something.
    pub counts_bytes: bool,
    /// How many events are written down, the last ones; none at 0.
    pub trace_lines_max: usize,
}

impl Cluster {
    /// What `replica` is told: the same as all, and in EPaxos' published variant whom it sends its proposals to, the nearest
    /// by their round trips.
    pub(crate) fn config_of(&self, replica: ReplicaId) -> Config {
        let mut config = self.config;
        if config.variant == Variant::Sosp13 && config.thrifty.is_none() {
            let (way, here) = (&self.network.one_way_ns, replica.index());
            let round_trip = |other: ReplicaId| way[here][other.index()] + way[other.index()][here];
            config.thrifty = Some(fixed_fast_quorum(replica, config.replicas, round_trip));
        }
        config
    }
}

impl Cluster {
    /// What the life of a replica draws from, the first one being 0.
    pub(crate) fn seed_of(&self, replica: ReplicaId, life: u32) -> u64 {
        let place = u64::from(life) << 8 | u64::from(replica.0);
        self.seed ^ (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The replica to which a data directory belongs.
    pub(crate) fn owner<R: Replica>(&self, replica: ReplicaId) -> Owner {
        Owner {
            cluster: format!("seed-{}", self.seed),
            replica,
            protocol: R::PROTOCOL,
            config: self.config,
        }
    }
}

impl Scenario {
    /// A scenario without faults, its timeouts fitted to the network's largest round trip.
    pub fn new(network: Network, load: Load, seed: u64) -> Self {
        let mut config = Config::new(network.one_way_ns.len());
        let jitter = 2 * network.jitter_ns_max();
        config.timeouts = timeouts(network.round_trip_ns_max() + jitter);
        Self {
            config,
            network,
            costs: Costs::NONE,
            load,
            faults: FaultPlan::none(),
            storage: Storage { synced: true, group_ns: 0..=0, log_bytes_kept: None },
            seed,
            settle_ns_max: 120_000_000_000,
            trace_lines_max: 200,
        }
    }

    /// The cluster of this scenario.
    pub(crate) fn cluster(&self, trace_lines_max: usize) -> Cluster {
        Cluster {
            config: self.config,
            network: self.network.clone(),
            costs: self.costs,
            seed: self.seed,
            storage: self.faults.restarts().then(|| self.storage.clone()),
            counts_bytes: !self.costs.is_none(),
            trace_lines_max,
        }
    }
}

/// Timeouts that no undisturbed message outlasts: chosen as two round trips before a message is sent again (both phases
/// of a slow path fit), five before a leader or an owner is given up.
fn timeouts(round_trip_ns_max: u64) -> Timeouts {
    let round_trip = Duration::from_nanos(round_trip_ns_max.max(1_000_000));
    Timeouts { retransmit: 2 * round_trip, election: 5 * round_trip, recovery: 5 * round_trip }
}
