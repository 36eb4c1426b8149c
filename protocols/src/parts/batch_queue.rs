//! Batches of a replica's clients that are not decided yet, in order, each to be found by its bytes.

use std::collections::VecDeque;

use crate::{
    command::Batch,
    key_map::{KeyMap, key_hash},
};

/// A queue of different batches. They are found by the hash of their bytes: two batches of one hash would be taken for one,
/// which costs a client's retry and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct BatchQueue {
    /// None where a batch was taken out and one before it was not.
    batches: VecDeque<Option<Batch>>,
    /// The number of the first of `batches`. Numbers ascend along the queue.
    base: i64,
    numbers: KeyMap<i64>,
    bytes: u64,
}

impl BatchQueue {
    /// Adds `batch` behind the others; false if it is here already.
    pub(crate) fn push_back(&mut self, batch: Batch) -> bool {
        let end = self.end();
        let added = self.insert(&batch, end);
        if added {
            self.batches.push_back(Some(batch));
        }
        added
    }

    /// Puts `batch` before the others; false if it is here already.
    pub(crate) fn push_front(&mut self, batch: Batch) -> bool {
        let added = self.insert(&batch, self.base - 1);
        if added {
            self.base -= 1;
            self.batches.push_front(Some(batch));
        }
        added
    }

    /// Takes the first batch out.
    pub(crate) fn pop_front(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()??;
        self.base += 1;
        self.bytes -= batch.weight();
        self.numbers.remove(key_hash(batch.as_bytes()));
        self.trim();
        Some(batch)
    }

    /// Takes `batch` out, wherever it is; its number, if it was here.
    pub(crate) fn remove(&mut self, batch: &Batch) -> Option<i64> {
        // Most queues are empty most of the time.
        if self.is_empty() {
            return None;
        }
        let number = self.numbers.remove(key_hash(batch.as_bytes()))?;
        let position = usize::try_from(number - self.base).expect("within the queue");
        let removed = self.batches[position].take().expect("it has a number");
        self.bytes -= removed.weight();
        self.trim();
        Some(number)
    }

    /// Is `batch` here?
    pub(crate) fn contains(&self, batch: &Batch) -> bool {
        !self.is_empty() && self.numbers.get(key_hash(batch.as_bytes())).is_some()
    }

    /// How many batches there are.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// What they take in memory, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number that the next batch will have.
    pub(crate) fn end(&self) -> i64 {
        self.base + i64::try_from(self.batches.len()).expect("a queue fits into memory")
    }

    /// The batches with their numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Batch)> {
        let numbered = (self.base..).zip(&self.batches);
        numbered.filter_map(|(number, batch)| Some((number, batch.as_ref()?)))
    }

    fn insert(&mut self, batch: &Batch, number: i64) -> bool {
        let hash = key_hash(batch.as_bytes());
        let is_new = self.numbers.get(hash).is_none();
        if is_new {
            self.numbers.insert(hash, number);
            self.bytes += batch.weight();
        }
        is_new
    }

    /// Restores that the first place holds a batch.
    fn trim(&mut self) {
        while let Some(None) = self.batches.front() {
            self.batches.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::numbered as batch;

    /// Against a plain list, over many orders of operations.
    #[test]
    fn it_is_a_list_without_repetitions() {
        let (mut queue, mut list) = (BatchQueue::default(), Vec::new());
        let mut state = 1u64;
        for _ in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (what, of) = (state >> 60, batch(1 + (state >> 33) % 12));
            let is_new = !list.contains(&of);
            match what % 4 {
                0 => {
                    assert_eq!(queue.push_back(of.clone()), is_new);
                    list.extend(is_new.then_some(of));
                }
                1 => {
                    assert_eq!(queue.push_front(of.clone()), is_new);
                    if is_new {
                        list.insert(0, of);
                    }
                }
                2 => {
                    assert_eq!(queue.remove(&of).is_some(), !is_new);
                    list.retain(|other| *other != of);
                }
                _ => {
                    let first = (!list.is_empty()).then(|| list.remove(0));
                    assert_eq!(queue.pop_front(), first);
                }
            }
            let other = batch(1 + what % 12);
            assert_eq!(queue.contains(&other), list.contains(&other));
            assert!(queue.iter().map(|(_, batch)| batch).eq(&list));
            assert!(queue.iter().map(|(number, _)| number).is_sorted());
            assert_eq!((queue.len(), queue.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(queue.bytes(), list.iter().map(Batch::weight).sum::<u64>());
        }
    }
}
