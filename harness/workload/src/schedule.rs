//! The fault plan over a run: which fault strikes when, and whom a drawn one strikes.

use std::{fmt, time::Duration};

use protocols::{ReplicaId, ReplicaSet};
use rand_chacha::ChaCha8Rng;

use crate::{
    fault::{Action, Fault, Partition, Target},
    model::Workload,
    seed::{self, Purpose},
};

/// One occurrence of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strike<'a> {
    /// When, from the start of measuring.
    pub at_ns: u64,
    /// Its `[[faults]]` entry, from 0.
    pub entry: usize,
    /// What is done.
    pub action: &'a Action,
}

impl Workload {
    /// The occurrences of every fault from the start of measuring to its end, both included, in the order of time; at the
    /// same time in the order of the file.
    pub fn strikes(&self) -> Vec<Strike<'_>> {
        let end_ns = nanoseconds(self.load.duration_s);
        let mut strikes: Vec<Strike<'_>> = Vec::new();
        for (entry, fault) in self.faults.iter().enumerate() {
            let times = times_ns(fault, end_ns);
            strikes.extend(times.map(|at_ns| Strike { at_ns, entry, action: &fault.action }));
        }
        strikes.sort_by_key(|strike| strike.at_ns);
        strikes
    }

    /// How many occurrences [`Workload::strikes`] has of one fault.
    pub(crate) fn strike_count(&self, fault: &Fault) -> u64 {
        let (end_ns, first_ns) = (nanoseconds(self.load.duration_s), nanoseconds(fault.at_s));
        match fault.every_s {
            _ if first_ns > end_ns => 0,
            None => 1,
            Some(every_s) => 1 + (end_ns - first_ns) / nanoseconds(every_s).max(1),
        }
    }

    /// The longest that a round trip can take: that of the slowest pair of sites of the largest cluster, jitter and the
    /// fault plan's largest delay included, both ways. Zero on the bare loopback.
    pub fn round_trip_max(&self) -> Duration {
        let delay_ms = |fault: &Fault| match &fault.action {
            Action::Links(links) => {
                Some(links.delay_ms.unwrap_or(0.0) + links.jitter_ms.unwrap_or(0.0))
            }
            _ => None,
        };
        let delay_ms_max = self.faults.iter().filter_map(delay_ms).fold(0.0, f64::max);
        let replicas_max = self.cluster.replicas.values().iter().copied().max().unwrap_or(0);
        let sites = self.sites(replicas_max);
        let between_sites = sites.map_or(Duration::ZERO, |sites| sites.round_trip_max());
        between_sites + Duration::from_secs_f64(2.0 * delay_ms_max / 1e3)
    }
}

/// The times of one fault up to `end_ns`. Repetitions are counted, not added up, so that none drifts.
fn times_ns(fault: &Fault, end_ns: u64) -> impl Iterator<Item = u64> {
    let first_ns = nanoseconds(fault.at_s);
    let every_ns = fault.every_s.map(|every_s| nanoseconds(every_s).max(1));
    let time_ns = move |repeat: u64| match every_ns {
        None => (repeat == 0).then_some(first_ns),
        Some(every_ns) => first_ns.checked_add(every_ns.checked_mul(repeat)?),
    };
    (0..).map_while(time_ns).take_while(move |at_ns| *at_ns <= end_ns)
}

fn nanoseconds(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most a day, checked at load")]
    let ns = (seconds * 1e9).round() as u64;
    ns
}

/// Decides whom faults strike whose target is not a number. Seeded by the run, so that every driver that resolves the
/// same targets among the same candidates strikes the same replicas.
#[derive(Clone, Debug)]
pub struct Victims {
    rng: ChaCha8Rng,
}

impl Victims {
    /// Those of the run with this seed.
    pub fn new(run_seed: u64) -> Self {
        Self { rng: seed::generator(run_seed, Purpose::Faults, 0, 0) }
    }

    /// Whom `target` means now.
    ///
    /// `candidates` are those for which the action makes sense: to be killed or paused who is up and runs, to be
    /// restarted who was killed, to be resumed who is paused. `leader` is the leader, if the protocol has one and it is
    /// known; if it is no candidate (a killed leader is restarted) a candidate is drawn. None: there is nobody to
    /// strike, and the fault is void. Nothing is drawn for a target that needs no draw.
    pub fn resolve(
        &mut self,
        target: Target,
        candidates: ReplicaSet,
        leader: Option<ReplicaId>,
    ) -> Option<ReplicaId> {
        match target {
            Target::Replica(replica) => candidates.contains(replica).then_some(replica),
            Target::Leader => leader
                .filter(|leader| candidates.contains(*leader))
                .or_else(|| self.draw(candidates)),
            Target::Random => self.draw(candidates),
        }
    }

