//! Catching up: fetching decided slots from another replica, or a snapshot where it has discarded them.

use std::sync::Arc;

use super::{
    message::{Message, Record, Timer},
    replica::{Entry, Paxos},
};
use crate::{
    ballot::Ballot,
    catch_up::{Due, Pieced, Request, decided_run},
    command::Batch,
    id::{ReplicaId, Slot},
    replica::{Effect, Effects},
    transfer::{Answer, Piece, SUPPLY_PERIODS, snapshot},
};

impl Paxos {
    /// Everything through `wanted` is decided, `source` knows, and some of it is missing here.
    pub(super) fn seek(&mut self, wanted: Slot, source: ReplicaId, effects: &mut Effects<Self>) {
        if self.catch_up.seek(wanted, source) {
            self.ask(effects);
        }
    }

    /// Sends the request for what is missing next.
    fn ask(&mut self, effects: &mut Effects<Self>) {
        let Some((source, request, bytes_max)) = self.catch_up.request() else { return };
        let message = match request {
            Request::Slots => {
                let (first, last) = (self.executed + 1, self.catch_up.wanted());
                Message::Fetch { first, last, bytes_max }
            }
            Request::Snapshot { through, offset } => {
                Message::FetchSnapshot { through, offset, bytes_max }
            }
        };
        effects.reply(source, message);
        self.retransmit_later(effects);
    }

    pub(super) fn on_fetch(
        &mut self,
        from: ReplicaId,
        (first, last): (Slot, Slot),
        bytes_max: u32,
        effects: &mut Effects<Self>,
    ) {
        if first <= self.log.collected() {
            effects.reply(from, Message::Discarded { through: self.log.collected() });
            return;
        }
        let bytes_max = self.piece_bytes(bytes_max);
        let batches = decided_run(&self.log, (first, last), bytes_max, Entry::decision);
        // Who knows nothing is silent, and the asker turns to another.
        if !batches.is_empty() {
            effects.reply(from, Message::Decided { first, batches });
        }
    }

    pub(super) fn on_decided(
        &mut self,
        from: ReplicaId,
        first: Slot,
        batches: Vec<Batch>,
        effects: &mut Effects<Self>,
    ) {
        let before = self.executed;
        for (slot, batch) in (first..).zip(batches) {
            self.learn(slot, batch, effects);
        }
        self.advance(effects);
        if self.catch_up.progressed(from, before, self.executed) {
            self.ask(effects);
        }
        self.fill_window(effects);
    }

    pub(super) fn on_discarded(
        &mut self,
        from: ReplicaId,
        through: Slot,
        effects: &mut Effects<Self>,
    ) {
        if self.catch_up.discarded(from, through, self.executed) {
            self.highest = self.highest.max(through);
            self.ask(effects);
        }
    }

    pub(super) fn on_fetch_snapshot(
        &mut self,
        from: ReplicaId,
        (through, offset): (Slot, u64),
        bytes_max: u32,
        effects: &mut Effects<Self>,
    ) {
        let (collected, executed) = (self.log.collected(), self.executed);
        let piece_max = self.piece_bytes(bytes_max);
        match self.supply.request(from, (through, offset), collected, executed, piece_max) {
            Answer::Piece(first) => {
                for piece in self.supply.run(first, through, piece_max, bytes_max) {
                    effects.reply(from, Message::Piece(piece));
                }
            }
            Answer::Capture => effects.push(Effect::Capture),
            Answer::Wait => {}
        }
    }

    /// How large a piece may be of which `wanted` bytes are wanted.
    fn piece_bytes(&self, wanted: u32) -> usize {
        self.config.piece_bytes_max.min(usize::try_from(wanted).unwrap_or(usize::MAX))
    }

    pub(super) fn on_captured(&mut self, machine: Arc<[u8]>, effects: &mut Effects<Self>) {
        let (waiting, piece) = self.supply.captured(machine);
        effects.send(waiting, Message::Piece(piece));
        self.supply_until_unasked(effects);
    }

    pub(super) fn on_supply_timer(&mut self, effects: &mut Effects<Self>) {
        if self.supply.keep_if_asked() {
            self.supply_until_unasked(effects);
        }
    }

    fn supply_until_unasked(&self, effects: &mut Effects<Self>) {
        let after = self.config.timeouts.retransmit * SUPPLY_PERIODS;
        effects.set_timer(Timer::Supply, after..=after);
    }

    pub(super) fn on_piece(&mut self, from: ReplicaId, piece: &Piece, effects: &mut Effects<Self>) {
        match self.catch_up.piece(from, piece) {
            Pieced::Ignored => {}
            Pieced::More => self.ask(effects),
            Pieced::Whole(through, machine) => {
                self.install(through, machine, effects);
                self.advance(effects);
                if self.executed < self.catch_up.wanted() {
                    self.seek(through, from, effects);
                }
                self.fill_window(effects);
            }
        }
    }

    /// Starts again from the state after `through`, keeping promises and accepted values above it.
    fn install(&mut self, through: Slot, machine: Arc<[u8]>, effects: &mut Effects<Self>) {
        // It came too late: all of that is executed here.
        if through <= self.executed {
            return;
        }
        effects.push(Effect::Install(snapshot(through, machine)));
        self.installs.0 += 1;
        self.end_attempts_through(through);
        self.log.collect(through);
        self.executed = through;
        self.highest = self.highest.max(through);
        self.persist_again(effects);
    }

    /// A new life may begin with the state as it is now. Its log begins above the executed slots: who lacks one of those
    /// is told that they are discarded, as after an installed snapshot.
    pub(super) fn on_checkpoint(&self, machine: Arc<[u8]>, effects: &mut Effects<Self>) {
        effects.push(Effect::Checkpoint(snapshot(self.executed, machine)));
        self.persist_again(effects);
    }

    /// Persists what is promised, accepted and decided above the snapshot again, so that nothing recorded before the
    /// snapshot is needed any more.
    fn persist_again(&self, effects: &mut Effects<Self>) {
        for (slot, entry) in self.log.iter().filter(|(slot, _)| *slot > self.executed) {
            let (ballot, batch) = (entry.ballot, entry.batch.clone());
            if entry.decided {
                effects.persist(Record::Decided { slot, batch });
                continue;
            }
            if ballot != Ballot::ZERO {
                let executed = self.executed;
                effects.persist(Record::Accepted { slot, ballot, batch, executed });
            }
            if entry.promised > ballot {
                effects.persist(Record::Promised { slot, ballot: entry.promised });
            }
        }
    }

    /// A period has passed: asks again if nothing came, another replica if nothing comes. Is anything being fetched?
    pub(super) fn resend_fetch(&mut self, effects: &mut Effects<Self>) -> bool {
        let due = self.catch_up.period(self.executed, self.id, self.config.replicas);
        if due == Due::Ask {
            self.ask(effects);
        }
        due != Due::Nothing
    }
}
