//! Order: conflicting commands are executed in one order everywhere.

use protocols::{InstanceId, ReplicaId, key_map::KeyMap};

use super::{
    decisions::{Decision, KeyUse},
    instances::InstanceSet,
};
use crate::violation::{Breach, Broken};

/// How far one replica's machine state has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    executed: InstanceSet,
    /// How many writes of each key were executed.
    writes: KeyMap<u32>,
}

/// The order of the writes of each key, as far as anyone has executed, and every replica's progress along it. A read
/// has its place between two writes; reads between the same two are in no order.
#[derive(Debug)]
pub(crate) struct Order {
    writes: KeyMap<Vec<InstanceId>>,
    replicas: Vec<Progress>,
}

impl Order {
    pub(crate) fn new(replicas: usize) -> Self {
        Self { writes: KeyMap::default(), replicas: vec![Progress::default(); replicas] }
    }

    pub(crate) fn progress(&self, replica: ReplicaId) -> &Progress {
        &self.replicas[replica.index()]
    }

    pub(crate) fn set_progress(&mut self, replica: ReplicaId, progress: Progress) {
        self.replicas[replica.index()] = progress;
    }

    /// `replica` executes `instance` next.
    pub(crate) fn executed(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        decision: &mut Decision,
    ) -> Result<(), Breach> {
        let progress = &mut self.replicas[replica.index()];
        if !progress.executed.insert(instance) {
            let detail = format!("{replica} executes {instance} again");
            return Err(Breach::new(Broken::ExecutedTwice, detail));
        }
        for touch in &mut decision.touches {
            let done = progress.writes.get_or_insert_with(touch.key, || 0);
            let position = *done;
            *done += u32::from(touch.write);
            if !place(&mut self.writes, instance, touch, position) {
                return Err(self.breach(replica, instance, touch, position));
            }
        }
        Ok(())
    }

    fn breach(
        &self,
        replica: ReplicaId,
        instance: InstanceId,
        at: &KeyUse,
        position: u32,
    ) -> Breach {
        let there = self.writes.get(at.key).and_then(|writes| writes.get(position as usize));
        let detail = format!(
            "{replica} executes {instance} after {position} writes of its key; elsewhere it came after \
             {:?}, and the write after {position} was {there:?}",
            at.position
        );
        Breach::new(Broken::Order, detail)
    }
}

/// Is `position` the place of `instance` among the writes of the key? The first replica there decides.
fn place(
    writes: &mut KeyMap<Vec<InstanceId>>,
    instance: InstanceId,
    touch: &mut KeyUse,
    position: u32,
) -> bool {
    if let Some(known) = touch.position {
        return known == position;
    }
    if touch.write {
        let writes = writes.get_or_insert_with(touch.key, Vec::new);
        if writes.len() != position as usize {
            return false;
        }
        writes.push(instance);
    }
    touch.position = Some(position);
    true
}
