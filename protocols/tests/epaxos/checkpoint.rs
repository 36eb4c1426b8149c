//! Checkpoints: a replica that begins with one is the replica that took it.

use protocols::{
    Config, Replica, ReplicaId,
    ballot::InstanceBallot,
    epaxos::{Message, Phase, Timer},
};

use crate::{
    net::{Envelope, Net, and, id, is, link, to},
    support::r,
};

/// The ballot with which `replica` begins its first recovery.
fn ballot(replica: u8) -> InstanceBallot {
    InstanceBallot::INITIAL.next_for(ReplicaId(replica), 3)
}

fn checkpoint_and_restart(net: &mut Net, replica: u8) {
    net.checkpoint(replica);
    net.crash(replica);
    net.start(replica);
}

/// Hands `message` of `from` to `receiver`, and takes what is sent then.
fn answers(net: &mut Net, from: u8, receiver: u8, message: Message) -> Vec<Message> {
    net.lose(|_| true);
    net.hand_over(Envelope { from: r(from), to: r(receiver), message });
    let sent = net.flight.iter().map(|envelope| envelope.message.clone()).collect();
    net.lose(|_| true);
    sent
}

/// Slot 2 of row 0 is executed while slot 1, on another key, is pre-accepted at replicas 0 and 2 alone.
fn with_a_hole() -> Net {
    let mut net = Net::new(3);
    let open = net.put(0, "x");
    net.deliver(and(link(0, 2), is("PreAccept")));
    net.lose(|_| true);
    let above = net.put(0, "y");
    net.deliver_all();
    assert_eq!((open, above), (id(0, 1), id(0, 2)));
    assert_eq!(net.order(2), [above]);
    net
}

#[test]
fn an_executed_instance_above_a_hole_is_not_executed_again() {
    let mut net = with_a_hole();
    let digest = net.node(2).kv.digest();
    checkpoint_and_restart(&mut net, 2);
    assert_eq!(net.order(2), [], "its effect is in the state");
    assert_eq!(net.node(2).kv.digest(), digest);
    // A later command on the key comes after it, and waits for nothing.
    let later = net.put(2, "y");
    assert!(net.flight.iter().any(|envelope| matches!(
        &envelope.message,
        Message::PreAccept { dependencies, .. } if dependencies.contain(id(0, 2))
    )));
    net.deliver_all();
    assert_eq!(net.order(2), [later]);
    net.come_to_rest();
    net.assert_equal_states();
}

#[test]
fn an_open_instance_is_reported_as_it_was() {
    let mut net = with_a_hole();
    checkpoint_and_restart(&mut net, 2);
    let recover = Message::Recover { instance: id(0, 1), ballot: ballot(1) };
    let [Message::RecoverOk { report, .. }] = &answers(&mut net, 1, 2, recover)[..] else {
        panic!("a promise");
    };
    assert_eq!((report.phase, report.batch.is_noop()), (Phase::PreAccepted, false));
    assert_eq!(report.initial_dependencies.as_ref(), Some(&report.dependencies));
}

#[test]
fn a_promise_to_a_higher_ballot_binds_the_next_life() {
    let mut net = with_a_hole();
    let recover = |replica| Message::Recover { instance: id(0, 1), ballot: ballot(replica) };
    assert!(ballot(1) < ballot(2));
    // Replica 2 has promised its own ballot to itself.
    net.fire(2, Timer::Row(ReplicaId(0)));
    checkpoint_and_restart(&mut net, 2);
    let refused = Message::Refused { instance: id(0, 1), ballot: ballot(2) };
    assert_eq!(answers(&mut net, 1, 2, recover(1)), [refused]);
    // The owner is not believed that nobody stood in its way, either.
    net.checkpoint(2);
    net.come_to_rest();
    net.assert_equal_states();
}

