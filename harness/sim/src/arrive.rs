//! What comes to a replica: when its CPU takes it in, and what its driver makes of it.

use std::rc::Rc;

use driver::{ConnectionId, Driver};
use protocols::{Batch, Replica, ReplicaId};

use crate::{
    carry::Collector,
    cost::Work,
    host::{Arrival, Envelope},
    queue::Nanos,
    simulation::{Event, Simulation},
    source::Source,
    violation::{Breach, Broken},
};

/// Chosen: what one read of 128 KiB brings the real driver in short messages; up to 559 a wakeup were measured there, where more
/// were not under way. So much is taken in before what it calls for is sent.
const DRAIN_MAX: usize = 4096;

impl<R: Replica, S: Source> Simulation<R, S> {
    /// Something comes to a replica: a crashed one loses it, a paused one keeps it for later, a busy one for when it is
    /// free.
    pub(crate) fn arrive(&mut self, replica: ReplicaId, arrival: Arrival<R>) -> Result<(), Breach> {
        let now = self.now;
        let host = &mut self.hosts[replica.index()];
        if host.paused {
            host.backlog.push(arrival);
            return Ok(());
        }
        if host.driver.is_none() {
            return Ok(());
        }
        if host.busy_until > now || !host.inbox.is_empty() {
            host.inbox.push_back(arrival);
            self.look_into_inbox_later(replica);
            return Ok(());
        }
        self.take_in(replica, arrival)?;
        self.stop(replica)
    }

    /// A replica's CPU is free: it takes in what came meanwhile.
    pub(crate) fn work_off(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        // Left from before a crash.
        if host.ready_at != Some(self.now) {
            return Ok(());
        }
        host.ready_at = None;
        if host.paused || host.inbox.is_empty() {
            return Ok(());
        }
        let taken = host.inbox.len().min(DRAIN_MAX);
        let arrivals: Vec<_> = host.inbox.drain(..taken).collect();
        for arrival in arrivals {
            self.take_in(replica, arrival)?;
        }
        self.stop(replica)?;
        self.look_into_inbox_later(replica);
        Ok(())
    }

    /// Sees to it that what waits in the inbox is taken in when the CPU is free.
    pub(crate) fn look_into_inbox_later(&mut self, replica: ReplicaId) {
        let host = &mut self.hosts[replica.index()];
        if !host.inbox.is_empty() && host.ready_at.is_none() {
            let at = host.busy_until.max(self.now);
            host.ready_at = Some(at);
            self.queue.push(at, Event::Ready { replica });
        }
    }

    /// All that was ready is taken in: the driver does what all of it calls for. The clock has run
    /// ahead meanwhile: the replica is busy until it has stopped.
    fn stop(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let done = self.turn(replica);
        self.hosts[replica.index()].busy_until = self.now;
        done
    }

    /// Takes one thing in.
    fn take_in(&mut self, replica: ReplicaId, arrival: Arrival<R>) -> Result<(), Breach> {
        let life = self.hosts[replica.index()].life;
        match arrival {
            Arrival::Start { life: meant } if meant == life => {
                self.note(replica, 0, &life, || format!("{replica} starts life {life}"));
                Ok(())
            }
            Arrival::Alarm { life: meant } if meant == life => {
                self.ring(replica);
                Ok(())
            }
            Arrival::Stored { life: meant } if meant == life => self.store(replica),
            Arrival::Start { .. } | Arrival::Alarm { .. } | Arrival::Stored { .. } => Ok(()),
            Arrival::Message { from, envelope } => self.hear(replica, from, envelope),
            Arrival::Request { client, batch } => {
                self.serve(replica, client, batch);
                Ok(())
            }
        }
    }

    fn hear(
        &mut self,
        replica: ReplicaId,
        from: ReplicaId,
        envelope: Rc<Envelope<R::Message>>,
    ) -> Result<(), Breach> {
        let bytes = envelope.bytes;
        self.work(replica, Work::message(bytes));
        let hash = envelope.hash;
        let message = self.envelopes.open(envelope);
        self.note(replica, 1, &(from, hash), || format!("{from} -> {replica} {message:?}"));
        let Some(driver) = &mut self.hosts[replica.index()].driver else { return Ok(()) };
        driver.on_message(from, message, bytes.into()).map_err(|error| {
            Breach::new(Broken::Assertion, format!("{from} -> {replica}: {error}"))
        })
    }

    /// The time has come for which an alarm was set: the driver's timers run out that are due.
    fn ring(&mut self, replica: ReplicaId) {
        let now = self.now;
        let host = &mut self.hosts[replica.index()];
        if host.alarm_at.is_some_and(|at| at <= now) {
            host.alarm_at = None;
        }
        let work = self.watched_driver(replica, |driver, _, _, watch| {
            driver.on_time(now, watch);
            watch.work
        });
        self.work(replica, work.unwrap_or(Work::NONE));
    }

