//! Clusters on the loopback: every core, clients, operators, links that break.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{Cluster, ask, block_on, get, put, turns::Turns};
use driver::{Reply, storage::Durability};
use measure::Role as Part;
use node::{
    client::Connector,
    control::Operator,
    emulator::{NetworkChange, NetworkPlan},
    identity::Role,
    replica_process::{self, Options},
};
use protocols::{
    Outcome, Replica, ReplicaId, ReplicaSet, Request, epaxos::EPaxos, multi_paxos::MultiPaxos,
    paxos::Paxos,
};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);
const ALL: [ReplicaId; 3] = [R0, R1, R2];

/// Puts at one replica are read at another, a pipelined load ends, and the replicas agree at rest.
async fn answers_and_agrees<R: Replica>() {
    let cluster = Cluster::start::<R>(3);
    let mut sessions = Vec::new();
    for id in ALL {
        sessions.push(cluster.session(id).await);
    }
    for (client, session) in (1..).zip(&mut sessions) {
        assert_eq!(ask(session, put(client, 1, b"shared", &[7; 16])).await, Outcome::Done);
    }
    let read = ask(&mut sessions[2], get(9, 1, b"shared")).await;
    assert_eq!(read, Outcome::Value(Some(vec![7; 16])));
    assert_eq!(ask(&mut sessions[1], get(9, 2, b"absent")).await, Outcome::Value(None));

    const WRITES: u64 = 500;
    for (client, session) in (11..).zip(&mut sessions) {
        let key = [b'k', u8::try_from(client).unwrap()];
        for index in 1..=WRITES {
            session.send(&put(client, index, &key, &[1; 16]));
        }
    }
    for session in &mut sessions {
        let mut answered = 0;
        while answered < WRITES {
            answered += session
                .exchange(|reply| assert_eq!(reply.answer, Ok(Outcome::Done)))
                .await
                .unwrap() as u64;
        }
        assert_eq!(answered, WRITES);
    }
    cluster.settle(&ALL, 5 + 3 * WRITES).await;
}

#[test]
fn turns_answers_and_agrees() {
    block_on(answers_and_agrees::<Turns>());
}

#[test]
fn multi_paxos_answers_and_agrees() {
    block_on(answers_and_agrees::<MultiPaxos>());
}

#[test]
fn epaxos_answers_and_agrees() {
    block_on(answers_and_agrees::<EPaxos>());
}

#[test]
fn paxos_answers_and_agrees() {
    block_on(answers_and_agrees::<Paxos>());
}

#[test]
fn peers_that_are_not_up_yet_are_waited_for() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        cluster.start_one::<Turns>(R0);
        let mut session = cluster.session(R0).await;
        session.send(&put(1, 1, b"k", b"v"));
        let early = tokio::time::timeout(Duration::from_millis(200), session.exchange(drop)).await;
        assert!(early.is_err(), "answered without a majority: {early:?}");
        cluster.start_one::<Turns>(R2);
        let mut replies: Vec<Reply> = Vec::new();
        session.exchange(|reply| replies.push(reply)).await.unwrap();
        assert_eq!(replies[0].answer, Ok(Outcome::Done));
    });
}

#[test]
fn a_peer_that_comes_back_is_connected_again() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        cluster.durability = Durability::Buffered;
        ALL.into_iter().for_each(|id| cluster.start_one::<Turns>(id));
        let mut session = cluster.session(R0).await;
        ask(&mut session, put(1, 1, b"k", b"1")).await;
        // Replica 1 is dialed by 0 and dials 2: both directions come back.
        cluster.kill(R1).await;
        ask(&mut session, put(1, 2, b"k", b"2")).await;
        cluster.start_one::<Turns>(R1);
        ask(&mut session, put(1, 3, b"k", b"3")).await;
        cluster.settle(&ALL, 3).await;
        cluster.connected(R1, 2).await;
    });
}

#[test]
fn a_replica_that_comes_back_without_its_promises_is_told_so_and_ends() {
    block_on(async {
        let mut cluster = Cluster::start::<Turns>(3);
        for (id, others) in [(R1, [R0, R2]), (R2, [R0, R1])] {
            // Both directions: replica 1 is dialed and dials, replica 2 is only dialed.
            for other in others {
                cluster.connected(other, 2).await;
            }
            let before = cluster.control(id).await.status().await.unwrap().incarnation;
            cluster.kill(id).await;
            cluster.start_one::<Turns>(id);
            let error = cluster.ended(id).await.unwrap_err().to_string();
            assert!(error.starts_with("refused by r"), "{error}");
            assert!(error.contains(&format!("was incarnation {before:016x}")), "{error}");
            assert!(error.contains("start it with the --data that it had"), "{error}");
            if id == R1 {
                // With three of three there would be no majority for the second half.
                cluster = Cluster::start::<Turns>(3);
            }
        }
        let mut session = cluster.session(R0).await;
        assert_eq!(ask(&mut session, put(1, 1, b"k", b"v")).await, Outcome::Done);
    });
}

