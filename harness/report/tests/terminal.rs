//! The terminal summary, word for word, and what it says when a run may not be quoted.

mod common;

use std::{fs, path::Path};

use common::Pretence;
use measure::{Checked, Linearizable};
use report::{Style, json, terminal};
use serde_json::Value;

/// The summary of `pretence`, plain.
fn text(pretence: &Pretence) -> String {
    let root = tempfile::tempdir().expect("a scratch folder");
    let text = terminal(&pretence.write(root.path()), Style::Plain).expect("a summary");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
    text
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text.lines().find(|line| line.trim_start().starts_with(start));
    found.unwrap_or_else(|| panic!("no line starts with {start}:\n{text}"))
}

#[test]
fn the_summary_word_for_word() {
    let text = text(&Pretence { name: "golden", ..Pretence::default() });
    assert_eq!(text, include_str!("golden/closed.txt"), "\n{text}");
}

#[test]
fn a_spoilt_summary_word_for_word() {
    let text = text(&Pretence {
        name: "golden-spoilt",
        repetitions: 2,
        scale: 0.004,
        complete: false,
        spoil: |identity, facts| match (identity.protocol.as_str(), identity.repetition) {
            ("paxos", 1) => facts.deaths.push("replica 1: log full".to_owned()),
            ("multi-paxos", _) => facts.foreign_cpu_share = Some(0.31),
            ("epaxos", 2) => facts.replicas_agree = Some(false),
            _ => {}
        },
        ..Pretence::default()
    });
    assert_eq!(text, include_str!("golden/spoilt.txt"), "\n{text}");
}

#[test]
fn from_six_repetitions_on_there_is_an_interval_word_for_word() {
    let pretence = Pretence {
        name: "golden-interval",
        repetitions: 10,
        spoil: |identity, facts| {
            if identity.protocol == "paxos" && identity.repetition > 4 {
                facts.foreign_cpu_share = Some(0.4);
            }
        },
        ..Pretence::default()
    };
    let text = text(&pretence);
    assert_eq!(text, include_str!("golden/interval.txt"), "\n{text}");
    let root = tempfile::tempdir().unwrap();
    let value = json(&pretence.write(root.path())).unwrap();
    let of = |place: usize| &value["points"][0]["protocols"][place]["throughput_ops_per_s"];
    assert_eq!((&of(0)["interval"], &of(0)["coverage"]), (&"min … max".into(), &Value::Null));
    assert_eq!(of(1)["coverage"], 1.0 - 2.0 * 11.0 / 1024.0, "one of ten is left out on each side");
    assert_eq!(
        (&of(1)["interval"], &of(1)["repetitions"]),
        (&"97.9 % interval".into(), &10.into())
    );
}

#[test]
fn what_was_left_out_is_said_and_is_not_taken_for_nothing() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/faults-kill-random");
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    for entry in fs::read_dir(&fixture).unwrap() {
        let name = entry.unwrap().file_name();
        if name != "timeseries.csv" && name != "recoveries.csv" {
            fs::copy(fixture.join(&name), dir.join(&name)).unwrap();
        }
    }
    let kept = |dir: &Path| json(dir).unwrap()["points"][0]["protocols"][0]["kept"].clone();
    let (whole, pruned) = (kept(&fixture), kept(dir));
    assert_eq!(whole["recoveries"]["restarts"], 5);
    assert_eq!(pruned["recoveries"], Value::Null, "how many is not known");
    assert_eq!(
        (&whole["acknowledged_checked"], &pruned["acknowledged_checked"]),
        (&449.into(), &449.into())
    );
    let text = terminal(dir, Style::Plain).unwrap().replace("\n    ", " ");
    let said = "warning: timeseries.csv and recoveries.csv are not here: what is drawn and told \
                from there is left out\n";
    assert!(text.contains(said), "{text}");
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let root = tempfile::tempdir().unwrap();
    let dir = Pretence::default().write(root.path());
    let coloured = terminal(&dir, Style::Colour).unwrap();
    assert!(coloured.contains("\u{1b}[32mvalid\u{1b}[0m"));
    let mut plain = String::new();
    let mut escape = false;
    for c in coloured.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (true, 'm') => escape = false,
            (false, c) => plain.push(c),
            _ => {}
        }
    }
    assert_eq!(plain, terminal(&dir, Style::Plain).unwrap());
}

