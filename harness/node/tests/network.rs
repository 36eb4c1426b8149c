//! Clusters of every core in bad networks: packets that are lost, doubled, late and out of order under QUIC, and messages
//! that are lost and doubled above it. Whatever is answered holds, and the replicas agree.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::{Cluster, ask, block_on, get, put};
use node::{
    client::{Connector, Session},
    emulator::{Layer, LinkChange, NetworkChange, NetworkPlan},
    identity::Role,
    replica_process::Options,
};
use protocols::{
    Outcome, Replica, ReplicaId, ReplicaSet, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos,
};

const ALL: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

fn plan(one_way_ns: u64) -> NetworkPlan {
    let mut plan = NetworkPlan::flat(3, 7);
    for (from, row) in plan.one_way_ns.iter_mut().enumerate() {
        for (to, ns) in row.iter_mut().enumerate() {
            *ns = if from == to { 0 } else { one_way_ns };
        }
    }
    plan.round_trip_ns_max = 2_000_000_000;
    plan
}

fn start<R: Replica>(plan: &NetworkPlan) -> Cluster {
    let mut cluster = Cluster::new(3);
    for id in ALL {
        let options = cluster.options(id);
        cluster.start_with::<R>(Options { network: Some(plan.clone()), ..options });
    }
    cluster
}

/// Tells every replica.
async fn tell(cluster: &Cluster, change: &NetworkChange) {
    for id in ALL {
        cluster.control(id).await.network(change).await.unwrap();
    }
}

fn links(layer: Layer, change: impl FnOnce(&mut LinkChange)) -> NetworkChange {
    let mut links = LinkChange::of_all(layer, 3);
    change(&mut links);
    NetworkChange::Links(links)
}

/// `writes` puts at each replica, one after the other; each is read at another replica. All of it is answered.
async fn puts_and_gets(sessions: &mut [Session], writes: u64, client: u64) {
    for index in 1..=writes {
        for (at, name) in ALL.iter().enumerate() {
            let key = [b'k', name.0, index.to_le_bytes()[0]];
            let client = client + u64::from(name.0);
            let value = [name.0; 16];
            let put = put(client, index, &key, &value);
            assert_eq!(ask(&mut sessions[at], put).await, Outcome::Done);
            let read = ask(&mut sessions[(at + 1) % 3], get(client, index, &key)).await;
            assert_eq!(read, Outcome::Value(Some(vec![name.0; 16])));
        }
    }
}

async fn sessions(cluster: &Cluster) -> Vec<Session> {
    let mut sessions = Vec::new();
    for id in ALL {
        sessions.push(cluster.session(id).await);
    }
    sessions
}

async fn survives_bad_networks<R: Replica>() {
    let cluster = start::<R>(&plan(0));
    let mut sessions = sessions(&cluster).await;
    puts_and_gets(&mut sessions, 2, 100).await;
    let packets = links(Layer::Packet, |links| {
        links.loss_rate = Some(0.1);
        links.duplicate_rate = Some(0.05);
        links.reorder_rate = Some(0.05);
        links.delay_ns = Some(2_000_000);
        links.jitter_ns = Some(1_000_000);
        links.bytes_per_s = Some(10e6);
    });
    tell(&cluster, &packets).await;
    puts_and_gets(&mut sessions, 10, 200).await;
    let mut seen = measure::LayerReport::default();
    for id in ALL {
        let report = cluster.control(id).await.report().await.unwrap().network;
        seen.add(&report.packets);
        assert!(!report.messages.is_used() && report.slow.cpu_ns == 0, "{report:?}");
    }
    assert!(seen.lost > 0 && seen.doubled > 0 && seen.held_back > 0, "{seen:?}");
    assert!(seen.delay_ns >= seen.delay_asked_ns && seen.delay_asked_ns > 0, "{seen:?}");

    for change in NetworkChange::ends(3) {
        tell(&cluster, &change).await;
    }
    let messages = links(Layer::Message, |links| {
        links.loss_rate = Some(0.1);
        links.duplicate_rate = Some(0.1);
        links.jitter_ns = Some(3_000_000);
    });
    tell(&cluster, &messages).await;
    for id in ALL {
        cluster.control(id).await.begin_measuring().await.unwrap();
    }
    puts_and_gets(&mut sessions, 10, 300).await;
    let mut seen = measure::LayerReport::default();
    for id in ALL {
        let report = cluster.control(id).await.report().await.unwrap().network;
        seen.add(&report.messages);
        assert!(!report.packets.is_used(), "{report:?}");
    }
    assert!(seen.lost > 0 && seen.doubled > 0 && seen.delayed > 0, "{seen:?}");
    for change in NetworkChange::ends(3) {
        tell(&cluster, &change).await;
    }
    // What was lost last reaches everybody with what comes next.
    puts_and_gets(&mut sessions, 1, 400).await;
    agree(&cluster).await;
}

