//! Which hosts there are: what a driver is told of its laboratory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::address::Address;

/// The port that an agent listens on unless another is named.
pub const PORT: u16 = 7_000;

/// A laboratory: hosts with agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// The directory of the driver's keys: `driver` of what [`crate::identity::create_lab`] made.
    pub keys: PathBuf,
    /// The hosts, each with a name of its own.
    pub hosts: Vec<LabHost>,
}

/// A host with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabHost {
    /// For people.
    pub name: String,
    /// Where its agent listens; the other hosts reach it by the same name or number.
    pub address: Address,
    /// May it have a replica?
    pub replica: bool,
    /// May it generate load?
    pub load: bool,
}

impl Lab {
    /// The hosts of a cluster of so many replicas: one each, in the order in which they are written
    /// down; none if they are too few.
    pub fn hosts_of(&self, replicas: usize) -> Option<Vec<&LabHost>> {
        let hosts: Vec<_> = self.hosts.iter().filter(|host| host.replica).take(replicas).collect();
        (hosts.len() == replicas).then_some(hosts)
    }

    /// How many replicas it has room for.
    pub fn replicas_max(&self) -> usize {
        self.hosts.iter().filter(|host| host.replica).count()
    }
}
