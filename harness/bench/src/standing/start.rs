//! Starting replicas that outlive the command that starts them.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::Range,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use driver::storage::Durability;
use node::emulator::NetworkPlan;
use protocols::{ReplicaId, ReplicaSet};

use super::{Description, Directory, Lock, Process, lines::Lines};
use crate::{
    exit::Failure,
    interrupt::Interrupt,
    quic::{Death, last_words},
};

/// Chosen: many times what a loaded machine needs to start a handful of processes and read their logs.
const UP_TIMEOUT: Duration = Duration::from_secs(30);
const UP_POLL: Duration = Duration::from_millis(10);
/// Ports for standing clusters, below those that the system gives to whoever asks for any: a replica that is dead for a
/// while finds its port free.
const PORTS: Range<u16> = 12_000..32_000;

/// Replicas on their way up. Until they are [kept](Starting::keep) they end with this.
#[derive(Debug, Default)]
pub(crate) struct Starting(Vec<Started>);

#[derive(Debug)]
struct Started {
    id: ReplicaId,
    child: Child,
    log: PathBuf,
    /// Where in the log this process begins.
    log_from: u64,
}

/// Why replicas are not up.
#[derive(Debug)]
pub(crate) enum Down {
    /// One ended by itself.
    Died(Death),
    /// Anything else.
    Other(String),
}

impl Down {
    /// Was a port that a replica needed taken?
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Died(death) if death.port_taken)
    }
}

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Died(death) => f.write_str(&death.text),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Starting {
    /// Starts `replica` in the background and writes its process down.
    ///
    /// # Errors
    /// If it cannot be started or written down.
    pub(crate) fn start(
        &mut self,
        directory: &Directory,
        description: &mut Description,
        replica: ReplicaId,
        _lock: &Lock,
    ) -> Result<(), Failure> {
        let started =
            Started::spawn(&directory.absolute()?, description, replica).map_err(|error| {
                Failure::failed(format!("cannot start replica {}: {error}", replica.0))
            })?;
        let pid = i32::try_from(started.child.id()).expect("the system's ids fit");
        // It is this process' child: even if it has ended already, its number is not given away before that is seen.
        let process = Process::of(pid);
        self.0.push(started);
        let process = process.map_err(|error| {
            Failure::failed(format!(
                "/proc/{pid}/stat: cannot be read ({error}): is /proc mounted?"
            ))
        })?;
        description.processes[replica.index()] = Some(process);
        directory.describe(description)
    }

    /// They live on when this command ends.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }

    /// Waits until every replica that was started is connected with those of `others` that it may reach, and knows a leader
    /// where a majority of both should have one.
    ///
    /// # Errors
    /// If one ends, or they are not up in time, or a signal asks for the end.
    pub(crate) async fn wait_until_up(
        &mut self,
        lines: &Lines,
        description: &Description,
        others: ReplicaSet,
        interrupt: &mut Interrupt,
    ) -> Result<(), Down> {
        let started: Vec<ReplicaId> = self.0.iter().map(|started| started.id).collect();
        let all = started.iter().copied().collect::<ReplicaSet>().union(others);
        let up = async {
            for id in started {
                let reachable = |peer: &ReplicaId| *peer != id && !description.is_cut(*peer, id);
                let peers: ReplicaSet = all.iter().filter(reachable).collect();
                let led = description.protocol.has_stable_leader
                    && description.is_majority(peers.union(ReplicaSet::only(id)));
                while !is_up(lines, id, peers.len() as u64, led).await {
                    tokio::time::sleep(UP_POLL).await;
                }
            }
        };
        let died = async {
            loop {
                if let Some(death) = self.0.iter_mut().find_map(Started::death) {
                    return death;
                }
                tokio::time::sleep(UP_POLL).await;
            }
        };
        let result = tokio::select! {
            biased;
            death = died => Err(Down::Died(death)),
            signal = interrupt.raised() => Err(Down::Other(format!("interrupted ({signal})"))),
            up = tokio::time::timeout(UP_TIMEOUT, up) => up.map_err(|_| {
                Down::Other(format!("not connected after {} s", UP_TIMEOUT.as_secs()))
            }),
        };
        match result {
            Err(Down::Other(text)) => {
                let words = self.0.iter().map(Started::words);
                let words = words.collect::<Vec<_>>().join("; ");
                Err(Down::Other(format!("{text}: the replicas' last words: {words}")))
            }
            other => other,
        }
    }
}

async fn is_up(lines: &Lines, id: ReplicaId, peers: u64, led: bool) -> bool {
    // Nobody answers before the process is up; whoever limits the wait is further out.
    let Ok(status) = lines.status(id).await else { return false };
    status.peers_connected >= peers && (status.core.leader.is_some() || !led)
}

