//! What anybody has decided and executed so far, over all replicas and all their lives: what the rules are checked by.
//!
//! Nothing in it depends on who did something or when. As long as nobody crashes it follows from the replicas' states, and
//! so makes no two states of one.

use protocols::{Batch, Dependencies, InstanceId, key_map::KeyHash};

use crate::breach::{Breach, Rule};

/// A request: its client and number.
pub(crate) type RequestId = (u64, u64);

/// Something that a replica let others see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Observation {
    /// It knows a decision.
    Committed { instance: InstanceId, batch: Batch, dependencies: Dependencies },
    /// It executes an instance.
    Executed {
        instance: InstanceId,
        batch: Batch,
        /// Per key touched: is it written, and after how many writes.
        places: Vec<Place>,
    },
    /// A write took effect.
    Effect { request: RequestId, instance: InstanceId },
}

/// A command's place in the order of one key's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) key: KeyHash,
    pub(crate) write: bool,
    pub(crate) writes_before: u32,
}

/// All that was observed. Every table is sorted, so that equal knowledge is equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    decisions: Vec<(InstanceId, Batch, Dependencies)>,
    /// Per key the writes in the order of their execution, and the places of reads.
    writes: Vec<((KeyHash, u32), InstanceId)>,
    reads: Vec<((InstanceId, KeyHash), u32)>,
    effects: Vec<(RequestId, InstanceId)>,
}

impl Ledger {
    /// Takes an observation in.
    pub(crate) fn observe(&mut self, observation: &Observation) -> Result<(), Breach> {
        match observation {
            Observation::Committed { instance, batch, dependencies } => {
                self.committed(*instance, batch, dependencies)
            }
            Observation::Executed { instance, batch, places } => {
                self.executed(*instance, batch, places)
            }
            Observation::Effect { request, instance } => self.took_effect(*request, *instance),
        }
    }

    fn committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
    ) -> Result<(), Breach> {
        match self.decisions.binary_search_by_key(&instance, |decision| decision.0) {
            Ok(known) => {
                let (_, first, first_dependencies) = &self.decisions[known];
                if (first, first_dependencies) == (batch, dependencies) {
                    return Ok(());
                }
                let detail = format!(
                    "{instance} was committed as {first:?} after {first_dependencies:?}, and as {batch:?} after \
                     {dependencies:?}"
                );
                Err(Breach::new(Rule::Agreement, detail))
            }
            Err(place) => {
                self.check_visibility(instance, batch, dependencies)?;
                self.decisions.insert(place, (instance, batch.clone(), dependencies.clone()));
                Ok(())
            }
        }
    }

    /// Only where commands are ordered by dependencies: where they are ordered by slot, there are none.
    fn check_visibility(
        &self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
    ) -> Result<(), Breach> {
        if dependencies.rows() == 0 || batch.is_noop() {
            return Ok(());
        }
        let footprint = batch.footprint();
        for (other, other_batch, on) in &self.decisions {
            if other_batch.footprint().conflicts(&footprint)
                && !on.contain(instance)
                && !dependencies.contain(*other)
            {
                let detail = format!(
                    "{other} ({other_batch:?} after {on:?}) and {instance} ({batch:?} after {dependencies:?}) do not \
                     know each other"
                );
                return Err(Breach::new(Rule::Visibility, detail));
            }
        }
        Ok(())
    }

    fn executed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        places: &[Place],
    ) -> Result<(), Breach> {
        let decided = self.decisions.iter().find(|decision| decision.0 == instance);
        match decided {
            Some((_, decided, _)) if decided == batch => {}
            other => {
                let decided = other.map(|decision| &decision.1);
                let detail =
                    format!("{instance} was executed as {batch:?}, decided is {decided:?}");
                return Err(Breach::new(Rule::Execution, detail));
            }
        }
        for place in places {
            self.check_place(instance, *place)?;
        }
        Ok(())
    }

    fn check_place(&mut self, instance: InstanceId, place: Place) -> Result<(), Breach> {
        let Place { key, write, writes_before } = place;
        let known = if write {
            let taken = insert(&mut self.writes, (key, writes_before), instance);
            // The same instance at another place of the key is in the wrong one here.
            let elsewhere = self.writes.iter().find(|((other_key, at), other)| {
                (*other_key, *other) == (key, instance) && *at != writes_before
            });
            elsewhere.map_or(taken, |((_, at), _)| Err(format!("it came after {at} writes")))
        } else {
            insert(&mut self.reads, (instance, key), writes_before)
        };
        known.map_err(|elsewhere| {
            let detail = format!(
                "{instance} was executed after {writes_before} writes of its key; elsewhere {elsewhere}"
            );
            Breach::new(Rule::OneOrder, detail)
        })
    }

    fn took_effect(&mut self, request: RequestId, instance: InstanceId) -> Result<(), Breach> {
        insert(&mut self.effects, request, instance).map_err(|first| {
            let (client, _) = request;
            let detail =
                format!("the write of client {client} took effect in {instance}, and in {first}");
            Breach::new(Rule::ExactlyOnce, detail)
        })
    }
}

/// Puts `value` under `key` in a sorted table. If another value is there, says which.
fn insert<K: Ord + Copy, V: PartialEq + std::fmt::Debug>(
    table: &mut Vec<(K, V)>,
    key: K,
    value: V,
) -> Result<(), String> {
    match table.binary_search_by_key(&key, |entry| entry.0) {
        Ok(known) if table[known].1 == value => Ok(()),
        Ok(known) => Err(format!("{:?} is there", table[known].1)),
        Err(place) => {
            table.insert(place, (key, value));
            Ok(())
        }
    }
}
