//! How far a run has come, which tells one that stands still from one that takes its time.

use crate::queue::Nanos;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) proposals: u64,
    pub(crate) decisions: u64,
    /// When a client last had an answer or gave up, or something asked for was decided.
    pub(crate) last_at: Nanos,
}

impl Progress {
    /// Something was decided at `now`. That is progress unless it is one more than was asked for:
    /// endless decisions are no way to rest.
    pub(crate) const fn decided(&mut self, now: Nanos) {
        self.decisions += 1;
        if self.decisions <= self.proposals {
            self.last_at = now;
        }
    }
}
