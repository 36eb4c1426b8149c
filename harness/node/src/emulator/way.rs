//! One-way links: what becomes of each packet or message, and the account of it.

use std::time::{Duration, Instant};

use measure::LayerReport;
use protocols::ReplicaId;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::{Layer, LinkChange, NetworkChange};

/// Chosen: what is held back waits so long, and a quarter of the way's own delay; enough for the next ones to overtake it.
const HOLD_BACK: Duration = Duration::from_millis(2);

/// After how long each copy arrives: none if it is lost, two if it is doubled.
pub(super) type Fate = SmallVec<[Duration; 2]>;

/// Which way packets go, as seen from the one who impairs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From here.
    Out,
    /// To here.
    In,
}

/// The ways between one place and every replica, in one direction.
#[derive(Debug)]
pub(super) struct Ways {
    layer: Layer,
    own: ReplicaId,
    direction: Direction,
    /// By the other end.
    ways: Vec<Way>,
    /// Is anything done on any way?
    pub(super) in_use: bool,
    pub(super) report: LayerReport,
}

/// A way as it is now.
#[derive(Debug)]
struct Way {
    /// By the topology.
    one_way_ns: u64,
    jitter_ns: u64,
    /// By changes.
    loss: f64,
    duplicate: f64,
    hold_back: f64,
    more_ns: u64,
    more_jitter_ns: u64,
    bytes_per_s: f64,
    cut: bool,
    /// When the bandwidth is free again.
    busy_until: Option<Instant>,
    random: SmallRng,
}

impl Ways {
    /// The ways between `own` and each of `replicas` replicas, with nothing done on them. `who` tells apart those who share
    /// a place: draws are seeded by it, too.
    pub(super) fn new(
        layer: Layer,
        own: ReplicaId,
        direction: Direction,
        replicas: usize,
        (seed, who): (u64, u8),
    ) -> Self {
        let way = |other: ReplicaId| {
            let incoming = u8::from(direction == Direction::In);
            let of_messages = u8::from(layer == Layer::Message);
            let place = [own.0, other.0, incoming, of_messages, who, 0, 0, 0];
            Way::new(xxh3_64(&[seed.to_le_bytes(), place].concat()))
        };
        let ways = ReplicaId::all(replicas).map(way).collect();
        Self { layer, own, direction, ways, in_use: false, report: LayerReport::default() }
    }

    /// The same ways, as long as these matrices say.
    pub(super) fn with_delays(mut self, one_way_ns: &[Vec<u64>], jitter_ns: &[Vec<u64>]) -> Self {
        for other in ReplicaId::all(self.ways.len()) {
            let (from, to) = self.ends(other);
            let way = &mut self.ways[other.index()];
            way.one_way_ns = one_way_ns[from.index()][to.index()];
            way.jitter_ns = jitter_ns[from.index()][to.index()];
        }
        self.look();
        self
    }

    /// Takes of `change` what concerns these ways.
    pub(super) fn change(&mut self, change: &NetworkChange) {
        match change {
            NetworkChange::Partition { blocked } if self.layer == Layer::Packet => {
                for other in ReplicaId::all(self.ways.len()) {
                    let cut = blocked.contains(&self.ends(other));
                    self.ways[other.index()].cut |= cut;
                }
            }
            NetworkChange::Heal => self.ways.iter_mut().for_each(|way| way.cut = false),
            NetworkChange::Links(change) if change.layer == self.layer => {
                for other in ReplicaId::all(self.ways.len()) {
                    let (from, to) = self.ends(other);
                    if change.from.contains(from) && change.to.contains(to) {
                        self.ways[other.index()].change(change);
                    }
                }
            }
            _ => {}
        }
        self.look();
    }

