//! A replica's data directory: its owner, and which of its files count.

use std::io;

use protocols::{Config, Protocol, ReplicaId};

use super::{
    StorageError,
    header::{Header, Kind},
    peers::{PEERS_FILE, Peers},
    sector,
    sheet::{self, Sheet, failed},
};
use crate::{
    disk::Disk,
    failpoint::{self, Failpoint},
};

const MANIFEST_FILE: &str = "manifest";
const LOG: &str = "log";
const SNAPSHOT: &str = "snapshot";
/// What of the protocol's options decides which votes are enough stands under this key: that of the
/// first protocol that had such an option, since directories are there that have it.
const VOTES: &str = "fast-quorum";
/// What stands there if nothing but N decides it.
const VOTES_USUAL: &str = "optimized";
/// The number of a replica's first record.
const FIRST_RECORD: u64 = 1;

/// Whose data a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster's name.
    pub cluster: String,
    /// The replica.
    pub replica: ReplicaId,
    /// What it runs.
    pub protocol: Protocol,
    /// How. What of it decides which sets of votes are enough may not change over a cluster's life.
    pub config: Config,
}

impl Owner {
    fn lines(&self) -> [(&'static str, String); 5] {
        let votes = self.protocol.votes.map_or(VOTES_USUAL, |votes| votes(&self.config));
        [
            ("cluster", self.cluster.clone()),
            ("replica", self.replica.0.to_string()),
            ("protocol", self.protocol.name().to_owned()),
            ("replicas", self.config.replicas.to_string()),
            (VOTES, votes.to_owned()),
        ]
    }
}

/// The files that count: what is not among them was never finished, or is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// The snapshot, by the number of the first record behind it.
    pub(super) snapshot: Option<u64>,
    /// The segments of the log behind it, by the numbers of their first records.
    pub(super) logs: Vec<u64>,
}

/// A data directory.
#[derive(Debug)]
pub struct Directory<D> {
    disk: D,
    owner: Owner,
    incarnation: u64,
}

impl<D: Disk> Directory<D> {
    /// Opens the directory on `disk` for `owner`; makes it, as `new_incarnation`, if it is empty.
    ///
    /// # Errors
    /// If it is another's, or cannot be used.
    pub(super) fn open(
        disk: D,
        owner: Owner,
        new_incarnation: u64,
    ) -> Result<(Self, Files), StorageError> {
        let mut directory = Self { disk, owner, incarnation: 0 };
        if directory.is_unused()? {
            directory.incarnation = new_incarnation;
            let files = directory.begin()?;
            return Ok((directory, files));
        }
        let sheet = Sheet::read(&directory.disk, MANIFEST_FILE)?;
        for (key, own) in directory.owner.lines() {
            let theirs = sheet.one(key)?;
            if theirs != own {
                let (path, theirs) = (directory.path(), theirs.to_owned());
                return Err(StorageError::NotOwn { path, key, theirs, own });
            }
        }
        directory.incarnation = sheet.number(sheet.one("incarnation")?)?;
        let snapshot = sheet.all(SNAPSHOT).next().map(|number| sheet.number(number));
        let logs = sheet.all(LOG).map(|number| sheet.number(number));
        let files =
            Files { snapshot: snapshot.transpose()?, logs: logs.collect::<Result<_, _>>()? };
        Ok((directory, files))
    }

    /// Where it is.
    pub fn path(&self) -> String {
        self.disk.directory()
    }

    /// Where its file `name` is.
    pub(super) fn path_of(&self, name: &str) -> String {
        self.disk.path(name)
    }

