//! A disk in memory that forgets what was not synced.
//!
//! A file is an inode with two contents, one that a reader sees and one that is durable. What was
//! written since the last sync is kept by sectors, each in every version that it had, and changes
//! of names in their order. A crash draws what of it survives.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    rc::Rc,
};

use driver::disk::Disk;
use rand::{Rng, RngExt};

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// A simulated disk. Clones are ways to the same one.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Rc<RefCell<Inner>>);

/// What happened on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Files made and made longer.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs of files and of names.
    pub syncs: u64,
    /// Sectors that a crash left as they were before a write.
    pub sectors_lost: u64,
    /// Files whose length a crash left below what was written.
    pub torn_tails: u64,
    /// Names that were made by a crash what they were before.
    pub renames_undone: u64,
    /// Bits flipped.
    pub bits_flipped: u64,
}

/// A place in the durable content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlippedBit {
    /// The file's name.
    pub file: String,
    /// Which byte.
    pub byte: usize,
}

type Inode = u64;

#[derive(Clone, Debug, Default)]
struct Inner {
    files: BTreeMap<Inode, File>,
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    /// What lies between the two, in order.
    changes: Vec<NameChange>,
    inodes: Inode,
    next_sync_fails: bool,
    /// How many bytes it still takes; none: any number.
    room: Option<u64>,
    /// How many operations it still does; none: any number.
    operations_left: Option<u64>,
    operations: u64,
    counts: DiskCounts,
}

#[derive(Clone, Debug)]
enum NameChange {
    Given(String, Inode),
    Renamed(String, String),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
struct File {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Every sector written since the last sync, in the versions it had.
    versions: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl File {
    /// Changes the content and notes each sector that is another now.
    fn change(&mut self, start: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let length = self.content.len();
        change(&mut self.content);
        for sector in start / SECTOR_BYTES..length.max(self.content.len()).div_ceil(SECTOR_BYTES) {
            let version = sector_of(&self.content, sector);
            self.versions.entry(sector).or_default().push(version);
        }
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.content);
        self.versions.clear();
    }

    fn crash(&mut self, random: &mut impl Rng, counts: &mut DiskCounts) {
        if !self.versions.is_empty() {
            let (old, new) = (self.durable.len(), self.content.len());
            // The ends are as likely as all that lies between.
            let length = match random.random_range(0..3) {
                0 => old,
                1 => new,
                _ => random.random_range(old.min(new)..=old.max(new)),
            };
            counts.torn_tails += u64::from(length < new);
            let mut left = self.durable.clone();
            left.resize(length, 0);
            for (sector, versions) in &self.versions {
                let survived = random.random_range(0..=versions.len());
                counts.sectors_lost += u64::from(survived < versions.len());
                let start = sector * SECTOR_BYTES;
                if survived > 0 && start < length {
                    let end = length.min(start + SECTOR_BYTES);
                    left[start..end].copy_from_slice(&versions[survived - 1][..end - start]);
                }
            }
            self.durable = left;
        }
        self.content.clone_from(&self.durable);
        self.versions.clear();
    }
}

/// A sector of `content`, filled with zeros.
fn sector_of(content: &[u8], sector: usize) -> Vec<u8> {
    let start = (sector * SECTOR_BYTES).min(content.len());
    let end = (start + SECTOR_BYTES).min(content.len());
    let mut bytes = content[start..end].to_vec();
    bytes.resize(SECTOR_BYTES, 0);
    bytes
}

impl SimDisk {
    /// The machine loses its power and is there again: of what was not synced, what `random` draws
    /// survives.
    ///
    /// Of each sector that was written since the last sync any version survives, of each file any
    /// length between the durable one and the last, and of the changes of names any first ones. The
    /// faults asked for are over, except that a full disk is full.
    pub fn crash(&mut self, random: &mut impl Rng) {
        let inner = &mut *self.0.borrow_mut();
        let survived = random.random_range(0..=inner.changes.len());
        inner.counts.renames_undone += (inner.changes.len() - survived) as u64;
        for change in inner.changes.drain(..).take(survived) {
            change.apply(&mut inner.durable_names);
        }
        inner.names.clone_from(&inner.durable_names);
        inner.collect();
        for file in inner.files.values_mut() {
            file.crash(random, &mut inner.counts);
        }
        inner.end_faults();
    }

    /// The process dies and the machine lives on: everything written is there, durable or not. The
    /// faults asked for are over, except that a full disk is full.
    pub fn kill(&mut self) {
        self.0.borrow_mut().end_faults();
    }

    /// The next sync, of a file or of the names, fails and makes nothing durable.
    pub fn fail_next_sync(&mut self) {
        self.0.borrow_mut().next_sync_fails = true;
    }

    /// The disk is full once it has taken `bytes` more; with none there is always room.
    pub fn full_after(&mut self, bytes: Option<u64>) {
        self.0.borrow_mut().room = bytes;
    }

    /// The faults asked for are over, and there is room.
    pub fn mend(&mut self) {
        let inner = &mut *self.0.borrow_mut();
        inner.end_faults();
        inner.room = None;
    }

    /// After `operations` more that change something the machine has lost its power. A write that
    /// is under way then is done by half, and every later operation fails, reading too, until
    /// [`SimDisk::crash`] or [`SimDisk::kill`].
    pub fn stop_after(&mut self, operations: u64) {
        self.0.borrow_mut().operations_left = Some(operations);
    }

    /// How many operations that change something were done.
    pub fn operations(&self) -> u64 {
        self.0.borrow().operations
    }

