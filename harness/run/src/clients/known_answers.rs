//! A scripted cluster and generator whose every latency is known beforehand, through to every CSV file.
//!
//! The script decides when each request is sent and when it is answered; [`Clients`], [`Recorder`] and [`Tally`] are driven
//! by it as both drivers drive them. What must come out is worked out from the script alone.

use std::{collections::BTreeMap, path::Path, time::Duration};

use measure::{
    ALL, LatencyRow, Limits, Linearizable, Manifest, Population, ReplicaCounters, ReplicaReport,
    ReplicaRow, ResultsDir, RunFacts, RunRecord, SummaryRow, TimeseriesRow, VerdictRow, judge,
    read_rows, read_summary,
};
use protocols::Outcome;
use workload::{Driver, Plan, Workload};

use super::{
    Pace,
    outstanding::{Clients, Handle, client_id},
    tally::Tally,
};
use crate::{history::Recorder, naming::identity};

const MS: u64 = 1_000_000;
const BEGIN: u64 = 1_000 * MS;
const END: u64 = 11_000 * MS;
/// Until when answers are waited for.
const CLOSED: u64 = 12_000 * MS;
const SITES: usize = 3;

/// A thousand operations per second, spaced equally: request i is due at i ms, at site i modulo 3.
const WORKLOAD: &str = "\
    name = \"known\"\n\
    protocols = [\"epaxos\"]\n\
    repetitions = 1\n\
    load = { mode = \"open\", arrival = \"constant\", rate_ops_per_s = 1000, clients_per_site = 1, \
             warmup_s = 1, duration_s = 10 }\n";

/// What happens to the request that is due at `due` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fate {
    /// When it is sent; none if it never is.
    sent: Option<u64>,
    /// When it is answered; none if it never is.
    answered: Option<u64>,
}

/// The script of a run.
type Script = fn(u64) -> Fate;

/// From 1.000 ms to 1.999 ms, each as often as another.
fn service(due: u64) -> u64 {
    MS + (due / MS % 1_000) * 1_000
}

fn calm(due: u64) -> Fate {
    Fate { sent: Some(due), answered: Some(due + service(due)) }
}

/// The generator stands still from 5.0 s to 5.2 s of the window.
fn late_generator(due: u64) -> Fate {
    let still = BEGIN + 5_000 * MS..BEGIN + 5_200 * MS;
    let sent = if still.contains(&due) { still.end } else { due };
    Fate { sent: Some(sent), answered: Some(sent + service(due)) }
}

/// The replica of site 1 is killed 8 s into the window, and nothing that is asked of it is answered.
fn killed(due: u64) -> Fate {
    let is_lost = due / MS % 3 == 1 && due >= BEGIN + 8_000 * MS;
    Fate { answered: calm(due).answered.filter(|_| !is_lost), ..calm(due) }
}

/// The replica of site 2 is paused 400 ms before the end of the window, for 700 ms.
fn paused(due: u64) -> Fate {
    let paused = END - 400 * MS..END + 300 * MS;
    let is_held = due / MS % 3 == 2 && paused.contains(&(due + service(due)));
    Fate { answered: if is_held { Some(paused.end) } else { calm(due).answered }, ..calm(due) }
}

/// The generator holds back what is due in the last 50 ms of the window, for ever.
fn held_back(due: u64) -> Fate {
    if due < END - 50 * MS { calm(due) } else { Fate { sent: None, answered: None } }
}

/// What must come out: every request due in the window, in order, with its latency and whether that is a lower bound.
fn expected(script: Script) -> Vec<(u64, u64, bool)> {
    let dues = (BEGIN / MS..END / MS).map(|ms| ms * MS);
    dues.map(|due| match script(due).answered {
        Some(answered) if answered <= CLOSED => (due, answered - due, false),
        _ => (due, CLOSED - due, true),
    })
    .collect()
}

