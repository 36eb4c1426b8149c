//! The longest times in which nothing happened: no reply, no commit, no execution.
//!
//! Exact where buckets of 100 ms are not: a silence is kept with its beginning and end to the nanosecond. What is kept
//! is bounded all the same, since of the silences that end within one bucket only the longest is: two of 100 ms or more
//! cannot end there, so that none of those is ever lost.

use serde::{Deserialize, Serialize};

use crate::timeline::BUCKET_NS;

/// Chosen: ten minutes of buckets. What happens later is not kept; no workload measures for so long.
pub(crate) const BUCKETS_MAX: usize = 6_000;

/// A time in which nothing happened, in nanoseconds since the start of measuring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The last event before it, or the start of measuring.
    pub from_ns: u64,
    /// The first event after it, or the end of measuring.
    pub to_ns: u64,
}

/// The silences between the events of one kind, which are told in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silences {
    last_ns: u64,
    longest: Vec<Silence>,
}

impl Silence {
    /// How long it is, in nanoseconds.
    pub const fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

impl Silences {
    /// An event happened.
    pub fn mark(&mut self, at_ns: u64) {
        self.add(Silence { from_ns: self.last_ns, to_ns: at_ns });
        self.last_ns = self.last_ns.max(at_ns);
    }

    /// Something that was waited for from `from_ns` on came at `to_ns`: for waits, which overlap, instead of
    /// [`Silences::mark`].
    pub fn waited(&mut self, from_ns: u64, to_ns: u64) {
        self.add(Silence { from_ns, to_ns });
    }

    /// Every silence that was kept, in the order in which they ended.
    pub fn ended(&self) -> &[Silence] {
        &self.longest
    }

    /// The silence that is not over at `end_ns`, if there is one.
    pub fn open(&self, end_ns: u64) -> Option<Silence> {
        (self.last_ns < end_ns).then_some(Silence { from_ns: self.last_ns, to_ns: end_ns })
    }

    fn add(&mut self, silence: Silence) {
        let bucket = |silence: &Silence| silence.to_ns / BUCKET_NS;
        if let Some(last) = self.longest.last_mut()
            && bucket(last) >= bucket(&silence)
        {
            if silence.length_ns() > last.length_ns() {
                *last = silence;
            }
        } else if self.longest.len() < BUCKETS_MAX {
            self.longest.push(silence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn of(events_ms: &[u64]) -> Silences {
        let mut silences = Silences::default();
        events_ms.iter().for_each(|at_ms| silences.mark(at_ms * MS));
        silences
    }

    #[test]
    fn a_silence_is_exact_however_the_buckets_lie() {
        let silences = of(&[10, 20, 130, 140, 1_693, 1_694]);
        let longest = silences.ended().iter().max_by_key(|silence| silence.length_ns()).unwrap();
        assert_eq!((longest.from_ns, longest.to_ns), (140 * MS, 1_693 * MS));
        let lengths: Vec<u64> =
            silences.ended().iter().map(|silence| silence.length_ns() / MS).collect();
        assert_eq!(lengths, [10, 110, 1_553], "the longest that ended in each bucket");
    }

    #[test]
    fn the_last_silence_is_open() {
        assert_eq!(of(&[]).open(5), Some(Silence { from_ns: 0, to_ns: 5 }));
        assert_eq!(of(&[7]).open(9 * MS), Some(Silence { from_ns: 7 * MS, to_ns: 9 * MS }));
        assert_eq!(of(&[7]).open(7 * MS), None);
    }

    #[test]
    fn waits_overlap_and_the_longest_that_ends_in_a_bucket_stays() {
        let mut silences = Silences::default();
        silences.waited(90 * MS, 110 * MS);
        silences.waited(10 * MS, 120 * MS);
        silences.waited(119 * MS, 121 * MS);
        assert_eq!(silences.ended(), [Silence { from_ns: 10 * MS, to_ns: 120 * MS }]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut silences = Silences::default();
        for bucket in 0..BUCKETS_MAX as u64 + 10 {
            silences.mark(bucket * BUCKET_NS);
        }
        assert_eq!(silences.ended().len(), BUCKETS_MAX);
    }
}
