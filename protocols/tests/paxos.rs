//! Paxos, one test per thing that implementations got wrong: single cores fed by hand, and small clusters in virtual
//! time with the messages that matter held back.

mod support;

use protocols::{
    Batch, Config, Effect, Input, Path, Replica, ReplicaId, ReplicaSet, Slot,
    ballot::Ballot,
    paxos::{Message, Paxos, Record, Timer, Window},
};
use support::{
    Cluster,
    hand::{commits, executions, messages, receive, records, sends, step},
    r,
    random::Clients,
    write,
};

fn ballot(round: u64, leader: u8) -> Ballot {
    Ballot { round, leader: r(leader) }
}

fn new(id: u8, replicas: usize) -> Paxos {
    Paxos::recover(r(id), &Config::new(replicas), None, [])
}

fn prepare(slot: Slot, at: Ballot) -> Message {
    Message::Prepare { slot, ballot: at }
}

fn promise(slot: Slot, at: Ballot, accepted: Option<(Ballot, Batch)>) -> Message {
    Message::Promise { slot, ballot: at, accepted }
}

fn accept(slot: Slot, at: Ballot, batch: Batch) -> Message {
    Message::Accept { slot, ballot: at, batch }
}

fn accepted(slot: Slot, at: Ballot) -> Message {
    Message::Accepted { slot, ballot: at }
}

fn decided(first: Slot, batches: &[Batch]) -> Message {
    Message::Decided { first, batches: batches.to_vec() }
}

/// P1 prepares at {A1, A2}, P2 at {A2, A3}, P1 again: P1's first Accept must fail at A2, and whoever comes second must
/// take over what the first got accepted.
#[test]
fn duelling_proposers_choose_one_batch() {
    let (mut p1, mut a2, mut p3) = (new(0, 3), new(1, 3), new(2, 3));
    let (b1, b2, b3) = (ballot(1, 0), ballot(1, 2), ballot(2, 0));
    let (x, y) = (write(1, 1), write(3, 1));
    assert_eq!(messages(&step(&mut p1, Input::Propose(x.clone()))), [prepare(1, b1)]);
    assert_eq!(messages(&step(&mut p3, Input::Propose(y.clone()))), [prepare(1, b2)]);
    let promised = messages(&receive(&mut a2, 0, prepare(1, b1))).remove(0);
    let sent = messages(&receive(&mut p1, 1, promised));
    assert_eq!(sent, [accept(1, b1, x)], "P1 has {{A1, A2}}, and its own vote");
    let promised = messages(&receive(&mut a2, 2, prepare(1, b2))).remove(0);
    assert_eq!(promised, promise(1, b2, None));
    let refused = messages(&receive(&mut a2, 0, sent[0].clone()));
    assert_eq!(refused, [Message::Refuse { slot: 1, ballot: b1, promised: b2 }]);
    let sent = messages(&receive(&mut p3, 1, promised));
    assert_eq!(sent, [accept(1, b2, y.clone())], "P2 has {{A2, A3}}");
    assert_eq!(messages(&receive(&mut a2, 2, sent[0].clone())), [accepted(1, b2)]);

    // P1 again, before P3 hears that its batch is chosen.
    receive(&mut p1, 1, refused[0].clone());
    assert_eq!(messages(&step(&mut p1, Input::Timer(Timer::BackOff))), [prepare(1, b3)]);
    let promised = messages(&receive(&mut a2, 0, prepare(1, b3))).remove(0);
    assert_eq!(promised, promise(1, b3, Some((b2, y.clone()))));
    let sent = messages(&receive(&mut p1, 1, promised));
    assert_eq!(sent, [accept(1, b3, y.clone())], "its own x was accepted at a lower ballot");
    assert_eq!(messages(&receive(&mut a2, 0, sent[0].clone())), [accepted(1, b3)]);
    let effects = receive(&mut p1, 1, accepted(1, b3));
    assert_eq!(commits(&effects), [(1, y.clone(), Path::Recovered)]);
    let sent = messages(&effects);
    assert!(sent.contains(&prepare(2, ballot(2, 0))), "x goes to a later slot: {sent:?}");
    let effects = receive(&mut p3, 1, accepted(1, b2));
    assert_eq!(commits(&effects), [(1, y, Path::Slow)], "agreed, whoever counts");
}

