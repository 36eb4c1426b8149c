//! What a driver meets in the simulation: where its messages go, and those that watch it.

use std::{
    hash::{Hash, Hasher},
    rc::Rc,
    sync::Arc,
};

use driver::{ConnectionId, Output, Reply, Sent, Watch};
use protocols::{
    Batch, ClientId, InstanceId, Path, Replica, ReplicaId, ReplicaSet, Request, RequestNumber,
    Snapshot, dependencies::Dependencies,
};
use rustc_hash::FxHasher;

use crate::{
    cost::{Work, frame_bytes},
    coverage::Rare,
    host::{Envelope, Outgoing},
    outcome::Counters,
    queue::Nanos,
    simulation::Simulation,
    source::Source,
    trace::Trace,
    violation::Breach,
};

/// Takes what a driver puts out, and adds up the work that this is.
#[derive(Debug)]
pub(crate) struct Collector<'a, R: Replica> {
    pub(crate) outbox: &'a mut Vec<Outgoing<R>>,
    /// How many entries of the outbox may leave.
    pub(crate) released: &'a mut usize,
    pub(crate) counts_bytes: bool,
    pub(crate) work: Work,
}

impl<R: Replica> Collector<'_, R> {
    fn bytes(&self, value: &impl serde::Serialize) -> u32 {
        if self.counts_bytes { frame_bytes(value) } else { 0 }
    }
}

impl<R: Replica> Output<R> for Collector<'_, R> {
    fn send(&mut self, to: ReplicaSet, message: R::Message) -> Sent {
        let mut hasher = FxHasher::default();
        message.hash(&mut hasher);
        let bytes = self.bytes(&message);
        let envelope = Rc::new(Envelope { message, hash: hasher.finish(), bytes });
        for to in to.iter() {
            self.work += Work::message(bytes);
            self.outbox.push(Outgoing::Message { to, envelope: Rc::clone(&envelope) });
        }
        Sent { receivers: to.len() as u64, bytes: bytes.into() }
    }

    fn reply(&mut self, connection: ConnectionId, reply: Reply) {
        let bytes = self.bytes(&reply);
        self.work += Work::message(bytes);
        let client = u32::try_from(connection).expect("a connection is a client's number");
        self.outbox.push(Outgoing::Reply { client, reply, bytes });
    }

    fn release(&mut self) {
        *self.released = self.outbox.len();
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) proposals: u64,
    pub(crate) decisions: u64,
    /// When a client last had an answer or something asked for was decided.
    pub(crate) last_at: Nanos,
}

impl Progress {
    /// Something was decided at `now`. That is progress unless it is one more than was asked for:
    /// endless decisions are no way to rest.
    const fn decided(&mut self, now: Nanos) {
        self.decisions += 1;
        if self.decisions <= self.proposals {
            self.last_at = now;
        }
    }
}

/// What a replica did that observers must know, in the order in which it did it.
#[derive(Debug)]
pub(crate) enum Observed {
    Committed {
        instance: InstanceId,
        batch: Batch,
        dependencies: Dependencies,
    },
    Executing {
        instance: InstanceId,
        batch: Batch,
    },
    /// The command at this position of the batch that is being executed took effect.
    TookEffect {
        position: usize,
        client: ClientId,
        number: RequestNumber,
    },
    Captured(Arc<[u8]>),
    Checkpointed,
    Installed(Snapshot),
}

/// Watches one replica: what it does is noted for the observers, the trace and the clients' side.
///
/// What a replica knows and nobody else has heard is forgotten when it crashes before that is
/// durable: no rule speaks of it. So observers are told what a turn did when it is released.
pub(crate) struct Watcher<'a, S: Source> {
    pub(crate) replica: ReplicaId,
    pub(crate) now: Nanos,
    pub(crate) observed: &'a mut Vec<Observed>,
    pub(crate) trace: &'a mut Trace,
    pub(crate) source: &'a mut S,
    pub(crate) hash: &'a mut FxHasher,
    pub(crate) events: &'a mut u64,
    /// Work that the replica does beside what it puts out.
    pub(crate) work: Work,
    pub(crate) counters: &'a mut Counters,
}

