//! Writing what must survive: one write for each drain, into the last segment of the log, or a snapshot with a new log behind
//! it.

use std::{fs::File, io::Write};

use protocols::Snapshot;

use super::{
    directory::{Directory, Files},
    past::Past,
    snapshot,
};
use crate::{
    NodeError,
    failpoint::{self, Failpoint},
};

/// Chosen: a segment that has grown longer than this gets a successor. It is short enough to be copied or looked at, and long
/// enough that the three syncs of a change of segments do not matter.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// What one drain makes durable: everything of it, or, if the process dies before, nothing that mattered.
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
pub struct Writer {
    directory: Directory,
    files: Files,
    log: File,
    log_bytes: u64,
    /// Must what is written be on disk when a call returns?
    synced: bool,
    segment_bytes_max: u64,
}

impl Writer {
    /// Goes on where `past` ends.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub fn new(
        past: Past,
        synced: bool,
        segment_bytes_max: Option<u64>,
    ) -> Result<Self, NodeError> {
        let log_bytes = past.last_segment_bytes();
        let Past { directory, files, .. } = past;
        let path = directory.log(*files.logs.last().expect("a directory begins with a log"));
        let log = File::options().append(true).open(&path);
        let log = log.map_err(|error| NodeError::file(&path, "open", &error))?;
        let segment_bytes_max = segment_bytes_max.unwrap_or(SEGMENT_BYTES_MAX);
        Ok(Self { directory, files, log, log_bytes, synced, segment_bytes_max })
    }

    /// Writes `work`. After an error nothing may be written any more: what is on disk is not known.
    ///
    /// # Errors
    /// If the system does not take it.
    pub fn write(&mut self, work: &Work) -> Result<(), NodeError> {
        match &work.snapshot {
            Some(snapshot) => self.write_snapshot(snapshot, work),
            None if self.log_bytes > self.segment_bytes_max && self.last() != work.first => {
                self.begin_segment(work)
            }
            None => self.append(&work.frames),
        }
    }

    fn append(&mut self, frames: &[u8]) -> Result<(), NodeError> {
        failpoint::pass(Failpoint::LogWrite);
        failpoint::tear(Failpoint::LogTorn, frames, |half| drop(self.log.write_all(half)));
        let written = self.log.write_all(frames).and_then(|()| {
            failpoint::pass(Failpoint::LogWritten);
            // The length of the file is part of what this syncs.
            if self.synced { self.log.sync_data() } else { Ok(()) }
        });
        written.map_err(|error| {
            let path = self.directory.log(self.last());
            NodeError::file(&path, "write", &error)
                .context("the replica ends, since it cannot keep its promises")
        })?;
        failpoint::pass(Failpoint::LogSynced);
        self.log_bytes += frames.len() as u64;
        Ok(())
    }

    fn begin_segment(&mut self, work: &Work) -> Result<(), NodeError> {
        (self.log, self.log_bytes) =
            self.directory.make_log(work.first, &work.frames, self.synced)?;
        failpoint::pass(Failpoint::SegmentMade);
        self.files.logs.push(work.first);
        self.directory.switch_to(&self.files, self.synced)
    }

    /// The first record of the last segment.
    fn last(&self) -> u64 {
        *self.files.logs.last().expect("there is always a log")
    }

    /// Nothing before the snapshot counts once the manifest says so, and the manifest says so when all is there.
    fn write_snapshot(&mut self, snapshot: &Snapshot, work: &Work) -> Result<(), NodeError> {
        let next = work.first;
        failpoint::pass(Failpoint::SnapshotWrite);
        snapshot::write(&self.directory, snapshot, next, self.synced)?;
        failpoint::pass(Failpoint::SnapshotWritten);
        (self.log, self.log_bytes) = self.directory.make_log(next, &work.frames, self.synced)?;
        self.files = Files { snapshot: Some(next), logs: vec![next] };
        self.directory.switch_to(&self.files, self.synced)
    }
}

#[cfg(test)]
mod tests {
    use protocols::{Config, ReplicaId};

    use super::*;
    use crate::storage::{Journal, Owner};

    fn past(directory: &std::path::Path) -> Past {
        let owner = Owner {
            cluster: "c".to_owned(),
            replica: ReplicaId(1),
            protocol: protocols::paxos::PROTOCOL,
            config: Config::new(3),
        };
        Past::read(directory, owner).unwrap()
    }

    #[test]
    fn a_full_disk_is_told_with_the_file_and_what_was_written_before_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let before = past(directory.path());
        let mut journal = Journal::new(&before, None);
        let mut writer = Writer::new(before, true, None).unwrap();
        journal.record(&1_u64);
        writer.write(&journal.take().unwrap()).unwrap();
        // The device that takes nothing.
        writer.log = File::options().append(true).open("/dev/full").unwrap();
        journal.record(&2_u64);
        let error = writer.write(&journal.take().unwrap()).unwrap_err().to_string();
        assert!(
            error.starts_with("the replica ends, since it cannot keep its promises: "),
            "{error}"
        );
        assert!(error.contains("log-0000000000000001: cannot write: No space left"), "{error}");
        drop(writer);
        let after = past(directory.path());
        assert_eq!(after.records::<u64>().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn after_a_death_at_any_step_of_a_switch_the_old_files_count_or_the_new_ones() {
        let directory = tempfile::tempdir().unwrap();
        let before = past(directory.path());
        let mut journal = Journal::new(&before, None);
        let mut writer = Writer::new(before, true, None).unwrap();
        journal.record(&1_u64);
        writer.write(&journal.take().unwrap()).unwrap();
        let snapshot = Snapshot { machine: [7; 9].into(), core: [8; 3].into() };
        // All is written, and the manifest is not switched: the old files count.
        snapshot::write(&writer.directory, &snapshot, 2, true).unwrap();
        writer.directory.make_log(2, &[], true).unwrap();
        std::fs::write(directory.path().join("manifest.new"), "half a mani").unwrap();
        drop(writer);
        let again = past(directory.path());
        assert_eq!(again.snapshot, None);
        assert_eq!(again.records::<u64>().collect::<Vec<_>>(), [1]);
        assert_eq!(again.remarks.len(), 3, "{:?}", again.remarks);
        // It is switched, and the old files are not removed: the new ones count.
        let mut journal = Journal::new(&again, None);
        let mut writer = Writer::new(again, true, None).unwrap();
        let old = std::fs::read(writer.directory.log(1)).unwrap();
        journal.replace(snapshot.clone());
        journal.record(&2_u64);
        writer.write(&journal.take().unwrap()).unwrap();
        std::fs::write(writer.directory.log(1), old).unwrap();
        drop(writer);
        let last = past(directory.path());
        assert_eq!(last.snapshot, Some(snapshot));
        assert_eq!(last.records::<u64>().collect::<Vec<_>>(), [2]);
        assert_eq!(last.remarks.len(), 1, "{:?}", last.remarks);
    }
}
