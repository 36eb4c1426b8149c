//! What an instance has to come after: one slot per row.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple};

use crate::id::{InstanceId, REPLICAS_MAX, ReplicaId, Slot};

/// Entries held without allocating. Nearly every cluster is this small, and dependencies are copied several times a command.
const INLINE_ENTRIES: usize = 7;

/// In the encoded form, beside the number of rows: a sequence number follows the slots.
const NUMBERED: u8 = 0x80;

/// Per row the highest slot that an instance depends on, 0 for none: every conflicting instance of
/// that row up to there.
///
/// In the published variant of EPaxos an instance has a sequence number as well, above those of all
/// that it depends on (S13 §4.2). It is agreed on with the dependencies, and is a part of what is
/// compared.
///
/// Encoded, they are a byte with the number of rows, whose highest bit is set if there is a
/// sequence number; then the slots; then the sequence number.
#[derive(Clone)]
pub struct Dependencies(Entries);

/// The slots by row; if `numbered`, the sequence number behind them. They share one array, which is
/// copied and merged whole.
#[derive(Clone)]
enum Entries {
    /// What is beyond the rows and the sequence number is 0.
    Inline {
        rows: u8,
        numbered: bool,
        entries: [u64; INLINE_ENTRIES],
    },
    Boxed {
        numbered: bool,
        entries: Box<[u64]>,
    },
}

impl Dependencies {
    /// No dependencies, for a cluster with `rows` rows; or none at all where instances are ordered
    /// by slot.
    pub fn none(rows: usize) -> Self {
        Self::zeros(rows, false)
    }

    /// The same with the sequence number 0, for the published variant.
    pub fn none_with_seq(rows: usize) -> Self {
        Self::zeros(rows, true)
    }

