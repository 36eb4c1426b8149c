//! A data directory that loses with its process what was not synced: for tests.
//!
//! A killed process loses nothing that it wrote, since the system keeps it. So a test that kills
//! replicas cannot notice a sync that was left out. Here writes stay in the memory of the process,
//! and the files hold what is durable. A kill then does what a power cut does: it undoes every
//! write that no [`Disk::sync`] followed, and every change of a name that no [`Disk::sync_names`]
//! followed.
//!
//! A power cut may also leave a part of what was not synced. The simulated disk of `sim` draws that
//! part; here all of it is lost.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use driver::disk::Disk;

use crate::{NodeError, disk::DataDirectory};

/// The file in which a content becomes durable before a name does. A kill may leave it; the next
/// life removes it.
const LANDING: &str = "forgetful-landing";

/// The files of one data directory. Clones work in the same one.
#[derive(Clone, Debug)]
pub(crate) struct Forgetful(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Holds what is durable and nothing else.
    durable: DataDirectory,
    durable_names: BTreeMap<String, Inode>,
    names: BTreeMap<String, Inode>,
    /// The changes that lead from the durable names to the others, in order.
    changes: Vec<NameChange>,
    files: BTreeMap<Inode, File>,
    next_inode: Inode,
}

type Inode = u64;

#[derive(Debug)]
enum NameChange {
    Given(String, Inode),
    Renamed(String, String),
    Removed(String),
}

#[derive(Debug, Default)]
struct File {
    content: Vec<u8>,
    synced: Vec<u8>,
    /// So many first bytes of `content` have not changed since they were synced.
    unchanged: usize,
}

impl Forgetful {
    /// Opens the directory at `path` with what is durable in it; makes it if it is not there.
    ///
    /// # Errors
    /// If another process works in it, or it cannot be made or read.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let mut durable = DataDirectory::open(path)?;
        let state = State::of(&mut durable);
        let (names, files) =
            state.map_err(|error| NodeError::file(path, "read the data directory", error))?;
        let next_inode = files.len() as Inode;
        let durable_names = names.clone();
        let changes = Vec::new();
        let state = State { durable, durable_names, names, changes, files, next_inode };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// No panic leaves a state halfway that anybody goes on with.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The names in `durable`, and the files that they mean.
    fn of(
        durable: &mut DataDirectory,
    ) -> io::Result<(BTreeMap<String, Inode>, BTreeMap<Inode, File>)> {
        let (mut names, mut files) = (BTreeMap::new(), BTreeMap::new());
        let mut named = durable.names()?;
        if named.iter().any(|name| name == LANDING) {
            durable.remove(LANDING)?;
            named.retain(|name| name != LANDING);
        }
        for (inode, name) in (0..).zip(named) {
            let content = durable.read(&name)?;
            let (synced, unchanged) = (content.clone(), content.len());
            files.insert(inode, File { content, synced, unchanged });
            names.insert(name, inode);
        }
        Ok((names, files))
    }

    fn inode(&self, name: &str) -> io::Result<Inode> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let inode = self.inode(name)?;
        Ok(self.files.get_mut(&inode).expect("a name means a file"))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let inode = self.inode(name)?;
        let file = self.files.get_mut(&inode).expect("a name means a file");
        let (length_before, unchanged) = (file.synced.len(), file.unchanged);
        file.synced.truncate(unchanged);
        file.synced.extend_from_slice(&file.content[unchanged..]);
        file.unchanged = file.content.len();
        let Some((name, _)) = self.durable_names.iter().find(|(_, other)| **other == inode) else {
            return Ok(());
        };
        if unchanged < length_before {
            self.durable.truncate(name, unchanged as u64)?;
        }
        self.durable.append(name, &file.synced[unchanged..])
    }

    fn sync_names(&mut self) -> io::Result<()> {
        for change in std::mem::take(&mut self.changes) {
            match change {
                NameChange::Given(name, inode) => {
                    // It gets its content at once: a kill leaves the name with all that was synced,
                    // or not at all.
                    self.durable.create(LANDING, &[&self.files[&inode].synced])?;
                    self.durable.rename(LANDING, &name)?;
                    self.durable_names.insert(name, inode);
                }
                NameChange::Renamed(from, to) => {
                    self.durable.rename(&from, &to)?;
                    let inode = self.durable_names.remove(&from).expect("it was given before");
                    self.durable_names.insert(to, inode);
                }
                NameChange::Removed(name) => {
                    self.durable.remove(&name)?;
                    self.durable_names.remove(&name);
                }
            }
        }
        let names = &self.names;
        self.files.retain(|inode, _| names.values().any(|named| named == inode));
        Ok(())
    }
}

impl Disk for Forgetful {
    fn directory(&self) -> String {
        self.state().durable.directory()
    }