#[test]
fn the_batch_of_the_highest_ballot_is_adopted() {
    let mut core = new(0, 5);
    step(&mut core, Input::Propose(write(1, 1)));
    let at = ballot(1, 0);
    receive(&mut core, 1, promise(1, at, Some((ballot(0, 3), write(3, 1)))));
    let sent = messages(&receive(&mut core, 2, promise(1, at, Some((ballot(0, 2), write(2, 1))))));
    assert_eq!(sent, [accept(1, at, write(3, 1))]);
    receive(&mut core, 3, accepted(1, at));
    let effects = receive(&mut core, 4, accepted(1, at));
    assert_eq!(commits(&effects), [(1, write(3, 1), Path::Recovered)]);
    assert!(messages(&effects).contains(&prepare(2, ballot(2, 0))), "its own comes next");
}

#[test]
fn what_the_proposer_itself_accepted_counts_among_the_promises() {
    let mut core = new(0, 3);
    receive(&mut core, 2, accept(1, ballot(1, 2), write(3, 1)));
    let sent = messages(&step(&mut core, Input::Propose(write(1, 1))));
    assert_eq!(sent, [prepare(1, ballot(2, 0))]);
    let sent = messages(&receive(&mut core, 1, promise(1, ballot(2, 0), None)));
    assert_eq!(sent, [accept(1, ballot(2, 0), write(3, 1))]);
}

#[test]
fn answers_count_once_and_at_their_ballot_and_phase_only() {
    let mut core = new(0, 5);
    let at = ballot(1, 0);
    step(&mut core, Input::Propose(write(1, 1)));
    for message in [promise(1, at, None), promise(1, at, None), accepted(1, at)] {
        assert_eq!(messages(&receive(&mut core, 1, message)), [], "one replica, one promise");
    }
    assert_eq!(messages(&receive(&mut core, 2, promise(1, ballot(0, 0), None))), []);
    assert_eq!(messages(&receive(&mut core, 2, accepted(1, at))), [], "phase 1 is not over");
    let sent = messages(&receive(&mut core, 2, promise(1, at, None)));
    assert_eq!(sent, [accept(1, at, write(1, 1))]);
    assert_eq!(messages(&receive(&mut core, 3, promise(1, at, None))), [], "phase 1 is over");
    for message in [accepted(1, at), accepted(1, at)] {
        assert_eq!(commits(&receive(&mut core, 1, message)), []);
    }
    assert_eq!(commits(&receive(&mut core, 2, accepted(1, ballot(2, 0)))), []);
    let effects = receive(&mut core, 4, accepted(1, at));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Slow)]);
    assert_eq!(commits(&receive(&mut core, 2, accepted(1, at))), [], "once only");
}

#[test]
fn what_others_rely_on_is_persisted_before_it_is_sent() {
    let mut core = new(0, 3);
    let at = ballot(1, 0);
    let promised = |at| Record::Promised { slot: 1, ballot: at };
    let of = |at, batch| Record::Accepted { slot: 1, ballot: at, batch, executed: 0 };
    let effects = step(&mut core, Input::Propose(write(1, 1)));
    assert_eq!(records(&effects), (vec![promised(at)], 1), "before Prepare");
    let effects = receive(&mut core, 1, promise(1, at, None));
    assert_eq!(records(&effects), (vec![of(at, write(1, 1))], 1), "before Accept");

    let mut core = new(1, 3);
    let effects = receive(&mut core, 0, prepare(1, at));
    assert_eq!(records(&effects), (vec![promised(at)], 1), "before Promise");
    let effects = receive(&mut core, 0, prepare(1, at));
    assert_eq!(messages(&effects), [promise(1, at, None)], "a repetition gets its answer again");
    assert_eq!(records(&effects).0, []);
    let effects = receive(&mut core, 0, accept(1, at, write(1, 1)));
    assert_eq!(records(&effects), (vec![of(at, write(1, 1))], 1), "before Accepted");
    let effects = receive(&mut core, 0, accept(1, at, write(1, 1)));
    assert_eq!(messages(&effects), [accepted(1, at)], "a repetition gets its answer again");
    assert_eq!(records(&effects).0, []);
}

