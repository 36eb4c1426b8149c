//! What a run that kept every rule leaves behind.

use measure::ReplicaCounters;

use crate::{coverage::Coverage, history::History};

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
    /// Bytes of the messages that were stepped, where bytes are counted.
    pub bytes_in: u64,
    /// Bytes of the messages sent, each receiver counted, where bytes are counted.
    pub bytes_out: u64,
    /// Requests that came from clients.
    pub requests: u64,
    /// Commands that clients were sent an answer to.
    pub replies: u64,
    /// Commands in the instances that this replica led to their commit.
    pub commands_led: u64,
    /// Commands executed.
    pub commands_executed: u64,
    /// Rows by which executed instances were put in order, as the core counts them.
    pub ordering_steps: u64,
    /// CPU time that the replica's work took, in nanoseconds.
    pub busy_ns: u64,
    /// The most inputs that were stepped together.
    pub queue_max: u64,
    /// The sum of the inputs over all drains.
    pub queue_sum: u64,
    /// How many drains there were.
    pub queue_looks: u64,
    /// The most instances executed as one component.
    pub longest_component: u64,
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

    /// These counts, with those that the replica's driver keeps.
    #[must_use]
    pub(crate) const fn with(self, driver: &ReplicaCounters) -> Self {
        Self {
            messages_in: driver.messages_in,
            messages_out: driver.messages_out,
            bytes_in: driver.bytes_in,
            bytes_out: driver.bytes_out,
            requests: driver.client_requests,
            replies: driver.client_replies,
            commands_led: driver.commands_led,
            commands_executed: driver.commands_executed,
            ordering_steps: driver.ordering_steps,
            queue_max: driver.queue_depth_max,
            queue_sum: driver.queue_depth_sum,
            queue_looks: driver.queue_depth_samples,
            longest_component: driver.component_commands_max,
            fast: driver.commits_fast,
            slow: driver.commits_slow,
            recovered: driver.commits_recovered,
            ..self
        }
    }
}

/// A run that kept every rule and came to rest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The simulated time at rest, in nanoseconds.
    pub simulated_ns: u64,
    /// How many events were delivered.
    pub events: u64,
    /// How often each rare thing happened.
    pub coverage: Coverage,
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
    /// The longest time without an answer, in nanoseconds, where progress is asked for while faults
    /// last; 0 otherwise.
    pub longest_stretch_ns: u64,
    /// What the clients did and saw.
    pub history: History,
    /// The last events, oldest first; none unless the run was a replay.
    pub trace: Vec<String>,
}
