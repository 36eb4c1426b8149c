//! What a proposer of Paxos sends again, and how much of it: by what each of the others takes in.
//! Nothing here measures time: what is counted is how often a timer runs out.

mod support;

use protocols::{
    Batch, ClientId, Command, Config, Effect, Input, Replica, Request, RequestNumber,
    ballot::Ballot,
    paxos::{Message, Paxos, Timer, Window},
};
use support::{
    hand::{messages, receive, sends, step},
    r,
};

const MANY: u64 = 500;

fn large(index: u64) -> Batch {
    let command = Command::Put { key: &index.to_le_bytes(), value: &[7; 1_000] };
    let number = RequestNumber::write(index);
    Batch::single(&Request { client: ClientId(1), number, unanswered_from: 1, command })
        .expect("small")
}

fn accepts_to(effects: &[Effect<Paxos>], peer: u8) -> Vec<u64> {
    let slot = |message: &Message| match message {
        Message::Accept { slot, .. } => Some(*slot),
        _ => None,
    };
    let to_peer = sends(effects).into_iter().filter(|(to, _)| to.contains(r(peer)));
    to_peer.filter_map(|(_, message)| slot(&message)).collect()
}

/// One of four answers, and three do not. Two votes of five decide nothing.
#[test]
fn proposals_are_sent_again_as_fast_as_each_replica_takes_them_in() {
    let config = Config::new(5).with(Window(1_000));
    let mut core = Paxos::recover(r(0), &config, None, []);
    let ballot = Ballot { round: 1, leader: r(0) };
    for index in 1..=MANY {
        step(&mut core, Input::Propose(large(index)));
    }
    for slot in 1..=MANY {
        for peer in [1, 2] {
            receive(&mut core, peer, Message::Promise { slot, ballot, accepted: None });
        }
    }
    step(&mut core, Input::Timer(Timer::Retransmit));
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
    let ballot = Ballot { round: 1, leader: r(0) };
    let higher = Ballot { round: 2, leader: r(1) };
    let answers = |slot| {
        [
            Message::Promise { slot, ballot, accepted: None },
            Message::Accepted { slot, ballot },
            Message::Refuse { slot, ballot, promised: higher },
            Message::Decided { first: slot, batches: vec![large(slot)] },
        ]
    };
    for kind in 0..4 {
        let config = Config::new(5).with(Window(1_000));
        let mut core = Paxos::recover(r(0), &config, None, []);
        for index in 1..=MANY {
            step(&mut core, Input::Propose(large(index)));
        }
        for slot in 1..=MANY {
            for peer in [1, 2] {
                receive(&mut core, peer, Message::Promise { slot, ballot, accepted: None });
            }
        }
        step(&mut core, Input::Timer(Timer::Retransmit));
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
    let batches: Vec<Batch> = (1..=10).map(large).collect();
    receive(&mut core, 0, Message::Decided { first: 1, batches });
    let answer = |core: &mut Paxos, bytes_max| {
        let fetch = Message::Fetch { first: 1, last: 10, bytes_max };
        match &messages(&receive(core, 2, fetch))[..] {
            [Message::Decided { first: 1, batches }] => batches.len(),
            other => panic!("{other:?}"),
        }
    };
    let each = u32::try_from(large(1).as_bytes().len()).expect("small");
    assert_eq!([0, each, 3 * each, u32::MAX].map(|bytes| answer(&mut core, bytes)), [1, 1, 3, 10]);
}