#[test]
fn a_data_directory_is_its_replicas_and_of_one_process_at_a_time() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        cluster.durability = Durability::Fsync;
        cluster.start_one::<Turns>(R0);
        cluster.connected(R0, 0).await;
        let incarnation = cluster.control(R0).await.status().await.unwrap().incarnation;
        let mut options = cluster.options(R0);
        options.listen.set_port(0);
        let error = replica_process::serve::<Turns>(&options).await.unwrap_err().to_string();
        let holder = format!("process {} works in this directory", std::process::id());
        assert!(error.contains(&holder), "{error}");

        cluster.kill(R0).await;
        let other = Options { data: options.data.clone(), ..cluster.options(R1) };
        let error = replica_process::serve::<Turns>(&other).await.unwrap_err().to_string();
        assert!(error.contains("holds the data of replica 0, not of replica 1"), "{error}");
        let error = replica_process::serve::<Paxos>(&options).await.unwrap_err().to_string();
        assert!(error.contains("of protocol turns, not of protocol paxos"), "{error}");
        cluster.start_one::<Turns>(R0);
        cluster.connected(R0, 0).await;
        let again = cluster.control(R0).await.status().await.unwrap().incarnation;
        assert_eq!(incarnation, again);
    });
}

#[test]
fn a_request_sent_again_over_a_new_session_takes_effect_once() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        cluster.start_one::<Turns>(R0);
        let append = Request {
            command: protocols::Command::Append { key: b"k", value: b"x" },
            ..put(1, 1, b"k", b"")
        };
        let mut first = cluster.session(R0).await;
        first.send(&append);
        let early = tokio::time::timeout(Duration::from_millis(100), first.exchange(drop)).await;
        assert!(early.is_err());
        drop(first);
        let mut second = cluster.session(R0).await;
        second.send(&append);
        cluster.start_one::<Turns>(R1);
        assert_eq!(ask(&mut second, append).await, Outcome::Done);
        assert_eq!(ask(&mut second, get(1, 1, b"k")).await, Outcome::Value(Some(b"x".to_vec())));
    });
}

#[test]
fn large_values_pass_and_a_session_ends_with_its_replica() {
    block_on(async {
        let mut cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R1).await;
        let large = vec![5; 1 << 20];
        for index in 1..=20 {
            session.send(&put(1, index, &[b'k', index.to_le_bytes()[0]], &large));
        }
        let mut answered = 0;
        while answered < 20 {
            answered += session.exchange(drop).await.unwrap();
        }
        assert_eq!(ask(&mut session, get(1, 1, b"k\x14")).await, Outcome::Value(Some(large)));
        cluster.control(R1).await.shut_down().await.unwrap();
        cluster.ended(R1).await.unwrap();
        let error = session.exchange(drop).await.unwrap_err();
        assert!(error.to_string().contains("session with r1 lost"), "{error}");
        let connector = Connector::new(&cluster.identity(Role::Client)).unwrap();
        assert!(connector.connect(R1, cluster.addresses[1]).await.is_err());
    });
}

#[test]
fn an_operator_measures_inspects_and_stops() {
    block_on(async {
        let mut cluster = Cluster::start::<MultiPaxos>(3);
        let mut session = cluster.session(R0).await;
        ask(&mut session, put(1, 1, b"before", b"v")).await;
        let mut control = cluster.control(R0).await;
        control.begin_measuring().await.unwrap();
        for index in 2..=11 {
            ask(&mut session, put(1, index, b"k", b"v")).await;
        }
        let report = control.report().await.unwrap();
        let counters = report.counters;
        assert_eq!((report.replica, report.role), (0, Part::Leader));
        assert_eq!((counters.client_requests, counters.client_replies), (10, 10));
        assert_eq!((counters.commands_led, counters.commands_executed), (10, 10));
        assert_eq!((report.commit.len(), report.execute.len()), (10, 10));
        assert!(counters.messages_in > 0 && counters.messages_out > 0 && counters.bytes_out > 0);
        assert!(report.cpu_ns.unwrap() > 0 && report.rss_bytes.unwrap() > 0);

        let status = control.status().await.unwrap();
        assert_eq!((status.executed, status.commits, status.pending), (11, 11, 0));
        let mut keys = Vec::new();
        for bucket in 0..4 {
            let bucket = control.key_digests(bucket, 4).await.unwrap();
            keys.extend(bucket.into_iter().map(|digest| digest.key));
        }
        keys.sort();
        assert_eq!(keys, [b"before".to_vec(), b"k".to_vec()]);
        control.shut_down().await.unwrap();
        cluster.ended(R0).await.unwrap();
    });
}

#[test]
fn identities_are_used_for_what_they_are() {
    block_on(async {
        let cluster = Cluster::new(1);
        assert!(Connector::new(&cluster.identity(Role::Operator)).is_err());
        assert!(Operator::new(&cluster.identity(Role::Client)).is_err());
    });
}

#[test]
fn replicas_find_each_other_by_name_and_are_cut_off_by_it() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        for id in ReplicaId::all(3) {
            let mut options = cluster.options(id);
            let ports = cluster.addresses.iter().map(SocketAddr::port);
            options.peers =
                ports.map(|port| format!("localhost:{port}").parse().unwrap()).collect();
            options.network = Some(NetworkPlan::flat(3, 1));
            cluster.start_with::<MultiPaxos>(options);
        }
        for id in ReplicaId::all(3) {
            cluster.connected(id, 2).await;
        }
        let mut session = cluster.session(R1).await;
        assert_eq!(ask(&mut session, put(1, 1, b"k", b"v")).await, Outcome::Done);
        let others: ReplicaSet = [R1, R2].into_iter().collect();
        let apart = NetworkChange::split(&[ReplicaSet::only(R0), others]);
        for id in ReplicaId::all(3) {
            cluster.control(id).await.network(&apart).await.unwrap();
        }
        // Whose packets are lost is known by its address: the name was resolved where it dials, and
        // met where it is dialed.
        for (id, peers) in [(R0, 0), (R1, 1), (R2, 1)] {
            let mut line = cluster.control(id).await;
            while line.status().await.unwrap().peers_connected > peers {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
}
