//! Every protocol that this process knows, by name.
//!
//! The protocols of this crate have a line each. Another crate registers its own before anything is
//! parsed; from then on files, command lines and results know them by their names.

mod handle;

pub use self::handle::UnknownProtocol;

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

use crate::{Facts, Protocol, epaxos, explored::TIMER_KINDS_MAX, multi_paxos, options, paxos};

/// The protocols of this crate, in the order in which tables and plots list them. A protocol's
/// place is written into logs: new lines go to the end.
const BUILT_IN: [Protocol; 3] = [paxos::PROTOCOL, multi_paxos::PROTOCOL, epaxos::PROTOCOL];

/// The protocol that runs where a command names none.
pub const USUAL: Protocol = epaxos::PROTOCOL;

/// The protocols of other crates, in the order in which they were registered.
static REGISTERED: RwLock<Vec<Protocol>> = RwLock::new(Vec::new());

/// The most protocols that may be known, so that tables by protocol have a size. chosen: more than
/// one comparison shows.
pub const PROTOCOLS_MAX: usize = 32;

/// Why a protocol was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    /// Another protocol has this name.
    NameTaken(&'static str),
    /// The name is empty, or has other characters than lower-case letters, digits and hyphens.
    NameNotProper(&'static str),
    /// One of its options cannot be used.
    Option {
        /// The protocol.
        name: &'static str,
        /// The option.
        key: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// It has more than [`TIMER_KINDS_MAX`] kinds of timers.
    TooManyTimers(&'static str),
    /// There are [`PROTOCOLS_MAX`] already.
    TooMany,
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => write!(f, "another protocol is called {name:?}"),
            Self::NameNotProper(name) => write!(
                f,
                "{name:?} cannot be a protocol's name: use lower-case letters, digits and hyphens"
            ),
            Self::Option { name, key, reason } => {
                write!(f, "option {key:?} of protocol {name:?} cannot be used: {reason}")
            }
            Self::TooManyTimers(name) => {
                write!(f, "protocol {name:?} has more than {TIMER_KINDS_MAX} kinds of timers")
            }
            Self::TooMany => write!(f, "there are {PROTOCOLS_MAX} protocols already"),
        }
    }
}

impl std::error::Error for NotRegistered {}

/// Makes a protocol of another crate known, behind those that are known already. The same `static`
/// may be registered again.
///
/// # Errors
/// If another protocol has this name, the name is not proper, an option cannot be used, or there
/// are too many timers or protocols.
pub fn register(facts: &'static Facts) -> Result<Protocol, NotRegistered> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if facts.name.is_empty() || !facts.name.chars().all(fits) {
        return Err(NotRegistered::NameNotProper(facts.name));
    }
    if facts.timers.len() > TIMER_KINDS_MAX {
        return Err(NotRegistered::TooManyTimers(facts.name));
    }
    if let Some((key, reason)) = options::unusable(facts.options) {
        return Err(NotRegistered::Option { name: facts.name, key, reason });
    }
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let protocol = Protocol::new(facts);
    match BUILT_IN.iter().chain(&*registered).find(|known| known.name == facts.name) {
        Some(known) if std::ptr::eq(known.facts(), facts) => Ok(protocol),
        Some(_) => Err(NotRegistered::NameTaken(facts.name)),
        None if BUILT_IN.len() + registered.len() == PROTOCOLS_MAX => Err(NotRegistered::TooMany),
        None => {
            registered.push(protocol);
            Ok(protocol)
        }
    }
}

/// Every protocol, in the order in which tables and plots list them.
pub fn all() -> Vec<Protocol> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    BUILT_IN.iter().chain(&*registered).copied().collect()
}

/// The protocol that has this name.
pub fn named(name: &str) -> Option<Protocol> {
    all().into_iter().find(|protocol| protocol.name == name)
}

/// The protocol of this crate at this place.
pub(crate) fn built_in(place: u32) -> Option<Protocol> {
    BUILT_IN.get(place as usize).copied()
}

/// The place of a protocol of this crate.
pub(crate) fn built_in_place(protocol: Protocol) -> Option<u32> {
    (0..).zip(BUILT_IN).find(|(_, known)| *known == protocol).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OptionFacts;

    static MINE: Facts = Facts::plain("registry-test");
    static TWIN: Facts = Facts::plain("registry-test");
    static TAKEN: Facts = Facts::plain("multi-paxos");
    static LOUD: Facts = Facts::plain("Loud");
    static NAMELESS: Facts = Facts::plain("");

    #[test]
    fn a_protocol_is_registered_once_behind_those_of_this_crate() {
        let mine = register(&MINE).unwrap();
        assert_eq!(register(&MINE), Ok(mine), "the same once more");
        assert_eq!(register(&TWIN), Err(NotRegistered::NameTaken("registry-test")));
        assert_eq!(register(&TAKEN), Err(NotRegistered::NameTaken("multi-paxos")));
        let all = all();
        assert_eq!(all[..3], BUILT_IN);
        assert_eq!(all.iter().filter(|protocol| protocol.name == "registry-test").count(), 1);
        assert_eq!(named("registry-test"), Some(mine));
        assert!(BUILT_IN.iter().all(|known| *known < mine), "tables list it last");
    }

    #[test]
    fn a_name_that_no_file_could_have_is_refused() {
        assert_eq!(register(&LOUD), Err(NotRegistered::NameNotProper("Loud")));
        assert_eq!(register(&NAMELESS), Err(NotRegistered::NameNotProper("")));
    }

    #[test]
    fn facts_that_would_not_fit_are_refused() {
        static TIMERS: Facts = Facts { timers: &["tick"; 9], ..Facts::plain("nine-timers") };
        assert_eq!(register(&TIMERS), Err(NotRegistered::TooManyTimers("nine-timers")));
        static OPTION: OptionFacts = OptionFacts {
            key: "Width",
            about: "how wide",
            kind: options::OptionKind::Number { least: 1, most: 9 },
            default: 3,
            files: options::InFiles::One,
            fixed: None,
            hostile: &[],
        };
        static OPTIONS: Facts =
            Facts { options: std::slice::from_ref(&OPTION), ..Facts::plain("loud-option") };
        let refused = register(&OPTIONS).unwrap_err().to_string();
        assert!(refused.starts_with("option \"Width\" of protocol \"loud-option\""), "{refused}");
    }

    #[test]
    fn the_protocols_of_this_crate_stay_in_their_places() {
        let names = BUILT_IN.map(Protocol::name);
        assert_eq!(names, ["paxos", "multi-paxos", "epaxos"]);
        assert!(BUILT_IN.is_sorted());
    }
}