#[test]
fn nothing_below_the_promise_is_answered_but_with_the_promise() {
    let mut core = new(1, 3);
    receive(&mut core, 2, prepare(1, ballot(3, 2)));
    for message in [prepare(1, ballot(2, 0)), accept(1, ballot(2, 0), write(1, 1))] {
        let sent = messages(&receive(&mut core, 0, message));
        let (ballot, promised) = (ballot(2, 0), ballot(3, 2));
        assert_eq!(sent, [Message::Refuse { slot: 1, ballot, promised }]);
    }
    let sent = messages(&receive(&mut core, 0, prepare(2, ballot(2, 0))));
    assert_eq!(sent, [promise(2, ballot(2, 0), None)], "every slot has a promise of its own");
}

/// The proposer promised another while its own promises were on their way: its own vote does not count.
#[test]
fn a_proposer_keeps_what_it_promised_as_an_acceptor() {
    let mut core = new(0, 3);
    step(&mut core, Input::Propose(write(1, 1)));
    receive(&mut core, 2, prepare(1, ballot(1, 2)));
    let effects = receive(&mut core, 1, promise(1, ballot(1, 0), None));
    assert_eq!((messages(&effects), records(&effects).0), (vec![], vec![]));
    let sent = messages(&step(&mut core, Input::Timer(Timer::BackOff)));
    assert_eq!(sent, [prepare(1, ballot(2, 0))]);
}

#[test]
fn a_restarted_replica_keeps_its_promises_and_reuses_no_ballot() {
    let log = vec![
        Record::Promised { slot: 1, ballot: ballot(1, 0) },
        Record::Accepted { slot: 1, ballot: ballot(1, 0), batch: write(1, 1), executed: 0 },
        Record::Promised { slot: 2, ballot: ballot(1, 0) },
        Record::Accepted { slot: 2, ballot: ballot(1, 0), batch: write(1, 2), executed: 1 },
        Record::Promised { slot: 2, ballot: ballot(4, 2) },
    ];
    let mut core = Paxos::recover(r(0), &Config::new(3), None, log);
    let effects = step(&mut core, Input::Start);
    assert_eq!(executions(&effects), [1], "what the records know to be executed");
    assert_eq!(commits(&receive(&mut core, 1, accepted(2, ballot(1, 0)))), [], "led no more");
    let sent = messages(&receive(&mut core, 1, prepare(2, ballot(3, 1))));
    let (ballot_, promised) = (ballot(3, 1), ballot(4, 2));
    assert_eq!(sent, [Message::Refuse { slot: 2, ballot: ballot_, promised }]);
    let sent = messages(&receive(&mut core, 1, prepare(2, ballot(5, 1))));
    let accepted = Some((ballot(1, 0), write(1, 2)));
    assert_eq!(sent, [promise(2, ballot(5, 1), accepted)]);
    let sent = messages(&step(&mut core, Input::Propose(write(1, 3))));
    assert_eq!(sent, [prepare(2, ballot(6, 0))]);
}

