//! `bench agreement`: one workload on both drivers, and the table of it; and what the documentation
//! shows of the one that is committed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::place::{Ended, Place, TINY, cell, names, rows};

const SATURATED: &str = "\
    name = \"saturated\"\n\
    protocols = [\"multi-paxos\", \"epaxos\"]\n\
    repetitions = 2\n\
    [load]\n\
    mode = \"pipelined\"\n\
    clients_per_site = 8\n\
    window = 16\n\
    warmup_s = 0.1\n\
    duration_s = 0.3\n";

fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn both_drivers_run_the_workload_and_the_table_is_printed_again_from_its_file() {
    let place = Place::new(SATURATED);
    let Ended { code, stdout, stderr } =
        place.bench(&["agreement", "w.toml", "--out", "table", "--quiet"]);
    // Which order an unoptimised build on a busy machine has is not this test's matter.
    assert!(code == Some(0) || code == Some(3), "{stderr}");
    let differs = stdout.contains("**no**");
    assert_eq!(differs, code == Some(3), "{stdout}");
    assert_eq!(stdout.contains("in ANOTHER order than the real clusters: "), differs, "{stdout}");
    assert_eq!(names(&place.path().join("table")), ["agreement.csv", "agreement.md"]);
    let rows = rows(&place.path().join("table/agreement.csv"));
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!((cell(row, "workload"), cell(row, "replicas")), ("saturated", "3"));
        assert_eq!((cell(row, "real_runs"), cell(row, "simulated_runs")), ("2", "1"));
        for driver in ["real", "simulated"] {
            let figure = cell(row, &format!("{driver}_ops_per_busiest_cpu_s"));
            assert!(figure.parse::<f64>().unwrap() > 1_000.0, "{row:?}");
        }
    }
    let printed = place.bench(&["agreement", "--of", "table"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (code, ""));
    assert!(stdout.starts_with(&printed.stdout), "{stdout}");
    let written = fs::read_to_string(place.path().join("table/agreement.md")).unwrap();
    assert_eq!(printed.stdout, written);
}

#[test]
fn what_cannot_be_compared_is_refused_and_nothing_is_run() {
    let place = Place::new(TINY);
    let cases: [(&[&str], &str); 5] = [
        (
            &["agreement", "w.toml", "--set", "load.clients_per_site=[1, 2]"],
            "w.toml: clients_per_site: must be one value: orders are compared at sizes of a cluster",
        ),
        (&["agreement"], "workloads/leader-bottleneck-saturated.toml: cannot be read"),
        (&["agreement", "w.toml", "--set", "load.windo=3"], "load.windo = 3: unknown key"),
        (
            &["agreement", "w.toml", "--calibration", "none.toml"],
            "--calibration: sim.calibration = \"none.toml\": none.toml cannot be read",
        ),
        (&["agreement", "--of", "none"], "none/agreement.csv: "),
    ];
    for (arguments, expected) in cases {
        let Ended { code, stdout, stderr } = place.bench(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert_eq!(place.names(), ["w.toml"]);
}

/// The table in docs/simulator.md is that of the committed CSV, and the simulator's default costs
/// are those that were measured with it: `scripts/calibrate` writes all of them.
#[test]
fn the_documented_agreement_is_what_is_committed_and_so_are_the_default_costs() {
    let document = fs::read_to_string(of_repository("docs/simulator.md")).unwrap();
    let (_, block) = document.split_once("<!-- agreement of ").expect("a table");
    let (folder, block) = block.split_once(" -->\n").expect("where it is from");
    let (shown, _) = block.split_once("<!-- end of agreement -->").expect("an end");
    let place = Place::new(TINY);
    let committed = of_repository(folder);
    let ended = place.bench(&["agreement", "--of", committed.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "the simulator has another order: {ended:?}");
    assert_eq!(shown.trim(), ended.stdout.trim());
    let costs = |path: PathBuf| fs::read_to_string(path).unwrap();
    let defaults = costs(of_repository("harness/workload/default-costs.toml"));
    assert_eq!(defaults, costs(committed.join("calibration.toml")));
}

/// At three and five replicas Multi-Paxos does more per CPU-second of its leader than any replica
/// of EPaxos.
#[test]
fn the_committed_agreement_has_every_size_that_was_asked_for() {
    let document = fs::read_to_string(of_repository("docs/simulator.md")).unwrap();
    for size in [3, 5] {
        let row = format!("| {size} | Multi-Paxos over EPaxos |");
        let row = document.lines().find(|line| line.starts_with(&row)).expect(&row);
        assert!(row.ends_with("| yes |"), "{row}");
    }
    for size in [7, 9] {
        assert!(document.lines().any(|line| line.starts_with(&format!("| {size} | "))), "{size}");
    }
}
