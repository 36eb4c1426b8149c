//! Plots from pretended results. They stay in `target/tmp/` for a person to look at.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::Pretence;
use measure::{Event, Promise, SummaryRow};

const PNG_SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Writes the results, draws them, and returns their directory.
fn drawn(pretence: &Pretence) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(pretence.name);
    let _ = fs::remove_dir_all(&root);
    let dir = pretence.write(&root);
    let files = report::draw_all(&dir).expect("plots are drawn").files;
    for file in &files {
        let bytes = fs::read(file).expect("a file that was drawn");
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("png") => assert!(bytes.starts_with(&PNG_SIGNATURE), "{}", file.display()),
            _ => assert!(bytes.starts_with(b"<svg"), "{}", file.display()),
        }
    }
    dir
}

fn stems(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir.join("plots")).expect("the folder of plots");
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").path();
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let paths: Vec<PathBuf> = entries.map(path).collect();
    let stems: BTreeSet<String> = paths.iter().cloned().map(stem).collect();
    assert_eq!(paths.len(), 2 * stems.len(), "each plot is there as SVG and as PNG");
    stems
}

fn svg(dir: &Path, stem: &str) -> String {
    fs::read_to_string(dir.join("plots").join(format!("{stem}.svg"))).expect("an SVG")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_conflict_sweep() {
    let dir = drawn(&Pretence {
        name: "plots-conflict",
        conflicts: vec![0.0, 0.02, 0.25, 1.0],
        scale: 0.2,
        ..Pretence::default()
    });
    let expected = [
        "efficiency-vs-conflict-rate",
        "latency-cdf-1",
        "latency-cdf-2",
        "latency-vs-conflict-rate",
        "load-cpu-1",
        "load-cpu-2",
        "load-messages-1",
        "load-messages-2",
        "throughput-over-time-1",
        "throughput-over-time-2",
        "throughput-vs-conflict-rate",
    ];
    assert_eq!(stems(&dir), set(&expected));
    for stem in expected {
        let text = svg(&dir, stem);
        for part in [
            "Paxos",
            "Multi-Paxos",
            "EPaxos",
            "verdict: 36 of 36 runs valid · replicas agree · linearizable (",
            "plots-conflict · seed 42 · 2026-01-31 · quic · Some CPU 3000, 2 cores",
        ] {
            assert!(text.contains(part), "{stem} lacks {part}");
        }
        assert!(!text.contains("HOLLOW") && !text.contains("\nnot valid\n"), "{stem}");
        assert!(!text.contains("lower bound") && carets(&text) == 0, "{stem}");
    }
    let throughput = svg(&dir, "throughput-vs-conflict-rate");
    for part in ["throughput (ops/s)", "conflict rate", "0 %", "2 %", "25 %", "100 %"] {
        assert!(throughput.contains(part), "{part}");
    }
    assert!(throughput.contains("median and min … max of 3 repetitions"));
    let cdf = svg(&dir, "latency-cdf-1");
    assert!(cdf.contains("99.9 %") && !cdf.contains("median and"), "merged, so without spread");
    assert!(svg(&dir, "load-messages-1").contains("leader"));
}

#[test]
fn a_load_sweep_gives_the_latency_throughput_curve_and_marks_what_is_not_valid() {
    let dir = drawn(&Pretence {
        name: "plots-load",
        conflicts: vec![0.02],
        rates: vec![2_000.0, 8_000.0, 16_000.0, 24_000.0, 36_000.0],
        scale: 0.3,
        ..Pretence::default()
    });
    assert!(stems(&dir).contains("latency-throughput-by-rate-ops-per-s"));
    let curve = svg(&dir, "latency-throughput-by-rate-ops-per-s");
    for part in ["p50 latency (ms)", "p99 latency (ms)", "throughput (ops/s)", "HOLLOW: NOT VALID"]
    {
        assert!(curve.contains(part), "{part}");
    }
}

#[test]
fn two_swept_keys_give_a_panel_for_each_value_of_the_other() {
    let dir = drawn(&Pretence {
        name: "plots-two-keys",
        replicas: vec![3, 5],
        conflicts: vec![0.0, 1.0],
        scale: 0.02,
        ..Pretence::default()
    });
    let by_conflict = svg(&dir, "throughput-vs-conflict-rate");
    assert!(by_conflict.contains("3 replicas") && by_conflict.contains("5 replicas"));
    let by_replicas = svg(&dir, "throughput-vs-replicas");
    assert!(by_replicas.contains("0 % conflicts") && by_replicas.contains("100 % conflicts"));
}

#[test]
fn one_point_gives_bars_and_events_are_marked_over_time() {
    let event = |t_s, event: &str| Event { t_s, event: event.to_owned(), ..Event::default() };
    let dir = drawn(&Pretence {
        name: "plots-fault",
        conflicts: vec![0.0],
        repetitions: 1,
        events: vec![event(1.0, "kill"), event(-0.5, "before the measuring")],
        spoil: |identity, facts| {
            if identity.protocol == "paxos" {
                facts.foreign_cpu_share = Some(0.4);
            }
        },
        ..Pretence::default()
    });
    let expected = [
        "efficiency",
        "latency-cdf",
        "load-cpu",
        "load-messages",
        "throughput",
        "throughput-over-time",
    ];
    assert!(stems(&dir).is_superset(&set(&expected)), "{:?}", stems(&dir));
    let over_time = svg(&dir, "throughput-over-time");
    assert!(over_time.contains("kill") && !over_time.contains("before the measuring"));
    for stem in expected {
        assert!(svg(&dir, stem).contains("verdict: 2 of 3 runs valid"), "{stem}");
        assert!(svg(&dir, stem).contains("HOLLOW: NOT VALID"), "{stem}");
    }
}

#[test]
fn too_few_samples_leave_percentiles_out_but_draw_the_rest() {
    let dir = drawn(&Pretence { name: "plots-few", scale: 0.000_02, ..Pretence::default() });
    let stems = stems(&dir);
    assert!(stems.contains("throughput-vs-conflict-rate"));
    assert!(!stems.contains("latency-vs-conflict-rate"), "no percentile, no plot of them");
}

#[test]
fn a_missing_file_or_column_is_one_clear_line() {
    let root = tempfile::tempdir().unwrap();
    let pretence = Pretence { scale: 0.001, ..Pretence::default() };
    let dir = pretence.write(root.path());
    let replicas = fs::read_to_string(dir.join("replicas.csv")).unwrap();
    fs::write(dir.join("replicas.csv"), replicas.replacen("messages_in", "messages", 1)).unwrap();
    let error = report::draw_all(&dir).unwrap_err().to_string();
    assert!(error.contains("replicas.csv: column messages_in is missing"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    fs::remove_file(dir.join("replicas.csv")).unwrap();
    let error = report::draw_all(&dir).unwrap_err().to_string();
    assert!(error.contains("replicas.csv: ") && !error.contains('\n'), "{error}");
    fs::write(dir.join("replicas.csv"), replicas).unwrap();
    assert_eq!(report::draw_all(&dir).unwrap().left_out, None);
    fs::remove_file(dir.join("cdf.csv")).unwrap();
    let drawn = report::draw_all(&dir).unwrap();
    let left_out = "cdf.csv is not here: what is drawn and told from there is left out";
    assert_eq!(drawn.left_out.as_deref(), Some(left_out));
    let is_of = |name: &str| drawn.files.iter().any(|file| file.ends_with(name));
    assert!(is_of("throughput-over-time.svg") && !is_of("latency-cdf.svg"), "{drawn:?}");
    fs::remove_file(dir.join("manifest.json")).unwrap();
    let error = report::draw_all(&dir).unwrap_err().to_string();
    assert!(error.contains("manifest.json"), "{error}");
}

#[test]
fn results_without_a_run_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = Pretence { repetitions: 0, ..Pretence::default() }.write(root.path());
    let error = report::draw_all(&dir).unwrap_err().to_string();
    assert!(error.contains("no run ended"), "{error}");
}

#[test]
fn faults_are_shaded_and_every_site_has_its_lines_over_time() {
    let event = |t_s, event: &str, detail: &str| Event {
        t_s,
        event: event.to_owned(),
        detail: detail.to_owned(),
    };
    let dir = drawn(&Pretence {
        name: "plots-faults",
        conflicts: vec![0.0],
        repetitions: 2,
        events: vec![
            event(0.4, "pause", "r1"),
            event(0.8, "resume", "r1"),
            event(1.0, "links", "10 % lost, layer packet"),
            event(1.5, "kill", "r2 (target: random)"),
        ],
        ..Pretence::default()
    });
    let stems = stems(&dir);
    for stem in [
        "throughput-over-time",
        "latency-over-time",
        "commit-latency-over-time",
        "execution-latency-over-time",
        "sites-over-time-epaxos",
        "sites-over-time-multi-paxos",
        "sites-over-time-paxos",
    ] {
        assert!(stems.contains(stem), "{stem}");
        let text = svg(&dir, stem);
        for part in ["pause r1", "10 % lost", "kill r2", "verdict: 6 of 6 runs valid"] {
            assert!(text.contains(part), "{stem} lacks {part}");
        }
        assert!(!text.contains("resume"), "{stem}: what ends a window is no mark of its own");
    }
    let sites = svg(&dir, "sites-over-time-epaxos");
    for part in ["site 0", "site 2", "p50 commit (µs)", "p50 execution (µs)"] {
        assert!(sites.contains(part), "{part}");
    }
}

/// A pause of a second from which nobody is back for three more.
#[test]
fn a_promise_of_throughput_is_drawn_with_its_line_and_told() {
    let event = |t_s, event: &str| Event { t_s, event: event.to_owned(), detail: "r1".to_owned() };
    let promise = |within_s| Pretence {
        name: "plots-returns",
        conflicts: vec![0.0],
        repetitions: 2,
        seconds: 9.0,
        silent: 2.0..6.0,
        events: vec![event(2.0, "pause"), event(3.0, "resume")],
        promise: Some(Promise { share: 0.9, within_s }),
        ..Pretence::default()
    };
    let told =
        |dir: &Path| report::terminal(dir, report::Style::Plain).unwrap().replace("\n    ", " ");
    let dir = drawn(&promise(4.0));
    let kept = told(&dir);
    assert!(
        kept.contains("EPaxos: pause r1: back after 3") && kept.contains("; lowest 0 % (site"),
        "{kept}"
    );
    assert!(kept.contains(" · back in time after every fault"), "{kept}");
    let dir = drawn(&promise(2.0));
    let missed = told(&dir);
    assert!(missed.contains("NOT BACK at 90 % within 2 s: 0 % then, and 5 more"), "{missed}");
    assert!(
        missed.contains("9 of 9 runs valid") || missed.contains("6 of 6 runs valid"),
        "{missed}"
    );
    assert!(missed.contains(" · NOT BACK in time in 6"), "{missed}");
    let stems = stems(&dir);
    for stem in ["returns-epaxos", "returns-multi-paxos", "returns-paxos"] {
        assert!(stems.contains(stem), "{stem}");
        let text = svg(&dir, stem);
        for part in ["pause r1", "90 % of before", "of before", "site 2"] {
            assert!(text.contains(part), "{stem} lacks {part}");
        }
    }
    fs::remove_file(dir.join("returns.csv")).unwrap();
    report::draw_all(&dir).expect("results of before there were promises are drawn without them");
}

#[test]
fn results_of_before_there_were_commits_over_time_are_drawn_without_them() {
    let event = Event { t_s: 1.0, event: "kill".to_owned(), detail: "r0".to_owned() };
    let pretence = Pretence { name: "plots-older", events: vec![event], ..Pretence::default() };
    let dir = drawn(&pretence);
    let rows: Vec<measure::TimeseriesRow> = measure::read_rows(&dir).unwrap();
    let mut text = String::from(
        "protocol,driver,point,repetition,t_ms,site,operations,errors,latency_us_p50,latency_us_p99\n",
    );
    for row in rows {
        let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let key = format!("{},{},\"{}\",{}", row.protocol, row.driver, row.point, row.repetition);
        let counts = format!("{},{},{},{}", row.t_ms, row.site, row.operations, row.errors);
        let latencies = [row.latency_us_p50, row.latency_us_p99].map(cell).join(",");
        text.push_str(&format!("{key},{counts},{latencies}\n"));
    }
    fs::write(dir.join("timeseries.csv"), text).unwrap();
    fs::remove_file(dir.join("gaps.csv")).unwrap();
    fs::remove_dir_all(dir.join("plots")).unwrap();
    report::draw_all(&dir).unwrap();
    let stems = stems(&dir);
    assert!(stems.iter().any(|stem| stem.starts_with("latency-over-time")), "{stems:?}");
    assert!(!stems.iter().any(|stem| stem.starts_with("commit-latency")), "{stems:?}");
}

#[test]
fn where_a_tenth_of_a_second_has_too_few_replies_for_a_median_the_slowest_is_drawn() {
    let event = Event { t_s: 1.0, event: "kill".to_owned(), detail: "r0".to_owned() };
    let pretence = Pretence { name: "plots-sparse", events: vec![event], ..Pretence::default() };
    let dir = drawn(&pretence);
    assert!(!svg(&dir, "sites-over-time-epaxos-1").contains("slowest"));
    let mut rows: Vec<measure::TimeseriesRow> = measure::read_rows(&dir).unwrap();
    for row in &mut rows {
        (row.latency_us_p50, row.commit_us_p50, row.execute_us_p50) = (None, None, None);
    }
    fs::remove_file(dir.join("timeseries.csv")).unwrap();
    measure::write_rows(&dir, &rows).unwrap();
    fs::remove_dir_all(dir.join("plots")).unwrap();
    report::draw_all(&dir).unwrap();
    let sites = svg(&dir, "sites-over-time-epaxos-1");
    for part in ["slowest reply", "slowest commit", "slowest execution"] {
        assert!(sites.contains(part), "{part}");
    }
    assert!(!sites.contains("p50"));
}

/// What the pretended replicas exchange per operation, more or less; the model says a tenth more.
fn model_rows(replicas: &[u32], capacity_ops_per_s: Option<f64>) -> Vec<measure::LoadModelRow> {
    let mut rows = Vec::new();
    for n in replicas.iter().copied() {
        for protocol in ["multi-paxos", "epaxos"] {
            for replica in 0..n {
                let others = f64::from(n - 1);
                let messages = match (protocol, replica) {
                    ("multi-paxos", 0) => 2.2 * others,
                    ("multi-paxos", _) => 2.2,
                    _ => 3.3 * others / f64::from(n) + 1.1,
                };
                rows.push(measure::LoadModelRow {
                    protocol: protocol.to_owned(),
                    driver: "quic".to_owned(),
                    point: format!("replicas={n},conflict_rate=0"),
                    replicas: n,
                    replica,
                    messages_per_op: Some(messages),
                    client_messages_per_op: Some(2.0 / f64::from(n)),
                    values_out_per_op: Some(1.0),
                    capacity_ops_per_s: capacity_ops_per_s.map(|ops_per_s| ops_per_s / messages),
                    saturates: capacity_ops_per_s.map(|_| "cpu".to_owned()).unwrap_or_default(),
                    ..measure::LoadModelRow::default()
                });
            }
        }
    }
    rows
}

#[test]
fn the_busiest_replica_is_drawn_beside_its_model_with_the_verdict() {
    let pretence = |name, spoil| Pretence {
        name,
        protocols: vec!["multi-paxos", "epaxos"],
        replicas: vec![3, 5],
        conflicts: vec![0.0],
        scale: 0.02,
        spoil,
        ..Pretence::default()
    };
    let dir = drawn(&pretence("plots-model", |identity, facts| {
        if identity.replicas == 5 {
            facts.foreign_cpu_share = Some(0.4);
        }
    }));
    assert!(!stems(&dir).contains("busiest-vs-replicas"), "without a model nothing is drawn");
    measure::write_rows(&dir, &model_rows(&[3, 5], None)).unwrap();
    report::draw_all(&dir).expect("plots are drawn");
    let busiest = svg(&dir, "busiest-vs-replicas");
    for part in
        ["model", "messages per op", "ops per its CPU-second", "HOLLOW: NOT VALID", "6 of 12"]
    {
        assert!(busiest.contains(part), "{part}");
    }
    assert!(svg(&dir, "load-messages").contains(">\nmodel\n<"), "a stroke, and what it is");
    let text = report::terminal(&dir, report::Style::Plain).unwrap();
    let line = |start: &str| {
        let found = text.lines().find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("{start} in {text}")).to_owned()
    };
    assert!(line("3 replicas, Multi-Paxos").ends_with(" valid"), "{text}");
    assert!(line("5 replicas, Multi-Paxos").ends_with("NOT VALID"), "{text}");
    assert!(line("Multi-Paxos: measured against the model: −").contains("messages"), "{text}");
    assert!(!text.contains("throughput\n"), "no capacity, no error of it: {text}");
}

#[test]
fn where_work_has_a_known_cost_the_throughput_is_held_against_the_models() {
    let dir = drawn(&Pretence {
        name: "plots-capacity",
        protocols: vec!["multi-paxos", "epaxos"],
        replicas: vec![3],
        conflicts: vec![0.0],
        scale: 0.02,
        ..Pretence::default()
    });
    measure::write_rows(&dir, &model_rows(&[3], Some(1_000.0))).unwrap();
    let text = report::terminal(&dir, report::Style::Plain).unwrap();
    let of = |name: &str| text.lines().find(|line| line.contains(name)).expect(name).to_owned();
    assert!(of("Multi-Paxos       r0").contains(" CPU "), "{text}");
    assert!(of("EPaxos: measured against the model").contains(" throughput"), "{text}");
}

/// Every kind of plot: one protocol's runs are not valid, another's are.
#[test]
fn what_is_not_valid_is_marked_on_every_kind_of_plot() {
    let event = Event { t_s: 1.0, event: "kill".to_owned(), detail: "r0".to_owned() };
    let bars = Pretence {
        conflicts: vec![0.0],
        repetitions: 2,
        events: vec![event],
        ..Pretence::default()
    };
    let sweep = Pretence {
        conflicts: vec![0.02],
        rates: vec![2_000.0, 8_000.0],
        repetitions: 2,
        scale: 0.3,
        ..Pretence::default()
    };
    let kinds = [
        (bars, vec!["throughput", "efficiency", "latency-cdf", "load-cpu", "load-messages"]),
        (
            sweep,
            vec![
                "throughput-vs-rate-ops-per-s",
                "efficiency-vs-rate-ops-per-s",
                "latency-vs-rate-ops-per-s",
                "latency-throughput-by-rate-ops-per-s",
                "latency-cdf",
                "load-cpu",
                "load-messages",
                "throughput-over-time",
            ],
        ),
    ];
    let over_time = [
        "throughput-over-time",
        "latency-over-time",
        "commit-latency-over-time",
        "execution-latency-over-time",
        "sites-over-time-paxos",
    ];
    for (place, (pretence, mut expected)) in kinds.into_iter().enumerate() {
        if place == 0 {
            expected.extend(over_time);
        }
        let dir = drawn(&Pretence {
            name: ["plots-marks-bars", "plots-marks-sweep"][place],
            spoil: |identity, facts| {
                if identity.protocol == "paxos" {
                    facts.foreign_cpu_share = Some(0.4);
                }
            },
            ..pretence
        });
        let kinds: BTreeSet<String> = stems(&dir)
            .into_iter()
            .filter(|stem| !stem.ends_with("-epaxos") && !stem.ends_with("-multi-paxos"))
            .collect();
        assert_eq!(kinds, set(&expected), "a kind of plot that is not looked at here");
        for stem in &kinds {
            let text = svg(&dir, stem);
            assert!(text.contains("\nnot valid\n"), "{stem} has no entry in its legend");
            assert!(text.contains("HOLLOW: NOT VALID"), "{stem}");
        }
    }
}

#[test]
fn error_bars_are_named_after_how_many_repetitions_count() {
    let dir = drawn(&Pretence {
        name: "plots-interval",
        repetitions: 7,
        spoil: |identity, facts| {
            if identity.protocol == "paxos" && identity.repetition < 3 {
                facts.foreign_cpu_share = Some(0.4);
            }
        },
        ..Pretence::default()
    });
    let text = svg(&dir, "throughput-vs-conflict-rate").replace('\n', " ");
    let expected = "median and 98.4 % interval of 7 repetitions; where only 5 count, min … max";
    assert!(text.contains(expected), "{text}");
}

/// How many carets of a line's colour are in an SVG: no other polygon but a band, which is pale, has six corners. Each has a
/// white one below.
fn carets(svg: &str) -> usize {
    let polygons = svg.lines().filter(|line| line.starts_with("<polygon opacity=\"1\""));
    let coloured = polygons.filter(|line| !line.contains("#FFFFFF") && !line.contains("#5F5F5F"));
    let corners = coloured.map(|line| {
        let points = line.split("points=\"").nth(1).and_then(|points| points.split('"').next());
        points.unwrap_or_default().split_whitespace().count()
    });
    corners.filter(|corners| *corners == 6).count()
}

#[test]
fn lower_bounds_have_a_caret_and_are_explained() {
    let event = Event { t_s: 1.5, event: "kill".to_owned(), detail: "r0".to_owned() };
    let dir = drawn(&Pretence {
        name: "plots-bounds",
        conflicts: vec![0.02],
        rates: vec![2_000.0, 8_000.0, 16_000.0],
        scale: 0.3,
        events: vec![event],
        unanswered: |identity, at_s, operation| {
            let rate = identity.rate_ops_per_s.unwrap_or_default();
            let is_lost = match identity.protocol.as_str() {
                "multi-paxos" => rate > 10_000.0 && operation % 7 < 4,
                "epaxos" => at_s > 1.5,
                _ => false,
            };
            is_lost.then_some(Duration::from_millis(40))
        },
        ..Pretence::default()
    });
    let rows: Vec<SummaryRow> = measure::read_rows(&dir).unwrap();
    let first = || rows.iter().filter(|row| row.repetition == 1);
    let bounds = |column| first().filter(|row| row.is_at_least(column)).count();
    let (p50, p99) = (bounds("latency_us_p50"), bounds("latency_us_p99"));
    assert_eq!((p50, p99), (1, 4), "Multi-Paxos at 16k, EPaxos at every rate");
    for stem in ["latency-vs-rate-ops-per-s", "latency-throughput-by-rate-ops-per-s"] {
        assert_eq!(carets(&svg(&dir, stem)), p50 + p99, "{stem}");
    }
    // Of many points some have one: of the tails in each of three panels, and over time of the last half second.
    for (stem, least) in [
        ("latency-cdf", 30),
        ("latency-over-time-1", 6),
        ("sites-over-time-epaxos-1", 6),
        ("sites-over-time-multi-paxos-3", 30),
    ] {
        let count = carets(&svg(&dir, stem));
        assert!(count >= least, "{stem}: {count}");
    }
    for stem in stems(&dir) {
        let text = svg(&dir, &stem);
        let note = "≥: a lower bound, for not all requests were answered";
        let said = [text.contains("\n≥ lower bound\n"), text.replace('\n', " ").contains(note)];
        assert_eq!(said, [carets(&text) > 0; 2], "{stem}");
        let has_bounds = stem.starts_with("latency-")
            || stem.starts_with("sites-over-time-epaxos")
            || stem == "sites-over-time-multi-paxos-3";
        assert_eq!(carets(&text) > 0, has_bounds, "{stem}");
    }
}
