//! Hostile seeds against a mutant.

use std::ops::Range;

use check::{Budget, Kind, Verdict};
use protocols::{
    Command, Outcome, Protocol, epaxos::EPaxos, multi_paxos::MultiPaxos, mutant::Mutant,
    paxos::Paxos,
};
use sim::{Hostility, Scenario, hostile, run};

/// As hostile as `bench soak`.
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

/// chosen: what takes longer to judge counts as noticed by nobody.
const BUDGET: Budget = Budget { steps_max: 200_000, memory_bytes_max: 1 << 26 };

/// A mutant that the soak noticed.
pub(crate) struct Kill {
    /// How many seeds it took.
    pub(crate) seeds: u64,
    /// Which rule it broke.
    pub(crate) rule: String,
}

/// Runs `seeds` until one of them breaks a rule.
pub(crate) fn kill(mutant: Option<Mutant>, protocol: Protocol, seeds: Range<u64>) -> Option<Kill> {
    let first = seeds.start;
    seeds.into_iter().find_map(|seed| {
        let mut scenario = hostile(seed, &HOSTILITY);
        scenario.config.mutant = mutant;
        scenario.trace_lines_max = 0;
        let rule = broken(protocol, &scenario)?;
        Some(Kill { seeds: seed - first + 1, rule })
    })
}

/// The rule that a run of `scenario` breaks, if it breaks one.
fn broken(protocol: Protocol, scenario: &Scenario) -> Option<String> {
    let ended = match protocol {
        Protocol::Paxos => run::<Paxos>(scenario),
        Protocol::MultiPaxos => run::<MultiPaxos>(scenario),
        Protocol::EPaxos => run::<EPaxos>(scenario),
    };
    match ended {
        Err(violation) => Some(format!("{:?}", violation.breach.broken)),
        Ok(outcome) => {
            let verdict = check::check(&judged(&outcome.history), &BUDGET, &mut || true);
            matches!(verdict, Verdict::NotLinearizable(_)).then(|| "Linearizability".to_owned())
        }
    }
}

/// The clients' history as the checker reads it.
fn judged(history: &sim::History) -> check::History {
    let operations = history.operations().iter().map(|operation| {
        let request = operation.request();
        let kind = match request.command {
            Command::Get { .. } => Kind::Get,
            Command::Put { value, .. } => Kind::Put(value.to_vec()),
            Command::Delete { .. } => Kind::Delete,
            Command::Append { value, .. } => Kind::Append(value.to_vec()),
            Command::CompareAndSet { expected, value, .. } => Kind::CompareAndSet {
                expected: expected.map(<[u8]>::to_vec),
                value: value.to_vec(),
            },
        };
        let answer = operation.answer.clone().and_then(|(at, outcome)| match outcome {
            Outcome::Done => Some((at, check::Outcome::Done)),
            Outcome::Value(value) => Some((at, check::Outcome::Value(value))),
            Outcome::Swapped(swapped) => Some((at, check::Outcome::Swapped(swapped))),
            Outcome::TooLong | Outcome::Forgotten => None,
        });
        check::Operation {
            process: request.client.0,
            key: request.command.key().to_vec(),
            kind,
            invoke: operation.invoke_ns,
            answer,
        }
    });
    operations.collect()
}
