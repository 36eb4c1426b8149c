//! Real runs, tiny: processes, sockets, files.
//!
//! On a busy machine such a run is rightly found not valid (exit code 3) for reasons that say nothing about the program:
//! other programs took the CPU, the load generator waited for it, or too few operations were answered. No other reason is
//! let pass.

use std::fs;

use crate::place::{Ended, Place, TINY, cell, names, rows};

/// The columns that scripts rely on, in their order.
const COLUMNS: &str = "protocol,driver,point,replicas,offered_ops_per_s,conflict_rate,clients_per_site,clients,window,mode,\
    rate_ops_per_s,value_bytes,repetition,operations,errors,unknown,throughput_ops_per_s,server_cpu_s,client_cpu_s,\
    ops_per_cpu_s,fast_path_ratio,latency_us_mean,latency_us_p50,latency_us_p90,latency_us_p99,latency_us_p999,\
    latency_us_max,service_us_p50,service_us_p99,commit_us_p50,commit_us_p99,execute_us_p50,execute_us_p99,valid,\
    linearizable,replicas_agree";

/// The run ended well, as far as the machine let it.
pub(crate) fn assert_ran(place: &Place, ended: &Ended) {
    assert_ran_but(place, ended, &[]);
}

/// The same of a run that may be found not valid for these reasons, too.
pub(crate) fn assert_ran_but(place: &Place, ended: &Ended, reasons: &[&str]) {
    let verdicts = fs::read_to_string(place.results().join("verdicts.csv")).unwrap_or_default();
    let invalid: Vec<&str> = verdicts.lines().filter(|line| line.contains(",invalid,")).collect();
    match ended.code {
        Some(0) => assert!(invalid.is_empty(), "{verdicts}"),
        Some(3) => assert!(
            invalid.iter().all(|line| {
                let of_the_machine =
                    ["other programs took", "generator stood still", " samples, fewer than"];
                let mut let_pass = of_the_machine.iter().chain(reasons);
                let_pass.any(|reason| line.contains(reason))
            }) && !invalid.is_empty(),
            "{verdicts}"
        ),
        _ => panic!("{ended:?}\n{verdicts}"),
    }
    assert!(!verdicts.contains(",violation,"), "{verdicts}");
}

fn run(protocol: &str, more: &[&str]) {
    let place = Place::new(TINY);
    let protocols = format!("protocols=[\"{protocol}\"]");
    let arguments = [&["run", "w.toml", "--set", &protocols], more].concat();
    let ended = place.bench(&arguments);
    assert_ran(&place, &ended);
    let results = place.results();
    let summary = fs::read_to_string(results.join("summary.csv")).unwrap();
    assert!(summary.starts_with(COLUMNS), "{summary}");
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!(cell(row, "protocol"), protocol);
    assert_eq!(cell(row, "replicas_agree"), "true");
    assert_eq!(cell(row, "linearizable"), "true");
    let count = |column| cell(row, column).parse::<u64>().unwrap();
    // More than what was measured: the warm-up and the closing reads, three of each key, belong to the history.
    assert!(count("checked_operations") >= count("operations") + 3 * count("checked_keys"));
    assert_eq!(count("checked_operations"), count("history_operations"));
    assert_eq!(count("checked_keys"), count("history_keys"));
    assert!(count("checked_reads") >= 3 * count("checked_keys"));
    assert_eq!((cell(row, "errors"), cell(row, "unknown")), ("0", "0"));
    // Everything that was due is waited for: at the clients, and at the replicas for its commit and
    // its execution. Other programs may keep a replica from an answer for so long that a client
    // asks another: that makes a run not valid.
    assert_eq!(cell(row, "censored"), "0");
    if cell(row, "valid") == "true" {
        assert_eq!(cell(row, "at_least"), "", "{}", ended.stdout);
        let replicas = rows(&results.join("replicas.csv"));
        assert!(
            replicas.iter().all(|replica| cell(replica, "at_least").is_empty()),
            "{replicas:?}"
        );
    }
    assert!(cell(row, "operations").parse::<u64>().unwrap() > 0);
    assert!(cell(row, "ops_per_cpu_s").parse::<f64>().unwrap() > 0.0);
    assert_eq!(rows(&results.join("replicas.csv")).len(), 3);
    for replica in rows(&results.join("replicas.csv")) {
        assert!(cell(&replica, "rss_bytes").parse::<u64>().unwrap() > 1_000_000);
        assert!(cell(&replica, "messages_in").parse::<u64>().unwrap() > 0);
    }
    let logs: Vec<String> =
        (0..3).map(|replica| format!("{protocol}-default-r1-replica{replica}.log")).collect();
    assert_eq!(names(&results.join("logs")), logs);
    let plots = names(&results.join("plots"));
    assert!(plots.iter().any(|plot| plot.ends_with(".svg")), "{plots:?}");
    assert!(plots.iter().any(|plot| plot.ends_with(".png")), "{plots:?}");
    let verdict = ended.stdout.replace("\n    ", " ");
    assert!(verdict.contains("replicas agree · linearizable ("), "{}", ended.stdout);
    assert!(!results.join("history").exists(), "kept only where it is evidence or asked for");
    assert!(ended.stdout.trim_end().lines().last().unwrap().starts_with("Results: results/"));
    assert_eq!(ended.stderr, "", "no progress without a terminal");
    let manifest = fs::read_to_string(results.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["complete"], &manifest["seed"]), (&true.into(), &42.into()));
    assert_eq!(manifest["timeouts"]["client_ms"], 2000.0);
    assert_eq!(manifest["workload"]["load"]["clients_per_site"], 4);
}

