//! A leader that does not hear some follower, or that is not heard by it: batches that go through a
//! peer, and leaders that leave the lead to others.

use protocols::{
    Config, Effect, Effects, Input, Replica, ReplicaSet,
    multi_paxos::{Message, MultiPaxos, Timer},
};

use crate::{
    accept, accepted, alive, ballot, election_ms, elections, forward, heartbeat, leader, new,
    promise, proposals,
    support::{
        Cluster,
        hand::{messages, receive, sends, step},
        r, write,
    },
};

fn relay(index: u64) -> Message {
    Message::Relay { batch: write(1, index), executed: 0 }
}

/// Found as clients that waited for ever: a majority answered the leader, and the replica that they
/// asked was none of it.
#[test]
fn clients_of_a_replica_that_the_leader_does_not_reach_are_answered() {
    // Whether messages pass from the leader to the last replica, and back.
    for (there, back) in [(false, false), (true, false), (false, true)] {
        for seed in 0..20 {
            for replicas in [3, 5] {
                let last = r(u8::try_from(replicas - 1).expect("few"));
                let mut cluster = Cluster::<MultiPaxos>::new(Config::new(replicas), seed);
                cluster.run_ms(1_000 + 37 * seed);
                cluster.world.tap = Some(Box::new(move |from, to, _| {
                    (there || (from, to) != (r(0), last)) && (back || (from, to) != (last, r(0)))
                }));
                cluster.run_ms(100 * (seed % 10));
                for index in 1..=3 {
                    cluster.propose(last, write(1, index));
                    let answered = |c: &Cluster<MultiPaxos>| c.has_applied(last, &write(1, index));
                    let context = format!("seed {seed}, {replicas} replicas, {there}, {back}");
                    assert!(cluster.run_until(4 * election_ms(), answered), "{context}");
                }
                assert_eq!(elections(&cluster, replicas), 1, "seed {seed}: nobody was disturbed");
                cluster.world.tap = None;
                assert!(cluster.run_until(5_000, Cluster::at_rest));
                cluster.assert_equal_states();
                assert_eq!(cluster.nodes[0].kv.digest().writes, 3);
            }
        }
    }
}

/// Replica 2 of five, with a batch for a leader that it never heard, has asked who hears it.
fn without_a_way() -> MultiPaxos {
    let mut core = new(2, 5);
    step(&mut core, Input::Start);
    assert_eq!(messages(&step(&mut core, Input::Propose(write(1, 1)))), []);
    let asked = messages(&step(&mut core, Input::Timer(Timer::Retransmit)));
    assert_eq!(asked, [Message::PreVote { poll: 0 }]);
    core
}

#[test]
fn batches_go_through_a_peer_that_hears_the_leader_until_that_one_is_silent() {
    let mut core = without_a_way();
    let to = |peer| ReplicaSet::only(r(peer));
    let led = Message::Led { executed: 0 };
    assert_eq!(sends(&receive(&mut core, 3, led.clone())), [(to(3), relay(1))]);
    assert_eq!(receive(&mut core, 4, led.clone()), [], "one is enough");
    let sent = sends(&step(&mut core, Input::Propose(write(1, 2))));
    assert_eq!(sent, [(to(3), relay(2))]);
    step(&mut core, Input::Timer(Timer::Retransmit));
    let behind = messages(&receive(&mut core, 3, Message::Led { executed: 7 }));
    assert_eq!(
        behind,
        [Message::Fetch { first: 1, last: 7, bytes_max: 64 << 10 }],
        "decisions come from there, too"
    );
    for _ in 0..2 {
        step(&mut core, Input::Timer(Timer::Retransmit));
    }
    let sent = sends(&receive(&mut core, 4, led.clone()));
    assert_eq!(sent, [(to(4), relay(1)), (to(4), relay(2))], "the first one says nothing any more");
    // The leader is heard, and hears this replica.
    let sent = sends(&receive(&mut core, 0, heartbeat(ballot(1, 0), 0)));
    assert!(sent.contains(&(to(0), forward(write(1, 1)))), "{sent:?}");
    assert_eq!(receive(&mut core, 3, led), []);
    let sent = sends(&step(&mut core, Input::Propose(write(1, 3))));
    assert_eq!(sent, [(to(0), forward(write(1, 3)))]);
}

