//! Rest: when a run may end, and what must hold then.

use protocols::{Replica, ReplicaId, kv::Digest};

use crate::{
    history::{Elements, elements, repeated_element},
    simulation::{Event, Simulation},
    violation::{Breach, Broken},
};

impl<R: Replica> Simulation<'_, R> {
    /// Is the cluster at rest: faults over, clients served, nothing left to decide or execute, all states equal? If not
    /// yet, looks again later, until it has taken too long.
    pub(crate) fn look_for_rest(&mut self) -> Result<bool, Breach> {
        let clients_served = self.clients.iter().all(|client| client.is_done(&self.scenario.load));
        if clients_served && self.replicas_rest() {
            return Ok(true);
        }
        let busy_until = self.scenario.faults.end_ns().max(self.last_progress_at);
        if self.now > busy_until.saturating_add(self.scenario.settle_ns_max) {
            return Err(self.restless());
        }
        let pause = self.scenario.config.timeouts.retransmit.as_nanos();
        let pause = u64::try_from(pause).unwrap_or(u64::MAX).max(1);
        self.queue.push(self.now.saturating_add(pause), Event::RestCheck);
        Ok(false)
    }

    /// What must hold at rest, beyond what the search for rest has found.
    pub(crate) fn check_at_rest(&mut self) -> Result<(), Breach> {
        for replica in ReplicaId::all(self.hosts.len()) {
            self.keep_status(replica);
        }
        let (asked, applied) = (self.history.writes(), self.hosts[0].kv.digest().writes);
        if asked != applied {
            let detail = format!("{asked} writes were asked for and answered, {applied} applied");
            return Err(Breach::new(Broken::Writes, detail));
        }
        for key in self.scenario.load.append_only() {
            self.check_appends(&key)?;
        }
        self.history.check_reads()
    }

    /// Keeps what a replica knows about itself and would forget in a crash.
    pub(crate) fn keep_status(&mut self, replica: ReplicaId) {
        if let Some(core) = &self.hosts[replica.index()].core {
            self.longest_component = self.longest_component.max(core.status().longest_component);
        }
    }

    fn replicas_rest(&self) -> bool {
        let digest = self.hosts[0].kv.digest();
        self.hosts.iter().all(|host| {
            let idle = host.core.as_ref().is_some_and(|core| {
                let status = core.status();
                status.unexecuted == 0 && status.undecided == 0
            });
            idle && host.kv.digest() == digest
        })
    }

    /// What it is that has not come to rest.
    fn restless(&self) -> Breach {
        let digests: Vec<Digest> = self.hosts.iter().map(|host| host.kv.digest()).collect();
        let statuses: Vec<_> =
            self.hosts.iter().map(|host| host.core.as_ref().map(Replica::status)).collect();
        let waiting: Vec<_> = self
            .clients
            .iter()
            .flat_map(|client| &client.outstanding)
            .map(|submission| (&submission.batch, submission.attempts))
            .collect();
        // With nothing left to do, different states are no matter of waiting longer.
        let idle = statuses
            .iter()
            .all(|status| status.as_ref().is_some_and(|s| s.unexecuted + s.undecided == 0));
        let broken = if idle && waiting.is_empty() { Broken::Equality } else { Broken::Liveness };
        let detail = format!("{digests:?}; waiting clients: {waiting:?}; replicas: {statuses:?}");
        Breach::new(broken, detail)
    }

    /// Everything appended to `key` is in its value, once. All replicas hold the same.
    fn check_appends(&self, key: &[u8]) -> Result<(), Breach> {
        let value = self.hosts[0].kv.value(key).unwrap_or_default();
        let mut present: Vec<_> = elements(value).collect();
        let mut asked: Vec<_> = self.history.appended(key).collect();
        present.sort_unstable();
        asked.sort_unstable();
        if present == asked && repeated_element(value).is_none() {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        let asked = asked.concat();
        let detail = format!("{key} is [{}], appended was [{}]", Elements(value), Elements(&asked));
        Err(Breach::new(Broken::Writes, detail))
    }
}
