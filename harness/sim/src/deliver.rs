//! The clients' side of a run: submissions, answers and retries.

use protocols::{Batch, Input, Outcome, Replica, ReplicaId};

use crate::{
    host::{Pending, submission_id},
    simulation::{Event, Simulation},
    violation::{Breach, Broken},
};

impl<R: Replica> Simulation<'_, R> {
    /// A client makes its next submission, if it has one left, at its own site's replica.
    pub(crate) fn submit(&mut self, client: u32) {
        let state = &mut self.clients[client as usize];
        let Some(batch) = state.next(&self.scenario.load, &mut self.client_rng) else { return };
        let first_operation = self.history.invoke(&batch, self.now);
        let number = state.await_answer(batch.clone(), first_operation, self.now);
        let site = state.site;
        self.ask(client, site, number, &batch, 1);
    }

    /// A client that waits for the answer to submission `number`, tried `attempts` times, tries the next replica.
    pub(crate) fn retry(&mut self, client: u32, number: u64, attempts: u32) {
        let n = self.hosts.len();
        let state = &mut self.clients[client as usize];
        let Some(submission) = state.outstanding.iter_mut().find(|other| other.number == number)
        else {
            return;
        };
        debug_assert_eq!(submission.attempts, attempts, "one timeout runs per submission");
        let to = ReplicaId::from_index((state.site.index() + attempts as usize) % n);
        submission.attempts += 1;
        self.history.retry(submission.first_operation, submission.commands);
        let batch = submission.batch.clone();
        self.ask(client, to, number, &batch, attempts + 1);
    }

    fn ask(&mut self, client: u32, to: ReplicaId, number: u64, batch: &Batch, attempts: u32) {
        let site = self.clients[client as usize].site;
        let (first, second) = self.links.fate(site, to);
        for delay in [first, second].into_iter().flatten() {
            let batch = batch.clone();
            let event = Event::Request { replica: to, client, number, batch };
            self.queue.push(self.now + delay, event);
        }
        if let Some(timeout) = self.scenario.load.timeout_ns {
            self.queue.push(self.now + timeout, Event::Impatience { client, number, attempts });
        }
    }

    /// A submission has reached a replica: it is answered at once if everything in it was, and proposed unless the
    /// replica works on it already.
    pub(crate) fn serve(
        &mut self,
        replica: ReplicaId,
        client: u32,
        number: u64,
        batch: Batch,
    ) -> Result<(), Breach> {
        let host = &mut self.hosts[replica.index()];
        let answered: Option<Vec<_>> =
            batch.requests().map(|request| host.kv.answered(&request)).collect();
        if let Some(outcomes) = answered {
            self.answer(replica, client, number, outcomes);
            return Ok(());
        }
        let id = submission_id(&batch).expect("clients submit no no-ops");
        if host.pending.contains_key(&id) {
            return Ok(());
        }
        let pending = Pending { client, number, since: self.now, committed: false };
        host.pending.insert(id, pending);
        self.proposals += 1;
        self.step(replica, Input::Propose(batch))
    }

    /// Sends the answer to a submission to its client.
    pub(crate) fn answer(
        &mut self,
        from: ReplicaId,
        client: u32,
        number: u64,
        outcomes: Vec<Outcome>,
    ) {
        let (first, second) = self.links.fate(from, self.clients[client as usize].site);
        if let Some(delay) = second {
            let event = Event::Answer { client, number, outcomes: outcomes.clone() };
            self.queue.push(self.now + delay, event);
        }
        if let Some(delay) = first {
            self.queue.push(self.now + delay, Event::Answer { client, number, outcomes });
        }
    }

    /// A client has an answer, perhaps not for the first time.
    pub(crate) fn take_answer(
        &mut self,
        client: u32,
        number: u64,
        outcomes: Vec<Outcome>,
    ) -> Result<(), Breach> {
        let state = &mut self.clients[client as usize];
        let Some(submission) = state.answered(number, &outcomes) else { return Ok(()) };
        if outcomes.contains(&Outcome::Forgotten) {
            let detail = format!("{:?}: its client waits, its result is gone", submission.batch);
            return Err(Breach::new(Broken::Answer, detail));
        }
        self.sites[state.site.index()].client_ns.push(self.now - submission.sent_at);
        self.history.answer(submission.first_operation, outcomes, self.now);
        self.last_progress_at = self.now;
        let think = self.links.draw(&self.scenario.load.think_ns);
        self.queue.push(self.now + think, Event::Submit { client });
        Ok(())
    }
}
