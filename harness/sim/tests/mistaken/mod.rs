//! A correct core that makes one mistake, for tests of those that must notice it. The core is any;
//! the mistake lies in the effects, which are distorted on their way to the driver.
//!
//! [`turns`] is the correct core that these tests use: the protocol of `docs/own-protocol`, which
//! no crate of the workspace knows.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[allow(
    unreachable_pub,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::explicit_iter_loop,
    reason = "it belongs to a crate with lints of its own"
)]
#[path = "../../../../docs/own-protocol/src/turns.rs"]
pub(crate) mod turns;

use std::hash::{DefaultHasher, Hash, Hasher};

use protocols::{
    Batch, Config, Effect, Effects, Input, Protocol, Replica, ReplicaId, Snapshot, Status,
    explored::Subject,
};

/// Nothing is distorted.
pub(crate) const NONE: u8 = 0;
/// Replica 1 knows a no-op where a command is decided.
pub(crate) const DECIDES_ANOTHER: u8 = 1;
/// What is committed is executed at once.
pub(crate) const IGNORES_ORDER: u8 = 2;
pub(crate) const EXECUTES_TWICE: u8 = 3;
pub(crate) const COMMITS_TWICE: u8 = 4;
/// Nothing is recorded.
pub(crate) const FORGETS: u8 = 5;
/// Replica 2 sends nothing, so that nobody hears of its clients' commands.
pub(crate) const IS_SILENT: u8 = 6;
/// What is decided is executed, and not reported as committed.
pub(crate) const DOES_NOT_SAY: u8 = 7;
/// An assertion fails when slot 3 is committed.
pub(crate) const PANICS: u8 = 8;
/// Replica 2 leaves out slot 5.
pub(crate) const SKIPS_ONE: u8 = 9;
/// No timer is set.
pub(crate) const SETS_NO_TIMER: u8 = 10;
/// One record of seven is left out.
pub(crate) const LEAVES_RECORDS_OUT: u8 = 11;

/// The core `R` with the mistake of this number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mistaken<R, const MISTAKE: u8> {
    id: ReplicaId,
    core: R,
}

impl<R: Replica, const MISTAKE: u8> Replica for Mistaken<R, MISTAKE> {
    type Message = R::Message;
    type Timer = R::Timer;
    type Record = R::Record;
    const PROTOCOL: Protocol = R::PROTOCOL;

    fn recover(
        id: ReplicaId,
        config: &Config,
        snapshot: Option<&Snapshot>,
        records: impl IntoIterator<Item = R::Record>,
    ) -> Self {
        Self { id, core: R::recover(id, config, snapshot, records) }
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        let input = match input {
            Input::Start => Input::Start,
            Input::Propose(batch) => Input::Propose(batch),
            Input::Message { from, message } => Input::Message { from, message },
            Input::Timer(timer) => Input::Timer(timer),
            Input::Captured(machine) => Input::Captured(machine),
            Input::Checkpoint(machine) => Input::Checkpoint(machine),
            Input::Flush => Input::Flush,
        };
        let mut asked = Effects::default();
        self.core.step(input, &mut asked);
        asked.drain().for_each(|effect| self.distort(effect, effects));
    }

    fn admissible(message: &R::Message, replicas: usize) -> bool {
        R::admissible(message, replicas)
    }

    fn forgotten_by(&self, rebuilt: &Self) -> Option<String> {
        self.core.forgotten_by(&rebuilt.core)
    }

    fn status(&self) -> Status {
        self.core.status()
    }
}

impl<R: Replica, const MISTAKE: u8> Mistaken<R, MISTAKE> {
    /// Is this the replica with this number, and does it make this mistake?
    fn errs(&self, mistake: u8, replica: u8) -> bool {
        MISTAKE == mistake && self.id == ReplicaId(replica)
    }

    fn batch(&self, batch: Batch) -> Batch {
        if self.errs(DECIDES_ANOTHER, 1) { Batch::NOOP } else { batch }
    }

    fn distort(&self, effect: Effect<R>, effects: &mut Effects<Self>) {
        match effect {
            Effect::Persist(_) if MISTAKE == FORGETS => {}
            Effect::Persist(record)
                if MISTAKE == LEAVES_RECORDS_OUT && is_one_of_seven(&record) => {}
            Effect::Persist(record) => effects.persist(record),
            Effect::Send { .. } if self.errs(IS_SILENT, 2) => {}
            Effect::Send { to, message } => effects.send(to, message),
            Effect::SetTimer { .. } if MISTAKE == SETS_NO_TIMER => {}
            Effect::SetTimer { timer, after } => effects.set_timer(timer, after),
            Effect::CancelTimer(timer) => effects.cancel_timer(timer),
            Effect::Committed { .. } if MISTAKE == DOES_NOT_SAY => {}
            Effect::Committed { instance, batch, dependencies, path } => {
                assert!(MISTAKE != PANICS || instance.slot != 3, "slot 3 is too much");
                let batch = self.batch(batch);
                let execute = Effect::Execute { instance, batch: batch.clone() };
                let committed = Effect::Committed { instance, batch, dependencies, path };
                if MISTAKE == COMMITS_TWICE {
                    effects.push(committed.clone());
                }
                effects.push(committed);
                if MISTAKE == IGNORES_ORDER {
                    effects.push(execute);
                }
            }
            Effect::Execute { .. } if MISTAKE == IGNORES_ORDER => {}
            Effect::Execute { instance, .. } if self.errs(SKIPS_ONE, 2) && instance.slot == 5 => {}
            Effect::Execute { instance, batch } => {
                let execute = Effect::Execute { instance, batch: self.batch(batch) };
                if MISTAKE == EXECUTES_TWICE {
                    effects.push(execute.clone());
                }
                effects.push(execute);
            }
            Effect::Capture => effects.push(Effect::Capture),
            Effect::Install(snapshot) => effects.push(Effect::Install(snapshot)),
            Effect::Checkpoint(snapshot) => effects.push(Effect::Checkpoint(snapshot)),
        }
    }
}

/// Is it one of the seventh part of all values?
fn is_one_of_seven(value: &impl Hash) -> bool {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish().is_multiple_of(7)
}

/// An explorer knows nothing of it but how it is stepped.
impl<R: Replica, const MISTAKE: u8> Subject for Mistaken<R, MISTAKE> {}
