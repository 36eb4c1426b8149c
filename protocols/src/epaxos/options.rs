//! EPaxos' own options.
//!
//! | key | default | values |
//! |---|---|---|
//! | `epaxos.variant` | `"star"` | `"star"`, `"sosp13"` |
//! | `epaxos.execution` ⇄ | `"closed"` | `"closed"`, `"bounded"` |
//! | `epaxos.conflict_window` ⇄ | 0 | 0 to 1,000; 0 for none |
//! | `epaxos.fast_quorum` ⇄ | `"optimized"`; `"simple"` with `"sosp13"` | `"optimized"`, `"simple"`; only the latter with `"sosp13"` |
//!
//! ⇄ may be an array and is then swept.

use std::{fmt, num::NonZeroU32, str::FromStr};

use super::quorums::EpaxosQuorums;
use crate::{
    Config, Protocol,
    options::{Choice, Fixed, InFiles, OptionFacts, OptionKind, Options, Setting, VARIANT},
};

/// Declared in the order of their places.
pub(super) const OPTIONS: [OptionFacts; 4] = [
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
    OptionFacts {
        key: "execution",
        about: "which edges of the dependency graph execution follows",
        kind: OptionKind::Choice(&[
            Choice { name: Execution::Closed.name(), about: "all of them" },
            Choice {
                name: Execution::Bounded.name(),
                about: "of two that depend on each other one edge",
            },
        ]),
        default: 0,
        files: InFiles::Swept,
        fixed: None,
        hostile: &[0, 1, 1],
    },
    OptionFacts {
        key: "conflict_window",
        about: "how many own commands on a contended key are under way at once, 0 for any number",
        kind: OptionKind::Number { least: 0, most: 1_000 },
        default: 0,
        files: InFiles::Swept,
        fixed: None,
        hostile: &[0, 0, 1],
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

/// Which edges of the dependency graph execution follows (`graph`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Execution {
    /// All of them: a command waits for everything that its dependencies reach.
    #[default]
    Closed,
    /// Of two committed commands, each in the other's dependencies, only the edge from the higher
    /// key to the lower one.
    Bounded,
}

impl Execution {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Closed, Self::Bounded];

    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Bounded => "bounded",
        }
    }
}

impl Setting for Execution {
    const PROTOCOL: Protocol = super::PROTOCOL;
    const PLACE: usize = 2;

    fn from_number(number: Option<u32>) -> Self {
        match number {
            Some(1) => Self::Bounded,
            _ => Self::Closed,
        }
    }

    fn to_number(self) -> u32 {
        self as u32
    }
}

/// How many own commands on a contended key are under way at once (`window`); none for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConflictWindow(pub Option<NonZeroU32>);

impl ConflictWindow {
    /// A window of this many commands; 0 for any number.
    pub const fn of(commands: u32) -> Self {
        Self(NonZeroU32::new(commands))
    }
}

impl Setting for ConflictWindow {
    const PROTOCOL: Protocol = super::PROTOCOL;
    const PLACE: usize = 3;

    fn from_number(number: Option<u32>) -> Self {
        Self::of(number.unwrap_or(0))
    }

    fn to_number(self) -> u32 {
        self.0.map_or(0, NonZeroU32::get)
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

/// What the votes of a cluster are counted by, and by which rule its commands are ordered. The
/// published variant's records and fast quorums are its own: what is in the directory of the one is
/// no past of the other. Nor is a state that one rule of execution has led to one that the other
/// goes on from.
pub(super) fn votes(config: &Config) -> &'static str {
    let variant = config.options.of::<Variant>();
    let quorum = config.options.of::<FastQuorum>();
    match (config.options.of::<Execution>(), variant, quorum) {
        (Execution::Closed, Variant::Star, quorum) => quorum.name(),
        (Execution::Closed, Variant::Sosp13, _) => "fixed-by-sosp13",
        (Execution::Bounded, Variant::Star, FastQuorum::Optimized) => "optimized-bounded",
        (Execution::Bounded, Variant::Star, FastQuorum::Simple) => "simple-bounded",
        (Execution::Bounded, Variant::Sosp13, _) => "fixed-by-sosp13-bounded",
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
        for (place, number, name) in [
            (Variant::PLACE, 1, "sosp13"),
            (FastQuorum::PLACE, 1, "simple"),
            (Execution::PLACE, 1, "bounded"),
        ] {
            assert_eq!(OPTIONS[place].name_of(number), Some(name));
        }
        for variant in Variant::ALL {
            let options = Options::default().with(variant);
            assert_eq!(options.of::<Variant>(), variant);
            assert_eq!(options.of::<FastQuorum>(), FastQuorum::Optimized, "the other is as it was");
        }
        for execution in Execution::ALL {
            assert_eq!(Options::default().with(execution).of::<Execution>(), execution);
        }
        for window in [0, 1, 7] {
            let options = Options::default().with(ConflictWindow::of(window));
            assert_eq!(options.get(ConflictWindow::PLACE), Some(window));
            assert_eq!(options.of::<ConflictWindow>(), ConflictWindow::of(window));
        }
        assert_eq!(OPTIONS[ConflictWindow::PLACE].key, "conflict_window");
        let simple = Options::default().with(FastQuorum::Simple);
        assert_eq!((fast_quorum_of(&simple), simple.of()), (FastQuorum::Simple, Variant::Star));
        let published = Options::default().with(Variant::Sosp13);
        assert_eq!(fast_quorum_of(&published), FastQuorum::Simple);
    }

    /// A directory of one rule or variant must not be taken for one of another.
    #[test]
    fn what_may_not_change_over_a_clusters_life_has_words_of_its_own() {
        let mut words = Vec::new();
        for execution in Execution::ALL {
            for quorum in [FastQuorum::Optimized, FastQuorum::Simple] {
                let mut config = Config::new(3);
                config.options = Options::default().with(execution).with(quorum);
                words.push(votes(&config));
            }
            let mut config = Config::new(3);
            config.options = Options::default().with(execution).with(Variant::Sosp13);
            words.push(votes(&config));
        }
        assert_eq!(
            words[..3],
            ["optimized", "simple", "fixed-by-sosp13"],
            "as directories have it"
        );
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 6);
        let mut windowed = Config::new(3);
        windowed.options.put(ConflictWindow::of(1));
        assert_eq!(votes(&windowed), "optimized", "a replica may change its window");
    }
}
