//! Takeovers: how a replica gets through the many instances of a row whose replica does not answer.
//! Nothing here measures time: what is counted is how often a timer runs out.

use std::collections::BTreeSet;

use protocols::{
    Batch, ClientId, Command, Config, InstanceId, ReplicaId, Request, RequestNumber,
    epaxos::{Message, Timer, Variant},
};

use crate::net::{Net, and, is, link, to};

const MANY: u64 = 1_000;

fn row(replica: u8) -> Timer {
    Timer::Row(ReplicaId(replica))
}

fn net(replicas: usize, variant: Variant) -> Net {
    Net::with(Config::new(replicas).with(variant))
}

/// r0 proposes many commands, each on a key of its own or all on one. r1 has stored them, and
/// nobody else knows them.
fn propose_many(net: &mut Net, many: u64, on_one_key: bool) {
    for index in 0..many {
        let key = if on_one_key { "k".to_owned() } else { format!("k{index}") };
        net.put(0, &key);
    }
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(|_| true);
}

/// r0's slots that are recovered at `replica` and not decided there.
fn under_way(net: &Net, replica: u8, begun: &BTreeSet<InstanceId>) -> usize {
    begun.iter().filter(|instance| !net.has_committed(replica, **instance)).count()
}

/// The instances for which a Recover of `from` is in flight.
fn recovers(net: &Net, from: u8) -> BTreeSet<InstanceId> {
    let recover = |envelope: &crate::net::Envelope| match envelope.message {
        Message::Recover { instance, .. } if envelope.from.0 == from => Some(instance),
        _ => None,
    };
    net.flight.iter().filter_map(recover).collect()
}

/// All that a dead replica had under way is decided after its row's timer has run out once, however
/// much that is; what others propose after it is executed.
#[test]
fn many_instances_of_a_dead_replica_take_one_run_of_the_timer() {
    for variant in Variant::ALL {
        for (replicas, on_one_key) in [(3, true), (3, false), (5, true)] {
            let mut net = net(replicas, variant);
            propose_many(&mut net, MANY, on_one_key);
            net.crash(0);
            let after = net.put(1, "k");
            net.deliver_all();
            net.fire(1, row(0));
            net.deliver_all();
            for slot in 1..=MANY {
                assert!(net.has_committed(2, InstanceId::new(ReplicaId(0), slot)), "{slot}");
            }
            if net.has_committed(1, after) {
                assert!(net.order(1).contains(&after), "{variant}, {replicas}, {on_one_key}");
            }
            net.start(0);
            net.come_to_rest();
            assert!(net.order(0).contains(&after));
        }
    }
}

/// No more than a few recoveries are begun before one is decided.
#[test]
fn the_first_recoveries_are_few() {
    let mut net = net(3, Variant::Star);
    propose_many(&mut net, MANY, false);
    net.crash(0);
    net.fire(1, row(0)); // When it was set, the first slot alone was known.
    assert_eq!(recovers(&net, 1).len(), 1);
    net.lose(|_| true);
    net.fire(1, row(0));
    assert_eq!(recovers(&net, 1).len(), 63, "64 with the first one");
    net.deliver_all();
    net.come_to_rest();
}

/// What is under way at once is bounded in bytes of commands.
#[test]
fn large_commands_are_recovered_a_few_at_a_time() {
    const VALUE: usize = 512 << 10;
    let mut net = net(3, Variant::Star);
    for number in 1..=60 {
        let request = Request {
            client: ClientId(9),
            number: RequestNumber::write(number),
            unanswered_from: 1,
            command: Command::Put { key: &number.to_le_bytes(), value: &vec![7; VALUE] },
        };
        net.propose(0, Batch::single(&request).expect("allowed"));
    }
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(|_| true);
    net.crash(0);
    net.fire(1, row(0));
    let (mut begun, mut most) = (BTreeSet::new(), 0);
    while !net.flight.is_empty() {
        begun.extend(recovers(&net, 1));
        most = most.max(under_way(&net, 1, &begun));
        let next = net.flight.pop_front().expect("not empty");
        net.hand_over(next);
    }
    assert_eq!(begun.len(), 60);
    assert!((2..=8).contains(&most), "{most} commands of half a mebibyte at once");
    net.start(0);
    net.come_to_rest();
}

