//! The two phases: what is promised, proposed, counted, committed and kept over a restart.

use protocols::{
    Batch, Config, Input, Path, Replica,
    multi_paxos::{Message, MultiPaxos, Promise, PromisedEntry, Record, Timer},
};

use crate::{
    accept, accepted, ballot, campaign, entry, heartbeat, leader, new, promise, proposals,
    support::{
        hand::{commits, executions, messages, receive, records, sends, step},
        r, write,
    },
};

/// The example of PMS §3: 1–134, 138 and 139 are known, 135 and 140 constrained by promises, and 136 and 137 are gaps,
/// which become no-ops before any new command.
#[test]
fn a_new_leader_closes_the_gap_between_135_and_140() {
    let mut core = new(0, 3);
    let batches: Vec<_> = (1..=134).map(|index| write(1, index)).collect();
    receive(&mut core, 1, Message::Decided { first: 1, batches });
    let batches = vec![write(1, 138), write(1, 139)];
    receive(&mut core, 1, Message::Decided { first: 138, batches });
    let asked = messages(&campaign(&mut core));
    assert_eq!(asked, [Message::Prepare { ballot: ballot(1, 0), first: 135 }]);
    step(&mut core, Input::Propose(write(2, 1)));
    let old = ballot(0, 2);
    let entries = vec![entry(135, old, write(1, 135)), entry(140, old, write(1, 140))];
    let sent = messages(&receive(&mut core, 1, promise(ballot(1, 0), 135, entries)));
    let expected = [
        (135, write(1, 135)),
        (136, Batch::NOOP),
        (137, Batch::NOOP),
        (140, write(1, 140)),
        (141, write(2, 1)),
    ];
    assert_eq!(proposals(&sent), expected);
}

#[test]
fn a_new_leader_proposes_the_batch_of_the_highest_ballot() {
    let mut core = new(4, 5);
    receive(&mut core, 1, accept(ballot(2, 1), 1, write(1, 1), 0));
    receive(&mut core, 1, accept(ballot(2, 1), 2, write(1, 2), 0));
    campaign(&mut core);
    let at = ballot(3, 4);
    let low = vec![entry(1, ballot(1, 0), write(9, 1)), entry(2, ballot(1, 0), write(9, 2))];
    receive(&mut core, 2, promise(at, 1, low));
    let mixed = vec![entry(1, ballot(1, 3), write(8, 1)), entry(2, ballot(2, 3), write(8, 2))];
    let sent = messages(&receive(&mut core, 3, promise(at, 1, mixed)));
    assert_eq!(proposals(&sent), [(1, write(1, 1)), (2, write(8, 2))]);
    receive(&mut core, 2, accepted(at, 1));
    let effects = receive(&mut core, 3, accepted(at, 1));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Recovered)]);
}

#[test]
fn what_a_promise_says_is_decided_is_not_proposed_again() {
    let mut core = new(0, 3);
    step(&mut core, Input::Start);
    let decided = PromisedEntry { decided: true, ..entry(1, ballot(0, 1), write(1, 1)) };
    let last = entry(2, ballot(0, 1), write(1, 2));
    let effects = receive(&mut core, 1, promise(ballot(1, 0), 1, vec![decided, last]));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Learned)]);
    assert_eq!(proposals(&messages(&effects)), [(2, write(1, 2))]);
}

#[test]
fn a_promise_and_a_vote_count_once_and_at_their_ballot_only() {
    let mut core = new(0, 5);
    step(&mut core, Input::Start);
    for _ in 0..3 {
        receive(&mut core, 1, promise(ballot(1, 0), 1, vec![]));
    }
    receive(&mut core, 2, promise(ballot(2, 0), 1, vec![]));
    assert_eq!(core.status().leader, None, "one replica promised, however often it says so");
    receive(&mut core, 2, promise(ballot(1, 0), 1, vec![]));
    assert_eq!(core.status().leader, Some(r(0)));

    step(&mut core, Input::Propose(write(1, 1)));
    for message in [accepted(ballot(1, 0), 1), accepted(ballot(1, 0), 1)] {
        assert_eq!(commits(&receive(&mut core, 1, message)), []);
    }
    assert_eq!(commits(&receive(&mut core, 2, accepted(ballot(0, 0), 1))), [], "another ballot");
    let effects = receive(&mut core, 3, accepted(ballot(1, 0), 1));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Slow)]);
    assert_eq!(commits(&receive(&mut core, 4, accepted(ballot(1, 0), 1))), [], "once only");
}