#[test]
fn both_phases_run_for_every_command() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 1);
    cluster.world.record_sent = true;
    for index in 1..=20 {
        let begin = cluster.world.now;
        cluster.propose(r(1), write(1, index));
        assert!(cluster.run_until(50, |c| c.has_applied(r(1), &write(1, index))));
        assert_eq!(cluster.world.now - begin, 4_000_000, "two round trips for command {index}");
    }
    for slot in 1..=20 {
        let sent = |wanted: Message| {
            let is = |(from, _, message): &&(ReplicaId, ReplicaId, Message)| {
                *from == r(1) && *message == wanted
            };
            cluster.world.sent.iter().filter(is).count()
        };
        assert_eq!(sent(prepare(slot, ballot(1, 1))), 2, "Prepare of slot {slot}");
        assert_eq!(sent(accept(slot, ballot(1, 1), write(1, slot))), 2, "Accept of slot {slot}");
    }
    assert!(cluster.paths(r(1)).values().all(|path| *path == Path::Slow));
}

/// 2·q(s, majority): two round trips, with everything one way taking 1 ms.
#[test]
fn latency_is_what_the_formula_says() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(5), 2);
    cluster.propose(r(3), write(1, 1));
    assert!(cluster.run_until(100, |c| c.has_applied(r(3), &write(1, 1))));
    assert_eq!(cluster.world.now, 4_000_000);
    assert!(cluster.run_until(100, |c| c.has_applied(r(0), &write(1, 1))));
    assert_eq!(cluster.world.now, 5_000_000, "then all are told");
}

#[test]
fn a_batch_that_lost_its_slot_gets_a_later_one_at_once() {
    let mut core = new(0, 3);
    step(&mut core, Input::Propose(write(1, 1)));
    let promised = ballot(1, 2);
    receive(&mut core, 2, Message::Refuse { slot: 1, ballot: ballot(1, 0), promised });
    let effects = receive(&mut core, 2, decided(1, &[write(3, 1)]));
    assert_eq!(commits(&effects), [(1, write(3, 1), Path::Learned)]);
    assert!(effects.contains(&Effect::CancelTimer(Timer::BackOff)));
    assert_eq!(messages(&effects), [prepare(2, ballot(2, 0))], "at a round that takes its turn");
    assert_eq!(core.status().undecided, 1);
}

/// Another proposer adopted it and got it chosen: it must not be proposed a second time.
#[test]
fn a_batch_that_another_finished_is_not_proposed_again() {
    let mut core = new(0, 3);
    step(&mut core, Input::Propose(write(1, 1)));
    receive(&mut core, 1, promise(1, ballot(1, 0), None));
    let effects = receive(&mut core, 2, Message::Commit { slot: 1, ballot: ballot(1, 0) });
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Learned)]);
    assert_eq!((messages(&effects), core.status().undecided), (vec![], 0));
}

#[test]
fn back_off_grows_with_every_preemption_and_shrinks_with_success() {
    let mut core = new(0, 3);
    let least = Config::new(3).timeouts.retransmit / 8;
    let ranges = |effects: &[Effect<Paxos>]| -> Vec<_> {
        let ranges = effects.iter().filter_map(|effect| match effect {
            Effect::SetTimer { timer: Timer::BackOff, after } => Some(after.clone()),
            _ => None,
        });
        ranges.collect()
    };
    let refuse = |slot, round| Message::Refuse {
        slot,
        ballot: ballot(round, 0),
        promised: ballot(round, 2),
    };
    step(&mut core, Input::Propose(write(1, 1)));
    let effects = receive(&mut core, 2, refuse(1, 1));
    assert_eq!(ranges(&effects), [least..=3 * least]);
    assert_eq!(ranges(&receive(&mut core, 1, refuse(1, 1))), [], "one preemption, two refusals");
    step(&mut core, Input::Timer(Timer::BackOff));
    assert_eq!(ranges(&receive(&mut core, 2, refuse(1, 2))), [2 * least..=6 * least]);
    step(&mut core, Input::Timer(Timer::BackOff));
    receive(&mut core, 1, promise(1, ballot(3, 0), None));
    receive(&mut core, 1, accepted(1, ballot(3, 0)));
    step(&mut core, Input::Propose(write(1, 2)));
    assert_eq!(ranges(&receive(&mut core, 2, refuse(2, 1))), [least..=3 * least]);
}

