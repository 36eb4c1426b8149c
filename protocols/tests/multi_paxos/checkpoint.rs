//! Checkpoints: a replica that begins with one is the replica that took it.

use protocols::{
    Config, Effect, Input, Replica, ReplicaId, Snapshot,
    kv::Kv,
    multi_paxos::{Message, MultiPaxos, Promise, Record},
};

use crate::{
    accept, ballot, campaign, heartbeat, leader, new, promise, proposals,
    support::{
        Cluster,
        hand::{executions, messages, receive, records, step},
        r, write,
    },
};

/// What a core gives for the state of a machine; the state itself is none of its business.
fn checkpoint(core: &mut MultiPaxos) -> (Snapshot, Vec<Record>) {
    let effects = step(core, Input::Checkpoint(Kv::default().snapshot().into()));
    let Effect::Checkpoint(snapshot) = &effects[0] else { panic!("{effects:?}") };
    let (kept, _) = records(&effects);
    assert_eq!(kept.len(), effects.len() - 1, "it is nobody else's business: {effects:?}");
    (snapshot.clone(), kept)
}

/// The next life of a core, which begins with nothing but its checkpoint.
fn next_life(core: &mut MultiPaxos, id: u8) -> MultiPaxos {
    let (snapshot, kept) = checkpoint(core);
    MultiPaxos::recover(r(id), &Config::new(3), Some(&snapshot), kept)
}

