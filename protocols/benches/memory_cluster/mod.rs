//! A whole cluster in memory: every message delivered at once, in order, uncoded; nothing written, nothing timed out.
//! What is left is what the cores cost.

use std::collections::VecDeque;

use protocols::{
    Batch, ClientId, Command, Config, Effect, Effects, Input, Replica, ReplicaId, Request,
    RequestNumber, kv::Kv,
};

/// A cluster of one protocol, with a key-value machine per replica.
pub(crate) struct MemoryCluster<R: Replica> {
    replicas: Vec<R>,
    machines: Vec<Kv>,
    inputs: VecDeque<(ReplicaId, Input<R>)>,
    effects: Effects<R>,
    /// How many commands each replica has executed.
    pub(crate) executed: Vec<u64>,
    /// What was put into this replica, if it is recorded.
    recording: Option<(ReplicaId, Vec<Input<R>>)>,
}

impl<R: Replica> MemoryCluster<R> {
    /// A cluster of `n` that is ready for commands.
    pub(crate) fn new(n: usize) -> Self {
        let config = Config::new(n);
        let replicas: Vec<R> =
            ReplicaId::all(n).map(|id| R::recover(id, &config, None, [])).collect();
        let mut cluster = Self {
            replicas,
            machines: vec![Kv::default(); n],
            inputs: ReplicaId::all(n).map(|id| (id, Input::Start)).collect(),
            effects: Effects::default(),
            executed: vec![0; n],
            recording: None,
        };
        cluster.run();
        cluster
    }

    /// The replica `id`, ready for commands, and every input it gets while `commands` are executed.
    pub(crate) fn record(
        n: usize,
        id: ReplicaId,
        commands: &[(ReplicaId, Batch)],
    ) -> (R, Vec<Input<R>>) {
        let mut cluster = Self::new(n);
        let replica = cluster.replicas[id.index()].clone();
        cluster.recording = Some((id, Vec::new()));
        cluster.execute(commands);
        (replica, cluster.recording.expect("set above").1)
    }

    /// Proposes `commands` where they say, 64 at a time, and delivers until all are executed everywhere.
    pub(crate) fn execute(&mut self, commands: &[(ReplicaId, Batch)]) {
        for window in commands.chunks(64) {
            let proposals = window.iter().cloned();
            self.inputs.extend(proposals.map(|(at, batch)| (at, Input::Propose(batch))));
            self.run();
        }
    }

    fn run(&mut self) {
        while let Some((at, input)) = self.inputs.pop_front() {
            let replica = &mut self.replicas[at.index()];
            if let Some((recorded, inputs)) = &mut self.recording
                && *recorded == at
            {
                inputs.extend([input.clone(), Input::Flush]);
            }
            replica.step(input, &mut self.effects);
            replica.step(Input::Flush, &mut self.effects);
            for effect in self.effects.drain() {
                match effect {
                    Effect::Send { to, message } => {
                        for to in to.iter() {
                            let message = message.clone();
                            self.inputs.push_back((to, Input::Message { from: at, message }));
                        }
                    }
                    Effect::Execute { batch, .. } => {
                        for request in batch.requests() {
                            self.machines[at.index()].apply(&request);
                            self.executed[at.index()] += 1;
                        }
                    }
                    Effect::Persist(_)
                    | Effect::SetTimer { .. }
                    | Effect::CancelTimer(_)
                    | Effect::Committed { .. }
                    | Effect::Capture
                    | Effect::Install(_)
                    | Effect::Checkpoint(_) => {}
                }
            }
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
