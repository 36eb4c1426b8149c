//! What a driver meets in the simulation: where its messages go, and those that watch it.

use std::{
    hash::{Hash, Hasher},
    rc::Rc,
    sync::Arc,
};

use driver::{ConnectionId, Driver, Output, Reply, Sent, Watch};
use protocols::{
    Batch, InstanceId, Path, Replica, ReplicaId, ReplicaSet, Request, Snapshot,
    dependencies::Dependencies,
};
use rustc_hash::FxHasher;

use crate::{
    cost::{Work, frame_bytes},
    coverage::{Coverage, Rare},
    host::{Envelopes, Observed, Outgoing, SimReplica},
    observe::Observer,
    outcome::Counters,
    progress::Progress,
    queue::Nanos,
    simulation::Simulation,
    source::Source,
    store::SimStore,
    trace::Trace,
    violation::Breach,
};

/// Takes what a driver puts out, and adds up the work that this is.
#[derive(Debug)]
pub(crate) struct Collector<'a, R: Replica> {
    pub(crate) outbox: &'a mut Vec<Outgoing<R>>,
    pub(crate) envelopes: &'a mut Envelopes<R::Message>,
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
        let envelope = self.envelopes.put_in(message, hasher.finish(), bytes);
        let receivers = to.len() as u64;
        self.work += Work::messages(receivers, bytes);
        for to in to.iter() {
            self.outbox.push(Outgoing::Message { to, envelope: Rc::clone(&envelope) });
        }
        Sent { receivers, bytes: bytes.into() }
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

/// Those that watch a replica from outside the cluster, and what they take note of.
pub(crate) struct Bystanders<'a, S: Source> {
    replica: ReplicaId,
    now: Nanos,
    observer: &'a mut Observer,
    progress: &'a mut Progress,
    coverage: &'a mut Coverage,
    checkpointed_at: &'a mut Option<Nanos>,
    source: &'a mut S,
}

impl<S: Source> Bystanders<'_, S> {
    fn committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
    ) -> Result<(), Breach> {
        let is_new = self.observer.committed(self.replica, instance, batch, dependencies)?;
        if is_new && !batch.is_noop() {
            self.progress.decided(self.now);
        }
        Ok(())
    }

    fn executing(&mut self, instance: InstanceId, batch: &Batch) -> Result<(), Breach> {
        self.observer.executed(self.replica, instance, batch)
    }

    fn took_effect(
        &mut self,
        place: (InstanceId, usize),
        request: &Request<'_>,
    ) -> Result<(), Breach> {
        let write = (request.client, request.number);
        if self.observer.took_effect(self.replica, place, write)? {
            self.source.on_effect(request);
        }
        Ok(())
    }

    fn captured(&mut self, machine: &[u8]) {
        self.observer.captured(self.replica, machine, self.now);
    }

    fn checkpointed(&mut self) {
        *self.checkpointed_at = Some(self.now);
    }

    fn installed(&mut self, snapshot: &Snapshot) -> Result<(), Breach> {
        let captured_at = self.observer.installed(self.replica, &snapshot.machine)?;
        let amid = self.checkpointed_at.is_some_and(|at| at > captured_at);
        self.coverage.add(Rare::CheckpointAmidInstall, u64::from(amid));
        Ok(())
    }

    /// Tells of all that was kept until it was durable, up to the first rule that is broken.
    fn notify(&mut self, kept: &mut Vec<Observed>) -> Result<(), Breach> {
        // What is executed now, for the effects of its commands.
        let mut executing = None;
        kept.drain(..).try_for_each(|one| match one {
            Observed::Committed { instance, batch, dependencies } => {
                self.committed(instance, &batch, &dependencies)
            }
            Observed::Executing { instance, batch } => {
                self.executing(instance, &batch)?;
                executing = Some((instance, batch));
                Ok(())
            }
            Observed::TookEffect { position, client, number } => {
                let (instance, batch) = executing.as_ref().expect("it follows its execution");
                let request = batch.requests().nth(position).expect("it has taken effect");
                debug_assert_eq!((request.client, request.number), (client, number));
                self.took_effect((*instance, position), &request)
            }
            Observed::Captured(machine) => {
                self.captured(&machine);
                Ok(())
            }
            Observed::Checkpointed => {
                self.checkpointed();
                Ok(())
            }
            Observed::Installed(snapshot) => self.installed(&snapshot),
        })
    }
}

/// Watches one replica: what it does is noted for the observers, the trace and the clients' side.
///
/// What a replica knows and nobody else has heard is forgotten when it crashes before that is
/// durable: no rule speaks of it. So observers are told what a turn did when it is released. A
/// replica that makes nothing durable has nothing to wait for: observers are told at once.
pub(crate) struct Watcher<'a, S: Source> {
    bystanders: Bystanders<'a, S>,
    /// Where it is kept until it is durable; none if it need not be.
    kept: Option<&'a mut Vec<Observed>>,
    trace: &'a mut Trace,
    hash: &'a mut FxHasher,
    events: &'a mut u64,
    /// Work that the replica does beside what it puts out.
    pub(crate) work: Work,
    counters: &'a mut Counters,
    /// The first rule that the replica broke, if it was told at once.
    pub(crate) breach: Option<Breach>,
}

