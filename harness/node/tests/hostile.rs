//! Whoever is not entitled is refused, and what makes no sense closes its connection and nothing else.
//!
//! The intruders here speak QUIC by themselves, because the library offers no way to misbehave.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::{net::SocketAddr, path::Path, sync::Arc};

use common::{
    Cluster, ask, block_on, put,
    turns::{Say, Turns},
};
use driver::Driver;
use node::{
    client::Connector,
    control::Operator,
    frame::{FRAME_BYTES_MAX, append_value_frame},
    identity::{self, Identity, Role},
    limits::{
        Budget, CONNECTIONS_PER_ADDRESS_MAX, CONTROL_BYTES_MAX, HELLO_BYTES_MAX,
        PENDING_PER_CONNECTION_MAX,
    },
    replica_process::Options,
    wire::{ClientHello, ControlRequest, PeerHello},
};
use protocols::{
    Batch, Config, Outcome, Replica, ReplicaId, command::BATCH_BYTES_MAX, multi_paxos::MultiPaxos,
};
use quinn::{ConnectionError, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);

/// A connection made by hand: with the certificate in the files called `shown`, or with none.
async fn intrude(
    directory: &Path,
    shown: Option<&str>,
    server: &str,
    address: SocketAddr,
) -> Result<(Endpoint, quinn::Connection), ConnectionError> {
    let cluster = std::fs::read_to_string(directory.join("cluster")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("authority.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let certificate =
                CertificateDer::from_pem_file(directory.join(format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"paxos-lab/1".to_vec()];
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let crypto = QuicClientConfig::try_from(config).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    let name = format!("{server}.{}", cluster.trim());
    let connection = endpoint.connect(address, &name).unwrap().await?;
    Ok((endpoint, connection))
}

/// Opens the stream, sends `bytes`, and says why the replica closed the connection.
async fn closed_after(connection: &quinn::Connection, bytes: &[u8]) -> String {
    if let Ok((mut send, _receive)) = connection.open_bi().await {
        // It may be closed before all is written.
        let _ = send.write_all(bytes).await;
        connection.closed().await;
    }
    match connection.close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) => {
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        other => format!("{other:?}"),
    }
}

fn framed<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_value_frame(&mut bytes, value).unwrap();
    bytes
}

/// What `from` would say first if it were a beginning of its own.
fn hello(from: ReplicaId) -> PeerHello {
    PeerHello { from, protocol: Turns::PROTOCOL, replicas: 3, incarnation: 1, known: vec![] }
}

/// What the true `from` says first.
async fn true_hello(cluster: &Cluster, from: ReplicaId) -> PeerHello {
    let incarnation = cluster.control(from).await.status().await.unwrap().incarnation;
    PeerHello { incarnation, ..hello(from) }
}

/// The cluster still takes writes, over a session that was open all along and over a new one.
async fn still_serves(cluster: &Cluster, session: &mut node::client::Session, index: u64) {
    assert_eq!(ask(session, put(1, index, b"k", b"v")).await, Outcome::Done);
    let mut other = cluster.session(R0).await;
    assert_eq!(ask(&mut other, put(100 + index, 1, b"k", b"v")).await, Outcome::Done);
}

#[test]
fn nobody_of_another_cluster_is_let_in() {
    block_on(async {
        let (cluster, other) = (Cluster::start::<Turns>(3), Cluster::new(3));
        let mut session = cluster.session(R0).await;
        let address = cluster.addresses[0];
        // A client of the other cluster does not even believe the server.
        let connector = Connector::new(&other.identity(Role::Client)).unwrap();
        assert!(connector.connect(R0, address).await.is_err());
        let operator = Operator::new(&other.identity(Role::Operator)).unwrap();
        assert!(operator.connect(R0, address).await.is_err());
        // One that believes the server, but shows a certificate of the other cluster.
        let mixed = tempfile::tempdir().unwrap();
        for (from, names) in [
            (&cluster, &["cluster", "authority.pem"][..]),
            (&other, &["client.pem", "client.key", "replica-1.pem", "replica-1.key"]),
        ] {
            for name in names {
                let from = from.credentials().join(name);
                std::fs::copy(from, mixed.path().join(name)).unwrap();
            }
        }
        for shown in [Some("client"), Some("replica-1"), None] {
            let reached = intrude(mixed.path(), shown, "replica-0", address).await;
            // With TLS 1.3 the dialing side may believe itself connected until it hears otherwise.
            if let Ok((_endpoint, connection)) = reached {
                let reason = connection.closed().await;
                assert!(matches!(reason, ConnectionError::ConnectionClosed(_)), "{reason:?}");
            }
        }
        still_serves(&cluster, &mut session, 1).await;
    });
}

#[test]
fn a_server_that_is_not_the_replica_meant_is_not_believed() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let connector = Connector::new(&cluster.identity(Role::Client)).unwrap();
        let error = connector.connect(R1, cluster.addresses[0]).await.unwrap_err();
        assert!(error.to_string().contains("r1") || error.to_string().contains("replica 1"));
        assert!(connector.connect(R0, cluster.addresses[0]).await.is_ok());
    });
}