#[test]
fn slots_commit_in_any_order_and_execute_in_one() {
    let mut core = leader(3);
    for index in 1..=3 {
        step(&mut core, Input::Propose(write(1, index)));
    }
    let effects = receive(&mut core, 1, accepted(ballot(1, 0), 3));
    assert_eq!((commits(&effects).len(), executions(&effects)), (1, vec![]));
    receive(&mut core, 1, accepted(ballot(1, 0), 2));
    let effects = receive(&mut core, 2, accepted(ballot(1, 0), 1));
    assert_eq!(executions(&effects), [1, 2, 3]);
}

/// The leader's commit index vouches for what the leader proposed, not for what an older one did.
#[test]
fn commit_index_over_an_entry_of_an_older_ballot_is_asked_about() {
    let mut core = new(2, 3);
    receive(&mut core, 0, accept(ballot(1, 0), 1, write(1, 1), 0));
    let effects = receive(&mut core, 1, heartbeat(ballot(2, 1), 1));
    assert_eq!(commits(&effects), []);
    assert!(messages(&effects).contains(&Message::Fetch {
        first: 1,
        last: 1,
        bytes_max: 64 << 10
    }));
    let decided = Message::Decided { first: 1, batches: vec![write(2, 1)] };
    let effects = receive(&mut core, 1, decided);
    assert_eq!(commits(&effects), [(1, write(2, 1), Path::Learned)]);
    let changed = Record::Decided { slot: 1, batch: write(2, 1) };
    assert_eq!(records(&effects).0, [changed], "it is not what the records say was accepted");
}

#[test]
fn commit_index_reaches_entries_of_its_own_ballot_whatever_comes_first() {
    let mut core = new(2, 3);
    let at = ballot(1, 0);
    receive(&mut core, 0, accept(at, 2, write(1, 2), 0));
    let effects = receive(&mut core, 0, heartbeat(at, 2));
    assert_eq!(commits(&effects), [(2, write(1, 2), Path::Learned)]);
    assert_eq!(executions(&effects), [], "slot 1 is missing");
    let effects = receive(&mut core, 0, accept(at, 1, write(1, 1), 0));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Learned)]);
    assert_eq!(executions(&effects), [1, 2]);
}

#[test]
fn a_second_vote_of_one_replica_decides_nothing() {
    let mut core = leader(5);
    let at = ballot(1, 0);
    step(&mut core, Input::Propose(write(1, 1)));
    for _ in 0..3 {
        assert_eq!(commits(&receive(&mut core, 1, accepted(at, 1))), [], "two of five");
    }
    assert_eq!(commits(&receive(&mut core, 2, accepted(at, 1))).len(), 1);
}

#[test]
fn the_commit_index_goes_with_accepts_by_itself_and_with_heartbeats() {
    let mut core = leader(3);
    let at = ballot(1, 0);
    step(&mut core, Input::Propose(write(1, 1)));
    let sent = messages(&receive(&mut core, 1, accepted(at, 1)));
    assert_eq!(sent, [Message::Commit { ballot: at, commit: 1, collect: 0 }], "at the flush");
    assert_eq!(messages(&step(&mut core, Input::Flush)), [], "once");
    let sent = messages(&step(&mut core, Input::Propose(write(1, 2))));
    assert_eq!(sent, [accept(at, 2, write(1, 2), 1)]);
    let sent = messages(&step(&mut core, Input::Timer(Timer::Heartbeat)));
    let [Message::Heartbeat { ballot, commit: 1, .. }] = sent[..] else { panic!("{sent:?}") };
    assert_eq!(ballot, at);

    // An Accept that leaves after the commit, in the same flush, brings the index.
    let mut effects = protocols::Effects::default();
    core.step(Input::Message { from: r(1), message: accepted(at, 2) }, &mut effects);
    core.step(Input::Propose(write(1, 3)), &mut effects);
    core.step(Input::Flush, &mut effects);
    let all: Vec<_> = effects.drain().collect();
    assert_eq!(messages(&all), [accept(at, 3, write(1, 3), 2)]);
}

