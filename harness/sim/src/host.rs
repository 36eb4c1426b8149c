//! What a driver holds for one replica: the core and what lies around it.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use protocols::{
    Batch, ClientId, Config, Replica, ReplicaId, RequestNumber, Snapshot, gather::Gathered, kv::Kv,
};
use rustc_hash::FxHashMap;

use crate::{
    carry::untagged,
    cost::{Costs, Work},
    outcome::Counters,
    queue::Nanos,
    source::Outcomes,
    timers::Timers,
};

/// A submission is known by its first request.
pub(crate) type SubmissionId = (ClientId, RequestNumber);

/// How many times its CPU time a replica's work takes, in thousandths.
pub(crate) const NORMAL_PACE: u64 = 1_000;

/// What comes to a replica.
#[derive(Debug)]
pub(crate) enum Arrival<R: Replica> {
    /// Its life begins.
    Start { life: u32 },
    /// A message of another.
    Message { from: ReplicaId, envelope: Rc<Envelope<R::Message>> },
    /// A timer runs out, unless it was stopped or set again.
    Timer { timer: R::Timer, token: u64 },
    /// A captured state is handed over.
    Captured { life: u32, machine: Arc<[u8]> },
    /// A checkpoint is durable, unless it was given up.
    Written { number: u64 },
    /// What was gathered has waited long enough, if it is still there.
    Gathered { life: u32, number: u64 },
    /// A client's submission.
    Request { client: u32, number: u64, batch: Batch },
}

/// A message as it was sent, to all its receivers.
#[derive(Debug)]
pub(crate) struct Envelope<M> {
    pub(crate) message: M,
    /// Hash of the message, taken once for all receivers.
    pub(crate) hash: u64,
    /// The length of its frame, where bytes are counted.
    pub(crate) bytes: u32,
}

/// What a replica sends, to one receiver.
#[derive(Debug)]
pub(crate) enum Outgoing<R: Replica> {
    /// A message to another.
    Message { to: ReplicaId, envelope: Rc<Envelope<R::Message>> },
    /// The answer to a client's submission, with its length where that costs something.
    Answer { client: u32, number: u64, outcomes: Outcomes, bytes: u32 },
}

/// A submission that a client waits for and that a replica works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// The client, as an index into the clients.
    pub(crate) client: u32,
    /// Which of the client's submissions.
    pub(crate) number: u64,
    /// How many commands it has.
    pub(crate) commands: usize,
    pub(crate) since: Nanos,
    /// When this was first known here.
    pub(crate) committed: Option<Nanos>,
    /// Was it in a state that was taken over? Then it is executed, and answered to its client's retry.
    pub(crate) is_settled: bool,
}

/// A checkpoint that is being written.
#[derive(Debug)]
pub(crate) struct Writing {
    number: u64,
    snapshot: Snapshot,
    /// How many of the records it makes superfluous.
    obsolete: usize,
}

/// One replica. What a crash leaves is `records` and `snapshot`.
#[derive(Debug)]
pub(crate) struct Host<R: Replica> {
    /// None while crashed.
    pub(crate) core: Option<R>,
    /// Counts restarts, so that what was meant for one life is not taken for another's.
    pub(crate) life: u32,
    pub(crate) kv: Kv,
    pub(crate) timers: Timers<R::Timer>,
    pub(crate) pending: FxHashMap<SubmissionId, Pending>,
    pub(crate) gathered: Gathered,
    /// Counts what was gathered, so that the end of a wait is not taken for that of another.
    pub(crate) gatherings: u64,
    /// What is to be proposed next.
    pub(crate) to_propose: VecDeque<Batch>,
    /// Every record, in order, from the first life on. With a snapshot, whether it comes from another replica (and holds
    /// nothing of what this one promised) or is a checkpoint, the core persists anew what it still needs. Once that is
    /// durable, replicas with odd numbers drop what was recorded before; the others keep it and replay it on top of the
    /// snapshot. A driver may do either.
    pub(crate) records: Vec<R::Record>,
    /// How many of them a snapshot made durable in this step makes superfluous.
    pub(crate) obsolete: usize,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) writing: Option<Writing>,
    checkpoints: u64,
    pub(crate) paused: bool,
    /// What came while paused.
    pub(crate) backlog: Vec<Arrival<R>>,
    /// What came while the CPU was busy.
    pub(crate) inbox: VecDeque<Arrival<R>>,
    /// When the CPU has done what it took on.
    pub(crate) busy_until: Nanos,
    /// When the inbox will be looked into, if that is scheduled.
    pub(crate) ready_at: Option<Nanos>,
    /// When the last byte has left that was sent.
    pub(crate) nic_busy_until: Nanos,
    /// Thousandths of the usual CPU time that work takes.
    pub(crate) pace: u64,
    /// The core's own count of ordering steps, as far as it has been charged for.
    pub(crate) ordering_steps: u64,
    /// The next step's effects will be cut short by a crash.
    pub(crate) crash_midway: bool,
    pub(crate) counters: Counters,
}

