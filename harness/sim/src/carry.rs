//! Carrying out what replicas ask for, and telling the observers.

use std::{sync::Arc, time::Duration};

use protocols::{
    Batch, Effect, Effects, Input, InstanceId, Path, Replica, ReplicaId, ReplicaSet, Snapshot,
    kv::Kv,
};

use crate::{
    host::submission_id,
    mutant,
    queue::Nanos,
    simulation::{Event, Simulation},
    violation::{Breach, Broken},
};

impl<R: Replica> Simulation<'_, R> {
    /// Steps one replica and carries out what it asks for, all of it or, if it is to crash midway, some.
    pub(crate) fn step(&mut self, replica: ReplicaId, input: Input<R>) -> Result<(), Breach> {
        let mut effects = std::mem::take(&mut self.effects);
        let host = &mut self.hosts[replica.index()];
        let core = host.core.as_mut().expect("only replicas that live are stepped");
        core.step(input, &mut effects);
        core.step(Input::Flush, &mut effects);
        let done = if host.crash_midway && !effects.is_empty() {
            self.crash_midway(replica, &mut effects)
        } else {
            effects.drain().try_for_each(|effect| self.carry_out(replica, effect))
        };
        self.effects = effects;
        done
    }

    /// Carries out some of the effects, then crashes. A driver may make all records durable first or keep to the order
    /// of the effects; both are tried. No record may pass the installation of a snapshot.
    fn crash_midway(&mut self, replica: ReplicaId, effects: &mut Effects<R>) -> Result<(), Breach> {
        let mut effects: Vec<_> = effects.drain().collect();
        let installs = effects.iter().any(|effect| matches!(effect, Effect::Install(_)));
        if !installs && self.links.draw(&(0..=1)) == 1 {
            effects.sort_by_key(|effect| !matches!(effect, Effect::Persist(_)));
        }
        if mutant::sends_first(&self.scenario.config) {
            effects.sort_by_key(|effect| matches!(effect, Effect::Persist(_)));
        }
        let all = effects.len();
        let done = self.links.draw(&(0..=all as u64));
        for effect in effects.into_iter().take(usize::try_from(done).unwrap_or(all)) {
            self.carry_out(replica, effect)?;
        }
        self.trace.add(self.now, || format!("{replica} crashes after {done} of {all} effects"));
        self.crash(replica);
        Ok(())
    }

    fn carry_out(&mut self, replica: ReplicaId, effect: Effect<R>) -> Result<(), Breach> {
        match effect {
            Effect::Persist(record) => self.hosts[replica.index()].records.push(record),
            Effect::Send { to, message } => self.send(replica, to, &message),
            Effect::SetTimer { timer, after } => {
                let [low, high] = [after.start(), after.end()].map(|bound| nanos(*bound));
                let at = self.now + self.links.draw(&(low..=high));
                if let Some(token) = self.hosts[replica.index()].timers.set(timer, at) {
                    self.queue.push(at, Event::Timer { replica, timer, token });
                }
            }
            Effect::CancelTimer(timer) => self.hosts[replica.index()].timers.cancel(timer),
            Effect::Committed { instance, batch, dependencies, path } => {
                self.trace.add(self.now, || {
                    format!(
                        "{replica} knows {instance} = {batch:?} after {dependencies:?}, {path:?}"
                    )
                });
                let new = self.observer.committed(replica, instance, &batch, &dependencies)?;
                if new && !batch.is_noop() {
                    self.note_decision();
                }
                self.count_commit(replica, &batch, path);
                if mutant::replies_early(&self.scenario.config) {
                    self.answer_early(replica, &batch);
                }
            }
            Effect::Execute { instance, batch } => {
                self.trace.add(self.now, || format!("{replica} executes {instance} = {batch:?}"));
                self.execute(replica, instance, &batch)?;
            }
            Effect::Capture => {
                let host = &self.hosts[replica.index()];
                let (life, state) = (host.life, host.kv.snapshot());
                let machine: Arc<[u8]> = tagged(state, self.observer.captures()).into();
                self.observer.captured(replica, &machine);
                self.queue.push(self.now, Event::Captured { replica, life, machine });
            }
            Effect::Install(snapshot) => self.install(replica, snapshot)?,
        }
        Ok(())
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaSet, message: &R::Message) {
        assert!(!to.contains(from), "{from} sends to itself: {message:?}");
        self.hosts[from.index()].counters.messages_out += to.len() as u64;
        for to in to.iter() {
            let (first, second) = self.links.fate(from, to);
            for delay in [first, second].into_iter().flatten() {
                let message = message.clone();
                self.queue.push(self.now + delay, Event::Message { from, to, message });
            }
        }
    }

    /// A decision is progress unless it is one more than was asked for: endless decisions are no way to rest.
    fn note_decision(&mut self) {
        self.decisions += 1;
        if self.decisions <= self.proposals {
            self.last_progress_at = self.now;
        }
    }

    fn count_commit(&mut self, replica: ReplicaId, batch: &Batch, path: Path) {
        let host = &mut self.hosts[replica.index()];
        match path {
            Path::Fast => host.counters.fast += 1,
            Path::Slow => host.counters.slow += 1,
            Path::Recovered => host.counters.recovered += 1,
            Path::Learned => host.counters.learned += 1,
        }
        if let Some(pending) = submission_id(batch).and_then(|id| host.pending.get_mut(&id))
            && !pending.committed
        {
            pending.committed = true;
            self.sites[replica.index()].commit_ns.push(self.now - pending.since);
        }
    }

    fn execute(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
    ) -> Result<(), Breach> {
        self.observer.executed(replica, instance, batch)?;
        let Some(id) = submission_id(batch) else { return Ok(()) };
        let host = &mut self.hosts[replica.index()];
        let pending = host.pending.remove(&id);
        let mut outcomes = Vec::new();
        for request in batch.requests() {
            let writes = host.kv.digest().writes;
            let outcome = host.kv.apply(&request);
            if host.kv.digest().writes != writes {
                self.observer.took_effect(replica, instance, &request)?;
            }
            if pending.is_some() {
                outcomes.push(outcome);
            }
        }
        if let Some(pending) = pending {
            self.sites[replica.index()].execute_ns.push(self.now - pending.since);
            self.answer(replica, pending.client, pending.number, outcomes);
        }
        Ok(())
    }

    fn install(&mut self, replica: ReplicaId, snapshot: Snapshot) -> Result<(), Breach> {
        self.trace.add(self.now, || format!("{replica} installs a snapshot"));
        self.observer.installed(replica, &snapshot.machine)?;
        let host = &mut self.hosts[replica.index()];
        host.kv = Kv::restore(untagged(&snapshot.machine))
            .map_err(|error| Breach::new(Broken::ForeignSnapshot, format!("{replica}: {error}")))?;
        mutant::pass_on(&self.scenario.config, &mut host.kv);
        host.snapshot = Some(snapshot);
        host.counters.installs += 1;
        Ok(())
    }
}

/// A captured state with a number of its own. One that was captured before and after a command that changed nothing (a
/// retry) has the same bytes, and yet stands for two places in the order.
fn tagged(mut state: Vec<u8>, number: u64) -> Vec<u8> {
    state.extend_from_slice(&number.to_le_bytes());
    state
}

/// The state in what [`tagged`] made.
pub(crate) fn untagged(machine: &[u8]) -> &[u8] {
    machine.split_last_chunk::<8>().map_or(&[], |(state, _)| state)
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).expect("timeouts are shorter than centuries")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found as "executes again" after a restart from the earlier of two captures with equal bytes (Paxos, seed 214).
    #[test]
    fn equal_states_captured_twice_are_told_apart() {
        let (one, other) = (tagged(vec![1, 2], 0), tagged(vec![1, 2], 1));
        assert_ne!(one, other);
        assert_eq!(untagged(&one), untagged(&other));
        assert_eq!(untagged(&one), [1, 2]);
    }
}