impl<R: Replica, S: Source> Watch<R> for Watcher<'_, S> {
    fn expired(&mut self, timer: R::Timer) {
        let replica = self.replica;
        self.work += Work::message(0);
        *self.events += 1;
        (self.now, replica, 2_u8).hash(self.hash);
        timer.hash(self.hash);
        self.trace.add(self.now, || format!("{replica} timer {timer:?}"));
    }

    fn committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
        path: Path,
    ) {
        let replica = self.replica;
        self.trace.add(self.now, || {
            format!("{replica} knows {instance} = {batch:?} after {dependencies:?}, {path:?}")
        });
        self.counters.learned += u64::from(path == Path::Learned);
        let (batch, dependencies) = (batch.clone(), dependencies.clone());
        self.observed.push(Observed::Committed { instance, batch, dependencies });
    }

    fn executing(&mut self, instance: InstanceId, batch: &Batch) {
        let replica = self.replica;
        self.trace.add(self.now, || format!("{replica} executes {instance} = {batch:?}"));
        self.work += Work::commands(batch.requests().len() as u64);
        self.observed.push(Observed::Executing { instance, batch: batch.clone() });
    }

    fn took_effect(&mut self, (_, position): (InstanceId, usize), request: &Request<'_>) {
        let (client, number) = (request.client, request.number);
        self.observed.push(Observed::TookEffect { position, client, number });
    }

    fn captured(&mut self, machine: &Arc<[u8]>) {
        self.observed.push(Observed::Captured(Arc::clone(machine)));
    }

    fn checkpointed(&mut self) {
        self.observed.push(Observed::Checkpointed);
    }

    fn installed(&mut self, snapshot: &Snapshot) {
        let replica = self.replica;
        self.trace.add(self.now, || format!("{replica} installs a snapshot"));
        self.counters.installs += 1;
        self.observed.push(Observed::Installed(snapshot.clone()));
    }

    fn own_committed(&mut self, entered: Nanos) {
        self.source.on_committed(self.replica, self.now, self.now - entered);
    }

    fn own_executed(&mut self, entered: Nanos) {
        self.source.on_executed(self.replica, self.now, self.now - entered);
    }
}

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Tells the observers what a replica did that is durable now.
    pub(crate) fn observe(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let mut observed = std::mem::take(&mut self.hosts[replica.index()].observed);
        // What is executed now, for the effects of its commands.
        let mut executing = None;
        let done = observed.drain(..).try_for_each(|one| match one {
            Observed::Committed { instance, batch, dependencies } => {
                let is_new = self.observer.committed(replica, instance, &batch, dependencies)?;
                if is_new && !batch.is_noop() {
                    self.progress.decided(self.now);
                }
                Ok(())
            }
            Observed::Executing { instance, batch } => {
                self.observer.executed(replica, instance, &batch)?;
                executing = Some((instance, batch));
                Ok(())
            }
            Observed::TookEffect { position, client, number } => {
                let (instance, batch) = executing.as_ref().expect("it follows its execution");
                let place = (*instance, position);
                if self.observer.took_effect(replica, place, (client, number))? {
                    let request = batch.requests().nth(position).expect("it has taken effect");
                    self.source.on_effect(&request);
                }
                Ok(())
            }
            Observed::Captured(machine) => {
                self.observer.captured(replica, &machine, self.now);
                Ok(())
            }
            Observed::Checkpointed => {
                self.hosts[replica.index()].checkpointed_at = Some(self.now);
                Ok(())
            }
            Observed::Installed(snapshot) => {
                let captured_at = self.observer.installed(replica, &snapshot.machine)?;
                let checkpointed_at = self.hosts[replica.index()].checkpointed_at;
                let amid = checkpointed_at.is_some_and(|at| at > captured_at);
                self.coverage.add(Rare::CheckpointAmidInstall, u64::from(amid));
                Ok(())
            }
        });
        self.hosts[replica.index()].observed = observed;
        done
    }
}
