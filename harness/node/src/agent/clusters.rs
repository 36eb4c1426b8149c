//! The replicas that an agent has on its host, by cluster, and what they keep there.
//!
//! `DATA/clusters/NAME/` holds everything of a cluster: the credentials, data directories and logs
//! of its replicas, and of a standing one `start-N.json`, from which the agent starts replica N
//! again when it is started itself. What a run leaves as evidence is moved to `DATA/kept/NAME/`.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    net::{SocketAddr, UdpSocket},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
};

use protocols::ReplicaId;

use super::{
    AgentOptions,
    wire::{Files, Life, Start, Which},
};
use crate::{NodeError, child::Arguments, hosted::Hosted};

const CLUSTERS: &str = "clusters";
const KEPT: &str = "kept";
const LOCK_FILE: &str = "lock";
/// Chosen: longer than any name that a driver makes, short enough for every file system.
const NAME_BYTES_MAX: usize = 150;
/// Chosen: a piece of a log fits into a frame with room to spare.
const PIECE_BYTES: u64 = 256 << 10;
/// Ports for standing replicas, below those that the system gives to whoever asks for any.
const STANDING_PORTS: std::ops::RangeInclusive<u16> = 12_000..=31_999;

/// All clusters that have replicas here.
#[derive(Debug)]
pub(super) struct Clusters {
    data: PathBuf,
    listen: SocketAddr,
    ports: Option<std::ops::RangeInclusive<u16>>,
    all: BTreeMap<String, Cluster>,
    _lock: File,
}

#[derive(Debug)]
struct Cluster {
    standing: bool,
    hosted: Hosted,
}

