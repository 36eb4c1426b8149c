//! Batches of a replica's clients that are not decided yet, in order, each to be found by its bytes.

use std::collections::VecDeque;

use crate::{
    command::Batch,
    key_map::{KeyHash, KeyMap, key_hash},
};

/// The name of a batch: the hash of its bytes. That of a large batch is worth being worked out
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(KeyHash);

/// Some batches, by their names.
#[derive(Default)]
pub(crate) struct Names(KeyMap<()>);

impl Names {
    /// Is a batch of this name among them?
    pub(crate) fn contains(&self, name: Name) -> bool {
        self.0.get(name.0).is_some()
    }
}

impl<'b> FromIterator<&'b Batch> for Names {
    fn from_iter<I: IntoIterator<Item = &'b Batch>>(batches: I) -> Self {
        let mut names = KeyMap::default();
        batches.into_iter().for_each(|batch| names.insert(Name::of(batch).0, ()));
        Self(names)
    }
}

impl Name {
    /// That of `batch`.
    pub(crate) fn of(batch: &Batch) -> Self {
        Self(key_hash(batch.as_bytes()))
    }
}

/// A queue of different batches. Two batches of one name would be taken for one, which costs a
/// client's retry and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct BatchQueue {
    /// None where a batch was taken out and one before it was not.
    batches: VecDeque<Option<Place>>,
    /// The number of the first of `batches`. Numbers ascend along the queue.
    base: i64,
    numbers: KeyMap<i64>,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    name: Name,
    batch: Batch,
}

impl BatchQueue {
    /// Adds `batch`, of this name, behind the others; false if it is here already.
    pub(crate) fn push_back(&mut self, name: Name, batch: Batch) -> bool {
        let added = self.insert(name, &batch, self.end());
        if added {
            self.batches.push_back(Some(Place { name, batch }));
        }
        added
    }

    /// Puts `batch`, of this name, before the others; false if it is here already.
    pub(crate) fn push_front(&mut self, name: Name, batch: Batch) -> bool {
        let added = self.insert(name, &batch, self.base - 1);
        if added {
            self.base -= 1;
            self.batches.push_front(Some(Place { name, batch }));
        }
        added
    }

    /// Takes the first batch out.
    pub(crate) fn pop_front(&mut self) -> Option<Batch> {
        let Place { name, batch } = self.batches.pop_front()??;
        self.base += 1;
        self.bytes -= batch.weight();
        self.numbers.remove(name.0);
        self.trim();
        Some(batch)
    }

    /// Takes the batch of this name out, wherever it is; its number, if it was here.
    pub(crate) fn remove(&mut self, name: Name) -> Option<i64> {
        let number = self.numbers.remove(name.0)?;
        let position = usize::try_from(number - self.base).expect("within the queue");
        let removed = self.batches[position].take().expect("it has a number");
        self.bytes -= removed.batch.weight();
        self.trim();
        Some(number)
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

    /// The batches with their numbers and names, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, Name, &Batch)> {
        let numbered = (self.base..).zip(&self.batches);
        numbered.filter_map(|(number, place)| {
            let place = place.as_ref()?;
            Some((number, place.name, &place.batch))
        })
    }

    fn insert(&mut self, name: Name, batch: &Batch, number: i64) -> bool {
        let mut is_new = false;
        self.numbers.get_or_insert_with(name.0, || {
            is_new = true;
            number
        });
        if is_new {
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
                    assert_eq!(queue.push_back(Name::of(&of), of.clone()), is_new);
                    list.extend(is_new.then_some(of));
                }
                1 => {
                    assert_eq!(queue.push_front(Name::of(&of), of.clone()), is_new);
                    if is_new {
                        list.insert(0, of);
                    }
                }
                2 => {
                    assert_eq!(queue.remove(Name::of(&of)).is_some(), !is_new);
                    list.retain(|other| *other != of);
                }
                _ => {
                    let first = (!list.is_empty()).then(|| list.remove(0));
                    assert_eq!(queue.pop_front(), first);
                }
            }
            assert!(queue.iter().map(|(.., batch)| batch).eq(&list));
            assert!(queue.iter().all(|(_, name, batch)| name == Name::of(batch)));
            assert!(queue.iter().map(|(number, ..)| number).is_sorted());
            assert_eq!((queue.len(), queue.is_empty()), (list.len(), list.is_empty()));
            assert_eq!(queue.bytes(), list.iter().map(Batch::weight).sum::<u64>());
        }
    }
}
