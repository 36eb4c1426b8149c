//! One simulated replica: a driver, what lies around it, and what it leaves behind in a crash.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use driver::{Driver, Meters, Reply};
use protocols::{
    Batch, ClientId, Dependencies, InstanceId, Replica, ReplicaId, RequestNumber, Snapshot,
};

use crate::{
    cost::{Costs, NORMAL_PACE, Work},
    outcome::Counters,
    queue::Nanos,
    store::SimStore,
};

/// What comes to a replica.
#[derive(Debug)]
pub(crate) enum Arrival<R: Replica> {
    /// Its life begins.
    Start { life: u32 },
    /// A message of another.
    Message { from: ReplicaId, envelope: Rc<Envelope<R::Message>> },
    /// A timer may have run out, or what waits for more has waited long enough.
    Alarm { life: u32 },
    /// What is under way to the disk is there.
    Stored { life: u32 },
    /// A client's submission.
    Request { client: u32, batch: Batch },
}

/// A message as it was sent, to all its receivers.
#[derive(Debug)]
pub(crate) struct Envelope<M> {
    /// None once it was taken out.
    pub(crate) message: Option<M>,
    /// Hash of the message, taken once for all receivers.
    pub(crate) hash: u64,
    /// The length of its frame, where bytes are counted.
    pub(crate) bytes: u32,
}

/// Envelopes that were opened, for the messages to come: one need not be allocated for each.
#[derive(Debug)]
pub(crate) struct Envelopes<M>(Vec<Rc<Envelope<M>>>);

impl<M> Default for Envelopes<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: Clone> Envelopes<M> {
    /// Puts a message into an envelope. Its hash is `hash`, its frame is `bytes` long.
    pub(crate) fn put_in(&mut self, message: M, hash: u64, bytes: u32) -> Rc<Envelope<M>> {
        let full = Envelope { message: Some(message), hash, bytes };
        let Some(mut envelope) = self.0.pop() else { return Rc::new(full) };
        *Rc::get_mut(&mut envelope).expect("nobody has an envelope that was opened") = full;
        envelope
    }

    /// Takes the message out. Only its last receiver need not copy it.
    pub(crate) fn open(&mut self, mut envelope: Rc<Envelope<M>>) -> M {
        let message = if let Some(own) = Rc::get_mut(&mut envelope) {
            let message = own.message.take();
            self.0.push(envelope);
            message
        } else {
            envelope.message.clone()
        };
        message.expect("an envelope is opened once by each receiver")
    }
}

/// What a replica sends, to one receiver.
#[derive(Debug)]
pub(crate) enum Outgoing<R: Replica> {
    /// A message to another.
    Message { to: ReplicaId, envelope: Rc<Envelope<R::Message>> },
    /// The answer to a client's request, with the length of its frame where that costs something.
    Reply { client: u32, reply: Reply, bytes: u32 },
}

/// Why a replica does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// It crashed, and may come back.
    Crashed,
    /// Its data are not as they were written, as this text says: it stays out.
    Refused(String),
}

/// What a replica did and what is not known to be durable, in the order in which it did it.
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

/// One replica. What a crash leaves is in its store.
#[derive(Debug)]
pub(crate) struct SimReplica<R: Replica> {
    /// None while the replica is down.
    pub(crate) driver: Option<Driver<R>>,
    pub(crate) down: Option<Down>,
    /// Counts restarts, so that what was meant for one life is not taken for another's.
    pub(crate) life: u32,
    pub(crate) store: SimStore,
    /// Has a bit flipped on its disk?
    pub(crate) has_rotted: bool,
    /// What an earlier life has counted and timed, while the replica is down.
    pub(crate) retired: Option<Meters>,
    /// For when an alarm is scheduled.
    pub(crate) alarm_at: Option<Nanos>,
    pub(crate) paused: bool,
    /// What came while paused.
    pub(crate) backlog: Vec<Arrival<R>>,
    /// What came while the CPU was busy.
    pub(crate) inbox: VecDeque<Arrival<R>>,
    /// What the driver has put out and what has not left.
    pub(crate) outbox: Vec<Outgoing<R>>,
    /// What the replica did and what is not known to be durable.
    pub(crate) observed: Vec<Observed>,
    /// When this life last took a checkpoint.
    pub(crate) checkpointed_at: Option<Nanos>,
    pub(crate) doubtful: Option<Doubtful>,
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
    /// How many proposals of the driver have been counted.
    pub(crate) proposals: u64,
    /// How many bytes the disk will have written when the replica is compared with its records
    /// again.
    pub(crate) compare_at: u64,
    /// The next turn that puts something out or records something is cut short by a crash.
    pub(crate) crash_midway: bool,
    pub(crate) counters: Counters,
}

/// A life ended while a snapshot was on its way to the disk. The observers have not been told what
/// the turns before it did. They are told if the next life begins with that very snapshot. An equal
/// state does not show that: an earlier snapshot may have held it, too.
#[derive(Debug)]
pub(crate) struct Doubtful {
    /// The number of the first record behind that snapshot.
    pub(crate) snapshot_at: u64,
    pub(crate) observed: Vec<Observed>,
}

impl<R: Replica> SimReplica<R> {
    /// A replica that `driver` runs and that keeps in `store` what must last.
    pub(crate) fn new(driver: Driver<R>, store: SimStore) -> Self {
        Self {
            driver: Some(driver),
            down: None,
            life: 0,
            store,
            has_rotted: false,
            retired: None,
            alarm_at: None,
            paused: false,
            backlog: Vec::new(),
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            observed: Vec::new(),
            checkpointed_at: None,
            doubtful: None,
            busy_until: 0,
            ready_at: None,
            nic_busy_until: 0,
            pace: NORMAL_PACE,
            ordering_steps: 0,
            proposals: 0,
            compare_at: 0,
            crash_midway: false,
            counters: Counters::default(),
        }
    }

    /// Everything in memory is gone, at `now`.
    pub(crate) fn crash(&mut self, now: Nanos) {
        if let Some(driver) = self.driver.take() {
            self.retired = Some(driver.retire(now));
        }
        self.down = Some(Down::Crashed);
        self.alarm_at = None;
        self.backlog.clear();
        self.inbox.clear();
        self.outbox.clear();
        self.observed.clear();
        self.checkpointed_at = None;
        self.busy_until = 0;
        self.ready_at = None;
        self.nic_busy_until = 0;
        self.paused = false;
        self.crash_midway = false;
        self.ordering_steps = 0;
        self.proposals = 0;
        self.counters.crashes += 1;
    }

    /// A new life begins, with `driver`.
    pub(crate) fn begin_life(&mut self, mut driver: Driver<R>) {
        if let Some(meters) = self.retired.take() {
            driver.resume_measuring(meters);
        }
        self.driver = Some(driver);
        self.down = None;
        self.life += 1;
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
