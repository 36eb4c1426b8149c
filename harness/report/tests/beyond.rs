//! A simulated throughput of a load that the costs were not measured on is marked wherever it
//! stands.

mod common;

use std::fs;

use common::Pretence;
use measure::{Finding, Identity, NOT_TO_BE_QUOTED, RunFacts, Severity};
use report::{Style, draw_all, html, json, markdown, terminal};

const SAID: &str = "its throughput, which follows from costs: 5 replicas, calibrated were 3";

/// Three replicas were calibrated, five were not.
fn spoil(identity: &Identity, facts: &mut RunFacts) {
    if identity.replicas == 5 && identity.protocol == "epaxos" {
        facts.findings.push(Finding {
            severity: Severity::Warning,
            text: format!("{NOT_TO_BE_QUOTED}: {SAID}"),
            advice: "calibrate there".to_owned(),
        });
    }
}

#[test]
fn the_mark_is_in_the_table_the_text_the_page_and_under_every_plot() {
    let place = tempfile::tempdir().unwrap();
    let pretence = Pretence {
        protocols: vec!["multi-paxos", "epaxos"],
        replicas: vec![3, 5],
        conflicts: vec![0.0],
        driver: "sim",
        spoil,
        ..Pretence::default()
    };
    let dir = pretence.write(place.path());
    let text = terminal(&dir, Style::Plain).unwrap();
    let marked: Vec<&str> = text.lines().filter(|line| line.contains(" †")).collect();
    assert_eq!(marked.len(), 3, "EPaxos at five replicas, the comparison there, the key:\n{text}");
    assert!(marked[0].starts_with("  EPaxos ") && marked[0].ends_with(" valid"), "{text}");
    let unfolded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let key = "†: of a load on which the simulator's costs were not measured, not to be quoted.";
    assert!(unfolded.contains(key), "{text}");
    let (_, compared) = unfolded.split_once("At 5 replicas: ").expect(&text);
    assert!(compared.split_once(" as Multi-Paxos").unwrap().1.starts_with(" †"), "{text}");
    assert!(unfolded.contains("12 of 12 runs valid · replicas agree · linearizable ("), "{text}");
    assert!(unfolded.contains(" · throughput of 3 not to be quoted warning: "), "{text}");
    assert!(unfolded.contains(&format!("warning: {NOT_TO_BE_QUOTED}: {SAID} (3 runs")), "{text}");

    let markdown = markdown(std::slice::from_ref(&dir)).unwrap();
    let row = markdown.lines().find(|line| line.starts_with("| 5 replicas | EPaxos |"));
    assert!(row.expect(&markdown).contains(" † |"), "{markdown}");
    assert!(markdown.contains("throughput of 3 not to be quoted"), "{markdown}");

    let page = html(std::slice::from_ref(&dir)).unwrap();
    assert!(page.contains(" †</td>") && page.contains("throughput of 3 not to be quoted"));

    draw_all(&dir).unwrap();
    let svgs: Vec<_> = fs::read_dir(dir.join("plots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "svg"))
        .collect();
    assert!(svgs.len() > 2, "{svgs:?}");
    for svg in svgs {
        let drawn = fs::read_to_string(&svg).unwrap();
        assert!(drawn.contains("not to be quoted"), "{}", svg.display());
    }
    let json = json(&dir).unwrap();
    assert!(json.to_string().contains("throughput of 3 not to be quoted"), "{json:#}");
}

#[test]
fn where_all_was_calibrated_there_is_no_mark() {
    let place = tempfile::tempdir().unwrap();
    let dir = Pretence { driver: "sim", ..Pretence::default() }.write(place.path());
    let text = terminal(&dir, Style::Plain).unwrap();
    assert!(!text.contains('†') && !text.contains("not to be quoted"), "{text}");
}
