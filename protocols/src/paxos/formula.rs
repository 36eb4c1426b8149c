//! What latency to expect of Paxos: 2 · q(s, majority) where nobody else proposes, both phases one
//! after the other.

use crate::{
    ReplicaId,
    formula::{LatencyQuestion, Prediction, Promised, RoundTrips, When},
};

pub(super) const PROMISES: [Promised; 1] = [Promised {
    when: When::Undisturbed,
    heading: ["Paxos", "uncontended"],
    key: "paxos_uncontended_ms",
    ns: |round_trips, site, _: ReplicaId| alone_ns(round_trips, site),
}];

/// A command while nobody else proposes.
pub fn alone_ns(round_trips: &RoundTrips, site: usize) -> u64 {
    round_trips.two_rounds_ns(site)
}

pub(super) fn latency(asked: &LatencyQuestion<'_>) -> Prediction {
    if asked.isolated {
        Prediction::Exactly(alone_ns(asked.round_trips, asked.site))
    } else {
        Prediction::Nothing("proposers compete")
    }
}
