//! The replica processes of one run, through all of their lives.
//!
//! **Invariant:** a process that was started here is gone when its [`Processes`] is: killed and reaped on drop, and tied
//! by the kernel to this process' life in case nothing is dropped.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use driver::storage::Durability;
use futures_util::future::join_all;
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
        time::TimeValLike,
    },
    unistd::Pid,
};
use node::{
    child::{Arguments, Death, last_words},
    control::Control,
    emulator::NetworkPlan,
    transport::free_addresses,
};
use protocols::{Config, Protocol, ReplicaId, ReplicaSet};

use crate::Error;

/// Chosen: a replica answers before it stops, and then needs as long as its farewell.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
const EXIT_POLL: Duration = Duration::from_millis(2);
/// Chosen: the end of a killed process is a matter of milliseconds, unless it was waiting for a disk.
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
    /// Where the replicas' data directories are; none with nothing to keep.
    pub(super) data: Option<&'a Path>,
    /// The network to emulate; none is the bare loopback.
    pub(super) network: Option<NetworkPlan>,
}

/// The processes of one cluster.
#[derive(Debug)]
pub(super) struct Processes {
    replicas: Vec<Process>,
}

/// One replica's process, the one that lives or the last that did.
#[derive(Debug)]
struct Process {
    id: ReplicaId,
    child: Child,
    arguments: Vec<OsString>,
    address: SocketAddr,
    log: PathBuf,
    /// Where this life's part of the log begins.
    log_from: usize,
    /// This life's CPU time when the measuring began.
    used_before_ns: Option<u64>,
    /// The CPU time in the measured window of all lives that were ended on purpose; none if one is not known.
    ended_ns: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    /// Killed on purpose; its end has not been seen yet.
    Dying,
    /// Killed on purpose, and gone.
    Gone,
}

impl Processes {
    /// Starts the replicas on free ports.
    ///
    /// # Errors
    /// If a process cannot be started or a log cannot be written.
    pub(super) fn spawn(spec: &Spec<'_>) -> io::Result<Self> {
        let addresses = free_addresses(spec.configs.len())?;
        let mut processes = Self { replicas: Vec::new() };
        for id in ReplicaId::all(spec.configs.len()) {
            processes.replicas.push(Process::spawn(spec, id, &addresses)?);
        }
        Ok(processes)
    }

    /// Where each replica listens, by number.
    pub(super) fn places(&self) -> Vec<(ReplicaId, SocketAddr)> {
        self.replicas.iter().map(|process| (process.id, process.address)).collect()
    }

    /// Kills `replica`: it ends at once, with nothing said or written.
    pub(super) fn kill(&mut self, replica: ReplicaId) {
        let process = &mut self.replicas[replica.index()];
        // It fails only if the process has ended already.
        let _ = process.child.kill();
        process.state = State::Dying;
    }

    /// Starts `replica`, which was killed, once more: as before, and where it was before.
    ///
    /// # Errors
    /// If it does not go, or cannot be started.
    pub(super) async fn restart(&mut self, replica: ReplicaId) -> Result<(), Error> {
        let process = &mut self.replicas[replica.index()];
        let deadline = Instant::now() + REAP_TIMEOUT;
        while !process.is_gone() {
            if Instant::now() >= deadline {
                return Err(Error::NotGone { replica, waited: REAP_TIMEOUT });
            }
            tokio::time::sleep(EXIT_POLL).await;
        }
        let failed = |error| Error::NotStarted { replica: Some(replica), error };
        process.start_again().map_err(failed)
    }

    /// Lets the process of `replica` stand still.
    pub(super) fn pause(&mut self, replica: ReplicaId) {
        self.replicas[replica.index()].signal(Signal::SIGSTOP, State::Paused);
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self, replica: ReplicaId) {
        self.replicas[replica.index()].signal(Signal::SIGCONT, State::Up);
    }

    /// Who was killed and has not been started again.
    pub(super) fn down(&self) -> ReplicaSet {
        self.in_state(|state| matches!(state, State::Dying | State::Gone))
    }

    /// Who is up and does not stand still.
    pub(super) fn running(&self) -> ReplicaSet {
        self.in_state(|state| state == State::Up)
    }

    /// Who stands still.
    pub(super) fn paused(&self) -> ReplicaSet {
        self.in_state(|state| state == State::Paused)
    }

