//! The published variant: the fixed fast quorum, identical replies, widening, and its recovery.

use protocols::{
    Config, Path, Replica, ReplicaId,
    ballot::InstanceBallot,
    epaxos::{Message, Phase, Timer, Variant},
};

use crate::{
    net::{Envelope, Net, and, id, is, link, to},
    support::{net::Decision, r},
};

/// The fixed fast quorums are those of the next numbers: of r0 with three replicas {r0, r1}, with five {r0, r1, r2, r3}.
fn published(replicas: usize) -> Net {
    Net::with(Config::new(replicas).with(Variant::Sosp13))
}

fn row(replica: u8) -> Timer {
    Timer::Row(ReplicaId(replica))
}

fn from(replica: u8) -> impl Fn(&Envelope) -> bool {
    move |envelope| envelope.from == r(replica)
}

#[test]
fn a_proposal_goes_to_the_fixed_fast_quorum_alone() {
    for (replicas, members) in [(3, 1), (5, 3), (7, 5)] {
        let mut net = published(replicas);
        let a = net.put(0, "k");
        assert_eq!(net.flight.len(), members);
        net.deliver(is("PreAccept"));
        for member in 1..=members {
            assert!(!net.has_committed(0, a), "{member} of {members}");
            net.deliver(link(u8::try_from(member).unwrap(), 0));
        }
        assert_eq!(net.decision(0, a).path, Path::Fast);
        net.deliver_all();
        let last = u8::try_from(replicas - 1).unwrap();
        assert_eq!(net.decision(last, a).path, Path::Learned, "who was not asked is told");
        net.come_to_rest();
    }
}

/// Every member knows a conflicting command that the owner does not: that is no reason for a second round trip. The decision
/// is more than what was proposed, so that the Commit has to carry it.
#[test]
fn identical_replies_commit_whatever_was_proposed() {
    let mut net = published(5);
    let b = net.put(1, "k");
    net.deliver(and(is("PreAccept"), to(&[2, 3])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), from(0)));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    let Decision { dependencies: on, path, .. } = net.decision(0, a);
    assert_eq!((on.slots(), on.seq(), *path), (&[0, 1, 0, 0, 0][..], Some(2), Path::Fast));
    assert_eq!(net.deliver(and(is("Commit"), from(0))), 4);
    assert!(!net.flight.iter().any(|e| is("Ask")(e)), "nobody lacks anything");
    for replica in 1..5 {
        assert_eq!(net.decision(replica, a).dependencies, net.decision(0, a).dependencies);
    }
    net.come_to_rest();
    assert!(
        net.decision(0, b).dependencies.contain(a),
        "the last member of b's fast quorum heard of a first"
    );
    for replica in 0..5 {
        assert_eq!(net.order(replica), [a, b], "by their sequence numbers");
    }
}

#[test]
fn replies_that_differ_make_a_second_round_once_all_are_there() {
    let mut net = published(5);
    let b = net.put(4, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), from(0)));
    for member in [1, 2] {
        net.deliver(link(member, 0));
    }
    assert!(!net.flight.iter().any(|e| is("Accept")(e)), "a majority is no fast quorum");
    net.deliver(and(is("PreAcceptOk"), link(3, 0)));
    assert_eq!(net.flight.iter().filter(|e| is("Accept")(e)).count(), 4, "to all");
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
    assert!(net.decision(0, a).dependencies.contain(b));
    net.come_to_rest();
}

/// With three replicas there is one reply, which is identical to itself.
#[test]
fn three_replicas_commit_fast_whatever_conflicts() {
    let mut net = published(3);
    let all = [0, 1, 2].map(|replica| net.put(replica, "k"));
    net.deliver(is("PreAccept"));
    net.deliver(is("PreAcceptOk"));
    for (replica, instance) in (0..).zip(all) {
        assert_eq!(net.decision(replica, instance).path, Path::Fast);
    }
    net.come_to_rest();
    assert_eq!(net.order(0).len(), 3);
    assert_eq!((net.order(0), net.order(1)), (net.order(1), net.order(2)));
}

