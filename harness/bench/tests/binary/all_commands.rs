//! Runs with every kind of command: both drivers find them right, and find out what is wrong.

use std::{collections::BTreeMap, fs};

use crate::place::{Ended, Place, cell, rows};

/// A moment of it on a few keys, half of it on one that all clients share.
const MIXED: &str = "\
    # Question: is everything that can be asked right?\n\
    name = \"mixed\"\n\
    repetitions = 1\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.1\n\
    duration_s = 0.4\n\
    [commands]\n\
    conflict_rate = 0.3\n\
    write_ratio = 0.7\n\
    append_ratio = 0.2\n\
    delete_ratio = 0.05\n\
    cas_ratio = 0.2\n\
    value_bytes = 40\n";

fn run(driver: &str, tamper: &str) -> (Place, Ended) {
    let place = Place::new(MIXED);
    let arguments = ["run", "w.toml", "--driver", driver, "--keep-history"];
    let ended = place.bench_tampered(tamper, &arguments);
    (place, ended)
}

/// How often each kind was asked for, and how many compare-and-sets found what they expected, in
/// the history of a run.
fn kinds(place: &Place, protocol: &str) -> BTreeMap<String, u64> {
    let file = place.results().join(format!("history/{protocol}-default-r1.jsonl"));
    let mut kinds = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = line["op"].as_str().unwrap();
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
        if let Some(swapped) = line["swapped"].as_bool() {
            *kinds.entry(format!("swapped {swapped}")).or_insert(0) += 1;
        }
    }
    kinds
}

/// Every history has every kind and is linearizable, here and in its file.
fn assert_right(place: &Place, ended: &Ended) {
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    for row in rows(&place.results().join("summary.csv")) {
        assert_eq!((cell(&row, "linearizable"), cell(&row, "replicas_agree")), ("true", "true"));
        let protocol = cell(&row, "protocol");
        let kinds = kinds(place, protocol);
        for kind in ["get", "put", "append", "delete", "cas", "swapped true", "swapped false"] {
            assert!(kinds.get(kind).is_some_and(|count| *count > 0), "{protocol}: {kinds:?}");
        }
        let file = format!("results/latest/history/{protocol}-default-r1.jsonl");
        let checked = place.bench(&["check", &file]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
}

#[test]
fn real_replicas_are_right() {
    let (place, ended) = run("quic", "");
    assert_right(&place, &ended);
    let kept = &rows(&place.results().join("kept.csv"))[0];
    assert_eq!((cell(kept, "acknowledged_lost"), cell(kept, "applied_twice")), ("0", "0"));
}

#[test]
fn simulated_replicas_are_right() {
    let (place, ended) = run("sim", "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_right(&place, &ended);
}

#[test]
fn a_stale_read_and_a_compare_and_set_that_did_not_write_are_found() {
    for tamper in ["stale-read", "swapped"] {
        let (place, ended) = run("quic", tamper);
        assert_eq!(ended.code, Some(4), "{tamper}: {ended:?}");
        let summary = rows(&place.results().join("summary.csv"));
        assert!(summary.iter().any(|row| cell(row, "linearizable") == "false"), "{tamper}");
    }
}

#[test]
fn the_committed_file_has_every_kind() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/all-commands.toml");
    let place = Place::new("");
    let set = ["--set", "load.duration_s=0.2", "--set", "repetitions=1"];
    let batch = ["--set", "cluster.batch_commands=64"];
    let run = ["run", file, "--driver", "sim"];
    let ended = place.bench(&[&run[..], &set, &batch].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let summary = rows(&place.results().join("summary.csv"));
    assert!(summary.iter().all(|row| cell(row, "linearizable") == "true"), "{ended:?}");
}
