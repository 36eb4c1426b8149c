//! What a replica process must be told.

use std::{net::SocketAddr, path::PathBuf};

use driver::storage::Durability;
use protocols::{Config, ReplicaId};
use serde::{Deserialize, Serialize};

use crate::{address::Address, emulator::NetworkPlan};

/// What a replica must be told. It is plain data, so that whoever starts the process can hand it
/// over as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Which replica to be.
    pub id: ReplicaId,
    /// The core's configuration, the same at all replicas.
    pub config: Config,
    /// The UDP address to listen on.
    pub listen: SocketAddr,
    /// Where the replicas listen, by number; the own one is not used. A name is resolved whenever
    /// its replica is dialed.
    pub peers: Vec<Address>,
    /// The directory that [`crate::identity::create`] filled. None: insecure, whoever comes is
    /// believed.
    pub credentials: Option<PathBuf>,
    /// What its records outlive.
    pub durability: Durability,
    /// The directory that is this replica's alone, made if need be. Nothing is kept there with
    /// [`Durability::Memory`], which needs none.
    pub data: Option<PathBuf>,
    /// For tests: a log longer than this, in bytes, gets a snapshot in its place, and a segment of
    /// it a successor. None: as long as is good.
    pub log_bytes_kept: Option<u64>,
    /// The process to die with, by its id: the one that started this one, on a thread that lives as
    /// long as it should (the kernel watches the thread). None: live on alone.
    pub parent: Option<i32>,
    /// The network to emulate; none is the bare loopback, whose packets cannot be impaired later.
    pub network: Option<NetworkPlan>,
}
