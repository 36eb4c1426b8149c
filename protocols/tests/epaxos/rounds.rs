//! What is sent again, and how much of it: by what the peer that lacks it takes in.
//! Nothing here measures time: what is counted is how often a timer runs out.

use std::collections::BTreeMap;

use protocols::{
    Batch, ClientId, Command, InstanceId, ReplicaId, Request, RequestNumber,
    epaxos::{Message, Pace, Timer},
};

use crate::{
    net::{Envelope, Net, id, is, link, to},
    support::r,
};

const MANY: u64 = 2_000;

/// r0 decides commands while the last replica is down, which is back now and has been told nothing.
/// The next run of r0's timer begins a round, and all of them are old enough to be sent again.
fn behind(replicas: u8, many: u64, value: usize) -> Net {
    let mut net = Net::new(usize::from(replicas));
    net.crash(replicas - 1);
    for number in 1..=many {
        let request = Request {
            client: ClientId(9),
            number: RequestNumber::write(number),
            unanswered_from: 1,
            command: Command::Put { key: &number.to_le_bytes(), value: &vec![7; value] },
        };
        net.propose(0, Batch::single(&request).expect("allowed"));
        net.deliver_all();
    }
    // The first run asks the one that is down how far it is, and the second one waits for that.
    for _ in 0..2 {
        net.fire(0, Timer::Retransmit);
        net.deliver_all();
    }
    net.start(replicas - 1);
    net.lose(|_| true);
    net
}

fn commits_to(net: &Net, peer: u8) -> Vec<&Envelope> {
    let is_commit = |envelope: &&Envelope| matches!(envelope.message, Message::Commit { .. });
    net.flight.iter().filter(is_commit).filter(|envelope| envelope.to == r(peer)).collect()
}

fn payload(envelope: &Envelope) -> usize {
    match &envelope.message {
        Message::Commit { batch: Some(batch), .. } => batch.as_bytes().len(),
        _ => 0,
    }
}

fn is_probe(envelope: &Envelope) -> bool {
    matches!(envelope.message, Message::Progress { pace: Pace::Probe(_), .. })
}

/// However often the timer runs out, a peer that answers nothing is sent one round, then ever
/// smaller ones, ever more rarely.
#[test]
fn a_peer_that_answers_nothing_is_sent_little() {
    let mut net = behind(3, MANY, 8);
    let mut rounds = Vec::new();
    for _ in 0..40 {
        // The others go on, so that the timer runs as often as ever.
        net.put(0, "k");
        net.lose(to(&[2]));
        while net.deliver(to(&[0, 1])) > 0 {}
        net.lose(|_| true);
        net.fire(0, Timer::Retransmit);
        if !commits_to(&net, 2).is_empty() {
            rounds.push(commits_to(&net, 2).len());
        }
    }
    assert!(rounds[0] <= 256, "{rounds:?}");
    assert!(rounds.windows(2).all(|pair| pair[1] <= pair[0]), "{rounds:?}");
    assert!((3..=8).contains(&rounds.len()), "of 40 runs of the timer: {rounds:?}");
    net.come_to_rest();
}

/// A peer that answers is sent everything, round after round, without the timer.
#[test]
fn a_peer_that_answers_is_sent_the_next_round() {
    let mut net = behind(3, MANY, 8);
    net.fire(0, Timer::Retransmit);
    let mut largest = 0;
    while net.deliver(|_| true) > 0 {
        largest = largest.max(commits_to(&net, 2).len());
        assert!(net.flight.iter().filter(|envelope| is_probe(envelope)).count() <= 1);
    }
    assert!((0..MANY).all(|slot| net.has_committed(2, id(0, slot + 1))));
    assert!(largest > 512, "rounds grow while they are answered: {largest}");
    net.come_to_rest();
}

