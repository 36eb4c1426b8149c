//! `bench client`: what a user does with a cluster, and what becomes of commands while replicas die.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{background::Background, place::Ended};

#[test]
fn as_a_new_user_would() {
    let background = Background::none();
    let told = background.done(&["cluster", "up", "-n", "3", "--protocol", "epaxos"]);
    assert!(told.starts_with("3 replicas of epaxos (durability buffered) are up"), "{told}");
    assert!(told.contains("\n  bench client put 114 514\n"), "{told}");
    let told = background.done(&["client", "put", "114", "514"]);
    assert!(told.starts_with("ok (replica 0, "), "{told}");
    for server in ["0", "1", "2"] {
        assert_eq!(background.done(&["client", "get", "114", "--server", server]), "514\n");
    }
    let all = background.done(&["client", "get", "114", "--server", "all"]);
    assert_eq!(all, "replica 0: 514\nreplica 1: 514\nreplica 2: 514\n");
    assert_eq!(background.done(&["client", "put-get", "k", "grün -1"]), "grün -1\n");
    assert_eq!(background.done(&["client", "get", "114", "k"]), "514\ngrün -1\n");
    let absent = background.bench(&["client", "get", "nothing"]);
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(1), ""));
    assert_eq!(absent.stderr, "bench: get \"nothing\": there is no such key\n");

    let probe = background.done(&["client", "probe"]);
    assert_eq!(probe.lines().count(), 4, "{probe}");
    assert_eq!(probe.matches("epaxos").count(), 3, "{probe}");
    assert!(!probe.contains("down"), "{probe}");
    let batch =
        "client batch-put -N 1000 --keys 1000 --pipeline 10000 --random-key --random-server";
    let batch: Vec<&str> = batch.split(' ').collect();
    let summary = background.done(&batch);
    assert!(summary.starts_with("1000 of 1000 puts done in "), "{summary}");
    for part in ["key-0 … key-999", "p50", "p90", "p99", "max", "retried  none", "seed"] {
        assert!(summary.contains(part), "{part} in {summary}");
    }
    background.settle();
    background.down();
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let background = Background::up(&["--durability", "memory"]);
    let long = "k".repeat(5_000);
    let cases: [(&[&str], &str); 10] = [
        (&["client", "get", &long], "has 5000 bytes: at most 4096"),
        (&["client", "put", &long, "v"], "has 5000 bytes: at most 4096"),
        (&["client", "get", "k", "--server", "3"], "--server 3: there is no such replica"),
        (&["client", "get", "k", "--server", "one"], "must be a replica's number, or all"),
        (&["client", "get", "k", "--timeout", "0"], "must be above 0 and at most 3600 seconds"),
        (&["client", "get"], "required arguments were not provided: <KEY>"),
        (&["client", "batch-put", "--value-bytes", "2000000"], "must be 16 to 1048576"),
        (&["client", "batch-put", "--pipeline", "0"], "must be 1 to 16384"),
        (&["client", "batch-put", "--keys", "0"], "0 is not in 1.."),
        (&["client", "batch-put", "-N", "x"], "invalid digit"),
    ];
    for (command, expected) in cases {
        background.refused(2, command, expected);
    }
    background.down();
}

#[test]
fn large_values_come_back_whole_from_every_replica() {
    let background = Background::up(&["--protocol", "paxos", "--durability", "memory"]);
    let batch = "client batch-put -N 20 --keys 10 --pipeline 7 --value-bytes 1048576 --server all";
    let batch: Vec<&str> = batch.split(' ').collect();
    background.done(&batch);
    let value = background.place.path().join("value");
    let out = std::fs::File::create(&value).unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["client", "get", "key-7"])
        .current_dir(background.place.path())
        .stdout(out)
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(&value).unwrap();
    assert_eq!(text.len(), (1 << 20) + 1);
    assert!(text.starts_with("0000") && text.trim_end().parse::<u64>().unwrap() % 10 == 7);
    background.settle();
    std::fs::remove_file(value).unwrap();
    background.down();
}

