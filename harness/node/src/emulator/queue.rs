//! What is under way: each thing leaves when it is due, and those that are due at once in the order in which they came.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

/// Things under way, bounded in bytes.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: BinaryHeap<Waiting<T>>,
    sequence: u64,
    bytes: usize,
    bytes_max: usize,
}

/// One thing under way.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) due: Instant,
    sequence: u64,
    /// When it came.
    pub(super) since: Instant,
    bytes: usize,
    pub(super) item: T,
}

impl<T> Queue<T> {
    /// Nothing is under way, and at most so much may be.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { waiting: BinaryHeap::new(), sequence: 0, bytes: 0, bytes_max }
    }

    /// Takes something in that came at `now` and is due `after`. Returns false if there is no room for it.
    pub(super) fn push(&mut self, now: Instant, after: Duration, bytes: usize, item: T) -> bool {
        if self.bytes + bytes > self.bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.sequence += 1;
        let sequence = self.sequence;
        self.waiting.push(Waiting { due: now + after, sequence, since: now, bytes, item });
        true
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|waiting| waiting.due)
    }

    /// The next thing, if it is due by `now`; it stays.
    pub(super) fn peek_due(&self, now: Instant) -> Option<&Waiting<T>> {
        self.waiting.peek().filter(|waiting| waiting.due <= now)
    }

    /// Takes the next thing out, if it is due by `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Waiting<T>> {
        self.peek_due(now)?;
        let waiting = self.waiting.pop()?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> Waiting<T> {
    /// The delay that was planned.
    pub(super) fn planned(&self) -> Duration {
        self.due - self.since
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The one that is due first is the greatest, as the heap wants it.
impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_leaves_first_and_room_is_bounded() {
        let (mut queue, now) = (Queue::new(100), Instant::now());
        let ms = Duration::from_millis;
        assert!(queue.push(now, ms(5), 40, 'c') && queue.push(now, ms(2), 30, 'a'));
        assert!(queue.push(now, ms(2), 30, 'b') && !queue.push(now, ms(1), 1, 'x'));
        assert_eq!(queue.next_due(), Some(now + ms(2)));
        assert!(queue.pop_due(now + ms(1)).is_none());
        let mut out = Vec::new();
        while let Some(waiting) = queue.pop_due(now + ms(2)) {
            out.push((waiting.item, waiting.planned()));
        }
        assert_eq!(out, [('a', ms(2)), ('b', ms(2))]);
        assert!(queue.push(now, ms(1), 60, 'd'), "there is room again");
        assert_eq!(queue.pop_due(now + ms(9)).map(|waiting| waiting.item), Some('d'));
        assert_eq!(queue.pop_due(now + ms(9)).map(|waiting| waiting.item), Some('c'));
        assert!(queue.is_empty());
    }
}
