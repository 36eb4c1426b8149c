//! A whole cluster in memory: every message delivered at once, in order, uncoded; nothing written,
//! nothing timed out. What is left is what the cores cost.

#[path = "../../tests/support/net.rs"]
mod net;

use net::{Net, Node, World};
use protocols::{
    Batch, ClientId, Command, Config, Input, Outcome, Replica, ReplicaId, Request, RequestNumber,
};

/// A cluster of one protocol, with a key-value machine per replica.
pub(crate) type MemoryCluster<R> = Net<R, Counts<R>>;

/// Counts, and remembers nothing that the cores do not cost.
pub(crate) struct Counts<R: Replica> {
    /// How many commands each replica has executed.
    pub(crate) executed: Vec<u64>,
    /// What was put into this replica, if it is recorded.
    recording: Option<(ReplicaId, Vec<Input<R>>)>,
}

impl<R: Replica> World<R> for Counts<R> {
    const KEEPS: bool = false;

    #[inline]
    fn takes(&mut self, node: &Node<R>, input: &Input<R>) {
        if let Some((recorded, inputs)) = &mut self.recording
            && *recorded == node.id
        {
            inputs.extend([input.clone(), Input::Flush]);
        }
    }

    fn answers(&mut self, node: &Node<R>, _: &Request<'_>, _: Outcome) {
        self.executed[node.id.index()] += 1;
    }
}

impl<R: Replica> MemoryCluster<R> {
    /// A cluster of `n` that is ready for commands.
    pub(crate) fn new(n: usize) -> Self {
        let counts = Counts { executed: vec![0; n], recording: None };
        let mut cluster = Self::of(Config::new(n), counts);
        cluster.settle(usize::MAX);
        cluster
    }

    /// The replica `id`, ready for commands, and every input it gets while `commands` are executed.
    pub(crate) fn record(
        n: usize,
        id: ReplicaId,
        commands: &[(ReplicaId, Batch)],
    ) -> (R, Vec<Input<R>>) {
        let mut cluster = Self::new(n);
        let replica = cluster.core(id).clone();
        cluster.world.recording = Some((id, Vec::new()));
        cluster.execute(commands);
        (replica, cluster.world.recording.expect("set above").1)
    }

    /// Proposes `commands` where they say, 64 at a time, and delivers until all are executed
    /// everywhere.
    pub(crate) fn execute(&mut self, commands: &[(ReplicaId, Batch)]) {
        for window in commands.chunks(64) {
            for (at, batch) in window.iter().cloned() {
                self.step(at, Input::Propose(batch));
            }
            self.settle(usize::MAX);
        }
    }
}

/// `count` puts of 16 bytes, round robin over the replicas, to one key or to a key per client.
pub(crate) fn puts(n: usize, count: u64, conflicting: bool) -> Vec<(ReplicaId, Batch)> {
    let clients = 64;
    (0..count)
        .map(|i| {
            let client = i % clients;
            let key = if conflicting { 0 } else { client + 1 };
            let request = Request {
                client: ClientId(client),
                number: RequestNumber::write(i / clients + 1),
                unanswered_from: (i / clients).max(1),
                command: Command::Put { key: &key.to_le_bytes(), value: &[7; 16] },
            };
            let at = ReplicaId::from_index((client % n as u64).try_into().expect("small"));
            (at, Batch::single(&request).expect("within the limits"))
        })
        .collect()
}
