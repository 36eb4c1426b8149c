//! Hostile scenarios: everything that may go wrong, drawn from a seed.
//!
//! As in TigerBeetle's VOPR a seed draws first how strongly each kind of fault acts ([`Strength`]),
//! and then the faults. Magnitudes are drawn, not numbers, so that small and large ones are as
//! likely: one seed is almost quiet, another is hardly bearable, and most are something of both.

mod lasting;

use std::ops::RangeInclusive;

use protocols::{ReplicaId, ReplicaSet, quorum::faults_tolerated};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    client::{Load, Mix},
    cost::{Costs, NORMAL_PACE},
    fault::{Fault, FaultPlan},
    history::ELEMENT_BYTES,
    network::Network,
    queue::Nanos,
    scenario::Scenario,
    simulation,
    store::Storage,
};

pub use lasting::lasting;

const MICROSECOND: Nanos = 1_000;
const MILLISECOND: Nanos = 1_000_000;

/// How hostile, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hostility {
    /// The size of the cluster; drawn out of 3, 5 and 7 if not given.
    pub replicas: Option<usize>,
    /// How many faults happen before all of them are mended.
    pub faults: usize,
    /// Do replicas crash and restart?
    pub crashes: bool,
}

/// The scenario of `seed`: a drawn cluster, network, disk and load, a phase of faults, then all is
/// mended that can be. The faults are loss, duplicates, delays, partitions of every shape, links
/// that hold messages back, pauses, slow replicas and, if allowed, crashes, failing and full disks
/// and flipped bits. Which of them there are, how strong they are, how fast they follow each other
/// and how long each lasts is drawn. Where replicas crash they take checkpoints, too. In some
/// scenarios clients give up what they have sent in vain.
pub fn hostile(seed: u64, hostility: &Hostility) -> Scenario {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2);
    let n = hostility.replicas.unwrap_or_else(|| 3 + 2 * rng.random_range(0..3));
    let strength = Strength::draw(hostility, &mut rng);
    let faults = draw_faults(n, hostility.faults, &strength, &mut rng);
    let load = draw_load(n, faults.end_ns(), &mut rng);
    let mut scenario = Scenario::new(draw_network(n, &mut rng), load, seed);
    scenario.config.first_leader = any_replica(n, &mut rng);
    scenario.option_draw = Some(rng.random_range(1..=3) - 1);
    scenario.faults = if hostility.crashes { with_checkpoints(seed, n, faults) } else { faults };
    draw_limits(&mut scenario, &mut rng);
    draw_kept_bytes(seed, &mut scenario);
    scenario.config.limits_seed = draw_limits_seed(seed);
    scenario.storage = draw_storage(seed);
    scenario.costs = draw_costs(&scenario.network, &mut rng);
    scenario
}

/// A number of `range`, of a magnitude that is drawn: each doubling is as likely.
fn magnitude(range: RangeInclusive<u64>, rng: &mut ChaCha8Rng) -> u64 {
    let (least, most) = range.into_inner();
    let bits = rng.random_range(least.max(1).ilog2()..=most.ilog2());
    rng.random_range((1 << bits).max(least)..=((2 << bits) - 1).min(most))
}

/// A share of that magnitude at most, in thousandths.
fn share(most_permille: u64, rng: &mut ChaCha8Rng) -> f64 {
    let permille = u32::try_from(magnitude(1..=most_permille, rng)).expect("at most a thousand");
    f64::from(permille) / 1e3
}

/// How strongly each kind of fault acts in one scenario. Each is the most of what is drawn for one
/// fault, times in nanoseconds.
#[derive(Clone, Debug)]
struct Strength {
    /// The kinds that there are, each with how often it is drawn.
    kinds: Vec<(Kind, u64)>,
    /// From one fault to the next.
    gap: Nanos,
    /// How long the network stays as a fault has made it.
    disturbed: Nanos,
    /// How long a replica is down, paused or slow.
    down: Nanos,
    /// How much longer a message takes.
    delay: Nanos,
    /// How long a link holds messages back.
    clogged: Nanos,
    /// Thousandths of messages that are lost, and that arrive twice.
    lost: u64,
    duplicated: u64,
    /// How much longer work takes at a slow replica, in thousandths.
    pace: u64,
    /// How many bytes more a disk takes before it is full.
    room: u64,
}

