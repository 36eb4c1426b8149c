//! Paxos' checkpoints: a replica that begins with one is the replica that took it.

mod support;

use protocols::{
    Config, Effect, Input, Replica, ReplicaId, Snapshot,
    ballot::Ballot,
    kv::Kv,
    paxos::{Message, Paxos, Record},
};
use support::{
    Cluster,
    hand::{executions, messages, receive, records, step},
    r, write,
};

fn ballot(round: u64, leader: u8) -> Ballot {
    Ballot { round, leader: r(leader) }
}

/// What a core gives for the state of a machine; the state itself is none of its business.
fn checkpoint(core: &mut Paxos) -> (Snapshot, Vec<Record>) {
    let effects = step(core, Input::Checkpoint(Kv::default().snapshot().into()));
    let Effect::Checkpoint(snapshot) = &effects[0] else { panic!("{effects:?}") };
    let (kept, _) = records(&effects);
    assert_eq!(kept.len(), effects.len() - 1, "it is nobody else's business: {effects:?}");
    (snapshot.clone(), kept)
}

fn recover(snapshot: Option<&Snapshot>, records: &[Record]) -> Paxos {
    Paxos::recover(r(2), &Config::new(3), snapshot, records.iter().cloned())
}

/// Replica 2 has executed slots 1 and 2, accepted slot 4 and promised a higher ballot there, promised at slot 5, and knows
/// slot 6. With the records that it made.
fn busy() -> (Paxos, Vec<Record>) {
    let mut core = recover(None, &[]);
    let (low, high) = (ballot(2, 1), ballot(3, 0));
    let decided = |first, batches| Message::Decided { first, batches };
    let heard = [
        (1, decided(1, vec![write(1, 1), write(1, 2)])),
        (1, Message::Accept { slot: 4, ballot: low, batch: write(1, 4) }),
        (0, Message::Prepare { slot: 4, ballot: high }),
        (0, Message::Prepare { slot: 5, ballot: high }),
        (1, decided(6, vec![write(1, 6)])),
    ];
    let mut kept = Vec::new();
    for (from, message) in heard {
        kept.extend(records(&receive(&mut core, from, message)).0);
    }
    (core, kept)
}

/// It is bound by what it promised, says what it accepted, and goes on where its state ends.
fn assert_is_busy(mut core: Paxos, from_checkpoint: bool) {
    let executed = executions(&step(&mut core, Input::Start));
    assert_eq!(executed, if from_checkpoint { vec![] } else { vec![1, 2] });
    let (low, high) = (ballot(2, 1), ballot(3, 0));
    for slot in [4, 5] {
        let sent = messages(&receive(&mut core, 1, Message::Prepare { slot, ballot: low }));
        assert_eq!(sent, [Message::Refuse { slot, ballot: low, promised: high }]);
    }
    let sent = messages(&receive(&mut core, 0, Message::Prepare { slot: 4, ballot: high }));
    let accepted = Some((low, write(1, 4)));
    assert_eq!(sent, [Message::Promise { slot: 4, ballot: high, accepted }]);
    let batches = vec![write(1, 3), write(1, 4), write(1, 5)];
    let effects = receive(&mut core, 0, Message::Decided { first: 3, batches });
    assert_eq!(executions(&effects), [3, 4, 5, 6]);
}

#[test]
fn promises_open_and_decided_slots_above_the_executed_ones_are_kept() {
    let (mut core, _) = busy();
    let (snapshot, behind) = checkpoint(&mut core);
    let mut core = recover(Some(&snapshot), &behind);
    let fetched =
        messages(&receive(&mut core, 1, Message::Fetch { first: 1, last: 2, bytes_max: 64 << 10 }));
    assert_eq!(fetched, [Message::Discarded { through: 2 }]);
    assert_is_busy(core, true);
}

/// What a driver keeps from before the checkpoint, or has made durable of what is behind it when it crashes, does no harm.
#[test]
fn records_from_before_a_checkpoint_and_without_it_lead_to_the_same_replica() {
    let (mut core, before) = busy();
    let (snapshot, behind) = checkpoint(&mut core);
    let all: Vec<_> = before.iter().chain(&behind).cloned().collect();
    for kept in 0..=before.len() {
        assert_is_busy(recover(Some(&snapshot), &all[kept..]), true);
    }
    for durable in before.len()..=all.len() {
        // What is executed counts as decided once a later record says so.
        let mut core = recover(None, &all[..durable]);
        receive(&mut core, 1, Message::Report { executed: 2, yours: 0 });
        assert_is_busy(core, false);
    }
}

#[test]
fn a_proposers_next_life_uses_no_ballot_again() {
    let mut core = recover(None, &[]);
    let sent = messages(&step(&mut core, Input::Propose(write(3, 1))));
    assert_eq!(sent, [Message::Prepare { slot: 1, ballot: ballot(1, 2) }]);
    let (snapshot, behind) = checkpoint(&mut core);
    let mut core = recover(Some(&snapshot), &behind);
    let sent = messages(&step(&mut core, Input::Propose(write(3, 2))));
    assert_eq!(sent, [Message::Prepare { slot: 1, ballot: ballot(2, 2) }]);
}

#[test]
fn a_cluster_that_begins_with_checkpoints_alone_goes_on() {
    let mut cluster = Cluster::<Paxos>::new(Config::new(3), 11);
    for (index, replica) in (1..=30).zip(ReplicaId::all(3).cycle()) {
        cluster.propose(replica, write(1, index));
        cluster.run_ms(3);
        cluster.checkpoint(replica);
    }
    let decided = cluster.world.decided.len();
    assert!(decided > 5 && cluster.status(r(0)).undecided > 0, "{decided} are decided, some open");
    for replica in ReplicaId::all(3) {
        cluster.checkpoint(replica);
        cluster.crash(replica);
    }
    for replica in ReplicaId::all(3) {
        cluster.start(replica);
    }
    cluster.propose(r(1), write(4, 1));
    let done = |c: &Cluster<Paxos>| c.at_rest() && c.has_applied(r(2), &write(4, 1));
    assert!(cluster.run_until(5_000, done));
    cluster.assert_equal_states();
}

#[test]
fn checkpoints_at_both_ends_of_a_transfer_leave_it_alone() {
    let config = Config { kept_slots_max: 5, piece_bytes_max: 100, ..Config::new(3) };
    let mut cluster = Cluster::<Paxos>::new(config, 6);
    cluster.world.tap = Some(Box::new(|_, to, _| to != r(2)));
    for index in 1..=30 {
        cluster.propose(r(0), write(1, index));
    }
    cluster.run_ms(500);
    cluster.world.tap = None;
    cluster.world.record_sent = true;
    cluster.propose(r(2), write(3, 1));
    let mut checkpoints = 0;
    while cluster.status(r(2)).installs == 0 {
        assert!(cluster.run_one(5_000_000_000));
        let is_piece = |message: &Message| matches!(message, Message::Piece(_));
        // Amid the pieces, of which several are under way at once.
        if checkpoints > 0 || cluster.world.sent.drain(..).any(|(.., message)| is_piece(&message)) {
            ReplicaId::all(3).for_each(|replica| cluster.checkpoint(replica));
            checkpoints += 1;
        }
    }
    assert!(checkpoints > 2, "the snapshot came in no more than {checkpoints} steps");
    cluster.crash(r(2));
    cluster.start(r(2));
    assert!(cluster.run_until(3_000, Cluster::at_rest));
    cluster.assert_equal_states();
}
