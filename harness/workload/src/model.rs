//! A workload as the rest of the program sees it: every key present, typed and within its range.
//!
//! Serialising a [`Workload`] gives the structure of the file again, with the defaults filled in, so that what a
//! manifest records can be run once more. Reading files is the business of [`crate::parse`].

use std::{fmt, time::Duration};

use protocols::{Protocol, ReplicaId};
use serde::{Serialize, Serializer};

use crate::{
    document::Origin,
    fault::Fault,
    own::OwnOptions,
    sim_costs::SimCosts,
    sites::Sites,
    sweep::{Canonical, Sweep},
    topology::Topology,
};

/// A validated workload file, overrides applied. Units are last in names: `_s`, `_ms`, `_ops_per_s`, `_bytes`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// The question that the file opens with; none if it opens with no comment.
    #[serde(skip)]
    pub question: Option<String>,
    #[serde(skip)]
    pub(crate) origin: Origin,
    /// Names the results directory: `[a-z0-9.-]+`.
    pub name: String,
    /// What is compared; no duplicates, never empty.
    pub protocols: Vec<Protocol>,
    /// How often each protocol runs each point.
    pub repetitions: u32,
    /// Decides everything that is drawn.
    pub seed: u64,
    /// `[cluster]`
    pub cluster: Cluster,
    /// A table for every protocol that has options of its own.
    #[serde(flatten)]
    pub own: OwnOptions,
    /// `[load]`
    pub load: Load,
    /// `[commands]`
    pub commands: Commands,
    /// `[timeouts]`, as far as the file names them; [`Workload::timeouts`] fills the rest.
    pub timeouts: GivenTimeouts,
    /// `[network]`; none is the bare loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// `[sim]`; none with another driver than the simulator, which has real costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim: Option<SimCosts>,
    /// `[returns]`: how soon throughput is to be back after each fault that ends; none promises
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
    /// `[[faults]]`, in the file's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// What carries out the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Replica processes over QUIC.
    Quic,
    /// The discrete-event simulator.
    Sim,
}

impl Driver {
    /// The name in files, on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Sim => "sim",
        }
    }
}

/// What a replica's records survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: they are kept in memory.
    Memory,
    /// The death of the process: they are written, not forced to the disk.
    Buffered,
    /// A power cut: they are on the disk before anything relies on them.
    Fsync,
}

impl Durability {
    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Buffered => "buffered",
            Self::Fsync => "fsync",
        }
    }
}

/// The servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// Which driver runs it.
    pub driver: Driver,
    /// N: odd, 3 to 51. A site per replica.
    pub replicas: Sweep<usize>,
    /// What records survive.
    pub durability: Sweep<Durability>,
    /// The first leader, where there is a stable one; swept for protocols that have one alone,
    /// unless clients ask the leader.
    pub leader: Sweep<ReplicaId>,
    /// How many commands a replica proposes as one at most; 1 joins none.
    pub batch_commands: Sweep<usize>,
    /// How long a command waits for others at most, in microseconds.
    pub batch_delay_us: Sweep<usize>,
    /// How much a replica may hold for others beside its state, in MiB: half of it for a silent
    /// replica.
    pub memory_mib: u64,
}

/// When a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One request outstanding per client, the next at its reply.
    Closed,
    /// `window` requests outstanding per client.
    Pipelined,
    /// At times set beforehand, whatever is outstanding.
    Open,
}

impl Mode {
    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Pipelined => "pipelined",
            Self::Open => "open",
        }
    }
}

/// The gaps between an open loop's sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Exponential: requests come independently of each other.
    Poisson,
    /// All equal.
    Constant,
}

/// How many operations an open loop offers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many per second, of the whole cluster's clients; 0 unless open.
    OpsPerS(f64),
    /// As many as the cluster bears: a [`Search`] finds it.
    Max,
}

impl Rate {
    /// The highest that a workload may ask for, operations per second.
    pub const OPS_PER_S_MAX: f64 = 1e7;
    /// The name of [`Rate::Max`] in files and points.
    pub const MAX: &str = "max";
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpsPerS(rate) => rate.fmt(f),
            Self::Max => f.write_str(Self::MAX),
        }
    }
}

