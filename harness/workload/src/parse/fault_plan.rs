//! Whether a fault plan fits the cluster, the run, and what protocols are made for.

use protocols::{ReplicaId, quorum::faults_tolerated};

use super::check::replicas_min;
use crate::{
    document::Document,
    error::LoadError,
    fault::{Action, Partition, Target},
    model::{Durability, Workload},
};

/// chosen: a strike every tenth of a second for a quarter of an hour; more is a typing error.
const STRIKES_MAX: u64 = 10_000;

/// Refuses the first fault that does not fit the cluster or the run, then a plan that strikes too often or leaves no
/// majority alive.
pub(super) fn together(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    (0..workload.faults.len()).try_for_each(|index| fault(document, workload, index))?;
    strikes(document, workload)?;
    living(document, workload)
}

/// An error about a key of one entry.
fn error(document: &Document, index: usize, key: &str, remedy: String) -> LoadError {
    let entry = document.value("faults").and_then(|faults| faults.get(index));
    let value = entry.and_then(|entry| entry.get(key));
    document.origin.error(&format!("faults[{index}].{key}"), value, remedy)
}

fn fault(document: &Document, workload: &Workload, index: usize) -> Result<(), LoadError> {
    let fault = &workload.faults[index];
    let refuse = |key: &str, remedy: String| Err(error(document, index, key, remedy));
    if fault.at_s > workload.load.duration_s {
        let end = workload.load.duration_s;
        return refuse("at_s", format!("must be at most load.duration_s, which is {end}"));
    }
    let (key, named) = (fault.action.key(), replicas_of(&fault.action));
    let smallest = replicas_min(workload);
    if let Some(replica) = named.iter().find(|replica| replica.index() >= smallest) {
        let remedy = format!("there is no replica {}: use 0 to {}", replica.0, smallest - 1);
        let key = match &fault.action {
            Action::Links(links) if links.from.iter().flatten().any(|from| from == replica) => {
                "from"
            }
            Action::Links(_) => "to",
            _ => key,
        };
        return refuse(key, remedy);
    }
    if matches!(fault.action, Action::Restart(_))
        && workload.cluster.durability.values().contains(&Durability::Memory)
    {
        return refuse(
            key,
            "nothing survives in memory: use cluster.durability = \"fsync\" or \"buffered\""
                .to_owned(),
        );
    }
    if let Action::Partition(Partition::Groups(groups)) = &fault.action {
        let listed: usize = groups.iter().map(Vec::len).sum();
        if groups.len() == 1 {
            let leaves_some = listed < smallest;
            let remedy =
                format!("must leave some of the {smallest} replicas out, or name them all");
            return if leaves_some { Ok(()) } else { refuse(key, remedy) };
        }
        if let Some(n) = workload.cluster.replicas.values().iter().find(|n| **n != listed) {
            return refuse(key, format!("must name each of the {n} replicas once"));
        }
    }
    Ok(())
}

/// What a plan of many repetitions makes is bounded before it is made.
fn strikes(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let mut strikes: u64 = 0;
    for (index, fault) in workload.faults.iter().enumerate() {
        strikes = strikes.saturating_add(workload.strike_count(fault));
        if strikes > STRIKES_MAX {
            let remedy = format!("makes {strikes} strikes: must be at most {STRIKES_MAX} in all");
            return Err(error(document, index, "every_s", remedy));
        }
    }
    Ok(())
}

/// A majority must live: with fewer no protocol answers, and what is measured is the plan.
fn living(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let replicas = replicas_min(workload);
    let mut dead = Dead::default();
    for strike in workload.strikes() {
        match strike.action {
            Action::Kill(target) => dead.kill(*target),
            Action::Restart(target) => dead.restart(*target),
            _ => {}
        }
        if dead.count() > faults_tolerated(replicas) {
            let remedy = format!(
                "may leave {} of {replicas} replicas dead at {} s, and a majority must live: kill fewer, or restart \
                 one before",
                dead.count(),
                strike.at_ns as f64 / 1e9,
            );
            return Err(error(document, strike.entry, "kill", remedy));
        }
    }
    Ok(())
}

/// The most replicas that may be dead, as far as a plan tells before anything is drawn.
#[derive(Default)]
struct Dead {
    /// Those that were named.
    named: Vec<ReplicaId>,
    /// How many more there may be, drawn or left over by a draw.
    drawn: usize,
}

impl Dead {
    fn count(&self) -> usize {
        self.named.len() + self.drawn
    }

    fn kill(&mut self, target: Target) {
        match target {
            Target::Replica(replica) if self.named.contains(&replica) => {}
            Target::Replica(replica) => self.named.push(replica),
            Target::Random | Target::Leader => self.drawn += 1,
        }
    }

    /// A drawn one is one fewer, but from then on nobody knows who is left. One that is named need not be among the
    /// drawn, so that nothing is certain to be fewer.
    fn restart(&mut self, target: Target) {
        match target {
            Target::Replica(replica) => self.named.retain(|named| *named != replica),
            Target::Random | Target::Leader => {
                self.drawn = self.count().saturating_sub(1);
                self.named.clear();
            }
        }
    }
}

/// The replicas that an action names.
fn replicas_of(action: &Action) -> Vec<ReplicaId> {
    match action {
        Action::Partition(Partition::Groups(groups)) => groups.concat(),
        Action::Partition(Partition::OneWay { from, to }) => {
            from.iter().chain(to).copied().collect()
        }
        Action::Slow(slow) => vec![slow.replica],
        Action::Links(links) => links.from.iter().chain(&links.to).flatten().copied().collect(),
        other => match other.target() {
            Some(Target::Replica(replica)) => vec![replica],
            _ => Vec::new(),
        },
    }
}
