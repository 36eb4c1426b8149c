//! What a proposer of Paxos sends again, and how much of it: by what each of the others takes in.
//! Nothing here measures time: what is counted is how often a timer runs out.

mod support;

use protocols::{
    Batch, Config, Effect, Input, Replica,
    ballot::Ballot,
    paxos::{Message, Paxos, Timer, Window},
};
use support::{
    hand::{messages, receive, sent_to, step},
    large, r,
};

const MANY: u64 = 500;
const VALUE_BYTES: usize = 1_000;

/// At which the proposer's commands are accepted.
const BALLOT: Ballot = Ballot { round: 1, leader: r(0) };

/// A proposer of five that has asked all others to accept many commands, a period ago.
fn undecided() -> Paxos {
    let config = Config::new(5).with(Window(1_000));
    let mut core = Paxos::recover(r(0), &config, None, []);
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(index, VALUE_BYTES)));
    }
    for slot in 1..=MANY {
        for peer in [1, 2] {
            let promise = Message::Promise { slot, ballot: BALLOT, accepted: None };
            receive(&mut core, peer, promise);
        }
    }
    step(&mut core, Input::Timer(Timer::Retransmit));
    core
}

fn accepts_to(effects: &[Effect<Paxos>], peer: u8) -> Vec<u64> {
    let slot = |message: &Message| match message {
        Message::Accept { slot, .. } => Some(*slot),
        _ => None,
    };
    sent_to(effects, peer).iter().filter_map(slot).collect()
}

/// One of four answers, and three do not. Two votes of five decide nothing.
#[test]
fn proposals_are_sent_again_as_fast_as_each_replica_takes_them_in() {
    let mut core = undecided();
    let ballot = BALLOT;
    let (mut prompt, mut silent) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let mut effects = step(&mut core, Input::Timer(Timer::Retransmit));
        silent.push(accepts_to(&effects, 4).len());
        while !accepts_to(&effects, 1).is_empty() {
            let slots = accepts_to(&effects, 1);
            prompt.push(slots.len());
            let mut next = Vec::new();
            for slot in slots {
                next.extend(receive(&mut core, 1, Message::Accepted { slot, ballot }));
            }
            assert_eq!(accepts_to(&next, 4), [], "it has nothing to do with the others");
            effects = next;
        }
    }
    assert_eq!(prompt.iter().sum::<usize>() as u64, MANY, "each once: {prompt:?}");
    assert!(prompt[0] <= 64 && prompt[2] > 3 * prompt[0], "ever more: {prompt:?}");
    let rounds: Vec<usize> = silent.into_iter().filter(|slots| *slots > 0).collect();
    assert!(rounds[0] <= 64 && rounds.is_sorted_by(|one, next| one >= next), "{rounds:?}");
    assert!((3..=8).contains(&rounds.len()), "in 40 periods: {rounds:?}");
}

#[test]
fn every_kind_of_answer_counts() {
    let ballot = BALLOT;
    let higher = Ballot { round: 2, leader: r(1) };
    let answers = |slot| {
        [
            Message::Promise { slot, ballot, accepted: None },
            Message::Accepted { slot, ballot },
            Message::Refuse { slot, ballot, promised: higher },
            Message::Decided { first: slot, batches: vec![large(slot, VALUE_BYTES)] },
        ]
    };
    for kind in 0..4 {
        let mut core = undecided();
        let effects = step(&mut core, Input::Timer(Timer::Retransmit));
        let last = *accepts_to(&effects, 1).last().expect("a round of them");
        let answer = answers(last)[kind].clone();
        let next = receive(&mut core, 1, answer.clone());
        assert_eq!(accepts_to(&next, 1).first(), Some(&(last + 1)), "{answer:?}");
    }
}

#[test]
fn who_asks_for_less_is_sent_less() {
    let mut core = Paxos::recover(r(1), &Config::new(3), None, []);
    let batches: Vec<Batch> = (1..=10).map(|index| large(index, VALUE_BYTES)).collect();
    receive(&mut core, 0, Message::Decided { first: 1, batches });
    let answer = |core: &mut Paxos, bytes_max| {
        let fetch = Message::Fetch { first: 1, last: 10, bytes_max };
        match &messages(&receive(core, 2, fetch))[..] {
            [Message::Decided { first: 1, batches }] => batches.len(),
            other => panic!("{other:?}"),
        }
    };
    let each = u32::try_from(large(1, VALUE_BYTES).as_bytes().len()).expect("small");
    assert_eq!([0, each, 3 * each, u32::MAX].map(|bytes| answer(&mut core, bytes)), [1, 1, 3, 10]);
}