impl Drop for Starting {
    fn drop(&mut self) {
        for Started { child, .. } in &mut self.0 {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Started {
    /// `directory` must be absolute.
    fn spawn(
        directory: &Directory,
        description: &Description,
        id: ReplicaId,
    ) -> Result<Self, String> {
        let log = directory.log(id);
        let open = OpenOptions::new().append(true).create(true).open(&log);
        let open = open.and_then(|out| Ok((out.try_clone()?, out.metadata()?.len(), out)));
        let (err, log_from, out) = open.map_err(|error| format!("{}: {error}", log.display()))?;
        let peers: Vec<String> = description.addresses.iter().map(SocketAddr::to_string).collect();
        let config = serde_json::to_string(&description.config)
            .expect("a configuration is plain numbers and names");
        // Nothing is emulated to begin with, but partitions can be.
        let network = NetworkPlan::flat(description.replicas(), 0);
        let network = serde_json::to_string(&network).expect("a plan is plain numbers");
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command
            .arg("node")
            .args(["--id", &id.0.to_string()])
            .args(["--protocol", description.protocol.name()])
            .args(["--listen", &peers[id.index()]])
            .args(["--peers", &peers.join(",")])
            .args(["--config", &config])
            .args(["--durability", description.durability.name()])
            .args(["--network", &network])
            .arg("--detach")
            // It keeps no directory of its starter's busy.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        if description.is_insecure {
            command.arg("--insecure");
        } else {
            command.arg("--credentials").arg(directory.credentials());
        }
        if description.durability != Durability::Memory {
            command.arg("--data").arg(directory.replica(id));
        }
        let child = command.spawn().map_err(|error| error.to_string())?;
        Ok(Self { id, child, log, log_from })
    }

    fn death(&mut self) -> Option<Death> {
        let status = self.child.try_wait().ok()??;
        let words = self.words();
        Some(Death {
            text: format!(
                "replica {} ended by itself ({status}); its last words: {words}",
                self.id.0
            ),
            port_taken: words.contains("cannot bind UDP"),
        })
    }

    /// What it logged last.
    fn words(&self) -> String {
        let mut log = Vec::new();
        // Without a log there are no last words.
        let _ = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.log_from))?;
            file.read_to_end(&mut log)
        });
        last_words(&String::from_utf8_lossy(&log))
    }
}

/// Addresses of the loopback for `replicas`: from `base_port` on, or free ones.
///
/// # Errors
/// If a port is taken, or none is free.
pub(crate) fn addresses(
    replicas: usize,
    base_port: Option<u16>,
) -> Result<Vec<SocketAddr>, Failure> {
    let Some(base) = base_port else { return free_addresses(replicas) };
    let last = u16::try_from(replicas - 1).ok().and_then(|more| base.checked_add(more));
    let last = last.ok_or_else(|| {
        Failure::usage(format!("--base-port {base}: {replicas} ports from there go beyond 65535"))
    })?;
    (base..=last)
        .map(|port| {
            is_free(port).then_some(loopback(port)).ok_or_else(|| {
                Failure::usage(format!(
                    "--base-port {base}: UDP port {port} is taken: choose another, or leave it away for free ones"
                ))
            })
        })
        .collect()
}

/// Replaces those of `addresses` that somebody else took meanwhile.
///
/// # Errors
/// If none is free.
pub(crate) fn replace_taken(addresses: &mut [SocketAddr]) -> Result<bool, Failure> {
    let taken: Vec<usize> =
        (0..addresses.len()).filter(|place| UdpSocket::bind(addresses[*place]).is_err()).collect();
    let mut fresh = free_addresses(taken.len() + addresses.len())?;
    fresh.retain(|address| !addresses.contains(address));
    for (place, address) in taken.iter().zip(fresh) {
        addresses[*place] = address;
    }
    Ok(!taken.is_empty())
}

/// Different free addresses, from a place in the range that another call hardly begins at.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let width = PORTS.end - PORTS.start;
    let begin = u16::try_from(std::process::id() * 97 % u32::from(width)).expect("below the width");
    let ports = (0..width).map(|step| PORTS.start + (begin + step) % width);
    let found: Vec<_> = ports.filter(|port| is_free(*port)).map(loopback).take(count).collect();
    if found.len() < count {
        let Range { start, end } = PORTS;
        return Err(Failure::failed(format!(
            "no {count} UDP ports from {start} to {end} are free"
        )));
    }
    Ok(found)
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(loopback(port)).is_ok()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_taken_are_not_given() {
        let given = addresses(3, None).unwrap();
        assert_eq!(given.len(), 3);
        let _taken = UdpSocket::bind(given[1]).unwrap();
        let again = addresses(3, None).unwrap();
        assert!(!again.contains(&given[1]), "{again:?}");
        let base = given[1].port();
        let refused = format!("{:?}", addresses(1, Some(base)).unwrap_err());
        assert!(refused.contains(&format!("UDP port {base} is taken")), "{refused}");
        let refused = format!("{:?}", addresses(3, Some(65_534)).unwrap_err());
        assert!(refused.contains("go beyond 65535"), "{refused}");
        let mut replaced = given.clone();
        assert!(replace_taken(&mut replaced).unwrap());
        assert_eq!((replaced[0], replaced[2]), (given[0], given[2]));
        assert_ne!(replaced[1], given[1]);
    }
}
