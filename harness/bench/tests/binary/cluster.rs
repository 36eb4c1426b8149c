//! `bench cluster`: what it starts lives on, what it stops is gone, and what it cannot do it says in one line.

use std::{
    fs::{self, File},
    net::UdpSocket,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{place::wait_for, standing::Standing};

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
    let standing = Standing::none();
    for command in COMMANDS {
        standing.refused(2, command, "./.bench-cluster: there is no cluster: start one with");
    }
    assert_eq!(standing.place.names(), ["w.toml"], "something was written");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let standing = Standing::none();
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
        standing.refused(2, command, expected);
    }
    // A directory of somebody else's is neither used nor touched.
    standing.refused(2, &["cluster", "up", "--data", "."], "holds other things and no cluster");
    standing.refused(2, &["cluster", "down", "--data", "."], "there is no cluster");
    assert_eq!(standing.place.names(), ["w.toml"], "something was written");
}

#[test]
fn an_insecure_cluster_is_asked_for_and_every_command_warns_of_it() {
    const WARNING: &str = "bench: warning: this cluster is insecure: nobody is verified, and whoever reaches a port of it can \
        read and write everything\n";
    let standing = Standing::none();
    let warned = |arguments: &[&str]| {
        let ended = standing.bench(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), WARNING), "{}", ended.stdout);
        ended.stdout
    };
    warned(&["cluster", "up", "--insecure"]);
    assert!(!standing.directory().join("credentials").exists(), "nobody asks for a certificate");
    warned(&["client", "put", "k", "1"]);
    assert_eq!(warned(&["client", "get", "k", "--server", "2"]), "1\n");
    warned(&["client", "probe"]);
    let status = warned(&["cluster", "status"]);
    assert!(status.contains("durability buffered · INSECURE · "), "{status}");
    standing.done(&["cluster", "down", "--keep"]);
    warned(&["cluster", "up"]);
    standing.down();
    // A secure one does not become insecure, and is not taken for one.
    standing.done(&["cluster", "up"]);
    assert!(standing.directory().join("credentials").exists());
    standing.done(&["cluster", "down", "--keep"]);
    let expected =
        "--insecure: the cluster in ./.bench-cluster is of replicas that verify everybody";
    standing.refused(2, &["cluster", "up", "--insecure"], expected);
    standing.down();
}

#[test]
fn a_cluster_is_started_once_and_outlives_its_command() {
    let standing = Standing::up(&["--protocol", "multi-paxos", "--durability", "memory"]);
    assert_eq!(standing.processes().len(), 3);
    // In a session of its own: a terminal that is closed does not reach it.
    let pid = standing.process(1);
    let session = nix::unistd::getsid(Some(Pid::from_raw(pid))).unwrap();
    assert_eq!(session.as_raw(), pid);
    standing.refused(2, &["cluster", "up"], "this cluster is up already: `bench cluster status`");
    assert_eq!(standing.processes().len(), 3);
    let status = standing.done(&["cluster", "status"]);
    assert!(status.starts_with("multi-paxos · 3 replicas · durability memory"), "{status}");
    assert_eq!(status.lines().filter(|line| line.contains("  up  ")).count(), 3, "{status}");
    assert_eq!(status.lines().filter(|line| line.contains("  2/2  ")).count(), 3, "{status}");

    standing.refused(2, &["cluster", "kill", "3"], "there is no such replica: they are 0 to 2");
    let killed = standing.done(&["cluster", "kill", "2"]);
    assert!(killed.starts_with("killed replica 2: 2 of 3 are left, a majority"), "{killed}");
    standing.refused(2, &["cluster", "kill", "2"], "replica 2 is dead already");
    standing.refused(2, &["cluster", "up"], "replica 2 died: `bench cluster restart 2`");
    standing.refused(2, &["cluster", "restart", "2"], "has forgotten what it promised");
    let status = standing.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert_eq!(status.stdout.lines().filter(|line| line.contains("  dead  ")).count(), 1);

    standing.done(&["cluster", "kill", "0", "1"]);
    assert!(standing.processes().is_empty());
    standing.refused(2, &["cluster", "up"], "kept everything in memory");
    standing.refused(1, &["client", "get", "k"], "no replica of this cluster is alive");
    standing.down();
}

#[test]
fn one_command_at_a_time_changes_a_cluster() {
    let standing = Standing::up(&["--durability", "memory"]);
    let lock = File::open(standing.directory().join("cluster.lock")).unwrap();
    lock.lock().unwrap();
    for command in ["up", "heal", "down"] {
        standing.refused(1, &["cluster", command], "another command is at work on this cluster");
    }
    standing.done(&["cluster", "status"]);
    drop(lock);
    standing.down();
}