#[test]
fn what_others_rely_on_is_persisted_before_it_is_sent() {
    let mut core = new(0, 3);
    let effects = step(&mut core, Input::Start);
    assert_eq!(records(&effects), (vec![Record::Promised(ballot(1, 0))], 1), "before Prepare");
    receive(&mut core, 1, promise(ballot(1, 0), 1, vec![]));
    let effects = step(&mut core, Input::Propose(write(1, 1)));
    assert_eq!(records(&effects).1, 1, "the own vote before Accept");

    let mut core = new(1, 3);
    let prepare = Message::Prepare { ballot: ballot(1, 0), first: 1 };
    let effects = receive(&mut core, 0, prepare.clone());
    assert_eq!(records(&effects), (vec![Record::Promised(ballot(1, 0))], 1), "before Promise");
    let effects = receive(&mut core, 0, prepare);
    assert_eq!(messages(&effects).len(), 1, "a repeated Prepare gets its Promise again");
    let message = accept(ballot(1, 0), 1, write(1, 1), 0);
    let effects = receive(&mut core, 0, message.clone());
    let batch = write(1, 1);
    let record = Record::Accepted { slot: 1, ballot: ballot(1, 0), batch, executed: 0 };
    assert_eq!(records(&effects), (vec![record], 1), "before Accepted");
    let effects = receive(&mut core, 0, message);
    assert_eq!(messages(&effects), [accepted(ballot(1, 0), 1)], "again, and nothing more");
    assert_eq!(records(&effects).0, []);
}

#[test]
fn nothing_below_the_promise_is_answered_but_with_the_promise() {
    let mut core = new(2, 3);
    receive(&mut core, 1, Message::Prepare { ballot: ballot(3, 1), first: 1 });
    let stale = [
        Message::Prepare { ballot: ballot(2, 0), first: 1 },
        accept(ballot(2, 0), 1, write(1, 1), 0),
        heartbeat(ballot(2, 0), 0),
    ];
    for message in stale {
        let effects = receive(&mut core, 0, message);
        assert_eq!(messages(&effects), [Message::Refuse { promised: ballot(3, 1) }]);
        assert_eq!(records(&effects).0, []);
    }
    assert_eq!(core.status().held, 0, "nothing was accepted");
}

/// The replica led ballot 1, promised ballot 2, accepted something and died.
#[test]
fn a_restarted_replica_keeps_its_promise_and_not_its_leadership() {
    let log = vec![
        Record::Promised(ballot(1, 0)),
        Record::Accepted { slot: 1, ballot: ballot(1, 0), batch: write(1, 1), executed: 0 },
        Record::Accepted { slot: 2, ballot: ballot(1, 0), batch: write(1, 2), executed: 1 },
        Record::Promised(ballot(2, 1)),
    ];
    let recover = || MultiPaxos::recover(r(0), &Config::new(3), None, log.clone());
    let mut core = recover();
    let effects = step(&mut core, Input::Start);
    assert_eq!(executions(&effects), [1], "what the records know to be executed");
    assert_eq!(messages(&effects), [], "it waits for a leader");
    let refused = receive(&mut core, 2, Message::Prepare { ballot: ballot(1, 2), first: 1 });
    assert_eq!(messages(&refused), [Message::Refuse { promised: ballot(2, 1) }]);
    assert_eq!(commits(&receive(&mut core, 1, accepted(ballot(1, 0), 2))), []);
    let prepare = Message::Prepare { ballot: ballot(3, 2), first: 1 };
    let [Message::Promise(promise)] = &messages(&receive(&mut core, 2, prepare))[..] else {
        panic!("a promise");
    };
    let known: Vec<_> = promise.entries.iter().map(|e| (e.slot, e.ballot, e.decided)).collect();
    assert_eq!(known, [(1, ballot(1, 0), true), (2, ballot(1, 0), false)]);

    let mut core = recover();
    step(&mut core, Input::Start);
    let sent = messages(&campaign(&mut core));
    assert_eq!(sent, [Message::Prepare { ballot: ballot(3, 0), first: 2 }], "a ballot never led");
}

/// Who hears nobody for so long asks who else does.
fn said_in_two_timeouts(core: &mut MultiPaxos) -> Vec<Message> {
    let timeouts = [(); 2].map(|()| messages(&step(core, Input::Timer(Timer::Election))));
    timeouts.concat()
}

