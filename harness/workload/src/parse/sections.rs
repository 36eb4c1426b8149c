//! Each section of the file, key by key: type, range, default.

use protocols::{
    Protocol, ReplicaId,
    command::{BATCH_COMMANDS_MAX, VALUE_BYTES_MAX},
    registry,
};
use toml::Value;

use super::{calibration, faults, topology};
use crate::{
    calibrated::Calibrated,
    document::Document,
    error::LoadError,
    kind::{alternatives, choice, count, mismatch, name, number, positive, whole},
    model::{
        Arrival, Clients, Cluster, Commands, Driver, Durability, GivenTimeouts, Keys, Load, Mode,
        Network, Rate, Returns, Routing, Search, Workload,
    },
    own::OwnOptions,
    sim_costs::SimCosts,
    sweep::Sweep,
    topology::Topology,
};

type Loaded<T> = Result<T, LoadError>;

/// chosen: a day; nobody waits longer for one run.
const SECONDS_MAX: f64 = 86_400.0;
/// chosen: keys have eight digits.
const KEY_COUNT_MAX: u64 = 100_000_000;
/// chosen: a second per message, a millisecond per byte, a terabit per second.
pub(super) const COST_MAX: f64 = 1e6;
/// chosen: more than anyone has, at a site or in all; keys have six digits for them.
const CLIENTS_MAX: u64 = 100_000;
const RATE: &str = "load.rate_ops_per_s";
/// chosen: any cluster but one of competing proposers bears it, and doubling soon leaves it behind.
const RATE_START_OPS_PER_S: f64 = 1_000.0;
/// chosen: a second; papers wait for milliseconds.
const BATCH_DELAY_US_MAX: u64 = 1_000_000;
/// chosen: a TiB.
const MEMORY_MIB_MAX: u64 = 1 << 20;
/// Twice what [`protocols::Config::new`] has for a silent replica.
const MEMORY_MIB_DEFAULT: u64 = 256;
/// The exponent of YCSB's "zipfian" request distribution.
const THETA_DEFAULT: f64 = 0.99;

pub(super) fn workload(document: &Document, question: Option<String>) -> Loaded<Workload> {
    let name = document
        .one("name", name)?
        .ok_or_else(|| document.error("name", "missing: add name = \"my-workload\""))?;
    let cluster = cluster(document)?;
    Ok(Workload {
        question,
        origin: document.origin.clone(),
        name,
        protocols: protocols(document)?,
        repetitions: document.one("repetitions", count(1..=1000))?.unwrap_or(3),
        seed: document.one("seed", whole(0..=i64::MAX.unsigned_abs()))?.unwrap_or(42),
        cluster: cluster.clone(),
        own: OwnOptions::read(document)?,
        load: load(document)?,
        commands: commands(document)?,
        timeouts: timeouts(document)?,
        network: network(document, &cluster)?,
        sim: sim(document, cluster.driver)?,
        returns: returns(document)?,
        faults: faults::plan(document)?,
    })
}

fn protocols(document: &Document) -> Loaded<Vec<Protocol>> {
    const KEY: &str = "protocols";
    let Some(value) = document.value(KEY) else {
        return Ok(registry::all());
    };
    let Value::Array(list) = value else {
        let names: Vec<_> =
            registry::all().into_iter().map(|of| format!("{:?}", of.name)).collect();
        let [first, .., last] = names.as_slice() else { unreachable!("there are several") };
        return Err(document.error(KEY, format!("must be an array: write it as [{first}, {last}]")));
    };
    if list.is_empty() {
        return Err(document.error(KEY, "must name at least one protocol"));
    }
    let mut protocols = Vec::new();
    for item in list {
        let error = |remedy: String| document.origin.error(KEY, Some(item), remedy);
        let text = item.as_str().ok_or_else(|| error(mismatch("a string", item)))?;
        let protocol: Protocol = text.parse().map_err(|_| {
            let names = alternatives(registry::all().into_iter().map(Protocol::name));
            error(format!("unknown protocol: use {names}"))
        })?;
        if protocols.contains(&protocol) {
            return Err(error("is listed twice: list it once".to_owned()));
        }
        protocols.push(protocol);
    }
    Ok(protocols)
}

