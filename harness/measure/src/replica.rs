//! What a replica says about itself: its load, its commit and execution latencies, and digests of its state.
//!
//! A report travels from the replica's process to the driver as bytes (it is plain serde data). Counters only grow; the
//! measured interval is the difference of two reports, [`ReplicaReport::since`].

use serde::{Deserialize, Serialize};

use crate::{
    histogram::DecodeError, network::NetworkReport, population::Population, series::Series,
};

/// A replica's part in its protocol, as the replica itself sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders commands for all.
    Leader,
    /// Follows a leader.
    Follower,
    /// The protocol has no leader.
    #[default]
    Peer,
}

/// Counts since the replica started. Peer traffic is counted per protocol message, not per packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaCounters {
    /// Messages received from other replicas.
    pub messages_in: u64,
    /// Messages sent to other replicas, one per receiver.
    pub messages_out: u64,
    /// Bytes of the messages received from other replicas.
    pub bytes_in: u64,
    /// Bytes of the messages sent to other replicas, one count per receiver.
    pub bytes_out: u64,
    /// Requests received from clients.
    pub client_requests: u64,
    /// Replies sent to clients.
    pub client_replies: u64,
    /// Commands this replica proposed as their leader.
    pub commands_led: u64,
    /// Commands this replica executed.
    pub commands_executed: u64,
    /// Steps taken to find the order of execution: one for each row that an executed instance's
    /// dependencies name, which is N an instance; 0 where slots are the order.
    pub ordering_steps: u64,
    /// Own instances committed on the fast path.
    pub commits_fast: u64,
    /// Own instances committed on the slow path (or the only path there is).
    pub commits_slow: u64,
    /// Instances committed by recovery.
    pub commits_recovered: u64,
    /// The largest strongly connected component executed, in commands; since the start, not per interval.
    pub component_commands_max: u64,
    /// The longest input queue seen; since the start, not per interval.
    pub queue_depth_max: u64,
    /// Sum of the input queue's length over all looks at it.
    pub queue_depth_sum: u64,
    /// How often the input queue was looked at.
    pub queue_depth_samples: u64,
    /// The most bytes that the core held at any look: log, what waits, snapshots; since the start,
    /// not per interval.
    pub held_bytes_max: u64,
    /// The most bytes that waited to be sent to peers and clients; since the start, too.
    pub queued_bytes_max: u64,
    /// Records handed over to be made durable; none with durability "memory".
    pub records_written: u64,
    /// Their bytes.
    pub record_bytes_written: u64,
    /// The writes that they were grouped into, each of them one sync where durability is "fsync".
    pub writes: u64,
}

/// Digests of a replica at rest. Opaque: equal or not is all that is asked of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDigest {
    /// Digest of the key-value state.
    pub state: u64,
    /// Digest of the order in which conflicting commands were executed.
    pub order: u64,
}

/// Everything a replica reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// Which replica, counted from 0; also its site.
    pub replica: u32,
    /// Leader, follower, or neither.
    pub role: Role,
    /// Counts since the start.
    pub counters: ReplicaCounters,
    /// CPU time of the process since its start, in nanoseconds; `None` where it is not known.
    pub cpu_ns: Option<u64>,
    /// Resident memory in bytes now; `None` where it is not known.
    pub rss_bytes: Option<u64>,
    /// The most resident memory in bytes since the process' start; `None` where it is not known.
    pub rss_bytes_max: Option<u64>,
    /// From a request entering this replica in the measured time to its commit here, which may come later. What is not
    /// committed is censored at the moment of the report.
    pub commit: Population,
    /// From the same requests entering this replica to their execution here.
    pub execute: Population,
    /// Both over time, since the replica was told to begin measuring.
    pub series: Series,
    /// Digests of the state, meaningful when the cluster is at rest.
    pub digest: StateDigest,
    /// What was done on purpose to what it sent, and to itself.
    pub network: NetworkReport,
}