    /// What was under way to the disk is written.
    fn store(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        self.note(replica, 3, &(), || format!("{replica}'s disk has written"));
        if let Err(error) = self.hosts[replica.index()].store.finish() {
            self.fail_storage(replica, &error);
        }
        Ok(())
    }

    /// A submission has reached a replica.
    fn serve(&mut self, replica: ReplicaId, client: u32, batch: Batch) {
        let bytes = self.request_bytes(&batch);
        self.work(replica, Work::message(bytes));
        let text = || format!("client {} -> {replica} {batch:?}", client + 1);
        self.note(replica, 4, &(client, &batch), text);
        let now = self.now;
        if let Some(driver) = &mut self.hosts[replica.index()].driver {
            let connection = ConnectionId::from(client);
            driver.on_requests(connection, batch, now).expect("clients submit no no-ops");
        }
    }

    /// Lets a replica's driver do what is to be done, or some of it if the replica is to crash
    /// midway.
    pub(crate) fn turn(&mut self, replica: ReplicaId) -> Result<(), Breach> {
        let host = &self.hosts[replica.index()];
        let Some(driver) = &host.driver else { return Ok(()) };
        let (steps, makes_durable) = (driver.is_stepped(), host.store.makes_durable());
        if makes_durable {
            // What the turns before have done is durable: the driver releases it first of all.
            if !host.store.is_writing() {
                self.observe(replica)?;
            }
        } else if !steps {
            // All that it was asked for is done and released.
            self.set_alarm(replica);
            return Ok(());
        }
        if steps {
            self.work(replica, Work::WAKEUP);
        }
        let now = self.now;
        let (counts_bytes, costs) = (self.cluster.counts_bytes, !self.cluster.costs.is_none());
        let (mut released, mut work, mut breach) = (0, Work::NONE, None);
        let done = self.watched_driver(replica, |driver, store, (outbox, envelopes), watch| {
            let released = &mut released;
            let mut output =
                Collector { outbox, envelopes, released, counts_bytes, work: Work::NONE };
            let done = driver.turn(now, store, &mut output, watch);
            if costs {
                work = watch.work + output.work;
            }
            breach = watch.breach.take();
            done
        });
        let Some(done) = done else { return Ok(()) };
        if let Some(breach) = breach {
            return Err(breach);
        }
        self.count_turn(replica, work);
        let host = &mut self.hosts[replica.index()];
        let puts_out = matches!(done, Ok(true)) && released > 0;
        if host.crash_midway && (host.store.has_begun() || puts_out) {
            return self.crash_midway(replica, released);
        }
        match done {
            Ok(true) => {
                self.observe(replica)?;
                self.compare_with_records(replica)?;
            }
            // It waits for the disk.
            Ok(false) => {}
            Err(error) => {
                self.fail_storage(replica, &error);
                return Ok(());
            }
        }
        self.send(replica, released);
        if let Some(takes) = self.hosts[replica.index()].store.set_out(&mut self.disk_random) {
            let life = self.hosts[replica.index()].life;
            self.arrive_at(self.now + takes, replica, Arrival::Stored { life });
        }
        self.set_alarm(replica);
        Ok(())
    }

    /// Counts what a turn has proposed, and charges for what it was beside the wakeup.
    fn count_turn(&mut self, replica: ReplicaId, work: Work) {
        let host = &mut self.hosts[replica.index()];
        let Some(driver) = &host.driver else { return };
        let proposals = driver.proposals();
        self.progress.proposals += proposals - std::mem::replace(&mut host.proposals, proposals);
        if self.cluster.costs.is_none() {
            return;
        }
        // A core's status takes a while to put together.
        let steps = driver.core().status().ordering_steps;
        let ordered = steps - std::mem::replace(&mut host.ordering_steps, steps);
        self.work(replica, work + Work::ordering(ordered));
    }

    /// Sees to it that the driver is told when its next timer runs out.
    fn set_alarm(&mut self, replica: ReplicaId) {
        let host = &mut self.hosts[replica.index()];
        let Some(at) = host.driver.as_ref().and_then(Driver::next_deadline) else { return };
        // An alarm that rings too early is set again for what is left: timers are mostly set again
        // before they run out.
        if host.alarm_at.is_none_or(|set_for| at < set_for) {
            host.alarm_at = Some(at);
            let life = host.life;
            self.arrive_at(at.max(self.now), replica, Arrival::Alarm { life });
        }
    }

    /// A replica works: the clock moves on by what that takes.
    pub(crate) fn work(&mut self, replica: ReplicaId, work: Work) {
        if !self.cluster.costs.is_none() {
            let host = &mut self.hosts[replica.index()];
            self.now = host.work(self.now, &self.cluster.costs, work);
        }
    }

    /// A replica sends so many bytes, which have left by the time returned.
    pub(crate) fn leave(&mut self, replica: ReplicaId, bytes: u32) -> Nanos {
        self.hosts[replica.index()].leave(self.now, &self.cluster.costs, bytes)
    }
}
