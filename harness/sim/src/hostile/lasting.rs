//! Scenarios in which faults last: a majority is healthy, all else is broken for ever, and progress
//! is asked for.
//!
//! What is drawn are relations, not times alone: how the timeouts relate to the round trip and to
//! each other, how much is under way at once, and how large it is.

use std::time::Duration;

use protocols::{Config, ReplicaId, ReplicaSet, config::Batching, quorum::majority};
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{any_replica, draw_network, magnitude, share};
use crate::{
    client::{Load, Mix},
    cost::Costs,
    fault::{Fault, FaultPlan},
    history::ELEMENT_BYTES,
    liveness::ProgressAsked,
    network::Network,
    queue::Nanos,
    scenario::Scenario,
    simulation,
};

/// The most commands under way at once.
const UNDER_WAY_MAX: u64 = 10_000;
/// The longest value, and the most bytes under way at once.
const VALUE_BYTES_MAX: u64 = 64 << 10;
const UNDER_WAY_BYTES_MAX: u64 = 64 << 20;
/// The most submissions that a client has open. Chosen: the ends of rows are looked through one by
/// one.
const WINDOW_MAX: u64 = 64;
/// About how many commands are answered while progress is watched, and how many bytes they have at
/// most. Chosen: a seed takes a fraction of a second. What is under way when progress ends does not
/// depend on it.
const ANSWERED_MAX: u64 = 10_000;
const ANSWERED_BYTES_MAX: u64 = 32 << 20;

/// The scenario of `seed` in which faults last. A healthy majority is drawn, with ordinary delays
/// between its members, and clients at some of them, or at others, too: what those have under way
/// when the faults begin is left to the healthy ones, and in some scenarios they go on. At a drawn
/// time each of the other replicas, or some of its links, breaks for ever: it is dead, paused,
/// deaf, mute, cut off, late, lossy or slow, or each of its links is as it was, cut, lossy or late,
/// in each direction. From then on progress is asked for ([`ProgressAsked`]). With T the longest of
/// the timeouts and r the largest round trip between healthy replicas, a stretch without an answer
/// is 4 T + 10 r at most, and usually 2 T + 10 r.
///
/// # Panics
/// If `replicas` is given and less than 3: no minority can fail then.
pub fn lasting(seed: u64, replicas: Option<usize>) -> Scenario {
    let mut rng = simulation::rng(seed, 6);
    let n = replicas.unwrap_or_else(|| 3 + 2 * rng.random_range(0..3));
    assert!(n >= 3, "of fewer replicas none may fail");
    let healthy = draw_healthy(n, &mut rng);
    let network = draw_network(n, &mut rng);
    let round_trip = round_trip_ns(&network, healthy);
    let mut config = Config::new(n);
    draw_config(&mut config, round_trip, &mut rng);
    let timeouts = config.timeouts;
    let longest = nanos(timeouts.election.max(timeouts.recovery));
    let stretch_ns_max = 4 * longest + 10 * round_trip;
    let from_ns = if rng.random_bool(0.2) { 0 } else { magnitude(1..=20 * round_trip, &mut rng) };
    // Chosen: what disturbs once in a while does so several times.
    let until_ns = from_ns + 3 * stretch_ns_max;
    let others_until_ns = [0, from_ns, until_ns][rng.random_range(0..3)];
    let progress = ProgressAsked {
        healthy,
        others_until_ns,
        from_ns,
        until_ns,
        stretch_ns_max,
        stretch_ns_usual: 2 * longest + 10 * round_trip,
    };
    let sites = if others_until_ns == 0 { healthy } else { ReplicaSet::all(n) };
    let load = draw_load(sites, round_trip, &progress, &mut rng);
    let costs = draw_costs(n, &load, round_trip, &mut rng);
    let faults = draw_faults(&progress, n, longest, &costs, &mut rng);
    let mut scenario = Scenario::new(network, load, seed);
    scenario.config = config;
    scenario.option_draw = Some(rng.random_range(0..3));
    scenario.costs = costs;
    scenario.faults = faults;
    scenario.progress = Some(progress);
    scenario
}

fn nanos(of: Duration) -> Nanos {
    u64::try_from(of.as_nanos()).expect("timeouts are short")
}