impl Clusters {
    /// What is in the agent's directory: standing replicas are started again, what a run left is
    /// removed.
    ///
    /// # Errors
    /// If the directory cannot be used, or another agent has it.
    pub(super) fn open(agent: &AgentOptions) -> Result<Self, NodeError> {
        let data = agent.data.clone();
        let doing = "use as an agent's directory";
        let failed = |error| NodeError::file(&data, doing, error);
        // What a run left is removed below: nothing may be that of another program.
        if !data.join(LOCK_FILE).exists() && data.join(CLUSTERS).exists() {
            let text =
                "no agent made what is in it: name a directory that is an agent's, or a new one";
            return Err(failed(io::Error::other(text)));
        }
        fs::create_dir_all(&data).map_err(failed)?;
        // A replica is started with its paths, wherever the agent was.
        let data = fs::canonicalize(&data).map_err(failed)?;
        let mut options = File::options();
        let open = options.create(true).truncate(false).write(true).open(data.join(LOCK_FILE));
        let lock = open.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = "another agent".to_owned();
                return Err(NodeError::DirectoryInUse { path: data, holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        fs::create_dir_all(data.join(CLUSTERS)).map_err(failed)?;
        let mut clusters = Self {
            listen: agent.listen,
            ports: agent.ports.clone(),
            all: BTreeMap::new(),
            _lock: lock,
            data,
        };
        clusters.reopen().map_err(failed)?;
        Ok(clusters)
    }

    /// Which standing clusters have replicas here.
    pub(super) fn standing(&self) -> impl Iterator<Item = &str> {
        let standing = self.all.iter().filter(|(_, cluster)| cluster.standing);
        standing.map(|(name, _)| name.as_str())
    }

    /// A port on which nobody listens.
    pub(super) fn free_port(&self, standing: bool) -> Result<u16, String> {
        let is_free = |port: u16| UdpSocket::bind((self.listen.ip(), port)).is_ok();
        let range = match &self.ports {
            None if !standing => {
                let found = UdpSocket::bind((self.listen.ip(), 0));
                let port = found.and_then(|socket| socket.local_addr());
                return port.map(|address| address.port()).map_err(|error| error.to_string());
            }
            range => range.clone().unwrap_or(STANDING_PORTS),
        };
        let width = u32::from(range.end() - range.start()) + 1;
        // Two agents on one host hardly begin at the same place.
        let begin = std::process::id() * 97;
        let mut ports = (0..width).map(|step| {
            let offset = begin.wrapping_add(step) % width;
            range.start() + u16::try_from(offset).expect("below the width")
        });
        ports
            .find(|port| is_free(*port))
            .ok_or_else(|| format!("no UDP port from {} to {} is free", range.start(), range.end()))
    }

    /// Starts a replica.
    pub(super) fn start(&mut self, start: &Start) -> Result<(), String> {
        check_name(&start.cluster)?;
        let directory = self.directory(&start.cluster);
        let id = start.replica;
        let known = self.all.get(&start.cluster);
        if known.is_some_and(|cluster| cluster.hosted.replicas().any(|other| other == id)) {
            return Err(format!("replica {} of {} is here already", id.0, start.cluster));
        }
        let text = |error: &dyn std::fmt::Display| error.to_string();
        fs::create_dir_all(&directory).map_err(|error| text(&error))?;
        if let Some(identity) = &start.identity {
            identity.write(&credentials(&directory, id), id).map_err(|error| text(&error))?;
        }
        if start.standing {
            let kept = Start { identity: None, ..start.clone() };
            let json = serde_json::to_vec(&kept).map_err(|error| text(&error))?;
            // In one step: half of it would keep the agent from starting again.
            let new = directory.join("start.new");
            fs::write(&new, json)
                .and_then(|()| fs::rename(&new, start_file(&directory, id)))
                .map_err(|error| text(&error))?;
        }
        self.launch(start, start.identity.is_some()).map_err(|error| text(&error))
    }

    /// Kills a replica.
    pub(super) fn kill(&mut self, which: &Which) -> Result<(), String> {
        let id = which.replica;
        self.hosted(which).map(|hosted| hosted.kill(id))
    }

    /// Lets a replica stand still, or go on.
    pub(super) fn pause(&mut self, which: &Which, is_paused: bool) -> Result<(), String> {
        let id = which.replica;
        let hosted = self.hosted(which)?;
        if is_paused {
            hosted.pause(id);
        } else {
            hosted.resume(id);
        }
        Ok(())
    }

    /// Starts a replica again; false if it is not gone yet.
    pub(super) fn restart(&mut self, which: &Which) -> Result<bool, String> {
        let id = which.replica;
        self.hosted(which)?.start_again(id).map_err(|error| error.to_string())
    }

    /// How the replicas of a cluster are.
    pub(super) fn look(&mut self, cluster: &str) -> Result<Vec<Life>, String> {
        let hosted = &mut self.all.get_mut(cluster).ok_or_else(|| unknown(cluster))?.hosted;
        let mut lives: Vec<Life> = hosted
            .replicas()
            .map(|replica| Life { replica, death: None, is_gone: false, ended_cpu_ns: None })
            .collect();
        for life in &mut lives {
            life.is_gone = hosted.is_gone(life.replica);
            life.ended_cpu_ns = hosted.ended_cpu_ns(life.replica);
        }
        for death in hosted.deaths() {
            let its = lives.iter_mut().find(|life| life.replica == death.replica);
            if let Some(life) = its {
                life.death = Some((death.status.into_raw(), death.last_words));
            }
        }
        Ok(lives)
    }

    /// A piece of a replica's log.
    pub(super) fn fetch(&self, which: &Which, offset: u64) -> Result<Vec<u8>, String> {
        check_name(&which.cluster)?;
        let file = log(&self.directory(&which.cluster), which.replica);
        let read = || -> io::Result<Vec<u8>> {
            let (mut file, mut piece) = (File::open(&file)?, Vec::new());
            file.seek(SeekFrom::Start(offset))?;
            file.take(PIECE_BYTES).read_to_end(&mut piece)?;
            Ok(piece)
        };
        read().map_err(|error| format!("the log of replica {}: {error}", which.replica.0))
    }

    /// Takes a cluster out of this agent's hands, to be ended; none if it is not here.
    pub(super) fn take(&mut self, cluster: &str) -> Option<Hosted> {
        self.all.remove(cluster).map(|cluster| cluster.hosted)
    }

    /// The names of the clusters of runs, which end with their driver's line.
    pub(super) fn of_runs(&self) -> Vec<String> {
        let of_runs = self.all.iter().filter(|(_, cluster)| !cluster.standing);
        of_runs.map(|(name, _)| name.clone()).collect()
    }

    /// All of them; what standing ones keep stays.
    pub(super) fn take_all(&mut self) -> Vec<(String, bool, Hosted)> {
        let all = std::mem::take(&mut self.all).into_iter();
        all.map(|(name, cluster)| (name, cluster.standing, cluster.hosted)).collect()
    }

    /// Removes or puts away the files of a cluster that has ended.
    pub(super) fn put_away(&self, cluster: &str, files: Files) -> Result<(), String> {
        check_name(cluster)?;
        let directory = self.directory(cluster);
        let put = match files {
            Files::Removed => fs::remove_dir_all(&directory),
            Files::Kept => {
                let kept = self.data.join(KEPT);
                fs::create_dir_all(&kept).and_then(|()| fs::rename(&directory, kept.join(cluster)))
            }
        };
        match put {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", directory.display()))
            }
            _ => Ok(()),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(self.data.join(CLUSTERS))? {
            let directory = entry?.path();
            let starts = starts(&directory)?;
            if starts.is_empty() {
                fs::remove_dir_all(&directory)?;
            }
            for start in starts {
                let has_identity = credentials(&directory, start.replica).exists();
                self.launch(&start, has_identity)?;
            }
        }
        Ok(())
    }

    fn launch(&mut self, start: &Start, has_identity: bool) -> io::Result<()> {
        let (id, directory) = (start.replica, self.directory(&start.cluster));
        let (credentials, data) =
            (credentials(&directory, id), directory.join(format!("replica-{}", id.0)));
        let arguments = Arguments {
            id,
            protocol: start.protocol,
            addresses: &start.addresses,
            listen: Some(SocketAddr::new(self.listen.ip(), start.port)),
            config: &start.config,
            durability: start.durability,
            credentials: has_identity.then_some(credentials.as_path()),
            data: (start.durability != driver::storage::Durability::Memory)
                .then_some(data.as_path()),
            network: start.network.as_ref(),
            parent: Some(std::process::id()),
        };
        let standing = start.standing;
        let new = || Cluster { standing, hosted: Hosted::default() };
        let cluster = self.all.entry(start.cluster.clone()).or_insert_with(new);
        cluster.hosted.start(id, arguments.to_words(), log(&directory, id))
    }

    fn hosted(&mut self, which: &Which) -> Result<&mut Hosted, String> {
        let cluster = self.all.get_mut(&which.cluster);
        let hosted = cluster.map(|cluster| &mut cluster.hosted);
        hosted
            .filter(|hosted| hosted.replicas().any(|id| id == which.replica))
            .ok_or_else(|| format!("replica {} of {} is not here", which.replica.0, which.cluster))
    }

    fn directory(&self, cluster: &str) -> PathBuf {
        self.data.join(CLUSTERS).join(cluster)
    }
}

/// The standing replicas whose starts were written down in `directory`.
fn starts(directory: &Path) -> io::Result<Vec<Start>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            starts.push(serde_json::from_slice(&fs::read(&path)?)?);
        }
    }
    Ok(starts)
}

