//! What latency to expect of a protocol at a site, from the matrix of sites alone.
//!
//! The formulas are the protocols' own ([`protocols::formula`]). Here it is said of which runs they
//! hold: commands come in at the site's own replica, nothing takes time but the network, and
//! nothing fails. A command that waits for no other is executed and answered as soon as it commits.

use protocols::{
    Protocol,
    formula::{LatencyQuestion, Prediction, RoundTrips},
};

use crate::{
    model::{Arrival, Keys, Routing, Workload},
    plan::Point,
    sites::Sites,
};

impl Sites {
    /// The round trips between them, without jitter.
    pub fn round_trips(&self) -> RoundTrips {
        RoundTrips::new(self.count(), |a, b| self.round_trip_ns(a, b))
    }
}

impl Workload {
    /// When a command of `protocol` that comes in at `site` commits in a run at `point`, from its
    /// coming in there.
    pub fn prediction(&self, protocol: Protocol, point: &Point, site: usize) -> Prediction {
        let Some(sites) = self.sites(point.replicas) else {
            return Prediction::Nothing("there is no topology");
        };
        if let Some(why) = self.disturbance(&sites, point) {
            return Prediction::Nothing(why);
        }
        if point.clients.at(site) == 0 {
            return Prediction::Nothing("there are no clients");
        }
        let Some(latency) = protocol.latency else {
            return Prediction::Nothing("the protocol states no formula");
        };
        let round_trips = sites.round_trips();
        latency(&LatencyQuestion {
            round_trips: &round_trips,
            site,
            leader: point.leader,
            options: &point.options,
            isolated: is_isolated(&sites, &round_trips, point),
            without_conflicts: point.keys == (Keys::Conflict { conflict_rate: 0.0 }),
        })
    }

    /// What there is beside the matrix.
    fn disturbance(&self, sites: &Sites, point: &Point) -> Option<&'static str> {
        let disturbances = [
            (!self.costs_nothing(), "service times are not zero"),
            (!sites.is_steady(), "there is jitter"),
            (!self.faults.is_empty(), "there are faults"),
            (point.routing != Routing::Local, "clients ask other sites"),
            (waits_for_company(point), "commands wait for others"),
        ];
        disturbances.into_iter().find_map(|(disturbed, why)| disturbed.then_some(why))
    }
}

/// Does a command wait for others before it is proposed?
fn waits_for_company(point: &Point) -> bool {
    point.batching.is_on() && !point.batching.delay.is_zero()
}

/// Is every command decided, and known to be so everywhere, before the next one comes in at any
/// site?
///
/// Only an open loop with equal gaps knows that beforehand. Its sites take turns. The slowest
/// command takes two rounds to a majority, and the farthest site hears of it last.
fn is_isolated(sites: &Sites, round_trips: &RoundTrips, point: &Point) -> bool {
    let Some(rate) = point.open_rate().filter(|_| point.arrival == Arrival::Constant) else {
        return false;
    };
    let heard_ns = |site: usize| sites.one_way_ns[site].iter().max().copied().unwrap_or(0);
    let known_ns = |site: usize| round_trips.two_rounds_ns(site) + heard_ns(site);
    let known_ns_max = (0..sites.count()).map(known_ns).max().unwrap_or(0);
    1e9 / rate > known_ns_max as f64
}
