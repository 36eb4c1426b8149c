//! `bench published`: what a paper printed, formulas and runs in one table.

use std::path::Path;

use crate::place::{Place, TINY};

fn of_repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).to_str().unwrap().to_owned()
}

#[test]
fn figure_4_is_what_its_round_trips_say_and_every_departure_has_a_reason() {
    let place = Place::new(TINY);
    let workload = of_repository("workloads/sosp13-latency.toml");
    let run = ["run", &workload, "--set", "load.duration_s=5", "--quiet"];
    assert_eq!(place.bench(&run).code, Some(0));
    let execution = of_repository("workloads/sosp13-execution.toml");
    let run = ["run", &execution, "--quiet", "--out", "with-jitter"];
    assert_eq!(place.bench(&run).code, Some(0));
    let figures = of_repository("workloads/published/sosp13-fig4.toml");
    let both = ["published", &figures, "results/latest", "with-jitter/latest"];
    let ended = place.bench(&both);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    // How wide the columns are is nobody's promise.
    let lines =
        ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = lines.collect::<Vec<_>>().join("\n").replace("·\n", "· ");
    for part in [
        "\nEPaxos 5 0 % CA p50 commit 78 85 85 +7\n",
        "\nMulti-Paxos 5 0 % EU p50 commit 251 241 241 −10\n",
        "Ours equals the formula, for every commit and to the nanosecond, in ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // Of the runs with jitter: without, it is 313.5 at every seed.
    let (_, row) = text.split_once("\nEPaxos 5 100 % all p50 execution 304–319 – ").expect(&text);
    let ours: f64 = row.split_whitespace().next().unwrap().parse().unwrap();
    assert!((304.0..327.0).contains(&ours) && (ours - 313.5).abs() > 0.1, "{ours}");
    // Where the line folds depends on the name of the host's CPU.
    let unfolded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unfolded.contains(" 12 of 12 runs valid · replicas agree · linearizable "), "{text}");
    assert!(!text.contains("no reason is known") && !text.contains("have no run here"), "{text}");
    let markdown = place.bench(&[both.as_slice(), &["--format", "markdown"]].concat());
    let row = "| EPaxos | 5 | 0 % | CA | p50 commit | 78 | 85 | 85 | +7 |\n";
    assert!(markdown.stdout.contains(row), "{}", markdown.stdout);
}

/// What a file holds against the runs of one workload is held against no others.
#[test]
fn a_value_of_one_workload_is_not_compared_with_another() {
    let place = Place::new(TINY);
    let workload = of_repository("workloads/sosp13-latency.toml");
    let only = ["--set", "commands.conflict_rate=1.0", "--set", "load.duration_s=5"];
    assert_eq!(
        place.bench(&[&["run", &workload, "--quiet"], only.as_slice()].concat()).code,
        Some(0)
    );
    let figures = of_repository("workloads/published/sosp13-fig4.toml");
    let ended = place.bench(&["published", &figures, "results/latest"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("p50 commit"), "{}", ended.stdout);
    let executions = ended.stdout.lines().filter(|line| line.contains("p50 execution"));
    assert_eq!(executions.count(), 1, "of three replicas alone: {}", ended.stdout);
}

#[test]
fn what_is_no_file_of_figures_or_has_no_run_is_said_in_one_line() {
    let place = Place::new(TINY);
    let figures = of_repository("workloads/published/sosp13-fig4.toml");
    let refused = |arguments: &[&str], expected: &str| {
        let ended = place.bench(arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    };
    refused(
        &["published", "w.toml", "results/latest"],
        "w.toml: is no file of published figures: ",
    );
    refused(&["published", "none.toml", "x"], "none.toml: cannot be read: ");
    refused(&["published", &figures, "x"], "x/summary.csv: ");
    refused(&["published", &figures], "required arguments were not provided: <RESULTS>...");
}
