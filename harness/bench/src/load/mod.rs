//! The clients of a run as both drivers have them: what each asks for and waits for, and what they saw.
//!
//! [`clients`] is who asks what, [`tally`] what was seen in the measured window, [`knee`] which
//! rate is tried next where the highest is searched for. Nothing here reads a clock or knows how a
//! request travels.

pub(crate) mod clients;
pub(crate) mod knee;
#[cfg(test)]
mod known_answers;
pub(crate) mod tally;

use std::time::Duration;

use measure::{Finding, Identity, Limits, LoadMode, RunRecord, Severity};
use workload::{Arrivals, Driver, IntendedSend, Mode, Point, Run, Workload};

use self::tally::Tally;

/// A request is asked of so many replicas in turn before nothing more is hoped for.
pub(crate) const SENDS_MAX: u32 = 5;
/// Chosen: an open loop holds back, and its lag shows it, while more than this is outstanding: the generator must not
/// take the host's memory when the cluster does not keep up.
pub(crate) const OUTSTANDING_MAX: usize = 1 << 20;
/// Chosen: of so many keys, the most contended, the last value is read back at every replica, at the cost of a moment.
pub(crate) const READ_BACK_KEYS_MAX: usize = 1_000;
/// Chosen: so many of these reads are ordered as one batch, which costs little more than one of them alone.
pub(crate) const READ_BACK_BATCH: usize = 50;
/// How many times per client timeout overdue requests are looked for.
pub(crate) const SWEEPS_PER_TIMEOUT: u32 = 10;

/// How long answers are waited for after the measured window, while the load goes on: until the last request that was sent
/// in it would be given up.
pub(crate) fn wait_max(workload: &Workload) -> Duration {
    let timeout = workload.timeouts().client;
    timeout * SENDS_MAX + timeout / SWEEPS_PER_TIMEOUT * 2
}
/// What stands before the number of a step in its name.
const STEP: &str = "-step";

/// When requests are sent.
#[derive(Debug)]
pub(crate) enum Pace {
    /// At a reply, the next: each client keeps `window` outstanding.
    Replies { window: usize },
    /// At their times: the next one of each site that has clients.
    Schedule(Vec<(Arrivals, IntendedSend)>),
}

impl Pace {
    /// That of a run with this seed.
    pub(crate) fn new(point: &Point, seed: u64) -> Self {
        if point.mode != Mode::Open {
            return Self::Replies { window: point.window };
        }
        // The sites with clients are the first ones, so that each one's place is its number.
        let sites = (0..point.replicas).filter_map(|site| {
            let mut arrivals = Arrivals::new(point, seed, site)?;
            let next = arrivals.next_send();
            Some((arrivals, next))
        });
        Self::Schedule(sites.collect())
    }

    /// Is everything sent that was due before `end_ns`?
    pub(crate) fn has_sent(&self, end_ns: u64) -> bool {
        match self {
            Self::Replies { .. } => true,
            Self::Schedule(sites) => sites.iter().all(|(_, next)| next.at_ns >= end_ns),
        }
    }

    /// Tells `tally` of every request that was due in its window and has not been sent at `now_ns`.
    pub(crate) fn give_up_unsent(&mut self, tally: &mut Tally, now_ns: u64) {
        let Self::Schedule(sites) = self else { return };
        let end_ns = tally.window().end_ns;
        for (site, (arrivals, next)) in sites.iter_mut().enumerate() {
            while next.at_ns < end_ns {
                tally.unsent(site, next.at_ns, now_ns);
                *next = arrivals.next_send();
            }
        }
    }
}

/// Which run this is, for results.
pub(crate) fn identity(run: &Run, driver: Driver) -> Identity {
    let point = &run.point;
    let count = |number: usize| u32::try_from(number).expect("workloads are checked to be smaller");
    Identity {
        protocol: run.protocol.name().to_owned(),
        driver: driver.name().to_owned(),
        point: point.canonical(),
        repetition: run.repetition,
        replicas: count(point.replicas),
        mode: match point.mode {
            Mode::Closed => LoadMode::Closed,
            Mode::Pipelined => LoadMode::Pipelined,
            Mode::Open => LoadMode::Open,
        },
        conflict_rate: point.conflict_rate(),
        clients: count(point.clients.clients()),
        window: count(point.window),
        rate_ops_per_s: point.open_rate(),
        value_bytes: point.value_bytes as u64,
        swept: point
            .swept()
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    }
}

/// A run's name in file names; that of a step begins with that of its search.
pub(crate) fn stem(run: &Run) -> String {
    let point = run.point.canonical().replace(' ', ",");
    let step = run.step.map_or_else(String::new, |step| format!("{STEP}{step}"));
    format!("{}-{point}-r{}{step}", run.protocol.name(), run.repetition)
}

/// Is `name` the one that a run or a step of its search has in file names, if `stem` is the run's?
pub(crate) fn is_of(stem: &str, name: &str) -> bool {
    let is_step = |rest: &str| {
        let step = rest.strip_prefix(STEP);
        step.is_some_and(|step| step.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || is_step(rest))
}

/// What is to be said of requests that were due and never answered, unless they are so many that the verdict says so.
pub(crate) fn given_up(record: &RunRecord) -> Option<Finding> {
    let unknown: u64 = record.sites.iter().map(|site| site.unknown).sum();
    let is_said = record.facts().unanswered_share() > Limits::default().unanswered_share_max;
    (unknown > 0 && !is_said).then(|| Finding {
        severity: Severity::Warning,
        text: format!("{unknown} operations were given up without an answer"),
        advice: "lower the load, or raise timeouts.client_ms".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use workload::{Plan, Workload};

    use super::*;

    fn pace(load: &str) -> Pace {
        let text = format!("name = \"x\"\nload = {{ {load} }}");
        let workload = Workload::parse("x.toml", &text, &[]).unwrap();
        let run = &Plan::new(&workload).runs[0];
        Pace::new(&run.point, run.seed)
    }

    #[test]
    fn what_an_open_loop_has_not_sent_is_waited_for_and_then_given_up() {
        const MS: u64 = 1_000_000;
        let mut open = pace("mode = \"open\", arrival = \"constant\", rate_ops_per_s = 1000");
        assert!(open.has_sent(0) && !open.has_sent(1), "the first is due at once");
        let mut tally = Tally::new(3, Duration::from_millis(10));
        tally.begin(2 * MS);
        tally.end(12 * MS);
        open.give_up_unsent(&mut tally, 20 * MS);
        assert_eq!((tally.due, tally.never_sent.len()), (10, 10), "one each millisecond");
        assert!(open.has_sent(12 * MS) && !open.has_sent(13 * MS));
        assert!(pace("mode = \"closed\"").has_sent(u64::MAX), "it has no schedule");
    }

    #[test]
    fn a_run_and_the_steps_of_its_search_have_names_of_their_own() {
        let text = "name = \"x\"\nload.window = [1]\nprotocols = [\"epaxos\"]";
        let run = Plan::new(&Workload::parse("x.toml", text, &[]).unwrap()).runs[0].clone();
        let (of_run, of_step) = (stem(&run), stem(&run.at(12, 5.0)));
        assert_eq!(of_run, "epaxos-window=1-r1");
        assert_eq!(of_step, "epaxos-window=1-r1-step12");
        assert!(is_of(&of_run, &of_run) && is_of(&of_run, &of_step));
        for other in ["epaxos-window=1-r12", "epaxos-window=1-r1-stepx", "paxos-window=1-r1", ""] {
            assert!(!is_of(&of_run, other), "{other}");
        }
    }
}