/// Each preemption at a slot doubles it, without end: two round trips pass in the end, however long they take.
#[test]
fn back_off_at_one_slot_outgrows_any_round_trip() {
    let mut core = new(0, 3);
    let mut longest = Vec::new();
    step(&mut core, Input::Propose(write(1, 1)));
    for round in 1..=20 {
        let promised = ballot(round, 2);
        let refuse = Message::Refuse { slot: 1, ballot: ballot(round, 0), promised };
        for effect in receive(&mut core, 2, refuse) {
            if let Effect::SetTimer { timer: Timer::BackOff, after } = effect {
                longest.push(*after.end());
            }
        }
        step(&mut core, Input::Timer(Timer::BackOff));
    }
    assert!(longest.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{longest:?}");
    assert_eq!(longest.len(), 20);
    // Somebody got through: the next slot begins with no more than what earlier slots may add.
    receive(&mut core, 2, decided(1, &[write(3, 1)]));
    let refuse = Message::Refuse { slot: 2, ballot: ballot(2, 0), promised: ballot(2, 2) };
    let effects = receive(&mut core, 2, refuse);
    let least = Config::new(3).timeouts.retransmit / 8;
    let after = 32 * least..=96 * least;
    assert!(effects.contains(&Effect::SetTimer { timer: Timer::BackOff, after }), "{effects:?}");
}

/// Its client asked another replica, too, which got it decided: whoever still had it in the queue, or on its way to another
/// slot, is done with it.
#[test]
fn a_batch_decided_through_another_replica_leaves_the_queue() {
    let mut core = new(0, 3);
    for index in 1..=3 {
        step(&mut core, Input::Propose(write(1, index)));
    }
    assert_eq!(core.status().undecided, 3);
    // The second waits in the queue. The first is being proposed for slot 1, which another batch wins; then it is decided
    // elsewhere while it is being proposed for slot 2.
    receive(&mut core, 2, decided(1, &[write(1, 2)]));
    assert_eq!(core.status().undecided, 2);
    let effects = receive(&mut core, 2, decided(3, &[write(1, 1)]));
    assert_eq!(core.status().undecided, 1, "the third");
    assert_eq!(messages(&effects), [prepare(4, ballot(2, 0))], "which is next");
    let sent = messages(&receive(&mut core, 1, promise(2, ballot(2, 0), None)));
    assert_eq!(sent, [accept(2, ballot(2, 0), Batch::NOOP)], "what is left of the first is a hole");
}

#[test]
fn prepares_and_accepts_are_sent_again_after_a_full_period_to_the_silent() {
    let mut core = new(0, 5);
    let at = ballot(1, 0);
    step(&mut core, Input::Propose(write(1, 1)));
    receive(&mut core, 3, promise(1, at, None));
    let period = |core: &mut Paxos| sends(&step(core, Input::Timer(Timer::Retransmit)));
    assert_eq!(period(&mut core), [], "sent during this period");
    let only = |peer| ReplicaSet::only(r(peer));
    assert_eq!(period(&mut core), [1, 2, 4].map(|peer| (only(peer), prepare(1, at))));
    receive(&mut core, 1, promise(1, at, None));
    receive(&mut core, 1, accepted(1, at));
    assert_eq!(period(&mut core), [], "sent during this period");
    let again = period(&mut core);
    assert!(
        [2, 3, 4].iter().all(|peer| { again.contains(&(only(*peer), accept(1, at, write(1, 1)))) }),
        "{again:?}"
    );
}

#[test]
fn a_window_works_on_several_slots() {
    let config = Config::new(3).with(Window(2));
    let mut core = Paxos::recover(r(0), &config, None, []);
    let mut sent = Vec::new();
    for index in 1..=3 {
        sent.extend(messages(&step(&mut core, Input::Propose(write(1, index)))));
    }
    assert_eq!(sent, [prepare(1, ballot(1, 0)), prepare(2, ballot(1, 0))]);
    receive(&mut core, 1, promise(2, ballot(1, 0), None));
    let effects = receive(&mut core, 1, accepted(2, ballot(1, 0)));
    assert_eq!((commits(&effects).len(), executions(&effects)), (1, vec![]));
    assert!(messages(&effects).contains(&prepare(3, ballot(1, 0))));
}

/// The proposer dies in phase 1, in phase 2 with one vote, or in phase 2 with a majority that it never heard of.
#[test]
fn a_proposer_that_dies_leaves_a_log_that_comes_to_rest() {
    for (died_after_ms, votes) in [(0, 0), (2, 1), (3, 2)] {
        let mut cluster = Cluster::<Paxos>::new(Config::new(3), 3);
        cluster.world.tap = Some(Box::new(move |_, to, message| {
            votes == 2 || to != r(1) || !matches!(message, Message::Accept { .. })
        }));
        cluster.propose(r(0), write(1, 1));
        cluster.run_ms(died_after_ms);
        cluster.crash(r(0));
        cluster.run_ms(5);
        cluster.world.tap = None;
        // Another command, which must not be held up.
        cluster.propose(r(1), write(2, 1));
        let done = |c: &Cluster<Paxos>| c.at_rest() && c.has_applied(r(2), &write(2, 1));
        assert!(cluster.run_until(5_000, done), "died after {died_after_ms} ms");
        assert_eq!(cluster.has_applied(r(1), &write(1, 1)), votes > 0, "{:?}", cluster.log());
        cluster.start(r(0));
        assert!(cluster.run_until(5_000, Cluster::at_rest));
        cluster.assert_equal_states();
    }
}

/// Nothing else is proposed: who accepted what the dead proposer left finishes it.
#[test]
fn an_accepted_batch_that_stays_undecided_is_finished() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 4);
    cluster.world.tap =
        Some(Box::new(|_, to, message| to != r(1) || !matches!(message, Message::Accept { .. })));
    cluster.propose(r(0), write(1, 1));
    cluster.run_ms(2);
    cluster.crash(r(0));
    cluster.run_ms(5);
    cluster.world.tap = None;
    let done = |c: &Cluster<Paxos>| c.at_rest() && c.has_applied(r(1), &write(1, 1));
    assert!(cluster.run_until(5_000, done));
    assert_eq!(cluster.paths(r(2))[&1], Path::Recovered);
}