impl Strength {
    fn draw(hostility: &Hostility, rng: &mut ChaCha8Rng) -> Self {
        let second = 1_000 * MILLISECOND;
        // Chosen: so many scenarios are almost quiet.
        if rng.random_bool(0.1) {
            return Self {
                kinds: GENTLE.iter().map(|kind| (*kind, 1)).collect(),
                gap: magnitude(2 * MILLISECOND..=second, rng),
                disturbed: 20 * MILLISECOND,
                down: 20 * MILLISECOND,
                delay: 5 * MILLISECOND,
                clogged: 10 * MILLISECOND,
                lost: 10,
                duplicated: 10,
                pace: 4_000,
                room: 1,
            };
        }
        Self {
            kinds: draw_kinds(hostility.crashes, rng),
            gap: magnitude(10 * MILLISECOND..=3 * second, rng),
            disturbed: magnitude(20 * MILLISECOND..=8 * second, rng),
            down: magnitude(20 * MILLISECOND..=8 * second, rng),
            delay: magnitude(MILLISECOND..=5 * second, rng),
            clogged: magnitude(MILLISECOND..=5 * second, rng),
            lost: magnitude(5..=950, rng),
            duplicated: magnitude(5..=1_000, rng),
            pace: magnitude(2_000..=100_000, rng),
            room: magnitude(100..=50_000, rng),
        }
    }
}

/// Disks from fast to hardly bearable; logs so short that segments and checkpoints come by
/// themselves, in three of four scenarios.
fn draw_storage(seed: u64) -> Storage {
    let mut rng = simulation::rng(seed, 5);
    let takes_time = rng.random_bool(0.75);
    let most = if takes_time { magnitude(MICROSECOND..=500 * MILLISECOND, &mut rng) } else { 0 };
    let kept = [Some(500), Some(4_000), Some(30_000), None];
    Storage {
        synced: rng.random_bool(0.75),
        group_ns: most / 10..=most,
        log_bytes_kept: kept[rng.random_range(0..kept.len())],
    }
}

/// In half of the scenarios work takes time, but little of that of a round trip: a replica that is
/// not slowed keeps up with its peers.
fn draw_costs(network: &Network, rng: &mut ChaCha8Rng) -> Costs {
    if rng.random_bool(0.5) {
        return Costs::NONE;
    }
    // Chosen: hundreds of messages may be under way at once, and timeouts are two round trips.
    let most = (network.round_trip_ns_max() / 4_000).max(100);
    Costs {
        cpu_ns_per_wakeup: magnitude(1..=most, rng),
        cpu_ns_per_message: magnitude(1..=most, rng),
        cpu_ps_per_byte: magnitude(1..=1_000, rng),
        cpu_ns_per_command: magnitude(1..=most, rng),
        cpu_ns_per_ordering_step: magnitude(1..=(most / 10).max(1), rng),
        nic_bits_per_s: if rng.random_bool(0.5) { 0 } else { 1_000_000_000 },
    }
}

/// In four of five scenarios a replica that misses a few dozen instances has to catch up by
/// snapshot, in small pieces.
fn draw_limits(scenario: &mut Scenario, rng: &mut ChaCha8Rng) {
    let kept = [1, 1, 4, 16, scenario.config.kept_slots_max];
    scenario.config.kept_slots_max = kept[rng.random_range(0..kept.len())];
    let piece = [1_000, 8_000, scenario.config.piece_bytes_max];
    scenario.config.piece_bytes_max = piece[rng.random_range(0..piece.len())];
}

/// In half of the scenarios what is kept for a replica is bounded in bytes, too, and low: from one
/// or two instances up to some dozens.
fn draw_kept_bytes(seed: u64, scenario: &mut Scenario) {
    let mut rng = simulation::rng(seed, 6);
    if rng.random_bool(0.5) {
        scenario.config.kept_bytes_max = magnitude(500..=60_000, &mut rng);
    }
}

/// In half of the scenarios the cores' own limits are smaller than they chose, each by a magnitude
/// of its own.
fn draw_limits_seed(seed: u64) -> u64 {
    let mut rng = simulation::rng(seed, 7);
    if rng.random_bool(0.5) { rng.random_range(1..=u64::MAX) } else { 0 }
}

fn draw_network(n: usize, rng: &mut ChaCha8Rng) -> Network {
    let far = magnitude(MILLISECOND..=120 * MILLISECOND, rng);
    let mut network = Network::uniform(n, 0);
    for delay in network.one_way_ns.iter_mut().flatten() {
        *delay = magnitude(MILLISECOND / 10..=far, rng);
    }
    network.with_jitter(rng.random_range(0..=far))
}

