//! Hostile seeds against a mutant.

use std::ops::Range;

use protocols::{
    Protocol,
    epaxos::{EPaxos, Variant},
    multi_paxos::MultiPaxos,
    mutant::Mutant,
    paxos::Paxos,
};
use sim::{Hostility, Scenario, hostile, run};

use crate::Subject;

/// As hostile as `bench soak`.
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

/// A mutant that the soak noticed.
pub(crate) struct Kill {
    /// How many seeds it took.
    pub(crate) seeds: u64,
    /// Which rule it broke.
    pub(crate) rule: String,
}

/// Runs `seeds` until one of them breaks a rule.
pub(crate) fn kill(mutant: Option<Mutant>, subject: Subject, seeds: Range<u64>) -> Option<Kill> {
    let first = seeds.start;
    seeds.into_iter().find_map(|seed| {
        let mut scenario = hostile(seed, &HOSTILITY);
        scenario.config.mutant = mutant;
        if subject.variant != Variant::Star {
            scenario.config.options.put(subject.variant);
        }
        scenario.trace_lines_max = 0;
        let rule = broken(subject.protocol, &scenario)?;
        Some(Kill { seeds: seed - first + 1, rule })
    })
}

/// The rule that a run of `scenario` breaks, if it breaks one.
fn broken(protocol: Protocol, scenario: &Scenario) -> Option<String> {
    let ended = match protocol.name() {
        "paxos" => run::<Paxos>(scenario),
        "multi-paxos" => run::<MultiPaxos>(scenario),
        _ => run::<EPaxos>(scenario),
    };
    ended.err().map(|violation| format!("{:?}", violation.breach.broken))
}
