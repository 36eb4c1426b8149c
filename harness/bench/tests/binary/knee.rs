//! `load.rate_ops_per_s = "max"`: the highest rate that a cluster bears, and the steps of its
//! search.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::place::{Place, cell, names, rows, wait_for};

/// Three replicas that work on each message for 10 µs, and on nothing else.
const SIMULATED: &str = "\
    # Question: how much does it bear?\n\
    name = \"knee\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    [cluster]\n\
    driver = \"sim\"\n\
    [sim]\n\
    cpu_us_per_message = 10\n\
    cpu_ns_per_byte = 0\n\
    nic_mbit_per_s = 0\n\
    [load]\n\
    mode = \"open\"\n\
    arrival = \"constant\"\n\
    rate_ops_per_s = \"max\"\n\
    p99_ms_max = 5\n\
    clients = 48\n\
    warmup_s = 0.1\n\
    duration_s = 0.4\n";

/// Real processes: short, and begun not far from where they end.
const REAL: &str = "\
    name = \"real\"\n\
    protocols = [\"multi-paxos\"]\n\
    repetitions = 1\n\
    [load]\n\
    mode = \"open\"\n\
    rate_ops_per_s = \"max\"\n\
    p99_ms_max = 10\n\
    rate_start_ops_per_s = 8000\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n";

type Row = Vec<(String, String)>;

