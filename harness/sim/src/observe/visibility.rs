//! Visibility: of two conflicting committed commands, neither a no-op, at least one has the other among its
//! dependencies.

use protocols::{InstanceId, Slot, key_map::KeyMap};
use smallvec::SmallVec;

use super::decisions::{Decision, Decisions};
use crate::violation::{Breach, Broken};

/// The committed instances on one key, by row and ascending slot, and whether they write.
type Rows = SmallVec<[Vec<(Slot, bool)>; 5]>;

/// Committed instances by key. A new one looks at those that it does not depend on, which are the latest few of each
/// row, so that a hot key costs no more than another.
#[derive(Debug, Default)]
pub(crate) struct Visibility(KeyMap<Rows>);

impl Visibility {
    /// Checks `instance`, just decided, against all decided before, and adds it.
    pub(crate) fn decided(
        &mut self,
        instance: InstanceId,
        decisions: &Decisions,
    ) -> Result<(), Breach> {
        let decision = decisions.get(instance).expect("just decided");
        let dependencies = &decision.dependencies;
        for touch in &decision.touches {
            let rows = self.0.get_or_insert_with(touch.key, || {
                SmallVec::from_elem(Vec::new(), dependencies.rows())
            });
            for (row, committed) in protocols::ReplicaId::all(rows.len()).zip(rows.iter()) {
                let unseen = |(slot, _): &&(Slot, bool)| *slot > dependencies.slot(row);
                for (slot, write) in committed.iter().rev().take_while(unseen) {
                    let other = InstanceId::new(row, *slot);
                    if (touch.write || *write) && other != instance {
                        check_seen_by(other, instance, decisions)?;
                    }
                }
            }
            let own = &mut rows[instance.row.index()];
            let place = own.partition_point(|(slot, _)| *slot < instance.slot);
            own.insert(place, (instance.slot, touch.write));
        }
        Ok(())
    }
}

/// `instance` does not depend on `other`; then `other` must depend on it. A settled one does not: what it depends on was
/// decided before it was executed.
fn check_seen_by(
    other: InstanceId,
    instance: InstanceId,
    decisions: &Decisions,
) -> Result<(), Breach> {
    let [a, b] = [other, instance].map(|id| decisions.get(id));
    if a.is_some_and(|decision| decision.dependencies.contain(instance)) {
        return Ok(());
    }
    let told = |decision: Option<&Decision>| {
        decision.map_or_else(
            || "executed everywhere".to_owned(),
            |Decision { batch, dependencies, .. }| format!("{batch:?} after {dependencies:?}"),
        )
    };
    let (a, b) = (told(a), told(b));
    let detail = format!("{other} ({a}) and {instance} ({b}) do not know each other");
    Err(Breach::new(Broken::Visibility, detail))
}
