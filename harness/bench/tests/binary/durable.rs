//! One replica process with a log: killed, damaged, short of disk; what it says, and what it still has.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use node::{
    client::{Connector, Session},
    identity::{self, Identity, Role},
    transport::free_addresses,
};
use protocols::{ClientId, Command as Wish, Outcome, ReplicaId, Request, RequestNumber};

use crate::place::wait_for;

const REPLICA: ReplicaId = ReplicaId(0);

/// A cluster of one, which is its own majority, in a directory of its own.
pub(crate) struct Solo {
    directory: tempfile::TempDir,
    address: SocketAddr,
}

/// The replica's process; killed with this.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Solo {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        identity::create(directory.path(), 1).unwrap();
        Self { directory, address: free_addresses(1).unwrap()[0] }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn first_log(&self) -> PathBuf {
        self.data().join("log-0000000000000001")
    }

    /// Starts the replica through a shell that does `before`.
    fn start_after(&self, before: &str) -> Process {
        self.start_at(before, self.address, &["--durability", "fsync"])
    }

    /// Starts the replica so that it loses with its process what it has not synced.
    #[cfg(debug_assertions)]
    pub(crate) fn start_forgetting(&self, arguments: &[&str]) -> Process {
        self.start_at("export BENCH_FORGETS_UNSYNCED=;", self.address, arguments)
    }

    fn start_at(&self, before: &str, address: SocketAddr, arguments: &[&str]) -> Process {
        let log = self.directory.path().join("stderr");
        let address = address.to_string();
        let child = Command::new("sh")
            .args(["-c", &format!("{before} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_bench")])
            .args(["node", "--id", "0", "--protocol", "multi-paxos"])
            .args(arguments)
            .args(["--listen", &address, "--peers", &address])
            .arg("--data")
            .arg(self.data())
            .arg("--credentials")
            .arg(self.directory.path())
            .args(["--parent", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { child, log }
    }

    fn start(&self) -> Process {
        self.start_after("")
    }

    /// Starts the replica a second time, where nothing but its data is in the way.
    fn start_twice(&self) -> Process {
        let mut elsewhere = free_addresses(1).unwrap();
        self.start_at("", elsewhere.remove(0), &["--durability", "fsync"])
    }

    /// Does `body` with a session, on a runtime of its own.
    fn with_session<T>(&self, body: impl AsyncFnOnce(Session) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let identity = Identity::load(self.directory.path(), Role::Client).unwrap();
            let connector = Connector::new(&identity).unwrap();
            let connected = async {
                loop {
                    if let Ok(session) = connector.connect(REPLICA, self.address).await {
                        return session;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let session = tokio::time::timeout(Duration::from_secs(30), connected).await;
            body(session.expect("the replica is up")).await
        })
    }

    /// Appends to one key until `count` are acknowledged or the replica is gone; returns how many were.
    pub(crate) fn append(&self, from: u64, count: u64) -> u64 {
        self.with_session(async |mut session| {
            for index in from..from + count {
                let number = RequestNumber::write(index);
                let command = Wish::Append { key: b"k", value: &[b'x'; 50] };
                let request = request(number, command);
                if ask(&mut session, &request).await != Some(Outcome::Done) {
                    return index - from;
                }
            }
            count
        })
    }

    /// How many appends took effect.
    pub(crate) fn appended(&self) -> u64 {
        self.with_session(async |mut session| {
            let request = request(RequestNumber::read(1), Wish::Get { key: b"k" });
            match ask(&mut session, &request).await {
                Some(Outcome::Value(value)) => value.map_or(0, |value| value.len() as u64 / 50),
                other => panic!("{other:?}"),
            }
        })
    }
}

const fn request(number: RequestNumber, command: Wish<'_>) -> Request<'_> {
    Request { client: ClientId(7), number, unanswered_from: 1, command }
}

/// The answer; none if the session is lost.
async fn ask(session: &mut Session, request: &Request<'_>) -> Option<Outcome> {
    session.send(request);
    let mut answer = None;
    while answer.is_none() {
        session.exchange(|reply| answer = reply.answer.ok()).await.ok()?;
    }
    answer
}

impl Process {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for the end; returns how it ended and what it said last.
    fn ended(&mut self) -> (ExitStatus, String) {
        let status = wait_for("the replica's end", || self.child.try_wait().unwrap());
        let log = self.log();
        (status, log.lines().last().unwrap_or_default().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_replica_comes_back_with_all_that_it_acknowledged_and_cuts_a_torn_tail() {
    let solo = Solo::new();
    let process = solo.start();
    assert_eq!(solo.append(1, 30), 30);
    process.kill();
    // As if it had died amid a write: what there is of it is shorter than its head.
    let mut log = OpenOptions::new().append(true).open(solo.first_log()).unwrap();
    log.write_all(&[7; 20]).unwrap();
    let process = solo.start();
    assert_eq!(solo.appended(), 30);
    let said = process.log();
    assert!(said.contains("cut 20 bytes at offset ") && said.contains("replayed 3"), "{said}");
    assert_eq!(solo.append(31, 5), 5);
    process.kill();
    let process = solo.start();
    assert_eq!(solo.appended(), 35);
    assert!(!process.log().contains("cut "), "{}", process.log());
}

#[test]
fn damage_ends_the_start_with_one_line_that_names_file_and_offset() {
    let solo = Solo::new();
    let process = solo.start();
    assert_eq!(solo.append(1, 10), 10);
    let mut second = solo.start_twice();
    let (status, said) = second.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.starts_with("bench: ") && said.contains("works in this directory"), "{said}");
    process.kill();

    let (log, whole) = (solo.first_log(), fs::read(solo.first_log()).unwrap());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&log, flipped).unwrap();
    let (status, said) = solo.start().ended();
    assert_eq!(status.code(), Some(1), "{said}");
    let named = said.contains(&log.display().to_string()) && said.contains("at offset ");
    assert!(said.starts_with("bench: ") && named, "{said}");

    fs::remove_file(&log).unwrap();
    let (status, said) = solo.start().ended();
    assert_eq!(status.code(), Some(1), "{said}");
    let expected = format!("bench: {}: is missing; nothing was applied", log.display());
    assert!(said.starts_with(&expected), "{said}");

    fs::write(&log, whole).unwrap();
    let _process = solo.start();
    assert_eq!(solo.appended(), 10, "none of it was applied, and nothing is lost");
}

#[test]
fn a_replica_without_room_for_its_log_ends_and_loses_nothing_acknowledged() {
    let solo = Solo::new();
    // No file may grow beyond a few kilobytes, and the signal that goes with it is ignored.
    let mut process = solo.start_after("trap '' XFSZ; ulimit -f 8;");
    let acknowledged = solo.append(1, 1_000);
    let (status, said) = process.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    let expected = "bench: the replica ends, since it cannot keep its promises: ";
    assert!(said.starts_with(expected) && said.contains("cannot write"), "{said}");
    assert!((10..1_000).contains(&acknowledged), "{acknowledged}");
    let _process = solo.start();
    let appended = solo.appended();
    assert!([acknowledged, acknowledged + 1].contains(&appended), "{appended} {acknowledged}");
}

#[test]
fn a_log_needs_a_directory() {
    let ended = crate::place::Place::new("").bench(&[
        "node",
        "--id=0",
        "--protocol=paxos",
        "--listen=127.0.0.1:1",
        "--peers=127.0.0.1:1",
        "--credentials=.",
        "--durability=fsync",
    ]);
    assert_eq!(ended.code, Some(2));
    let expected =
        "bench: --durability fsync: needs --data, the directory that is this replica's alone\n";
    assert_eq!(ended.stderr, expected);
}
