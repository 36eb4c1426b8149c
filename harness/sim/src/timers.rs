//! The running timers of one replica.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::queue::Nanos;

/// A timer that has an event in the queue. It may have been stopped or moved back since: then the event finds that out,
/// and a timer that is set again with every message costs no event each time.
#[derive(Clone, Copy, Debug)]
struct Running {
    token: u64,
    queued_at: Nanos,
    deadline: Option<Nanos>,
}

/// What a timer's event comes to when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The timer has run out.
    Due,
    /// The timer was set again: its event belongs there.
    Later(Nanos),
    /// The timer was stopped, replaced, or lost in a crash.
    Gone,
}

/// Timers by name. Tokens tell a timer's live event from those it has outlived; they are never used again, so that a
/// crash, which forgets all timers, leaves no event that could be taken for a later one.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    running: FxHashMap<T, Running>,
    tokens: u64,
}

impl<T: Copy + Eq + Hash> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { running: FxHashMap::default(), tokens: 0 }
    }

    /// Sets `timer` to run out at `deadline`. Returns the token of the event to be queued there, if one is needed.
    pub(crate) fn set(&mut self, timer: T, deadline: Nanos) -> Option<u64> {
        if let Some(running) = self.running.get_mut(&timer)
            && running.queued_at <= deadline
        {
            running.deadline = Some(deadline);
            return None;
        }
        self.tokens += 1;
        let token = self.tokens;
        self.running
            .insert(timer, Running { token, queued_at: deadline, deadline: Some(deadline) });
        Some(token)
    }

    /// Stops `timer`, if it runs.
    pub(crate) fn cancel(&mut self, timer: T) {
        if let Some(running) = self.running.get_mut(&timer) {
            running.deadline = None;
        }
    }

    /// Takes in that the event of `timer` with `token` has come.
    pub(crate) fn expire(&mut self, timer: T, token: u64, now: Nanos) -> Expiry {
        match self.running.get_mut(&timer) {
            Some(running) if running.token == token => match running.deadline {
                Some(deadline) if deadline > now => {
                    running.queued_at = deadline;
                    Expiry::Later(deadline)
                }
                deadline => {
                    self.running.remove(&timer);
                    if deadline.is_some() { Expiry::Due } else { Expiry::Gone }
                }
            },
            _ => Expiry::Gone,
        }
    }

    /// Forgets every timer.
    pub(crate) fn clear(&mut self) {
        self.running.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_back_runs_out_once_and_late() {
        let mut timers = Timers::new();
        let token = timers.set('t', 10).unwrap();
        assert_eq!(timers.set('t', 15), None, "the queued event will see to it");
        assert_eq!(timers.expire('t', token, 10), Expiry::Later(15));
        assert_eq!(timers.expire('t', token, 15), Expiry::Due);
        assert_eq!(timers.expire('t', token, 15), Expiry::Gone);
    }

    #[test]
    fn a_timer_brought_forward_outlives_its_first_event() {
        let mut timers = Timers::new();
        let old = timers.set('t', 10).unwrap();
        let new = timers.set('t', 4).unwrap();
        assert_eq!(timers.expire('t', new, 4), Expiry::Due);
        let again = timers.set('t', 20).unwrap();
        assert_eq!(timers.expire('t', old, 10), Expiry::Gone);
        assert_eq!(timers.expire('t', again, 20), Expiry::Due);
    }

    #[test]
    fn a_stopped_timer_does_not_run_out_until_it_is_set_again() {
        let mut timers = Timers::new();
        let token = timers.set('t', 10).unwrap();
        timers.cancel('t');
        assert_eq!(timers.set('t', 12), None);
        timers.cancel('t');
        assert_eq!(timers.expire('t', token, 10), Expiry::Gone);
        let token = timers.set('t', 30).unwrap();
        timers.clear();
        let other = timers.set('t', 31).unwrap();
        assert_eq!(timers.expire('t', token, 30), Expiry::Gone, "from before the crash");
        assert_eq!(timers.expire('t', other, 31), Expiry::Due);
    }
}
