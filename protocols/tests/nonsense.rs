//! What a certified peer may say that no replica which keeps to the protocol does: slots and ballots far above all that is
//! known, proposals in another's name. It must not cost memory, nor use up the numbers, nor end the process; and a replica
//! that merely lags must not be taken for one that talks nonsense.

mod support;

use protocols::{
    Batch, Config, Dependencies, Input, InstanceId, Replica, ReplicaSet, Slot,
    ballot::{BALLOTS_AHEAD_MAX, Ballot, InstanceBallot},
    epaxos::{self, EPaxos, Phase, Variant},
    multi_paxos::{self, MultiPaxos, Promise, PromisedEntry},
    paxos::{self, Paxos},
};
use support::{
    hand::{messages, receive, step},
    r, write,
};

/// A slot that nobody will ever come to.
const FAR: Slot = 1 << 60;

fn new<R: Replica>(id: u8, replicas: usize) -> R {
    let mut core = R::recover(r(id), &Config::new(replicas), None, []);
    step(&mut core, Input::Start);
    core
}

/// Replica 0 of three hears each message from replica 1, and neither holds nor answers anything.
fn ignores<R: Replica>(nonsense: Vec<R::Message>) {
    for message in nonsense {
        let mut core = new::<R>(0, 3);
        let before = core.status().held;
        let effects = receive(&mut core, 1, message.clone());
        assert_eq!(messages(&effects), [], "{message:?}");
        assert_eq!(core.status().held, before, "{message:?}");
    }
}

fn ballots(known: u64) -> [Ballot; 2] {
    [known + 1 + BALLOTS_AHEAD_MAX, u64::MAX].map(|round| Ballot { round, leader: r(1) })
}

#[test]
fn paxos_ignores_far_slots_and_far_ballots() {
    let near = Ballot { round: 1, leader: r(1) };
    ignores::<Paxos>(vec![
        paxos::Message::Prepare { slot: FAR, ballot: near },
        paxos::Message::Accept { slot: FAR, ballot: near, batch: write(1, 1) },
        paxos::Message::Commit { slot: FAR, ballot: near },
        paxos::Message::Decided { first: FAR, batches: vec![write(1, 1)] },
    ]);
    for ballot in ballots(1) {
        ignores::<Paxos>(vec![
            paxos::Message::Prepare { slot: 1, ballot },
            paxos::Message::Accept { slot: 1, ballot, batch: write(1, 1) },
        ]);
        let mut core = new::<Paxos>(0, 3);
        step(&mut core, Input::Propose(write(1, 1)));
        let own = Ballot { round: 1, leader: r(0) };
        let refuse = paxos::Message::Refuse { slot: 1, ballot: own, promised: ballot };
        receive(&mut core, 1, refuse);
        let sent = messages(&step(&mut core, Input::Timer(paxos::Timer::BackOff)));
        assert_eq!(sent, [], "it gave way to nobody");
    }
}

#[test]
fn paxos_ignores_proposals_at_a_ballot_that_another_leads() {
    let mut core = new::<Paxos>(0, 3);
    step(&mut core, Input::Propose(write(1, 1)));
    let own = Ballot { round: 1, leader: r(0) };
    receive(&mut core, 2, paxos::Message::Promise { slot: 1, ballot: own, accepted: None });
    for forged in [
        paxos::Message::Prepare { slot: 1, ballot: own },
        paxos::Message::Accept { slot: 1, ballot: own, batch: write(9, 9) },
    ] {
        assert_eq!(receive(&mut core, 1, forged), []);
    }
}

