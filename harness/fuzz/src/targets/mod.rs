//! The targets: each decodes bytes, uses what it got as far as its user would before trusting it, and says whether the
//! bytes were accepted.

mod stored;
mod text;
mod wire;

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the command line and the corpus call it.
    pub name: &'static str,
    /// Decodes; true if the bytes were accepted. Panics if something is wrong.
    pub run: fn(&[u8]) -> bool,
    /// Does each case go through files? It then takes a thousand times as long as one in memory.
    pub uses_files: bool,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    in_memory("message-paxos", wire::message::<protocols::paxos::Paxos>),
    in_memory("message-multi-paxos", wire::message::<protocols::multi_paxos::MultiPaxos>),
    in_memory("message-epaxos", wire::message::<protocols::epaxos::EPaxos>),
    in_memory("transfer-piece", wire::piece),
    in_memory("client-frame", wire::client_frame),
    in_memory("frames", wire::frames),
    in_memory("hello", wire::hello),
    in_memory("peer-hello", wire::peer_hello),
    in_memory("control-request", wire::control_request),
    in_memory("control-reply", wire::control_reply),
    in_memory("reply", wire::reply),
    in_memory("machine-snapshot", stored::machine),
    in_memory("record-paxos", stored::record::<protocols::paxos::Paxos>),
    in_memory("record-multi-paxos", stored::record::<protocols::multi_paxos::MultiPaxos>),
    in_memory("record-epaxos", stored::record::<protocols::epaxos::EPaxos>),
    in_memory("log-records", stored::log_records),
    on_disk("log-segment", stored::log_segment),
    on_disk("snapshot-file", stored::snapshot_file),
    on_disk("data-manifest", stored::manifest),
    on_disk("data-peers", stored::peers),
    in_memory("workload", text::workload),
    on_disk("topology", text::topology),
    in_memory("history-json", text::json),
    in_memory("history-jepsen", text::jepsen),
    in_memory("history-porcupine", text::porcupine),
];

const fn in_memory(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run, uses_files: false }
}

const fn on_disk(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run, uses_files: true }
}
