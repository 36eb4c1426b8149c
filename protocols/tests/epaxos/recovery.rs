//! Recovery: what a replica does about the instances of one that does not answer.

use protocols::{
    Path, Replica,
    epaxos::{Record, Timer},
};

use crate::{
    net::{Net, and, id, is, link, to},
    support::{net::Decision, r},
};

fn row(replica: u8) -> Timer {
    Timer::Row(protocols::ReplicaId(replica))
}

/// N = 5: owner and one member of the fast quorum crash right after a fast commit that a client saw and nobody else. The
/// one matching survivor must recover exactly those dependencies.
#[test]
fn a_fast_commit_seen_by_a_client_alone_is_recovered() {
    let mut net = Net::new(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2])));
    net.deliver(is("PreAcceptOk"));
    let fast = net.decision(0, a).clone();
    assert_eq!(fast.path, Path::Fast);
    for replica in [0, 1] {
        net.crash(replica);
    }
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver_all();
    for replica in 2..5 {
        let Decision { batch, dependencies, .. } = net.decision(replica, a);
        assert_eq!((batch, dependencies), (&fast.batch, &fast.dependencies));
    }
    net.start(0);
    net.start(1);
    net.come_to_rest();
}

/// The same with a conflicting command in flight that does not know the fast one.
#[test]
fn a_fast_commit_beside_a_conflicting_command_is_recovered() {
    let mut net = Net::new(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2])));
    net.deliver(is("PreAcceptOk"));
    let fast = net.decision(0, a).clone();
    net.put(3, "k");
    net.deliver(and(link(3, 4), is("PreAccept")));
    net.crash(0);
    net.crash(1);
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver_all();
    net.come_to_rest();
    let Decision { batch, dependencies, .. } = net.decision(4, a);
    assert_eq!((batch, dependencies), (&fast.batch, &fast.dependencies));
    for replica in 2..5 {
        let order = net.order(replica);
        assert_eq!((order.len(), order[0]), (2, a), "so the other one comes after it: {order:?}");
    }
}

/// The owner answers the recovery: it did not commit and never will, so the instance is a no-op and the command goes into a
/// new one.
#[test]
fn a_live_owner_makes_it_a_no_op_and_proposes_again() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.lose(|_| true);
    net.fire(1, row(0));
    net.deliver(and(is("Recover"), to(&[0])));
    net.deliver_all();
    let Decision { batch, dependencies, .. } = net.decision(1, a);
    assert!(batch.is_noop() && dependencies.slots() == [0, 0, 0]);
    net.come_to_rest();
    assert_eq!(net.order(1), [id(0, 2)], "executed once, in its new instance");
    assert_eq!((net.order(0), net.order(2)), (net.order(1), net.order(1)));
}

/// A client of the dead replica's instance is not the only one that waits: whatever names it is held up until it is decided.
#[test]
fn a_dependency_on_a_dead_replica_is_recovered_and_executed_around() {
    let mut net = Net::new(3);
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
    assert_eq!(net.order(1), net.order(2));
    assert!(net.order(1).contains(&b));
    net.come_to_rest();
}

/// Single-ballot short form (Sutra): p0 accepts (c, {x}) at ballot 0; p1 at a ballot of its own with {p1, p2} gets a no-op
/// chosen, commits held back; a later Recover of p1 reaches only p0; p0 with {p0, p2} must adopt the no-op. With one ballot
/// variable p0's promise would pass its old tuple off as the newest.
#[test]
fn sutra_short_form_two_ballots_are_needed() {
    let mut net = Net::new(3);
    let x = net.put(2, "k");
    net.deliver(and(is("PreAccept"), link(2, 1)));
    net.lose(|_| true);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.deliver(and(is("PreAcceptOk"), link(1, 0))); // p0 now holds (c, {x}) accepted at ballot 0.
    net.lose(|_| true);
    // p1 did not see the Accept. With {p1, p2}: |R| = 0 (p1's dependencies are not the proposed ones), so a no-op.
    net.fire(1, row(0));
    net.deliver(and(is("Recover"), link(1, 2)));
    net.deliver(and(is("RecoverOk"), link(2, 1)));
    net.lose(is("Recover"));
    net.deliver(and(is("Accept"), link(1, 2)));
    net.lose(is("Accept"));
    net.deliver(and(is("AcceptOk"), link(2, 1)));
    assert!(net.decision(1, a).batch.is_noop());
    net.lose(is("Commit"));
    // A promise of p0 at a higher ballot than the no-op's, and then its own recovery with p2 alone.
    net.crash(1);
    net.start(1);
    let ballot = protocols::ballot::InstanceBallot(5);
    net.hand_over(crate::net::Envelope {
        from: r(1),
        to: r(0),
        message: protocols::epaxos::Message::Recover { instance: a, ballot },
    });
    net.lose(|_| true);
    net.crash(1);
    net.fire(0, row(0));
    net.deliver_all();
    assert!(net.decision(0, a).batch.is_noop(), "the no-op was chosen");
    net.start(1);
    net.come_to_rest();
    assert!(net.has_committed(0, x));
}

