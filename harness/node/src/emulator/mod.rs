//! A worse network than the loopback, between the replicas and clients of one host: what links are asked to be like, and
//! the emulation of it.
//!
//! There are two layers, and results name the one that was used. **Packets** are the datagrams under QUIC: a socket of
//! its own kind (`socket`) delays, loses, doubles, holds back and cuts off each on its own, and QUIC hides losses
//! and doubles from the protocols, at the price of time. **Messages** are the protocols' own, above QUIC (`messages`):
//! what is lost or doubled there the protocols see themselves. Beside them a replica can be slowed (`slow`).
//!
//! Every replica impairs what it sends to the others, and each site's clients impair both what they send and what they
//! receive, so that a change is told to all of them. An operator's line is never impaired.
//!
//! **Invariants.** Without a [`NetworkPlan`] there is no such socket at all. Every draw is seeded by the plan, per directed
//! pair of sites. What was asked is added up per packet as it passes ([`measure::LayerReport`]), beside what was done, so
//! that both stay comparable however often links change.

pub(crate) mod messages;
mod queue;
pub(crate) mod slow;
pub(crate) mod socket;
mod way;

use std::time::Duration;

use protocols::{ReplicaId, ReplicaSet};
use serde::{Deserialize, Serialize};

use crate::NodeError;

/// chosen: an hour one way; more is a typing error.
const ONE_WAY_NS_MAX: u64 = 3_600_000_000_000;

/// What the network between the sites of a cluster is like when it starts, one replica at each site. Plain data, the
/// same for all replicas and clients of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How long a packet takes from the first site to the second, in nanoseconds; square.
    pub one_way_ns: Vec<Vec<u64>>,
    /// The most that is added to that, uniformly drawn from 0 on; square. A range wider than the gap between two packets
    /// reorders them.
    pub jitter_ns: Vec<Vec<u64>>,
    /// The longest that a round trip may ever take, changes to come included: timeouts of QUIC outlast it.
    pub round_trip_ns_max: u64,
}

impl NetworkPlan {
    /// A cluster of `replicas` on the bare loopback, whose links may be changed later.
    pub fn flat(replicas: usize, seed: u64) -> Self {
        let zero = vec![vec![0; replicas]; replicas];
        Self { seed, one_way_ns: zero.clone(), jitter_ns: zero, round_trip_ns_max: 0 }
    }

    /// The longest round trip between two sites as the plan begins, jitter included.
    pub fn first_round_trip_max(&self) -> Duration {
        let n = self.one_way_ns.len();
        let one_way = |a: usize, b: usize| self.one_way_ns[a][b] + self.jitter_ns[a][b];
        let round_trips = (0..n).flat_map(|b| (0..b).map(move |a| (a, b)));
        let longest = round_trips.map(|(a, b)| one_way(a, b) + one_way(b, a)).max();
        Duration::from_nanos(longest.unwrap_or(0))
    }

    /// The longest round trip that the plan or a change to come makes.
    pub fn round_trip_max(&self) -> Duration {
        self.first_round_trip_max().max(Duration::from_nanos(self.round_trip_ns_max))
    }

    /// Refuses a plan that is not for `replicas`.
    ///
    /// # Errors
    /// If a matrix is of another size, or a delay beyond an hour.
    pub fn check(&self, replicas: usize) -> Result<(), NodeError> {
        for (name, matrix) in [("one_way_ns", &self.one_way_ns), ("jitter_ns", &self.jitter_ns)] {
            let square = matrix.len() == replicas && matrix.iter().all(|row| row.len() == replicas);
            if !square {
                return Err(NodeError::Options(format!(
                    "the network's {name} is no matrix of {replicas} by {replicas}, which {replicas} replicas take"
                )));
            }
            if matrix.iter().flatten().any(|ns| *ns > ONE_WAY_NS_MAX) {
                return Err(NodeError::Options(format!(
                    "the network's {name} holds more than an hour: use nanoseconds"
                )));
            }
        }
        if self.round_trip_ns_max > 2 * ONE_WAY_NS_MAX {
            let text = "the network's round_trip_ns_max is more than two hours: use nanoseconds";
            return Err(NodeError::Options(text.to_owned()));
        }
        Ok(())
    }
}

/// Where a link is made worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// Datagrams, under QUIC.
    Packet,
    /// Messages between replicas, above QUIC.
    Message,
}

/// What is changed while a cluster runs. It is told to every replica and to the clients of every site; each takes of it
/// what concerns the ways that it impairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NetworkChange {
    /// No packet of the first of a pair reaches the second, in addition to what was cut off before.
    Partition {
        /// Senders and receivers.
        blocked: Vec<(ReplicaId, ReplicaId)>,
    },
    /// Every partition ends. What else was changed stays.
    Heal,
    /// Some links are worse from now on, or better again.
    Links(LinkChange),
    /// The replica that is told, alone, takes so many times its CPU time; 1 is normal again.
    Slow {
        /// How many times.
        factor: f64,
    },
}

/// Worse links. What is `None` stays as it was; zero ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkChange {
    /// Of packets or of messages. Messages are not held back and know no bandwidth.
    pub layer: Layer,
    /// What these send.
    pub from: ReplicaSet,
    /// To these.
    pub to: ReplicaSet,
    /// Share that is lost, 0 to 1.
    pub loss_rate: Option<f64>,
    /// Share that arrives twice, 0 to 1.
    pub duplicate_rate: Option<f64>,
    /// Added one way.
    pub delay_ns: Option<u64>,
    /// The most that is added beyond that, uniformly drawn from 0 on.
    pub jitter_ns: Option<u64>,
    /// Share that is held back, so that later ones overtake it, 0 to 1.
    pub reorder_rate: Option<f64>,
    /// How many bytes a second go one way; infinite is no limit.
    pub bytes_per_s: Option<f64>,
}

