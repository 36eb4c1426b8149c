//! Two pretended results held against each other: what is noise, what is not, and what must not be compared.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::Pretence;
use measure::Linearizable;
use report::{Compared, Outcome, Style, compare};
use serde_json::{Value, json};

/// Writes both below a scratch folder and compares the second with the first.
fn compared(a: &Pretence, b: &Pretence) -> Compared {
    let root = tempfile::tempdir().expect("a scratch folder");
    let (a, b) = written(root.path(), a, b);
    compare(&a, &b, false).expect("a comparison")
}

fn written(root: &Path, a: &Pretence, b: &Pretence) -> (PathBuf, PathBuf) {
    (a.write(&root.join("a")), b.write(&root.join("b")))
}

fn slowed(slowness: f64) -> Pretence {
    Pretence { slowness, again: 1, ..Pretence::default() }
}

/// The rows of one figure.
fn rows(compared: &Compared, figure: &str) -> Vec<Value> {
    let json = compared.json();
    let rows = json["rows"].as_array().expect("rows").iter();
    rows.filter(|row| row["figure"] == figure).cloned().collect()
}

#[test]
fn a_run_against_itself_is_within_noise_in_every_figure() {
    for repetitions in [1, 3, 6] {
        let pretence = Pretence { repetitions, ..Pretence::default() };
        let outcome = compared(&pretence, &pretence).outcome();
        // Three protocols at two points; EPaxos alone has a fast path.
        let expected = Outcome { within_noise: 3 * 2 * 8 + 2, ..Outcome::default() };
        assert_eq!(outcome, expected, "{repetitions} repetitions");
    }
}

#[test]
fn a_repetition_of_it_is_within_noise_too() {
    for (repetitions, scale) in [(1, 0.2), (2, 0.05), (3, 0.05), (8, 0.05)] {
        for again in 1..=2 {
            let a = Pretence { repetitions, scale, again: 10 + again, ..Pretence::default() };
            let compared = compared(&a, &Pretence { again, ..a.clone() });
            let Outcome { improved, regressed, .. } = compared.outcome();
            let text = compared.text(Style::Plain);
            assert_eq!((improved, regressed), (0, 0), "{repetitions}, {again}:\n{text}");
        }
    }
}

#[test]
fn a_slowed_build_has_regressed_and_the_other_way_round_improved() {
    for repetitions in [3, 7] {
        let usual = Pretence { repetitions, ..Pretence::default() };
        let slow = Pretence { repetitions, ..slowed(1.25) };
        let worse = compared(&usual, &slow);
        // 20 % less in operations, a quarter more in latency.
        for (figure, change) in [("throughput_ops_per_s", -0.2), ("latency_us_p50", 0.25)] {
            for row in rows(&worse, figure) {
                assert_eq!(row["verdict"], "regressed", "{row:#}");
                let found = row["change"].as_f64().unwrap();
                assert!((found - change).abs() < 0.06, "{row:#}");
                assert!(row["change_low"].as_f64().unwrap() <= found, "{row:#}");
                assert!(row["change_high"].as_f64().unwrap() >= found, "{row:#}");
                let (interval, coverage) = match repetitions {
                    3 => ("min … max", Value::Null),
                    // 8 pairs on each side are left out: U is 8 or less in 65 of 3,432 ways.
                    _ => ("interval of at least 96.2 %", json!(1.0 - 2.0 * 65.0 / 3_432.0)),
                };
                assert_eq!(row["interval"], interval);
                let (said, known) = (row["coverage_at_least"].as_f64(), coverage.as_f64());
                assert_eq!(
                    said.map(|said| (said * 1e9).round()),
                    known.map(|known| (known * 1e9).round())
                );
            }
        }
        assert!(rows(&worse, "fast_path_ratio").iter().all(|row| row["verdict"] == "within noise"));
        assert_eq!(worse.outcome().improved, 0);
        let better = compared(&slow, &usual);
        assert_eq!(better.outcome().regressed, 0);
        assert!(rows(&better, "latency_us_p50").iter().all(|row| row["verdict"] == "improved"));
    }
}

#[test]
fn both_verdicts_stand_in_every_row_and_what_is_not_valid_has_not_regressed() {
    let spoilt = Pretence {
        spoil: |identity, facts| match (identity.protocol.as_str(), identity.repetition) {
            ("paxos", _) => facts.foreign_cpu_share = Some(0.5),
            ("epaxos", 1) => facts.deaths.push("replica 1: gone".to_owned()),
            _ => {}
        },
        ..slowed(2.0)
    };
    let compared = compared(&Pretence::default(), &spoilt);
    let of = |protocol: &str| {
        let rows = rows(&compared, "throughput_ops_per_s");
        let row = rows.iter().find(|row| row["protocol"] == protocol).expect("a row");
        let verdicts = [&row["a"]["verdict"], &row["b"]["verdict"], &row["verdict"]];
        verdicts.map(|text| text.as_str().unwrap().to_owned())
    };
    assert_eq!(of("paxos"), ["valid", "NOT VALID", "not valid"]);
    assert_eq!(of("epaxos"), ["valid", "2/3 valid", "regressed"]);
    assert_eq!(of("multi-paxos"), ["valid", "valid", "regressed"]);
    assert_eq!(compared.outcome().not_compared, 2 * 8, "Paxos at two points");
    let text = compared.text(Style::Plain);
    let table = text.lines().filter(|line| line.contains(" valid / "));
    assert_eq!(table.count(), 3 * 2 * 8 + 2, "{text}");
    assert!(text.contains("16 not compared"), "{text}");
    assert!(!text.contains("regressed: Paxos"), "{text}");
}