/// A majority, mostly the smallest.
fn draw_healthy(n: usize, rng: &mut ChaCha8Rng) -> ReplicaSet {
    let size = if rng.random_bool(0.7) { majority(n) } else { rng.random_range(majority(n)..n) };
    let mut all: Vec<_> = ReplicaId::all(n).collect();
    all.shuffle(rng);
    all.into_iter().take(size).collect()
}

/// The longest that a message and its answer take between two of `healthy`.
fn round_trip_ns(network: &Network, healthy: ReplicaSet) -> Nanos {
    let way = |from: ReplicaId, to: ReplicaId| {
        let (from, to) = (from.index(), to.index());
        network.one_way_ns[from][to] + network.jitter_ns[from][to]
    };
    let pairs = healthy.iter().flat_map(|one| healthy.iter().map(move |other| (one, other)));
    let distinct = pairs.filter(|(one, other)| one != other);
    distinct.map(|(one, other)| way(one, other) + way(other, one)).max().expect("two at least")
}

/// Timeouts in drawn relations to the largest round trip and to each other, and limits of drawn
/// magnitudes, so that a run of this length meets what lies beyond them.
fn draw_config(config: &mut Config, round_trip: Nanos, rng: &mut ChaCha8Rng) {
    // A period is above the largest round trip, as its documentation asks for, and the other
    // timeouts are some periods.
    let period = round_trip * rng.random_range(11..=40) / 10;
    let mut periods = |least| Duration::from_nanos(period * rng.random_range(least..=80) / 10);
    config.timeouts.election = periods(20);
    config.timeouts.recovery = periods(20);
    config.timeouts.retransmit = Duration::from_nanos(period);
    config.first_leader = any_replica(config.replicas, rng);
    let kept = [1, 4, 64, 512, config.kept_slots_max];
    config.kept_slots_max = kept[rng.random_range(0..kept.len())];
    let piece = [1_000, 8_000, 64_000, config.piece_bytes_max];
    config.piece_bytes_max = piece[rng.random_range(0..piece.len())];
    if rng.random_bool(0.5) {
        let commands_max = usize::try_from(magnitude(2..=1_000, rng)).expect("few");
        let delay = Duration::from_nanos(rng.random_range(0..=round_trip / 4));
        config.batching = Batching { commands_max, delay };
    }
}

/// From one command under way to thousands, at one healthy replica or at several.
fn draw_load(
    sites: ReplicaSet,
    round_trip: Nanos,
    asked: &ProgressAsked,
    rng: &mut ChaCha8Rng,
) -> Load {
    let under_way = magnitude(1..=UNDER_WAY_MAX, rng);
    let bytes_max = VALUE_BYTES_MAX.min(UNDER_WAY_BYTES_MAX / under_way);
    let value_bytes = magnitude(ELEMENT_BYTES as u64..=bytes_max, rng);
    let mut sites: Vec<_> = sites.iter().collect();
    sites.shuffle(rng);
    let sites_max = sites.len().min(usize::try_from(under_way).expect("few"));
    sites.truncate(rng.random_range(1..=sites_max));
    // Somebody must ask at a healthy replica.
    if !sites.iter().any(|site| asked.healthy.contains(*site)) {
        sites[0] = asked.healthy.iter().next().expect("a majority");
    }
    let at_site = under_way.div_ceil(sites.len() as u64);
    let clients_per_site = at_site.div_ceil(WINDOW_MAX);
    // What is answered is as much as a seed may take; the rest of the time a client waits.
    let answered_max = ANSWERED_MAX.min(ANSWERED_BYTES_MAX / value_bytes).max(under_way);
    let each_takes = (asked.until_ns - asked.from_ns) * under_way / answered_max;
    let think = each_takes.saturating_sub(2 * round_trip);
    let batch_max = if rng.random_bool(0.3) { rng.random_range(2..=4) } else { 1 };
    Load {
        clients_per_site: usize::try_from(clients_per_site).expect("few"),
        window: usize::try_from(at_site.div_ceil(clients_per_site)).expect("few"),
        submissions: u64::MAX,
        batch_max,
        think_ns: 0..=2 * think,
        mix: Mix::PUTS,
        value_bytes: usize::try_from(value_bytes).expect("few"),
        shared: [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)],
        mixed_keys: u32::try_from(magnitude(1..=1_000, rng)).expect("few"),
        ..Load::private(sites.into_iter().collect(), 1)
    }
}

