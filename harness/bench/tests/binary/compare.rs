//! `bench compare`: what it says of two results, and with which exit code.

use std::fs;

use crate::place::{Ended, Place, cell, rows};

/// Simulated, so that a slower machine is a key, and everything else is the same to the last digit.
const SIMULATED: &str = "\
    # Question: is it slower?\n\
    name = \"simulated\"\n\
    repetitions = 2\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    [cluster]\n\
    driver = \"sim\"\n\
    [load]\n\
    clients_per_site = 4\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n\
    [sim]\n\
    cpu_us_per_message = 20\n";

fn ran(place: &Place, out: &str, more: &[&str]) {
    let ended = place.bench(&[&["run", "w.toml", "--quiet", "--out", out], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn itself_and_a_repetition_are_within_noise_and_a_slowed_build_has_regressed() {
    let place = Place::new(SIMULATED);
    ran(&place, "one", &[]);
    ran(&place, "again", &[]);
    ran(&place, "slowed", &["--set", "sim.cpu_us_per_message=30"]);
    for other in ["one", "again"] {
        let other = format!("{other}/latest");
        let ended = place.bench(&["compare", "one/latest", &other, "--fail-on-regression"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        assert!(ended.stdout.contains("within noise  valid / valid"), "{}", ended.stdout);
    }
    let slowed = ["compare", "one/latest", "slowed/latest"];
    let ended = place.bench(&slowed);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("sim.cpu_us_per_message (20.0 and 30.0)"), "{}", ended.stderr);
    let forced = [&slowed[..], &["--force", "--format", "json"]].concat();
    let ended = place.bench(&forced);
    assert_eq!(ended.code, Some(0), "it was not asked to fail: {}", ended.stderr);
    let rows = json(&ended)["rows"].as_array().unwrap().clone();
    let verdicts = |figure: &str| -> Vec<_> {
        let of = rows.iter().filter(|row| row["figure"] == figure);
        of.map(|row| row["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts("throughput_ops_per_s"), ["regressed", "regressed"], "{rows:?}");
    assert_eq!(verdicts("execute_us_p99"), ["regressed", "regressed"], "{rows:?}");
    let ended = place.bench(&[&forced[..], &["--fail-on-regression"]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.ends_with(" figures regressed\n"), "{ended:?}");
    let back = ["compare", "slowed/latest", "one/latest", "--force", "--fail-on-regression"];
    let ended = place.bench(&back);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let markdown = place.bench(&[&back[..], &["--format", "markdown"]].concat());
    assert!(markdown.stdout.contains("| **improved** | valid / valid |"), "{}", markdown.stdout);
}

#[test]
fn what_is_not_valid_fails_no_comparison_silently_and_a_violation_is_loud() {
    let place = Place::new(SIMULATED);
    ran(&place, "one", &[]);
    ran(&place, "other", &[]);
    let summary = place.path().join("other/latest/summary.csv");
    let text = fs::read_to_string(&summary).unwrap();
    assert_eq!(cell(&rows(&summary)[0], "valid"), "true");
    fs::write(&summary, text.replace(",true,true,true,", ",false,true,true,")).unwrap();
    let compare = ["compare", "one/latest", "other/latest"];
    assert_eq!(place.bench(&compare).code, Some(0));
    let ended = place.bench(&[&compare[..], &["--fail-on-regression"]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("bench: nothing regressed, but "), "{ended:?}");
    assert!(ended.stdout.contains("valid / NOT VALID"), "{ended:?}");
    fs::write(&summary, text.replace(",true,true,true,", ",false,true,false,")).unwrap();
    let ended = place.bench(&compare);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.starts_with("bench: VIOLATION"), "{ended:?}");
    assert!(ended.stdout.contains("valid / VIOLATION"), "{ended:?}");
}

#[test]
fn what_is_no_results_directory_is_one_line() {
    let place = Place::new(SIMULATED);
    fs::create_dir(place.path().join("empty")).unwrap();
    for (arguments, expected) in [
        (["compare", "none", "empty"], "none: is no directory: "),
        (["compare", "empty", "empty"], "empty/summary.csv: "),
    ] {
        let ended = place.bench(&arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