#[test]
fn a_violation_on_either_side_stays_loud() {
    let violating = Pretence {
        spoil: |identity, facts| {
            if identity.protocol == "epaxos" {
                facts.linearizable = Linearizable::False;
            }
        },
        ..Pretence::default()
    };
    for (a, b, side) in
        [(&violating, &Pretence::default(), "A"), (&Pretence::default(), &violating, "B")]
    {
        let compared = compared(a, b);
        assert!(compared.outcome().violation);
        for text in [compared.text(Style::Plain), compared.markdown()] {
            assert!(text.contains(&format!("VIOLATION: runs of {side} contradict")), "{text}");
        }
        assert!(rows(&compared, "latency_us_p99")[2]["verdict"] == "not valid");
    }
}

#[test]
fn different_workloads_are_refused_by_the_names_of_their_keys() {
    let of = |window: u32| Pretence {
        workload: json!({ "name": "w", "seed": window, "load": { "window": window } }),
        ..Pretence::default()
    };
    let root = tempfile::tempdir().unwrap();
    let (a, b) = written(root.path(), &of(1), &of(4));
    let error = compare(&a, &b, false).unwrap_err().to_string();
    assert!(error.contains("are of different workloads: load.window (1 and 4): "), "{error}");
    assert!(
        error.contains("--force") && !error.contains("seed") && !error.contains('\n'),
        "{error}"
    );
    let text = compare(&a, &b, true).unwrap().text(Style::Plain);
    assert!(text.contains("warning: different workloads, forced: load.window (1 and 4)"), "{text}");
}

#[test]
fn what_only_one_side_has_is_named_and_counted() {
    let fewer =
        Pretence { protocols: vec!["paxos", "epaxos"], complete: false, ..Pretence::default() };
    let one = compared(&Pretence::default(), &fewer);
    let text = one.text(Style::Plain);
    assert!(text.contains("warning: multi-paxos, 0 % conflicts: only in A"), "{text}");
    assert!(text.contains("B is incomplete"), "{text}");
    assert_eq!(one.outcome().not_compared, 2 + 1, "two points, and the runs that were not made");
    let root = tempfile::tempdir().unwrap();
    let other = Pretence { protocols: vec!["mine"], ..Pretence::default() };
    let (a, b) = written(root.path(), &Pretence::default(), &other);
    let error = compare(&a, &b, false).unwrap_err().to_string();
    assert!(error.contains("have no protocol at a point in common"), "{error}");
}

#[test]
fn another_host_or_commit_is_shown() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = written(root.path(), &Pretence::default(), &Pretence::default());
    let manifest = b.join("manifest.json");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    value["host"]["hostname"] = "elsewhere".into();
    value["versions"]["git"] = json!({ "commit": "0123456789abcdef", "clean": false });
    value["seed"] = 7.into();
    fs::write(&manifest, value.to_string()).unwrap();
    let text = compare(&a, &b, false).unwrap().text(Style::Plain).replace("\n    ", " ");
    assert!(
        text.contains("warning: different hosts, (Some CPU 3000, 2 cores) and (elsewhere"),
        "{text}"
    );
    assert!(
        text.contains("commit unknown") && text.contains("commit 0123456789 with changes"),
        "{text}"
    );
    assert!(text.contains("warning: different seeds, 42 and 7"), "{text}");
}

#[test]
fn results_that_do_not_count_what_was_due_are_said_to_be_of_another_population() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = written(root.path(), &Pretence::default(), &Pretence::default());
    let said = |a: &Path, b: &Path| compare(a, b, false).unwrap().text(Style::Plain);
    assert!(!said(&a, &b).contains("population"));
    let mut rows: Vec<measure::SummaryRow> = measure::read_rows(&a).unwrap();
    rows.iter_mut().for_each(|row| row.due = None);
    fs::remove_file(a.join("summary.csv")).unwrap();
    measure::write_rows(&a, &rows).unwrap();
    let text = said(&a, &b).replace("\n    ", " ");
    let expected = "warning: different populations: latencies of B are of all that was due, those of A, an older";
    assert!(text.contains(expected), "{text}");
    assert!(said(&b, &a).contains("latencies of A are of all that was due"));
}

#[test]
fn simulations_of_one_seed_have_no_noise_where_repetitions_do_not_differ() {
    let simulated = |slowness| Pretence {
        driver: "sim",
        repetitions: 1,
        conflicts: vec![0.0],
        slowness,
        ..Pretence::default()
    };
    let same = compared(&simulated(1.0), &simulated(1.0)).outcome();
    assert_eq!((same.within_noise, same.regressed), (3 * 8 + 1, 0));
    // A thousandth is what a histogram tells apart.
    let slower = compared(&simulated(1.0), &simulated(1.005));
    for row in rows(&slower, "throughput_ops_per_s") {
        assert_eq!((&row["noise"], &row["verdict"]), (&json!(0.0), &json!("regressed")), "{row:#}");
    }
}

#[test]
fn the_comparison_word_for_word() {
    let few = |slowness| Pretence {
        name: "golden",
        protocols: vec!["multi-paxos", "epaxos"],
        conflicts: vec![0.0],
        ..slowed(slowness)
    };
    let root = tempfile::tempdir().unwrap();
    let (a, b) = written(root.path(), &few(1.0), &few(1.3));
    let compared = compare(&a, &b, false).unwrap();
    let text = compared.text(Style::Plain);
    // How its first lines are folded depends on where the scratch folder is.
    let tables = text.split_once("\n\n").map(|(_, tables)| tables).unwrap_or_default();
    assert!(tables.lines().all(|line| line.chars().count() <= 100), "{tables}");
    assert_eq!(tables, include_str!("golden/compare.txt"), "\n{text}");
    let markdown = compared.markdown().replace(&root.path().display().to_string(), "results");
    assert_eq!(markdown, include_str!("golden/compare.md"), "\n{markdown}");
}
