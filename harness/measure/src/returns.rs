//! How soon throughput was back after each fault that ended, at every site.
//!
//! **Before** is the mean from the start of measuring to the first fault of the run. A site is
//! **back** at the first moment from which on it answers at least the promised share of that: over
//! the second that begins then, and over all of the time that the fault answers for, which ends
//! with the next fault or with the measuring. A second, so that neither one tenth of a second with
//! many answers nor one with few decides; all of the time, so that a burst of what had waited does
//! not.
//!
//! All of it is computed from the counts of `timeseries.csv`; within a tenth of a second answers
//! are taken to be spread evenly. Moments are looked at in steps of a tenth of a second from the
//! end of the fault on.

use serde::{Deserialize, Serialize};

use crate::{
    csv_row::CsvRow,
    rows::ALL,
    run::{RunRecord, SiteRecord},
    timeline::{BUCKET_MS, Timeline},
    verdict::{Finding, Severity},
    windows::{Window, windows},
};

/// Chosen: what the module's text says; hundreds of answers at the rates of most runs.
pub const RETURN_OVER_S: f64 = 1.0;

const BUCKET_S: f64 = BUCKET_MS as f64 / 1e3;
/// Times are sums of tenths of a second.
const ROUNDING: f64 = 1e-9;

/// What runs are held to after each fault that ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// The share of its throughput before at which each site is back, 0..=1.
    pub share: f64,
    /// Within how many seconds after the end of the fault.
    pub within_s: f64,
}

/// A row of `returns.csv`: one site (or [`ALL`]) after one fault. `lowest_ops_per_s` is the lowest
/// mean over a second from the begin of the fault on; `returned_s` is how long after its end the
/// site was back, empty if it was not in the time that the fault answers for; `share_at_bound` is
/// the share over the second that begins `promised_s` after its end, empty where nothing was
/// answered before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct ReturnRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub fault: String,
    pub from_s: f64,
    pub to_s: f64,
    pub site: String,
    pub before_ops_per_s: f64,
    pub lowest_ops_per_s: f64,
    pub returned_s: Option<f64>,
    pub share_at_bound: Option<f64>,
    pub promised_share: f64,
    pub promised_s: f64,
    pub kept: bool,
}

impl CsvRow for ReturnRow {
    const FILE: &'static str = "returns.csv";
}

/// Operations answered up to each tenth of a second.
struct Answered {
    /// When each bucket begins, and how many were answered before; the end of the last one is an
    /// entry of its own.
    sums: Vec<(f64, f64)>,
}

impl Answered {
    fn new(timeline: &Timeline) -> Self {
        let mut sums = vec![(0.0, 0.0)];
        let (mut at_s, mut sum) = (0.0, 0.0);
        for (index, bucket) in timeline.buckets().iter().enumerate() {
            at_s += timeline.width_ms(index) / 1e3;
            sum += bucket.operations() as f64;
            sums.push((at_s, sum));
        }
        Self { sums }
    }

    /// How many were answered before `at_s`.
    fn until(&self, at_s: f64) -> f64 {
        let after = self.sums.partition_point(|(begin_s, _)| *begin_s <= at_s);
        let (from_s, sum) = self.sums[after.max(1) - 1];
        match self.sums.get(after) {
            Some((to_s, next)) => sum + (next - sum) * (at_s - from_s) / (to_s - from_s),
            None => sum,
        }
    }

    /// Operations per second from `from_s` to `to_s`.
    fn rate(&self, from_s: f64, to_s: f64) -> f64 {
        let length_s = to_s - from_s;
        if length_s > 0.0 { (self.until(to_s) - self.until(from_s)) / length_s } else { 0.0 }
    }
}

/// One fault that ended, and the time that it answers for.
struct Ended {
    window: Window,
    /// When the first fault of the run began.
    first_s: f64,
    until_s: f64,
}