    fn path(&self, name: &str) -> String {
        self.state().durable.path(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.state().file(name)?.content.clone())
    }

    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.next_inode;
        state.next_inode += 1;
        state.files.insert(inode, File { content: pieces.concat(), ..File::default() });
        state.names.insert(name.to_owned(), inode);
        state.changes.push(NameChange::Given(name.to_owned(), inode));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.state().file(name)?.content.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut state = self.state();
        let file = state.file(name)?;
        // As the real one does, it makes a file longer, too.
        file.unchanged = file.unchanged.min(length);
        file.content.resize(length, 0);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        state.changes.push(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.inode(name)?;
        state.names.remove(name);
        state.changes.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.state().sync(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.state().sync_names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the next life finds after `life`: the names, and what is in the files.
    fn left_by(life: impl FnOnce(&mut Forgetful)) -> Vec<(String, String)> {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Forgetful::open(directory.path()).unwrap();
        disk.create("old", &[b"one"]).unwrap();
        disk.sync("old").unwrap();
        disk.sync_names().unwrap();
        drop(disk);
        let mut disk = Forgetful::open(directory.path()).unwrap();
        life(&mut disk);
        drop(disk);
        contents(&Forgetful::open(directory.path()).unwrap())
    }

    fn contents(disk: &Forgetful) -> Vec<(String, String)> {
        let content = |name: &String| String::from_utf8(disk.read(name).unwrap()).unwrap();
        disk.names().unwrap().into_iter().map(|name| (name.clone(), content(&name))).collect()
    }

    fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn what_a_life_sees_is_what_it_did_last_synced_or_not() {
        left_by(|disk| {
            disk.append("old", b" two").unwrap();
            disk.create("new", &[b"a", b"b"]).unwrap();
            assert_eq!(contents(&disk.clone()), files(&[("new", "ab"), ("old", "one two")]));
            disk.rename("new", "old").unwrap();
            disk.truncate("old", 1).unwrap();
            assert_eq!(contents(disk), files(&[("old", "a")]));
            disk.remove("old").unwrap();
            assert_eq!(contents(disk), []);
            for error in [disk.append("old", b"x"), disk.rename("old", "x"), disk.sync("old")] {
                assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        });
    }

    #[test]
    fn a_content_is_lost_unless_it_was_synced() {
        let old = |content| files(&[("old", content)]);
        let append = |disk: &mut Forgetful, bytes| disk.append("old", bytes).unwrap();
        assert_eq!(left_by(|disk| append(disk, b" two")), old("one"));
        let synced_between = |disk: &mut Forgetful| {
            append(disk, b" two");
            disk.sync("old").unwrap();
            append(disk, b" three");
        };
        assert_eq!(left_by(synced_between), old("one two"));
        assert_eq!(left_by(|disk| disk.truncate("old", 1).unwrap()), old("one"));
        let cut = |disk: &mut Forgetful| {
            disk.truncate("old", 1).unwrap();
            append(disk, b"!");
            disk.sync("old").unwrap();
        };
        assert_eq!(left_by(cut), old("o!"));
    }

    #[test]
    fn a_name_is_lost_unless_the_names_were_synced() {
        let synced_alone = |disk: &mut Forgetful| {
            disk.create("new", &[b"a"]).unwrap();
            disk.sync("new").unwrap();
            disk.rename("new", "old").unwrap();
        };
        assert_eq!(left_by(synced_alone), files(&[("old", "one")]));
        let named_after = |disk: &mut Forgetful| {
            synced_alone(disk);
            disk.sync_names().unwrap();
            disk.append("old", b"b").unwrap();
            disk.sync("old").unwrap();
        };
        assert_eq!(left_by(named_after), files(&[("old", "ab")]));
        let named_alone = |disk: &mut Forgetful| {
            disk.create("new", &[b"a"]).unwrap();
            disk.rename("new", "old").unwrap();
            disk.sync_names().unwrap();
        };
        assert_eq!(left_by(named_alone), files(&[("old", "")]), "a name and no content");
        assert_eq!(left_by(|disk| disk.remove("old").unwrap()), files(&[("old", "one")]));
        let removed = |disk: &mut Forgetful| {
            disk.remove("old").unwrap();
            disk.sync_names().unwrap();
        };
        assert_eq!(left_by(removed), []);
    }

    #[test]
    fn a_content_synced_under_another_name_is_the_files() {
        let renamed_and_synced = |disk: &mut Forgetful| {
            disk.rename("old", "other").unwrap();
            disk.append("other", b" two").unwrap();
            disk.sync("other").unwrap();
        };
        assert_eq!(left_by(renamed_and_synced), files(&[("old", "one two")]));
    }

    #[test]
    fn what_a_kill_left_of_a_file_without_a_name_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("a", "one"), (LANDING, "half"), ("z", "two")] {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let mut disk = Forgetful::open(directory.path()).unwrap();
        disk.create("new", &[b"three"]).unwrap();
        assert_eq!(contents(&disk), files(&[("a", "one"), ("new", "three"), ("z", "two")]));
        assert!(!directory.path().join(LANDING).exists());
    }
}