fn number(row: &[(String, String)], column: &str) -> f64 {
    cell(row, column).parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

/// The steps of the search of which `run` is the outcome. Each row's reason is quoted where it has
/// a comma, which the helper for rows does not read: it is the last, and left away.
fn steps(place: &Place, run: &[(String, String)]) -> Vec<Row> {
    let text = fs::read_to_string(place.results().join("knee.csv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        header.join(","),
        "protocol,driver,point,repetition,step,rate_ops_per_s,throughput_ops_per_s,latency_us_p99,valid,passed,kept,\
         why_not"
    );
    let row = |line: &str| -> Row {
        let cells = line.splitn(header.len(), ',').map(str::to_owned);
        header.iter().map(|name| (*name).to_owned()).zip(cells).collect()
    };
    let is_of = |step: &Row| {
        ["protocol", "point", "repetition"].iter().all(|key| cell(step, key) == cell(run, key))
    };
    lines.map(row).filter(is_of).collect()
}

/// What holds of every search: its figures are those of the step that is kept, the best one.
fn assert_sound(steps: &[Row], run: &Row) {
    for (number, step) in (1..).zip(steps) {
        assert_eq!(cell(step, "step"), number.to_string());
        assert_eq!(cell(step, "why_not").is_empty(), cell(step, "passed") == "true", "{step:?}");
        assert!(cell(step, "passed") == "false" || cell(step, "valid") == "true", "{step:?}");
    }
    let kept: Vec<&Row> = steps.iter().filter(|step| cell(step, "kept") == "true").collect();
    assert_eq!(kept.len(), 1, "{steps:?}");
    for column in ["rate_ops_per_s", "throughput_ops_per_s", "latency_us_p99"] {
        assert_eq!(cell(kept[0], column), cell(run, column), "{run:?}");
    }
    let borne = steps.iter().filter(|step| cell(step, "passed") == "true");
    let best = borne.map(|step| number(step, "rate_ops_per_s")).fold(0.0, f64::max);
    if best > 0.0 {
        assert_eq!(best, number(run, "rate_ops_per_s"));
    }
}

/// With N = 3 a command costs Multi-Paxos' leader two Accepts, two Accepteds, two thirds of a
/// Forward, and the request and the reply of a third: 16/3 messages. An EPaxos replica exchanges
/// two thirds of a PreAccept, its reply and a Commit in and as many out, with the same clients:
/// 14/3.
#[test]
fn a_simulated_knee_is_where_the_arithmetic_of_its_messages_says() {
    let place = Place::new(SIMULATED);
    for message_us in [10.0, 25.0] {
        let cost = format!("sim.cpu_us_per_message={message_us}");
        let ended = place.bench(&["run", "w.toml", "--set", &cost]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let summary = rows(&place.results().join("summary.csv"));
        assert_eq!(summary.len(), 2);
        for (run, messages) in summary.iter().zip([16.0 / 3.0, 14.0 / 3.0]) {
            let bears = 1e6 / message_us / messages;
            let found = number(run, "rate_ops_per_s") / bears;
            // Within a twentieth below, and what is beside commands: heartbeats, commit indices.
            assert!((0.91..1.01).contains(&found), "{found} of {bears}: {run:?}");
            let reached = number(run, "throughput_ops_per_s") / number(run, "rate_ops_per_s");
            assert!((reached - 1.0).abs() < 0.01, "{run:?}");
            assert!(number(run, "latency_us_p99") <= 5_000.0);
            assert_eq!((cell(run, "mode"), cell(run, "valid")), ("open", "true"));
            let steps = steps(&place, run);
            assert_sound(&steps, run);
            let rate = |step: &Row| number(step, "rate_ops_per_s");
            let refused = steps.iter().filter(|step| cell(step, "passed") == "false").map(rate);
            let bound = refused.fold(f64::INFINITY, f64::min) / rate(run);
            assert!((1.0..=1.05).contains(&bound), "{steps:?}");
        }
        assert!(summary[0] != summary[1]);
    }
    let text = place.bench(&["report", "results/latest", "--format", "markdown"]).stdout;
    assert!(text.contains("the highest rate with a p99 of at most 5 ms"), "{text}");
}

/// Every search has its own rate, and the plots over N have one panel all the same.
#[test]
fn found_rates_are_figures_and_no_keys() {
    let place = Place::new(SIMULATED);
    let ended = place.bench(&[
        "run",
        "w.toml",
        "--set",
        "cluster.replicas=[3, 5]",
        "--set",
        "load.rate_ops_per_s=[\"max\"]",
        "--set",
        "load.duration_s=0.2",
        "--keep-history",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    let points: Vec<&str> = summary.iter().map(|run| cell(run, "point")).collect();
    let expected = ["rate_ops_per_s=max replicas=3", "rate_ops_per_s=max replicas=5"];
    assert_eq!(points, [expected[0], expected[0], expected[1], expected[1]]);
    let plots = names(&place.results().join("plots"));
    for plot in ["throughput-vs-replicas.svg", "busiest-vs-replicas.svg"] {
        assert!(plots.contains(&plot.to_owned()), "{plots:?}");
    }
    assert!(plots.iter().all(|plot| !plot.contains("rate")), "{plots:?}");
    assert!(ended.stdout.contains("\n3 replicas\n"), "{}", ended.stdout);
    let said = "At 5 replicas: EPaxos ran ";
    let line = ended.stdout.lines().find(|line| line.contains(said)).unwrap_or_default();
    assert!(line.contains(" times as many operations per second as Multi-Paxos"), "{line}");
    // Every step has its history, and is named after it.
    let mut kept = names(&place.results().join("history"));
    kept.retain(|name| name.ends_with(".jsonl"));
    let all: usize = summary.iter().map(|run| steps(&place, run).len()).sum();
    assert_eq!(kept.len(), all);
    assert!(kept.contains(&"epaxos-rate_ops_per_s=max,replicas=5-r1-step1.jsonl".to_owned()));
}

#[test]
fn where_even_the_lowest_rate_is_too_much_the_run_says_so() {
    let place = Place::new(SIMULATED);
    let ended = place.bench(&["run", "w.toml", "--set", "load.rate_start_ops_per_s=50000"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for run in rows(&place.results().join("summary.csv")) {
        let steps = steps(&place, &run);
        assert_eq!((steps.len(), cell(&run, "rate_ops_per_s")), (1, "50000.0"));
        assert_sound(&steps, &run);
        assert_eq!(cell(&run, "valid"), "false");
    }
    let verdicts = fs::read_to_string(place.results().join("verdicts.csv")).unwrap();
    let expected = "even the lowest rate, 50000 operations/s, is not borne: ";
    assert_eq!(verdicts.matches(expected).count(), 2, "{verdicts}");
    assert!(verdicts.contains("lower load.rate_start_ops_per_s, or raise load.p99_ms_max"));
}

#[test]
fn a_dry_run_says_that_a_rate_is_searched_for() {
    let place = Place::new(SIMULATED);
    let ended = place.bench(&["run", "w.toml", "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = "\n2 runs, each a search from 1000 ops/s on for the highest rate with a p99 of at most 5 ms, in about 11 \
        steps of 0.1 s of warm-up and 0.4 s measured, simulated: about 22 s in all. Nothing was started.\n";
    assert!(ended.stdout.ends_with(expected), "{}", ended.stdout);
}

/// Whatever the machine bears: the search ends, and says what it did.
#[test]
fn a_real_cluster_is_searched_too() {
    let place = Place::new(REAL);
    let ended = place.bench(&["run", "w.toml"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    assert_eq!(summary.len(), 1);
    let run = &summary[0];
    assert_eq!((cell(run, "replicas_agree"), cell(run, "linearizable")), ("true", "true"));
    let steps = steps(&place, run);
    assert_sound(&steps, run);
    assert_eq!(number(&steps[0], "rate_ops_per_s"), 8_000.0);
    // Not the failing steps decide how the program ends, but the run that was found.
    let valid = cell(run, "valid") == "true";
    assert_eq!(ended.code == Some(0), valid, "{ended:?}");
    let logs = names(&place.results().join("logs"));
    assert_eq!(logs.len(), 3 * steps.len(), "each step has a cluster of its own");
    assert!(logs.contains(&"multi-paxos-default-r1-step1-replica2.log".to_owned()), "{logs:?}");
}

#[test]
fn a_signal_ends_a_search_amid_its_steps() {
    let place = Place::new(REAL);
    let running = place.start(&["run", "w.toml", "--set", "load.duration_s=3"]);
    let log = place.results().join("logs/multi-paxos-default-r1-step1-replica0.log");
    wait_for("the first step", || log.exists().then_some(()));
    kill(Pid::from_raw(running.pid()), Signal::SIGINT).unwrap();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("bench: interrupted by SIGINT: kept "), "{ended:?}");
    for run in rows(&place.results().join("summary.csv")) {
        let steps = steps(&place, &run);
        assert_sound(&steps, &run);
        assert!(cell(&run, "valid") == "false" && steps.len() < 5, "{steps:?}");
    }
}

/// Replicas that die of the work of a higher rate: the search goes on, and the program does not fail.
#[cfg(debug_assertions)]
#[test]
fn a_real_cluster_that_dies_under_a_step_does_not_bear_its_rate() {
    let place = Place::new(REAL);
    let arguments = ["run", "w.toml", "--set", "load.p99_ms_max=1000"];
    // Of 8,000 operations per second for 0.4 s they execute 3,200, and the closing reads.
    let ended = place.bench_dying("execute:5000", &arguments);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let run = &rows(&place.results().join("summary.csv"))[0];
    let steps = steps(&place, run);
    assert_sound(&steps, run);
    assert_eq!(number(&steps[0], "rate_ops_per_s"), 8_000.0);
    // On a busy host the first step may be spoilt as often as it is made.
    if steps.iter().any(|step| cell(step, "passed") == "true") {
        assert!((8_000.0..16_000.0).contains(&number(run, "rate_ops_per_s")), "{run:?}");
        let died = steps.iter().filter(|step| cell(step, "why_not").contains("died unasked: "));
        assert!(died.count() > 0, "{steps:?}");
        let verdicts = fs::read_to_string(place.results().join("verdicts.csv")).unwrap();
        assert!(verdicts.contains(" operations/s, which are not borne, died: "), "{verdicts}");
    }
}
