//! The clients of a run as both drivers have them: what each asks for and waits for, and what they saw.
//!
//! [`clients`] is who asks what, [`tally`] what was seen in the measured window. Nothing here reads a clock or knows how a
//! request travels.

pub(crate) mod clients;
#[cfg(test)]
mod known_answers;
pub(crate) mod tally;

use std::time::Duration;

use measure::{Finding, Identity, Limits, LoadMode, RunRecord, Severity};
use workload::{Arrivals, Driver, IntendedSend, Mode, Point, Run, Workload};

/// A request is asked of so many replicas in turn before nothing more is hoped for.
pub(crate) const SENDS_MAX: u8 = 5;
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
    timeout * u32::from(SENDS_MAX) + timeout / SWEEPS_PER_TIMEOUT * 2
}

/// When requests are sent.
#[derive(Debug)]
pub(crate) enum Pace {
    /// At a reply, the next: each client keeps `window` outstanding.
    Replies { window: usize },
    /// At their times: the next one of each site.
    Schedule(Vec<(Arrivals, IntendedSend)>),
}

impl Pace {
    /// That of a run with this seed.
    pub(crate) fn new(point: &Point, seed: u64) -> Self {
        if point.mode != Mode::Open {
            return Self::Replies { window: point.window };
        }
        let sites = (0..point.replicas).map(|site| {
            let mut arrivals = Arrivals::new(point, seed, site);
            let next = arrivals.next_send();
            (arrivals, next)
        });
        Self::Schedule(sites.collect())
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
        clients_per_site: count(point.clients_per_site),
        window: count(point.window),
        rate_ops_per_s: (point.mode == Mode::Open).then_some(point.rate_ops_per_s),
        value_bytes: point.value_bytes as u64,
        swept: point
            .swept()
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    }
}

/// A run's name in file names.
pub(crate) fn stem(run: &Run) -> String {
    let point = run.point.canonical().replace(' ', ",");
    format!("{}-{point}-r{}", run.protocol.name(), run.repetition)
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
