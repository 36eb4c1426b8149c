//! The loads on which costs were measured: a simulated throughput elsewhere is a guess.
//!
//! `bench calibrate` writes them beside the costs, protocol by protocol, as
//!
//! ```toml
//! [sim.calibrated.epaxos]
//! replicas = [3, 9]                    # N, the least and the most
//! value_bytes = [16, 16384]
//! requests_under_way = [3, 2304]       # by all clients together
//! bytes_under_way_max = 6291456        # of the values of these requests
//! operations_per_cpu_s_max = 700000    # of the replica that needs most CPU time
//! ```
//!
//! What is there was run on real replicas and simulated with these costs, and both agreed.

use protocols::{
    Protocol,
    registry::{self, PROTOCOLS_MAX},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The loads of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Loads {
    /// N, the least and the most.
    pub replicas: [u64; 2],
    /// Sizes of values, the least and the most.
    pub value_bytes: [u64; 2],
    /// Requests of all clients that wait for their answer at the same time, the fewest and the
    /// most.
    pub requests_under_way: [u64; 2],
    /// The most bytes of values in them.
    pub bytes_under_way_max: u64,
    /// The most operations in a second of CPU time of the replica that needs most of it.
    pub operations_per_cpu_s_max: f64,
}

/// One load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadPoint {
    /// N.
    pub replicas: u64,
    /// Size of a value.
    pub value_bytes: u64,
    /// Requests that wait for their answer at the same time, on average.
    pub requests_under_way: f64,
    /// Operations in a second of CPU time of the replica that needs most of it.
    pub operations_per_cpu_s: f64,
}

/// The loads by protocol, at its place in the registry; none of a protocol that was not
/// calibrated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibrated([Option<Loads>; PROTOCOLS_MAX]);

impl Loads {
    /// Nothing but `load`.
    pub fn only(load: &LoadPoint) -> Self {
        let requests = whole(load.requests_under_way);
        Self {
            replicas: [load.replicas; 2],
            value_bytes: [load.value_bytes; 2],
            requests_under_way: [requests; 2],
            bytes_under_way_max: requests * load.value_bytes,
            operations_per_cpu_s_max: load.operations_per_cpu_s,
        }
    }

    /// As far as either goes.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        let both = |one: [u64; 2], other: [u64; 2]| [one[0].min(other[0]), one[1].max(other[1])];
        Self {
            replicas: both(self.replicas, other.replicas),
            value_bytes: both(self.value_bytes, other.value_bytes),
            requests_under_way: both(self.requests_under_way, other.requests_under_way),
            bytes_under_way_max: self.bytes_under_way_max.max(other.bytes_under_way_max),
            operations_per_cpu_s_max: self
                .operations_per_cpu_s_max
                .max(other.operations_per_cpu_s_max),
        }
    }

    /// In what `load` lies beyond these, each with what was calibrated: "51 replicas, calibrated
    /// were 3 to 9".
    pub fn beyond(&self, load: &LoadPoint) -> Vec<String> {
        let requests = whole(load.requests_under_way);
        // What is given is beyond as soon as it is another. What came out may be a little more.
        let given = [
            (load.replicas, self.replicas, "replicas"),
            (load.value_bytes, self.value_bytes, "B in a value"),
        ]
        .into_iter()
        .filter(|(seen, [least, most], _)| seen < least || seen > most);
        let came_out = [
            (requests, self.requests_under_way, "requests under way"),
            (requests * load.value_bytes, [0, self.bytes_under_way_max], "B of values under way"),
            (
                whole(load.operations_per_cpu_s),
                [0, whole(self.operations_per_cpu_s_max)],
                "operations per CPU-second of the busiest replica",
            ),
        ]
        .into_iter()
        .filter(|(seen, [least, most], _)| 10 * seen < 9 * least || 10 * seen > 11 * most);
        given
            .chain(came_out)
            .map(|(seen, calibrated, what)| match calibrated {
                [0, most] => format!("{seen} {what}, calibrated were {most} at most"),
                [least, most] => format!("{seen} {what}, calibrated were {least} to {most}"),
            })
            .collect()
    }
}

