//! The outboxes of all peers and clients.

use std::task::{Context, Poll, Waker};

use driver::{ConnectionId, Output, Reply, Sent};
use protocols::{Config, Replica, ReplicaId, ReplicaSet};
use quinn::Connection;
use rustc_hash::FxHashMap;

use super::close_code;
use crate::{
    emulator::messages::Messages,
    frame::append_value_frame,
    limits::{Budget, UNREAD_REPLY_BYTES_MAX},
    log::Log,
    outbox::{Outbox, give_back},
    wire::PeerLink,
};

/// Where everything goes that leaves the replica.
#[derive(Debug)]
pub(super) struct Outputs {
    own: ReplicaId,
    peers: Vec<Option<Peer>>,
    clients: FxHashMap<ConnectionId, Client>,
    /// What becomes of messages on purpose.
    pub(super) messages: Messages,
    connections: ConnectionId,
    budget: Budget,
    /// What waits for clients, in bytes.
    to_clients: usize,
    /// The most that waited for peers and clients since the measuring began.
    queued_max: u64,
    /// Readers of peers that wait until what they have brought is carried out.
    readers: Vec<Waker>,
    /// The frame of the message that is being sent.
    encoded: Vec<u8>,
    log: Log,
}

/// The way out to a peer.
#[derive(Debug)]
struct Peer {
    /// Tells this link from an earlier or later one with the same peer.
    link: ConnectionId,
    connection: Connection,
    outbox: Outbox,
}

/// The way out to a client.
#[derive(Debug)]
struct Client {
    connection: Connection,
    outbox: Outbox,
    /// The reader, while it waits for its client to catch up.
    reader: Option<Waker>,
}

impl Outputs {
    /// No peer and no client yet; draws on purpose come from `seed`.
    pub(super) fn new(own: ReplicaId, config: &Config, seed: u64, log: Log) -> Self {
        let (replicas, budget) = (config.replicas, Budget::of(config));
        let peers = (0..replicas).map(|_| None).collect();
        let messages = Messages::new(own, replicas, seed);
        let clients = FxHashMap::default();
        Self {
            own,
            peers,
            clients,
            messages,
            connections: 0,
            budget,
            to_clients: 0,
            queued_max: 0,
            readers: Vec::new(),
            encoded: Vec::new(),
            log,
        }
    }

    /// `peer` is connected; a link that it had before is closed. Returns the link's number.
    pub(super) fn add_peer(
        &mut self,
        peer: ReplicaId,
        connection: Connection,
        outbox: Outbox,
    ) -> ConnectionId {
        self.connections += 1;
        let link = self.connections;
        let new = Peer { link, connection, outbox };
        if let Some(old) = self.peers[peer.index()].replace(new) {
            old.connection.close(close_code::REPLACED, b"a newer connection took over");
        }
        link
    }

    /// `peer`'s link is gone, unless another has replaced it.
    pub(super) fn remove_peer(&mut self, peer: ReplicaId, link: ConnectionId) {
        self.peers[peer.index()].take_if(|peer| peer.link == link);
    }

    /// How many peers are connected.
    pub(super) fn peers_connected(&self) -> usize {
        self.peers.iter().flatten().count()
    }

    /// The link to every peer, in the order of their numbers.
    pub(super) fn peer_links(&self) -> Vec<PeerLink> {
        let others = ReplicaId::all(self.peers.len()).filter(|peer| *peer != self.own);
        let link = |peer: ReplicaId| {
            let connected = self.peers[peer.index()].as_ref();
            PeerLink { peer, round_trip: connected.map(|peer| peer.connection.rtt()) }
        };
        others.map(link).collect()
    }

    /// A client is connected. Returns the connection's number.
    pub(super) fn add_client(&mut self, connection: Connection, outbox: Outbox) -> ConnectionId {
        self.connections += 1;
        self.clients.insert(self.connections, Client { connection, outbox, reader: None });
        self.connections
    }

    /// A client is gone.
    pub(super) fn remove_client(&mut self, client: ConnectionId) {
        self.clients.remove(&client);
    }

    /// Does `client` read its replies, and do all of them together?
    pub(super) fn takes_replies(&self, client: ConnectionId) -> bool {
        let unsent = self.clients.get(&client).map_or(0, |client| client.outbox.unsent_bytes());
        unsent <= UNREAD_REPLY_BYTES_MAX
            && (unsent == 0 || self.to_clients <= self.budget.to_clients / 2)
    }

