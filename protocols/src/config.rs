//! What a core must be told before it starts. Everything here is the same on all replicas of a cluster.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ReplicaId;

/// Which EPaxos is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The corrected protocol with validated recovery (STAR).
    #[default]
    Star,
}

/// How many matching replies an EPaxos fast path needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FastQuorum {
    /// F+⌊(F+1)/2⌋, the smallest that recovery allows.
    #[default]
    Optimized,
    /// 2F.
    Simple,
}

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
    /// Before a silent Multi-Paxos leader is replaced; followers draw from one to two times this.
    pub election: Duration,
    /// Before an EPaxos instance that stays uncommitted is recovered by a replica other than its own.
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
    /// The replica that takes Multi-Paxos' leadership when the cluster starts.
    pub first_leader: ReplicaId,
    /// Timer ranges are derived from these.
    pub timeouts: Timeouts,
    /// What the driver proposes at once.
    #[serde(default)]
    pub batching: Batching,
    /// Paxos: how many slots a proposer works on at once.
    pub paxos_window: usize,
    /// EPaxos: which variant.
    pub variant: Variant,
    /// EPaxos: which fast quorum.
    pub fast_quorum: FastQuorum,
    /// How many executed instances (per row) are kept for a replica that has not executed them; beyond it they are
    /// collected all the same once a majority has executed that many more, and that replica catches up by snapshot.
    pub kept_slots_max: u64,
    /// The largest piece of a snapshot or of a promise that is put into one message, in bytes of payload.
    pub piece_bytes_max: usize,
    /// The mistake that every core makes, for tests of the tests.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::mutant::Mutant>,
}

impl Config {
    /// The defaults for a cluster of `replicas`.
    pub fn new(replicas: usize) -> Self {
        Self {
            replicas,
            first_leader: ReplicaId(0),
            timeouts: Timeouts::default(),
            batching: Batching::default(),
            paxos_window: 1,
            variant: Variant::default(),
            fast_quorum: FastQuorum::default(),
            // chosen: over half a second of silence at 100,000 commands per second and row; at about 500 bytes an EPaxos
            // instance (log and graph; the other protocols' are smaller) it is 32 MiB a row.
            kept_slots_max: 1 << 16,
            // chosen: far below the frame limit of 16 MiB, far above a packet.
            piece_bytes_max: 1 << 20,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
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
