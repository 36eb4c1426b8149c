//! What passes between clients and replicas, and between replicas.

use std::rc::Rc;

use protocols::{Batch, Replica, ReplicaId};

use crate::{
    cost::FRAME_HEAD_BYTES,
    host::{Arrival, Outgoing},
    simulation::{Event, Simulation},
    source::{Ask, Source},
};

impl<R: Replica, S: Source> Simulation<R, S> {
    /// A client's submission sets out.
    pub(crate) fn deliver(&mut self, ask: Ask) {
        let Ask { client, to, batch } = ask;
        let (first, second) = self.links.fate(self.source.site_of(client), to, self.now);
        if let Some(at) = second {
            let batch = batch.clone();
            self.arrive_at(at, to, Arrival::Request { client, batch });
        }
        if let Some(at) = first {
            self.arrive_at(at, to, Arrival::Request { client, batch });
        }
    }

    /// The work of a replica is done: the first `count` things leave that it has put out.
    pub(crate) fn send(&mut self, from: ReplicaId, count: usize) {
        if count == 0 {
            return;
        }
        let mut outbox = std::mem::take(&mut self.hosts[from.index()].outbox);
        for outgoing in outbox.drain(..count) {
            self.let_leave(from, outgoing);
        }
        self.hosts[from.index()].outbox = outbox;
    }

    fn let_leave(&mut self, from: ReplicaId, outgoing: Outgoing<R>) {
        match outgoing {
            Outgoing::Message { to, envelope } => {
                let leaves = self.leave(from, envelope.bytes);
                let (first, second) = self.links.fate(from, to, leaves);
                let Some(first) = first else { return };
                if let Some(second) = second {
                    let copy = Rc::clone(&envelope);
                    self.arrive_at(first, to, Arrival::Message { from, envelope: copy });
                    self.arrive_at(second, to, Arrival::Message { from, envelope });
                } else {
                    self.arrive_at(first, to, Arrival::Message { from, envelope });
                }
            }
            Outgoing::Reply { client, reply, bytes } => {
                let leaves = self.leave(from, bytes);
                let (first, second) = self.links.fate(from, self.source.site_of(client), leaves);
                if let Some(at) = second {
                    self.queue.push(at, Event::Reply { client, reply: reply.clone() });
                }
                if let Some(at) = first {
                    self.queue.push(at, Event::Reply { client, reply });
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
