//! What values must be to each other, and what no driver carries out yet.

use protocols::ReplicaId;

use crate::{
    document::Document,
    error::LoadError,
    fault::{Action, Partition, Target},
    model::{Arrival, Driver, Durability, Mode, Workload},
    plan::{POINTS_MAX, RUNS_MAX},
};

/// Refuses the first pair of values that contradict each other.
pub(super) fn together(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    mode(document, workload)?;
    leader(document, workload)?;
    size(document, workload)?;
    (0..workload.faults.len()).try_for_each(|index| fault(document, workload, index))
}

/// A key that its mode does not use may hold its default, and nothing else: nothing is read and then ignored.
fn mode(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let load = &workload.load;
    let window_above_1 = load.window.values().iter().any(|window| *window > 1);
    let refuse = |key: &str, remedy: &str| Err(document.error(key, remedy));
    match load.mode {
        Mode::Closed if window_above_1 => {
            return refuse("load.window", "must be 1 in a closed loop: use mode = \"pipelined\"");
        }
        Mode::Open if window_above_1 => {
            return refuse(
                "load.window",
                "must be 1: an open loop sends on time, whatever is outstanding",
            );
        }
        _ => {}
    }
    let rates = load.rate_ops_per_s.values();
    if load.mode == Mode::Open {
        if rates.iter().all(|rate| *rate > 0.0) {
            return Ok(());
        }
        return refuse("load.rate_ops_per_s", "must be above 0 in an open loop");
    }
    if rates.iter().any(|rate| *rate > 0.0) {
        return refuse(
            "load.rate_ops_per_s",
            "must be 0 outside an open loop: use mode = \"open\"",
        );
    }
    if load.arrival != Arrival::Poisson {
        return refuse("load.arrival", "goes with an open loop only: use mode = \"open\"");
    }
    Ok(())
}

fn replicas_min(workload: &Workload) -> usize {
    workload.cluster.replicas.values().iter().copied().min().unwrap_or(0)
}

fn leader(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let smallest = replicas_min(workload);
    if workload.cluster.leader.index() < smallest {
        return Ok(());
    }
    let remedy = format!("must be below {smallest}, the smallest number of replicas");
    Err(document.error("cluster.leader", remedy))
}

fn size(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    if workload.point_count() > POINTS_MAX {
        let swept = workload.sweeps().into_iter().filter(|(_, values)| *values > 1);
        let keys: Vec<&str> = swept.map(|(key, _)| key).collect();
        let remedy = format!(
            "{} swept together make {} points: must be at most {POINTS_MAX}, shorten a list",
            keys.join(", "),
            workload.point_count(),
        );
        return Err(LoadError::of_file(&document.origin.file, remedy));
    }
    let runs = workload.point_count() * workload.protocols.len() * workload.repetitions as usize;
    if runs > RUNS_MAX {
        let remedy = format!("makes {runs} runs: must be at most {RUNS_MAX} in all");
        return Err(document.error("repetitions", remedy));
    }
    Ok(())
}

fn fault(document: &Document, workload: &Workload, index: usize) -> Result<(), LoadError> {
    let fault = &workload.faults[index];
    let entry = document.value("faults").and_then(|faults| faults.get(index));
    let refuse = |key: &str, remedy: String| {
        let value = entry.and_then(|entry| entry.get(key));
        Err(document.origin.error(&format!("faults[{index}].{key}"), value, remedy))
    };
    if fault.at_s > workload.load.duration_s {
        let end = workload.load.duration_s;
        return refuse("at_s", format!("must be at most load.duration_s, which is {end}"));
    }
    let (key, named) = replicas_of(&fault.action);
    let smallest = replicas_min(workload);
    if let Some(replica) = named.iter().find(|replica| replica.index() >= smallest) {
        let remedy = format!("there is no replica {}: use 0 to {}", replica.0, smallest - 1);
        return refuse(key, remedy);
    }
    if matches!(fault.action, Action::Restart(_))
        && workload.cluster.durability == Durability::Memory
    {
        return refuse(
            key,
            "nothing survives in memory: use cluster.durability = \"fsync\" or \"buffered\""
                .to_owned(),
        );
    }
    if let Action::Partition(Partition::Groups(groups)) = &fault.action {
        let listed: usize = groups.iter().map(Vec::len).sum();
        if let Some(n) = workload.cluster.replicas.values().iter().find(|n| **n != listed) {
            return refuse(key, format!("must name each of the {n} replicas once"));
        }
    }
    Ok(())
}

/// The key of an action and the replicas that it names.
fn replicas_of(action: &Action) -> (&'static str, Vec<ReplicaId>) {
    let one = |target: &Target| match target {
        Target::Replica(replica) => vec![*replica],
        Target::Random | Target::Leader => Vec::new(),
    };
    match action {
        Action::Kill(target) => ("kill", one(target)),
        Action::Restart(target) => ("restart", one(target)),
        Action::Pause(target) => ("pause", one(target)),
        Action::Resume(target) => ("resume", one(target)),
        Action::Partition(Partition::Groups(groups)) => ("partition", groups.concat()),
        Action::Partition(Partition::OneWay { from, to }) => {
            ("partition", from.iter().chain(to).copied().collect())
        }
        Action::Slow(slow) => ("slow", vec![slow.replica]),
        Action::Heal => ("heal", Vec::new()),
        Action::Links(_) => ("layer", Vec::new()),
    }
}

impl Workload {
    /// What this workload asks for and its driver does not carry out yet, the first of it; none if all is carried out.
    ///
    /// A driver calls this before it starts anything, so that no key is read and then ignored.
    pub fn unsupported(&self) -> Option<LoadError> {
        let text = |text: &str| toml::Value::String(text.to_owned());
        if self.cluster.driver == Driver::Sim {
            let remedy = "is not offered yet: use \"quic\"";
            return Some(self.origin.error("cluster.driver", Some(&text("sim")), remedy));
        }
        let durability = match self.cluster.durability {
            Durability::Memory => None,
            Durability::Buffered => Some("buffered"),
            Durability::Fsync => Some("fsync"),
        };
        if let Some(name) = durability {
            let remedy = "is not offered yet: use \"memory\"";
            return Some(self.origin.error("cluster.durability", Some(&text(name)), remedy));
        }
        if let Some(network) = &self.network {
            let shown = toml::Value::try_from(&network.topology).ok();
            let remedy = "driver \"quic\" runs on the bare loopback only: remove [network]";
            return Some(self.origin.error("network.topology", shown.as_ref(), remedy));
        }
        let fault = self.faults.first()?;
        let shown = toml::Value::try_from(fault).ok();
        let remedy = "driver \"quic\" carries out no faults yet: remove every [[faults]]";
        Some(self.origin.error("faults[0]", shown.as_ref(), remedy))
    }
}
