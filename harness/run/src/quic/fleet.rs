//! The hosts of one run, and the replicas on them through all of their lives.
//!
//! The replicas of a run are on this host, or each is on a host of its own that an agent keeps.
//! Both are asked the same: start, kill, pause, resume, start again, say who has died, say how the
//! clocks stand. What has happened to whom is kept here, so that nothing waits for a host to know
//! it.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use driver::storage::Durability;
use futures_util::future::{join_all, try_join_all};
use node::{
    agent::{
        self,
        lab::Lab,
        line::Driver,
        wire::{Files, HostSample, Start},
    },
    child::Arguments,
    control::Control,
    emulator::NetworkPlan,
    hosted::Hosted,
    identity::Bundle,
    transport::free_addresses,
};
use protocols::{Config, Protocol, ReplicaId, ReplicaSet};

use super::remote::Remote;
use crate::{Error, Stop};

/// Chosen: a replica answers before it stops, and then needs as long as its farewell.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
const EXIT_POLL: Duration = Duration::from_millis(2);
/// Chosen: the end of a killed process is a matter of milliseconds, unless it was waiting for a
/// disk.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the replicas of a run are told.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) protocol: Protocol,
    /// By replica.
    pub(super) configs: Vec<Config>,
    /// The directory with the credentials of at least so many replicas.
    pub(super) credentials: &'a Path,
    pub(super) logs: &'a Path,
    /// How the logs' names begin.
    pub(super) stem: String,
    pub(super) durability: Durability,
    /// Where the data directories of replicas on this host are; none with nothing to keep.
    pub(super) data: Option<&'a Path>,
    /// The network to emulate; none is the bare one.
    pub(super) network: Option<NetworkPlan>,
    /// The hosts of the replicas; none if all are on this one.
    pub(super) lab: Option<Hosts<'a>>,
}

/// Hosts with agents, and who orders them about.
#[derive(Clone, Copy, Debug)]
pub struct Hosts<'a> {
    /// The hosts.
    pub lab: &'a Lab,
    /// What dials them.
    pub driver: &'a Driver,
}

/// The replicas of one run, and where they are.
#[derive(Debug)]
pub(super) struct Fleet {
    replicas: Vec<Replica>,
    place: Place,
    logs: PathBuf,
    stem: String,
}

/// Where replicas are.
#[derive(Debug)]
enum Place {
    /// On this host.
    Here(Hosted),
    /// Each on a host of its own, in the order of their numbers.
    There {
        hosts: Vec<Remote>,
        /// Do the replicas keep anything on disk?
        is_durable: bool,
    },
}

/// What became of one replica.
#[derive(Clone, Copy, Debug)]
struct Replica {
    id: ReplicaId,
    address: SocketAddr,
    state: State,
    /// The CPU time of its first life when the measuring began.
    used_before_ns: Option<u64>,
    /// Was its first life ended?
    was_killed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    /// Killed on purpose.
    Down,
}

impl Fleet {
    /// Starts the replicas on free ports.
    ///
    /// # Errors
    /// If a host cannot be reached, a process not be started or a log not be written.
    pub(super) async fn start(spec: &Spec<'_>) -> Result<Self, Error> {
        let (place, addresses) = match spec.lab {
            None => {
                let started = start_here(spec);
                let (hosted, addresses) =
                    started.map_err(|error| Error::NotStarted { replica: None, error })?;
                (Place::Here(hosted), addresses)
            }
            Some(lab) => start_there(spec, lab).await?,
        };
        let replica = |(id, address)| Replica {
            id,
            address,
            state: State::Up,
            used_before_ns: None,
            was_killed: false,
        };
        let replicas = ReplicaId::all(addresses.len()).zip(addresses).map(replica).collect();
        Ok(Self { replicas, place, logs: spec.logs.to_owned(), stem: spec.stem.clone() })
    }

    /// Where each replica listens, by number.
    pub(super) fn places(&self) -> Vec<(ReplicaId, SocketAddr)> {
        self.replicas.iter().map(|replica| (replica.id, replica.address)).collect()
    }

    /// Kills `replica`: it ends at once, with nothing said or written.
    pub(super) fn kill(&mut self, replica: ReplicaId) {
        match &mut self.place {
            Place::Here(hosted) => hosted.kill(replica),
            Place::There { hosts, .. } => hosts[replica.index()].kill(),
        }
        let of = &mut self.replicas[replica.index()];
        (of.state, of.was_killed) = (State::Down, true);
    }