#[test]
fn a_replica_that_the_leader_does_not_hear_in_time_asks_for_a_way() {
    let mut core = new(2, 5);
    let beat = |heard: &[u8]| Message::Heartbeat {
        ballot: ballot(1, 0),
        commit: 0,
        collect: 0,
        beat: 9,
        heard: heard.iter().map(|peer| r(*peer)).collect(),
    };
    let asks = |core: &mut MultiPaxos, heard: &[u8]| {
        receive(core, 0, beat(heard));
        let sent = messages(&step(core, Input::Timer(Timer::Retransmit)));
        sent.iter().any(|message| matches!(message, Message::PreVote { .. }))
    };
    assert!(!asks(&mut core, &[1, 3]), "no client waits");
    step(&mut core, Input::Propose(write(1, 1)));
    assert!(asks(&mut core, &[1, 3]));
    assert!(!asks(&mut core, &[1, 2]), "heard");
    assert!(!asks(&mut core, &[]), "nobody is heard in time: there is no better way");
}

#[test]
fn who_is_asked_for_a_way_says_so_if_it_is_one() {
    let led = Message::Led { executed: 0 };
    let question = || Message::PreVote { poll: 0 };
    assert_eq!(messages(&receive(&mut leader(5), 2, question())), std::slice::from_ref(&led));
    let mut core = new(1, 5);
    receive(&mut core, 0, heartbeat(ballot(1, 0), 0));
    assert_eq!(messages(&receive(&mut core, 2, question())), [led]);
    let unheard = Message::Heartbeat {
        ballot: ballot(1, 0),
        commit: 0,
        collect: 0,
        beat: 9,
        heard: ReplicaSet::only(r(3)),
    };
    receive(&mut core, 0, unheard);
    assert_eq!(messages(&receive(&mut core, 2, question())), [], "the leader does not hear it");
}

/// A batch takes one step between, and never a second one.
#[test]
fn a_batch_is_passed_on_to_the_leader_alone() {
    let mut core = new(1, 5);
    assert_eq!(receive(&mut core, 2, relay(1)), [], "it knows of no leader");
    receive(&mut core, 0, heartbeat(ballot(1, 0), 0));
    let passed = Message::Relay { batch: write(1, 1), executed: 4 };
    let sent = sends(&receive(&mut core, 2, passed));
    let forward = Message::Forward { batch: write(1, 1), executed: 4 };
    assert_eq!(sent, [(ReplicaSet::only(r(0)), forward.clone())]);
    assert_eq!(receive(&mut core, 0, relay(1)), [], "not back to where it came from");
    assert_eq!(receive(&mut core, 2, forward), []);
    let sent = messages(&receive(&mut leader(5), 2, relay(1)));
    assert_eq!(proposals(&sent), [(1, write(1, 1))]);
}

/// A leader says whose answers come in time.
#[test]
fn answers_to_old_heartbeats_do_not_come_in_time() {
    let mut core = leader(5);
    let heard = |core: &mut MultiPaxos| {
        let sent = messages(&step(core, Input::Timer(Timer::Heartbeat)));
        let [Message::Heartbeat { beat, heard, .. }] = sent[..] else { panic!("{sent:?}") };
        (beat, heard)
    };
    for sent in 2..=20 {
        let (beat, heard) = heard(&mut core);
        assert_eq!(beat, sent);
        let answer = |beat| Message::Alive { ballot: ballot(1, 0), beat, executed: 0 };
        receive(&mut core, 1, answer(beat));
        receive(&mut core, 2, answer(beat.saturating_sub(7)));
        let expected: &[u8] = if sent <= 5 { &[1, 2, 3, 4] } else { &[1] };
        assert_eq!(heard, expected.iter().map(|peer| r(*peer)).collect(), "heartbeat {sent}");
    }
}

