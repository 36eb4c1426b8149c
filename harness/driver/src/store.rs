//! Where a replica's work goes that must be durable before anything that relies on it leaves.

use crate::storage::{StorageError, Work};

/// Takes work and says when it is durable.
pub trait Store {
    /// Is everything begun durable? If not, the caller is told when to ask again in the store's own
    /// way: a task is woken, an event comes.
    ///
    /// # Errors
    /// If it cannot be made durable. Then nothing may be released any more.
    fn is_idle(&mut self) -> Result<bool, StorageError>;

    /// Begins `work`. The one before must be done.
    fn begin(&mut self, work: Work);
}

/// The store of a replica that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn is_idle(&mut self) -> Result<bool, StorageError> {
        Ok(true)
    }

    fn begin(&mut self, _: Work) {
        unreachable!("a driver without a journal has no work for a store");
    }
}