#[test]
fn a_certificate_is_good_for_its_own_role_alone() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R0).await;
        let directory = cluster.credentials();
        let to_r2 = |shown| {
            let directory = directory.clone();
            let address = cluster.addresses[2];
            async move { intrude(&directory, Some(shown), "replica-2", address).await.unwrap() }
        };
        // A client that greets as a peer is taken for what it is: its greeting names no replica that it dials.
        let (_endpoint, client) = to_r2("client").await;
        let reason = closed_after(&client, &framed(&hello(R1))).await;
        assert!(reason.contains("it means to talk to r1"), "{reason}");
        // And what it sends after a proper greeting is read as batches, never as messages.
        let (_endpoint, client) = to_r2("client").await;
        let mut bytes = framed(&ClientHello { to: R2 });
        bytes.extend(framed(&(1_000_000u64, Say::Ask)));
        let reason = closed_after(&client, &bytes).await;
        assert!(reason.contains("batch"), "{reason}");
        // A replica is the replica that its certificate names.
        let (_endpoint, replica) = to_r2("replica-1").await;
        let reason = closed_after(&replica, &framed(&hello(R0))).await;
        assert!(reason.contains("certified as r1, it claims to be r0"), "{reason}");
        let (_endpoint, replica) = to_r2("replica-1").await;
        let reason = closed_after(&replica, &framed(&hello(ReplicaId(9)))).await;
        assert!(reason.contains("certified as r1, it claims to be r9"), "{reason}");
        // The higher does not dial the lower, nor itself.
        let (_endpoint, replica) = to_r2("replica-2").await;
        let reason = closed_after(&replica, &framed(&hello(R2))).await;
        assert!(reason.contains("the lower dials"), "{reason}");
        // Both must run the same.
        let (_endpoint, replica) = to_r2("replica-1").await;
        let other = PeerHello { protocol: protocols::epaxos::PROTOCOL, ..hello(R1) };
        let reason = closed_after(&replica, &framed(&other)).await;
        assert!(reason.contains("it runs epaxos with 3 replicas"), "{reason}");
        still_serves(&cluster, &mut session, 1).await;
    });
}

#[test]
fn a_role_that_the_cluster_does_not_have_is_refused() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        let directory = cluster.credentials().join("five");
        identity::create(&directory, 5).unwrap();
        for id in [R0, R1, R2] {
            let options = cluster.options(id);
            cluster
                .start_with::<Turns>(Options { credentials: Some(directory.clone()), ..options });
        }
        let address = cluster.addresses[0];
        let (_endpoint, fifth) =
            intrude(&directory, Some("replica-4"), "replica-0", address).await.unwrap();
        let reason = closed_after(&fifth, &framed(&hello(ReplicaId(4)))).await;
        assert!(reason.contains("names no role here"), "{reason}");
        let identity = Identity::load(&directory, Role::Client).unwrap();
        let mut session = Connector::new(&identity).unwrap().connect(R0, address).await.unwrap();
        assert_eq!(ask(&mut session, put(1, 1, b"k", b"v")).await, Outcome::Done);
    });
}