/// Found as a leader that hears just enough of its followers to win each election that it loses.
#[test]
fn a_leader_that_lost_its_majority_campaigns_after_all_others() {
    let mut core = leader(5);
    let mut effects = Vec::new();
    while core.status().leader.is_some() {
        effects = step(&mut core, Input::Timer(Timer::Heartbeat));
    }
    let mut ranges = effects.iter().rev().filter_map(|effect| match effect {
        Effect::SetTimer { timer: Timer::Election, after } => Some(after.clone()),
        _ => None,
    });
    let election = Config::new(5).timeouts.election;
    assert_eq!(ranges.next(), Some(2 * election..=3 * election));
    let granted = messages(&receive(&mut core, 3, Message::PreVote { poll: 1 }));
    assert!(matches!(granted[..], [Message::PreVoteGranted { .. }]), "and consents: {granted:?}");
}

/// Found as a leader that kept its place for as long as it was watched: of a majority one follower
/// got a tenth of its messages. Nothing was decided.
#[test]
fn a_leader_that_decides_nothing_leaves_the_lead_to_others() {
    let mut core = leader(5);
    let at = ballot(1, 0);
    let beat_and_answers = |core: &mut MultiPaxos| {
        step(core, Input::Timer(Timer::Heartbeat));
        for peer in [1, 2] {
            receive(core, peer, alive(at, 0));
        }
        core.status().leader.is_some()
    };
    for _ in 0..20 {
        assert!(beat_and_answers(&mut core), "nothing is to be decided");
    }
    for slot in 1..=20 {
        step(&mut core, Input::Propose(write(1, slot)));
        for peer in [1, 2] {
            receive(&mut core, peer, accepted(at, slot));
        }
        step(&mut core, Input::Propose(write(2, slot)));
        assert!(beat_and_answers(&mut core), "something is always open, and something decided");
        receive(&mut core, 1, accepted(at, 2 * slot));
        receive(&mut core, 2, accepted(at, 2 * slot));
        receive(&mut core, 1, accepted(at, 2 * slot - 1));
        receive(&mut core, 2, accepted(at, 2 * slot - 1));
    }
    step(&mut core, Input::Propose(write(3, 1)));
    let beats = (0..20).take_while(|_| beat_and_answers(&mut core)).count();
    assert!((4..=6).contains(&beats), "an election timeout: {beats}");
}

#[test]
fn without_heartbeats_a_sign_of_life_counts_for_half_a_timeout_more() {
    let mut core = new(1, 3);
    receive(&mut core, 0, heartbeat(ballot(1, 0), 0));
    receive(&mut core, 0, accept(ballot(1, 0), 1, write(1, 1), 0));
    let election = Config::new(3).timeouts.election;
    let expected = Effect::SetTimer { timer: Timer::Election, after: election / 2..=election / 2 };
    assert_eq!(step(&mut core, Input::Timer(Timer::Election)), [expected]);
    let missing = Effect::SetTimer { timer: Timer::Election, after: Default::default()..=election };
    assert_eq!(step(&mut core, Input::Timer(Timer::Election)), [missing]);
}

/// Found as four followers of five that each missed one slot, and had to take a large snapshot for
/// it: the leader alone had executed more.
#[test]
fn what_a_majority_has_not_executed_is_kept_for_it() {
    let config = Config { kept_slots_max: 2, ..Config::new(5) };
    let mut core = MultiPaxos::recover(r(0), &config, None, []);
    step(&mut core, Input::Start);
    let at = ballot(1, 0);
    for peer in [1, 2] {
        receive(&mut core, peer, promise(at, 1, vec![]));
    }
    for slot in 1..=10 {
        step(&mut core, Input::Propose(write(1, slot)));
        for peer in [1, 2] {
            receive(&mut core, peer, accepted(at, slot));
        }
    }
    core.step(Input::Flush, &mut Effects::default());
    assert_eq!(core.status().held, 10, "the others may each lack any of them");
    for (peer, executed, held) in [(1, 9, 10), (2, 7, 5), (3, 10, 3), (4, 10, 2)] {
        receive(&mut core, peer, alive(at, executed));
        let mut effects = Effects::default();
        core.step(Input::Flush, &mut effects);
        assert_eq!(core.status().held, held, "after replica {peer}");
    }
}
