//! Which instances conflict with a command: per key and row the highest slot, reads and writes apart. In the published variant
//! also the sequence number that has to come next.
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
    /// What an instance depends on, and what a key's marks are, where nothing is known.
    none: Dependencies,
    known: KeyMap<Marks>,
    /// The same for collected instances alone, whose slots no log can tell any more.
    collected: KeyMap<Marks>,
}

impl ConflictIndex {
    /// An empty index over `rows` rows.
    pub fn new(rows: usize) -> Self {
        Self::empty(Dependencies::none(rows))
    }

    /// The same for instances with sequence numbers, the lowest of which is 1.
    pub fn with_seq(rows: usize) -> Self {
        let mut none = Dependencies::none_with_seq(rows);
        none.raise_seq(1);
        Self::empty(none)
    }

    fn empty(none: Dependencies) -> Self {
        Self { none, known: KeyMap::default(), collected: KeyMap::default() }
    }

    /// `instance` has, or may come to have, a command with this footprint.
    pub fn insert(&mut self, instance: InstanceId, footprint: &Footprint) {
        mark(&mut self.known, &self.none, instance, footprint);
    }

    /// An instance that was inserted with this footprint has these dependencies: whatever comes after it has a higher
    /// sequence number, if there are any.
    pub fn note_seq(&mut self, footprint: &Footprint, dependencies: &Dependencies) {
        note_seq(&mut self.known, footprint, dependencies);
    }

    /// `instance`, committed with this command and not as a no-op, leaves the log.
    pub fn collect(
        &mut self,
        instance: InstanceId,
        footprint: &Footprint,
        dependencies: &Dependencies,
    ) {
        mark(&mut self.collected, &self.none, instance, footprint);
        note_seq(&mut self.collected, footprint, dependencies);
    }

    /// The marks of what is collected and of `more`, which is executed, in the order of their keys.
    pub fn collected_with(
        &self,
        more: &[(InstanceId, &Footprint, &Dependencies)],
    ) -> Vec<(KeyHash, Marks)> {
        let mut collected = self.collected.clone();
        for (instance, footprint, dependencies) in more {
            mark(&mut collected, &self.none, *instance, footprint);
            note_seq(&mut collected, footprint, dependencies);
        }
        collected.sorted().into_iter().map(|(key, marks)| (key, marks.clone())).collect()
    }

    /// Adds what [`ConflictIndex::collected_with`] gave elsewhere.
    pub fn merge_collected(&mut self, collected: &[(KeyHash, Marks)]) {
        for (key, marks) in collected {
            for map in [&mut self.known, &mut self.collected] {
                map.get_or_insert_with(*key, || no_marks(&self.none)).merge(marks);
            }
        }
    }

    /// Every known instance that conflicts with a command of this footprint, with the sequence number that follows theirs.
    pub fn dependencies(&self, footprint: &Footprint) -> Dependencies {
        let mut dependencies = self.none.clone();
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

fn no_marks(none: &Dependencies) -> Marks {
    Marks { writes: none.clone(), reads: none.clone() }
}

fn highest(map: &KeyMap<Marks>, footprint: &Footprint, row: ReplicaId) -> Slot {
    let slots = footprint.touches().iter().filter_map(|touch| {
        let marks = map.get(touch.key)?;
        let reads = if touch.write { marks.reads.slot(row) } else { 0 };
        Some(marks.writes.slot(row).max(reads))
    });
    slots.max().unwrap_or(0)
}

fn note_seq(map: &mut KeyMap<Marks>, footprint: &Footprint, dependencies: &Dependencies) {
    let Some(seq) = dependencies.seq() else { return };
    for touch in footprint.touches() {
        let Some(marks) = map.get_mut(touch.key) else { continue };
        let slots = if touch.write { &mut marks.writes } else { &mut marks.reads };
        slots.raise_seq(seq.saturating_add(1));
    }
}

fn mark(map: &mut KeyMap<Marks>, none: &Dependencies, instance: InstanceId, footprint: &Footprint) {
    for touch in footprint.touches() {
        let marks = map.get_or_insert_with(touch.key, || no_marks(none));
        let slots = if touch.write { &mut marks.writes } else { &mut marks.reads };
        slots.raise(instance.row, instance.slot);
    }
}
