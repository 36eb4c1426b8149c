//! Starting replicas that outlive the command that starts them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::Range,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use driver::storage::Durability;
use node::{
    address::Address,
    child::{Arguments, Death, last_words},
    emulator::NetworkPlan,
    interrupt::Interrupt,
};
use protocols::{ReplicaId, ReplicaSet};

use crate::{Description, Directory, Error, Lines, Lock, Process};

/// Chosen: many times what a loaded machine needs to start a handful of processes and read their logs.
const UP_TIMEOUT: Duration = Duration::from_secs(30);
const UP_POLL: Duration = Duration::from_millis(10);
/// Ports for standing clusters, below those that the system gives to whoever asks for any: a replica that is dead for a
/// while finds its port free.
const PORTS: Range<u16> = 12_000..32_000;

/// Replicas on their way up. Until they are [kept](Starting::keep) they end with this.
#[derive(Debug, Default)]
pub struct Starting(Vec<Started>);

#[derive(Debug)]
struct Started {
    id: ReplicaId,
    child: Child,
    log: PathBuf,
    /// Where in the log this process begins.
    log_from: u64,
}

impl Starting {
    /// Starts `replica` in the background and writes its process down.
    ///
    /// # Errors
    /// If it cannot be started or written down.
    pub fn start(
        &mut self,
        directory: &Directory,
        description: &mut Description,
        replica: ReplicaId,
        _lock: &Lock,
    ) -> Result<(), Error> {
        let started = Started::spawn(&directory.absolute()?, description, replica)
            .map_err(|error| Error::NotStarted { replica, error })?;
        let pid = i32::try_from(started.child.id()).expect("the system's ids fit");
        // It is this process' child: even if it has ended already, its number is not given away before that is seen.
        let process = Process::of(pid);
        self.0.push(started);
        let process = process.map_err(|error| Error::Unknown { pid, error })?;
        description.processes[replica.index()] = Some(process);
        directory.describe(description)
    }

    /// They live on when this command ends.
    pub fn keep(mut self) {
        self.0.clear();
    }

    /// Waits until every replica that was started is connected with those of `others` that it may reach, and knows a leader
    /// where a majority of both should have one.
    ///
    /// # Errors
    /// If one ends, or they are not up in time, or a signal asks for the end.
    pub async fn wait_until_up(
        &mut self,
        lines: &Lines,
        description: &Description,
        others: ReplicaSet,
        interrupt: &mut Interrupt,
    ) -> Result<(), Error> {
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
            death = died => return Err(Error::Died(death)),
            signal = interrupt.raised() => (None, Some(signal)),
            up = tokio::time::timeout(UP_TIMEOUT, up) => match up {
                Ok(()) => return Ok(()),
                Err(_) => (Some(UP_TIMEOUT), None),
            },
        };
        let (waited, signal) = result;
        let words: Vec<String> = self.0.iter().map(Started::words).collect();
        Err(Error::NotUp { waited, signal, last_words: words.join("; ") })
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
    fn spawn(directory: &Directory, description: &Description, id: ReplicaId) -> io::Result<Self> {
        let log = directory.log(id);
        let open = OpenOptions::new().append(true).create(true).open(&log);
        let open = open.and_then(|out| Ok((out.try_clone()?, out.metadata()?.len(), out)));
        let (err, log_from, out) = open
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", log.display())))?;
        // Nothing is emulated to begin with, but partitions can be.
        let network = NetworkPlan::flat(description.replicas(), 0);
        let (credentials, data) = (directory.credentials(), directory.replica(id));
        let arguments = Arguments {
            id,
            protocol: description.protocol,
            addresses: &description.addresses,
            listen: None,
            config: &description.config,
            durability: description.durability,
            credentials: (!description.is_insecure).then_some(credentials.as_path()),
            data: (description.durability != Durability::Memory).then_some(data.as_path()),
            network: Some(&network),
            parent: None,
        };
        let child = Command::new(std::env::current_exe()?)
            .args(arguments.to_words())
            // It keeps no directory of its starter's busy.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()?;
        Ok(Self { id, child, log, log_from })
    }

    fn death(&mut self) -> Option<Death> {
        let status = self.child.try_wait().ok()??;
        let words = self.words();
        Some(Death { replica: self.id, status, last_words: words, log: self.log.clone() })
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
pub fn addresses(replicas: usize, base_port: Option<u16>) -> Result<Vec<Address>, Error> {
    let Some(base) = base_port else { return free_addresses(replicas) };
    let last = u16::try_from(replicas - 1).ok().and_then(|more| base.checked_add(more));
    let last = last.ok_or(Error::PortsBeyond { base, replicas })?;
    (base..=last)
        .map(|port| is_free(port).then(|| loopback(port)).ok_or(Error::PortTaken { base, port }))
        .collect()
}

/// Replaces those of `addresses` that somebody else took meanwhile.
///
/// # Errors
/// If none is free.
pub fn replace_taken(addresses: &mut [Address]) -> Result<bool, Error> {
    let taken: Vec<usize> =
        (0..addresses.len()).filter(|place| !is_free(addresses[*place].port())).collect();
    let mut fresh = free_addresses(taken.len() + addresses.len())?;
    fresh.retain(|address| !addresses.contains(address));
    for (place, address) in taken.iter().zip(fresh) {
        addresses[*place] = address;
    }
    Ok(!taken.is_empty())
}

/// Different free addresses, from a place in the range that another call hardly begins at.
fn free_addresses(count: usize) -> Result<Vec<Address>, Error> {
    let width = PORTS.end - PORTS.start;
    let begin = u16::try_from(std::process::id() * 97 % u32::from(width)).expect("below the width");
    let ports = (0..width).map(|step| PORTS.start + (begin + step) % width);
    let found: Vec<_> = ports.filter(|port| is_free(*port)).map(loopback).take(count).collect();
    if found.len() < count {
        return Err(Error::NoPorts { needed: count, among: PORTS });
    }
    Ok(found)
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn loopback(port: u16) -> Address {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_taken_are_not_given() {
        let given = addresses(3, None).unwrap();
        assert_eq!(given.len(), 3);
        let _taken = UdpSocket::bind(given[1].fixed().unwrap()).unwrap();
        let again = addresses(3, None).unwrap();
        assert!(!again.contains(&given[1]), "{again:?}");
        let base = given[1].port();
        let refused = addresses(1, Some(base)).unwrap_err().to_string();
        assert!(refused.contains(&format!("UDP port {base} is taken")), "{refused}");
        let refused = addresses(3, Some(65_534)).unwrap_err().to_string();
        assert!(refused.contains("go beyond 65535"), "{refused}");
        let mut replaced = given.clone();
        assert!(replace_taken(&mut replaced).unwrap());
        assert_eq!((&replaced[0], &replaced[2]), (&given[0], &given[2]));
        assert_ne!(replaced[1], given[1]);
    }
}
