//! Real values for the corpus: what small clusters say and write down in a life with losses and restarts, what travels
//! beside that, and texts that use every key of their formats.

#[path = "../../../protocols/tests/support/net.rs"]
mod net;

use std::collections::BTreeMap;

use driver::{
    Refusal, ReplicaStatus, Reply,
    disk::Disk,
    storage::{
        Journal, Owner, Past, Writer,
        record::{Frames, stamped},
    },
};
use measure::{ReplicaReport, SeriesRecorder};
use node::{
    emulator::{LinkChange, NetworkChange},
    frame::append_value_frame,
    wire::{ClientHello, ControlReply, ControlRequest, PeerHello},
};
use protocols::{
    Batch, ClientId, Command, Config, Input, Outcome, Replica, ReplicaId, ReplicaSet, Request,
    RequestNumber, Snapshot, epaxos::EPaxos, kv::Kv, multi_paxos::MultiPaxos, paxos::Paxos,
    transfer::Piece,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sim::disk::SimDisk;

use self::net::{Net, Node, World};
use crate::corpus;

/// The incarnation in the log of the corpus.
pub const INCARNATION: u64 = 0x1234_5678_9abc_def0;

const REPLICAS: usize = 3;
const ROUNDS: usize = 3_000;
/// Chosen: of each kind a few of different lengths say as much as hundreds.
const OF_EACH_KIND: usize = 5;
/// Chosen: the corpus stays small, and a short input is mangled at more telling places.
const INPUT_BYTES_MAX: usize = 600;

/// A data directory with a snapshot and a log behind it.
#[derive(Debug)]
pub struct Data {
    /// Its files, by [`data_names`].
    files: [Vec<u8>; 4],
    /// What the snapshot holds.
    pub(crate) kept: Snapshot,
    /// The records behind it.
    pub(crate) records: Vec<<MultiPaxos as Replica>::Record>,
}

impl Data {
    /// That of the corpus.
    pub(crate) fn of_corpus() -> Self {
        let files = ["log-segment", "snapshot-file", "data-manifest", "data-peers"];
        let files =
            files.map(|name| corpus::read(name).expect("the corpus is there").swap_remove(0));
        let past = read(disk(&files)).expect("the corpus is as it was written");
        let kept = past.snapshot.clone().expect("it has a snapshot");
        let records = past.records().collect();
        Self { files, kept, records }
    }

    /// A disk that has it, with `bytes` as the file `name`.
    pub(crate) fn with(&self, name: &str, bytes: &[u8]) -> SimDisk {
        let mut disk = disk(&self.files);
        disk.create(name, &[bytes]).expect("there is room");
        disk
    }
}

/// A disk that has these four files.
fn disk(files: &[Vec<u8>; 4]) -> SimDisk {
    let mut disk = SimDisk::default();
    for (name, bytes) in data_names().iter().zip(files) {
        disk.create(name, &[bytes]).expect("there is room");
    }
    disk
}

/// Every target's inputs.
pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let (paxos, multi, epaxos) = (life::<Paxos>(), life::<MultiPaxos>(), life::<EPaxos>());
    let files = data_files(&multi);
    let pieces = machines(&multi).into_iter().map(|state| {
        let bytes = state.into();
        encoded(&Piece { through: 9, ..Piece::whole(7, bytes) })
    });
    let mut all = vec![
        ("message-paxos", chosen(&paxos.messages)),
        ("message-multi-paxos", chosen(&multi.messages)),
        ("message-epaxos", chosen(&epaxos.messages)),
        ("record-paxos", chosen(&encoded_all(&paxos.records))),
        ("record-multi-paxos", chosen(&encoded_all(&multi.records))),
        ("record-epaxos", chosen(&encoded_all(&epaxos.records))),
        ("transfer-piece", pieces.collect()),
        ("machine-snapshot", machines(&multi)),
        ("log-records", vec![log_records(&multi, 1), log_records(&multi, 9)]),
        ("log-segment", vec![files[0].clone()]),
        ("snapshot-file", vec![files[1].clone()]),
        ("data-manifest", vec![files[2].clone()]),
        ("data-peers", vec![files[3].clone()]),
        ("workload", texts(&WORKLOADS)),
        ("topology", texts(&TOPOLOGIES)),
        ("history-json", texts(&[JSON])),
        ("history-jepsen", texts(&JEPSEN)),
        ("history-porcupine", texts(&[PORCUPINE])),
    ];
    all.extend(beside());
    all
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("a vector takes every byte")
}