#[test]
fn frames_that_make_no_sense_close_their_connection_and_the_replica_serves_on() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R0).await;
        let directory = cluster.credentials();
        let oversize = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
        let garbage = [3, 0, 0, 0, 250, 251, 252];
        let as_r1 = true_hello(&cluster, R1).await;
        let beyond = |limit: usize| u32::try_from(limit + 1).unwrap().to_le_bytes();
        let long_hello = beyond(HELLO_BYTES_MAX);
        let (long_batch, long_question) = (beyond(BATCH_BYTES_MAX), beyond(CONTROL_BYTES_MAX));
        let cases: [(&str, Vec<u8>, &[u8], &str); 9] = [
            ("client", vec![], &long_hello, "at most 4096"),
            ("replica-1", vec![], &long_hello, "at most 4096"),
            ("client", framed(&ClientHello { to: R2 }), &long_batch, "at most 8388608"),
            ("operator", framed(&ClientHello { to: R2 }), &long_question, "at most 1048576"),
            ("client", framed(&ClientHello { to: R2 }), &garbage, "batch"),
            ("client", framed(&ClientHello { to: R2 }), &[0; 4], "batch"),
            ("operator", framed(&ClientHello { to: R2 }), &garbage, "no control request"),
            ("replica-1", framed(&as_r1), &oversize, "at most"),
            ("replica-1", framed(&as_r1), &garbage, "no message of the protocol"),
        ];
        for (index, (shown, mut bytes, bad, expected)) in (1..).zip(cases) {
            let (_endpoint, connection) =
                intrude(&directory, Some(shown), "replica-2", cluster.addresses[2]).await.unwrap();
            bytes.extend_from_slice(bad);
            let reason = closed_after(&connection, &bytes).await;
            assert!(reason.contains(expected), "{shown} sent {bad:?}: {reason}");
            still_serves(&cluster, &mut session, index).await;
        }
        // The true replica 1, displaced by its double, came back to replica 2.
        cluster.settle(&[R0, R1, R2], 18).await;
        cluster.connected(R2, 2).await;
    });
}

#[test]
fn a_replica_is_the_beginning_that_any_of_its_peers_has_met() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        cluster.start_one::<Turns>(R0);
        cluster.start_one::<Turns>(R1);
        cluster.connected(R0, 1).await;
        cluster.kill(R1).await;
        // Replica 2 never met replica 1, but it meets replica 0, which did.
        cluster.start_one::<Turns>(R2);
        cluster.connected(R2, 1).await;
        let directory = cluster.credentials();
        let (_endpoint, replica) =
            intrude(&directory, Some("replica-1"), "replica-2", cluster.addresses[2])
                .await
                .unwrap();
        let reason = closed_after(&replica, &framed(&hello(R1))).await;
        let expected = "when it was met and has come back as 0000000000000001";
        assert!(reason.contains(expected), "{reason}");
    });
}

#[test]
fn ten_megabytes_of_random_bytes_at_the_port_do_no_harm() {
    const BYTES: usize = 10_000_000;
    block_on(async {
        let cluster = Cluster::start::<MultiPaxos>(3);
        cluster.connected(R0, 2).await;
        let mut session = cluster.session(R0).await;
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let (mut sent, mut round) = (0, 0);
        while sent < BYTES {
            let mut datagram: Vec<u8> = (0..1 + round % 1_452)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_le_bytes()[0]
                })
                .collect();
            // Every other one at least begins like a first packet of QUIC's version 1.
            if round % 2 == 1 {
                let length = datagram.len().min(5);
                datagram[..length].copy_from_slice(&[0xc0, 0, 0, 0, 1][..length]);
            }
            // The kernel may refuse some while the replica's answers to others are on their way.
            sent += socket.send_to(&datagram, cluster.addresses[0]).unwrap_or(0);
            round += 1;
            if round % 100 == 0 {
                still_serves(&cluster, &mut session, (round / 100) as u64).await;
            }
        }
    });
}

/// Opens a connection as `shown` and greets as a client of replica 2.
async fn greeted(cluster: &Cluster, shown: &str) -> (Endpoint, quinn::Connection) {
    let (endpoint, connection) =
        intrude(&cluster.credentials(), Some(shown), "replica-2", cluster.addresses[2])
            .await
            .unwrap();
    (endpoint, connection)
}

#[test]
fn a_client_is_no_operator() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R0).await;
        assert!(Operator::new(&cluster.identity(Role::Client)).is_err(), "its own side says so");
        for order in [ControlRequest::Shutdown, ControlRequest::Report] {
            let (_endpoint, client) = greeted(&cluster, "client").await;
            let mut bytes = framed(&ClientHello { to: R2 });
            bytes.extend(framed(&order));
            let reason = closed_after(&client, &bytes).await;
            assert!(reason.contains("batch"), "{order:?}: {reason}");
        }
        cluster.control(R2).await.status().await.unwrap();
        still_serves(&cluster, &mut session, 1).await;
    });
}

