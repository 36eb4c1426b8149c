//! A replica's data directory: whose it is, who works in it, and whom the replica has met.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use protocols::{Config, Protocol, ReplicaId, config::FastQuorum};

use super::{
    new_incarnation,
    sheet::{self, Sheet, damaged},
};
use crate::NodeError;

const LOCK_FILE: &str = "lock";
const MANIFEST_FILE: &str = "manifest";
const PEERS_FILE: &str = "peers";

/// Whose data a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) cluster: String,
    pub(crate) replica: ReplicaId,
    pub(crate) protocol: Protocol,
    /// What of it decides which sets of votes are enough may not change over a cluster's life.
    pub(crate) config: Config,
}

/// A data directory that this process alone works in.
#[derive(Debug)]
pub(crate) struct Directory {
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
    pub(crate) fn open(path: &Path, owner: Owner) -> Result<Self, NodeError> {
        fs::create_dir_all(path)
            .map_err(|error| NodeError::file(path, "make the data directory", &error))?;
        let lock = lock(path)?;
        let manifest = path.join(MANIFEST_FILE);
        if !manifest.exists() && is_unused(path)? {
            // The manifest comes last: a directory that has one has everything that it names.
            let none = Peers {
                known: vec![None; owner.config.replicas],
                directory: Some(path.to_owned()),
            };
            none.save()?;
            let directory =
                Self { path: path.to_owned(), owner, incarnation: new_incarnation(), _lock: lock };
            directory.write_manifest()?;
            return Ok(directory);
        }
        let sheet = Sheet::read(&manifest)?;
        let incarnation = sheet.number(sheet.one("incarnation")?)?;
        for (key, own) in owner.lines() {
            let theirs = sheet.one(key)?;
            if theirs != own {
                let path = path.display();
                return Err(NodeError::new(format!(
                    "{path}: holds the data of {key} {theirs}, not of {key} {own}: give every replica the directory that \
                     is its own"
                )));
            }
        }
        Ok(Self { path: path.to_owned(), owner, incarnation, _lock: lock })
    }

    /// The number drawn when the directory was first used.
    pub(crate) const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The peers met so far.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn peers(&self) -> Result<Peers, NodeError> {
        let path = self.path.join(PEERS_FILE);
        let sheet = Sheet::read(&path)?;
        let mut known = vec![None; self.owner.config.replicas];
        for peer in sheet.all("peer") {
            let parsed = peer.split_once(' ').and_then(|(replica, incarnation)| {
                Some((replica.parse::<usize>().ok()?, sheet.number(incarnation).ok()?))
            });
            let place = parsed
                .and_then(|(replica, incarnation)| Some((known.get_mut(replica)?, incarnation)));
            let Some((place, incarnation)) = place else {
                return Err(damaged(&path, format_args!("{peer:?} is no peer")));
            };
            *place = Some(incarnation);
        }
        Ok(Peers { known, directory: Some(self.path.clone()) })
    }

    fn write_manifest(&self) -> Result<(), NodeError> {
        let lines = self.owner.lines().into_iter();
        let lines = lines.chain([("incarnation", format!("{:016x}", self.incarnation))]);
        sheet::replace(&self.path, MANIFEST_FILE, lines, true)
    }
}

impl Owner {
    fn lines(&self) -> [(&'static str, String); 5] {
        let fast_quorum = match self.config.fast_quorum {
            FastQuorum::Optimized => "optimized",
            FastQuorum::Simple => "simple",
        };
        [
            ("cluster", self.cluster.clone()),
            ("replica", self.replica.0.to_string()),
            ("protocol", self.protocol.name().to_owned()),
            ("replicas", self.config.replicas.to_string()),
            ("fast-quorum", fast_quorum.to_owned()),
        ]
    }
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

/// Is there nothing but what a first use that was cut short may have left?
fn is_unused(path: &Path) -> Result<bool, NodeError> {
    let unreadable = |error| NodeError::file(path, "list", &error);
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy();
        if name != LOCK_FILE && name != PEERS_FILE && !name.ends_with(".new") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The incarnations of the other replicas, as far as they were met.
#[derive(Debug)]
pub(crate) struct Peers {
    /// By number.
    known: Vec<Option<u64>>,
    /// Where they are kept; none: in memory alone.
    directory: Option<PathBuf>,
}

impl Peers {
    /// Nobody was met, and nobody will be remembered beyond this process.
    pub(crate) fn in_memory(replicas: usize) -> Self {
        Self { known: vec![None; replicas], directory: None }
    }

    /// The incarnations, by number.
    pub(crate) fn known(&self) -> &[Option<u64>] {
        &self.known
    }

    /// Meets `peer` as `incarnation`: the one it is known as, or a first one, which is then remembered, durably before this
    /// returns.
    ///
    /// # Errors
    /// The one it is known as, if that is another; or the file cannot be written.
    pub(crate) fn meet(&mut self, peer: ReplicaId, incarnation: u64) -> Result<(), Strange> {
        match &mut self.known[peer.index()] {
            Some(known) if *known == incarnation => Ok(()),
            Some(known) => Err(Strange::Other { known: *known }),
            place @ None => {
                *place = Some(incarnation);
                self.save().map_err(Strange::NotKept)
            }
        }
    }

    fn save(&self) -> Result<(), NodeError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let known = self.known.iter().enumerate();
        let lines = known
            .filter_map(|(replica, known)| Some(("peer", format!("{replica} {:016x}", (*known)?))));
        sheet::replace(directory, PEERS_FILE, lines, true)
    }
}

/// Why a peer was not met.
#[derive(Debug)]
pub(crate) enum Strange {
    /// It is known as another.
    Other { known: u64 },
    /// It could not be remembered.
    NotKept(NodeError),
}
