//! `[sim]`: what a simulated replica's work costs.
//!
//! The defaults are what `bench calibrate` measured: `default-costs.toml` beside this crate's
//! sources, as it was written, with the machine, the date, the errors of the fit and how far
//! simulations agree.

use serde::Serialize;

use crate::calibrated::Calibrated;

/// The costs of a simulated replica. All zero: latencies are those of the network alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimCosts {
    /// CPU time of taking in together what is ready and flushing what that calls for.
    pub cpu_us_per_wakeup: f64,
    /// CPU time of a message, received or sent, beside that of its bytes; a request and a reply are
    /// one each.
    pub cpu_us_per_message: f64,
    /// CPU time of each of its bytes.
    pub cpu_ns_per_byte: f64,
    /// CPU time of executing a command, beside its messages.
    pub cpu_us_per_command: f64,
    /// CPU time of putting an instance in order of execution, per row that its dependencies name,
    /// which are N; none where slots are the order.
    pub cpu_us_per_ordering_step: f64,
    /// How fast the network card sends; 0 is unlimited, as is the loopback that real runs use.
    pub nic_mbit_per_s: f64,
    /// The loads on which the costs of the CPU were measured; none if they are anybody's guess.
    #[serde(skip_serializing_if = "Calibrated::is_none")]
    pub calibrated: Calibrated,
}

impl SimCosts {
    /// Nothing costs anything.
    pub const NONE: Self = Self {
        cpu_us_per_wakeup: 0.0,
        cpu_us_per_message: 0.0,
        cpu_ns_per_byte: 0.0,
        cpu_us_per_command: 0.0,
        cpu_us_per_ordering_step: 0.0,
        nic_mbit_per_s: 0.0,
        calibrated: Calibrated::NONE,
    };

    /// Every cost with its key in `[sim]`, those of the CPU first, in the order in which files give
    /// them.
    pub fn by_key(&mut self) -> [(&'static str, &mut f64); 6] {
        [
            ("cpu_us_per_wakeup", &mut self.cpu_us_per_wakeup),
            ("cpu_us_per_message", &mut self.cpu_us_per_message),
            ("cpu_ns_per_byte", &mut self.cpu_ns_per_byte),
            ("cpu_us_per_command", &mut self.cpu_us_per_command),
            ("cpu_us_per_ordering_step", &mut self.cpu_us_per_ordering_step),
            ("nic_mbit_per_s", &mut self.nic_mbit_per_s),
        ]
    }

    /// What `bench calibrate` measures, with the keys in `[sim]`.
    pub fn of_cpu(mut self) -> [(&'static str, f64); 5] {
        let [wakeup, message, byte, command, ordering_step, _] = self.by_key();
        [wakeup, message, byte, command, ordering_step].map(|(key, cost)| (key, *cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_calibration() {
        let costs = SimCosts::default();
        assert!(costs.of_cpu().iter().all(|(_, cost)| *cost > 0.0), "{costs:?}");
        assert_eq!(costs.nic_mbit_per_s, 0.0);
        assert!(!costs.calibrated.is_none());
    }
}