impl Calibrated {
    /// No protocol was.
    pub const NONE: Self = Self([None; PROTOCOLS_MAX]);

    /// The loads of `protocol`; none if it was not calibrated.
    pub fn of(&self, protocol: Protocol) -> Option<Loads> {
        protocol.place().and_then(|place| self.0[place])
    }

    /// Adds loads of `protocol` to what is there of it.
    ///
    /// # Panics
    /// If the protocol is not registered.
    pub fn add(&mut self, protocol: Protocol, loads: &Loads) {
        let of = &mut self.0[protocol.place().expect("it is registered")];
        *of = Some(of.map_or(*loads, |of| of.with(loads)));
    }

    /// Was no protocol calibrated?
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl Serialize for Calibrated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for protocol in registry::all() {
            if let Some(loads) = self.of(protocol) {
                map.serialize_entry(protocol.name(), &loads)?;
            }
        }
        map.end()
    }
}

/// To the nearest whole number.
fn whole(count: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "counts of one run")]
    #[expect(clippy::cast_sign_loss, reason = "counts are not negative")]
    let whole = count.round() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(replicas: u64, value_bytes: u64, requests_under_way: f64) -> LoadPoint {
        LoadPoint { replicas, value_bytes, requests_under_way, operations_per_cpu_s: 1e5 }
    }

    /// Three replicas with small and large values, nine with small ones.
    fn loads() -> Loads {
        let all = [load(3, 16, 3.0), load(3, 16_384, 384.0), load(9, 16, 2_304.0)];
        let [first, rest @ ..] = all.map(|load| Loads::only(&load));
        rest.iter().fold(first, Loads::with)
    }

    #[test]
    fn what_lies_between_loads_is_calibrated_and_what_lies_beyond_says_how_far() {
        assert_eq!(
            loads(),
            Loads {
                replicas: [3, 9],
                value_bytes: [16, 16_384],
                requests_under_way: [3, 2_304],
                bytes_under_way_max: 16_384 * 384,
                operations_per_cpu_s_max: 1e5,
            }
        );
        let beyond = |load: LoadPoint| loads().beyond(&load).join("; ");
        assert_eq!(beyond(load(5, 1_024, 640.0)), "");
        assert_eq!(beyond(load(9, 16, 2_500.0)), "", "by less than a tenth");
        assert_eq!(beyond(load(51, 16, 816.0)), "51 replicas, calibrated were 3 to 9");
        assert_eq!(beyond(load(3, 16, 2.4)), "2 requests under way, calibrated were 3 to 2304");
        assert_eq!(
            beyond(load(5, 16_384, 640.0)),
            "10485760 B of values under way, calibrated were 6291456 at most"
        );
        assert_eq!(
            beyond(LoadPoint { value_bytes: 65_536, ..load(3, 16, 10.0) }),
            "65536 B in a value, calibrated were 16 to 16384"
        );
        assert_eq!(
            beyond(LoadPoint { operations_per_cpu_s: 123_456.7, ..load(3, 16, 10.0) }),
            "123457 operations per CPU-second of the busiest replica, calibrated were 100000 at most"
        );
    }

    #[test]
    fn protocols_have_loads_of_their_own() {
        let mut calibrated = Calibrated::NONE;
        calibrated.add(protocols::epaxos::PROTOCOL, &Loads::only(&load(3, 16, 3.0)));
        calibrated.add(protocols::epaxos::PROTOCOL, &Loads::only(&load(5, 16, 5.0)));
        assert_eq!(
            calibrated.of(protocols::epaxos::PROTOCOL).map(|loads| loads.replicas),
            Some([3, 5])
        );
        assert_eq!(calibrated.of(protocols::paxos::PROTOCOL), None);
        assert!(!calibrated.is_none() && Calibrated::default().is_none());
        let text = toml::to_string(&calibrated).unwrap();
        assert!(
            text.starts_with("[epaxos]\nreplicas = [3, 5]\nvalue_bytes = [16, 16]\n"),
            "{text}"
        );
    }
}
