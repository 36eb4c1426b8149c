//! Workload files: what is offered to a cluster, point by point, seeded.
//!
//! A file ([`Workload`]) is multiplied out into a [`Plan`] of [`Run`]s. A run's clients draw what they ask from a
//! [`ClientStream`] each, and an open loop's sites draw when from [`Arrivals`]. Real clusters and simulated ones use the
//! same streams, so that the same seed offers both the same load.
//!
//! **Invariant:** nothing here reads a clock, sleeps, prints or draws from a generator that is not seeded by the
//! workload; the only I/O is reading the workload's file and the one of the topology that it names.
//!
//! # Keys and their defaults
//! | key | default | values |
//! |---|---|---|
//! | `name` | – (required) | `[a-z0-9.-]+` |
//! | `protocols` | all | the names of registered protocols, as `bench list` has them |
//! | `repetitions` | 3 | 1..=1000 |
//! | `seed` | 42 | from 0 |
//! | `cluster.driver` | `"quic"` | `"quic"`, `"sim"` |
//! | `cluster.replicas` ⇄ | 3 | odd, 3..=51 |
//! | `cluster.durability` ⇄ | `"memory"` | `"memory"`, `"buffered"`, `"fsync"` |
//! | `cluster.leader` ⇄ | 0 | below every `replicas` |
//! | `cluster.batch_commands` ⇄ | 1: none is joined | 1..=65536 |
//! | `cluster.batch_delay_us` ⇄ | 0: what is there at the same time | 0..=1000000; 0 unless some `batch_commands` is above 1 |
//! | `cluster.memory_mib` | 256 | 1..=1048576: what a replica may hold for others |
//! | `<protocol>.<option>` | [`protocols::options::OptionFacts::default`] | as the protocol's facts state; ⇄ if they say so |
//! | `load.mode` | `"closed"` | `"closed"`, `"pipelined"`, `"open"` |
//! | `load.clients_per_site` ⇄ | 16 | 1..=100000 |
//! | `load.clients` ⇄ | none | 1..=100000, in all: only without `load.clients_per_site` |
//! | `load.window` ⇄ | 1 | 1..=100000; 1 unless pipelined |
//! | `load.rate_ops_per_s` ⇄ | 0 | above 0 if open, such that a request is due, else 0; `"max"`, alone, searches for the highest that the cluster bears |
//! | `load.p99_ms_max` | – (required with `"max"`) | above 0; only with `"max"` |
//! | `load.rate_start_ops_per_s` | 1000 | above 0; only with `"max"`: the rate that is tried first, and the lowest |
//! | `load.arrival` | `"poisson"` | `"poisson"`, `"constant"`; the latter only if open |
//! | `load.routing` | `"local"` | `"local"`, `"leader"`, `"random"` |
//! | `load.warmup_s` | 1 | 0..=86400 |
//! | `load.duration_s` | 5 | above 0, at most 86400 |
//! | `commands.keys` | `"conflict"` | `"conflict"`, `"uniform"`, `"zipf"` |
//! | `commands.conflict_rate` ⇄ | 0 | 0..=1; only with `"conflict"` |
//! | `commands.key_count` | – (required) | 1..=100000000; only with `"uniform"` and `"zipf"` |
//! | `commands.theta` | 0.99 | above 0, at most 10; only with `"zipf"` |
//! | `commands.write_ratio` ⇄ | 1 | 0..=1 |
//! | `commands.append_ratio` ⇄ | 0 | 0..=1; with the next two at most `write_ratio`; at most 16 times the puts and deletes |
//! | `commands.delete_ratio` ⇄ | 0 | 0..=1 |
//! | `commands.cas_ratio` ⇄ | 0 | 0..=1 |
//! | `commands.value_bytes` ⇄ | 16 | 16..=1048576; at most half of that with appends |
//! | `timeouts.*_ms` | [`Workload::timeouts`] | above 0 |
//! | `network.topology` | none: the bare loopback | the name of a [`topology`], a path to one that ends in `.toml`, or a table |
//! | `network.jitter_ms` | what the topology says; else [`Topology::simulated_jitter_ms`] with `"sim"`, none with `"quic"` | 0..=60000; the jitter of every pair |
//! | `sim.calibration` | none | a path to what `bench calibrate` wrote, whose costs are then the defaults; `sim.*` only with `"sim"` |
//! | `sim.cpu_us_per_wakeup` | [`sim_costs`]; 0 where the cost of a message or a byte is given | 0..=1000000 |
//! | `sim.cpu_us_per_message` | [`sim_costs`] | 0..=1000000 |
//! | `sim.cpu_ns_per_byte` | [`sim_costs`] | 0..=1000000 |
//! | `sim.cpu_us_per_command` | [`sim_costs`]; 0 where the cost of a message or a byte is given | 0..=1000000 |
//! | `sim.cpu_us_per_ordering_step` | [`sim_costs`]; 0 where the cost of a message or a byte is given | 0..=1000000 |
//! | `sim.nic_mbit_per_s` | 0: unlimited | 0..=1000000 |
//! | `sim.calibrated` | that of the costs; none where a cost of the CPU is given | [`calibrated`] |
//! | `returns.within_s` | – (required in `[returns]`) | above 0, at most 600; only with faults that end, so long before the next and the end, and a second |
//! | `returns.share` | 0.9 | above 0, at most 1 |
//! | `faults` | none | [`fault`] |
//!
//! ⇄ may be an array and is then swept. [`Plan::new`] says in which order.

mod arrivals;
pub mod calibrated;
mod document;
mod error;
pub mod fault;
mod formula;
mod kind;
mod known;
mod load_model;
mod model;
mod overrides;
mod own;
mod parse;
mod placement;
mod plan;
mod promises;
pub mod schedule;
mod seed;
pub mod sim_costs;
mod sites;
mod stream;
mod sweep;
pub mod topology;

pub use protocols::{formula::Prediction, load_model::ReplicaLoad};

pub use arrivals::{Arrivals, IntendedSend};
pub use error::LoadError;
pub use load_model::{Capacity, Saturates};
pub use model::{
    Arrival, Clients, Cluster, Commands, Driver, Durability, GivenTimeouts, Keys, Load, Mode,
    Network, RUN_OVERHEAD_S, Rate, Returns, Routing, SEARCH_STEPS_ABOUT, Search, Timeouts,
    Workload,
};
pub use overrides::Override;
pub use own::{OwnOption, OwnOptions};
pub use parse::{SiteFile, TopologyFile};
pub use placement::Placement;
pub use plan::{Plan, Point, Run};
pub use promises::{Promise, Promises, Promising};
pub use schedule::{Strike, Victims};
pub use sim_costs::SimCosts;
pub use sites::Sites;
pub use stream::{APPEND_BYTES, ClientStream, KEY_BYTES, Kind, Op, fill_value, value_writer};
pub use sweep::Sweep;
pub use topology::Topology;
