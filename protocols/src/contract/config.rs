//! What a core must be told before it starts. Everything here but [`Config::nearest`] is the same
//! on all replicas of a cluster.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ReplicaId, ReplicaSet},
    options::{Options, Setting},
};

/// Whether a driver joins clients' commands before it proposes them ([`crate::gather`]); a core does not look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batching {
    /// How many commands a batch may have; with 1 nothing is joined, and every batch is one that a client sent.
    pub commands_max: usize,
    /// How long a command waits at most for others. At zero only what is there at the same time is joined.
    pub delay: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self { commands_max: 1, delay: Duration::ZERO }
    }
}

impl Batching {
    /// Is anything joined at all?
    pub const fn is_on(&self) -> bool {
        self.commands_max > 1
    }
}

/// How long a replica waits before it does something about silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timeouts {
    /// Before an unanswered message is sent again. Above the largest round trip, or every message is sent twice.
    pub retransmit: Duration,
    /// Before a silent leader is replaced; followers draw from one to two times this.
    pub election: Duration,
    /// Before an instance that stays uncommitted is recovered by a replica other than its own.
    pub recovery: Duration,
}

/// No timer runs longer than this, however often its range was doubled. chosen: a message that takes longer is lost for
/// all that anyone will ever wait.
const PERIOD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// `period`, doubled so many times; a day at most.
pub(crate) fn doubled(period: Duration, times: u32) -> Duration {
    let factor = 1u32.checked_shl(times).unwrap_or(u32::MAX);
    period.saturating_mul(factor).min(PERIOD_MAX.max(period))
}

impl Default for Timeouts {
    /// Fit for a local network: round trips below 50 ms.
    fn default() -> Self {
        Self {
            retransmit: Duration::from_millis(100),
            election: Duration::from_millis(500),
            recovery: Duration::from_millis(500),
        }
    }
}

/// The configuration of every core of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// N, odd.
    pub replicas: usize,
    /// The replica that leads when the cluster starts, where there is a stable leader.
    pub first_leader: ReplicaId,
    /// Timer ranges are derived from these.
    pub timeouts: Timeouts,
    /// What the driver proposes at once.
    #[serde(default)]
    pub batching: Batching,
    /// The protocol's own options.
    #[serde(default)]
    pub options: Options,
    /// The others whom this replica asks first, where its protocol asks the nearest ones first
    /// ([`Facts::nearest`](crate::Facts::nearest) says how many). The set is the replica's own and
    /// may change from one life to the next: nobody else needs to know it. None: those whose
    /// numbers come next.
    #[serde(default)]
    pub nearest: Option<ReplicaSet>,
    /// How many executed instances (per row) are kept for a replica that has not executed them; beyond it they are
    /// collected all the same once a majority has executed that many more, and that replica catches up by snapshot.
    pub kept_slots_max: u64,
    /// How many bytes of executed instances are kept for such a replica, all rows together; beyond
    /// it the oldest are collected as they are beyond that many slots, whichever comes first. One
    /// instance a row may be kept beside it.
    #[serde(default = "kept_bytes_max")]
    pub kept_bytes_max: u64,
    /// The largest piece of a snapshot or of a promise that is put into one message, in bytes of payload.
    pub piece_bytes_max: usize,
    /// Other than 0 in simulations that are to meet what lies beyond the limits that a core has
    /// chosen for itself: smaller ones are drawn from it ([`Limit`](crate::Limit)).
    #[serde(default)]
    pub limits_seed: u64,
}

/// chosen: half of what a replica may keep for others, which is 256 MiB unless somebody says so.
const fn kept_bytes_max() -> u64 {
    128 << 20
}

impl Config {
    /// The defaults for a cluster of `replicas`.
    pub fn new(replicas: usize) -> Self {
        Self {
            replicas,
            first_leader: ReplicaId(0),
            timeouts: Timeouts::default(),
            batching: Batching::default(),
            options: Options::default(),
            nearest: None,
            // chosen: over half a second of silence at 100,000 commands per second and row; at
            // about 500 bytes, which is what the largest instances of any protocol here take (log
            // and graph), it is 32 MiB a row.
            kept_slots_max: 1 << 16,
            kept_bytes_max: kept_bytes_max(),
            // chosen: far below the frame limit of 16 MiB, far above a packet.
            piece_bytes_max: 1 << 20,
            limits_seed: 0,
        }
    }

    /// The same with one of the protocol's own options.
    #[must_use]
    pub fn with(mut self, setting: impl Setting) -> Self {
        self.options.put(setting);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_period_grows_up_to_a_day_and_never_overflows() {
        let period = Duration::from_millis(100);
        assert_eq!(doubled(period, 0), period);
        assert_eq!(doubled(period, 5), 32 * period);
        for times in [31, 32, u32::MAX] {
            assert_eq!(doubled(period, times), PERIOD_MAX);
        }
        assert_eq!(doubled(2 * PERIOD_MAX, 3), 2 * PERIOD_MAX, "what was asked for is granted");
    }
}
