//! The protocols' names, as users type them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A protocol that this crate implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Leaderless baseline: both phases for every command.
    Paxos,
    /// One stable leader, phase 1 once per leadership.
    MultiPaxos,
    /// No leader: every replica orders its own commands by their dependencies.
    #[serde(rename = "epaxos")]
    EPaxos,
}

impl Protocol {
    /// Every protocol, in the order in which tables and plots list them.
    pub const ALL: [Self; 3] = [Self::Paxos, Self::MultiPaxos, Self::EPaxos];

    /// The name used on the command line, in files and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paxos => "paxos",
            Self::MultiPaxos => "multi-paxos",
            Self::EPaxos => "epaxos",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no protocol bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProtocol(pub String);

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no protocol: use paxos, multi-paxos or epaxos", self.0)
    }
}

impl std::error::Error for UnknownProtocol {}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| UnknownProtocol(name.to_owned()))
    }
}
