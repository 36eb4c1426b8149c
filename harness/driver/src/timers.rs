//! The running timers of one core: few at a time, so a plain list.

use std::{ops::RangeInclusive, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Nanos;

/// The timers that run, each name at most once.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    running: Vec<(T, Nanos)>,
    /// When the first of them runs out: it is asked for far more often than it changes.
    next: Option<Nanos>,
    random: ChaCha8Rng,
}

impl<T: Copy + Eq> Timers<T> {
    /// No timers; draws come from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { running: Vec::new(), next: None, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Runs `timer` (again), to run out at a time drawn from `after`, counted from `now`.
    pub(crate) fn set(&mut self, timer: T, now: Nanos, after: RangeInclusive<Duration>) {
        let [least, most] = [after.start(), after.end()].map(|bound| {
            Nanos::try_from(bound.as_nanos()).expect("timeouts are shorter than centuries")
        });
        let deadline = now.saturating_add(self.random.random_range(least..=most));
        match self.running.iter_mut().find(|(other, _)| *other == timer) {
            Some((_, present)) => *present = deadline,
            None => self.running.push((timer, deadline)),
        }
        self.find_next();
    }

    /// Stops `timer`, if it runs.
    pub(crate) fn cancel(&mut self, timer: T) {
        self.running.retain(|(other, _)| *other != timer);
        self.find_next();
    }

    /// When the next timer runs out.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        self.next
    }

    /// Takes out the timer that ran out first, if one has by `now`.
    pub(crate) fn expired(&mut self, now: Nanos) -> Option<T> {
        let first = self.next.filter(|deadline| *deadline <= now)?;
        let position = self.running.iter().position(|(_, deadline)| *deadline == first)?;
        let (timer, _) = self.running.swap_remove(position);
        self.find_next();
        Some(timer)
    }

    fn find_next(&mut self) {
        self.next = self.running.iter().map(|(_, deadline)| *deadline).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MS_NS: Nanos = 1_000_000;

    #[test]
    fn timers_expire_in_order_and_once() {
        let (mut timers, start) = (Timers::new(1), 1_000 * MS_NS);
        timers.set('b', start, 20 * MS..=20 * MS);
        timers.set('a', start, 10 * MS..=10 * MS);
        assert_eq!(timers.next_deadline(), Some(start + 10 * MS_NS));
        assert_eq!(timers.expired(start + 9 * MS_NS), None);
        assert_eq!(timers.expired(start + 30 * MS_NS), Some('a'));
        assert_eq!(timers.expired(start + 30 * MS_NS), Some('b'));
        assert_eq!(timers.expired(start + 30 * MS_NS), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn setting_again_replaces_and_cancelling_stops() {
        let (mut timers, start) = (Timers::new(1), 1_000 * MS_NS);
        timers.set('a', start, 10 * MS..=10 * MS);
        timers.set('a', start, 50 * MS..=50 * MS);
        assert_eq!(timers.expired(start + 49 * MS_NS), None);
        timers.cancel('a');
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.expired(start + 100 * MS_NS), None);
    }

    #[test]
    fn draws_stay_inside_the_range_and_differ() {
        let (mut timers, start) = (Timers::new(7), 1_000 * MS_NS);
        let draws: std::collections::BTreeSet<_> = (0..100)
            .map(|_| {
                timers.set('a', start, 10 * MS..=20 * MS);
                timers.next_deadline().unwrap() - start
            })
            .collect();
        assert!(draws.iter().all(|draw| (10 * MS_NS..=20 * MS_NS).contains(draw)));
        assert!(draws.len() > 50);
    }
}
