//! EPaxos' execution graph: chains, stars and cycles, committed in an order that makes it wait.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocols::{
    Batch, ClientId, Command, InstanceId, ReplicaId, Request, RequestNumber, Slot,
    command::Footprint,
    dependencies::Dependencies,
    epaxos::{
        Execution,
        graph::{Executed, ExecutionGraph},
    },
};

const ROWS: usize = 5;
const INSTANCES: u64 = 2000;

struct Decision {
    instance: InstanceId,
    batch: Batch,
    footprint: Footprint,
    dependencies: Dependencies,
}

fn decision(row: u8, slot: Slot, write: bool, dependencies: [Slot; ROWS]) -> Decision {
    let key = b"k";
    let (number, command) = if write {
        (RequestNumber::write(slot), Command::Put { key, value: &[7; 16] })
    } else {
        (RequestNumber::read(slot), Command::Get { key })
    };
    let request = Request { client: ClientId(u64::from(row)), number, unanswered_from: 1, command };
    let batch = Batch::single(&request).expect("within the limits");
    Decision {
        instance: InstanceId::new(ReplicaId(row), slot),
        footprint: batch.footprint(),
        batch,
        dependencies: dependencies.into_iter().collect(),
    }
}

/// Each depends on the one before; the first is decided last.
fn chain() -> Vec<Decision> {
    (1..=INSTANCES).rev().map(|slot| decision(0, slot, true, [slot - 1, 0, 0, 0, 0])).collect()
}

/// One write depends on reads of every row; it is decided first.
fn star() -> Vec<Decision> {
    let leaves = INSTANCES / 4;
    let mut decisions = vec![decision(0, 1, true, [0, leaves, leaves, leaves, leaves])];
    for slot in 1..=leaves {
        decisions.extend((1..5).map(|row| decision(row, slot, false, [0; ROWS])));
    }
    decisions
}

/// Rounds of five that all depend on each other, each round on the one before.
fn cycles() -> Vec<Decision> {
    let rounds = 1..=INSTANCES / 5;
    rounds
        .flat_map(|slot| {
            (0..5).map(move |row| {
                let mut on = [slot; ROWS];
                on[usize::from(row)] = slot - 1;
                decision(row, slot, true, on)
            })
        })
        .collect()
}

fn graph(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graph");
    for (name, decisions) in [("chain", chain()), ("star", star()), ("cycles", cycles())] {
        group.throughput(Throughput::Elements(decisions.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (ExecutionGraph::new(ROWS, Execution::Closed), Executed::new()),
                |(graph, executed)| {
                    for d in &decisions {
                        graph.known(d.instance, &d.footprint, executed);
                    }
                    for d in &decisions {
                        let (batch, on) = (d.batch.clone(), d.dependencies.clone());
                        graph.committed(d.instance, batch, &d.footprint, on, executed);
                    }
                    assert_eq!(executed.len(), decisions.len(), "all is executed");
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, graph);
criterion_main!(benches);