fn cluster(document: &Document) -> Loaded<Cluster> {
    let driver = choice(&[("quic", Driver::Quic), ("sim", Driver::Sim)]);
    let durability = choice(&[
        ("memory", Durability::Memory),
        ("buffered", Durability::Buffered),
        ("fsync", Durability::Fsync),
    ]);
    let replicas = document.sweep("cluster.replicas", replicas)?.unwrap_or(Sweep::One(3));
    let leader = |value: &Value| count(0..=50)(value).map(ReplicaId::from_index);
    let leader = document.sweep("cluster.leader", leader)?.unwrap_or(Sweep::One(ReplicaId(0)));
    let batch_commands = document
        .sweep("cluster.batch_commands", count(1..=BATCH_COMMANDS_MAX as u64))?
        .unwrap_or(Sweep::One(1));
    let batch_delay_us = document
        .sweep("cluster.batch_delay_us", count(0..=BATCH_DELAY_US_MAX))?
        .unwrap_or(Sweep::One(0));
    let waits = batch_delay_us.values().iter().any(|us| *us > 0);
    if waits && batch_commands.values() == [1] {
        let remedy =
            "goes with cluster.batch_commands above 1: nothing waits to be joined without it";
        return Err(document.error("cluster.batch_delay_us", remedy));
    }
    Ok(Cluster {
        driver: document.one("cluster.driver", driver)?.unwrap_or(Driver::Quic),
        replicas,
        durability: document
            .sweep("cluster.durability", durability)?
            .unwrap_or(Sweep::One(Durability::Memory)),
        leader,
        batch_commands,
        batch_delay_us,
        memory_mib: document
            .one("cluster.memory_mib", whole(1..=MEMORY_MIB_MAX))?
            .unwrap_or(MEMORY_MIB_DEFAULT),
    })
}

/// chosen: 51 is the largest cluster that the simulator's figures show.
fn replicas(value: &Value) -> Result<usize, String> {
    const REMEDY: &str = "must be odd, 3 to 51";
    let replicas = value.as_integer().ok_or_else(|| mismatch("a whole number", value))?;
    match usize::try_from(replicas) {
        Ok(replicas) if replicas % 2 == 1 && (3..=51).contains(&replicas) => Ok(replicas),
        _ => Err(REMEDY.to_owned()),
    }
}

fn load(document: &Document) -> Loaded<Load> {
    let mode =
        choice(&[("closed", Mode::Closed), ("pipelined", Mode::Pipelined), ("open", Mode::Open)]);
    let arrival = choice(&[("poisson", Arrival::Poisson), ("constant", Arrival::Constant)]);
    let routing = choice(&[
        ("local", Routing::Local),
        ("leader", Routing::Leader),
        ("random", Routing::Random),
    ]);
    let rates = document.sweep(RATE, rate)?.unwrap_or(Sweep::One(Rate::OpsPerS(0.0)));
    let search = search(document, rates.values())?;
    Ok(Load {
        mode: document.one("load.mode", mode)?.unwrap_or(Mode::Closed),
        clients: clients(document)?,
        window: document.sweep("load.window", count(1..=100_000))?.unwrap_or(Sweep::One(1)),
        // What a rate must be depends on the mode: see `check`.
        rate_ops_per_s: rates,
        search,
        arrival: document.one("load.arrival", arrival)?.unwrap_or(Arrival::Poisson),
        routing: document.one("load.routing", routing)?.unwrap_or(Routing::Local),
        warmup_s: document.one("load.warmup_s", number(0.0..=SECONDS_MAX))?.unwrap_or(1.0),
        duration_s: document.one("load.duration_s", positive(SECONDS_MAX))?.unwrap_or(5.0),
    })
}

/// A number, or "max".
fn rate(value: &Value) -> Result<Rate, String> {
    match value {
        Value::String(text) if text == Rate::MAX => Ok(Rate::Max),
        Value::Integer(_) | Value::Float(_) => {
            number(0.0..=Rate::OPS_PER_S_MAX)(value).map(Rate::OpsPerS)
        }
        _ => Err(mismatch("a number or \"max\"", value)),
    }
}

