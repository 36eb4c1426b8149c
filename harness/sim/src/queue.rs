//! What will happen, by time. Ties are broken by the order in which events were scheduled.

/// Simulated time, in nanoseconds from the start of the run.
pub(crate) type Nanos = u64;

/// Bits of a key that say where in the slab its event lies, and bits that say how many were scheduled before it.
const PLACE_BITS: u32 = 24;
const NUMBER_BITS: u32 = 40;
/// Children of a node: four keys lie in one cache line, and the heap is half as deep as a binary one.
const CHILDREN: usize = 4;

/// Scheduled events: a heap of keys, and the events in a slab where they lie still however large they are. A key is
/// the time, then the number of the event in the order of scheduling, then its place in the slab, as one number: one
/// comparison decides.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: Vec<u128>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    scheduled: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), slab: Vec::new(), free: Vec::new(), scheduled: 0 }
    }

    /// Schedules `event` at `at`.
    pub(crate) fn push(&mut self, at: Nanos, event: T) {
        let place = if let Some(place) = self.free.pop() {
            self.slab[place as usize] = Some(event);
            place
        } else {
            self.slab.push(Some(event));
            let place = u32::try_from(self.slab.len() - 1).unwrap_or(u32::MAX);
            assert!(place < 1 << PLACE_BITS, "more than 2^{PLACE_BITS} events are scheduled");
            place
        };
        assert!(self.scheduled < 1 << NUMBER_BITS, "more than 2^{NUMBER_BITS} events");
        let order = self.scheduled << PLACE_BITS | u64::from(place);
        self.scheduled += 1;
        self.heap.push(u128::from(at) << 64 | u128::from(order));
        self.sift_up();
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Nanos> {
        self.heap.first().map(|key| time_of(*key))
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(Nanos, T)> {
        let last = self.heap.pop()?;
        let first = if self.heap.is_empty() { last } else { self.sift_down(last) };
        let place = place_of(first);
        self.free.push(place);
        let event = self.slab[place as usize].take().expect("each key has its event");
        Some((time_of(first), event))
    }

    /// Moves the key at the end to where it belongs.
    fn sift_up(&mut self) {
        let heap = &mut self.heap[..];
        let mut hole = heap.len() - 1;
        let key = heap[hole];
        while hole > 0 {
            let parent = (hole - 1) / CHILDREN;
            if heap[parent] <= key {
                break;
            }
            heap[hole] = heap[parent];
            hole = parent;
        }
        heap[hole] = key;
    }

    /// Takes the first key out and puts `key` where it belongs.
    fn sift_down(&mut self, key: u128) -> u128 {
        let heap = &mut self.heap[..];
        let first = heap[0];
        let mut hole = 0;
        loop {
            let children = CHILDREN * hole + 1;
            let Some(left) = heap.get(children..).filter(|left| !left.is_empty()) else { break };
            let mut least = 0;
            for child in 1..left.len().min(CHILDREN) {
                if left[child] < left[least] {
                    least = child;
                }
            }
            if left[least] >= key {
                break;
            }
            heap[hole] = left[least];
            hole = children + least;
        }
        heap[hole] = key;
        first
    }
}

const fn time_of(key: u128) -> Nanos {
    (key >> 64) as Nanos
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest bits of the key")]
const fn place_of(key: u128) -> u32 {
    key as u32 & ((1 << PLACE_BITS) - 1)
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
        assert_eq!(queue.next_at(), Some(3));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(3, 'd'), (5, 'a'), (5, 'c'), (5, 'e')]);
    }

    /// Against a sorted list, with times that collide and a queue that grows and shrinks.
    #[test]
    fn a_long_mixture_comes_out_sorted() {
        let (mut queue, mut plain, mut state) = (Queue::new(), Vec::new(), 1u64);
        let mut now = 0;
        for number in 0..5_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = now + (state >> 33) % 50;
            queue.push(at, number);
            plain.push((at, number));
            if (state >> 20).is_multiple_of(3) {
                plain.sort_unstable();
                let next = plain.remove(0);
                assert_eq!(queue.pop(), Some(next));
                now = next.0;
            }
        }
        plain.sort_unstable();
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), plain);
    }
}
