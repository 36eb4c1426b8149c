//! From a workload to the list of runs: sweeps multiplied out, repetitions interleaved over protocols.

use std::time::Duration;

use protocols::{Config, Protocol, ReplicaId, config::Batching, options::Options, quorum::nearest};

use crate::{
    model::{Arrival, Clients, Durability, Keys, Mode, Rate, Routing, Workload},
    placement::Placement,
    seed,
    sweep::{Canonical, Sweep},
};

/// chosen: at seconds per run, more than a day.
pub(crate) const POINTS_MAX: usize = 10_000;
/// chosen: more than anyone waits for, little enough to hold in memory.
pub(crate) const RUNS_MAX: usize = 100_000;

/// One combination of the swept values, everything else resolved too.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// N.
    pub replicas: usize,
    /// What records survive.
    pub durability: Durability,
    /// The first leader, where there is a stable one.
    pub leader: ReplicaId,
    /// The protocol's own options.
    pub options: Options,
    /// What a replica proposes at once.
    pub batching: Batching,
    /// When clients send.
    pub mode: Mode,
    /// The clients, and which of the N sites each is at.
    pub clients: Placement,
    /// Outstanding requests per client; 1 unless pipelined.
    pub window: usize,
    /// Offered by the whole cluster's clients.
    pub rate_ops_per_s: Rate,
    /// Gaps of an open loop.
    pub arrival: Arrival,
    /// Which replica is asked.
    pub routing: Routing,
    /// Key choice.
    pub keys: Keys<f64>,
    /// Share of writes: puts, and the next three.
    pub write_ratio: f64,
    /// Share of appends.
    pub append_ratio: f64,
    /// Share of deletes.
    pub delete_ratio: f64,
    /// Share of compare-and-sets.
    pub cas_ratio: f64,
    /// Size of the value of a put or a compare-and-set.
    pub value_bytes: usize,
    swept: Vec<(&'static str, String)>,
    /// What is offered, in a text: the swept keys that do not say how a protocol is set up, nor
    /// what its records survive.
    offered: String,
}

impl Point {
    /// The swept keys, without their section, in the order of their names, each with its value's canonical text.
    pub fn swept(&self) -> &[(&'static str, String)] {
        &self.swept
    }

    /// The point's name: `conflict_rate=0.02 replicas=3`, the swept keys in the order of their names; `default` if
    /// nothing is swept. Two files that sweep the same keys give the same names, in whatever order they list them.
    pub fn canonical(&self) -> String {
        text(&self.swept)
    }

    /// The share of commands on the shared key; none with other key choices.
    pub const fn conflict_rate(&self) -> Option<f64> {
        match self.keys {
            Keys::Conflict { conflict_rate } => Some(conflict_rate),
            Keys::Uniform { .. } | Keys::Zipf { .. } => None,
        }
    }

    /// Are there commands beside gets and puts?
    pub const fn is_mixed(&self) -> bool {
        self.append_ratio + self.delete_ratio + self.cas_ratio > 0.0
    }

    /// The rate of an open loop, operations per second; none of another loop, and while it is
    /// searched for.
    pub const fn open_rate(&self) -> Option<f64> {
        match (self.mode, self.rate_ops_per_s) {
            (Mode::Open, Rate::OpsPerS(rate)) => Some(rate),
            _ => None,
        }
    }
}

/// `conflict_rate=0.02 replicas=3`; `default` if nothing is swept.
fn text(swept: &[(&'static str, String)]) -> String {
    let parts: Vec<String> = swept.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if parts.is_empty() { "default".to_owned() } else { parts.join(" ") }
}

/// One run: a protocol at a point, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Who.
    pub protocol: Protocol,
    /// Where.
    pub point: Point,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// Decides what is drawn: a function of the workload's seed, the offered load and the repetition, so that every
    /// protocol (with every option of its own) is offered the same.
    pub seed: u64,
    /// Which step of a search it is, from 1; none but of those.
    pub step: Option<u32>,
}

impl Run {
    /// A step of the search that this run is: a run of its own at one rate. Its name and its seed
    /// are those of the search.
    pub fn at(&self, step: u32, rate_ops_per_s: f64) -> Self {
        let rate_ops_per_s = Rate::OpsPerS(rate_ops_per_s);
        let point = Point { rate_ops_per_s, ..self.point.clone() };
        Self { point, step: Some(step), ..self.clone() }
    }
}

/// The runs of a workload, in the order in which they are to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// By repetition, then point, then protocol. The order of the protocols is rotated by one from each repetition to
    /// the next, so that none always runs first; a slow drift of the machine then meets all protocols alike.
    pub runs: Vec<Run>,
    run_estimate: Duration,
}

impl Plan {
    /// Multiplies the sweeps out.
    ///
    /// The first key in the order of names varies slowest; within a key the file's order holds. A
    /// protocol has no points of its own for what it does not have: a protocol's own option
    /// multiplies its runs alone, and `cluster.leader` those of protocols with a stable leader,
    /// unless clients ask the leader.
    pub fn new(workload: &Workload) -> Self {
        let mut order = workload.protocols.clone();
        let mut runs = Vec::new();
        for repetition in 1..=workload.repetitions {
            for index in 0..workload.point_count() {
                let resolved = order
                    .iter()
                    .filter_map(|protocol| Some((*protocol, workload.resolve(index, *protocol)?)));
                runs.extend(resolved.map(|(protocol, point)| Run {
                    seed: seed::run_seed(workload.seed, &point.offered, repetition),
                    protocol,
                    point,
                    repetition,
                    step: None,
                }));
            }
            order.rotate_left(1);
        }
        Self { runs, run_estimate: workload.run_estimate() }
    }

