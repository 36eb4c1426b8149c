//! The ordinary path, with messages that come late, twice or in the wrong order.

use protocols::{
    Dependencies, Path, Replica,
    epaxos::{EPaxos, Message, Pace, Timer},
};

use crate::{
    net::{Net, and, id, is, link, to},
    support::r,
};

#[test]
fn without_conflict_one_round_trip_decides() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    assert_eq!(net.deliver(is("PreAccept")), 2);
    assert_eq!(net.deliver(link(1, 0)), 1, "one reply makes the fast quorum of two");
    assert_eq!(net.decision(0, a).path, Path::Fast);
    assert_eq!(net.order(0), [a], "executed and answered at once");
    net.deliver_all();
    assert_eq!(net.decision(2, a).path, Path::Learned);
    net.come_to_rest();
}

/// N = 5: three equal replies decide, two do not.
#[test]
fn five_replicas_need_a_fast_quorum_of_three() {
    let mut net = Net::new(5);
    let a = net.put(0, "k");
    net.deliver(is("PreAccept"));
    net.deliver(link(1, 0));
    assert!(!net.has_committed(0, a));
    net.deliver(link(2, 0));
    assert_eq!(net.decision(0, a).path, Path::Fast);
}

#[test]
fn a_reply_with_more_dependencies_makes_a_second_round() {
    let mut net = Net::new(3);
    let (a, b) = (net.put(0, "k"), net.put(1, "k"));
    net.deliver(is("PreAccept"));
    net.deliver(is("PreAcceptOk"));
    assert!(!net.has_committed(0, a) || !net.has_committed(1, b), "not both can be fast");
    net.deliver_all();
    assert_eq!(net.decision(1, b).path, Path::Slow);
    net.come_to_rest();
    assert_eq!(net.order(0).len(), 2);
    assert_eq!((net.order(0), net.order(1)), (net.order(1), net.order(2)));
}

/// Replies that equal each other and not the proposal must not be a fast path: recovery could not tell it from a slow one.
#[test]
fn replies_equal_to_each_other_are_not_enough() {
    let mut net = Net::new(5);
    let b = net.put(4, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2])));
    let a = net.put(0, "k");
    net.deliver(and(link(0, 1), is("PreAccept")));
    net.deliver(and(link(0, 2), is("PreAccept")));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    assert!(!net.has_committed(0, a));
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
    assert!(net.decision(0, a).dependencies.contain(b));
}

/// N = 7: four replies of which one differs leave the fast path open; three that differ end it.
#[test]
fn seven_replicas_go_slow_once_the_fast_path_is_out_of_reach() {
    let mut net = Net::new(7);
    net.put(6, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2, 3])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), |e| e.from == r(0)));
    for replica in [1, 2] {
        net.deliver(and(is("PreAcceptOk"), link(replica, 0)));
    }
    assert!(!net.flight.iter().any(|e| e.from == r(0)), "two differ, five of seven may yet agree");
    net.deliver(and(is("PreAcceptOk"), link(3, 0)));
    assert_eq!(net.flight.iter().filter(|e| is("Accept")(e)).count(), 6);
    net.deliver_all();
    assert_eq!(net.decision(0, a).path, Path::Slow);
}

/// N = 7 with two silent replicas has no fast quorum to wait for: a timer ends the wait.
#[test]
fn a_majority_that_is_no_fast_quorum_goes_slow_by_timer() {
    let mut net = Net::new(7);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1, 2, 3])));
    net.deliver(is("PreAcceptOk"));
    assert!(!net.has_committed(0, a));
    net.fire(0, Timer::FastQuorum);
    net.deliver(and(is("Accept"), to(&[1, 2, 3])));
    net.deliver(is("AcceptOk"));
    assert_eq!(net.decision(0, a).path, Path::Slow);
}

#[test]
fn a_duplicate_pre_accept_gets_the_stored_dependencies() {
    let mut net = Net::new(5);
    let a = net.put(0, "k");
    let copy = net.flight.iter().find(|e| e.to == r(1)).unwrap().clone();
    net.deliver(link(0, 1));
    net.put(2, "k");
    net.deliver(link(2, 1)); // Replica 1 now knows another conflicting instance.
    net.lose(link(1, 0));
    net.hand_over(copy);
    let answers: Vec<_> = net.flight.iter().filter(|e| link(1, 0)(e)).collect();
    let [answer] = answers[..] else { panic!("one answer: {answers:?}") };
    assert_eq!(answer.message, Message::PreAcceptOk { instance: a, more: None });
}

#[test]
fn a_second_reply_of_one_replica_is_not_counted() {
    let mut net = Net::new(5);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    let reply = net.flight.iter().find(|e| link(1, 0)(e)).unwrap().clone();
    for _ in 0..4 {
        net.hand_over(reply.clone());
    }
    assert!(!net.has_committed(0, a));
}

#[test]
fn a_second_accept_ok_of_one_replica_is_not_counted() {
    let mut net = Net::new(5);
    net.put(4, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), |e| e.from == r(0)));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    net.deliver(and(is("Accept"), to(&[1])));
    let reply = net.flight.iter().find(|e| is("AcceptOk")(e)).unwrap().clone();
    for _ in 0..4 {
        net.hand_over(reply.clone());
    }
    assert!(!net.has_committed(0, a));
}

#[test]
fn a_short_commit_before_its_pre_accept_is_asked_for() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[1])));
    net.deliver(is("PreAcceptOk"));
    net.deliver(and(is("Commit"), to(&[2])));
    assert!(!net.has_committed(2, a), "the command is not known there");
    net.deliver(is("Ask"));
    net.deliver(is("Commit"));
    assert!(net.has_committed(2, a));
    net.deliver(and(is("PreAccept"), to(&[2])));
    net.come_to_rest();
    assert_eq!(net.order(2), [a], "the late PreAccept changes nothing");
}