fn draw_load(n: usize, faults_end: Nanos, rng: &mut ChaCha8Rng) -> Load {
    let clients = magnitude(1..=6, rng);
    // The more clients the fewer of each: a history must be judged.
    let submissions = rng.random_range(10..=(120 / clients).min(40));
    Load {
        sites: ReplicaSet::all(n),
        start_ns: 0,
        clients_per_site: usize::try_from(clients).expect("a few"),
        window: rng.random_range(1..=6),
        submissions,
        batch_max: if rng.random_bool(0.3) { rng.random_range(2..=4) } else { 1 },
        // Enough for the load to last through the faults.
        think_ns: 0..=2 * faults_end / submissions,
        timeout_ns: Some(magnitude(150 * MILLISECOND..=10_000 * MILLISECOND, rng)),
        sends_max: [None, None, Some(4), Some(2), Some(1)][rng.random_range(0..5)],
        mix: Mix::ALL,
        value_bytes: ELEMENT_BYTES,
        shared: [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)],
        mixed_keys: rng.random_range(1..=3),
        append_only_keys: rng.random_range(0..=2),
    }
}

/// What a fault is, before its particulars are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loss,
    Duplicate,
    Delay,
    /// Two parts.
    Partition,
    /// As many parts as there may be.
    Apart,
    /// One replica and all others.
    Alone,
    /// Nothing passes from one part to the other.
    OneWay,
    /// One replica hears nobody.
    Deaf,
    /// Nobody hears one replica.
    Mute,
    /// A link holds messages back.
    Clog,
    Pause,
    Slow,
    Crash,
    CrashMidway,
    SyncFails,
    DiskFull,
    BitFlips,
}

/// All of them; the crashes last.
const KINDS: [Kind; 17] = [
    Kind::Loss,
    Kind::Duplicate,
    Kind::Delay,
    Kind::Partition,
    Kind::Apart,
    Kind::Alone,
    Kind::OneWay,
    Kind::Deaf,
    Kind::Mute,
    Kind::Clog,
    Kind::Pause,
    Kind::Slow,
    Kind::Crash,
    Kind::CrashMidway,
    Kind::SyncFails,
    Kind::DiskFull,
    Kind::BitFlips,
];
/// How many of them crash no replica.
const CRASHLESS: usize = 12;

/// Those of almost quiet scenarios.
const GENTLE: [Kind; 6] =
    [Kind::Loss, Kind::Duplicate, Kind::Delay, Kind::Clog, Kind::Pause, Kind::Slow];

/// Some of the kinds, each with how often it is drawn: from one kind alone to all.
fn draw_kinds(crashes: bool, rng: &mut ChaCha8Rng) -> Vec<(Kind, u64)> {
    let allowed = if crashes { &KINDS[..] } else { &KINDS[..CRASHLESS] };
    let mut kinds = allowed.to_vec();
    kinds.shuffle(rng);
    kinds.truncate(rng.random_range(1..=allowed.len()));
    let often = |kind| {
        // Void if nothing is sent or recorded then: chosen to be tried as often as the others.
        let tries = if kind == Kind::CrashMidway { 4 } else { 1 };
        (kind, tries * magnitude(1..=16, rng))
    };
    kinds.into_iter().map(often).collect()
}

fn draw_kind(kinds: &[(Kind, u64)], rng: &mut ChaCha8Rng) -> Kind {
    let mut left = rng.random_range(0..kinds.iter().map(|(_, often)| often).sum());
    for (kind, often) in kinds {
        if left < *often {
            return *kind;
        }
        left -= often;
    }
    unreachable!("less than all is left")
}

/// Faults at random distances; the last entries mend everything.
fn draw_faults(n: usize, faults: usize, strength: &Strength, rng: &mut ChaCha8Rng) -> FaultPlan {
    let mut plan = Vec::new();
    let mut at = 0;
    for _ in 0..faults {
        at += rng.random_range(MILLISECOND..=strength.gap);
        let kind = draw_kind(&strength.kinds, rng);
        draw_fault(kind, at, n, strength, &mut plan, rng);
    }
    plan.sort_by_key(|(at, _)| *at);
    let end = plan.last().map_or(at, |(last, _)| at.max(*last)) + 1;
    FaultPlan::mended(&plan, end, n)
}

