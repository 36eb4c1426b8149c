//! A cluster of `bench node` processes with data directories of their own, clients that send a request again until it is
//! answered, and what must hold then.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    net::{SocketAddr, UdpSocket},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use check::{Budget, History, Kind, Operation, Verdict};
use driver::{ReplicaStatus, failpoint::Failpoint, storage::Durability};
use nix::libc::SIGKILL;
use node::{
    client::{Connector, Session},
    control::{Control, Operator},
    identity::{self, Identity, Role},
};
use protocols::{
    ClientId, Command as Order, Config, Outcome, Protocol, ReplicaId, Request, RequestNumber,
    config::Timeouts,
};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

pub(crate) const REPLICAS: usize = 3;
/// A few, so that operations meet on each.
const KEYS: usize = 8;
/// With which the state is larger than a segment of the log: there are several before a snapshot.
const VALUE_BYTES: usize = 800;
/// A log longer than this gets a snapshot in its place, and a segment of it a successor.
const LOG_BYTES_KEPT: u64 = 3_000;
/// How long a client waits before it asks another replica.
const CLIENT_PATIENCE: Duration = Duration::from_millis(500);
/// Chosen: many times what anything here takes on a loaded machine; beyond it something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster with its clients.
pub(crate) struct Nodes {
    dir: TempDir,
    protocol: Protocol,
    durability: Durability,
    /// Does a replica that dies lose what it has not synced?
    forgets: bool,
    addresses: Vec<SocketAddr>,
    /// None while down.
    children: RefCell<Vec<Option<Child>>>,
    clients: Vec<Client>,
    history: Rc<RefCell<History>>,
    connector: Connector,
    operator: Operator,
    runtime: Runtime,
}

/// A client with one request at a time, which it sends under the same number until it is answered.
struct Client {
    id: ClientId,
    writes: u64,
    reads: u64,
    at: usize,
    session: Option<Session>,
}

thread_local! {
    /// Counts questions and answers of a test's clients, in the order in which they happen.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    NOW.replace(NOW.get() + 1)
}

impl Nodes {
    /// Replicas that have, after a kill, all that they wrote.
    pub(crate) fn start(protocol: Protocol) -> Self {
        Self::start_as(protocol, Durability::Fsync, false)
    }

    /// Replicas that a kill leaves what they have synced, and nothing else.
    pub(crate) fn start_forgetting(protocol: Protocol, durability: Durability) -> Self {
        Self::start_as(protocol, durability, true)
    }

    fn start_as(protocol: Protocol, durability: Durability, forgets: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        identity::create(&dir.path().join("credentials"), REPLICAS).unwrap();
        let free = |_| UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets: Vec<_> = (0..REPLICAS).map(free).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        drop(sockets);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let identity = |role| Identity::load(&dir.path().join("credentials"), role).unwrap();
        let (connector, operator) = runtime.block_on(async {
            let connector = Connector::new(&identity(Role::Client)).unwrap();
            (connector, Operator::new(&identity(Role::Operator)).unwrap())
        });
        let client = |at: usize| Client {
            id: ClientId(at as u64 + 1),
            writes: 0,
            reads: 0,
            at,
            session: None,
        };
        let nodes = Self {
            dir,
            protocol,
            durability,
            forgets,
            addresses,
            children: RefCell::new((0..REPLICAS).map(|_| None).collect()),
            clients: (0..REPLICAS).map(client).collect(),
            history: Rc::default(),
            connector,
            operator,
            runtime,
        };
        ReplicaId::all(REPLICAS).for_each(|replica| nodes.begin(replica, None));
        nodes
    }

    /// Begins a life of `replica`, which dies at a failpoint if one is given.
    pub(crate) fn begin(&self, replica: ReplicaId, failpoint: Option<String>) {
        let mut config = Config::new(REPLICAS);
        let short = Duration::from_millis(200);
        config.timeouts =
            Timeouts { retransmit: Duration::from_millis(50), election: short, recovery: short };
        config.kept_slots_max = 4;
        let peers: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let path = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command
            .args(["node", "--durability", self.durability.name()])
            .args(["--protocol", self.protocol.name()])
            .args(["--id", &replica.0.to_string(), "--peers", &peers.join(",")])
            .args(["--listen", &peers[replica.index()]])
            .args(["--config", &serde_json::to_string(&config).unwrap()])
            .args(["--parent", &std::process::id().to_string()])
            .args(["--log-bytes-kept", &self.log_bytes_kept().to_string()])
            .arg("--credentials")
            .arg(path.join("credentials"))
            .arg("--data")
            .arg(path.join(replica.to_string()))
            .envs(failpoint.map(|failpoint| ("BENCH_FAILPOINT", failpoint)))
            .envs(self.forgets.then_some(("BENCH_FORGETS_UNSYNCED", "")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path.join(format!("{replica}.log"))).unwrap());
        self.children.borrow_mut()[replica.index()] = Some(command.spawn().unwrap());
    }

