//! Why something at this crate's edge failed: a kind that a caller can branch on, worded as one
//! line.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use driver::storage::StorageError;
use protocols::ReplicaId;

use crate::{address::Address, role::Role};

/// A failure to set up, connect or talk.
#[derive(Debug)]
pub enum NodeError {
    /// A file or a directory cannot be read, written or locked.
    File {
        /// Which.
        path: PathBuf,
        /// What cannot be done with it.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Another process works in the data directory.
    DirectoryInUse {
        /// Which.
        path: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
    },
    /// The replica's records cannot be used.
    Storage(StorageError),
    /// Certificates or keys cannot be made or used.
    Credentials(String),
    /// This role may not do that.
    WrongRole {
        /// The role.
        role: Role,
        /// What it may not do.
        doing: &'static str,
    },
    /// What a replica is told makes no sense.
    Options(String),
    /// The system refuses something that every process needs.
    System {
        /// What cannot be done.
        doing: String,
        /// Why not.
        error: io::Error,
    },
    /// No socket can be bound to this address.
    Bind {
        /// The UDP address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A host's name is not known.
    Name {
        /// The host, and the port that was wanted of it.
        address: Address,
        /// Why not.
        error: io::Error,
    },
    /// A host of a lab, or its agent, could not do what was asked for.
    Host {
        /// The host's name.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The same of several hosts.
    Hosts(Vec<NodeError>),
    /// No connection could be opened.
    Unreachable {
        /// With which replica.
        replica: ReplicaId,
        /// Where it should be.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// A connection that there was is lost.
    Lost {
        /// With which replica.
        replica: ReplicaId,
        /// As what it served: a session, or an operator's line.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A peer refused this replica, or does not fit it.
    Refused(String),
    /// A replica answered, and did not do what it was asked for.
    Declined {
        /// Which replica.
        replica: ReplicaId,
        /// Why.
        reason: String,
    },
    /// An answer is longer than a frame may be: less must be asked for.
    TooLong {
        /// Which replica has it.
        replica: ReplicaId,
    },
    /// A replica sent what it must not.
    Unexpected {
        /// Which replica.
        replica: ReplicaId,
        /// What.
        text: String,
    },
    /// The process that started this one has ended.
    ParentGone(i32),
    /// The QUIC endpoint takes no more connections.
    EndpointFailed,
}

impl NodeError {
    /// A failure to read or write a file.
    pub(crate) fn file(path: &Path, doing: &'static str, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, error }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, doing, error } => {
                write!(f, "{}: cannot {doing}: {error}", path.display())
            }
            Self::DirectoryInUse { path, holder } => write!(
                f,
                "{}: {holder} works in this directory: stop it first, or name another directory",
                path.display()
            ),
            Self::Storage(error) => error.fmt(f),
            Self::Credentials(text) | Self::Options(text) | Self::Refused(text) => {
                f.write_str(text)
            }
            Self::WrongRole { role, doing } => write!(f, "{role} cannot {doing}"),
            Self::System { doing, error } => write!(f, "cannot {doing}: {error}"),
            Self::Bind { address, error } => write!(f, "cannot bind UDP {address}: {error}"),
            Self::Name { address, error } => {
                write!(f, "{address}: the host's name is not known: {error}")
            }
            Self::Host { host, reason } => write!(f, "host {host}: {reason}"),
            Self::Hosts(errors) => {
                let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            Self::Unreachable { replica, address, reason } => {
                write!(f, "replica {} at {address}: {reason}", replica.0)
            }
            Self::Lost { replica, what, reason } => write!(f, "{what} {replica} lost: {reason}"),
            Self::Declined { replica, reason } => write!(f, "{replica}: {reason}"),
            Self::TooLong { replica } => {
                write!(f, "{replica}: the answer is too long, ask for less")
            }
            Self::Unexpected { replica, text } => write!(f, "{replica}: {text}"),
            Self::ParentGone(parent) => {
                write!(f, "process {parent}, which started this one, is gone")
            }
            Self::EndpointFailed => f.write_str("the QUIC endpoint failed"),
        }
    }
}

impl std::error::Error for NodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { error, .. }
            | Self::System { error, .. }
            | Self::Bind { error, .. }
            | Self::Name { error, .. } => Some(error),
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StorageError> for NodeError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
