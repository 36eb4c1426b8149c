//! How fast states are generated, per CPU-second of one core: the checker runs on one thread, so that elapsed time on an idle
//! machine is CPU time. The rate that criterion prints as "elem/s" is generated states per second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use explore::{Limits, Subject, explore};
use protocols::{epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};

/// chosen: a second or so per iteration, long enough that making the tables does not count.
const STATES: usize = 300_000;

fn protocol<R: Subject>(criterion: &mut Criterion, configuration: &str) {
    let setup = R::setups().into_iter().find(|setup| setup.name == configuration);
    let setup = setup.expect("a configuration of the protocol");
    let limits = Limits { states_max: Some(STATES), threads: 1, depth_max: None };
    let generated = explore(&setup, &limits).generated;
    let mut group = criterion.benchmark_group("explore");
    group.sample_size(10).throughput(Throughput::Elements(generated as u64));
    group.bench_function(format!("{}/{configuration}", R::PROTOCOL), |bencher| {
        bencher.iter(|| explore(black_box(&setup), &limits).unique);
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    protocol::<Paxos>(criterion, "duel");
    protocol::<MultiPaxos>(criterion, "election");
    protocol::<EPaxos>(criterion, "recovery");
    protocol::<EPaxos>(criterion, "fast-commit-alone");
}

criterion_group!(benches, all);
criterion_main!(benches);
