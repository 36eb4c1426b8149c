//! What goes wrong, and when.

use std::{fmt, ops::RangeInclusive};

use protocols::{ReplicaId, ReplicaSet};

use crate::{cost::NORMAL_PACE, trace::Millis};

/// One change for the worse, or back.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// From now on this share of messages is lost.
    Loss(f64),
    /// From now on this share of messages arrives twice.
    Duplicate(f64),
    /// From now on each message takes this much longer, drawn, in nanoseconds.
    Delay(RangeInclusive<u64>),
    /// Nothing passes between replicas of different sets any more; a replica in no set is cut off from nobody.
    Partition(Vec<ReplicaSet>),
    /// Nothing passes from the first set to the second any more; the other direction is as it was.
    OneWay(ReplicaSet, ReplicaSet),
    /// Every partition ends.
    Heal,
    /// The link from one replica to another holds back what is sent there in this time, in
    /// nanoseconds: it sets out when the time is over.
    Clog {
        /// The sender.
        from: ReplicaId,
        /// The receiver.
        to: ReplicaId,
        /// How long.
        for_ns: u64,
    },
    /// From now on this share of the messages from one replica to another is lost.
    LinkLoss {
        /// The sender.
        from: ReplicaId,
        /// The receiver.
        to: ReplicaId,
        /// The share, 0 to 1.
        share: f64,
    },
    /// From now on each message from one replica to another takes this much longer.
    LinkDelay {
        /// The sender.
        from: ReplicaId,
        /// The receiver.
        to: ReplicaId,
        /// How much, in nanoseconds.
        by_ns: u64,
    },
    /// The replica is gone, with everything that it had not made durable.
    Crash(ReplicaId),
    /// The replica crashes amid carrying out what its next step asks for: some of it is done, the rest is lost. Void
    /// once the replica has crashed otherwise or a [`Fault::Restart`] has come first.
    CrashMidway(ReplicaId),
    /// The replica's next sync fails: the replica ends, as in a crash.
    SyncFails(ReplicaId),
    /// The replica's disk takes so many bytes more and is full then: the replica ends when it needs
    /// more, as in a crash. There is room again when it restarts.
    DiskFull(ReplicaId, u64),
    /// The replica crashes, and a bit flips in what it had made durable: it may not come back.
    BitFlips(ReplicaId),
    /// A crashed replica comes back with what it had made durable; nothing if it has not crashed.
    Restart(ReplicaId),
    /// The replica does nothing until it is resumed; what arrives waits.
    Pause(ReplicaId),
    /// The replica goes on with what waited.
    Resume(ReplicaId),
    /// The replica takes a checkpoint, and forgets what was before it once that is durable; nothing if it is down. This
    /// breaks nothing, and mends nothing.
    Checkpoint(ReplicaId),
    /// From now on the replica's work takes so many thousandths of its usual CPU time. Nothing to a replica that works
    /// in no time.
    Slow(ReplicaId, u64),
}

impl Fault {
    /// Does it break nothing, but end what others have broken, if anything?
    pub fn mends(&self) -> bool {
        match self {
            Self::Loss(share) | Self::Duplicate(share) | Self::LinkLoss { share, .. } => {
                *share == 0.0
            }
            Self::Delay(range) => *range.end() == 0,
            Self::LinkDelay { by_ns, .. } => *by_ns == 0,
            Self::Slow(_, permille) => *permille == NORMAL_PACE,
            Self::Heal | Self::Restart(_) | Self::Resume(_) | Self::Checkpoint(_) => true,
            Self::Partition(_)
            | Self::OneWay(..)
            | Self::Clog { .. }
            | Self::Crash(_)
            | Self::CrashMidway(_)
            | Self::SyncFails(_)
            | Self::DiskFull(..)
            | Self::BitFlips(_)
            | Self::Pause(_) => false,
        }
    }

    /// Does `other` end what this breaks?
    fn is_mended_by(&self, other: &Self) -> bool {
        if self.mends() || !other.mends() {
            return false;
        }
        match (self, other) {
            (Self::Loss(_), Self::Loss(_))
            | (Self::Duplicate(_), Self::Duplicate(_))
            | (Self::Delay(_), Self::Delay(_))
            | (Self::Partition(_) | Self::OneWay(..), Self::Heal) => true,
            (
                Self::Crash(broken)
                | Self::CrashMidway(broken)
                | Self::SyncFails(broken)
                | Self::DiskFull(broken, _)
                | Self::BitFlips(broken),
                Self::Restart(mended),
            )
            | (Self::Pause(broken), Self::Resume(mended))
            | (Self::Slow(broken, _), Self::Slow(mended, _)) => broken == mended,
            (
                Self::LinkLoss { from, to, .. },
                Self::LinkLoss { from: sender, to: receiver, .. },
            )
            | (
                Self::LinkDelay { from, to, .. },
                Self::LinkDelay { from: sender, to: receiver, .. },
            ) => (from, to) == (sender, receiver),
            _ => false,
        }
    }

