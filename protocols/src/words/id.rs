//! Names of replicas, clients, requests and instances.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most replicas a cluster may have: a [`ReplicaSet`] is one machine word.
pub const REPLICAS_MAX: usize = 64;

/// A position in a row of instances. The first one is 1; 0 stands for "none yet".
pub type Slot = u64;

/// A replica, numbered from 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u8);

impl ReplicaId {
    /// The replica's number as an index into per-replica tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The replica with this number. Numbers beyond [`REPLICAS_MAX`] are a bug of the caller.
    pub fn from_index(index: usize) -> Self {
        assert!(index < REPLICAS_MAX, "replica number {index} out of range");
        #[expect(clippy::cast_possible_truncation, reason = "checked against REPLICAS_MAX above")]
        Self(index as u8)
    }

    /// All replicas of a cluster of `replicas`, in order.
    pub fn all(replicas: usize) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..replicas).map(Self::from_index)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of replicas, in one machine word.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaSet(u64);

impl ReplicaSet {
    /// No replica.
    pub const EMPTY: Self = Self(0);

    /// Just `replica`.
    pub const fn only(replica: ReplicaId) -> Self {
        Self(1 << replica.0)
    }

    /// Every replica of a cluster of `replicas`.
    pub fn all(replicas: usize) -> Self {
        assert!((1..=REPLICAS_MAX).contains(&replicas), "{replicas} replicas out of range");
        Self(u64::MAX >> (REPLICAS_MAX - replicas))
    }

    /// Every replica of a cluster of `replicas` but `replica`.
    pub fn others(replica: ReplicaId, replicas: usize) -> Self {
        Self(Self::all(replicas).0 & !Self::only(replica).0)
    }

    /// Adds `replica`; false if it was in the set already, so that a vote is counted once.
    pub fn insert(&mut self, replica: ReplicaId) -> bool {
        let before = self.0;
        self.0 |= Self::only(replica).0;
        self.0 != before
    }

    /// Removes `replica`; false if it was not in the set.
    pub fn remove(&mut self, replica: ReplicaId) -> bool {
        let before = self.0;
        self.0 &= !Self::only(replica).0;
        self.0 != before
    }

    /// Is `replica` in the set?
    pub const fn contains(self, replica: ReplicaId) -> bool {
        self.0 & (1 << replica.0) != 0
    }

    /// How many replicas are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Is no replica in the set?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The replicas in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The replicas in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The replicas in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The replicas of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = ReplicaId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            Some(ReplicaId::from_index(index))
        })
    }
}

impl FromIterator<ReplicaId> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(replicas: I) -> Self {
        let mut set = Self::EMPTY;
        for replica in replicas {
            set.insert(replica);
        }
        set
    }
}

impl fmt::Debug for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One agreement: a position in a row. EPaxos has a row per replica, the other protocols have row 0 alone.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The row; in EPaxos, the replica that proposed the instance.
    pub row: ReplicaId,
    /// The position in the row, from 1.
    pub slot: Slot,
}

impl InstanceId {
    /// The instance at `slot` of `row`.
    pub const fn new(row: ReplicaId, slot: Slot) -> Self {
        Self { row, slot }
    }

    /// The instance of a protocol that has a single row.
    pub const fn single_row(slot: Slot) -> Self {
        Self { row: ReplicaId(0), slot }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.row.0, self.slot)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A client session. Whoever hands out sessions makes the number unique in the cluster's life.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClientId(pub u64);

/// A request of one client. Writes and reads are numbered apart, each densely from 1, because writes are remembered for
/// ever (as intervals, which stay short only if they are dense) and reads are not. The lowest bit tells which.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestNumber(u64);

impl RequestNumber {
    /// The client's `index`-th write, from 1.
    pub const fn write(index: u64) -> Self {
        Self(index << 1)
    }

    /// The client's `index`-th read, from 1.
    pub const fn read(index: u64) -> Self {
        Self(index << 1 | 1)
    }

    /// Is this the number of a read?
    pub const fn is_read(self) -> bool {
        self.0 & 1 == 1
    }

    /// The position among the client's requests of the same kind, from 1.
    pub const fn index(self) -> u64 {
        self.0 >> 1
    }

    /// The number as one word, unique among the client's requests.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for RequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_read() { 'r' } else { 'w' }, self.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_of_all_holds_each_replica_once_in_order() {
        for n in [1, 3, 51, 64] {
            let all: Vec<_> = ReplicaSet::all(n).iter().collect();
            assert_eq!(all, ReplicaId::all(n).collect::<Vec<_>>());
            assert_eq!(ReplicaSet::all(n).len(), n);
        }
    }

    #[test]
    fn a_second_vote_of_one_replica_is_not_counted() {
        let mut votes = ReplicaSet::EMPTY;
        assert!(votes.insert(ReplicaId(2)));
        assert!(!votes.insert(ReplicaId(2)));
        assert_eq!(votes.len(), 1);
        assert_eq!(ReplicaSet::others(ReplicaId(2), 3).difference(votes).len(), 2);
    }

    #[test]
    fn reads_and_writes_are_numbered_apart() {
        assert_ne!(RequestNumber::read(7), RequestNumber::write(7));
        assert!(RequestNumber::read(7).is_read() && !RequestNumber::write(7).is_read());
        assert_eq!(RequestNumber::read(7).index(), RequestNumber::write(7).index());
    }
}
