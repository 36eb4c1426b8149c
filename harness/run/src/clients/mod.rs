//! The clients of a run as both drivers have them: what each asks for and waits for, and what they
//! saw.
//!
//! [`outstanding`] has what each client asked for and waits for, [`tally`] what was seen in the
//! measured window, [`knee`] chooses the next rate where the highest is searched for. Nothing here
//! reads a clock or knows how a request travels.

pub(crate) mod knee;
#[cfg(test)]
mod known_answers;
pub(crate) mod outstanding;
pub(crate) mod tally;

use std::time::Duration;

use measure::{Finding, Limits, Promise, RunRecord, Severity};
use workload::{Arrivals, IntendedSend, Mode, Point, Workload};

use self::{outstanding::Clients, tally::Tally};
use crate::history::{SiteProcesses, WindowFile};

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

/// What the history of a run is counted by, once its load is over.
pub(crate) fn window_file(tally: &Tally, clients: &Clients) -> WindowFile {
    let window = tally.window();
    let sites = tally.sites.iter().enumerate().map(|(site, record)| SiteProcesses {
        site: record.site.clone(),
        processes: clients.sessions_at(site),
        never_sent_due_ns: (tally.never_sent.iter())
            .filter(|(of, _)| *of == site)
            .map(|(_, due_ns)| *due_ns)
            .collect(),
    });
    WindowFile {
        begin_ns: window.begin_ns,
        end_ns: window.end_ns,
        closed_ns: window.closed_ns,
        sites: sites.collect(),
        thinned: false,
    }
}

/// What a run of `workload` is held to after each fault.
pub(crate) fn promise(workload: &Workload) -> Option<Promise> {
    workload.returns.map(|returns| Promise { share: returns.share, within_s: returns.within_s })
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
}
