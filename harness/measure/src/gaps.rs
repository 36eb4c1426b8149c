//! What each fault cost in silence: the longest time after it without a reply, a commit or an execution.
//!
//! A fault is answered for until the next one strikes. A silence that began before a fault counts from the fault on. One
//! that lasts beyond the next fault counts in full, since it is what the fault began, unless nearly all of it came after
//! that next fault: then it is the next one's, and only what came before counts. All of it is exact, from the events
//! themselves and not from the buckets of `timeseries.csv`.

use crate::{
    replica::ReplicaReport,
    rows::{ALL, GapRow},
    run::{Event, RunRecord},
    series::Series,
    silence::{Silence, Silences},
};

/// The events that are faults, or the ends of faults; others (a lost session, say) are their consequences.
const STRIKES: [&str; 8] =
    ["kill", "restart", "pause", "resume", "partition", "heal", "slow", "links"];

/// What the silence is of.
pub const REPLIES: &str = "reply";
/// As [`REPLIES`].
pub const COMMITS: &str = "commit";
/// As [`REPLIES`].
pub const EXECUTIONS: &str = "execution";
/// A committed request that waits for its execution.
pub const WAITS: &str = "wait";

/// Chosen: a silence of which less than one part in so many came before the next fault is that one's.
const OWN_SHARE: u64 = 10;

/// One fault, and the time that it answers for.
struct Strike<'a> {
    event: &'a Event,
    from_ns: u64,
    until_ns: u64,
    /// Replicas that are killed or paused once it has struck.
    down: Vec<String>,
}

/// A way to find some silences of a series.
type Track = (&'static str, fn(&Series) -> Vec<Silence>);

const TRACKS: [Track; 3] = [
    (COMMITS, |series| all(&series.commits, series.ends_ns)),
    (EXECUTIONS, |series| all(&series.executions, series.ends_ns)),
    (WAITS, |series| series.waits.ended().to_vec()),
];

impl RunRecord {
    /// The rows of `gaps.csv`.
    pub(crate) fn gap_rows(&self) -> Vec<GapRow> {
        let end_ns = u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX);
        strikes(&self.events, end_ns)
            .iter()
            .flat_map(|strike| self.gaps_of(strike, end_ns))
            .collect()
    }

    fn gaps_of(&self, strike: &Strike<'_>, end_ns: u64) -> Vec<GapRow> {
        let everywhere = [(ALL, &self.replies)];
        // The sites with clients are the first ones: where there are none, silence says nothing.
        let with_clients = self.sites.iter().take(self.identity.clients as usize);
        let sites = with_clients.map(|site| (site.site.as_str(), &site.replies));
        let mut rows: Vec<GapRow> = everywhere
            .into_iter()
            .chain(sites)
            .filter_map(|(site, replies)| {
                let longest = strike.longest(all(replies, end_ns), end_ns)?;
                Some(self.gap_row(strike, REPLIES, site, longest, end_ns))
            })
            .collect();
        for replica in 0..self.identity.replicas {
            let name = format!("r{replica}");
            if strike.down.contains(&name) {
                continue;
            }
            for (what, silences) in TRACKS {
                let silences = self.series_of(replica).flat_map(|series| {
                    let begins_ns = series.begins_ns;
                    silences(series).into_iter().map(move |silence| later(silence, begins_ns))
                });
                if let Some(longest) = strike.longest(silences.collect(), end_ns) {
                    rows.push(self.gap_row(strike, what, &name, longest, end_ns));
                }
            }
        }
        rows
    }

    /// What every process reported that was this replica in the measured time, the earlier ones first.
    pub(crate) fn series_of(&self, replica: u32) -> impl Iterator<Item = &Series> {
        let of_it = move |report: &&ReplicaReport| report.replica == replica;
        self.ended.iter().chain(&self.replicas).filter(of_it).map(|report| &report.series)
    }

    fn gap_row(
        &self,
        strike: &Strike<'_>,
        what: &str,
        place: &str,
        longest: Silence,
        end_ns: u64,
    ) -> GapRow {
        let id = &self.identity;
        let seconds = |ns: u64| (ns as f64 / 1e3).round() / 1e6;
        GapRow {
            protocol: id.protocol.clone(),
            driver: id.driver.clone(),
            point: id.point.clone(),
            repetition: id.repetition,
            t_s: seconds(strike.from_ns),
            event: strike.event.event.clone(),
            detail: strike.event.detail.clone(),
            until_s: seconds(strike.until_ns),
            what: what.to_owned(),
            place: place.to_owned(),
            gap_ms: (longest.length_ns() as f64 / 1e3).round() / 1e3,
            from_s: seconds(longest.from_ns),
            to_s: seconds(longest.to_ns),
            ended: longest.to_ns < end_ns,
        }
    }
}

