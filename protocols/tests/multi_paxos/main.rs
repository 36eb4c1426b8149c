//! Multi-Paxos, one test per thing that implementations got wrong: single cores fed by hand, and small clusters in
//! virtual time with the messages that matter held back.

mod checkpoint;
mod faults;
mod pacing;
mod phases;
mod route;
mod silence;
mod stale;
#[path = "../support/mod.rs"]
mod support;

use protocols::{
    Batch, Config, Effect, Input, Replica, ReplicaId, ReplicaSet, Slot,
    ballot::Ballot,
    multi_paxos::{Message, MultiPaxos, Promise, PromisedEntry, Timer},
};
use support::hand::{messages, receive, step};

use crate::support::{Cluster, r};

pub(crate) fn ballot(round: u64, leader: u8) -> Ballot {
    Ballot { round, leader: r(leader) }
}

pub(crate) fn new(id: u8, replicas: usize) -> MultiPaxos {
    MultiPaxos::recover(r(id), &Config::new(replicas), None, [])
}

/// The election timeout of the usual configuration, in milliseconds.
pub(crate) fn election_ms() -> u64 {
    u64::try_from(Config::new(3).timeouts.election.as_millis()).expect("short")
}

/// How many campaigns there were.
pub(crate) fn elections(cluster: &Cluster<MultiPaxos>, replicas: usize) -> u64 {
    ReplicaId::all(replicas).map(|replica| cluster.status(replica).takeovers).sum()
}

pub(crate) fn entry(slot: Slot, at: Ballot, batch: Batch) -> PromisedEntry {
    PromisedEntry { slot, ballot: at, decided: false, batch }
}

pub(crate) fn promise(at: Ballot, first: Slot, entries: Vec<PromisedEntry>) -> Message {
    Message::Promise(Promise { ballot: at, first, entries, next: None, discarded: 0 })
}

pub(crate) fn accept(at: Ballot, slot: Slot, batch: Batch, commit: Slot) -> Message {
    Message::Accept { ballot: at, slot, batch, commit, collect: 0 }
}

pub(crate) fn accepted(at: Ballot, slot: Slot) -> Message {
    Message::Accepted { ballot: at, slot, executed: 0 }
}

pub(crate) fn heartbeat(at: Ballot, commit: Slot) -> Message {
    Message::Heartbeat { ballot: at, commit, collect: 0, beat: 1, heard: ReplicaSet::EMPTY }
}

pub(crate) fn alive(at: Ballot, executed: Slot) -> Message {
    Message::Alive { ballot: at, beat: 1, executed }
}

pub(crate) fn forward(batch: Batch) -> Message {
    Message::Forward { batch, executed: 0 }
}

/// The proposals among messages: slot and batch.
pub(crate) fn proposals(messages: &[Message]) -> Vec<(Slot, Batch)> {
    let proposals = messages.iter().filter_map(|message| match message {
        Message::Accept { slot, batch, .. } => Some((*slot, batch.clone())),
        _ => None,
    });
    proposals.collect()
}

/// The election timer of `core` runs out until it asks who else misses the leader, and all others
/// do: it campaigns.
pub(crate) fn campaign(core: &mut MultiPaxos) -> Vec<Effect<MultiPaxos>> {
    for _ in 0..3 {
        let effects = step(core, Input::Timer(Timer::Election));
        if let [Message::PreVote { poll }] = messages(&effects)[..] {
            let granted = Message::PreVoteGranted { poll, promised: Ballot::ZERO };
            let mut peers = 0..9;
            return peers
                .find_map(|peer| {
                    let effects = receive(core, peer, granted.clone());
                    (!effects.is_empty()).then_some(effects)
                })
                .expect("a majority has granted");
        }
    }
    panic!("it asks nobody")
}

/// Replica 0 of `replicas`, leading ballot 1 of an empty log.
pub(crate) fn leader(replicas: usize) -> MultiPaxos {
    let mut core = new(0, replicas);
    step(&mut core, Input::Start);
    for peer in ReplicaId::all(replicas).skip(1).take(replicas / 2) {
        receive(&mut core, peer.0, promise(ballot(1, 0), 1, vec![]));
    }
    assert_eq!(core.status().leader, Some(r(0)));
    core
}