#[test]
fn an_accept_before_its_pre_accept_is_taken() {
    let mut net = Net::new(3);
    let b = net.put(1, "k");
    net.deliver(and(is("PreAccept"), to(&[2])));
    let a = net.put(0, "k");
    net.deliver(and(link(0, 2), is("PreAccept")));
    net.deliver(and(link(2, 0), is("PreAcceptOk")));
    assert_eq!(net.deliver(and(link(0, 1), is("Accept"))), 1);
    net.deliver(and(link(0, 1), is("PreAccept")));
    net.deliver(and(link(1, 0), is("AcceptOk")));
    assert_eq!(net.decision(0, a).path, Path::Slow);
    net.come_to_rest();
    assert_eq!(net.order(1).len(), 2);
    assert!(net.decision(1, a).dependencies.contain(b));
}

#[test]
fn a_commit_of_what_is_executed_changes_nothing() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.deliver(is("PreAccept"));
    net.deliver(is("PreAcceptOk"));
    let commit = net.flight.iter().find(|e| is("Commit")(e)).unwrap().clone();
    net.deliver_all();
    net.hand_over(commit.clone());
    net.come_to_rest();
    net.hand_over(commit); // Collected by now.
    assert_eq!(net.order(1), [a]);
}

#[test]
fn what_is_lost_is_sent_again() {
    let mut net = Net::new(3);
    let a = net.put(0, "k");
    net.lose(|_| true);
    for _ in 0..2 {
        net.fire(0, Timer::Retransmit);
    }
    net.deliver(is("PreAccept"));
    net.lose(is("PreAcceptOk"));
    net.fire(0, Timer::Retransmit);
    net.deliver_all();
    assert!(net.has_committed(0, a));
    let b = net.put(0, "k");
    net.deliver(is("PreAccept"));
    net.deliver(is("PreAcceptOk"));
    net.lose(is("Commit"));
    net.come_to_rest();
    assert!(net.has_committed(2, b), "the commit that was lost");
}

#[test]
fn executed_instances_are_collected_and_keep_their_marks() {
    let mut net = Net::new(3);
    for _ in 0..10 {
        for replica in 0..3 {
            net.put(replica, "k");
        }
        net.deliver_all();
    }
    net.come_to_rest();
    for replica in 0..3 {
        assert_eq!(net.core(replica).status().held, 0, "everything is executed everywhere");
        assert_eq!(net.order(replica), net.order(0));
    }
    let late = net.put(0, "k");
    net.deliver_all();
    assert_eq!(net.decision(0, late).dependencies.slots(), [10, 10, 10], "marks outlive instances");
}

/// What comes over a wire and would break a core is refused before it gets there.
#[test]
fn messages_that_no_replica_of_the_cluster_sends_are_not_admissible() {
    let dependencies = |slots: &[u64]| slots.iter().copied().collect::<Dependencies>();
    let commit = |row, slot, slots: &[u64]| Message::Commit {
        instance: id(row, slot),
        batch: None,
        dependencies: Some(dependencies(slots)),
    };
    assert!(EPaxos::admissible(&commit(2, 1, &[5, 5, 0]), 3));
    for (what, message) in [
        ("a row beyond the cluster", commit(3, 1, &[0, 0, 0])),
        ("slot 0", commit(0, 0, &[0, 0, 0])),
        ("too few dependencies", commit(0, 1, &[0, 0])),
        ("a dependency on itself", commit(0, 1, &[1, 0, 0])),
        ("an unknown instance", Message::Ask { instance: id(200, 1) }),
        (
            "progress of another cluster",
            Message::Progress {
                committed: dependencies(&[1; 5]),
                executed: dependencies(&[1; 5]),
                pace: Pace::Free,
            },
        ),
    ] {
        assert!(!EPaxos::admissible(&message, 3), "{what}");
    }
}

/// A dependency of every live row is a chain for the executor and never a dependency on one's own future.
#[test]
fn a_later_slot_of_the_row_known_first_is_no_dependency() {
    let mut net = Net::new(3);
    let (first, second) = (net.put(0, "k"), net.put(0, "k"));
    net.deliver(and(
        link(0, 1),
        |e| matches!(e.message, Message::PreAccept { instance, .. } if instance == id(0, 2)),
    ));
    net.deliver_all();
    assert_eq!(net.decision(1, first).dependencies.slots(), [0, 0, 0]);
    assert_eq!(net.decision(1, second).dependencies.slots(), [1, 0, 0]);
    net.come_to_rest();
    assert_eq!(net.order(1), [first, second]);
}

/// In a cluster without load, a replica that restarted learns that the others are not behind, whoever proposed: nothing is
/// sent for ever, and everything is collected.
#[test]
fn a_restart_in_an_idle_cluster_comes_to_rest() {
    for owner in 0..3 {
        let mut net = Net::new(3);
        for _ in 0..20 {
            net.put(owner, "k");
        }
        net.come_to_rest();
        net.crash(0);
        net.start(0);
        net.come_to_rest();
        assert!(net.is_idle(), "timers still run");
        assert_eq!(net.core(0).status().held, 0);
    }
}

/// The same when just the last report was lost.
#[test]
fn a_lost_last_report_is_asked_for_again() {
    let mut net = Net::new(3);
    net.put(0, "k");
    net.deliver_all();
    net.fire(1, Timer::Progress);
    net.lose(link(1, 0));
    net.come_to_rest();
    assert!(net.is_idle(), "timers still run");
    assert_eq!(net.core(0).status().held, 0);
}
