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
    let figures = of_repository("workloads/published/sosp13-fig4.toml");
    let ended = place.bench(&["published", &figures, "results/latest"]);
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
    // Where the line folds depends on the name of the host's CPU.
    let unfolded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unfolded.contains(" 12 of 12 runs valid · replicas agree · linearizable "), "{text}");
    assert!(!text.contains("no reason is known") && !text.contains("have no run here"), "{text}");
    let markdown = place.bench(&["published", &figures, "results/latest", "--format", "markdown"]);
    let row = "| EPaxos | 5 | 0 % | CA | p50 commit | 78 | 85 | 85 | +7 |\n";
    assert!(markdown.stdout.contains(row), "{}", markdown.stdout);
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