impl<S: Source> Watcher<'_, S> {
    /// Keeps what `kept` makes, or tells it at once by `tell`.
    fn observe(
        &mut self,
        kept: impl FnOnce() -> Observed,
        tell: impl FnOnce(&mut Bystanders<'_, S>) -> Result<(), Breach>,
    ) {
        match &mut self.kept {
            Some(all) => all.push(kept()),
            // The run ends with the first breach: nothing is told after it.
            None if self.breach.is_none() => self.breach = tell(&mut self.bystanders).err(),
            None => {}
        }
    }
}

impl<R: Replica, S: Source> Watch<R> for Watcher<'_, S> {
    fn expired(&mut self, timer: R::Timer) {
        let (replica, now) = (self.bystanders.replica, self.bystanders.now);
        self.work += Work::message(0);
        *self.events += 1;
        (now, replica, 2_u8).hash(self.hash);
        timer.hash(self.hash);
        self.trace.add(now, || format!("{replica} timer {timer:?}"));
    }

    fn committed(
        &mut self,
        instance: InstanceId,
        batch: &Batch,
        dependencies: &Dependencies,
        path: Path,
    ) {
        let replica = self.bystanders.replica;
        self.trace.add(self.bystanders.now, || {
            format!("{replica} knows {instance} = {batch:?} after {dependencies:?}, {path:?}")
        });
        self.counters.learned += u64::from(path == Path::Learned);
        self.observe(
            || {
                let (batch, dependencies) = (batch.clone(), dependencies.clone());
                Observed::Committed { instance, batch, dependencies }
            },
            |bystanders| bystanders.committed(instance, batch, dependencies),
        );
    }

    fn executing(&mut self, instance: InstanceId, batch: &Batch) {
        let replica = self.bystanders.replica;
        let text = || format!("{replica} executes {instance} = {batch:?}");
        self.trace.add(self.bystanders.now, text);
        self.work += Work::commands(batch.requests().len() as u64);
        self.observe(
            || Observed::Executing { instance, batch: batch.clone() },
            |bystanders| bystanders.executing(instance, batch),
        );
    }

    fn took_effect(&mut self, place: (InstanceId, usize), request: &Request<'_>) {
        let (client, number) = (request.client, request.number);
        self.observe(
            || Observed::TookEffect { position: place.1, client, number },
            |bystanders| bystanders.took_effect(place, request),
        );
    }

    fn captured(&mut self, machine: &Arc<[u8]>) {
        self.observe(
            || Observed::Captured(Arc::clone(machine)),
            |bystanders| {
                bystanders.captured(machine);
                Ok(())
            },
        );
    }

    fn checkpointed(&mut self) {
        self.observe(
            || Observed::Checkpointed,
            |bystanders| {
                bystanders.checkpointed();
                Ok(())
            },
        );
    }

    fn installed(&mut self, snapshot: &Snapshot) {
        let replica = self.bystanders.replica;
        self.trace.add(self.bystanders.now, || format!("{replica} installs a snapshot"));
        self.counters.installs += 1;
        self.observe(
            || Observed::Installed(snapshot.clone()),
            |bystanders| bystanders.installed(snapshot),
        );
    }

    fn own_committed(&mut self, entered: Nanos) {
        let Bystanders { replica, now, source, .. } = &mut self.bystanders;
        source.on_committed(*replica, *now, *now - entered);
    }

    fn own_executed(&mut self, entered: Nanos) {
        let Bystanders { replica, now, source, .. } = &mut self.bystanders;
        source.on_executed(*replica, *now, *now - entered);
    }
}

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Tells the observers what a replica did that is durable now.
    pub(crate) fn observe(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let SimReplica { observed, checkpointed_at, .. } = &mut self.hosts[replica.index()];
        if observed.is_empty() {
            return Ok(());
        }
        let mut bystanders = Bystanders {
            replica,
            now: self.now,
            observer: &mut self.observer,
            progress: &mut self.progress,
            coverage: &mut self.coverage,
            checkpointed_at,
            source: &mut self.source,
        };
        bystanders.notify(observed)
    }

    /// Does something with a replica's driver while that is watched; nothing if the replica is
    /// down.
    pub(crate) fn watched_driver<T>(
        &mut self,
        replica: ReplicaId,
        work: impl FnOnce(
            &mut Driver<R>,
            &mut SimStore,
            (&mut Vec<Outgoing<R>>, &mut Envelopes<R::Message>),
            &mut Watcher<'_, S>,
        ) -> T,
    ) -> Option<T> {
        // Drivers are large: they stay where they are.
        let SimReplica { driver, store, outbox, observed, checkpointed_at, counters, .. } =
            &mut self.hosts[replica.index()];
        let bystanders = Bystanders {
            replica,
            now: self.now,
            observer: &mut self.observer,
            progress: &mut self.progress,
            coverage: &mut self.coverage,
            checkpointed_at,
            source: &mut self.source,
        };
        let mut watch = Watcher {
            bystanders,
            kept: store.makes_durable().then_some(observed),
            trace: &mut self.trace,
            hash: &mut self.hash,
            events: &mut self.events,
            work: Work::NONE,
            counters,
            breach: None,
        };
        Some(work(driver.as_mut()?, store, (outbox, &mut self.envelopes), &mut watch))
    }
}
