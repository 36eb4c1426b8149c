//! Lower bounds, wherever a latency is shown: in the terminal's table word for word, in JSON, in sentences, beside what was
//! published, beside formulas, in comparisons.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::Pretence;
use measure::{FormulaRow, Identity, SummaryRow};
use report::{Compared, Markup, Style, compare, json, published, terminal};
use serde_json::Value;

/// One request in 500 of Multi-Paxos is never answered, and most of EPaxos'.
fn bounds() -> Pretence {
    Pretence {
        name: "golden-bounds",
        conflicts: vec![0.0],
        scale: 0.2,
        unanswered: |identity, _, operation| {
            let is_lost = match identity.protocol.as_str() {
                "multi-paxos" => operation % 500 == 7,
                "epaxos" => operation % 5 > 0,
                _ => false,
            };
            is_lost.then_some(Duration::from_millis(7_500))
        },
        ..Pretence::default()
    }
}

/// One request in 200 of these is not waited for: so few that their runs are valid, and so early that every figure is a
/// lower bound.
fn refused_at_once(is_it: bool, operation: u64) -> Option<Duration> {
    (is_it && operation % 200 == 7).then_some(Duration::from_micros(10))
}

/// The summary of what is written below a scratch folder.
fn text(pretence: &Pretence) -> String {
    let root = tempfile::tempdir().expect("a scratch folder");
    let text = terminal(&pretence.write(root.path()), Style::Plain).expect("a summary");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "too wide: {text}");
    text
}

/// The line that starts so, with those into which it is folded.
fn line(text: &str, start: &str) -> String {
    let unfolded = text.replace("\n    ", " ");
    let found = unfolded.lines().find(|line| line.trim_start().starts_with(start));
    found.unwrap_or_else(|| panic!("no line starts with {start}:\n{text}")).to_owned()
}

#[test]
fn lower_bounds_are_marked_and_explained_word_for_word() {
    let text = text(&bounds());
    assert_eq!(text, include_str!("golden/bounds.txt"), "\n{text}");
}

#[test]
fn json_says_of_every_figure_whether_it_is_a_lower_bound() {
    let root = tempfile::tempdir().unwrap();
    let value = json(&bounds().write(root.path())).unwrap();
    let protocols = value["points"][0]["protocols"].as_array().unwrap();
    let of = |place: usize, figure: &str| protocols[place][figure]["at_least"].as_bool();
    assert_eq!(of(0, "latency_us_p99"), Some(false));
    assert_eq!([of(1, "latency_us_p99"), of(1, "latency_us_p999")], [Some(false), Some(true)]);
    assert_eq!([of(2, "latency_us_p50"), of(2, "commit_us_p50")], [Some(true); 2]);
    assert_eq!(of(2, "throughput_ops_per_s"), Some(false));
    for protocol in protocols {
        for (name, figure) in protocol.as_object().unwrap() {
            let is_figure = figure.get("median").is_some();
            assert_eq!(is_figure, figure.get("at_least").is_some_and(Value::is_boolean), "{name}");
        }
    }
    let p999 = &protocols[1]["latency_us_p999"];
    assert_eq!([&p999["low_at_least"], &p999["high_at_least"]], [true, true]);
    let sum = |name: &str| protocols[2][name].as_u64().unwrap();
    assert_eq!(sum("censored"), sum("unknown"));
    assert!(sum("censored") > sum("due") / 2, "{value:#}");
}

/// At a given rate, at which protocols are compared by their median latency.
fn at_a_rate(unanswered: fn(&Identity, f64, u64) -> Option<Duration>) -> Pretence {
    let (rates, conflicts) = (vec![2_000.0], vec![0.0]);
    Pretence { rates, conflicts, scale: 0.3, unanswered, ..Pretence::default() }
}

