//! What travels in frames, beside the protocols' own messages and batches.
//!
//! | stream of | first frame | then, from the dialing side | then, from the accepting side |
//! |---|---|---|---|
//! | a replica | [`PeerHello`], answered with one | protocol messages | protocol messages |
//! | a client | [`ClientHello`] | batches in their wire form | [`driver::Reply`] |
//! | an operator | [`ClientHello`] | [`ControlRequest`] | [`ControlReply`], one each, in order |

use std::time::Duration;

use driver::ReplicaStatus;
use measure::ReplicaReport;
use protocols::{Protocol, ReplicaId, kv::KeyDigest};
use serde::{Deserialize, Serialize};

use crate::emulator::NetworkChange;

/// What a replica says first. Both sides must be of one mind about the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHello {
    /// Who speaks; the certificate must say the same.
    pub from: ReplicaId,
    /// What it runs.
    pub protocol: Protocol,
    /// How many replicas it believes there are.
    pub replicas: u64,
    /// Which beginning of that replica it is: see [`driver::storage`].
    pub incarnation: u64,
    /// The incarnations that it knows, by number: whoever has not met a replica yet learns here who that was.
    pub known: Vec<Option<u64>>,
}

/// What a client or an operator says first: it opens the stream, and names the replica that it means to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// The replica dialed.
    pub to: ReplicaId,
}

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlRequest {
    /// Begin to count and to time anew.
    BeginMeasuring,
    /// Say what was counted and timed since the measuring began, or since the start.
    Report,
    /// Say how things stand.
    Status,
    /// List the keys of bucket `bucket` of `buckets`.
    KeyDigests {
        /// Which bucket, from 0.
        bucket: u64,
        /// How many buckets.
        buckets: u64,
    },
    /// From now on what this replica sends to others fares like this, or it is itself slower.
    Network(NetworkChange),
    /// Say which peers are connected, and how far away they are.
    Links,
    /// Stop, having answered this.
    Shutdown,
    /// Stop to count, and say what was counted and timed since then. What came in meanwhile is timed until it is executed,
    /// for the next report.
    EndMeasuring,
}

/// The answer to a [`ControlRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlReply {
    /// It was done.
    Done,
    /// To [`ControlRequest::Report`] and [`ControlRequest::EndMeasuring`].
    Report(Box<ReplicaReport>),
    /// To [`ControlRequest::Status`].
    Status(Box<ReplicaStatus>),
    /// To [`ControlRequest::KeyDigests`].
    KeyDigests(Vec<KeyDigest>),
    /// To [`ControlRequest::Links`].
    Links(ReplicaLinks),
    /// The answer does not fit into a frame: ask for less.
    TooLong,
    /// To [`ControlRequest::Network`]: it cannot be done, for this reason.
    Refused(String),
}

/// What one replica runs, and how it reaches the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaLinks {
    /// What it runs.
    pub protocol: Protocol,
    /// A link to every other replica, in the order of their numbers.
    pub peers: Vec<PeerLink>,
}

/// The link from one replica to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLink {
    /// The other one.
    pub peer: ReplicaId,
    /// The connection's estimate of the round trip; absent while they are not connected.
    pub round_trip: Option<Duration>,
}
