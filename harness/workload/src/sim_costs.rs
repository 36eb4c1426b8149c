//! `[sim]`: what a simulated replica's work costs.

use serde::Serialize;

use crate::model::{Driver, Workload};

/// The CPU time of a wakeup, however much is taken in and sent in it, in microseconds.
/// Source: `bench calibrate` on 2 cores of an Intel Xeon, 2026-11-28, 24 valid runs of three real replicas, values of 16 B to
/// 16 KiB, one request to 384 under way; the file with its errors is
/// `results/reference/2026-11-28-intel-xeon-2-cores/calibration.toml`.
pub const CPU_US_PER_WAKEUP: f64 = 20.5;
/// The CPU time of a message, received or sent, beside that of its bytes, in microseconds; a request and a reply are one each.
/// Source: as [`CPU_US_PER_WAKEUP`].
pub const CPU_US_PER_MESSAGE: f64 = 0.237;
/// The CPU time of a byte, received or sent, in nanoseconds.
/// Source: as [`CPU_US_PER_WAKEUP`].
pub const CPU_NS_PER_BYTE: f64 = 1.44;
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