/// In half of the scenarios work takes time: what is under way at once takes a replica a round trip
/// at most, so that only what is done again and again takes longer.
fn draw_costs(n: usize, load: &Load, round_trip: Nanos, rng: &mut ChaCha8Rng) -> Costs {
    if rng.random_bool(0.5) {
        return Costs::NONE;
    }
    let under_way = (load.sites.len() * load.clients_per_site * load.window) as u64;
    // Chosen: a command takes a replica about four messages with each other one.
    let messages = under_way * 4 * n as u64;
    let most = (round_trip / messages).max(1);
    let bytes = under_way * load.value_bytes as u64 * n as u64;
    let bits_per_s_least = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(round_trip);
    let bits_per_s_least = u64::try_from(bits_per_s_least).unwrap_or(u64::MAX);
    let slack = magnitude(1..=64, rng);
    Costs {
        cpu_ns_per_wakeup: magnitude(1..=most, rng),
        cpu_ns_per_message: magnitude(1..=most, rng),
        cpu_ps_per_byte: (round_trip * 1_000 / bytes).min(1_000),
        cpu_ns_per_command: magnitude(1..=most, rng),
        cpu_ns_per_ordering_step: most / 10,
        nic_bits_per_s: bits_per_s_least.saturating_mul(slack).max(1_000_000_000),
    }
}

/// What is wrong with a replica outside the majority, or with its links.
#[derive(Clone, Copy)]
enum Lasting {
    Dead,
    Paused,
    /// It hears nobody.
    Deaf,
    /// Nobody hears it.
    Mute,
    CutOff,
    /// All its messages, and all to it, take longer.
    Late,
    /// Some of its messages, and of those to it, are lost.
    Lossy,
    /// Its work takes longer.
    Slow,
    /// Each of its links has a fault of its own, or none, in each direction.
    Links,
}

const LASTING: [Lasting; 9] = [
    Lasting::Dead,
    Lasting::Paused,
    Lasting::Deaf,
    Lasting::Mute,
    Lasting::CutOff,
    Lasting::Late,
    Lasting::Lossy,
    Lasting::Slow,
    Lasting::Links,
];

fn draw_faults(
    asked: &ProgressAsked,
    n: usize,
    longest: Nanos,
    costs: &Costs,
    rng: &mut ChaCha8Rng,
) -> FaultPlan {
    let mut faults = Vec::new();
    for broken in ReplicaSet::all(n).difference(asked.healthy).iter() {
        let (only, others) = (ReplicaSet::only(broken), ReplicaSet::others(broken, n));
        let both_ways = others.iter().flat_map(|other| [(broken, other), (other, broken)]);
        match LASTING[rng.random_range(0..LASTING.len())] {
            Lasting::Dead => faults.push(Fault::Crash(broken)),
            Lasting::Paused => faults.push(Fault::Pause(broken)),
            Lasting::Deaf => faults.push(Fault::OneWay(others, only)),
            Lasting::Mute => faults.push(Fault::OneWay(only, others)),
            Lasting::CutOff => faults.push(Fault::Partition(vec![only, others])),
            Lasting::Late => {
                let by_ns = magnitude(1..=4 * longest, rng);
                let late = |(from, to)| Fault::LinkDelay { from, to, by_ns };
                faults.extend(both_ways.map(late));
            }
            Lasting::Lossy => {
                let share = share(999, rng);
                let lossy = |(from, to)| Fault::LinkLoss { from, to, share };
                faults.extend(both_ways.map(lossy));
            }
            // Nothing to a replica that works in no time: its messages are late.
            Lasting::Slow if costs.is_none() => {
                let by_ns = magnitude(1..=4 * longest, rng);
                let late = |to| Fault::LinkDelay { from: broken, to, by_ns };
                faults.extend(others.iter().map(late));
            }
            Lasting::Slow => faults.push(Fault::Slow(broken, magnitude(2_000..=1_000_000, rng))),
            Lasting::Links => {
                for (from, to) in both_ways {
                    faults.extend(draw_link(from, to, longest, rng));
                }
            }
        }
    }
    FaultPlan(faults.into_iter().map(|fault| (asked.from_ns, fault)).collect())
}

