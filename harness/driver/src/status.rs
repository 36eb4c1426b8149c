//! How a replica stands, for operators and for those that compare replicas.

use std::time::Duration;

use protocols::{Status, kv::Digest};
use serde::{Deserialize, Serialize};

use crate::storage::Durability;

/// How things stand at one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStatus {
    /// Does the replica verify nobody? Then nobody need believe it either.
    pub is_insecure: bool,
    /// Which beginning of the replica this is.
    pub incarnation: u64,
    /// The core, seen from outside.
    pub core: Status,
    /// What the key-value state is compared by.
    pub digest: Digest,
    /// Instances whose commit this replica saw.
    pub commits: u64,
    /// A sum over those commits of a hash of instance, batch and dependencies: equal at two
    /// replicas only if they decided alike, given that they saw the same commits (neither installed
    /// a snapshot).
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
    /// What is held for others beside the state.
    pub memory: MemoryStatus,
    /// What is kept on disk.
    pub storage: StorageStatus,
}

/// The memory that a replica takes for others, beside the key-value state. Its core's part is
/// [`Status::held_bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// It may hold so many bytes in all.
    pub budget_bytes: u64,
    /// Keys and values of clients' requests that are not answered; the core holds them.
    pub pending_bytes: u64,
    /// Bytes that wait to be sent to peers.
    pub to_peers_bytes: u64,
    /// Bytes that wait to be sent to clients.
    pub to_clients_bytes: u64,
}

impl ReplicaStatus {
    /// All that is held for others, in bytes.
    pub const fn held_bytes(&self) -> u64 {
        self.core.held_bytes + self.memory.to_peers_bytes + self.memory.to_clients_bytes
    }
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
