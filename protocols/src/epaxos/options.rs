//! EPaxos' own options.
//!
//! | key | default | values |
//! |---|---|---|
//! | `epaxos.variant` | `"star"` | `"star"`, `"sosp13"` |
//! | `epaxos.fast_quorum` ⇄ | `"optimized"`; `"simple"` with `"sosp13"` | `"optimized"`, `"simple"`; only the latter with `"sosp13"` |
//!
//! ⇄ may be an array and is then swept.

use std::{fmt, str::FromStr};

use super::quorums::EpaxosQuorums;
use crate::{
    Config, Protocol,
    options::{Choice, Fixed, InFiles, OptionFacts, OptionKind, Options, Setting, VARIANT},
};

/// Declared in the order of their places.
pub(super) const OPTIONS: [OptionFacts; 2] = [
    OptionFacts {
        key: VARIANT,
        about: "which EPaxos",
        kind: OptionKind::Choice(&[
            Choice { name: Variant::Star.name(), about: "the corrected protocol" },
            Choice { name: Variant::Sosp13.name(), about: "the published one" },
        ]),
        default: 0,
        files: InFiles::One,
        fixed: None,
        hostile: &[],
    },
    OptionFacts {
        key: "fast_quorum",
        about: "how many matching replies a fast path needs",
        kind: OptionKind::Choice(&[
            Choice {
                name: FastQuorum::Optimized.name(),
                about: "the smallest that recovery allows",
            },
            Choice { name: FastQuorum::Simple.name(), about: "2F" },
        ]),
        default: 0,
        files: InFiles::Swept,
        fixed: Some(fixed_fast_quorum_kind),
        hostile: &[],
    },
];

/// The published variant has the simple one.
fn fixed_fast_quorum_kind(options: &Options) -> Option<Fixed> {
    let remedy = "goes with variant = \"star\" only: \"sosp13\" has the simple one: remove it";
    (options.of::<Variant>() == Variant::Sosp13)
        .then(|| Fixed { value: FastQuorum::Simple.to_number(), remedy })
}

/// Which EPaxos is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The corrected protocol with validated recovery (STAR).
    #[default]
    Star,
    /// The published protocol with its basic recovery and two ballots (S13).
    Sosp13,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Star, Self::Sosp13];

    /// The name in files, options and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Star => "star",
            Self::Sosp13 => "sosp13",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variant {
    type Err = UnknownVariant;

    fn from_str(text: &str) -> Result<Self, UnknownVariant> {
        Self::ALL.into_iter().find(|variant| variant.name() == text).ok_or(UnknownVariant)
    }
}

/// No variant of EPaxos has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVariant;

impl fmt::Display for UnknownVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown variant: use star or sosp13")
    }
}

impl std::error::Error for UnknownVariant {}

impl Setting for Variant {
    const PROTOCOL: Protocol = super::PROTOCOL;
    const PLACE: usize = 0;

    fn from_number(number: Option<u32>) -> Self {
        match number {
            Some(1) => Self::Sosp13,
            _ => Self::Star,
        }
    }

    fn to_number(self) -> u32 {
        self as u32
    }
}

/// How many matching replies a fast path needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FastQuorum {
    /// F+⌊(F+1)/2⌋, the smallest that recovery allows.
    #[default]
    Optimized,
    /// 2F.
    Simple,
}

impl FastQuorum {
    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimized => "optimized",
            Self::Simple => "simple",
        }
    }
}

impl Setting for FastQuorum {
    const PROTOCOL: Protocol = super::PROTOCOL;
    const PLACE: usize = 1;

    fn from_number(number: Option<u32>) -> Self {
        match number {
            Some(1) => Self::Simple,
            _ => Self::Optimized,
        }
    }

    fn to_number(self) -> u32 {
        self as u32
    }
}

/// The fast quorum that replicas with these options take: the published variant has the simple one,
/// whatever is said.
pub fn fast_quorum_of(options: &Options) -> FastQuorum {
    match options.of::<Variant>() {
        Variant::Star => options.of::<FastQuorum>(),
        Variant::Sosp13 => FastQuorum::Simple,
    }
}

/// The quorums of a cluster of this configuration.
pub fn quorums_of(config: &Config) -> EpaxosQuorums {
    EpaxosQuorums::new(config.replicas, fast_quorum_of(&config.options))
}

/// What the votes of a cluster are counted by. The published variant's records and fast quorums are
/// its own: what is in the directory of the one is no past of the other.
pub(super) fn votes(config: &Config) -> &'static str {
    match config.options.of::<Variant>() {
        Variant::Star => config.options.of::<FastQuorum>().name(),
        Variant::Sosp13 => "fixed-by-sosp13",
    }
}

/// How many others a replica sends its PreAccepts to, if not to all: in the published variant 2F−1,
/// which are its fixed fast quorum with itself. (S13 §4.3.1, "thrifty" in §6.1)
pub(super) fn nearest(config: &Config) -> Option<usize> {
    let quorums = quorums_of(config);
    (config.options.of::<Variant>() == Variant::Sosp13).then(|| quorums.fast() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_as_they_are_declared() {
        for (place, number, name) in
            [(Variant::PLACE, 1, "sosp13"), (FastQuorum::PLACE, 1, "simple")]
        {
            assert_eq!(OPTIONS[place].name_of(number), Some(name));
        }
        for variant in Variant::ALL {
            let options = Options::default().with(variant);
            assert_eq!(options.of::<Variant>(), variant);
            assert_eq!(options.of::<FastQuorum>(), FastQuorum::Optimized, "the other is as it was");
        }
        let simple = Options::default().with(FastQuorum::Simple);
        assert_eq!((fast_quorum_of(&simple), simple.of()), (FastQuorum::Simple, Variant::Star));
        let published = Options::default().with(Variant::Sosp13);
        assert_eq!(fast_quorum_of(&published), FastQuorum::Simple);
    }
}
