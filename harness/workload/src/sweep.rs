//! A key that may hold one value or a list to be swept.

use protocols::ReplicaId;
use serde::Serialize;

/// What the file gives for a sweepable key. A list of one is still a sweep: it gets a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sweep<T> {
    /// The same value at every point.
    One(T),
    /// A value per point, in the file's order, never empty, none twice.
    Many(Vec<T>),
}

impl<T: Copy> Sweep<T> {
    /// Every value, in the file's order.
    pub fn values(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// Is this key a column of its own in the results?
    pub const fn is_swept(&self) -> bool {
        matches!(self, Self::Many(_))
    }
}

/// The one text of a swept value: equal values give equal texts, whatever the file wrote (`1`, `1.0`, `1e0`).
pub(crate) trait Canonical {
    fn canonical(&self) -> String;
}

macro_rules! canonical_by_display {
    ($($number:ty),*) => {
        $(impl Canonical for $number {
            fn canonical(&self) -> String {
                self.to_string()
            }
        })*
    };
}

canonical_by_display!(f64, usize);

impl Canonical for ReplicaId {
    fn canonical(&self) -> String {
        self.0.to_string()
    }
}

/// The keys that may be swept whatever the protocol, without their sections.
pub(crate) const SHARED_SWEEPS: [&str; 15] = [
    "append_ratio",
    "batch_commands",
    "batch_delay_us",
    "cas_ratio",
    "clients",
    "clients_per_site",
    "conflict_rate",
    "delete_ratio",
    "durability",
    "leader",
    "rate_ops_per_s",
    "replicas",
    "value_bytes",
    "window",
    "write_ratio",
];
