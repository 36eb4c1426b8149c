//! The titles and looks of protocols, as the program that draws results tells them ([`know`]).
//!
//! Results hold names alone. A name that is not known is written as it is, and takes the next look
//! that is free.

use std::sync::{PoisonError, RwLock};

/// The title and the look of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in results.
    pub name: &'static str,
    /// Its name in prose.
    pub title: &'static str,
    /// The place of its look in every plot; none takes one that is free.
    pub look: Option<usize>,
    /// The variant that a reader takes for granted; none if there is one of it alone.
    pub usual_variant: Option<&'static str>,
}

static KNOWN: RwLock<Vec<Known>> = RwLock::new(Vec::new());

/// Makes these protocols known, and forgets those that were known before.
pub fn know(protocols: Vec<Known>) {
    *KNOWN.write().unwrap_or_else(PoisonError::into_inner) = protocols;
}

/// A protocol's name as it is written in prose.
pub fn display_name(protocol: &str) -> String {
    known(protocol, |known| known.title).unwrap_or(protocol).to_owned()
}

/// The place of a protocol's look in every plot, if it has one of its own.
pub(crate) fn look_of(protocol: &str) -> Option<usize> {
    known(protocol, |known| known.look).flatten()
}

/// How many looks, the first ones, are some protocol's own.
pub(crate) fn looks_taken() -> usize {
    let all = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter_map(|known| known.look).max().map_or(0, |last| last + 1)
}

/// The variant of a protocol that goes without saying.
pub(crate) fn usual_variant(protocol: &str) -> Option<&'static str> {
    known(protocol, |known| known.usual_variant).flatten()
}

fn known<T>(protocol: &str, of: impl FnOnce(&Known) -> T) -> Option<T> {
    let all = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    all.iter().find(|known| known.name == protocol).map(of)
}
