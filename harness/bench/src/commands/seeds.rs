//! What `soak` and `replay` share: how a seed becomes a scenario, and how its outcome is told.

use std::cell::Cell;

use protocols::{Order, Protocol};
use sim::{Broken, Hostility, Outcome, Scenario, Shrunk, Violation, hostile};

use crate::{program, registry, subject::Subject};

/// How hostile every seed is. Seeds keep their meaning only as long as this stays as it is.
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

/// What is checked of every seed: a name, and what it says.
const CHECKED: [(&str, &str); 7] = [
    ("agreement", "all replicas know the same command and order for an instance"),
    ("visibility", "of two conflicting commands at least one is ordered after the other"),
    ("one order", "conflicting commands are executed in one order everywhere, each once in a life"),
    ("exactly once", "a write takes effect once; at rest every acknowledged write is there"),
    ("equality at rest", "once all faults are mended all replicas reach the same state"),
    ("completion", "once all faults are mended everything asked for is answered"),
    ("linearizability", "one order of all operations on a key explains all that clients were told"),
];

/// What is checked of every seed of `protocol`. Visibility has a meaning only where commands are
/// ordered by dependencies.
pub(crate) fn checked(protocol: Protocol) -> impl Iterator<Item = (&'static str, &'static str)> {
    let applies = move |(name, _): &(&str, &str)| {
        *name != "visibility" || protocol.order == Order::Dependencies
    };
    CHECKED.into_iter().filter(applies)
}

thread_local! {
    /// Is this thread in a simulation, which reports a core's panic as a violation itself?
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
}

/// From here on a panic in a simulation prints nothing of its own.
pub(crate) fn silence_simulated_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !SIMULATING.get() {
            report(panic);
        }
    }));
}

/// Does `simulate`, in which panics are silent.
pub(crate) fn simulating<T>(simulate: impl FnOnce() -> T) -> T {
    SIMULATING.set(true);
    let done = simulate();
    SIMULATING.set(false);
    done
}

/// The scenario of a seed, which keeps the last `trace_lines_max` lines of its trace.
pub(crate) fn scenario(subject: Subject, seed: u64, trace_lines_max: usize) -> Scenario {
    let mut scenario = Scenario { trace_lines_max, ..hostile(seed, &HOSTILITY) };
    subject.configure(&mut scenario.config);
    scenario
}

/// Runs a scenario, without a trace if it asks for no lines.
pub(crate) fn run(protocol: Protocol, scenario: &Scenario) -> Result<Outcome, Violation> {
    simulating(|| (registry::of(protocol).replay)(scenario))
}

/// Leaves out faults that the violation does not need.
pub(crate) fn shrink(protocol: Protocol, scenario: &Scenario, runs_max: usize) -> Option<Shrunk> {
    simulating(|| (registry::of(protocol).shrink)(scenario, runs_max))
}

/// The command that shows a seed again.
pub(crate) fn replay_command(subject: Subject, seed: u64) -> String {
    let options = subject.options();
    format!("{} replay {options} --seed {seed}", program::name())
}

/// The rule that a seed broke, in words.
pub(crate) const fn rule(broken: Broken) -> &'static str {
    match broken {
        Broken::Agreement => "agreement: one instance was decided twice, differently",
        Broken::CommittedTwice => "a replica reported one instance as committed twice",
        Broken::Visibility => "visibility: of two conflicting commands neither knows the other",
        Broken::Undecided => "a replica executed what nobody has committed",
        Broken::ExecutedTwice => "a replica executed one instance twice",
        Broken::Order => "order: conflicting commands were executed in different orders",
        Broken::EffectTwice => "exactly once: a request took effect twice",
        Broken::Answer => "a client was told something impossible",
        Broken::ForeignSnapshot => "a snapshot was installed that no replica captured",
        Broken::Linearizability => "linearizability: the clients' history contradicts itself",
        Broken::HistoryUndecided => "linearizability: not decided within the checker's budget",
        Broken::Writes => "exactly once: at rest a write is missing, or one too many",
        Broken::Equality => "equality at rest: the replicas' states differ",
        Broken::Liveness => "unfinished: the cluster did not come to rest after the faults",
        Broken::Assertion => "a replica failed an assertion of its own",
    }
}

/// Nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times of runs, printed with few digits")]
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
