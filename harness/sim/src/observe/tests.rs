use protocols::{
    Batch, ClientId, Command, InstanceId, ReplicaId, Request, RequestNumber,
    dependencies::Dependencies,
};

use super::Observer;
use crate::violation::{Breach, Broken};

const REPLICAS: usize = 3;

fn request(client: u64, key: &'static [u8], write: bool) -> Request<'static> {
    let (number, command) = if write {
        (RequestNumber::write(1), Command::Put { key, value: b"v" })
    } else {
        (RequestNumber::read(1), Command::Get { key })
    };
    Request { client: ClientId(client), number, unanswered_from: 1, command }
}

fn batch(client: u64, key: &'static [u8], write: bool) -> Batch {
    Batch::single(&request(client, key, write)).unwrap()
}

fn at(row: u8, slot: u64) -> InstanceId {
    InstanceId::new(ReplicaId(row), slot)
}

fn observer() -> Observer {
    Observer::new(protocols::epaxos::PROTOCOL, REPLICAS, true)
}

/// Replica 0 learns of decisions, one after the other.
fn decide(decisions: &[(InstanceId, Batch, [u64; REPLICAS])]) -> Result<(), Breach> {
    let mut observer = observer();
    decisions.iter().try_for_each(|(instance, batch, dependencies)| {
        let dependencies: Dependencies = dependencies.iter().copied().collect();
        observer.committed(ReplicaId(0), *instance, batch, &dependencies).map(|_| ())
    })
}

fn broken<T: std::fmt::Debug>(result: Result<T, Breach>) -> Broken {
    result.unwrap_err().broken
}

#[test]
fn of_two_conflicting_commands_one_must_know_the_other() {
    let write = |client| batch(client, b"k", true);
    let unknown = [(at(0, 1), write(1), [0, 0, 0]), (at(1, 1), write(2), [0, 0, 0])];
    assert_eq!(broken(decide(&unknown)), Broken::Visibility);
    let read = [(at(0, 1), batch(1, b"k", false), [0; 3]), (at(1, 1), write(2), [0; 3])];
    assert_eq!(broken(decide(&read)), Broken::Visibility);
    let known = [(at(0, 1), write(1), [0, 1, 0]), (at(1, 1), write(2), [0, 0, 0])];
    assert_eq!(decide(&known), Ok(()), "the first names the second");
    let [a, b] = known;
    assert_eq!(decide(&[b, a]), Ok(()), "and in the other order");
}

#[test]
fn an_older_instance_is_found_behind_a_newer_one_that_knows() {
    let write = |client| batch(client, b"k", true);
    let decisions = [
        (at(0, 2), write(1), [1, 1, 0]),
        (at(0, 1), write(2), [0, 0, 0]),
        (at(1, 1), write(3), [0, 0, 0]),
    ];
    assert_eq!(broken(decide(&decisions)), Broken::Visibility);
}

#[test]
fn what_does_not_conflict_need_not_know_each_other() {
    let reads =
        [(at(0, 1), batch(1, b"k", false), [0; 3]), (at(1, 1), batch(2, b"k", false), [0; 3])];
    assert_eq!(decide(&reads), Ok(()));
    let keys = [(at(0, 1), batch(1, b"k", true), [0; 3]), (at(1, 1), batch(2, b"x", true), [0; 3])];
    assert_eq!(decide(&keys), Ok(()));
    let noop = [(at(0, 1), batch(1, b"k", true), [0; 3]), (at(1, 1), Batch::NOOP, [0; 3])];
    assert_eq!(decide(&noop), Ok(()));
}

#[test]
fn agreement_is_on_dependencies_too() {
    let mut observer = observer();
    let write = batch(1, b"k", true);
    let [some, other] = [[1, 0, 0], [2, 0, 0]].map(Dependencies::from_iter);
    let mut commit = |replica, dependencies: &Dependencies| {
        observer.committed(ReplicaId(replica), at(1, 1), &write, dependencies)
    };
    assert!(commit(0, &some).unwrap());
    assert!(!commit(1, &some).unwrap());
    assert_eq!(broken(commit(2, &other)), Broken::Agreement);
}

#[test]
fn a_request_takes_effect_in_one_instance() {
    let mut observer = observer();
    let Request { client, number, .. } = request(1, b"k", true);
    let write = (client, number);
    for replica in ReplicaId::all(2) {
        let new = replica == ReplicaId(0);
        assert_eq!(observer.took_effect(replica, (at(0, 1), 0), write), Ok(new));
    }
    assert_eq!(
        broken(observer.took_effect(ReplicaId(2), (at(1, 1), 0), write)),
        Broken::EffectTwice
    );
}

/// Two writes and a read between them, decided.
fn three_decided() -> (Observer, [(InstanceId, Batch); 3]) {
    let mut observer = observer();
    let decided = [
        (at(0, 1), batch(1, b"k", true), [0, 0, 0]),
        (at(1, 1), batch(2, b"k", false), [1, 0, 0]),
        (at(2, 1), batch(3, b"k", true), [1, 1, 0]),
    ];
    for (instance, batch, dependencies) in &decided {
        let dependencies: Dependencies = dependencies.iter().copied().collect();
        observer.committed(ReplicaId(0), *instance, batch, &dependencies).unwrap();
    }
    (observer, decided.map(|(instance, batch, _)| (instance, batch)))
}

#[test]
fn a_read_has_its_place_between_writes() {
    let (mut observer, [first, read, second]) = three_decided();
    let mut execute = |replica, (instance, batch): &(InstanceId, Batch)| {
        observer.executed(ReplicaId(replica), *instance, batch).map(|_| ())
    };
    for decided in [&first, &read, &second] {
        assert_eq!(execute(0, decided), Ok(()));
    }
    assert_eq!(execute(1, &first), Ok(()));
    assert_eq!(execute(1, &second), Ok(()));
    assert_eq!(broken(execute(1, &read)), Broken::Order);
}

#[test]
fn execution_goes_on_from_an_installed_state() {
    let (mut observer, [first, read, second]) = three_decided();
    let (from, to) = (ReplicaId(0), ReplicaId(1));
    for (instance, batch) in [&first, &read] {
        observer.executed(from, *instance, batch).unwrap();
    }
    observer.captured(from, b"state", 7);
    assert_eq!(broken(observer.installed(to, b"another")), Broken::ForeignSnapshot);
    observer.installed(to, b"state").unwrap();
    observer.executed(to, second.0, &second.1).unwrap();
    assert_eq!(broken(observer.executed(to, first.0, &first.1)), Broken::ExecutedTwice);
}

#[test]
fn a_life_begins_without_what_the_last_one_executed() {
    let (mut observer, [first, ..]) = three_decided();
    let replica = ReplicaId(0);
    observer.executed(replica, first.0, &first.1).unwrap();
    assert_eq!(broken(observer.executed(replica, first.0, &first.1)), Broken::ExecutedTwice);
    observer.crashed(replica);
    observer.executed(replica, first.0, &first.1).unwrap();
}

/// Where no replica restarts, a decision that all have executed is kept as a hash: enough to catch what contradicts it.
#[test]
fn a_settled_decision_is_still_one() {
    let settled = || {
        let mut observer = Observer::new(protocols::epaxos::PROTOCOL, REPLICAS, false);
        let write = batch(1, b"k", true);
        let none: Dependencies = [0; REPLICAS].into_iter().collect();
        for replica in ReplicaId::all(2) {
            observer.committed(replica, at(0, 1), &write, &none).unwrap();
            observer.executed(replica, at(0, 1), &write).unwrap();
        }
        assert!(observer.decisions.get(at(0, 1)).is_some(), "one has not executed it");
        observer.crashed(ReplicaId(2));
        observer.committed(ReplicaId(0), at(0, 2), &Batch::NOOP, &none).unwrap();
        for replica in ReplicaId::all(2) {
            observer.executed(replica, at(0, 2), &Batch::NOOP).unwrap();
        }
        assert!(observer.decisions.get(at(0, 2)).is_none(), "all that live have executed it");
        (observer, none)
    };
    let (mut observer, none) = settled();
    assert!(!observer.committed(ReplicaId(1), at(0, 2), &Batch::NOOP, &none).unwrap());
    let (mut observer, none) = settled();
    let other = observer.committed(ReplicaId(1), at(0, 2), &batch(2, b"k", true), &none);
    assert_eq!(broken(other), Broken::Agreement);
    let (mut observer, _) = settled();
    let again = observer.executed(ReplicaId(1), at(0, 2), &Batch::NOOP);
    assert_eq!(broken(again), Broken::ExecutedTwice);
}

/// A conflicting command that all have executed is no excuse for one that does not know it.
#[test]
fn a_settled_command_must_be_known() {
    let mut observer = Observer::new(protocols::epaxos::PROTOCOL, 1, false);
    let (first, second) = (batch(1, b"k", true), batch(2, b"k", true));
    let none: Dependencies = [0; 1].into_iter().collect();
    observer.committed(ReplicaId(0), at(0, 1), &first, &none).unwrap();
    observer.executed(ReplicaId(0), at(0, 1), &first).unwrap();
    let result = observer.committed(ReplicaId(0), at(0, 2), &second, &none);
    assert_eq!(broken(result), Broken::Visibility);
}