    fn draw(&mut self, candidates: ReplicaSet) -> Option<ReplicaId> {
        if candidates.is_empty() {
            return None;
        }
        let drawn = seed::below(&mut self.rng, candidates.len() as u64);
        candidates.iter().nth(usize::try_from(drawn).ok()?)
    }
}

impl Action {
    /// The key that stands in the file, for `events.csv`: `kill`, `heal`, `slow`, …; `links` for worse links.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Restart(_) => "restart",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Partition(_) => "partition",
            Self::Heal => "heal",
            Self::Slow(_) => "slow",
            Self::Links(_) => "links",
        }
    }

    /// The key of its entry that errors are about: as the name, but of worse links the first that is given.
    pub(crate) const fn key(&self) -> &'static str {
        match self {
            Self::Links(links) if links.loss_rate.is_some() => "loss_rate",
            Self::Links(links) if links.duplicate_rate.is_some() => "duplicate_rate",
            Self::Links(links) if links.delay_ms.is_some() => "delay_ms",
            Self::Links(links) if links.jitter_ms.is_some() => "jitter_ms",
            Self::Links(links) if links.reorder_rate.is_some() => "reorder_rate",
            Self::Links(_) => "bandwidth_mbit_per_s",
            other => other.name(),
        }
    }

    /// Whose replica has yet to be found, if the action strikes one.
    pub const fn target(&self) -> Option<Target> {
        match self {
            Self::Kill(target)
            | Self::Restart(target)
            | Self::Pause(target)
            | Self::Resume(target) => Some(*target),
            Self::Partition(_) | Self::Heal | Self::Slow(_) | Self::Links(_) => None,
        }
    }

    /// What `events.csv` says beside the name, once the target is known; none if there was nobody to strike.
    pub fn detail(&self, struck: Option<ReplicaId>) -> String {
        match (self, self.target(), struck) {
            (_, Some(Target::Replica(named)), None) => format!("{named}: nothing to do"),
            (_, Some(target), None) => format!("nobody to strike (target: {target})"),
            (_, Some(Target::Replica(_)), Some(struck)) => struck.to_string(),
            (_, Some(target), Some(struck)) => format!("{struck} (target: {target})"),
            (action, None, _) => action.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Leader => f.write_str("leader"),
            Self::Replica(replica) => write!(f, "{replica}"),
        }
    }
}

impl fmt::Display for Action {
    /// What is done, without the name: `r0 | r1 r2`, `r0 4 times`, `10 % of messages lost`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |replicas: &[ReplicaId]| {
            let names: Vec<String> = replicas.iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        match self {
            Self::Kill(target)
            | Self::Restart(target)
            | Self::Pause(target)
            | Self::Resume(target) => write!(f, "{target}"),
            Self::Partition(Partition::Groups(groups)) => {
                let groups: Vec<String> = groups.iter().map(|group| list(group)).collect();
                let others = if groups.len() == 1 { " | the others" } else { "" };
                write!(f, "{}{others}", groups.join(" | "))
            }
            Self::Partition(Partition::OneWay { from, to }) => {
                write!(f, "nothing from {} to {}", list(from), list(to))
            }
            Self::Heal => f.write_str("every partition ends"),
            Self::Slow(slow) => write!(f, "{} {} times slower", slow.replica, slow.factor),
            Self::Links(links) => write!(f, "{links}"),
        }
    }
}

impl fmt::Display for crate::fault::Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |rate: Option<f64>, what: &str| {
            rate.map(|rate| format!("{} % {what}", (rate * 1e6).round() / 1e4))
        };
        let parts = [
            share(self.loss_rate, "lost"),
            share(self.duplicate_rate, "twice"),
            share(self.reorder_rate, "held back"),
            self.delay_ms.map(|delay_ms| format!("{delay_ms} ms longer")),
            self.jitter_ms.map(|jitter_ms| format!("up to {jitter_ms} ms longer")),
            self.bandwidth_mbit_per_s.map(|mbit_per_s| match mbit_per_s {
                0.0 => "no limit of bandwidth".to_owned(),
                mbit_per_s => format!("{mbit_per_s} Mbit/s"),
            }),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let ends = [("from", &self.from), ("to", &self.to)].map(|(word, replicas)| {
            let replicas = replicas.iter().flatten().map(|replica| format!(" {replica}"));
            let list: String = replicas.collect();
            if list.is_empty() { list } else { format!(" {word}{list}") }
        });
        write!(f, "{}{}, layer {}", parts.join(", "), ends.concat(), self.layer.name())
    }
}
