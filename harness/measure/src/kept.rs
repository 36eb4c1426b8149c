//! Whether what was acknowledged is still there, once each, and how long replicas took that came back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::csv_row::CsvRow;

/// What became of the writes that clients were told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the replicas' records survive: memory, buffered or fsync.
    pub durability: String,
    /// Acknowledged writes that were looked for, at every replica that was compared.
    pub acknowledged: u64,
    /// Those of them that a replica lacks: the most of any replica.
    pub lost: u64,
    /// Writes that a replica applied although nobody asked for so many: the most of any replica.
    pub twice: u64,
    /// Replicas whose state is another than that of the first that is in the same state as the most.
    pub differing: u64,
}

/// A replica that was started again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recovery {
    /// Which, counted from 0.
    pub replica: u32,
    /// When it was started, seconds since the start of measuring.
    pub restarted_s: f64,
    /// From then until it was up, with its log replayed; none if it was killed before.
    pub up: Option<Duration>,
    /// From then until it answered a client; none if it did not in this life.
    pub first_reply: Option<Duration>,
}

/// A row of `kept.csv`: one run. Losses and duplicates stand here as figures; the verdict on them is the history's and the
/// replicas' agreement. Recovery is from a replica's restart to its first reply to a client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Kept` and `Recovery`; units are in the names")]
pub struct KeptRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub replicas: u32,
    pub durability: String,
    pub acknowledged_checked: u64,
    pub acknowledged_lost: u64,
    pub applied_twice: u64,
    pub differing_digests: u64,
    pub restarts: u64,
    pub up_ms_p50: Option<f64>,
    pub up_ms_p99: Option<f64>,
    pub recovery_ms_p50: Option<f64>,
    pub recovery_ms_p99: Option<f64>,
    pub recovery_ms_max: Option<f64>,
}

/// A row of `recoveries.csv`: one restart. A cell is empty if the replica was killed before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Recovery`; units are in the names")]
pub struct RecoveryRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub replicas: u32,
    pub replica: u32,
    pub restarted_s: f64,
    pub up_ms: Option<f64>,
    pub first_reply_ms: Option<f64>,
}

impl CsvRow for KeptRow {
    const FILE: &'static str = "kept.csv";
}
impl CsvRow for RecoveryRow {
    const FILE: &'static str = "recoveries.csv";
}