    /// A log that nobody syncs is never replaced by a snapshot. The power may leave the name of a
    /// file that replaced another, and not its content; a replica refuses such a directory instead
    /// of beginning without what it has lost.
    const fn log_bytes_kept(&self) -> u64 {
        match self.durability {
            Durability::Fsync => LOG_BYTES_KEPT,
            Durability::Buffered | Durability::Memory => u64::MAX,
        }
    }

    /// What this life of `replica` wrote to standard error.
    fn log(&self, replica: ReplicaId) -> String {
        fs::read_to_string(self.dir.path().join(format!("{replica}.log"))).unwrap()
    }

    pub(crate) fn kill(&self, replica: ReplicaId) {
        let mut child = self.children.borrow_mut()[replica.index()].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn has_died(&self, replica: ReplicaId) -> bool {
        let child = &mut self.children.borrow_mut()[replica.index()];
        child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// `replica` has ended by itself, there and not otherwise.
    pub(crate) fn assert_died_at(&self, replica: ReplicaId, at: Failpoint) {
        let mut child = self.children.borrow_mut()[replica.index()].take().unwrap();
        let log = self.log(replica);
        let Some(status) = child.try_wait().unwrap() else {
            child.kill().unwrap();
            panic!("{} never came to {at}:\n{log}", self.protocol);
        };
        assert_eq!(status.signal(), Some(SIGKILL), "{}, {at}: {status}:\n{log}", self.protocol);
        let last = log.lines().last();
        assert_eq!(last, Some(&*format!("failpoint {at}: this process dies here")));
    }

    /// Lets every client make operations, `operations_max` each at most, until `enough`.
    pub(crate) fn load(&mut self, operations_max: usize, enough: impl Fn(&Self) -> bool) {
        let mut clients = std::mem::take(&mut self.clients);
        let this = &*self;
        this.runtime.block_on(async {
            let [a, b, c] = &mut clients[..] else { unreachable!("a client per replica") };
            let [a, b, c] = [a, b, c].map(|client| async {
                for turn in 0..operations_max {
                    if enough(this) {
                        break;
                    }
                    client.take_turn(turn, this).await;
                }
            });
            tokio::join!(a, b, c);
        });
        self.clients = clients;
    }

    /// How many writes were acknowledged to the clients.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.clients.iter().map(|client| client.writes).sum()
    }

    /// Comes to rest; then every write that was acknowledged has taken effect once, and no other.
    pub(crate) fn come_to_rest(&self) {
        assert_eq!(
            self.applied_at_rest(),
            self.acknowledged(),
            "acknowledged by {}",
            self.protocol
        );
    }

    /// Waits until nothing is left to decide or execute and the replicas hold the same; returns how
    /// many writes took effect.
    pub(crate) fn applied_at_rest(&self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        self.runtime.block_on(async {
            let mut last = None;
            while Instant::now() < deadline {
                let statuses = self.statuses().await;
                let rests = |status: &ReplicaStatus| {
                    status.core.unexecuted == 0
                        && status.core.undecided == 0
                        && statuses.first().is_some_and(|first| first.digest == status.digest)
                };
                if statuses.len() == REPLICAS && statuses.iter().all(rests) {
                    return statuses[0].digest.writes;
                }
                last = Some(statuses);
                sleep(Duration::from_millis(10)).await;
            }
            let logs: Vec<_> = ReplicaId::all(REPLICAS).map(|replica| self.log(replica)).collect();
            panic!("{} does not come to rest: {last:#?}\n{}", self.protocol, logs.join("\n"))
        })
    }

    /// What the replicas that can be reached say of themselves.
    async fn statuses(&self) -> Vec<ReplicaStatus> {
        let mut statuses = Vec::new();
        for (replica, address) in ReplicaId::all(REPLICAS).zip(&self.addresses) {
            let asked = async {
                let mut line: Control = self.operator.connect(replica, *address).await.ok()?;
                line.status().await.ok()
            };
            statuses.extend(timeout(CLIENT_PATIENCE, asked).await.ok().flatten());
        }
        statuses
    }

    /// Every key is read at every replica.
    pub(crate) fn read_everywhere(&mut self) {
        let mut clients = std::mem::take(&mut self.clients);
        for (at, client) in clients.iter_mut().enumerate() {
            self.runtime.block_on(async {
                client.turn_to(at);
                for key in 0..KEYS {
                    client.operate(key, None, self).await;
                }
            });
        }
        self.clients = clients;
    }

    /// The replicas that have a snapshot in place of the beginning of their log.
    pub(crate) fn without_their_first_log(&self) -> impl Iterator<Item = ReplicaId> {
        ReplicaId::all(REPLICAS).filter(|replica| {
            let data = self.dir.path().join(replica.to_string());
            let names = crate::place::names(&data);
            let first = format!("log-{:016x}", 1);
            names.iter().any(|name| name.starts_with("snapshot-")) && !names.contains(&first)
        })
    }

    pub(crate) fn assert_linearizable(&self) {
        let history = self.history.borrow();
        let verdict = check::check(&history, &Budget::default(), &mut || true);
        let linearizable = matches!(verdict, Verdict::Linearizable { .. });
        assert!(linearizable, "{}: {verdict:?}", self.protocol);
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.children.borrow_mut().iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Client {
    /// Two writes, then a read, on keys that others work on too.
    async fn take_turn(&mut self, turn: usize, nodes: &Nodes) {
        let key = (turn + self.at) % KEYS;
        let value = (turn % 3 != 2).then(|| {
            let mut value = format!("{}-{}-", self.id.0, self.writes + 1).into_bytes();
            value.resize(VALUE_BYTES, b'.');
            value
        });
        self.operate(key, value.as_deref(), nodes).await;
    }

    fn turn_to(&mut self, at: usize) {
        if self.at != at {
            (self.at, self.session) = (at, None);
        }
    }

    /// Writes `value`, or reads, and notes it.
    async fn operate(&mut self, key: usize, value: Option<&[u8]>, nodes: &Nodes) {
        let key = format!("k{key}").into_bytes();
        let (kind, command) = match value {
            Some(value) => (Kind::Put(value.to_vec()), Order::Put { key: &key, value }),
            None => (Kind::Get, Order::Get { key: &key }),
        };
        let number = if value.is_some() {
            self.writes += 1;
            RequestNumber::write(self.writes)
        } else {
            self.reads += 1;
            RequestNumber::read(self.reads)
        };
        let unanswered_from = if value.is_some() { self.writes } else { self.writes + 1 };
        let request = Request { client: self.id, number, unanswered_from, command };
        let invoke = now();
        let outcome = match self.answer(&request, nodes).await {
            Outcome::Done => check::Outcome::Done,
            Outcome::Value(value) => check::Outcome::Value(value),
            other => panic!("{number:?} came to {other:?}"),
        };
        let answer = Some((now(), outcome));
        let operation = Operation { process: self.id.0, key, kind, invoke, answer };
        nodes.history.borrow_mut().push(operation);
    }

    /// Asks one replica after the other.
    async fn answer(&mut self, request: &Request<'_>, nodes: &Nodes) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(outcome) =
                timeout(CLIENT_PATIENCE, self.ask(request, nodes)).await.ok().flatten()
            {
                return outcome;
            }
            self.turn_to((self.at + 1) % REPLICAS);
            sleep(Duration::from_millis(5)).await;
        }
        panic!("{}: nobody answers {request:?}", nodes.protocol);
    }

    /// None if the session is lost or the replica does not take it.
    async fn ask(&mut self, request: &Request<'_>, nodes: &Nodes) -> Option<Outcome> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                let replica = ReplicaId::from_index(self.at);
                nodes.connector.connect(replica, nodes.addresses[self.at]).await.ok()?
            }
        };
        session.send(request);
        let mut answer = None;
        while answer.is_none() {
            let exchanged = session.exchange(|reply| {
                if reply.number == request.number {
                    answer = Some(reply.answer);
                }
            });
            exchanged.await.ok()?;
        }
        self.session = Some(session);
        answer?.ok()
    }
}