    /// How long one run takes, about.
    pub const fn run_estimate(&self) -> Duration {
        self.run_estimate
    }

    /// How long all runs take, about.
    pub fn estimate(&self) -> Duration {
        self.runs.iter().map(|_| self.run_estimate).sum()
    }
}

impl Workload {
    /// The points of one protocol, in the plan's order.
    pub fn points(&self, protocol: Protocol) -> Vec<Point> {
        (0..self.point_count()).filter_map(|index| self.resolve(index, protocol)).collect()
    }

    /// What `replica` is told of a cluster of `protocol` at `point`: the same as all, and where the
    /// protocol asks the nearest first, which those are by their round trips.
    pub fn config_of(&self, protocol: Protocol, point: &Point, replica: ReplicaId) -> Config {
        let mut config = self.config(point);
        if let Some(count) = protocol.nearest.and_then(|nearest| nearest(&config)) {
            let sites = self.sites(point.replicas);
            let round_trip_ns = |other: ReplicaId| {
                sites.as_ref().map_or(0, |s| s.round_trip_ns(replica.index(), other.index()))
            };
            config.nearest = Some(nearest(replica, point.replicas, count, round_trip_ns));
        }
        config
    }

    /// What the cores of a cluster at `point` are told.
    pub fn config(&self, point: &Point) -> Config {
        Config {
            first_leader: point.leader,
            timeouts: self.timeouts().replica,
            options: point.options,
            batching: point.batching,
            kept_bytes_max: self.cluster.memory_mib << 19,
            ..Config::new(point.replicas)
        }
    }

    /// Every sweepable key with how many values it has, in the order of the names.
    pub(crate) fn sweeps(&self) -> Vec<Swept> {
        let rates = match &self.commands.keys {
            Keys::Conflict { conflict_rate } => conflict_rate.values().len(),
            Keys::Uniform { .. } | Keys::Zipf { .. } => 1,
        };
        let shared = [
            ("append_ratio", self.commands.append_ratio.values().len()),
            ("batch_commands", self.cluster.batch_commands.values().len()),
            ("batch_delay_us", self.cluster.batch_delay_us.values().len()),
            ("cas_ratio", self.commands.cas_ratio.values().len()),
            (self.load.clients.key(), self.load.clients.given().values().len()),
            ("conflict_rate", rates),
            ("delete_ratio", self.commands.delete_ratio.values().len()),
            ("durability", self.cluster.durability.values().len()),
            ("leader", self.cluster.leader.values().len()),
            ("rate_ops_per_s", self.load.rate_ops_per_s.values().len()),
            ("replicas", self.cluster.replicas.values().len()),
            ("value_bytes", self.commands.value_bytes.values().len()),
            ("window", self.load.window.values().len()),
            ("write_ratio", self.commands.write_ratio.values().len()),
        ];
        let shared = shared.map(|(key, values)| Swept { key, values, own: None });
        let own = self.own.0.iter().map(|own| Swept {
            key: own.facts().key,
            values: own.values.values().len(),
            own: Some((own.protocol, own.place)),
        });
        let mut sweeps: Vec<Swept> = shared.into_iter().chain(own).collect();
        sweeps.sort_by_key(|swept| swept.key);
        sweeps
    }

    /// How many combinations of swept values there are.
    pub(crate) fn point_count(&self) -> usize {
        self.sweeps().iter().fold(1, |product, swept| product.saturating_mul(swept.values))
    }

