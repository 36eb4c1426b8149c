//! The last events of a run, in words. Only a run that is known to fail is traced: words cost more than events.

use std::{collections::VecDeque, fmt};

use crate::queue::Nanos;

/// The last lines, at most so many.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
    lines_max: usize,
}

impl Trace {
    /// Keeps the last `lines_max` lines; none at 0.
    pub(crate) fn new(lines_max: usize) -> Self {
        Self { lines: VecDeque::new(), lines_max }
    }

    /// Adds what `text` says, if lines are kept at all.
    #[inline]
    pub(crate) fn add(&mut self, at: Nanos, text: impl FnOnce() -> String) {
        if self.lines_max == 0 {
            return;
        }
        if self.lines.len() == self.lines_max {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{} {}", Millis(at), text()));
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// A time in milliseconds, to the nanosecond.
pub(crate) struct Millis(pub(crate) Nanos);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