#[test]
fn a_sentence_over_a_lower_bound_says_at_least() {
    let paxos = at_a_rate(|of, _, operation| refused_at_once(of.protocol == "paxos", operation));
    let told = text(&paxos);
    assert!(told.contains("9 of 9 runs valid"), "{told}");
    let sentence = line(&told, "EPaxos answered");
    assert!(sentence.contains("as fast as Multi-Paxos at p50, at least 3."), "{told}");
    assert!(!told.contains("± ≥"), "{told}");
    let root = tempfile::tempdir().unwrap();
    let value = json(&paxos.write(root.path())).unwrap();
    let others = value["comparisons"][0]["others"].as_array().unwrap();
    assert_eq!(others[1]["protocol"], "paxos");
    assert_eq!([&others[0]["at_least"], &others[1]["at_least"]], [false, true]);
    assert_eq!([&others[0]["half_at_least"], &others[1]["half_at_least"]], [false, true]);
}

#[test]
fn a_sentence_of_which_nobody_knows_whether_it_is_true_is_not_said() {
    let epaxos = at_a_rate(|of, _, operation| refused_at_once(of.protocol == "epaxos", operation));
    let told = text(&epaxos);
    assert!(told.contains("9 of 9 runs valid"), "{told}");
    let sentence = line(&told, "Multi-Paxos answered");
    assert!(sentence.contains("as fast as Paxos"), "{told}");
    assert!(!sentence.contains("EPaxos") && !sentence.contains("at least"), "{told}");
    let all = at_a_rate(|_, _, operation| refused_at_once(true, operation));
    assert!(!text(&all).contains("times as fast"), "no figure is exact");
}

#[test]
fn one_repetition_of_three_that_is_a_lower_bound_opens_the_spread_alone() {
    // It is the largest, since it is refused late and two thirds of it are.
    let one = at_a_rate(|of, _, operation| {
        let is_it = of.protocol == "paxos" && of.repetition == 3;
        (is_it && operation % 3 > 0).then_some(Duration::from_millis(9))
    });
    let root = tempfile::tempdir().unwrap();
    let dir = one.write(root.path());
    let mut rows: Vec<SummaryRow> = measure::read_rows(&dir).unwrap();
    rows.iter_mut().for_each(|row| row.valid = true);
    fs::remove_file(dir.join("summary.csv")).unwrap();
    measure::write_rows(&dir, &rows).unwrap();
    let told = terminal(&dir, Style::Plain).unwrap();
    let sentence = line(&told, "EPaxos answered");
    assert!(sentence.contains(" ± ≥") && !sentence.contains("at least"), "{told}");
    let value = json(&dir).unwrap();
    let p50 = &value["points"][0]["protocols"][0]["latency_us_p50"];
    assert_eq!(
        [&p50["at_least"], &p50["low_at_least"], &p50["high_at_least"]],
        [false, false, true]
    );
}

#[test]
fn what_was_never_answered_is_said_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = bounds().write(root.path());
    let text = |rows: &[SummaryRow]| {
        fs::remove_file(dir.join("summary.csv")).unwrap();
        measure::write_rows(&dir, rows).unwrap();
        terminal(&dir, Style::Plain).unwrap().replace("\n    ", " ")
    };
    let mut rows: Vec<SummaryRow> = measure::read_rows(&dir).unwrap();
    let said = text(&rows);
    assert_eq!(said.matches("were not answered").count(), 1, "{said}");
    assert!(!said.contains("unknown outcome") && !said.contains("were refused"), "{said}");
    rows[0].errors = 3;
    let said = text(&rows);
    assert!(said.contains("warning: 3 operations were refused, in 1 of 9 runs: see"), "{said}");
    // Results of before anybody counted what was due have no finding that says it.
    let unknown: u64 = rows.iter().map(|row| row.unknown).sum();
    rows.iter_mut().for_each(|row| row.due = None);
    let said = text(&rows);
    let expected = format!(
        "3 operations were refused and {unknown} have an unknown outcome, in 7 of 9 runs: see"
    );
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn beside_what_was_published_a_lower_bound_differs_by_at_least_so_much_or_nobody_knows() {
    let root = tempfile::tempdir().unwrap();
    let dirs = [bounds().write(root.path())];
    let file = root.path().join("figures.toml");
    let series = |percentile: u8, ms: &str| {
        format!(
            "[[series]]\nprotocol = \"epaxos\"\nreplicas = 3\nconflict_rate = 0.0\npercentile = {percentile}\n\
             latency = \"commit\"\nms = {{ {ms} }}\n"
        )
    };
    let head = "figure = \"F\"\nsource = \"S\"\nread_off_ms = 1\n".to_owned();
    fs::write(&file, head + &series(50, "0 = 100, 1 = 9000") + &series(99, "all = 100")).unwrap();
    let table = |markup| published(&file, &dirs, markup).unwrap();
    let text = table(Markup::Markdown);
    for row in [
        "| 0 | p50 commit | 100 | – | ≥7499.4 NOT VALID | ≥+7399.4 |",
        "| 1 | p50 commit | 9000 | – | ≥7499.4 NOT VALID | – |",
        "| all | p99 commit | 100 | – | ≥7499.4 NOT VALID | ≥+7399.4 |",
    ] {
        assert!(text.contains(row), "{row} is not in\n{text}");
    }
    let key = "\n≥: a lower bound, for not all requests were answered.\n";
    assert!(table(Markup::Plain).contains(key) && text.contains(key), "{text}");
}

