//! What a data directory holds of a replica's earlier lives, checked before anything of it is used.

use std::{marker::PhantomData, ops::Range};

use protocols::Snapshot;
use serde::de::DeserializeOwned;

use super::{
    StorageError,
    directory::{Directory, Files, Owner, log_name},
    header::Kind,
    peers::Peers,
    record::{self, Extent, Payloads, Rest, place},
    sector,
    sheet::{damaged, failed, read_file},
    snapshot,
};
use crate::disk::Disk;

/// What is left of earlier lives: nothing, if the directory is new.
#[derive(Debug)]
pub struct Past<D> {
    /// The directory, to go on writing there.
    pub directory: Directory<D>,
    /// The state to start from.
    pub snapshot: Option<Snapshot>,
    /// The number of the next record.
    pub next: u64,
    /// Was the last write of the log not whole? Then it was cut.
    pub was_torn: bool,
    /// What had to be said about it.
    pub remarks: Vec<String>,
    /// The peers met so far.
    pub peers: Peers<D>,
    pub(super) files: Files,
    pub(super) snapshot_bytes: u64,
    segments: Vec<Segment>,
}

/// A segment of the log; `writes` is where its records stand in its stream.
#[derive(Debug)]
struct Segment {
    first: u64,
    stream: Vec<u8>,
    writes: Range<usize>,
    was_torn: bool,
}

impl<D: Disk> Past<D> {
    /// Opens the directory on `disk` and reads everything that its owner recorded there. What was
    /// cut short at the very end is removed. An empty directory becomes the owner's as
    /// `new_incarnation`, which must be drawn for this call.
    ///
    /// # Errors
    /// If the directory is another's, or something in it is missing or not as it was written, or
    /// the disk fails.
    pub fn read(disk: D, owner: Owner, new_incarnation: u64) -> Result<Self, StorageError> {
        let (mut directory, files) = Directory::open(disk, owner, new_incarnation)?;
        let peers = directory.peers()?;
        let mut remarks: Vec<String> = directory
            .remove_others(&files)?
            .iter()
            .map(|name| format!("removed {name}: it was never finished, or is not needed any more"))
            .collect();
        let snapshot =
            files.snapshot.map(|next| snapshot::read(&mut directory, next)).transpose()?;
        let snapshot_bytes =
            snapshot.as_ref().map_or(0, |snapshot| snapshot.machine.len() + snapshot.core.len());
        let mut next = files.snapshot.or(files.logs.first().copied()).unwrap_or(0);
        let mut segments = Vec::new();
        for (index, first) in files.logs.iter().enumerate() {
            let is_last = index + 1 == files.logs.len();
            if *first != next {
                let what = format!("does not begin with record {next:016x}");
                return Err(damaged(directory.disk(), &log_name(*first), what));
            }
            let segment = read_segment(&mut directory, *first, is_last, &mut remarks)?;
            next = segment.1;
            segments.push(segment.0);
        }
        let snapshot_bytes = snapshot_bytes as u64;
        let was_torn = segments.last().is_some_and(|segment: &Segment| segment.was_torn);
        Ok(Self {
            directory,
            snapshot,
            next,
            was_torn,
            remarks,
            peers,
            files,
            snapshot_bytes,
            segments,
        })
    }

    /// Where it is kept.
    pub fn path(&self) -> String {
        self.directory.path()
    }

    /// The records behind the snapshot, in order.
    pub fn records<T: DeserializeOwned>(&self) -> Records<'_, D, T> {
        Records {
            past: self,
            segment: 0,
            payloads: Payloads::new(&[]),
            count: 0,
            failure: None,
            of: PhantomData,
        }
    }

    /// The number of the first record behind the snapshot: no two snapshots have the same.
    pub const fn snapshot_at(&self) -> Option<u64> {
        self.files.snapshot
    }

    /// How many bytes of the log they take.
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.writes.len() as u64).sum()
    }

    /// How long the stream of the last segment is.
    pub(super) fn last_segment_bytes(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.writes.end)
    }
}

/// Reads the segment that begins with record `first`; returns it with the number of the record
/// behind it.
fn read_segment<D: Disk>(
    directory: &mut Directory<D>,
    first: u64,
    is_last: bool,
    remarks: &mut Vec<String>,
) -> Result<(Segment, u64), StorageError> {
    let (header, incarnation, name) =
        (directory.header(first), directory.incarnation(), log_name(first));
    let disk = directory.disk();
    let file = read_file(disk, &name)?;
    let mut stream = sector::unstamped(&file);
    let start = header.expect(Kind::Log, disk, &name, &stream)?;
    if !sector::has_stamps(&file, 0, start) {
        return Err(damaged(disk, &name, "its head is damaged (offset 0)"));
    }
    let Extent { end, next, rest } = record::extent(&file, &stream, start, incarnation, first);
    let file_end = place(end);
    match rest {
        Rest::Empty => {}
        Rest::Torn if is_last => {
            // The writer makes it durable before anything is written behind it.
            let cut = disk.truncate(&name, file_end as u64);
            cut.map_err(|error| failed(disk, &name, "cut", error))?;
            stream.truncate(end);
            remarks.push(format!(
                "cut {} bytes at offset {file_end} of {name}: their write was never finished, nothing relied on them",
                file.len() - file_end
            ));
        }
        Rest::Torn | Rest::Damaged => {
            let what =
                format!("record {next:016x}, at offset {file_end}, is not as it was written");
            return Err(damaged(disk, &name, what));
        }
    }
    Ok((Segment { first, stream, writes: start..end, was_torn: rest == Rest::Torn }, next))
}

/// The records of a [`Past`], decoded one by one. [`Records::finish`] tells whether they were all.
#[derive(Debug)]
pub struct Records<'p, D, T> {
    past: &'p Past<D>,
    /// The number of segments that were begun.
    segment: usize,
    /// What is left of the last of them.
    payloads: Payloads<'p>,
    count: u64,
    failure: Option<StorageError>,
    of: PhantomData<T>,
}

impl<D, T> Records<'_, D, T> {
    /// How many records there were.
    ///
    /// # Errors
    /// If one was written whole and yet is none of this protocol's records.
    pub fn finish(self) -> Result<u64, StorageError> {
        self.failure.map_or(Ok(self.count), Err)
    }
}

impl<D: Disk, T: DeserializeOwned> Iterator for Records<'_, D, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        let (at, payload) = loop {
            if let Some(next) = self.payloads.next() {
                break next;
            }
            let segment = self.past.segments.get(self.segment)?;
            self.payloads = Payloads::new(&segment.stream[segment.writes.clone()]);
            self.segment += 1;
        };
        if let Ok((record, [])) = postcard::take_from_bytes(payload) {
            self.count += 1;
            return Some(record);
        }
        let segment = &self.past.segments[self.segment - 1];
        let at = place(segment.writes.start + at);
        self.failure = Some(StorageError::NotUnderstood {
            path: self.past.directory.path_of(&log_name(segment.first)),
            what: format!("what was recorded at offset {at} is no record of this program's"),
        });
        None
    }
}
