//! The parts that every command passes: quorums and dependencies, the codec, the key-value machine.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocols::{
    Batch, ClientId, Command, InstanceId, ReplicaId, ReplicaSet, Request, RequestNumber,
    command::encode_into,
    dependencies::Dependencies,
    epaxos::{ConflictIndex, EpaxosQuorums, FastQuorum, Message},
    kv::Kv,
};

fn put<'a>(key: &'a [u8], number: u64, value: &'a [u8]) -> Request<'a> {
    Request {
        client: ClientId(7),
        number: RequestNumber::write(number),
        unanswered_from: number,
        command: Command::Put { key, value },
    }
}

fn keys() -> Vec<[u8; 8]> {
    (0..1024u64).map(u64::to_le_bytes).collect()
}

fn quorums_and_dependencies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dependencies");
    group.throughput(Throughput::Elements(1));
    group.bench_function("count votes to a quorum of 5", |bencher| {
        let quorums = EpaxosQuorums::new(5, FastQuorum::Optimized);
        bencher.iter(|| {
            let mut votes = ReplicaSet::only(ReplicaId(0));
            ReplicaId::all(5).find(|id| {
                votes.insert(black_box(*id));
                votes.len() == quorums.fast()
            })
        });
    });
    group.bench_function("merge of 5 rows", |bencher| {
        let other: Dependencies = [5, 4, 3, 2, 1].into_iter().collect();
        let mut dependencies: Dependencies = [1, 2, 3, 4, 5].into_iter().collect();
        bencher.iter(|| dependencies.merge(black_box(&other)));
    });
    group.bench_function("conflict index, 1024 keys", |bencher| {
        let footprints: Vec<_> = keys()
            .iter()
            .map(|key| Batch::single(&put(key, 1, b"v")).expect("small").footprint())
            .collect();
        let mut index = ConflictIndex::new(5);
        let mut slot = 0;
        bencher.iter(|| {
            slot += 1;
            let footprint = &footprints[usize::try_from(slot % 1024).expect("small")];
            let dependencies = index.dependencies(footprint);
            index.insert(InstanceId::new(ReplicaId(2), slot), footprint);
            dependencies
        });
    });
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    for bytes in [16, 1024] {
        let value = vec![7; bytes];
        let batch = Batch::single(&put(b"some-key", 300, &value)).expect("small");
        let message = Message::PreAccept {
            instance: InstanceId::new(ReplicaId(1), 70_000),
            batch: batch.clone(),
            dependencies: [70_000, 69_999, 70_001].into_iter().collect(),
        };
        let wire = postcard::to_stdvec(&message).expect("a vector takes every byte");
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("request to bytes, {bytes} B"), |bencher| {
            let mut buffer = Vec::new();
            bencher.iter(|| {
                buffer.clear();
                encode_into(&[put(b"some-key", 300, black_box(&value))], &mut buffer);
            });
        });
        group.bench_function(format!("bytes to batch, {bytes} B"), |bencher| {
            bencher.iter(|| Batch::from_bytes(black_box(batch.as_bytes())));
        });
        group.bench_function(format!("PreAccept to bytes, {bytes} B"), |bencher| {
            let mut buffer = vec![0; 2 * wire.len()];
            bencher.iter(|| {
                postcard::to_slice(black_box(&message), &mut buffer).expect("it fits").len()
            });
        });
        group.bench_function(format!("bytes to PreAccept, {bytes} B"), |bencher| {
            bencher.iter(|| postcard::from_bytes::<Message>(black_box(&wire)).expect("as encoded"));
        });
    }
}

fn key_value(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kv");
    group.throughput(Throughput::Elements(1));
    let keys = keys();
    let key = |number: u64| &keys[usize::try_from(number % 1024).expect("small")];
    group.bench_function("put, 16 B, 1024 keys", |bencher| {
        let (mut kv, mut number) = (Kv::default(), 0);
        bencher.iter(|| {
            number += 1;
            kv.apply(&put(key(number), number, &[7; 16]))
        });
    });
    group.bench_function("get, 16 B, 1024 keys", |bencher| {
        let (mut kv, mut number) = (Kv::default(), 0);
        for number in 1..=1024 {
            kv.apply(&put(key(number), number, &[7; 16]));
        }
        bencher.iter(|| {
            number += 1;
            kv.apply(&Request {
                number: RequestNumber::read(number),
                command: Command::Get { key: key(number) },
                ..put(b"", 1, b"")
            })
        });
    });
}

criterion_group!(benches, quorums_and_dependencies, codec, key_value);
criterion_main!(benches);