    fn in_state(&self, is: impl Fn(State) -> bool) -> ReplicaSet {
        self.replicas.iter().filter(|process| is(process.state)).map(|process| process.id).collect()
    }

    /// Takes note of the CPU time of every process, by number, when the measuring began.
    pub(super) fn used_before(&mut self, cpu_ns: impl Iterator<Item = Option<u64>>) {
        for (process, cpu_ns) in self.replicas.iter_mut().zip(cpu_ns) {
            process.used_before_ns = cpu_ns;
        }
    }

    /// The CPU time that the lives used since then that were ended on purpose, seconds; none if that is not known of one.
    pub(super) fn killed_cpu_s(&mut self) -> Option<f64> {
        let ns: Option<u64> = self
            .replicas
            .iter_mut()
            .map(|process| {
                let known = process.is_gone() || process.state != State::Dying;
                process.ended_ns.filter(|_| known)
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
        for replica in self.paused().iter() {
            self.resume(replica);
        }
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
        File::create(&log).map_err(|error| of_file(&log, &error))?;
        let address = addresses[id.index()];
        let arguments = arguments(spec, id, addresses);
        Ok(Self {
            id,
            child: start(&arguments, &log)?,
            arguments,
            address,
            log,
            log_from: 0,
            used_before_ns: None,
            ended_ns: Some(0),
            state: State::Up,
        })
    }

    fn start_again(&mut self) -> io::Result<()> {
        let written = fs::metadata(&self.log).map_err(|error| of_file(&self.log, &error))?.len();
        self.log_from = usize::try_from(written).unwrap_or(usize::MAX);
        self.child = start(&self.arguments, &self.log)?;
        self.state = State::Up;
        // All of this life is within the window.
        self.used_before_ns = Some(0);
        Ok(())
    }

    fn signal(&mut self, signal: Signal, state: State) {
        let pid = i32::try_from(self.child.id()).expect("process ids are small");
        // It fails only if the process has ended, which shows soon.
        let _ = kill(Pid::from_raw(pid), signal);
        self.state = state;
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sees the end of a process that was killed. The system adds up the CPU time of children whose end was seen: what this
    /// adds is the child's.
    fn is_gone(&mut self) -> bool {
        if self.state == State::Dying {
            let before_ns = children_cpu_ns();
            if let Ok(Some(_)) = self.child.try_wait() {
                let of_life = || {
                    let cpu_ns = children_cpu_ns()?.checked_sub(before_ns?)?;
                    Some(cpu_ns.saturating_sub(self.used_before_ns?))
                };
                self.ended_ns =
                    self.ended_ns.zip(of_life()).map(|(ended_ns, cpu_ns)| ended_ns + cpu_ns);
                self.state = State::Gone;
            }
        }
        self.state == State::Gone
    }

    fn death(&mut self) -> Option<Death> {
        if self.is_gone() || self.state == State::Dying {
            return None;
        }
        let status = self.child.try_wait().ok()??;
        let log = fs::read(&self.log).unwrap_or_default();
        let of_life = log.get(self.log_from..).unwrap_or_default();
        Some(Death {
            replica: self.id,
            status,
            last_words: last_words(&String::from_utf8_lossy(of_life)),
            log: self.log.clone(),
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

fn arguments(spec: &Spec<'_>, id: ReplicaId, addresses: &[SocketAddr]) -> Vec<OsString> {
    let data = spec.data.map(|data| data.join(format!("replica-{}", id.0)));
    let arguments = Arguments {
        id,
        protocol: spec.protocol,
        addresses,
        config: &spec.configs[id.index()],
        durability: spec.durability,
        credentials: Some(spec.credentials),
        data: data.as_deref(),
        network: spec.network.as_ref(),
        parent: Some(std::process::id()),
    };
    arguments.to_words()
}

fn start(arguments: &[OsString], log: &Path) -> io::Result<Child> {
    let out = File::options().append(true).open(log).map_err(|error| of_file(log, &error))?;
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        // A group of its own: Ctrl-C reaches this program alone, which then ends its replicas in order.
        .process_group(0)
        .spawn()
}

fn of_file(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

/// CPU time of all children whose end was seen.
fn children_cpu_ns() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok()
}