#[test]
fn ports_that_are_taken_are_named_or_avoided() {
    let taken = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let standing = Standing::none();
    standing.refused(
        2,
        &["cluster", "up", "--base-port", &port],
        &format!("UDP port {port} is taken: choose another"),
    );
    assert_eq!(standing.place.names(), ["w.toml"], "something was left");
    drop(standing);

    let standing = Standing::up(&["--durability", "fsync"]);
    let kept = standing.done(&["cluster", "down", "--keep"]);
    assert!(kept.contains("kept ./.bench-cluster: `bench cluster up`"), "{kept}");
    assert!(standing.processes().is_empty());
    let text = fs::read_to_string(standing.directory().join("cluster.json")).unwrap();
    let (_, address) = text.split_once("\"127.0.0.1:").unwrap();
    let (port, _) = address.split_once('"').unwrap();
    let _taken = UdpSocket::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let told = standing.done(&["cluster", "up"]);
    assert!(told.contains("are up again, on other ports in"), "{told}");
    assert!(!told.contains(&format!(":{port}\n")), "{told}");
    standing.down();
}

#[test]
fn a_number_that_is_another_process_by_now_is_left_alone() {
    let standing = Standing::up(&["--durability", "memory"]);
    let (victim, own) = (standing.process(1), std::process::id());
    kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    standing.edit(|text| text.replace(&format!("\"pid\": {victim},"), &format!("\"pid\": {own},")));
    let status = standing.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert_eq!(status.stdout.lines().filter(|line| line.contains("  dead  ")).count(), 1);
    standing.refused(2, &["cluster", "kill", "1"], "replica 1 is dead already");
    // This very process is still here to see it.
    standing.down();
}

#[test]
fn stale_state_is_recognised_and_what_to_do_is_said() {
    let standing = Standing::up(&["--durability", "buffered"]);
    standing.done(&["cluster", "kill", "0", "1", "2"]);
    standing.edit(|text| text.replace("\"boot_id\": \"", "\"boot_id\": \"an earlier one, "));
    let status = standing.bench(&["cluster", "status"]);
    assert_eq!(status.code, Some(1));
    assert!(status.stdout.contains("The machine was started anew"), "{}", status.stdout);
    standing.refused(
        2,
        &["cluster", "restart", "0"],
        "the whole cluster is down: `bench cluster up`",
    );
    standing.refused(2, &["cluster", "up"], "may not have reached the disk");
    standing.refused(
        2,
        &["cluster", "up", "--accept-loss", "-n", "5"],
        "is of 3 replicas: leave it",
    );
    let told = standing.done(&["cluster", "up", "--accept-loss"]);
    assert!(told.contains("are up again, which had died"), "{told}");

    standing.edit(|text| text.replace("\"version\": 1", "\"version\": 2"));
    for command in COMMANDS {
        standing.refused(2, command, "version = 2: this program knows version 1");
    }
    standing.edit(|text| text.replace("\"version\": 2", "\"version\": 1"));
    standing.edit(|text| text[..text.len() / 2].to_owned());
    standing.refused(2, &["cluster", "status"], "cluster.json: does not describe a cluster");
}

#[test]
fn others_files_survive_the_end_of_a_cluster() {
    let standing = Standing::none();
    standing.done(&["cluster", "up", "--data", "c", "--durability", "memory"]);
    fs::write(standing.place.path().join("c/notes.txt"), "mine").unwrap();
    let told = standing.done(&["cluster", "down", "--data", "c"]);
    assert!(told.contains("but for what others put there"), "{told}");
    assert_eq!(crate::place::names(&standing.place.path().join("c")), ["notes.txt"]);
    assert!(standing.processes().is_empty());
}

#[test]
fn a_paused_replica_is_seen_stepped_around_and_stopped() {
    let standing = Standing::up(&["--durability", "memory"]);
    standing.done(&["client", "put", "k", "1"]);
    kill(Pid::from_raw(standing.process(0)), Signal::SIGSTOP).unwrap();
    wait_for("the status to show it", || {
        let status = standing.bench(&["cluster", "status"]);
        status.stdout.contains("  paused  ").then(|| assert_eq!(status.code, Some(1)))
    });
    standing.refused(2, &["cluster", "partition", "1"], "replica 0 is paused and cannot be told");
    let told = standing.done(&["client", "put", "k", "2", "--server", "0"]);
    assert!(told.starts_with("ok (replica "), "{told}");
    assert_eq!(standing.done(&["client", "get", "k"]), "2\n");
    let alone = ["client", "get", "k", "--server", "0", "--max-retry", "0", "--timeout", "0.5"];
    standing.done(&["client", "get", "k", "--server", "1"]);
    let _ = standing.bench(&alone);
    let probe = standing.bench(&["client", "probe"]);
    assert_eq!(probe.code, Some(1));
    assert!(probe.stdout.contains("paused"), "{}", probe.stdout);
    standing.down();
}
