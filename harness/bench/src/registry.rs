//! From a protocol's name to its type: a table with a line per protocol, those of other crates
//! behind those of this repository.
//!
//! An [`Entry`] has a pointer to every function of this program that is generic over a core.
//! Nothing else here branches on the protocol.

use std::sync::{PoisonError, RwLock};

use explore::{Limits, Subject as Core};
use node::{
    NodeError,
    replica_process::{self, Options},
};
use protocols::{
    Protocol, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos, registry::NotRegistered,
};
use run::simulated::{self, Setting, Simulated};
use sim::{Outcome, Scenario, Shrunk, Violation};
use workload::Run;

use crate::{
    explored::{self, Choice, Explored},
    subject::Subject,
};

/// Every protocol of this repository.
static TABLE: [Entry; 3] = [Entry::of::<Paxos>(), Entry::of::<MultiPaxos>(), Entry::of::<EPaxos>()];

/// The protocols of other crates.
static OWN: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

/// A protocol with the functions of this program for its cores: all that
/// [`main_with`](crate::main_with) needs of a protocol of another crate.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    protocol: Protocol,
    /// Is a replica until an operator stops it.
    pub(crate) serve: fn(&Options) -> Result<(), NodeError>,
    /// Carries out one run of a workload on a simulated cluster.
    pub(crate) simulate: fn(Setting<'_>, &Run) -> Simulated,
    /// Runs a hostile scenario, its last events written down if it asks for some.
    pub(crate) replay: fn(&Scenario) -> Result<Outcome, Violation>,
    /// Leaves out faults that a scenario's violation does not need, in so many runs at most.
    pub(crate) shrink: fn(&Scenario, usize) -> Option<Shrunk>,
    /// Explores one configuration; none if there is none of that name.
    pub(crate) explore: fn(Subject, Choice<'_>, &Limits) -> Option<Explored>,
    /// The names of the configurations, with what they are about.
    pub(crate) configurations: fn(Subject) -> Vec<(&'static str, &'static str)>,
}

impl Entry {
    /// The functions for the cores `R`. What tables, files and plots need is in the facts of
    /// `R::PROTOCOL`, which must have a name of their own.
    pub const fn of<R: Core>() -> Self {
        Self {
            protocol: R::PROTOCOL,
            serve: replica_process::run::<R>,
            simulate: simulated::run::<R>,
            replay: sim::replay::<R>,
            shrink: sim::shrink::<R>,
            explore: explored::explore::<R>,
            configurations: explored::configurations::<R>,
        }
    }
}

/// Tells the reports how protocols are written and drawn.
pub(crate) fn tell_report() {
    let known = |protocol: Protocol| report::Known {
        name: protocol.name(),
        title: protocol.title,
        look: protocol.look,
        usual_variant: protocol.usual_variant(),
    };
    report::know(protocols::registry::all().into_iter().map(known).collect());
}

/// Makes the protocols of other crates known, until the first that cannot be.
///
/// # Errors
/// If a protocol has the name of another, or states what cannot be used.
pub(crate) fn add(own: impl IntoIterator<Item = Entry>) -> Result<(), NotRegistered> {
    for entry in own {
        // Two cores with the same facts are two protocols of one name.
        if find(entry.protocol).is_some() {
            return Err(NotRegistered::NameTaken(entry.protocol.name()));
        }
        protocols::registry::register(entry.protocol.facts())?;
        OWN.write().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
    Ok(())
}

fn find(protocol: Protocol) -> Option<Entry> {
    let own = OWN.read().unwrap_or_else(PoisonError::into_inner);
    TABLE.iter().chain(&*own).find(|entry| entry.protocol == protocol).copied()
}

/// The functions for `protocol`.
///
/// # Panics
/// If it has no entry.
pub(crate) fn of(protocol: Protocol) -> Entry {
    find(protocol).unwrap_or_else(|| panic!("{protocol} has no line in this program's table"))
}

#[cfg(test)]
mod tests {
    use protocols::Facts;

    use super::*;

    static LOUD: Facts = Facts::plain("Loud");
    static MINE: Facts = Facts::plain("mine-alone");
    static TAKEN: Facts = Facts::plain("epaxos");

    fn of_facts(facts: &'static Facts) -> Entry {
        Entry { protocol: Protocol::new(facts), ..Entry::of::<Paxos>() }
    }

    #[test]
    fn every_protocol_that_a_file_can_name_has_a_line() {
        let all: Vec<Protocol> = TABLE.iter().map(|entry| entry.protocol).collect();
        assert_eq!(all, protocols::registry::all()[..TABLE.len()]);
        for protocol in all {
            assert_eq!(of(protocol).protocol, protocol);
        }
    }

    #[test]
    fn a_protocol_of_another_crate_has_a_name_of_its_own() {
        let mine = of_facts(&MINE);
        assert_eq!(add([mine]), Ok(()));
        assert_eq!(of(mine.protocol).protocol.name(), "mine-alone");
        let taken = |name| Err(NotRegistered::NameTaken(name));
        assert_eq!(add([mine]), taken("mine-alone"), "which of two cores would run?");
        assert_eq!(add([of_facts(&TAKEN)]), taken("epaxos"));
        assert_eq!(add([Entry::of::<Paxos>()]), taken("paxos"));
        assert_eq!(add([of_facts(&LOUD)]), Err(NotRegistered::NameNotProper("Loud")));
    }
}
