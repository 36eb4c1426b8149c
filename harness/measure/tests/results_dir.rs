//! What a results directory holds, read back the way an outsider would.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use measure::{
    ALL, CdfRow, Checked, Event, EventRow, Identity, KneeRow, LatencyRow, Linearizable, LoadMode,
    Manifest, ReplicaCounters, ReplicaReport, ReplicaRow, ResultsDir, Role, RunFacts, RunRecord,
    Silences, SiteRecord, Step, SummaryRow, Timed, TimeseriesRow, VerdictRow, judge, read_rows,
    read_summary,
};

/// The columns as the design states them.
const SUMMARY_COLUMNS: &str = "protocol,driver,point,replicas,offered_ops_per_s,conflict_rate,\
    clients_per_site,clients,window,mode,rate_ops_per_s,value_bytes,repetition,operations,errors,unknown,\
    throughput_ops_per_s,server_cpu_s,client_cpu_s,ops_per_cpu_s,fast_path_ratio,latency_us_mean,\
    latency_us_p50,latency_us_p90,latency_us_p99,latency_us_p999,latency_us_max,service_us_p50,\
    service_us_p99,commit_us_p50,commit_us_p99,execute_us_p50,execute_us_p99,valid,linearizable,\
    replicas_agree,due,censored,generator_lag_us_p99,at_least";

/// Those that follow the swept keys'.
const LAST_COLUMNS: &str =
    "checked_operations,checked_reads,checked_keys,history_operations,history_keys";

const CHECKED: Checked =
    Checked { operations: 900, reads: 300, keys: 7, operations_begun: 1_000, keys_touched: 9 };

const DURATION: Duration = Duration::from_secs(1);

fn run(protocol: &str, repetition: u32, operations: u64) -> RunRecord {
    let mut site = SiteRecord::new("0", DURATION);
    for operation in 0..operations {
        let (due_ns, took_ns) = (operation * 100_000, 1_000 * (operation + 1));
        let ended_ns = due_ns + took_ns;
        let times = Timed { due_ns, sent_ns: ended_ns - 1_000, ended_ns };
        site.answer(due_ns);
        site.record(operation % 4 == 0, times);
    }
    // Waited for as long as nothing else.
    let lost = Timed { due_ns: 0, sent_ns: 0, ended_ns: 100_000_000 };
    site.record_error(false, lost);
    site.record_unknown(false, lost);
    let mut report =
        ReplicaReport { role: Role::Leader, cpu_ns: Some(250_000_000), ..Default::default() };
    report.counters =
        ReplicaCounters { messages_in: 7, commits_fast: 3, commits_slow: 1, ..Default::default() };
    report.commit.record_ns(5_000);
    let facts = RunFacts {
        due: operations,
        linearizable: Linearizable::True,
        checked: Some(CHECKED),
        replicas_agree: Some(true),
        ..Default::default()
    };
    RunRecord {
        identity: Identity {
            protocol: protocol.to_owned(),
            driver: "quic".to_owned(),
            point: "conflict_rate=0.02,write_ratio=0.5".to_owned(),
            repetition,
            replicas: 1,
            mode: LoadMode::Closed,
            conflict_rate: Some(0.02),
            clients: 16,
            window: 1,
            rate_ops_per_s: None,
            value_bytes: 16,
            swept: vec![
                ("conflict_rate".to_owned(), "0.02".to_owned()),
                ("write_ratio".to_owned(), "0.5".to_owned()),
            ],
        },
        started: SystemTime::UNIX_EPOCH,
        elapsed: DURATION,
        offered_ops_per_s: None,
        generator_lag: None,
        has_fast_path: protocol == "epaxos",
        sites: vec![site.clone(), SiteRecord { site: "1".to_owned(), ..site }],
        replies: Silences::default(),
        replicas: vec![report],
        ended: Vec::new(),
        server_cpu_s: Some(0.25),
        client_cpu_s: Some(0.25),
        events: vec![Event { t_s: 0.5, event: "kill".into(), detail: "replica 0, \"bye\"".into() }],
        promise: None,
        recoveries: vec![],
        kept: None,
        networks: Vec::new(),
        steps: vec![
            Step { rate_ops_per_s: 1_000.0, valid: true, kept: true, ..Step::default() },
            Step { why_not: Some("late, \"too\" late".to_owned()), ..Step::default() },
        ],
        verdict: judge(&facts, &measure::Limits::default()),
    }
}