impl ReplicaCounters {
    /// The counts between `earlier` and now. Maxima cannot be subtracted and stay as they are.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: u64, then: u64| now.saturating_sub(then);
        Self {
            messages_in: less(self.messages_in, earlier.messages_in),
            messages_out: less(self.messages_out, earlier.messages_out),
            bytes_in: less(self.bytes_in, earlier.bytes_in),
            bytes_out: less(self.bytes_out, earlier.bytes_out),
            client_requests: less(self.client_requests, earlier.client_requests),
            client_replies: less(self.client_replies, earlier.client_replies),
            commands_led: less(self.commands_led, earlier.commands_led),
            commands_executed: less(self.commands_executed, earlier.commands_executed),
            ordering_steps: less(self.ordering_steps, earlier.ordering_steps),
            commits_fast: less(self.commits_fast, earlier.commits_fast),
            commits_slow: less(self.commits_slow, earlier.commits_slow),
            commits_recovered: less(self.commits_recovered, earlier.commits_recovered),
            component_commands_max: self.component_commands_max,
            queue_depth_max: self.queue_depth_max,
            queue_depth_sum: less(self.queue_depth_sum, earlier.queue_depth_sum),
            queue_depth_samples: less(self.queue_depth_samples, earlier.queue_depth_samples),
            held_bytes_max: self.held_bytes_max,
            queued_bytes_max: self.queued_bytes_max,
            records_written: less(self.records_written, earlier.records_written),
            record_bytes_written: less(self.record_bytes_written, earlier.record_bytes_written),
            writes: less(self.writes, earlier.writes),
        }
    }

    /// Mean length of the input queue; `None` if it was never looked at.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
    pub fn queue_depth_mean(&self) -> Option<f64> {
        (self.queue_depth_samples > 0)
            .then(|| self.queue_depth_sum as f64 / self.queue_depth_samples as f64)
    }

    /// Mean number of records in one write; `None` if nothing was written.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
    pub fn records_per_write(&self) -> Option<f64> {
        (self.writes > 0).then(|| self.records_written as f64 / self.writes as f64)
    }
}

impl ReplicaReport {
    /// What happened between `earlier` and now, for the same process of the same replica.
    ///
    /// # Errors
    /// If `earlier` is not an older report of this process (it was restarted in between, say).
    pub fn since(&self, earlier: &Self) -> Result<Self, DecodeError> {
        let mut report = self.clone();
        report.counters = self.counters.since(&earlier.counters);
        report.cpu_ns = self.cpu_ns.zip(earlier.cpu_ns).map(|(now, then)| now.saturating_sub(then));
        report.commit.subtract(&earlier.commit)?;
        report.execute.subtract(&earlier.execute)?;
        report.network = self.network.since(&earlier.network);
        Ok(report)
    }
}

/// Whether all replicas hold the same state and executed conflicting commands in the same order; `None` when there
/// are fewer than two to compare.
pub fn agreement(digests: &[StateDigest]) -> Option<bool> {
    (digests.len() >= 2).then(|| digests.windows(2).all(|pair| pair[0] == pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_the_difference_of_two_reports() {
        let mut report = ReplicaReport { cpu_ns: Some(5), ..ReplicaReport::default() };
        report.counters.messages_in = 10;
        report.counters.queue_depth_max = 7;
        report.commit.record_ns(1_000);
        let earlier = report.clone();
        report.counters.messages_in = 25;
        report.cpu_ns = Some(9);
        report.commit.record_ns(2_000);
        let interval = report.since(&earlier).unwrap();
        assert_eq!(interval.counters.messages_in, 15);
        assert_eq!(interval.counters.queue_depth_max, 7);
        assert_eq!(interval.cpu_ns, Some(4));
        assert_eq!(interval.commit.len(), 1);
        assert!(earlier.since(&report).is_err(), "an older report holds fewer samples");
    }

    #[test]
    fn a_report_travels_as_bytes() {
        let mut report = ReplicaReport { replica: 2, role: Role::Leader, ..Default::default() };
        report.execute.record_ns(123_456);
        let bytes = postcard::to_stdvec(&report).unwrap();
        assert_eq!(postcard::from_bytes::<ReplicaReport>(&bytes).unwrap(), report);
    }

    #[test]
    fn agreement_needs_two_equal_digests_at_least() {
        let a = StateDigest { state: 1, order: 2 };
        let other_order = StateDigest { state: 1, order: 3 };
        assert_eq!(agreement(&[a]), None);
        assert_eq!(agreement(&[a, a, a]), Some(true));
        assert_eq!(agreement(&[a, a, other_order]), Some(false));
    }
}
