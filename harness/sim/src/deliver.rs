//! What passes between clients and replicas.

use protocols::{Batch, Replica, ReplicaId};

use crate::{
    cost::{FRAME_HEAD_BYTES, Work, frame_bytes},
    host::Arrival,
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
        if !self.cluster.costs.is_none() {
            for outcome in &outcomes {
                let bytes = frame_bytes(&(client, number, Ok::<_, ()>(outcome)));
                self.work(from, Work::message(bytes));
                self.leave(from, bytes);
            }
        }
        let leaves = self.now.max(self.hosts[from.index()].nic_busy_until);
        let (first, second) = self.links.fate(from, self.source.site_of(client), leaves);
        if let Some(at) = second {
            let event = Event::Answer { client, number, outcomes: outcomes.clone() };
            self.queue.push(at, event);
        }
        if let Some(at) = first {
            self.queue.push(at, Event::Answer { client, number, outcomes });
        }
    }

    /// How long a submission is on its way to a replica.
    pub(crate) fn request_bytes(&self, batch: &Batch) -> u32 {
        let bytes = batch.as_bytes().len() + FRAME_HEAD_BYTES;
        u32::try_from(bytes).expect("batches are far shorter")
    }
}