fn manifest(name: &str) -> Manifest {
    Manifest::starting(name, 42, serde_json::json!({ "name": name }))
}

fn swept() -> Vec<String> {
    vec!["conflict_rate".to_owned(), "write_ratio".to_owned()]
}

fn header(dir: &Path, file: &str) -> String {
    let text = fs::read_to_string(dir.join(file)).expect("the file was created");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn every_file_has_its_columns_before_anything_was_measured() {
    let root = tempfile::tempdir().unwrap();
    let results = ResultsDir::create(root.path(), &manifest("empty"), &swept()).unwrap();
    let expected = format!("{SUMMARY_COLUMNS},write_ratio,{LAST_COLUMNS}");
    assert_eq!(header(results.path(), "summary.csv"), expected);
    assert_eq!(read_summary(results.path()).unwrap(), []);
    assert_eq!(read_rows::<CdfRow>(results.path()).unwrap(), []);
    assert_eq!(read_rows::<LatencyRow>(results.path()).unwrap(), []);
    assert!(!Manifest::read(results.path()).unwrap().complete);
}

#[test]
fn rows_come_back_as_they_were_derived() {
    let root = tempfile::tempdir().unwrap();
    let mut results = ResultsDir::create(root.path(), &manifest("rows"), &swept()).unwrap();
    let record = run("epaxos", 1, 1_000);
    results.append(&record).unwrap();
    let (dir, rows) = (results.path(), record.rows());

    let summary = read_summary(dir).unwrap();
    assert_eq!(summary[0].swept, [("write_ratio".to_owned(), "0.5".to_owned())]);
    assert_eq!(summary[0].checked, Some(CHECKED));
    let expected = SummaryRow { swept: summary[0].swept.clone(), ..rows.summary };
    assert_eq!(summary, [expected]);
    assert_eq!(read_rows::<LatencyRow>(dir).unwrap(), rows.latency);
    assert_eq!(read_rows::<ReplicaRow>(dir).unwrap(), rows.replicas);
    assert_eq!(read_rows::<TimeseriesRow>(dir).unwrap(), rows.timeseries);
    assert_eq!(read_rows::<EventRow>(dir).unwrap(), rows.events);
    assert_eq!(read_rows::<VerdictRow>(dir).unwrap(), rows.verdicts);
    assert_eq!(read_rows::<KneeRow>(dir).unwrap(), rows.knee);
    let steps: Vec<_> = rows.knee.iter().map(|row| (row.step, row.passed, row.kept)).collect();
    assert_eq!(steps, [(1, true, true), (2, false, false)]);
}

#[test]
fn results_of_a_version_that_did_not_count_what_it_checked_are_read() {
    let root = tempfile::tempdir().unwrap();
    let row = SummaryRow { protocol: "epaxos".to_owned(), ..SummaryRow::default() };
    let mut writer = csv::Writer::from_path(root.path().join("summary.csv")).unwrap();
    writer.serialize(&row).unwrap();
    writer.flush().unwrap();
    assert_eq!(read_summary(root.path()).unwrap(), [row]);
}

#[test]
fn figures_follow_from_the_record() {
    let rows = run("epaxos", 1, 1_000).rows();
    let summary = &rows.summary;
    assert_eq!((summary.operations, summary.errors, summary.unknown), (2_000, 2, 2));
    assert_eq!(summary.throughput_ops_per_s, Some(2_000.0));
    assert_eq!(summary.ops_per_cpu_s, Some(4_000.0));
    assert_eq!(summary.fast_path_ratio, Some(0.75));
    assert_eq!((summary.due, summary.censored), (Some(2_004), Some(4)));
    assert!((summary.latency_us_p50.unwrap() - 501.0).abs() < 1.0);
    // Four in two thousand are lower bounds, and above all else.
    assert_eq!(summary.at_least, "latency_us_mean latency_us_p999 latency_us_max");
    assert!((summary.latency_us_max.unwrap() - 100_000.0).abs() < 100.0);
    assert!((summary.service_us_p50.unwrap() - 1.0).abs() < 1e-3);
    assert!(summary.latency_us_p999.is_some());
    assert_eq!(summary.commit_us_p50, None, "one sample has no median");
    let reads = rows.latency.iter().find(|row| row.site == ALL && row.operation == "read").unwrap();
    assert_eq!(reads.count, 500);
    let tenths = rows.timeseries.iter().filter(|row| row.site == ALL);
    assert_eq!(tenths.map(|row| row.operations).sum::<u64>(), 2_000);
    assert_eq!(rows.replicas[0].cpu_s, Some(0.25));
}

#[test]
fn figures_without_meaning_are_empty_cells() {
    let rows = run("paxos", 1, 10).rows();
    assert_eq!(rows.summary.fast_path_ratio, None);
    assert_eq!(rows.replicas[0].commits_fast, None);
    assert_eq!(rows.summary.latency_us_p99, None);
    assert_eq!(rows.summary.offered_ops_per_s, None);
    assert!(!rows.summary.valid);
    assert_eq!(rows.verdicts[0].text, "10 samples, fewer than 200");
}

#[test]
fn names_do_not_collide_and_latest_points_at_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let manifest = Manifest { started_utc: "2026-01-31T12:00:00Z".to_owned(), ..manifest("twice") };
    let first = ResultsDir::create(root.path(), &manifest, &[]).unwrap();
    let second = ResultsDir::create(root.path(), &manifest, &[]).unwrap();
    assert_eq!(first.path().file_name().unwrap(), "20260131T120000Z-twice-42");
    assert_eq!(second.path().file_name().unwrap(), "20260131T120000Z-twice-42-2");
    let latest = fs::read_link(root.path().join("latest")).unwrap();
    assert_eq!(latest.as_os_str(), second.path().file_name().unwrap());
}