/// Adds a fault at `at`, and what ends it.
fn draw_fault(
    kind: Kind,
    at: Nanos,
    n: usize,
    strength: &Strength,
    plan: &mut Vec<(Nanos, Fault)>,
    rng: &mut ChaCha8Rng,
) {
    let replica = any_replica(n, rng);
    let (only, others) = (ReplicaSet::only(replica), ReplicaSet::others(replica, n));
    let (fault, mend) = match kind {
        Kind::Loss => (Fault::Loss(share(strength.lost, rng)), Fault::Loss(0.0)),
        Kind::Duplicate => {
            (Fault::Duplicate(share(strength.duplicated, rng)), Fault::Duplicate(0.0))
        }
        Kind::Delay => {
            let most = magnitude(MILLISECOND / 2..=strength.delay, rng);
            let least = [0, most / 2, most][rng.random_range(0..3)];
            (Fault::Delay(least..=most), Fault::Delay(0..=0))
        }
        Kind::Partition => {
            let (one, other) = split(n, rng);
            (Fault::Partition(vec![one, other]), Fault::Heal)
        }
        Kind::Apart => (Fault::Partition(parts(n, rng)), Fault::Heal),
        Kind::Alone => (Fault::Partition(vec![only, others]), Fault::Heal),
        Kind::OneWay => {
            let (one, other) = split(n, rng);
            (Fault::OneWay(one, other), Fault::Heal)
        }
        Kind::Deaf => (Fault::OneWay(others, only), Fault::Heal),
        Kind::Mute => (Fault::OneWay(only, others), Fault::Heal),
        Kind::Clog => {
            let to = others.iter().nth(rng.random_range(0..others.len())).expect("one of them");
            let for_ns = magnitude(MILLISECOND / 2..=strength.clogged, rng);
            // It ends by itself.
            return plan.push((at, Fault::Clog { from: replica, to, for_ns }));
        }
        Kind::Pause => (Fault::Pause(replica), Fault::Resume(replica)),
        Kind::Slow => {
            let pace = magnitude(1_500..=strength.pace, rng);
            (Fault::Slow(replica, pace), Fault::Slow(replica, NORMAL_PACE))
        }
        Kind::Crash => (Fault::Crash(replica), Fault::Restart(replica)),
        Kind::CrashMidway => (Fault::CrashMidway(replica), Fault::Restart(replica)),
        Kind::SyncFails => (Fault::SyncFails(replica), Fault::Restart(replica)),
        Kind::DiskFull => {
            let bytes = magnitude(1..=strength.room, rng);
            (Fault::DiskFull(replica, bytes), Fault::Restart(replica))
        }
        Kind::BitFlips => {
            // A replica that stays out is one of the minority that may be down for good.
            let out = rotten(plan);
            let may_be_out = out.contains(replica) || out.len() < faults_tolerated(n);
            let fault = if may_be_out { Fault::BitFlips(replica) } else { Fault::Crash(replica) };
            (fault, Fault::Restart(replica))
        }
    };
    let lasts = match mend {
        Fault::Restart(_) | Fault::Resume(_) | Fault::Slow(..) => strength.down,
        _ => strength.disturbed,
    };
    let mended_at = at + rng.random_range(lasts / 8..=lasts);
    plan.push((at, fault));
    plan.push((mended_at, mend));
}

/// The replicas of which a bit flips.
fn rotten(plan: &[(Nanos, Fault)]) -> ReplicaSet {
    let rotten = plan.iter().filter_map(|(_, fault)| match fault {
        Fault::BitFlips(replica) => Some(*replica),
        _ => None,
    });
    rotten.collect()
}

/// The same plan with checkpoints at any time, several a replica; some of them are what a replica
/// crashes amid. Without crashes nobody would ever begin with one.
fn with_checkpoints(seed: u64, n: usize, plan: FaultPlan) -> FaultPlan {
    let mut rng = simulation::rng(seed, 3);
    let end = plan.end_ns();
    let mut all = Vec::new();
    for (at, fault) in plan.0 {
        let amid = match fault {
            Fault::CrashMidway(replica) if rng.random_bool(0.4) => Some(replica),
            _ => None,
        };
        all.push((at, fault));
        all.extend(amid.map(|replica| (at, Fault::Checkpoint(replica))));
    }
    for _ in 0..rng.random_range(0..=6 * n) {
        all.push((rng.random_range(0..end), Fault::Checkpoint(any_replica(n, &mut rng))));
    }
    all.sort_by_key(|(at, _)| *at);
    FaultPlan(all)
}

fn any_replica(n: usize, rng: &mut ChaCha8Rng) -> ReplicaId {
    ReplicaId::from_index(rng.random_range(0..n))
}

fn split(n: usize, rng: &mut ChaCha8Rng) -> (ReplicaSet, ReplicaSet) {
    let mut one: ReplicaSet = ReplicaId::all(n).filter(|_| rng.random_bool(0.5)).collect();
    if one.is_empty() || one.len() == n {
        one = ReplicaSet::only(any_replica(n, rng));
    }
    (one, ReplicaSet::all(n).difference(one))
}

/// Each replica is in one of `n` parts, of which some are empty and left out.
fn parts(n: usize, rng: &mut ChaCha8Rng) -> Vec<ReplicaSet> {
    let mut parts = vec![ReplicaSet::EMPTY; n];
    for replica in ReplicaId::all(n) {
        parts[rng.random_range(0..n)].insert(replica);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests;