fn encoded_all<T: Serialize>(values: &[T]) -> Vec<Vec<u8>> {
    values.iter().map(encoded).collect()
}

/// A few of each kind, told by the first byte, of lengths that differ.
fn chosen(inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut kinds: BTreeMap<u8, BTreeMap<usize, &Vec<u8>>> = BTreeMap::new();
    for input in inputs.iter().filter(|input| input.len() <= INPUT_BYTES_MAX) {
        let Some(kind) = input.first() else { continue };
        kinds.entry(*kind).or_default().entry(input.len()).or_insert(input);
    }
    let of_kind = |lengths: BTreeMap<usize, &Vec<u8>>| {
        let step = lengths.len().div_ceil(OF_EACH_KIND).max(1);
        lengths.into_values().step_by(step).cloned().collect::<Vec<_>>()
    };
    kinds.into_values().flat_map(of_kind).collect()
}

/// What a cluster said and recorded in its life.
struct Life<R: Replica> {
    messages: Vec<Vec<u8>>,
    records: Vec<R::Record>,
    snapshots: Vec<Snapshot>,
}

impl<R: Replica> World<R> for Life<R> {
    fn persists(&mut self, _: &Node<R>, record: &R::Record) {
        self.records.push(record.clone());
    }

    fn sends(&mut self, _: &Node<R>, _: ReplicaSet, message: &R::Message) {
        self.messages.push(encoded(message));
    }

    fn installs(&mut self, _: &Node<R>, snapshot: &Snapshot) {
        self.snapshots.push(snapshot.clone());
    }

    fn checkpoints(&mut self, _: &Node<R>, snapshot: &Snapshot) {
        self.snapshots.push(snapshot.clone());
    }
}

/// A cluster in memory whose network loses and reorders, with one replica cut off after the other.
struct Cluster<R: Replica> {
    net: Net<R, Life<R>>,
    random: ChaCha8Rng,
    proposed: u64,
}

fn life<R: Replica>() -> Life<R> {
    let config = Config { kept_slots_max: 16, piece_bytes_max: 256, ..Config::new(REPLICAS) };
    let life = Life { messages: Vec::new(), records: Vec::new(), snapshots: Vec::new() };
    let net = Net::of(config, life);
    let mut cluster = Cluster { net, random: ChaCha8Rng::seed_from_u64(3), proposed: 0 };
    for round in 0..ROUNDS {
        let away = ReplicaId::from_index(round / 300 % (REPLICAS + 1));
        cluster.round(Some(away).filter(|away| away.index() < REPLICAS));
    }
    cluster.net.world
}

impl<R: Replica> Cluster<R> {
    fn round(&mut self, away: Option<ReplicaId>) {
        let id = ReplicaId::from_index(self.random.random_range(0..REPLICAS));
        if self.random.random_ratio(1, 6) {
            self.propose(id);
        }
        // Only when there is nothing to deliver does time pass, now and then apart.
        if self.net.flight.is_empty() || self.random.random_ratio(1, 40) {
            let timers = self.net.timers(id);
            if !timers.is_empty() {
                let timer = timers[self.random.random_range(0..timers.len())];
                self.net.fire(id, timer);
            }
        }
        for _ in 0..4 {
            if self.net.flight.is_empty() {
                break;
            }
            let next = self.random.random_range(0..self.net.flight.len());
            let envelope = self.net.flight.swap_remove_back(next).expect("one of them");
            let cut_off = away == Some(envelope.from) || away == Some(envelope.to);
            if !(cut_off || self.random.random_ratio(1, 12)) {
                self.net.hand_over(envelope);
            }
        }
        if self.random.random_ratio(1, 200) {
            self.net.checkpoint(id);
        }
    }