    /// How much may be held.
    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What waits to be sent: to peers, and to clients, in bytes.
    pub(super) fn queued_bytes(&self) -> (usize, usize) {
        let peers = self.peers.iter().flatten();
        (peers.map(|peer| peer.outbox.unsent_bytes()).sum(), self.to_clients)
    }

    /// The most of both together since [`Outputs::begin_measuring`].
    pub(super) const fn queued_max(&self) -> u64 {
        self.queued_max
    }

    /// Begins to count anew.
    pub(super) fn begin_measuring(&mut self) {
        self.queued_max = 0;
        self.messages.begin_measuring();
    }

    /// Wakes the reader of a peer when what was taken in is carried out.
    pub(super) fn wake_when_released(&mut self, reader: &Waker) {
        self.readers.push(reader.clone());
    }

    fn note_queued(&mut self) {
        let (peers, clients) = self.queued_bytes();
        self.queued_max = self.queued_max.max((peers + clients) as u64);
    }

    /// Wakes `reader` after the next flush.
    pub(super) fn wake_after_flush(&mut self, client: ConnectionId, reader: &Waker) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.reader = Some(reader.clone());
        }
    }

    /// Puts `frame` into the outbox of `to`; false if it is not connected or does not take what it is sent.
    fn put(&mut self, to: ReplicaId, frame: &[u8]) -> bool {
        let Some(peer) = &mut self.peers[to.index()] else { return false };
        if !peer.outbox.push_within(frame, self.budget.to_a_peer) {
            let text = format_args!("{to} does not take its messages: some are dropped");
            self.log.repeated("peer outbox full", text);
            return false;
        }
        true
    }
}

/// The outboxes while the task that writes them is polled.
pub(super) struct Writing<'a, 'c> {
    pub(super) outputs: &'a mut Outputs,
    pub(super) cx: &'a mut Context<'c>,
}

impl<R: Replica> Output<R> for Writing<'_, '_> {
    fn send(&mut self, to: ReplicaSet, message: R::Message) -> Sent {
        let outputs = &mut *self.outputs;
        let mut frame = std::mem::take(&mut outputs.encoded);
        frame.clear();
        let receivers = match append_value_frame(&mut frame, &message) {
            Ok(()) => outputs.send(to, &frame),
            Err(_) => 0,
        };
        let bytes = frame.len() as u64;
        frame.clear();
        give_back(&mut frame);
        outputs.encoded = frame;
        Sent { receivers, bytes }
    }

    fn reply(&mut self, connection: ConnectionId, reply: Reply) {
        let outputs = &mut *self.outputs;
        let (clients, budget) = (outputs.clients.len().max(1), outputs.budget.to_clients);
        let Some(client) = outputs.clients.get_mut(&connection) else { return };
        let before = client.outbox.unsent_bytes();
        // Too much waits for all, and more than its part of it for this one.
        if outputs.to_clients > budget && before > budget / clients {
            client.connection.close(close_code::NOT_READING, b"replies are not read");
            return;
        }
        append_value_frame(&mut client.outbox.bytes, &reply)
            .expect("a value is far shorter than a frame may be");
        outputs.to_clients += client.outbox.unsent_bytes() - before;
    }

    fn release(&mut self) {
        self.outputs.write(self.cx);
    }
}

impl Outputs {
    /// Takes one frame for each of `to`; returns for how many of them it was taken.
    fn send(&mut self, to: ReplicaSet, frame: &[u8]) -> u64 {
        let mut taken = 0;
        for id in to.iter() {
            if self.messages.in_use() {
                // Whatever becomes of it: it was sent.
                taken += u64::from(self.peers[id.index()].is_some());
                for _ in 0..self.messages.pass(id, frame) {
                    self.put(id, frame);
                }
                continue;
            }
            taken += u64::from(self.put(id, frame));
        }
        taken
    }

    /// Writes all that the streams take. A failed stream is its reader's to notice: both end with the connection.
    fn write(&mut self, cx: &mut Context<'_>) {
        self.note_queued();
        // What is due late is lost if its receiver has gone, as what was under way on its link is.
        while let Some((to, frame)) = self.messages.next_due(cx) {
            self.put(to, &frame);
        }
        for peer in self.peers.iter_mut().flatten() {
            let _: Poll<_> = peer.outbox.poll_write(cx);
        }
        self.to_clients = 0;
        for client in self.clients.values_mut() {
            let _: Poll<_> = client.outbox.poll_write(cx);
            self.to_clients += client.outbox.unsent_bytes();
            if let Some(reader) = client.reader.take() {
                reader.wake();
            }
        }
        self.readers.drain(..).for_each(Waker::wake);
    }
}
