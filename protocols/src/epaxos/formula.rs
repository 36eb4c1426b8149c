//! What latency to expect of EPaxos.
//!
//! | path | time |
//! |---|---|
//! | fast | q(s, fast quorum) |
//! | slow | that + q(s, majority), at most; in the published variant exactly |
//! | the published variant, N = 3 | q(s, 2): every command takes the fast path, whatever conflicts |
//!
//! A command that waits for the window of its key commits later than that.

use super::{
    options::{ConflictWindow, FastQuorum, Variant, fast_quorum_of},
    quorums::EpaxosQuorums,
};
use crate::{
    formula::{FastQuorumSize, LatencyQuestion, Prediction, Promised, RoundTrips, When},
    quorum::majority,
};

pub(super) const FAST_QUORUMS: [FastQuorumSize; 2] = [
    FastQuorumSize {
        name: FastQuorum::Optimized.name(),
        of: |replicas| EpaxosQuorums::new(replicas, FastQuorum::Optimized).fast(),
    },
    FastQuorumSize {
        name: FastQuorum::Simple.name(),
        of: |replicas| EpaxosQuorums::new(replicas, FastQuorum::Simple).fast(),
    },
];

pub(super) const PROMISES: [Promised; 4] = [
    Promised {
        when: When::Undisturbed,
        heading: ["EPaxos fast", "optimized"],
        key: "epaxos_fast_optimized_ms",
        ns: |round_trips, site, _| fast_ns(round_trips, site, FastQuorum::Optimized),
    },
    Promised {
        when: When::SlowPath,
        heading: ["slow at most", "optimized"],
        key: "epaxos_slow_optimized_ms_max",
        ns: |round_trips, site, _| slow_ns(round_trips, site, FastQuorum::Optimized),
    },
    Promised {
        when: When::Undisturbed,
        heading: ["fast", "simple"],
        key: "epaxos_fast_simple_ms",
        ns: |round_trips, site, _| fast_ns(round_trips, site, FastQuorum::Simple),
    },
    Promised {
        when: When::SlowPath,
        heading: ["slow at most", "simple"],
        key: "epaxos_slow_simple_ms_max",
        ns: |round_trips, site, _| slow_ns(round_trips, site, FastQuorum::Simple),
    },
];

/// A command without conflicts.
pub fn fast_ns(round_trips: &RoundTrips, site: usize, kind: FastQuorum) -> u64 {
    round_trips.q_ns(site, EpaxosQuorums::new(round_trips.count(), kind).fast())
}

/// A command that met a conflict, at most. (A command leader that has heard enough different
/// replies goes on earlier where its fast quorum is larger than a majority.)
pub fn slow_ns(round_trips: &RoundTrips, site: usize, kind: FastQuorum) -> u64 {
    fast_ns(round_trips, site, kind) + round_trips.q_ns(site, majority(round_trips.count()))
}

pub(super) fn latency(asked: &LatencyQuestion<'_>) -> Prediction {
    let (round_trips, site) = (asked.round_trips, asked.site);
    let variant = asked.options.of::<Variant>();
    let kind = fast_quorum_of(asked.options);
    let fast_ns = fast_ns(round_trips, site, kind);
    // At N = 3 the one reply that a fixed fast quorum takes is identical to itself.
    let always_fast = variant == Variant::Sosp13 && round_trips.count() == 3;
    if asked.isolated || asked.without_conflicts {
        return Prediction::Exactly(fast_ns);
    }
    if asked.options.of::<ConflictWindow>() != ConflictWindow::of(0) {
        return Prediction::Nothing("commands wait for the window of their key");
    }
    if always_fast {
        return Prediction::Exactly(fast_ns);
    }
    // Two rounds to a majority, once enough replies differ, may be shorter than one to a fast
    // quorum.
    let two_rounds_ns = match variant {
        Variant::Star => round_trips.two_rounds_ns(site),
        // It waits for all of its fixed fast quorum in any case.
        Variant::Sosp13 => fast_ns,
    };
    Prediction::Between(fast_ns.min(two_rounds_ns), slow_ns(round_trips, site, kind))
}