#[test]
fn a_certificate_that_somebody_made_for_himself_is_refused_whatever_it_claims() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R0).await;
        let name = std::fs::read_to_string(cluster.credentials().join("cluster")).unwrap();
        let forged = tempfile::tempdir().unwrap();
        for file in ["cluster", "authority.pem"] {
            std::fs::copy(cluster.credentials().join(file), forged.path().join(file)).unwrap();
        }
        for role in ["replica-1", "operator", "client"] {
            let key = rcgen::KeyPair::generate().unwrap();
            let names = vec![format!("{role}.{}", name.trim())];
            let params = rcgen::CertificateParams::new(names).unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            std::fs::write(forged.path().join(format!("{role}.pem")), pem).unwrap();
            std::fs::write(forged.path().join(format!("{role}.key")), key.serialize_pem()).unwrap();
            let address = cluster.addresses[2];
            let reached = intrude(forged.path(), Some(role), "replica-2", address).await;
            // With TLS 1.3 the dialing side may believe itself connected until it hears otherwise.
            if let Ok((_endpoint, connection)) = reached {
                let reason = connection.closed().await;
                assert!(matches!(reason, ConnectionError::ConnectionClosed(_)), "{reason:?}");
            }
        }
        still_serves(&cluster, &mut session, 1).await;
    });
}

#[test]
fn a_connection_has_one_stream() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let (_endpoint, client) = greeted(&cluster, "client").await;
        let (mut send, _receive) = client.open_bi().await.unwrap();
        send.write_all(&framed(&ClientHello { to: R2 })).await.unwrap();
        // The replica grants no second stream, in either form, for as long as the first is open; what it grants is known
        // once it has answered something.
        let mut session = cluster.session(R2).await;
        assert_eq!(ask(&mut session, put(7, 1, b"k", b"v")).await, Outcome::Done);
        tokio::select! {
            biased;
            opened = client.open_bi() => panic!("a second stream: {opened:?}"),
            opened = client.open_uni() => panic!("a one-way stream: {opened:?}"),
            outcome = ask(&mut session, put(7, 2, b"k", b"v")) => assert_eq!(outcome, Outcome::Done),
        }
    });
}

