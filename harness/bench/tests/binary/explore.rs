//! `bench explore`: every state of small configurations.

use crate::place::{Ended, Place, TINY};

fn explore(arguments: &[&str]) -> Ended {
    Place::new(TINY).bench(&[&["explore"], arguments].concat())
}

#[test]
fn a_configuration_is_a_line_and_a_conclusion() {
    for (protocol, config) in
        [("paxos", "faults"), ("multi-paxos", "late-flush"), ("epaxos", "two")]
    {
        let Ended { code, stdout, stderr } = explore(&["--protocol", protocol, "--config", config]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        let line = stdout.lines().find(|line| line.starts_with(config)).unwrap_or_default();
        assert!(line.contains("complete  hold"), "{stdout}");
        assert!(stdout.contains("Every rule holds in all "), "{stdout}");
        assert!(stdout.contains("Every configuration is complete"), "{stdout}");
        assert_eq!(stdout.contains("visibility"), protocol == "epaxos", "{stdout}");
    }
}

#[test]
fn the_results_are_json_on_request() {
    let arguments =
        ["--protocol", "epaxos", "--config", "two", "--threads", "1", "--format", "json"];
    let Ended { code, stdout, .. } = explore(&arguments);
    assert_eq!(code, Some(0), "{stdout}");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&json["protocol"], &json["clean"]), (&"epaxos".into(), &true.into()));
    let configuration = &json["configurations"][0];
    assert_eq!(
        (&configuration["config"], &configuration["ended"]),
        (&"two".into(), &"complete".into())
    );
    assert!(configuration["states_unique"].as_u64() < configuration["states_generated"].as_u64());
    assert!(configuration["reached"].as_array().unwrap().contains(&"fast path taken".into()));
    assert_eq!(configuration["counterexample"], serde_json::Value::Null);
}

/// A variant has its configurations, also where one of the corrected protocol has the same name.
#[test]
fn the_published_variant_is_explored_by_name_and_by_size() {
    let published = ["--protocol", "epaxos", "--variant", "sosp13"];
    for more in [&["--config", "two"][..], &["--replicas", "3", "--commands", "2"]] {
        let Ended { code, stdout, .. } = explore(&[&published[..], more].concat());
        assert_eq!(code, Some(0), "{stdout}");
        assert!(stdout.starts_with("epaxos, variant sosp13, every state of each"), "{stdout}");
        let counts = stdout.lines().nth(2).unwrap();
        assert!(counts.contains(" 119 ") && counts.contains(" complete "), "{stdout}");
    }
}

/// Not getting to what must be reached is no pass: the exploration has shown nothing.
#[test]
fn what_is_not_reached_is_a_failure() {
    let arguments = ["--protocol", "multi-paxos", "--commands", "1", "--depth-max", "3"];
    let Ended { code, stdout, .. } = explore(&arguments);
    assert_eq!(code, Some(4), "{stdout}");
    assert!(stdout.contains("NOT REACHED: every command executed everywhere"), "{stdout}");
    assert!(stdout.contains("NOT CLEAN: 1 of 1 configurations"), "{stdout}");
}

#[test]
fn what_cannot_be_explored_is_named() {
    for (arguments, expected) in [
        (
            vec!["--protocol", "paxos", "--config", "none"],
            "paxos has no such configuration: use one of two, ",
        ),
        (vec!["--protocol", "paxos", "--replicas", "4"], "must be 3, 5 or 7"),
        (vec!["--protocol", "raft"], "use paxos, multi-paxos or epaxos"),
        (
            vec!["--protocol", "epaxos", "--variant", "sosp13", "--config", "two-waiting"],
            "epaxos, variant sosp13 has no such configuration: use one of two, ",
        ),
        (vec!["--protocol", "paxos", "--variant", "star"], "paxos has no variants"),
        (vec!["--protocol", "paxos", "--config", "two", "--commands", "2"], "cannot be used with"),
    ] {
        let Ended { code, stdout, stderr } = explore(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{expected:?} in {stderr}");
    }
}
