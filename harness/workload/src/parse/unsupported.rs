//! What a driver does not carry out.

use toml::Value;

use crate::{
    error::LoadError,
    fault::{Action, Layer, Links},
    model::{Driver, Workload},
};

/// The first key of a link fault that the simulator does not know.
fn real_only(links: &Links) -> Option<&'static str> {
    let keys = [
        ("jitter_ms", links.jitter_ms.is_some()),
        ("reorder_rate", links.reorder_rate.is_some()),
        ("bandwidth_mbit_per_s", links.bandwidth_mbit_per_s.is_some()),
        ("from", links.from.is_some()),
        ("to", links.to.is_some()),
    ];
    keys.into_iter().find(|(_, is_used)| *is_used).map(|(key, _)| key)
}

impl Workload {
    /// What this workload asks for and its driver does not carry out, the first of it; none if all is carried out.
    ///
    /// A driver calls this before it starts anything, so that no key is read and then ignored. The simulator carries out
    /// everything but losses and duplicates of packets, of which it has none, and link faults that real processes alone
    /// know. Real processes carry out everything.
    pub fn unsupported(&self) -> Option<LoadError> {
        match self.cluster.driver {
            Driver::Sim => self.unsupported_fault(|action| match action {
                Action::Links(links) if real_only(links).is_some() => real_only(links).map(|key| {
                    (key, "driver \"sim\" does not carry it out: use --driver quic".to_owned())
                }),
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
            Driver::Quic => None,
        }
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
