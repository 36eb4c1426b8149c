//! What a driver and an agent say to each other: a greeting each, then orders, each answered before
//! the next is read.
//!
//! There is no order that names a program, a path or a shell: a driver says what a replica is, and
//! its agent decides how and where it is started.

use std::time::Duration;

use driver::storage::Durability;
use measure::{Host, HostCpu};
use protocols::{Config, Protocol, ReplicaId};
use serde::{Deserialize, Serialize};

use crate::{address::Address, emulator::NetworkPlan, identity::Bundle};

/// Counted up whenever an order or an answer changes its form. The greeting's form never does.
pub const VERSION: u32 = 1;

/// Which program speaks. Driver and agent must be the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Of the orders' form: [`VERSION`].
    pub orders: u32,
    /// The program's version.
    pub program: String,
    /// The commit that it was built from; empty if that is not known.
    pub commit: String,
}

impl Build {
    /// A build of this crate.
    pub fn new(program: &str, commit: &str) -> Self {
        Self { orders: VERSION, program: program.to_owned(), commit: commit.to_owned() }
    }
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { orders, program, commit } = self;
        let commit = if commit.is_empty() { "unknown" } else { commit };
        write!(f, "version {program} of commit {commit:.10} (orders {orders})")
    }
}

/// What a driver says first. Its form is that of every version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverHello {
    /// What it is.
    pub build: Build,
    /// Who it is, for people: its process and host.
    pub name: String,
}

/// What an agent answers. Its form is that of every version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHello {
    /// What it is.
    pub build: Build,
    /// Why it does not obey; none if it does.
    pub refusal: Option<String>,
}

/// A replica on an agent's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// Its cluster, by the name that [`Start::cluster`] gave it.
    pub cluster: String,
    /// Its number.
    pub replica: ReplicaId,
}

/// What a replica is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The name of the cluster, which its directory on the host has: letters, digits, `-`, `_` and
    /// `.`.
    pub cluster: String,
    /// Does it outlive the driver's line? Then its agent starts it again when it is started itself.
    pub standing: bool,
    /// Its number.
    pub replica: ReplicaId,
    /// Which protocol it runs.
    pub protocol: Protocol,
    /// Of its core.
    pub config: Config,
    /// What its records outlive.
    pub durability: Durability,
    /// Where every replica listens, by number.
    pub addresses: Vec<Address>,
    /// The port that it listens on, at the address on which its agent listens.
    pub port: u16,
    /// The network to emulate; none is the bare one.
    pub network: Option<NetworkPlan>,
    /// Who it is; none if nobody is verified.
    pub identity: Option<Bundle>,
}

/// What a driver asks of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Answer at once.
    Ping,
    /// Say what host this is.
    Facts,
    /// Say how the host's clocks stand.
    Sample,
    /// Find a UDP port that is free, among those that a standing replica can have again if it is
    /// to.
    Port {
        /// Is it for a standing replica?
        standing: bool,
    },
    /// Start a replica.
    Start(Box<Start>),
    /// Kill a replica: it ends at once, with nothing said or written.
    Kill(Which),
    /// Let a replica stand still.
    Pause(Which),
    /// Let it go on.
    Resume(Which),
    /// Start a replica again that was killed or has died.
    Restart(Which),
    /// Say how the replicas of this cluster are.
    Look(String),
    /// Give a piece of a replica's log.
    Fetch {
        /// Whose.
        which: Which,
        /// From this byte on.
        offset: u64,
    },
    /// Take note that the driver is done: no order follows, and replicas of runs end.
    Leave,
    /// End the replicas of this cluster: wait until they have ended by themselves, at most so long,
    /// then kill them.
    End {
        /// Which cluster.
        cluster: String,
        /// How long to wait.
        patience: Duration,
        /// What becomes of all that they kept.
        files: Files,
    },
}

/// What becomes of the files of a cluster that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Files {
    /// They are removed.
    Removed,
    /// They stay.
    Kept,
}

/// What an agent answers to an [`Order`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Done,
    /// To [`Order::Ping`]: when it was answered, by the agent's clock of the time of day,
    /// nanoseconds since 1970.
    Pong(u64),
    /// To [`Order::Facts`].
    Facts(Box<Facts>),
    /// To [`Order::Sample`].
    Sample(Box<HostSample>),
    /// To [`Order::Port`].
    Port(u16),
    /// To [`Order::Look`].
    Seen(Vec<Life>),
    /// To [`Order::Fetch`]; empty at the end.
    Piece(Vec<u8>),
    /// It could not be done, for this reason.
    Failed(String),
}

/// What a host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Name, cores, memory.
    pub host: Host,
    /// [`measure::boot_id`].
    pub boot_id: String,
    /// What the kernel grants of the receive buffer that a replica asks for, bytes.
    pub receive_buffer_bytes: u64,
    /// The same of the send buffer.
    pub send_buffer_bytes: u64,
    /// What a replica asks for, each way.
    pub wanted_buffer_bytes: u64,
    /// Standing clusters that have a replica here.
    pub standing: Vec<String>,
}

/// A host's clocks at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostSample {
    /// [`measure::boot_id`]: samples with the same are of one host.
    pub boot_id: String,
    /// The CPUs that this process may use.
    pub cpu: Option<HostCpu>,
    /// CPU time of this process, without its children's, in seconds.
    pub own_s: Option<f64>,
}

/// How a replica is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its number.
    pub replica: ReplicaId,
    /// If it has ended unasked: how, as `wait` has it, and its last words.
    pub death: Option<(i32, String)>,
    /// Was it killed, and is it known to be gone?
    pub is_gone: bool,
    /// As [`crate::hosted::Hosted::ended_cpu_ns`].
    pub ended_cpu_ns: Option<u64>,
}