#[test]
fn the_distribution_is_of_all_valid_repetitions_merged() {
    let root = tempfile::tempdir().unwrap();
    let mut results = ResultsDir::create(root.path(), &manifest("cdf"), &swept()).unwrap();
    results.append(&run("epaxos", 1, 10_000)).unwrap();
    results.append(&run("epaxos", 2, 2_000)).unwrap();
    results.append(&run("epaxos", 3, 10)).unwrap();
    let rows: Vec<CdfRow> = read_rows(results.path()).unwrap();
    assert!(rows.iter().all(|row| row.repetitions == 2 && row.valid));
    // The mean of the repetitions' own p90s would be 5,400 µs.
    let p90 = rows.iter().find(|row| (row.quantile - 0.9).abs() < 1e-6).unwrap().latency_us;
    assert!((p90 - 8_800.0).abs() < 10.0, "{p90}");
}

#[test]
fn histograms_open_as_interval_logs() {
    let root = tempfile::tempdir().unwrap();
    let mut results = ResultsDir::create(root.path(), &manifest("hlog"), &swept()).unwrap();
    results.append(&run("multi-paxos", 3, 1_000)).unwrap();
    let mut names: Vec<String> = fs::read_dir(results.path().join("hist"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let kinds = ["censored", "commit", "execute", "latency", "service"];
    let expected =
        kinds.map(|kind| format!("multi-paxos_conflict_rate=0.02,write_ratio=0.5_r3_{kind}.hlog"));
    assert_eq!(names, expected);

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let log = fs::read(results.path().join("hist").join(&names[3])).unwrap();
    let intervals: Vec<_> = IntervalLogIterator::new(&log)
        .filter_map(|entry| match entry.unwrap() {
            LogEntry::Interval(interval) => Some(interval.encoded_histogram().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(intervals.len(), 1);
    assert!(intervals[0].starts_with("HISTFAAA"), "compressed V2, what every reader knows");
}

#[test]
fn a_finished_manifest_replaces_the_first() {
    let root = tempfile::tempdir().unwrap();
    let mut manifest = manifest("end");
    let results = ResultsDir::create(root.path(), &manifest, &[]).unwrap();
    manifest.end(true);
    manifest.warnings.push("something to know".to_owned());
    results.write_manifest(&manifest).unwrap();
    let read = Manifest::read(results.path()).unwrap();
    assert_eq!(read, manifest);
    assert!(read.complete && read.ended_utc.is_some());
    assert!(read.versions.rustc.is_some_and(|version| version.starts_with("rustc ")));
}

#[test]
fn what_is_missing_is_named() {
    let root = tempfile::tempdir().unwrap();
    let error = Manifest::read(root.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.json") && !error.contains('\n'), "{error}");
    let error = read_summary(root.path()).unwrap_err().to_string();
    assert!(error.contains("summary.csv"), "{error}");
    fs::write(root.path().join("cdf.csv"), "protocol,driver\nepaxos,quic\n").unwrap();
    let error = read_rows::<CdfRow>(root.path()).unwrap_err().to_string();
    assert!(error.contains("column point is missing"), "{error}");
    let columns = measure::columns::<CdfRow>().join(",");
    fs::write(root.path().join("cdf.csv"), format!("{columns}\np,d,x,1,true,0.5,fast,false\n"))
        .unwrap();
    let error = read_rows::<CdfRow>(root.path()).unwrap_err().to_string();
    assert!(error.contains("line: 2") && error.contains("float"), "{error}");
}

/// Every file but the manifest, by its name.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = [dir.to_owned(), dir.join("hist")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a file of the test"))
        .map(|entry| entry.expect("a file of the test").path())
        .filter(|path| path.is_file() && !path.ends_with("manifest.json"))
        .map(|path| {
            (
                path.file_name().expect("a file of the test").to_string_lossy().into_owned(),
                fs::read(&path).expect("a file of the test"),
            )
        })
        .collect();
    files.sort();
    files
}

/// The runs of a plan, some of them not valid.
fn plan() -> Vec<RunRecord> {
    let mut runs = Vec::new();
    for repetition in 1..=2 {
        for protocol in ["paxos", "epaxos"] {
            let operations = if (protocol, repetition) == ("paxos", 1) { 7 } else { 900 };
            runs.push(run(protocol, repetition, operations));
        }
    }
    runs
}

fn planned() -> Vec<Identity> {
    plan().into_iter().map(|run| run.identity).collect()
}

#[test]
fn wherever_a_writer_was_killed_the_rest_makes_the_files_whole() {
    let root = tempfile::tempdir().unwrap();
    let whole = {
        let mut results = ResultsDir::create(root.path(), &manifest("whole"), &swept()).unwrap();
        plan().iter().for_each(|run| results.append(run).unwrap());
        results.path().to_owned()
    };
    let expected = contents(&whole);
    // How far each file had come: any state in which the summary's rows are the last to be written.
    for kept in 0..=4 {
        for torn in 0..4 {
            let dir = root.path().join(format!("torn-{kept}-{torn}"));
            let mut results = ResultsDir::create(&dir, &manifest("torn"), &swept()).unwrap();
            for (place, run) in plan().iter().enumerate() {
                if place < kept {
                    results.append(run).unwrap();
                }
            }
            let path = results.path().to_owned();
            drop(results);
            if let Some(run) = plan().get(kept) {
                tear(&path, &whole, run, torn);
            }
            let (mut results, rows) =
                ResultsDir::resume(&path, &swept(), &planned(), |_| true).unwrap();
            assert_eq!(rows.len(), kept, "torn {torn}");
            plan()[kept..].iter().for_each(|run| results.append(run).unwrap());
            for ((name, bytes), (of, whole)) in contents(&path).iter().zip(&expected) {
                assert_eq!((name, bytes == whole), (of, true), "kept {kept}, torn {torn}");
            }
        }
    }
}

/// Leaves what a writer that was killed amid `run` may leave: the first files with all rows of it or part of a row, the
/// summary with part of its row at most.
fn tear(dir: &Path, whole: &Path, run: &RunRecord, torn: u8) {
    for file in
        ["verdicts.csv", "knee.csv", "latency.csv", "replicas.csv", "events.csv", "summary.csv"]
    {
        let (path, mut all) =
            (dir.join(file), fs::read(whole.join(file)).expect("a file of the test"));
        let has = usize::try_from(fs::metadata(&path).expect("a file of the test").len())
            .expect("a file of the test");
        if file == "summary.csv" {
            // No more than its own row, without the end of its line.
            let line =
                all[has..].iter().position(|byte| *byte == b'\n').expect("a file of the test");
            all.truncate(has + line);
        }
        let to = match torn {
            0 => has,
            1 if file == "summary.csv" => has,
            1 => all.len(),
            // Amid a row, and right before the end of a line.
            2 => has + (all.len() - has) / 3,
            _ if file == "summary.csv" => all.len(),
            _ => (all.len() - 1).max(has),
        };
        fs::write(&path, &all[..to]).expect("a file of the test");
    }
    let name = measure::hlog_file_name(&run.identity, measure::HistogramKind::Latency);
    fs::write(dir.join("hist").join(name), "torn").expect("a file of the test");
}

#[test]
fn a_run_that_was_interrupted_is_made_again_unless_it_tells_something() {
    for (event, agree, expected) in [
        ("interrupted", true, 1),
        ("failed", true, 1),
        ("died", true, 2),
        ("interrupted", false, 2),
    ] {
        let root = tempfile::tempdir().unwrap();
        let mut results = ResultsDir::create(root.path(), &manifest("cut"), &swept()).unwrap();
        let mut runs = plan();
        runs[1].verdict.replicas_agree = Some(agree);
        runs[1].events.push(Event { t_s: 0.7, event: event.to_owned(), detail: String::new() });
        runs[..2].iter().for_each(|run| results.append(run).unwrap());
        let path = results.path().to_owned();
        drop(results);
        let (_, rows) = ResultsDir::resume(&path, &swept(), &planned(), |_| true).unwrap();
        assert_eq!(rows.len(), expected, "{event}, {agree}");
    }
}

#[test]
fn what_is_not_of_the_plan_or_is_open_elsewhere_is_not_continued() {
    let root = tempfile::tempdir().unwrap();
    let mut results = ResultsDir::create(root.path(), &manifest("other"), &swept()).unwrap();
    results.append(&run("epaxos", 1, 900)).unwrap();
    let path = results.path().to_owned();
    let resume = |swept: &[String]| {
        let resumed = ResultsDir::resume(&path, swept, &planned(), |_| true);
        resumed.unwrap_err().to_string()
    };
    assert!(resume(&swept()).contains("a run is writing it"), "{}", resume(&swept()));
    drop(results);
    assert!(resume(&swept()).contains("summary.csv: row 1 is not run 1 of the plan"));
    assert_eq!(read_summary(&path).unwrap().len(), 1, "nothing was cut off");
}

#[test]
fn a_resumption_is_recorded_and_a_forced_one_is_a_warning() {
    let mut manifest = manifest("resumed");
    assert_eq!(manifest.differing_here(), Vec::<String>::new());
    manifest.end(false);
    manifest.resume(3, Vec::new());
    assert!(manifest.ended_utc.is_none() && manifest.warnings.is_empty());
    manifest.versions.version = "0.0.1".to_owned();
    let differing = manifest.differing_here();
    assert!(differing[0].starts_with("version (0.0.1 and "), "{differing:?}");
    manifest.resume(5, differing);
    assert_eq!(manifest.resumed.iter().map(|one| one.runs_kept).collect::<Vec<_>>(), [3, 5]);
    assert!(manifest.warnings[0].contains("after 5 runs with another version (0.0.1 and "));
    let written = serde_json::to_value(&manifest).unwrap();
    assert_eq!(serde_json::from_value::<Manifest>(written.clone()).unwrap(), manifest);
    let mut older = written;
    older.as_object_mut().unwrap().remove("resumed");
    assert_eq!(serde_json::from_value::<Manifest>(older).unwrap().resumed, []);
}
