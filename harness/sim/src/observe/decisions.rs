//! Agreement: one decision per instance, at every replica and in every life.

use protocols::{Batch, InstanceId, ReplicaId, dependencies::Dependencies, key_map::KeyHash};
use smallvec::SmallVec;

use super::instances::InstanceMap;
use crate::violation::{Breach, Broken};

/// What was decided, with what execution and visibility are checked by.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) batch: Batch,
    pub(crate) dependencies: Dependencies,
    pub(crate) touches: SmallVec<[KeyUse; 1]>,
    first: ReplicaId,
}

/// One key that a decision touches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUse {
    pub(crate) key: KeyHash,
    pub(crate) write: bool,
    /// How many writes of the key come before, once that is known.
    pub(crate) position: Option<u32>,
}

/// The decisions known to anyone.
#[derive(Debug, Default)]
pub(crate) struct Decisions(InstanceMap<Option<Box<Decision>>>);

impl Decisions {
    pub(crate) fn get(&self, instance: InstanceId) -> Option<&Decision> {
        self.0.get(instance)?.as_deref()
    }

    /// Takes in what `replica` knows; true if it is the first to know.
    pub(crate) fn decided(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
    ) -> Result<bool, Breach> {
        let known = self.0.slot(instance);
        let Some(decision) = known else {
            let use_of = |touch: &protocols::command::Touch| KeyUse {
                key: touch.key,
                write: touch.write,
                position: None,
            };
            *known = Some(Box::new(Decision {
                batch: batch.clone(),
                dependencies: dependencies.clone(),
                touches: batch.footprint().touches().iter().map(use_of).collect(),
                first: replica,
            }));
            return Ok(true);
        };
        if decision.batch == *batch && decision.dependencies == *dependencies {
            return Ok(false);
        }
        let detail = format!(
            "{instance} is {:?} after {:?} at {}, but {batch:?} after {dependencies:?} at {replica}",
            decision.batch, decision.dependencies, decision.first
        );
        Err(Breach::new(Broken::Agreement, detail))
    }

    /// The decision that `replica` executes, checked to be the one that was made.
    pub(crate) fn for_execution(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
    ) -> Result<&mut Decision, Breach> {
        let Some(decision) = self.0.slot(instance) else {
            let detail = format!("{replica} executes {instance}: {batch:?}");
            return Err(Breach::new(Broken::Undecided, detail));
        };
        if decision.batch == *batch {
            return Ok(decision);
        }
        let decided = &decision.batch;
        let detail = format!("{instance} is {decided:?}, but {replica} executes {batch:?}");
        Err(Breach::new(Broken::Agreement, detail))
    }
}
