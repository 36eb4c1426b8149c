//! Random schedules: clients that retry, replicas that crash in the middle of a step, and what must hold in the end.

use protocols::{Config, Replica, ReplicaId, Status};
use rand::RngExt;

use super::{Cluster, Faults, Time, net::Cut, write};

/// Clients that each have one write outstanding, and retry at the next replica when it takes too long.
pub struct Clients {
    clients: Vec<Client>,
    writes_each: u64,
    patience: Time,
}

struct Client {
    index: u64,
    at: ReplicaId,
    /// The replica's life in which it was asked.
    life: u64,
    since: Time,
}

/// How long a client waits, in ns.
const PATIENCE_NS: Time = 700_000_000;

impl Clients {
    pub fn new<R: Replica>(cluster: &mut Cluster<R>, count: u64, writes_each: u64) -> Self {
        let sites = ReplicaId::all(cluster.config.replicas).cycle();
        let clients = (0..count)
            .zip(sites)
            .map(|(_, at)| Client { index: 1, at, life: 0, since: cluster.world.now })
            .collect();
        Self { clients, writes_each, patience: PATIENCE_NS }
    }

    /// Lets every client wait for as long as it takes.
    pub fn never_retry(&mut self) {
        self.patience = Time::MAX;
    }

    pub fn done(&self) -> bool {
        self.clients.iter().all(|client| client.index > self.writes_each)
    }

    pub fn total(&self) -> u64 {
        self.clients.len() as u64 * self.writes_each
    }

    /// Lets every client look for its answer, and ask (again) where needed.
    pub fn poll<R: Replica>(&mut self, cluster: &mut Cluster<R>) {
        let replicas = cluster.config.replicas;
        for (number, client) in self.clients.iter_mut().enumerate() {
            let number = number as u64 + 1;
            if client.index > self.writes_each {
                continue;
            }
            let batch = write(number, client.index);
            let node = cluster.node(client.at);
            if node.core.is_some() && cluster.has_applied(client.at, &batch) {
                client.index += 1;
                client.life = 0;
                if client.index > self.writes_each {
                    continue;
                }
            } else if client.life != 0 && cluster.world.now - client.since > self.patience {
                client.at = ReplicaId::from_index((client.at.index() + 1) % replicas);
                client.life = 0;
            }
            let node = cluster.node(client.at);
            if node.core.is_none() {
                client.at = ReplicaId::from_index((client.at.index() + 1) % replicas);
                client.life = 0;
            } else if client.life != node.life {
                client.life = node.life;
                client.since = cluster.world.now;
                cluster.propose(client.at, write(number, client.index));
            }
        }
    }
}

/// One random run: a phase with faults, then one without, in which everything must complete and come to rest.
pub fn random_run<R: Replica>(config: Config, seed: u64) {
    let mut cluster = Cluster::<R>::new(config, seed);
    let mut clients = Clients::new(&mut cluster, 6, 8);
    cluster.world.faults = Faults {
        loss_percent: cluster.world.rng.random_range(0..25),
        duplicate_percent: cluster.world.rng.random_range(0..25),
        delay_us: (100, cluster.world.rng.random_range(500..60_000)),
    };
    let faults_end = 3_000_000_000;
    let mut down: Vec<(ReplicaId, Time)> = Vec::new();
    while cluster.world.now < faults_end {
        random_step(&mut cluster, &mut down, faults_end);
        clients.poll(&mut cluster);
    }
    for (replica, _) in down {
        cluster.start(replica);
    }
    cluster.world.faults = Faults { delay_us: (100, 2_000), ..Faults::NONE };
    let deadline = cluster.world.now + 60_000_000_000;
    while !(clients.done() && cluster.at_rest()) {
        assert!(
            cluster.world.now < deadline,
            "seed {seed}: not complete {:#?}",
            describe(&cluster)
        );
        cluster.run_one(deadline);
        clients.poll(&mut cluster);
    }
    cluster.assert_equal_states();
    let writes = cluster.nodes[0].kv.digest().writes;
    assert_eq!(writes, clients.total(), "seed {seed}: every write takes effect exactly once");
}

fn describe<R: Replica>(cluster: &Cluster<R>) -> Vec<(Status, u64)> {
    let up = cluster.live();
    up.map(|(node, core)| (core.status(), node.kv.digest().writes)).collect()
}

/// Takes one event, and may crash the replica in the middle of it; starts the replicas whose time has come.
fn random_step<R: Replica>(
    cluster: &mut Cluster<R>,
    down: &mut Vec<(ReplicaId, Time)>,
    until: Time,
) {
    let Some((replica, input)) = cluster.next_input(until) else {
        cluster.world.now = until;
        return;
    };
    let now = cluster.world.now;
    let due: Vec<_> = down.extract_if(.., |(_, at)| *at <= now).collect();
    for (replica, _) in due {
        cluster.start(replica);
    }
    let Some(input) = input else { return };
    let tolerable = down.len() < protocols::quorum::faults_tolerated(cluster.config.replicas);
    if tolerable && cluster.lives(replica) && cluster.world.rng.random_range(0..250u32) == 0 {
        let effects_done = cluster.world.rng.random_range(0..6);
        cluster.step_cut(replica, input, Cut::After(effects_done));
        if !cluster.lives(replica) {
            let at = now + cluster.world.rng.random_range(1_000_000..900_000_000);
            down.push((replica, at));
        }
    } else {
        cluster.step(replica, input);
    }
}
