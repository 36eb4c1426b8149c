//! Counters that a core keeps for its observers and that take no part in what it is.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
};

/// A value that is watched and never decides anything: equal to every other and hashed to nothing, so that a model
/// checker sees two states as one when they behave as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed<T>(pub T);

impl<T> PartialEq for Observed<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Observed<T> {}

impl<T> Hash for Observed<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