impl RunRecord {
    /// The rows of `returns.csv`; none of a run that promises nothing.
    pub(crate) fn return_rows(&self) -> Vec<ReturnRow> {
        let Some(promise) = self.promise else { return Vec::new() };
        let sites = self.sites_with_clients();
        let Some((first, others)) = sites.split_first() else { return Vec::new() };
        let mut everywhere = first.timeline.clone();
        others.iter().for_each(|site| everywhere.merge(&site.timeline));
        let mut places = vec![(ALL, Answered::new(&everywhere))];
        places.extend(sites.iter().map(|site| (&*site.site, Answered::new(&site.timeline))));
        let mut rows = Vec::new();
        for ended in self.ended_faults() {
            for (site, answered) in &places {
                rows.push(self.return_row(&ended, site, answered, promise));
            }
        }
        rows
    }

    /// What is to be said of the faults after which a site was not back in time: one finding a
    /// fault.
    pub fn missed_returns(&self) -> Vec<Finding> {
        let rows = self.return_rows();
        let of_one_fault = |a: &ReturnRow, b: &ReturnRow| a.fault == b.fault && a.to_s == b.to_s;
        rows.chunk_by(of_one_fault).filter_map(missed).collect()
    }

    /// The sites with clients are the first ones.
    fn sites_with_clients(&self) -> &[SiteRecord] {
        &self.sites[..self.sites.len().min(self.identity.clients as usize)]
    }

    fn ended_faults(&self) -> Vec<Ended> {
        let end_s = self.elapsed.as_secs_f64();
        let all = windows(&self.events, end_s);
        let first_s = all.iter().map(|window| window.from_s).fold(end_s, f64::min);
        // Of one that ends with the measuring, or hardly before, nothing can be said.
        let ended = all.iter().filter(|window| window.to_s + RETURN_OVER_S <= end_s + ROUNDING);
        let ended = ended.map(|window| {
            let later =
                all.iter().map(|other| other.from_s).filter(|from_s| *from_s >= window.to_s);
            Ended { window: window.clone(), first_s, until_s: later.fold(end_s, f64::min) }
        });
        ended.collect()
    }

    fn return_row(
        &self,
        ended: &Ended,
        site: &str,
        answered: &Answered,
        promise: Promise,
    ) -> ReturnRow {
        let id = &self.identity;
        let Ended { window, first_s, until_s } = ended;
        let before = answered.rate(0.0, *first_s);
        let enough = promise.share * before;
        let second = |at_s: f64| answered.rate(at_s, at_s + RETURN_OVER_S);
        let is_back =
            |at_s: &f64| second(*at_s) >= enough && answered.rate(*at_s, *until_s) >= enough;
        let returned_s = (before > 0.0)
            .then(|| moments(window.to_s, *until_s).find(is_back).map(|at_s| at_s - window.to_s))
            .flatten();
        let bound_s = (window.to_s + promise.within_s).min(until_s - RETURN_OVER_S);
        let share_at_bound = (before > 0.0).then(|| second(bound_s.max(window.to_s)) / before);
        let lowest = moments(window.from_s, *until_s).map(second).fold(before, f64::min);
        ReturnRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            repetition: id.repetition,
            fault: window.label.clone(),
            from_s: thousandths(window.from_s),
            to_s: thousandths(window.to_s),
            site: site.to_owned(),
            before_ops_per_s: thousandths(before),
            lowest_ops_per_s: thousandths(lowest),
            returned_s: returned_s.map(thousandths),
            share_at_bound: share_at_bound.map(thousandths),
            promised_share: promise.share,
            promised_s: promise.within_s,
            kept: returned_s.is_some_and(|s| s <= promise.within_s + ROUNDING),
        }
    }
}

/// The moments from `from_s` on after which a second is left until `until_s`.
fn moments(from_s: f64, until_s: f64) -> impl Iterator<Item = f64> {
    let moment = move |step: u32| from_s + f64::from(step) * BUCKET_S;
    (0..).map(moment).take_while(move |at_s| at_s + RETURN_OVER_S <= until_s + ROUNDING)
}

