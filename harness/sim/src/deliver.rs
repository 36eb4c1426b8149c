//! What passes between clients and replicas.

use std::rc::Rc;

use protocols::{Batch, Replica, ReplicaId};

use crate::{
    cost::{FRAME_HEAD_BYTES, Work, frame_bytes},
    host::{Arrival, Outgoing},
    simulation::{Event, Simulation},
    source::{Ask, Outcomes, Source},
};

impl<R: Replica, S: Source> Simulation<R, S> {
    /// A client's submission sets out.
    pub(crate) fn deliver(&mut self, ask: Ask) {
        let Ask { client, number, to, batch } = ask;
        let (first, second) = self.links.fate(self.source.site_of(client), to, self.now);
        if let Some(at) = second {
            let batch = batch.clone();
            self.arrive_at(at, to, Arrival::Request { client, number, batch });
        }
        if let Some(at) = first {
            self.arrive_at(at, to, Arrival::Request { client, number, batch });
        }
    }

    /// Sends the answer to a submission to its client.
    pub(crate) fn answer(&mut self, from: ReplicaId, client: u32, number: u64, outcomes: Outcomes) {
        self.hosts[from.index()].counters.replies += outcomes.len() as u64;
        let mut all_bytes = 0;
        if !self.cluster.costs.is_none() {
            for outcome in &outcomes {
                let bytes = frame_bytes(&(client, number, Ok::<_, ()>(outcome)));
                self.work(from, Work::message(bytes));
                all_bytes += bytes;
            }
        }
        self.put_out(from, Outgoing::Answer { client, number, outcomes, bytes: all_bytes });
    }

    /// A replica has something to send: it leaves when the work under way is done.
    pub(crate) fn put_out(&mut self, from: ReplicaId, outgoing: Outgoing<R>) {
        if self.cluster.costs.is_none() {
            self.let_leave(from, outgoing);
        } else {
            self.outgoing.push(outgoing);
        }
    }

    /// The work of a replica is done: what it has put out leaves.
    pub(crate) fn send_all(&mut self, from: ReplicaId) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        outgoing.drain(..).for_each(|one| self.let_leave(from, one));
        self.outgoing = outgoing;
    }

    fn let_leave(&mut self, from: ReplicaId, outgoing: Outgoing<R>) {
        match outgoing {
            Outgoing::Message { to, envelope } => {
                let leaves = self.leave(from, envelope.bytes);
                let (first, second) = self.links.fate(from, to, leaves);
                for at in [first, second].into_iter().flatten() {
                    let envelope = Rc::clone(&envelope);
                    self.arrive_at(at, to, Arrival::Message { from, envelope });
                }
            }
            Outgoing::Answer { client, number, outcomes, bytes } => {
                let leaves = self.leave(from, bytes);
                let (first, second) = self.links.fate(from, self.source.site_of(client), leaves);
                if let Some(at) = second {
                    let event = Event::Answer { client, number, outcomes: outcomes.clone() };
                    self.queue.push(at, event);
                }
                if let Some(at) = first {
                    self.queue.push(at, Event::Answer { client, number, outcomes });
                }
            }
        }
    }

    /// How long a submission is on its way to a replica.
    pub(crate) fn request_bytes(&self, batch: &Batch) -> u32 {
        let bytes = batch.as_bytes().len() + FRAME_HEAD_BYTES;
        u32::try_from(bytes).expect("batches are far shorter")
    }
}