/// Seed 39 of the hostile schedules, with seven replicas: whoever had told all of its long promise heard nothing more from
/// the candidate, which was busy with the others, and campaigned itself. Of ten elections none ended.
#[test]
fn whose_promise_is_whole_is_told_that_the_candidate_gets_on() {
    let config = Config { piece_bytes_max: 200, ..Config::new(5) };
    let mut acceptor = MultiPaxos::recover(r(1), &config, None, []);
    let mut candidate = MultiPaxos::recover(r(2), &config, None, []);
    for slot in 1..=3 {
        receive(&mut acceptor, 0, accept(ballot(1, 0), slot, write(1, slot), 0));
    }
    let at = ballot(1, 2);
    let mut prepare = messages(&campaign(&mut candidate)).remove(0);
    receive(&mut candidate, 1, messages(&receive(&mut acceptor, 2, prepare)).remove(0));
    for first in 2..6 {
        // A further piece of another's promise.
        let piece = Promise {
            ballot: at,
            first: first - 1,
            entries: Vec::new(),
            next: Some(first),
            discarded: 0,
        };
        receive(&mut candidate, 3, Message::Promise(piece));
        let sent = sends(&step(&mut candidate, Input::Timer(Timer::Retransmit)));
        let to_1 = sent.into_iter().find(|(to, _)| to.contains(r(1)));
        prepare = to_1.expect("the candidate gets on").1;
        let answer = messages(&receive(&mut acceptor, 2, prepare)).remove(0);
        let Message::Promise(promise) = &answer else { panic!("{answer:?}") };
        assert_eq!((promise.entries.len(), promise.next), (0, None), "nothing is told again");
        assert_eq!(said_in_two_timeouts(&mut acceptor), []);
    }
    let sent = sends(&step(&mut candidate, Input::Timer(Timer::Retransmit)));
    assert!(sent.iter().all(|(to, _)| !to.contains(r(1))), "nothing came meanwhile: {sent:?}");
}

#[test]
fn a_promise_comes_in_pieces_that_are_asked_for_one_by_one() {
    let config = Config { piece_bytes_max: 200, ..Config::new(3) };
    let mut acceptor = MultiPaxos::recover(r(1), &config, None, []);
    let mut candidate = MultiPaxos::recover(r(2), &config, None, []);
    for slot in 1..=10 {
        receive(&mut acceptor, 0, accept(ballot(1, 0), slot, write(1, slot), 0));
    }
    receive(&mut candidate, 0, heartbeat(ballot(1, 0), 0));
    let mut sent = messages(&campaign(&mut candidate));
    let mut pieces = 0;
    while let [prepare @ Message::Prepare { .. }] = &sent[..] {
        let promise = messages(&receive(&mut acceptor, 2, prepare.clone())).remove(0);
        assert_eq!(candidate.status().leader, None, "before the promise is whole");
        sent = messages(&receive(&mut candidate, 1, promise.clone()));
        if !sent.is_empty() && matches!(sent[0], Message::Prepare { .. }) {
            assert_eq!(messages(&receive(&mut candidate, 1, promise)), [], "a repeated piece");
        }
        pieces += 1;
    }
    assert!(pieces > 2, "{pieces} pieces");
    let expected: Vec<_> = (1..=10).map(|slot| (slot, write(1, slot))).collect();
    assert_eq!(proposals(&sent), expected);
}

/// Found by the soak with pieces of 200 bytes: candidates began again before their promises were whole, for ever.
#[test]
fn a_candidate_whose_promises_keep_coming_does_not_begin_again() {
    let config = Config { piece_bytes_max: 200, ..Config::new(3) };
    let mut acceptor = MultiPaxos::recover(r(1), &config, None, []);
    let mut candidate = MultiPaxos::recover(r(2), &config, None, []);
    for slot in 1..=20 {
        receive(&mut acceptor, 0, accept(ballot(1, 0), slot, write(1, slot), 0));
    }
    receive(&mut candidate, 0, heartbeat(ballot(1, 0), 0));
    let mut prepare = messages(&campaign(&mut candidate)).remove(0);
    for _ in 0..3 {
        let promise = messages(&receive(&mut acceptor, 2, prepare)).remove(0);
        prepare = messages(&receive(&mut candidate, 1, promise)).remove(0);
        assert_eq!(said_in_two_timeouts(&mut candidate), []);
        receive(&mut acceptor, 2, prepare.clone());
        assert_eq!(said_in_two_timeouts(&mut acceptor), [], "nor does another disturb it");
    }
    let sent = messages(&campaign(&mut candidate));
    assert!(matches!(sent[..], [Message::Prepare { first: 1, .. }]), "silence: {sent:?}");
}
