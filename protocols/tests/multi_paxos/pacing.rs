//! What is sent again, and how much of it: by what the replica that lacks it takes in. Nothing here
//! measures time: what is counted is how often a timer runs out.

use protocols::{
    Batch, Effect, Input, Replica,
    multi_paxos::{Message, MultiPaxos, Timer},
};

use crate::{
    accept, accepted, ballot, heartbeat, leader, new, proposals,
    support::{
        hand::{messages, receive, sent_to, step},
        large,
    },
};

const MANY: u64 = 4_000;
const VALUE_BYTES: usize = 100;

/// The slots that are proposed to `peer`.
fn slots_to(effects: &[Effect<MultiPaxos>], peer: u8) -> Vec<u64> {
    proposals(&sent_to(effects, peer)).into_iter().map(|(slot, _)| slot).collect()
}

/// Of four followers one answers all that comes, one answers what comes with a period's delay, and
/// two nothing. Two votes of five decide nothing, so all of it is to be sent again to each.
#[test]
fn accepts_are_sent_again_as_fast_as_each_follower_takes_them_in() {
    let mut core = leader(5);
    let at = ballot(1, 0);
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(index, VALUE_BYTES)));
    }
    step(&mut core, Input::Timer(Timer::Retransmit));
    let (mut prompt, mut silent) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let mut effects = step(&mut core, Input::Timer(Timer::Retransmit));
        silent.push(slots_to(&effects, 4).len());
        assert_eq!(slots_to(&effects, 3), slots_to(&effects, 4));
        // A round is answered slot by slot, and the last one begins the next round.
        while !slots_to(&effects, 1).is_empty() {
            let slots = slots_to(&effects, 1);
            prompt.push(slots.len());
            let mut next = Vec::new();
            for slot in slots {
                next.extend(receive(&mut core, 1, accepted(at, slot)));
            }
            assert_eq!(slots_to(&next, 4), [], "it has nothing to do with the others");
            effects = next;
        }
    }
    assert_eq!(prompt.iter().sum::<usize>() as u64, MANY, "each once: {prompt:?}");
    assert!(prompt[0] < 256 && prompt[2] > 3 * prompt[0], "ever more: {prompt:?}");
    let rounds: Vec<usize> = silent.into_iter().filter(|slots| *slots > 0).collect();
    assert!(rounds.is_sorted_by(|one, next| one >= next), "ever less: {rounds:?}");
    assert!((3..=8).contains(&rounds.len()), "in 40 periods: {rounds:?}");
    assert!(rounds[0] < 256, "{rounds:?}");
}

#[test]
fn a_decision_answers_what_was_sent_again() {
    let mut core = leader(5);
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(index, VALUE_BYTES)));
    }
    step(&mut core, Input::Timer(Timer::Retransmit));
    let effects = step(&mut core, Input::Timer(Timer::Retransmit));
    let last = *slots_to(&effects, 1).last().expect("all are to be sent again");
    let decided = Message::Decided { first: last, batches: vec![large(last, VALUE_BYTES)] };
    assert_eq!(slots_to(&receive(&mut core, 1, decided), 1)[0], last + 1, "the next round");
}

/// The next leader is told what waits a round at a time; a decision of a round's last batch is the
/// answer.
#[test]
fn what_waits_is_forwarded_as_fast_as_the_leader_takes_it_in() {
    let mut core = new(2, 3);
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(index, VALUE_BYTES)));
    }
    let forwarded = |effects: &[Effect<MultiPaxos>]| -> Vec<Batch> {
        let forwards = messages(effects).into_iter().filter_map(|message| match message {
            Message::Forward { batch, .. } => Some(batch),
            _ => None,
        });
        forwards.collect()
    };
    let at = ballot(1, 0);
    let mut round = forwarded(&receive(&mut core, 0, heartbeat(at, 0)));
    assert!(round.len() < 256, "{}", round.len());
    let (mut slot, mut rounds) = (0, Vec::new());
    while !round.is_empty() {
        rounds.push(round.len());
        let mut next = Vec::new();
        for batch in round {
            slot += 1;
            let effects = receive(&mut core, 0, accept(at, slot, batch, slot));
            next.extend(forwarded(&effects));
        }
        round = next;
    }
    assert_eq!((slot, core.status().undecided), (MANY, 0), "each once");
    assert!(rounds[1] > rounds[0] && rounds.len() < 20, "{rounds:?}");
    // A leader that says nothing of what it gets is forwarded less and less.
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(MANY + index, VALUE_BYTES)));
    }
    let periods = (0..40).map(|_| forwarded(&step(&mut core, Input::Timer(Timer::Retransmit))));
    let rounds: Vec<usize> = periods.map(|round| round.len()).filter(|len| *len > 0).collect();
    assert!(rounds.is_sorted_by(|one, next| one >= next), "ever less: {rounds:?}");
    assert!((3..=8).contains(&rounds.len()), "in 40 periods: {rounds:?}");
}

#[test]
fn who_asks_for_less_is_sent_less() {
    let mut core = new(1, 3);
    let at = ballot(1, 0);
    for slot in 1..=10 {
        receive(&mut core, 0, accept(at, slot, large(slot, VALUE_BYTES), slot));
    }
    let answer = |core: &mut MultiPaxos, bytes_max| {
        let fetch = Message::Fetch { first: 1, last: 10, bytes_max };
        match &messages(&receive(core, 2, fetch))[..] {
            [Message::Decided { first: 1, batches }] => batches.len(),
            other => panic!("{other:?}"),
        }
    };
    let each = u32::try_from(large(1, VALUE_BYTES).as_bytes().len()).expect("small");
    assert_eq!([0, each, 3 * each, u32::MAX].map(|bytes| answer(&mut core, bytes)), [1, 1, 3, 10]);
}

/// A replica that lags asks for less if the answers do not come, and for more if they do.
#[test]
fn a_replica_that_catches_up_asks_for_as_much_as_comes() {
    let mut core = new(1, 3);
    let at = ballot(1, 0);
    let asked = |effects: &[Effect<MultiPaxos>]| -> Option<u32> {
        messages(effects).into_iter().find_map(|message| match message {
            Message::Fetch { bytes_max, .. } => Some(bytes_max >> 10),
            _ => None,
        })
    };
    let mut bytes = vec![asked(&receive(&mut core, 0, heartbeat(at, MANY)))];
    for slot in 1..=3 {
        let decided = Message::Decided { first: slot, batches: vec![large(slot, VALUE_BYTES)] };
        bytes.push(asked(&receive(&mut core, 0, decided)));
    }
    assert_eq!(bytes, [64, 128, 256, 512].map(Some));
    let periods = (0..3).map(|_| asked(&step(&mut core, Input::Timer(Timer::Retransmit))));
    assert_eq!(periods.collect::<Vec<_>>(), [None, Some(256), None], "less, and later");
}
