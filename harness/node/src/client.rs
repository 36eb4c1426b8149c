//! A client's session with one replica: many logical clients over one connection and one stream.
//!
//! Requests are encoded straight into one buffer and leave in one write; replies are handed over as they are read. When a
//! session is lost, what became of the requests that are still unanswered is not known: their clients may send them
//! again under the same numbers, to any replica.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll},
};

use driver::Reply;
use measure::NetworkReport;
use protocols::{ReplicaId, Request, command::encode_into};
use quinn::{Connection, RecvStream, VarInt};

use crate::{
    NodeError,
    emulator::{
        NetworkChange, NetworkPlan,
        socket::{Emulator, Place},
    },
    frame::{FrameBuffer, append_frame},
    identity::{Identity, Role},
    outbox::Outbox,
    transport::Dialer,
    wire::ClientHello,
};

/// Dials replicas as a client. All its sessions at one kind of address share one socket.
#[derive(Clone, Debug)]
pub struct Connector {
    dialer: Dialer,
}

impl Connector {
    /// A connector that shows `identity`, which is a client's. Needs a runtime.
    ///
    /// # Errors
    /// If the identity is of another role or no socket can be had.
    pub fn new(identity: &Identity) -> Result<Self, NodeError> {
        check(identity)?;
        Ok(Self { dialer: Dialer::new(identity)? })
    }

    /// A connector of the clients at `site` in an emulated network, whose replicas listen on `replicas`, by number. Needs a
    /// runtime.
    ///
    /// # Errors
    /// As [`Connector::new`], and if the plan is for another cluster.
    pub fn at_site(
        identity: &Identity,
        plan: &NetworkPlan,
        site: ReplicaId,
        replicas: &[SocketAddr],
    ) -> Result<Self, NodeError> {
        check(identity)?;
        plan.check(replicas.len())?;
        let replicas: Vec<_> = replicas.iter().copied().map(Some).collect();
        let place = Place { plan, site, replicas: &replicas, is_client: true };
        Ok(Self { dialer: Dialer::at(identity, &place)? })
    }

    /// Changes the ways between the clients at this site and the replicas. On the bare loopback there is nothing to change.
    pub fn network(&self, change: &NetworkChange) {
        if let Some(emulator) = &self.dialer.emulator {
            emulator.change(change);
        }
    }

    /// What was done to this site's packets since the last [`Connector::begin_measuring`], both ways.
    pub fn network_report(&self) -> NetworkReport {
        let emulator = self.dialer.emulator.as_ref();
        NetworkReport {
            packets: emulator.map(Emulator::report).unwrap_or_default(),
            ..NetworkReport::default()
        }
    }

    /// Counts anew what is done to packets.
    pub fn begin_measuring(&self) {
        if let Some(emulator) = &self.dialer.emulator {
            emulator.begin_measuring();
        }
    }

    /// Opens a session with `replica`, which listens on `address`. Gives up after the transport's idle time, about two
    /// seconds, if nobody answers.
    ///
    /// # Errors
    /// If the replica cannot be reached or does not prove to be that replica.
    pub async fn connect(
        &self,
        replica: ReplicaId,
        address: SocketAddr,
    ) -> Result<Session, NodeError> {
        let link = self.dialer.dial(replica, address, &ClientHello { to: replica }).await?;
        Ok(Session {
            replica,
            connection: link.connection,
            outbox: Outbox::new(link.send),
            receive: link.receive,
            buffer: FrameBuffer::default(),
        })
    }
}

fn check(identity: &Identity) -> Result<(), NodeError> {
    if identity.role != Role::Client {
        return Err(NodeError::WrongRole { role: identity.role, doing: "send requests" });
    }
    Ok(())
}

/// A session with one replica.
#[derive(Debug)]
pub struct Session {
    replica: ReplicaId,
    connection: Connection,
    outbox: Outbox,
    receive: RecvStream,
    buffer: FrameBuffer,
}

impl Session {
    /// The replica that is talked to.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Puts `request` into the buffer, as a batch of its own. It leaves with the next [`Session::poll_flush`].
    ///
    /// # Panics
    /// If key and value are together longer than a frame; the replica refuses much shorter ones.
    pub fn send(&mut self, request: &Request<'_>) {
        self.send_batch(std::slice::from_ref(request));
    }

    /// Puts `requests` into the buffer, to be ordered as one batch.
    ///
    /// # Panics
    /// As [`Session::send`].
    pub fn send_batch(&mut self, requests: &[Request<'_>]) {
        append_frame(&mut self.outbox.bytes, |bytes| encode_into(requests, bytes))
            .expect("batches are far shorter than a frame may be");
    }

    /// Bytes in the buffer that the stream has not taken: above a few megabytes the replica does not keep up.
    pub fn unsent_bytes(&self) -> usize {
        self.outbox.unsent_bytes()
    }

    /// Writes the buffer; ready when the stream took all of it.
    ///
    /// # Errors
    /// If the session is lost.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NodeError>> {
        self.outbox.poll_write(cx).map_err(|error| self.lost(error))
    }

    /// Hands every reply that has arrived to `on_reply`; ready, with their number, when there was at least one.
    ///
    /// # Errors
    /// If the session is lost, or what came is no reply.
    pub fn poll_replies(
        &mut self,
        cx: &mut Context<'_>,
        mut on_reply: impl FnMut(Reply),
    ) -> Poll<Result<usize, NodeError>> {
        loop {
            let read = pin!(self.receive.read(self.buffer.room())).poll(cx);
            let count = match read {
                Poll::Ready(Ok(Some(count))) => count,
                Poll::Ready(Ok(None)) => {
                    return Poll::Ready(Err(self.lost("the replica ended the stream")));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.lost(error))),
                Poll::Pending => return Poll::Pending,
            };
            self.buffer.filled(count);
            let replies = self.take_replies(&mut on_reply)?;
            // Part of a frame is no reply: read on.
            if replies > 0 {
                return Poll::Ready(Ok(replies));
            }
        }
    }

    /// Writes the buffer and waits for at least one reply; hands over all that have arrived and returns their number.
    ///
    /// # Errors
    /// If the session is lost, or what came is no reply.
    pub async fn exchange(&mut self, mut on_reply: impl FnMut(Reply)) -> Result<usize, NodeError> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_replies(cx, &mut on_reply)
        })
        .await
    }

    fn take_replies(&mut self, on_reply: &mut impl FnMut(Reply)) -> Result<usize, NodeError> {
        let mut replies = 0;
        loop {
            let reply = match self.buffer.next_frame() {
                Ok(Some(frame)) => postcard::from_bytes(frame)
                    .map_err(|error| format!("what came is no reply: {error}")),
                Ok(None) => return Ok(replies),
                Err(error) => Err(error.to_string()),
            };
            let unexpected = |text| NodeError::Unexpected { replica: self.replica, text };
            on_reply(reply.map_err(unexpected)?);
            replies += 1;
        }
    }

    fn lost(&self, error: impl std::fmt::Display) -> NodeError {
        NodeError::Lost { replica: self.replica, what: "session with", reason: error.to_string() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"the client is done");
    }
}