#[test]
fn a_formula_stands_beside_the_lower_bound_of_all_commits_and_not_beside_the_median_of_some() {
    let root = tempfile::tempdir().unwrap();
    let dir = bounds().write(root.path());
    let row = |protocol: &str, site: &str| FormulaRow {
        protocol: protocol.to_owned(),
        point: "replicas=3,conflict_rate=0".to_owned(),
        site: site.to_owned(),
        formula_ns_min: Some(400_000),
        formula_ns_max: Some(400_000),
        median_ns: Some(400_000),
        difference_ns: Some(0),
        commits: 10,
        commits_within: Some(10),
        ..FormulaRow::default()
    };
    let sites = ["0", "1", "2"];
    let rows = ["paxos", "epaxos"].map(|protocol| sites.map(|site| row(protocol, site)));
    measure::write_rows(&dir, &rows.concat()).unwrap();
    let formulas = &json(&dir).unwrap()["formulas"];
    assert!(formulas[2]["median_at_least_ns"].is_null(), "{formulas}");
    for of_epaxos in 3..6 {
        let ns = formulas[of_epaxos]["median_at_least_ns"].as_u64();
        assert!(ns.is_some_and(|ns| ns > 7_400_000_000), "{formulas}");
    }
    let dirs = [dir];
    let markdown = report::markdown(&dirs).unwrap();
    let of = |name: &str| {
        let lines = markdown.lines().filter(|line| line.contains("| 10 of 10 |"));
        let lines = lines.filter(|line| line.starts_with(&format!("| {name} |")));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (exact, bounds) = (of("Paxos"), of("EPaxos"));
    assert_eq!((exact.len(), bounds.len()), (3, 3), "{markdown}");
    assert!(exact.iter().all(|row| row.contains(" | 0.4 | 0.4 | 0 | 10 of")), "{exact:?}");
    let is_bound = |row: &String| row.contains(" | 0.4 | ≥749") && row.contains(" | – | 10 of");
    assert!(bounds.iter().all(is_bound), "{bounds:?}");
    let file = root.path().join("figures.toml");
    let series = "[[series]]\nprotocol = \"epaxos\"\nreplicas = 3\nconflict_rate = 0.0\npercentile = 50\n\
                  latency = \"commit\"\nms = { 0 = 100 }\nreasons = { 0 = \"none\" }\n";
    fs::write(&file, "figure = \"F\"\nsource = \"S\"\nread_off_ms = 1\n".to_owned() + series)
        .unwrap();
    let text = published(&file, &dirs, Markup::Markdown).unwrap();
    let expected = "| 0 | p50 commit | 100 | 0.4 | ≥7499.4 NOT VALID | ≥+7399.4 |";
    assert!(text.contains(expected) && text.contains("Ours DIFFERS from the formula"), "{text}");
}

/// The second of two, compared with the first.
fn compared(a: &Pretence, b: &Pretence) -> Compared {
    let root = tempfile::tempdir().expect("a scratch folder");
    let write = |pretence: &Pretence, name: &str| -> PathBuf {
        let below: &Path = &root.path().join(name);
        pretence.write(below)
    };
    compare(&write(a, "a"), &write(b, "b"), false).expect("a comparison")
}

fn usual() -> Pretence {
    Pretence { conflicts: vec![0.0], scale: 0.2, ..Pretence::default() }
}

fn slow() -> Pretence {
    Pretence { slowness: 3.0, again: 1, ..usual() }
}

fn refusing(pretence: Pretence) -> Pretence {
    Pretence { unanswered: |_, _, operation| refused_at_once(true, operation), ..pretence }
}

/// The rows of every latency.
fn latencies(compared: &Compared) -> Vec<Value> {
    let json = compared.json();
    let rows = json["rows"].as_array().expect("rows").iter();
    let is_latency = |row: &&Value| row["figure"].as_str().is_some_and(|of| of.contains("_us_p"));
    let rows: Vec<Value> = rows.filter(is_latency).cloned().collect();
    assert_eq!(rows.len(), 3 * 6, "of three protocols");
    rows
}

fn assert_all(rows: &[Value], expected: &[(&str, Value)]) {
    for row in rows {
        for (key, value) in expected {
            assert_eq!(&row[*key], value, "{key} of {row:#}");
        }
    }
}

#[test]
fn what_is_now_at_least_so_much_slower_has_regressed() {
    let worse = compared(&usual(), &refusing(slow()));
    let rows = latencies(&worse);
    let (verdict, yes, no) = ("regressed".into(), true.into(), false.into());
    let expected = [
        ("verdict", verdict),
        ("change_at_least", yes),
        ("change_at_most", no),
        ("reason", Value::Null),
        ("change_high", Value::Null),
    ];
    assert_all(&rows, &expected);
    assert!(rows.iter().all(|row| row["a"]["at_least"] == false && row["b"]["at_least"] == true));
    let text = worse.text(Style::Plain);
    let tables = text.split_once("\n\n").map(|(_, tables)| tables).unwrap_or_default();
    assert!(tables.lines().all(|line| line.chars().count() <= 100), "{tables}");
    let p50 = text.lines().find(|line| line.contains("client p50")).unwrap();
    let cells: Vec<&str> = p50.split_whitespace().collect();
    assert!(!cells[2].starts_with('≥') && cells[3].starts_with('≥'), "{p50}");
    assert!(cells[4].starts_with("≥+") && p50.contains(", ∞) %"), "{p50}");
    let told = text.replace('\n', " ");
    let key =
        "≥: a lower bound, for not all requests were answered; it is judged only where it decides.";
    assert!(told.contains(key), "{text}");
    assert!(told.contains("regressed: Paxos, client p50: ") && told.contains(" (≥+"));
}

#[test]
fn what_was_at_least_so_much_slower_has_improved() {
    let better = compared(&refusing(slow()), &usual());
    let (verdict, yes, no) = ("improved".into(), true.into(), false.into());
    let expected = [("verdict", verdict), ("change_at_least", no), ("change_at_most", yes)];
    assert_all(&latencies(&better), &expected);
    assert!(better.markdown().contains(" | ≤-"), "{}", better.markdown());
}

#[test]
fn a_lower_bound_that_decides_nothing_is_not_compared() {
    let even = compared(&usual(), &refusing(usual()));
    let rows = latencies(&even);
    let not_compared = || ("verdict", Value::from("not compared (≥)"));
    assert_all(&rows, &[not_compared(), ("reason", "a lower bound".into())]);
    assert_eq!(even.outcome().not_compared, rows.len());
    assert!(even.markdown().contains("| **not compared (≥)** |"), "{}", even.markdown());
    let faster = compared(&slow(), &refusing(usual()));
    assert_all(&latencies(&faster), &[not_compared()]);

    let both = compared(&refusing(usual()), &refusing(slow()));
    let expected = [not_compared(), ("change", Value::Null), ("change_at_least", false.into())];
    assert_all(&latencies(&both), &expected);
    let json = both.json();
    let exact = json["rows"].as_array().unwrap().iter();
    let mut exact = exact.filter(|row| row["figure"] == "throughput_ops_per_s");
    assert!(exact.all(|row| row["verdict"] == "regressed" && row["reason"].is_null()));
}