    /// Starts `replica`, which was killed, once more: as before, and where it was before.
    ///
    /// # Errors
    /// If it does not go, or cannot be started.
    pub(super) async fn restart(&mut self, replica: ReplicaId) -> Result<(), Error> {
        match &mut self.place {
            Place::Here(hosted) => {
                let failed = |error| Error::NotStarted { replica: Some(replica), error };
                let deadline = Instant::now() + REAP_TIMEOUT;
                while !hosted.start_again(replica).map_err(failed)? {
                    if Instant::now() >= deadline {
                        return Err(Error::NotGone { replica, waited: REAP_TIMEOUT });
                    }
                    tokio::time::sleep(EXIT_POLL).await;
                }
            }
            Place::There { hosts, .. } => hosts[replica.index()].restart().await?,
        }
        self.replicas[replica.index()].state = State::Up;
        Ok(())
    }

    /// Lets the process of `replica` stand still.
    pub(super) fn pause(&mut self, replica: ReplicaId) {
        match &mut self.place {
            Place::Here(hosted) => hosted.pause(replica),
            Place::There { hosts, .. } => hosts[replica.index()].pause(),
        }
        self.replicas[replica.index()].state = State::Paused;
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self, replica: ReplicaId) {
        match &mut self.place {
            Place::Here(hosted) => hosted.resume(replica),
            Place::There { hosts, .. } => hosts[replica.index()].resume(),
        }
        self.replicas[replica.index()].state = State::Up;
    }

    /// Who was killed and has not been started again.
    pub(super) fn down(&self) -> ReplicaSet {
        self.in_state(State::Down)
    }

    /// Who is up and does not stand still.
    pub(super) fn running(&self) -> ReplicaSet {
        self.in_state(State::Up)
    }

    /// Who stands still.
    pub(super) fn paused(&self) -> ReplicaSet {
        self.in_state(State::Paused)
    }

    fn in_state(&self, state: State) -> ReplicaSet {
        let those = self.replicas.iter().filter(|replica| replica.state == state);
        those.map(|replica| replica.id).collect()
    }

    /// Takes note of the CPU time of every replica, by number, when the measuring began.
    pub(super) fn used_before(&mut self, cpu_ns: impl Iterator<Item = Option<u64>>) {
        for (replica, cpu_ns) in self.replicas.iter_mut().zip(cpu_ns) {
            replica.used_before_ns = cpu_ns;
        }
    }

    /// The CPU time that those lives of each replica used since then that were ended on purpose,
    /// seconds, by number; none where that is not known.
    pub(super) fn killed_cpu_s(&mut self) -> Vec<Option<f64>> {
        let place = &mut self.place;
        let of = |replica: &Replica| {
            if !replica.was_killed {
                return Some(0.0);
            }
            let id = replica.id;
            let (is_gone, ended_ns) = match place {
                Place::Here(hosted) => (hosted.is_gone(id), hosted.ended_cpu_ns(id)),
                Place::There { hosts, .. } => hosts[id.index()].ended(),
            };
            // The lives after the first are within the window from their start.
            let known = is_gone || replica.state != State::Down;
            let ns = ended_ns.filter(|_| known)?.saturating_sub(replica.used_before_ns?);
            #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
            Some(ns as f64 / 1e9)
        };
        self.replicas.iter().map(of).collect()
    }

    /// Why the run cannot go on, if it cannot: a process has ended unasked, or a host is lost.
    pub(super) fn trouble(&mut self) -> Option<Stop> {
        match &mut self.place {
            Place::Here(hosted) => hosted.deaths().next().map(Stop::Died),
            Place::There { hosts, .. } => {
                let (logs, stem) = (&self.logs, &self.stem);
                hosts.iter().find_map(|host| host.trouble(|id| log_file(logs, stem, id)))
            }
        }
    }

    /// How the clocks of every host stand: of this one first, then of the replicas' hosts by
    /// number, if they are others.
    ///
    /// # Errors
    /// If a host does not say.
    pub(super) async fn samples(&self) -> Result<Vec<HostSample>, Error> {
        let mut samples = vec![agent::sample()];
        if let Place::There { hosts, .. } = &self.place {
            samples.extend(try_join_all(hosts.iter().map(Remote::sample)).await?);
        }
        Ok(samples)
    }

    /// The names of the replicas' hosts, by number; none if all are on this one.
    pub(super) fn host_names(&self) -> Vec<String> {
        match &self.place {
            Place::Here(_) => Vec::new(),
            Place::There { hosts, .. } => hosts.iter().map(|host| host.name().to_owned()).collect(),
        }
    }

