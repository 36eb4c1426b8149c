//! What a participant may do.

use std::fmt;

use protocols::ReplicaId;

/// What the holder of a certificate may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Be this replica, towards its peers and its clients.
    Replica(ReplicaId),
    /// Send requests.
    Client,
    /// Measure, inspect and stop replicas.
    Operator,
    /// Order agents about: of a lab, no cluster.
    Driver,
    /// Carry out a driver's orders on a host: of a lab, no cluster.
    Agent,
}

impl Role {
    /// The role's certificate name in the cluster called `cluster`.
    pub fn name(self, cluster: &str) -> String {
        format!("{}.{cluster}", self.label())
    }

    /// Every role in a cluster of `replicas`.
    pub(crate) fn all(replicas: usize) -> impl Iterator<Item = Self> {
        ReplicaId::all(replicas).map(Self::Replica).chain([Self::Client, Self::Operator])
    }

    /// Every role in a lab.
    pub(crate) const OF_A_LAB: [Self; 2] = [Self::Driver, Self::Agent];

    /// The name in file names.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Replica(id) => format!("replica-{}", id.0),
            Self::Client => "client".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Driver => "driver".to_owned(),
            Self::Agent => "agent".to_owned(),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(id) => write!(f, "replica {}", id.0),
            Self::Client => f.write_str("a client"),
            Self::Operator => f.write_str("an operator"),
            Self::Driver => f.write_str("a driver"),
            Self::Agent => f.write_str("an agent"),
        }
    }
}
