//! Faults happening.

use driver::storage::StorageError;
use protocols::{Replica, ReplicaId, ReplicaSet};

use crate::{
    fault::Fault,
    host::{Arrival, Down},
    simulation::{Event, Simulation},
    source::Source,
    store::SimStore,
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
            Fault::Crash(replica) => {
                if self.hosts[replica.index()].driver.is_some() {
                    self.crash(replica);
                }
            }
            Fault::CrashMidway(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.crash_midway = host.driver.is_some();
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

    /// The replica dies amid a turn: while it writes what the turn recorded, or when some of what the
    /// turn put out has left.
    pub(crate) fn crash_midway(&mut self, replica: ReplicaId) {
        let all = self.hosts[replica.index()].outbox.len();
        let has_begun = self.hosts[replica.index()].store.has_begun();
        let mut sent = 0;
        if !has_begun || self.links.draw(&(0..=1)) == 1 {
            // All is durable that the turn recorded.
            let host = &mut self.hosts[replica.index()];
            if host.store.set_out(&mut self.disk_random).is_some()
                && let Err(error) = host.store.finish()
            {
                return self.fail_storage(replica, &error);
            }
            sent = usize::try_from(self.links.draw(&(0..=all as u64))).unwrap_or(all);
        }
        self.send(replica, sent);
        self.trace.add(self.now, || format!("{replica} crashes when {sent} of {all} have left"));
        self.crash(replica);
    }

    /// A replica's disk does not take what must be durable: the replica ends.
    pub(crate) fn fail_storage(&mut self, replica: ReplicaId, error: &StorageError) {
        self.trace.add(self.now, || format!("{replica} ends: {error}"));
        self.crash(replica);
    }

    /// A replica loses everything not durable.
    pub(crate) fn crash(&mut self, replica: ReplicaId) {
        let host = &mut self.hosts[replica.index()];
        host.store.crash(&mut self.disk_random);
        host.crash(self.now);
        self.observer.crashed(replica);
    }

    fn restart(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let config = self.cluster.config_of(replica);
        let host = &mut self.hosts[replica.index()];
        host.crash_midway = false;
        if host.down != Some(Down::Crashed) {
            return Ok(());
        }
        let life = host.life + 1;
        let seed = self.cluster.seed_of(replica, life);
        let SimStore::Disk(disk) = &mut host.store else {
            let detail = format!("{replica} has kept nothing, and may not come back");
            return Err(Breach::new(Broken::Assertion, detail));
        };
        disk.disk.full_after(None);
        match disk.begin_life(&config, (seed, self.now)) {
            Ok((driver, snapshot)) => {
                host.begin_life(driver);
                if let Some(snapshot) = snapshot {
                    self.observer.installed(replica, &snapshot.machine)?;
                }
                self.arrive_at(self.now, replica, Arrival::Start { life });
            }
            Err(error) => {
                self.trace.add(self.now, || format!("{replica} stays out: {error}"));
                host.down = Some(Down::Refused(error.to_string()));
            }
        }
        Ok(())
    }
}
