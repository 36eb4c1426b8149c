//! What a replica keeps on disk, so that it may die at any moment and come back as the
//! replica that it was.
//!
//! A replica's data directory belongs to it alone:
//!
//! | file | holds |
//! |---|---|
//! | `manifest` | whose directory this is, its incarnation, and which of the other files are to be read |
//! | `peers` | the incarnations of the other replicas, as far as they were met |
//! | `log-<n>` | the records from number `n` on, in base 16: a segment of the log |
//! | `snapshot-<n>` | the state that the records before number `n` led to, or a state that took their place |
//!
//! They are files of a [`Disk`](crate::disk::Disk). The real one has a file `lock` beside them.
//!
//! The way of a record: the core asks for it with `Effect::Persist`, the engine's [`Journal`]
//! encodes it, and once a drain has been carried out, everything of it is one [`Work`], which the
//! [`Writer`] writes at once, with one sync. Until that is done nothing leaves that was asked for
//! behind it. The way back: [`Past`] checks every file, then the core is made from the snapshot and
//! the records.
//!
//! **What may be wrong, and what comes of it.** The last write of the last segment may be torn,
//! because the process or the machine died while it was written; nothing relied on it, and it is
//! cut. Anything else that is missing or is not as it was written ends the start with the file
//! and the offset, and nothing is applied: a replica that has forgotten a promise is worse than
//! one that is dead. [`record`] says how the two are told apart. A flipped bit in the last write
//! is told from a torn write, too.
//!
//! **What stays uncovered.** A disk may say that it has synced the last write, and then have whole
//! sectors of it as zeros, or the file shorter. That is exactly what a crash during that write
//! leaves, and it is cut. A note of the sync could tell the two apart, and it would have to be
//! synced in its turn: twice the syncs for each write. A note that is not synced would help only
//! where the system happened to write it out before the machine died. After a sync that failed, the
//! system may show bytes that it will never write. The replica ends with such a sync; an operator
//! should start the machine anew before the replica.
//!
//! **What switches.** Only the manifest decides which files count, and it is replaced at once,
//! after all that it names has been written. A snapshot and the records behind it come into force
//! together.
//!
//! An *incarnation* is a number drawn when a directory is first used, or, without a directory, when
//! the process starts. Replicas greet each other with it and remember it, so that one that came
//! back without what it had promised is noticed: its votes would count a second time.

mod directory;
mod error;
mod header;
mod journal;
mod past;
mod peers;
pub mod record;
mod sector;
mod sheet;
mod snapshot;
mod writer;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    directory::{Directory, Owner},
    error::StorageError,
    journal::Journal,
    past::{Past, Records},
    peers::{Peers, Strange},
    writer::{Work, Writer},
};

/// What a replica's records outlive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: no record is kept, and a replica that died may not come back under its identity.
    #[default]
    Memory,
    /// The process: records are written before anything that relies on them leaves, but the system
    /// may hold them back from the disk. They survive a killed process, and no power cut: after
    /// one, records are gone, or the directory is refused, since the system may have kept a name
    /// and not what was in the file.
    Buffered,
    /// The machine: records have reached the disk before anything that relies on them leaves.
    Fsync,
}

impl Durability {
    /// Every durability, the weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Buffered, Self::Fsync];

    /// The name used on the command line, in files and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Buffered => "buffered",
            Self::Fsync => "fsync",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no durability bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDurability(pub String);

impl fmt::Display for UnknownDurability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no durability: use memory, buffered or fsync", self.0)
    }
}

impl std::error::Error for UnknownDurability {}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|durability| durability.name() == name)
            .ok_or_else(|| UnknownDurability(name.to_owned()))
    }
}
