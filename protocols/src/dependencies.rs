//! What an instance has to come after: one slot per row.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::{InstanceId, REPLICAS_MAX, ReplicaId, Slot};

/// Entries held without allocating. Nearly every cluster is this small, and dependencies are copied several times a command.
const INLINE_ENTRIES: usize = 7;

/// Per row the highest slot that an instance depends on, 0 for none: every conflicting instance of that row up to there.
///
/// In the published variant of EPaxos an instance has a sequence number as well, above those of all that it depends on
/// (S13 §4.2). It is agreed on with the dependencies and travels as one entry more, behind the rows'. The number of rows is
/// odd, as that of replicas: an even number of entries tells that there is a sequence number.
#[derive(Clone)]
pub struct Dependencies(Entries);

#[derive(Clone)]
enum Entries {
    /// What is beyond `len` is 0.
    Inline {
        len: u8,
        entries: [Slot; INLINE_ENTRIES],
    },
    Boxed(Box<[Slot]>),
}

impl Dependencies {
    /// No dependencies, for a cluster with `rows` rows, an odd number; or none at all where instances are ordered by slot.
    pub fn none(rows: usize) -> Self {
        debug_assert!(
            rows == 0 || rows % 2 == 1,
            "{rows} rows: the last would be a sequence number"
        );
        Self::zeros(rows)
    }

    /// The same with the sequence number 0, for the published variant.
    pub fn none_with_seq(rows: usize) -> Self {
        debug_assert!(rows % 2 == 1, "{rows} rows: the sequence number would be one more");
        Self::zeros(rows + 1)
    }

    fn zeros(entries: usize) -> Self {
        Self(match u8::try_from(entries) {
            Ok(len) if entries <= INLINE_ENTRIES => {
                Entries::Inline { len, entries: [0; INLINE_ENTRIES] }
            }
            _ => Entries::Boxed(vec![0; entries].into()),
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self.entries().len() {
            0 => 0,
            entries => (entries - 1) | 1,
        }
    }

    /// The slots, by row.
    pub fn slots(&self) -> &[Slot] {
        &self.entries()[..self.rows()]
    }

    /// The sequence number, where there is one.
    pub fn seq(&self) -> Option<u64> {
        self.entries().get(self.rows()).copied()
    }

    /// Makes the sequence number, where there is one, no lower than `seq`.
    pub fn raise_seq(&mut self, seq: u64) {
        let rows = self.rows();
        if let Some(present) = self.entries_mut().get_mut(rows) {
            *present = seq.max(*present);
        }
    }

    /// The highest slot depended on in `row`.
    pub fn slot(&self, row: ReplicaId) -> Slot {
        self.slots()[row.index()]
    }

    /// Is `instance` among the dependencies?
    pub fn contain(&self, instance: InstanceId) -> bool {
        instance.slot <= self.slot(instance.row)
    }

    /// Adds the instances of `row` up to `slot`.
    pub fn raise(&mut self, row: ReplicaId, slot: Slot) {
        let present = &mut self.entries_mut()[row.index()];
        *present = slot.max(*present);
    }

    /// Makes `slot` the highest one depended on in `row`, whatever it was.
    pub fn set(&mut self, row: ReplicaId, slot: Slot) {
        self.entries_mut()[row.index()] = slot;
    }

    /// Adds all that `other`, of as many rows, has; of the sequence numbers, where both have one, the higher stays.
    pub fn merge(&mut self, other: &Self) {
        if let (Entries::Inline { len, entries }, Entries::Inline { len: as_many, entries: others }) =
            (&mut self.0, &other.0)
            && len == as_many
        {
            for (present, entry) in entries.iter_mut().zip(others) {
                *present = (*present).max(*entry);
            }
            return;
        }
        assert_eq!(self.rows(), other.rows(), "dependencies of one cluster");
        for (present, entry) in self.entries_mut().iter_mut().zip(other.entries()) {
            *present = (*present).max(*entry);
        }
    }

    /// Rows with the highest slot depended on there, those with none left out.
    pub fn iter(&self) -> impl Iterator<Item = InstanceId> {
        self.slots()
            .iter()
            .enumerate()
            .filter(|(_, slot)| **slot > 0)
            .map(|(row, slot)| InstanceId::new(ReplicaId::from_index(row), *slot))
    }

    fn entries(&self) -> &[Slot] {
        match &self.0 {
            Entries::Inline { len, entries } => &entries[..usize::from(*len)],
            Entries::Boxed(entries) => entries,
        }
    }

    fn entries_mut(&mut self) -> &mut [Slot] {
        match &mut self.0 {
            Entries::Inline { len, entries } => &mut entries[..usize::from(*len)],
            Entries::Boxed(entries) => entries,
        }
    }
}

impl Default for Dependencies {
    /// Of no rows: what the protocols have that order by slot.
    fn default() -> Self {
        Self::none(0)
    }
}

impl PartialEq for Dependencies {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl Eq for Dependencies {}

impl Hash for Dependencies {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries().hash(state);
    }
}

impl FromIterator<Slot> for Dependencies {
    fn from_iter<I: IntoIterator<Item = Slot>>(entries: I) -> Self {
        let entries: Vec<Slot> = entries.into_iter().collect();
        let mut dependencies = Self::zeros(entries.len());
        dependencies.entries_mut().copy_from_slice(&entries);
        dependencies
    }
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots()).finish()?;
        self.seq().map_or(Ok(()), |seq| write!(f, " seq {seq}"))
    }
}