/// The proposer said how far it is, but its decision reached nobody; then it died. Nothing else is proposed.
#[test]
fn what_only_a_dead_replica_knows_to_be_decided_is_finished_by_the_others() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 9);
    cluster.world.tap = Some(Box::new(|_, _, message| {
        !matches!(message, Message::Commit { .. } | Message::Decided { .. })
    }));
    cluster.propose(r(0), write(1, 1));
    cluster.run_ms(400);
    assert!(cluster.has_applied(r(0), &write(1, 1)));
    cluster.crash(r(0));
    cluster.world.tap = None;
    let done = |c: &Cluster<Paxos>| [r(1), r(2)].iter().all(|r| c.has_applied(*r, &write(1, 1)));
    assert!(cluster.run_until(10_000, done), "{:?}", cluster.status(r(1)));
}

/// Slot 2 is decided, slot 1 is not and nobody remembers anything of it: it becomes a no-op, after both phases.
#[test]
fn a_hole_below_a_decided_slot_is_asked_about_and_then_filled() {
    let mut core = new(1, 3);
    let effects = receive(&mut core, 0, decided(2, &[write(1, 2)]));
    assert_eq!((commits(&effects).len(), executions(&effects)), (1, vec![]));
    let mut sent = Vec::new();
    while sent.is_empty() {
        sent = messages(&step(&mut core, Input::Timer(Timer::Retransmit)));
    }
    assert_eq!(sent, [Message::Fetch { first: 1, last: 2, bytes_max: 64 << 10 }], "asked first");
    let sent = messages(&step(&mut core, Input::Timer(Timer::Retransmit)));
    let at = ballot(1, 1);
    assert_eq!(sent, [prepare(1, at)]);
    let sent = messages(&receive(&mut core, 2, promise(1, at, None)));
    assert_eq!(sent, [accept(1, at, Batch::NOOP)]);
    let effects = receive(&mut core, 2, accepted(1, at));
    assert_eq!(commits(&effects), [(1, Batch::NOOP, Path::Recovered)]);
    assert_eq!(executions(&effects), [1, 2]);
}

