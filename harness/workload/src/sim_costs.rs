//! `[sim]`: what a simulated replica's work costs.

use serde::Serialize;

use crate::model::{Driver, Workload};

/// The CPU time of a wakeup, however much is taken in and sent in it, in microseconds.
/// chosen: none apart, since the cost of a message below is a mean that holds its share of the wakeups of replicas under
/// load; `bench calibrate` tells the two apart on a host that does nothing else.
pub const CPU_US_PER_WAKEUP: f64 = 0.0;
/// The CPU time of a message, received or sent, beside that of its bytes, in microseconds; a request and a reply are one each.
/// Source: real replicas under a closed loop with values of 16 B (2 cores of an AMD EPYC): server CPU time over messages,
/// requests and replies, in and out, was 0.87 µs for Multi-Paxos and 0.85 µs for EPaxos, on a host so busy that a message
/// took 1.5 times what it does in the committed quickstart run. Without load it is ten times as much, under a pipeline a
/// third: what is ready together is read, sent and encrypted together, in one wakeup.
pub const CPU_US_PER_MESSAGE: f64 = 0.6;
/// The CPU time of a byte, received or sent, in nanoseconds.
/// Source: the same with values of 4 and 64 KiB: 1.5 to 1.8 ns more per byte, in and out, on that busy host.
pub const CPU_NS_PER_BYTE: f64 = 1.0;
/// The rate of a network card, in megabit per second; 0 is unlimited.
/// chosen: the loopback, which real runs use, has no such limit.
pub const NIC_MBIT_PER_S: f64 = 0.0;

/// The costs of a simulated replica. All zero: latencies are those of the network alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimCosts {
    /// CPU time of taking in together what is ready and flushing what that calls for.
    pub cpu_us_per_wakeup: f64,
    /// CPU time of a message, received or sent.
    pub cpu_us_per_message: f64,
    /// CPU time of each of its bytes.
    pub cpu_ns_per_byte: f64,
    /// How fast the network card sends; 0 is unlimited.
    pub nic_mbit_per_s: f64,
}

impl Default for SimCosts {
    fn default() -> Self {
        Self {
            cpu_us_per_wakeup: CPU_US_PER_WAKEUP,
            cpu_us_per_message: CPU_US_PER_MESSAGE,
            cpu_ns_per_byte: CPU_NS_PER_BYTE,
            nic_mbit_per_s: NIC_MBIT_PER_S,
        }
    }
}

impl SimCosts {
    /// Nothing costs anything.
    pub const NONE: Self = Self {
        cpu_us_per_wakeup: 0.0,
        cpu_us_per_message: 0.0,
        cpu_ns_per_byte: 0.0,
        nic_mbit_per_s: 0.0,
    };
}

impl Workload {
    /// Do latencies follow from the matrix of sites alone: a simulation without costs?
    pub fn costs_nothing(&self) -> bool {
        self.cluster.driver == Driver::Sim && self.sim == Some(SimCosts::NONE)
    }
}
