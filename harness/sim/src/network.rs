//! The network: how long a message takes, and what becomes of it on the way.

use std::ops::RangeInclusive;

use protocols::{ReplicaId, ReplicaSet};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::queue::Nanos;

/// A network as it is without faults. There is a site per replica; clients live at sites, and what they exchange with
/// the replica of their own site takes no time and is never lost.
#[derive(Clone, Debug)]
pub struct Network {
    /// The delay from the first site to the second, in nanoseconds; square. The two directions of a pair may differ.
    pub one_way_ns: Vec<Vec<u64>>,
    /// The most that is added to the delay from the first site to the second, uniformly drawn from 0 on, in nanoseconds;
    /// square. A range wider than the gap between two messages reorders them.
    pub jitter_ns: Vec<Vec<u64>>,
    /// The share of messages lost, 0 to 1.
    pub loss: f64,
    /// The share of messages that arrive twice, 0 to 1; each copy with a delay of its own.
    pub duplicate: f64,
}

impl Network {
    /// A network without jitter, loss or duplicates, from round trips in nanoseconds (a square matrix): half of one
    /// each way.
    pub fn from_round_trips(round_trips_ns: &[Vec<u64>]) -> Self {
        let halve = |row: &Vec<u64>| row.iter().map(|round_trip| round_trip / 2).collect();
        let sites = round_trips_ns.len();
        Self {
            one_way_ns: round_trips_ns.iter().map(halve).collect(),
            jitter_ns: vec![vec![0; sites]; sites],
            loss: 0.0,
            duplicate: 0.0,
        }
    }

    /// A network where every message between two of `sites` takes `one_way_ns`.
    pub fn uniform(sites: usize, one_way_ns: u64) -> Self {
        let delay = |a: usize, b: usize| if a == b { 0 } else { one_way_ns };
        let matrix = (0..sites).map(|a| (0..sites).map(|b| delay(a, b)).collect()).collect();
        let jitter_ns = vec![vec![0; sites]; sites];
        Self { one_way_ns: matrix, jitter_ns, loss: 0.0, duplicate: 0.0 }
    }

    /// The same network with up to `most_ns` added to every delay.
    #[must_use]
    pub fn with_jitter(mut self, most_ns: u64) -> Self {
        self.jitter_ns.iter_mut().flatten().for_each(|jitter_ns| *jitter_ns = most_ns);
        self
    }

    /// The largest jitter of all, in nanoseconds.
    pub fn jitter_ns_max(&self) -> u64 {
        self.jitter_ns.iter().flatten().copied().max().unwrap_or(0)
    }

    /// The largest round trip between two sites, without jitter, in nanoseconds.
    pub fn round_trip_ns_max(&self) -> u64 {
        let n = self.one_way_ns.len();
        let round_trip = |(a, b): (usize, usize)| self.one_way_ns[a][b] + self.one_way_ns[b][a];
        (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).map(round_trip).max().unwrap_or(0)
    }
}

/// The delays of the copies of one message that will arrive: none if it is lost.
pub(crate) type Fate = (Option<Nanos>, Option<Nanos>);

/// The network as it is now.
#[derive(Debug)]
pub(crate) struct Links {
    sites: usize,
    /// By sender, then receiver, as `jitter_ns`.
    one_way_ns: Vec<Nanos>,
    jitter_ns: Vec<RangeInclusive<u64>>,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) extra_delay_ns: RangeInclusive<u64>,
    /// By sender: who does not hear it.
    blocked: Vec<ReplicaSet>,
    rng: ChaCha8Rng,
}

impl Links {
    pub(crate) fn new(network: &Network, rng: ChaCha8Rng) -> Self {
        let sites = network.one_way_ns.len();
        Self {
            sites,
            one_way_ns: network.one_way_ns.concat(),
            jitter_ns: network.jitter_ns.iter().flatten().map(|most| 0..=*most).collect(),
            loss: network.loss,
            duplicate: network.duplicate,
            extra_delay_ns: 0..=0,
            blocked: vec![ReplicaSet::EMPTY; sites],
            rng,
        }
    }

    /// Draws what becomes of a message from one site to another.
    pub(crate) fn fate(&mut self, from: ReplicaId, to: ReplicaId) -> Fate {
        if from == to {
            return (Some(0), None);
        }
        if self.blocked[from.index()].contains(to) || self.happens(self.loss) {
            return (None, None);
        }
        let first = self.delay(from, to);
        let second = if self.happens(self.duplicate) { Some(self.delay(from, to)) } else { None };
        (Some(first), second)
    }

    /// A number out of `range`, every one as likely.
    pub(crate) fn draw(&mut self, range: &RangeInclusive<u64>) -> u64 {
        if range.start() == range.end() {
            return *range.start();
        }
        self.rng.random_range(range.clone())
    }

    /// No message from one of `from` reaches one of `to`, until [`Links::heal`].
    pub(crate) fn block(&mut self, from: ReplicaSet, to: ReplicaSet) {
        for sender in from.iter() {
            let deaf = &mut self.blocked[sender.index()];
            *deaf = deaf.union(to);
        }
    }

    /// Every partition ends.
    pub(crate) fn heal(&mut self) {
        self.blocked.fill(ReplicaSet::EMPTY);
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }

    fn delay(&mut self, from: ReplicaId, to: ReplicaId) -> Nanos {
        let link = self.sites * from.index() + to.index();
        let (jitter, extra) = (self.jitter_ns[link].clone(), self.extra_delay_ns.clone());
        self.one_way_ns[link] + self.draw(&jitter) + self.draw(&extra)
    }
}
