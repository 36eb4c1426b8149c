//! Nothing leaves before what it relies on is durable.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

use driver::{
    ConnectionId, Driver, Nanos, Output, Reply, Sent, Store,
    disk::Disk,
    storage::{Journal, Owner, Past, StorageError, Work},
};
use protocols::{
    Batch, ClientId, Command, Config, Effects, Input, Replica, ReplicaId, ReplicaSet, Request,
    RequestNumber, Snapshot, Status, paxos::Paxos,
};

const NOW: Nanos = 1_000_000;

/// A disk that keeps everything.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Memory {
    fn directory(&self) -> String {
        "here".to_owned()
    }

    fn path(&self, name: &str) -> String {
        name.to_owned()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.borrow().get(name).cloned().ok_or_else(missing)
    }

    fn create(&mut self, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
        self.0.borrow_mut().insert(name.to_owned(), pieces.concat());
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().get_mut(name).ok_or_else(missing)?.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.0.borrow_mut().get_mut(name).ok_or_else(missing)?.truncate(length);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.0.borrow_mut().remove(from).ok_or_else(missing)?;
        self.0.borrow_mut().insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.borrow_mut().remove(name).map(drop).ok_or_else(missing)
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store whose syncs end when the test says so, or fail.
#[derive(Default)]
struct Manual {
    under_way: Option<Work>,
    begun: usize,
    failing: bool,
}

impl Store for Manual {
    fn is_idle(&mut self) -> Result<bool, StorageError> {
        match self.under_way {
            Some(_) if self.failing => Err(StorageError::Disk {
                path: "log".to_owned(),
                tried: "sync",
                error: io::ErrorKind::StorageFull.into(),
            }),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    fn begin(&mut self, work: Work) {
        assert!(work.records > 0);
        assert!(self.under_way.replace(work).is_none(), "begun while another is under way");
        self.begun += 1;
    }
}

/// Counts what was put out and what was released of it.
#[derive(Default)]
struct Counting {
    put_out: usize,
    released: usize,
    releases: usize,
}

impl<R: Replica> Output<R> for Counting {
    fn send(&mut self, to: ReplicaSet, _: R::Message) -> Sent {
        self.put_out += 1;
        Sent { receivers: to.len() as u64, bytes: 1 }
    }

    fn reply(&mut self, _: ConnectionId, _: Reply) {
        self.put_out += 1;
    }

    fn release(&mut self) {
        self.released = self.put_out;
        self.releases += 1;
    }
}

struct Bench {
    driver: Driver<Paxos>,
    store: Manual,
    output: Counting,
}

impl Bench {
    fn new(replicas: usize) -> Self {
        let config = Config::new(replicas).with(protocols::paxos::Window(8));
        let id = ReplicaId(0);
        let protocol = Paxos::PROTOCOL;
        let owner = Owner { cluster: "c".to_owned(), replica: id, protocol, config };
        let past = Past::read(Memory::default(), owner, 7).unwrap();
        let journal = Journal::new(&past, None);
        Self {
            driver: Driver::recover(id, &config, (1, NOW), &past, journal).unwrap(),
            store: Manual::default(),
            output: Counting::default(),
        }
    }

    fn propose(&mut self, index: u64) {
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(index),
            unanswered_from: index,
            command: Command::Put { key: b"k", value: b"v" },
        };
        self.driver.on_requests(1, Batch::single(&request).unwrap(), NOW).unwrap();
    }

    fn turn(&mut self) -> Result<bool, StorageError> {
        self.driver.turn(NOW, &mut self.store, &mut self.output, &mut ())
    }
}

#[test]
fn nothing_leaves_before_what_it_relies_on_is_durable() {
    let mut bench = Bench::new(3);
    assert!(bench.turn().unwrap(), "a new replica has nothing to keep");
    bench.propose(1);
    assert!(!bench.turn().unwrap());
    assert_eq!((bench.store.begun, bench.output.put_out, bench.output.released), (1, 1, 0));
    // While the sync is under way the replica takes in more; none of it is carried out, however
    // often it is woken.
    bench.propose(2);
    bench.propose(3);
    for _ in 0..3 {
        assert!(!bench.turn().unwrap());
    }
    assert_eq!((bench.store.begun, bench.output.put_out, bench.output.releases), (1, 1, 1));
    // It is durable: the first leaves, and the others are one group, which waits for its own sync.
    bench.store.under_way = None;
    assert!(!bench.turn().unwrap());
    assert_eq!((bench.store.begun, bench.output.put_out, bench.output.released), (2, 3, 1));
    assert!(bench.store.under_way.as_ref().is_some_and(|work| work.records == 2));
    bench.store.under_way = None;
    assert!(bench.turn().unwrap());
    assert_eq!((bench.output.put_out, bench.output.released), (3, 3));
    // Woken for nothing but a stream that takes bytes again: no sync, only a release.
    let releases = bench.output.releases;
    assert!(bench.turn().unwrap());
    assert_eq!((bench.store.begun, bench.output.releases), (2, releases + 1));
}

#[test]
fn a_reply_waits_for_the_sync_too_and_never_leaves_when_that_fails() {
    let mut bench = Bench::new(1);
    assert!(bench.turn().unwrap());
    bench.propose(1);
    assert!(!bench.turn().unwrap());
    assert_eq!((bench.output.put_out, bench.output.released), (1, 0), "executed and answered");
    bench.store.failing = true;
    let error = bench.turn().unwrap_err().to_string();
    assert!(error.starts_with("log: cannot sync: "), "{error}");
    assert_eq!(bench.output.released, 0);
}

/// A core that records everything it is told to execute, and has no checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Recorder(u64);

impl Replica for Recorder {
    type Message = ();
    type Timer = ();
    type Record = u64;

    const PROTOCOL: protocols::Protocol = Paxos::PROTOCOL;

    fn recover(
        _: ReplicaId,
        _: &Config,
        _: Option<&Snapshot>,
        records: impl IntoIterator<Item = u64>,
    ) -> Self {
        Self(records.into_iter().last().unwrap_or(0))
    }

    fn step(&mut self, input: Input<Self>, effects: &mut Effects<Self>) {
        if matches!(input, Input::Propose(_)) {
            self.0 += 1;
            effects.persist(self.0);
        }
    }

    fn admissible(_: &(), _: usize) -> bool {
        true
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

/// It was asked again and again, without end.
#[test]
fn a_core_without_checkpoints_is_asked_once_and_its_log_grows() {
    let config = Config::new(1);
    let id = ReplicaId(0);
    let owner = Owner { cluster: "c".to_owned(), replica: id, protocol: Paxos::PROTOCOL, config };
    let past = Past::read(Memory::default(), owner, 7).unwrap();
    let journal = Journal::new(&past, Some(0));
    let mut driver = Driver::<Recorder>::recover(id, &config, (1, NOW), &past, journal).unwrap();
    let (mut store, mut output) = (Manual::default(), Counting::default());
    for index in 1..=3 {
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(index),
            unanswered_from: 1,
            command: Command::Put { key: b"k", value: b"v" },
        };
        driver.on_requests(1, Batch::single(&request).unwrap(), NOW).unwrap();
        assert!(!driver.turn(NOW, &mut store, &mut output, &mut ()).unwrap());
        assert!(store.under_way.take().is_some_and(|work| work.snapshot.is_none()));
    }
    assert_eq!(driver.rarities().captures, 1);
}

#[test]
fn a_checkpoint_that_is_asked_for_takes_the_place_of_the_log() {
    let mut bench = Bench::new(1);
    bench.driver.ask_for_checkpoint();
    bench.propose(1);
    assert!(!bench.turn().unwrap());
    let work = bench.store.under_way.take().unwrap();
    let machine = driver::machine::Machine::restore(&work.snapshot.unwrap().machine).unwrap();
    assert_eq!(machine.kv.value(b"k"), Some(&b"v"[..]), "it holds what the same turn executed");
    assert!(bench.turn().unwrap());
    bench.propose(2);
    assert!(!bench.turn().unwrap());
    assert!(bench.store.under_way.as_ref().is_some_and(|work| work.snapshot.is_none()), "once");
}