impl Strike<'_> {
    /// The longest of `silences` in the time of this strike, what is outside of it and of the run cut off.
    fn longest(&self, silences: Vec<Silence>, end_ns: u64) -> Option<Silence> {
        silences
            .into_iter()
            .filter(|silence| silence.to_ns > self.from_ns && silence.from_ns < self.until_ns)
            .map(|silence| {
                let from_ns = silence.from_ns.max(self.from_ns);
                let to_ns = silence.to_ns.min(end_ns);
                let (own_ns, all_ns) = (self.until_ns.saturating_sub(from_ns), to_ns - from_ns);
                let next_ones = own_ns < all_ns / OWN_SHARE;
                Silence { from_ns, to_ns: if next_ones { self.until_ns } else { to_ns } }
            })
            .max_by_key(Silence::length_ns)
    }
}

/// The faults of a run that struck somebody, in order.
fn strikes(events: &[Event], end_ns: u64) -> Vec<Strike<'_>> {
    let mut down: Vec<String> = Vec::new();
    let mut strikes: Vec<Strike<'_>> = Vec::new();
    for event in events.iter().filter(|event| is_strike(event)) {
        let from_ns = nanoseconds(event.t_s);
        if from_ns >= end_ns {
            continue;
        }
        let struck = event.detail.split_whitespace().next().unwrap_or_default().to_owned();
        match event.event.as_str() {
            "kill" | "pause" => down.push(struck),
            "restart" | "resume" => down.retain(|name| *name != struck),
            _ => {}
        }
        if let Some(last) = strikes.last_mut() {
            last.until_ns = from_ns;
        }
        strikes.push(Strike { event, from_ns, until_ns: end_ns, down: down.clone() });
    }
    strikes
}

/// A fault that found nobody to strike is none.
fn is_strike(event: &Event) -> bool {
    let void = ["nobody to strike", "nothing to do"];
    STRIKES.contains(&event.event.as_str())
        && event.t_s >= 0.0
        && !void.iter().any(|words| event.detail.contains(words))
}

fn all(silences: &Silences, end_ns: u64) -> Vec<Silence> {
    silences.ended().iter().copied().chain(silences.open(end_ns)).collect()
}

fn later(silence: Silence, by_ns: u64) -> Silence {
    Silence { from_ns: silence.from_ns + by_ns, to_ns: silence.to_ns.saturating_add(by_ns) }
}

