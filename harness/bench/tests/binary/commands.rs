//! The commands that start nothing.

use std::fs;

use crate::place::{Ended, Place, TINY};
use assert_cmd::Command;

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let place = Place::new(TINY);
    let sweep = ["run", "w.toml", "--dry-run", "--set", "commands.conflict_rate=[0, 0.5]"];
    let Ended { code, stdout, stderr } = place.bench(&sweep);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let expected = "\
        tiny, seed 42: does it run at all?\n\
        \n\
        point              protocols                 repetitions  runs  about\n\
        conflict_rate=0    paxos multi-paxos epaxos  1            3     6 s\n\
        conflict_rate=0.5  paxos multi-paxos epaxos  1            3     6 s\n\
        \n\
        6 runs, each 0.1 s of warm-up and 0.3 s measured: about 12 s in all. Nothing was started.\n";
    assert_eq!(stdout, expected);
    assert_eq!(place.names(), ["w.toml"]);
}

#[test]
fn a_dry_run_shows_sites_timeouts_and_faults() {
    let text = "name = \"far\"\nrepetitions = 1\nprotocols = [\"epaxos\"]\ncluster.driver = \"sim\"\n\
        network.topology = { source = \"invented\", sites = [\"A\", \"B\", \"C\", \"D\"], \
        round_trip_ms = { A-B = 100, B-C = 110, A-C = 320.5 } }\n\
        faults = [{ at_s = 2, kill = \"leader\" }, { at_s = 0.5, every_s = 0.1, pause = 1 }]\n";
    let place = Place::new(text);
    let Ended { code, stdout, stderr } = place.bench(&["run", "w.toml", "--dry-run"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let (head, tail) = stdout.split_once("\nSites: ").expect(&stdout);
    assert!(head.starts_with("far, seed 42"), "{stdout}");
    let mut lines = tail.lines();
    let mut check = |expected: &str| assert_eq!(lines.next(), Some(expected), "{stdout}");
    check("A, B, C, jitter up to 0.5 ms one way");
    check(
        "Round trips up to 321.5 ms; timeouts: retransmit 643 ms, election 1607.5 ms, recovery 1607.5 ms, client 3215 ms",
    );
    check("");
    check("Faults, from the start of measuring");
    check("  0.5 s  pause: r1");
    check("  0.6 s  pause: r1");
    assert!(stdout.contains("\n  2 s  kill: leader\n  2 s  pause: r1\n"), "{stdout}");
    assert!(
        stdout.ends_with(
            "\n  and 27 more\n\n1 runs, each 1 s of warm-up and 5 s measured, simulated: about 1 s in all. Nothing \
             was started.\n"
        ),
        "{stdout}"
    );
}

#[test]
fn the_list_names_protocols_and_workloads_with_their_questions() {
    let place = Place::new(TINY);
    let Ended { code, stdout, .. } = place.bench(&["list"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("no workloads/*.toml here"), "{stdout}");
    fs::create_dir(place.path().join("workloads")).unwrap();
    fs::write(place.path().join("workloads/tiny.toml"), TINY).unwrap();
    fs::write(place.path().join("workloads/wrong.toml"), "seed = 1").unwrap();
    let topologies = place.path().join("workloads/topologies");
    fs::create_dir(&topologies).unwrap();
    let two = "# Two places.\n#\n# More of it.\nsource = \"a map\"\nsites = [\"A\", \"B\"]\nround_trip_ms = { A-B = 3 }";
    fs::write(topologies.join("two.toml"), two).unwrap();
    fs::write(topologies.join("wrong.toml"), "sites = 3").unwrap();
    let Ended { code, stdout, .. } = place.bench(&["list"]);
    assert_eq!(code, Some(0));
    for expected in [
        "  paxos  ",
        "  multi-paxos  ",
        "  epaxos  ",
        "  workloads/tiny.toml  (3 runs, about 6 s)\n    does it run at all?\n",
        "  workloads/wrong.toml\n    cannot be used: workloads/wrong.toml: name: missing",
        "  two  (A, B)\n    Two places.\n    Source: a map\n",
        "  workloads/topologies/wrong.toml\n    cannot be used: workloads/topologies/wrong.toml: source: missing",
    ] {
        assert!(stdout.contains(expected), "{expected:?} in {stdout}");
    }
}

/// Through a reader that takes what comes: scripts are longer than a pipe holds.
fn bench(argument: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = command.args(argument).timeout(std::time::Duration::from_secs(60)).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = bench(&["completions", shell]);
        assert!(script.contains("dry-run") && script.contains("plot"), "{shell}");
    }
}

#[test]
fn help_says_what_the_exit_codes_are() {
    for arguments in [["--help"].as_slice(), &["run", "--help"]] {
        let help = bench(arguments).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("4 a consistency violation"), "{help}");
    }
    assert!(bench(&["node", "--help"]).contains("--peers <ADDRESSES>"));
}

#[test]
fn no_command_at_all_shows_the_help_and_is_an_error() {
    let Ended { code, stdout, stderr } = Place::new(TINY).bench(&[]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("Usage: bench <COMMAND>"), "{stderr}");
}
