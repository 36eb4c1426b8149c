//! Who hears whom: leaders that no majority answers, followers that miss a leader which others
//! hear, and the question that precedes a campaign.

use std::time::Duration;

use protocols::{
    Config, Effect, Input, Replica, ReplicaSet,
    ballot::Ballot,
    multi_paxos::{Message, MultiPaxos, Timer},
};

use crate::{
    accept, alive, ballot, campaign, election_ms, elections, heartbeat, leader, new, promise,
    support::{
        Cluster,
        hand::{messages, receive, sends, step},
        r, write,
    },
};

fn granted(poll: u64) -> Message {
    Message::PreVoteGranted { poll, promised: Ballot::ZERO }
}

/// `core` misses its leader, and has asked who else does.
fn asking(core: &mut MultiPaxos) {
    for _ in 0..3 {
        let asked = messages(&step(core, Input::Timer(Timer::Election)));
        if matches!(asked[..], [Message::PreVote { .. }]) {
            return;
        }
    }
    panic!("it asks nobody");
}

/// Found as a silence of 20 seconds in a fault of 20 seconds: all heard the leader, which heard
/// nobody.
#[test]
fn a_leader_that_hears_nobody_is_replaced_within_two_of_the_longest_timeouts() {
    for seed in 0..100 {
        // Of five, one may still be heard.
        for (replicas, heard) in [(3, 0), (5, 0), (5, 1)] {
            let mut cluster = Cluster::<MultiPaxos>::new(Config::new(replicas), seed);
            cluster.run_ms(1_000 + 37 * seed);
            let reaches = move |from, to| to != r(0) || (1..=heard).any(|peer| from == r(peer));
            cluster.world.tap = Some(Box::new(move |from, to, _| reaches(from, to)));
            cluster.propose(r(2), write(1, 1));
            let answered = |c: &Cluster<MultiPaxos>| c.has_applied(r(2), &write(1, 1));
            assert!(cluster.run_until(4 * election_ms(), answered), "seed {seed}");
            assert_eq!(elections(&cluster, replicas), 2);
            cluster.world.tap = None;
            assert!(cluster.run_until(5_000, |c| c.at_rest() && answered(c)));
            cluster.assert_equal_states();
            assert_eq!(elections(&cluster, replicas), 2, "it follows as soon as it hears");
        }
    }
}

/// There is nobody whose consent it could wait for.
#[test]
fn alone_a_replica_leads_in_every_life() {
    let mut first = new(0, 1);
    let mut records = Vec::new();
    let mut keep = |effects: Vec<Effect<MultiPaxos>>| {
        records.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Persist(record) => Some(record),
            _ => None,
        }));
    };
    keep(step(&mut first, Input::Start));
    assert_eq!(first.status().leader, Some(r(0)));
    keep(step(&mut first, Input::Propose(write(1, 1))));
    assert!(!records.is_empty());
    let mut second = MultiPaxos::recover(r(0), &Config::new(1), None, records);
    step(&mut second, Input::Start);
    for _ in 0..2 {
        step(&mut second, Input::Timer(Timer::Election));
    }
    assert_eq!(second.status().leader, Some(r(0)));
}

#[test]
fn a_replica_that_was_cut_off_deposes_nobody_when_it_comes_back() {
    for seed in 0..20 {
        let mut cluster = Cluster::<MultiPaxos>::new(Config::new(3), seed);
        cluster.run_ms(1_000);
        // It is heard, and hears nobody; then nor is it heard.
        cluster.world.tap = Some(Box::new(|_, to, _| to != r(2)));
        cluster.run_ms(5_000);
        cluster.world.tap = Some(Box::new(|from, to, _| from != r(2) && to != r(2)));
        cluster.run_ms(5_000);
        cluster.propose(r(1), write(1, 1));
        assert!(cluster.run_until(50, |c| c.has_applied(r(1), &write(1, 1))));
        cluster.world.tap = None;
        cluster.run_ms(5_000);
        assert_eq!(elections(&cluster, 3), 1, "the first leader's");
        assert!(cluster.at_rest());
    }
}

/// However long nobody can lead, somebody does as soon as messages come through.
#[test]
fn a_cluster_without_any_majority_comes_back_in_time() {
    for seed in 0..20 {
        let mut cluster = Cluster::<MultiPaxos>::new(Config::new(3), seed);
        cluster.run_ms(1_000);
        cluster.world.tap = Some(Box::new(|_, _, _| false));
        cluster.propose(r(0), write(1, 1));
        cluster.run_ms(60_000);
        assert_eq!(cluster.status(r(0)).leader, None, "it has stepped down");
        cluster.world.tap = None;
        let answered = |c: &Cluster<MultiPaxos>| c.has_applied(r(0), &write(1, 1));
        assert!(cluster.run_until(4 * election_ms(), answered), "seed {seed}");
    }
}

