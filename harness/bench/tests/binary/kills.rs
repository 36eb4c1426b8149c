//! A replica process that is killed as planned: the others go on, and the run is judged without it.

use std::{fs, thread::sleep, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    place::{Place, cell, replicas_of, rows, wait_for},
    runs::{assert_ran, assert_ran_but},
};

/// A third of the commands are on one key, half of all are reads: those of the dead replica are in the way of others'.
const KILL: &str = "\
    # Question: do the others go on?\n\
    name = \"kill\"\n\
    repetitions = 1\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.2\n\
    duration_s = 4\n\
    [commands]\n\
    conflict_rate = 0.3\n\
    write_ratio = 0.5\n\
    [[faults]]\n\
    at_s = 1\n\
    kill = \"leader\"\n";

fn run(protocol: &str) {
    let place = Place::new(KILL);
    let protocols = format!("protocols=[\"{protocol}\"]");
    let ended = place.bench(&["run", "w.toml", "--set", &protocols]);
    assert_ran(&place, &ended);
    let results = place.results();
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!((cell(row, "linearizable"), cell(row, "replicas_agree")), ("true", "true"));
    assert_eq!((cell(row, "errors"), cell(row, "unknown")), ("0", "0"), "all were answered");
    assert!(cell(row, "server_cpu_s").parse::<f64>().unwrap() > 0.0);
    assert_eq!(rows(&results.join("replicas.csv")).len(), 2, "the dead one reports nothing");
    let events = fs::read_to_string(results.join("events.csv")).unwrap();
    let kills: Vec<&str> = events.lines().filter(|line| line.contains(",kill,")).collect();
    assert_eq!(kills.len(), 1, "{events}");
    let at_s: f64 = kills[0].split(',').nth(4).unwrap().parse().unwrap();
    assert!(at_s >= 1.0, "{events}");
    let late = |row: &Vec<(String, String)>| {
        cell(row, "site") == "all" && cell(row, "t_ms").parse::<u64>().unwrap() >= 3_000
    };
    let answered: u64 = rows(&results.join("timeseries.csv"))
        .iter()
        .filter(|row| late(row))
        .map(|row| cell(row, "operations").parse::<u64>().unwrap())
        .sum();
    assert!(answered > 0, "the others answered on");
    let verdicts = fs::read_to_string(results.join("verdicts.csv")).unwrap();
    assert!(
        verdicts.contains("killed as planned, and left out of what is compared: r"),
        "{verdicts}"
    );
    assert!(!verdicts.contains("CPU time is not known"), "{verdicts}");
    assert!(ended.stdout.contains("replicas agree · linearizable ("), "{}", ended.stdout);
}

#[test]
fn paxos_goes_on_without_a_replica() {
    run("paxos");
}

#[test]
fn multi_paxos_goes_on_without_its_leader() {
    run("multi-paxos");
}

#[test]
fn epaxos_goes_on_without_a_replica_and_what_that_led() {
    run("epaxos");
}

#[test]
fn what_the_plan_pauses_goes_on_at_the_latest_when_the_faults_end() {
    let (without_kill, _) = KILL.split_once("[[faults]]").unwrap();
    // The last one is for the end of the window to resume.
    let faults = "faults = [{ at_s = 0.5, pause = \"leader\" }, { at_s = 1.0, resume = \"leader\" }, \
                  { at_s = 3.9, pause = 1 }]\n";
    let (name, rest) = without_kill.split_once("repetitions").unwrap();
    let place = Place::new(&format!("{name}{faults}repetitions{rest}"));
    let ended = place.bench(&["run", "w.toml", "--set", "protocols=[\"multi-paxos\"]"]);
    assert_ran(&place, &ended);
    let results = place.results();
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!((cell(row, "linearizable"), cell(row, "replicas_agree")), ("true", "true"));
    assert_eq!(rows(&results.join("replicas.csv")).len(), 3, "all are there");
    let mut events: Vec<String> =
        rows(&results.join("events.csv")).iter().map(|row| cell(row, "event").to_owned()).collect();
    // The faults last until what was due in the window is answered: longer than a session bears.
    events.retain(|event| !event.starts_with("session-"));
    assert_eq!(events, ["pause", "resume", "pause", "faults-end"]);
    let kept = &rows(&results.join("kept.csv"))[0];
    assert_ne!(cell(kept, "acknowledged_checked"), "0");
    for column in ["acknowledged_lost", "applied_twice", "differing_digests", "restarts"] {
        assert_eq!(cell(kept, column), "0", "{column}");
    }
}