#[test]
fn percentiles_without_samples_are_dashes_and_the_run_is_marked() {
    let text = text(&Pretence { scale: 0.001, conflicts: vec![0.0], ..Pretence::default() });
    let paxos: Vec<&str> = line(&text, "Paxos").split_whitespace().collect();
    assert_eq!(paxos[5..7], ["–", "–"], "p99 and p99.9 of 18 samples: {paxos:?}");
    assert!(line(&text, "Paxos").ends_with("NOT VALID"));
    assert!(line(&text, "not valid:").contains("samples, fewer than 200"), "{text}");
}

#[test]
fn a_full_host_is_compared_per_cpu_second() {
    let text = text(&Pretence {
        spoil: |_, facts| facts.host_busy_share = Some(0.98),
        ..Pretence::default()
    });
    assert!(text.contains("times as many operations per CPU-second as"), "{text}");
    assert!(!text.contains("operations per second"), "{text}");
    let warning = line(&text, "warning:");
    assert!(warning.contains("host-bound: the host's CPU was 98 % busy (18 runs"), "{warning}");
}

#[test]
fn a_given_rate_is_compared_by_latency() {
    let text =
        text(&Pretence { rates: vec![2_000.0], conflicts: vec![0.0], ..Pretence::default() });
    assert!(text.contains("open loop") && text.contains("times as fast as"), "{text}");
}

#[test]
fn a_history_that_is_not_linearizable_is_on_its_line_and_in_the_verdict() {
    let text = text(&Pretence {
        conflicts: vec![0.0],
        spoil: |identity, facts| {
            facts.linearizable = match identity.protocol.as_str() {
                "epaxos" => Linearizable::False,
                _ => Linearizable::True,
            };
        },
        ..Pretence::default()
    });
    assert!(line(&text, "EPaxos ").ends_with("VIOLATION"));
    assert!(line(&text, "Paxos").ends_with("valid"));
    assert!(line(&text, "Verdict:").contains("6 of 9 runs valid"));
    assert!(line(&text, "Verdict:").contains("NOT LINEARIZABLE in 3"));
    assert!(line(&text, "Multi-Paxos ran").contains("as Paxos"), "EPaxos is not compared: {text}");
}

#[test]
fn unknown_is_not_a_pass_and_a_sample_says_of_how_much() {
    let text = text(&Pretence {
        conflicts: vec![0.0],
        spoil: |identity, facts| {
            if identity.protocol == "epaxos" {
                facts.linearizable = Linearizable::Unknown;
                facts.history_reason = "no time was left".to_owned();
            }
            facts.checked = Some(Checked {
                operations: 1_000,
                reads: 5,
                keys: 2,
                operations_begun: 2_000,
                keys_touched: 3,
            });
        },
        ..Pretence::default()
    });
    assert!(line(&text, "EPaxos ").ends_with("NOT VALID"));
    let verdict = text.split_once("Verdict:").unwrap().1.replace("\n    ", " ");
    let expected =
        "linearizable, UNKNOWN in 3 (9,000 of 18,000 operations on 18 of 27 keys checked)";
    assert!(verdict.contains(expected), "{text}");
    assert!(text.contains("no time was left"), "{text}");
}

#[test]
fn json_says_the_same_with_its_verdicts() {
    let root = tempfile::tempdir().unwrap();
    let pretence = Pretence {
        conflicts: vec![0.0, 0.02],
        spoil: |identity, facts| {
            if identity.protocol == "paxos" && identity.repetition == 1 {
                facts.foreign_cpu_share = Some(0.5);
            }
        },
        ..Pretence::default()
    };
    let value = json(&pretence.write(root.path())).unwrap();
    assert_eq!(value["verdict"]["runs"], 18);
    assert_eq!(value["verdict"]["valid_runs"], 16);
    assert_eq!(value["verdict"]["linearizable"], "true");
    let checked = |value: &Value| value["checked"]["operations"].as_u64().unwrap();
    assert!(checked(&value["verdict"]) > checked(&value["points"][0]["protocols"][0]));
    assert_eq!(value["verdict"]["checked"]["keys"], 18 * 49);
    assert_eq!(value["verdict"]["replicas_agree"], true);
    let point = &value["points"][1];
    assert_eq!(point["swept"]["conflict_rate"], 0.02);
    let paxos = &point["protocols"][0];
    assert_eq!((&paxos["protocol"], &paxos["valid_runs"]), (&"paxos".into(), &2.into()));
    assert_eq!(paxos["throughput_ops_per_s"]["repetitions"], 2, "only the valid ones count");
    assert!(paxos["fast_path_ratio"].is_null());
    let leader = &point["protocols"][1]["busiest_replica"];
    assert_eq!((&leader["replica"], &leader["role"]), (&0.into(), &"leader".into()));
    assert!(leader["messages_over_mean"].as_f64().unwrap() > 1.2);
    assert_eq!(value["comparisons"][0]["best"], "epaxos");
    assert_eq!(value["warnings"][0]["severity"], "invalid");
}

