//! Hostile scenarios: everything that may go wrong, drawn from a seed.

use protocols::{ReplicaId, ReplicaSet};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    client::{Load, Mix},
    fault::{Fault, FaultPlan},
    network::Network,
    queue::Nanos,
    scenario::Scenario,
    simulation,
    store::Storage,
};

const MILLISECOND: Nanos = 1_000_000;

/// How hostile, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hostility {
    /// The size of the cluster; drawn out of 3, 5 and 7 if not given.
    pub replicas: Option<usize>,
    /// How many faults happen before all of them are mended. With six or more there is at least one of each: loss,
    /// duplicates, delay, a partition, a crash (if they are allowed), a crash amid a step.
    pub faults: usize,
    /// Do replicas crash and restart?
    pub crashes: bool,
}

/// The scenario of `seed`: a drawn cluster, network, disk and load, a phase of faults (loss up to
/// 30 %, duplicates up to 50 %, delay spikes of up to a second, partitions, pauses and, if allowed,
/// crashes, failing and full disks and flipped bits), then all is mended that can be. Where
/// replicas crash they take checkpoints, too. In half of the scenarios clients give up what they
/// have sent in vain twice or four times.
pub fn hostile(seed: u64, hostility: &Hostility) -> Scenario {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2);
    let n = hostility.replicas.unwrap_or_else(|| 3 + 2 * rng.random_range(0..3));
    let faults = draw_faults(n, hostility, &mut rng);
    let load = draw_load(n, faults.end_ns(), &mut rng);
    let mut scenario = Scenario::new(draw_network(n, &mut rng), load, seed);
    scenario.config.first_leader = any_replica(n, &mut rng);
    scenario.option_draw = Some(rng.random_range(1..=3) - 1);
    scenario.faults = if hostility.crashes { with_checkpoints(seed, n, faults) } else { faults };
    draw_limits(&mut scenario, &mut rng);
    scenario.storage = draw_storage(seed);
    scenario
}

/// Disks from fast to hardly bearable; logs so short that segments and checkpoints come by
/// themselves, in three of four scenarios.
fn draw_storage(seed: u64) -> Storage {
    let mut rng = simulation::rng(seed, 5);
    let most = [0, MILLISECOND / 5, 5 * MILLISECOND, 100 * MILLISECOND][rng.random_range(0..4)];
    let kept = [Some(500), Some(4_000), Some(30_000), None];
    Storage {
        synced: rng.random_bool(0.75),
        group_ns: most / 10..=most,
        log_bytes_kept: kept[rng.random_range(0..kept.len())],
    }
}

/// In three of four scenarios a replica that misses a few dozen instances has to catch up by snapshot, in small pieces.
fn draw_limits(scenario: &mut Scenario, rng: &mut ChaCha8Rng) {
    let kept = [1, 4, 16, scenario.config.kept_slots_max];
    scenario.config.kept_slots_max = kept[rng.random_range(0..kept.len())];
    let piece = [1_000, 8_000, scenario.config.piece_bytes_max];
    scenario.config.piece_bytes_max = piece[rng.random_range(0..piece.len())];
}

fn draw_network(n: usize, rng: &mut ChaCha8Rng) -> Network {
    let far = rng.random_range(1..=60) * MILLISECOND;
    let mut network = Network::uniform(n, 0);
    for delay in network.one_way_ns.iter_mut().flatten() {
        *delay = rng.random_range(MILLISECOND / 10..=far);
    }
    network.with_jitter(rng.random_range(0..=far))
}

fn draw_load(n: usize, faults_end: Nanos, rng: &mut ChaCha8Rng) -> Load {
    let submissions = rng.random_range(10..=40);
    Load {
        sites: ReplicaSet::all(n),
        start_ns: 0,
        clients_per_site: rng.random_range(1..=3),
        window: rng.random_range(1..=4),
        submissions,
        batch_max: if rng.random_bool(0.3) { rng.random_range(2..=4) } else { 1 },
        // Enough for the load to last through the faults.
        think_ns: 0..=2 * faults_end / submissions,
        timeout_ns: Some(rng.random_range(300..=3000) * MILLISECOND),
        sends_max: [None, None, Some(4), Some(2)][rng.random_range(0..4)],
        mix: Mix::ALL,
        shared: [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)],
        mixed_keys: rng.random_range(1..=3),
        append_only_keys: rng.random_range(0..=2),
    }
}

