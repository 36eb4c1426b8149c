//! Which instances conflict with a command: per key and row the highest slot, reads and writes apart.
//!
//! It outlives the instances: a key that was touched once keeps its marks (about 50 bytes and 16 per row), because a
//! command that comes long after must still depend on what it overwrites.

use serde::{Deserialize, Serialize};

use crate::{
    command::Footprint,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, Slot},
    key_map::{KeyHash, KeyMap},
};

/// Marks of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks {
    writes: Dependencies,
    reads: Dependencies,
}

impl Marks {
    /// Of how many rows they are; 0 if reads and writes differ in that.
    pub fn rows(&self) -> usize {
        if self.writes.rows() == self.reads.rows() { self.writes.rows() } else { 0 }
    }

    fn merge(&mut self, other: &Self) {
        self.writes.merge(&other.writes);
        self.reads.merge(&other.reads);
    }
}

/// The conflict index of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConflictIndex {
    rows: usize,
    known: KeyMap<Marks>,
    /// The same for collected instances alone, whose slots no log can tell any more.
    collected: KeyMap<Marks>,
}

impl ConflictIndex {
    /// An empty index over `rows` rows.
    pub fn new(rows: usize) -> Self {
        Self { rows, known: KeyMap::default(), collected: KeyMap::default() }
    }

    /// `instance` has, or may come to have, a command with this footprint.
    pub fn insert(&mut self, instance: InstanceId, footprint: &Footprint) {
        mark(&mut self.known, self.rows, instance, footprint);
    }

    /// `instance`, committed with this command and not as a no-op, leaves the log.
    pub fn collect(&mut self, instance: InstanceId, footprint: &Footprint) {
        mark(&mut self.collected, self.rows, instance, footprint);
    }

    /// The marks of what is collected and of `more`, which is executed, in the order of their keys.
    pub fn collected_with(&self, more: &[(InstanceId, &Footprint)]) -> Vec<(KeyHash, Marks)> {
        let mut collected = self.collected.clone();
        for (instance, footprint) in more {
            mark(&mut collected, self.rows, *instance, footprint);
        }
        collected.sorted().into_iter().map(|(key, marks)| (key, marks.clone())).collect()
    }

    /// Adds what [`ConflictIndex::collected_with`] gave elsewhere.
    pub fn merge_collected(&mut self, collected: &[(KeyHash, Marks)]) {
        for (key, marks) in collected {
            for map in [&mut self.known, &mut self.collected] {
                map.get_or_insert_with(*key, || no_marks(self.rows)).merge(marks);
            }
        }
    }

    /// Every known instance that conflicts with a command of this footprint.
    pub fn dependencies(&self, footprint: &Footprint) -> Dependencies {
        let mut dependencies = Dependencies::none(self.rows);
        self.add_dependencies(footprint, &mut dependencies);
        dependencies
    }

    /// Adds to `dependencies` every known instance that conflicts with a command of this footprint.
    pub fn add_dependencies(&self, footprint: &Footprint, dependencies: &mut Dependencies) {
        for touch in footprint.touches() {
            let Some(marks) = self.known.get(touch.key) else { continue };
            dependencies.merge(&marks.writes);
            if touch.write {
                dependencies.merge(&marks.reads);
            }
        }
    }

    /// The highest known slot of `row` that conflicts with a command of this footprint, 0 for none.
    pub fn known_conflict(&self, footprint: &Footprint, row: ReplicaId) -> Slot {
        highest(&self.known, footprint, row)
    }

    /// The highest collected slot of `row` that conflicts with a command of this footprint, 0 for none.
    pub fn collected_conflict(&self, footprint: &Footprint, row: ReplicaId) -> Slot {
        highest(&self.collected, footprint, row)
    }
}

fn no_marks(rows: usize) -> Marks {
    Marks { writes: Dependencies::none(rows), reads: Dependencies::none(rows) }
}

fn highest(map: &KeyMap<Marks>, footprint: &Footprint, row: ReplicaId) -> Slot {
    let slots = footprint.touches().iter().filter_map(|touch| {
        let marks = map.get(touch.key)?;
        let reads = if touch.write { marks.reads.slot(row) } else { 0 };
        Some(marks.writes.slot(row).max(reads))
    });
    slots.max().unwrap_or(0)
}

fn mark(map: &mut KeyMap<Marks>, rows: usize, instance: InstanceId, footprint: &Footprint) {
    for touch in footprint.touches() {
        let marks = map.get_or_insert_with(touch.key, || no_marks(rows));
        let slots = if touch.write { &mut marks.writes } else { &mut marks.reads };
        slots.raise(instance.row, instance.slot);
    }
}
