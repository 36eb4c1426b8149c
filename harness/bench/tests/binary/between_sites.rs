//! The committed workloads between sites, against the formulas.

use crate::place::{Place, cell, rows};

const WORKLOADS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads");

/// What `formulas.csv` holds after a run of a committed file, and what was printed.
fn run(file: &str, set: &[&str]) -> (Vec<Vec<(String, String)>>, String) {
    let place = Place::new("");
    let file = format!("{WORKLOADS}/{file}.toml");
    let mut arguments = vec!["run", file.as_str()];
    arguments.extend(set.iter().flat_map(|set| ["--set", *set]));
    let ended = place.bench(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    (rows(&place.results().join("formulas.csv")), ended.stdout)
}

#[test]
fn isolated_commands_take_what_the_formulas_say_in_all_three_protocols() {
    let (rows, stdout) = run("wan5-isolated", &[]);
    assert_eq!(rows.len(), 3 * 2 * 5, "protocols, conflict rates, sites");
    for row in &rows {
        assert_eq!(cell(row, "difference_ns"), "0", "{row:?}");
        assert_eq!(cell(row, "commits_within"), cell(row, "commits"), "{row:?}");
        assert!(cell(row, "commits").parse::<u64>().unwrap() >= 50, "{row:?}");
    }
    let paxos_in_ireland = "paxos        EU    0 %       300           300                    0  ";
    assert!(stdout.contains(paxos_in_ireland), "{stdout}");
    assert!(
        stdout.contains("Every commit of all 30 rows with an exact formula takes exactly that")
    );
}

#[test]
fn without_conflicts_leaders_and_command_leaders_take_what_the_formulas_say() {
    let (rows, stdout) =
        run("wan5", &["load.duration_s=30", "protocols=[\"multi-paxos\", \"epaxos\"]"]);
    assert_eq!(rows.len(), 2 * 3 * 5, "protocols, conflict rates, sites");
    for row in &rows {
        // With conflicts, EPaxos has bounds and no single figure; nothing is outside of them.
        let single = cell(row, "protocol") == "multi-paxos" || cell(row, "conflict_rate") == "0.0";
        assert_eq!(cell(row, "difference_ns"), if single { "0" } else { "" }, "{row:?}");
        assert_eq!(cell(row, "commits_within"), cell(row, "commits"), "{row:?}");
    }
    assert!(stdout.contains("epaxos       VA    100 %     85 to 170     170  "), "{stdout}");
    assert!(stdout.contains("Every commit of all 20 rows"), "{stdout}");
}
