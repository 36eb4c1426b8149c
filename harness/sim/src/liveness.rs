//! Progress while faults last: what is asked for, and the longest time without it.
//!
//! A majority of replicas is healthy, and so are the links between them. Whatever is wrong with the
//! others stays wrong. A consensus protocol goes on then, and how long it may stand still does not
//! depend on how much it has to do. So the longest time without any answer is asked for as a
//! multiple of timeouts and round trips, whatever the load.

use protocols::ReplicaSet;

use crate::queue::Nanos;

/// What progress is asked for while faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressAsked {
    /// The replicas with which nothing is wrong, nor with the links between them. Clients of these
    /// must have answers.
    pub healthy: ReplicaSet,
    /// Until when clients of the other replicas ask for something, in nanoseconds. Whether they
    /// have answers is not watched.
    pub others_until_ns: u64,
    /// When the faults are there that last, and progress is watched from then on, in nanoseconds.
    pub from_ns: u64,
    /// Until when it is watched, in nanoseconds. The run ends then.
    pub until_ns: u64,
    /// The longest time in which clients wait and none has an answer, in nanoseconds. More breaks a
    /// rule.
    pub stretch_ns_max: u64,
    /// What that time should not exceed in 99 of 100 runs, in nanoseconds.
    pub stretch_ns_usual: u64,
}

/// The times in which clients waited and none had an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretches {
    /// What was before is not watched.
    from: Nanos,
    /// How many submissions are open.
    open: u64,
    /// When the last answer came, or the first of the open submissions was made after none was
    /// open.
    since: Nanos,
    longest: Nanos,
}

impl Stretches {
    /// None so far. They are watched from `from` on.
    pub(crate) const fn new(from: Nanos) -> Self {
        Self { from, open: 0, since: 0, longest: 0 }
    }

    /// A submission is made.
    pub(crate) const fn opened(&mut self, now: Nanos) {
        if self.open == 0 {
            self.since = now;
        }
        self.open += 1;
    }

    /// A client has an answer for the first time.
    pub(crate) fn answered(&mut self, now: Nanos) {
        self.end(now);
        self.since = now;
    }

    /// A submission has all its answers, or is given up.
    pub(crate) const fn closed(&mut self) {
        self.open -= 1;
    }

    /// Takes in the stretch under way as if it ended at `now`.
    pub(crate) fn end(&mut self, now: Nanos) {
        let under_way = self.began_at().map_or(0, |began| now.saturating_sub(began));
        self.longest = self.longest.max(under_way);
    }

    /// When the stretch under way began; none if nobody waits.
    pub(crate) fn began_at(&self) -> Option<Nanos> {
        (self.open > 0).then(|| self.since.max(self.from))
    }

    /// How many submissions are open.
    pub(crate) const fn open(&self) -> u64 {
        self.open
    }

    /// The longest that has ended.
    pub(crate) const fn longest_ns(&self) -> Nanos {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_lasts_from_answer_to_answer_while_somebody_waits() {
        let mut stretches = Stretches::new(100);
        assert_eq!(stretches.began_at(), None, "nobody waits");
        stretches.opened(10);
        stretches.opened(30);
        assert_eq!(stretches.began_at(), Some(100), "what was before does not count");
        stretches.answered(90);
        assert_eq!(stretches.longest_ns(), 0);
        stretches.closed();
        stretches.answered(140);
        stretches.closed();
        assert_eq!((stretches.longest_ns(), stretches.began_at()), (40, None));
        stretches.opened(500);
        assert_eq!(stretches.began_at(), Some(500), "nobody waited before");
        stretches.end(530);
        assert_eq!(stretches.longest_ns(), 40);
        stretches.end(550);
        assert_eq!((stretches.longest_ns(), stretches.open()), (50, 1));
    }
}
