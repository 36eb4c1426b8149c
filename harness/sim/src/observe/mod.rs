//! Observers: what must hold whatever happens, seen from outside and told nothing but the effects that replicas ask for.
//! They know every replica at once, which no replica does.
//!
//! A rule about one replica's behaviour ("once") is a rule about one of its lives: a replica that comes back without its
//! machine state has to execute again. Rules about what is decided and in which order hold over all lives.

mod decisions;
mod instances;
mod order;
#[cfg(test)]
mod tests;
mod visibility;

use protocols::{
    Batch, ClientId, InstanceId, Protocol, ReplicaId, ReplicaSet, RequestNumber,
    dependencies::Dependencies,
};
use rustc_hash::FxHashMap;

use crate::{
    queue::Nanos,
    violation::{Breach, Broken},
};
use decisions::Decisions;
use instances::InstanceSet;
use order::{Order, Progress};
use visibility::Visibility;

/// All observers of one run.
#[derive(Debug)]
pub(crate) struct Observer {
    decisions: Decisions,
    /// Only where commands are ordered by dependencies.
    visibility: Option<Visibility>,
    order: Order,
    /// By replica: what it has reported as committed in this life.
    committed: Vec<InstanceSet>,
    /// By client and index of its write: where it took effect.
    effects: FxHashMap<u64, Vec<Option<InstanceId>>>,
    /// Whoever may still execute something. None if that may be anybody again and again, since crashed replicas restart:
    /// then every decision is kept.
    living: Option<ReplicaSet>,
    /// By the hash of a machine state that was captured: when, and how far its replica had come.
    /// Few are captured.
    captured: FxHashMap<u64, (Nanos, Progress)>,
}

impl Observer {
    /// `restarts`: may a crashed replica come back?
    pub(crate) fn new(protocol: Protocol, replicas: usize, restarts: bool) -> Self {
        Self {
            decisions: Decisions::default(),
            visibility: (protocol.order == protocols::Order::Dependencies)
                .then(Visibility::default),
            order: Order::new(replicas),
            committed: vec![InstanceSet::default(); replicas],
            effects: FxHashMap::default(),
            living: (!restarts).then(|| ReplicaSet::all(replicas)),
            captured: FxHashMap::default(),
        }
    }

    /// `replica` knows that `batch` is decided at `instance`; true if nobody knew it before.
    pub(crate) fn committed(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
    ) -> Result<bool, Breach> {
        if !self.committed[replica.index()].insert(instance) {
            let detail = format!("{replica} reported {instance} again");
            return Err(Breach::new(Broken::CommittedTwice, detail));
        }
        let new = self.decisions.decided(replica, instance, batch, dependencies)?;
        if let Some(visibility) = self.visibility.as_mut().filter(|_| new) {
            visibility.decided(instance, &self.decisions)?;
        }
        Ok(new)
    }

    /// `replica` executes `batch`, decided at `instance`.
    pub(crate) fn executed(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
    ) -> Result<(), Breach> {
        let decision = self.decisions.for_execution(replica, instance, batch)?;
        self.order.executed(replica, instance, decision)?;
        decision.executed.insert(replica);
        // Whoever installs a state executes again what that lacks, which is nothing that had settled before it was
        // captured.
        if self.captured.is_empty()
            && self.living.is_some_and(|living| living.difference(decision.executed).is_empty())
        {
            self.decisions.settle(instance);
        }
        Ok(())
    }

    /// A client's write took effect at `replica` as the command at `position` of `instance`; true
    /// if it had done so nowhere before.
    pub(crate) fn took_effect(
        &mut self,
        replica: ReplicaId,
        (instance, position): (InstanceId, usize),
        (client, number): (ClientId, RequestNumber),
    ) -> Result<bool, Breach> {
        // What was found in order at one replica need not be looked up again for the next.
        if !self.decisions.takes_effect(instance, position) {
            return Ok(false);
        }
        let of_client = self.effects.entry(client.0).or_default();
        let index = usize::try_from(number.index()).expect("clients count from 1");
        if of_client.len() <= index {
            of_client.resize(index + 1, None);
        }
        let Some(first) = of_client[index].replace(instance) else { return Ok(true) };
        if first == instance {
            return Ok(false);
        }
        let detail = format!(
            "client {}'s {number:?} took effect in {first} and, at {replica}, in {instance}",
            client.0
        );
        Err(Breach::new(Broken::EffectTwice, detail))
    }

    /// `replica`'s machine state, as it is at `now`, is `machine`: no other place in the order has
    /// this state.
    pub(crate) fn captured(&mut self, replica: ReplicaId, machine: &[u8], now: Nanos) {
        self.captured.insert(hash(machine), (now, self.order.progress(replica).clone()));
    }

    /// `replica`'s machine state is now `machine`: its own work counts from there. Returns when
    /// that was captured.
    pub(crate) fn installed(
        &mut self,
        replica: ReplicaId,
        machine: &[u8],
    ) -> Result<Nanos, Breach> {
        let Some((captured_at, progress)) = self.captured.get(&hash(machine)) else {
            let detail = format!("{replica} installed a state that no replica had");
            return Err(Breach::new(Broken::ForeignSnapshot, detail));
        };
        self.order.set_progress(replica, progress.clone());
        Ok(*captured_at)
    }

    /// `replica` lost everything not durable, and its machine state with it.
    pub(crate) fn crashed(&mut self, replica: ReplicaId) {
        if let Some(living) = &mut self.living {
            living.remove(replica);
        }
        self.committed[replica.index()] = InstanceSet::default();
        self.order.set_progress(replica, Progress::default());
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