#[test]
fn multi_paxos_ignores_far_slots_and_far_ballots() {
    let near = Ballot { round: 1, leader: r(1) };
    let accept = |ballot, slot| multi_paxos::Message::Accept {
        ballot,
        slot,
        batch: write(1, 1),
        commit: 0,
        collect: 0,
    };
    ignores::<MultiPaxos>(vec![
        accept(near, FAR),
        multi_paxos::Message::Decided { first: FAR, batches: vec![write(1, 1)] },
    ]);
    for ballot in ballots(1) {
        ignores::<MultiPaxos>(vec![
            accept(ballot, 1),
            multi_paxos::Message::Prepare { ballot, first: 1 },
            multi_paxos::Message::Heartbeat {
                ballot,
                commit: 0,
                collect: 0,
                beat: 1,
                heard: ReplicaSet::EMPTY,
            },
        ]);
        let mut core = new::<MultiPaxos>(0, 3);
        receive(&mut core, 1, multi_paxos::Message::Refuse { promised: ballot });
        for _ in 0..2 {
            step(&mut core, Input::Timer(multi_paxos::Timer::Election));
        }
        let granted = |promised| multi_paxos::Message::PreVoteGranted { poll: 1, promised };
        assert_eq!(receive(&mut core, 1, granted(ballot)), []);
        let sent = messages(&receive(&mut core, 1, granted(Ballot::ZERO)));
        let next = Ballot { round: 2, leader: r(0) };
        assert_eq!(sent, [multi_paxos::Message::Prepare { ballot: next, first: 1 }]);
    }
}

fn promise(entries: &[(Slot, Batch)], discarded: Slot) -> Promise {
    let ballot = Ballot::ZERO;
    let entries = entries.iter().map(|(slot, batch)| PromisedEntry {
        slot: *slot,
        ballot,
        decided: false,
        batch: batch.clone(),
    });
    let ballot = Ballot { round: 1, leader: r(0) };
    Promise { ballot, first: 1, entries: entries.collect(), next: None, discarded }
}

/// Left out, the far entry would be a slot in which nothing was accepted: the promise as a whole is worth nothing.
#[test]
fn multi_paxos_counts_no_promise_with_a_slot_out_of_reach() {
    let mut core = new::<MultiPaxos>(0, 3);
    let far = promise(&[(1, write(1, 1)), (FAR, write(1, 2))], 0);
    receive(&mut core, 1, multi_paxos::Message::Promise(far));
    assert_eq!(core.status().leader, None);
    let near = promise(&[(1, write(1, 1))], 0);
    receive(&mut core, 2, multi_paxos::Message::Promise(near));
    assert_eq!(core.status().leader, Some(r(0)));
}

/// The acceptor discarded a million slots that the candidate lacks: that is no nonsense, and asks for a snapshot.
#[test]
fn multi_paxos_takes_a_promise_from_far_ahead_if_it_says_what_is_discarded() {
    let mut core = new::<MultiPaxos>(0, 3);
    let discarded = 1_000_000_000;
    let ahead = promise(&[(discarded + 1, write(1, 1))], discarded);
    let sent = messages(&receive(&mut core, 1, multi_paxos::Message::Promise(ahead)));
    assert_eq!(
        sent,
        [multi_paxos::Message::Fetch { first: 1, last: discarded, bytes_max: 64 << 10 }]
    );
    assert_eq!(core.status().leader, None, "not before it has caught up");
}

#[test]
fn a_promise_whose_slots_are_in_no_order_is_not_admissible() {
    let proper = promise(&[(1, write(1, 1)), (3, write(1, 2))], 0);
    let admissible = |promise: &Promise| {
        MultiPaxos::admissible(&multi_paxos::Message::Promise(promise.clone()), 3)
    };
    assert!(admissible(&proper));
    let twice = promise(&[(3, write(1, 1)), (3, write(1, 2))], 0);
    let standing_still = Promise { next: Some(3), ..proper.clone() };
    let before_the_first = Promise { first: 2, ..proper };
    for promise in [twice, standing_still, before_the_first] {
        assert!(!admissible(&promise), "{promise:?}");
    }
    let wrapping = multi_paxos::Message::Decided { first: Slot::MAX, batches: vec![write(1, 1)] };
    assert!(!MultiPaxos::admissible(&wrapping, 3));
    let wrapping = paxos::Message::Decided { first: Slot::MAX, batches: vec![write(1, 1)] };
    assert!(!Paxos::admissible(&wrapping, 3));
}

