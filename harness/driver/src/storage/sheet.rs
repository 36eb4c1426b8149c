//! Small files of lines, `key value`, that are replaced as a whole and end with a checksum over
//! what precedes it: readable for a person, and refused when a bit of them has changed.

use std::io;

use xxhash_rust::xxh3::xxh3_64;

use super::StorageError;
use crate::{
    disk::Disk,
    failpoint::{self, Failpoint},
};

/// What the first line says; counted up whenever any file of a data directory changes its form.
const FORMAT: &str = "paxos-lab-data 2";
const CHECKSUM: &str = "checksum ";
/// How the name of a file ends that is not finished yet.
pub(super) const UNFINISHED: &str = ".new";

/// Replaces the file `name` at once: a reader sees the old lines or the new ones. With `synced` it
/// is on disk when this returns.
pub(super) fn replace(
    disk: &mut impl Disk,
    name: &str,
    lines: impl IntoIterator<Item = (&'static str, String)>,
    synced: bool,
) -> Result<(), StorageError> {
    let mut text = format!("{FORMAT}\n");
    for (key, value) in lines {
        text.extend([key, " ", &value, "\n"]);
    }
    text += &format!("{CHECKSUM}{:016x}\n", xxh3_64(text.as_bytes()));
    put_in_place(disk, name, &[text.as_bytes()], synced)
}

/// Writes `pieces` to a file of another name, then gives it the name `name`, which may be taken.
pub(super) fn put_in_place(
    disk: &mut impl Disk,
    name: &str,
    pieces: &[&[u8]],
    synced: bool,
) -> Result<(), StorageError> {
    let temporary = format!("{name}{UNFINISHED}");
    let mut write = || -> io::Result<()> {
        disk.create(&temporary, pieces)?;
        if synced {
            disk.sync(&temporary)?;
        }
        failpoint::pass(Failpoint::FileWritten);
        disk.rename(&temporary, name)?;
        failpoint::pass(Failpoint::FileNamed);
        if synced { disk.sync_names() } else { Ok(()) }
    };
    let written = write();
    written.map_err(|error| failed(disk, name, "write", error))
}

/// The lines of a sheet.
#[derive(Debug)]
pub(super) struct Sheet {
    path: String,
    lines: Vec<(String, String)>,
}

impl Sheet {
    /// Reads the sheet `name`.
    ///
    /// # Errors
    /// If it is not there, of another format, or not as it was written.
    pub(super) fn read(disk: &impl Disk, name: &str) -> Result<Self, StorageError> {
        Self::parse(disk.path(name), read_file(disk, name)?)
    }

    fn parse(path: String, bytes: Vec<u8>) -> Result<Self, StorageError> {
        let mut sheet = Self { path, lines: Vec::new() };
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(sheet.damaged("is no text".to_owned()));
        };
        let first = text.lines().next().unwrap_or_default();
        let is_other = first != FORMAT && first.starts_with("paxos-lab-data ");
        let sum = text.rfind(CHECKSUM).filter(|start| {
            text[*start..] == format!("{CHECKSUM}{:016x}\n", xxh3_64(&text.as_bytes()[..*start]))
        });
        match sum {
            // A flipped bit is no other program.
            Some(_) if is_other => {
                let (path, theirs) = (sheet.path, first.to_owned());
                Err(StorageError::OtherFormat { path, theirs, own: FORMAT })
            }
            Some(sum) => {
                let lines = text[..sum].lines().skip(1).filter_map(|line| line.split_once(' '));
                sheet.lines =
                    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                Ok(sheet)
            }
            None if is_other => Err(sheet.damaged(format!(
                "is of the format {first:?}, here it is {FORMAT:?}: use the program that wrote it, \
                 or it is not as it was written"
            ))),
            None => {
                let what = "is not as it was written: its checksum does not fit";
                Err(sheet.damaged(what.to_owned()))
            }
        }
    }

    /// The values of `key`, in order.
    pub(super) fn all<'s>(&'s self, key: &str) -> impl Iterator<Item = &'s str> {
        let lines = self.lines.iter().filter(move |(own, _)| own == key);
        lines.map(|(_, value)| value.as_str())
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn one(&self, key: &str) -> Result<&str, StorageError> {
        self.all(key).next().ok_or_else(|| self.damaged(format!("has no {key:?}")))
    }

    /// `value`, as 16 digits of base 16 say it.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn number(&self, value: &str) -> Result<u64, StorageError> {
        u64::from_str_radix(value, 16).map_err(|_| self.damaged(format!("{value:?} is no number")))
    }

    /// This sheet cannot be used.
    pub(super) fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), what }
    }
}

/// The whole of a file that must be there.
pub(super) fn read_file(disk: &impl Disk, name: &str) -> Result<Vec<u8>, StorageError> {
    disk.read(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(disk, name, "is missing"),
        _ => failed(disk, name, "read", error),
    })
}

/// The file `name` cannot be used.
pub(super) fn damaged(disk: &impl Disk, name: &str, what: impl Into<String>) -> StorageError {
    StorageError::Damaged { path: disk.path(name), what: what.into() }
}

/// The disk failed when something was tried with the file `name`.
pub(super) fn failed(
    disk: &impl Disk,
    name: &str,
    tried: &'static str,
    error: io::Error,
) -> StorageError {
    StorageError::Disk { path: disk.path(name), tried, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sheet, StorageError> {
        Sheet::parse("manifest".to_owned(), text.as_bytes().to_vec())
    }

    fn with_checksum(text: &str) -> String {
        format!("{text}{CHECKSUM}{:016x}\n", xxh3_64(text.as_bytes()))
    }

    #[test]
    fn another_format_is_told_from_a_flipped_bit_in_its_name() {
        let own = with_checksum("paxos-lab-data 2\nreplica 1\n");
        assert_eq!(parse(&own).unwrap().one("replica").unwrap(), "1");
        let error = parse(&with_checksum("paxos-lab-data 1\nreplica 1\n")).unwrap_err();
        let expected = "manifest: is of the format \"paxos-lab-data 1\", here it is \
            \"paxos-lab-data 2\": use the program that wrote it";
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_damage());
        for bit in 0..own.len() * 8 {
            let mut flipped = own.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Sheet::parse(String::new(), flipped).unwrap_err();
            assert!(error.is_damage(), "bit {bit}: {error}");
        }
    }
}
