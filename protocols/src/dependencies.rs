//! What an instance has to come after: one slot per row.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::{InstanceId, REPLICAS_MAX, ReplicaId, Slot};

/// Rows held without allocating. Nearly every cluster is this small, and dependencies are copied several times a command.
const INLINE_ROWS: usize = 7;

/// Per row the highest slot that an instance depends on, 0 for none: every conflicting instance of that row up to there.
#[derive(Clone)]
pub struct Dependencies(Rows);

#[derive(Clone)]
enum Rows {
    /// What is beyond `len` is 0.
    Inline {
        len: u8,
        slots: [Slot; INLINE_ROWS],
    },
    Boxed(Box<[Slot]>),
}

impl Dependencies {
    /// No dependencies, for a cluster with `rows` rows.
    pub fn none(rows: usize) -> Self {
        match u8::try_from(rows) {
            Ok(len) if rows <= INLINE_ROWS => Self(Rows::Inline { len, slots: [0; INLINE_ROWS] }),
            _ => Self(Rows::Boxed(vec![0; rows].into())),
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.slots().len()
    }

    /// The slots, by row.
    pub fn slots(&self) -> &[Slot] {
        match &self.0 {
            Rows::Inline { len, slots } => &slots[..usize::from(*len)],
            Rows::Boxed(slots) => slots,
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
        let present = &mut self.slots_mut()[row.index()];
        *present = slot.max(*present);
    }

    /// Makes `slot` the highest one depended on in `row`, whatever it was.
    pub fn set(&mut self, row: ReplicaId, slot: Slot) {
        self.slots_mut()[row.index()] = slot;
    }

    /// Adds all that `other`, of as many rows, has.
    pub fn merge(&mut self, other: &Self) {
        if let (Rows::Inline { slots, .. }, Rows::Inline { slots: others, .. }) =
            (&mut self.0, &other.0)
        {
            for (present, slot) in slots.iter_mut().zip(others) {
                *present = (*present).max(*slot);
            }
            return;
        }
        assert_eq!(self.rows(), other.rows(), "dependencies of one cluster");
        for (present, slot) in self.slots_mut().iter_mut().zip(other.slots()) {
            *present = (*present).max(*slot);
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

    fn slots_mut(&mut self) -> &mut [Slot] {
        match &mut self.0 {
            Rows::Inline { len, slots } => &mut slots[..usize::from(*len)],
            Rows::Boxed(slots) => slots,
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
        self.slots() == other.slots()
    }
}

impl Eq for Dependencies {}

impl Hash for Dependencies {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.slots().hash(state);
    }
}

impl FromIterator<Slot> for Dependencies {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let slots: Vec<Slot> = slots.into_iter().collect();
        let mut dependencies = Self::none(slots.len());
        dependencies.slots_mut().copy_from_slice(&slots);
        dependencies
    }
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots()).finish()
    }
}

impl Serialize for Dependencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.slots().serialize(serializer)
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
                let rows = seq.size_hint().unwrap_or(0);
                if rows > REPLICAS_MAX {
                    return Err(de::Error::invalid_length(rows, &self));
                }
                let mut dependencies = Dependencies::none(rows);
                for slot in dependencies.slots_mut() {
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
        for rows in [0, 3, INLINE_ROWS, INLINE_ROWS + 1, 51] {
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

    #[test]
    fn more_rows_than_replicas_are_refused() {
        let wire = postcard::to_stdvec(&vec![0u64; REPLICAS_MAX + 1]).unwrap();
        assert!(postcard::from_bytes::<Dependencies>(&wire).is_err());
    }
}