    /// What mends everything in a cluster of `replicas`.
    fn all_mends(replicas: usize) -> impl Iterator<Item = Self> {
        let network = [Self::Loss(0.0), Self::Duplicate(0.0), Self::Delay(0..=0), Self::Heal];
        let each = ReplicaId::all(replicas)
            .flat_map(|id| [Self::Resume(id), Self::Restart(id), Self::Slow(id, NORMAL_PACE)]);
        let pairs = move |from| ReplicaSet::others(from, replicas).iter().map(move |to| (from, to));
        let links = ReplicaId::all(replicas).flat_map(pairs).flat_map(|(from, to)| {
            [Self::LinkLoss { from, to, share: 0.0 }, Self::LinkDelay { from, to, by_ns: 0 }]
        });
        network.into_iter().chain(each).chain(links)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(share) => write!(f, "{:.1} % of messages are lost", share * 1e2),
            Self::Duplicate(share) => write!(f, "{:.1} % of messages arrive twice", share * 1e2),
            Self::Delay(range) if *range.end() == 0 => f.write_str("no extra delay"),
            Self::Delay(range) => {
                let (least, most) = (range.start() / 1_000_000, range.end() / 1_000_000);
                write!(f, "messages take {least} to {most} ms longer")
            }
            Self::Partition(sets) => {
                let sets: Vec<_> = sets.iter().map(|set| format!("{set:?}")).collect();
                write!(f, "nothing passes between {}", sets.join(" and "))
            }
            Self::OneWay(from, to) => write!(f, "nothing passes from {from:?} to {to:?}"),
            Self::Heal => f.write_str("partitions end"),
            Self::Clog { from, to, for_ns } => {
                let held_ms = for_ns.div_ceil(1_000_000);
                write!(f, "messages from {from} to {to} are held back for {held_ms} ms")
            }
            Self::LinkLoss { from, to, share } => {
                write!(f, "{:.1} % of messages from {from} to {to} are lost", share * 1e2)
            }
            Self::LinkDelay { from, to, by_ns } => {
                let late_ms = by_ns.div_ceil(1_000_000);
                write!(f, "messages from {from} to {to} take {late_ms} ms longer")
            }
            Self::Crash(replica) => write!(f, "{replica} crashes"),
            Self::CrashMidway(replica) => write!(f, "{replica} crashes amid its next step"),
            Self::SyncFails(replica) => write!(f, "{replica}'s next sync fails"),
            Self::DiskFull(replica, bytes) => {
                write!(f, "{replica}'s disk is full after {bytes} bytes more")
            }
            Self::BitFlips(replica) => {
                write!(f, "{replica} crashes, and a bit flips in what it had made durable")
            }
            Self::Restart(replica) => write!(f, "{replica} restarts if it has crashed"),
            Self::Pause(replica) => write!(f, "{replica} pauses"),
            Self::Resume(replica) => write!(f, "{replica} goes on"),
            Self::Checkpoint(replica) => write!(f, "{replica} takes a checkpoint"),
            Self::Slow(replica, NORMAL_PACE) => write!(f, "{replica} works at its usual pace"),
            Self::Slow(replica, permille) => {
                let (whole, rest) = (permille / NORMAL_PACE, permille % NORMAL_PACE);
                write!(f, "{replica} takes {whole}.{rest:03} times as long to work")
            }
        }
    }
}

/// Faults with their times in nanoseconds, ascending. What a plan breaks it has to mend, but for
/// replicas that it leaves dead, a minority at most: after its last fault the cluster must come to
/// rest. Where a scenario asks for progress while faults last ([`crate::Scenario::progress`]), its
/// plan mends nothing, and leaves a majority without faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan(pub Vec<(u64, Fault)>);

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// When the last fault happens; 0 if there is none.
    pub fn end_ns(&self) -> u64 {
        self.0.last().map_or(0, |(at, _)| *at)
    }

    /// Does a crashed replica come back?
    pub(crate) fn restarts(&self) -> bool {
        self.0.iter().any(|(_, fault)| matches!(fault, Fault::Restart(_)))
    }

    /// The replicas that crash and never come back.
    pub fn leaves_dead(&self) -> ReplicaSet {
        let mut dead = ReplicaSet::EMPTY;
        for (_, fault) in &self.0 {
            match fault {
                Fault::Crash(replica) => dead = dead.union(ReplicaSet::only(*replica)),
                Fault::Restart(replica) => dead = dead.difference(ReplicaSet::only(*replica)),
                _ => {}
            }
        }
        dead
    }

    /// How many faults there are, not counting what mends.
    pub fn breaking(&self) -> usize {
        self.0.iter().filter(|(_, fault)| !fault.mends()).count()
    }

    /// The plan whose last act, at `end_ns`, mends whatever `faults` break in a cluster of `replicas`.
    pub(crate) fn mended(faults: &[(u64, Fault)], end_ns: u64, replicas: usize) -> Self {
        let broken = |mend: &Fault| faults.iter().any(|(_, fault)| fault.is_mended_by(mend));
        let mends = Fault::all_mends(replicas).filter(broken).map(|mend| (end_ns, mend));
        Self(faults.iter().cloned().chain(mends).collect())
    }
}

impl fmt::Display for FaultPlan {
    /// A line for each fault: the time in milliseconds, and what happens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(at, fault)| writeln!(f, "{} {fault}", Millis(*at)))
    }
}