/// The finding about one fault, if a site was not back in time. Of several sites the one is named
/// that had least.
fn missed(rows: &[ReturnRow]) -> Option<Finding> {
    let sites: Vec<&ReturnRow> = rows.iter().filter(|row| row.site != ALL && !row.kept).collect();
    let share = |row: &&&ReturnRow| row.share_at_bound.unwrap_or(0.0);
    let worst = sites.iter().min_by(|a, b| share(a).total_cmp(&share(b)))?;
    let ReturnRow { fault, site, to_s, promised_s, promised_share, .. } = worst;
    let site = site_name(site);
    let mut text = match worst.share_at_bound {
        Some(share) => format!(
            "{site} is back at {} of its throughput {promised_s} s after the end of {fault} at {to_s} s, \
             less than {}",
            percent(share),
            percent(*promised_share)
        ),
        None => format!("{site} answered nothing before {fault}: it cannot be said to be back"),
    };
    text.push_str(&match (worst.returned_s, worst.share_at_bound) {
        (Some(returned_s), _) => format!(", and was back for good after {returned_s} s"),
        (None, Some(_)) => ", and did not come back".to_owned(),
        (None, None) => String::new(),
    });
    text.push_str(&match sites.len() {
        1 => String::new(),
        2 => "; nor is another site back".to_owned(),
        some => format!("; nor are {} other sites", some - 1),
    });
    let advice = "returns.csv has every site, and a plot its throughput over time".to_owned();
    Some(Finding { severity: Severity::Missed, text, advice })
}

