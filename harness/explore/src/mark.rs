//! What has happened somewhere in an exploration, lest it pass because nothing interesting was
//! reached.

use std::sync::atomic::{AtomicU32, Ordering};

use protocols::explored::{Mark, Marks};

/// What an exploration has reached so far, noted by whichever thread gets there.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    seen: AtomicU32,
    told: AtomicU32,
}

impl Reached {
    /// Notes `marks`. Nearly always they are known, and nothing is written.
    pub(crate) fn note(&self, marks: Marks) {
        if self.seen.load(Ordering::Relaxed) & marks.bits() != marks.bits() {
            self.seen.fetch_or(marks.bits(), Ordering::Relaxed);
        }
    }

    /// Has `mark` been reached?
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.seen.load(Ordering::Relaxed) & Marks::only(mark).bits() != 0
    }

    /// Has `mark` been reached, and not been told yet? True once: the checker writes down a path
    /// for every state for which it is told so.
    pub(crate) fn is_news(&self, mark: Mark) -> bool {
        self.has(mark)
            && self.told.load(Ordering::Relaxed) & Marks::only(mark).bits() == 0
            && self.told.fetch_or(Marks::only(mark).bits(), Ordering::Relaxed)
                & Marks::only(mark).bits()
                == 0
    }

    /// All that was reached.
    pub(crate) fn all(&self) -> Marks {
        Marks::from_bits(self.seen.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_news_once() {
        let (reached, own) = (Reached::default(), Mark::Own(3));
        assert!(!reached.is_news(own));
        reached.note(Marks::only(own));
        assert!(reached.is_news(own));
        assert!(!reached.is_news(own));
        assert!(reached.has(own) && !reached.has(Mark::Fast));
    }
}