/// A round is bounded in bytes, and has one decision at least.
#[test]
fn large_decisions_are_sent_again_a_few_at_a_time() {
    const VALUE: usize = 24 << 10;
    let mut net = behind(3, 60, VALUE);
    net.fire(0, Timer::Retransmit);
    let first: usize = commits_to(&net, 2).iter().map(|envelope| payload(envelope)).sum();
    assert!((VALUE..=64 << 10).contains(&first), "{first} B");
    while net.deliver(|_| true) > 0 {
        let bytes: usize = commits_to(&net, 2).iter().map(|envelope| payload(envelope)).sum();
        assert!(bytes <= 1 << 20, "{bytes} B");
    }
    assert!((1..=60).all(|slot| net.has_committed(2, id(0, slot))));
    net.come_to_rest();

    let mut net = behind(3, 3, 1 << 20);
    net.fire(0, Timer::Retransmit);
    assert_eq!(commits_to(&net, 2).len(), 1);
    net.deliver_all();
    assert!((1..=3).all(|slot| net.has_committed(2, id(0, slot))));
    net.come_to_rest();
}

/// A peer that answers nothing costs the others nothing: those are sent what they lack.
#[test]
fn one_silent_peer_slows_no_other() {
    let mut net = behind(5, MANY, 8);
    net.crash(3);
    for _ in 0..12 {
        net.fire(0, Timer::Retransmit);
        net.deliver(|envelope| envelope.to != r(4));
        net.lose(|_| true);
    }
    // r4 answers again. Whoever has waited for it the longest waits for no more than that.
    let mut runs = 0;
    while !(1..=MANY).all(|slot| net.has_committed(4, id(0, slot))) {
        net.fire(0, Timer::Retransmit);
        net.deliver_all();
        runs += 1;
        assert!(runs <= 17, "the longest wait");
    }
    net.start(3);
    net.come_to_rest();
}

/// What nobody but others can tell is asked of one of them, and not of one that is silent.
#[test]
fn a_decision_is_asked_of_one_replica() {
    let mut net = behind(5, 200, 8);
    // r0 is gone; the others tell r4 how far they are.
    net.crash(0);
    for replica in 1..4 {
        net.fire(replica, Timer::Progress);
    }
    net.deliver(to(&[4]));
    net.lose(|_| true);
    let mut asked: BTreeMap<InstanceId, Vec<ReplicaId>> = BTreeMap::new();
    for _ in 0..2 {
        net.fire(4, Timer::Retransmit);
        for envelope in &net.flight {
            if let Message::Ask { instance } = envelope.message {
                asked.entry(instance).or_default().push(envelope.to);
            }
        }
    }
    assert!(!asked.is_empty());
    assert!(asked.values().all(|of| of.len() == 1), "{asked:?}");
    let first = asked.values().next().expect("not empty")[0];
    net.crash(first);
    net.lose(|_| true);
    let mut runs = 0;
    while !(1..=200).all(|slot| net.has_committed(4, id(0, slot))) {
        net.fire(4, Timer::Retransmit);
        net.deliver_all();
        runs += 1;
        assert!(runs < 10, "another one is asked");
    }
    for replica in [ReplicaId(0), first] {
        net.start(replica);
    }
    net.come_to_rest();
}

/// The row's own replica sends what it has decided: nobody is asked for it besides.
#[test]
fn what_a_replica_sends_by_itself_is_not_asked_for() {
    let mut net = behind(3, 200, 8);
    net.fire(1, Timer::Progress);
    net.deliver(link(1, 2));
    net.lose(|_| true);
    net.fire(2, Timer::Retransmit);
    net.lose(|_| true);
    // r0's round comes; its decisions are lost, its question is not.
    net.fire(0, Timer::Retransmit);
    net.lose(is("Commit"));
    net.deliver(link(0, 2));
    net.lose(|_| true);
    net.fire(2, Timer::Retransmit);
    assert!(!net.flight.iter().any(is("Ask")), "r0 is sending them");
    net.lose(|_| true);
    // It is heard of no more.
    net.fire(2, Timer::Retransmit);
    let asks = net.flight.iter().filter(|envelope| is("Ask")(envelope)).count();
    assert!(asks > 0);
    net.come_to_rest();
}
