//! The directory of a standing cluster: where everything lies, who may change it, and how it goes away again.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use node::identity::{self, Identity, Role};
use protocols::ReplicaId;

use crate::{Description, Error};

const DESCRIPTION_FILE: &str = "cluster.json";
const LOCK_FILE: &str = "cluster.lock";
const CREDENTIALS: &str = "credentials";
/// What is being written; it takes its place in one step.
const NEW: &str = ".new";
const LOGS: &str = "logs";
const REPLICA: &str = "replica-";

/// The directory of a standing cluster, which need not exist.
#[derive(Clone, Debug)]
pub struct Directory {
    /// As it was typed.
    root: PathBuf,
}

/// As long as this lives no other command changes the cluster.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What became of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Of everything that was removed.
    pub bytes: u64,
    /// Is the directory itself gone? It stays if there are things in it that are none of the cluster's.
    pub whole: bool,
}

impl Directory {
    /// The directory that was named so.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// As it was typed.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// With its absolute path: a replica is started elsewhere.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn absolute(&self) -> Result<Self, Error> {
        let root = fs::canonicalize(&self.root).map_err(|error| self.cannot("found", error))?;
        Ok(Self { root })
    }

    /// Where certificates and keys are.
    pub fn credentials(&self) -> PathBuf {
        self.root.join(CREDENTIALS)
    }

    /// Who a command is to the replicas of `description`.
    ///
    /// # Errors
    /// If the credentials cannot be used.
    pub fn identity(&self, description: &Description, role: Role) -> Result<Identity, Error> {
        let identity = if description.is_insecure {
            Identity::insecure(role)
        } else {
            Identity::load(&self.credentials(), role)
        };
        Ok(identity?)
    }

    /// Where `replica` keeps what must survive it.
    pub fn replica(&self, replica: ReplicaId) -> PathBuf {
        self.root.join(format!("{REPLICA}{}", replica.0))
    }

    /// Where `replica` logs.
    pub fn log(&self, replica: ReplicaId) -> PathBuf {
        self.root.join(LOGS).join(format!("{REPLICA}{}.log", replica.0))
    }

    /// The cluster that lives here.
    ///
    /// # Errors
    /// If none does.
    pub fn description(&self) -> Result<Description, Error> {
        if let Some(description) = self.described()? {
            return Ok(description);
        }
        let root = self.root.clone();
        Err(if self.is_ours() { Error::NeverFinished { root } } else { Error::NoCluster { root } })
    }

    /// The cluster that lives here, if any.
    ///
    /// # Errors
    /// If the description cannot be read.
    pub fn described(&self) -> Result<Option<Description>, Error> {
        let file = self.root.join(DESCRIPTION_FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let reason = format!("cannot be read: {error}");
                return Err(Error::Malformed { file, reason });
            }
        };
        Description::parse(&file, &text).map(Some)
    }

    /// Writes down what the cluster is now.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn describe(&self, description: &Description) -> Result<(), Error> {
        let file = self.root.join(DESCRIPTION_FILE);
        let new = self.root.join(format!("{DESCRIPTION_FILE}{NEW}"));
        let write = || {
            let mut out = File::create(&new)?;
            out.write_all(description.to_text().as_bytes())?;
            out.sync_all()?;
            fs::rename(&new, &file)
        };
        write().map_err(|error| Error::File { path: file.clone(), cannot: "written", error })
    }

    /// Makes certificates and keys for `replicas`, unless nobody is to be verified, and where the replicas log.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn furnish(&self, replicas: usize, is_insecure: bool) -> Result<(), Error> {
        let new = self.root.join(format!("{CREDENTIALS}{NEW}"));
        // Left behind by a command that was ended half-way.
        for leftover in [&new, &self.credentials()] {
            remove(leftover).map_err(|error| self.cannot("cleared", error))?;
        }
        let made = if is_insecure {
            Ok(())
        } else {
            identity::create(&new, replicas)?;
            fs::rename(&new, self.credentials())
        };
        made.and_then(|()| fs::create_dir_all(self.root.join(LOGS)))
            .map_err(|error| self.cannot("written", error))
    }

    /// Makes the directory if need be, and keeps other commands from changing the cluster while
    /// `command` does.
    ///
    /// # Errors
    /// If another command does, or the directory is somebody else's.
    pub fn lock_or_make(&self, command: &str) -> Result<Lock, Error> {
        let is_taken = self.root.exists() && !self.is_ours() && !is_empty(&self.root);
        if is_taken {
            return Err(Error::Foreign { root: self.root.clone() });
        }
        fs::create_dir_all(&self.root).map_err(|error| self.cannot("made", error))?;
        self.lock(command)
    }

    /// Keeps other commands from changing the cluster that lives here while `command` does.
    ///
    /// # Errors
    /// If another command does, or there is no cluster.
    pub fn lock_existing(&self, command: &str) -> Result<Lock, Error> {
        if !self.is_ours() {
            self.description()?;
        }
        self.lock(command)
    }

    fn lock(&self, command: &str) -> Result<Lock, Error> {
        let path = self.root.join(LOCK_FILE);
        loop {
            let open =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = open.map_err(|error| self.cannot("locked", error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let other = fs::read_to_string(&path).unwrap_or_default();
                    let by = other.trim().to_owned();
                    return Err(Error::Busy { root: self.root.clone(), by });
                }
                Err(TryLockError::Error(error)) => return Err(self.cannot("locked", error)),
            }
            // Whoever held it before may have removed it: then this is a lock on nothing.
            let held = file.metadata().map(|held| held.ino()).ok();
            if held.is_some() && held == fs::metadata(&path).map(|there| there.ino()).ok() {
                let holder = format!("`{command}`, process {}\n", std::process::id());
                let noted = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
                noted.map_err(|error| self.cannot("locked", error))?;
                return Ok(Lock { _file: file });
            }
        }
    }

    /// Writes everything that the replicas keep through to the disk.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn sync(&self, replicas: usize) -> Result<(), Error> {
        let synced = ReplicaId::all(replicas).try_for_each(|id| sync(&self.replica(id)));
        synced.map_err(|error| self.cannot("written to the disk", error))
    }

    /// Removes all that these commands put here, and the directory if nothing else is in it.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove(&self, _lock: &Lock) -> Result<Removed, Error> {
        let clear = || -> io::Result<Removed> {
            let mut bytes = 0;
            for entry in fs::read_dir(&self.root)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(is_known) {
                    bytes += size(&entry.path())?;
                    remove(&entry.path())?;
                }
            }
            let whole = is_empty(&self.root);
            if whole {
                fs::remove_dir(&self.root)?;
            }
            Ok(Removed { bytes, whole })
        };
        clear().map_err(|error| self.cannot("removed", error))
    }

    /// Did these commands make it?
    fn is_ours(&self) -> bool {
        [DESCRIPTION_FILE, LOCK_FILE].iter().any(|name| self.root.join(name).is_file())
    }

    fn cannot(&self, cannot: &'static str, error: io::Error) -> Error {
        Error::File { path: self.root.clone(), cannot, error }
    }
}