impl<R: Replica> Host<R> {
    pub(crate) fn new(id: ReplicaId, config: &Config) -> Self {
        Self {
            core: Some(R::recover(id, config, None, [])),
            life: 0,
            kv: Kv::default(),
            timers: Timers::new(),
            pending: FxHashMap::default(),
            gathered: Gathered::default(),
            gatherings: 0,
            to_propose: VecDeque::new(),
            records: Vec::new(),
            obsolete: 0,
            snapshot: None,
            writing: None,
            checkpoints: 0,
            paused: false,
            backlog: Vec::new(),
            inbox: VecDeque::new(),
            busy_until: 0,
            ready_at: None,
            nic_busy_until: 0,
            pace: NORMAL_PACE,
            ordering_steps: 0,
            crash_midway: false,
            counters: Counters::default(),
        }
    }

    /// The step's records are all durable: those from before a snapshot that it installed may go.
    pub(crate) fn drop_obsolete(&mut self, id: ReplicaId) {
        let obsolete = std::mem::take(&mut self.obsolete);
        if id.0 % 2 == 1 {
            self.records.drain(..obsolete);
        }
    }

    /// Begins to write a checkpoint, in place of one that is not done; returns its number.
    pub(crate) fn begin_checkpoint(&mut self, snapshot: Snapshot) -> u64 {
        self.checkpoints += 1;
        let (number, obsolete) = (self.checkpoints, self.records.len());
        self.writing = Some(Writing { number, snapshot, obsolete });
        number
    }

    /// The checkpoint under way is durable; the records behind it are not yet, but will be at the end of the step.
    pub(crate) fn checkpoint_durable(&mut self) {
        if let Some(written) = self.writing.take() {
            self.snapshot = Some(written.snapshot);
            self.obsolete = written.obsolete;
        }
    }

    /// Checkpoint `number` is durable, and the records behind it have been for long.
    pub(crate) fn checkpoint_written(&mut self, id: ReplicaId, number: u64) {
        if self.writing.as_ref().is_some_and(|writing| writing.number == number) {
            self.checkpoint_durable();
            self.drop_obsolete(id);
        }
    }

    /// Everything not durable is gone.
    pub(crate) fn crash(&mut self) {
        self.core = None;
        self.kv = Kv::default();
        self.timers.clear();
        self.pending.clear();
        self.gathered = Gathered::default();
        self.backlog.clear();
        self.inbox.clear();
        self.busy_until = 0;
        self.ready_at = None;
        self.nic_busy_until = 0;
        self.paused = false;
        self.crash_midway = false;
        self.obsolete = 0;
        self.writing = None;
        self.ordering_steps = 0;
        self.counters.crashes += 1;
    }

    /// A new life from what is durable. False if the snapshot does not decode.
    pub(crate) fn restart(&mut self, id: ReplicaId, config: &Config) -> bool {
        if let Some(snapshot) = &self.snapshot {
            match Kv::restore(untagged(&snapshot.machine)) {
                Ok(kv) => self.kv = kv,
                Err(_) => return false,
            }
        }
        let records = self.records.iter().cloned();
        self.core = Some(R::recover(id, config, self.snapshot.as_ref(), records));
        self.life += 1;
        true
    }

    /// Works from `now` on; returns when that is done.
    pub(crate) fn work(&mut self, now: Nanos, costs: &Costs, work: Work) -> Nanos {
        let cpu_ns = costs.cpu_ns(work) * self.pace / NORMAL_PACE;
        self.counters.busy_ns += cpu_ns;
        now + cpu_ns
    }

    /// Lets so many bytes leave from `now` on; returns when the last of them has.
    pub(crate) fn leave(&mut self, now: Nanos, costs: &Costs, bytes: u32) -> Nanos {
        if costs.nic_bits_per_s == 0 {
            return now;
        }
        self.nic_busy_until = self.nic_busy_until.max(now) + costs.nic_ns(bytes.into());
        self.nic_busy_until
    }
}

/// The name of the submission that `batch` is; none for a no-op.
pub(crate) fn submission_id(batch: &Batch) -> Option<SubmissionId> {
    batch.requests().next().map(|request| (request.client, request.number))
}