#[test]
fn a_replica_that_hears_a_leader_consents_to_no_campaign() {
    let question = Message::PreVote { poll: 7 };
    let answer = |core: &mut MultiPaxos| messages(&receive(core, 2, question.clone()));
    let mut core = new(1, 3);
    let led = [Message::Led { executed: 0 }];
    receive(&mut core, 0, heartbeat(ballot(3, 0), 0));
    assert_eq!(answer(&mut core), led, "for less than a timeout");
    step(&mut core, Input::Timer(Timer::Election));
    let consent = Message::PreVoteGranted { poll: 7, promised: ballot(3, 0) };
    assert_eq!(answer(&mut core), std::slice::from_ref(&consent));
    receive(&mut core, 0, accept(ballot(3, 0), 1, write(1, 1), 0));
    assert_eq!(answer(&mut core), led, "an Accept is a sign of life, too");
    step(&mut core, Input::Timer(Timer::Election));
    assert_eq!(answer(&mut core), led, "it came since the timer was set");
    step(&mut core, Input::Timer(Timer::Election));
    assert_eq!(answer(&mut core), std::slice::from_ref(&consent));
    receive(&mut core, 2, Message::Prepare { ballot: ballot(4, 2), first: 1 });
    assert_eq!(answer(&mut core), [], "the candidate may take its time");
    assert_eq!(answer(&mut leader(3)), led, "nor does the leader");
}

#[test]
fn consent_counts_as_long_as_nothing_newer_is_heard() {
    let mut core = new(1, 5);
    receive(&mut core, 0, heartbeat(ballot(3, 0), 0));
    asking(&mut core);
    assert_eq!(receive(&mut core, 2, granted(1)), [], "two of five");
    assert_eq!(receive(&mut core, 2, granted(1)), [], "repeated");
    let again = sends(&step(&mut core, Input::Timer(Timer::Retransmit)));
    let silent = [r(0), r(3), r(4)].into_iter().collect::<ReplicaSet>();
    assert_eq!(again, [(silent, Message::PreVote { poll: 1 })]);
    receive(&mut core, 0, heartbeat(ballot(3, 0), 0));
    for from in [2, 3, 4] {
        assert_eq!(receive(&mut core, from, granted(1)), [], "the leader was heard");
    }
    asking(&mut core);
    for from in [2, 3, 4] {
        assert_eq!(receive(&mut core, from, granted(1)), [], "of the first question");
    }
    receive(&mut core, 2, granted(2));
    let higher = Message::PreVoteGranted { poll: 2, promised: ballot(6, 3) };
    let sent = messages(&receive(&mut core, 3, higher));
    assert_eq!(sent, [Message::Prepare { ballot: ballot(7, 1), first: 1 }]);
}

/// A candidate that fails asks again: it may have been cut off meanwhile.
#[test]
fn a_candidate_campaigns_again_only_with_consent() {
    let mut core = new(1, 3);
    assert_eq!(
        messages(&campaign(&mut core)),
        [Message::Prepare { ballot: ballot(1, 1), first: 1 }]
    );
    asking(&mut core);
    let sent = messages(&receive(&mut core, 2, promise(ballot(1, 1), 1, vec![])));
    assert!(matches!(sent[..], [Message::Heartbeat { .. }]), "late, and in time: {sent:?}");
    assert_eq!(receive(&mut core, 2, granted(2)), []);
}

/// Heartbeats sent until `core` steps down, with no answer.
fn beats(core: &mut MultiPaxos) -> u32 {
    let mut beats = 0;
    while core.status().leader.is_some() {
        step(core, Input::Timer(Timer::Heartbeat));
        beats += 1;
        assert!(beats < 10_000, "it never steps down");
    }
    beats
}

#[test]
fn a_leader_waits_for_answers_an_election_timeout_and_longer_where_they_take_longer() {
    let mut core = leader(5);
    let at = ballot(1, 0);
    for _ in 0..50 {
        step(&mut core, Input::Timer(Timer::Heartbeat));
        receive(&mut core, 1, alive(at, 0));
        step(&mut core, Input::Timer(Timer::Heartbeat));
        receive(&mut core, 2, alive(at, 0));
    }
    receive(&mut core, 1, alive(at, 0));
    assert_eq!(core.status().leader, Some(r(0)), "two of the others answer");
    let usual = beats(&mut core);
    assert_eq!(usual, 6, "an election timeout after the last heartbeat that was answered");
    // A late answer says that it should have waited.
    receive(&mut core, 1, alive(at, 0));
    receive(&mut core, 2, alive(at, 0));
    let prepare = messages(&campaign(&mut core)).remove(0);
    let Message::Prepare { ballot: at, .. } = prepare else { panic!("{prepare:?}") };
    for from in [1, 2] {
        receive(&mut core, from, promise(at, 1, vec![]));
    }
    assert_eq!(beats(&mut core), 11, "twice as long, with none answered");
}

#[test]
fn a_leader_whose_election_took_long_waits_as_long_for_answers() {
    let mut core = new(0, 3);
    step(&mut core, Input::Start);
    let period = Config::new(3).timeouts.retransmit;
    for _ in 0..100 {
        step(&mut core, Input::Timer(Timer::Retransmit));
    }
    receive(&mut core, 1, promise(ballot(1, 0), 1, vec![]));
    let beat = Config::new(3).timeouts.election / 5;
    assert!(beat * beats(&mut core) > Duration::from_secs(10).max(100 * period));
}