fn search(document: &Document, rates: &[Rate]) -> Loaded<Option<Search>> {
    const P99: &str = "load.p99_ms_max";
    const START: &str = "load.rate_start_ops_per_s";
    let p99_ms_max = document.one(P99, positive(SECONDS_MAX * 1e3))?;
    let start = document.one(START, positive(Rate::OPS_PER_S_MAX))?;
    if !rates.contains(&Rate::Max) {
        // A flag may give a rate in place of the file's search, of which the rest is then left.
        let origin = &document.origin;
        let is_left = |key| origin.flag_of(RATE).is_some() && origin.flag_of(key).is_none();
        let mut given = [(P99, p99_ms_max), (START, start)].into_iter();
        let given = given.find(|(key, number)| number.is_some() && !is_left(key));
        let remedy = "goes with rate_ops_per_s = \"max\" only: remove it";
        return given.map_or(Ok(None), |(key, _)| Err(document.error(key, remedy)));
    }
    if rates.len() > 1 {
        let remedy = "must not mix \"max\" with numbers: give it a workload of its own";
        return Err(document.error(RATE, remedy));
    }
    let Some(p99_ms_max) = p99_ms_max else {
        let remedy = "missing: rate_ops_per_s = \"max\" needs it, such as p99_ms_max = 20";
        return Err(document.error(P99, remedy));
    };
    let rate_start_ops_per_s = start.unwrap_or(RATE_START_OPS_PER_S);
    Ok(Some(Search { p99_ms_max, rate_start_ops_per_s }))
}

fn clients(document: &Document) -> Loaded<Clients<Sweep<usize>>> {
    const PER_CLUSTER: &str = "load.clients";
    let per_site = document.sweep("load.clients_per_site", count(1..=CLIENTS_MAX))?;
    let per_cluster = document.sweep(PER_CLUSTER, count(1..=CLIENTS_MAX))?;
    match (per_site, per_cluster) {
        (Some(_), Some(_)) => {
            let remedy = "goes without load.clients_per_site: remove one of them";
            Err(document.error(PER_CLUSTER, remedy))
        }
        (None, Some(clients)) => Ok(Clients::PerCluster(clients)),
        (per_site, None) => Ok(Clients::PerSite(per_site.unwrap_or(Sweep::One(16)))),
    }
}

fn commands(document: &Document) -> Loaded<Commands> {
    let ratio = |key: &str, default: f64| {
        let given = document.sweep(&format!("commands.{key}"), number(0.0..=1.0));
        given.map(|given| given.unwrap_or(Sweep::One(default)))
    };
    Ok(Commands {
        keys: keys(document)?,
        write_ratio: ratio("write_ratio", 1.0)?,
        append_ratio: ratio("append_ratio", 0.0)?,
        delete_ratio: ratio("delete_ratio", 0.0)?,
        cas_ratio: ratio("cas_ratio", 0.0)?,
        value_bytes: document
            .sweep("commands.value_bytes", count(16..=VALUE_BYTES_MAX as u64))?
            .unwrap_or(Sweep::One(16)),
    })
}

/// Which of the key choices, to know which keys go with it.
#[derive(Clone, Copy, PartialEq)]
enum KeyChoice {
    Conflict,
    Uniform,
    Zipf,
}

fn keys(document: &Document) -> Loaded<Keys<Sweep<f64>>> {
    let names = choice(&[
        ("conflict", KeyChoice::Conflict),
        ("uniform", KeyChoice::Uniform),
        ("zipf", KeyChoice::Zipf),
    ]);
    let chosen = document.one("commands.keys", names)?.unwrap_or(KeyChoice::Conflict);
    let rate = document.sweep("commands.conflict_rate", number(0.0..=1.0))?;
    let key_count = document.one("commands.key_count", whole(1..=KEY_COUNT_MAX))?;
    let theta = document.one("commands.theta", positive(10.0))?;
    let only_with = |key: &str, names: &str| {
        Err(document.error(key, format!("goes with keys = {names} only: remove one of them")))
    };
    let needed = || {
        document
            .error("commands.key_count", "missing: say how many keys, such as key_count = 10000")
    };
    match chosen {
        KeyChoice::Conflict if key_count.is_some() => {
            only_with("commands.key_count", "\"uniform\" or \"zipf\"")
        }
        KeyChoice::Conflict | KeyChoice::Uniform if theta.is_some() => {
            only_with("commands.theta", "\"zipf\"")
        }
        KeyChoice::Uniform | KeyChoice::Zipf if rate.is_some() => {
            only_with("commands.conflict_rate", "\"conflict\"")
        }
        KeyChoice::Conflict => {
            Ok(Keys::Conflict { conflict_rate: rate.unwrap_or(Sweep::One(0.0)) })
        }
        KeyChoice::Uniform => Ok(Keys::Uniform { key_count: key_count.ok_or_else(needed)? }),
        KeyChoice::Zipf => Ok(Keys::Zipf {
            key_count: key_count.ok_or_else(needed)?,
            theta: theta.unwrap_or(THETA_DEFAULT),
        }),
    }
}