/// Each in the other's dependencies: the one with the lower sequence number is executed first, though its row is the higher.
#[test]
fn a_cycle_is_executed_by_sequence_numbers() {
    let mut net = published(3);
    let (a, b) = (net.put(0, "k"), net.put(2, "k"));
    net.deliver(and(is("PreAccept"), link(2, 0)));
    net.deliver(and(is("PreAcceptOk"), link(0, 2)));
    net.deliver(and(is("Commit"), link(2, 1))); // So r1 knows b before it hears of a.
    net.deliver_all();
    let [on_a, on_b] = [a, b].map(|instance| net.decision(1, instance).dependencies.clone());
    assert!(on_a.contain(b) && on_b.contain(a), "{on_a:?} {on_b:?}");
    assert!(on_b.seq() < on_a.seq(), "{on_a:?} {on_b:?}");
    net.come_to_rest();
    for replica in 0..3 {
        assert_eq!(net.order(replica), [b, a]);
    }
}

/// N = 5: the owner and a member of its fast quorum crash right after a fast commit that a client saw and nobody else, with
/// more dependencies than were proposed. F = 2 identical reports are left.
#[test]
fn a_fast_commit_seen_by_a_client_alone_is_recovered() {
    let mut net = published(5);
    net.put(1, "k");
    net.deliver(and(is("PreAccept"), to(&[2, 3])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), from(0)));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    let fast = net.decision(0, a).clone();
    assert_eq!((fast.dependencies.slots(), fast.path), (&[0, 1, 0, 0, 0][..], Path::Fast));
    for replica in [0, 1] {
        net.crash(replica);
    }
    net.lose(|_| true);
    net.put(4, "k"); // Which conflicts, and knows nothing of a.
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver_all();
    for replica in 2..5 {
        let Decision { batch, dependencies: on, .. } = net.decision(replica, a);
        assert_eq!((batch, on), (&fast.batch, &fast.dependencies));
    }
    net.start(0);
    net.start(1);
    net.come_to_rest();
}

/// One report of two that a fast commit would have left: phase 1 begins again, at the recovery's ballot, and what conflicts
/// at a majority by now is depended on.
#[test]
fn fewer_than_f_identical_reports_begin_phase_1_again() {
    let mut net = published(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[2])));
    net.crash(0);
    net.lose(|_| true);
    let b = net.put(4, "k");
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver(and(is("Recover"), to(&[3, 4])));
    net.deliver(is("RecoverOk"));
    assert!(!net.flight.iter().any(|e| is("Accept")(e)));
    assert_eq!(net.deliver(and(is("PreAcceptAgain"), to(&[3, 4]))), 2);
    net.deliver(is("PreAcceptAgainOk"));
    net.deliver(and(is("Accept"), to(&[3, 4])));
    net.deliver(is("AcceptOk"));
    let Decision { batch, dependencies: on, path } = net.decision(2, a);
    assert!(!batch.is_noop() && on.contain(b), "{on:?}");
    assert_eq!(*path, Path::Recovered);
    net.come_to_rest();
}

