//! What a simulated replica keeps on its disk, and how long that takes.

use std::ops::RangeInclusive;

use driver::{
    Driver, Nanos, Store,
    storage::{Journal, Owner, Past, StorageError, Work, Writer},
};
use protocols::{Config, Replica, Snapshot};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::disk::SimDisk;

/// How replicas keep what must last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Are records synced, so that they survive a power cut? If not, they survive a killed process.
    pub synced: bool,
    /// How long a group of records takes to be written and synced, drawn, in nanoseconds.
    pub group_ns: RangeInclusive<u64>,
    /// A log longer than this, in bytes, gets a snapshot in its place, and a segment of it a
    /// successor; none: as long as is good.
    pub log_bytes_kept: Option<u64>,
}

/// Where a simulated replica's work goes.
#[derive(Debug, Default)]
pub(crate) enum SimStore {
    /// Durability "memory": there is none.
    #[default]
    Memory,
    Disk(Box<DiskStore>),
}

/// A replica's disk, and what is under way to it.
#[derive(Debug)]
pub(crate) struct DiskStore {
    storage: Storage,
    owner: Owner,
    pub(crate) disk: SimDisk,
    /// None while the replica is down.
    writer: Option<Writer<SimDisk>>,
    /// Begun by the driver in this turn.
    begun: Option<Work>,
    /// On its way; it is written when it arrives.
    under_way: Option<Work>,
    /// What a write that takes no time came to.
    failure: Option<StorageError>,
}

/// A life that has begun with what was on the disk.
#[derive(Debug)]
pub(crate) struct Begun<R: Replica> {
    pub(crate) driver: Driver<R>,
    /// The snapshot that it began with.
    pub(crate) snapshot: Option<Snapshot>,
    /// The number of the first record behind it.
    pub(crate) snapshot_at: Option<u64>,
    /// Was the last write of the log not whole?
    pub(crate) was_torn: bool,
}

impl DiskStore {
    /// The empty disk of a replica that `owner` describes.
    pub(crate) fn new(storage: Storage, owner: Owner) -> Self {
        Self {
            storage,
            owner,
            disk: SimDisk::default(),
            writer: None,
            begun: None,
            under_way: None,
            failure: None,
        }
    }

    /// Begins a life with what is on the disk.
    ///
    /// # Errors
    /// If that is not as it was written, or the disk fails.
    pub(crate) fn begin_life<R: Replica>(
        &mut self,
        config: &Config,
        (seed, now): (u64, Nanos),
    ) -> Result<Begun<R>, StorageError> {
        let past = Past::read(self.disk.clone(), self.owner.clone(), seed)?;
        let journal = Journal::new(&past, self.storage.log_bytes_kept);
        let driver = Driver::recover(self.owner.replica, config, (seed, now), &past, journal)?;
        let (snapshot, was_torn) = (past.snapshot.clone(), past.was_torn);
        let snapshot_at = past.snapshot_at();
        self.writer = Some(Writer::new(past, self.storage.synced, self.storage.log_bytes_kept)?);
        Ok(Begun { driver, snapshot, snapshot_at, was_torn })
    }

    /// The core as it would begin another life now, on a copy of the disk.
    ///
    /// # Errors
    /// If what is on the disk is not as it was written.
    pub(crate) fn rebuild<R: Replica>(&self, config: &Config) -> Result<R, StorageError> {
        let past = Past::read(self.disk.copy(), self.owner.clone(), 0)?;
        let mut records = past.records();
        let core = R::recover(self.owner.replica, config, past.snapshot.as_ref(), &mut records);
        records.finish()?;
        Ok(core)
    }

    fn write(&mut self, work: &Work) -> Result<(), StorageError> {
        self.writer.as_mut().expect("only a living replica writes").write(work)
    }
}

impl Store for SimStore {
    fn is_idle(&mut self) -> Result<bool, StorageError> {
        match self {
            Self::Memory => Ok(true),
            Self::Disk(disk) => match disk.failure.take() {
                Some(failure) => Err(failure),
                None => Ok(disk.begun.is_none() && disk.under_way.is_none()),
            },
        }
    }

    fn begin(&mut self, work: Work) {
        let Self::Disk(disk) = self else { unreachable!("there is nothing to keep") };
        if *disk.storage.group_ns.end() == 0 {
            disk.failure = disk.write(&work).err();
        } else {
            disk.begun = Some(work);
        }
    }
}

