//! The contract between a protocol core and the driver that runs it.
//!
//! A core is stepped with one [`Input`] at a time and appends [`Effect`]s to a buffer that the driver owns. A driver
//! * steps everything that is ready, then gives [`Input::Flush`] once, then carries the effects out: persists first, then
//!   sends and replies (a driver may carry out effects earlier, but never a send before the persists that precede it);
//! * carries out [`Effect::Execute`], [`Effect::Capture`] and [`Effect::Install`] in the order in which they came, since
//!   they act on one state;
//! * gives [`Input::Checkpoint`] whenever it wants its record of the past to be short, and never has to;
//! * may lose, repeat, delay and reorder messages, and must not invent them;
//! * keeps at most one timer of each name running; setting it again replaces it. One that has run out before its
//!   cancellation was carried out may still be given: cores take a timer that has lost its meaning for nothing.

use std::{fmt::Debug, hash::Hash, ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Protocol,
    command::Batch,
    config::Config,
    dependencies::Dependencies,
    id::{InstanceId, ReplicaId, ReplicaSet},
};

/// A protocol core: a deterministic state machine that asks for effects. Counters and caches stay out of `Eq` and `Hash`,
/// so that a model checker sees two states as one when they behave as one.
pub trait Replica: Clone + Debug + Eq + Hash + Send + Sync + Sized + 'static {
    /// What replicas tell each other.
    type Message: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned + Send + Sync;
    /// The names of the timers.
    type Timer: Copy + Debug + Eq + Ord + Hash + Send + Sync;
    /// What must survive a crash.
    type Record: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned + Send + Sync;

    /// Which protocol this is.
    const PROTOCOL: Protocol;

    /// The replica `id`, as it was when it emitted the last of `records` on top of `snapshot`; a new one when there is
    /// neither. The driver has restored the snapshot's machine state; then it gives [`Input::Start`].
    fn recover(
        id: ReplicaId,
        config: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = Self::Record>,
    ) -> Self;

    /// Takes one input and appends what it calls for to `effects`.
    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>);

    /// May `message`, as it came over a wire, be given to a replica of a cluster of `replicas`: does it name no replica
    /// that is not there, and say nothing that no replica says? The sender is checked by the driver.
    fn admissible(message: &Self::Message, replicas: usize) -> bool;

    /// What `rebuilt` has forgotten of what this replica must not forget, in words; none if
    /// nothing. Whoever asks has made it by [`Replica::recover`] from all that this replica has
    /// asked to be made durable, and all that this replica asked for is carried out. What must not
    /// be forgotten is whatever a later answer relies on: promised ballots, accepted values,
    /// decisions that nothing else tells, instance numbers used. What others tell again may be
    /// forgotten.
    ///
    /// Every core of this repository compares. A protocol that does not implement it has nothing
    /// compared, and only runs in which a replica restarts show what its records leave out.
    fn forgotten_by(&self, _rebuilt: &Self) -> Option<String> {
        None
    }

    /// What the replica looks like from outside, for tables and for telling whether a cluster is at rest.
    fn status(&self) -> Status;
}

/// What happens to a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<R: Replica> {
    /// The first input after [`Replica::recover`].
    Start,
    /// A client, or several, want this batch executed. The driver has checked that it is no retry of something this
    /// replica works on or has applied.
    Propose(Batch),
    /// A message came in.
    Message {
        /// The replica that sent it.
        from: ReplicaId,
        /// What it said.
        message: R::Message,
    },
    /// A timer ran out.
    Timer(R::Timer),
    /// The state asked for with [`Effect::Capture`], as of that point of the order.
    Captured(Arc<[u8]>),
    /// The machine's state as of here: everything that was asked for before has been carried out,
    /// and nothing is in the effects buffer. Answered in the same step with [`Effect::Checkpoint`];
    /// a core that has no checkpoints does nothing, is not asked again in this life, and has its
    /// log grow.
    Checkpoint(Arc<[u8]>),
    /// All that was ready has been stepped; what was stepped will now be persisted and sent.
    Flush,
}