/// The owner has promised without having committed. It never will, so that its command need not become a no-op: phase 1 begins
/// again with it.
#[test]
fn a_live_owner_in_the_quorum_keeps_its_command() {
    let mut net = published(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    let late = net.flight.iter().find(|e| is("PreAcceptOk")(e)).unwrap().clone();
    net.lose(|_| true);
    net.fire(1, row(0));
    net.deliver(and(is("Recover"), to(&[0])));
    net.hand_over(late);
    assert!(!net.has_committed(0, a), "the promise stands against it");
    net.deliver_all();
    assert!(!net.decision(1, a).batch.is_noop());
    net.come_to_rest();
    assert_eq!(net.order(2), [a]);
}

/// Nobody in the quorum knows the command. Its live owner proposes it again.
#[test]
fn what_nobody_knows_becomes_a_no_op_and_is_proposed_again() {
    let mut net = published(3);
    let a = net.put(0, "j");
    net.lose(|_| true);
    let b = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.lose(|_| true);
    // r1 has heard of the second slot, so that the first exists.
    for _ in 0..2 {
        net.fire(1, row(0));
    }
    net.deliver(and(is("Recover"), to(&[2])));
    net.deliver(and(is("RecoverOk"), to(&[1])));
    net.deliver(|e| e.to != r(0));
    net.deliver(|e| e.to != r(0));
    assert!(net.decision(1, a).batch.is_noop());
    net.come_to_rest();
    assert_eq!(net.order(1).len(), 2, "{:?} and {b}", net.order(1));
}

/// N = 3: r1's answer is under way and r2 is asked, too: two pre-accepts with different dependencies stand. r0 gets r2's
/// accepted, commits, and dies. r1's own is a part of what could have been a fast path; what is accepted comes first.
#[test]
fn what_was_chosen_after_widening_is_recovered_beside_another_pre_accept() {
    let mut net = published(3);
    net.put(1, "k");
    net.lose(|_| true);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.fire(0, Timer::FastQuorum);
    net.deliver(and(is("PreAcceptAgain"), link(0, 2)));
    net.deliver(and(is("PreAcceptAgainOk"), link(2, 0)));
    assert!(!net.has_committed(0, a), "no fast path any more");
    net.deliver(and(is("Accept"), link(0, 2)));
    net.deliver(and(is("AcceptOk"), link(2, 0)));
    let slow = net.decision(0, a).clone();
    assert_eq!((slow.dependencies.slots(), slow.path), (&[0, 0, 0][..], Path::Slow));
    net.crash(0);
    net.lose(|_| true);
    net.fire(1, row(0));
    net.deliver_all();
    for replica in [1, 2] {
        assert_eq!(net.decision(replica, a).dependencies, slow.dependencies);
    }
    net.start(0);
    net.come_to_rest();
}

/// N = 3, the same two pre-accepts, and the owner dies before it decides: what widening stored is no part of a fast path, r1's
/// is. Alone, what widening stored is not chosen as it is.
#[test]
fn what_widening_stored_does_not_count() {
    for member_knows in [true, false] {
        let mut net = published(3);
        net.put(1, "k");
        net.lose(|_| true);
        let a = net.put(0, "k");
        if member_knows {
            net.deliver(and(is("PreAccept"), link(0, 1)));
        }
        net.lose(is("PreAccept"));
        net.fire(0, Timer::FastQuorum);
        net.deliver(and(is("PreAcceptAgain"), link(0, 2)));
        net.crash(0);
        net.lose(|_| true);
        net.fire(2, row(0));
        net.deliver(and(is("Recover"), link(2, 1)));
        net.deliver(and(is("RecoverOk"), link(1, 2)));
        let sent = |kind: &str| net.flight.iter().filter(|e| is(kind)(e)).count();
        assert_eq!(sent("Accept") > 0, member_knows);
        assert_eq!(sent("PreAcceptAgain") > 0, !member_knows);
        net.deliver_all();
        assert_eq!(net.decision(2, a).dependencies.slots(), [0, 1, 0], "as r1 has it");
        net.come_to_rest();
    }
}

/// After widening every answer is one of any majority, once per sender, whichever request it answers.
#[test]
fn late_and_repeated_replies_after_widening_make_no_fast_path() {
    let mut net = published(5);
    let a = net.put(0, "k");
    net.deliver(is("PreAccept"));
    net.deliver(and(is("PreAcceptOk"), link(1, 0)));
    let late: Vec<_> = net.flight.drain(..).collect();
    net.fire(0, Timer::FastQuorum);
    assert_eq!(net.flight.iter().filter(|e| is("PreAcceptAgain")(e)).count(), 3);
    net.deliver(and(is("PreAcceptAgain"), to(&[2])));
    let again = net.flight.iter().find(|e| is("PreAcceptAgainOk")(e)).unwrap().clone();
    let Message::PreAcceptAgainOk { dependencies, .. } = &again.message else { panic!() };
    assert_eq!(dependencies.slots(), [0; 5], "the stored ones");
    net.lose(is("PreAcceptAgainOk"));
    let of_two = late.iter().find(|e| e.from == r(2)).unwrap().clone();
    for envelope in [of_two.clone(), again, of_two] {
        net.hand_over(envelope);
    }
    assert!(!net.has_committed(0, a));
    assert_eq!(net.flight.iter().filter(|e| is("Accept")(e)).count(), 4, "r0, r1, r2: a majority");
    net.hand_over(late.iter().find(|e| e.from == r(3)).unwrap().clone());
    assert!(!net.has_committed(0, a), "all of the fixed fast quorum have answered, too late");
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
    net.come_to_rest();
}

/// The original proposal comes after what widening sent: it is answered with what is held, and does not count any more.
#[test]
fn a_proposal_overtaken_by_widening_counts_no_more() {
    let mut net = published(3);
    let a = net.put(0, "k");
    let original = net.flight.pop_back().unwrap();
    net.fire(0, Timer::FastQuorum);
    net.deliver(and(is("PreAcceptAgain"), link(0, 1)));
    net.lose(|_| true);
    net.put(1, "k");
    net.lose(|_| true);
    net.hand_over(original);
    let [Envelope { message: Message::PreAcceptAgainOk { ballot, dependencies, .. }, .. }] =
        net.in_flight()
    else {
        panic!("{:?}", net.flight)
    };
    assert_eq!((*ballot, dependencies.slots()), (InstanceBallot::INITIAL, &[0, 0, 0][..]));
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
    net.come_to_rest();
}

/// An owner that widened with a majority at hand needs to ask nobody.
#[test]
fn a_majority_at_hand_ends_widening_at_once() {
    let mut net = published(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2])));
    net.deliver(is("PreAcceptOk"));
    net.fire(0, Timer::FastQuorum);
    assert!(!net.flight.iter().any(|e| is("PreAcceptAgain")(e)));
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
    net.come_to_rest();
}