#[test]
fn json_holds_the_formulas_of_a_simulation_between_sites() {
    let root = tempfile::tempdir().unwrap();
    let dir = Pretence::default().write(root.path());
    assert_eq!(json(&dir).unwrap()["formulas"], serde_json::json!([]));
    let row = measure::FormulaRow { median_ns: Some(85), site: "VA".into(), ..Default::default() };
    measure::write_rows(&dir, &[row]).unwrap();
    let formulas = &json(&dir).unwrap()["formulas"];
    assert_eq!((&formulas[0]["site"], &formulas[0]["median_ns"]), (&"VA".into(), &85.into()));
    assert!(formulas[0]["difference_ns"].is_null(), "{formulas}");
}

#[test]
fn every_fault_is_told_with_the_silence_that_it_cost() {
    let event = |t_s, event: &str, detail: &str| measure::Event {
        t_s,
        event: event.to_owned(),
        detail: detail.to_owned(),
    };
    let pretence = Pretence {
        conflicts: vec![0.0],
        repetitions: 1,
        silent: 1.0..1.5,
        events: vec![event(0.999, "kill", "r0 (target: leader)"), event(1.7, "heal", "all")],
        ..Pretence::default()
    };
    let text = text(&pretence);
    let told = text.split_once("After each fault").unwrap().1.replace("\n    ", " ");
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("kill r0")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in lines {
        assert!(line.contains("at 1.00 s: no reply for 50"), "{line}");
        assert!(
            line.contains("no commit for 50") && line.contains("no execution for 50"),
            "{line}"
        );
    }
    let root = tempfile::tempdir().unwrap();
    let value = json(&pretence.write(root.path())).unwrap();
    let gaps = value["gaps"].as_array().unwrap();
    let of = |what: &'static str| {
        gaps.iter().filter(move |gap| gap["what"] == what && gap["event"] == "kill")
    };
    assert!(of("reply").all(|gap| gap["gap_ms"].as_f64().unwrap() > 500.0));
    assert_eq!(of("commit").count(), 3 * 2, "of each protocol, at those that live");
}

#[test]
fn a_warning_names_whom_it_is_about_in_each_protocol() {
    fn killed(who: &str) -> measure::Finding {
        measure::Finding {
            severity: measure::Severity::Warning,
            text: format!("killed as planned, and left out of what is compared: {who}"),
            advice: "see events.csv for the moment".to_owned(),
        }
    }
    fn pretence(spoil: fn(&measure::Identity, &mut measure::RunFacts)) -> Pretence {
        Pretence { conflicts: vec![0.0], spoil, ..Pretence::default() }
    }
    let differing = text(&pretence(|identity, facts| {
        let who = if identity.protocol == "multi-paxos" { "r0" } else { "r2" };
        facts.findings.push(killed(who));
    }));
    let warning = differing.split_once("warning:").unwrap().1.replace("\n    ", " ");
    let expected = "compared: r2 in Paxos and EPaxos, r0 in Multi-Paxos (9 runs): see events.csv";
    assert!(warning.contains(expected), "{differing}");
    let alike = text(&pretence(|_, facts| facts.findings.push(killed("r1"))));
    let warning = alike.split_once("warning:").unwrap().1.replace("\n    ", " ");
    assert!(warning.contains("compared: r1 (9 runs, first Paxos"), "{alike}");
}
