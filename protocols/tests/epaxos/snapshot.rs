//! Collecting what a silent replica lacks, and catching up by snapshot.

use protocols::{
    Config, Path, Replica, ReplicaId,
    ballot::InstanceBallot,
    epaxos::{Message, Timer},
};

use crate::{
    net::{Envelope, Net, and, id, is, link, to},
    support::{net::Decision, r},
};

const KEPT: u64 = 2;

fn net() -> Net {
    Net::with(Config { kept_slots_max: KEPT, piece_bytes_max: 64, ..Config::new(3) })
}

/// Neither from nor to `replica`.
fn without(replica: u8) -> impl Fn(&Envelope) -> bool {
    move |envelope| envelope.from != r(replica) && envelope.to != r(replica)
}

/// Delivers everything but what `replica` sends or should receive, which is lost.
fn settle_without(net: &mut Net, replica: u8) {
    while net.deliver(without(replica)) > 0 {}
    net.lose(|_| true);
}

/// `count` puts at `replica`, each on a key of its own, then progress reports, with `absent` cut off.
fn run_without(net: &mut Net, absent: u8, replica: u8, count: u64) {
    for number in 0..count {
        net.put(replica, &format!("{replica}-{number}"));
        settle_without(net, absent);
    }
    for reporter in (0..3).filter(|reporter| *reporter != absent) {
        net.fire(reporter, Timer::Progress);
        settle_without(net, absent);
    }
}

/// Replica 2 misses 20 instances of replica 0, most of which the others drop.
fn with_replica_2_behind() -> Net {
    let mut net = net();
    run_without(&mut net, 2, 0, 20);
    for replica in [0, 1] {
        let held = net.core(replica).status().held;
        assert!(held <= KEPT, "{replica} holds {held}: a silent replica must not hold up more");
    }
    net
}

#[test]
fn a_replica_that_missed_what_is_collected_takes_a_snapshot() {
    let mut net = with_replica_2_behind();
    net.come_to_rest();
    assert_eq!(net.core(2).status().installs, 1);
    net.assert_equal_states();
    // And again from what it persisted since.
    net.crash(2);
    net.start(2);
    net.come_to_rest();
    net.assert_equal_states();
    assert_eq!(net.core(2).status().installs, 0);
}

/// "None" would let the asker find a no-op in what is executed elsewhere.
#[test]
fn whoever_asks_about_a_collected_instance_is_told_so() {
    let mut net = with_replica_2_behind();
    let instance = id(0, 1);
    let ballot = InstanceBallot::INITIAL.next_for(ReplicaId(2), 3);
    for message in [Message::Recover { instance, ballot }, Message::Ask { instance }] {
        net.hand_over(Envelope { from: r(2), to: r(1), message });
        let answers = net.flight.iter().filter(|envelope| envelope.to == r(2));
        let answers: Vec<_> = answers.map(|envelope| &envelope.message).collect();
        assert_eq!(answers, [&Message::Collected { instance }]);
        net.lose(|_| true);
    }
}

/// (b) of the rules for collecting: the index outlives the instances, on both sides of a snapshot.
#[test]
fn a_command_comes_after_what_its_key_saw_before_it_was_collected() {
    let mut net = with_replica_2_behind();
    net.come_to_rest();
    for proposer in [1, 2] {
        let instance = net.put(proposer, "0-3");
        net.deliver_all();
        let Decision { dependencies, .. } = net.decision(proposer, instance);
        assert!(dependencies.contain(id(0, 4)), "0-3 was written by 0.4: {dependencies:?}");
    }
    net.come_to_rest();
    net.assert_equal_states();
}

#[test]
fn what_the_snapshot_lacks_and_was_executed_before_is_executed_again() {
    let mut net = with_replica_2_behind();
    let own = net.put(2, "x");
    net.deliver(and(link(2, 1), is("PreAccept")));
    net.deliver(and(link(1, 2), is("PreAcceptOk")));
    assert_eq!(net.decision(2, own).path, Path::Fast);
    assert_eq!(net.order(2), [own]);
    net.lose(|_| true);
    // It learns from replica 0, which has not heard of its command.
    net.hand_over(Envelope {
        from: r(0),
        to: r(2),
        message: Message::Collected { instance: id(0, 1) },
    });
    while net.deliver(to(&[0])) + net.deliver(link(0, 2)) > 0 {}
    assert_eq!(net.core(2).status().installs, 1);
    assert_eq!(net.order(2), [own], "executed again, on top of the snapshot");
    assert!(net.node(2).kv.value(b"x").is_some());
    net.come_to_rest();
    net.assert_equal_states();
}

