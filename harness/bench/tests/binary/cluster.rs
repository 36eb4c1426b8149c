//! `bench cluster`: what it starts lives on, what it stops is gone, and what it cannot do it says in one line.

use std::{
    fs::{self, File},
    net::UdpSocket,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{background::Background, place::wait_for};

const COMMANDS: [&[&str]; 9] = [
    &["cluster", "status"],
    &["cluster", "kill", "0"],
    &["cluster", "restart", "0"],
    &["cluster", "partition", "0"],
    &["cluster", "heal"],
    &["cluster", "down"],
    &["client", "get", "k"],
    &["client", "probe"],
    &["client", "batch-put"],
];

#[test]
fn without_a_cluster_every_command_says_how_to_start_one() {
    let background = Background::none();
    for command in COMMANDS {
        background.refused(2, command, "./.bench-cluster: there is no cluster: start one with");
    }
    assert_eq!(background.place.names(), ["w.toml"], "something was written");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let background = Background::none();
    let cases: [(&[&str], &str); 8] = [
        (&["cluster", "up", "-n", "4"], "must be odd, 3 to 51"),
        (&["cluster", "up", "--protocol", "raft"], "use paxos, multi-paxos or epaxos"),
        (&["cluster", "up", "--durability", "disk"], "use memory, buffered or fsync"),
        (&["cluster", "up", "--base-port", "65535"], "3 ports from there go beyond 65535"),
        (&["cluster", "up", "--data", "w.toml"], "w.toml"),
        (&["cluster", "kill"], "required arguments were not provided: <REPLICA>"),
        (&["cluster", "partition"], "required arguments were not provided"),
        (&["cluster", "partition", "--from", "0"], "required arguments were not provided"),
    ];
    for (command, expected) in cases {
        background.refused(2, command, expected);
    }
    // A directory of somebody else's is neither used nor touched.
    background.refused(2, &["cluster", "up", "--data", "."], "holds other things and no cluster");
    background.refused(2, &["cluster", "down", "--data", "."], "there is no cluster");
    assert_eq!(background.place.names(), ["w.toml"], "something was written");
}

#[test]
fn an_insecure_cluster_is_asked_for_and_every_command_warns_of_it() {
    const WARNING: &str = "bench: warning: this cluster is insecure: nobody is verified, and whoever reaches a port of it can \
        read and write everything\n";
    let background = Background::none();
    let warned = |arguments: &[&str]| {
        let ended = background.bench(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), WARNING), "{}", ended.stdout);
        ended.stdout
    };
    warned(&["cluster", "up", "--insecure"]);
    assert!(!background.directory().join("credentials").exists(), "nobody asks for a certificate");
    warned(&["client", "put", "k", "1"]);
    assert_eq!(warned(&["client", "get", "k", "--server", "2"]), "1\n");
    warned(&["client", "probe"]);
    let status = warned(&["cluster", "status"]);
    assert!(status.contains("durability buffered · INSECURE · "), "{status}");
    background.done(&["cluster", "down", "--keep"]);
    warned(&["cluster", "up"]);
    background.down();
    // A secure one does not become insecure, and is not taken for one.
    background.done(&["cluster", "up"]);
    assert!(background.directory().join("credentials").exists());
    background.done(&["cluster", "down", "--keep"]);
    let expected =
        "--insecure: the cluster in ./.bench-cluster is of replicas that verify everybody";
    background.refused(2, &["cluster", "up", "--insecure"], expected);
    background.down();
}

#[test]
fn a_cluster_is_started_once_and_outlives_its_command() {
    let background = Background::up(&["--protocol", "multi-paxos", "--durability", "memory"]);
    assert_eq!(background.processes().len(), 3);
    // In a session of its own: a terminal that is closed does not reach it.
    let pid = background.process(1);
    let session = nix::unistd::getsid(Some(Pid::from_raw(pid))).unwrap();
    assert_eq!(session.as_raw(), pid);
    background.refused(2, &["cluster", "up"], "this cluster is up already: `bench cluster status`");
    assert_eq!(background.processes().len(), 3);
    let status = background.done(&["cluster", "status"]);
    assert!(status.starts_with("multi-paxos · 3 replicas · durability memory"), "{status}");
    assert_eq!(status.lines().filter(|line| line.contains("  up  ")).count(), 3, "{status}");
    assert_eq!(status.lines().filter(|line| line.contains("  2/2  ")).count(), 3, "{status}");

    background.refused(2, &["cluster", "kill", "3"], "there is no such replica: they are 0 to 2");
    let killed = background.done(&["cluster", "kill", "2"]);
    assert!(killed.starts_with("killed replica 2: 2 of 3 are left, a majority"), "{killed}");
    background.refused(2, &["cluster", "kill", "2"], "replica 2 is dead already");
    background.refused(2, &["cluster", "up"], "replica 2 died: `bench cluster restart 2`");
    background.refused(2, &["cluster", "restart", "2"], "has forgotten what it promised");
    let status = background.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert_eq!(status.stdout.lines().filter(|line| line.contains("  dead  ")).count(), 1);

    background.done(&["cluster", "kill", "0", "1"]);
    assert!(background.processes().is_empty());
    background.refused(2, &["cluster", "up"], "kept everything in memory");
    background.refused(1, &["client", "get", "k"], "no replica of this cluster is alive");
    background.down();
}

