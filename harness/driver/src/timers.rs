//! The running timers of one core: few at a time, so a plain list.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// The timers that run, each name at most once.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    running: Vec<(T, Instant)>,
    random: SmallRng,
}

impl<T: Copy + Eq> Timers<T> {
    /// No timers; draws come from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { running: Vec::new(), random: SmallRng::seed_from_u64(seed) }
    }

    /// Runs `timer` (again), to run out at a time drawn from `after`, counted from `now`.
    pub(crate) fn set(&mut self, timer: T, now: Instant, after: RangeInclusive<Duration>) {
        let deadline = now + self.random.random_range(after);
        match self.running.iter_mut().find(|(other, _)| *other == timer) {
            Some((_, present)) => *present = deadline,
            None => self.running.push((timer, deadline)),
        }
    }

    /// Stops `timer`, if it runs.
    pub(crate) fn cancel(&mut self, timer: T) {
        self.running.retain(|(other, _)| *other != timer);
    }

    /// When the next timer runs out.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().map(|(_, deadline)| *deadline).min()
    }

    /// Takes out the timer that ran out first, if one has by `now`.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<T> {
        let (position, (_, deadline)) =
            self.running.iter().enumerate().min_by_key(|(_, (_, deadline))| *deadline)?;
        (*deadline <= now).then(|| self.running.swap_remove(position).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn timers_expire_in_order_and_once() {
        let (mut timers, start) = (Timers::new(1), Instant::now());
        timers.set('b', start, 20 * MS..=20 * MS);
        timers.set('a', start, 10 * MS..=10 * MS);
        assert_eq!(timers.next_deadline(), Some(start + 10 * MS));
        assert_eq!(timers.expired(start + 9 * MS), None);
        assert_eq!(timers.expired(start + 30 * MS), Some('a'));
        assert_eq!(timers.expired(start + 30 * MS), Some('b'));
        assert_eq!(timers.expired(start + 30 * MS), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn setting_again_replaces_and_cancelling_stops() {
        let (mut timers, start) = (Timers::new(1), Instant::now());
        timers.set('a', start, 10 * MS..=10 * MS);
        timers.set('a', start, 50 * MS..=50 * MS);
        assert_eq!(timers.expired(start + 49 * MS), None);
        timers.cancel('a');
        assert_eq!(timers.expired(start + 100 * MS), None);
    }

    #[test]
    fn draws_stay_inside_the_range_and_differ() {
        let (mut timers, start) = (Timers::new(7), Instant::now());
        let draws: std::collections::BTreeSet<_> = (0..100)
            .map(|_| {
                timers.set('a', start, 10 * MS..=20 * MS);
                timers.next_deadline().unwrap() - start
            })
            .collect();
        assert!(draws.iter().all(|draw| (10 * MS..=20 * MS).contains(draw)));
        assert!(draws.len() > 50);
    }
}
