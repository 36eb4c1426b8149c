//! `bench soak` and `bench replay`: hostile simulations, and one of them again.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::place::{Ended, Place, TINY};

fn soak(arguments: &[&str]) -> Ended {
    Place::new(TINY).bench(&[&["soak"], arguments].concat())
}

fn replay(arguments: &[&str]) -> Ended {
    Place::new(TINY).bench(&[&["replay"], arguments].concat())
}

#[test]
fn a_few_seeds_of_each_protocol_are_clean() {
    for protocol in ["paxos", "multi-paxos", "epaxos"] {
        let Ended { code, stdout, stderr } =
            soak(&["--protocol", protocol, "--seeds", "4", "--first-seed", "10"]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        for expected in [
            "4 from 10 on: ",
            "80 drawn",
            "agreement: ",
            "completion: ",
            "linearizability: ",
            "Covered ",
            " submissions given up\n",
            " torn tails\n",
            "No violation, no seed unfinished. 4 clean seeds",
            "fewer than 75.00 %",
        ] {
            assert!(stdout.contains(expected), "{expected:?} in {stdout}");
        }
        for epaxos_alone in [" fast, ", "Longest component", "visibility: "] {
            assert_eq!(stdout.contains(epaxos_alone), protocol == "epaxos", "{stdout}");
        }
    }
}

#[test]
fn the_published_variant_is_a_subject_of_its_own() {
    let published = ["--protocol", "epaxos", "--variant", "sosp13"];
    let Ended { code, stdout, stderr } = soak(&[&published[..], &["--seeds", "4"]].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    for expected in ["epaxos, variant sosp13\n", "visibility: ", "4 clean seeds"] {
        assert!(stdout.contains(expected), "{expected:?} in {stdout}");
    }
    let shown =
        |options: &[&str]| replay(&[options, &["--seed", "7", "--trace-lines", "1"]].concat());
    let (corrected, published) = (shown(&published[..2]), shown(&published));
    assert_eq!(published.code, Some(0), "{}", published.stderr);
    let heading = "epaxos, variant sosp13, seed 7: ";
    assert!(published.stdout.starts_with(heading), "{}", published.stdout);
    assert_ne!(corrected.stdout.lines().last(), published.stdout.lines().last(), "the same run");
}

#[test]
fn the_summary_is_json_on_request() {
    let Ended { code, stdout, .. } =
        soak(&["--protocol", "epaxos", "--seeds", "6", "--format", "json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["protocol"], "epaxos");
    assert_eq!((&json["seeds"], &json["seeds_clean"]), (&6.into(), &6.into()));
    assert_eq!(json["faults"], 120);
    assert_eq!(json["violations"], serde_json::json!([]));
    assert_eq!(json["violation_rate_max_95"], 0.5);
    let sizes = json["seeds_by_replicas"].as_object().unwrap();
    assert_eq!(sizes.values().map(|seeds| seeds.as_u64().unwrap()).sum::<u64>(), 6);
    for counter in ["operations", "crashes", "committed_fast", "committed_slow"] {
        assert!(json[counter].as_u64().unwrap() > 0, "{counter}: {json}");
    }
    for covered in ["fast commits", "checkpoints", "states captured", "sessions moved"] {
        assert!(json["covered"][covered].as_u64().unwrap() > 0, "{covered}: {json}");
    }
}

#[test]
fn faults_that_last_are_a_kind_of_seeds_of_their_own() {
    let Ended { code, stdout, stderr } =
        soak(&["--protocol", "paxos", "--liveness", "--seeds", "4"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    for expected in [
        "outside a healthy majority and for ever",
        "Without an answer  longest of a seed, as a share of 4 T + 10 r: p50 0.",
        "; 0 seeds over it\n",
        "4 of 4 seeds within 2 T + 10 r, which 99 of 100 should be: kept\n",
        "progress: while faults last, ",
        "4 clean seeds",
    ] {
        assert!(stdout.contains(expected), "{expected:?} in {stdout}");
    }
    assert!(!stdout.contains("equality at rest"), "there is no rest: {stdout}");
    let shown = replay(&["--protocol", "paxos", "--liveness", "--seed", "1", "--trace-lines", "1"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for expected in [" s without an answer are too long\n", "Longest stretch without an answer: "] {
        assert!(shown.stdout.contains(expected), "{expected:?} in {}", shown.stdout);
    }
    let arguments = ["--protocol", "paxos", "--liveness", "--seeds", "4", "--format", "json"];
    let json: serde_json::Value = serde_json::from_str(&soak(&arguments).stdout).unwrap();
    assert_eq!(json["kind"], "liveness");
    assert_eq!(json["without_an_answer"]["seeds"], 4);
    assert_eq!(json["without_an_answer"]["seeds_over_4t_10r"], 0);
}

#[test]
fn the_threads_do_not_change_what_is_counted() {
    let counted = || {
        let Ended { stdout, .. } =
            soak(&["--protocol", "multi-paxos", "--seeds", "6", "--format", "json"]);
        let mut json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let fields = json.as_object_mut().unwrap();
        fields.retain(|field, _| field != "wall_s" && field != "cpu_s");
        json
    };
    assert_eq!(counted(), counted());
}

#[test]
fn an_interrupted_soak_says_how_many_seeds_were_clean() {
    let place = Place::new(TINY);
    let running = place.start(&["soak", "--protocol", "epaxos", "--seeds", "1000000"]);
    let pid = running.pid();
    // Until it watches for it, the signal ends it like any other program.
    crate::place::wait_for("the signal to be watched", || watches_interrupts(pid).then_some(()));
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    let Ended { code, stdout, stderr } = running.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("bench: interrupted by SIGINT: "), "{stderr}");
    assert!(stderr.contains("seeds run were clean, 1000000 asked for"), "{stderr}");
    assert!(stdout.contains("before the interruption"), "{stdout}");
}

/// Does the process catch SIGINT, by what the system says?
fn watches_interrupts(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (Signal::SIGINT as u32 - 1)) != 0)
}

#[test]
fn a_replay_is_the_same_every_time() {
    let arguments = ["--protocol", "epaxos", "--seed", "7", "--trace-lines", "20"];
    let (first, again) = (replay(&arguments), replay(&arguments));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(first.stdout, again.stdout);
    let lines: Vec<_> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 2 + 20 + 2, "{}", first.stdout);
    assert!(lines[0].starts_with("epaxos, seed 7: "), "{}", lines[0]);
    let hash = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("Trace hash: ").map(str::to_owned))
    };
    let other = replay(&["--protocol", "epaxos", "--seed", "8", "--trace-lines", "20"]);
    assert_ne!(hash(&first.stdout).unwrap(), hash(&other.stdout).unwrap());
}

#[test]
fn a_clean_seed_has_nothing_to_shrink() {
    let Ended { code, stdout, .. } =
        replay(&["--protocol", "paxos", "--seed", "3", "--trace-lines", "5", "--shrink"]);
    assert_eq!(code, Some(0));
    assert!(stdout.ends_with("Nothing to shrink: no rule is violated\n"), "{stdout}");
}

#[test]
fn what_cannot_be_run_is_refused() {
    let cases: [(Ended, &str); 6] = [
        (soak(&["--protocol", "raft", "--seeds", "1"]), "\"raft\" is no protocol"),
        (soak(&["--protocol", "epaxos", "--seeds", "0"]), "invalid value '0' for '--seeds"),
        (
            soak(&["--protocol", "epaxos", "--seeds", "2", "--first-seed", "18446744073709551615"]),
            "--first-seed 18446744073709551615: ",
        ),
        (replay(&["--protocol", "raft", "--seed", "1"]), "\"raft\" is no protocol"),
        (
            soak(&["--protocol", "paxos", "--variant", "sosp13", "--seeds", "1"]),
            "--variant sosp13: paxos has no variants: ",
        ),
        (
            replay(&["--protocol", "epaxos", "--variant", "moon", "--seed", "1"]),
            "unknown variant: use star or sosp13",
        ),
    ];
    for (Ended { code, stdout, stderr }, expected) in cases {
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("bench: ") && stderr.contains(expected), "{stderr}");
    }
}
