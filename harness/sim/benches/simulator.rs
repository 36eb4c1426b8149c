//! How fast a cluster is simulated: five sites of the SOSP'13 paper, 32 closed-loop clients at each, every invariant
//! watched. CPU time, so that a busy machine does not change the figure.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nix::time::{ClockId, clock_gettime};
use protocols::{Replica, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};
use sim::{Load, Network, Outcome, Scenario, run};

/// Virginia, California, Ireland, Oregon, Japan: round trips in milliseconds.
const SITES: [[u64; 5]; 5] = [
    [0, 85, 90, 82, 165],
    [85, 0, 156, 21, 118],
    [90, 156, 0, 150, 278],
    [82, 21, 150, 0, 127],
    [165, 118, 278, 127, 0],
];
const CLIENTS_PER_SITE: usize = 32;
/// The share of commands on one key that all clients use.
const CONFLICT_RATE: f64 = 0.02;

/// Each client makes `submissions` puts, one after the other.
fn scenario(submissions: u64) -> Scenario {
    let round_trips_ns: Vec<Vec<u64>> =
        SITES.iter().map(|row| row.iter().map(|ms| ms * 1_000_000).collect()).collect();
    let load = Load {
        clients_per_site: CLIENTS_PER_SITE,
        shared: CONFLICT_RATE,
        ..Load::private(ReplicaSet::all(SITES.len()), submissions)
    };
    Scenario::new(Network::from_round_trips(&round_trips_ns), load, 1)
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every system has this clock").into()
}

fn simulate<R: Replica>(scenario: &Scenario) -> Outcome {
    run::<R>(scenario).unwrap_or_else(|violation| panic!("{violation}"))
}

fn protocol<R: Replica>(criterion: &mut Criterion, submissions: u64) {
    let scenario = scenario(submissions);
    let commands = submissions * (SITES.len() * CLIENTS_PER_SITE) as u64;
    let mut group = criterion.benchmark_group("simulate");
    group.throughput(Throughput::Elements(commands)).sample_size(10);
    let (mut simulated, mut events, mut spent) = (0, 0, Duration::ZERO);
    group.bench_function(format!("{}/n=5/conflict=2%", R::PROTOCOL), |bencher| {
        bencher.iter_custom(|count| {
            let start = cpu_time();
            for _ in 0..count {
                let outcome = black_box(simulate::<R>(black_box(&scenario)));
                assert_eq!(outcome.operations, commands);
                events += outcome.events;
            }
            let time = cpu_time() - start;
            simulated += count * commands;
            spent += time;
            time
        });
    });
    group.finish();
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let rate = |count: u64| count as f64 / spent.as_secs_f64() / 1e3;
    println!(
        "{}: {:.0} thousand commands, {:.0} thousand events per CPU-second\n",
        R::PROTOCOL,
        rate(simulated),
        rate(events)
    );
}

fn simulator(criterion: &mut Criterion) {
    // Under `cargo test` it runs once, unoptimised: enough to see that it runs.
    let submissions = if cfg!(debug_assertions) { 5 } else { 625 };
    protocol::<EPaxos>(criterion, submissions);
    protocol::<MultiPaxos>(criterion, submissions);
    protocol::<Paxos>(criterion, submissions / 5);
}

criterion_group!(benches, simulator);
criterion_main!(benches);
