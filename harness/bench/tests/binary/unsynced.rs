//! Replicas that lose with their process what they have not synced, as if the power had failed:
//! with durability "fsync" nothing acknowledged is lost, and what a replica does not sync is
//! missed.

use std::cell::Cell;

use driver::storage::Durability;
use protocols::{Protocol, ReplicaId};

use crate::{
    durable::Solo,
    nodes::{Nodes, REPLICAS},
};

/// So few bytes of a log that every few commands a snapshot takes its place.
const SHORT_LOG: &str = "--log-bytes-kept=500";
/// Turns that each client takes amid each round of kills. Chosen: each replica writes snapshots
/// meanwhile.
const TURNS: usize = 12;

/// Replicas are killed amid the load, each alone and all at once, and come back with what they had
/// synced.
fn loses_nothing(protocol: Protocol) {
    let mut nodes = Nodes::start_forgetting(protocol, Durability::Fsync);
    let mut truncated = Vec::new();
    let all: Vec<_> = ReplicaId::all(REPLICAS).collect();
    let alone = all.iter().map(std::slice::from_ref);
    let rounds = alone.chain([&all[..]]).cycle().take(8);
    for (round, victims) in rounds.enumerate() {
        // The moment is another one each time: every client calls once a turn.
        let (calls, due) = (Cell::new(0), REPLICAS + 3 * round);
        nodes.load(TURNS, |nodes| {
            calls.set(calls.get() + 1);
            if calls.get() == due {
                victims.iter().for_each(|victim| nodes.kill(*victim));
                victims.iter().for_each(|victim| nodes.begin(*victim, None));
            }
            false
        });
        assert!(calls.get() > due, "the load went on after the kill");
        nodes.come_to_rest();
        nodes.read_everywhere();
        truncated.extend(nodes.without_their_first_log());
    }
    truncated.sort_unstable();
    truncated.dedup();
    assert_eq!(truncated, all, "snapshots took the place of logs");
    nodes.assert_linearizable();
}

#[test]
fn paxos_loses_nothing_acknowledged_with_the_power() {
    loses_nothing(protocols::paxos::PROTOCOL);
}

#[test]
fn multi_paxos_loses_nothing_acknowledged_with_the_power() {
    loses_nothing(protocols::multi_paxos::PROTOCOL);
}

#[test]
fn epaxos_loses_nothing_acknowledged_with_the_power() {
    loses_nothing(protocols::epaxos::PROTOCOL);
}

/// Whatever number of writes a life has made durable: none of them is held back, in a log or behind
/// a snapshot.
#[test]
fn every_sync_is_there_when_the_power_fails_after_any_number_of_writes() {
    let solo = Solo::new();
    let arguments = ["--durability", "fsync", SHORT_LOG];
    let mut process = solo.start_forgetting(&arguments);
    let mut appended = 0;
    for more in 1..=10 {
        assert_eq!(solo.append(appended + 1, more), more);
        appended += more;
        process.kill();
        process = solo.start_forgetting(&arguments);
        assert_eq!(solo.appended(), appended, "after a life of {more} writes");
    }
    assert!(process.log().contains("behind a snapshot"), "{}", process.log());
}

/// What is written and never synced is gone: the layer does lose it.
#[test]
fn what_is_never_synced_is_lost_with_the_power() {
    let solo = Solo::new();
    let arguments = ["--durability", "buffered"];
    let process = solo.start_forgetting(&arguments);
    assert_eq!(solo.append(1, 10), 10);
    process.kill();
    let process = solo.start_forgetting(&arguments);
    assert_eq!(solo.appended(), 0, "{}", process.log());
    assert!(process.log().contains("loses with this process what is not synced"));
}

/// A cluster loses it, too, if all its replicas are killed at once: one that still had it would
/// tell the others.
#[test]
fn a_cluster_that_never_syncs_loses_what_it_acknowledged_with_the_power() {
    let mut nodes = Nodes::start_forgetting(protocols::epaxos::PROTOCOL, Durability::Buffered);
    nodes.load(TURNS, |_| false);
    assert_eq!(nodes.applied_at_rest(), nodes.acknowledged());
    ReplicaId::all(REPLICAS).for_each(|replica| nodes.kill(replica));
    ReplicaId::all(REPLICAS).for_each(|replica| nodes.begin(replica, None));
    let (left, acknowledged) = (nodes.applied_at_rest(), nodes.acknowledged());
    assert!(left < acknowledged, "{left} of {acknowledged} are there");
}
