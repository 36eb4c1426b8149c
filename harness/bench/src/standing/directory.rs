//! The directory of a standing cluster: where everything lies, who may change it, and how it goes away again.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use node::identity::{self, Identity, Role};
use protocols::ReplicaId;

use super::Description;
use crate::{exit::Failure, program};

const DESCRIPTION_FILE: &str = "cluster.json";
const LOCK_FILE: &str = "cluster.lock";
const CREDENTIALS: &str = "credentials";
/// What is being written; it takes its place in one step.
const NEW: &str = ".new";
const LOGS: &str = "logs";
const REPLICA: &str = "replica-";

/// The directory of a standing cluster, which need not exist.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// As it was typed.
    root: PathBuf,
}

/// As long as this lives no other command changes the cluster.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// What became of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Of everything that was removed.
    pub(crate) bytes: u64,
    /// Is the directory itself gone? It stays if there are things in it that are none of the cluster's.
    pub(crate) whole: bool,
}

impl Directory {
    /// The directory that was named so.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// As it was typed.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// With its absolute path: a replica is started elsewhere.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) fn absolute(&self) -> Result<Self, Failure> {
        let root = fs::canonicalize(&self.root).map_err(|error| self.cannot("be found", &error))?;
        Ok(Self { root })
    }

    /// Where certificates and keys are.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.root.join(CREDENTIALS)
    }

    /// Who a command is to the replicas of `description`.
    ///
    /// # Errors
    /// If the credentials cannot be used.
    pub(crate) fn identity(
        &self,
        description: &Description,
        role: Role,
    ) -> Result<Identity, Failure> {
        let identity = if description.is_insecure {
            Identity::insecure(role)
        } else {
            Identity::load(&self.credentials(), role)
        };
        identity.map_err(Failure::failed)
    }

    /// Where `replica` keeps what must survive it.
    pub(crate) fn replica(&self, replica: ReplicaId) -> PathBuf {
        self.root.join(format!("{REPLICA}{}", replica.0))
    }

    /// Where `replica` logs.
    pub(crate) fn log(&self, replica: ReplicaId) -> PathBuf {
        self.root.join(LOGS).join(format!("{REPLICA}{}.log", replica.0))
    }

    /// The cluster that lives here.
    ///
    /// # Errors
    /// If none does; one line says what to do.
    pub(crate) fn description(&self) -> Result<Description, Failure> {
        if let Some(description) = self.described()? {
            return Ok(description);
        }
        let (root, program) = (self.root.display(), program::name());
        Err(Failure::usage(if self.is_ours() {
            format!(
                "{root}: a cluster was never finished here: `{program} cluster up` makes it anew, `down` removes it"
            )
        } else {
            format!(
                "{root}: there is no cluster: start one with `{program} cluster up`, or name its directory with --data"
            )
        }))
    }

    /// The cluster that lives here, if any.
    ///
    /// # Errors
    /// If the description cannot be read.
    pub(crate) fn described(&self) -> Result<Option<Description>, Failure> {
        let file = self.root.join(DESCRIPTION_FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::usage(format!("{}: cannot be read: {error}", file.display())));
            }
        };
        let read = Description::parse(&text);
        read.map(Some).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
    }

    /// Writes down what the cluster is now.
    ///
    /// # Errors
    /// If that is not possible.
    pub(crate) fn describe(&self, description: &Description) -> Result<(), Failure> {
        let file = self.root.join(DESCRIPTION_FILE);
        let new = self.root.join(format!("{DESCRIPTION_FILE}{NEW}"));
        let write = || {
            let mut out = File::create(&new)?;
            out.write_all(description.to_text().as_bytes())?;
            out.sync_all()?;
            fs::rename(&new, &file)
        };
        write().map_err(|error| {
            Failure::failed(format!("{}: cannot be written: {error}", file.display()))
        })
    }

    /// Makes certificates and keys for `replicas`, unless nobody is to be verified, and where the replicas log.
    ///
    /// # Errors
    /// If that is not possible.
    pub(crate) fn furnish(&self, replicas: usize, is_insecure: bool) -> Result<(), Failure> {
        let new = self.root.join(format!("{CREDENTIALS}{NEW}"));
        // Left behind by a command that was ended half-way.
        for leftover in [&new, &self.credentials()] {
            remove(leftover).map_err(|error| self.cannot("be cleared", &error))?;
        }
        let made = if is_insecure {
            Ok(())
        } else {
            identity::create(&new, replicas).map_err(Failure::failed)?;
            fs::rename(&new, self.credentials())
        };
        made.and_then(|()| fs::create_dir_all(self.root.join(LOGS)))
            .map_err(|error| self.cannot("be written", &error))
    }

    /// Makes the directory if need be, and lets nobody else change the cluster: `command` does.
    ///
    /// # Errors
    /// If another command does, or the directory is somebody else's.
    pub(crate) fn lock_or_make(&self, command: &str) -> Result<Lock, Failure> {
        let is_taken = self.root.exists() && !self.is_ours() && !is_empty(&self.root);
        if is_taken {
            let root = self.root.display();
            return Err(Failure::usage(format!(
                "{root}: holds other things and no cluster: name a new or empty directory with --data"
            )));
        }
        fs::create_dir_all(&self.root).map_err(|error| self.cannot("be made", &error))?;
        self.lock(command)
    }

    /// Lets nobody else change the cluster that lives here: `command` does.
    ///
    /// # Errors
    /// If another command does, or there is no cluster.
    pub(crate) fn lock_existing(&self, command: &str) -> Result<Lock, Failure> {
        if !self.is_ours() {
            self.description()?;
        }
        self.lock(command)
    }

    fn lock(&self, command: &str) -> Result<Lock, Failure> {
        let path = self.root.join(LOCK_FILE);
        loop {
            let open =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = open.map_err(|error| self.cannot("be locked", &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let other = fs::read_to_string(&path).unwrap_or_default();
                    let (root, other) = (self.root.display(), other.trim());
                    return Err(Failure::failed(format!(
                        "{root}: another command is at work on this cluster ({other}): wait until it has ended"
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(self.cannot("be locked", &error)),
            }
            // Whoever held it before may have removed it: then this is a lock on nothing.
            let held = file.metadata().map(|held| held.ino()).ok();
            if held.is_some() && held == fs::metadata(&path).map(|there| there.ino()).ok() {
                let (program, id) = (program::name(), std::process::id());
                let who = format!("`{program} cluster {command}`, process {id}\n");
                let noted = file.set_len(0).and_then(|()| file.write_all(who.as_bytes()));
                noted.map_err(|error| self.cannot("be locked", &error))?;
                return Ok(Lock { _file: file });
            }
        }
    }

    /// Writes everything that the replicas keep through to the disk.
    ///
    /// # Errors
    /// If the system cannot.
    pub(crate) fn sync(&self, replicas: usize) -> Result<(), Failure> {
        let synced = ReplicaId::all(replicas).try_for_each(|id| sync(&self.replica(id)));
        synced.map_err(|error| self.cannot("be written to the disk", &error))
    }

    /// Removes all that these commands put here, and the directory if nothing else is in it.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub(crate) fn remove(&self, _lock: &Lock) -> Result<Removed, Failure> {
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
        clear().map_err(|error| self.cannot("be removed", &error))
    }

    /// Did these commands make it?
    fn is_ours(&self) -> bool {
        [DESCRIPTION_FILE, LOCK_FILE].iter().any(|name| self.root.join(name).is_file())
    }

    fn cannot(&self, what: &str, error: &io::Error) -> Failure {
        Failure::failed(format!("{}: cannot {what}: {error}", self.root.display()))
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
pub(crate) fn size(path: &Path) -> io::Result<u64> {
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
        let lock = directory.lock_or_make("up").unwrap();
        let refused = format!("{:?}", directory.lock_existing("kill").unwrap_err());
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
        let refused = format!("{:?}", directory.lock_or_make("up").unwrap_err());
        assert!(refused.contains("holds other things and no cluster"), "{refused}");
        let refused = format!("{:?}", directory.lock_existing("kill").unwrap_err());
        assert!(refused.contains("there is no cluster"), "{refused}");
        fs::write(place.path().join(LOCK_FILE), "").unwrap();
        fs::create_dir(place.path().join("replica-0")).unwrap();
        fs::create_dir(place.path().join("replica-zero")).unwrap();
        let lock = directory.lock_or_make("up").unwrap();
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
        let _lock = directory.lock_or_make("up").unwrap();
        directory.furnish(3, false).unwrap();
        let refused = format!("{:?}", directory.description().unwrap_err());
        assert!(refused.contains("a cluster was never finished here"), "{refused}");
        directory.furnish(3, false).unwrap();
    }
}