fn promised(core: &mut MultiPaxos, prepare: Message) -> Promise {
    match &messages(&receive(core, 0, prepare))[..] {
        [Message::Promise(promise)] => promise.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn promise_open_and_decided_slots_above_the_executed_ones_are_kept() {
    let mut core = new(2, 3);
    let (old, at) = (ballot(4, 1), ballot(5, 0));
    for slot in [1, 2, 4] {
        receive(&mut core, 1, accept(old, slot, write(1, slot), 0));
    }
    let effects = receive(&mut core, 1, heartbeat(old, 2));
    assert_eq!(executions(&effects), [1, 2]);
    receive(&mut core, 1, Message::Decided { first: 5, batches: vec![write(1, 5)] });
    assert_eq!(promised(&mut core, Message::Prepare { ballot: at, first: 3 }).entries.len(), 2);

    let mut core = next_life(&mut core, 2);
    assert_eq!(executions(&step(&mut core, Input::Start)), [], "they are in the state");
    let refuse = Message::Refuse { promised: at };
    assert_eq!(messages(&receive(&mut core, 1, accept(old, 3, write(1, 3), 0))), [refuse]);
    let promise = promised(&mut core, Message::Prepare { ballot: at, first: 1 });
    assert_eq!(promise.discarded, 2);
    let entries: Vec<_> = promise.entries.iter().map(|e| (e.slot, e.ballot, e.decided)).collect();
    assert_eq!((entries[0], entries[1].0, entries[1].2), ((4, old, false), 5, true));
    assert_eq!(promise.entries[0].batch, write(1, 4));
    // The order goes on where the state ends.
    let batches = vec![write(1, 3), write(1, 4)];
    let effects = receive(&mut core, 0, Message::Decided { first: 3, batches });
    assert_eq!(executions(&effects), [3, 4, 5]);
}

#[test]
fn a_leaders_next_life_leads_no_ballot_again_and_reports_what_it_proposed() {
    let mut core = leader(3);
    let sent = messages(&step(&mut core, Input::Propose(write(1, 1))));
    assert_eq!(proposals(&sent), [(1, write(1, 1))]);
    let mut core = next_life(&mut core, 0);
    let sent = messages(&step(&mut core, Input::Start));
    assert_eq!(sent, [], "it leaves the cluster to whoever leads it now");
    let prepare = messages(&campaign(&mut core)).remove(0);
    assert_eq!(prepare, Message::Prepare { ballot: ballot(2, 0), first: 1 });
    let sent = messages(&receive(&mut core, 1, promise(ballot(2, 0), 1, vec![])));
    assert_eq!(proposals(&sent), [(1, write(1, 1))], "others may have accepted it, too");
}

/// What a driver keeps from before the checkpoint, or has made durable of what is behind it when it crashes, does no harm.
#[test]
fn records_from_before_a_checkpoint_and_without_it_lead_to_the_same_replica() {
    let mut core = new(2, 3);
    let at = ballot(4, 1);
    let mut before = Vec::new();
    for slot in [1, 2, 4] {
        let (accepted, _) = records(&receive(&mut core, 1, accept(at, slot, write(1, slot), 0)));
        before.extend(accepted);
    }
    receive(&mut core, 1, heartbeat(at, 2));
    let (snapshot, behind) = checkpoint(&mut core);
    let all: Vec<_> = before.iter().chain(&behind).cloned().collect();
    let recover = |snapshot: Option<&Snapshot>, records: &[Record]| {
        MultiPaxos::recover(r(2), &Config::new(3), snapshot, records.iter().cloned())
    };
    let expected = recover(Some(&snapshot), &behind);
    for kept in 0..=before.len() {
        assert_eq!(recover(Some(&snapshot), &all[kept..]), expected);
    }
    for durable in before.len()..=all.len() {
        let mut core = recover(None, &all[..durable]);
        let prepare = Message::Prepare { ballot: ballot(5, 0), first: 1 };
        let slots: Vec<_> =
            promised(&mut core, prepare).entries.iter().map(|entry| entry.slot).collect();
        assert_eq!(slots, [1, 2, 4], "{durable} records");
    }
}

#[test]
fn a_cluster_that_begins_with_checkpoints_alone_goes_on() {
    let mut cluster = Cluster::<MultiPaxos>::new(Config::new(3), 11);
    cluster.run_ms(50);
    for (index, replica) in (1..=40).zip(ReplicaId::all(3).cycle()) {
        cluster.propose(r(0), write(1, index));
        cluster.run_ms(u64::from(index % 3 == 0));
        cluster.checkpoint(replica);
    }
    assert!(cluster.status(r(0)).undecided > 0, "some are open");
    for replica in ReplicaId::all(3) {
        cluster.checkpoint(replica);
        cluster.crash(replica);
    }
    for replica in ReplicaId::all(3) {
        cluster.start(replica);
    }
    cluster.propose(r(1), write(2, 1));
    let done = |c: &Cluster<MultiPaxos>| c.at_rest() && c.has_applied(r(2), &write(2, 1));
    assert!(cluster.run_until(5_000, done));
    cluster.assert_equal_states();
    assert!(ReplicaId::all(3).all(|replica| cluster.has_applied(replica, &write(1, 38))));
}

#[test]
fn checkpoints_at_both_ends_of_a_transfer_leave_it_alone() {
    let config = Config { kept_slots_max: 5, piece_bytes_max: 100, ..Config::new(3) };
    let mut cluster = Cluster::<MultiPaxos>::new(config, 5);
    cluster.run_ms(50);
    cluster.world.tap = Some(Box::new(|_, to, _| to != r(2)));
    for index in 1..=30 {
        cluster.propose(r(0), write(1, index));
    }
    cluster.run_ms(200);
    cluster.world.tap = None;
    cluster.world.record_sent = true;
    let is_piece = |message: &Message| matches!(message, Message::Piece(_));
    let mut checkpoints = 0;
    while cluster.status(r(2)).installs == 0 {
        assert!(cluster.run_one(5_000_000_000));
        // Amid the pieces, of which several are under way at once.
        if checkpoints > 0 || cluster.world.sent.drain(..).any(|(.., message)| is_piece(&message)) {
            ReplicaId::all(3).for_each(|replica| cluster.checkpoint(replica));
            checkpoints += 1;
        }
    }
    assert!(checkpoints > 2, "the snapshot came in no more than {checkpoints} steps");
    cluster.crash(r(2));
    cluster.start(r(2));
    assert!(cluster.run_until(2_000, Cluster::at_rest));
    cluster.assert_equal_states();
}
