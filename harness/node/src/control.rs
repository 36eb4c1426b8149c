//! An operator's line to one replica: measuring, status, evidence, shutdown.

use std::net::SocketAddr;

use driver::ReplicaStatus;
use measure::ReplicaReport;
use protocols::{ReplicaId, kv::KeyDigest};
use quinn::VarInt;

use crate::{
    NodeError,
    emulator::NetworkChange,
    frame::{FrameBuffer, append_value_frame},
    identity::{Identity, Role},
    transport::{Dialer, Link},
    wire::{ClientHello, ControlReply, ControlRequest, ReplicaLinks},
};

/// Dials replicas as an operator. All its lines to one kind of address share one socket.
#[derive(Clone, Debug)]
pub struct Operator {
    dialer: Dialer,
}

impl Operator {
    /// An operator that shows `identity`. Needs a runtime.
    ///
    /// # Errors
    /// If the identity is of another role or no socket can be had.
    pub fn new(identity: &Identity) -> Result<Self, NodeError> {
        if identity.role != Role::Operator {
            return Err(NodeError::WrongRole { role: identity.role, doing: "operate replicas" });
        }
        Ok(Self { dialer: Dialer::new(identity)? })
    }

    /// Connects to `replica`, which listens on `address`. Gives up after the transport's idle time, about two seconds,
    /// if nobody answers.
    ///
    /// # Errors
    /// If the replica cannot be reached or does not prove to be that replica.
    pub async fn connect(
        &self,
        replica: ReplicaId,
        address: SocketAddr,
    ) -> Result<Control, NodeError> {
        let link = self.dialer.dial(replica, address, &ClientHello { to: replica }).await?;
        Ok(Control { replica, link, buffer: FrameBuffer::default() })
    }
}

/// A line to one replica. Every method fails if the line is lost.
#[derive(Debug)]
pub struct Control {
    replica: ReplicaId,
    link: Link,
    buffer: FrameBuffer,
}

impl Control {
    /// The replica that is talked to.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Lets the replica count and time anew.
    ///
    /// # Errors
    /// If the line is lost.
    pub async fn begin_measuring(&mut self) -> Result<(), NodeError> {
        match self.ask(ControlRequest::BeginMeasuring).await? {
            ControlReply::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Ends the measured time; gives what the replica counted in it. The latencies of what came in during it are complete in
    /// a later [`Control::report`].
    ///
    /// # Errors
    /// If the line is lost.
    pub async fn end_measuring(&mut self) -> Result<ReplicaReport, NodeError> {
        match self.ask(ControlRequest::EndMeasuring).await? {
            ControlReply::Report(report) => Ok(*report),
            other => Err(self.unexpected(&other)),
        }
    }

    /// What the replica counted and timed since [`Control::begin_measuring`], or since its start.
    ///
    /// # Errors
    /// If the line is lost.
    pub async fn report(&mut self) -> Result<ReplicaReport, NodeError> {
        match self.ask(ControlRequest::Report).await? {
            ControlReply::Report(report) => Ok(*report),
            other => Err(self.unexpected(&other)),
        }
    }

    /// How things stand.
    ///
    /// # Errors
    /// If the line is lost.
    pub async fn status(&mut self) -> Result<ReplicaStatus, NodeError> {
        match self.ask(ControlRequest::Status).await? {
            ControlReply::Status(status) => Ok(*status),
            other => Err(self.unexpected(&other)),
        }
    }

    /// What the replica runs, and how it reaches the others.
    ///
    /// # Errors
    /// If the line is lost.
    pub async fn links(&mut self) -> Result<ReplicaLinks, NodeError> {
        match self.ask(ControlRequest::Links).await? {
            ControlReply::Links(links) => Ok(links),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The keys of bucket `bucket` of `buckets`, sorted.
    ///
    /// # Errors
    /// If the line is lost, or the bucket does not fit into a frame: then ask with more buckets.
    pub async fn key_digests(
        &mut self,
        bucket: u64,
        buckets: u64,
    ) -> Result<Vec<KeyDigest>, NodeError> {
        match self.ask(ControlRequest::KeyDigests { bucket, buckets }).await? {
            ControlReply::KeyDigests(keys) => Ok(keys),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Changes the ways of what the replica sends to others, or its pace.
    ///
    /// # Errors
    /// If the line is lost, or the replica runs without an emulated network and the change is of packets.
    pub async fn network(&mut self, change: &NetworkChange) -> Result<(), NodeError> {
        match self.ask(ControlRequest::Network(change.clone())).await? {
            ControlReply::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Stops the replica.
    ///
    /// # Errors
    /// If the line is lost before the replica agrees.
    pub async fn shut_down(mut self) -> Result<(), NodeError> {
        match self.ask(ControlRequest::Shutdown).await? {
            ControlReply::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    async fn ask(&mut self, request: ControlRequest) -> Result<ControlReply, NodeError> {
        let mut frame = Vec::new();
        append_value_frame(&mut frame, &request).map_err(|error| self.lost(error))?;
        let written = self.link.send.write_all(&frame).await;
        written.map_err(|error| self.lost(error))?;
        loop {
            let answer = self.buffer.next_frame().map(|frame| frame.map(postcard::from_bytes));
            match answer {
                Ok(Some(Ok(reply))) => return Ok(reply),
                Ok(Some(Err(error))) => return Err(self.lost(error)),
                Ok(None) => {}
                Err(error) => return Err(self.lost(error)),
            }
            match self.link.receive.read(self.buffer.room()).await {
                Ok(Some(count)) => self.buffer.filled(count),
                Ok(None) => return Err(self.lost("the replica ended the stream")),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, error: impl std::fmt::Display) -> NodeError {
        NodeError::Lost { replica: self.replica, what: "line to", reason: error.to_string() }
    }

    fn unexpected(&self, reply: &ControlReply) -> NodeError {
        let replica = self.replica;
        match reply {
            ControlReply::TooLong => NodeError::TooLong { replica },
            ControlReply::Refused(reason) => {
                NodeError::Declined { replica, reason: reason.clone() }
            }
            other => {
                NodeError::Unexpected { replica, text: format!("unexpected answer {other:?}") }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.link.connection.close(VarInt::from_u32(0), b"the operator is done");
    }
}