    /// What becomes of `bytes` bytes that go the way between here and `other` at `now`.
    pub(super) fn fate(&mut self, other: ReplicaId, bytes: usize, now: Instant) -> Fate {
        let at_once = || SmallVec::from_slice(&[Duration::ZERO]);
        // A site is no distance from itself, and nothing is lost on no way.
        let way = if other == self.own { None } else { self.ways.get_mut(other.index()) };
        match way {
            Some(way) if way.does_anything() => way.fate(bytes, now, &mut self.report),
            _ => at_once(),
        }
    }

    /// A copy left that was to be delayed by `asked`, after `had`.
    pub(super) fn delayed(&mut self, asked: Duration, had: Duration) {
        self.report.delayed += 1;
        self.report.delay_asked_ns += nanoseconds(asked);
        self.report.delay_ns += nanoseconds(had);
    }

    fn ends(&self, other: ReplicaId) -> (ReplicaId, ReplicaId) {
        match self.direction {
            Direction::Out => (self.own, other),
            Direction::In => (other, self.own),
        }
    }

    fn look(&mut self) {
        let own = self.own.index();
        let others = self.ways.iter().enumerate().filter(|(other, _)| *other != own);
        self.in_use = others.into_iter().any(|(_, way)| way.does_anything());
    }
}

