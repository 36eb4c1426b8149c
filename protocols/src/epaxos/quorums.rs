//! EPaxos' quorums, each with its source. Every quorum includes the replica that collects it.

use super::options::FastQuorum;
use crate::{
    id::{ReplicaId, ReplicaSet},
    quorum::{faults_tolerated, nearest},
};

/// The fixed fast quorum of `replica` without itself, for the published variant: those 2F−1 others
/// with the least `distance`, of equally distant ones those whose numbers come next. (S13 §4.3.1,
/// "thrifty" in §6.1)
pub fn fixed_fast_quorum(
    replica: ReplicaId,
    replicas: usize,
    distance: impl Fn(ReplicaId) -> u64,
) -> ReplicaSet {
    nearest(replica, replicas, 2 * faults_tolerated(replicas) - 1, distance)
}

/// The quorums of a cluster of `replicas`.
///
/// A fast-path commit is safe with N−E matching replies while at most E replicas failed, under
/// N ≥ max(2E+F−1, 2F+1) and E ≤ F (STAR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpaxosQuorums {
    /// N, the cluster's size.
    pub replicas: usize,
    /// F, how many may crash in all.
    pub faults: usize,
    /// E, how many may fail to match before the fast path is lost.
    pub fast_faults: usize,
}

impl EpaxosQuorums {
    /// The quorums of a cluster of `replicas`.
    ///
    /// `Optimized` takes E = min(F, ⌊(F+2)/2⌋), so that the fast quorum is F+⌊(F+1)/2⌋ (S13 §4.3.2,
    /// STAR); `Simple` takes the fast quorum 2F, that is E = N−2F (S13 §4.3.1).
    pub fn new(replicas: usize, kind: FastQuorum) -> Self {
        let faults = faults_tolerated(replicas);
        let fast_faults = match kind {
            FastQuorum::Optimized => faults.min((faults + 2) / 2),
            FastQuorum::Simple => replicas - 2 * faults,
        };
        Self { replicas, faults, fast_faults }
    }

    /// N−F: slow path and recovery.
    pub const fn slow(self) -> usize {
        self.replicas - self.faults
    }

    /// N−E: fast path.
    pub const fn fast(self) -> usize {
        self.replicas - self.fast_faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::majority;

    /// The table of the design: (N, F, slow, fast optimized, fast simple).
    const TABLE: [(usize, usize, usize, usize, usize); 4] =
        [(3, 1, 2, 2, 2), (5, 2, 3, 3, 4), (7, 3, 4, 5, 6), (9, 4, 5, 6, 8)];

    #[test]
    fn sizes_are_those_of_the_papers() {
        for (n, f, slow, optimized, simple) in TABLE {
            assert_eq!(faults_tolerated(n), f);
            assert_eq!(majority(n), slow);
            let (o, s) = (
                EpaxosQuorums::new(n, FastQuorum::Optimized),
                EpaxosQuorums::new(n, FastQuorum::Simple),
            );
            assert_eq!((o.slow(), o.fast(), s.slow(), s.fast()), (slow, optimized, slow, simple));
            assert_eq!(o.fast(), f + f.div_ceil(2), "F + floor((F+1)/2) at N = {n}");
            assert_eq!(s.fast(), 2 * f);
        }
    }

    #[test]
    fn the_bound_on_e_holds_and_is_tight_for_the_optimized_quorum() {
        for n in (3..=51).step_by(2) {
            let q = EpaxosQuorums::new(n, FastQuorum::Optimized);
            let holds = |e: usize| n + 1 >= 2 * e + q.faults && e <= q.faults;
            assert!(holds(q.fast_faults), "N = {n}");
            assert!(!holds(q.fast_faults + 1), "a larger E would do at N = {n}");
            let simple = EpaxosQuorums::new(n, FastQuorum::Simple);
            assert!(holds(simple.fast_faults), "N = {n}");
        }
    }

    fn subsets(n: usize, size: usize) -> Vec<u32> {
        (0..1u32 << n).filter(|s| s.count_ones() as usize == size).collect()
    }

    /// What recovery rests on (rule 6d): after a fast commit at any fast quorum, each recovery
    /// quorum Q sees at least |Q|−E matching pre-acceptances.
    #[test]
    fn a_fast_commit_is_visible_to_every_recovery_quorum() {
        for n in [3, 5, 7, 9] {
            for kind in [FastQuorum::Optimized, FastQuorum::Simple] {
                let q = EpaxosQuorums::new(n, kind);
                for fast in subsets(n, q.fast()) {
                    for recovery in subsets(n, q.slow()) {
                        let seen = (fast & recovery).count_ones() as usize;
                        assert!(seen >= q.slow() - q.fast_faults, "N = {n}, {kind:?}");
                    }
                }
            }
        }
    }

    /// What recovery in the published variant rests on: of F+1 replicas without the owner at least
    /// F belong to its fixed fast quorum; and from N = 5 on no two different dependencies can be
    /// held by F of F+1 each.
    #[test]
    fn a_recovery_quorum_without_the_owner_has_f_members_of_its_fixed_fast_quorum() {
        for n in [3, 5, 7, 9] {
            let f = faults_tolerated(n);
            for owner in ReplicaId::all(n) {
                let fixed = fixed_fast_quorum(owner, n, |_| 0);
                assert_eq!((fixed.len(), fixed.contains(owner)), (2 * f - 1, false));
                let mask = |set: ReplicaSet| set.iter().map(|r| 1u32 << r.0).sum::<u32>();
                let without_owner =
                    subsets(n, majority(n)).into_iter().filter(|q| q & (1 << owner.0) == 0);
                for recovery in without_owner {
                    let seen = (mask(fixed) & recovery).count_ones() as usize;
                    assert!(seen >= f, "N = {n}, {owner}");
                }
            }
            assert_eq!(2 * f > majority(n), n >= 5);
        }
    }

    #[test]
    fn a_fixed_fast_quorum_is_the_nearest_and_among_equals_the_next() {
        let set = |ids: &[u8]| ids.iter().copied().map(ReplicaId).collect::<ReplicaSet>();
        assert_eq!(fixed_fast_quorum(ReplicaId(3), 5, |_| 7), set(&[4, 0, 1]));
        let distance = |other: ReplicaId| [9, 0, 1, 1, 5][other.index()];
        assert_eq!(fixed_fast_quorum(ReplicaId(1), 5, distance), set(&[2, 3, 4]));
        assert_eq!(fixed_fast_quorum(ReplicaId(2), 3, |_| 0), set(&[0]));
    }

    /// Two fast quorums of conflicting commands meet in a replica that tells one about the other.
    #[test]
    fn fast_quorums_intersect() {
        for n in [3, 5, 7, 9] {
            for kind in [FastQuorum::Optimized, FastQuorum::Simple] {
                let quorums = subsets(n, EpaxosQuorums::new(n, kind).fast());
                assert!(quorums.iter().all(|a| quorums.iter().all(|b| a & b != 0)), "N = {n}");
            }
        }
    }
}