    fn propose(&mut self, id: ReplicaId) {
        self.proposed += 1;
        let key = [b'a' + self.random.random_range(0..3u8)];
        let command = match self.random.random_range(0..4u32) {
            0 => Command::Append { key: &key, value: b"+" },
            1 => Command::Delete { key: &key },
            2 => Command::CompareAndSet { key: &key, expected: None, value: b"swapped" },
            _ => Command::Put { key: &key, value: b"value" },
        };
        let request = Request {
            client: ClientId(1),
            number: RequestNumber::write(self.proposed),
            unanswered_from: self.proposed,
            command,
        };
        let batch = Batch::single(&request).expect("a short command");
        self.net.step(id, Input::Propose(batch));
    }
}

/// States of different sizes.
fn machines(life: &Life<MultiPaxos>) -> Vec<Vec<u8>> {
    let states = life.snapshots.iter().map(|snapshot| snapshot.machine.to_vec());
    let mut states: Vec<Vec<u8>> = states.collect();
    states.sort_by_key(Vec::len);
    states.dedup_by_key(|state| state.len());
    let step = states.len().div_ceil(OF_EACH_KIND).max(1);
    let mut states: Vec<Vec<u8>> = states.into_iter().step_by(step).collect();
    states.push(Kv::default().snapshot());
    states
}

/// Some records as a log has them, in two writes.
fn log_records(life: &Life<MultiPaxos>, count: usize) -> Vec<u8> {
    let mut frames = Frames::new(INCARNATION, 0);
    let mut stream = Vec::new();
    for records in [&life.records[..count], &life.records[count..2 * count]] {
        records.iter().for_each(|record| frames.push(record));
        stream.extend(frames.take().0);
    }
    stamped(0, &stream)
}

/// Whose data it is.
pub fn owner() -> Owner {
    Owner {
        cluster: "cluster-fuzz".to_owned(),
        replica: ReplicaId(0),
        protocol: protocols::multi_paxos::PROTOCOL,
        config: Config::new(REPLICAS),
    }
}

/// What is in a data directory; a new one is of the incarnation of the corpus. None, if it is
/// refused.
pub(crate) fn read(disk: SimDisk) -> Option<Past<SimDisk>> {
    Past::read(disk, owner(), INCARNATION).ok()
}

/// The log, the snapshot, the manifest and the peers of a data directory with a snapshot and a log
/// of several writes.
fn data_files(life: &Life<MultiPaxos>) -> [Vec<u8>; 4] {
    let disk = SimDisk::default();
    let past = read(disk.clone()).expect("a new directory");
    let mut journal = Journal::new(&past, None);
    let mut writer = Writer::new(past, false, None).expect("a new log");
    let mut write = |journal: &mut Journal| {
        writer.write(&journal.take().expect("records")).expect("room on the disk");
    };
    let (before, records) = life.records[..15].split_at(3);
    before.iter().for_each(|record| journal.record(record));
    write(&mut journal);
    journal.replace(life.snapshots[0].clone());
    for records in records.chunks(5) {
        records.iter().for_each(|record| journal.record(record));
        write(&mut journal);
    }
    data_names().map(|name| disk.read(name).expect("it was just written"))
}

/// The names of the log, the snapshot, the manifest and the peers of the data directory. The number
/// is that of the first record behind the snapshot: three came before it, from number 1 on, and a
/// snapshot leaves one out.
pub(crate) const fn data_names() -> [&'static str; 4] {
    ["log-0000000000000005", "snapshot-0000000000000005", "manifest", "peers"]
}

