//! Carrying out what a core asks for: the one place of a cluster where effects are interpreted.

use protocols::{Batch, Effect, InstanceId, Path, Replica, Snapshot, dependencies::Dependencies};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Driver, Pending, Surroundings};
use crate::{
    Nanos,
    around::{ConnectionId, Output, Sent, Watch},
    failpoint::{self, Failpoint},
    machine::Machine,
    meters::Meters,
    reply::Reply,
};

impl<R: Replica> Driver<R> {
    pub(super) fn carry_out(
        &mut self,
        effect: Effect<R>,
        around: &mut Surroundings<'_, impl Output<R>, impl Watch<R>>,
    ) {
        match effect {
            Effect::Persist(record) => {
                failpoint::pass(Failpoint::Record);
                if let Some(journal) = &mut self.journal {
                    journal.record(&record);
                }
            }
            Effect::Send { to, message } => {
                debug_assert!(!to.contains(self.id), "{} sends to itself: {message:?}", self.id);
                let Sent { receivers, bytes } = around.output.send(to, message);
                self.meters.counters.messages_out += receivers;
                self.meters.counters.bytes_out += receivers * bytes;
                self.dropped += to.len() as u64 - receivers;
            }
            Effect::SetTimer { timer, after } => self.timers.set(timer, around.now, after),
            Effect::CancelTimer(timer) => self.timers.cancel(timer),
            Effect::Committed { instance, batch, dependencies, path } => {
                around.watch.committed(instance, &batch, &dependencies, path);
                self.on_committed(instance, &batch, &dependencies, path, around);
            }
            Effect::Execute { instance, batch } => self.execute(instance, &batch, around),
            Effect::Capture => {
                let machine = self.capture(around.watch);
                self.captured.push(machine);
            }
            Effect::Install(snapshot) => {
                failpoint::pass(Failpoint::Install);
                self.install(&snapshot, around);
                self.keep(snapshot);
                failpoint::pass(Failpoint::Installed);
            }
            Effect::Checkpoint(snapshot) => {
                self.rarities.checkpoints += 1;
                around.watch.checkpointed();
                self.keep(snapshot);
                failpoint::pass(Failpoint::Checkpointed);
            }
        }
    }

    /// A state in place of all that was recorded: what is needed beyond it is recorded right behind
    /// this.
    fn keep(&mut self, snapshot: Snapshot) {
        if let Some(journal) = &mut self.journal {
            journal.replace(snapshot);
        }
    }

    fn on_committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
        path: Path,
        around: &mut Surroundings<'_, impl Output<R>, impl Watch<R>>,
    ) {
        let now = around.now;
        self.commits += 1;
        self.meters.commit_seen(now);
        self.commit_digest =
            self.commit_digest.wrapping_add(hash_of_commit(instance, batch, dependencies));
        match path {
            Path::Fast => self.meters.counters.commits_fast += 1,
            Path::Slow => self.meters.counters.commits_slow += 1,
            Path::Recovered => self.meters.counters.commits_recovered += 1,
            Path::Learned if self.pending.is_empty() => return,
            Path::Learned => {}
        }
        let led = u64::from(path != Path::Learned);
        for request in batch.requests() {
            self.meters.counters.commands_led += led;
            if let Some(pending) = self.pending.get_mut(&(request.client, request.number))
                && pending.committed.is_none()
            {
                pending.committed = Some(now);
                self.meters.committed(pending.entered, now);
                around.watch.own_committed(pending.entered);
            }
        }
    }

    fn execute(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        around: &mut Surroundings<'_, impl Output<R>, impl Watch<R>>,
    ) {
        around.watch.executing(instance, batch);
        self.machine.begin(instance);
        self.meters.execution_seen(around.now);
        for (position, request) in batch.requests().enumerate() {
            failpoint::pass(Failpoint::Execute);
            let writes = self.machine.kv.digest().writes;
            let outcome = self.machine.kv.apply(&request);
            if self.machine.kv.digest().writes != writes {
                around.watch.took_effect((instance, position), &request);
            }
            failpoint::pass(Failpoint::Executed);
            self.executed += 1;
            self.meters.counters.commands_executed += 1;
            let (client, number) = (request.client, request.number);
            let Some(pending) = self.pending.remove(&(client, number)) else { continue };
            self.pending_bytes -= pending.bytes;
            release(&mut self.pending_of, pending.connection);
            settle(&mut self.meters, &pending, around.now, around.watch);
            self.meters.counters.client_replies += 1;
            around.output.reply(pending.connection, Reply { client, number, answer: Ok(outcome) });
        }
    }

    /// Takes over the state of another replica. Pending writes that it holds are answered from it;
    /// pending reads are forgotten, because nothing tells whether they were executed before it: a
    /// retry proposes them again.
    fn install(
        &mut self,
        snapshot: &Snapshot,
        around: &mut Surroundings<'_, impl Output<R>, impl Watch<R>>,
    ) {
        around.watch.installed(snapshot);
        self.machine = Machine::restore(&snapshot.machine)
            .expect("a core asks only for states that a replica of its cluster captured");
        let Self { machine, answers, pending_of, pending_bytes, meters, rarities, .. } = self;
        self.pending.retain(|(client, number), pending| {
            let (client, number) = (*client, *number);
            if number.is_read() {
                rarities.reads_forgotten += 1;
                meters.forgotten(pending.entered, pending.committed.is_some(), around.now);
            } else {
                let Some(outcome) = machine.kv.sessions().outcome(client, number.index()) else {
                    return true;
                };
                rarities.writes_settled += 1;
                settle(meters, pending, around.now, around.watch);
                answers.push((pending.connection, Reply { client, number, answer: Ok(outcome) }));
            }
            *pending_bytes -= pending.bytes;
            release(pending_of, pending.connection);
            false
        });
    }
}

/// One request less is pending for `connection`, if it is still there.
pub(super) fn release(pending_of: &mut FxHashMap<ConnectionId, usize>, connection: ConnectionId) {
    if let Some(count) = pending_of.get_mut(&connection) {
        *count = count.saturating_sub(1);
    }
}

/// A pending request is executed at `now`, and committed if that was not known before.
fn settle<R: Replica>(
    meters: &mut Meters,
    pending: &Pending,
    now: Nanos,
    watch: &mut impl Watch<R>,
) {
    if pending.committed.is_none() {
        meters.committed(pending.entered, now);
        watch.own_committed(pending.entered);
    }
    meters.executed(pending.entered, pending.committed.unwrap_or(now), now);
    watch.own_executed(pending.entered);
}

fn hash_of_commit(instance: InstanceId, batch: &Batch, dependencies: &Dependencies) -> u64 {
    let place = instance.slot.wrapping_mul(64).wrapping_add(u64::from(instance.row.0));
    let mut hash = xxh3_64_with_seed(batch.as_bytes(), place);
    for slot in dependencies.slots() {
        hash = hash.rotate_left(5) ^ slot.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    // The sum of unmixed words could hide a pair of differences that cancel each other.
    xxh3_64(&hash.to_le_bytes())
}
