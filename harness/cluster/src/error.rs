//! Why something could not be done with a cluster, or with its directory.

use std::{fmt, io, ops::Range, path::PathBuf, time::Duration};

use node::{NodeError, child::Death};
use protocols::ReplicaId;

/// A failure to find, lock, start, ask or stop a cluster. Its words say what is wrong; the command
/// that a user types next is the command line's to add.
#[derive(Debug)]
pub enum Error {
    /// The directory holds no cluster.
    NoCluster {
        /// The directory.
        root: PathBuf,
    },
    /// A cluster was begun in the directory, and never came up.
    NeverFinished {
        /// The directory.
        root: PathBuf,
    },
    /// The directory holds other things.
    Foreign {
        /// The directory.
        root: PathBuf,
    },
    /// Another command is changing the cluster.
    Busy {
        /// The directory.
        root: PathBuf,
        /// The command, and the number of its process.
        by: String,
    },
    /// The file that describes the cluster describes none.
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file that describes the cluster has a form of another version.
    OtherVersion {
        /// The file.
        file: PathBuf,
        /// That version.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// A file or a directory cannot be used.
    File {
        /// Which.
        path: PathBuf,
        /// What it cannot be.
        cannot: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Credentials cannot be used, or a replica cannot be asked.
    Node(NodeError),
    /// A replica did not answer.
    NoAnswer {
        /// How long its answer was waited for.
        waited: Duration,
    },
    /// The lab of the cluster has no host for a replica.
    NoHost {
        /// Which replica.
        replica: ReplicaId,
    },
    /// A replica's process cannot be started.
    NotStarted {
        /// Which replica.
        replica: ReplicaId,
        /// Why not.
        error: io::Error,
    },
    /// The system does not tell when a process was started.
    Unknown {
        /// The process.
        pid: i32,
        /// Why not.
        error: io::Error,
    },
    /// A replica ended by itself.
    Died(Death),
    /// The replicas are not connected with each other.
    NotUp {
        /// How long that was waited for; none if a signal ended the waiting.
        waited: Option<Duration>,
        /// The signal, if one did.
        signal: Option<&'static str>,
        /// The ends of their logs.
        last_words: String,
    },
    /// A process cannot be killed.
    NotKilled {
        /// The process.
        pid: i32,
        /// Why not.
        error: io::Error,
    },
    /// A process was killed, and is still there.
    Stuck {
        /// The process.
        pid: i32,
    },
    /// The ports that were asked for go beyond the highest.
    PortsBeyond {
        /// The first.
        base: u16,
        /// How many are needed.
        replicas: usize,
    },
    /// A port that was asked for is taken.
    PortTaken {
        /// The first that was asked for.
        base: u16,
        /// The one that is taken.
        port: u16,
    },
    /// Too few ports are free.
    NoPorts {
        /// How many are needed.
        needed: usize,
        /// Among these.
        among: Range<u16>,
    },
}

impl Error {
    /// Was a port that a replica needed taken?
    pub fn is_port_taken(&self) -> bool {
        matches!(self, Self::Died(death) if death.is_port_taken())
    }

    /// Does it lie with what was typed, or with the file that it names?
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoCluster { .. }
                | Self::NeverFinished { .. }
                | Self::Foreign { .. }
                | Self::Malformed { .. }
                | Self::OtherVersion { .. }
                | Self::PortsBeyond { .. }
                | Self::PortTaken { .. }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCluster { root } => write!(f, "{}: there is no cluster", root.display()),
            Self::NeverFinished { root } => {
                write!(f, "{}: a cluster was never finished here", root.display())
            }
            Self::Foreign { root } => {
                write!(f, "{}: holds other things and no cluster", root.display())
            }
            Self::Busy { root, by } => write!(
                f,
                "{}: another command is at work on this cluster ({by}): wait until it has ended",
                root.display()
            ),
            Self::Malformed { file, reason } => write!(f, "{}: {reason}", file.display()),
            Self::OtherVersion { file, found, known } => write!(
                f,
                "{}: version = {found}: this program knows version {known}",
                file.display()
            ),
            Self::File { path, cannot, error } => {
                write!(f, "{}: cannot be {cannot}: {error}", path.display())
            }
            Self::Node(error) => error.fmt(f),
            Self::NoAnswer { waited } => write!(f, "no answer within {} s", waited.as_secs_f64()),
            Self::NoHost { replica } => {
                write!(f, "there is no host for replica {}", replica.0)
            }
            Self::NotStarted { replica, error } => {
                write!(f, "cannot start replica {}: {error}", replica.0)
            }
            Self::Unknown { pid, error } => {
                write!(f, "/proc/{pid}/stat: cannot be read ({error}): is /proc mounted?")
            }
            Self::Died(death) => death.fmt(f),
            Self::NotUp { waited, signal, last_words } => {
                match (waited, signal) {
                    (Some(waited), _) => write!(f, "not connected after {} s", waited.as_secs())?,
                    (None, signal) => write!(f, "interrupted ({})", signal.unwrap_or("a signal"))?,
                }
                write!(f, ": the replicas' last words: {last_words}")
            }
            Self::NotKilled { pid, error } => write!(f, "process {pid} cannot be killed: {error}"),
            Self::Stuck { pid } => {
                write!(f, "process {pid} was killed and does not end: the system is stuck")
            }
            Self::PortsBeyond { base, replicas } => {
                write!(f, "--base-port {base}: {replicas} ports from there go beyond 65535")
            }
            Self::PortTaken { base, port } => write!(
                f,
                "--base-port {base}: UDP port {port} is taken: choose another, or leave it away for free ones"
            ),
            Self::NoPorts { needed, among } => {
                write!(f, "no {needed} UDP ports from {} to {} are free", among.start, among.end)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. }
            | Self::NotStarted { error, .. }
            | Self::Unknown { error, .. }
            | Self::NotKilled { error, .. } => Some(error),
            Self::Node(error) => Some(error),
            _ => None,
        }
    }
}

impl From<NodeError> for Error {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}
