//! Why a run on real processes could not be carried out.

use std::{fmt, io, path::PathBuf, time::Duration};

use node::{NodeError, child::Death};
use protocols::ReplicaId;

/// A failure of the processes of a run, of the lines to them, or of the host.
#[derive(Debug)]
pub enum Error {
    /// A replica could not be asked, or a connection could not be had.
    Node(NodeError),
    /// A replica died unasked.
    Died(Death),
    /// No process could be started.
    NotStarted {
        /// The replica, if it is one that was to come back.
        replica: Option<ReplicaId>,
        /// Why not.
        error: io::Error,
    },
    /// A killed process has not ended.
    NotGone {
        /// The replica that it was.
        replica: ReplicaId,
        /// How long its end was waited for.
        waited: Duration,
    },
    /// There are fewer hosts that may have a replica than replicas.
    TooFewHosts {
        /// How many replicas there are to be.
        replicas: usize,
        /// How many hosts there are.
        hosts: usize,
    },
    /// The replicas are not connected with each other.
    NotUp {
        /// How long that was waited for.
        waited: Duration,
        /// Where their logs are.
        logs: PathBuf,
    },
    /// A replica that lives does not say that it knows how the network is.
    Silent {
        /// Which replica.
        replica: ReplicaId,
        /// How long its answer was waited for.
        waited: Duration,
    },
    /// A replica refused a change of the network.
    Refused {
        /// Which replica.
        replica: ReplicaId,
        /// Its words.
        reason: String,
    },
    /// A file or a directory of the results cannot be written.
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The system has no timer for the load generator.
    Timer(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => error.fmt(f),
            Self::Died(death) => death.fmt(f),
            Self::NotStarted { replica: None, error } => {
                write!(f, "cannot start a replica: {error}")
            }
            Self::NotStarted { replica: Some(replica), error } => {
                write!(f, "cannot start replica {} again: {error}", replica.0)
            }
            Self::NotGone { replica, waited } => {
                write!(f, "replica {} is not gone {} s after its kill", replica.0, waited.as_secs())
            }
            Self::TooFewHosts { replicas, hosts } => write!(
                f,
                "{replicas} replicas, and {hosts} hosts that may have one: each takes a host of its own"
            ),
            Self::NotUp { waited, logs } => write!(
                f,
                "the replicas are not up after {} s: see their logs in {}",
                waited.as_secs(),
                logs.display()
            ),
            Self::Silent { replica, waited } => write!(
                f,
                "replica {} did not answer within {} s of the last fault",
                replica.0,
                waited.as_secs()
            ),
            Self::Refused { replica, reason } => {
                write!(f, "replica {} refused a change of the network: {reason}", replica.0)
            }
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Timer(error) => write!(f, "cannot set a timer: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Node(error) => Some(error),
            Self::NotStarted { error, .. } | Self::File { error, .. } | Self::Timer(error) => {
                Some(error)
            }
            _ => None,
        }
    }
}

impl From<NodeError> for Error {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}
