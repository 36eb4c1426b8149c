//! Replicas that die at any moment and come back as who they were: what was acknowledged is still there, once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::{fs, time::Duration};

use common::{Cluster, ask, block_on, get, put};
use driver::{ReplicaStatus, storage::Durability};
use node::client::Session;
use protocols::{
    Command, Outcome, Replica, ReplicaId, Request, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);
const ALL: [ReplicaId; 3] = [R0, R1, R2];

/// So short that every few commands a snapshot takes the log's place.
const SHORT_LOG_BYTES: u64 = 2_000;

fn durable<R: Replica>(durability: Durability, log_bytes_kept: Option<u64>) -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.durability = durability;
    cluster.log_bytes_kept = log_bytes_kept;
    ALL.into_iter().for_each(|id| cluster.start_one::<R>(id));
    cluster
}

fn append(client: u64, index: u64) -> Request<'static> {
    let command = Command::Append { key: b"appended", value: b"x" };
    Request { command, ..put(client, index, b"appended", b"") }
}

async fn status(cluster: &Cluster, id: ReplicaId) -> ReplicaStatus {
    cluster.control(id).await.status().await.unwrap()
}

/// Waits until all are in one state, at rest.
async fn agreed(cluster: &Cluster) -> ReplicaStatus {
    loop {
        let mut statuses = Vec::new();
        for id in ALL {
            statuses.push(status(cluster, id).await);
        }
        let first = statuses[0].clone();
        let at_rest = statuses.iter().all(|status| {
            status.digest == first.digest && status.core.unexecuted == 0 && status.pending == 0
        });
        if at_rest {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until `request` is answered, over new sessions if it must be: it may take the others a while to go on.
async fn ask_until_answered(cluster: &Cluster, id: ReplicaId, request: Request<'_>) -> Outcome {
    loop {
        let mut session: Session = cluster.session(id).await;
        let answer = tokio::time::timeout(Duration::from_secs(2), ask(&mut session, request)).await;
        if let Ok(answer) = answer {
            return answer;
        }
    }
}

/// Each replica dies and comes back, twice, while writes go on at another; then all die at once.
async fn nothing_acknowledged_is_lost<R: Replica>(durability: Durability, log: Option<u64>) {
    let mut cluster = durable::<R>(durability, log);
    let mut appended = 0;
    let mut next = 0..;
    for victim in ALL.into_iter().chain(ALL) {
        let asked = ALL[(victim.index() + 1) % 3];
        for _ in 0..20 {
            let request = append(1, next.next().unwrap() + 1);
            assert_eq!(ask_until_answered(&cluster, asked, request).await, Outcome::Done);
            appended += 1;
        }
        // What the victim works on when it dies may or may not come to be: it is asked again, under the same number.
        let under_way = append(2 + u64::from(victim.0), next.next().unwrap() + 1);
        let mut session = cluster.session(victim).await;
        session.send(&under_way);
        let _ = tokio::time::timeout(Duration::from_millis(2), session.exchange(drop)).await;
        cluster.kill(victim).await;
        assert_eq!(ask_until_answered(&cluster, asked, under_way).await, Outcome::Done);
        appended += 1;
        cluster.start_one::<R>(victim);
        cluster.connected(victim, 2).await;
    }
    agreed(&cluster).await;
    for id in ALL {
        cluster.kill(id).await;
    }
    ALL.into_iter().for_each(|id| cluster.start_one::<R>(id));
    for id in ALL {
        let value =
            ask_until_answered(&cluster, id, get(9, 1 + u64::from(id.0), b"appended")).await;
        let Outcome::Value(Some(value)) = value else { panic!("{value:?}") };
        assert_eq!(value.len(), appended, "at {id}");
    }
    let before = agreed(&cluster).await;
    // A retry of what was acknowledged lives ago takes no effect.
    ask_until_answered(&cluster, R2, append(1, 1)).await;
    assert_eq!(agreed(&cluster).await.digest.writes, before.digest.writes);
    for id in ALL {
        let storage = status(&cluster, id).await.storage;
        assert_eq!(storage.durability, durability);
        let has_snapshot = fs::read_dir(cluster.data(id))
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("snapshot-"));
        assert_eq!(has_snapshot, log.is_some());
        if log.is_some() {
            assert!(storage.snapshot_bytes > 0 && storage.log_bytes < 10 * SHORT_LOG_BYTES);
        } else {
            assert!(storage.records_replayed > 100, "{storage:?}");
        }
    }
}

#[test]
fn paxos_replicas_come_back_from_a_synced_log() {
    block_on(nothing_acknowledged_is_lost::<Paxos>(Durability::Fsync, None));
}

#[test]
fn multi_paxos_replicas_come_back_from_a_synced_log() {
    block_on(nothing_acknowledged_is_lost::<MultiPaxos>(Durability::Fsync, None));
}

#[test]
fn epaxos_replicas_come_back_from_a_synced_log() {
    block_on(nothing_acknowledged_is_lost::<EPaxos>(Durability::Fsync, None));
}

#[test]
fn paxos_replicas_come_back_from_a_checkpoint() {
    block_on(nothing_acknowledged_is_lost::<Paxos>(Durability::Buffered, Some(SHORT_LOG_BYTES)));
}

#[test]
fn multi_paxos_replicas_come_back_from_a_checkpoint() {
    block_on(nothing_acknowledged_is_lost::<MultiPaxos>(Durability::Fsync, Some(SHORT_LOG_BYTES)));
}

#[test]
fn epaxos_replicas_come_back_from_a_checkpoint() {
    block_on(nothing_acknowledged_is_lost::<EPaxos>(Durability::Buffered, Some(SHORT_LOG_BYTES)));
}

#[test]
fn a_damaged_log_ends_the_start_and_the_others_go_on() {
    block_on(async {
        let mut cluster = durable::<MultiPaxos>(Durability::Fsync, None);
        for index in 1..=10 {
            ask_until_answered(&cluster, R0, append(1, index)).await;
        }
        cluster.kill(R1).await;
        let log = cluster.data(R1).join("log-0000000000000001");
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&log, bytes).unwrap();
        cluster.start_one::<MultiPaxos>(R1);
        let error = cluster.ended(R1).await.unwrap_err().to_string();
        assert!(error.starts_with(&log.display().to_string()), "{error}");
        assert!(error.contains("at offset ") && error.contains("nothing was applied"), "{error}");
        assert_eq!(ask_until_answered(&cluster, R0, append(1, 11)).await, Outcome::Done);
    });
}

#[test]
fn many_clients_share_a_sync() {
    block_on(async {
        let cluster = durable::<MultiPaxos>(Durability::Fsync, None);
        const WRITES: u64 = 2_000;
        // The leader takes them all at once: while one group is synced, the next one gathers.
        ask_until_answered(&cluster, R0, append(1, 1)).await;
        cluster.control(R0).await.begin_measuring().await.unwrap();
        let mut session = cluster.session(R0).await;
        for client in 10..10 + WRITES {
            session.send(&put(client, 1, b"k", &[1; 16]));
        }
        let mut answered = 0;
        while answered < WRITES {
            answered += session.exchange(drop).await.unwrap() as u64;
        }
        let counters = cluster.control(R0).await.report().await.unwrap().counters;
        assert!(counters.records_written >= WRITES, "{counters:?}");
        assert!(counters.record_bytes_written > 16 * WRITES, "{counters:?}");
        assert!(counters.records_per_write().unwrap() > 2.0, "{counters:?}");
    });
}