/// A snapshot says what is executed, not what its receiver has promised.
#[test]
fn promises_about_what_the_snapshot_lacks_survive_it_and_a_restart() {
    let mut net = with_replica_2_behind();
    // Replica 1 recovers an instance of the crashed replica 0 that replica 2 alone knows.
    let open = net.put(0, "y");
    net.deliver(and(link(0, 2), is("PreAccept")));
    net.lose(|_| true);
    let ballot = InstanceBallot::INITIAL.next_for(ReplicaId(1), 3);
    net.hand_over(Envelope {
        from: r(1),
        to: r(2),
        message: Message::Recover { instance: open, ballot },
    });
    net.lose(|_| true);
    net.hand_over(Envelope {
        from: r(1),
        to: r(2),
        message: Message::Collected { instance: id(0, 1) },
    });
    while net.deliver(is("Fetch")) + net.deliver(is("Piece")) > 0 {}
    assert_eq!(net.core(2).status().installs, 1);
    net.crash(2);
    net.start(2);
    net.lose(|_| true);
    let lower = InstanceBallot::INITIAL.next_for(ReplicaId(0), 3);
    assert!(lower < ballot);
    let recover = Message::Recover { instance: open, ballot: lower };
    net.hand_over(Envelope { from: r(0), to: r(2), message: recover });
    let refused = Message::Refused { instance: open, ballot };
    assert!(net.flight.iter().any(|envelope| envelope.message == refused), "{:?}", net.flight);
    net.lose(|_| true);
    // And what it was asked to accept before is still there.
    let again = Message::Recover { instance: open, ballot };
    net.hand_over(Envelope { from: r(1), to: r(2), message: again });
    let reported = net.flight.iter().any(|envelope| {
        matches!(&envelope.message, Message::RecoverOk { report, .. } if !report.batch.is_noop())
    });
    assert!(reported, "{:?}", net.flight);
}

/// Replica 0 drops what replica 1 lacks. Then replica 1 runs with replica 2, which has all of it. If replica 1 dropped what
/// replica 0 lacks, neither could take the other's snapshot, and without replica 2 the two could not go on.
#[test]
fn of_two_replicas_at_most_one_drops_what_the_other_lacks() {
    let mut net = net();
    run_without(&mut net, 1, 0, 20);
    let catching_up = ["Ask", "Fetch", "Piece", "Collected", "Recover", "RecoverOk"];
    for number in 0..20 {
        net.put(1, &format!("1-{number}"));
        while net.deliver(|e| without(0)(e) && !catching_up.iter().any(|kind| is(kind)(e))) > 0 {}
        net.lose(|_| true);
    }
    for reporter in [1, 2] {
        net.fire(reporter, Timer::Progress);
        while net.deliver(and(without(0), is("Progress"))) > 0 {}
        net.lose(|_| true);
    }
    assert_eq!(net.order(1).len(), 20);
    assert!(net.core(1).status().held >= 20, "it is itself behind, and drops nothing");
    net.crash(2);
    net.come_to_rest();
    net.assert_equal_states();
}

/// The same where all of them have taken checkpoints and begin with those.
#[test]
fn checkpoints_do_not_make_two_replicas_drop_what_the_other_lacks() {
    let mut net = net();
    run_without(&mut net, 1, 0, 20);
    let catching_up = ["Ask", "Fetch", "Piece", "Collected", "Recover", "RecoverOk"];
    for number in 0..20 {
        net.put(1, &format!("1-{number}"));
        while net.deliver(|e| without(0)(e) && !catching_up.iter().any(|kind| is(kind)(e))) > 0 {}
        net.lose(|_| true);
    }
    for replica in [0, 1] {
        net.checkpoint(replica);
        net.crash(replica);
        net.start(replica);
    }
    assert!(net.core(1).status().held >= 20, "it holds what it held before");
    net.crash(2);
    net.come_to_rest();
    net.assert_equal_states();
}