#[test]
fn an_accepted_command_keeps_both_ballots() {
    let mut net = with_a_hole();
    let none = protocols::dependencies::Dependencies::none(3);
    let recover = Message::Recover { instance: id(0, 1), ballot: ballot(1) };
    answers(&mut net, 1, 2, recover);
    let accept = Message::Accept {
        instance: id(0, 1),
        ballot: ballot(1),
        batch: protocols::Batch::NOOP,
        dependencies: none,
    };
    answers(&mut net, 1, 2, accept);
    net.checkpoint(2);
    // What is promised after the checkpoint counts, too.
    let higher = ballot(1).next_for(ReplicaId(0), 3);
    answers(&mut net, 0, 2, Message::Recover { instance: id(0, 1), ballot: higher });
    net.crash(2);
    net.start(2);
    let highest = higher.next_for(ReplicaId(1), 3);
    let recover = Message::Recover { instance: id(0, 1), ballot: highest };
    let sent = answers(&mut net, 1, 2, recover);
    let [Message::RecoverOk { report, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((report.phase, report.accepted_ballot), (Phase::Accepted, ballot(1)));
    assert!(report.batch.is_noop() && report.initial_dependencies.is_some());
    let lower = Message::Recover { instance: id(0, 1), ballot: higher };
    let refused = Message::Refused { instance: id(0, 1), ballot: highest };
    assert_eq!(answers(&mut net, 0, 2, lower), [refused]);
}

/// Others may know an instance that its owner proposed and collected.
#[test]
fn no_slot_of_an_earlier_life_is_used_again() {
    let mut net = Net::new(3);
    for _ in 0..3 {
        net.put(0, "x");
        net.deliver_all();
    }
    let reserved = net.put(0, "x");
    net.lose(|_| true);
    checkpoint_and_restart(&mut net, 0);
    assert_eq!(net.put(0, "x"), id(0, reserved.slot + 1));
    net.come_to_rest();
    net.assert_equal_states();
    checkpoint_and_restart(&mut net, 0);
    assert_eq!(net.put(0, "x"), id(0, reserved.slot + 2), "all of its row is executed");
}

/// Once everybody has executed everything nothing is left in the logs, and what a key saw is in the index alone.
#[test]
fn the_marks_of_collected_instances_survive() {
    let mut net = Net::new(3);
    let before = net.put(0, "x");
    net.come_to_rest();
    assert_eq!(net.core(1).status().held, 0, "collected");
    checkpoint_and_restart(&mut net, 1);
    net.put(1, "x");
    let depends = |envelope: &Envelope| {
        matches!(&envelope.message, Message::PreAccept { dependencies, .. }
            if dependencies.contain(before))
    };
    assert!(net.flight.iter().any(depends), "{:?}", net.flight);
}

/// What is executed and not collected is still there for who lacks it, one by one.
#[test]
fn a_restart_collects_nothing() {
    let mut net = Net::new(3);
    for number in 0..5 {
        net.put(0, &format!("{number}"));
        while net.deliver(to(&[0, 1])) > 0 {}
        net.lose(|_| true);
    }
    let held = net.core(1).status().held;
    checkpoint_and_restart(&mut net, 1);
    assert_eq!((net.core(1).status().held, held), (5, 5));
    net.crash(0);
    net.come_to_rest();
    net.assert_equal_states();
    assert_eq!(net.core(2).status().installs, 0);
}

/// A checkpoint amid a snapshot's way here: the snapshot comes to its end and is installed.
#[test]
fn a_checkpoint_amid_a_transfer_leaves_it_alone() {
    let config = Config { kept_slots_max: 2, piece_bytes_max: 64, ..Config::new(3) };
    let mut net = Net::with(config);
    for number in 0..20 {
        net.put(0, &format!("{number}"));
        while net.deliver(to(&[0, 1])) > 0 {}
        net.lose(|_| true);
    }
    for reporter in [0, 1] {
        net.fire(reporter, Timer::Progress);
        while net.deliver(to(&[0, 1])) > 0 {}
        net.lose(|_| true);
    }
    net.hand_over(Envelope {
        from: r(1),
        to: r(2),
        message: Message::Collected { instance: id(0, 1) },
    });
    net.deliver(is("Fetch"));
    net.checkpoint(1);
    net.deliver(is("Piece"));
    net.checkpoint(2);
    let mut pieces = 0;
    while net.deliver(is("Fetch")) > 0 {
        pieces += net.deliver(is("Piece"));
    }
    assert!(pieces > 3, "{pieces} pieces after the checkpoint");
    assert_eq!(net.core(2).status().installs, 1);
    // The one installed is newer, and it is what the next life begins with.
    checkpoint_and_restart(&mut net, 2);
    net.come_to_rest();
    net.assert_equal_states();
}