    /// Flips a bit of what is durable, in a file, at a place and in a bit that are drawn; none, if
    /// nothing is durable. A reader sees it unless that sector was written and not synced.
    pub fn flip_bit(&mut self, random: &mut impl Rng) -> Option<FlippedBit> {
        let inner = &mut *self.0.borrow_mut();
        let names = inner.durable_names.iter();
        let files: Vec<(&String, Inode)> = names
            .map(|(name, inode)| (name, *inode))
            .filter(|(_, inode)| !inner.files[inode].durable.is_empty())
            .collect();
        if files.is_empty() {
            return None;
        }
        let (name, inode) = files[random.random_range(0..files.len())];
        let flipped = inner.files.get_mut(&inode).expect("it has a name");
        let byte = random.random_range(0..flipped.durable.len());
        let mask = 1 << random.random_range(0..8);
        flipped.durable[byte] ^= mask;
        if !flipped.versions.contains_key(&(byte / SECTOR_BYTES)) {
            flipped.content[byte] ^= mask;
        }
        inner.counts.bits_flipped += 1;
        Some(FlippedBit { file: name.clone(), byte })
    }

    /// How many bytes its files have.
    pub(crate) fn len(&self) -> u64 {
        self.0.borrow().files.values().map(|file| file.content.len() as u64).sum()
    }

    /// Another disk with what a reader sees here now, and without faults to come.
    pub(crate) fn copy(&self) -> Self {
        let mut inner = self.0.borrow().clone();
        inner.end_faults();
        Self(Rc::new(RefCell::new(inner)))
    }

    /// What happened so far.
    pub fn counts(&self) -> DiskCounts {
        self.0.borrow().counts
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Given(name, inode) => drop(names.insert(name, inode)),
            Self::Renamed(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
            Self::Removed(name) => drop(names.remove(&name)),
        }
    }
}

impl Inner {
    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let inode = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files.get_mut(inode).expect("a name's file is there"))
    }

    fn has_stopped(&self) -> bool {
        self.operations_left == Some(0)
    }

    /// Counts an operation that changes something.
    fn operate(&mut self) -> io::Result<()> {
        if self.has_stopped() {
            return Err(stopped());
        }
        if let Some(left) = &mut self.operations_left {
            *left -= 1;
        }
        self.operations += 1;
        Ok(())
    }

    /// Writes behind the end of a file, as far as the disk takes it.
    fn write(&mut self, name: &str, bytes: &[u8], is_cut: bool) -> io::Result<()> {
        let asked = if is_cut { bytes.len() / 2 } else { bytes.len() };
        let room = self.room.map_or(usize::MAX, |room| usize::try_from(room).unwrap_or(usize::MAX));
        let taken = asked.min(room);
        let file = self.file(name)?;
        file.change(file.content.len(), |content| content.extend_from_slice(&bytes[..taken]));
        if let Some(room) = &mut self.room {
            *room -= taken as u64;
        }
        self.counts.writes += 1;
        self.counts.bytes += taken as u64;
        if is_cut {
            Err(stopped())
        } else if taken < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
        self.collect();
    }

    /// Forgets the files that nothing names any more, and nothing will after a crash.
    fn collect(&mut self) {
        let mut named: BTreeSet<Inode> = self.names.values().copied().collect();
        named.extend(self.durable_names.values());
        named.extend(self.changes.iter().filter_map(|change| match change {
            NameChange::Given(_, inode) => Some(inode),
            _ => None,
        }));
        self.files.retain(|inode, _| named.contains(inode));
    }

    fn sync_fails(&mut self) -> io::Result<()> {
        self.counts.syncs += 1;
        if std::mem::take(&mut self.next_sync_fails) {
            return Err(io::Error::other("the simulated disk does not sync"));
        }
        Ok(())
    }

    const fn end_faults(&mut self) {
        self.operations_left = None;
        self.next_sync_fails = false;
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated machine has lost its power")
}

impl Disk for SimDisk {
    fn directory(&self) -> String {
        "disk".to_owned()
    }

    fn path(&self, name: &str) -> String {
        format!("disk/{name}")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let inner = self.0.borrow();
        if inner.has_stopped() { Err(stopped()) } else { Ok(inner.names.keys().cloned().collect()) }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut inner = self.0.borrow_mut();
        if inner.has_stopped() { Err(stopped()) } else { Ok(inner.file(name)?.content.clone()) }
    }

    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        if inner.has_stopped() {
            return Err(stopped());
        }
        // A file of that name is emptied, as by the system call, and not replaced.
        if let Ok(file) = inner.file(name) {
            file.change(0, Vec::clear);
        } else {
            inner.inodes += 1;
            let inode = inner.inodes;
            inner.files.insert(inode, File::default());
            inner.change_name(NameChange::Given(name.to_owned(), inode));
        }
        let is_cut = inner.operations_left == Some(1);
        inner.operate()?;
        inner.write(name, &pieces.concat(), is_cut)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        let is_cut = inner.operations_left == Some(1);
        inner.operate()?;
        inner.write(name, bytes, is_cut)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.operate()?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        inner.file(name)?.change(length, |content| content.truncate(length));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.operate()?;
        inner.file(from)?;
        inner.change_name(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.operate()?;
        inner.file(name)?;
        inner.change_name(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.operate()?;
        inner.sync_fails()?;
        inner.file(name)?.sync();
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.operate()?;
        inner.sync_fails()?;
        let names = inner.names.clone();
        inner.durable_names = names;
        inner.changes.clear();
        inner.collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