/// A cluster's name becomes that of a directory.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    let is_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(fits);
    is_name.then_some(()).ok_or_else(|| format!("\"{name}\" is no name of a cluster"))
}

fn unknown(cluster: &str) -> String {
    format!("{cluster} is not here")
}

fn credentials(directory: &Path, id: ReplicaId) -> PathBuf {
    directory.join(format!("credentials-{}", id.0))
}

fn log(directory: &Path, id: ReplicaId) -> PathBuf {
    directory.join(format!("replica-{}.log", id.0))
}

fn start_file(directory: &Path, id: ReplicaId) -> PathBuf {
    directory.join(format!("start-{}.json", id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(data: &Path) -> AgentOptions {
        AgentOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            keys: PathBuf::new(),
            data: data.to_owned(),
            ports: None,
            build: super::super::wire::Build::new("1", "2"),
        }
    }

    #[test]
    fn what_a_run_left_is_removed_and_nothing_that_is_not_an_agents() {
        let directory = tempfile::tempdir().unwrap();
        let (own, foreign) = (directory.path().join("own"), directory.path().join("foreign"));
        drop(Clusters::open(&options(&own)).unwrap());
        fs::create_dir_all(own.join("clusters/run-1")).unwrap();
        drop(Clusters::open(&options(&own)).unwrap());
        assert!(!own.join("clusters/run-1").exists());
        fs::create_dir_all(foreign.join("clusters/precious")).unwrap();
        let refused = Clusters::open(&options(&foreign)).unwrap_err();
        assert!(refused.to_string().contains("no agent made what is in it"), "{refused}");
        assert!(foreign.join("clusters/precious").exists());
    }

    #[test]
    fn a_cluster_is_no_path() {
        for name in ["cluster-1a", "multi-paxos-default-r1", "load.rate=4_000"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "../kept", "a/b", "a b", "a\0", &"x".repeat(151)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
