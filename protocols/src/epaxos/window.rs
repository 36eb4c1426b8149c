//! The window of a key: what bounds chains of conflicting commands.
//!
//! A row proposes a command on a contended key only while fewer than W
//! ([`ConflictWindow`]) of its own that touch the key are not executed here.
//! The rest waits and is proposed as one batch once one of those has been executed. A key is
//! contended for a command that writes it, and for a read as long as an unexecuted write of it is
//! known here.
//!
//! So a component of N rows has at most N·W instances that write one key, if each batch touches
//! that key alone. Of more than W of one row, the last was proposed when another was executed here.
//! All that the other reaches was decided by then, so that it does not reach the last one, by
//! either rule of execution. Load makes batches larger, not chains longer.
//!
//! A batch of several keys waits for the first one that is full, and for no other after that, so
//! that no two keys can keep it for ever.
//!
//! Nobody relies on what waits. A crash loses it, as it loses what a client has sent and no core
//! has taken, and the client asks again. The window is a replica's own business: others need not
//! have it, or the same.

use std::collections::VecDeque;

use super::{EPaxos, options::ConflictWindow};
use crate::{
    command::{BATCH_COMMANDS_MAX, Batch, Footprint, Request, Touch},
    key_map::{KeyHash, KeyMap},
    replica::Effects,
};

/// chosen: how many bytes are joined into one batch. Thousands of small commands fit, and a link is
/// not held up.
const JOINED_BYTES_MAX: usize = 1 << 20;

/// What waits, and what need not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Window {
    /// By the key that was full when it came, in the order in which it came.
    by_key: KeyMap<VecDeque<Batch>>,
    /// How many batches those are.
    held: u64,
    bytes: u64,
    /// Keys that may not be full any more. Empty between two steps.
    freed: Vec<KeyHash>,
}

impl Window {
    /// How many batches wait.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// What they take in memory, in bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lets `batch` wait for `key`, behind what waits for it already.
    pub(super) fn hold(&mut self, key: KeyHash, batch: Batch) {
        self.bytes += batch.weight();
        self.by_key.get_or_insert_with(key, VecDeque::new).push_back(batch);
        self.held += 1;
    }

    /// An own command that touches this has been executed.
    pub(super) fn free(&mut self, footprint: &Footprint) {
        let keys = footprint.touches().iter().map(|touch| touch.key);
        self.freed.extend(keys.filter(|key| self.by_key.get(*key).is_some()));
    }

    /// A snapshot has executed what it has.
    pub(super) fn free_all(&mut self) {
        self.freed.extend(self.by_key.sorted().into_iter().map(|(key, _)| key));
    }

    /// What has waited longest for `key`, joined as far as it fits into one batch.
    fn take(&mut self, key: KeyHash) -> Option<Batch> {
        let queue = self.by_key.get_mut(key)?;
        let (mut commands, mut bytes, mut taken) = (0, 0, Vec::new());
        while let Some(batch) = queue.front() {
            commands += batch.requests().len();
            bytes += batch.as_bytes().len();
            let fits = commands <= BATCH_COMMANDS_MAX && bytes <= JOINED_BYTES_MAX;
            if !fits && !taken.is_empty() {
                break;
            }
            taken.extend(queue.pop_front());
        }
        if queue.is_empty() {
            self.by_key.remove(key);
        }
        self.held -= taken.len() as u64;
        self.bytes -= taken.iter().map(Batch::weight).sum::<u64>();
        if taken.len() < 2 {
            return taken.pop();
        }
        let requests: Vec<Request<'_>> = taken.iter().flat_map(Batch::requests).collect();
        Some(Batch::new(&requests).expect("batches that fit together are a batch"))
    }
}

impl EPaxos {
    /// The first key of `footprint` whose window is full, or that others wait for already: they
    /// come first.
    pub(super) fn full_key(&self, footprint: &Footprint) -> Option<KeyHash> {
        let ConflictWindow(window) = self.config.options.of();
        let window = window?.get() as usize;
        let is_full = |key| self.window.by_key.get(key).is_some();
        let touches = footprint.touches().iter();
        let mut full = touches
            .filter(|touch| is_full(touch.key) || self.graph.contending(touch, self.id) >= window);
        full.next().map(|touch| touch.key)
    }

    /// Proposes what waits for keys that are not full any more.
    pub(super) fn propose_held(&mut self, effects: &mut Effects<Self>) {
        if self.window.freed.is_empty() {
            return;
        }
        let ConflictWindow(window) = self.config.options.of();
        let window = window.map_or(usize::MAX, |window| window.get() as usize);
        while let Some(key) = self.window.freed.pop() {
            let touch = Touch { key, write: true };
            while self.graph.contending(&touch, self.id) < window
                && let Some(batch) = self.window.take(key)
            {
                let footprint = batch.footprint();
                self.lead(batch, footprint, effects);
            }
        }
    }
}
