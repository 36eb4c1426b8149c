//! The replica processes of one run, and the operator's lines to them.
//!
//! **Invariant:** a process that was started here is gone when its [`Processes`] is: killed and reaped on drop, and tied
//! by the kernel to this process' life in case nothing is dropped.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use node::{
    client::{Connector, Session},
    control::{Control, Operator},
    identity::{Identity, Role},
    transport::free_addresses,
};
use protocols::{Config, Protocol, ReplicaId};

use super::{join_all, link::Door};

/// Chosen: many times what a loaded machine needs to start a handful of processes.
const UP_TIMEOUT: Duration = Duration::from_secs(15);
const UP_POLL: Duration = Duration::from_millis(5);
/// Between looking for a port and binding it another process may take it.
const PORT_ATTEMPTS: u32 = 3;
/// Chosen: a replica answers before it stops, and then needs as long as its farewell.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
const EXIT_POLL: Duration = Duration::from_millis(2);
/// How much of a log are a process' last words.
const LAST_WORDS_LINES: usize = 3;
const LAST_WORDS_CHARS: usize = 400;

/// What the replicas of a run are told.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) protocol: Protocol,
    pub(super) config: Config,
    /// The directory with the credentials of at least so many replicas.
    pub(super) credentials: &'a Path,
    pub(super) logs: &'a Path,
    /// How the logs' names begin.
    pub(super) stem: String,
}

/// The processes of one cluster.
#[derive(Debug)]
pub(super) struct Processes {
    replicas: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    id: ReplicaId,
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    /// Its CPU time when the measuring began.
    used_before_ns: Option<u64>,
    killed: Option<Killed>,
}

/// What is known of a process that was killed on purpose.
#[derive(Clone, Copy, Debug)]
enum Killed {
    /// Its end has not been seen yet.
    Dying,
    /// All of its CPU time, if the system told.
    Reaped { cpu_ns: Option<u64> },
}

/// A process that ended by itself.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    /// Which, how, and its last words.
    pub(crate) text: String,
    /// Was a port that it needed taken?
    pub(crate) port_taken: bool,
}

impl Processes {
    /// Starts the replicas on free ports.
    ///
    /// # Errors
    /// If a process cannot be started or a log cannot be written.
    fn spawn(spec: &Spec<'_>) -> io::Result<Self> {
        let addresses = free_addresses(spec.config.replicas)?;
        let mut processes = Self { replicas: Vec::new() };
        for id in ReplicaId::all(spec.config.replicas) {
            processes.replicas.push(Process::spawn(spec, id, &addresses)?);
        }
        Ok(processes)
    }

    /// Kills `replica`: it ends at once, with nothing said or written.
    pub(super) fn kill(&mut self, replica: ReplicaId) {
        let process = &mut self.replicas[replica.index()];
        // It fails only if the process has ended already.
        let _ = process.child.kill();
        process.killed = Some(Killed::Dying);
    }

    /// Takes note of the CPU time of every process, by number, when the measuring began.
    pub(super) fn used_before(&mut self, cpu_ns: impl Iterator<Item = Option<u64>>) {
        for (process, cpu_ns) in self.replicas.iter_mut().zip(cpu_ns) {
            process.used_before_ns = cpu_ns;
        }
    }

    /// The CPU time that those used since then that were killed, seconds; none if that is not known of one.
    pub(super) fn killed_cpu_s(&mut self) -> Option<f64> {
        let killed = self.replicas.iter_mut().filter(|process| process.killed.is_some());
        let ns: Option<u64> = killed
            .map(|process| {
                process.reap();
                match process.killed {
                    Some(Killed::Reaped { cpu_ns }) => {
                        Some(cpu_ns?.saturating_sub(process.used_before_ns?))
                    }
                    _ => None,
                }
            })
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "CPU time of a run in nanoseconds")]
        ns.map(|ns| ns as f64 / 1e9)
    }

    /// The first process found that has ended unasked, if any.
    pub(super) fn death(&mut self) -> Option<Death> {
        self.replicas.iter_mut().find_map(Process::death)
    }

    /// Ends every process: asks those that `lines` lead to, kills those that do not go.
    pub(super) async fn shut_down(mut self, lines: Vec<Control>) {
        let asked = lines.into_iter().map(Control::shut_down);
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        // Whoever does not answer is killed below.
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, join_all(asked)).await;
        while Instant::now() < deadline && self.replicas.iter_mut().any(Process::is_running) {
            tokio::time::sleep(EXIT_POLL).await;
        }
    }
}