#[test]
fn a_lost_commit_reaches_everyone_in_the_end_and_then_it_is_quiet() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 5);
    cluster.world.tap = Some(Box::new(|_, _, message| !matches!(message, Message::Commit { .. })));
    cluster.propose(r(0), write(1, 1));
    cluster.run_ms(20);
    assert!(!cluster.has_applied(r(1), &write(1, 1)));
    let all = |c: &Cluster<Paxos>| c.world.lives.iter().all(|life| life.executed.len() == 1);
    assert!(cluster.run_until(2_000, all));
    cluster.run_ms(1_000);
    cluster.world.record_sent = true;
    cluster.run_ms(2_000);
    assert_eq!(cluster.world.sent, [], "at rest nothing is sent");
    let held: u64 = ReplicaId::all(3).map(|replica| cluster.status(replica).held).sum();
    assert_eq!(held, 0, "what all have executed is discarded");
}

#[test]
fn a_commit_without_its_accept_is_asked_about() {
    let mut core = new(1, 3);
    let commit = |at| Message::Commit { slot: 1, ballot: at };
    let sent = messages(&receive(&mut core, 0, commit(ballot(1, 0))));
    assert_eq!(sent, [Message::Fetch { first: 1, last: 1, bytes_max: 0 }]);
    // What was accepted at a lower ballot may be another batch.
    receive(&mut core, 2, accept(1, ballot(1, 2), write(3, 1)));
    let effects = receive(&mut core, 0, commit(ballot(2, 0)));
    assert_eq!(commits(&effects), []);
    let effects = receive(&mut core, 0, decided(1, &[write(1, 1)]));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Learned)]);
    let changed = Record::Decided { slot: 1, batch: write(1, 1) };
    assert_eq!(records(&effects).0, [changed]);
}

#[test]
fn a_settled_slot_is_never_answered_as_if_empty() {
    let mut core = new(1, 3);
    receive(&mut core, 0, decided(1, &[write(1, 1), write(1, 2)]));
    let answer = |core: &mut Paxos, message| messages(&receive(core, 2, message));
    let at = ballot(7, 2);
    let expected = [decided(2, &[write(1, 2)])];
    assert_eq!(answer(&mut core, prepare(2, at)), expected);
    assert_eq!(answer(&mut core, accept(2, at, write(1, 2))), expected);
    for other in [0, 2] {
        receive(&mut core, other, Message::Report { executed: 1, yours: 2 });
    }
    assert_eq!(core.status().held, 1);
    let discarded = [Message::Discarded { through: 1 }];
    assert_eq!(answer(&mut core, prepare(1, at)), discarded);
    assert_eq!(answer(&mut core, accept(1, at, write(9, 9))), discarded);
    assert_eq!(
        answer(&mut core, Message::Fetch { first: 1, last: 2, bytes_max: 64 << 10 }),
        discarded
    );
}

#[test]
fn a_replica_below_the_discarded_point_installs_a_snapshot() {
    let config = Config { kept_slots_max: 5, piece_bytes_max: 100, ..Config::new(3) };
    let mut cluster = Cluster::<Paxos>::new(config, 6);
    cluster.world.tap = Some(Box::new(|_, to, _| to != r(2)));
    for index in 1..=30 {
        cluster.propose(r(0), write(1, index));
    }
    cluster.run_ms(500);
    assert!(cluster.status(r(0)).held <= 5, "a silent replica holds up no more than the bound");
    cluster.world.tap = None;
    // It proposes without knowing how far behind it is.
    cluster.propose(r(2), write(3, 1));
    let done = |c: &Cluster<Paxos>| c.at_rest() && c.has_applied(r(2), &write(3, 1));
    assert!(cluster.run_until(3_000, done));
    cluster.assert_equal_states();
    assert_eq!(cluster.status(r(2)).installs, 1);
    cluster.crash(r(2));
    cluster.start(r(2));
    assert!(cluster.run_until(3_000, Cluster::at_rest));
    cluster.assert_equal_states();
}

