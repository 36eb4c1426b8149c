//! Which run a row belongs to.

use crate::verdict::LoadMode;

/// Which run this is: protocol × point × repetition, and the workload's values at that point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The protocol's name.
    pub protocol: String,
    /// The driver's name: quic or sim.
    pub driver: String,
    /// Canonical text of the swept keys and their values; empty when nothing is swept.
    pub point: String,
    /// Counted from 1.
    pub repetition: u32,
    /// Replicas in the cluster.
    pub replicas: u32,
    /// How the load is made.
    pub mode: LoadMode,
    /// Share of commands on the shared key; `None` with other key choices.
    pub conflict_rate: Option<f64>,
    /// Clients in all. They are spread over the sites as evenly as it goes, one more at each of the
    /// first.
    pub clients: u32,
    /// Outstanding requests per client.
    pub window: u32,
    /// The whole cluster's offered rate as configured; `None` unless the loop is open.
    pub rate_ops_per_s: Option<f64>,
    /// Size of a value.
    pub value_bytes: u64,
    /// Every swept key (its name without the table) with its value as text. Those without a column
    /// of their own in `summary.csv` become one.
    pub swept: Vec<(String, String)>,
}

impl Identity {
    /// Clients at each site; `None` if not as many at each.
    pub fn clients_per_site(&self) -> Option<u32> {
        let left_over = self.clients.checked_rem(self.replicas)?;
        (left_over == 0).then(|| self.clients / self.replicas)
    }
}
