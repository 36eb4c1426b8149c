//! What becomes of a run that is not correct: exit code 4, and evidence. Only a build with debug assertions can be made to
//! see wrong answers (see `quic/tamper.rs`).

use std::fs;

use crate::place::{Ended, Place, TINY, cell, names, rows};

/// A run of Multi-Paxos whose answers are falsified, half of them reads of one key.
fn tampered(how: &str, more: &[&str]) -> (Place, Ended) {
    let place = Place::new(TINY);
    let set = |value| ["--set", value];
    let arguments = [
        &["run", "w.toml"][..],
        &set("protocols=[\"multi-paxos\"]"),
        &set("commands.write_ratio=0.5"),
        &set("commands.conflict_rate=0.5"),
        more,
    ];
    let ended = place.bench_tampered(how, &arguments.concat());
    (place, ended)
}

/// The history is refused with a witness, here and by `bench check`.
fn assert_not_linearizable(place: &Place, ended: &Ended) {
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let results = place.results();
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!(
        (cell(row, "linearizable"), cell(row, "valid"), cell(row, "replicas_agree")),
        ("false", "false", "true")
    );
    let key = "key \"";
    let said = format!("bench: multi-paxos at default, repetition 1: not linearizable: {key}");
    assert!(ended.stderr.starts_with(&said), "{ended:?}");
    assert!(ended.stdout.contains("NOT LINEARIZABLE in 1"), "{ended:?}");
    assert!(ended.stdout.contains("VIOLATION: the clients' history is not linearizable: key "));
    let stem = "history/multi-paxos-default-r1";
    let witness = fs::read_to_string(results.join(format!("{stem}-witness.txt"))).unwrap();
    assert!(witness.starts_with(key) && witness.contains("] get -> "), "{witness}");
    let checked = place.bench(&["check", &format!("results/latest/{stem}.jsonl")]);
    assert_eq!(checked.code, Some(4), "{checked:?}");
    assert!(checked.stdout.starts_with(&format!("not linearizable: {key}")), "{checked:?}");
}

#[test]
fn a_stale_read_is_a_violation_with_its_history() {
    let (place, ended) = tampered("stale-read", &[]);
    assert_not_linearizable(&place, &ended);
}

/// A step of a search that contradicts itself is the run's outcome, with its evidence, at whatever
/// rate.
#[test]
fn a_stale_read_in_a_search_ends_it() {
    let set = ["load.mode=open", "load.rate_ops_per_s=max", "load.p99_ms_max=1000"];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    let (place, ended) = tampered("stale-read", &set);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let results = place.results();
    let said = "bench: multi-paxos at default, repetition 1: not linearizable: key \"";
    assert!(ended.stderr.starts_with(said), "{ended:?}");
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!((cell(row, "linearizable"), cell(row, "valid")), ("false", "false"));
    let steps = fs::read_to_string(results.join("knee.csv")).unwrap();
    let last = steps.lines().last().unwrap();
    assert!(last.contains(",false,false,true,"), "not valid, not passed, kept: {steps}");
    let step = steps.lines().count() - 1;
    let history = format!("history/multi-paxos-default-r1-step{step}");
    for file in [".jsonl", "-witness.txt"] {
        assert!(results.join(format!("{history}{file}")).is_file(), "{:?}", names(&results));
    }
}

#[test]
fn a_lost_write_shows_in_the_closing_reads_though_nobody_else_read() {
    let (place, ended) = tampered("lost-write", &["--set", "commands.write_ratio=1"]);
    assert_not_linearizable(&place, &ended);
}

#[test]
fn replicas_that_disagree_are_a_violation_with_evidence() {
    let (place, ended) = tampered("disagreement", &[]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let row = &rows(&place.results().join("summary.csv"))[0];
    assert_eq!((cell(row, "replicas_agree"), cell(row, "linearizable")), ("false", "true"));
    assert!(ended.stdout.contains("REPLICAS DISAGREE in 1"), "{ended:?}");
    let evidence = fs::read_to_string(place.results().join("evidence-multi-paxos-default-r1.json"));
    let evidence: serde_json::Value = serde_json::from_str(&evidence.unwrap()).unwrap();
    assert_eq!(evidence["replicas"].as_array().unwrap().len(), 3);
    assert_ne!(evidence["replicas"][0]["digest"], evidence["replicas"][1]["digest"]);
}

#[test]
fn a_history_is_kept_on_request_and_judged_alike() {
    let (place, ended) = tampered("", &["--keep-history"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let results = place.results();
    let expected = ["multi-paxos-default-r1-window.json", "multi-paxos-default-r1.jsonl"];
    assert_eq!(names(&results.join("history")), expected);
    let row = &rows(&results.join("summary.csv"))[0];
    let checked = place.bench(&["check", "results/latest/history/multi-paxos-default-r1.jsonl"]);
    let (operations, keys) = (cell(row, "checked_operations"), cell(row, "checked_keys"));
    let expected = format!("linearizable: {operations} operations on {keys} keys\n");
    assert_eq!((checked.code, checked.stdout), (Some(0), expected));
}
