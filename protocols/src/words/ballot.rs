//! Ballots: the totally ordered attempts at getting a value chosen.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ReplicaId;

/// How far above the highest ballot known here another replica's may lie, in rounds or numbers; a message that names a
/// higher one is ignored. Every attempt adds one, so no replica that keeps to the protocol is ever so far behind; and
/// one that does not cannot use up the numbers with a message, nor with a billion of them. chosen: years of attempts.
pub const BALLOTS_AHEAD_MAX: u64 = 1 << 32;

/// A ballot of Paxos and Multi-Paxos: a round, made unique by the replica that leads it. (PMS §2.5)
///
/// The default, round 0 of replica 0, is below every ballot that anyone leads.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Compared first.
    pub round: u64,
    /// The replica that leads this ballot, and no other.
    pub leader: ReplicaId,
}

impl Ballot {
    /// Below every ballot that is led.
    pub const ZERO: Self = Self { round: 0, leader: ReplicaId(0) };

    /// The lowest ballot led by `leader` above `self`.
    #[must_use]
    pub fn next_for(self, leader: ReplicaId) -> Self {
        let round = self.round.checked_add(1);
        Self { round: round.expect("BALLOTS_AHEAD_MAX keeps rounds from running out"), leader }
    }

    /// Is this no further above `known`, the highest ballot known, than [`BALLOTS_AHEAD_MAX`]?
    pub const fn is_near(self, known: Self) -> bool {
        self.round <= known.round.saturating_add(BALLOTS_AHEAD_MAX)
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}@{}", self.round, self.leader)
    }
}

/// A ballot of one EPaxos instance. Ballot 0 belongs to the instance's row, a ballot b > 0 to replica (b−1) mod N.
/// (STAR)
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceBallot(pub u64);

impl InstanceBallot {
    /// The row's own ballot, the only one with a fast path.
    pub const INITIAL: Self = Self(0);

    /// The smallest ballot above `self` that belongs to `owner` in a cluster of `replicas`.
    #[must_use]
    pub fn next_for(self, owner: ReplicaId, replicas: usize) -> Self {
        let n = replicas as u64;
        let lowest = u64::from(owner.0) + 1;
        if self.0 < lowest {
            return Self(lowest);
        }
        // The distance of the owner's ballots is `n`: at most so far above.
        assert!(self.0 <= u64::MAX - n, "BALLOTS_AHEAD_MAX keeps ballots from running out");
        Self(lowest + ((self.0 - lowest) / n + 1) * n)
    }

    /// Is this no further above `known`, the highest ballot known, than [`BALLOTS_AHEAD_MAX`]?
    pub const fn is_near(self, known: Self) -> bool {
        self.0 <= known.0.saturating_add(BALLOTS_AHEAD_MAX)
    }

    /// The replica that leads this ballot of an instance of `row`.
    pub fn owner(self, row: ReplicaId, replicas: usize) -> ReplicaId {
        match self.0.checked_sub(1) {
            None => row,
            #[expect(clippy::cast_possible_truncation, reason = "below the number of replicas")]
            Some(above) => ReplicaId::from_index((above % replicas as u64) as usize),
        }
    }
}

impl fmt::Debug for InstanceBallot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_instance_ballot_is_the_smallest_owned_above() {
        for replicas in [3, 5, 7] {
            for seen in 0..40 {
                for owner in ReplicaId::all(replicas) {
                    let expected = (seen + 1..)
                        .map(InstanceBallot)
                        .find(|b| b.owner(ReplicaId(0), replicas) == owner)
                        .unwrap();
                    assert_eq!(InstanceBallot(seen).next_for(owner, replicas), expected);
                }
            }
        }
    }

    #[test]
    fn ballot_zero_belongs_to_the_row() {
        assert_eq!(InstanceBallot::INITIAL.owner(ReplicaId(4), 5), ReplicaId(4));
        assert_eq!(InstanceBallot(1).owner(ReplicaId(4), 5), ReplicaId(0));
    }

    #[test]
    fn ballots_of_two_leaders_never_tie() {
        let seen = Ballot { round: 3, leader: ReplicaId(2) };
        let (a, b) = (seen.next_for(ReplicaId(0)), seen.next_for(ReplicaId(1)));
        assert!(a > seen && b > seen && a != b);
    }
}