/// A site for people: a number says that it is one.
pub fn site_name(site: &str) -> String {
    if site.parse::<u32>().is_ok() { format!("site {site}") } else { site.to_owned() }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn thousandths(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::run::Event;

    const PROMISE: Promise = Promise { share: 0.9, within_s: 5.0 };

    /// A site that answers as many operations per second as are given, each for so many seconds.
    fn site(name: &str, parts: &[(u64, u64)]) -> SiteRecord {
        let all_s: u64 = parts.iter().map(|(seconds, _)| seconds).sum();
        let mut site = SiteRecord::new(name, Duration::from_secs(all_s));
        let mut from_ns = 0;
        for (seconds, rate) in parts {
            for number in 0..seconds * rate {
                site.answer(from_ns + number * 1_000_000_000 / rate);
            }
            from_ns += seconds * 1_000_000_000;
        }
        site
    }

    fn run(sites: Vec<SiteRecord>, seconds: u64, events: &[(f64, &str, &str)]) -> RunRecord {
        let event = |(t_s, event, detail): &(f64, &str, &str)| Event {
            t_s: *t_s,
            event: (*event).to_owned(),
            detail: (*detail).to_owned(),
        };
        let mut run = RunRecord {
            elapsed: Duration::from_secs(seconds),
            sites,
            events: events.iter().map(event).collect(),
            promise: Some(PROMISE),
            ..RunRecord::empty_for_tests()
        };
        run.identity.clients = 100;
        run
    }

    const PAUSE: [(f64, &str, &str); 2] = [(3.0, "pause", "r1"), (4.0, "resume", "r1")];

    /// Before, lowest, back after, share at the bound, of one site.
    fn figures(row: &ReturnRow) -> (f64, f64, Option<f64>, Option<f64>, bool) {
        let ReturnRow { before_ops_per_s: before, lowest_ops_per_s: lowest, .. } = *row;
        (before, lowest, row.returned_s, row.share_at_bound, row.kept)
    }

    #[test]
    fn a_site_is_back_at_the_first_second_with_enough_of_what_it_had() {
        let back = site("0", &[(3, 100), (1, 20), (2, 60), (6, 95)]);
        let never = site("1", &[(3, 200), (9, 82)]);
        let run = run(vec![back, never], 12, &PAUSE);
        let rows = run.return_rows();
        let sites: Vec<&str> = rows.iter().map(|row| &*row.site).collect();
        assert_eq!(sites, [ALL, "0", "1"]);
        // A tenth of a second with 60 and nine with 95 a second are 91.5 in a second.
        assert_eq!(figures(&rows[1]), (100.0, 20.0, Some(1.9), Some(0.95), true));
        assert_eq!(figures(&rows[2]), (200.0, 82.0, None, Some(0.41), false));
        assert_eq!((rows[0].before_ops_per_s, rows[0].kept), (300.0, false));
        assert_eq!((&*rows[1].fault, rows[1].from_s, rows[1].to_s), ("pause r1", 3.0, 4.0));
        let [finding] = &run.missed_returns()[..] else { panic!("one fault") };
        assert_eq!(finding.severity, Severity::Missed);
        assert_eq!(
            finding.text,
            "site 1 is back at 41 % of its throughput 5 s after the end of pause r1 at 4 s, less than 90 %, and did not come \
             back"
        );
    }

    /// What had waited is answered at once, and then the site is slow again: that is not back.
    #[test]
    fn a_burst_is_not_back_and_too_late_is_said_to_be() {
        let burst = site("0", &[(3, 100), (1, 0), (1, 150), (9, 50)]);
        let late = site("1", &[(3, 100), (8, 60), (3, 100)]);
        let run = run(vec![burst, late], 14, &PAUSE);
        let rows = run.return_rows();
        assert_eq!(figures(&rows[1]), (100.0, 0.0, None, Some(0.5), false));
        assert_eq!(figures(&rows[2]), (100.0, 60.0, Some(6.8), Some(0.6), false));
        let text = &run.missed_returns()[0].text;
        assert!(
            text.starts_with("site 0 is back at 50 %") && text.ends_with("another site back"),
            "{text}"
        );
    }

    #[test]
    fn each_fault_answers_until_the_next_and_one_without_an_end_for_nothing() {
        let steady = site("0", &[(20, 50)]);
        let events = [
            (2.0, "partition", "r0 | r1 r2"),
            (3.0, "heal", "every partition ends"),
            (10.0, "kill", "r2 (target: leader)"),
            (11.0, "restart", "r2 (target: random)"),
            (11.5, "back", "r2: up and its log replayed after 500.0 ms"),
            (18.0, "slow", "r1 4 times slower"),
            // As the measuring ended, which was a little later than planned.
            (19.999, "faults-end", "so that the replicas can be compared"),
        ];
        let run = run(vec![steady], 20, &events);
        let rows = run.return_rows();
        let of_site: Vec<_> =
            rows.iter().filter(|row| row.site == "0").map(|row| (&*row.fault, row.to_s)).collect();
        assert_eq!(of_site, [("partition", 3.0), ("kill r2", 11.5)]);
        assert!(rows.iter().all(|row| row.kept && row.returned_s == Some(0.0)), "{rows:?}");
        assert!(run.missed_returns().is_empty());
        // What the second did is not the first one's fault.
        let broken = RunRecord { sites: vec![site("0", &[(10, 50), (10, 5)])], ..run };
        let kept: Vec<bool> =
            broken.return_rows().iter().filter(|row| row.site == "0").map(|row| row.kept).collect();
        assert_eq!(kept, [true, false]);
    }

    #[test]
    fn what_answered_nothing_before_is_not_back_and_sites_without_clients_are_not_asked() {
        let mut run = run(vec![site("0", &[(12, 10)]), site("1", &[(3, 0), (9, 10)])], 12, &PAUSE);
        let text = &run.missed_returns()[0].text;
        assert_eq!(text, "site 1 answered nothing before pause r1: it cannot be said to be back");
        run.identity.clients = 1;
        assert!(run.missed_returns().is_empty());
        run.promise = None;
        assert!(run.return_rows().is_empty());
    }
}