const LONG_KEY_BYTES: usize = 1_000;
const KEPT_BYTES: u64 = 30_000;

fn net_bounded_in_bytes() -> Net {
    Net::with(Config { kept_bytes_max: KEPT_BYTES, piece_bytes_max: 10_000, ..Config::new(3) })
}

/// A key that makes a command long.
fn long_key(number: u64) -> String {
    format!("{number:0>LONG_KEY_BYTES$}")
}

#[test]
fn what_is_kept_for_a_silent_replica_is_bounded_in_bytes() {
    let mut net = net_bounded_in_bytes();
    // A third of the budget for each row, and one instance beside it.
    let slack = 2 * LONG_KEY_BYTES as u64;
    for number in 0..40 {
        for proposer in [0, 1] {
            net.put(proposer, &long_key(2 * number + u64::from(proposer)));
            settle_without(&mut net, 2);
        }
        for replica in [0, 1] {
            let status = net.core(replica).status();
            assert!(status.held_bytes >= status.held * LONG_KEY_BYTES as u64, "{status:?}");
            // What nobody has reported yet is kept beside it.
            let unreported = KEPT_BYTES / 8 + slack;
            assert!(
                status.held_bytes <= KEPT_BYTES * 2 / 3 + 2 * (slack + unreported),
                "{status:?}"
            );
        }
    }
    for replica in [0, 1] {
        let status = net.core(replica).status();
        assert!(status.held >= 10, "what there is room for is kept: {status:?}");
        assert!(status.crowded_out >= 50, "{status:?}");
    }
    net.come_to_rest();
    assert_eq!(net.core(2).status().installs, 1);
    net.assert_equal_states();
}

/// As with slots: replica 1, which lacks what replica 0 has dropped, drops nothing.
#[test]
fn of_two_replicas_at_most_one_drops_bytes_that_the_other_lacks() {
    let mut net = net_bounded_in_bytes();
    for number in 0..30 {
        net.put(0, &long_key(number));
        settle_without(&mut net, 1);
    }
    assert!(net.core(0).status().crowded_out >= 10);
    let catching_up = ["Ask", "Fetch", "Piece", "Collected", "Recover", "RecoverOk"];
    for number in 30..60 {
        net.put(1, &long_key(number));
        while net.deliver(|e| without(0)(e) && !catching_up.iter().any(|kind| is(kind)(e))) > 0 {}
        net.lose(|_| true);
    }
    let status = net.core(1).status();
    assert_eq!(net.order(1).len(), 30);
    assert!(status.held >= 30 && status.crowded_out == 0, "it is itself behind: {status:?}");
    net.crash(2);
    net.come_to_rest();
    net.assert_equal_states();
}

/// Commands that are under way to a replica do not keep it from dropping anything: it knows them.
#[test]
fn who_lacks_little_that_it_knows_drops_as_ever() {
    let mut net = net_bounded_in_bytes();
    // Replica 0 has pre-accepted what replica 1 and 2 have executed, and does not know that.
    net.put(1, &long_key(1_000));
    net.deliver(is("PreAccept"));
    net.deliver(and(link(2, 1), is("PreAcceptOk")));
    net.deliver(and(link(1, 2), is("Commit")));
    net.lose(|_| true);
    let no_decision_of_1 = |e: &Envelope| {
        without(2)(e)
            && !is("Ask")(e)
            && !(e.from == r(1)
                && matches!(&e.message, Message::Commit { instance, .. } if instance.row == r(1)))
    };
    for number in 0..30 {
        net.put(0, &long_key(number));
        while net.deliver(no_decision_of_1) > 0 {}
        net.lose(|_| true);
    }
    let status = net.core(0).status();
    assert_eq!((net.order(0).len(), net.order(1).len()), (30, 31));
    assert!(status.crowded_out >= 10, "{status:?}");
}
