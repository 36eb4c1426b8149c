//! How fast a contended history is judged: all clients on one key, values written once, as this program's own load is.

use std::{hint::black_box, time::Duration};

use check::{Budget, History, Kind, Operation, Outcome, Verdict};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nix::time::{ClockId, clock_gettime};

const OPERATIONS: u64 = 200_000;
const PROCESSES: u64 = 32;

/// Every process always has an operation under way, each of which takes effect in its middle; every second one reads.
fn contended() -> History {
    let mut value = None;
    let operation = |number: u64| {
        let invoke = number * 10;
        let returned = invoke + PROCESSES * 10 - 1;
        let (kind, outcome) = if number.is_multiple_of(2) {
            value = Some(format!("value {number:010}").into_bytes());
            (Kind::Put(value.clone().expect("just written")), Outcome::Done)
        } else {
            (Kind::Get, Outcome::Value(value.clone()))
        };
        let process = number % PROCESSES;
        let answer = Some((returned, outcome));
        Operation { process, key: b"contended".to_vec(), kind, invoke, answer }
    };
    (0..OPERATIONS).map(operation).collect()
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every system has this clock").into()
}

fn judge(history: &History) -> Verdict {
    check::check(history, &Budget::default(), &mut || true)
}

fn linearizability(criterion: &mut Criterion) {
    let history = contended();
    assert!(matches!(judge(&history), Verdict::Linearizable { keys: 1, .. }));
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(OPERATIONS));
    let (mut operations, mut spent) = (0, Duration::ZERO);
    group.bench_function("contended register", |bencher| {
        bencher.iter_custom(|count| {
            let start = cpu_time();
            for _ in 0..count {
                black_box(judge(black_box(&history)));
            }
            let time = cpu_time() - start;
            operations += count * OPERATIONS;
            spent += time;
            time
        });
    });
    group.finish();
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let rate = operations as f64 / spent.as_secs_f64() / 1e6;
    println!("{rate:.2} million operations per CPU-second\n");
}

criterion_group!(benches, linearizability);
criterion_main!(benches);