/// Plays `script` and gives the record of the run.
fn play(script: Script) -> RunRecord {
    let workload = Workload::parse("known.toml", WORKLOAD, &[]).unwrap();
    let run = &Plan::new(&workload).runs[0];
    let mut clients = Clients::new(&run.point, run.seed, u64::MAX / 2);
    let mut history = Recorder::new(run.point.value_bytes, true);
    let mut tally = Tally::new(SITES, Duration::from_secs(10));
    let Pace::Schedule(mut sites) = Pace::new(&run.point, run.seed) else { panic!("an open loop") };
    // What happens when: the sends, the answers, and the edges of the window.
    let mut happens: BTreeMap<(u64, u64), Option<(usize, u64)>> = BTreeMap::new();
    let mut number = 0;
    let mut at = |time: u64, what| {
        number += 1;
        happens.insert((time, number), what);
    };
    at(BEGIN, None);
    at(END, None);
    let mut dues = Vec::new();
    for (site, (arrivals, next)) in sites.iter_mut().enumerate() {
        while next.at_ns < END {
            dues.push((next.at_ns, site));
            *next = arrivals.next_send();
        }
    }
    dues.sort_unstable();
    assert!(dues.iter().zip(0..).all(|((due, _), ms)| *due == ms * MS), "a request each ms");
    for (due, site) in &dues {
        if let Some(sent) = script(*due).sent {
            at(sent, Some((*site, *due)));
        }
    }
    let mut commit = vec![Population::new(); SITES];
    let mut execute = commit.clone();
    let mut answers: BTreeMap<(u64, u64), (Handle, u64)> = BTreeMap::new();
    let mut counts = [0u64; SITES];
    let mut edges = 0;
    let answer_until = |now: u64,
                        clients: &mut Clients,
                        history: &mut Recorder,
                        tally: &mut Tally,
                        answers: &mut BTreeMap<(u64, u64), (Handle, u64)>| {
        while let Some(entry) = answers.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), (handle, _)) = entry.remove_entry();
            let closed = clients.close(handle).unwrap();
            let id = (client_id(handle.client), handle.number);
            let stamp = history.answered(closed.pending.invoked, id, &Outcome::Done, (at, false));
            tally.answered(closed.site, false, &closed.pending, stamp);
        }
    };
    for ((now, order), what) in happens {
        answer_until(now, &mut clients, &mut history, &mut tally, &mut answers);
        let Some((site, due)) = what else {
            edges += 1;
            let stamp = history.stamp(now);
            if edges == 1 {
                tally.begin(stamp);
            } else {
                tally.end(stamp);
            }
            continue;
        };
        let place = clients.place(site, 0);
        let times = (Some(due), now);
        let (due_ns, sent_ns) = clients.issue(place, times, &mut history, |_, _| {});
        tally.sent(due_ns, sent_ns);
        counts[site] += 1;
        let number = protocols::RequestNumber::write(counts[site]);
        let handle = Handle { client: place, number };
        let is_counted = (BEGIN..END).contains(&due);
        match script(due).answered {
            Some(answered) => {
                answers.insert((answered, order), (handle, due));
                if is_counted {
                    commit[site].record_ns(answered - now - 200_000);
                    execute[site].record_ns(answered - now - 100_000);
                }
            }
            None if is_counted => {
                commit[site].censor_ns(CLOSED - now);
                execute[site].censor_ns(CLOSED - now);
            }
            None => {}
        }
    }
    answer_until(CLOSED - 1, &mut clients, &mut history, &mut tally, &mut answers);
    for (due, site) in dues.iter().filter(|(due, _)| script(*due).sent.is_none()) {
        tally.unsent(*site, *due, CLOSED);
    }
    tally.close(clients.outstanding_requests(), CLOSED);
    let replicas = (0..).zip(commit.into_iter().zip(execute));
    let replicas = replicas.map(|(replica, (commit, execute))| ReplicaReport {
        replica,
        counters: ReplicaCounters {
            messages_in: 1_000 + u64::from(replica),
            messages_out: 2_000,
            commits_fast: 300,
            commits_slow: 100,
            ..ReplicaCounters::default()
        },
        cpu_ns: Some(1_000_000_000 * u64::from(replica + 1)),
        commit,
        execute,
        ..ReplicaReport::default()
    });
    record(run, tally, replicas.collect())
}

