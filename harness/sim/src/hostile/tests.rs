use std::collections::BTreeMap;

use super::*;

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const SEEDS: u64 = 300;
const SECOND: Nanos = 1_000 * MILLISECOND;

/// The kind of a fault, and how strong it is, where it has a strength.
fn strength_of(fault: &Fault) -> Option<(&'static str, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let number = |of: u64| of as f64;
    Some(match fault {
        Fault::Loss(share) if *share > 0.0 => ("loss", *share),
        Fault::Duplicate(share) if *share > 0.0 => ("duplicates", *share),
        Fault::Delay(range) if *range.end() > 0 => ("delay", number(*range.end())),
        Fault::Partition(sets) => ("partition", number(sets.len() as u64)),
        Fault::OneWay(from, _) => ("one way", number(from.len() as u64)),
        Fault::Clog { for_ns, .. } => ("clog", number(*for_ns)),
        Fault::Pause(_) => ("pause", 0.0),
        Fault::Slow(_, pace) if *pace > NORMAL_PACE => ("slow", number(*pace)),
        Fault::Crash(_) => ("crash", 0.0),
        Fault::CrashMidway(_) => ("crash midway", 0.0),
        Fault::SyncFails(_) => ("sync fails", 0.0),
        Fault::DiskFull(_, room) => ("disk full", number(*room)),
        Fault::BitFlips(_) => ("bit flips", 0.0),
        _ => return None,
    })
}

/// Seeds from quiet to extreme: each kind is there in some and not in others, weak in some and
/// strong in others.
#[test]
fn seeds_differ_in_which_faults_there_are_and_how_strong() {
    // By kind: in how many seeds it is, the weakest and the strongest of all.
    let mut seen: BTreeMap<&str, (u64, f64, f64)> = BTreeMap::new();
    let mut kinds_of_seeds = Vec::new();
    for seed in 0..SEEDS {
        let plan = hostile(seed, &HOSTILITY).faults;
        let mut kinds: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (kind, strength) in plan.0.iter().filter_map(|(_, fault)| strength_of(fault)) {
            let (least, most) = kinds.entry(kind).or_insert((strength, strength));
            (*least, *most) = (least.min(strength), most.max(strength));
        }
        kinds_of_seeds.push(kinds.len());
        for (kind, (least, most)) in kinds {
            let of = seen.entry(kind).or_insert((0, least, most));
            *of = (of.0 + 1, of.1.min(least), of.2.max(most));
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
    let in_some = |(seeds, ..): &(u64, f64, f64)| (SEEDS / 4..SEEDS * 3 / 4).contains(seeds);
    // Two shapes of partitions or three are one fault: these are in more seeds.
    let often = ["partition", "one way"];
    for (kind, of) in &seen {
        assert!(in_some(of) || (often.contains(kind) && of.0 < SEEDS * 9 / 10), "{kind}: {of:?}");
    }
    for (kind, weak, strong) in [
        ("loss", 0.005, 0.6),
        ("duplicates", 0.005, 0.35),
        ("delay", 2e6, 3e9),
        ("clog", 1e6, 2e9),
        ("slow", 3e3, 5e4),
        ("disk full", 10.0, 2e4),
        ("partition", 2.0, 5.0),
        ("one way", 1.0, 6.0),
    ] {
        let (_, least, most) = seen[kind];
        assert!(least <= weak && most >= strong, "{kind}: from {least} to {most}");
    }
    let (few, many) = (kinds_of_seeds.iter().min(), kinds_of_seeds.iter().max());
    assert!(few <= Some(&1) && many >= Some(&11), "{few:?} to {many:?} kinds in a seed");
}

/// However hostile, it ends, and what it breaks is mended but for a minority.
#[test]
fn every_plan_is_bounded_and_mended() {
    let (mut sizes, mut checkpoints, mut lengths, mut costly) = ([0; 8], 0, Vec::new(), 0);
    for seed in 0..SEEDS {
        let scenario = hostile(seed, &HOSTILITY);
        let n = scenario.config.replicas;
        sizes[n] += 1;
        costly += u64::from(!scenario.costs.is_none());
        let plan = &scenario.faults;
        assert_eq!(plan.breaking(), 20, "seed {seed}");
        checkpoints +=
            plan.0.iter().filter(|(_, fault)| matches!(fault, Fault::Checkpoint(_))).count();
        assert!(rotten(&plan.0).len() <= faults_tolerated(n), "seed {seed}: {plan}");
        assert!(plan.leaves_dead().is_empty(), "seed {seed}: {plan}");
        for (_, fault) in &plan.0 {
            match fault {
                Fault::Loss(share) => assert!((0.0..=0.95).contains(share)),
                Fault::Duplicate(share) => assert!((0.0..=1.0).contains(share)),
                Fault::Delay(range) => assert!(*range.end() <= 5 * SECOND),
                Fault::Clog { from, to, for_ns } => assert!(from != to && *for_ns <= 5 * SECOND),
                Fault::Slow(_, pace) => assert!((NORMAL_PACE..=100_000).contains(pace)),
                Fault::Partition(sets) => {
                    let all = sets.iter().fold(ReplicaSet::EMPTY, |all, set| all.union(*set));
                    let sum: usize = sets.iter().map(|set| set.len()).sum();
                    assert!(sum == n && all.len() == n, "seed {seed}: each is in one part");
                }
                Fault::OneWay(from, to) => assert!(!from.is_empty() && !to.is_empty()),
                _ => {}
            }
        }
        lengths.push(plan.end_ns());
    }
    assert!([3, 5, 7].into_iter().all(|n| sizes[n] > 60), "{sizes:?}");
    assert!((SEEDS / 3..SEEDS * 2 / 3).contains(&costly), "work costs something in {costly}");
    assert!(checkpoints > 300 * 5, "{checkpoints}: a replica is to take one or two in most seeds");
    let (least, most) = (lengths.iter().min(), lengths.iter().max());
    assert!(least < Some(&SECOND) && most > Some(&(20 * SECOND)), "{least:?} to {most:?}");
    assert!(most < Some(&(80 * SECOND)), "{most:?}");
}

#[test]
fn a_magnitude_is_within_its_range_and_reaches_both_ends_of_it() {
    let mut rng = simulation::rng(1, 0);
    for (least, most) in [(1, 1), (5, 950), (1_000, 1_001), (0, 7), (3, 4)] {
        let draws: Vec<u64> = (0..20_000).map(|_| magnitude(least..=most, &mut rng)).collect();
        assert!(draws.iter().all(|draw| (least.max(1)..=most).contains(draw)), "{least} to {most}");
        assert!(draws.contains(&least.max(1)) && draws.contains(&most), "{least} to {most}");
    }
    let small = (0..10_000).filter(|_| magnitude(1..=1_023, &mut rng) < 32).count();
    assert!((4_500..5_500).contains(&small), "{small}: half of the doublings are below 32");
}

#[test]
fn no_plan_crashes_a_replica_if_that_is_not_allowed() {
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
    for seed in 0..50 {
        let plan = hostile(seed, &Hostility { crashes: false, ..HOSTILITY }).faults;
        assert!(!plan.0.iter().any(|(_, fault)| crashes(fault)), "{plan}");
        assert_eq!(plan.breaking(), 20);
    }
}