    /// The point with this number for `protocol`; none if it differs from an earlier one only in what that protocol
    /// does not have.
    fn resolve(&self, index: usize, protocol: Protocol) -> Option<Point> {
        let mut digits = Digits::new(index, self.sweeps());
        let batch_commands = digits.next("batch_commands", &self.cluster.batch_commands);
        let batch_delay_us = digits.next("batch_delay_us", &self.cluster.batch_delay_us);
        let durability = digits.next("durability", &self.cluster.durability);
        let leader = digits.next("leader", &self.cluster.leader);
        let of_the_cluster = std::mem::take(&mut digits.swept);
        let append_ratio = digits.next("append_ratio", &self.commands.append_ratio);
        let cas_ratio = digits.next("cas_ratio", &self.commands.cas_ratio);
        let clients = digits.next(self.load.clients.key(), self.load.clients.given());
        let keys = match &self.commands.keys {
            Keys::Conflict { conflict_rate } => {
                Keys::Conflict { conflict_rate: digits.next("conflict_rate", conflict_rate) }
            }
            Keys::Uniform { key_count } => Keys::Uniform { key_count: *key_count },
            Keys::Zipf { key_count, theta } => Keys::Zipf { key_count: *key_count, theta: *theta },
        };
        let delete_ratio = digits.next("delete_ratio", &self.commands.delete_ratio);
        let rate_ops_per_s = digits.next("rate_ops_per_s", &self.load.rate_ops_per_s);
        let replicas = digits.next("replicas", &self.cluster.replicas);
        let value_bytes = digits.next("value_bytes", &self.commands.value_bytes);
        let window = digits.next("window", &self.load.window);
        let write_ratio = digits.next("write_ratio", &self.commands.write_ratio);
        let offered = text(&digits.swept);
        digits.swept.extend(of_the_cluster);
        if !protocol.has_stable_leader && self.load.routing != Routing::Leader {
            if leader != self.cluster.leader.values()[0] {
                return None;
            }
            digits.swept.retain(|(key, _)| *key != "leader");
        }
        let options = self.own_options(&mut digits, protocol)?;
        let mut swept = digits.swept;
        swept.sort_by_key(|(key, _)| *key);
        let batching = Batching {
            commands_max: batch_commands,
            delay: Duration::from_micros(batch_delay_us as u64),
        };
        let in_all = match self.load.clients {
            Clients::PerSite(_) => clients * replicas,
            Clients::PerCluster(_) => clients,
        };
        Some(Point {
            replicas,
            durability,
            leader,
            options,
            batching,
            mode: self.load.mode,
            clients: Placement::new(in_all, replicas),
            window,
            rate_ops_per_s,
            arrival: self.load.arrival,
            routing: self.load.routing,
            keys,
            write_ratio,
            append_ratio,
            delete_ratio,
            cas_ratio,
            value_bytes,
            swept,
            offered,
        })
    }

    /// The own options of `protocol`; none at a point that differs from an earlier one only in
    /// another protocol's.
    fn own_options(&self, digits: &mut Digits, protocol: Protocol) -> Option<Options> {
        let mut options = Options::default();
        for own in &self.own.0 {
            let value = own.values.values()[digits.own(own.protocol, own.place)];
            if own.protocol == protocol {
                options.set(protocol, own.place, value);
                if own.values.is_swept() {
                    digits.swept.push((own.facts().key, own.facts().text(value)));
                }
            } else if value != own.values.values()[0] {
                return None;
            }
        }
        Some(options)
    }
}

/// A sweepable key.
#[derive(Debug)]
pub(crate) struct Swept {
    /// Its name, without its section.
    pub(crate) key: &'static str,
    /// How many values it has.
    pub(crate) values: usize,
    /// Whose option it is, and at which place; none if it is no protocol's own.
    own: Option<(Protocol, usize)>,
}

/// A point's number, read as one digit per sweepable key: the first key in the order of names
/// varies slowest.
struct Digits {
    keys: Vec<Swept>,
    digits: Vec<usize>,
    swept: Vec<(&'static str, String)>,
}

impl Digits {
    fn new(index: usize, keys: Vec<Swept>) -> Self {
        let mut rest = index;
        let mut digits = vec![0; keys.len()];
        for (digit, key) in digits.iter_mut().zip(&keys).rev() {
            *digit = rest % key.values;
            rest /= key.values;
        }
        Self { keys, digits, swept: Vec::new() }
    }

    /// The value of a key that is no protocol's own.
    fn next<T: Copy + Canonical>(&mut self, key: &'static str, sweep: &Sweep<T>) -> T {
        let value = sweep.values()[self.digit(|known| known.own.is_none() && known.key == key)];
        if sweep.is_swept() {
            self.swept.push((key, value.canonical()));
        }
        value
    }

    /// Which of its values an option of `protocol` has.
    fn own(&self, protocol: Protocol, place: usize) -> usize {
        self.digit(|known| known.own == Some((protocol, place)))
    }

    fn digit(&self, is_it: impl Fn(&Swept) -> bool) -> usize {
        let place = self.keys.iter().position(is_it).expect("every sweepable key has a digit");
        self.digits[place]
    }
}
