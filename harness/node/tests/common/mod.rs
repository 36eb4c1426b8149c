//! A cluster inside one thread: each replica a task, on real sockets of the loopback.

#![allow(dead_code, reason = "each test binary uses its own part")]

#[allow(
    unreachable_pub,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::explicit_iter_loop,
    reason = "it belongs to a crate with lints of its own"
)]
#[path = "../../../../docs/own-protocol/src/turns.rs"]
pub(crate) mod turns;

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use driver::storage::Durability;
use node::{
    NodeError,
    client::{Connector, Session},
    control::{Control, Operator},
    identity::{self, Identity, Role},
    replica_process::{self, Options},
    transport::free_addresses,
};
use protocols::{
    ClientId, Command, Config, Outcome, Replica, ReplicaId, Request, RequestNumber, registry,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    task::JoinHandle,
};

/// No test takes longer than a few seconds; one that hangs fails after this.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test's body on a runtime like a replica's.
pub(crate) fn block_on<F: Future>(body: F) -> F::Output {
    let runtime =
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        tokio::time::timeout(LIMIT, body).await.expect("the test should have ended long ago")
    })
}

pub(crate) struct Cluster {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) durability: Durability,
    pub(crate) log_bytes_kept: Option<u64>,
    config: Config,
    replicas: Vec<Option<JoinHandle<Result<(), NodeError>>>>,
}

impl Cluster {
    /// Addresses and credentials for `replicas`, none of them running.
    pub(crate) fn new(replicas: usize) -> Self {
        registry::register(&turns::FACTS).unwrap_or_else(|error| panic!("{error}"));
        let directory = tempfile::tempdir().unwrap();
        identity::create(directory.path(), replicas).unwrap();
        Self {
            addresses: free_addresses(replicas).unwrap(),
            directory,
            durability: Durability::Memory,
            log_bytes_kept: None,
            config: Config::new(replicas),
            replicas: (0..replicas).map(|_| None).collect(),
        }
    }

    /// A cluster of `replicas` that all run.
    pub(crate) fn start<R: Replica>(replicas: usize) -> Self {
        let mut cluster = Self::new(replicas);
        ReplicaId::all(replicas).for_each(|id| cluster.start_one::<R>(id));
        cluster
    }

    pub(crate) fn options(&self, id: ReplicaId) -> Options {
        Options {
            id,
            config: self.config,
            listen: self.addresses[id.index()],
            peers: self.addresses.iter().copied().map(Into::into).collect(),
            credentials: Some(self.credentials()),
            durability: self.durability,
            data: Some(self.data(id)),
            log_bytes_kept: self.log_bytes_kept,
            parent: None,
            network: None,
        }
    }

    pub(crate) fn start_one<R: Replica>(&mut self, id: ReplicaId) {
        let options = self.options(id);
        self.start_with::<R>(options);
    }

    pub(crate) fn start_with<R: Replica>(&mut self, options: Options) {
        let index = options.id.index();
        let task =
            tokio::task::spawn_local(async move { replica_process::serve::<R>(&options).await });
        self.replicas[index] = Some(task);
    }

    /// Ends a replica without its help.
    pub(crate) async fn kill(&mut self, id: ReplicaId) {
        let task = self.replicas[id.index()].take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // The socket is closed once the endpoint's own task has noticed.
        while std::net::UdpSocket::bind(self.addresses[id.index()]).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a replica to end by itself.
    pub(crate) async fn ended(&mut self, id: ReplicaId) -> Result<(), NodeError> {
        self.replicas[id.index()].take().unwrap().await.unwrap()
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Where `id` keeps its data, if it keeps any.
    pub(crate) fn data(&self, id: ReplicaId) -> PathBuf {
        self.directory.path().join(format!("replica-{}", id.0))
    }

    pub(crate) fn identity(&self, role: Role) -> Identity {
        Identity::load(self.directory.path(), role).unwrap()
    }

    pub(crate) async fn session(&self, id: ReplicaId) -> Session {
        let connector = Connector::new(&self.identity(Role::Client)).unwrap();
        connector.connect(id, self.addresses[id.index()]).await.unwrap()
    }

    pub(crate) async fn control(&self, id: ReplicaId) -> Control {
        let operator = Operator::new(&self.identity(Role::Operator)).unwrap();
        operator.connect(id, self.addresses[id.index()]).await.unwrap()
    }

    /// Waits until `peers` others are connected with `id`.
    pub(crate) async fn connected(&self, id: ReplicaId, peers: u64) {
        let mut control = self.control(id).await;
        while control.status().await.unwrap().peers_connected < peers {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `replicas` all executed `commands`, and checks that they agree.
    pub(crate) async fn settle(&self, replicas: &[ReplicaId], commands: u64) {
        let mut digests = Vec::new();
        for id in replicas {
            let mut control = self.control(*id).await;
            loop {
                let status = control.status().await.unwrap();
                if status.executed >= commands {
                    assert_eq!(status.executed, commands, "{id} executed more than was asked");
                    digests.push((status.digest, status.commits, status.commit_digest));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }
}

pub(crate) fn put<'a>(client: u64, index: u64, key: &'a [u8], value: &'a [u8]) -> Request<'a> {
    Request {
        client: ClientId(client),
        number: RequestNumber::write(index),
        unanswered_from: index,
        command: Command::Put { key, value },
    }
}

pub(crate) fn get(client: u64, index: u64, key: &[u8]) -> Request<'_> {
    Request {
        client: ClientId(client),
        number: RequestNumber::read(index),
        unanswered_from: 1,
        command: Command::Get { key },
    }
}

/// Sends one request and waits for its answer.
pub(crate) async fn ask(session: &mut Session, request: Request<'_>) -> Outcome {
    session.send(&request);
    let mut answer = None;
    while answer.is_none() {
        session
            .exchange(|reply| {
                if (reply.client, reply.number) == (request.client, request.number) {
                    answer = Some(reply.answer.unwrap());
                }
            })
            .await
            .unwrap();
    }
    answer.unwrap()
}