impl Serialize for Rate {
    /// As it stands in a file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OpsPerS(rate) => serializer.serialize_f64(*rate),
            Self::Max => serializer.serialize_str(Self::MAX),
        }
    }
}

/// How the highest rate is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Search {
    /// A cluster bears a rate if the 99th percentile of latency is at most so many milliseconds.
    pub p99_ms_max: f64,
    /// The rate that is tried first, and the lowest: operations per second of the whole cluster.
    pub rate_start_ops_per_s: f64,
}

/// Which replica a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// The one at its own site.
    Local,
    /// The first leader, [`Cluster::leader`].
    Leader,
    /// One drawn per request.
    Random,
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Clients<N> {
    /// So many at each of the N sites.
    #[serde(rename = "clients_per_site")]
    PerSite(N),
    /// So many in all, spread over the sites as evenly as it goes: see [`crate::Placement`].
    #[serde(rename = "clients")]
    PerCluster(N),
}

impl<N> Clients<N> {
    /// The key in files, without its section.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::PerSite(_) => "clients_per_site",
            Self::PerCluster(_) => "clients",
        }
    }

    /// The number, or the numbers.
    pub const fn given(&self) -> &N {
        match self {
            Self::PerSite(given) | Self::PerCluster(given) => given,
        }
    }
}

/// Who sends, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Closed, pipelined or open loop.
    pub mode: Mode,
    /// How many clients.
    #[serde(flatten)]
    pub clients: Clients<Sweep<usize>>,
    /// Outstanding requests per client; 1 unless pipelined.
    pub window: Sweep<usize>,
    /// Offered by the whole cluster's clients.
    pub rate_ops_per_s: Sweep<Rate>,
    /// Given if the rate is searched for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// Gaps of an open loop.
    pub arrival: Arrival,
    /// Which replica is asked.
    pub routing: Routing,
    /// Run before measuring begins.
    pub warmup_s: f64,
    /// Measured.
    pub duration_s: f64,
}

/// Which key a command touches. `R` is the conflict rate: a [`Sweep`] in a workload, a number at a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "keys", rename_all = "lowercase")]
pub enum Keys<R> {
    /// The one shared key for a share of the commands, the client's own key for the others.
    Conflict {
        /// The share on the shared key, 0..=1.
        conflict_rate: R,
    },
    /// Any key, each as likely as another.
    Uniform {
        /// How many keys there are.
        key_count: u64,
    },
    /// Key of rank k with a probability in proportion to k^−theta.
    Zipf {
        /// How many keys there are.
        key_count: u64,
        /// The exponent.
        theta: f64,
    },
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commands {
    /// Key choice.
    #[serde(flatten)]
    pub keys: Keys<Sweep<f64>>,
    /// Share of writes; the others are gets. A write is a put unless one of the next three says
    /// otherwise.
    pub write_ratio: Sweep<f64>,
    /// Share of appends, a part of `write_ratio`.
    #[serde(skip_serializing_if = "is_none_ever")]
    pub append_ratio: Sweep<f64>,
    /// Share of deletes, a part of `write_ratio`.
    #[serde(skip_serializing_if = "is_none_ever")]
    pub delete_ratio: Sweep<f64>,
    /// Share of compare-and-sets, a part of `write_ratio`.
    #[serde(skip_serializing_if = "is_none_ever")]
    pub cas_ratio: Sweep<f64>,
    /// Size of the value that a put or a compare-and-set writes, at least 16.
    pub value_bytes: Sweep<usize>,
}

/// Is a share zero at every point? Then the file need not name it.
fn is_none_ever(ratio: &Sweep<f64>) -> bool {
    *ratio == Sweep::One(0.0)
}

/// The timeouts that the file names, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct GivenTimeouts {
    /// See [`protocols::config::Timeouts::retransmit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmit_ms: Option<f64>,
    /// See [`protocols::config::Timeouts::election`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_ms: Option<f64>,
    /// See [`protocols::config::Timeouts::recovery`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_ms: Option<f64>,
    /// Before a client asks another replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ms: Option<f64>,
}

/// `[network]`: what stands between the sites.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Where the sites are.
    pub topology: Topology,
}

