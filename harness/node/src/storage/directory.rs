//! A replica's data directory: whose it is, who works in it, and which of its files count.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use protocols::{Config, Protocol, ReplicaId};

use super::{
    header::{Header, Kind},
    new_incarnation,
    peers::{PEERS_FILE, Peers},
    sheet::{self, Sheet},
};
use crate::{
    NodeError,
    failpoint::{self, Failpoint},
};

const LOCK_FILE: &str = "lock";
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

/// A data directory that this process alone works in.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    owner: Owner,
    incarnation: u64,
    /// Unlocked when this is dropped, or the process dies.
    _lock: File,
}

impl Directory {
    /// Opens the directory at `path` for `owner`; makes it if it is not there or empty.
    ///
    /// # Errors
    /// If it is another's, another process works in it, or it cannot be used.
    pub(super) fn open(path: &Path, owner: Owner) -> Result<(Self, Files), NodeError> {
        fs::create_dir_all(path)
            .map_err(|error| NodeError::file(path, "make the data directory", &error))?;
        let mut directory =
            Self { path: path.to_owned(), owner, incarnation: 0, _lock: lock(path)? };
        let manifest = path.join(MANIFEST_FILE);
        if !manifest.exists() && directory.is_unused()? {
            let files = directory.begin()?;
            return Ok((directory, files));
        }
        let sheet = Sheet::read(&manifest)?;
        for (key, own) in directory.owner.lines() {
            let theirs = sheet.one(key)?;
            if theirs != own {
                let path = path.display();
                return Err(NodeError::new(format!(
                    "{path}: holds the data of {key} {theirs}, not of {key} {own}: give every replica the directory that \
                     is its own"
                )));
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
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number drawn when the directory was first used.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The peers met so far.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn peers(&self) -> Result<Peers, NodeError> {
        Peers::read(&self.path, self.owner.config.replicas)
    }

    /// Makes what an owner needs who was never here. The manifest comes last: a directory that has one has all that it names.
    fn begin(&mut self) -> Result<Files, NodeError> {
        self.incarnation = new_incarnation();
        Peers::make(&self.path, self.owner.config.replicas)?;
        let files = Files { snapshot: None, logs: vec![FIRST_RECORD] };
        self.make_log(FIRST_RECORD, &[], true)?;
        self.write_manifest(&files, true)?;
        Ok(files)
    }

    /// Makes a segment of the log that begins with `bytes`, the frames from `first` on, and returns it.
    pub(super) fn make_log(
        &self,
        first: u64,
        bytes: &[u8],
        synced: bool,
    ) -> Result<(File, u64), NodeError> {
        let header = self.header(first).encode(Kind::Log);
        let (path, name) = (self.log(first), log_name(first));
        sheet::put_in_place(&self.path, &name, &[&header, bytes], synced)?;
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|error| NodeError::file(&path, "open", &error))?;
        Ok((file, (header.len() + bytes.len()) as u64))
    }

    /// Says from now on that `files` count, and removes the other logs and snapshots. What else is unfinished may be being
    /// written at this very moment: the peers are another thread's.
    pub(super) fn switch_to(&self, files: &Files, synced: bool) -> Result<(), NodeError> {
        self.write_manifest(files, synced)?;
        failpoint::pass(Failpoint::ManifestSwitched);
        self.remove(files, |_| false).map(drop)
    }

    /// At the beginning of a life: removes the logs and snapshots that `files` does not name, and what was never finished;
    /// returns their names.
    pub(super) fn remove_others(&self, files: &Files) -> Result<Vec<String>, NodeError> {
        self.remove(files, |name| name.ends_with(sheet::UNFINISHED))
    }

    /// Removes the logs and snapshots that `files` does not name, and what is `needless` beside them.
    fn remove(
        &self,
        files: &Files,
        needless: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, NodeError> {
        let logs = files.logs.iter().map(|first| log_name(*first));
        let kept: Vec<String> = logs.chain(files.snapshot.map(snapshot_name)).collect();
        let mut removed = self.names()?;
        removed.retain(|name| {
            let ours = [LOG, SNAPSHOT].iter().any(|kind| name.starts_with(&format!("{kind}-")));
            needless(name) || (ours && !kept.contains(name))
        });
        for name in &removed {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| NodeError::file(&path, "remove", &error))?;
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

    /// Where the segment is that begins with record `first`.
    pub(super) fn log(&self, first: u64) -> PathBuf {
        self.path.join(log_name(first))
    }

    /// Where the snapshot is that record `next` comes behind.
    pub(super) fn snapshot(&self, next: u64) -> PathBuf {
        self.path.join(snapshot_name(next))
    }

    fn write_manifest(&self, files: &Files, synced: bool) -> Result<(), NodeError> {
        let number = |key, number: u64| (key, format!("{number:016x}"));
        let lines = self
            .owner
            .lines()
            .into_iter()
            .chain([number("incarnation", self.incarnation)])
            .chain(files.snapshot.map(|next| number(SNAPSHOT, next)))
            .chain(files.logs.iter().map(|first| number(LOG, *first)));
        sheet::replace(&self.path, MANIFEST_FILE, lines, synced)
    }

    /// Is there nothing but what a first use that was cut short may have left?
    fn is_unused(&self) -> Result<bool, NodeError> {
        let first = log_name(FIRST_RECORD);
        Ok(self.names()?.iter().all(|name| {
            [LOCK_FILE, PEERS_FILE, &first].contains(&name.as_str())
                || name.ends_with(sheet::UNFINISHED)
        }))
    }

    fn names(&self) -> Result<Vec<String>, NodeError> {
        let entries = fs::read_dir(&self.path).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<Vec<_>>>()
        });
        entries.map_err(|error| NodeError::file(&self.path, "list", &error))
    }
}

pub(super) fn log_name(first: u64) -> String {
    format!("{LOG}-{first:016x}")
}

pub(super) fn snapshot_name(next: u64) -> String {
    format!("{SNAPSHOT}-{next:016x}")
}

/// Keeps other processes out of the directory at `path`.
fn lock(path: &Path) -> Result<File, NodeError> {
    let file = path.join(LOCK_FILE);
    let unusable = |error| NodeError::file(&file, "lock", &error);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&file);
    let mut lock = opened.map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = match lock.read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                _ => "another process".to_owned(),
            };
            let path = path.display();
            return Err(NodeError::new(format!(
                "{path}: {holder} works in this directory: stop it first, or give this replica its own"
            )));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // For the one that comes too late; the lock alone decides.
    let noted = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    noted.map_err(unusable)?;
    Ok(lock)
}
