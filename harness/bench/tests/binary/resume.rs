//! `bench run --resume`: an interrupted sweep ends as one that was never interrupted.

use std::{collections::BTreeMap, fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::place::{Ended, Place, TINY, names, rows, wait_for};

/// Between sites, so that there are formulas, with commits of many different latencies, and enough runs to be interrupted.
const SIMULATED: &str = "\
    # Question: does it go on?\n\
    name = \"simulated\"\n\
    repetitions = 6\n\
    [cluster]\n\
    driver = \"sim\"\n\
    [network.topology]\n\
    source = \"invented\"\n\
    sites = [\"A\", \"B\", \"C\"]\n\
    round_trip_ms = { A-B = 4, A-C = 10, B-C = 12 }\n\
    [load]\n\
    clients_per_site = 3\n\
    warmup_s = 0.5\n\
    duration_s = 10\n\
    [commands]\n\
    conflict_rate = [0, 0.3]\n";

/// Each run a search, whose steps are rows of `knee.csv`.
const SEARCHED: &str = "\
    name = \"searched\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 6\n\
    [cluster]\n\
    driver = \"sim\"\n\
    replicas = [3, 5]\n\
    [sim]\n\
    cpu_us_per_message = 10\n\
    [load]\n\
    mode = \"open\"\n\
    rate_ops_per_s = \"max\"\n\
    p99_ms_max = 5\n\
    clients = 7\n\
    warmup_s = 0.1\n\
    duration_s = 0.2\n";

/// Every file but the manifest and the plots, whose footers have the day, by name.
fn files(results: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for dir in [results.to_owned(), results.join("hist")] {
        for name in names(&dir) {
            let path = dir.join(&name);
            if path.is_file() && name != "manifest.json" {
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn manifest(results: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(results.join("manifest.json")).unwrap()).unwrap()
}

/// Starts the program, and ends it with `signal` once it has made some runs, but not all.
fn interrupted(place: &Place, signal: Signal, runs: usize, arguments: &[&str]) -> Ended {
    let mut running = place.start(arguments);
    let summary = place.results().join("summary.csv");
    wait_for("some runs", || {
        let text = fs::read_to_string(&summary).unwrap_or_default();
        (text.lines().count() > 3 || !running.is_running()).then_some(())
    });
    kill(Pid::from_raw(running.pid()), signal).unwrap();
    let ended = running.end();
    let made = fs::read_to_string(&summary).unwrap().lines().count() - 1;
    assert!((3..runs).contains(&made), "{made} of {runs} runs were made: {ended:?}");
    assert_eq!(manifest(&place.results())["complete"], false);
    ended
}

#[test]
fn a_simulated_sweep_ends_as_if_nothing_had_happened_to_the_byte() {
    ends_as_if_nothing_had_happened(SIMULATED, 36, "formulas.csv");
}

/// A search that is begun anew leaves the steps of no other behind.
#[test]
fn a_sweep_of_searches_ends_so_too() {
    ends_as_if_nothing_had_happened(SEARCHED, 24, "knee.csv");
}

/// Of a workload of so many runs, which leaves this file among others.
fn ends_as_if_nothing_had_happened(text: &str, runs: usize, file: &str) {
    let whole = Place::new(text);
    let ended = whole.bench(&["run", "w.toml"]);
    let table =
        |ended: &Ended| ended.stdout.split_once("\nResults: ").map(|(text, _)| text.to_owned());
    let expected = files(&whole.results());
    assert!(expected.contains_key(file), "{:?}", expected.keys());
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let place = Place::new(text);
        interrupted(&place, signal, runs, &["run", "w.toml"]);
        let resumed = place.bench(&["run", "--resume", "results/latest"]);
        assert_eq!((resumed.code, &resumed.stderr), (ended.code, &ended.stderr), "{signal}");
        assert_eq!(table(&resumed), table(&ended), "of all runs, not of the last ones alone");
        let found = files(&place.results());
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "{signal}: {name} differs");
        }
        let manifest = manifest(&place.results());
        assert_eq!(
            (&manifest["complete"], &manifest["runs_planned"]),
            (&true.into(), &runs.into())
        );
        let kept = manifest["resumed"][0]["runs_kept"].as_u64().unwrap();
        assert!((2..runs as u64).contains(&kept) && manifest["resumed"][0]["at_utc"].is_string());
        assert!(!place.results().join(".commits").exists());
        let again = place.bench(&["run", "--resume", "results/latest"]);
        assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
        let nothing = format!(": all {runs} runs are there: nothing to do\n");
        assert!(again.stdout.ends_with(&nothing), "{again:?}");
    }
}

#[test]
fn a_sweep_of_real_processes_goes_on_with_what_it_lacks() {
    let place = Place::new(&TINY.replace("repetitions = 1", "repetitions = 4"));
    let sweep = ["run", "w.toml", "--set", "protocols=[\"multi-paxos\", \"epaxos\"]"];
    interrupted(&place, Signal::SIGKILL, 8, &sweep);
    let summary = place.results().join("summary.csv");
    let before = fs::read_to_string(&summary).unwrap();
    let resumed = place.bench(&["run", "--resume", "results/latest"]);
    assert!(matches!(resumed.code, Some(0 | 3)), "{resumed:?}");
    let after = fs::read_to_string(&summary).unwrap();
    // A last line that is torn is no run.
    let whole = before.rfind('\n').unwrap();
    assert!(after.starts_with(&before[..whole]), "what was measured stays as it was");
    assert_eq!(rows(&summary).len(), 8);
    assert!(resumed.stdout.contains(" of 8 runs valid"), "{}", resumed.stdout);
    // Killed when all was made and nobody had said so.
    let mut unsaid = manifest(&place.results());
    unsaid["complete"] = false.into();
    fs::write(place.results().join("manifest.json"), unsaid.to_string()).unwrap();
    let said = place.bench(&["run", "--resume", "results/latest"]);
    assert_eq!(said.code, resumed.code, "{said:?}");
    assert_eq!(manifest(&place.results())["complete"], true);
    assert_eq!(fs::read_to_string(&summary).unwrap(), after);
}

#[test]
fn what_began_otherwise_is_refused_unless_forced() {
    let place = Place::new(SIMULATED);
    interrupted(&place, Signal::SIGINT, 36, &["run", "w.toml"]);
    let refused = |arguments: &[&str], expected: &str| {
        let arguments = [&["run", "--resume", "results/latest"], arguments].concat();
        let ended = place.bench(&arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    };
    refused(&["--seed", "7"], "--seed: what is resumed runs as it began");
    refused(&["w.toml", "--seed", "7"], "is not the workload that is resumed: seed (42 and 7)");
    refused(
        &["w.toml", "--set", "load.window=2", "--set", "load.mode=pipelined"],
        "load.window (1 and 2)",
    );
    refused(&["--out", "elsewhere"], "cannot be used with");
    let file = place.results().join("manifest.json");
    let mut other = manifest(&place.results());
    other["versions"]["version"] = "0.0.1".into();
    other["host"]["hostname"] = "elsewhere".into();
    fs::write(&file, other.to_string()).unwrap();
    refused(&[], "it began with another version (0.0.1 and ");
    refused(&["w.toml"], "host (elsewhere and ");
    let forced = place.bench(&["run", "w.toml", "--resume", "results/latest", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    let text = forced.stdout.replace("\n    ", " ");
    assert!(text.contains("warning: resumed at ") && text.contains("they are not alike"), "{text}");
    let forced = manifest(&place.results())["resumed"][0]["forced"].clone();
    assert_eq!(forced.as_array().map(Vec::len), Some(2), "{forced}");
}

#[test]
fn what_is_no_interrupted_run_is_refused() {
    let place = Place::new(TINY);
    fs::create_dir(place.path().join("empty")).unwrap();
    for (dir, expected) in
        [("none", "none: No such file"), ("empty", "manifest.json: No such file")]
    {
        let ended = place.bench(&["run", "--resume", dir]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
    let ended = place.bench(&["run", "w.toml", "--force"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