/// What travels beside the protocols' messages.
fn beside() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let batches = batches();
    let hello = ClientHello { to: ReplicaId(2) };
    let mut stream = Vec::new();
    append_value_frame(&mut stream, &hello).expect("it is short");
    for batch in &batches {
        append_value_frame(&mut stream, batch).expect("it is short");
    }
    let peer = PeerHello {
        from: ReplicaId(1),
        protocol: protocols::epaxos::PROTOCOL,
        replicas: 3,
        incarnation: INCARNATION,
        known: vec![Some(INCARNATION), None, Some(7)],
    };
    vec![
        ("client-frame", batches.iter().map(|batch| batch.as_bytes().to_vec()).collect()),
        ("frames", vec![stream]),
        ("hello", vec![encoded(&hello)]),
        ("peer-hello", vec![encoded(&peer)]),
        ("control-request", control_requests().iter().map(encoded).collect()),
        ("control-reply", control_replies().iter().map(encoded).collect()),
        ("reply", replies().iter().map(encoded).collect()),
    ]
}

fn batches() -> Vec<Batch> {
    let commands = [
        Command::Get { key: b"k" },
        Command::Put { key: b"key", value: &[7; 40] },
        Command::Delete { key: b"" },
        Command::Append { key: b"key", value: b"more" },
        Command::CompareAndSet { key: b"key", expected: Some(b"was"), value: b"is" },
        Command::CompareAndSet { key: b"other", expected: None, value: b"" },
    ];
    let request = |(index, command): (u64, &Command<'static>)| Request {
        client: ClientId(u64::MAX - index),
        number: match command.is_read() {
            true => RequestNumber::read(index),
            false => RequestNumber::write(index),
        },
        unanswered_from: 1,
        command: *command,
    };
    let requests: Vec<Request<'_>> = (1..).zip(&commands).map(request).collect();
    let mut batches: Vec<Batch> =
        requests.iter().map(|request| Batch::single(request).expect("a short command")).collect();
    batches.push(Batch::new(&requests).expect("short commands"));
    batches
}

fn control_requests() -> Vec<ControlRequest> {
    vec![
        ControlRequest::BeginMeasuring,
        ControlRequest::Report,
        ControlRequest::Status,
        ControlRequest::KeyDigests { bucket: 3, buckets: 1 << 40 },
        ControlRequest::Network(NetworkChange::Partition {
            blocked: vec![(ReplicaId(0), ReplicaId(2)), (ReplicaId(2), ReplicaId(0))],
        }),
        ControlRequest::Network(NetworkChange::Heal),
        ControlRequest::Network(NetworkChange::Links(LinkChange {
            loss_rate: Some(0.1),
            delay_ns: Some(1_000_000),
            ..LinkChange::of_all(node::emulator::Layer::Packet, 3)
        })),
        ControlRequest::Network(NetworkChange::Slow { factor: 4.0 }),
        ControlRequest::Links,
        ControlRequest::Shutdown,
        ControlRequest::EndMeasuring,
    ]
}

fn control_replies() -> Vec<ControlReply> {
    let mut recorder = SeriesRecorder::default();
    for step in 1..20 {
        let at_ns = step * 30_000_000;
        recorder.commit_seen(at_ns);
        recorder.committed(at_ns, step * 100_000);
        recorder.execution_seen(at_ns + 5);
        recorder.executed(at_ns + 5, step * 110_000, at_ns);
    }
    let mut report = ReplicaReport { cpu_ns: Some(5), ..ReplicaReport::default() };
    report.commit.record_ns(1_000_000);
    report.series = recorder.series(700_000_000);
    let mut kv = Kv::default();
    batches().iter().for_each(|batch| {
        batch.requests().for_each(|request| drop(kv.apply(&request)));
    });
    vec![
        ControlReply::Done,
        ControlReply::Report(Box::new(report)),
        ControlReply::Status(Box::new(ReplicaStatus { executed: 9, ..ReplicaStatus::default() })),
        ControlReply::KeyDigests(kv.key_digests(0, 1)),
        ControlReply::TooLong,
        ControlReply::Refused("there is no emulated network".to_owned()),
    ]
}