/// What is lost is sent again, to all others, until a majority has answered.
#[test]
fn widening_is_sent_again() {
    let mut net = published(5);
    let a = net.put(0, "k");
    net.fire(0, Timer::FastQuorum);
    net.fire(0, Timer::Retransmit); // It was set before there was anything to wait for.
    for _ in 0..3 {
        net.lose(|_| true);
        net.fire(0, Timer::Retransmit);
        assert_eq!(net.flight.iter().filter(|e| is("PreAcceptAgain")(e)).count(), 4);
    }
    net.deliver_all();
    assert_eq!(net.decision(4, a).path, Path::Learned);
    net.come_to_rest();
}

/// Who holds the command only because it accepted it needs not be sent it once more.
#[test]
fn a_short_commit_is_enough_for_who_accepted() {
    let mut net = published(5);
    net.put(4, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), from(0)));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    net.deliver(and(is("Accept"), to(&[1, 4])));
    net.deliver(and(is("AcceptOk"), to(&[0])));
    net.deliver(and(is("Commit"), link(0, 4)));
    assert!(net.has_committed(4, a), "without asking");
    net.come_to_rest();
}

/// A restarted owner counts no answer to what it asked in an earlier life, and does not widen either.
#[test]
fn a_restart_does_not_continue_ballot_zero() {
    let mut net = published(3);
    let a = net.put(0, "k");
    net.deliver(is("PreAccept"));
    let late = net.flight.iter().find(|e| is("PreAcceptOk")(e)).unwrap().clone();
    net.crash(0);
    net.lose(|_| true);
    net.start(0);
    net.hand_over(late.clone());
    assert!(!net.has_committed(0, a));
    for _ in 0..2 {
        net.fire(0, Timer::Retransmit);
    }
    assert!(!net.flight.iter().any(|e| is("PreAcceptAgain")(e)));
    net.fire(0, row(0)); // At a ballot of its own it is a replica as any other.
    net.hand_over(late);
    assert!(!net.has_committed(0, a));
    net.come_to_rest();
    assert_eq!(net.order(2), [a]);
}

/// What was pre-accepted again is durable, with its ballot and as no part of a fast path: across a restart and a checkpoint.
#[test]
fn a_pre_accept_again_survives_as_what_it_is() {
    for checkpoint in [false, true] {
        // At ballot 0, when r0 widened; and at r1's ballot, over what r0 had proposed.
        for recovered in [false, true] {
            let mut net = published(3);
            let a = net.put(0, "k");
            if recovered {
                net.deliver(is("PreAccept"));
                net.lose(|_| true);
                net.fire(1, row(0));
                net.deliver(and(is("Recover"), link(1, 0)));
                net.deliver(and(is("RecoverOk"), link(0, 1)));
            } else {
                net.fire(0, Timer::FastQuorum);
                net.deliver(and(is("PreAcceptAgain"), link(0, 1)));
            }
            if checkpoint {
                net.checkpoint(1);
            }
            net.crash(0);
            net.crash(1);
            net.lose(|_| true);
            net.start(1);
            net.fire(1, row(0));
            let [Envelope { message: Message::Recover { ballot, .. }, .. }, ..] = net.in_flight()
            else {
                panic!("{:?}", net.flight)
            };
            assert_eq!(*ballot, InstanceBallot(if recovered { 5 } else { 2 }));
            let highest = InstanceBallot(6);
            net.lose(|_| true);
            let recover = Message::Recover { instance: a, ballot: highest };
            net.hand_over(Envelope { from: r(2), to: r(1), message: recover });
            let [Envelope { message: Message::RecoverOk { report, .. }, .. }] = net.in_flight()
            else {
                panic!("{:?}", net.flight)
            };
            assert_eq!((report.phase, report.batch.is_noop()), (Phase::PreAccepted, false));
            assert_eq!(report.initial_dependencies, None);
            net.start(0);
            net.come_to_rest();
            assert_eq!(net.order(2), [a]);
        }
    }
}

