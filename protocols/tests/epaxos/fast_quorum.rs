//! The wait for a fast quorum: a replica that lets it run out is not waited for again before it
//! answers in time.

use protocols::{
    Config, InstanceId, Path,
    epaxos::{FastQuorum, Timer, Variant},
};

use crate::{
    net::{Net, and, is, link, to},
    support::{net::Decision, r},
};

/// The fixed fast quorum of r0 is {r0, r1, r2, r3}; r4 is left out.
fn published() -> Net {
    Net::with(Config::new(5).with(Variant::Sosp13))
}

/// A fast quorum takes four of five.
fn simple() -> Net {
    Net::with(Config::new(5).with(FastQuorum::Simple))
}

/// r0 proposes a command, nobody crashed answers, and the wait for the others runs out.
fn wait_in_vain(net: &mut Net) -> InstanceId {
    let instance = net.put(0, "k");
    net.deliver_all();
    // The timer may have been set before the command was there: then it runs once more.
    for _ in 0..2 {
        assert!(!net.has_committed(0, instance));
        net.fire(0, Timer::FastQuorum);
        net.deliver_all();
        if net.has_committed(0, instance) {
            break;
        }
    }
    assert_eq!(net.decision(0, instance).path, Path::Slow);
    instance
}

/// r0 proposes a command that is decided without any timer: by which path, and which replicas were
/// asked?
fn propose(net: &mut Net) -> (InstanceId, Path, Vec<u8>) {
    let instance = net.put(0, "k");
    let asked = net.flight.iter().filter(|e| is("PreAccept")(e) || is("PreAcceptAgain")(e));
    let mut asked: Vec<_> = asked.map(|e| e.to.0).collect();
    asked.sort_unstable();
    net.deliver_all();
    (instance, net.decision(0, instance).path, asked)
}

/// A round of what is sent again goes to all; its answers come before the next one.
fn answer_a_round(net: &mut Net) {
    net.fire(0, Timer::Retransmit);
    net.deliver_all();
}

#[test]
fn the_left_out_replica_takes_the_place_of_a_silent_one() {
    let mut net = published();
    net.crash(1);
    wait_in_vain(&mut net);
    for _ in 0..2 {
        let (_, path, asked) = propose(&mut net);
        assert_eq!((path, asked), (Path::Fast, vec![2, 3, 4]));
    }
    net.come_to_rest();
}

#[test]
fn with_too_few_that_answer_there_is_no_fast_path_to_wait_for() {
    let mut net = published();
    net.crash(1);
    net.crash(4);
    wait_in_vain(&mut net);
    // The left-out replica is tried once.
    wait_in_vain(&mut net);
    let (instance, path, asked) = propose(&mut net);
    assert_eq!((path, asked), (Path::Slow, vec![1, 2, 3, 4]));
    net.start(1);
    net.start(4);
    net.come_to_rest();
    assert!(net.has_committed(1, instance) && net.has_committed(4, instance));
}

#[test]
fn a_replica_that_answers_in_time_is_waited_for_again() {
    for (mut net, quorum) in [(published(), vec![1, 2, 3]), (simple(), vec![1, 2, 3, 4])] {
        for replica in [1, 4] {
            net.crash(replica);
        }
        wait_in_vain(&mut net);
        net.start(1);
        net.start(4);
        answer_a_round(&mut net);
        let (_, path, asked) = propose(&mut net);
        assert_eq!((path, asked), (Path::Fast, quorum));
        net.come_to_rest();
    }
}

/// It answers each round, a period late: commands that waited for it would wait in vain.
#[test]
fn a_replica_that_answers_late_is_not_waited_for() {
    let mut net = published();
    let first = net.put(0, "k");
    net.deliver(and(is("PreAccept"), to(&[2, 3])));
    net.deliver(and(is("PreAcceptOk"), to(&[0])));
    net.fire(0, Timer::FastQuorum);
    net.deliver(|e| e.to != r(1) && e.from != r(1));
    net.deliver(|e| e.to != r(1) && e.from != r(1));
    assert_eq!(net.decision(0, first).path, Path::Slow);
    for _ in 0..4 {
        net.deliver(|e| e.to != r(1) && e.from != r(1));
        net.fire(0, Timer::Retransmit);
        net.deliver(link(0, 1));
        let (late, rest): (Vec<_>, Vec<_>) = net.flight.drain(..).partition(|e| e.from == r(1));
        net.flight.extend(rest);
        net.put(0, "k");
        let asked = net.flight.iter().filter(|e| is("PreAccept")(e)).map(|e| e.to.0);
        assert_eq!(asked.collect::<Vec<_>>(), [2, 3, 4]);
        net.deliver(|e| e.to != r(1));
        net.deliver(|e| e.to != r(1));
        net.fire(0, Timer::Retransmit);
        late.into_iter().for_each(|envelope| net.hand_over(envelope));
    }
    net.come_to_rest();
}

/// Two of five are enough to make a fast quorum of four impossible: nobody waits for one.
#[test]
fn the_corrected_protocol_takes_the_slow_path_where_no_fast_quorum_answers() {
    let mut net = simple();
    net.crash(1);
    let (_, path, _) = propose(&mut net);
    assert_eq!(path, Path::Fast, "four are left");
    net.crash(4);
    wait_in_vain(&mut net);
    let (_, path, asked) = propose(&mut net);
    assert_eq!((path, asked), (Path::Slow, vec![1, 2, 3, 4]));
    net.come_to_rest();
}

/// A command was committed fast by a quorum with the replica that is left out otherwise; its owner
/// and a member crash, and what is recovered is what a client may have seen.
#[test]
fn what_such_a_quorum_committed_is_recovered() {
    for member in [2, 3, 4] {
        let mut net = published();
        net.crash(1);
        wait_in_vain(&mut net);
        net.put(2, "k");
        net.deliver(and(is("PreAccept"), to(&[3, 4])));
        net.lose(|_| true);
        let instance = net.put(0, "k");
        net.deliver(and(is("PreAccept"), to(&[2, 3, 4])));
        net.deliver(and(is("PreAcceptOk"), to(&[0])));
        let fast = net.decision(0, instance).clone();
        assert_eq!((fast.dependencies.slots()[2], fast.path), (1, Path::Fast));
        net.start(1);
        net.crash(0);
        net.crash(member);
        net.lose(|_| true);
        net.put(1, "k"); // Which conflicts, and knows nothing of it.
        net.lose(|_| true);
        let survivor = if member == 2 { 3 } else { 2 };
        // Once for what was open when the timer was set, which is decided, and once for this.
        for _ in 0..2 {
            net.fire(survivor, Timer::Row(r(0)));
            net.deliver_all();
        }
        let Decision { batch, dependencies: on, .. } = net.decision(1, instance);
        assert_eq!((batch, on), (&fast.batch, &fast.dependencies));
        net.start(0);
        net.start(member);
        net.come_to_rest();
    }
}