/// Waits until the replicas hold the same.
async fn agree(cluster: &Cluster) {
    loop {
        let mut digests = Vec::new();
        for id in ALL {
            digests.push(cluster.control(id).await.status().await.unwrap().digest);
        }
        if digests.windows(2).all(|pair| pair[0] == pair[1]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn paxos_survives_bad_networks() {
    block_on(survives_bad_networks::<Paxos>());
}

#[test]
fn multi_paxos_survives_bad_networks() {
    block_on(survives_bad_networks::<MultiPaxos>());
}

#[test]
fn epaxos_survives_bad_networks() {
    block_on(survives_bad_networks::<EPaxos>());
}

#[test]
fn a_second_one_way_is_outlasted_by_every_handshake_and_connection() {
    block_on(async {
        let plan = plan(1_000_000_000);
        let cluster = start::<MultiPaxos>(&plan);
        let client = cluster.identity(Role::Client);
        // A client at the leader's site, and one at another, which is a second away from it.
        for (site, client_id) in [(0, 1), (1, 2)] {
            let site = ReplicaId(site);
            let connector = Connector::at_site(&client, &plan, site, &cluster.addresses).unwrap();
            let mut session = connector.connect(ALL[0], cluster.addresses[0]).await.unwrap();
            let start = std::time::Instant::now();
            assert_eq!(ask(&mut session, put(client_id, 1, b"k", b"v")).await, Outcome::Done);
            // To a majority and back, and for the other client to the leader and back.
            let least_s = if site == ALL[0] { 2.0 } else { 4.0 };
            assert!(start.elapsed().as_secs_f64() >= least_s, "nothing is faster than the network");
            let report = connector.network_report().packets;
            assert_eq!(report.is_used(), site != ALL[0], "no way to one's own site: {report:?}");
        }
    });
}

#[test]
fn a_partition_cuts_a_replica_off_until_it_heals_and_operators_are_never_impaired() {
    block_on(async {
        let cluster = start::<MultiPaxos>(&plan(0));
        let mut sessions = sessions(&cluster).await;
        puts_and_gets(&mut sessions, 1, 100).await;
        let set = |ids: &[u8]| ids.iter().map(|id| ReplicaId(*id)).collect::<ReplicaSet>();
        tell(&cluster, &NetworkChange::split(&[set(&[2]), set(&[0, 1])])).await;
        let put_2 = put(7, 1, b"cut", b"v");
        sessions[2].send(&put_2);
        let late = sessions[2].exchange(drop);
        let late = tokio::time::timeout(std::time::Duration::from_millis(500), late).await;
        assert!(late.is_err(), "a minority answered: {late:?}");
        assert_eq!(ask(&mut sessions[0], put(8, 1, b"both", b"v")).await, Outcome::Done);
        let cut = cluster.control(ALL[2]).await.report().await.unwrap().network.packets.cut;
        assert!(cut > 0);
        tell(&cluster, &NetworkChange::Heal).await;
        assert_eq!(ask(&mut sessions[2], put_2).await, Outcome::Done);
        agree(&cluster).await;
    });
}

#[test]
fn without_an_emulated_network_packets_cannot_be_impaired_but_messages_and_the_pace_can() {
    block_on(async {
        let cluster = Cluster::start::<MultiPaxos>(3);
        let mut control = cluster.control(ALL[0]).await;
        let packets = links(Layer::Packet, |links| links.loss_rate = Some(0.1));
        let error = control.network(&packets).await.unwrap_err().to_string();
        assert!(error.contains("runs without an emulated network: start it with"), "{error}");
        let messages = links(Layer::Message, |links| links.duplicate_rate = Some(1.0));
        control.network(&messages).await.unwrap();
        control.network(&NetworkChange::Slow { factor: 3.0 }).await.unwrap();
        control.network(&NetworkChange::Heal).await.unwrap();
        let mut sessions = sessions(&cluster).await;
        puts_and_gets(&mut sessions, 20, 100).await;
        let report = control.report().await.unwrap().network;
        assert_eq!(report.messages.doubled, report.messages.seen);
        let (asked, had) = report.slow.factors().unwrap();
        assert!((2.99..3.01).contains(&asked) && had > 2.0, "{report:?}");
    });
}
