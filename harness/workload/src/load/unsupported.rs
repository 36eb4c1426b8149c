//! What a driver does not carry out.

use toml::Value;

use crate::{
    error::LoadError,
    fault::{Action, Layer},
    model::{Driver, Workload},
};

const USE_SIM: &str = "use --driver sim";

impl Workload {
    /// What this workload asks for and its driver does not carry out, the first of it; none if all is carried out.
    ///
    /// A driver calls this before it starts anything, so that no key is read and then ignored. The simulator carries out
    /// everything but losses and duplicates of packets, of which it has none. Real processes stand on the bare loopback.
    pub fn unsupported(&self) -> Option<LoadError> {
        match self.cluster.driver {
            Driver::Sim => self.unsupported_fault(|action| match action {
                Action::Links(links)
                    if links.layer == Layer::Packet
                        && (links.loss_rate.is_some() || links.duplicate_rate.is_some()) =>
                {
                    Some((
                        "layer",
                        "driver \"sim\" has no packets: use layer = \"message\"".to_owned(),
                    ))
                }
                _ => None,
            }),
            Driver::Quic => self.unsupported_network(),
        }
    }

    fn unsupported_network(&self) -> Option<LoadError> {
        let topology = &self.network.as_ref()?.topology;
        let shown = match &topology.name {
            Some(name) => Some(Value::String(name.clone())),
            None => Value::try_from(topology).ok(),
        };
        let remedy = format!("driver \"quic\" runs on the bare loopback only: {USE_SIM}");
        Some(self.origin.error("network.topology", shown.as_ref(), remedy))
    }

    /// The first fault to which `objection` has a key and a remedy.
    fn unsupported_fault(
        &self,
        objection: impl Fn(&Action) -> Option<(&'static str, String)>,
    ) -> Option<LoadError> {
        self.faults.iter().enumerate().find_map(|(index, fault)| {
            let (key, remedy) = objection(&fault.action)?;
            let entry = Value::try_from(fault).ok();
            let value = entry.as_ref().and_then(|entry| entry.get(key));
            Some(self.origin.error(&format!("faults[{index}].{key}"), value, remedy))
        })
    }
}