#[test]
fn one_command_at_a_time_changes_a_cluster() {
    let background = Background::up(&["--durability", "memory"]);
    let lock = File::open(background.directory().join("cluster.lock")).unwrap();
    lock.lock().unwrap();
    for command in ["up", "heal", "down"] {
        background.refused(1, &["cluster", command], "another command is at work on this cluster");
    }
    background.done(&["cluster", "status"]);
    drop(lock);
    background.down();
}

#[test]
fn ports_that_are_taken_are_named_or_avoided() {
    let taken = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let background = Background::none();
    background.refused(
        2,
        &["cluster", "up", "--base-port", &port],
        &format!("UDP port {port} is taken: choose another"),
    );
    assert_eq!(background.place.names(), ["w.toml"], "something was left");
    drop(background);

    let background = Background::up(&["--durability", "fsync"]);
    let kept = background.done(&["cluster", "down", "--keep"]);
    assert!(kept.contains("kept ./.bench-cluster: `bench cluster up`"), "{kept}");
    assert!(background.processes().is_empty());
    let text = fs::read_to_string(background.directory().join("cluster.json")).unwrap();
    let (_, address) = text.split_once("\"127.0.0.1:").unwrap();
    let (port, _) = address.split_once('"').unwrap();
    let _taken = UdpSocket::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let told = background.done(&["cluster", "up"]);
    assert!(told.contains("are up again, on other ports in"), "{told}");
    assert!(!told.contains(&format!(":{port}\n")), "{told}");
    background.down();
}

#[test]
fn a_number_that_is_another_process_by_now_is_left_alone() {
    let background = Background::up(&["--durability", "memory"]);
    let (victim, own) = (background.process(1), std::process::id());
    kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    background
        .edit(|text| text.replace(&format!("\"pid\": {victim},"), &format!("\"pid\": {own},")));
    let status = background.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert_eq!(status.stdout.lines().filter(|line| line.contains("  dead  ")).count(), 1);
    background.refused(2, &["cluster", "kill", "1"], "replica 1 is dead already");
    // This very process is still here to see it.
    background.down();
}

#[test]
fn stale_state_is_recognised_and_what_to_do_is_said() {
    let background = Background::up(&["--durability", "buffered"]);
    background.done(&["cluster", "kill", "0", "1", "2"]);
    background.edit(|text| text.replace("\"boot_id\": \"", "\"boot_id\": \"an earlier one, "));
    let status = background.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert!(status.stdout.contains("The machine was started anew"), "{}", status.stdout);
    background.refused(
        2,
        &["cluster", "restart", "0"],
        "the whole cluster is down: `bench cluster up`",
    );
    background.refused(2, &["cluster", "up"], "may not have reached the disk");
    background.refused(
        2,
        &["cluster", "up", "--accept-loss", "-n", "5"],
        "is of 3 replicas: leave it",
    );
    let told = background.done(&["cluster", "up", "--accept-loss"]);
    assert!(told.contains("are up again, which had died"), "{told}");

    background.edit(|text| text.replace("\"version\": 1", "\"version\": 2"));
    for command in COMMANDS {
        background.refused(2, command, "version = 2: this program knows version 1");
    }
    background.edit(|text| text.replace("\"version\": 2", "\"version\": 1"));
    background.edit(|text| text[..text.len() / 2].to_owned());
    background.refused(2, &["cluster", "status"], "cluster.json: does not describe a cluster");
}

#[test]
fn others_files_survive_the_end_of_a_cluster() {
    let background = Background::none();
    background.done(&["cluster", "up", "--data", "c", "--durability", "memory"]);
    fs::write(background.place.path().join("c/notes.txt"), "mine").unwrap();
    let told = background.done(&["cluster", "down", "--data", "c"]);
    assert!(told.contains("but for what others put there"), "{told}");
    assert_eq!(crate::place::names(&background.place.path().join("c")), ["notes.txt"]);
    assert!(background.processes().is_empty());
}

#[test]
fn a_paused_replica_is_seen_stepped_around_and_stopped() {
    let background = Background::up(&["--durability", "memory"]);
    background.done(&["client", "put", "k", "1"]);
    kill(Pid::from_raw(background.process(0)), Signal::SIGSTOP).unwrap();
    wait_for("the status to show it", || {
        let status = background.bench(&["cluster", "status"]);
        status.stdout.contains("  paused  ").then(|| assert_eq!(status.code, Some(1)))
    });
    background.refused(2, &["cluster", "partition", "1"], "replica 0 is paused and cannot be told");
    let told = background.done(&["client", "put", "k", "2", "--server", "0"]);
    assert!(told.starts_with("ok (replica "), "{told}");
    assert_eq!(background.done(&["client", "get", "k"]), "2\n");
    let alone = ["client", "get", "k", "--server", "0", "--max-retry", "0", "--timeout", "0.5"];
    background.done(&["client", "get", "k", "--server", "1"]);
    let _ = background.bench(&alone);
    let probe = background.bench(&["client", "probe"]);
    assert_eq!(probe.code, Some(1));
    assert!(probe.stdout.contains("paused"), "{}", probe.stdout);
    background.down();
}
