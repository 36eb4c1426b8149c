//! What a core must be told before it starts. Everything here but [`Config::thrifty`] is the same on all replicas of a
//! cluster.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    id::{ReplicaId, ReplicaSet},
    quorum::EpaxosQuorums,
};

/// Which EPaxos is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The corrected protocol with validated recovery (STAR).
    #[default]
    Star,
    /// The published protocol with its basic recovery and two ballots (S13).
    Sosp13,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Star, Self::Sosp13];

    /// The name in files, options and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Star => "star",
            Self::Sosp13 => "sosp13",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variant {
    type Err = UnknownVariant;

    fn from_str(text: &str) -> Result<Self, UnknownVariant> {
        Self::ALL.into_iter().find(|variant| variant.name() == text).ok_or(UnknownVariant)
    }
}

/// No variant of EPaxos has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVariant;

impl fmt::Display for UnknownVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown variant: use star or sosp13")
    }
}

impl std::error::Error for UnknownVariant {}

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
    /// EPaxos: which fast quorum; the published variant has the simple one, whatever is said here.
    pub fast_quorum: FastQuorum,
    /// EPaxos, published variant: whom this replica sends its PreAccepts to, 2F−1 others, which are its fixed fast quorum with
    /// itself. It is the replica's own and may change from one life to the next: nobody else needs to know it. None: those
    /// whose numbers come next ([`fixed_fast_quorum`](crate::quorum::fixed_fast_quorum)).
    #[serde(default)]
    pub thrifty: Option<ReplicaSet>,
    /// How many executed instances (per row) are kept for a replica that has not executed them; beyond it they are
    /// collected all the same once a majority has executed that many more, and that replica catches up by snapshot.
    pub kept_slots_max: u64,
    /// The largest piece of a snapshot or of a promise that is put into one message, in bytes of payload.
    pub piece_bytes_max: usize,
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
            thrifty: None,
            // chosen: over half a second of silence at 100,000 commands per second and row; at about 500 bytes an EPaxos
            // instance (log and graph; the other protocols' are smaller) it is 32 MiB a row.
            kept_slots_max: 1 << 16,
            // chosen: far below the frame limit of 16 MiB, far above a packet.
            piece_bytes_max: 1 << 20,
        }
    }

    /// EPaxos' quorums.
    pub fn epaxos_quorums(&self) -> EpaxosQuorums {
        let kind = match self.variant {
            Variant::Star => self.fast_quorum,
            Variant::Sosp13 => FastQuorum::Simple,
        };
        EpaxosQuorums::new(self.replicas, kind)
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
