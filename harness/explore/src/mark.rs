//! What must happen somewhere in an exploration, lest it pass because nothing interesting was reached.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// Something that happens in a step. A `sometimes` property is about steps and not about states: which of two ways led to a
/// state is not in the state, so a mark is noted when the step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// An instance committed after one round trip to a fast quorum.
    Fast,
    /// An instance committed in the ordinary way.
    Slow,
    /// A replica finished what another, or an earlier leadership, had begun.
    Recovered,
    /// A no-op was chosen.
    NoOp,
    /// Every replica is up and has applied every command.
    Everywhere,
    /// A request that had taken effect was executed again, without effect.
    Repeated,
    /// A replica crashed.
    Crashed,
    /// A replica crashed after some of a step's effects.
    Midway,
    /// A replica came back from what it had persisted.
    Restarted,
    /// A message was lost.
    Lost,
    /// A message arrived before one that was sent before it on the same link.
    Overtaken,
    /// A message was delivered twice.
    Duplicated,
    /// A snapshot was installed.
    Installed,
    /// A replica took a checkpoint.
    Checkpointed,
    /// A proposer met a higher ballot and gave way (Paxos).
    Preempted,
    /// A replica other than the first leader led (Multi-Paxos).
    LeaderChanged,
    /// A recovery asked its quorum whether a fast commit can have been (EPaxos).
    Validated,
    /// A recovery waited for others to be decided (EPaxos).
    Waited,
    /// Phase 1 was begun without a fast path (EPaxos' published variant).
    PhaseOneAgain,
}

impl Mark {
    /// Every mark, in the order in which reports list them.
    pub const ALL: [Self; 19] = [
        Self::Fast,
        Self::Slow,
        Self::Recovered,
        Self::NoOp,
        Self::Everywhere,
        Self::Repeated,
        Self::Crashed,
        Self::Midway,
        Self::Restarted,
        Self::Lost,
        Self::Overtaken,
        Self::Duplicated,
        Self::Installed,
        Self::Checkpointed,
        Self::Preempted,
        Self::LeaderChanged,
        Self::Validated,
        Self::Waited,
        Self::PhaseOneAgain,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast path taken",
            Self::Slow => "slow path taken",
            Self::Recovered => "recovered commit",
            Self::NoOp => "no-op chosen",
            Self::Everywhere => "every command executed everywhere",
            Self::Repeated => "repeated request without effect",
            Self::Crashed => "crashed",
            Self::Midway => "crashed midway in a step",
            Self::Restarted => "restarted",
            Self::Lost => "message lost",
            Self::Overtaken => "message overtaken",
            Self::Duplicated => "message duplicated",
            Self::Installed => "snapshot installed",
            Self::Checkpointed => "checkpoint taken",
            Self::Preempted => "preempted",
            Self::LeaderChanged => "leader changed",
            Self::Validated => "recovery validated",
            Self::Waited => "recovery waited",
            Self::PhaseOneAgain => "phase 1 begun again",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of marks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Marks(u32);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);

    /// Just `mark`.
    pub const fn only(mark: Mark) -> Self {
        Self(mark.bit())
    }

    /// Those and `mark`.
    #[must_use]
    pub const fn with(self, mark: Mark) -> Self {
        Self(self.0 | mark.bit())
    }

    /// Those in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Is `mark` in the set?
    pub const fn contains(self, mark: Mark) -> bool {
        self.0 & mark.bit() != 0
    }

    /// The marks in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(move |mark| self.contains(*mark))
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Self {
        marks.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What an exploration has reached so far, noted by whichever thread gets there.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    seen: AtomicU32,
    told: AtomicU32,
}

impl Reached {
    /// Notes `marks`. Nearly always they are known, and nothing is written.
    pub(crate) fn note(&self, marks: Marks) {
        if self.seen.load(Ordering::Relaxed) & marks.0 != marks.0 {
            self.seen.fetch_or(marks.0, Ordering::Relaxed);
        }
    }

    /// Has `mark` been reached?
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.seen.load(Ordering::Relaxed) & mark.bit() != 0
    }

    /// Has `mark` been reached, and not been told yet? True once: the checker writes down a path for every state for which
    /// it is told so.
    pub(crate) fn is_news(&self, mark: Mark) -> bool {
        self.has(mark)
            && self.told.load(Ordering::Relaxed) & mark.bit() == 0
            && self.told.fetch_or(mark.bit(), Ordering::Relaxed) & mark.bit() == 0
    }

    /// All that was reached.
    pub(crate) fn all(&self) -> Marks {
        Marks(self.seen.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_news_once() {
        let reached = Reached::default();
        assert!(!reached.is_news(Mark::Waited));
        reached.note(Marks::only(Mark::Waited));
        assert!(reached.is_news(Mark::Waited));
        assert!(!reached.is_news(Mark::Waited));
        assert!(reached.has(Mark::Waited) && !reached.has(Mark::Fast));
    }

    #[test]
    fn every_mark_has_a_bit_of_its_own() {
        let all: Marks = Mark::ALL.into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), Mark::ALL);
    }
}