fn timeouts(document: &Document) -> Loaded<GivenTimeouts> {
    let milliseconds = |key: &str| document.one(key, positive(SECONDS_MAX * 1e3));
    Ok(GivenTimeouts {
        retransmit_ms: milliseconds("timeouts.retransmit_ms")?,
        election_ms: milliseconds("timeouts.election_ms")?,
        recovery_ms: milliseconds("timeouts.recovery_ms")?,
        client_ms: milliseconds("timeouts.client_ms")?,
    })
}

/// chosen: an order of magnitude above any timeout that a protocol waits for by default.
const WITHIN_S_MAX: f64 = 600.0;
/// chosen: a tenth is what the sampling of a second of a few hundred operations takes away.
const SHARE_DEFAULT: f64 = 0.9;

fn returns(document: &Document) -> Loaded<Option<Returns>> {
    const WITHIN: &str = "returns.within_s";
    if document.value("returns").is_none() {
        return Ok(None);
    }
    let share = document.one("returns.share", positive(1.0))?.unwrap_or(SHARE_DEFAULT);
    let Some(within_s) = document.one(WITHIN, positive(WITHIN_S_MAX))? else {
        return Err(document.error(WITHIN, "missing: say how soon, such as within_s = 5"));
    };
    Ok(Some(Returns { within_s, share }))
}

fn network(document: &Document, cluster: &Cluster) -> Loaded<Option<Network>> {
    if document.value("network").is_none() {
        return Ok(None);
    }
    let jitter: fn(&Topology) -> f64 = match cluster.driver {
        // Real packets have a jitter of their own.
        Driver::Quic => |_| 0.0,
        Driver::Sim => Topology::simulated_jitter_ms,
    };
    let topology = topology::of_workload(document, cluster.replicas.values(), jitter)?;
    Ok(Some(Network { topology }))
}

fn sim(document: &Document, driver: Driver) -> Loaded<Option<SimCosts>> {
    let mut costs = SimCosts::default();
    let mut given = Vec::new();
    for (key, _) in costs.by_key() {
        given.push((key, document.one(&format!("sim.{key}"), number(0.0..=COST_MAX))?));
    }
    let calibrated = document.value("sim.calibrated");
    let calibrated =
        calibrated.map(|value| calibration::calibrated(&document.origin, value)).transpose()?;
    let calibration = calibration::path(document)?;
    let keys = given.iter().map(|(key, _)| *key);
    for key in keys.chain([calibration::KEY, calibration::LOADS]) {
        // A file that is made for the simulator says so and is run with the other driver too: its costs are not that one's.
        let (key, origin) = (format!("sim.{key}"), &document.origin);
        let is_left = origin.flag_of("cluster.driver").is_some() && origin.flag_of(&key).is_none();
        if document.value(&key).is_some() && driver != Driver::Sim && !is_left {
            let remedy = "goes with driver \"sim\" only: remove [sim], or use --driver sim";
            return Err(document.error(&key, remedy));
        }
    }
    if driver != Driver::Sim {
        return Ok(None);
    }
    let is_given =
        |keys: &[&str]| given.iter().any(|(key, cost)| keys.contains(key) && cost.is_some());
    match calibration {
        Some(path) => costs = calibration::costs(document, &path)?,
        // Whoever names costs of messages and bytes by hand means those to be all.
        None if is_given(&["cpu_us_per_message", "cpu_ns_per_byte"]) => {
            let SimCosts { cpu_us_per_message, cpu_ns_per_byte, .. } = costs;
            costs = SimCosts { cpu_us_per_message, cpu_ns_per_byte, ..SimCosts::NONE };
        }
        None => {}
    }
    if is_given(&costs.of_cpu().map(|(key, _)| key)) {
        costs.calibrated = Calibrated::NONE;
    }
    costs.calibrated = calibrated.unwrap_or(costs.calibrated);
    for ((_, cost), (_, given)) in costs.by_key().into_iter().zip(given) {
        *cost = given.unwrap_or(*cost);
    }
    Ok(Some(costs))
}