    /// Ends every process: asks those that `lines` lead to, kills those that do not go. What a host
    /// has of them is removed, or kept there if that `is_evidence`; their logs come here. Gives
    /// what a user must know of it.
    pub(super) async fn shut_down(mut self, lines: Vec<Control>, is_evidence: bool) -> Vec<String> {
        for replica in self.paused().iter() {
            self.resume(replica);
        }
        // Whoever is not asked does not go by itself.
        let patience = if lines.is_empty() { Duration::ZERO } else { SHUTDOWN_TIMEOUT };
        let deadline = Instant::now() + patience;
        let asked = lines.into_iter().map(Control::shut_down);
        // Whoever does not answer is killed below.
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, join_all(asked)).await;
        match self.place {
            Place::Here(mut hosted) => {
                hosted.ended_by(deadline).await;
                Vec::new()
            }
            Place::There { hosts, is_durable } => {
                let is_kept = is_durable && is_evidence;
                let files = if is_kept { Files::Kept } else { Files::Removed };
                let (logs, stem) = (&self.logs, &self.stem);
                let ended = hosts.into_iter().map(async |host| {
                    let name = host.name().to_owned();
                    let log = log_file(logs, stem, host.replica());
                    host.end(deadline, files, &log).await.err().map(|error| {
                        format!("what host {name} has of the run may be left there: {error}")
                    })
                });
                let mut remarks: Vec<String> =
                    join_all(ended).await.into_iter().flatten().collect();
                if is_kept {
                    let text = "what the replicas had on disk is kept on their hosts, in kept/ of their agents' directories";
                    remarks.push(text.to_owned());
                }
                remarks
            }
        }
    }
}

/// Where the log of a replica of a run is.
fn log_file(logs: &Path, stem: &str, id: ReplicaId) -> PathBuf {
    logs.join(format!("{stem}-replica{}.log", id.0))
}

fn start_here(spec: &Spec<'_>) -> io::Result<(Hosted, Vec<SocketAddr>)> {
    let addresses = free_addresses(spec.configs.len())?;
    let written: Vec<_> = addresses.iter().copied().map(Into::into).collect();
    let mut hosted = Hosted::default();
    for id in ReplicaId::all(spec.configs.len()) {
        let data = spec.data.map(|data| data.join(format!("replica-{}", id.0)));
        let arguments = Arguments {
            id,
            protocol: spec.protocol,
            addresses: &written,
            listen: None,
            config: &spec.configs[id.index()],
            durability: spec.durability,
            credentials: Some(spec.credentials),
            data: data.as_deref(),
            network: spec.network.as_ref(),
            parent: Some(std::process::id()),
        };
        let log = log_file(spec.logs, &spec.stem, id);
        // A start that failed for want of a port leaves nothing behind.
        File::create(&log)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", log.display())))?;
        hosted.start(id, arguments.to_words(), log)?;
    }
    Ok((hosted, addresses))
}

async fn start_there(
    spec: &Spec<'_>,
    Hosts { lab, driver }: Hosts<'_>,
) -> Result<(Place, Vec<SocketAddr>), Error> {
    let replicas = spec.configs.len();
    let too_few = Error::TooFewHosts { replicas, hosts: lab.replicas_max() };
    let hosts = lab.hosts_of(replicas).ok_or(too_few)?;
    let mut lines = driver.connect_all(&hosts).await?;
    let ports = try_join_all(lines.iter_mut().map(|line| line.port(false))).await?;
    let addresses: Vec<SocketAddr> =
        lines.iter().zip(&ports).map(|(line, port)| SocketAddr::new(line.at.ip(), *port)).collect();
    // Of this run of this process alone: what an earlier one left is none of its business.
    let begun = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let cluster = format!("run-{begun:x}-{}", std::process::id());
    let mut started = Vec::new();
    for ((id, line), port) in ReplicaId::all(replicas).zip(lines).zip(ports) {
        let start = Start {
            cluster: cluster.clone(),
            standing: false,
            replica: id,
            protocol: spec.protocol,
            config: spec.configs[id.index()],
            durability: spec.durability,
            addresses: addresses.iter().copied().map(Into::into).collect(),
            port,
            network: spec.network.clone(),
            identity: Some(Bundle::read(spec.credentials, id)?),
        };
        started.push(Remote::start(line, start));
    }
    let hosts = try_join_all(started).await?;
    let is_durable = spec.durability != Durability::Memory;
    Ok((Place::There { hosts, is_durable }, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_after_their_run() {
        let file = log_file(Path::new("logs"), "paxos-default-r1", ReplicaId(2));
        assert_eq!(file, Path::new("logs/paxos-default-r1-replica2.log"));
    }
}
