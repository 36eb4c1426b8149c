//! What a run that kept every rule leaves behind.

use crate::history::History;

/// Latencies seen at one site, in nanoseconds, in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteLatencies {
    /// From a request's reaching its site's replica to that replica's knowing it committed.
    pub commit_ns: Vec<u64>,
    /// From a request's reaching its site's replica to that replica's executing it.
    pub execute_ns: Vec<u64>,
    /// From a client's sending a request to its having the answer, retries included.
    pub client_ns: Vec<u64>,
}

/// What one replica did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages from other replicas that were stepped.
    pub messages_in: u64,
    /// Messages to other replicas, each receiver counted.
    pub messages_out: u64,
    /// Instances committed here in one round trip.
    pub fast: u64,
    /// Instances committed here in the ordinary way.
    pub slow: u64,
    /// Instances begun by another and finished here.
    pub recovered: u64,
    /// Instances whose commit was learned from another.
    pub learned: u64,
    /// How often the replica crashed.
    pub crashes: u64,
    /// How many snapshots it installed.
    pub installs: u64,
}

impl Counters {
    /// Instances that this replica led to their commit.
    pub const fn led(&self) -> u64 {
        self.fast + self.slow + self.recovered
    }
}

/// A run that kept every rule and came to rest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The simulated time at rest, in nanoseconds.
    pub simulated_ns: u64,
    /// How many events were delivered.
    pub events: u64,
    /// A hash over every event delivered: when, to whom, what. Equal for equal scenarios.
    pub trace_hash: u64,
    /// How many commands were answered.
    pub operations: u64,
    /// By site.
    pub sites: Vec<SiteLatencies>,
    /// By replica.
    pub replicas: Vec<Counters>,
    /// The most instances that any replica executed as one component.
    pub longest_component: u64,
    /// What the clients did and saw.
    pub history: History,
    /// The last events, oldest first; none unless the run was a replay.
    pub trace: Vec<String>,
}
