//! What comes to a replica: when its CPU takes it in, and what that makes of it.

use std::rc::Rc;

use protocols::{Effects, Input, Replica, ReplicaId};

use crate::{
    carry::nanos,
    cost::Work,
    host::{Arrival, Envelope, Pending, submission_id},
    queue::Nanos,
    simulation::{Event, Simulation},
    source::{Outcomes, Source},
    timers::Expiry,
    violation::Breach,
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
        if host.core.is_none() {
            return Ok(());
        }
        if host.busy_until > now || !host.inbox.is_empty() {
            host.inbox.push_back(arrival);
            self.look_into_inbox_later(replica);
            return Ok(());
        }
        host.counters.looked_at_queue(1);
        self.drain(replica, std::iter::once(arrival))
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
        host.counters.looked_at_queue(host.inbox.len() as u64);
        let taken = host.inbox.len().min(DRAIN_MAX);
        let arrivals: Vec<_> = host.inbox.drain(..taken).collect();
        self.drain(replica, arrivals.into_iter())?;
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

    /// Takes in all that was ready, then lets the replica do what all of it calls for. The clock runs ahead meanwhile: the
    /// replica is busy until it has stopped.
    fn drain(
        &mut self,
        replica: ReplicaId,
        arrivals: impl Iterator<Item = Arrival<R>>,
    ) -> Result<(), Breach> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut stepped = false;
        for arrival in arrivals {
            if let Some(input) = self.take_in(replica, arrival) {
                stepped = true;
                self.step(replica, input, &mut effects);
            }
        }
        // What comes together is proposed together, unless it waits for more.
        if self.cluster.config.batching.delay.is_zero() {
            self.close_gathered(replica);
        }
        while let Some(batch) = self.hosts[replica.index()].to_propose.pop_front() {
            stepped = true;
            self.proposals += 1;
            self.step(replica, Input::Propose(batch), &mut effects);
        }
        let mut done = Ok(());
        if stepped {
            self.work(replica, Work::WAKEUP);
            done = self.flush(replica, &mut effects);
        }
        self.effects = effects;
        self.send_all(replica);
        self.hosts[replica.index()].busy_until = self.now;
        done
    }

    fn step(&mut self, replica: ReplicaId, input: Input<R>, effects: &mut Effects<R>) {
        let core = self.hosts[replica.index()].core.as_mut();
        core.expect("only replicas that live are stepped").step(input, effects);
    }

    /// What was gathered waits no longer.
    fn close_gathered(&mut self, replica: ReplicaId) {
        let host = &mut self.hosts[replica.index()];
        host.to_propose.extend(host.gathered.close());
    }

    /// All that was ready has been stepped: carries out what it calls for, or some of it if the replica is to crash
    /// midway.
    pub(crate) fn flush(
        &mut self,
        replica: ReplicaId,
        effects: &mut Effects<R>,
    ) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        let core = host.core.as_mut().expect("it has just been stepped");
        core.step(Input::Flush, effects);
        let ordering_steps = core.status().ordering_steps;
        let new = ordering_steps - std::mem::replace(&mut host.ordering_steps, ordering_steps);
        host.counters.ordering_steps += new;
        self.work(replica, Work::ordering(new));
        let host = &mut self.hosts[replica.index()];
        if host.crash_midway && !effects.is_empty() {
            return self.crash_midway(replica, effects);
        }
        effects.drain().try_for_each(|effect| self.carry_out(replica, effect))?;
        self.hosts[replica.index()].drop_obsolete(replica);
        Ok(())
    }

    /// Takes one thing in; returns what the core is to be told of it, if anything.
    fn take_in(&mut self, replica: ReplicaId, arrival: Arrival<R>) -> Option<Input<R>> {
        let life = self.hosts[replica.index()].life;
        match arrival {
            Arrival::Start { life: meant } if meant == life => {
                self.note(replica, 0, &life, || format!("{replica} starts life {life}"));
                Some(Input::Start)
            }
            Arrival::Captured { life: meant, machine } if meant == life => {
                self.note(replica, 3, &machine, || format!("{replica} has its state captured"));
                Some(Input::Captured(machine))
            }
            Arrival::Start { .. } | Arrival::Captured { .. } => None,
            Arrival::Written { number } => {
                self.hosts[replica.index()].checkpoint_written(replica, number);
                None
            }
            Arrival::Gathered { life: meant, number } => {
                if meant == life && number == self.hosts[replica.index()].gatherings {
                    self.close_gathered(replica);
                }
                None
            }
            Arrival::Message { from, envelope } => Some(self.hear(replica, from, envelope)),
            Arrival::Timer { timer, token } => self.expire(replica, timer, token),
            Arrival::Request { client, number, batch } => {
                let bytes = self.request_bytes(&batch);
                self.work(replica, Work::message(bytes));
                let text = || format!("client {} -> {replica} {batch:?}", client + 1);
                self.note(replica, 4, &(client, number), text);
                self.serve(replica, client, number, batch)
            }
        }
    }

    fn hear(
        &mut self,
        replica: ReplicaId,
        from: ReplicaId,
        envelope: Rc<Envelope<R::Message>>,
    ) -> Input<R> {
        self.work(replica, Work::message(envelope.bytes));
        self.note(replica, 1, &(from, envelope.hash), || {
            format!("{from} -> {replica} {:?}", envelope.message)
        });
        let counters = &mut self.hosts[replica.index()].counters;
        counters.messages_in += 1;
        counters.bytes_in += u64::from(envelope.bytes);
        // The last receiver of a message need not copy it.
        let message = match Rc::try_unwrap(envelope) {
            Ok(envelope) => envelope.message,
            Err(shared) => shared.message.clone(),
        };
        Input::Message { from, message }
    }

    fn expire(&mut self, replica: ReplicaId, timer: R::Timer, token: u64) -> Option<Input<R>> {
        match self.hosts[replica.index()].timers.expire(timer, token, self.now) {
            Expiry::Gone => None,
            Expiry::Later(at) => {
                self.arrive_at(at, replica, Arrival::Timer { timer, token });
                None
            }
            Expiry::Due => {
                self.work(replica, Work::message(0));
                self.note(replica, 2, &timer, || format!("{replica} timer {timer:?}"));
                Some(Input::Timer(timer))
            }
        }
    }

    /// A submission has reached a replica: it is answered at once if everything in it was, and proposed unless the
    /// replica works on it already.
    fn serve(
        &mut self,
        replica: ReplicaId,
        client: u32,
        number: u64,
        batch: protocols::Batch,
    ) -> Option<Input<R>> {
        let host = &mut self.hosts[replica.index()];
        host.counters.requests += 1;
        let answered: Option<Outcomes> =
            batch.requests().map(|request| host.kv.answered(&request)).collect();
        if let Some(outcomes) = answered {
            self.answer(replica, client, number, outcomes);
            return None;
        }
        let id = submission_id(&batch).expect("clients submit no no-ops");
        if host.pending.contains_key(&id) {
            return None;
        }
        let since = self.now;
        let commands = batch.requests().len();
        let pending =
            Pending { client, number, commands, since, committed: None, is_settled: false };
        host.pending.insert(id, pending);
        let batching = self.cluster.config.batching;
        if !batching.is_on() {
            self.proposals += 1;
            return Some(Input::Propose(batch));
        }
        let (was_empty, before) = (host.gathered.is_empty(), host.to_propose.len());
        host.gathered.add(&batching, batch, |full| host.to_propose.push_back(full));
        let is_new = was_empty || host.to_propose.len() > before;
        if is_new && !host.gathered.is_empty() && !batching.delay.is_zero() {
            host.gatherings += 1;
            let (life, number) = (host.life, host.gatherings);
            let at = since + nanos(batching.delay);
            self.arrive_at(at, replica, Arrival::Gathered { life, number });
        }
        None
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
