//! A fault plan over a run: when it strikes, whom, and what is written of it.

use std::collections::BTreeSet;

use protocols::{ReplicaId, ReplicaSet};
use workload::{Victims, Workload, fault::Target};

fn plan(text: &str) -> Workload {
    let text = format!("name = \"x\"\ncluster.durability = \"buffered\"\nfaults = [{text}]");
    Workload::parse("x.toml", &text, &[]).expect(&text)
}

#[test]
fn strikes_come_in_the_order_of_time_then_of_the_file() {
    let workload = plan(
        "{ at_s = 3, kill = 1 }, { at_s = 0.1, every_s = 1.45, pause = 0 }, { at_s = 3, resume = 0 }, \
         { at_s = 5, heal = true }",
    );
    let strikes: Vec<(u64, usize, &str)> =
        workload.strikes().iter().map(|s| (s.at_ns, s.entry, s.action.name())).collect();
    assert_eq!(
        strikes,
        [
            (100_000_000, 1, "pause"),
            (1_550_000_000, 1, "pause"),
            (3_000_000_000, 0, "kill"),
            (3_000_000_000, 1, "pause"),
            (3_000_000_000, 2, "resume"),
            (4_450_000_000, 1, "pause"),
            (5_000_000_000, 3, "heal"),
        ],
        "the end of the window, 5 s, is included"
    );
}

/// A tenth of a second has no exact binary fraction: added up a thousand times it would be late.
#[test]
fn repetitions_do_not_drift() {
    let text =
        "name = \"x\"\nload.duration_s = 100\nfaults = [{ at_s = 0, every_s = 0.1, pause = 0 }]";
    let workload = Workload::parse("x.toml", text, &[]).unwrap();
    let strikes = workload.strikes();
    assert_eq!(strikes.len(), 1001);
    assert!(strikes.iter().enumerate().all(|(n, strike)| strike.at_ns == n as u64 * 100_000_000));
}

#[test]
fn targets_are_resolved_among_the_candidates() {
    let set = |ids: &[u8]| ids.iter().map(|id| ReplicaId(*id)).collect::<ReplicaSet>();
    let mut victims = Victims::new(7);
    let untouched = format!("{victims:?}");
    let leader = Some(ReplicaId(2));
    let named = Target::Replica(ReplicaId(1));
    assert_eq!(victims.resolve(named, set(&[0, 1]), leader), Some(ReplicaId(1)));
    assert_eq!(victims.resolve(named, set(&[0, 2]), leader), None);
    assert_eq!(victims.resolve(Target::Leader, set(&[0, 2]), leader), leader);
    assert_eq!(victims.resolve(Target::Random, set(&[]), leader), None);
    assert_eq!(victims.resolve(Target::Leader, set(&[]), None), None);
    assert_eq!(format!("{victims:?}"), untouched, "nothing had to be drawn");
    // The leader is no candidate, or there is none: one is drawn.
    assert_eq!(victims.resolve(Target::Leader, set(&[3]), leader), Some(ReplicaId(3)));
    assert_eq!(victims.resolve(Target::Leader, set(&[4]), None), Some(ReplicaId(4)));
}

#[test]
fn draws_reach_every_candidate_and_repeat_with_the_seed() {
    let candidates: ReplicaSet = [0, 3, 4].map(ReplicaId).into_iter().collect();
    let draws = |seed: u64| -> Vec<Option<ReplicaId>> {
        let mut victims = Victims::new(seed);
        (0..100).map(|_| victims.resolve(Target::Random, candidates, None)).collect()
    };
    let reached: BTreeSet<_> = draws(1).into_iter().flatten().collect();
    assert_eq!(reached, candidates.iter().collect());
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}

#[test]
fn what_is_written_of_a_strike() {
    let workload = plan(
        "{ at_s = 0, kill = 1 }, { at_s = 0, restart = \"random\" }, { at_s = 0, pause = \"leader\" }, \
         { at_s = 0, partition = [[0], [1, 2]] }, { at_s = 0, partition = { from = [0, 2], to = [1] } }, \
         { at_s = 0, heal = true }, { at_s = 0, slow = { replica = 2, factor = 1.5 } }, \
         { at_s = 0, loss_rate = 0.07, delay_ms = 20, layer = \"message\" }, \
         { at_s = 0, duplicate_rate = 0.5, layer = \"packet\" }",
    );
    let written = |struck: Option<u8>| -> Vec<(&str, String)> {
        let strikes = workload.strikes();
        strikes.iter().map(|s| (s.action.name(), s.action.detail(struck.map(ReplicaId)))).collect()
    };
    let expected = [
        ("kill", "r1"),
        ("restart", "r1 (target: random)"),
        ("pause", "r1 (target: leader)"),
        ("partition", "r0 | r1 r2"),
        ("partition", "nothing from r0 r2 to r1"),
        ("heal", "every partition ends"),
        ("slow", "r2 1.5 times slower"),
        ("links", "7 % lost, 20 ms longer, layer message"),
        ("links", "50 % twice, layer packet"),
    ];
    assert_eq!(written(Some(1)), expected.map(|(name, detail)| (name, detail.to_owned())));
    assert_eq!(
        written(None)[..3],
        [
            ("kill", "r1: nothing to do".to_owned()),
            ("restart", "nobody to strike (target: random)".to_owned()),
            ("pause", "nobody to strike (target: leader)".to_owned()),
        ]
    );
}
