//! Figures that once misled, each through a workload file and the CSV files to the right value.

use std::{fs, process::Command, thread::sleep, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::place::{Place, TINY, cell, rows, wait_for};

const TOPOLOGIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/topologies");

type Row = Vec<(String, String)>;

fn figure(row: &Row, column: &str) -> f64 {
    cell(row, column).parse().unwrap_or_else(|_| panic!("{column}: {:?}", cell(row, column)))
}

fn is_at_least(row: &Row, column: &str) -> bool {
    cell(row, "at_least").split(' ').any(|listed| listed == column)
}

/// The one run of a place: its row, and what was found about it.
fn judged(place: &Place) -> (Row, String) {
    let results = place.results();
    let row = rows(&results.join("summary.csv")).remove(0);
    (row, fs::read_to_string(results.join("verdicts.csv")).unwrap())
}

/// The latencies of a kept history in nanoseconds, sorted, as the window file says which count. Everything is answered.
fn recounted(place: &Place, stem: &str) -> Vec<u64> {
    let history = place.results().join("history");
    let read = |name: String| fs::read_to_string(history.join(name)).unwrap();
    let window: Value = serde_json::from_str(&read(format!("{stem}-window.json"))).unwrap();
    let [begin, end] = ["begin_ns", "end_ns"].map(|key| window[key].as_u64().unwrap());
    let lines = read(format!("{stem}.jsonl"));
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let counted = lines.filter(|line| {
        line["closing"] != true && (begin..end).contains(&line["due_ns"].as_u64().unwrap())
    });
    let mut latencies: Vec<u64> = counted
        .map(|line| line["return_ns"].as_u64().unwrap() - line["due_ns"].as_u64().unwrap())
        .collect();
    latencies.sort_unstable();
    latencies
}

/// The leader falls silent 400 ms before the window's end: one request in 25 waits for a new one.
#[test]
fn a_stall_at_the_end_of_the_window_is_in_the_percentiles() {
    let place = Place::new(
        "name = \"tail-stall\"\n\
         protocols = [\"multi-paxos\"]\n\
         repetitions = 1\n\
         cluster.driver = \"sim\"\n\
         load = { mode = \"open\", arrival = \"constant\", rate_ops_per_s = 1000, clients_per_site = 4, \
                  warmup_s = 0.5, duration_s = 10 }\n\
         faults = [{ at_s = 9.6, pause = \"leader\" }]\n",
    );
    let ended = place.bench(&["run", "w.toml", "--keep-history"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (row, _) = judged(&place);
    assert_eq!((cell(&row, "due"), cell(&row, "censored")), ("10000", "0"));
    assert_eq!(cell(&row, "at_least"), "");
    let latencies = recounted(&place, "multi-paxos-default-r1");
    assert_eq!(latencies.len(), 10_000);
    let rank = |numerator: usize| latencies[10_000 * numerator / 1_000 - 1] as f64 / 1e3;
    for (column, numerator) in
        [("latency_us_p50", 500), ("latency_us_p99", 990), ("latency_us_p999", 999)]
    {
        let (printed, recounted) = (figure(&row, column), rank(numerator));
        let near = recounted - 0.001..=recounted * 1.001 + 0.001;
        assert!(near.contains(&printed), "{column}: {printed}, recounted {recounted}");
    }
    assert!(figure(&row, "latency_us_p99") > 400_000.0, "the stall alone took as long");
    // Throughput stays what was answered within the window.
    assert!(cell(&row, "operations").parse::<u64>().unwrap() < 9_650);
}

/// One key that is never executed while the load lasts: it is most of the tail, and in no answer.
#[test]
fn a_key_that_is_never_answered_is_a_lower_bound_and_the_verdict_says_why() {
    let place = Place::new(&format!(
        "name = \"hot-key\"\n\
         protocols = [\"epaxos\"]\n\
         repetitions = 1\n\
         seed = 7\n\
         cluster = {{ driver = \"sim\", replicas = 5 }}\n\
         network.topology = \"{TOPOLOGIES}/ec2-2013.toml\"\n\
         sim = {{ cpu_us_per_wakeup = 0, cpu_us_per_message = 0, cpu_ns_per_byte = 0 }}\n\
         load = {{ mode = \"open\", clients_per_site = 10, rate_ops_per_s = 4000, warmup_s = 0.5, duration_s = 2 }}\n\
         commands = {{ conflict_rate = 0.1 }}\n\
         timeouts = {{ client_ms = 1500 }}\n"
    ));
    let ended = place.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let (row, verdicts) = judged(&place);
    let due: u64 = cell(&row, "due").parse().unwrap();
    let censored: u64 = cell(&row, "censored").parse().unwrap();
    assert!(censored > due / 20 && cell(&row, "unknown") == censored.to_string(), "{row:?}");
    // Given up after five sends: that is as long as they were waited for.
    assert!(figure(&row, "latency_us_p99") >= 7_490_000.0, "{row:?}");
    for column in ["latency_us_p99", "latency_us_p999", "latency_us_max", "execute_us_p99"] {
        assert!(is_at_least(&row, column), "{column}: {:?}", cell(&row, "at_least"));
    }
    for column in ["latency_us_p50", "commit_us_p99"] {
        assert!(!is_at_least(&row, column), "{column}: {:?}", cell(&row, "at_least"));
    }
    assert!(figure(&row, "execute_us_p99") >= figure(&row, "commit_us_p99"));
    let expected = format!("{censored} of {due} requests that were due (");
    assert!(verdicts.contains(&expected), "{verdicts}");
    assert!(!verdicts.contains("given up"), "it is said once: {verdicts}");
    // So it is in the table.
    let at = ended.stdout.lines().find(|line| line.trim_start().starts_with("EPaxos")).unwrap();
    let cells: Vec<&str> = at.split_whitespace().collect();
    let p50 = format!("{:.1}", figure(&row, "latency_us_p50") / 1e3);
    let p99 = format!("≥{:.0}", figure(&row, "latency_us_p99") / 1e3);
    assert_eq!(cells[2..4], [p50.as_str(), p99.as_str()], "{at}");
    assert!(!ended.stdout.contains("unknown outcome"), "{}", ended.stdout);
}

#[test]
fn a_window_in_which_nothing_is_due_is_said_as_that() {
    let place = Place::new(
        "name = \"low-rate\"\n\
         protocols = [\"epaxos\"]\n\
         repetitions = 1\n\
         cluster.driver = \"sim\"\n\
         load = { mode = \"open\", rate_ops_per_s = 0.5, duration_s = 1.5, warmup_s = 0.5, \
                  arrival = \"constant\" }\n",
    );
    // The first is due at once, the next after two seconds: the window, from 0.5 s to 2 s, has none.
    let ended = place.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let (row, verdicts) = judged(&place);
    assert_eq!(cell(&row, "due"), "0");
    assert!(verdicts.contains("no request was due in the measured time"), "{verdicts}");
    assert!(!verdicts.contains("samples, fewer than"), "{verdicts}");
    assert!(!verdicts.contains("offered were answered"), "{verdicts}");
}

#[test]
fn the_last_bucket_is_as_long_as_what_is_left_of_the_window() {
    let place = Place::new(
        "name = \"partial\"\n\
         protocols = [\"epaxos\"]\n\
         repetitions = 1\n\
         cluster.driver = \"sim\"\n\
         load = { mode = \"open\", arrival = \"constant\", rate_ops_per_s = 2000, clients_per_site = 2, \
                  warmup_s = 0.2, duration_s = 0.55 }\n",
    );
    let ended = place.bench(&["run", "w.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let buckets = rows(&place.results().join("timeseries.csv"));
    let rates: Vec<f64> = buckets
        .iter()
        .filter(|row| cell(row, "site") == "all")
        .map(|row| figure(row, "operations") / (figure(row, "width_ms") / 1e3))
        .collect();
    assert_eq!(rates.len(), 6);
    assert!(rates.iter().all(|rate| (rate - 2_000.0).abs() < 50.0), "{rates:?}");
    assert!((figure(buckets.last().unwrap(), "width_ms") - 50.0).abs() < 1e-6);

    // What is drawn is those rates, each in the middle of its own time.
    let ended = place.bench(&["report", "results/latest", "--out", "page.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = fs::read_to_string(place.path().join("page.html")).unwrap();
    let figure_of = page.split("data-stem=\"throughput-over-time").nth(1).unwrap();
    let data = figure_of.split("<script type=\"application/json\">").nth(1).unwrap();
    let panel: Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
    let points = panel["lines"][0]["points"].as_array().unwrap();
    assert_eq!(points.len(), 6);
    let drawn: Vec<f64> = points.iter().map(|point| point[1].as_f64().unwrap()).collect();
    assert!(drawn.iter().all(|rate| (rate - 2_000.0).abs() < 50.0), "{drawn:?}");
    assert_eq!(points[5][0].as_f64(), Some(0.525));
}

/// A closed loop that is stopped asks for nothing meanwhile: nothing it measures is late by its own clock.
#[test]
fn a_generator_that_is_stopped_makes_a_closed_loop_not_valid() {
    let place = Place::new(&TINY.replace("duration_s = 0.3", "duration_s = 3"));
    let running = place.start(&["run", "w.toml", "--set", "protocols=[\"epaxos\"]"]);
    let log = place.results().join("logs/epaxos-default-r1-replica2.log");
    wait_for("the last replica to be connected with the others", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        (log.matches("is connected").count() == 2).then_some(())
    });
    sleep(Duration::from_millis(1_500));
    let generator = Pid::from_raw(running.pid());
    kill(generator, Signal::SIGSTOP).unwrap();
    sleep(Duration::from_millis(1_000));
    kill(generator, Signal::SIGCONT).unwrap();
    let ended = running.end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let (_, verdicts) = judged(&place);
    let still = verdicts.split("stood still for ").nth(1).unwrap_or_else(|| panic!("{verdicts}"));
    let ms: f64 = still.split(" ms").next().unwrap().parse().unwrap();
    assert!(ms >= 900.0, "{verdicts}");
}

/// A run that is bound to one CPU of several fills it: what the others do says nothing.
#[test]
fn a_run_that_may_use_one_cpu_is_judged_by_it() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let place = Place::new(TINY);
    let program = env!("CARGO_BIN_EXE_bench");
    let load = ["load.clients_per_site=16", "load.duration_s=1.5", "protocols=[\"epaxos\"]"];
    let ended = Command::new("taskset")
        .args(["-c", "0", program, "run", "w.toml", "--quiet"])
        .args(load.iter().flat_map(|set| ["--set", *set]))
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
    let (_, verdicts) = judged(&place);
    assert!(verdicts.contains("host-bound: the host's CPU was"), "{verdicts}");
    if cpus > 1 {
        assert!(verdicts.contains("(the run may use 1 of "), "{verdicts}");
    }
}