#[test]
fn paxos() {
    run("paxos", &[]);
}

#[test]
fn multi_paxos() {
    run("multi-paxos", &[]);
}

#[test]
fn epaxos() {
    run("epaxos", &[]);
}

#[test]
fn reads_and_writes_of_shared_keys_over_a_pipeline() {
    let more = [
        "--set",
        "load.mode=pipelined",
        "--set",
        "load.window=8",
        "--set",
        "load.routing=random",
        "--set",
        "commands.write_ratio=0.5",
        "--set",
        "commands.conflict_rate=0.5",
    ];
    run("epaxos", &more);
    run("multi-paxos", &more);
}

#[test]
fn an_open_loop_reports_what_was_offered_and_what_was_achieved_as_json() {
    let place = Place::new(TINY);
    let ended = place.bench(&[
        "run",
        "w.toml",
        "--format",
        "json",
        "--quiet",
        "--seed",
        "7",
        "--out",
        "elsewhere",
        "--set",
        "load.mode=open",
        "--set",
        "load.rate_ops_per_s=[500, 1000]",
        "--set",
        "load.arrival=constant",
        "--set",
        "protocols=[\"multi-paxos\"]",
    ]);
    assert_eq!(ended.stderr, "");
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["seed"], &json["complete"]), (&7.into(), &true.into()));
    assert_eq!(json["verdict"]["replicas_agree"], true);
    let results = place.path().join("elsewhere/latest");
    let rows = rows(&results.join("summary.csv"));
    assert_eq!(rows.len(), 2);
    for (row, rate) in rows.iter().zip([500.0, 1_000.0]) {
        assert_eq!(cell(row, "point"), format!("rate_ops_per_s={rate}"));
        let offered: f64 = cell(row, "offered_ops_per_s").parse().unwrap();
        assert!(
            (offered / rate - 1.0).abs() < 0.05,
            "a constant schedule offers what it says: {row:?}"
        );
        let p50 = |column| cell(row, column).parse::<f64>().unwrap();
        assert!(p50("latency_us_p50") >= p50("service_us_p50"), "{row:?}");
    }
}

#[test]
fn plots_are_redrawn_from_the_files_alone() {
    let place = Place::new(TINY);
    let ended = place.bench(&["run", "w.toml", "--set", "protocols=[\"multi-paxos\"]"]);
    assert_ran(&place, &ended);
    let plots = place.results().join("plots");
    let drawn = names(&plots);
    fs::remove_dir_all(&plots).unwrap();
    let ended = place.bench(&["plot", "results/latest"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(names(&plots), drawn);
    assert_eq!(ended.stdout.lines().count(), drawn.len());
}
