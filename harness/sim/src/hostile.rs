//! Hostile scenarios: everything that may go wrong, drawn from a seed.

use protocols::{ReplicaId, ReplicaSet};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    client::{Load, Mix},
    fault::{Fault, FaultPlan},
    network::Network,
    queue::Nanos,
    scenario::Scenario,
};

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

/// The scenario of `seed`: a drawn cluster, network and load, a phase of faults (loss up to 30 %, duplicates up to 50 %,
/// delay spikes of up to a second, partitions, pauses and, if allowed, crashes), then all is mended.
pub fn hostile(seed: u64, hostility: &Hostility) -> Scenario {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2);
    let n = hostility.replicas.unwrap_or_else(|| 3 + 2 * rng.random_range(0..3));
    let faults = draw_faults(n, hostility, &mut rng);
    let load = draw_load(n, faults.end_ns(), &mut rng);
    let mut scenario = Scenario::new(draw_network(n, &mut rng), load, seed);
    scenario.config.first_leader = any_replica(n, &mut rng);
    scenario.config.paxos_window = rng.random_range(1..=3);
    scenario.faults = faults;
    scenario
}

fn draw_network(n: usize, rng: &mut ChaCha8Rng) -> Network {
    let far = rng.random_range(1..=60) * MILLISECOND;
    let mut network = Network::uniform(n, 0);
    for delay in network.one_way_ns.iter_mut().flatten() {
        *delay = rng.random_range(MILLISECOND / 10..=far);
    }
    network.jitter_ns = 0..=rng.random_range(0..=far);
    network
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
        mix: Mix::ALL,
        shared: [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)],
        mixed_keys: rng.random_range(1..=3),
        append_only_keys: rng.random_range(0..=2),
    }
}

/// Faults at random distances; the last ones mend everything.
fn draw_faults(n: usize, hostility: &Hostility, rng: &mut ChaCha8Rng) -> FaultPlan {
    let mut plan = Vec::new();
    let mut at = 0;
    for _ in 0..hostility.faults {
        at += rng.random_range(10..=1500) * MILLISECOND;
        draw_fault(at, n, hostility.crashes, &mut plan, rng);
    }
    plan.sort_by_key(|(at, _)| *at);
    let end = plan.last().map_or(at, |(last, _)| at.max(*last)) + 1;
    let mended = [Fault::Loss(0.0), Fault::Duplicate(0.0), Fault::Delay(0..=0), Fault::Heal];
    let replicas = ReplicaId::all(n).flat_map(|id| [Fault::Resume(id), Fault::Restart(id)]);
    plan.extend(mended.into_iter().chain(replicas).map(|fault| (end, fault)));
    FaultPlan(plan)
}

/// Adds a fault at `at`, and the end of those that would otherwise stop the cluster for the rest of the phase.
fn draw_fault(
    at: Nanos,
    n: usize,
    crashes: bool,
    plan: &mut Vec<(Nanos, Fault)>,
    rng: &mut ChaCha8Rng,
) {
    let mended_at = at + rng.random_range(50..=4000) * MILLISECOND;
    let replica = any_replica(n, rng);
    let kinds = if crashes { 11 } else { 8 };
    match rng.random_range(0..kinds) {
        0 => plan.push((at, Fault::Loss(rng.random_range(0.0..=0.3)))),
        1 => plan.push((at, Fault::Duplicate(rng.random_range(0.0..=0.5)))),
        2 | 3 => {
            let most = rng.random_range(1..=1000) * MILLISECOND;
            let least = if rng.random_bool(0.5) { 0 } else { most / 2 };
            plan.push((at, Fault::Delay(least..=most)));
            plan.push((mended_at, Fault::Delay(0..=0)));
        }
        4 => {
            let (one, other) = split(n, rng);
            plan.push((at, Fault::Partition(vec![one, other])));
            plan.push((mended_at, Fault::Heal));
        }
        5 => {
            let (one, other) = split(n, rng);
            plan.push((at, Fault::OneWay(one, other)));
            plan.push((mended_at, Fault::Heal));
        }
        6 => {
            let alone = ReplicaSet::only(replica);
            plan.push((at, Fault::Partition(vec![alone, ReplicaSet::others(replica, n)])));
            plan.push((mended_at, Fault::Heal));
        }
        7 => {
            plan.push((at, Fault::Pause(replica)));
            plan.push((mended_at, Fault::Resume(replica)));
        }
        kind => {
            let midway = kind != 8;
            let crash = if midway { Fault::CrashMidway(replica) } else { Fault::Crash(replica) };
            plan.push((at, crash));
            plan.push((mended_at, Fault::Restart(replica)));
        }
    }
}

fn any_replica(n: usize, rng: &mut ChaCha8Rng) -> ReplicaId {
    ReplicaId::from_index(rng.random_range(0..n))
}

fn split(n: usize, rng: &mut ChaCha8Rng) -> (ReplicaSet, ReplicaSet) {
    let one: ReplicaSet = ReplicaId::all(n).filter(|_| rng.random_bool(0.5)).collect();
    (one, ReplicaSet::all(n).difference(one))
}
