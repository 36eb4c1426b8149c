//! Faults happening.

use driver::storage::StorageError;
use protocols::{Replica, ReplicaId, ReplicaSet};

use crate::{
    coverage::Rare,
    fault::Fault,
    host::{Arrival, Doubtful, Down},
    simulation::{Event, Simulation},
    source::Source,
    store::{Begun, SimStore},
    violation::{Breach, Broken},
};

impl<R: Replica, S: Source> Simulation<R, S> {
    /// A fault happens.
    pub(crate) fn strike(&mut self, fault: &Fault) -> Result<(), Breach> {
        self.note(ReplicaId(0), 6, &0, || format!("fault: {fault}"));
        match *fault {
            Fault::Loss(share) => self.links.loss = share,
            Fault::Duplicate(share) => self.links.duplicate = share,
            Fault::Delay(ref range) => self.links.extra_delay_ns = range.clone(),
            Fault::Partition(ref sets) => {
                let all = sets.iter().fold(ReplicaSet::EMPTY, |all, set| all.union(*set));
                for set in sets {
                    self.links.block(*set, all.difference(*set));
                }
            }
            Fault::OneWay(from, to) => self.links.block(from, to),
            Fault::Heal => self.links.heal(),
            Fault::Clog { from, to, for_ns } => self.links.clog(from, to, self.now + for_ns),
            Fault::LinkLoss { from, to, share } => self.links.lose(from, to, share),
            Fault::LinkDelay { from, to, by_ns } => self.links.delay(from, to, by_ns),
            Fault::Crash(replica) => {
                if self.hosts[replica.index()].driver.is_some() {
                    self.crash(replica);
                }
            }
            Fault::CrashMidway(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.crash_midway = host.driver.is_some();
            }
            Fault::SyncFails(replica) => {
                if let SimStore::Disk(disk) = &mut self.hosts[replica.index()].store {
                    disk.disk.fail_next_sync();
                }
            }
            Fault::DiskFull(replica, bytes) => {
                if let SimStore::Disk(disk) = &mut self.hosts[replica.index()].store {
                    disk.disk.full_after(Some(bytes));
                }
            }
            Fault::BitFlips(replica) => {
                if self.hosts[replica.index()].driver.is_some() {
                    self.crash(replica);
                }
                if let SimStore::Disk(disk) = &mut self.hosts[replica.index()].store {
                    disk.disk.flip_bit(&mut self.disk_random);
                    self.hosts[replica.index()].has_rotted = true;
                    self.coverage.add(Rare::BitFlipped, 1);
                }
            }
            Fault::Restart(replica) => self.restart(replica)?,
            Fault::Pause(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.paused = host.driver.is_some();
            }
            Fault::Resume(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.paused = false;
                for arrival in host.backlog.drain(..) {
                    self.queue.push(self.now, Event::Arrival { replica, arrival });
                }
                self.look_into_inbox_later(replica);
            }
            Fault::Checkpoint(replica) => self.take_checkpoint(replica)?,
            Fault::Slow(replica, permille) => self.hosts[replica.index()].pace = permille,
        }
        Ok(())
    }

    /// A replica is to take a checkpoint. One that is paused does nothing of the kind.
    fn take_checkpoint(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        if host.paused {
            return Ok(());
        }
        let Some(driver) = &mut host.driver else { return Ok(()) };
        driver.ask_for_checkpoint();
        self.turn(replica)
    }

    /// The replica dies amid a turn, which has released the first `released` of what is put out:
    /// while it writes what the turn recorded, or when some of what is put out has left.
    pub(crate) fn crash_midway(
        &mut self,
        replica: ReplicaId,
        released: usize,
    ) -> Result<(), Breach> {
        let all = self.hosts[replica.index()].outbox.len();
        let has_begun = self.hosts[replica.index()].store.has_begun();
        let (mut least, mut most) = (0, released);
        if !has_begun || self.links.draw(&(0..=1)) == 1 {
            // All is durable that the turn recorded.
            let host = &mut self.hosts[replica.index()];
            if host.store.set_out(&mut self.disk_random).is_some()
                && let Err(error) = host.store.finish()
            {
                self.fail_storage(replica, &error);
                return Ok(());
            }
            self.observe(replica)?;
            // What the turns before have put out leaves first.
            (least, most) = (if has_begun { released } else { 0 }, all);
        }
        let sent = self.links.draw(&(least as u64..=most as u64));
        let sent = usize::try_from(sent).expect("it is at most as much as there is");
        self.send(replica, sent);
        self.trace.add(self.now, || format!("{replica} crashes when {sent} of {all} have left"));
        self.coverage.add(Rare::CrashWhileSending, u64::from(sent > 0 && sent < all));
        self.crash(replica);
        Ok(())
    }