#[test]
fn an_install_keeps_promises_and_accepted_batches_above_it() {
    let mut core = new(2, 3);
    receive(&mut core, 1, accept(12, ballot(2, 1), write(1, 12)));
    receive(&mut core, 0, prepare(12, ballot(3, 0)));
    receive(&mut core, 0, prepare(13, ballot(3, 0)));
    receive(&mut core, 1, Message::Discarded { through: 10 });
    let kv = protocols::kv::Kv::default().snapshot();
    let piece = protocols::transfer::Piece::whole(10, kv.into());
    let effects = receive(&mut core, 1, Message::Piece(piece));
    let install = effects.iter().position(|e| matches!(e, Effect::Install(_))).unwrap();
    let Effect::Install(snapshot) = &effects[install] else { unreachable!() };
    let (kept, _) = records(&effects[install..]);
    let mut core = Paxos::recover(r(2), &Config::new(3), Some(snapshot), kept);
    for slot in [12, 13] {
        let sent = messages(&receive(&mut core, 1, prepare(slot, ballot(2, 1))));
        let (ballot, promised) = (ballot(2, 1), ballot(3, 0));
        assert_eq!(sent, [Message::Refuse { slot, ballot, promised }]);
    }
    let sent = messages(&receive(&mut core, 0, prepare(12, ballot(3, 0))));
    assert_eq!(sent, [promise(12, ballot(3, 0), Some((ballot(2, 1), write(1, 12))))]);
    assert_eq!(
        messages(&receive(&mut core, 1, prepare(10, ballot(9, 1)))),
        [Message::Discarded { through: 10 }]
    );
}

/// All replicas duel all the time. Each decided slot serves someone, nobody is starved, nothing is executed twice.
#[test]
fn replicas_that_duel_without_end_take_turns() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 7);
    let mut clients = Clients::new(&mut cluster, 48, 10);
    clients.never_retry();
    while !(clients.done() && cluster.at_rest()) {
        clients.poll(&mut cluster);
        assert!(cluster.run_one(60_000_000_000));
    }
    assert_eq!(cluster.world.decided.len() as u64, clients.total(), "no batch was decided twice");
    cluster.assert_equal_states();
    let firsts: Vec<_> = cluster.log().into_iter().take(90).flatten().collect();
    for site in 0..3 {
        let of_site = firsts.iter().filter(|(client, _)| (client - 1) % 3 == site).count();
        assert!(of_site > 15, "of the first 90 slots replica {site} won {of_site}");
    }
    // Alone, a proposer needs 4 ms a slot; in turn, half a round trip more.
    let per_slot_us = cluster.world.now / 1_000 / clients.total();
    assert!(per_slot_us < 10_000, "{per_slot_us} µs of virtual time per slot");
}

#[test]
fn a_cluster_of_one_decides_at_once() {
    let mut core = new(0, 1);
    step(&mut core, Input::Start);
    let effects = step(&mut core, Input::Propose(write(1, 1)));
    assert_eq!(commits(&effects), [(1, write(1, 1), Path::Slow)]);
    assert_eq!(executions(&effects), [1]);
}

#[test]
fn memory_stays_flat() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 8);
    let mut held_most = 0;
    for (index, at) in (1..=500).zip(ReplicaId::all(3).cycle()) {
        cluster.propose(at, write(1, index));
        cluster.run_ms(10);
        held_most = ReplicaId::all(3).map(|r| cluster.status(r).held).fold(held_most, u64::max);
    }
    assert!(held_most < 60, "{held_most} slots held, where reports come every 10 to 15 slots");
}