/// A *duplicated* Validate must not overwrite an accepted no-op. N = 5: id0 (row p0) pre-accepted only at p3; id1 (row p1)
/// committed fast with {} on {p1, p2, p4}; p2 recovers id0 with {p2, p3, p4}: a no-op is chosen; Validate is delivered to p3
/// again; p3 recovers with {p0, p1, p3}: it must choose the no-op.
#[test]
fn a_duplicate_validate_does_not_overwrite_an_accepted_no_op() {
    let mut net = Net::new(5);
    let id0 = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 3)));
    net.lose(|_| true);
    let id1 = net.put(1, "k");
    net.deliver(and(is("PreAccept"), to(&[2, 4])));
    net.deliver(is("PreAcceptOk"));
    assert_eq!(net.decision(1, id1).dependencies.slots(), [0; 5]);
    net.deliver(and(is("Commit"), to(&[2, 4])));
    net.lose(|_| true);
    // p2 learns of id0 when p3 asks it to help, and recovers it itself.
    net.fire(3, row(0));
    net.deliver(and(is("Recover"), link(3, 2)));
    net.lose(|_| true);
    net.fire(2, row(0));
    net.deliver(and(is("Recover"), to(&[3, 4])));
    net.lose(is("Recover"));
    net.deliver(is("RecoverOk"));
    let validate = net.flight.iter().find(|e| is("Validate")(e) && e.to == r(3)).unwrap().clone();
    net.deliver(is("Validate"));
    net.deliver(is("ValidateOk"));
    net.deliver(and(is("Accept"), to(&[3, 4])));
    net.lose(is("Accept"));
    net.deliver(is("AcceptOk"));
    assert!(net.decision(2, id0).batch.is_noop());
    net.lose(|_| true);
    net.hand_over(validate);
    net.lose(|_| true);
    net.crash(2);
    net.crash(4);
    net.fire(3, Timer::Instance(id0));
    net.deliver_all();
    net.come_to_rest();
    assert!(net.decision(3, id0).batch.is_noop());
}

/// The owner crashes between its fast commit and that commit's persist. Nobody may have been answered, and in a recovery
/// quorum it is the owner that did not commit.
#[test]
fn an_unpersisted_fast_commit_never_happened() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.deliver(is("PreAcceptOk"));
    assert!(net.has_committed(0, a));
    net.crash(0);
    net.lose(|_| true); // Nothing that follows an unpersisted record was sent.
    assert!(matches!(net.lose_last_record(0), Record::Committed { .. }));
    net.start(0);
    net.fire(1, row(0));
    net.deliver(and(is("Recover"), to(&[0])));
    net.deliver_all();
    assert!(net.decision(1, a).batch.is_noop());
    net.come_to_rest();
    assert!(net.order(0).is_empty(), "what was proposed in an earlier life is not proposed again");
}

/// Crash and restart: both ballots survive, no slot is used again, what was committed is executed again.
#[test]
fn a_restart_continues_neither_ballot_zero_nor_a_slot() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver_all();
    let b = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.crash(0);
    net.lose(|_| true);
    net.start(0);
    assert_eq!(net.order(0), [a]);
    let c = net.put(0, "k");
    assert_eq!((b, c), (id(0, 2), id(0, 3)));
    net.come_to_rest();
    assert!(net.decision(2, b).batch.is_noop(), "nobody else could have committed it");
    assert_eq!(net.order(2), [a, c]);
    assert!(net.decision(2, c).dependencies.contain(b));
}

/// A replica that was down learns what it missed, also of rows whose owners are gone.
#[test]
fn a_restarted_replica_catches_up() {
    let mut net = Net::new(3);
    net.crash(2);
    for _ in 0..5 {
        net.put(0, "k");
        net.put(1, "j");
        net.deliver_all();
    }
    net.start(2);
    net.crash(1);
    net.come_to_rest();
    assert_eq!(net.order(2).len(), 10);
}

/// What was recovered as a no-op, executed everywhere and collected stands against nothing, whatever command it once was.
#[test]
fn a_collected_no_op_refutes_no_fast_path() {
    let mut net = Net::new(3);
    net.put(1, "k"); // Nobody but its owner ever knows this command.
    net.crash(1);
    net.lose(|_| true);
    net.start(1);
    net.come_to_rest();
    assert!(net.decision(2, id(1, 1)).batch.is_noop());
    assert_eq!(net.core(1).status().held, 0, "collected");
    let b = net.put(2, "k");
    net.deliver(and(is("PreAccept"), link(2, 0)));
    net.lose(is("PreAccept"));
    net.fire(0, row(2));
    net.deliver(and(is("Recover"), link(0, 1)));
    net.lose(is("Recover"));
    net.deliver(and(is("RecoverOk"), to(&[0])));
    net.deliver(is("Validate"));
    net.deliver(is("ValidateOk"));
    net.deliver(and(is("Accept"), link(0, 1)));
    net.deliver(and(is("AcceptOk"), link(1, 0)));
    net.deliver(and(is("PreAcceptOk"), link(0, 2))); // It was in flight all the time: a fast commit.
    assert_eq!(net.decision(2, b).path, Path::Fast);
    net.come_to_rest();
    assert!(!net.decision(1, b).batch.is_noop());
}