#[test]
fn without_a_majority_nothing_hangs_and_nothing_is_claimed() {
    let background = Background::up(&["--protocol", "multi-paxos", "--durability", "memory"]);
    background.done(&["client", "put", "k", "1"]);
    background.done(&["cluster", "kill", "0"]);
    let told = background.done(&["client", "put", "k", "2", "--server", "0"]);
    assert!(told.starts_with("ok (replica 1"), "the next one answered: {told}");
    let all = background.bench(&["client", "get", "k", "--server", "all"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(1), "replica 1: 2\nreplica 2: 2\n"));
    assert!(all.stderr.contains("replica 0 is dead"), "{}", all.stderr);
    let probe = background.bench(&["client", "probe"]);
    assert_eq!(probe.code, Some(1));
    assert!(probe.stdout.contains("dead"), "{}", probe.stdout);
    background.done(&["cluster", "kill", "1"]);
    let put = ["client", "put", "k", "3", "--timeout", "1"];
    background.refused(1, &put, "put \"k\": no answer within 1 s: it may have happened");
    background.refused(1, &["client", "get", "k", "--timeout", "1"], "no answer within 1 s");
    let batch = ["client", "batch-put", "-N", "5", "--timeout", "1"];
    let Ended { code, stdout, .. } = background.bench(&batch);
    assert_eq!(code, Some(1));
    assert!(stdout.starts_with("0 of 5 puts done"), "{stdout}");
    assert!(stdout.contains("unknown  5, each of which may have happened"), "{stdout}");
    background.down();
}

#[test]
fn replicas_that_all_stand_still_hang_no_client() {
    let background = Background::up(&["--durability", "memory"]);
    let all: Vec<Pid> = (0..3).map(|replica| Pid::from_raw(background.process(replica))).collect();
    for pid in &all {
        kill(*pid, Signal::SIGSTOP).unwrap();
    }
    let put = ["client", "put", "k", "1", "--timeout", "1"];
    background.refused(1, &put, "no replica could be reached within 1 s: it did not happen");
    let batch = "client batch-put -N 30 --value-bytes 1048576 --random-server --timeout 1";
    let Ended { code, stdout, .. } = background.bench(&batch.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(1));
    assert!(stdout.contains("not sent 30, which did not happen"), "{stdout}");
    for pid in all {
        kill(pid, Signal::SIGCONT).unwrap();
    }
    assert_eq!(background.bench(&["client", "get", "k"]).code, Some(1), "it did not happen");
    // Paused in the midst of large puts: what is on its way is unknown, and the rest is held back.
    // As long as a pipe holds, for the sake of the reader below.
    let batch = "client batch-put -N 20000 --value-bytes 60000 --random-server --timeout 3";
    let running = background.start(&batch.split(' ').collect::<Vec<_>>());
    crate::place::wait_for("the first puts", || {
        let first = background.bench(&["client", "get", "key-3"]);
        (first.code == Some(0)).then_some(())
    });
    for replica in 0..3 {
        kill(Pid::from_raw(background.process(replica)), Signal::SIGSTOP).unwrap();
    }
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("unknown  "), "{}", ended.stdout);
    background.down();
}

#[test]
fn a_minority_that_is_cut_off_answers_nothing_until_it_is_healed() {
    let background = Background::up(&["--durability", "memory"]);
    let told = background.done(&["cluster", "partition", "0|1,2"]);
    assert!(told.starts_with("replica 0 | replicas 1 and 2 no longer hear each other"), "{told}");
    // What is not answered may still happen, after the end of the partition too: it is of a key of its own.
    let alone = |server: &'static str, key: &'static str| {
        ["client", "put", key, "1", "--server", server, "--max-retry", "0", "--timeout", "1.5"]
    };
    background.refused(1, &alone("0", "lost"), "put \"lost\": no answer within 1.5 s: it may have");
    background.done(&alone("1", "k"));
    let status = background.bench(&["cluster", "status"]);
    assert!(status.stdout.contains("Cut off: 0→1 0→2 1→0 2→0"), "{}", status.stdout);
    assert_eq!(background.done(&["cluster", "heal"]), "every partition has ended\n");
    assert_eq!(background.done(&["cluster", "heal"]), "no replica was cut off\n");
    background.done(&["client", "put", "k", "2", "--server", "0"]);
    assert_eq!(background.done(&["client", "get", "k", "--server", "2"]), "2\n");
    background.settle();
    background.down();
}