/// What is wrong with one link, if anything.
fn draw_link(
    from: ReplicaId,
    to: ReplicaId,
    longest: Nanos,
    rng: &mut ChaCha8Rng,
) -> Option<Fault> {
    match rng.random_range(0..4) {
        0 => None,
        1 => Some(Fault::OneWay(ReplicaSet::only(from), ReplicaSet::only(to))),
        2 => Some(Fault::LinkLoss { from, to, share: share(999, rng) }),
        _ => Some(Fault::LinkDelay { from, to, by_ns: magnitude(1..=4 * longest, rng) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 500;

    /// Who sends to whom over a link with a fault.
    fn touches(fault: &Fault) -> Vec<(ReplicaSet, ReplicaSet)> {
        match fault {
            Fault::Crash(id) | Fault::Pause(id) | Fault::Slow(id, _) => {
                vec![(ReplicaSet::only(*id), ReplicaSet::only(*id))]
            }
            Fault::OneWay(from, to) => vec![(*from, *to)],
            Fault::Partition(sets) => vec![(sets[0], sets[1])],
            Fault::LinkLoss { from, to, .. } | Fault::LinkDelay { from, to, .. } => {
                vec![(ReplicaSet::only(*from), ReplicaSet::only(*to))]
            }
            other => panic!("{other:?} is no fault that lasts"),
        }
    }

    #[test]
    fn a_majority_and_its_links_are_healthy_and_faults_last() {
        for seed in 0..SEEDS {
            let scenario = lasting(seed, None);
            let asked = scenario.progress.unwrap();
            let n = scenario.config.replicas;
            assert!((majority(n)..n).contains(&asked.healthy.len()), "seed {seed}");
            let sites = scenario.load.sites;
            assert!(sites.iter().any(|site| asked.healthy.contains(site)), "seed {seed}");
            let others = sites.difference(asked.healthy);
            assert!(others.is_empty() || asked.others_until_ns >= asked.from_ns, "seed {seed}");
            for (at, fault) in &scenario.faults.0 {
                assert!(!fault.mends() && *at == asked.from_ns, "seed {seed}: {fault}");
                for (from, to) in touches(fault) {
                    let within = |set: ReplicaSet| set.difference(asked.healthy).is_empty();
                    assert!(!(within(from) && within(to)), "seed {seed}: {fault}");
                }
            }
        }
    }

    #[test]
    fn loads_and_values_are_of_all_magnitudes_and_no_more_is_under_way_than_said() {
        let (mut few, mut many, mut large) = (0, 0, 0);
        for seed in 0..SEEDS {
            let load = lasting(seed, None).load;
            let under_way = (load.sites.len() * load.clients_per_site * load.window) as u64;
            let bytes = under_way * load.value_bytes as u64;
            // Rounded up at each site, and for each client.
            assert!(under_way <= UNDER_WAY_MAX * 5 / 4, "seed {seed}: {under_way}");
            assert!(bytes <= UNDER_WAY_BYTES_MAX * 5 / 4, "seed {seed}: {bytes} bytes");
            few += u32::from(under_way < 10);
            many += u32::from(under_way > 3_000);
            large += u32::from(load.value_bytes > 10_000);
        }
        assert!(few > 50 && many > 50 && large > 25, "{few} with few, {many} with many, {large}");
    }

    #[test]
    fn timeouts_are_drawn_in_relation_to_the_round_trip_of_the_healthy() {
        for seed in 0..SEEDS {
            let scenario = lasting(seed, None);
            let asked = scenario.progress.unwrap();
            let timeouts = scenario.config.timeouts;
            let round_trip = Duration::from_nanos(round_trip_ns(&scenario.network, asked.healthy));
            assert!(timeouts.retransmit > round_trip, "seed {seed}");
            assert!(timeouts.election >= 2 * timeouts.retransmit, "seed {seed}");
            assert!(timeouts.recovery >= 2 * timeouts.retransmit, "seed {seed}");
            let longest = timeouts.election.max(timeouts.recovery);
            let most = Duration::from_nanos(asked.stretch_ns_max);
            assert_eq!(most, 4 * longest + 10 * round_trip, "seed {seed}");
        }
    }
}
