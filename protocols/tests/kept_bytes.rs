//! A silent replica and large values: what the others keep for it is bounded in bytes, and once it
//! is back it takes a snapshot. (EPaxos' test is with those of its snapshots.)

mod support;

use protocols::{
    Batch, ClientId, Command, Config, Replica, Request, RequestNumber, multi_paxos::MultiPaxos,
    paxos::Paxos,
};

use crate::support::{Cluster, r};

const VALUE_BYTES: usize = 10_000;
const KEPT_BYTES_MAX: u64 = 100_000;
/// What one command takes beside its value, at most.
const OVERHEAD_BYTES: u64 = 300;

fn write(client: u64, index: u64) -> Batch {
    let value = vec![7; VALUE_BYTES];
    let command = Command::Put { key: &client.to_le_bytes(), value: &value };
    let number = RequestNumber::write(index);
    let request = Request { client: ClientId(client), number, unanswered_from: index, command };
    Batch::single(&request).expect("small")
}

fn check<R: Replica>() {
    let config = Config { kept_bytes_max: KEPT_BYTES_MAX, ..Config::new(3) };
    let mut cluster = Cluster::<R>::new(config, 8);
    cluster.run_ms(50);
    cluster.world.tap = Some(Box::new(|from, to, _| from != r(2) && to != r(2)));
    let slack = VALUE_BYTES as u64 + 2 * OVERHEAD_BYTES;
    for index in 1..=60 {
        cluster.propose(r(0), write(1, index));
        cluster.run_ms(200);
        let status = cluster.status(r(0));
        assert!(status.held_bytes >= status.held * VALUE_BYTES as u64, "{status:?}");
        assert!(status.held_bytes <= KEPT_BYTES_MAX + slack, "after {index}: {status:?}");
    }
    for replica in [r(0), r(1)] {
        let status = cluster.status(replica);
        assert!(status.held >= 9, "what there is room for is kept: {status:?}");
        assert!(status.crowded_out >= 45, "{status:?}");
        assert!(status.held_bytes <= KEPT_BYTES_MAX + slack, "{status:?}");
    }
    cluster.world.tap = None;
    cluster.propose(r(2), write(3, 1));
    let done = |c: &Cluster<R>| c.at_rest() && c.has_applied(r(2), &write(3, 1));
    assert!(cluster.run_until(10_000, done));
    cluster.assert_equal_states();
    assert_eq!(cluster.status(r(2)).installs, 1);
}

#[test]
fn paxos_keeps_no_more_bytes_than_it_may() {
    check::<Paxos>();
}

#[test]
fn multi_paxos_keeps_no_more_bytes_than_it_may() {
    check::<MultiPaxos>();
}

/// A replica that only lags a little is sent what it lacks.
fn check_lagging<R: Replica>() {
    let config = Config { kept_bytes_max: KEPT_BYTES_MAX, ..Config::new(3) };
    let mut cluster = Cluster::<R>::new(config, 9);
    cluster.run_ms(50);
    cluster.world.tap = Some(Box::new(|from, to, _| from != r(2) && to != r(2)));
    for index in 1..=8 {
        cluster.propose(r(0), write(1, index));
        cluster.run_ms(200);
    }
    cluster.world.tap = None;
    assert!(cluster.run_until(10_000, Cluster::at_rest));
    cluster.assert_equal_states();
    assert_eq!((cluster.status(r(0)).crowded_out, cluster.status(r(2)).installs), (0, 0));
}

#[test]
fn who_lacks_less_than_the_budget_is_sent_the_log() {
    check_lagging::<Paxos>();
    check_lagging::<MultiPaxos>();
}
