//! What a standing cluster is: the file `cluster.json` of its directory.

use std::path::Path;

use driver::storage::Durability;
use node::{address::Address, agent::lab::Lab};
use protocols::{Config, Protocol, ReplicaId, ReplicaSet};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    process::{Process, Sight, boot_id},
};

/// Counted up whenever the file, or what lies beside it, changes its form.
const VERSION: u32 = 1;

/// What a standing cluster is, and which processes it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Of the form of all this.
    pub version: u32,
    /// Which protocol its replicas run.
    pub protocol: Protocol,
    /// What a replica's records outlive.
    pub durability: Durability,
    /// Is nobody verified? Absent in files of before there was such a cluster.
    #[serde(default)]
    pub is_insecure: bool,
    /// Of every replica's core.
    pub config: Config,
    /// Where each replica listens, by number.
    pub addresses: Vec<Address>,
    /// The life of the system in which the processes were started: numbers of an earlier one say nothing.
    pub boot_id: String,
    /// Was it stopped in order, everything written to the disk?
    pub stopped: bool,
    /// The process that each replica was last seen to be, by number.
    pub processes: Vec<Option<Process>>,
    /// Who is cut off from whom: sender and receiver. A replica that is started anew is told.
    pub cut: Vec<(ReplicaId, ReplicaId)>,
    /// The hosts of the replicas; none if all are on this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<Lab>,
}

/// Only what can be said of every version.
#[derive(Clone, Copy, Debug, Deserialize)]
struct AnyVersion {
    version: u32,
}

impl Description {
    /// A cluster none of whose processes was started yet.
    pub fn new(
        protocol: Protocol,
        durability: Durability,
        is_insecure: bool,
        config: Config,
        addresses: Vec<Address>,
    ) -> Self {
        let processes = addresses.iter().map(|_| None).collect();
        Self {
            version: VERSION,
            protocol,
            durability,
            is_insecure,
            config,
            addresses,
            boot_id: boot_id(),
            stopped: false,
            processes,
            cut: Vec::new(),
            lab: None,
        }
    }

    /// Reads what [`Description::to_text`] wrote into `file`.
    ///
    /// # Errors
    /// If it is none, or of another version.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let malformed = |reason| Error::Malformed { file: file.to_owned(), reason };
        let none = |error| malformed(format!("does not describe a cluster ({error})"));
        let AnyVersion { version } = serde_json::from_str(text).map_err(none)?;
        if version != VERSION {
            return Err(Error::OtherVersion {
                file: file.to_owned(),
                found: version,
                known: VERSION,
            });
        }
        let read: Self = serde_json::from_str(text).map_err(none)?;
        let replicas = read.config.replicas;
        if replicas == 0 || read.addresses.len() != replicas || read.processes.len() != replicas {
            return Err(malformed(format!("does not list {replicas} replicas")));
        }
        Ok(read)
    }

    /// The file's content.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a description is plain data");
        text + "\n"
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.addresses.len()
    }

    /// The process of `replica`; none if it was not started since the system was.
    pub fn process(&self, replica: ReplicaId) -> Option<Process> {
        self.processes[replica.index()].filter(|_| self.is_of_this_boot())
    }

    /// What `replica`'s process does. On another host it is taken to run: whether it does, its
    /// answers tell.
    pub fn look(&self, replica: ReplicaId) -> Sight {
        if self.lab.is_some() {
            return Sight::Running;
        }
        self.process(replica).map_or(Sight::Gone, Process::look)
    }

    /// The replicas whose processes have not ended; those that are paused included.
    pub fn alive(&self) -> ReplicaSet {
        ReplicaId::all(self.replicas()).filter(|id| self.look(*id) != Sight::Gone).collect()
    }

    /// The replicas whose processes run.
    pub fn running(&self) -> ReplicaSet {
        ReplicaId::all(self.replicas()).filter(|id| self.look(*id) == Sight::Running).collect()
    }

    /// Was it started in the system's present life?
    pub fn is_of_this_boot(&self) -> bool {
        self.boot_id == boot_id()
    }

    /// Is a majority of the replicas in `set`?
    pub fn is_majority(&self, set: ReplicaSet) -> bool {
        2 * set.len() > self.replicas()
    }

    /// Does neither of the two hear the other, or only one of them?
    pub fn is_cut(&self, one: ReplicaId, other: ReplicaId) -> bool {
        self.cut.contains(&(one, other)) || self.cut.contains(&(other, one))
    }
}

#[cfg(test)]
mod tests {
    use node::agent::lab::LabHost;

    use super::*;

    fn parse(text: &str) -> Result<Description, Error> {
        Description::parse(Path::new("cluster.json"), text)
    }

    fn description() -> Description {
        let address: Address = "127.0.0.1:7000".parse().unwrap();
        let config = Config::new(3);
        Description::new(
            protocols::epaxos::PROTOCOL,
            Durability::Fsync,
            false,
            config,
            vec![address; 3],
        )
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut written = description();
        written.processes[1] = Some(Process { pid: 17, started_ticks: 4 });
        written.cut.push((ReplicaId(0), ReplicaId(2)));
        assert_eq!(parse(&written.to_text()).unwrap(), written);
    }

    #[test]
    fn hosts_are_read_as_they_were_written() {
        let mut written = description();
        let host = LabHost {
            name: "r0".to_owned(),
            address: "r0:7000".parse().unwrap(),
            replica: true,
            load: false,
        };
        written.lab = Some(Lab { keys: "keys/driver".into(), hosts: vec![host; 3] });
        written.addresses = vec!["r0:12000".parse().unwrap(); 3];
        let read = parse(&written.to_text()).unwrap();
        assert_eq!(read, written);
        // Nobody here knows what became of their processes.
        assert_eq!(read.running().len(), 3);
        assert!(!description().to_text().contains("lab"));
    }

    #[test]
    fn a_file_that_does_not_say_so_is_of_a_secure_cluster() {
        let text = description().to_text().replace("  \"is_insecure\": false,\n", "");
        assert!(!text.contains("insecure"));
        assert_eq!(parse(&text).unwrap(), description());
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        let refused = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused("", "does not describe a cluster");
        refused("{\"version\": 2}", "version = 2: this program knows version 1");
        refused("{\"version\": 0}", "version = 0: this program knows version 1");
        refused("{\"version\": 1}", "missing field `protocol`");
        let mut short = description();
        short.addresses.pop();
        refused(&short.to_text(), "does not list 3 replicas");
    }

    #[test]
    fn processes_of_an_earlier_life_of_the_system_are_gone() {
        let mut description = description();
        let own = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        description.processes[1] = Some(own);
        assert_eq!(description.alive(), ReplicaSet::only(ReplicaId(1)));
        description.boot_id = "another".to_owned();
        assert!(description.alive().is_empty());
    }
}