impl Process {
    fn spawn(spec: &Spec<'_>, id: ReplicaId, addresses: &[SocketAddr]) -> io::Result<Self> {
        let log = spec.logs.join(format!("{}-replica{}.log", spec.stem, id.0));
        let out = File::create(&log)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", log.display())))?;
        let address = addresses[id.index()];
        let peers: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let config = serde_json::to_string(&spec.config)
            .expect("a configuration is plain numbers and names");
        let child = Command::new(std::env::current_exe()?)
            .arg("node")
            .args(["--id", &id.0.to_string()])
            .args(["--protocol", spec.protocol.name()])
            .args(["--listen", &address.to_string()])
            .args(["--peers", &peers.join(",")])
            .args(["--config", &config])
            .args(["--parent", &std::process::id().to_string()])
            .arg("--credentials")
            .arg(spec.credentials)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // A group of its own: Ctrl-C reaches this program alone, which then ends its replicas in order.
            .process_group(0)
            .spawn()?;
        Ok(Self { id, child, address, log, used_before_ns: None, killed: None })
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sees the end of a process that was killed. The system adds up the CPU time of children whose end was seen: what this
    /// adds is the child's.
    fn reap(&mut self) {
        if !matches!(self.killed, Some(Killed::Dying)) {
            return;
        }
        let before_ns = children_cpu_ns();
        if let Ok(Some(_)) = self.child.try_wait() {
            let cpu_ns = children_cpu_ns().zip(before_ns).map(|(after, before)| after - before);
            self.killed = Some(Killed::Reaped { cpu_ns });
        }
    }

    fn death(&mut self) -> Option<Death> {
        if self.killed.is_some() {
            self.reap();
            return None;
        }
        let status = self.child.try_wait().ok()??;
        let log = fs::read(&self.log).unwrap_or_default();
        let words = last_words(&String::from_utf8_lossy(&log));
        Some(Death {
            text: format!(
                "replica {} ended by itself ({status}); its last words: {words} ({})",
                self.id.0,
                self.log.display()
            ),
            port_taken: words.contains("cannot bind UDP"),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of all children whose end was seen.
fn children_cpu_ns() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok()
}

/// The last lines of a log, as one line.
pub(crate) fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join(" | ");
    match last.char_indices().rev().nth(LAST_WORDS_CHARS) {
        _ if last.is_empty() => "none".to_owned(),
        Some((cut, _)) => format!("\"…{}\"", &last[cut..]),
        None => format!("\"{last}\""),
    }
}

/// A cluster that is up: every replica is connected with every other, and a leader is known where there is one.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) processes: Processes,
    /// A line to each replica, by number.
    pub(super) lines: Vec<Control>,
    /// What opens a line again.
    pub(super) desk: Desk,
    /// A session with each replica, by number, and where to open it again.
    pub(super) sessions: Vec<(Door, Session)>,
}

/// Where the operator is, who has a line to each replica.
#[derive(Debug)]
pub(super) struct Desk {
    operator: Operator,
    addresses: Vec<SocketAddr>,
}

impl Desk {
    /// Opens again those of `lines` that are lost: a replica that stood still for a while has given them up.
    ///
    /// # Errors
    /// If a replica does not answer.
    pub(super) async fn mend(&self, lines: &mut [Control]) -> Result<(), String> {
        for line in lines {
            if line.status().await.is_err() {
                let replica = line.replica();
                let opened = self.operator.connect(replica, self.addresses[replica.index()]).await;
                *line = opened.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// What leads to the replicas of a cluster.
type Ways = (Vec<Control>, Desk, Vec<(Door, Session)>);

impl Cluster {
    /// Starts the replicas and waits until they are up.
    ///
    /// # Errors
    /// If a replica cannot be started or ends, or they are not up in time.
    pub(super) async fn start(spec: &Spec<'_>) -> Result<Self, String> {
        let mut attempt = 1;
        loop {
            let mut processes = Processes::spawn(spec)
                .map_err(|error| format!("cannot start a replica: {error}"))?;
            match wait_until_up(spec, &mut processes).await {
                Ok((lines, desk, sessions)) => {
                    return Ok(Self { processes, lines, desk, sessions });
                }
                Err(Down::Died(death)) if death.port_taken && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                }
                Err(Down::Died(death)) => return Err(death.text),
                Err(Down::Other(text)) => return Err(text),
            }
        }
    }
}

enum Down {
    Died(Death),
    Other(String),
}

async fn wait_until_up(spec: &Spec<'_>, processes: &mut Processes) -> Result<Ways, Down> {
    let places: Vec<_> =
        processes.replicas.iter().map(|process| (process.id, process.address)).collect();
    let died = async {
        loop {
            if let Some(death) = processes.death() {
                return death;
            }
            tokio::time::sleep(UP_POLL).await;
        }
    };
    let up = tokio::time::timeout(UP_TIMEOUT, connect(spec, &places));
    tokio::select! {
        biased;
        death = died => Err(Down::Died(death)),
        up = up => match up {
            Ok(up) => up.map_err(Down::Other),
            Err(_) => Err(Down::Other(format!(
                "the replicas are not up after {} s: see their logs in {}",
                UP_TIMEOUT.as_secs(),
                spec.logs.display()
            ))),
        },
    }
}

/// Connects with every replica and waits until they are connected with each other.
async fn connect(spec: &Spec<'_>, places: &[(ReplicaId, SocketAddr)]) -> Result<Ways, String> {
    let identity = |role| Identity::load(spec.credentials, role).map_err(|error| error.to_string());
    let operator = Operator::new(&identity(Role::Operator)?).map_err(|error| error.to_string())?;
    let connector = Connector::new(&identity(Role::Client)?).map_err(|error| error.to_string())?;
    let mut lines = join_all(places.iter().map(async |(id, address)| {
        loop {
            // Nobody answers before the process is up; whoever limits the wait is further out.
            match operator.connect(*id, *address).await {
                Ok(line) => return line,
                Err(_) => tokio::time::sleep(UP_POLL).await,
            }
        }
    }))
    .await;
    while !are_connected(spec.protocol, &mut lines).await? {
        tokio::time::sleep(UP_POLL).await;
    }
    let sessions = join_all(places.iter().map(|(id, address)| connector.connect(*id, *address)));
    let doors = places.iter().map(|(replica, address)| Door {
        connector: connector.clone(),
        replica: *replica,
        address: *address,
    });
    let addresses = places.iter().map(|(_, address)| *address).collect();
    let sessions = doors.zip(collected(sessions.await)?).collect();
    Ok((lines, Desk { operator, addresses }, sessions))
}

async fn are_connected(protocol: Protocol, lines: &mut [Control]) -> Result<bool, String> {
    let peers = lines.len() as u64 - 1;
    let statuses = collected(join_all(lines.iter_mut().map(Control::status)).await)?;
    Ok(statuses.iter().all(|status| {
        let led = protocol != Protocol::MultiPaxos || status.core.leader.is_some();
        led && status.peers_connected == peers
    }))
}

/// All results, or the first error.
pub(super) fn collected<T>(results: Vec<Result<T, node::NodeError>>) -> Result<Vec<T>, String> {
    results.into_iter().map(|result| result.map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_one_bounded_line() {
        assert_eq!(last_words(""), "none");
        assert_eq!(last_words("a\n\nb\nc\n  d\n"), "\"b | c | d\"");
        let words = last_words(&"é".repeat(1_000));
        assert_eq!(words.chars().count(), LAST_WORDS_CHARS + 4, "{words}");
    }
}