fn replies() -> Vec<Reply> {
    let answers = [
        Ok(Outcome::Done),
        Ok(Outcome::Value(None)),
        Ok(Outcome::Value(Some(b"value".to_vec()))),
        Ok(Outcome::Swapped(true)),
        Ok(Outcome::TooLong),
        Ok(Outcome::Forgotten),
        Err(Refusal::SessionsFull),
    ];
    let reply = |answer| Reply { client: ClientId(3), number: RequestNumber::write(300), answer };
    answers.into_iter().map(reply).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const WORKLOADS: [&str; 3] = [
    include_str!("../../../workloads/conflict-sweep.toml"),
    include_str!("../../../workloads/zipf.toml"),
    r#"name = "all"
protocols = ["paxos", "epaxos"]
repetitions = 2
seed = 7
[cluster]
driver = "sim"
replicas = [3, 5]
durability = "fsync"
[load]
mode = "open"
arrival = "poisson"
clients_per_site = 2
rate_ops_per_s = [10, 20]
warmup_s = 0.5
duration_s = 20
[commands]
keys = "conflict"
conflict_rate = 0.5
write_ratio = 0.5
value_bytes = [16, 1000]
[network.topology]
source = "invented"
sites = ["A", "B", "C", "D", "E"]
round_trip_ms = { A-B = 10, A-C = 20, A-D = 30, A-E = 40, B-C = 11, B-D = 12, B-E = 13, C-D = 14, C-E = 15, D-E = 16 }
jitter_ms = 1
[[faults]]
at_s = 2
kill = "leader"
[[faults]]
at_s = 4
restart = "random"
[[faults]]
at_s = 5
pause = 1
[[faults]]
at_s = 6
resume = 1
[[faults]]
at_s = 7
every_s = 3
loss_rate = 0.1
duplicate_rate = 0.001
delay_ms = 3
layer = "message"
[[faults]]
at_s = 14
partition = { from = [0], to = [1, 2] }
[[faults]]
at_s = 16
heal = true
[[faults]]
at_s = 17
slow = { replica = 0, factor = 4 }
"#,
];

const TOPOLOGIES: [&str; 3] = [
    include_str!("../../../workloads/topologies/ec2-2013.toml"),
    include_str!("../../../workloads/topologies/skewed.toml"),
    include_str!("../../../workloads/topologies/chain.toml"),
];

const JSON: &str = r#"{"process":3,"key":"k","op":"put","value":"x","invoke_ns":10,"return_ns":20}
{"process":3,"key":"k","op":"get","result":"x","invoke_ns":30,"return_ns":40}
{"process":3,"key":"j","op":"get","result":null,"invoke_ns":30,"return_ns":40}
{"process":4,"key":"k","op":"append","value":"y","invoke_ns":30,"return_ns":45}
{"process":4,"key":"k","op":"cas","expected":"xy","value":"z","swapped":true,"invoke_ns":50,"return_ns":60}
{"process":4,"key":{"hex":"00ff"},"op":"cas","expected":null,"value":{"hex":"fe"},"invoke_ns":70}
{"process":5,"key":"k","op":"delete","invoke_ns":55}
"#;

const JEPSEN: [&str; 2] = [
    include_str!("../../check/tests/data/register.edn"),
    r#"{:process 0, :type :invoke, :f :write, :value [1 3]}
{:process 0, :type :ok, :f :write, :value [1 3]}
{:process 1, :type :invoke, :f :cas, :value [1 [3 4]]}
{:process 1, :type :info, :f :cas, :value [1 [3 4]], :error :timeout}
{:process 2, :type :invoke, :f :read, :value [1 nil]}
{:process 2, :type :ok, :f :read, :value [1 4]}
"#,
];

const PORCUPINE: &str = r#"{:process 0, :type :invoke, :f :append, :key "1", :value "x 0 0 y"}
{:process 0, :type :ok, :f :append, :key "1", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :get, :key "1", :value nil}
{:process 1, :type :ok, :f :get, :key "1", :value "x 0 0 y"}
{:process 2, :type :invoke, :f :put, :key "2", :value "z"}
{:process 2, :type :info, :f :put, :key "2", :value "z"}
"#;
