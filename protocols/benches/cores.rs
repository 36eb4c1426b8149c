//! What a command costs the cores: through a whole in-memory cluster, and per replica over recorded inputs.

mod memory_cluster;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memory_cluster::{MemoryCluster, puts};
use protocols::{
    Effects, Replica, ReplicaId, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos,
};

const COMMANDS: u64 = 2048;

fn whole_cluster<R: Replica>(criterion: &mut Criterion, n: usize, conflicting: bool) {
    let mut group = criterion.benchmark_group("cluster");
    group.throughput(Throughput::Elements(COMMANDS));
    let commands = puts(n, COMMANDS, conflicting);
    let share = if conflicting { 100 } else { 0 };
    group.bench_function(format!("{}/n={n}/conflict={share}%", R::PROTOCOL), |bencher| {
        bencher.iter_batched_ref(
            || MemoryCluster::<R>::new(n),
            |cluster| {
                cluster.execute(&commands);
                assert_eq!(cluster.world.executed, vec![COMMANDS; n], "all, everywhere, once");
            },
            BatchSize::LargeInput,
        );
    });
}

fn one_replica<R: Replica>(criterion: &mut Criterion, n: usize, id: ReplicaId) {
    let mut group = criterion.benchmark_group("step");
    let commands = puts(n, COMMANDS, false);
    let (replica, inputs) = MemoryCluster::<R>::record(n, id, &commands);
    group.throughput(Throughput::Elements(COMMANDS));
    group.bench_function(format!("{}/n={n}/{id}", R::PROTOCOL), |bencher| {
        bencher.iter_batched(
            || (replica.clone(), inputs.clone(), Effects::<R>::default()),
            |(mut replica, inputs, mut effects)| {
                for input in inputs {
                    replica.step(input, &mut effects);
                    black_box(effects.drain());
                }
                replica
            },
            BatchSize::LargeInput,
        );
    });
}

fn cores(criterion: &mut Criterion) {
    for n in [3, 5] {
        whole_cluster::<Paxos>(criterion, n, false);
        whole_cluster::<MultiPaxos>(criterion, n, false);
        whole_cluster::<EPaxos>(criterion, n, false);
        whole_cluster::<EPaxos>(criterion, n, true);
    }
    for id in [0, 1].map(ReplicaId) {
        one_replica::<MultiPaxos>(criterion, 3, id);
        one_replica::<EPaxos>(criterion, 3, id);
    }
}

criterion_group!(benches, cores);
criterion_main!(benches);
