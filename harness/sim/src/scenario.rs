//! Everything about a run.

use std::time::Duration;

use driver::storage::Owner;
use protocols::{Config, Protocol, Replica, ReplicaId, config::Timeouts, quorum::nearest};

use crate::{
    client::Load, cost::Costs, fault::FaultPlan, liveness::ProgressAsked, network::Network,
    store::Storage,
};

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
    /// Which of its values each option has that hostile schedules draw and the configuration does
    /// not give, counted from 0; none leaves those options at their defaults.
    pub option_draw: Option<usize>,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How replicas keep what must last. Nothing is kept where no replica restarts.
    pub storage: Storage,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How long after the last fault the cluster may go without progress and not be at rest, in
    /// simulated nanoseconds. Progress is a client's having its answer or giving up, or a decision
    /// of what was proposed.
    pub settle_ns_max: u64,
    /// What progress is asked for while faults last. None: the faults end, and the cluster must
    /// come to rest.
    pub progress: Option<ProgressAsked>,
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
    /// What `replica` of `protocol` is told: the same as all, and where the protocol asks the
    /// nearest first, which those are by their round trips.
    pub(crate) fn config_of(&self, protocol: Protocol, replica: ReplicaId) -> Config {
        let mut config = self.config;
        let count = protocol.nearest.and_then(|nearest| nearest(&config));
        if let Some(count) = count.filter(|_| config.nearest.is_none()) {
            let (way, here) = (&self.network.one_way_ns, replica.index());
            let round_trip = |other: ReplicaId| way[here][other.index()] + way[other.index()][here];
            config.nearest = Some(nearest(replica, config.replicas, count, round_trip));
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
            option_draw: None,
            faults: FaultPlan::none(),
            storage: Storage { synced: true, group_ns: 0..=0, log_bytes_kept: None },
            seed,
            settle_ns_max: 120_000_000_000,
            progress: None,
            trace_lines_max: 200,
        }
    }

    /// The cluster of this scenario when `protocol` is run.
    pub(crate) fn cluster(&self, protocol: Protocol, trace_lines_max: usize) -> Cluster {
        let mut config = self.config;
        for (place, option) in protocol.options.iter().enumerate() {
            let drawn = self.option_draw.filter(|_| config.options.get(place).is_none());
            let drawn = drawn.and_then(|draw| option.hostile.iter().cycle().nth(draw));
            if let Some(value) = drawn {
                config.options.set(protocol, place, *value);
            }
        }
        Cluster {
            config,
            network: self.network.clone(),
            costs: self.costs,
            seed: self.seed,
            storage: self.faults.restarts().then(|| self.storage.clone()),
            counts_bytes: !self.costs.is_none(),
            trace_lines_max,
        }
    }
}

/// Timeouts that no undisturbed message outlasts: chosen as two round trips before a message is
/// sent again (both phases of a slow path fit), five before a leader or an owner is given up.
fn timeouts(round_trip_ns_max: u64) -> Timeouts {
    let round_trip = Duration::from_nanos(round_trip_ns_max.max(1_000_000));
    Timeouts { retransmit: 2 * round_trip, election: 5 * round_trip, recovery: 5 * round_trip }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocols::{
        epaxos::{self, ConflictWindow, Execution, FastQuorum, Variant},
        options::Setting,
        paxos::{self, Window},
    };

    use super::*;
    use crate::{Hostility, hostile};

    const HOSTILITY: Hostility = Hostility { replicas: Some(5), faults: 6, crashes: true };

    #[test]
    fn a_hostile_schedule_draws_the_options_that_say_so_and_no_other() {
        let window_of = |scenario: &Scenario| {
            let Window(window) = scenario.cluster(paxos::PROTOCOL, 0).config.options.of();
            window
        };
        let drawn: BTreeSet<u32> =
            (0..30).map(|seed| window_of(&hostile(seed, &HOSTILITY))).collect();
        assert_eq!(drawn, BTreeSet::from([1, 2, 3]));
        let mut given = hostile(0, &HOSTILITY);
        given.config.options.put(Window(8));
        assert_eq!(window_of(&given), 8, "what is given stays");
        let options = hostile(0, &HOSTILITY).cluster(epaxos::PROTOCOL, 0).config.options;
        assert_eq!((options.of(), options.of()), (Variant::Star, FastQuorum::Optimized));
        let drawn = (0..200).map(|seed| {
            let options = hostile(seed, &HOSTILITY).cluster(epaxos::PROTOCOL, 0).config.options;
            (options.of::<Execution>().name(), options.of::<ConflictWindow>().to_number())
        });
        let all = BTreeSet::from([("closed", 0), ("bounded", 0), ("bounded", 1)]);
        assert_eq!(drawn.collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn the_nearest_are_told_to_those_that_ask_them_first() {
        let mut scenario = hostile(0, &HOSTILITY);
        let cluster = scenario.cluster(epaxos::PROTOCOL, 0);
        assert_eq!(cluster.config_of(epaxos::PROTOCOL, ReplicaId(1)).nearest, None);
        scenario.config.options.put(Variant::Sosp13);
        let mut cluster = scenario.cluster(epaxos::PROTOCOL, 0);
        cluster.network.one_way_ns = vec![vec![7; 5]; 5];
        cluster.network.one_way_ns[1][2] = 9;
        let nearest = cluster.config_of(epaxos::PROTOCOL, ReplicaId(1)).nearest.unwrap();
        assert_eq!(nearest, [0, 3, 4].map(ReplicaId).into_iter().collect());
    }
}
