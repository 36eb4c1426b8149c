//! What a data directory holds of a replica's earlier lives, checked before anything of it is used.

use std::{fs::OpenOptions, marker::PhantomData, ops::Range, path::Path};

use protocols::Snapshot;
use serde::de::DeserializeOwned;

use super::{
    directory::{Directory, Files, Owner, log_name},
    header::Kind,
    peers::Peers,
    record::{self, Extent, HEADER_BYTES, Rest},
    sheet::damaged,
    snapshot::{self, read_file},
};
use crate::NodeError;

/// What is left of earlier lives: nothing, if the directory is new.
#[derive(Debug)]
pub struct Past {
    /// The directory, for whoever goes on writing there.
    pub directory: Directory,
    /// The state to start from.
    pub snapshot: Option<Snapshot>,
    /// The number of the next record.
    pub next: u64,
    /// What had to be said about it.
    pub remarks: Vec<String>,
    pub(crate) peers: Peers,
    pub(super) files: Files,
    pub(super) snapshot_bytes: u64,
    segments: Vec<Segment>,
}

/// A segment of the log; `frames` is where its records stand.
#[derive(Debug)]
struct Segment {
    first: u64,
    bytes: Vec<u8>,
    frames: Range<usize>,
}

impl Past {
    /// Opens the directory at `path` and reads everything that its owner recorded there. What was cut short at the very end
    /// is removed.
    ///
    /// # Errors
    /// If the directory is another's, or in use, or something in it is missing or not as it was written.
    pub fn read(path: &Path, owner: Owner) -> Result<Self, NodeError> {
        let (directory, files) = Directory::open(path, owner)?;
        let peers = directory.peers()?;
        let mut remarks: Vec<String> = directory
            .remove_others(&files)?
            .iter()
            .map(|name| format!("removed {name}: it was never finished, or is not needed any more"))
            .collect();
        let snapshot = files.snapshot.map(|next| snapshot::read(&directory, next)).transpose()?;
        let snapshot_bytes =
            snapshot.as_ref().map_or(0, |snapshot| snapshot.machine.len() + snapshot.core.len());
        let mut next = files.snapshot.or(files.logs.first().copied()).unwrap_or(0);
        let mut segments = Vec::new();
        for (index, first) in files.logs.iter().enumerate() {
            let is_last = index + 1 == files.logs.len();
            if *first != next {
                let path = directory.log(*first);
                return Err(damaged(&path, format_args!("does not begin with record {next:016x}")));
            }
            let segment = read_segment(&directory, *first, is_last, &mut remarks)?;
            next = segment.1;
            segments.push(segment.0);
        }
        let snapshot_bytes = snapshot_bytes as u64;
        Ok(Self { directory, snapshot, next, remarks, peers, files, snapshot_bytes, segments })
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The records behind the snapshot, in order.
    pub fn records<T: DeserializeOwned>(&self) -> Records<'_, T> {
        Records { past: self, segment: 0, offset: 0, count: 0, failure: None, of: PhantomData }
    }

    /// How many bytes of the log they take.
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.frames.len() as u64).sum()
    }

    /// How long the last segment is.
    pub(super) fn last_segment_bytes(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.frames.end as u64)
    }
}

/// Reads the segment that begins with record `first`; returns it with the number of the record behind it.
fn read_segment(
    directory: &Directory,
    first: u64,
    is_last: bool,
    remarks: &mut Vec<String>,
) -> Result<(Segment, u64), NodeError> {
    let path = directory.log(first);
    let bytes = read_file(&path)?;
    let start = directory.header(first).expect(Kind::Log, &path, &bytes)?;
    let Extent { end, next, rest } = record::extent(&bytes, start, directory.incarnation(), first);
    match rest {
        Rest::Empty => {}
        Rest::Torn if is_last => {
            cut(&path, end)?;
            let (name, torn) = (log_name(first), bytes.len() - end);
            remarks.push(format!(
                "cut {torn} bytes at offset {end} of {name}: their write was never finished, nothing relied on them"
            ));
        }
        Rest::Torn | Rest::Damaged => {
            let what = format!("record {next:016x}, at offset {end}, is not as it was written");
            return Err(damaged(&path, what));
        }
    }
    Ok((Segment { first, bytes, frames: start..end }, next))
}

fn cut(path: &Path, end: usize) -> Result<(), NodeError> {
    let cut = OpenOptions::new().write(true).open(path).and_then(|file| {
        file.set_len(end as u64)?;
        file.sync_all()
    });
    cut.map_err(|error| NodeError::file(path, "cut", &error))
}

/// The records of a [`Past`], decoded one by one. Whoever took them asks [`Records::finish`] whether they were all.
#[derive(Debug)]
pub struct Records<'p, T> {
    past: &'p Past,
    segment: usize,
    /// Within the segment's frames.
    offset: usize,
    count: u64,
    failure: Option<NodeError>,
    of: PhantomData<T>,
}

impl<T> Records<'_, T> {
    /// How many records there were.
    ///
    /// # Errors
    /// If one was written whole and yet is none of this protocol's records.
    pub fn finish(self) -> Result<u64, NodeError> {
        self.failure.map_or(Ok(self.count), Err)
    }
}

impl<T: DeserializeOwned> Iterator for Records<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let segment = loop {
            let segment = self.past.segments.get(self.segment)?;
            if self.offset < segment.frames.len() {
                break segment;
            }
            self.segment += 1;
            self.offset = 0;
        };
        let frame = &segment.bytes[segment.frames.clone()][self.offset..];
        let length = frame[8..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let end = HEADER_BYTES + length as usize;
        match postcard::take_from_bytes(&frame[HEADER_BYTES..end]) {
            Ok((record, [])) => {
                self.offset += end;
                self.count += 1;
                Some(record)
            }
            _ => {
                let at = segment.frames.start + self.offset;
                let what =
                    format!("what was recorded at offset {at} is no record of this program's");
                self.failure = Some(damaged(&self.past.directory.log(segment.first), what));
                self.segment = usize::MAX;
                None
            }
        }
    }
}