impl Serialize for Dependencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Dependencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Dependencies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "one slot per row, at most {REPLICAS_MAX}")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Dependencies, A::Error> {
                let entries = seq.size_hint().unwrap_or(0);
                if entries > REPLICAS_MAX {
                    return Err(de::Error::invalid_length(entries, &self));
                }
                let mut dependencies = Dependencies::zeros(entries);
                for slot in dependencies.entries_mut() {
                    *slot = seq
                        .next_element()?
                        .ok_or_else(|| de::Error::custom("fewer slots than rows"))?;
                }
                if seq.next_element::<Slot>()?.is_some() {
                    return Err(de::Error::custom("more slots than rows"));
                }
                Ok(dependencies)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_and_many_behave_alike() {
        for rows in [0, 3, INLINE_ENTRIES, INLINE_ENTRIES + 2, 51] {
            let last = rows as u64;
            let mut a: Dependencies = (0..last).collect();
            let b: Dependencies = (0..last).rev().collect();
            assert_eq!(a.rows(), rows);
            assert_eq!(a == b, rows < 2);
            a.merge(&b);
            let larger = (0..last).map(|i| i.max(last - 1 - i));
            assert_eq!(a, larger.collect());
            assert_eq!(a.iter().count(), rows.saturating_sub(usize::from(last == 1)));
            if rows > 0 {
                a.set(ReplicaId(0), 1);
                a.raise(ReplicaId(0), 9);
                a.raise(ReplicaId(0), 5);
                assert!(a.contain(InstanceId::new(ReplicaId(0), 9)));
                assert!(!a.contain(InstanceId::new(ReplicaId(0), 10)));
            }
            let wire = postcard::to_stdvec(&a).unwrap();
            assert_eq!(postcard::from_bytes::<Dependencies>(&wire).unwrap(), a);
        }
    }

    /// The sequence number is an entry beyond the rows: part of what is agreed on, and no dependency.
    #[test]
    fn a_sequence_number_is_hidden_from_the_rows_and_part_of_the_value() {
        for rows in [3, INLINE_ENTRIES, 51] {
            let mut a = Dependencies::none_with_seq(rows);
            assert_eq!((a.rows(), a.slots().len(), a.seq()), (rows, rows, Some(0)));
            a.raise(ReplicaId(1), 4);
            let mut b = a.clone();
            b.raise_seq(9);
            b.raise_seq(2);
            assert_ne!(a, b);
            assert_eq!(a.iter().collect::<Vec<_>>(), b.iter().collect::<Vec<_>>());
            a.merge(&b);
            assert_eq!(a, b);
            assert!(format!("{a:?}").ends_with("0] seq 9"), "{a:?}");
            let wire = postcard::to_stdvec(&a).unwrap();
            assert_eq!(postcard::from_bytes::<Dependencies>(&wire).unwrap(), a);
            // Where one of two has none, that stays so: nothing is written beyond the rows.
            let mut without = Dependencies::none(rows);
            without.merge(&a);
            without.raise_seq(7);
            assert_eq!((without.slots(), without.seq()), (a.slots(), None));
            assert_eq!(without, a.slots().iter().copied().collect());
            a.merge(&without);
            assert_eq!(a, b);
        }
        assert_eq!((Dependencies::default().rows(), Dependencies::default().seq()), (0, None));
    }

    #[test]
    fn more_rows_than_replicas_are_refused() {
        let wire = postcard::to_stdvec(&vec![0u64; REPLICAS_MAX + 1]).unwrap();
        assert!(postcard::from_bytes::<Dependencies>(&wire).is_err());
    }
}
