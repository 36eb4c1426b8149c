//! What reaches a replica late, or from one that is behind, and used to be taken for impossible.

use protocols::{
    Effect, Input, Path, Replica, ReplicaSet,
    multi_paxos::{Message, Record, Timer},
};

use crate::{
    accept, ballot, heartbeat, leader, new,
    support::{
        hand::{commits, messages, receive, records, sends, step},
        r, write,
    },
};

fn decided(first: u64, batch: protocols::Batch) -> Message {
    Message::Decided { first, batches: vec![batch] }
}

/// Replica 0 leads ballot 1 at {0, 4} and hears nothing of ballot 2, whose leader gets another batch chosen at {1, 2, 3}.
/// Replica 4, which promised ballot 1 alone, fetches that slot; then the stale leader's Accept arrives.
#[test]
fn a_stale_leaders_accept_for_a_slot_decided_otherwise_is_answered_with_the_decision() {
    let mut core = new(4, 5);
    receive(&mut core, 0, heartbeat(ballot(1, 0), 0));
    receive(&mut core, 3, decided(1, write(2, 1)));
    let effects = receive(&mut core, 0, accept(ballot(1, 0), 1, write(1, 1), 0));
    assert_eq!(sends(&effects), [(ReplicaSet::only(r(0)), decided(1, write(2, 1)))]);
    assert_eq!(records(&effects).0, [], "nothing is accepted");
}

#[test]
fn a_leader_whose_slot_was_decided_otherwise_steps_down_and_keeps_its_batch() {
    let mut core = leader(5);
    step(&mut core, Input::Propose(write(1, 1)));
    let effects = receive(&mut core, 4, decided(1, write(2, 1)));
    assert_eq!(commits(&effects), [(1, write(2, 1), Path::Learned)]);
    assert_eq!(records(&effects).0, [Record::Decided { slot: 1, batch: write(2, 1) }]);
    assert!(effects.contains(&Effect::CancelTimer(Timer::Heartbeat)), "another leads by now");
    assert_eq!((core.status().leader, core.status().undecided), (None, 1));
    let sent = messages(&receive(&mut core, 1, heartbeat(ballot(2, 1), 1)));
    let again = Message::Forward { batch: write(1, 1), executed: 1 };
    assert!(sent.contains(&again), "its client still waits");
}

/// A timer may run out in the drain that cancels it: the replica won between the two.
#[test]
fn an_election_timer_that_runs_out_while_the_election_is_won_changes_nothing() {
    let mut core = leader(3);
    step(&mut core, Input::Propose(write(1, 1)));
    let effects = step(&mut core, Input::Timer(Timer::Election));
    assert_eq!((messages(&effects), records(&effects).0), (vec![], vec![]));
    assert_eq!(core.status().leader, Some(r(0)));
}

/// Only its leader speaks for a ballot.
#[test]
fn a_ballot_that_another_than_the_sender_leads_is_ignored() {
    let mut core = leader(3);
    step(&mut core, Input::Propose(write(1, 1)));
    for at in [ballot(1, 0), ballot(2, 2)] {
        let forged = [
            Message::Prepare { ballot: at, first: 1 },
            accept(at, 1, write(9, 9), 1),
            Message::Commit { ballot: at, commit: 1, collect: 0 },
            heartbeat(at, 1),
        ];
        for message in forged {
            let effects = receive(&mut core, 1, message.clone());
            assert_eq!(effects, [], "{message:?}");
        }
    }
    assert_eq!(core.status().leader, Some(r(0)));
}