#[test]
fn epaxos_ignores_far_slots_and_far_ballots() {
    let none = || Dependencies::none(3);
    let far = InstanceId::new(r(1), FAR);
    let batch = || write(1, 1);
    ignores::<EPaxos>(vec![
        epaxos::Message::PreAccept { instance: far, batch: batch(), dependencies: none() },
        epaxos::Message::Accept {
            instance: far,
            ballot: InstanceBallot::INITIAL,
            batch: batch(),
            dependencies: none(),
        },
        epaxos::Message::Commit { instance: far, batch: Some(batch()), dependencies: Some(none()) },
        epaxos::Message::Recover { instance: far, ballot: InstanceBallot(2) },
        epaxos::Message::Waiting { instance: far, matching: 1 },
    ]);
    // Replicas of the published variant hear these, too.
    let with_seq = |seq| {
        let mut none = Dependencies::none_with_seq(3);
        none.raise_seq(seq);
        none
    };
    let again = |instance, ballot| epaxos::Message::PreAcceptAgain {
        instance,
        ballot: InstanceBallot(ballot),
        batch: batch(),
        dependencies: with_seq(1),
    };
    let published = Config::new(3).with(Variant::Sosp13);
    let near = InstanceId::new(r(1), 1);
    for message in [again(far, 0), again(near, 2 + 3 * BALLOTS_AHEAD_MAX), again(near, 1)] {
        let mut core = EPaxos::recover(r(0), &published, None, []);
        assert_eq!(receive(&mut core, 1, message), []);
        assert_eq!(core.status().held, 0);
    }
    // The highest sequence number there is has no next one: what comes after has the same.
    let mut core = EPaxos::recover(r(0), &published, None, []);
    let dependencies = with_seq(u64::MAX);
    let proposal = epaxos::Message::PreAccept { instance: near, batch: batch(), dependencies };
    assert_ne!(receive(&mut core, 1, proposal), []);
    let sent = messages(&step(&mut core, Input::Propose(batch())));
    let [epaxos::Message::PreAccept { dependencies, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(dependencies.seq(), Some(u64::MAX));
    // Ballots of replica 1 of three: 2, 5, 8 …
    let instance = InstanceId::new(r(2), 1);
    for ballot in [2 + 3 * BALLOTS_AHEAD_MAX, u64::MAX - 1].map(InstanceBallot) {
        ignores::<EPaxos>(vec![
            epaxos::Message::Recover { instance, ballot },
            epaxos::Message::Accept { instance, ballot, batch: batch(), dependencies: none() },
            epaxos::Message::Refused { instance, ballot },
        ]);
    }
}

/// An answer to Validate may name any instance: a recovery that then waits for it makes no room up to there.
#[test]
fn epaxos_waits_for_a_far_instance_without_making_room_for_it() {
    let mut core = new::<EPaxos>(2, 5);
    let instance = InstanceId::new(r(0), 1);
    let on = || Dependencies::none(5);
    let pre_accept =
        epaxos::Message::PreAccept { instance, batch: write(1, 1), dependencies: on() };
    receive(&mut core, 0, pre_accept);
    let sent = messages(&step(&mut core, Input::Timer(epaxos::Timer::Row(r(0)))));
    let [epaxos::Message::Recover { ballot, .. }] = sent[..] else { panic!("{sent:?}") };
    let report = epaxos::Report {
        phase: Phase::PreAccepted,
        accepted_ballot: InstanceBallot::INITIAL,
        batch: write(1, 1),
        dependencies: on(),
        initial_dependencies: Some(on()),
    };
    for from in [3, 4] {
        let report = Box::new(report.clone());
        receive(&mut core, from, epaxos::Message::RecoverOk { instance, ballot, report });
    }
    let against = |other| vec![(other, Phase::PreAccepted)];
    for from in [3, 4] {
        let against = against(InstanceId::new(r(1), FAR));
        receive(&mut core, from, epaxos::Message::ValidateOk { instance, ballot, against });
    }
    assert_eq!(core.status().held, 1);
}