impl LinkChange {
    /// No change at all, of every link of a cluster of `replicas`.
    pub fn of_all(layer: Layer, replicas: usize) -> Self {
        let all = ReplicaSet::all(replicas);
        Self {
            layer,
            from: all,
            to: all,
            loss_rate: None,
            duplicate_rate: None,
            delay_ns: None,
            jitter_ns: None,
            reorder_rate: None,
            bytes_per_s: None,
        }
    }

    /// Is anything of it worse than nothing?
    fn impairs(&self) -> bool {
        let rates = [self.loss_rate, self.duplicate_rate, self.reorder_rate];
        let delays_ns = [self.delay_ns, self.jitter_ns];
        rates.into_iter().flatten().any(|rate| rate > 0.0)
            || delays_ns.into_iter().flatten().any(|ns| ns > 0)
            || self.bytes_per_s.is_some_and(f64::is_finite)
    }
}

impl NetworkChange {
    /// Nothing that one of `from` sends reaches one of `to`.
    pub fn one_way(from: ReplicaSet, to: ReplicaSet) -> Self {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from, to)));
        Self::Partition { blocked: pairs.filter(|(from, to)| from != to).collect() }
    }

    /// Replicas hear their own group alone.
    pub fn split(groups: &[ReplicaSet]) -> Self {
        let apart = |group: &ReplicaSet| {
            let others = groups.iter().filter(|other| *other != group);
            let others = others.fold(ReplicaSet::EMPTY, |all, other| all.union(*other));
            match Self::one_way(*group, others) {
                Self::Partition { blocked } => blocked,
                _ => Vec::new(),
            }
        };
        Self::Partition { blocked: groups.iter().flat_map(apart).collect() }
    }

    /// Every change so far but the topology ends: links are as the plan began, and a slowed replica is normal again.
    pub fn ends(replicas: usize) -> Vec<Self> {
        let undone = |layer| LinkChange {
            loss_rate: Some(0.0),
            duplicate_rate: Some(0.0),
            delay_ns: Some(0),
            jitter_ns: Some(0),
            reorder_rate: Some(0.0),
            bytes_per_s: Some(f64::INFINITY),
            ..LinkChange::of_all(layer, replicas)
        };
        vec![
            Self::Heal,
            Self::Links(undone(Layer::Packet)),
            Self::Links(undone(Layer::Message)),
            Self::Slow { factor: 1.0 },
        ]
    }

    /// Does it impair packets, so that a replica that runs without an emulated network cannot carry it out? There is nothing
    /// to undo in such a replica, so that a change that only makes packets fare well again is none.
    pub fn impairs_packets(&self) -> bool {
        match self {
            Self::Partition { blocked } => !blocked.is_empty(),
            Self::Links(change) => change.layer == Layer::Packet && change.impairs(),
            Self::Heal | Self::Slow { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u8]) -> ReplicaSet {
        ids.iter().map(|id| ReplicaId(*id)).collect()
    }

    fn blocked(change: NetworkChange) -> Vec<(u8, u8)> {
        let NetworkChange::Partition { blocked } = change else { panic!("{change:?}") };
        blocked.into_iter().map(|(from, to)| (from.0, to.0)).collect()
    }

    #[test]
    fn a_split_cuts_both_ways_between_groups_and_nothing_inside_one() {
        let split = NetworkChange::split(&[set(&[0]), set(&[1, 2])]);
        assert_eq!(blocked(split), [(0, 1), (0, 2), (1, 0), (2, 0)]);
        let one_way = NetworkChange::one_way(set(&[0, 1]), set(&[1, 2]));
        assert_eq!(blocked(one_way), [(0, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn what_only_undoes_takes_no_emulated_network() {
        assert!(NetworkChange::ends(3).iter().all(|change| !change.impairs_packets()));
        let mut links = LinkChange::of_all(Layer::Packet, 3);
        links.jitter_ns = Some(1);
        assert!(NetworkChange::Links(links.clone()).impairs_packets());
        links.layer = Layer::Message;
        assert!(!NetworkChange::Links(links).impairs_packets());
        assert!(NetworkChange::one_way(set(&[0]), set(&[1])).impairs_packets());
    }

    #[test]
    fn a_plan_for_another_cluster_is_refused_in_words() {
        let plan = NetworkPlan::flat(3, 1);
        assert!(plan.check(3).is_ok());
        let error = plan.check(5).unwrap_err().to_string();
        assert!(error.contains("one_way_ns is no matrix of 5 by 5"), "{error}");
        let mut far = NetworkPlan::flat(3, 1);
        far.one_way_ns[0][1] = ONE_WAY_NS_MAX + 1;
        assert!(far.check(3).unwrap_err().to_string().contains("more than an hour"));
    }

    #[test]
    fn the_longest_round_trip_is_the_pairs_or_one_that_is_to_come() {
        let mut plan = NetworkPlan::flat(3, 1);
        (plan.one_way_ns[0][2], plan.one_way_ns[2][0], plan.jitter_ns[2][0]) = (5, 6, 7);
        assert_eq!(plan.round_trip_max(), Duration::from_nanos(18));
        plan.round_trip_ns_max = 100;
        assert_eq!(plan.round_trip_max(), Duration::from_nanos(100));
        assert_eq!(plan.first_round_trip_max(), Duration::from_nanos(18));
    }
}
