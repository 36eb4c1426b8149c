//! Dense tables of instances.

use protocols::InstanceId;

/// A set of instances: a bit each.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstanceSet(InstanceMap<u64>);

impl InstanceSet {
    /// Adds `instance`; false if it was there.
    pub(crate) fn insert(&mut self, instance: InstanceId) -> bool {
        let word = self.0.slot(InstanceId::new(instance.row, instance.slot / 64));
        let bit = 1 << (instance.slot % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// A value per instance, the default one where none was put.
#[derive(Clone, Debug)]
pub(crate) struct InstanceMap<T>(Vec<Vec<T>>);

impl<T> Default for InstanceMap<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> InstanceMap<T> {
    pub(crate) fn get(&self, instance: InstanceId) -> Option<&T> {
        self.0.get(instance.row.index())?.get(index(instance))
    }

    pub(crate) fn slot(&mut self, instance: InstanceId) -> &mut T {
        let (row, slot) = (instance.row.index(), index(instance));
        if self.0.len() <= row {
            self.0.resize_with(row + 1, Vec::new);
        }
        let row = &mut self.0[row];
        if row.len() <= slot {
            row.resize_with(slot + 1, T::default);
        }
        &mut row[slot]
    }
}

fn index(instance: InstanceId) -> usize {
    usize::try_from(instance.slot).expect("a run's slots fit into memory")
}

#[cfg(test)]
mod tests {
    use protocols::ReplicaId;

    use super::*;

    #[test]
    fn each_instance_is_in_the_set_once() {
        let mut set = InstanceSet::default();
        for (row, slot) in [(0, 1), (0, 65), (0, 64), (3, 1), (3, 63)] {
            let instance = InstanceId::new(ReplicaId(row), slot);
            assert!(set.insert(instance), "{instance}");
            assert!(!set.insert(instance), "{instance}");
        }
    }
}
