//! What cannot be used is refused in one line that names file, key, value and remedy; nothing is started or written.

use crate::place::{Ended, Place, TINY};

/// The program refuses `arguments` with `expected` as its only line, and leaves nothing behind.
fn refused(place: &Place, arguments: &[&str], expected: &str) {
    let before = place.names();
    let Ended { code, stdout, stderr } = place.bench(arguments);
    assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("bench: ") && stderr.contains(expected), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "");
    assert_eq!(place.names(), before, "something was written");
}

/// A workload file with `text` is refused.
fn refused_file(text: &str, expected: &str) {
    let place = Place::new(&format!("name = \"x\"\n{text}"));
    refused(&place, &["run", "w.toml"], expected);
    refused(&place, &["run", "w.toml", "--dry-run"], expected);
}

#[test]
fn workload_files() {
    let cases = [
        ("[load]\nwindw = 4", "w.toml: load.windw = 4: unknown key: did you mean load.window?"),
        ("seed = \"7\"", "w.toml: seed = \"7\": must be a whole number, not a string"),
        (
            "[commands]\nconflict_rate = 1.4",
            "w.toml: commands.conflict_rate = 1.4: must be within 0..=1",
        ),
        ("[commands]\nwrite_ratio = -0.1", "w.toml: commands.write_ratio = -0.1: must be within"),
        ("[cluster]\nreplicas = 4", "w.toml: cluster.replicas = 4: must be odd"),
        ("[cluster]\nreplicas = 0", "w.toml: cluster.replicas = 0: must be odd, 3 to 51"),
        ("[load]\nwindow = 0", "w.toml: load.window = 0: must be at least 1"),
        (
            "load = { mode = \"open\", rate_ops_per_s = 1e-10, duration_s = 1 }",
            "w.toml: load.rate_ops_per_s = 0.0000000001: no request is due: fewer than one in 2 s",
        ),
        (
            "load = { mode = \"open\", rate_ops_per_s = \"max\" }",
            "w.toml: load.p99_ms_max: missing: rate_ops_per_s = \"max\" needs it",
        ),
        ("protocols = [\"raft\"]", "w.toml: protocols = \"raft\": unknown protocol: use"),
        ("load = [", "w.toml: line 2 is not TOML: "),
    ];
    for (text, expected) in cases {
        refused_file(text, expected);
    }
}

#[test]
fn what_the_simulator_does_not_carry_out() {
    let fault = "[cluster]\ndriver = \"sim\"\n[[faults]]\nat_s = 1\nlayer = \"packet\"\n";
    refused_file(&format!("{fault}jitter_ms = 1"), "use --driver quic");
    refused_file(&format!("{fault}loss_rate = 0.1"), "driver \"sim\" has no packets");
}

#[test]
fn the_command_line() {
    let place = Place::new(TINY);
    let cases: [(&[&str], &str); 11] = [
        (&["run"], "required arguments were not provided: <WORKLOAD>"),
        (&["run", "no.toml"], "no.toml: cannot be read (No such file"),
        (&["run", "w.toml", "--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["run", "w.toml", "--set", "load.window"], "--set: load.window: write it as key=value"),
        (
            &["run", "w.toml", "--set", "load.window=0"],
            "--set: load.window = 0: must be at least 1",
        ),
        (&["run", "w.toml", "--set", "load.windw=1"], "--set: load.windw = 1: unknown key"),
        (&["run", "w.toml", "--set", "protocols=raft"], "--set: protocols = \"raft\": must be"),
        (&["run", "w.toml", "--seed", "-1"], "--seed: seed = -1: must be at least 0"),
        (&["run", "w.toml", "--format", "yaml"], "invalid value 'yaml' for '--format"),
        (&["run", "w.toml", "--out", "w.toml"], "w.toml: "),
        (&["plot", "nowhere"], "nowhere: is no directory"),
    ];
    for (arguments, expected) in cases {
        refused(&place, arguments, expected);
    }
}

#[test]
fn a_replica_is_told_nonsense() {
    let place = Place::new(TINY);
    let node = |id: &str, protocol: &str, config: &str, expected: &str| {
        let peers = "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3";
        let arguments = [
            "node",
            "--id",
            id,
            "--protocol",
            protocol,
            "--listen",
            "127.0.0.1:1",
            "--peers",
            peers,
            "--credentials",
            ".",
            "--config",
            config,
        ];
        refused(&place, &arguments, expected);
    };
    node("3", "epaxos", "{}", "--id 3: must be below the number of --peers, 3");
    node("0", "raft", "{}", "\"raft\" is no protocol: use paxos, multi-paxos or epaxos");
    node("0", "epaxos", "{}", "--config {}: missing field");
}
