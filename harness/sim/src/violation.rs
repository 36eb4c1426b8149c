//! What a run that went wrong leaves behind.

use std::fmt;

use protocols::Protocol;

/// What a run must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Two replicas, or one in two lives, know different decisions of one instance.
    Agreement,
    /// A replica reported one instance as committed twice in one life.
    CommittedTwice,
    /// Of two conflicting committed commands neither has the other among its dependencies.
    Visibility,
    /// A replica executed what nobody has committed.
    Undecided,
    /// A replica executed one instance twice in one life.
    ExecutedTwice,
    /// Two replicas executed conflicting commands in different orders.
    Order,
    /// A request took effect twice.
    EffectTwice,
    /// A client was told something impossible: a value that was never written, or that its result is gone.
    Answer,
    /// A replica rebuilt from its snapshot and its records has forgotten something that the living
    /// one relies on.
    Forgotten,
    /// A snapshot was installed that no replica captured, or that does not decode.
    ForeignSnapshot,
    /// No order of what the clients asked for explains what they were told.
    Linearizability,
    /// The check of the clients' history ended before it was decided.
    HistoryUndecided,
    /// At rest an acknowledged write is missing, or there is one that nobody asked for.
    Writes,
    /// At rest the replicas' states differ.
    Equality,
    /// The faults ended, and the cluster did not come to rest in time.
    Liveness,
    /// While faults lasted, no client had an answer for too long, though a majority of replicas was
    /// healthy.
    Progress,
    /// A replica failed an assertion of its own.
    Assertion,
}

/// One broken rule, with its particulars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which rule.
    pub broken: Broken,
    /// Who, where, what.
    pub detail: String,
}

impl Breach {
    pub(crate) const fn new(broken: Broken, detail: String) -> Self {
        Self { broken, detail }
    }
}

/// A run that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The protocol that was run.
    pub protocol: Protocol,
    /// The seed of the run: with the scenario that it was made into, all that is needed to see this again.
    pub seed: u64,
    /// The simulated time, in nanoseconds.
    pub at_ns: u64,
    /// The rule that was broken.
    pub breach: Breach,
    /// A hash over every event delivered until then. Equal for equal scenarios.
    pub trace_hash: u64,
    /// The last events, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let (protocol, seed, at) = (self.protocol, self.seed, self.at_ns);
        let Breach { broken, detail } = &self.breach;
        write!(f, "{protocol}, seed {seed}, at {at} ns: {broken:?}: {detail}")
    }
}

impl std::error::Error for Violation {}
