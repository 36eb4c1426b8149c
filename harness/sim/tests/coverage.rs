//! A soak tries what it says that it tries: every rare thing happens in a batch of seeds, for every
//! protocol.

use protocols::{Replica, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};
use sim::{Coverage, Hostility, Rare, hostile, run};

const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };
const SEEDS: u64 = 120;

/// What a batch of seeds covers.
fn covered<R: Replica>(variant: Option<&str>) -> Coverage {
    let mut coverage = Coverage::default();
    for seed in 0..SEEDS {
        let mut scenario = hostile(seed, &HOSTILITY);
        if let Some(variant) = variant {
            R::PROTOCOL.choose_variant(&mut scenario.config.options, variant);
        }
        let outcome = run::<R>(&scenario).unwrap_or_else(|violation| panic!("{violation}"));
        coverage += outcome.coverage;
    }
    coverage
}

/// What happens in every protocol alike. The floors here and below are about a third of what was
/// counted when they were set: a change of draws passes, and one that stops exercising something
/// does not.
const COMMON: [(Rare, u64); 14] = [
    (Rare::CrowdedOut, 800),
    (Rare::LearnedCommit, 40_000),
    (Rare::Checkpoint, 800),
    (Rare::SessionMoved, 3_000),
    (Rare::GivenUp, 600),
    (Rare::CrashWhileWriting, 20),
    (Rare::CrashWhileSending, 10),
    (Rare::SectorLost, 11),
    (Rare::RenameUndone, 39),
    (Rare::TornTail, 17),
    (Rare::LifeFromSnapshot, 105),
    (Rare::LifeFromRecords, 30),
    (Rare::DiskFailed, 33),
    (Rare::LogRefused, 12),
];

/// Every rare thing happened, at least as often as is said here, but for fast commits where there
/// are none.
fn check(name: &str, coverage: &Coverage, own: &[(Rare, u64)], has_fast_path: bool) {
    let counts: Vec<String> =
        coverage.iter().map(|(rare, count)| format!("{} {count}", rare.name())).collect();
    println!("{name}: {}", counts.join(", "));
    for (rare, count) in coverage.iter() {
        if rare == Rare::FastCommit && !has_fast_path {
            assert_eq!(count, 0, "{name} has no fast path");
            continue;
        }
        let floor = own.iter().chain(&COMMON).find(|(other, _)| *other == rare);
        let floor = floor.map_or(1, |(_, floor)| *floor);
        assert!(count >= floor, "{name}: {}: {count}, fewer than {floor}", rare.name());
    }
}

#[test]
fn a_soak_of_paxos_tries_everything() {
    let own = [(Rare::RecoveredCommit, 3_500), (Rare::SnapshotInstalled, 130)];
    check("Paxos", &covered::<Paxos>(None), &own, false);
}

#[test]
fn a_soak_of_multi_paxos_tries_everything() {
    let own = [(Rare::Takeover, 140), (Rare::SnapshotInstalled, 110)];
    check("Multi-Paxos", &covered::<MultiPaxos>(None), &own, false);
}

#[test]
fn a_soak_of_epaxos_tries_everything() {
    let own =
        [(Rare::FastCommit, 7_500), (Rare::RecoveredCommit, 650), (Rare::SnapshotInstalled, 40)];
    check("EPaxos", &covered::<EPaxos>(None), &own, true);
}

#[test]
fn a_soak_of_the_published_epaxos_tries_everything() {
    let own =
        [(Rare::FastCommit, 5_000), (Rare::RecoveredCommit, 800), (Rare::SnapshotInstalled, 34)];
    check("EPaxos, published", &covered::<EPaxos>(Some("sosp13")), &own, true);
}
