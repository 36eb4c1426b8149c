//! What `soak` and `replay` share: how a seed becomes a scenario, and how its outcome is told.

use std::cell::Cell;

use protocols::{Order, Protocol};
use sim::{Broken, Hostility, Outcome, Scenario, Shrunk, Violation, hostile, lasting};

use crate::{program, registry, subject::Subject};

/// How hostile every seed is. Seeds keep their meaning only as long as this stays as it is.
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

/// What a seed is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All faults end, and the cluster must come to rest.
    Hostile,
    /// Faults last, and there must be progress.
    Lasting,
}

impl Kind {
    /// The kind that the command line asks for.
    pub(crate) const fn of(liveness: bool) -> Self {
        if liveness { Self::Lasting } else { Self::Hostile }
    }
}

/// What is checked of every seed in which faults last, beside what holds as a run goes on.
const PROGRESS: (&str, &str) = (
    "progress",
    "while faults last, no stretch without an answer to any client of a healthy replica is longer than 4 T + 10 r (T the \
     longest timeout, r the largest round trip between healthy replicas)",
);

/// How many of the following hold as a run goes on; the others are of a cluster at rest.
const CHECKED_ON_THE_WAY: usize = 3;
/// What is checked of every hostile seed: a name, and what it says.
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
pub(crate) fn checked(
    protocol: Protocol,
    kind: Kind,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let applies = move |(name, _): &(&str, &str)| {
        *name != "visibility" || protocol.order == Order::Dependencies
    };
    let (count, progress) = match kind {
        Kind::Hostile => (CHECKED.len(), None),
        Kind::Lasting => (CHECKED_ON_THE_WAY, Some(PROGRESS)),
    };
    CHECKED.into_iter().take(count).filter(applies).chain(progress)
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
pub(crate) fn scenario(
    subject: Subject,
    kind: Kind,
    seed: u64,
    trace_lines_max: usize,
) -> Scenario {
    let drawn = match kind {
        Kind::Hostile => hostile(seed, &HOSTILITY),
        Kind::Lasting => lasting(seed, None),
    };
    let mut scenario = Scenario { trace_lines_max, ..drawn };
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
pub(crate) fn replay_command(subject: Subject, kind: Kind, seed: u64) -> String {
    let options = subject.options();
    let liveness = if kind == Kind::Lasting { " --liveness" } else { "" };
    format!("{} replay {options}{liveness} --seed {seed}", program::name())
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
        Broken::Forgotten => {
            "records: a replica rebuilt from them has forgotten what the living one knows"
        }
        Broken::ForeignSnapshot => "a snapshot was installed that no replica captured",
        Broken::Linearizability => "linearizability: the clients' history contradicts itself",
        Broken::HistoryUndecided => "linearizability: not decided within the checker's budget",
        Broken::Writes => "exactly once: at rest a write is missing, or one too many",
        Broken::Equality => "equality at rest: the replicas' states differ",
        Broken::Liveness => "unfinished: the cluster did not come to rest after the faults",
        Broken::Progress => "progress: for too long no client of a healthy replica had an answer",
        Broken::Assertion => "a replica failed an assertion of its own",
    }
}

/// Nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times of runs, printed with few digits")]
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
