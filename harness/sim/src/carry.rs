//! What a driver meets in the simulation: where its messages go, and those that watch it.

use std::{
    hash::{Hash, Hasher},
    rc::Rc,
};

use driver::{ConnectionId, Output, Reply, Sent, Watch};
use protocols::{
    Batch, InstanceId, Path, Replica, ReplicaId, ReplicaSet, Request, Snapshot,
    dependencies::Dependencies,
};
use rustc_hash::FxHasher;

use crate::{
    cost::{Work, frame_bytes},
    host::{Envelope, Outgoing},
    observe::Observer,
    queue::Nanos,
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

/// Watches one replica: the observers, the trace and the clients' side are told what it does.
pub(crate) struct Watcher<'a, S: Source> {
    pub(crate) replica: ReplicaId,
    pub(crate) now: Nanos,
    pub(crate) observer: &'a mut Observer,
    pub(crate) trace: &'a mut Trace,
    pub(crate) source: &'a mut S,
    pub(crate) progress: &'a mut Progress,
    pub(crate) hash: &'a mut FxHasher,
    pub(crate) events: &'a mut u64,
    /// The first rule that was broken.
    pub(crate) breach: &'a mut Option<Breach>,
    /// Work that the replica does beside what it puts out.
    pub(crate) work: Work,
    pub(crate) learned: &'a mut u64,
    pub(crate) installs: &'a mut u64,
}

impl<S: Source> Watcher<'_, S> {
    fn take<T>(&mut self, seen: Result<T, Breach>) -> Option<T> {
        match seen {
            Ok(seen) => Some(seen),
            Err(breach) => {
                self.breach.get_or_insert(breach);
                None
            }
        }
    }
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
        *self.learned += u64::from(path == Path::Learned);
        let seen = self.observer.committed(replica, instance, batch, dependencies.clone());
        // A decision is progress unless it is one more than was asked for: endless decisions are no
        // way to rest.
        if self.take(seen) == Some(true) && !batch.is_noop() {
            self.progress.decisions += 1;
            if self.progress.decisions <= self.progress.proposals {
                self.progress.last_at = self.now;
            }
        }
    }

    fn executing(&mut self, instance: InstanceId, batch: &Batch) {
        let replica = self.replica;
        self.trace.add(self.now, || format!("{replica} executes {instance} = {batch:?}"));
        for _ in batch.requests() {
            self.work += Work::COMMAND;
        }
        let seen = self.observer.executed(replica, instance, batch);
        self.take(seen);
    }

    fn took_effect(&mut self, place: (InstanceId, usize), request: &Request<'_>) {
        let seen = self.observer.took_effect(self.replica, place, request);
        if self.take(seen) == Some(true) {
            self.source.on_effect(request);
        }
    }

    fn captured(&mut self, machine: &[u8]) {
        self.observer.captured(self.replica, machine);
    }

    fn installed(&mut self, snapshot: &Snapshot) {
        let replica = self.replica;
        self.trace.add(self.now, || format!("{replica} installs a snapshot"));
        *self.installs += 1;
        let seen = self.observer.installed(replica, &snapshot.machine);
        self.take(seen);
    }

    fn own_committed(&mut self, entered: Nanos) {
        self.source.on_committed(self.replica, self.now, self.now - entered);
    }

    fn own_executed(&mut self, entered: Nanos) {
        self.source.on_executed(self.replica, self.now, self.now - entered);
    }
}
