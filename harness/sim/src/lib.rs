//! Discrete-event simulation of a cluster: seeded, deterministic, with faults.
//!
//! A [`Scenario`] says everything about a run: the cluster, the network, the clients, the faults and the seed. [`run`]
//! steps the cores of `protocols` through it, in integer nanoseconds of simulated time, and watches from outside that no
//! invariant breaks. The same scenario gives the same [`Outcome::trace_hash`], event by event; a [`Violation`] carries
//! the seed and the last events that led to it. [`replay`] writes the events of any run down, [`shrink()`] looks for the
//! few faults that a violation needs.
//!
//! Nothing here touches a socket, a file, a thread or the wall clock, and nothing iterates an
//! unordered map. A replica is the driver that also serves real clients, with its pending requests,
//! batches, journal, checkpoints and durable log, over a simulated network and a simulated
//! [`disk`]. Observers see the effects that are carried out: none knows what is inside a core or a
//! message.
//!
//! Messages travel as values, without being encoded. A replica serves every event in no time, so that latencies are those
//! of the network alone, unless it is given [`Costs`]: then it has a CPU and a network interface that work off what comes.
//!
//! A scenario either mends what it breaks, and the cluster must come to rest ([`hostile()`]), or it
//! breaks a minority for ever, and clients of the others must go on having answers ([`lasting()`],
//! [`ProgressAsked`]).
//!
//! There is one engine, [`Simulation`], and there are two kinds of clients: those of a [`Scenario`], which ask for
//! everything that may go wrong and then want to see the cluster at rest, and those that whoever measures brings along as
//! a [`Source`], with faults at the moments of their choice.

mod arrive;
mod carry;
mod client;
mod cost;
mod coverage;
mod deliver;
pub mod disk;
mod fault;
mod history;
mod host;
mod hostile;
mod linearizability;
mod liveness;
mod network;
mod observe;
mod outcome;
mod progress;
mod queue;
mod quiescence;
mod rebuilt;
mod scenario;
mod shrink;
mod simulation;
mod soak;
mod source;
mod store;
mod strike;
mod trace;
mod violation;

pub use client::{Load, Mix};
pub use cost::Costs;
pub use coverage::{Coverage, Rare};
pub use fault::{Fault, FaultPlan};
pub use history::{History, Operation};
pub use hostile::{Hostility, hostile, lasting};
pub use liveness::ProgressAsked;
pub use network::Network;
pub use outcome::{Counters, Outcome, SiteLatencies};
pub use scenario::{Cluster, Scenario};
pub use shrink::{Shrunk, shrink};
pub use simulation::Simulation;
pub use soak::{replay, run};
pub use source::{Agenda, Ask, Source};
pub use store::Storage;
pub use violation::{Breach, Broken, Violation};
