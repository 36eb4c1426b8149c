//! Paxos' own option.

use crate::{
    Protocol,
    options::{InFiles, OptionFacts, OptionKind, Setting},
};

/// Declared in the order of their places.
pub(super) const OPTIONS: [OptionFacts; 1] = [OptionFacts {
    key: "window",
    about: "how many slots a proposer works on at once",
    kind: OptionKind::Number { least: 1, most: 1_000 },
    default: 1,
    files: InFiles::Absent,
    fixed: None,
    hostile: &[1, 2, 3],
}];

/// How many slots a proposer works on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(pub u32);

impl Setting for Window {
    const PROTOCOL: Protocol = super::PROTOCOL;
    const PLACE: usize = 0;

    fn from_number(number: Option<u32>) -> Self {
        Self(number.unwrap_or(1))
    }

    fn to_number(self) -> u32 {
        self.0
    }
}
