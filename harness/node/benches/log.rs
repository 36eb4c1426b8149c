//! What the durable log costs: encoding a record, one write of 1, 16 or 256 records with its sync
//! and without, and coming back from 100,000 records.
//!
//! What a sync takes is the disk's affair: the figures with one say how many groups a second a
//! replica can form here.

use std::{hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driver::storage::{Journal, Owner, Past, Writer};
use node::disk::DataDirectory;
use protocols::{Config, ReplicaId};

/// About what an accepted command of a short key and a short value takes.
const RECORD_BYTES: usize = 100;
const REPLAYED_RECORDS: u64 = 100_000;

fn record() -> Vec<u8> {
    vec![7; RECORD_BYTES - 1]
}

fn past(directory: &Path) -> Past<DataDirectory> {
    let owner = Owner {
        cluster: "cluster-0".to_owned(),
        replica: ReplicaId(0),
        protocol: protocols::multi_paxos::PROTOCOL,
        config: Config::new(3),
    };
    let disk = DataDirectory::open(directory).expect("a directory of its own");
    Past::read(disk, owner, 1).expect("nothing is there, or what was written")
}

fn groups(criterion: &mut Criterion) {
    let record = record();
    for (name, synced) in [("buffered", false), ("synced", true)] {
        for records in [1_u64, 16, 256] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let past = past(directory.path());
            let mut journal = Journal::new(&past, None);
            let mut writer = Writer::new(past, synced, None).expect("the log was just made");
            let mut group = criterion.benchmark_group("log");
            group.throughput(Throughput::Elements(records)).sample_size(20);
            group.bench_function(format!("{name} write of {records} records"), |bencher| {
                bencher.iter(|| {
                    (0..records).for_each(|_| journal.record(black_box(&record)));
                    let work = journal.take().expect("records were pushed");
                    writer.write(&work).expect("the disk takes it");
                });
            });
        }
    }
}

fn replay(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let record = record();
    {
        let past = past(directory.path());
        let mut journal = Journal::new(&past, None);
        let mut writer = Writer::new(past, false, None).expect("the log was just made");
        for _ in 0..REPLAYED_RECORDS / 1_000 {
            (0..1_000).for_each(|_| journal.record(&record));
            let work = journal.take().expect("records were pushed");
            writer.write(&work).expect("the disk takes it");
        }
    }
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(REPLAYED_RECORDS)).sample_size(20);
    group.bench_function(format!("replay of {REPLAYED_RECORDS} records"), |bencher| {
        bencher.iter(|| {
            let past = past(directory.path());
            let mut records = past.records::<Vec<u8>>();
            let bytes: usize = records.by_ref().map(|record| record.len()).sum();
            assert_eq!(records.finish().expect("all are whole"), REPLAYED_RECORDS);
            bytes
        });
    });
}

criterion_group!(benches, groups, replay);
criterion_main!(benches);