/// Every replica in turn is killed and comes back, with what it had written, and nothing that was acknowledged is lost.
fn comes_back(protocol: &str) {
    let (without_kill, _) = KILL.split_once("[[faults]]").unwrap();
    let (name, rest) = without_kill.split_once("repetitions").unwrap();
    let faults = "faults = [{ at_s = 0.3, every_s = 1.2, kill = \"random\" }, \
                  { at_s = 0.9, every_s = 1.2, restart = \"random\" }]\n\
                  cluster.durability = \"buffered\"\n";
    let place = Place::new(&format!("{name}{faults}repetitions{rest}"));
    let protocols = format!("protocols=[\"{protocol}\"]");
    // Less than the machine bears: the load goes on until what was due in the window is answered, and a replica that is just
    // back catches up meanwhile.
    let load = ["load.duration_s=3.6", "load.mode=open", "load.rate_ops_per_s=600"];
    let load = load.iter().flat_map(|set| ["--set", *set]);
    let arguments: Vec<&str> =
        ["run", "w.toml", "--set", &protocols].into_iter().chain(load).collect();
    let ended = place.bench(&arguments);
    // While a leader is dead nothing is answered, and a third of the time one is.
    assert_ran_but(&place, &ended, &["offered were answered"]);
    let results = place.results();
    let row = &rows(&results.join("summary.csv"))[0];
    assert_eq!((cell(row, "linearizable"), cell(row, "replicas_agree")), ("true", "true"));
    assert!(cell(row, "server_cpu_s").parse::<f64>().unwrap() > 0.0, "of all lives");
    let kept = &rows(&results.join("kept.csv"))[0];
    assert_eq!((cell(kept, "durability"), cell(kept, "restarts")), ("buffered", "3"));
    assert_ne!(cell(kept, "acknowledged_checked"), "0");
    for column in ["acknowledged_lost", "applied_twice", "differing_digests"] {
        assert_eq!(cell(kept, column), "0", "{column}");
    }
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("(durability buffered): 0 lost, 0 applied twice; 0 differing"), "{said}");
    assert!(said.contains(": 3 restarts; up and replayed after"), "{said}");
    let recoveries = rows(&results.join("recoveries.csv"));
    assert!(recoveries.iter().all(|recovery| !cell(recovery, "up_ms").is_empty()));
    assert_eq!(rows(&results.join("replicas.csv")).len(), 3, "all are there again");
    assert!(!results.join("data").exists(), "a clean run leaves no data directories");
}

#[test]
fn paxos_replicas_come_back_with_what_they_had() {
    comes_back("paxos");
}

#[test]
fn multi_paxos_replicas_come_back_with_what_they_had() {
    comes_back("multi-paxos");
}

#[test]
fn epaxos_replicas_come_back_with_what_they_had() {
    comes_back("epaxos");
}

#[test]
fn a_replica_that_stood_still_is_asked_again() {
    let (without_kill, _) = KILL.split_once("[[faults]]").unwrap();
    let place = Place::new(&without_kill.replace("duration_s = 4", "duration_s = 9"));
    let running = place.start(&["run", "w.toml", "--set", "protocols=[\"paxos\"]"]);
    let log = place.results().join("logs/paxos-default-r1-replica2.log");
    wait_for("the last replica to be connected with the others", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        (log.matches("is connected").count() == 2).then_some(())
    });
    sleep(Duration::from_millis(1_500));
    let mut replicas = replicas_of(running.pid());
    let stopped = Pid::from_raw(replicas.pop().unwrap());
    kill(stopped, Signal::SIGSTOP).unwrap();
    // Longer than a silent connection is kept.
    sleep(Duration::from_millis(3_500));
    kill(stopped, Signal::SIGCONT).unwrap();
    let ended = running.end();
    assert_ran(&place, &ended);
    let events = fs::read_to_string(place.results().join("events.csv")).unwrap();
    assert!(events.contains(",session-lost,") && events.contains(",session-opened,"), "{events}");
    let row = &rows(&place.results().join("summary.csv"))[0];
    assert_eq!((cell(row, "linearizable"), cell(row, "replicas_agree")), ("true", "true"));
    assert_eq!(rows(&place.results().join("replicas.csv")).len(), 3, "all are there again");
}