fn record(run: &workload::Run, tally: Tally, replicas: Vec<ReplicaReport>) -> RunRecord {
    let elapsed = tally.elapsed(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let offered_ops_per_s = Some(tally.due as f64 / elapsed.as_secs_f64());
    let mut record = RunRecord {
        identity: identity(run, Driver::Quic),
        started: std::time::SystemTime::UNIX_EPOCH,
        elapsed,
        offered_ops_per_s,
        generator_lag: Some(tally.lag),
        has_fast_path: true,
        sites: tally.sites,
        replies: tally.replies,
        replicas,
        ended: Vec::new(),
        server_cpu_s: Some(6.0),
        client_cpu_s: Some(2.0),
        events: Vec::new(),
        promise: None,
        recoveries: Vec::new(),
        kept: None,
        networks: Vec::new(),
        steps: Vec::new(),
        verdict: measure::Verdict::default(),
    };
    let facts =
        RunFacts { linearizable: Linearizable::True, replicas_agree: Some(true), ..record.facts() };
    record.verdict = judge(&facts, &Limits::default());
    record
}

/// Every file of the run.
struct Files {
    summary: SummaryRow,
    latency: Vec<LatencyRow>,
    replicas: Vec<ReplicaRow>,
    timeseries: Vec<TimeseriesRow>,
    verdicts: Vec<VerdictRow>,
}

fn files(record: &RunRecord, root: &Path) -> Files {
    let manifest = Manifest::starting("known", 42, serde_json::json!({}));
    let mut results = ResultsDir::create(root, &manifest, &[]).unwrap();
    results.append(record).unwrap();
    let dir = results.path();
    Files {
        summary: read_summary(dir).unwrap().remove(0),
        latency: read_rows(dir).unwrap(),
        replicas: read_rows(dir).unwrap(),
        timeseries: read_rows(dir).unwrap(),
        verdicts: read_rows(dir).unwrap(),
    }
}

/// The latency at a quantile of `sorted`, in µs, and whether it is a lower bound.
fn at(sorted: &[(u64, bool)], numerator: usize, denominator: usize) -> (f64, bool) {
    let rank = (sorted.len() * numerator).div_ceil(denominator).max(1);
    let value = sorted[rank - 1].0;
    let is_bound = sorted.iter().any(|(bound, is_bound)| *is_bound && *bound <= value);
    #[expect(clippy::cast_precision_loss, reason = "latencies of seconds in nanoseconds")]
    let us = value as f64 / 1e3;
    (us, is_bound)
}

/// Three digits: a histogram prints the upper end of a value's bucket, or the lower one of a lower bound's.
fn assert_near(printed: Option<f64>, us: f64, what: &str) {
    let printed = printed.unwrap_or_else(|| panic!("{what}: nothing is printed"));
    assert!(
        printed >= us * 0.999 - 0.001 && printed <= us * 1.001 + 0.001,
        "{what}: {printed}, not {us}"
    );
}

/// Plays a script and holds every file against it.
fn check(script: Script) -> Files {
    let root = tempfile::tempdir().unwrap();
    let files = files(&play(script), root.path());
    let expected = expected(script);
    let sorted = |site: Option<u64>| {
        let of_site = expected.iter().filter(|(due, ..)| site.is_none_or(|of| due / MS % 3 == of));
        let mut sorted: Vec<(u64, bool)> =
            of_site.map(|(_, took, is_bound)| (*took, *is_bound)).collect();
        sorted.sort_unstable();
        sorted
    };
    let all = sorted(None);
    let row = &files.summary;
    let unanswered = all.iter().filter(|(_, is_bound)| *is_bound).count() as u64;
    assert_eq!((row.due, row.censored), (Some(10_000), Some(unanswered)));
    assert_eq!((row.errors, row.unknown), (0, unanswered));
    let figures = [
        ("latency_us_p50", row.latency_us_p50, at(&all, 50, 100)),
        ("latency_us_p90", row.latency_us_p90, at(&all, 90, 100)),
        ("latency_us_p99", row.latency_us_p99, at(&all, 99, 100)),
        ("latency_us_p999", row.latency_us_p999, at(&all, 999, 1_000)),
        ("latency_us_max", row.latency_us_max, (at(&all, 1, 1).0, unanswered > 0)),
    ];
    for (column, printed, (us, is_bound)) in figures {
        assert_near(printed, us, column);
        assert!(!is_bound || printed.unwrap() <= us + 0.001, "{column}: a bound claims too much");
        assert_eq!(row.is_at_least(column), is_bound, "{column}: {}", row.at_least);
    }
    // The throughput is what was answered within the window, that of the warm-up's last requests included.
    let dues = (0..END / MS).map(|ms| ms * MS);
    let answers: Vec<u64> = dues.filter_map(|due| script(due).answered).collect();
    let in_window = |from: u64, until: u64| {
        answers.iter().filter(|answered| (from..until).contains(answered)).count() as u64
    };
    assert_eq!(row.operations, in_window(BEGIN, END));
    for site in 0..3u64 {
        let of_site = |row: &&LatencyRow| row.site == site.to_string() && row.operation == ALL;
        let row = files.latency.iter().find(of_site).unwrap();
        let sorted = sorted(Some(site));
        assert_eq!(row.count, sorted.len() as u64);
        assert_near(row.latency_us_p50, at(&sorted, 50, 100).0, "p50 of a site");
        assert_near(row.latency_us_p99, at(&sorted, 99, 100).0, "p99 of a site");
        assert_near(row.latency_us_max, at(&sorted, 1, 1).0, "the slowest of a site");
    }
    let tenths: Vec<&TimeseriesRow> =
        files.timeseries.iter().filter(|row| row.site == ALL).collect();
    assert_eq!(tenths.len(), 100);
    for row in tenths {
        let from = BEGIN + row.t_ms * MS;
        let until = from + 100 * MS;
        assert_eq!(row.operations, in_window(from, until), "at {} ms", row.t_ms);
        let lost =
            expected.iter().filter(|(due, _, lost)| (from..until).contains(due) && *lost).count();
        assert_eq!(row.errors, lost as u64, "at {} ms", row.t_ms);
    }
    assert_eq!((row.server_cpu_s, row.client_cpu_s), (Some(6.0), Some(2.0)));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let per_cpu_s = row.operations as f64 / 8.0;
    assert!((row.ops_per_cpu_s.unwrap() - per_cpu_s).abs() < 0.001);
    assert_eq!(row.fast_path_ratio, Some(0.75));
    let cpu: Vec<_> = files.replicas.iter().map(|row| (row.messages_in, row.cpu_s)).collect();
    assert_eq!(cpu, [(1_000, Some(1.0)), (1_001, Some(2.0)), (1_002, Some(3.0))]);
    files
}

fn invalid(files: &Files) -> Vec<&str> {
    files.verdicts.iter().map(|row| row.text.as_str()).collect()
}

#[test]
fn a_calm_run_is_printed_as_it_was() {
    let files = check(calm);
    assert_eq!(files.summary.at_least, "");
    assert_near(files.summary.latency_us_p50, 1_499.0, "the median of 1.000 … 1.999 ms");
    assert_near(files.summary.latency_us_p99, 1_989.0, "p99");
    assert!(files.summary.valid, "{:?}", invalid(&files));
}

#[test]
fn a_late_generator_is_in_the_latencies_and_in_its_own_figure() {
    let files = check(late_generator);
    // 200 requests, 2 % of all, were late by 1 to 200 ms: rank 9,900 is the hundredth of them.
    assert_near(files.summary.generator_lag_us_p99, 100_000.0, "lag at p99");
    assert!(files.summary.latency_us_p99.unwrap() > 100_000.0);
    assert!(files.summary.service_us_p99.unwrap() < 2_000.0, "the cluster was as fast as ever");
    assert!(!files.summary.valid);
    assert!(invalid(&files)[0].starts_with("the load generator sent 100"), "{:?}", invalid(&files));
}

#[test]
fn what_a_killed_replica_never_answers_is_a_lower_bound_and_makes_the_run_not_valid() {
    let files = check(killed);
    assert_eq!(files.summary.censored, Some(667));
    assert!(
        files.summary.is_at_least("latency_us_p99") && !files.summary.is_at_least("latency_us_p90")
    );
    // The last of the killed replica's requests have waited for a second, the first for three.
    assert!(files.summary.latency_us_max.unwrap() > 2_990_000.0);
    let expected = "667 of 10000 requests that were due (6.7 %) were not answered, more than 1 %";
    assert!(invalid(&files).contains(&expected), "{:?}", invalid(&files));
    assert!(
        files.replicas[1].at_least.contains("execute_us_p99"),
        "{}",
        files.replicas[1].at_least
    );
    assert_eq!(files.replicas[0].at_least, "");
}

#[test]
fn what_a_paused_replica_answers_after_the_window_is_in_every_percentile() {
    let files = check(paused);
    assert_eq!(files.summary.at_least, "");
    let fast = files.latency.iter().find(|row| row.site == "0" && row.operation == ALL).unwrap();
    assert!(fast.latency_us_max.unwrap() < 2_001.0);
    // 133 of 3,333 requests of its site waited for 300 to 700 ms.
    let slow = files.latency.iter().find(|row| row.site == "2" && row.operation == ALL).unwrap();
    assert!(slow.latency_us_p99.unwrap() > 500_000.0);
    assert!(files.summary.valid, "{:?}", invalid(&files));
}

#[test]
fn what_is_never_sent_is_due_all_the_same() {
    let files = check(held_back);
    assert_eq!(files.summary.censored, Some(50));
    assert!(files.summary.is_at_least("latency_us_p999"), "{}", files.summary.at_least);
    assert!(files.summary.is_at_least("latency_us_max"));
    let service = files.latency.iter().find(|row| row.site == ALL && row.operation == ALL).unwrap();
    assert!(!service.at_least.contains("service"), "nothing is known of a service");
}
