//! Whom a replica has met.

use std::path::{Path, PathBuf};

use protocols::ReplicaId;

use super::sheet::{self, Sheet, damaged};
use crate::NodeError;

pub(super) const PEERS_FILE: &str = "peers";

/// The incarnations of the other replicas, as far as they were met.
#[derive(Debug)]
pub(crate) struct Peers {
    /// By number.
    known: Vec<Option<u64>>,
    /// Where they are kept; none: in memory alone.
    directory: Option<PathBuf>,
}

impl Peers {
    /// Makes the file of a replica, one of `replicas`, that has met nobody yet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn make(directory: &Path, replicas: usize) -> Result<(), NodeError> {
        Self { known: vec![None; replicas], directory: Some(directory.to_owned()) }.save()
    }

    /// Reads the file of `directory`.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub(super) fn read(directory: &Path, replicas: usize) -> Result<Self, NodeError> {
        let path = directory.join(PEERS_FILE);
        let sheet = Sheet::read(&path)?;
        let mut known = vec![None; replicas];
        for peer in sheet.all("peer") {
            let place = peer.split_once(' ').and_then(|(replica, incarnation)| {
                let place = known.get_mut(replica.parse::<usize>().ok()?)?;
                Some((place, sheet.number(incarnation).ok()?))
            });
            let Some((place, incarnation)) = place else {
                return Err(damaged(&path, format_args!("{peer:?} is no peer")));
            };
            *place = Some(incarnation);
        }
        Ok(Self { known, directory: Some(directory.to_owned()) })
    }

    /// Nobody was met, and nobody will be remembered beyond this process.
    pub(crate) fn in_memory(replicas: usize) -> Self {
        Self { known: vec![None; replicas], directory: None }
    }

    /// The incarnations, by number.
    pub(crate) fn known(&self) -> &[Option<u64>] {
        &self.known
    }

    /// Meets `peer` as `incarnation`: the one it is known as, or a first one, which is then remembered, durably before this
    /// returns.
    ///
    /// # Errors
    /// The one it is known as, if that is another; or the file cannot be written.
    pub(crate) fn meet(&mut self, peer: ReplicaId, incarnation: u64) -> Result<(), Strange> {
        match &mut self.known[peer.index()] {
            Some(known) if *known == incarnation => Ok(()),
            Some(known) => Err(Strange::Other { known: *known }),
            place @ None => {
                *place = Some(incarnation);
                self.save().map_err(Strange::NotKept)
            }
        }
    }

    fn save(&self) -> Result<(), NodeError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let known = self.known.iter().enumerate();
        let lines = known
            .filter_map(|(replica, known)| Some(("peer", format!("{replica} {:016x}", (*known)?))));
        sheet::replace(directory, PEERS_FILE, lines, true)
    }
}

/// Why a peer was not met.
#[derive(Debug)]
pub(crate) enum Strange {
    /// It is known as another.
    Other { known: u64 },
    /// It could not be remembered.
    NotKept(NodeError),
}
