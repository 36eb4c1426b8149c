//! What a driver holds for one replica: the core and what lies around it.

use protocols::{Batch, ClientId, Config, Replica, ReplicaId, RequestNumber, Snapshot, kv::Kv};
use rustc_hash::FxHashMap;

use crate::{
    carry::untagged, mutant, outcome::Counters, queue::Nanos, simulation::Event, timers::Timers,
};

/// A submission is known by its first request.
pub(crate) type SubmissionId = (ClientId, RequestNumber);

/// A submission that a client waits for and that a replica works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// The client, as an index into the clients.
    pub(crate) client: u32,
    /// Which of the client's submissions.
    pub(crate) number: u64,
    pub(crate) since: Nanos,
    pub(crate) committed: bool,
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
    /// Every record, in order, from the first life on. Records stay when a snapshot is installed: it comes from another
    /// replica and holds nothing of what this one promised.
    pub(crate) records: Vec<R::Record>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) paused: bool,
    /// What came while paused.
    pub(crate) backlog: Vec<Event<R>>,
    /// The next step's effects will be cut short by a crash.
    pub(crate) crash_midway: bool,
    pub(crate) counters: Counters,
}

impl<R: Replica> Host<R> {
    pub(crate) fn new(id: ReplicaId, config: &Config) -> Self {
        let mut kv = Kv::default();
        mutant::pass_on(config, &mut kv);
        Self {
            core: Some(R::recover(id, config, None, [])),
            life: 0,
            kv,
            timers: Timers::new(),
            pending: FxHashMap::default(),
            records: Vec::new(),
            snapshot: None,
            paused: false,
            backlog: Vec::new(),
            crash_midway: false,
            counters: Counters::default(),
        }
    }

    /// Everything not durable is gone.
    pub(crate) fn crash(&mut self) {
        self.core = None;
        self.kv = Kv::default();
        self.timers.clear();
        self.pending.clear();
        self.backlog.clear();
        self.paused = false;
        self.crash_midway = false;
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
        mutant::pass_on(config, &mut self.kv);
        let records = self.records.iter().cloned();
        self.core = Some(R::recover(id, config, self.snapshot.as_ref(), records));
        self.life += 1;
        true
    }
}

/// The name of the submission that `batch` is; none for a no-op.
pub(crate) fn submission_id(batch: &Batch) -> Option<SubmissionId> {
    batch.requests().next().map(|request| (request.client, request.number))
}