    /// The number drawn when the directory was first used.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Where its files are.
    pub(super) const fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// The peers met so far.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn peers(&self) -> Result<Peers<D>, StorageError> {
        Peers::read(self.disk.clone(), self.owner.config.replicas)
    }

    /// Makes the files of an owner that is new here. The manifest comes last: a directory that has
    /// one has all that it names.
    fn begin(&mut self) -> Result<Files, StorageError> {
        Peers::make(self.disk.clone(), self.owner.config.replicas)?;
        let files = Files { snapshot: None, logs: vec![FIRST_RECORD] };
        self.make_log(FIRST_RECORD, &[], true)?;
        self.write_manifest(&files, true)?;
        Ok(files)
    }

    /// Makes a segment of the log that begins with `frames`, from record `first` on; returns how
    /// long its stream is.
    pub(super) fn make_log(
        &mut self,
        first: u64,
        frames: &[u8],
        synced: bool,
    ) -> Result<usize, StorageError> {
        let mut stream = self.header(first).encode(Kind::Log);
        stream.extend_from_slice(frames);
        let bytes = sector::stamped(0, &stream);
        sheet::put_in_place(&mut self.disk, &log_name(first), &[&bytes], synced)?;
        Ok(stream.len())
    }

    /// Returns when `files` and all else that counts is durable, whatever an earlier life may have
    /// left unsynced.
    pub(super) fn sync(&mut self, files: &Files) -> Result<(), StorageError> {
        let named = files.logs.iter().map(|first| log_name(*first));
        let named = named.chain(files.snapshot.map(snapshot_name));
        for name in named.chain([MANIFEST_FILE.to_owned(), PEERS_FILE.to_owned()]) {
            self.disk.sync(&name).map_err(|error| failed(&self.disk, &name, "sync", error))?;
        }
        let synced = self.disk.sync_names();
        synced.map_err(|error| self.failed("sync", error))
    }

    /// Says from now on that `files` count, and removes the other logs and snapshots. What else is
    /// unfinished may be being written at this very moment: the peers are another thread's.
    pub(super) fn switch_to(&mut self, files: &Files, synced: bool) -> Result<(), StorageError> {
        self.write_manifest(files, synced)?;
        failpoint::pass(Failpoint::ManifestSwitched);
        self.remove(files, |_| false).map(drop)
    }

    /// At the beginning of a life: removes the logs and snapshots that `files` does not name, and
    /// what was never finished; returns their names.
    pub(super) fn remove_others(&mut self, files: &Files) -> Result<Vec<String>, StorageError> {
        self.remove(files, |name| name.ends_with(sheet::UNFINISHED))
    }

    /// Removes the logs and snapshots that `files` does not name, and what is `needless` beside
    /// them.
    fn remove(
        &mut self,
        files: &Files,
        needless: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, StorageError> {
        let logs = files.logs.iter().map(|first| log_name(*first));
        let kept: Vec<String> = logs.chain(files.snapshot.map(snapshot_name)).collect();
        let mut removed = self.names()?;
        removed.retain(|name| {
            let ours = [LOG, SNAPSHOT].iter().any(|kind| name.starts_with(&format!("{kind}-")));
            needless(name) || (ours && !kept.contains(name))
        });
        for name in &removed {
            let removed = self.disk.remove(name);
            removed.map_err(|error| failed(&self.disk, name, "remove", error))?;
            failpoint::pass(Failpoint::FileRemoved);
        }
        Ok(removed)
    }

    /// What the head of a file says that begins with, or at, record `sequence`.
    pub(super) fn header(&self, sequence: u64) -> Header {
        Header {
            cluster: self.owner.cluster.clone(),
            replica: self.owner.replica,
            protocol: self.owner.protocol,
            incarnation: self.incarnation,
            sequence,
        }
    }

    fn write_manifest(&mut self, files: &Files, synced: bool) -> Result<(), StorageError> {
        let number = |key, number: u64| (key, format!("{number:016x}"));
        let lines = self
            .owner
            .lines()
            .into_iter()
            .chain([number("incarnation", self.incarnation)])
            .chain(files.snapshot.map(|next| number(SNAPSHOT, next)))
            .chain(files.logs.iter().map(|first| number(LOG, *first)));
        sheet::replace(&mut self.disk, MANIFEST_FILE, lines, synced)
    }

    /// Is there nothing but what a first use that was cut short may have left?
    fn is_unused(&self) -> Result<bool, StorageError> {
        let first = log_name(FIRST_RECORD);
        Ok(self.names()?.iter().all(|name| {
            [PEERS_FILE, &first].contains(&name.as_str()) || name.ends_with(sheet::UNFINISHED)
        }))
    }

    fn names(&self) -> Result<Vec<String>, StorageError> {
        self.disk.names().map_err(|error| self.failed("list", error))
    }

    /// The disk failed when something was tried with the directory.
    fn failed(&self, tried: &'static str, error: io::Error) -> StorageError {
        StorageError::Disk { path: self.path(), tried, error }
    }
}

pub(super) fn log_name(first: u64) -> String {
    format!("{LOG}-{first:016x}")
}

pub(super) fn snapshot_name(next: u64) -> String {
    format!("{SNAPSHOT}-{next:016x}")
}