/// A recovery that gets no further with whoever answered begins again, at a higher ballot.
#[test]
fn a_recovery_whose_quorum_falls_silent_begins_again() {
    let mut net = published(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[2])));
    net.crash(0);
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver(and(is("Recover"), to(&[3, 4])));
    net.deliver(is("RecoverOk"));
    for _ in 0..2 {
        net.lose(|_| true);
        net.fire(2, Timer::Instance(a));
        assert_eq!(net.flight.iter().filter(|e| is("PreAcceptAgain")(e)).count(), 4);
    }
    net.lose(|_| true);
    net.fire(2, Timer::Instance(a));
    assert_eq!(net.flight.iter().filter(|e| is("Recover")(e)).count(), 4);
    net.come_to_rest();
    assert!(!net.decision(1, a).batch.is_noop());
}

/// A duplicate is answered with what was stored at its ballot, not with what conflicts by now.
#[test]
fn a_duplicate_pre_accept_again_gets_the_stored_dependencies() {
    let mut net = published(3);
    net.put(0, "k");
    net.fire(0, Timer::FastQuorum);
    let copy = net.flight.iter().find(|e| is("PreAcceptAgain")(e) && e.to == r(2)).unwrap().clone();
    net.hand_over(copy.clone());
    net.put(2, "k");
    net.lose(|_| true);
    net.hand_over(copy);
    let [Envelope { message: Message::PreAcceptAgainOk { dependencies, .. }, .. }] =
        net.in_flight()
    else {
        panic!("{:?}", net.flight)
    };
    assert_eq!(dependencies.slots(), [0, 0, 0]);
}

/// Marks outlive instances, and so do the sequence numbers that follow them.
#[test]
fn sequence_numbers_outlive_what_is_collected() {
    let mut net = published(3);
    for _ in 0..4 {
        for replica in 0..3 {
            net.put(replica, "k");
            net.deliver_all();
        }
    }
    net.come_to_rest();
    for replica in 0..3 {
        assert_eq!(net.core(replica).status().held, 0, "everything is executed everywhere");
        net.checkpoint(replica);
        net.crash(replica);
        net.start(replica);
    }
    let late = net.put(0, "k");
    net.deliver_all();
    assert_eq!(net.decision(0, late).dependencies.seq(), Some(13));
    net.come_to_rest();
}

/// Replicas of the other variant are not listened to: their dependencies have no sequence numbers.
#[test]
fn messages_of_the_other_variant_are_ignored() {
    for (own, theirs) in [(Variant::Sosp13, Variant::Star), (Variant::Star, Variant::Sosp13)] {
        let with = |variant: Variant| Net::with(Config::new(3).with(variant));
        let mut other = with(theirs);
        other.put(0, "k");
        if theirs == Variant::Sosp13 {
            other.fire(0, Timer::FastQuorum);
        }
        let mut net = with(own);
        for envelope in other.flight.into_iter().filter(|e| e.to == r(1)) {
            net.hand_over(envelope);
        }
        assert_eq!((net.flight.len(), net.core(1).status().held), (0, 0));
    }
}

/// A slot of another replica's that nobody knows holds up what depends on it, until it is recovered.
#[test]
fn a_dependency_on_a_dead_replica_is_recovered() {
    let mut net = published(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.crash(0);
    net.lose(|_| true);
    let b = net.put(1, "k");
    net.deliver_all();
    assert!(net.decision(1, b).dependencies.contain(a));
    assert!(net.order(1).is_empty(), "it waits for the instance of the dead replica");
    net.fire(1, row(0));
    net.deliver_all();
    assert_eq!(net.order(1), [a, b], "one report is enough to be chosen");
    assert_eq!(net.order(2), [a, b]);
    net.start(0);
    net.come_to_rest();
    assert_eq!(net.put(0, "k"), id(0, 2));
}
