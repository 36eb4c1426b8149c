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
    /// square. A range wider than the gap between two messages reorders them, unless they arrive in
    /// order.
    pub jitter_ns: Vec<Vec<u64>>,
    /// Does jitter leave messages from one site to another in their order, as a stream does? A
    /// message then waits for those that were sent before it. Delays of [`crate::Fault::Delay`]
    /// come on top and may reorder.
    pub in_order: bool,
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
            in_order: false,
            loss: 0.0,
            duplicate: 0.0,
        }
    }

    /// A network where every message between two of `sites` takes `one_way_ns`.
    pub fn uniform(sites: usize, one_way_ns: u64) -> Self {
        let delay = |a: usize, b: usize| if a == b { 0 } else { one_way_ns };
        let matrix = (0..sites).map(|a| (0..sites).map(|b| delay(a, b)).collect()).collect();
        let jitter_ns = vec![vec![0; sites]; sites];
        Self { one_way_ns: matrix, jitter_ns, in_order: false, loss: 0.0, duplicate: 0.0 }
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

/// When the copies of one message arrive: none if it is lost.
pub(crate) type Fate = (Option<Nanos>, Option<Nanos>);

/// The network as it is now.
#[derive(Debug)]
pub(crate) struct Links {
    sites: usize,
    /// By sender, then receiver, as `jitter_ns`.
    one_way_ns: Vec<Nanos>,
    jitter_ns: Vec<Nanos>,
    /// When the last message arrives that was sent on a link, where they arrive in order; empty if
    /// they need not.
    last_ns: Vec<Nanos>,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) extra_delay_ns: RangeInclusive<u64>,
    /// By link: the share of messages that is lost there, and how much longer each takes.
    link_loss: Vec<f64>,
    link_delay_ns: Vec<Nanos>,
    /// By link: until when it holds messages back.
    clogged_until: Vec<Nanos>,
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
            jitter_ns: network.jitter_ns.concat(),
            last_ns: vec![0; if network.in_order { sites * sites } else { 0 }],
            loss: network.loss,
            duplicate: network.duplicate,
            extra_delay_ns: 0..=0,
            link_loss: vec![0.0; sites * sites],
            link_delay_ns: vec![0; sites * sites],
            clogged_until: vec![0; sites * sites],
            blocked: vec![ReplicaSet::EMPTY; sites],
            rng,
        }
    }

    /// Draws what becomes of a message that leaves one site for another at `leaves`.
    pub(crate) fn fate(&mut self, from: ReplicaId, to: ReplicaId, leaves: Nanos) -> Fate {
        if from == to {
            return (Some(leaves), None);
        }
        if self.blocked[from.index()].contains(to)
            || self.happens(self.loss)
            || self.happens(self.link_loss[self.link(from, to)])
        {
            return (None, None);
        }
        let first = self.arrives(from, to, leaves);
        let second = self.happens(self.duplicate).then(|| self.arrives(from, to, leaves));
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

    /// What leaves one site for another before `until` sets out then.
    pub(crate) fn clog(&mut self, from: ReplicaId, to: ReplicaId, until: Nanos) {
        let link = self.link(from, to);
        self.clogged_until[link] = until.max(self.clogged_until[link]);
    }

    /// From now on this share of what leaves one site for another is lost.
    pub(crate) fn lose(&mut self, from: ReplicaId, to: ReplicaId, share: f64) {
        let link = self.link(from, to);
        self.link_loss[link] = share;
    }

    /// From now on what leaves one site for another takes so much longer.
    pub(crate) fn delay(&mut self, from: ReplicaId, to: ReplicaId, by_ns: Nanos) {
        let link = self.link(from, to);
        self.link_delay_ns[link] = by_ns;
    }

    fn link(&self, from: ReplicaId, to: ReplicaId) -> usize {
        self.sites * from.index() + to.index()
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability)
    }

    fn arrives(&mut self, from: ReplicaId, to: ReplicaId, leaves: Nanos) -> Nanos {
        let link = self.link(from, to);
        let jitter_ns = self.draw_up_to(self.jitter_ns[link]);
        let sets_out = leaves.max(self.clogged_until[link]);
        let mut arrives = sets_out + self.one_way_ns[link] + self.link_delay_ns[link] + jitter_ns;
        if let Some(last) = self.last_ns.get_mut(link) {
            arrives = arrives.max(*last);
            *last = arrives;
        }
        let extra = &self.extra_delay_ns;
        if *extra.end() == 0 { arrives } else { arrives + self.draw(&extra.clone()) }
    }

    fn draw_up_to(&mut self, most: u64) -> u64 {
        if most == 0 { 0 } else { self.rng.random_range(0..=most) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const FROM: ReplicaId = ReplicaId(0);
    const TO: ReplicaId = ReplicaId(1);

    /// The arrivals of messages that leave one after the other, a nanosecond apart.
    fn arrivals(network: &Network, delayed_ns: impl Fn(u64) -> u64) -> Vec<Nanos> {
        let mut links = Links::new(network, ChaCha8Rng::seed_from_u64(7));
        let arrival = |leaves: Nanos| {
            let delayed_ns = delayed_ns(leaves);
            links.extra_delay_ns = delayed_ns..=delayed_ns;
            links.fate(FROM, TO, leaves).0.expect("nothing is lost")
        };
        (0..1_000).map(arrival).collect()
    }

    #[test]
    fn jitter_reorders_messages_unless_they_arrive_in_order() {
        let mut network = Network::uniform(3, 1_000).with_jitter(400);
        let loose = arrivals(&network, |_| 0);
        assert!(!loose.is_sorted());
        network.in_order = true;
        let ordered = arrivals(&network, |_| 0);
        assert!(ordered.is_sorted());
        for (leaves, (ordered, loose)) in (0..).zip(ordered.iter().zip(&loose)) {
            let delay = ordered - leaves;
            assert!((1_000..=1_400).contains(&delay), "{delay} within the range of one message");
            assert!(ordered >= loose, "the same draws, and a wait for what was sent before");
        }
    }

    #[test]
    fn a_clogged_link_holds_messages_back_and_no_other_does() {
        let mut links = Links::new(&Network::uniform(3, 1_000), ChaCha8Rng::seed_from_u64(7));
        links.clog(FROM, TO, 500);
        links.clog(FROM, TO, 100);
        let mut arrival = |from, to, leaves| links.fate(from, to, leaves).0.unwrap();
        assert_eq!(
            [0, 499, 500, 600].map(|at| arrival(FROM, TO, at)),
            [1_500, 1_500, 1_500, 1_600]
        );
        assert_eq!((arrival(TO, FROM, 0), arrival(FROM, ReplicaId(2), 0)), (1_000, 1_000));
    }

    #[test]
    fn a_fault_of_one_link_leaves_the_others_as_they_were() {
        let mut links = Links::new(&Network::uniform(3, 1_000), ChaCha8Rng::seed_from_u64(7));
        links.delay(FROM, TO, 500);
        links.lose(TO, FROM, 0.5);
        let third = ReplicaId(2);
        assert_eq!(links.fate(FROM, TO, 0).0, Some(1_500));
        assert_eq!(links.fate(FROM, third, 0).0, Some(1_000));
        let arrived = (0..1_000).filter(|_| links.fate(TO, FROM, 0).0.is_some()).count();
        assert!((400..600).contains(&arrived), "{arrived} of 1,000");
        assert!((0..1_000).all(|_| links.fate(TO, third, 0).0 == Some(1_000)));
        links.delay(FROM, TO, 0);
        links.lose(TO, FROM, 0.0);
        assert!((0..1_000).all(|_| links.fate(TO, FROM, 0).0 == Some(1_000)));
        assert_eq!(links.fate(FROM, TO, 0).0, Some(1_000));
    }

    #[test]
    fn a_delay_of_a_fault_may_reorder_what_arrives_in_order_otherwise() {
        let mut network = Network::uniform(3, 1_000);
        network.in_order = true;
        let arrivals = arrivals(&network, |leaves| if leaves < 500 { 3_000 } else { 0 });
        assert!(arrivals[499] > arrivals[500]);
        assert_eq!((arrivals[0], arrivals[500]), (4_000, 1_500));
    }
}
