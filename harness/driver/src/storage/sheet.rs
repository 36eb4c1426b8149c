//! Small files of lines, `key value`, that are replaced as a whole and end with a checksum over what precedes it: readable
//! for a person, and refused when a bit of them has changed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    NodeError,
    failpoint::{self, Failpoint},
};

/// What the first line says; counted up whenever any file of a data directory changes its form.
const FORMAT: &str = "paxos-lab-data 1";
const CHECKSUM: &str = "checksum ";
/// How the name of a file ends that is not finished yet.
pub(super) const UNFINISHED: &str = ".new";

/// Replaces the file `name` of `directory` at once: whoever reads it sees the old lines or the new ones. With `synced` it
/// is on disk when this returns.
pub(super) fn replace(
    directory: &Path,
    name: &str,
    lines: impl IntoIterator<Item = (&'static str, String)>,
    synced: bool,
) -> Result<(), NodeError> {
    let mut text = format!("{FORMAT}\n");
    for (key, value) in lines {
        text.extend([key, " ", &value, "\n"]);
    }
    text += &format!("{CHECKSUM}{:016x}\n", xxh3_64(text.as_bytes()));
    put_in_place(directory, name, &[text.as_bytes()], synced)
}

/// Writes `pieces` to a file of another name, then gives it the name `name`, which may be taken.
pub(super) fn put_in_place(
    directory: &Path,
    name: &str,
    pieces: &[&[u8]],
    synced: bool,
) -> Result<(), NodeError> {
    let (path, temporary) = (directory.join(name), directory.join(format!("{name}{UNFINISHED}")));
    let written = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        if synced {
            file.sync_all()?;
        }
        failpoint::pass(Failpoint::FileWritten);
        fs::rename(&temporary, &path)?;
        failpoint::pass(Failpoint::FileNamed);
        if synced { sync_directory(directory) } else { Ok(()) }
    };
    written().map_err(|error| NodeError::file(&path, "write", &error))
}

/// What was made, renamed or removed in `directory` stays so.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The lines of a sheet.
#[derive(Debug)]
pub(super) struct Sheet<'p> {
    path: &'p Path,
    lines: Vec<(String, String)>,
}

impl<'p> Sheet<'p> {
    /// Reads the sheet at `path`.
    ///
    /// # Errors
    /// If it is not there, of another format, or not as it was written.
    pub(super) fn read(path: &'p Path) -> Result<Self, NodeError> {
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(path, "is missing"),
            _ => NodeError::file(path, "read", &error),
        })?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(damaged(path, "is no text"));
        };
        let first = text.lines().next().unwrap_or_default();
        if first != FORMAT && first.starts_with("paxos-lab-data ") {
            let path = path.display();
            return Err(NodeError::new(format!(
                "{path}: is of the format {first:?}, here it is {FORMAT:?}: use the program that wrote it"
            )));
        }
        let sum = text.rfind(CHECKSUM).filter(|start| {
            text[*start..] == format!("{CHECKSUM}{:016x}\n", xxh3_64(&text.as_bytes()[..*start]))
        });
        let Some(sum) = sum else {
            return Err(damaged(path, "is not as it was written: its checksum does not fit"));
        };
        let lines = text[..sum].lines().skip(1).filter_map(|line| line.split_once(' '));
        let lines = lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Self { path, lines })
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
    pub(super) fn one(&self, key: &str) -> Result<&str, NodeError> {
        self.all(key).next().ok_or_else(|| damaged(self.path, format_args!("has no {key:?}")))
    }

    /// `value`, as 16 digits of base 16 say it.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn number(&self, value: &str) -> Result<u64, NodeError> {
        u64::from_str_radix(value, 16)
            .map_err(|_| damaged(self.path, format_args!("{value:?} is no number")))
    }
}

/// A file that cannot be used, and with it what this replica promised: the others can do without it.
pub(super) fn damaged(path: &Path, what: impl std::fmt::Display) -> NodeError {
    NodeError::new(format!(
        "{}: {what}; nothing was applied: bring the file back from a copy, or leave this replica out, since without the \
         file it could break its promises",
        path.display()
    ))
}
