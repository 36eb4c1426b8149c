//! What travels in frames, beside the protocols' own messages and batches.
//!
//! | stream of | first frame | then, from the dialing side | then, from the accepting side |
//! |---|---|---|---|
//! | a replica | [`PeerHello`], answered with one | protocol messages | protocol messages |
//! | a client | [`ClientHello`] | batches in their wire form | [`Reply`] |
//! | an operator | [`ClientHello`] | [`ControlRequest`] | [`ControlReply`], one each, in order |

use std::time::Duration;

use measure::ReplicaReport;
use protocols::{
    ClientId, Outcome, Protocol, ReplicaId, RequestNumber, Status,
    kv::{Digest, KeyDigest},
};
use serde::{Deserialize, Serialize};

use crate::{emulator::NetworkChange, storage::Durability};

/// What a replica says first. Both sides must be of one mind about the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHello {
    /// Who speaks; the certificate must say the same.
    pub from: ReplicaId,
    /// What it runs.
    pub protocol: Protocol,
    /// How many replicas it believes there are.
    pub replicas: u64,
    /// Which beginning of that replica it is: see [`crate::storage`].
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

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The session.
    pub client: ClientId,
    /// The request within the session.
    pub number: RequestNumber,
    /// What it came to, or why it was not taken on.
    pub answer: Result<Outcome, Refusal>,
}

/// Why a request was not taken on. This replica has not ordered it; another that was asked before may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There are as many sessions as a replica admits, and this client has none of them; or its own holds as many results
    /// and gaps as one may.
    SessionsFull,
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

/// How things stand at one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Does the replica believe whoever comes? What it says is then worth as much.
    pub is_insecure: bool,
    /// Which beginning of the replica this is.
    pub incarnation: u64,
    /// The core, seen from outside.
    pub core: Status,
    /// What the key-value state is compared by.
    pub digest: Digest,
    /// Instances whose commit this replica saw.
    pub commits: u64,
    /// A sum over those commits of a hash of instance, batch and dependencies: equal at two replicas only if they
    /// decided alike, given that they saw the same commits (neither installed a snapshot).
    pub commit_digest: u64,
    /// Commands executed since the start, no-ops not counted.
    pub executed: u64,
    /// Requests of clients that are not answered yet.
    pub pending: u64,
    /// Peers that are connected.
    pub peers_connected: u64,
    /// Messages dropped because their receiver was not connected or did not take them.
    pub messages_dropped: u64,
    /// Resident memory in bytes; absent where the host does not tell.
    pub rss_bytes: Option<u64>,
    /// What is kept on disk.
    pub storage: StorageStatus,
}

/// What a replica keeps on disk, and what it came back with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// What its records outlive.
    pub durability: Durability,
    /// Bytes of the log behind the last snapshot.
    pub log_bytes: u64,
    /// Bytes of that snapshot; 0 if there is none.
    pub snapshot_bytes: u64,
    /// Records written since the process started.
    pub records_written: u64,
    /// The writes that they were grouped into, each of them one sync where durability is "fsync".
    pub writes: u64,
    /// Snapshots written since then.
    pub snapshots_written: u64,
    /// Records replayed when the process started.
    pub records_replayed: u64,
    /// How long it took then to read what was there and to become the replica that had recorded it.
    pub recovery: Duration,
}
