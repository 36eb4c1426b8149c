//! The open requests of one kind, by their number.

use std::collections::VecDeque;

use super::Open;

/// Requests of one kind, reads or writes, in the order of their numbers, which are dense from 1.
///
/// **Invariant.** The front slot is open, unless there is none. So `first` is the lowest open
/// number, or the next one to be given out.
#[derive(Debug)]
pub(super) struct Ring<T> {
    first: u64,
    /// From number `first` on; none where a request is closed.
    slots: VecDeque<Option<Open<T>>>,
}

impl<T> Ring<T> {
    pub(super) const fn new() -> Self {
        Self { first: 1, slots: VecDeque::new() }
    }

    /// The lowest open number; the next one to be given out if none is open.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// How many numbers there are from the lowest open one to the highest given out.
    pub(super) fn span(&self) -> usize {
        self.slots.len()
    }

    /// Adds a request; returns its number.
    pub(super) fn push(&mut self, open: Open<T>) -> u64 {
        self.slots.push_back(Some(open));
        self.first + self.slots.len() as u64 - 1
    }

    /// The open request with this number.
    pub(super) fn get(&self, index: u64) -> Option<&Open<T>> {
        self.slots.get(self.offset(index)?)?.as_ref()
    }

    /// The open request with this number.
    pub(super) fn get_mut(&mut self, index: u64) -> Option<&mut Open<T>> {
        let offset = self.offset(index)?;
        self.slots.get_mut(offset)?.as_mut()
    }

    /// Takes a request out; none if it is not open.
    pub(super) fn take(&mut self, index: u64) -> Option<Open<T>> {
        let offset = self.offset(index)?;
        let taken = self.slots.get_mut(offset)?.take()?;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(taken)
    }

    /// The open requests in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Open<T>)> {
        let numbered = (self.first..).zip(&self.slots);
        numbered.filter_map(|(index, slot)| slot.as_ref().map(|open| (index, open)))
    }

    fn offset(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first)?).ok()
    }

    /// How many requests it holds without another allocation.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}
