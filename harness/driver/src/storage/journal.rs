//! What an engine keeps of its core's wishes until they are made durable.

use protocols::Snapshot;
use serde::Serialize;

use super::{past::Past, record::Frames, writer::Work};
use crate::disk::Disk;

/// Chosen: up to this size a log is replayed in a fraction of a second, and not worth a snapshot.
const LOG_BYTES_KEPT: u64 = 64 << 20;

/// The records and snapshots of the drain that is being carried out, and how long the log has
/// grown.
#[derive(Debug)]
pub struct Journal {
    frames: Frames,
    snapshot: Option<Snapshot>,
    /// The frames behind the last snapshot, those not taken yet included.
    log_bytes: u64,
    snapshot_bytes: u64,
    /// Of the log, what the core recorded again beside the snapshot: it can be longer than the
    /// snapshot, and a new one would not make it shorter.
    again_bytes: u64,
    log_bytes_kept: u64,
}

impl Journal {
    /// Goes on where `past` ends. A log longer than `log_bytes_kept`, or the usual length, and
    /// twice as long as the snapshot before it calls for a new one.
    pub fn new<D: Disk>(past: &Past<D>, log_bytes_kept: Option<u64>) -> Self {
        Self {
            frames: Frames::new(past.directory.incarnation(), past.next),
            snapshot: None,
            log_bytes: past.log_bytes(),
            snapshot_bytes: past.snapshot_bytes,
            again_bytes: 0,
            log_bytes_kept: log_bytes_kept.unwrap_or(LOG_BYTES_KEPT),
        }
    }

    /// Takes a record.
    pub fn record<T: Serialize>(&mut self, record: &T) {
        self.frames.push(record);
    }

    /// Takes a state that everything recorded before is part of, or is recorded again behind it.
    /// What the same drain has recorded before it stays, which does no harm.
    pub fn replace(&mut self, snapshot: Snapshot) {
        self.frames.leave_out_a_number();
        self.snapshot_bytes = (snapshot.machine.len() + snapshot.core.len()) as u64;
        (self.log_bytes, self.again_bytes) = (0, 0);
        self.snapshot = Some(snapshot);
    }

    /// Is the log so long that a snapshot should take its place?
    pub fn is_long(&self) -> bool {
        let grown = self.log_bytes - self.again_bytes;
        grown > self.log_bytes_kept.max(2 * (self.snapshot_bytes + self.again_bytes))
    }

    /// The length of the log behind the last snapshot, and of that.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        (self.log_bytes, self.snapshot_bytes)
    }

    /// Takes out what must be durable before anything that was asked for since the last time may
    /// leave; none if there is nothing.
    pub fn take(&mut self) -> Option<Work> {
        if self.frames.is_empty() && self.snapshot.is_none() {
            return None;
        }
        let (frames, records) = self.frames.take();
        self.log_bytes += frames.len() as u64;
        if self.snapshot.is_some() {
            self.again_bytes = self.log_bytes;
        }
        let first = self.frames.next() - u64::from(records);
        Some(Work { snapshot: self.snapshot.take(), first, records, frames })
    }
}
