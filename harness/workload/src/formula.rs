//! What latency to expect of a protocol at a site, from the matrix of sites alone.
//!
//! q(s, k) is the round trip from site s to its k-th nearest replica, itself the first. Near is whose answer comes first:
//! where the two directions of a pair differ, a round trip is both delays together. Commands come in at the site's own
//! replica, nothing takes time but the network, and nothing fails. Then a command commits after
//!
//! | protocol | time |
//! |---|---|
//! | EPaxos, fast path | q(s, fast quorum) |
//! | EPaxos, slow path | that + q(s, majority), at most; in the published variant exactly |
//! | EPaxos, published variant, N = 3 | q(s, 2): every command takes the fast path, whatever conflicts |
//! | Multi-Paxos | round trip of s and the leader + q(leader, majority) |
//! | Paxos, uncontended | 2 · q(s, majority) |
//!
//! and where it waits for no other command, that is when it is executed and answered as well.

use protocols::{
    Protocol, ReplicaId,
    config::{FastQuorum, Variant},
    quorum::{EpaxosQuorums, majority},
};

use crate::{
    model::{Arrival, Keys, Routing, Workload},
    plan::Point,
    sites::Sites,
};

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

impl Sites {
    /// q(s, k): the round trip from `site` to its `k`-th nearest replica, itself the first.
    ///
    /// # Panics
    /// If there are fewer than `k` sites, or `k` is 0.
    pub fn q_ns(&self, site: usize, k: usize) -> u64 {
        let mut round_trips: Vec<u64> =
            (0..self.count()).map(|other| self.round_trip_ns(site, other)).collect();
        round_trips.sort_unstable();
        round_trips[k - 1]
    }
}

/// EPaxos without conflicts.
pub fn epaxos_fast_ns(sites: &Sites, site: usize, kind: FastQuorum) -> u64 {
    sites.q_ns(site, EpaxosQuorums::new(sites.count(), kind).fast())
}

/// EPaxos where a conflict was met, at most. (A command leader that has heard enough different replies goes on earlier
/// where its fast quorum is larger than a majority.)
pub fn epaxos_slow_ns(sites: &Sites, site: usize, kind: FastQuorum) -> u64 {
    epaxos_fast_ns(sites, site, kind) + sites.q_ns(site, majority(sites.count()))
}

/// Multi-Paxos under a leader that stays.
pub fn multi_paxos_ns(sites: &Sites, site: usize, leader: ReplicaId) -> u64 {
    let leader = leader.index();
    sites.round_trip_ns(site, leader) + sites.q_ns(leader, majority(sites.count()))
}

/// Paxos where nobody else proposes at the time.
pub fn paxos_ns(sites: &Sites, site: usize) -> u64 {
    2 * sites.q_ns(site, majority(sites.count()))
}

impl Workload {
    /// When a command of `protocol` that comes in at `site` commits in a run at `point`, from its coming in there.
    pub fn prediction(&self, protocol: Protocol, point: &Point, site: usize) -> Prediction {
        let Some(sites) = self.sites(point.replicas) else {
            return Prediction::Nothing("there is no topology");
        };
        if let Some(why) = self.disturbance(&sites, point) {
            return Prediction::Nothing(why);
        }
        if point.clients.at(site) == 0 {
            return Prediction::Nothing("there are no clients");
        }
        let isolated = is_isolated(&sites, point);
        match protocol {
            Protocol::Paxos if isolated => Prediction::Exactly(paxos_ns(&sites, site)),
            Protocol::Paxos => Prediction::Nothing("proposers compete"),
            Protocol::MultiPaxos => Prediction::Exactly(multi_paxos_ns(&sites, site, point.leader)),
            Protocol::EPaxos
                if isolated || point.keys == (Keys::Conflict { conflict_rate: 0.0 }) =>
            {
                Prediction::Exactly(epaxos_fast_ns(&sites, site, point.fast_quorum))
            }
            // The one reply that a fast quorum takes is identical to itself.
            Protocol::EPaxos if self.epaxos.variant == Variant::Sosp13 && point.replicas == 3 => {
                Prediction::Exactly(epaxos_fast_ns(&sites, site, point.fast_quorum))
            }
            Protocol::EPaxos => {
                let fast_ns = epaxos_fast_ns(&sites, site, point.fast_quorum);
                // Two rounds to a majority, once enough replies differ, may be shorter than one to a fast quorum.
                let two_rounds_ns = match self.epaxos.variant {
                    Variant::Star => paxos_ns(&sites, site),
                    // It waits for all of its fixed fast quorum in any case.
                    Variant::Sosp13 => fast_ns,
                };
                let slow_ns = epaxos_slow_ns(&sites, site, point.fast_quorum);
                Prediction::Between(fast_ns.min(two_rounds_ns), slow_ns)
            }
        }
    }

    /// What there is beside the matrix.
    fn disturbance(&self, sites: &Sites, point: &Point) -> Option<&'static str> {
        let disturbances = [
            (!self.costs_nothing(), "service times are not zero"),
            (!sites.is_steady(), "there is jitter"),
            (!self.faults.is_empty(), "there are faults"),
            (point.routing != Routing::Local, "clients ask other sites"),
            (waits_for_company(point), "commands wait for others"),
        ];
        disturbances.into_iter().find_map(|(disturbed, why)| disturbed.then_some(why))
    }
}

/// Does a command wait for others before it is proposed?
fn waits_for_company(point: &Point) -> bool {
    point.batching.is_on() && !point.batching.delay.is_zero()
}

/// Is every command decided, and known to be so everywhere, before the next one comes in at any site?
///
/// Only an open loop with equal gaps knows that beforehand. Its sites take turns. The slowest command is one of Paxos,
/// and the farthest site hears of it last.
fn is_isolated(sites: &Sites, point: &Point) -> bool {
    let Some(rate) = point.open_rate().filter(|_| point.arrival == Arrival::Constant) else {
        return false;
    };
    let heard_ns = |site: usize| sites.one_way_ns[site].iter().max().copied().unwrap_or(0);
    let known_ns_max =
        (0..sites.count()).map(|site| paxos_ns(sites, site) + heard_ns(site)).max().unwrap_or(0);
    1e9 / rate > known_ns_max as f64
}
