//! Why a replica's files cannot be used.

use std::{fmt, io};

/// A failure of the storage. It names the file, and is worded for a person.
#[derive(Debug)]
pub enum StorageError {
    /// A file is missing, or is not as it was written. Nothing was applied.
    Damaged {
        /// Where the file is.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The directory holds the data of another replica, or of another cluster.
    NotOwn {
        /// Where the directory is.
        path: String,
        /// What differs.
        key: &'static str,
        /// What the directory says.
        theirs: String,
        /// What it should say.
        own: String,
    },
    /// A file was written by a program that writes another format.
    OtherFormat {
        /// Where the file is.
        path: String,
        /// The format of the file.
        theirs: String,
        /// The format of this program.
        own: &'static str,
    },
    /// What was recorded is as it was written, and this program does not understand it. Nothing was
    /// applied.
    NotUnderstood {
        /// Where the file is, or the directory.
        path: String,
        /// What is not understood.
        what: String,
    },
    /// The disk failed.
    Disk {
        /// Where the file is.
        path: String,
        /// What was tried.
        tried: &'static str,
        /// What the disk said.
        error: io::Error,
    },
    /// The disk failed while something was written that had to last: what is on it is not known,
    /// and the replica must end.
    NotKept(Box<StorageError>),
}

impl StorageError {
    /// Is a file missing, or not as it was written, down to a single bit? Then this replica may
    /// have promised what it does not know any more.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// What to do without a file, and with it without what this replica promised: the others can do
/// without it.
const LEAVE_OUT: &str = "nothing was applied: bring the file back from a copy, or leave this replica out, since without the \
    file it could break its promises";

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { path, what } | Self::NotUnderstood { path, what } => {
                write!(f, "{path}: {what}; {LEAVE_OUT}")
            }
            Self::NotOwn { path, key, theirs, own } => write!(
                f,
                "{path}: holds the data of {key} {theirs}, not of {key} {own}: give every replica the directory that is its \
                 own"
            ),
            Self::OtherFormat { path, theirs, own } => write!(
                f,
                "{path}: is of the format {theirs:?}, here it is {own:?}: use the program that wrote it"
            ),
            Self::Disk { path, tried, error } => write!(f, "{path}: cannot {tried}: {error}"),
            Self::NotKept(error) => {
                write!(f, "the replica ends, since it cannot keep its promises: {error}")
            }
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk { error, .. } => Some(error),
            Self::NotKept(error) => Some(error),
            _ => None,
        }
    }
}