/// Is this the name of something that these commands make?
fn is_known(name: &str) -> bool {
    let name = name.strip_suffix(NEW).unwrap_or(name);
    let number = name.strip_prefix(REPLICA);
    [DESCRIPTION_FILE, LOCK_FILE, CREDENTIALS, LOGS].contains(&name)
        || number.is_some_and(|number| number.parse::<u8>().is_ok())
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a file or a directory with everything in it; what is not there is no error.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// How many bytes a file has, or all files of a directory.
fn size(path: &Path) -> io::Result<u64> {
    let there = fs::symlink_metadata(path)?;
    if !there.is_dir() {
        return Ok(there.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

fn sync(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    if there.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| sync(&entry?.path()))?;
    }
    if there.is_dir() || there.is_file() { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(&place.path().join("c"));
        let lock = directory.lock_or_make("bench cluster up").unwrap();
        let refused = directory.lock_existing("kill").unwrap_err().to_string();
        assert!(refused.contains("(`bench cluster up`, process "), "{refused}");
        drop(lock);
        let lock = directory.lock_existing("down").unwrap();
        directory.remove(&lock).unwrap();
        assert!(!directory.root().exists());
    }

    #[test]
    fn nothing_of_others_is_taken_or_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path());
        fs::write(place.path().join("thesis.tex"), "x").unwrap();
        let refused = directory.lock_or_make("bench cluster up").unwrap_err().to_string();
        assert!(refused.contains("holds other things and no cluster"), "{refused}");
        let refused = directory.lock_existing("kill").unwrap_err().to_string();
        assert!(refused.contains("there is no cluster"), "{refused}");
        fs::write(place.path().join(LOCK_FILE), "").unwrap();
        fs::create_dir(place.path().join("replica-0")).unwrap();
        fs::create_dir(place.path().join("replica-zero")).unwrap();
        let lock = directory.lock_or_make("bench cluster up").unwrap();
        let removed = directory.remove(&lock).unwrap();
        assert!(!removed.whole);
        let mut left: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().collect();
        left.sort_by_key(fs::DirEntry::file_name);
        let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!(left, ["replica-zero", "thesis.tex"]);
    }

    #[test]
    fn a_half_made_cluster_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path());
        let _lock = directory.lock_or_make("bench cluster up").unwrap();
        directory.furnish(3, false).unwrap();
        let refused = directory.description().unwrap_err().to_string();
        assert!(refused.contains("a cluster was never finished here"), "{refused}");
        directory.furnish(3, false).unwrap();
    }
}
