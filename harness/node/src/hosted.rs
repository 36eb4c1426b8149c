//! Replica processes of this host, through all of their lives: those of a run on this host alone,
//! and those of an agent.
//!
//! **Invariant:** a process that was started here is gone when its [`Hosted`] is: killed and reaped
//! on drop, and tied by the kernel to this process' life in case nothing is dropped.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
        time::TimeValLike,
    },
    unistd::Pid,
};
use protocols::ReplicaId;

use crate::child::{Death, last_words};

const EXIT_POLL: Duration = Duration::from_millis(2);

/// The replica processes of one cluster on this host.
#[derive(Debug, Default)]
pub struct Hosted {
    processes: Vec<Process>,
}

/// One replica's process, the one that lives or the last that did.
#[derive(Debug)]
struct Process {
    id: ReplicaId,
    child: Child,
    arguments: Vec<OsString>,
    log: PathBuf,
    /// Where this life's part of the log begins.
    log_from: usize,
    /// The CPU time of all lives that were ended on purpose; none if one is not known.
    ended_ns: Option<u64>,
    end: End,
}

/// How far the end of a process is that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was not.
    Unasked,
    /// It was killed, and has not been seen to be gone.
    Asked,
    /// It is gone.
    Seen,
}

impl Hosted {
    /// Starts `id` with `arguments`, the words of [`crate::child::Arguments`]; it logs to `log`,
    /// which is made if need be.
    ///
    /// # Errors
    /// If the process cannot be started or the log cannot be written.
    pub fn start(
        &mut self,
        id: ReplicaId,
        arguments: Vec<OsString>,
        log: PathBuf,
    ) -> io::Result<()> {
        let opened = File::options().append(true).create(true).open(&log);
        let written = opened.and_then(|file| file.metadata()).map_err(|error| of(&log, &error))?;
        let process = Process {
            id,
            child: spawn(&arguments, &log)?,
            arguments,
            log_from: usize::try_from(written.len()).unwrap_or(usize::MAX),
            log,
            ended_ns: Some(0),
            end: End::Unasked,
        };
        self.processes.retain(|process| process.id != id);
        self.processes.push(process);
        Ok(())
    }

    /// Which replicas were started here.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.processes.iter().map(|process| process.id)
    }

    /// Kills `id`: it ends at once, with nothing said or written.
    pub fn kill(&mut self, id: ReplicaId) {
        if let Some(process) = self.process(id) {
            // It fails only if the process has ended already.
            let _ = process.child.kill();
            process.end = End::Asked;
        }
    }

    /// Lets the process of `id` stand still.
    pub fn pause(&mut self, id: ReplicaId) {
        self.signal(id, Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&mut self, id: ReplicaId) {
        self.signal(id, Signal::SIGCONT);
    }

    /// Starts `id`, which was killed, once more as before. False if it is not gone yet: then this
    /// is to be tried again.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_again(&mut self, id: ReplicaId) -> io::Result<bool> {
        let Some(process) = self.process(id) else {
            return Err(io::Error::other(format!("{id} was never started here")));
        };
        if !process.is_gone() {
            return Ok(false);
        }
        let written = fs::metadata(&process.log).map_err(|error| of(&process.log, &error))?.len();
        process.log_from = usize::try_from(written).unwrap_or(usize::MAX);
        process.child = spawn(&process.arguments, &process.log)?;
        process.end = End::Unasked;
        Ok(true)
    }

    /// Is `id`, which was killed, known to be gone?
    pub fn is_gone(&mut self, id: ReplicaId) -> bool {
        self.process(id).is_none_or(Process::is_gone)
    }

    /// The CPU time that all lives of `id` took that were ended on purpose and are gone, from their
    /// start to their end, in nanoseconds; none if that is not known of one.
    pub fn ended_cpu_ns(&mut self, id: ReplicaId) -> Option<u64> {
        self.process(id).map_or(Some(0), |process| process.ended_ns)
    }

    /// The processes found that have ended unasked.
    pub fn deaths(&mut self) -> impl Iterator<Item = Death> + '_ {
        self.processes.iter_mut().filter_map(Process::death)
    }

    /// Waits, at most until `deadline`, for every process to end by itself. Paused ones are let go
    /// on first.
    pub async fn ended_by(&mut self, deadline: Instant) {
        let all: Vec<ReplicaId> = self.replicas().collect();
        all.into_iter().for_each(|id| self.resume(id));
        while Instant::now() < deadline && self.processes.iter_mut().any(Process::is_running) {
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// Asks every process to end, as SIGTERM does.
    pub fn terminate(&mut self) {
        let all: Vec<ReplicaId> = self.replicas().collect();
        all.into_iter().for_each(|id| self.signal(id, Signal::SIGTERM));
    }

    fn process(&mut self, id: ReplicaId) -> Option<&mut Process> {
        self.processes.iter_mut().find(|process| process.id == id)
    }

    fn signal(&mut self, id: ReplicaId, signal: Signal) {
        let Some(process) = self.process(id) else { return };
        // Once its end was seen, its number may be another's.
        if process.is_running() {
            let pid = i32::try_from(process.child.id()).expect("process ids are small");
            // It fails only if the process has ended, which shows soon.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Process {
    fn is_running(&mut self) -> bool {
        !self.is_gone() && matches!(self.child.try_wait(), Ok(None))
    }

    /// Sees the end of a process that was killed. The system adds up the CPU time of children whose
    /// end was seen: what this adds is the child's.
    fn is_gone(&mut self) -> bool {
        if self.end == End::Asked {
            let before_ns = children_cpu_ns();
            if let Ok(Some(_)) = self.child.try_wait() {
                let of_life = || children_cpu_ns()?.checked_sub(before_ns?);
                self.ended_ns = self.ended_ns.zip(of_life()).map(|(ended, cpu)| ended + cpu);
                self.end = End::Seen;
            }
        }
        self.end == End::Seen
    }

    fn death(&mut self) -> Option<Death> {
        if self.is_gone() || self.end == End::Asked {
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

fn spawn(arguments: &[OsString], log: &Path) -> io::Result<Child> {
    let out = File::options().append(true).open(log).map_err(|error| of(log, &error))?;
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        // A group of its own: Ctrl-C reaches this program alone, which then ends its replicas in
        // order.
        .process_group(0)
        .spawn()
}

fn of(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

/// CPU time of all children whose end was seen.
fn children_cpu_ns() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok()
}
