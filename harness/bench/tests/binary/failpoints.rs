//! A replica dies at every failpoint in turn, under load, and comes back, with all that it had
//! written or with what it had synced alone: nothing acknowledged is lost, nothing takes effect
//! twice, the replicas agree, and what the clients saw is linearizable.

use std::collections::BTreeSet;

use driver::{failpoint::Failpoint, storage::Durability};
use protocols::ReplicaId;

use crate::nodes::{Nodes, REPLICAS};

/// Operations of the other replicas while the victim is away: more than they keep for it, so that
/// it takes a snapshot.
const AWAY: usize = 24;
/// Chosen: many times what it takes to come to any failpoint.
const OPERATIONS_MAX: usize = 4_000;

/// At which hit to die: where every drain comes by, amid the load; where few do, at once.
const fn hit(at: Failpoint) -> u64 {
    match at {
        Failpoint::Record
        | Failpoint::Execute
        | Failpoint::Executed
        | Failpoint::LogWrite
        | Failpoint::LogTorn
        | Failpoint::LogWritten
        | Failpoint::LogSynced
        | Failpoint::Send
        | Failpoint::Sent => 15,
        Failpoint::FileWritten | Failpoint::FileNamed => 4,
        _ => 1,
    }
}

/// The victim is replaced at every failpoint; the data stays.
fn dies_everywhere(mut nodes: Nodes) {
    let mut truncated = BTreeSet::new();
    for (at, victim) in Failpoint::ALL.iter().zip(ReplicaId::all(REPLICAS).cycle()) {
        nodes.kill(victim);
        nodes.load(AWAY, |_| false);
        nodes.begin(victim, Some(format!("{at}:{}", hit(*at))));
        nodes.load(OPERATIONS_MAX, |nodes| nodes.has_died(victim));
        nodes.assert_died_at(victim, *at);
        nodes.begin(victim, None);
        nodes.come_to_rest();
        nodes.read_everywhere();
        truncated.extend(nodes.without_their_first_log());
    }
    assert_eq!(truncated.len(), REPLICAS, "of {truncated:?} alone the log was cut");
    nodes.assert_linearizable();
}

#[test]
fn paxos_comes_back_from_every_failpoint() {
    dies_everywhere(Nodes::start(protocols::paxos::PROTOCOL));
}

#[test]
fn multi_paxos_comes_back_from_every_failpoint() {
    dies_everywhere(Nodes::start(protocols::multi_paxos::PROTOCOL));
}

#[test]
fn epaxos_comes_back_from_every_failpoint() {
    dies_everywhere(Nodes::start(protocols::epaxos::PROTOCOL));
}

#[test]
fn paxos_comes_back_from_every_failpoint_with_what_it_had_synced() {
    dies_everywhere(Nodes::start_forgetting(protocols::paxos::PROTOCOL, Durability::Fsync));
}

#[test]
fn multi_paxos_comes_back_from_every_failpoint_with_what_it_had_synced() {
    dies_everywhere(Nodes::start_forgetting(protocols::multi_paxos::PROTOCOL, Durability::Fsync));
}

#[test]
fn epaxos_comes_back_from_every_failpoint_with_what_it_had_synced() {
    dies_everywhere(Nodes::start_forgetting(protocols::epaxos::PROTOCOL, Durability::Fsync));
}
