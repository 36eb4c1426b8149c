//! However a run ends, no process of it stays, and what was measured is kept.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use crate::place::{Place, Running, TINY, replicas_of, rows, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A run that is under way and would last for minutes: all three replicas are connected with each other.
fn under_way(place: &Place, protocol: &str) -> Running {
    let protocols = format!("protocols=[\"{protocol}\"]");
    let arguments = ["run", "w.toml", "--set", &protocols, "--set", "load.duration_s=300"];
    let running = place.start(&arguments);
    wait_for("three connected replicas", || {
        let logs = place.results().join("logs");
        let texts: Vec<String> = (0..3)
            .filter_map(|id| {
                fs::read_to_string(logs.join(format!("{protocol}-default-r1-replica{id}.log"))).ok()
            })
            .collect();
        let connected = |text: &String| text.matches("is connected").count() == 2;
        (texts.len() == 3 && texts.iter().all(connected)).then_some(())
    });
    running
}

fn manifest(place: &Place) -> serde_json::Value {
    let text = fs::read_to_string(place.results().join("manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_interrupted_sweep_keeps_the_runs_that_were_made() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new(TINY);
        let arguments = ["run", "w.toml", "--set", "repetitions=200"];
        let running = place.start(&arguments);
        let summary = place.results().join("summary.csv");
        wait_for("a run", || (!rows(&summary).is_empty()).then_some(()));
        send(running.pid(), signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let line = format!("bench: interrupted by {signal}: kept ");
        assert!(ended.stderr.starts_with(&line), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stdout.contains("ops/s"), "what was kept is shown: {ended:?}");
        let manifest = manifest(&place);
        assert_eq!(manifest["complete"], false);
        assert!(manifest["ended_utc"].is_string());
        assert!(!rows(&summary).is_empty());
    }
}

#[test]
fn a_replica_that_dies_fails_the_run_with_its_last_words() {
    let place = Place::new(TINY);
    let running = under_way(&place, "multi-paxos");
    let replicas = replicas_of(running.pid());
    assert_eq!(replicas.len(), 3);
    send(replicas[1], Signal::SIGKILL);
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("bench: multi-paxos at default, repetition 1: replica "));
    assert!(ended.stderr.contains("ended by itself (signal: 9 (SIGKILL)); its last words: \""));
    assert!(ended.stderr.contains("is connected"), "{ended:?}");
    assert_eq!(manifest(&place)["complete"], false);
}

#[test]
fn replicas_do_not_outlive_a_program_that_was_killed() {
    let place = Place::new(TINY);
    let running = under_way(&place, "epaxos");
    let pid = running.pid();
    assert_eq!(replicas_of(pid).len(), 3);
    send(pid, Signal::SIGKILL);
    wait_for("the replicas' end", || replicas_of(pid).is_empty().then_some(()));
    assert_eq!(running.end().code, None);
    assert_eq!(manifest(&place)["complete"], false);
}

#[test]
fn a_replica_that_is_asked_to_end_by_a_signal_does_so() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut node = Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(["node", "--insecure", "--id", "0", "--protocol", "multi-paxos"])
            .args(["--listen", "127.0.0.1:0", "--peers", "localhost:7000"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(node.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert!(line.contains("one of 1 replicas"), "{line}");
        send(i32::try_from(node.id()).unwrap(), signal);
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(&format!("stopping, as {signal} asked")), "{rest}");
        assert_eq!(node.wait().unwrap().code(), Some(0), "{rest}");
    }
}