    fn zeros(rows: usize, numbered: bool) -> Self {
        let all = rows + usize::from(numbered);
        Self(match u8::try_from(rows) {
            Ok(rows) if all <= INLINE_ENTRIES => {
                Entries::Inline { rows, numbered, entries: [0; INLINE_ENTRIES] }
            }
            _ => Entries::Boxed { numbered, entries: vec![0; all].into() },
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match &self.0 {
            Entries::Inline { rows, .. } => usize::from(*rows),
            Entries::Boxed { numbered, entries } => entries.len() - usize::from(*numbered),
        }
    }

    const fn is_numbered(&self) -> bool {
        match self.0 {
            Entries::Inline { numbered, .. } | Entries::Boxed { numbered, .. } => numbered,
        }
    }

    /// The slots, by row.
    pub fn slots(&self) -> &[Slot] {
        &self.entries()[..self.rows()]
    }

    /// The sequence number, where there is one.
    pub fn seq(&self) -> Option<u64> {
        self.is_numbered().then(|| self.entries()[self.rows()])
    }

    /// Makes the sequence number, where there is one, no lower than `seq`.
    pub fn raise_seq(&mut self, seq: u64) {
        if self.is_numbered() {
            let rows = self.rows();
            let present = &mut self.entries_mut()[rows];
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
        if let (
            Entries::Inline { rows, numbered, entries },
            Entries::Inline { rows: as_many, numbered: as_numbered, entries: others },
        ) = (&mut self.0, &other.0)
            && (&*rows, &*numbered) == (as_many, as_numbered)
        {
            for (present, entry) in entries.iter_mut().zip(others) {
                *present = (*present).max(*entry);
            }
            return;
        }
        assert_eq!(self.rows(), other.rows(), "dependencies of one cluster");
        // A sequence number that one of them lacks is beyond the end of its entries.
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

    /// The slots and, behind them, the sequence number if there is one.
    fn entries(&self) -> &[u64] {
        match &self.0 {
            Entries::Inline { rows, numbered, entries } => {
                &entries[..usize::from(*rows) + usize::from(*numbered)]
            }
            Entries::Boxed { entries, .. } => entries,
        }
    }

    fn entries_mut(&mut self) -> &mut [u64] {
        match &mut self.0 {
            Entries::Inline { rows, numbered, entries } => {
                &mut entries[..usize::from(*rows) + usize::from(*numbered)]
            }
            Entries::Boxed { entries, .. } => entries,
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
        self.is_numbered() == other.is_numbered() && self.entries() == other.entries()
    }
}

impl Eq for Dependencies {}

impl Hash for Dependencies {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries().hash(state);
    }
}

impl FromIterator<Slot> for Dependencies {
    /// The slots by row, without a sequence number.
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let slots: Vec<Slot> = slots.into_iter().collect();
        let mut dependencies = Self::none(slots.len());
        dependencies.entries_mut().copy_from_slice(&slots);
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
        let rows = u8::try_from(self.rows()).expect("at most as many rows as replicas");
        let head = if self.is_numbered() { rows | NUMBERED } else { rows };
        let entries = self.entries();
        let mut tuple = serializer.serialize_tuple(1 + entries.len())?;
        tuple.serialize_element(&head)?;
        for entry in entries {
            tuple.serialize_element(entry)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Dependencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Dependencies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "the number of rows, at most {REPLICAS_MAX}, and a slot for each")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Dependencies, A::Error> {
                let missing = || de::Error::custom("fewer slots than rows");
                let head: u8 = seq.next_element()?.ok_or_else(missing)?;
                let (rows, numbered) = (usize::from(head & !NUMBERED), head & NUMBERED != 0);
                if rows > REPLICAS_MAX || (rows == 0 && numbered) {
                    return Err(de::Error::invalid_length(rows, &self));
                }
                let mut dependencies = Dependencies::zeros(rows, numbered);
                for entry in dependencies.entries_mut() {
                    *entry = seq.next_element()?.ok_or_else(missing)?;
                }
                Ok(dependencies)
            }
        }
        // The head, the slots of the largest cluster, and a sequence number.
        deserializer.deserialize_tuple(1 + REPLICAS_MAX + 1, Visitor)
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

    /// The sequence number is part of what is agreed on, and no dependency; nor does the number of
    /// rows tell of it.
    #[test]
    fn a_sequence_number_is_hidden_from_the_rows_and_part_of_the_value() {
        for rows in [3, 4, INLINE_ENTRIES - 1, INLINE_ENTRIES, 51] {
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

    /// As many slots, one of them a sequence number in one of the two: different values.
    #[test]
    fn what_is_numbered_is_a_field_and_no_matter_of_length() {
        let four: Dependencies = [1, 2, 3, 9].into_iter().collect();
        let mut three = Dependencies::none_with_seq(3);
        for (row, slot) in (0..3).zip(1..) {
            three.set(ReplicaId(row), slot);
        }
        three.raise_seq(9);
        assert_ne!(four, three);
        assert_eq!((four.rows(), four.seq()), (4, None));
        assert_eq!((three.rows(), three.seq()), (3, Some(9)));
        let wire = [&four, &three].map(|on| postcard::to_stdvec(on).unwrap());
        assert_eq!(wire, [vec![4, 1, 2, 3, 9], vec![3 | NUMBERED, 1, 2, 3, 9]]);
    }

    /// They are copied several times a command.
    #[test]
    fn what_is_held_without_allocating_fits_a_cache_line() {
        assert_eq!(size_of::<Dependencies>(), 64);
    }

    #[test]
    fn more_rows_than_replicas_and_a_sequence_number_of_none_are_refused() {
        for head in [65, NUMBERED] {
            let wire = [&[head][..], &[0; REPLICAS_MAX + 2]].concat();
            assert!(postcard::from_bytes::<Dependencies>(&wire).is_err(), "{head}");
            assert!(postcard::take_from_bytes::<Dependencies>(&wire).is_err(), "{head}");
        }
        assert!(postcard::from_bytes::<Dependencies>(&[3, 1, 1]).is_err(), "a slot is missing");
    }
}