/// What a fault is, before its particulars are drawn.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Loss,
    Duplicate,
    Delay,
    Partition,
    OneWay,
    Alone,
    Pause,
    Crash,
    CrashMidway,
    SyncFails,
    DiskFull,
    BitFlips,
}

/// Every plan long enough has these, the crashes only where there may be any.
const ALWAYS: [Kind; 6] =
    [Kind::Crash, Kind::CrashMidway, Kind::Loss, Kind::Duplicate, Kind::Delay, Kind::Partition];

/// What the others are drawn from, each as likely; the crashes last.
const DRAWN: [Kind; 14] = [
    Kind::Loss,
    Kind::Duplicate,
    Kind::Delay,
    Kind::Delay,
    Kind::Partition,
    Kind::OneWay,
    Kind::Alone,
    Kind::Pause,
    Kind::Crash,
    Kind::CrashMidway,
    Kind::CrashMidway,
    Kind::SyncFails,
    Kind::DiskFull,
    Kind::BitFlips,
];

fn draw_kinds(hostility: &Hostility, rng: &mut ChaCha8Rng) -> Vec<Kind> {
    let (always, drawn) =
        if hostility.crashes { (&ALWAYS[..], &DRAWN[..]) } else { (&ALWAYS[2..], &DRAWN[..8]) };
    let mut kinds: Vec<_> = always.iter().copied().take(hostility.faults).collect();
    let left = hostility.faults - kinds.len();
    kinds.extend((0..left).map(|_| drawn[rng.random_range(0..drawn.len())]));
    kinds.shuffle(rng);
    kinds
}

/// Faults at random distances; the last entries mend everything.
fn draw_faults(n: usize, hostility: &Hostility, rng: &mut ChaCha8Rng) -> FaultPlan {
    let mut plan = Vec::new();
    let mut at = 0;
    for kind in draw_kinds(hostility, rng) {
        at += rng.random_range(10..=1500) * MILLISECOND;
        draw_fault(kind, at, n, &mut plan, rng);
    }
    plan.sort_by_key(|(at, _)| *at);
    let end = plan.last().map_or(at, |(last, _)| at.max(*last)) + 1;
    FaultPlan::mended(&plan, end, n)
}

/// Adds a fault at `at`, and the end of those that would otherwise stop the cluster for the rest of the phase.
fn draw_fault(
    kind: Kind,
    at: Nanos,
    n: usize,
    plan: &mut Vec<(Nanos, Fault)>,
    rng: &mut ChaCha8Rng,
) {
    let mended_at = at + rng.random_range(50..=4000) * MILLISECOND;
    let replica = any_replica(n, rng);
    let (fault, mend) = match kind {
        Kind::Loss => (Fault::Loss(rng.random_range(0.0..=0.3)), None),
        Kind::Duplicate => (Fault::Duplicate(rng.random_range(0.0..=0.5)), None),
        Kind::Delay => {
            let most = rng.random_range(1..=1000) * MILLISECOND;
            let least = if rng.random_bool(0.5) { 0 } else { most / 2 };
            (Fault::Delay(least..=most), Some(Fault::Delay(0..=0)))
        }
        Kind::Partition => {
            let (one, other) = split(n, rng);
            (Fault::Partition(vec![one, other]), Some(Fault::Heal))
        }
        Kind::OneWay => {
            let (one, other) = split(n, rng);
            (Fault::OneWay(one, other), Some(Fault::Heal))
        }
        Kind::Alone => {
            let sets = vec![ReplicaSet::only(replica), ReplicaSet::others(replica, n)];
            (Fault::Partition(sets), Some(Fault::Heal))
        }
        Kind::Pause => (Fault::Pause(replica), Some(Fault::Resume(replica))),
        Kind::Crash => (Fault::Crash(replica), Some(Fault::Restart(replica))),
        Kind::CrashMidway => (Fault::CrashMidway(replica), Some(Fault::Restart(replica))),
        Kind::SyncFails => (Fault::SyncFails(replica), Some(Fault::Restart(replica))),
        Kind::DiskFull => {
            let bytes = rng.random_range(0..20_000);
            (Fault::DiskFull(replica, bytes), Some(Fault::Restart(replica)))
        }
        Kind::BitFlips => {
            // A replica that stays out is one of the minority that may be down for good.
            let out: ReplicaSet = plan
                .iter()
                .filter_map(|(_, fault)| match fault {
                    Fault::BitFlips(replica) => Some(*replica),
                    _ => None,
                })
                .collect();
            let may_be_out = out.contains(replica) || out.len() < (n - 1) / 2;
            let fault = if may_be_out { Fault::BitFlips(replica) } else { Fault::Crash(replica) };
            (fault, Some(Fault::Restart(replica)))
        }
    };
    plan.push((at, fault));
    plan.extend(mend.map(|mend| (mended_at, mend)));
}

