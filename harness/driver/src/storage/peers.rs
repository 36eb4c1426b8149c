//! Whom a replica has met.

use protocols::ReplicaId;

use super::{
    StorageError,
    sheet::{self, Sheet},
};
use crate::disk::Disk;

pub(super) const PEERS_FILE: &str = "peers";

/// The incarnations of the other replicas, as far as they were met.
#[derive(Debug)]
pub struct Peers<D> {
    /// By number.
    known: Vec<Option<u64>>,
    /// Where they are kept; none: in memory alone.
    disk: Option<D>,
}

impl<D: Disk> Peers<D> {
    /// Makes the file of a replica, one of `replicas`, that has met nobody yet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn make(disk: D, replicas: usize) -> Result<(), StorageError> {
        Self { known: vec![None; replicas], disk: Some(disk) }.save()
    }

    /// Reads the file on `disk`.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub(super) fn read(disk: D, replicas: usize) -> Result<Self, StorageError> {
        let sheet = Sheet::read(&disk, PEERS_FILE)?;
        let mut known = vec![None; replicas];
        for peer in sheet.all("peer") {
            let place = peer.split_once(' ').and_then(|(replica, incarnation)| {
                let place = known.get_mut(replica.parse::<usize>().ok()?)?;
                Some((place, sheet.number(incarnation).ok()?))
            });
            let Some((place, incarnation)) = place else {
                return Err(sheet.damaged(format!("{peer:?} is no peer")));
            };
            *place = Some(incarnation);
        }
        Ok(Self { known, disk: Some(disk) })
    }

    /// Nobody was met, and nobody will be remembered beyond this process.
    pub fn in_memory(replicas: usize) -> Self {
        Self { known: vec![None; replicas], disk: None }
    }

    /// The incarnations, by number.
    pub fn known(&self) -> &[Option<u64>] {
        &self.known
    }

    /// Meets `peer` as `incarnation`: the one it is known as, or a first one, which is then
    /// remembered, durably before this returns.
    ///
    /// # Errors
    /// The one it is known as, if that is another; or the file cannot be written.
    pub fn meet(&mut self, peer: ReplicaId, incarnation: u64) -> Result<(), Strange> {
        match &mut self.known[peer.index()] {
            Some(known) if *known == incarnation => Ok(()),
            Some(known) => Err(Strange::Other { known: *known }),
            place @ None => {
                *place = Some(incarnation);
                self.save().map_err(Strange::NotKept)
            }
        }
    }

    fn save(&mut self) -> Result<(), StorageError> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let known = self.known.iter().enumerate();
        let lines = known
            .filter_map(|(replica, known)| Some(("peer", format!("{replica} {:016x}", (*known)?))));
        sheet::replace(disk, PEERS_FILE, lines, true)
    }
}

/// Why a peer was not met.
#[derive(Debug)]
pub enum Strange {
    /// It is known as another.
    Other {
        /// As which.
        known: u64,
    },
    /// It could not be remembered.
    NotKept(StorageError),
}