#[test]
fn one_connection_more_than_an_address_may_have_is_refused_and_the_others_stay() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R2).await;
        let mut guests = Vec::new();
        // The session and the guests are of one address; the other replicas are, too, and do not count.
        while guests.len() + 1 < CONNECTIONS_PER_ADDRESS_MAX {
            guests.push(greeted(&cluster, "client").await);
        }
        let directory = cluster.credentials();
        let one_more = || intrude(&directory, Some("client"), "replica-2", cluster.addresses[2]);
        let refused = one_more().await.err().unwrap();
        assert!(matches!(refused, ConnectionError::ConnectionClosed(_)), "{refused:?}");
        assert_eq!(ask(&mut session, put(7, 1, b"k", b"v")).await, Outcome::Done);
        // Whoever leaves makes room.
        guests.pop().unwrap().1.close(0u32.into(), b"");
        while one_more().await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn who_never_greets_is_sent_away() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let (_endpoint, no_stream) = greeted(&cluster, "client").await;
        let (_other, no_greeting) = greeted(&cluster, "client").await;
        let (mut send, _receive) = no_greeting.open_bi().await.unwrap();
        send.write_all(&[9]).await.unwrap();
        // Both keep their connections alive meanwhile: silence alone does not end them.
        let keep = async {
            loop {
                let _ = cluster.session(R2).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        let reasons = async {
            no_stream.closed().await;
            no_greeting.closed().await;
        };
        tokio::select! {
            () = reasons => {}
            () = keep => {}
        }
        for (connection, expected) in
            [(no_stream, "no stream was opened"), (no_greeting, "no greeting came")]
        {
            match connection.close_reason() {
                Some(ConnectionError::ApplicationClosed(close)) => {
                    assert_eq!(String::from_utf8_lossy(&close.reason), expected);
                }
                other => panic!("{expected}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_client_that_asks_for_more_than_may_wait_is_held_back() {
    const ASKED: u64 = 3 * PENDING_PER_CONNECTION_MAX as u64;
    block_on(async {
        // Alone it decides nothing, so that nothing is answered.
        let mut cluster = Cluster::new(3);
        cluster.start_one::<MultiPaxos>(R0);
        let mut session = cluster.session(R0).await;
        for index in 1..=ASKED {
            session.send(&put(1, index, b"a key of some length", b"and a value that is not short"));
        }
        std::future::poll_fn(|cx| session.poll_flush(cx)).await.unwrap();
        let mut control = cluster.control(R0).await;
        let limit = PENDING_PER_CONNECTION_MAX as u64;
        while control.status().await.unwrap().pending < limit {
            tokio::task::yield_now().await;
        }
        // All of it has been sent, and more is never taken than what one read brings beyond the limit.
        for _ in 0..50 {
            let pending = control.status().await.unwrap().pending;
            assert!(pending < 2 * limit, "{pending} of {ASKED}");
        }
    });
}

/// Few requests, and large ones.
#[test]
fn a_client_that_asks_for_more_bytes_than_may_wait_is_held_back() {
    const VALUE: &[u8] = &[7; 4 << 10];
    block_on(async {
        // Alone it decides nothing, so that nothing is answered.
        let mut cluster = Cluster::new(3);
        let mut options = cluster.options(R0);
        options.config.kept_bytes_max = 16 << 20;
        let limit = Budget::of(&options.config).pending as u64;
        cluster.start_with::<MultiPaxos>(options);
        let mut session = cluster.session(R0).await;
        let asked = 3 * limit / VALUE.len() as u64;
        assert!(asked < PENDING_PER_CONNECTION_MAX as u64);
        for index in 1..=asked {
            session.send(&put(1, index, b"key", VALUE));
        }
        let mut control = cluster.control(R0).await;
        let mut looks = 0;
        while looks < 50 {
            let _ = tokio::time::timeout(
                std::time::Duration::from_millis(1),
                std::future::poll_fn(|cx| session.poll_flush(cx)),
            )
            .await;
            let waits = control.status().await.unwrap().memory.pending_bytes;
            assert!(waits < 2 * limit, "{waits} bytes of {limit}");
            looks += u32::from(waits >= limit);
        }
    });
}

#[test]
fn an_insecure_cluster_serves_its_like_and_no_other() {
    block_on(async {
        let mut cluster = Cluster::new(3);
        for id in [R0, R1, R2] {
            let options = cluster.options(id);
            cluster.start_with::<Turns>(Options { credentials: None, ..options });
        }
        let address = cluster.addresses[0];
        let client = Identity::insecure(Role::Client).unwrap();
        assert!(client.is_insecure());
        let mut session = Connector::new(&client).unwrap().connect(R0, address).await.unwrap();
        assert_eq!(ask(&mut session, put(1, 1, b"k", b"v")).await, Outcome::Done);
        let operator = Operator::new(&Identity::insecure(Role::Operator).unwrap()).unwrap();
        let status = operator.connect(R0, address).await.unwrap().status().await.unwrap();
        assert!(status.is_insecure, "and it says so");
        // Who verifies does not take it for its cluster.
        let connector = Connector::new(&cluster.identity(Role::Client)).unwrap();
        assert!(connector.connect(R0, address).await.is_err());
    });
}

#[test]
fn who_verifies_nobody_gets_nowhere_in_a_cluster_that_does() {
    block_on(async {
        let cluster = Cluster::start::<Turns>(3);
        let mut session = cluster.session(R0).await;
        let status = cluster.control(R0).await.status().await.unwrap();
        assert!(!status.is_insecure);
        for role in [Role::Client, Role::Replica(R0)] {
            let identity = Identity::insecure(role).unwrap();
            let transport = node::transport::Dialer::new(&identity).unwrap();
            let dialed = transport.dial(R2, cluster.addresses[2], &ClientHello { to: R2 }).await;
            if let Ok(link) = dialed {
                let reason = link.connection.closed().await;
                assert!(matches!(reason, ConnectionError::ConnectionClosed(_)), "{reason:?}");
            }
        }
        still_serves(&cluster, &mut session, 1).await;
    });
}

#[test]
fn random_client_frames_are_refused_and_leave_nothing_behind() {
    let mut driver = Driver::<MultiPaxos>::new(R1, &Config::new(3), 1, 0);
    let mut state = 7u64;
    let (mut refused, rounds) = (0, 20_000);
    for round in 0..rounds {
        let frame: Vec<u8> = (0..round % 40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_le_bytes()[7]
            })
            .collect();
        let taken = Batch::from_bytes(&frame).and_then(|batch| driver.on_requests(1, batch, 0));
        refused += usize::from(taken.is_err());
    }
    assert_eq!(driver.pending(), rounds - refused);
    assert!(refused > rounds * 9 / 10, "{refused}");
}