/// The same plan with checkpoints at any time, several a replica; some of them are what a replica crashes amid. Without
/// crashes nobody would ever begin with one.
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
    for _ in 0..rng.random_range(0..=4 * n) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

    #[test]
    fn every_plan_has_every_kind_of_fault_within_its_bounds() {
        let (mut sizes, mut checkpoints) = ([0; 8], 0);
        for seed in 0..300 {
            let Scenario { faults: FaultPlan(plan), config, .. } = hostile(seed, &HOSTILITY);
            sizes[config.replicas] += 1;
            let count = |is: fn(&Fault) -> bool| plan.iter().filter(|(_, f)| is(f)).count();
            assert_eq!(count(|fault| !fault.mends()), 20, "seed {seed}");
            checkpoints += count(|fault| matches!(fault, Fault::Checkpoint(_)));
            let out: ReplicaSet = plan
                .iter()
                .filter_map(|(_, fault)| match fault {
                    Fault::BitFlips(replica) => Some(*replica),
                    _ => None,
                })
                .collect();
            assert!(out.len() <= (config.replicas - 1) / 2, "seed {seed}: {out:?} may stay out");
            let kinds: [fn(&Fault) -> bool; 7] = [
                |fault| matches!(fault, Fault::Loss(share) if *share > 0.0),
                |fault| matches!(fault, Fault::Duplicate(share) if *share > 0.0),
                |fault| matches!(fault, Fault::Delay(range) if *range.end() >= MILLISECOND),
                |fault| matches!(fault, Fault::Partition(_)),
                |fault| matches!(fault, Fault::Crash(_)),
                |fault| matches!(fault, Fault::CrashMidway(_)),
                |fault| matches!(fault, Fault::Restart(_)),
            ];
            assert!(kinds.into_iter().all(|kind| count(kind) > 0), "seed {seed}: {plan:?}");
            for (_, fault) in &plan {
                match fault {
                    Fault::Loss(share) => assert!((0.0..=0.3).contains(share)),
                    Fault::Duplicate(share) => assert!((0.0..=0.5).contains(share)),
                    Fault::Delay(range) => assert!(*range.end() <= 1000 * MILLISECOND),
                    Fault::Partition(sets) => assert!(sets.iter().all(|set| !set.is_empty())),
                    Fault::OneWay(from, to) => assert!(!from.is_empty() && !to.is_empty()),
                    _ => {}
                }
            }
        }
        assert!([3, 5, 7].into_iter().all(|n| sizes[n] > 60), "{sizes:?}");
        assert!(
            checkpoints > 300 * 5,
            "{checkpoints}: a replica is to take one or two in most seeds"
        );
    }

    #[test]
    fn no_plan_crashes_a_replica_if_that_is_not_allowed() {
        let plan = hostile(1, &Hostility { crashes: false, ..HOSTILITY }).faults;
        let crashes = |fault: &Fault| {
            matches!(
                fault,
                Fault::Crash(_)
                    | Fault::CrashMidway(_)
                    | Fault::SyncFails(_)
                    | Fault::DiskFull(..)
                    | Fault::BitFlips(_)
            )
        };
        assert!(!plan.0.iter().any(|(_, fault)| crashes(fault)), "{plan}");
        assert_eq!(plan.breaking(), 20);
    }
}