/// What runs are held to after each fault that ends: each site answers again the share of what it
/// answered per second before the first fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Returns {
    /// Within so many seconds after the end of the fault.
    pub within_s: f64,
    /// Above 0, at most 1.
    pub share: f64,
}

/// All timeouts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Those of the replicas.
    pub replica: protocols::config::Timeouts,
    /// Before a client asks another replica.
    pub client: Duration,
}

impl From<Timeouts> for GivenTimeouts {
    /// Names all of them, as a manifest should: a workload with these in place runs the same on any network.
    fn from(timeouts: Timeouts) -> Self {
        let ms = |timeout: Duration| Some((timeout.as_secs_f64() * 1e6).round() / 1e3);
        Self {
            retransmit_ms: ms(timeouts.replica.retransmit),
            election_ms: ms(timeouts.replica.election),
            recovery_ms: ms(timeouts.replica.recovery),
            client_ms: ms(timeouts.client),
        }
    }
}

/// Time per run beyond warm-up and measuring: certificates, processes, connections, coming to rest, digests.
/// chosen: what a cluster of three takes on two cores, rounded up; only estimates rest on it.
pub const RUN_OVERHEAD_S: f64 = 1.5;
/// Runs in a search for the highest rate.
/// chosen: from 1,000 operations per second to 64,000; only estimates rest on it.
pub const SEARCH_STEPS_ABOUT: u32 = 11;
/// Time that a simulated run takes, whatever time it simulates.
/// chosen: ten thousand commands to a minute of five sites take less; only estimates rest on it.
const SIMULATED_RUN_S: f64 = 1.0;

impl Workload {
    /// The timeouts of every run.
    ///
    /// What the file names is taken as it is. Absent, they follow [`Workload::round_trip_max`]: retransmit the larger of
    /// 100 ms and 2 round trips (one would send everything twice); election and recovery of 500 ms and 5 round trips (a
    /// slow path takes 2, its queueing is unknown); client of 2000 ms and 10 round trips (twice an election, and what it
    /// waits for).
    pub fn timeouts(&self) -> Timeouts {
        let round_trip_max = self.round_trip_max();
        let pick = |given_ms: Option<f64>, least_ms: u64, round_trips: u32| match given_ms {
            Some(ms) => Duration::from_secs_f64(ms / 1e3),
            None => Duration::from_millis(least_ms).max(round_trip_max * round_trips),
        };
        Timeouts {
            replica: protocols::config::Timeouts {
                retransmit: pick(self.timeouts.retransmit_ms, 100, 2),
                election: pick(self.timeouts.election_ms, 500, 5),
                recovery: pick(self.timeouts.recovery_ms, 500, 5),
            },
            client: pick(self.timeouts.client_ms, 2000, 10),
        }
    }

    /// The matrix of a cluster of `replicas`; none on the bare loopback.
    ///
    /// # Panics
    /// If the workload has no cluster of that size: its topology may be too small for it.
    pub fn sites(&self, replicas: usize) -> Option<Sites> {
        let network = self.network.as_ref()?;
        match network.topology.sites(replicas) {
            Ok(sites) => Some(sites),
            Err(lack) => panic!("{lack} for a cluster of {replicas}, which the file does not have"),
        }
    }

    /// How long one run takes, about, with all steps of its search if there is one.
    pub fn run_estimate(&self) -> Duration {
        let once_s = match self.cluster.driver {
            Driver::Quic => self.load.warmup_s + self.load.duration_s + RUN_OVERHEAD_S,
            Driver::Sim => SIMULATED_RUN_S,
        };
        let times = if self.load.search.is_some() { SEARCH_STEPS_ABOUT } else { 1 };
        Duration::from_secs_f64(once_s) * times
    }
}

impl Workload {
    /// Do latencies follow from the matrix of sites alone: a simulation without costs?
    pub fn costs_nothing(&self) -> bool {
        self.cluster.driver == Driver::Sim && self.sim == Some(SimCosts::NONE)
    }
}

impl Canonical for Durability {
    fn canonical(&self) -> String {
        self.name().to_owned()
    }
}

impl Canonical for Rate {
    fn canonical(&self) -> String {
        self.to_string()
    }
}
