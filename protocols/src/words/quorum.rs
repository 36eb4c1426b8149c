//! Quorum sizes that protocols share, each with its source. Every quorum includes the replica that
//! collects it.

use crate::id::{ReplicaId, ReplicaSet};

/// How many of `replicas` may crash: F = ⌊(N−1)/2⌋.
pub const fn faults_tolerated(replicas: usize) -> usize {
    (replicas - 1) / 2
}

/// A majority: N−F for odd N. Any two have a replica in common. (PMS §2.2, S13 §4.2)
pub const fn majority(replicas: usize) -> usize {
    replicas / 2 + 1
}

/// Those `count` others with the least `distance` from `replica`, of equally distant ones those
/// whose numbers come next.
pub fn nearest(
    replica: ReplicaId,
    replicas: usize,
    count: usize,
    distance: impl Fn(ReplicaId) -> u64,
) -> ReplicaSet {
    let mut others: Vec<ReplicaId> = ReplicaSet::others(replica, replicas).iter().collect();
    let steps = |other: &ReplicaId| (other.index() + replicas - replica.index()) % replicas;
    others.sort_by_key(|other| (distance(*other), steps(other)));
    others.into_iter().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subsets(n: usize, size: usize) -> Vec<u32> {
        (0..1u32 << n).filter(|s| s.count_ones() as usize == size).collect()
    }

    /// Brute force over every pair of quorums: two majorities meet.
    #[test]
    fn slow_quorums_intersect() {
        for n in [3, 5, 7, 9] {
            let quorums = subsets(n, majority(n));
            assert!(quorums.iter().all(|a| quorums.iter().all(|b| a & b != 0)), "N = {n}");
            let smaller = subsets(n, majority(n) - 1);
            assert!(smaller.iter().any(|a| smaller.iter().any(|b| a & b == 0)), "not minimal");
        }
    }

    #[test]
    fn the_nearest_are_those_at_the_least_distance_and_among_equals_the_next() {
        let set = |ids: &[u8]| ids.iter().copied().map(ReplicaId).collect::<ReplicaSet>();
        assert_eq!(nearest(ReplicaId(3), 5, 2, |_| 7), set(&[4, 0]));
        let distance = |other: ReplicaId| [9, 0, 1, 1, 5][other.index()];
        assert_eq!(nearest(ReplicaId(1), 5, 1, distance), set(&[2]));
        assert_eq!(nearest(ReplicaId(1), 5, 4, distance), set(&[0, 2, 3, 4]));
    }
}