fn nanoseconds(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times of a run")]
    let ns = (seconds.max(0.0) * 1e9).round() as u64;
    ns
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{identity::Identity, run::SiteRecord, series::SeriesRecorder, verdict::Verdict};

    const MS: u64 = 1_000_000;

    fn event(t_s: f64, event: &str, detail: &str) -> Event {
        Event { t_s, event: event.to_owned(), detail: detail.to_owned() }
    }

    /// A second at one site and two replicas, with an event of each kind at each of these milliseconds.
    fn run(replies_ms: &[u64], replicas_ms: [&[u64]; 2], events: Vec<Event>) -> RunRecord {
        let mut site = SiteRecord::new("0", Duration::from_secs(1));
        replies_ms.iter().for_each(|at_ms| site.answer(at_ms * MS));
        let report = |(replica, times_ms): (u32, &[u64])| {
            let mut recorder = SeriesRecorder::default();
            for at_ms in times_ms {
                recorder.commit_seen(at_ms * MS);
                recorder.committed(at_ms * MS, 2 * MS);
                recorder.execution_seen((at_ms + 1) * MS);
                recorder.executed((at_ms + 1) * MS, 3 * MS, at_ms * MS);
            }
            let series = recorder.series(1_005 * MS);
            ReplicaReport { replica, series, ..ReplicaReport::default() }
        };
        RunRecord {
            identity: Identity { replicas: 2, clients: 2, ..Identity::default() },
            started: SystemTime::UNIX_EPOCH,
            elapsed: Duration::from_secs(1),
            offered_ops_per_s: None,
            generator_lag: None,
            has_fast_path: false,
            replies: site.replies.clone(),
            sites: vec![site, SiteRecord::new("1", Duration::from_secs(1))],
            replicas: (0..).zip(replicas_ms).map(report).collect(),
            ended: Vec::new(),
            server_cpu_s: None,
            client_cpu_s: None,
            events,
            promise: None,
            recoveries: Vec::new(),
            kept: None,
            networks: Vec::new(),
            steps: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// The longest silences after each fault, as (fault, of what, where, from, to) in ms.
    fn gaps(run: &RunRecord) -> Vec<(String, String, String, f64, f64)> {
        let rows = run.gap_rows().into_iter();
        rows.map(|row| (row.event, row.what, row.place, row.from_s * 1e3, row.to_s * 1e3)).collect()
    }

    fn of(
        gaps: &[(String, String, String, f64, f64)],
        event: &str,
        what: &str,
        place: &str,
    ) -> Option<(f64, f64)> {
        let found = gaps.iter().find(|gap| (&*gap.0, &*gap.1, &*gap.2) == (event, what, place));
        found.map(|gap| (gap.3, gap.4))
    }

    #[test]
    fn the_longest_silence_after_a_fault_is_exact_and_of_those_that_live() {
        let killed = [90, 190];
        let lives = [100, 195, 437, 500, 990];
        let events = vec![
            event(0.0, "session-lost", "replica 0: bye"),
            event(0.2, "kill", "r0 (target: leader)"),
            event(0.45, "restart", "r1: nothing to do"),
            event(0.6, "heal", "every partition ends"),
        ];
        let run = run(&[50, 198, 443, 444, 980], [&killed, &lives], events);
        let gaps = gaps(&run);
        assert_eq!(of(&gaps, "kill", REPLIES, ALL), Some((444.0, 980.0)), "to its end");
        assert_eq!(of(&gaps, "kill", COMMITS, "r1"), Some((500.0, 990.0)));
        assert_eq!(of(&gaps, "kill", EXECUTIONS, "r1"), Some((501.0, 991.0)));
        assert_eq!(of(&gaps, "kill", COMMITS, "r0"), None, "it is dead");
        assert_eq!(of(&gaps, "heal", COMMITS, "r0"), None, "and stays so");
        assert_eq!(of(&gaps, "heal", REPLIES, "0"), Some((600.0, 980.0)), "from the fault on");
        assert!(gaps.iter().all(|gap| gap.0 != "session-lost" && gap.0 != "restart"));
    }

    #[test]
    fn a_silence_that_the_next_fault_began_is_that_ones() {
        let events = vec![event(0.2, "pause", "r1"), event(0.4, "kill", "r1")];
        let began = |at_ms| {
            let run = run(&[50, 199, at_ms, 900], [&[], &[]], events.clone());
            let gaps = gaps(&run);
            [of(&gaps, "pause", REPLIES, ALL), of(&gaps, "kill", REPLIES, ALL)].map(Option::unwrap)
        };
        assert_eq!(began(395), [(200.0, 395.0), (400.0, 900.0)]);
        assert_eq!(began(210), [(210.0, 900.0), (400.0, 900.0)], "begun by the first");
    }

    #[test]
    fn a_site_without_clients_has_no_silence() {
        let mut run = run(&[50], [&[], &[]], vec![event(0.2, "kill", "r1")]);
        assert!(of(&gaps(&run), "kill", REPLIES, "1").is_some());
        run.identity.clients = 1;
        assert!(of(&gaps(&run), "kill", REPLIES, "0").is_some());
        assert_eq!(of(&gaps(&run), "kill", REPLIES, "1"), None);
    }

    #[test]
    fn a_silence_that_outlasts_the_measuring_is_not_ended() {
        let run = run(&[50], [&[], &[]], vec![event(0.2, "kill", "r1")]);
        let rows = run.gap_rows();
        let reply = rows.iter().find(|row| row.what == REPLIES && row.place == ALL).unwrap();
        assert_eq!((reply.gap_ms, reply.ended), (800.0, false));
    }

    #[test]
    fn what_came_back_counts_from_its_second_life() {
        let events = vec![event(0.2, "kill", "r1"), event(0.4, "restart", "r1")];
        let mut run = run(&[50], [&[100], &[100]], events);
        let mut second = SeriesRecorder::default();
        [120, 130].into_iter().for_each(|at_ms| second.execution_seen(at_ms * MS));
        run.ended.push(std::mem::take(&mut run.replicas[1]));
        run.ended[0].series.ends_ns = 199 * MS;
        run.replicas[1].replica = 1;
        run.replicas[1].series = second.series(590 * MS);
        run.replicas[1].series.begins_ns = 410 * MS;
        let gaps = gaps(&run);
        assert_eq!(of(&gaps, "kill", EXECUTIONS, "r1"), None);
        assert_eq!(of(&gaps, "restart", EXECUTIONS, "r1"), Some((540.0, 1_000.0)));
        let tenths = run.rows().timeseries;
        let commits: u64 =
            tenths.iter().filter(|row| row.site == ALL).filter_map(|row| row.commits).sum();
        assert_eq!(commits, 2, "one of r0 and one of r1's first life");
    }
}
