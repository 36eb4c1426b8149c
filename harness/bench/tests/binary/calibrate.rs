//! `bench calibrate`: real runs, costs, the same runs simulated; and what is refused.

use std::fs;

use crate::place::{Ended, Place, TINY, names};

const LOADS: &str = "\
    name = \"loads\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    [load]\n\
    mode = \"pipelined\"\n\
    clients_per_site = [1, 8]\n\
    window = [1, 8]\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n\
    [commands]\n\
    value_bytes = [16, 4096]\n";

/// What saturates a cluster, for the table of agreement.
const SATURATED: &str = "\
    name = \"saturated\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 1\n\
    [load]\n\
    mode = \"pipelined\"\n\
    clients_per_site = 8\n\
    window = 16\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n";

/// The costs of the file, by key.
fn costs(text: &str) -> Vec<(String, f64)> {
    let (_, section) = text.split_once("[sim]\n").expect(text);
    let lines = section.lines().take_while(|line| !line.is_empty());
    let pair = |line: &str| {
        let (key, value) = line.split_once(" = ").expect(line);
        (key.to_owned(), value.parse().expect(line))
    };
    lines.map(pair).collect()
}

#[test]
fn costs_come_with_what_they_were_measured_on_and_simulations_take_them() {
    let place = Place::new(LOADS);
    fs::write(place.path().join("saturated.toml"), SATURATED).unwrap();
    let arguments =
        ["calibrate", "--workload", "w.toml", "--saturated", "saturated.toml", "--quiet"];
    let Ended { code, stdout, stderr } = place.bench(&arguments);
    let file = place.path().join("results/calibration.toml");
    if code == Some(3) {
        // Something else used the machine: then there are no costs.
        assert!(stderr.contains("bench: not calibrated: "), "{stderr}");
        assert!(!file.exists() && stdout.is_empty(), "{stdout}");
        return;
    }
    assert_eq!(code, Some(0), "{stderr}");
    let text = fs::read_to_string(&file).unwrap();
    let costs = costs(&text);
    let keys: Vec<&str> = costs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "cpu_us_per_wakeup",
            "cpu_us_per_message",
            "cpu_ns_per_byte",
            "cpu_us_per_command",
            "cpu_us_per_ordering_step"
        ]
    );
    assert!(
        costs.iter().all(|(_, cost)| *cost >= 0.0) && costs.iter().any(|(_, cost)| *cost > 0.0)
    );
    for said in [
        "date_utc = \"20",
        "cpu = \"",
        "commit = \"",
        "optimised = ",
        "error_rms = 0.",
        "samples = 54\n",
        "runs = [\"results/20",
        "[measured.as_single_runs_are_left_out]",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
    assert!(stdout.contains("epaxos, 3 replicas, 8 x 8 outstanding"), "{stdout}");
    // The real runs and the simulated ones, those that saturate too, the link to the last, and the
    // table of agreement.
    assert_eq!(names(&place.path().join("results")).len(), 4 + 2 + 2);
    let table = fs::read_to_string(place.path().join("results/agreement.md")).unwrap();
    assert!(table.contains("Multi-Paxos over EPaxos") && stdout.contains(&table), "{stdout}");

    let run = ["run", "w.toml", "--driver", "sim", "--quiet", "--set", "load.clients_per_site=2"];
    let taken = ["--set", "sim.calibration=results/calibration.toml"];
    let Ended { code, stderr, .. } = place.bench(&[run.as_slice(), &taken].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let manifest = fs::read_to_string(place.results().join("manifest.json")).unwrap();
    for (key, cost) in costs {
        assert!(manifest.contains(&format!("\"{key}\": {cost:?}")), "{key} = {cost} in {manifest}");
    }
}

#[test]
fn what_cannot_be_calibrated_with_is_refused_and_nothing_is_run() {
    let place = Place::new(TINY);
    fs::write(place.path().join("reads.toml"), "name = \"reads\"\ncommands.write_ratio = 0.5")
        .unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["calibrate"], "workloads/calibrate.toml: cannot be read (No such file"),
        (
            &["calibrate", "--workload", "reads.toml"],
            "reads.toml: commands.write_ratio: must be 1: the bytes of",
        ),
        (
            &["calibrate", "--workload", "w.toml", "--out", "w.toml/x"],
            "w.toml/x: cannot be written: ",
        ),
        (
            &["run", "w.toml", "--driver", "sim", "--set", "sim.calibration=none.toml"],
            "--set: sim.calibration = \"none.toml\": none.toml cannot be read (No such",
        ),
    ];
    for (arguments, expected) in cases {
        let Ended { code, stdout, stderr } = place.bench(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert_eq!(place.names(), ["reads.toml", "w.toml"]);
}
