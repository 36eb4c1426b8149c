//! Paxos under random schedules: loss, repetition, reordering, crashes between any two effects, restarts.

mod support;

use protocols::{
    Config,
    paxos::{Paxos, Window},
};
use support::random::random_run;

#[test]
fn agreement_and_completion_over_random_schedules() {
    for (seed, window) in (0..120).zip([1, 2, 3].into_iter().cycle()) {
        for replicas in [3, 5, 7] {
            let config = Config::new(replicas).with(Window(window));
            random_run::<Paxos>(config, seed);
        }
    }
}

/// With hardly anything kept, whoever misses a little needs a snapshot.
#[test]
fn agreement_and_completion_with_little_kept() {
    for seed in 0..120 {
        for replicas in [3, 5] {
            let config =
                Config { kept_slots_max: 2, piece_bytes_max: 150, ..Config::new(replicas) };
            random_run::<Paxos>(config, seed);
        }
    }
}
