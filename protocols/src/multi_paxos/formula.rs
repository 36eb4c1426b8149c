//! What latency to expect of Multi-Paxos under a leader that stays: the round trip of s and the
//! leader, which clients of the leader's site do not wait for, + q(leader, majority).

use crate::{
    ReplicaId,
    formula::{LatencyQuestion, Prediction, Promised, RoundTrips, When},
    quorum::majority,
};

pub(super) const PROMISES: [Promised; 1] = [Promised {
    when: When::Undisturbed,
    heading: ["Multi-Paxos", "leader"],
    key: "multi_paxos_ms_by_leader",
    ns: led_ns,
}];

/// A command under a leader that stays.
pub fn led_ns(round_trips: &RoundTrips, site: usize, leader: ReplicaId) -> u64 {
    let leader = leader.index();
    round_trips.ns(site, leader) + round_trips.q_ns(leader, majority(round_trips.count()))
}

pub(super) fn latency(asked: &LatencyQuestion<'_>) -> Prediction {
    Prediction::Exactly(led_ns(asked.round_trips, asked.site, asked.leader))
}