/// A replica that lives and answers loses no more than the first instances, and is suspected later
/// the next time.
#[test]
fn a_live_replica_ends_the_takeover_of_its_row() {
    let mut net = net(5, Variant::Star);
    propose_many(&mut net, 200, false);
    let first = *net.timer(1, row(0)).start();
    net.fire(1, row(0));
    net.lose(|_| true);
    net.fire(1, row(0));
    assert_eq!(recovers(&net, 1).len(), 63, "one is being recovered");
    // Its answer comes first.
    net.deliver(and(is("Recover"), to(&[0])));
    net.deliver(and(is("RecoverOk"), link(0, 1)));
    net.lose(and(is("PreAccept"), to(&[1, 2, 3, 4])));
    while net.deliver(|envelope| !is("PreAccept")(envelope)) > 0 {}
    let taken = (1..=200).filter(|slot| net.has_committed(1, InstanceId::new(ReplicaId(0), *slot)));
    assert_eq!(taken.count(), 63);
    net.fire(1, row(0));
    net.deliver_all();
    assert!(*net.timer(1, row(0)).start() >= 2 * first);
    net.come_to_rest();
}

/// What the row's replica has proposed less than a period ago is left to it while it goes on.
#[test]
fn young_instances_of_a_row_that_grows_are_left_alone() {
    let mut net = net(5, Variant::Star);
    propose_many(&mut net, 3, false);
    // The timer was set when the first one came. r0 is heard of no more by those who promise.
    net.fire(1, row(0));
    net.lose(to(&[0]));
    net.put(0, "more");
    net.deliver(and(is("PreAccept"), link(0, 1)));
    net.lose(is("PreAccept"));
    net.deliver_all();
    let decided = |slot| net.has_committed(1, InstanceId::new(ReplicaId(0), slot));
    assert_eq!([1, 2, 3, 4].map(decided), [true, false, false, false]);
    net.come_to_rest();
}

/// Of two that take a row over the second one goes on with it, and the first one starts no more.
#[test]
fn a_second_takeover_ends_the_first() {
    let mut net = net(3, Variant::Star);
    for index in 0..MANY {
        net.put(0, &format!("k{index}"));
    }
    net.deliver(is("PreAccept"));
    net.lose(|_| true);
    net.crash(0);
    for replica in [1, 2] {
        net.fire(replica, row(0));
        net.lose(|_| true);
    }
    net.fire(1, row(0));
    net.fire(2, row(0));
    assert_eq!((recovers(&net, 1).len(), recovers(&net, 2).len()), (63, 63));
    // r2's ballots are the higher ones.
    let (mut of_1, mut of_2) = (recovers(&net, 1), recovers(&net, 2));
    while net.deliver(|_| true) > 0 {
        of_1.extend(recovers(&net, 1));
        of_2.extend(recovers(&net, 2));
    }
    assert_eq!(of_1.len(), 63);
    assert!(of_2.len() > 990, "{}", of_2.len());
    net.start(0);
    net.come_to_rest();
}

/// What a replica had under way when it crashed nobody goes on with. It is the one that answers
/// for its row, and gets through it by its own timer.
#[test]
fn a_restarted_replica_takes_its_own_row_over() {
    for variant in Variant::ALL {
        let mut net = net(3, variant);
        propose_many(&mut net, MANY, true);
        net.crash(0);
        net.start(0);
        net.deliver_all();
        net.fire(1, row(0));
        net.deliver_all();
        // Some are decided by now, so that its timer has not run out over one and the same slot.
        net.fire(0, row(0));
        net.deliver_all();
        for slot in 1..=MANY {
            assert!(net.has_committed(2, InstanceId::new(ReplicaId(0), slot)), "{slot}");
        }
        net.come_to_rest();
    }
}

/// However far the others look ahead in a row, and however many recoveries are under way at once:
/// none is begun that they would not hear of, for it would be waited for in vain.
#[test]
fn a_takeover_keeps_within_what_the_others_look_at() {
    const OPEN: u64 = 100;
    for limits_seed in 0..60 {
        let mut net = Net::with(Config { limits_seed, ..Config::new(3) });
        for _ in 0..OPEN {
            net.put(0, "k");
        }
        net.lose(|_| true);
        // r1 learns from r0's answer how many there are.
        net.put(1, "k");
        net.deliver(and(is("PreAccept"), link(1, 0)));
        net.deliver(and(is("PreAcceptOk"), link(0, 1)));
        net.crash(0);
        net.lose(|_| true);
        net.fire(1, row(0));
        net.deliver_all();
        for slot in 1..=OPEN {
            let instance = InstanceId::new(ReplicaId(0), slot);
            assert!(net.has_committed(1, instance), "{instance}, limits of {limits_seed}");
        }
        net.start(0);
        net.come_to_rest();
    }
}
