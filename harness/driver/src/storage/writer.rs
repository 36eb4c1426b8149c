//! Writing what must survive: one write for each drain, into the last segment of the log, or a
//! snapshot with a new log behind it.

use protocols::Snapshot;

use super::{
    StorageError,
    directory::{Directory, Files, log_name},
    past::Past,
    sector,
    sheet::failed,
    snapshot,
};
use crate::{
    disk::Disk,
    failpoint::{self, Failpoint},
};

/// Chosen: a segment that has grown longer than this gets a successor. It is short enough to be
/// copied or looked at, and long enough that the three syncs of a change of segments do not matter.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// What one drain makes durable: everything of it, or, if the process dies before, nothing that
/// mattered.
#[derive(Debug)]
pub struct Work {
    /// Takes the place of everything before.
    pub snapshot: Option<Snapshot>,
    /// The number of the first record.
    pub first: u64,
    /// How many records there are.
    pub records: u32,
    /// Their frames.
    pub frames: Vec<u8>,
}

/// Writes into a data directory.
#[derive(Debug)]
pub struct Writer<D> {
    directory: Directory<D>,
    files: Files,
    /// How long the stream of the last segment is.
    log_bytes: usize,
    /// Must what is written be on disk when a call returns?
    synced: bool,
    segment_bytes_max: u64,
}

impl<D: Disk> Writer<D> {
    /// Goes on where `past` ends. With `synced` all that `past` holds is durable when this returns:
    /// a process that was killed may have left it written and not synced, and the next life relies
    /// on it.
    ///
    /// # Errors
    /// If it cannot be made durable.
    pub fn new(
        past: Past<D>,
        synced: bool,
        segment_bytes_max: Option<u64>,
    ) -> Result<Self, StorageError> {
        let log_bytes = past.last_segment_bytes();
        let Past { mut directory, files, .. } = past;
        if synced {
            directory.sync(&files)?;
        }
        let segment_bytes_max = segment_bytes_max.unwrap_or(SEGMENT_BYTES_MAX);
        Ok(Self { directory, files, log_bytes, synced, segment_bytes_max })
    }

    /// Writes `work`. After an error nothing may be written any more: what is on disk is not known.
    ///
    /// # Errors
    /// If the system does not take it.
    pub fn write(&mut self, work: &Work) -> Result<(), StorageError> {
        let written = match &work.snapshot {
            Some(snapshot) => self.write_snapshot(snapshot, work),
            None if self.log_bytes as u64 > self.segment_bytes_max && self.last() != work.first => {
                self.begin_segment(work)
            }
            None => self.append(&work.frames),
        };
        written.map_err(|error| StorageError::NotKept(Box::new(error)))
    }

    fn append(&mut self, frames: &[u8]) -> Result<(), StorageError> {
        failpoint::pass(Failpoint::LogWrite);
        let (name, bytes) = (log_name(self.last()), sector::stamped(self.log_bytes, frames));
        let disk = self.directory.disk();
        failpoint::tear(Failpoint::LogTorn, &bytes, |half| drop(disk.append(&name, half)));
        let written = disk.append(&name, &bytes).and_then(|()| {
            failpoint::pass(Failpoint::LogWritten);
            if self.synced { disk.sync(&name) } else { Ok(()) }
        });
        written.map_err(|error| failed(disk, &name, "write", error))?;
        failpoint::pass(Failpoint::LogSynced);
        self.log_bytes += frames.len();
        Ok(())
    }

    fn begin_segment(&mut self, work: &Work) -> Result<(), StorageError> {
        self.log_bytes = self.directory.make_log(work.first, &work.frames, self.synced)?;
        failpoint::pass(Failpoint::SegmentMade);
        self.files.logs.push(work.first);
        self.directory.switch_to(&self.files, self.synced)
    }

    /// The first record of the last segment.
    fn last(&self) -> u64 {
        *self.files.logs.last().expect("there is always a log")
    }

    /// Nothing before the snapshot counts once the manifest says so, and the manifest says so when
    /// all is there.
    fn write_snapshot(&mut self, snapshot: &Snapshot, work: &Work) -> Result<(), StorageError> {
        let next = work.first;
        failpoint::pass(Failpoint::SnapshotWrite);
        snapshot::write(&mut self.directory, snapshot, next, self.synced)?;
        failpoint::pass(Failpoint::SnapshotWritten);
        self.log_bytes = self.directory.make_log(next, &work.frames, self.synced)?;
        self.files = Files { snapshot: Some(next), logs: vec![next] };
        self.directory.switch_to(&self.files, self.synced)
    }
}