/// A replica that does not know that an instance exists is told, though every report about it was lost and its owner has
/// restarted since.
#[test]
fn a_restarted_owner_tells_who_never_heard() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.deliver(is("PreAcceptOk"));
    net.deliver(and(is("Commit"), link(0, 1)));
    for replica in [0, 1] {
        net.fire(replica, Timer::Progress);
    }
    net.crash(0);
    net.start(0);
    net.fire(0, Timer::Progress);
    net.lose(|_| true);
    net.come_to_rest();
    assert!(net.has_committed(2, a));
}

/// After a restart the row of a dead replica is still watched, though it was mentioned in an earlier life only.
#[test]
fn a_restarted_replica_watches_the_rows_it_knew() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    let b = net.put(2, "k");
    net.deliver(and(is("PreAccept"), link(2, 1)));
    net.deliver(and(is("PreAcceptOk"), link(1, 2)));
    net.deliver(and(is("Accept"), link(2, 1))); // Depends on a, which only its owner and p1 ever saw.
    net.crash(0);
    net.crash(1);
    net.lose(|_| true);
    net.start(1);
    net.fire(1, row(0));
    net.come_to_rest();
    assert!(net.has_committed(2, a) && net.order(1).contains(&b));
}

/// A wait that begins when what it waits for has been a no-op for so long that it is collected.
#[test]
fn a_collected_no_op_ends_a_wait_in_favour() {
    let mut net = Net::new(3);
    net.put(2, "k"); // x: nobody but its owner ever knows this command.
    net.lose(|_| true);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(is("PreAccept"));
    net.fire(1, row(0));
    net.deliver(and(is("Recover"), link(1, 2)));
    net.lose(is("Recover"));
    net.deliver(and(is("RecoverOk"), link(2, 1)));
    net.deliver(and(is("Validate"), link(1, 2))); // Its answer names x, and stays under way.
    net.crash(2);
    net.start(2);
    net.fire(2, row(2));
    let late = |e: &crate::net::Envelope| is("PreAcceptOk")(e) || is("ValidateOk")(e);
    while net.deliver(|e| !late(e)) > 0 {}
    for replica in [0, 2, 1] {
        net.fire(replica, Timer::Progress);
        net.deliver(|e| !late(e));
    }
    assert!(net.decision(1, id(2, 1)).batch.is_noop());
    assert_eq!(net.core(1).status().held, 1, "x is collected, a is not");
    net.deliver(is("ValidateOk"));
    net.deliver(and(is("Accept"), link(1, 2)));
    net.deliver(and(is("AcceptOk"), link(2, 1)));
    net.lose(|e| !late(e));
    net.deliver(is("PreAcceptOk")); // A fast commit at its owner.
    assert_eq!(net.decision(0, a).path, Path::Fast);
    net.come_to_rest();
    assert!(!net.decision(1, a).batch.is_noop());
}

/// However many instances one impatient timer began to recover under a live owner, it is doubled once.
#[test]
fn many_recoveries_at_once_lengthen_the_timer_once() {
    let mut net = Net::new(3);
    let timer = |net: &Net| *net.timer(1, row(0)).start();
    for _ in 0..17 {
        net.put(0, "k");
    }
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(|_| true);
    let first = timer(&net);
    net.fire(1, row(0)); // All but the first were not mentioned yet when it was set.
    net.deliver_all();
    net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(|_| true);
    net.fire(1, row(0));
    net.deliver_all();
    net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    assert!(timer(&net) <= 4 * first, "{:?} after {first:?}", timer(&net));
    net.come_to_rest();
}

/// A decision above a slot that nobody here has heard of is a reason to watch the row.
#[test]
fn a_commit_above_a_hole_starts_the_rows_timer() {
    let mut net = Net::new(3);
    net.put(0, "k");
    net.lose(|_| true);
    let second = net.put(0, "k");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(is("PreAccept"));
    net.deliver(is("PreAcceptOk"));
    net.deliver(and(is("Commit"), link(0, 2)));
    net.deliver(is("Ask"));
    net.deliver(and(is("Commit"), link(0, 2)));
    assert!(net.has_committed(2, second));
    net.crash(0);
    net.fire(2, row(0));
    net.come_to_rest();
    assert_eq!(net.order(2).len(), 1, "the hole is a no-op");
}