/// What a replica asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<R: Replica> {
    /// Make this durable before any later send, and before any reply to a later execution.
    Persist(R::Record),
    /// Send to each of these replicas; never to oneself.
    Send {
        /// The receivers.
        to: ReplicaSet,
        /// What to say.
        message: R::Message,
    },
    /// Run (again) the timer of this name; the driver draws when it runs out.
    SetTimer {
        /// The timer's name.
        timer: R::Timer,
        /// The range to draw from.
        after: RangeInclusive<Duration>,
    },
    /// Stop the timer of this name, if it runs.
    CancelTimer(R::Timer),
    /// Observation: this replica now knows that `batch` is decided at `instance`. Once per instance and life.
    Committed {
        /// Where.
        instance: InstanceId,
        /// What.
        batch: Batch,
        /// With which dependencies; empty for the protocols that order by slot.
        dependencies: Dependencies,
        /// How this replica came to know.
        path: Path,
    },
    /// Apply `batch` to the state and answer its clients. Once per instance and life.
    Execute {
        /// Where it is decided.
        instance: InstanceId,
        /// What to apply.
        batch: Batch,
    },
    /// Give the machine's state as of here back in [`Input::Captured`].
    Capture,
    /// Replace the machine's state by the snapshot's, durably, before anything that follows. What the core still needs
    /// of what it persisted before, its promises above the snapshot first of all, it persists again right behind this:
    /// older records may be dropped once all of the drain's records are durable, and not earlier. Replayed on top of
    /// the snapshot they do no harm.
    Install(Snapshot),
    /// Keep the snapshot, which is of this replica itself, for its next life to begin with; the state stays as it is. What
    /// the core needs beyond it (promises, ballots, what is accepted and open, instance numbers used) it persists again
    /// right behind this: whatever was persisted before, an older snapshot included, may be dropped once the snapshot and
    /// all of the drain's records are durable, and not earlier. Replayed on top of the snapshot it does no harm. Nor do the
    /// records behind this on top of what was there before it: the snapshot may be written at leisure and become durable
    /// long after them. One that is not durable yet when an [`Effect::Install`] comes must be given up: the installed one
    /// is newer.
    Checkpoint(Snapshot),
}

/// How a replica came to know that an instance is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Path {
    /// It led the instance, which committed after one round trip to a fast quorum.
    Fast,
    /// It led the instance, in the ordinary way.
    Slow,
    /// It finished what another had begun.
    Recovered,
    /// Another told it.
    Learned,
}

/// A state to start from: the machine's, and what the core must know with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// What [`Input::Captured`] or [`Input::Checkpoint`] brought.
    pub machine: Arc<[u8]>,
    /// The core's part, in its own encoding.
    pub core: Arc<[u8]>,
}

/// A replica seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who leads, as far as this replica knows; none where nobody does.
    pub leader: Option<ReplicaId>,
    /// Instances known to exist, or known to be decided, that have not been executed here.
    pub unexecuted: u64,
    /// Batches proposed here and not yet decided.
    pub undecided: u64,
    /// Instances held in memory.
    pub held: u64,
    /// Bytes held in memory for them, for batches that wait to be proposed, and for snapshots on
    /// their way. 0 if the core does not count them.
    pub held_bytes: u64,
    /// Instances that were collected in this life although not all replicas had executed them,
    /// since those kept had come to [`Config::kept_bytes_max`].
    pub crowded_out: u64,
    /// The most instances that had to be executed as one, since each depends on all of them; 0
    /// where slots are the order.
    pub longest_component: u64,
    /// What finding the order of execution takes, as a count: for each instance executed, how many
    /// rows its dependencies had to be found, merged and followed for. 0 where slots are the order.
    pub ordering_steps: u64,
    /// How many times a leader was elected or a ballot above the first was led here.
    pub takeovers: u64,
    /// How many snapshots were installed here.
    pub installs: u64,
}

/// A buffer of effects, owned by the driver and used again for each drain.
#[derive(Clone, Debug)]
pub struct Effects<R: Replica>(Vec<Effect<R>>);

impl<R: Replica> Default for Effects<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Replica> Effects<R> {
    /// Asks for `effect`.
    pub fn push(&mut self, effect: Effect<R>) {
        self.0.push(effect);
    }

    /// Asks for `record` to be made durable.
    pub fn persist(&mut self, record: R::Record) {
        self.push(Effect::Persist(record));
    }

    /// Asks for `message` to be sent to each of `to`; nothing if that is nobody.
    pub fn send(&mut self, to: ReplicaSet, message: R::Message) {
        if !to.is_empty() {
            self.push(Effect::Send { to, message });
        }
    }

    /// Asks for `message` to be sent to one replica.
    pub fn reply(&mut self, to: ReplicaId, message: R::Message) {
        self.push(Effect::Send { to: ReplicaSet::only(to), message });
    }

    /// Asks for a timer that runs out within `after`.
    pub fn set_timer(&mut self, timer: R::Timer, after: RangeInclusive<Duration>) {
        self.push(Effect::SetTimer { timer, after });
    }

    /// Asks for a timer to be stopped.
    pub fn cancel_timer(&mut self, timer: R::Timer) {
        self.push(Effect::CancelTimer(timer));
    }

    /// Takes the effects out, in order, keeping the buffer's memory.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect<R>> {
        self.0.drain(..)
    }

    /// The effects so far.
    pub fn as_slice(&self) -> &[Effect<R>] {
        &self.0
    }

    /// Is there nothing to carry out?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
