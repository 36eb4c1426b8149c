//! Quiescence: when a run may end, and what must hold then.

use protocols::{
    Replica, ReplicaId,
    kv::{Digest, Kv},
};

use crate::{
    host::Down,
    simulation::{Event, Simulation},
    source::Source,
    violation::{Breach, Broken},
};

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Lets time pass until the faults are over, every client has its answers, and the replicas are at rest with equal
    /// states. It may take `settle_ns_max` without any progress after the last fault.
    pub(crate) fn run_until_quiescent(&mut self, settle_ns_max: u64) -> Result<(), Breach> {
        self.settle_ns_max = settle_ns_max;
        self.queue.push(self.faults.end_ns(), Event::QuiescenceCheck);
        while !self.quiescent {
            self.next_event()?;
        }
        Ok(())
    }

    /// Is the cluster at rest: faults over, clients served, nothing left to decide or execute, all states equal? If not
    /// yet, looks again later, until it has taken too long.
    pub(crate) fn check_quiescence(&mut self) -> Result<bool, Breach> {
        if self.source.is_done() && self.are_quiescent() && self.all_live_that_may() {
            return Ok(true);
        }
        let busy_until = self.faults.end_ns().max(self.progress.last_at);
        if self.now > busy_until.saturating_add(self.settle_ns_max) {
            return Err(self.not_quiescent());
        }
        let pause = self.cluster.config.timeouts.retransmit.as_nanos();
        let pause = u64::try_from(pause).unwrap_or(u64::MAX).max(1);
        self.queue.push(self.now.saturating_add(pause), Event::QuiescenceCheck);
        Ok(false)
    }

    /// Have all replicas that live nothing left to decide or execute, and equal states?
    pub fn are_quiescent(&self) -> bool {
        let mut living = self.hosts.iter().filter_map(|host| host.driver.as_ref());
        let Some(first) = living.clone().next() else { return false };
        let digest = first.digest();
        living.all(|driver| {
            let status = driver.core().status();
            status.unexecuted == 0 && status.undecided == 0 && driver.digest() == digest
        })
    }

    fn all_live_that_may(&self) -> bool {
        let dead = self.faults.leaves_dead();
        let mut hosts = ReplicaId::all(self.hosts.len()).zip(&self.hosts);
        hosts.all(|(id, host)| {
            host.driver.is_some()
                || dead.contains(id)
                || matches!(host.down, Some(Down::Refused(_)))
        })
    }

    /// The state of the first replica that lives: at rest, of them all.
    pub(crate) fn final_state(&self) -> &Kv {
        let living = self.hosts.iter().find_map(|host| host.driver.as_ref());
        living.expect("a minority at most is dead").kv()
    }

    /// What it is that has not come to rest.
    fn not_quiescent(&self) -> Breach {
        let all = || ReplicaId::all(self.hosts.len());
        let digests: Vec<Digest> = all().map(|replica| self.digest(replica)).collect();
        let statuses: Vec<_> = all().map(|replica| self.status(replica)).collect();
        // With nothing left to do, different states are no matter of waiting longer.
        let idle = statuses
            .iter()
            .all(|status| status.as_ref().is_some_and(|s| s.unexecuted + s.undecided == 0));
        let broken =
            if idle && self.source.is_done() { Broken::Equality } else { Broken::Liveness };
        let waiting = self.source.waiting();
        let detail = format!("{digests:?}; waiting clients: {waiting}; replicas: {statuses:?}");
        Breach::new(broken, detail)
    }
}