    /// A replica's disk does not take what must be durable: the replica ends.
    pub(crate) fn fail_storage(&mut self, replica: ReplicaId, error: &StorageError) {
        self.trace.add(self.now, || format!("{replica} ends: {error}"));
        self.coverage.add(Rare::DiskFailed, 1);
        self.crash(replica);
    }

    /// A replica loses everything not durable.
    pub(crate) fn crash(&mut self, replica: ReplicaId) {
        self.count_rarities(replica);
        let host = &mut self.hosts[replica.index()];
        let writes = host.store.is_writing();
        if let Some(snapshot_at) = host.store.snapshot_under_way() {
            let observed = std::mem::take(&mut host.observed);
            host.doubtful = Some(Doubtful { snapshot_at, observed });
        }
        host.store.crash(&mut self.disk_random);
        host.crash(self.now);
        let is_settled = host.doubtful.is_none();
        self.coverage.add(Rare::CrashWhileWriting, u64::from(writes));
        if is_settled {
            self.observer.crashed(replica);
        }
    }

    /// Takes in what the present life of a replica has seen of rare things, before it ends.
    pub(crate) fn count_rarities(&mut self, replica: ReplicaId) {
        let Some(driver) = &self.hosts[replica.index()].driver else { return };
        let (rarities, status) = (driver.rarities(), driver.core().status());
        for (rare, times) in [
            (Rare::Takeover, status.takeovers),
            (Rare::CrowdedOut, status.crowded_out),
            (Rare::RetryAnswered, rarities.retries_answered),
            (Rare::RetryJoined, rarities.retries_joined),
            (Rare::SnapshotCaptured, rarities.captures),
            (Rare::Checkpoint, rarities.checkpoints),
            (Rare::ReadForgotten, rarities.reads_forgotten),
            (Rare::WriteSettled, rarities.writes_settled),
        ] {
            self.coverage.add(rare, times);
        }
    }

    /// A life begins with the snapshot before record `snapshot_at`: if that was on its way when the
    /// last life ended, what led to it was done.
    fn settle_doubts(
        &mut self,
        replica: ReplicaId,
        snapshot_at: Option<u64>,
    ) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        let Some(doubtful) = host.doubtful.take() else { return Ok(()) };
        if snapshot_at == Some(doubtful.snapshot_at) {
            host.observed = doubtful.observed;
            self.observe(replica)?;
        }
        self.observer.crashed(replica);
        Ok(())
    }

    fn restart(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let config = self.cluster.config_of(R::PROTOCOL, replica);
        let host = &mut self.hosts[replica.index()];
        host.crash_midway = false;
        if let SimStore::Disk(disk) = &mut host.store {
            disk.disk.mend();
        }
        if host.down != Some(Down::Crashed) {
            return Ok(());
        }
        let life = host.life + 1;
        let seed = self.cluster.seed_of(replica, life);
        let SimStore::Disk(disk) = &mut host.store else {
            let detail = format!("{replica} has kept nothing, and may not come back");
            return Err(Breach::new(Broken::Assertion, detail));
        };
        match disk.begin_life(&config, (seed, self.now)) {
            Ok(Begun { driver, snapshot, snapshot_at, was_torn }) => {
                let has_records = driver.status().storage.records_replayed > 0;
                host.begin_life(driver);
                self.coverage.add(Rare::TornTail, u64::from(was_torn));
                self.settle_doubts(replica, snapshot_at)?;
                if let Some(snapshot) = snapshot {
                    self.coverage.add(Rare::LifeFromSnapshot, 1);
                    self.observer.installed(replica, &snapshot.machine)?;
                } else {
                    self.coverage.add(Rare::LifeFromRecords, u64::from(has_records));
                }
                self.arrive_at(self.now, replica, Arrival::Start { life });
            }
            Err(error) => {
                self.trace.add(self.now, || format!("{replica} stays out: {error}"));
                if !error.is_damage() {
                    let detail = format!("{replica} cannot begin a life: {error}");
                    return Err(Breach::new(Broken::Assertion, detail));
                }
                self.coverage.add(Rare::LogRefused, 1);
                if !host.has_rotted {
                    let detail = format!("{replica}'s data were never damaged: {error}");
                    return Err(Breach::new(Broken::Assertion, detail));
                }
                host.down = Some(Down::Refused(error.to_string()));
            }
        }
        Ok(())
    }
}