impl Way {
    fn new(seed: u64) -> Self {
        Self {
            one_way_ns: 0,
            jitter_ns: 0,
            loss: 0.0,
            duplicate: 0.0,
            hold_back: 0.0,
            more_ns: 0,
            more_jitter_ns: 0,
            bytes_per_s: f64::INFINITY,
            cut: false,
            busy_until: None,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    fn change(&mut self, change: &LinkChange) {
        let set = |to: &mut f64, rate: Option<f64>| *to = rate.map_or(*to, probability);
        set(&mut self.loss, change.loss_rate);
        set(&mut self.duplicate, change.duplicate_rate);
        set(&mut self.hold_back, change.reorder_rate);
        self.more_ns = change.delay_ns.unwrap_or(self.more_ns);
        self.more_jitter_ns = change.jitter_ns.unwrap_or(self.more_jitter_ns);
        if let Some(bytes_per_s) = change.bytes_per_s {
            // A way that lets nothing through is a partition, and is asked for as one.
            self.bytes_per_s = if bytes_per_s >= 1.0 { bytes_per_s } else { f64::INFINITY };
            self.busy_until = None;
        }
    }

    fn does_anything(&self) -> bool {
        self.cut
            || self.loss > 0.0
            || self.duplicate > 0.0
            || self.hold_back > 0.0
            || self.one_way_ns + self.jitter_ns + self.more_ns + self.more_jitter_ns > 0
            || self.bytes_per_s.is_finite()
    }

    fn fate(&mut self, bytes: usize, now: Instant, report: &mut LayerReport) -> Fate {
        let mut fate = Fate::new();
        if self.cut {
            report.cut += 1;
            return fate;
        }
        report.seen += 1;
        report.lost_asked += self.loss;
        let queued = self.queue(bytes, now);
        if self.happens(self.loss) {
            report.lost += 1;
            return fate;
        }
        report.doubled_asked += self.duplicate;
        report.held_back_asked += self.hold_back;
        let mut held = Duration::ZERO;
        if self.happens(self.hold_back) {
            report.held_back += 1;
            held = HOLD_BACK + Duration::from_nanos((self.one_way_ns + self.more_ns) / 4);
        }
        fate.push(queued + self.delay() + held);
        if self.happens(self.duplicate) {
            report.doubled += 1;
            fate.push(queued + self.delay());
        }
        fate
    }

    /// How long it takes until `bytes` bytes have left, where the bandwidth is limited.
    #[expect(clippy::cast_precision_loss, reason = "the size of a packet")]
    fn queue(&mut self, bytes: usize, now: Instant) -> Duration {
        if self.bytes_per_s.is_infinite() {
            return Duration::ZERO;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s);
        let free_at = self.busy_until.map_or(now, |at| at.max(now)) + takes;
        self.busy_until = Some(free_at);
        free_at - now
    }

    fn delay(&mut self) -> Duration {
        let mut ns = self.one_way_ns + self.more_ns;
        for most_ns in [self.jitter_ns, self.more_jitter_ns] {
            if most_ns > 0 {
                ns += self.random.random_range(0..=most_ns);
            }
        }
        Duration::from_nanos(ns)
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random_bool(probability)
    }
}

/// What came over a wire may be no probability.
fn probability(rate: f64) -> f64 {
    if rate >= 0.0 { rate.min(1.0) } else { 0.0 }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use protocols::ReplicaSet;

    use super::*;

    const A: ReplicaId = ReplicaId(0);
    const B: ReplicaId = ReplicaId(1);
    const C: ReplicaId = ReplicaId(2);

    fn out() -> Ways {
        Ways::new(Layer::Packet, A, Direction::Out, 3, (7, 0))
    }

    fn changed(change: impl FnOnce(&mut LinkChange)) -> Ways {
        let mut links = LinkChange::of_all(Layer::Packet, 3);
        change(&mut links);
        let mut ways = out();
        ways.change(&NetworkChange::Links(links));
        ways
    }

    fn fates(ways: &mut Ways, other: ReplicaId, count: usize) -> Vec<Fate> {
        let now = Instant::now();
        (0..count).map(|_| ways.fate(other, 1_000, now)).collect()
    }

    #[test]
    fn without_a_change_everything_goes_at_once_and_nothing_is_counted() {
        let mut ways = out();
        assert!(!ways.in_use);
        assert_eq!(fates(&mut ways, B, 1)[0].as_slice(), [Duration::ZERO]);
        assert_eq!(ways.report, LayerReport::default());
    }

    #[test]
    fn losses_doubles_and_holding_back_happen_as_often_as_asked_and_are_counted() {
        let mut ways = changed(|links| {
            links.loss_rate = Some(0.1);
            links.duplicate_rate = Some(0.2);
            links.reorder_rate = Some(0.05);
        });
        assert!(ways.in_use);
        let fates = fates(&mut ways, B, 100_000);
        let with = |copies| fates.iter().filter(|fate| fate.len() == copies).count() as u64;
        let report = ways.report;
        assert_eq!((report.seen, report.lost, report.doubled), (100_000, with(0), with(2)));
        assert!((9_500..10_500).contains(&report.lost), "{report:?}");
        assert!((17_500..18_500).contains(&report.doubled), "of those not lost: {report:?}");
        assert!((report.lost_asked - 10_000.0).abs() < 1e-3, "{report:?}");
        assert!((report.doubled_asked - 0.2 * (100_000 - report.lost) as f64).abs() < 1e-3);
        let held =
            fates.iter().filter(|fate| fate.first().is_some_and(|first| *first >= HOLD_BACK));
        assert_eq!(report.held_back, held.count() as u64);
        assert!((4_200..4_800).contains(&report.held_back), "{report:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_place_something_else() {
        let mut lossy = [(A, 7), (A, 7), (B, 7), (A, 8)].map(|(own, seed)| {
            let mut ways = Ways::new(Layer::Packet, own, Direction::Out, 3, (seed, 0));
            let mut links = LinkChange::of_all(Layer::Packet, 3);
            links.loss_rate = Some(0.5);
            ways.change(&NetworkChange::Links(links));
            fates(&mut ways, C, 64)
        });
        let one = std::mem::take(&mut lossy[0]);
        assert_eq!(one, lossy[1]);
        assert_ne!(one, lossy[2]);
        assert_ne!(one, lossy[3]);
    }

    #[test]
    fn delays_are_the_topologys_with_jitter_and_a_changes_on_top() {
        let (mut one_way, mut jitter) = (vec![vec![0; 3]; 3], vec![vec![0; 3]; 3]);
        (one_way[0][1], one_way[1][0], jitter[0][1]) = (40_000, 60_000, 1_000);
        let mut ways = out().with_delays(&one_way, &jitter);
        let mut links = LinkChange::of_all(Layer::Packet, 3);
        links.delay_ns = Some(500);
        ways.change(&NetworkChange::Links(links));
        let delays: Vec<u128> =
            fates(&mut ways, B, 1_000).iter().map(|fate| fate[0].as_nanos()).collect();
        assert!(delays.iter().all(|ns| (40_500..=41_500).contains(ns)), "{delays:?}");
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(most - least > 900, "jitter is spread over its range");
        assert_eq!(fates(&mut ways, C, 1)[0].as_slice(), [Duration::from_nanos(500)]);
        assert_eq!(fates(&mut ways, A, 1)[0].as_slice(), [Duration::ZERO], "no way to oneself");
        let mut incoming =
            Ways::new(Layer::Packet, A, Direction::In, 3, (7, 0)).with_delays(&one_way, &jitter);
        assert_eq!(fates(&mut incoming, B, 1)[0].as_slice(), [Duration::from_nanos(60_000)]);
    }

    #[test]
    fn a_limited_bandwidth_sends_one_after_the_other() {
        let mut ways = changed(|links| links.bytes_per_s = Some(1e6));
        let now = Instant::now();
        let mut after = |now| ways.fate(B, 1_000, now)[0].as_micros();
        assert_eq!([after(now), after(now), after(now)], [1_000, 2_000, 3_000]);
        assert_eq!(after(now + Duration::from_micros(2_500)), 1_500, "it was busy until then");
        assert_eq!(after(now + Duration::from_secs(1)), 1_000, "it was idle");
        assert_eq!(ways.fate(C, 500, now)[0].as_micros(), 500, "each way has its own");
    }

    #[test]
    fn a_partition_lets_nothing_through_one_way_until_it_heals() {
        let mut ways = out();
        let set = |id| ReplicaSet::only(id);
        ways.change(&NetworkChange::one_way(set(A), set(B)));
        ways.change(&NetworkChange::one_way(set(C), set(A)));
        assert!(ways.fate(B, 10, Instant::now()).is_empty());
        assert_eq!(ways.fate(C, 10, Instant::now()).len(), 1, "the other direction is cut");
        ways.change(&NetworkChange::one_way(set(A), set(C)));
        assert!(ways.fate(B, 10, Instant::now()).is_empty(), "an earlier partition lasts");
        assert!(ways.fate(C, 10, Instant::now()).is_empty());
        assert_eq!((ways.report.cut, ways.report.seen), (3, 0));
        ways.change(&NetworkChange::Heal);
        assert_eq!(ways.fate(B, 10, Instant::now()).len(), 1);
        assert!(!ways.in_use);
    }

    #[test]
    fn changes_touch_the_named_links_and_layer_alone_and_can_be_taken_back() {
        let mut ways = out();
        let mut links = LinkChange::of_all(Layer::Message, 3);
        links.loss_rate = Some(1.0);
        ways.change(&NetworkChange::Links(links.clone()));
        assert!(!ways.in_use, "messages are another layer");
        links.layer = Layer::Packet;
        links.to = ReplicaSet::only(B);
        ways.change(&NetworkChange::Links(links));
        assert!(ways.fate(B, 10, Instant::now()).is_empty());
        assert_eq!(ways.fate(C, 10, Instant::now()).len(), 1);
        for change in NetworkChange::ends(3) {
            ways.change(&change);
        }
        assert!(!ways.in_use);
        for nonsense in [f64::NAN, -1.0] {
            let mut ways = changed(|links| links.loss_rate = Some(nonsense));
            assert_eq!(ways.fate(B, 10, Instant::now()).len(), 1);
        }
        let mut always = changed(|links| links.loss_rate = Some(7.0));
        assert!(always.fate(B, 10, Instant::now()).is_empty());
    }
}