impl SimStore {
    /// Is there anything to wait for until it is durable?
    pub(crate) fn makes_durable(&self) -> bool {
        matches!(self, Self::Disk(_))
    }

    /// Has the driver begun something that has not set out?
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self, Self::Disk(disk) if disk.begun.is_some())
    }

    /// Is something on its way to the disk, or about to set out?
    pub(crate) fn is_writing(&self) -> bool {
        matches!(self, Self::Disk(disk) if disk.begun.is_some() || disk.under_way.is_some())
    }

    /// The number of the first record behind a snapshot that is on its way to the disk, or about to
    /// set out; none if there is no such snapshot.
    pub(crate) fn snapshot_under_way(&self) -> Option<u64> {
        let Self::Disk(disk) = self else { return None };
        let work = disk.begun.as_ref().or(disk.under_way.as_ref())?;
        work.snapshot.is_some().then_some(work.first)
    }

    /// What the driver has begun sets out; returns how long that takes, if there is something.
    pub(crate) fn set_out(&mut self, random: &mut ChaCha8Rng) -> Option<Nanos> {
        let Self::Disk(disk) = self else { return None };
        disk.under_way = Some(disk.begun.take()?);
        Some(random.random_range(disk.storage.group_ns.clone()))
    }

    /// What was under way is there.
    ///
    /// # Errors
    /// If the disk does not take it. The replica ends.
    pub(crate) fn finish(&mut self) -> Result<(), StorageError> {
        let Self::Disk(disk) = self else { return Ok(()) };
        disk.under_way.take().map_or(Ok(()), |work| disk.write(&work))
    }

    /// The replica dies. Some steps of what it had begun may have been taken; of what is not synced
    /// some may be lost, if the machine dies with it.
    pub(crate) fn crash(&mut self, random: &mut ChaCha8Rng) {
        let Self::Disk(disk) = self else { return };
        if let Some(work) = disk.begun.take().or(disk.under_way.take()) {
            // Chosen: a write has about so many steps; a snapshot has more.
            disk.disk.stop_after(random.random_range(0..=12));
            // The process never hears what came of it.
            let _: Result<(), _> = disk.write(&work);
        }
        disk.writer = None;
        disk.failure = None;
        // Chosen: most crashes take the machine along.
        if disk.storage.synced && random.random_bool(0.75) {
            disk.disk.crash(random);
        } else {
            disk.disk.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use protocols::{ReplicaId, paxos::Paxos};
    use rand::SeedableRng;

    use super::*;

    /// Two checkpoints of one state, the second of which a crash cuts short: the life that follows
    /// begins with the first, and says so.
    #[test]
    fn a_snapshot_that_was_cut_short_is_told_from_an_earlier_one_of_the_same_state() {
        let config = Config::new(3);
        let storage = Storage { synced: true, group_ns: 1..=1, log_bytes_kept: None };
        let cluster = "one".to_owned();
        let (replica, protocol) = (ReplicaId(0), Paxos::PROTOCOL);
        let owner = Owner { cluster, replica, protocol, config };
        let mut disk = DiskStore::new(storage, owner);
        disk.begin_life::<Paxos>(&config, (1, 0)).unwrap();
        let snapshot = Snapshot { machine: [7].into(), core: [].into() };
        let checkpoint = |first| {
            let snapshot = Some(snapshot.clone());
            Work { snapshot, first, records: 0, frames: Vec::new() }
        };
        let mut store = SimStore::Disk(Box::new(disk));
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        let (whole, cut_short) = (checkpoint(2), checkpoint(3));
        store.begin(whole);
        store.set_out(random);
        store.finish().unwrap();
        assert_eq!(store.snapshot_under_way(), None);
        store.begin(cut_short);
        let under_way = store.snapshot_under_way();
        let SimStore::Disk(disk) = &mut store else { unreachable!("it is a disk") };
        disk.disk.stop_after(0);
        disk.disk.crash(random);
        let past = Past::read(disk.disk.clone(), disk.owner.clone(), 2).unwrap();
        assert_eq!((past.snapshot_at(), under_way), (Some(2), Some(3)));
        assert_eq!(past.snapshot, Some(snapshot));
    }
}
