//! The disk of a replica process: a data directory that one process works in.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use driver::disk::Disk;

use crate::{NodeError, failpoint, forgetful::Forgetful};

/// The process that works in a directory keeps this file locked, and the kernel unlocks it with its
/// death.
const LOCK_FILE: &str = "lock";

/// A data directory that this process alone works in. Clones work in the same one, on different
/// files.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    /// The file that was last made or made longer: it is likely to be the next one, too.
    open: Option<(String, File)>,
    /// Unlocked when the last clone is dropped, or the process dies.
    lock: Arc<File>,
}

impl DataDirectory {
    /// Opens the directory at `path`; makes it durably if it is not there.
    ///
    /// # Errors
    /// If another process works in it, or it cannot be made.
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        make(path).map_err(|error| NodeError::file(path, "make the data directory", error))?;
        Ok(Self { path: path.to_owned(), open: None, lock: Arc::new(lock(path)?) })
    }

    /// The file `name` is not what it was.
    fn forget(&mut self, name: &str) {
        self.open.take_if(|(open, _)| open == name);
    }
}

impl Clone for DataDirectory {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), open: None, lock: self.lock.clone() }
    }
}

impl Disk for DataDirectory {
    fn directory(&self) -> String {
        self.path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| name != LOCK_FILE);
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        self.forget(name);
        let mut file = File::create(self.path.join(name))?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, file)) = self.open.as_mut().filter(|(open, _)| open == name) {
            return file.write_all(bytes);
        }
        let mut file = OpenOptions::new().append(true).open(self.path.join(name))?;
        file.write_all(bytes)?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.forget(name);
        OpenOptions::new().write(true).open(self.path.join(name))?.set_len(length)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(to);
        fs::rename(self.path.join(from), self.path.join(to))?;
        if let Some((open, _)) = self.open.as_mut().filter(|(open, _)| open == from) {
            to.clone_into(open);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.path.join(name))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        // The length of a file is part of what `sync_data` makes durable.
        match self.open.as_ref().filter(|(open, _)| open == name) {
            Some((_, file)) => file.sync_data(),
            None => File::open(self.path.join(name))?.sync_data(),
        }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Where a replica process keeps its files.
#[derive(Clone, Debug)]
pub(crate) enum ProcessDisk {
    /// In files: they hold what was written, whether it was synced or not.
    Files(DataDirectory),
    /// In files that lose with the process what was not synced, since the environment asks for
    /// that.
    Forgetful(Forgetful),
}

impl ProcessDisk {
    /// Opens the directory at `path`; makes it if it is not there.
    ///
    /// # Errors
    /// If another process works in it, or it cannot be made.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        if failpoint::forgets_unsynced() {
            return Forgetful::open(path).map(Self::Forgetful);
        }
        DataDirectory::open(path).map(Self::Files)
    }
}

/// Does the same with whichever disk it is.
macro_rules! either {
    ($this:ident, $disk:ident => $done:expr) => {
        match $this {
            ProcessDisk::Files($disk) => $done,
            ProcessDisk::Forgetful($disk) => $done,
        }
    };
}

impl Disk for ProcessDisk {
    fn directory(&self) -> String {
        either!(self, disk => disk.directory())
    }

    fn path(&self, name: &str) -> String {
        either!(self, disk => disk.path(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        either!(self, disk => disk.names())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        either!(self, disk => disk.read(name))
    }

    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        either!(self, disk => disk.create(name, pieces))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        either!(self, disk => disk.append(name, bytes))
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        either!(self, disk => disk.truncate(name, length))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        either!(self, disk => disk.rename(from, to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        either!(self, disk => disk.remove(name))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        either!(self, disk => disk.sync(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        either!(self, disk => disk.sync_names())
    }
}

/// A number that tells this beginning from every other.
pub fn new_incarnation() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Makes the directory at `path` and all above it that are missing, and returns when their names
/// are durable.
fn make(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|place| !place.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Keeps other processes out of the directory at `path`.
fn lock(path: &Path) -> Result<File, NodeError> {
    let file = path.join(LOCK_FILE);
    let unusable = |error| NodeError::file(&file, "lock", error);
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
            return Err(NodeError::DirectoryInUse { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // For the one that comes too late; the lock alone decides.
    let noted = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    noted.map_err(unusable)?;
    Ok(lock)
}
