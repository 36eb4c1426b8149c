//! A protocol as a value: a handle to its facts.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use crate::Facts;

/// A protocol: a handle to its [`Facts`]. Two handles are equal if they have one name.
/// [`registry::all`](crate::registry::all) gives their order.
#[derive(Clone, Copy)]
pub struct Protocol(&'static Facts);

impl Protocol {
    /// The protocol of these facts.
    pub const fn new(facts: &'static Facts) -> Self {
        Self(facts)
    }

    /// Its facts.
    pub const fn facts(self) -> &'static Facts {
        self.0
    }

    /// The name used on the command line, in files and in results.
    pub const fn name(self) -> &'static str {
        self.0.name
    }
}

impl Deref for Protocol {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        self.0
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0) || self.name() == other.name()
    }
}

impl Eq for Protocol {}

impl Hash for Protocol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// `a, b or c`.
pub fn either(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_in_words() {
        assert_eq!(either(&["a", "b", "c"]), "a, b or c");
        assert_eq!((either(&["a"]), either(&[])), ("a".to_owned(), String::new()));
    }
}
