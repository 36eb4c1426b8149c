//! Carrying out what replicas ask for, and telling the observers.

use std::{
    hash::{Hash, Hasher},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use protocols::{
    Batch, Effect, Effects, InstanceId, Path, Replica, ReplicaId, ReplicaSet, Snapshot, kv::Kv,
};
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::{
    cost::{Work, frame_bytes},
    host::{Arrival, Envelope, Outgoing, Pending},
    queue::Nanos,
    simulation::Simulation,
    source::{Outcomes, Source},
    violation::{Breach, Broken},
};

/// chosen: as long as a fault or two last.
const CHECKPOINT_NS_MAX: Nanos = 2_000_000_000;

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Carries out some of the effects, then crashes. A driver may make all records durable first or keep to the order
    /// of the effects; both are tried. No record may pass the installation of a snapshot.
    pub(crate) fn crash_midway(
        &mut self,
        replica: ReplicaId,
        effects: &mut Effects<R>,
    ) -> Result<(), Breach> {
        let mut effects: Vec<_> = effects.drain().collect();
        let installs = effects.iter().any(|effect| matches!(effect, Effect::Install(_)));
        if !installs && self.links.draw(&(0..=1)) == 1 {
            effects.sort_by_key(|effect| !matches!(effect, Effect::Persist(_)));
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

    pub(crate) fn carry_out(
        &mut self,
        replica: ReplicaId,
        effect: Effect<R>,
    ) -> Result<(), Breach> {
        match effect {
            Effect::Persist(record) => {
                // What nobody will read again is not kept.
                if self.cluster.restarts {
                    self.hosts[replica.index()].records.push(record);
                }
            }
            Effect::Send { to, message } => self.send(replica, to, message),
            Effect::SetTimer { timer, after } => {
                let [low, high] = [after.start(), after.end()].map(|bound| nanos(*bound));
                let at = self.now + self.links.draw(&(low..=high));
                if let Some(token) = self.hosts[replica.index()].timers.set(timer, at) {
                    self.arrive_at(at, replica, Arrival::Timer { timer, token });
                }
            }
            Effect::CancelTimer(timer) => self.hosts[replica.index()].timers.cancel(timer),
            Effect::Committed { instance, batch, dependencies, path } => {
                self.trace.add(self.now, || {
                    format!(
                        "{replica} knows {instance} = {batch:?} after {dependencies:?}, {path:?}"
                    )
                });
                let is_new = self.observer.committed(replica, instance, &batch, dependencies)?;
                if is_new && !batch.is_noop() {
                    self.note_decision();
                }
                self.count_commit(replica, &batch, path);
            }
            Effect::Execute { instance, batch } => {
                self.trace.add(self.now, || format!("{replica} executes {instance} = {batch:?}"));
                self.execute(replica, instance, &batch)?;
            }
            Effect::Capture => {
                let (life, machine) = (self.hosts[replica.index()].life, self.capture(replica));
                self.arrive_at(self.now, replica, Arrival::Captured { life, machine });
            }
            Effect::Install(snapshot) => self.install(replica, snapshot)?,
            Effect::Checkpoint(snapshot) => self.keep_checkpoint(replica, snapshot),
        }
        Ok(())
    }

    /// A replica's state, as it is now, in bytes that are like those of no other moment.
    pub(crate) fn capture(&mut self, replica: ReplicaId) -> Arc<[u8]> {
        let state = self.hosts[replica.index()].kv.snapshot();
        let machine: Arc<[u8]> = tagged(state, self.observer.captures()).into();
        self.observer.captured(replica, &machine);
        machine
    }

    /// Half of the checkpoints are durable at once, before the records behind them; the others are written at leisure.
    fn keep_checkpoint(&mut self, replica: ReplicaId, snapshot: Snapshot) {
        self.trace.add(self.now, || format!("{replica} has a checkpoint"));
        if !self.cluster.restarts {
            return;
        }
        let leisure = self.links.draw(&(0..=1)) == 1;
        let takes = if leisure { self.links.draw(&(0..=CHECKPOINT_NS_MAX)) } else { 0 };
        let host = &mut self.hosts[replica.index()];
        let number = host.begin_checkpoint(snapshot);
        if leisure {
            self.arrive_at(self.now + takes, replica, Arrival::Written { number });
        } else {
            host.checkpoint_durable();
        }
    }

    fn send(&mut self, from: ReplicaId, to: ReplicaSet, message: R::Message) {
        assert!(!to.contains(from), "{from} sends to itself: {message:?}");
        let mut hasher = FxHasher::default();
        message.hash(&mut hasher);
        let bytes = if self.cluster.counts_bytes { frame_bytes(&message) } else { 0 };
        let counters = &mut self.hosts[from.index()].counters;
        counters.messages_out += to.len() as u64;
        counters.bytes_out += to.len() as u64 * u64::from(bytes);
        let envelope = Rc::new(Envelope { message, hash: hasher.finish(), bytes });
        for to in to.iter() {
            self.work(from, Work::message(bytes));
            self.put_out(from, Outgoing::Message { to, envelope: Rc::clone(&envelope) });
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
        if path != Path::Learned {
            host.counters.commands_led += batch.requests().len() as u64;
        }
        // One for every submission that was joined into the batch.
        for request in batch.requests() {
            if let Some(pending) = host.pending.get_mut(&(request.client, request.number))
                && pending.committed.is_none()
            {
                pending.committed = Some(self.now);
                self.source.on_committed(replica, self.now, self.now - pending.since);
            }
        }
        self.source.on_commit_seen(replica, self.now);
    }

    fn execute(
        &mut self,
        replica: ReplicaId,
        instance: InstanceId,
        batch: &Batch,
    ) -> Result<(), Breach> {
        self.observer.executed(replica, instance, batch)?;
        if batch.is_noop() {
            return Ok(());
        }
        for _ in batch.requests() {
            self.work(replica, Work::COMMAND);
        }
        let host = &mut self.hosts[replica.index()];
        // The submission of which this is a part, if somebody waits for it here, with what came of it so far.
        let mut waiting: Option<(Pending, Outcomes)> = None;
        let mut done: SmallVec<[(Pending, Outcomes); 1]> = SmallVec::new();
        for (position, request) in batch.requests().enumerate() {
            if waiting.is_none() {
                let pending = host.pending.remove(&(request.client, request.number));
                waiting = pending.map(|pending| (pending, Outcomes::new()));
            }
            let writes = host.kv.digest().writes;
            let outcome = host.kv.apply(&request);
            host.counters.commands_executed += 1;
            if host.kv.digest().writes != writes {
                let new = self.observer.took_effect(replica, (instance, position), &request)?;
                if new {
                    self.source.on_effect(&request);
                }
            }
            if let Some((pending, outcomes)) = &mut waiting {
                outcomes.push(outcome);
                if outcomes.len() == pending.commands {
                    done.extend(waiting.take());
                }
            }
        }
        self.source.on_execution_seen(replica, self.now);
        for (pending, outcomes) in done {
            self.tell_executed(replica, &pending);
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
        // A write that the state holds is answered to its client's retry. Whether it holds a read nothing tells: a retry
        // proposes it again.
        let (mut settled, mut dropped, now) = (Vec::new(), Vec::new(), self.now);
        host.pending.retain(|(client, number), pending| {
            if number.is_read() {
                dropped.push(*pending);
                return false;
            }
            let is_held = host.kv.sessions().outcome(*client, number.index()).is_some();
            if is_held && !pending.is_settled {
                settled.push(*pending);
                pending.is_settled = true;
                // Its instance may become known as committed later: that is not news.
                pending.committed.get_or_insert(now);
            }
            true
        });
        host.snapshot = Some(snapshot);
        host.obsolete = host.records.len();
        // It is newer than a checkpoint that is still being written.
        host.writing = None;
        host.counters.installs += 1;
        settled.iter().for_each(|pending| self.tell_executed(replica, pending));
        self.tell_dropped(replica, &dropped);
        Ok(())
    }

    /// Tells the clients' side that a submission is executed, which came in at this replica.
    fn tell_executed(&mut self, replica: ReplicaId, pending: &Pending) {
        if pending.is_settled {
            return;
        }
        let took = self.now - pending.since;
        if pending.committed.is_none() {
            self.source.on_committed(replica, self.now, took);
        }
        let waited = self.now - pending.committed.unwrap_or(self.now);
        self.source.on_executed(replica, self.now, took, waited);
    }

    /// Tells the clients' side that a replica works on submissions no more.
    pub(crate) fn tell_dropped(&mut self, replica: ReplicaId, dropped: &[Pending]) {
        for pending in dropped.iter().filter(|pending| !pending.is_settled) {
            let is_committed = pending.committed.is_some();
            self.source.on_dropped(replica, self.now, pending.since, is_committed);
        }
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

pub(crate) fn nanos(duration: Duration) -> Nanos {
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
