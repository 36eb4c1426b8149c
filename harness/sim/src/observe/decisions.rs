//! Agreement: one decision per instance, at every replica and in every life.

use std::hash::{Hash, Hasher};

use protocols::{
    Batch, InstanceId, ReplicaId, ReplicaSet, dependencies::Dependencies, key_map::KeyHash,
};
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use super::instances::InstanceMap;
use crate::violation::{Breach, Broken};

/// What was decided, with what execution and visibility are checked by.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) batch: Batch,
    pub(crate) dependencies: Dependencies,
    pub(crate) touches: SmallVec<[KeyUse; 1]>,
    /// Which of its first commands were seen to take effect here: a bit each.
    pub(crate) effective: u64,
    /// Who has executed it, in whatever life.
    pub(crate) executed: ReplicaSet,
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

/// What is known of one instance.
#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Decision(Box<Decision>),
    /// Everybody has executed it and nobody will again: the decision's hash is all that is kept.
    Settled(u64),
}

/// The decisions known to anyone.
#[derive(Debug, Default)]
pub(crate) struct Decisions(InstanceMap<Known>);

impl Decisions {
    /// The decision of `instance`, unless it is settled.
    pub(crate) fn get(&self, instance: InstanceId) -> Option<&Decision> {
        match self.0.get(instance)? {
            Known::Decision(decision) => Some(decision),
            Known::Nothing | Known::Settled(_) => None,
        }
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
        let before = match known {
            Known::Nothing => {
                *known = Known::Decision(Box::new(Decision::new(replica, batch, dependencies)));
                return Ok(true);
            }
            Known::Decision(decision) => {
                if decision.batch == *batch && decision.dependencies == *dependencies {
                    return Ok(false);
                }
                let Decision { batch, dependencies, first, .. } = &**decision;
                format!("{batch:?} after {dependencies:?} at {first}")
            }
            Known::Settled(settled) => {
                if *settled == hash(batch, dependencies) {
                    return Ok(false);
                }
                "another at all others, which have executed it".to_owned()
            }
        };
        let detail =
            format!("{instance} is {before}, but {batch:?} after {dependencies:?} at {replica}");
        Err(Breach::new(Broken::Agreement, detail))
    }

    /// The decision that `replica` executes, checked to be the one that was made.
    pub(crate) fn for_execution(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
    ) -> Result<&mut Decision, Breach> {
        let decision = match self.0.slot(instance) {
            Known::Decision(decision) => decision,
            Known::Nothing => {
                let detail = format!("{replica} executes {instance}: {batch:?}");
                return Err(Breach::new(Broken::Undecided, detail));
            }
            Known::Settled(_) => {
                let detail = format!("{replica} executes {instance} again: {batch:?}");
                return Err(Breach::new(Broken::ExecutedTwice, detail));
            }
        };
        if decision.batch == *batch {
            return Ok(decision);
        }
        let decided = &decision.batch;
        let detail = format!("{instance} is {decided:?}, but {replica} executes {batch:?}");
        Err(Breach::new(Broken::Agreement, detail))
    }

    /// The command at `position` of `instance` is seen to take effect there; false if that was seen before.
    pub(crate) fn takes_effect(&mut self, instance: InstanceId, position: usize) -> bool {
        // A settled one, or one of many commands: nothing is remembered, so that it is looked up each time.
        let Known::Decision(decision) = self.0.slot(instance) else { return true };
        let bit = 1u64.checked_shl(u32::try_from(position).unwrap_or(u32::MAX)).unwrap_or(0);
        let new = decision.effective & bit == 0;
        decision.effective |= bit;
        new
    }

    /// Nobody will execute `instance` again.
    pub(crate) fn settle(&mut self, instance: InstanceId) {
        let known = self.0.slot(instance);
        if let Known::Decision(decision) = known {
            *known = Known::Settled(hash(&decision.batch, &decision.dependencies));
        }
    }
}

impl Decision {
    fn new(first: ReplicaId, batch: &Batch, dependencies: &Dependencies) -> Self {
        let use_of = |touch: &protocols::command::Touch| KeyUse {
            key: touch.key,
            write: touch.write,
            position: None,
        };
        Self {
            batch: batch.clone(),
            dependencies: dependencies.clone(),
            touches: batch.footprint().touches().iter().map(use_of).collect(),
            effective: 0,
            executed: ReplicaSet::EMPTY,
            first,
        }
    }
}

fn hash(batch: &Batch, dependencies: &Dependencies) -> u64 {
    let mut hasher = FxHasher::default();
    (batch.as_bytes(), dependencies).hash(&mut hasher);
    hasher.finish()
}
