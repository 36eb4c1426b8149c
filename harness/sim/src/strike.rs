//! Faults happening.

use protocols::{Input, Replica, ReplicaId, ReplicaSet};

use crate::{
    fault::Fault,
    host::{Arrival, Pending},
    mutant,
    simulation::{Event, Simulation},
    source::Source,
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
                if self.hosts[replica.index()].core.is_some() {
                    self.crash(replica);
                }
            }
            Fault::CrashMidway(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.crash_midway = host.core.is_some();
            }
            Fault::Restart(replica) => self.restart(replica)?,
            Fault::Pause(replica) => {
                let host = &mut self.hosts[replica.index()];
                host.paused = host.core.is_some();
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

    /// A replica's driver gives it its state, to forget what led there. One that is paused does nothing of the kind.
    fn take_checkpoint(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        if self.hosts[replica.index()].paused {
            return Ok(());
        }
        let machine = self.capture(replica);
        let Some(core) = self.hosts[replica.index()].core.as_mut() else { return Ok(()) };
        let mut effects = std::mem::take(&mut self.effects);
        core.step(Input::Checkpoint(machine), &mut effects);
        let done = self.flush(replica, &mut effects);
        self.effects = effects;
        self.send_all(replica);
        done
    }

    /// A replica loses everything not durable.
    pub(crate) fn crash(&mut self, replica: ReplicaId) {
        self.keep_status(replica);
        let host = &mut self.hosts[replica.index()];
        mutant::lose_unsynced(&self.cluster.config, &mut host.records);
        let dropped: Vec<Pending> = host.pending.values().copied().collect();
        host.crash();
        self.tell_dropped(replica, &dropped);
        self.observer.crashed(replica);
    }

    fn restart(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let config = self.cluster.config_of(R::PROTOCOL, replica);
        let host = &mut self.hosts[replica.index()];
        host.crash_midway = false;
        if host.core.is_some() {
            return Ok(());
        }
        if !host.restart(replica, &config) {
            let detail = format!("{replica}'s own snapshot does not decode");
            return Err(Breach::new(Broken::ForeignSnapshot, detail));
        }
        if let Some(snapshot) = &host.snapshot {
            self.observer.installed(replica, &snapshot.machine)?;
        }
        let life = host.life;
        self.arrive_at(self.now, replica, Arrival::Start { life });
        Ok(())
    }
}
