//! How often each rare thing happened in a run: a test is worth what it has tried.

use std::ops::AddAssign;

/// The table: variant, name, and what happened.
macro_rules! rarities {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// A thing that happens in some runs and that a soak must have tried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rare {
            $(#[doc = $meaning] $variant,)*
        }

        impl Rare {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            const COUNT: usize = Self::ALL.len();

            /// The name in tables and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What happened.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

rarities! {
    FastCommit "fast commits" "An instance was committed in one round trip."
    SlowCommit "slow commits" "An instance was committed in the ordinary way."
    RecoveredCommit "recovered commits" "A replica finished an instance that another had begun."
    LearnedCommit "learned commits" "A replica learned a commit from another."
    Takeover "takeovers" "A leader was elected, or a ballot above the first was led."
    SnapshotCaptured "states captured" "A replica captured its state, for another or for a checkpoint."
    SnapshotInstalled "snapshots installed" "A replica took over the state of another."
    CrowdedOut "collected by bytes" "A replica dropped an instance that not all had executed, since what it kept had too many bytes."
    Checkpoint "checkpoints" "A replica's log was replaced by a snapshot of its own."
    CheckpointAmidInstall "checkpoints amid an install" "A replica took a checkpoint while a state that it took over then was on its way."
    ReadForgotten "reads forgotten" "A pending read was dropped, since its replica took over a state."
    WriteSettled "writes settled by an install" "A pending write was answered from a state that was taken over."
    RetryAnswered "retries answered" "A retry was answered from the session table."
    RetryJoined "retries joined" "A retry met its request still pending."
    SessionMoved "sessions moved" "A client sent again, to another replica."
    GivenUp "submissions given up" "A client gave up."
    CrashWhileWriting "crashes while writing" "A replica crashed with something on its way to the disk."
    CrashWhileSending "crashes while sending" "A replica crashed when some of what a turn put out had left."
    SectorLost "sectors lost" "A crash left a sector as it was before a write that was not synced."
    RenameUndone "names undone" "A crash undid a change of names that was not synced."
    TornTail "torn tails" "A life began with a log whose last write was not whole, and cut it."
    LifeFromSnapshot "lives from a snapshot" "A life began with a snapshot."
    LifeFromRecords "lives from records" "A life began with records and no snapshot."
    DiskFailed "failed disks" "A replica ended because its disk did not take what must be durable."
    BitFlipped "bits flipped" "A bit flipped in what was durable."
    LogRefused "logs refused" "A replica stayed out, since its data were not as they had been written."
}

/// Counts of rare things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage([u64; Rare::COUNT]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; Rare::COUNT])
    }
}

impl Coverage {
    /// It happened so many times more.
    pub(crate) fn add(&mut self, rare: Rare, times: u64) {
        self.0[rare as usize] += times;
    }

    /// How often it happened.
    pub const fn of(&self, rare: Rare) -> u64 {
        self.0[rare as usize]
    }

    /// All counts, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Rare, u64)> {
        Rare::ALL.iter().copied().zip(self.0)
    }
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        for (own, others) in self.0.iter_mut().zip(other.0) {
            *own += others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rare_thing_has_a_place_and_a_name_of_its_own() {
        let mut coverage = Coverage::default();
        for (times, rare) in (1..).zip(Rare::ALL) {
            coverage.add(*rare, times);
        }
        coverage += coverage;
        for (times, (rare, count)) in (1..).zip(coverage.iter()) {
            assert_eq!((count, coverage.of(rare)), (2 * times, 2 * times));
        }
        let mut names: Vec<_> = Rare::ALL.iter().map(|rare| rare.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rare::ALL.len());
        assert!(Rare::ALL.iter().all(|rare| rare.meaning().ends_with('.')));
    }
}
