//! Rules that every state must keep to.

use std::fmt;

/// A rule, as an `always` property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Everybody, in every life, knows one decision of an instance: command and dependencies.
    Agreement,
    /// What a replica reports as committed it reports once in a life: committed is immutable.
    CommittedOnce,
    /// Of two conflicting committed commands at least one has the other among its dependencies,
    /// where those are the order.
    Visibility,
    /// What is executed was committed before, each instance once in a life.
    Execution,
    /// Conflicting commands are executed in one order everywhere.
    OneOrder,
    /// A request takes effect at most once.
    ExactlyOnce,
    /// No replica fails an assertion of its own.
    Assertions,
}

impl Rule {
    /// Every rule, in the order in which reports list them.
    pub const ALL: [Self; 7] = [
        Self::Agreement,
        Self::CommittedOnce,
        Self::Visibility,
        Self::Execution,
        Self::OneOrder,
        Self::ExactlyOnce,
        Self::Assertions,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::CommittedOnce => "committed once",
            Self::Visibility => "visibility",
            Self::Execution => "committed before executed",
            Self::OneOrder => "one order",
            Self::ExactlyOnce => "exactly once",
            Self::Assertions => "no failed assertion",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A broken rule, with its particulars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// Which rule.
    pub rule: Rule,
    /// Who, where, what.
    pub detail: String,
}

impl Breach {
    pub(crate) const fn new(rule: Rule, detail: String) -> Self {
        Self { rule, detail }
    }
}
