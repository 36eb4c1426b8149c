//! What will happen, by time. Ties are broken by the order in which events were scheduled.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Simulated time, in nanoseconds from the start of the run.
pub(crate) type Nanos = u64;

/// Scheduled events. The heap holds small keys and the events lie still in a slab, so that sifting moves 24 bytes
/// however large a message is.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), scheduled: 0 }
    }

    /// Schedules `event` at `at`.
    pub(crate) fn push(&mut self, at: Nanos, event: T) {
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place as usize] = Some(event);
                place
            }
            None => {
                self.slab.push(Some(event));
                u32::try_from(self.slab.len() - 1).expect("fewer than 2^32 events are in flight")
            }
        };
        self.heap.push(Reverse((at, self.scheduled, place)));
        self.scheduled += 1;
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(Nanos, T)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        let event = self.slab[place as usize].take().expect("each key has its event");
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_scheduling() {
        let mut queue = Queue::new();
        for (at, name) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(at, name);
        }
        assert_eq!(queue.pop(), Some((3, 'b')));
        queue.push(5, 'e');
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(3, 'd'), (5, 'a'), (5, 'c'), (5, 'e')]);
    }
}
