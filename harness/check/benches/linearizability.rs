//! How fast a contended history is judged: all clients on one key, values written once, as this program's own load is.

use std::{hint::black_box, time::Duration};

use check::{Budget, History, Kind, Operation, Outcome, Verdict, register::Access};
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

/// An operation as a load generator keeps it.
#[derive(Clone, Copy)]
struct Recorded {
    value: u64,
    is_read: bool,
    invoke: u64,
    returned: u64,
}

impl Access for Recorded {
    fn value(&self) -> u64 {
        self.value
    }

    fn is_read(&self) -> bool {
        self.is_read
    }

    fn invoke(&self) -> u64 {
        self.invoke
    }

    fn returned(&self) -> u64 {
        self.returned
    }
}

/// The same operations as numbers.
fn recorded() -> Vec<Recorded> {
    let operation = |number: u64| Recorded {
        value: number / 2 + 1,
        is_read: !number.is_multiple_of(2),
        invoke: number * 10,
        returned: number * 10 + PROCESSES * 10 - 1,
    };
    (0..OPERATIONS).map(operation).collect()
}

fn register(criterion: &mut Criterion) {
    let recorded = recorded();
    let judge = |recorded: &[Recorded]| {
        let witness = check::register::witness(&mut recorded.to_vec(), |_| {
            unreachable!("nothing here contradicts itself")
        });
        assert_eq!(witness, None);
    };
    let mut group = criterion.benchmark_group("register");
    group.throughput(Throughput::Elements(OPERATIONS));
    let (mut operations, mut spent) = (0, Duration::ZERO);
    group.bench_function("contended register, recorded as numbers", |bencher| {
        bencher.iter_custom(|count| {
            let start = cpu_time();
            for _ in 0..count {
                judge(black_box(&recorded));
            }
            let time = cpu_time() - start;
            operations += count * OPERATIONS;
            spent += time;
            time
        });
    });
    group.finish();
    told(operations, spent);
}

fn told(operations: u64, spent: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let rate = operations as f64 / spent.as_secs_f64() / 1e6;
    println!("{rate:.2} million operations per CPU-second\n");
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
    told(operations, spent);
}

criterion_group!(benches, linearizability, register);
criterion_main!(benches);
