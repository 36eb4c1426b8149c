//! The files of one replica, as the durable log needs them.
//!
//! A [`Disk`] holds the files of one data directory, by name. `node` has the real one, `sim` a
//! simulated one that forgets what was not synced. The storage tells them apart by nothing.

use std::io;

/// The files of one data directory. Names are plain: there are no directories below it. A clone is
/// another way to the same files.
///
/// Nothing is durable before it was synced: the content and the length of a file with
/// [`Disk::sync`], that a name exists, means another file, or is gone with [`Disk::sync_names`].
/// Changes of names become durable in their order. After an error of a sync it is not known which
/// of it is durable.
///
/// A file that was made longer and not synced may have any length between the two after a crash.
/// Of the sectors of 512 bytes that were written since the last sync, each is as it was then or as
/// it was written, whatever became of the others. Bytes that were never written are zeros.
pub trait Disk: Clone {
    /// Where the files are, for messages.
    fn directory(&self) -> String;

    /// Where the file `name` is, for messages.
    fn path(&self, name: &str) -> String;

    /// The names of all files that were made here, in no order.
    ///
    /// # Errors
    /// If the directory cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file, or another if it cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file that holds `pieces`, one behind the other, in place of one of that name.
    ///
    /// # Errors
    /// If the disk does not take it; part of it may be there.
    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()>;

    /// Writes `bytes` behind the end of a file.
    ///
    /// # Errors
    /// If there is no such file, or the disk does not take it; part of it may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to its first `length` bytes.
    ///
    /// # Errors
    /// If there is no such file, or the disk does not take it.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Gives the file `from` the name `to`, in place of one that has it.
    ///
    /// # Errors
    /// If there is no such file, or the disk does not take it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If there is no such file, or the disk does not take it.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Returns when the content and the length of a file are durable.
    ///
    /// # Errors
    /// If they cannot be made durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Returns when the names that were made, given and removed are durable.
    ///
    /// # Errors
    /// If they cannot be made durable.
    fn sync_names(&mut self) -> io::Result<()>;
}