/// Every put, at whatever replica it was asked for, while one is killed with SIGKILL and started again. So many are under way
/// that none being at that one when it dies is out of the question.
fn puts_survive_a_kill(protocol: &str) {
    const PUTS: usize = 30_000;
    let background = Background::up(&["--protocol", protocol]);
    let puts = PUTS.to_string();
    let mut batch = vec!["client", "batch-put", "-N", &puts, "--keys", &puts, "--pipeline", "24"];
    batch.extend(["--random-server", "--timeout", "30", "--max-retry", "20"]);
    let mut running = background.start(&batch);
    crate::place::wait_for("the first puts", || {
        let first = background.bench(&["client", "get", "key-100"]);
        (first.code == Some(0)).then_some(())
    });
    assert!(running.is_running(), "the puts were over too soon");
    background.done(&["cluster", "kill", "0"]);
    assert!(running.is_running(), "the puts were over too soon");
    let told = background.done(&["cluster", "restart", "0"]);
    assert!(told.starts_with("replica 0 is back after "), "{told}");
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(ended.stdout.starts_with(&format!("{PUTS} of {PUTS} puts done")), "{}", ended.stdout);
    assert!(!ended.stdout.contains("retried  none"), "{}", ended.stdout);

    let keys: Vec<String> = (0..PUTS).step_by(97).map(|key| format!("key-{key}")).collect();
    let expected: String = (0..PUTS).step_by(97).map(|key| format!("{key:016}\n")).collect();
    for server in ["0", "1", "2"] {
        let mut get = vec!["client", "get", "--server", server];
        get.extend(keys.iter().map(String::as_str));
        assert_eq!(background.done(&get), expected, "replica {server}");
    }
    // Equal digests: what the sample does not show is the same everywhere, and no put was applied twice.
    background.settle();
    let status = background.done(&["cluster", "status"]);
    assert_eq!(status.lines().filter(|line| line.contains("  equal  ")).count(), 3, "{status}");
    background.down();
}

#[test]
fn paxos_loses_and_repeats_nothing_when_a_replica_is_killed_and_comes_back() {
    puts_survive_a_kill("paxos");
}

#[test]
fn multi_paxos_loses_and_repeats_nothing_when_its_leader_is_killed_and_comes_back() {
    puts_survive_a_kill("multi-paxos");
}

#[test]
fn epaxos_loses_and_repeats_nothing_when_a_replica_is_killed_and_comes_back() {
    puts_survive_a_kill("epaxos");
}

#[test]
fn a_durable_cluster_is_started_again_with_what_it_held() {
    let background = Background::up(&["--durability", "fsync", "--protocol", "multi-paxos"]);
    background.done(&["client", "put", "k", "kept"]);
    background.settle();
    background.done(&["cluster", "down", "--keep"]);
    let status = background.bench(&["cluster", "status"]);
    assert!(status.stdout.contains("The cluster was stopped"), "{}", status.stdout);
    background.done(&["cluster", "up"]);
    let all = background.done(&["client", "get", "k", "--server", "all"]);
    assert_eq!(all, "replica 0: kept\nreplica 1: kept\nreplica 2: kept\n");
    background.done(&["cluster", "kill", "0", "1", "2"]);
    let told = background.done(&["cluster", "up"]);
    assert!(told.contains("are up again, which had died"), "{told}");
    assert_eq!(background.done(&["client", "get", "k"]), "kept\n");
    background.down();
}
