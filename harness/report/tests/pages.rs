//! The HTML page and the Markdown text from pretended results. The pages stay in `target/tmp/pages/`, where the tests in a
//! browser find them.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::Pretence;
use measure::{Event, FormulaRow, Linearizable, SummaryRow, TimeseriesRow, read_rows, write_rows};

/// Writes the results, and returns their directory.
fn written(pretence: &Pretence) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(pretence.name);
    let _ = fs::remove_dir_all(&root);
    pretence.write(&root)
}

/// The page of `dirs`, kept under `name`.
fn page(name: &str, dirs: &[PathBuf]) -> String {
    let page = report::html(dirs).expect("a page");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(format!("{name}.html"));
    fs::write(file, &page).expect("the page is kept");
    page
}

/// Results that runs wrote; the README beside them says which.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What stands between each `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let parts = text.split(from).skip(1);
    parts.map(|part| part.split(to).next().unwrap_or_default()).collect()
}

fn spoilt(name: &'static str) -> Pretence {
    Pretence {
        name,
        conflicts: vec![0.0, 0.02, 1.0],
        spoil: |identity, facts| {
            let conflict = identity.conflict_rate.unwrap_or(0.0);
            match (identity.protocol.as_str(), identity.repetition) {
                ("paxos", 1) => facts.deaths.push("replica 1: log full".to_owned()),
                ("multi-paxos", _) if conflict == 0.02 => facts.foreign_cpu_share = Some(0.31),
                _ => {}
            }
        },
        ..Pretence::default()
    }
}

#[test]
fn every_row_every_plot_and_every_point_carries_the_verdict_of_its_runs() {
    let page = page("not-valid", &[written(&spoilt("page-spoilt"))]);
    let results = between(&page, "<table class=\"results\">", "</table>");
    assert_eq!(results.len(), 1);
    let rows: Vec<&str> = between(results[0], "<tr>", "</tr>");
    let rows: Vec<&&str> = rows.iter().filter(|row| row.contains("<td")).collect();
    assert_eq!(rows.len(), 9);
    for row in &rows {
        let verdict = between(row, "<td class=\"verdict\">", "</td>");
        assert_eq!(verdict.len(), 1, "{row}");
        assert!(verdict[0].to_lowercase().contains("valid"), "{row}");
    }
    assert_eq!(rows.iter().filter(|row| row.contains("NOT VALID")).count(), 1);
    assert_eq!(rows.iter().filter(|row| row.contains("2/3 valid")).count(), 3);

    let verdict = "21 of 27 runs valid · replicas agree";
    let figures = between(&page, "<figure", "</figure>");
    assert!(figures.len() >= 7, "{}", figures.len());
    for figure in figures {
        assert!(between(figure, "<figcaption", "</figcaption>")[0].contains(verdict), "{figure}");
        let pictures = between(figure, "<svg viewBox=\"0 0 720", "</svg>");
        assert!(!pictures.is_empty());
        for picture in pictures {
            assert!(picture.contains("role=\"img\"") && picture.contains("<title"));
            assert!(between(picture, "<desc", "</desc>")[0].contains(verdict), "{picture}");
            marks_are_hollow_where(picture, "NOT VALID");
        }
        for json in between(figure, "<script type=\"application/json\">", "</script>") {
            let panel: serde_json::Value = serde_json::from_str(json).expect("JSON");
            let tallies = panel["tallies"].as_array().expect("verdicts");
            let lines = panel["lines"].as_array().into_iter().flatten();
            let points = lines.flat_map(|line| line["points"].as_array().into_iter().flatten());
            let bars = panel["bars"].as_array().into_iter().flatten().map(|bar| &bar["point"]);
            let mut count = 0;
            for point in points.chain(bars) {
                let place = usize::try_from(point[4].as_u64().expect("a place")).unwrap();
                let verdict = tallies[place]["verdict"].as_str().unwrap().to_lowercase();
                assert!(verdict.contains("valid"), "{point}");
                count += 1;
            }
            assert!(count > 0);
        }
    }
}

/// Marks whose runs have this verdict are hollow, all others are valid and are not.
fn marks_are_hollow_where(picture: &str, verdict: &str) -> usize {
    let marks = between(picture, "class=\"mark", "</path>");
    for mark in &marks {
        let hollow = mark.starts_with(" hollow");
        assert_eq!(hollow, mark.contains(&format!(", {verdict}</title>")), "{mark}");
        assert!(mark.contains("valid</title>") || hollow, "{mark}");
    }
    marks.iter().filter(|mark| mark.starts_with(" hollow")).count()
}

#[test]
fn a_spread_is_called_by_its_true_coverage_wherever_it_is_shown() {
    let dir = written(&Pretence {
        name: "page-interval",
        repetitions: 7,
        conflicts: vec![0.0, 1.0],
        spoil: |identity, facts| {
            if identity.protocol == "paxos" && identity.repetition < 3 {
                facts.foreign_cpu_share = Some(0.4);
            }
        },
        ..Pretence::default()
    });
    // Of the first repetition of Multi-Paxos too few samples support a p99.
    let file = dir.join("summary.csv");
    let text = fs::read_to_string(&file).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    // Counted from the end: the point has a comma.
    let from_end = header.iter().rev().position(|column| *column == "latency_us_p99").unwrap();
    let without = text.lines().map(|line| {
        let mut cells: Vec<&str> = line.rsplit(',').collect();
        if line.starts_with("multi-paxos,") && line.contains(",closed,,16,1,") {
            cells[from_end] = "";
        }
        cells.reverse();
        cells.join(",") + "\n"
    });
    fs::write(&file, without.collect::<String>()).unwrap();
    let page = page("interval", std::slice::from_ref(&dir));
    let latency = between(&page, "data-stem=\"latency-vs-conflict-rate", "</figure>")[0];
    let caption = between(latency, "<figcaption", "</figcaption>")[0];
    let expected = "median and 98.4 % interval of 7 repetitions; where only 6 count, 96.9 % \
                    interval; where only 5 count, min … max";
    assert!(caption.contains(expected), "{caption}");
    let p99 = between(latency, "<script type=\"application/json\">", "</script>")[1];
    assert!(p99.contains("\"96.9 % interval\""), "of 6 of 7 runs: {p99}");
    let figure = between(&page, "data-stem=\"throughput-vs-conflict-rate", "</figure>")[0];
    let caption = between(figure, "<figcaption", "</figcaption>")[0];
    let expected = "median and 98.4 % interval of 7 repetitions; where only 5 count, min … max";
    assert!(caption.contains(expected), "{caption}");
    let json = between(figure, "<script type=\"application/json\">", "</script>")[0];
    let panel: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let called: Vec<_> = panel["tallies"]
        .as_array()
        .expect("verdicts")
        .iter()
        .map(|tally| (tally["runs"].clone(), tally["interval"].clone()))
        .collect();
    let expected = [(5.into(), "min … max".into()), (7.into(), "98.4 % interval".into())];
    assert_eq!(called, expected);
    let key = "ops/s: median [98.4 % interval, in its unit] over 7 repetitions, or median ± half of \
               min … max over 5;";
    assert!(page.contains(key));
    let markdown = report::markdown(&[dir]).unwrap();
    assert!(markdown.contains("[98.4 % interval, in its unit\\] over 7"), "{markdown}");
}

#[test]
fn the_verdict_stands_before_everything_else_with_its_reasons() {
    let dir = written(&spoilt("page-banner"));
    let page = page("banner", &[dir]);
    let banner = page.find("class=\"banner bad\"").expect("a banner");
    assert!(banner < page.find("<main").unwrap() && banner < page.find("<nav").unwrap());
    for part in [
        "<title>NOT VALID: page-banner</title>",
        "✗ </span>NOT VALID</span> 6 of 27 runs may not be quoted</p>",
        "<strong>not valid:</strong>",
        "replica 1: log full",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let violated = written(&Pretence {
        name: "page-violated",
        conflicts: vec![0.0],
        complete: false,
        spoil: |identity, facts| {
            if identity.protocol == "epaxos" && identity.repetition == 2 {
                facts.linearizable = Linearizable::False;
            }
        },
        ..Pretence::default()
    });
    let page = report::html(&[violated]).unwrap();
    assert!(page.contains("<title>VIOLATION: page-violated</title>"));
    let reason = "1 of 9 runs contradict consistency, incomplete: 9 of 9 planned runs are here";
    assert!(page.contains(reason));
    for figure in ["latency-cdf", "throughput-over-time"] {
        let figure = between(&page, &format!("data-stem=\"{figure}"), "</figure>")[0];
        let pictures = between(figure, "<svg viewBox=\"0 0 720", "</svg>");
        assert!(marks_are_hollow_where(pictures[0], "VIOLATION") > 2, "{figure}");
    }
    let bars = between(&page, "<g class=\"series bar s", "</g>");
    let epaxos: Vec<&&str> =
        bars.iter().filter(|bar| bar.contains("data-key=\"EPaxos\"")).collect();
    assert!(epaxos.len() > 4 && epaxos.iter().all(|bar| bar.contains(" hollow\"")));
    assert!(page.contains("<strong>VIOLATION:</strong>"));
}

#[test]
fn nothing_from_a_file_becomes_markup() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">&";
    let dir = written(&Pretence {
        name: "page-evil",
        events: vec![Event { t_s: 0.5, event: "kill".to_owned(), detail: evil.to_owned() }],
        ..Pretence::default()
    });
    for file in ["summary.csv", "replicas.csv", "timeseries.csv", "cdf.csv", "events.csv"] {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let quoted = format!("\n\"{}\",quic", evil.replace('"', "\"\""));
        fs::write(path, text.replace("\nepaxos,quic", &quoted)).unwrap();
    }
    let path = dir.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in ["name", "question", "started_utc"] {
        manifest[key] = evil.into();
    }
    manifest["command_line"] = serde_json::json!(["bench", "run", evil]);
    manifest["warnings"] = serde_json::json!([evil]);
    manifest["host"]["hostname"] = evil.into();
    fs::write(&path, manifest.to_string()).unwrap();
    let dirs = [dir];
    let page = page("evil", &dirs);
    assert!(!page.contains("<img") && !page.contains("<script>alert"));
    // The data of a panel each, and the page's own.
    let own = page.matches("<script type=\"application/json\">").count() + 1;
    assert_eq!(page.matches("<script").count(), own);
    assert_eq!(page.matches("</script").count(), own);
    assert!(page.contains("&lt;img src=x onerror=&quot;alert(&#39;2&#39;)&quot;&gt;&amp;"));
    let markdown = report::markdown(&dirs).unwrap();
    let fenced: Vec<&str> = markdown.split("```").collect();
    assert_eq!(fenced.len(), 3, "one block of code, which nothing ends early");
    for text in [fenced[0], fenced[2]] {
        assert!(!text.contains("<img") && !text.contains("<script") && !text.contains("</script"));
    }
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let dirs = ["quickstart", "faults-kill-random"].map(fixture);
    let page = page("reference", &dirs);
    assert!(page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    for attribute in [" href=\"", " src=\"", " action=\"", " srcset=\"", " data=\""] {
        for value in between(&page, attribute, "\"") {
            assert!(value.starts_with('#') || value == "data:,", "{attribute}{value}");
        }
    }
    for value in between(&page, "url(", ")") {
        assert!(value.starts_with('#'), "{value}");
    }
    for word in ["@import", "<link rel=\"stylesheet", "fetch(", "XMLHttpRequest", "<iframe"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    let ids = between(&page, " id=\"", "\"");
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "an id is given twice");
    for target in between(&page, "href=\"#", "\"") {
        assert!(ids.contains(&target), "nothing is called {target}");
    }
}

#[test]
fn several_directories_are_a_section_each_and_the_worst_is_the_pages_verdict() {
    let good = fixture("leader-bottleneck");
    let page = page("several", &[good.clone(), written(&spoilt("page-several"))]);
    assert_eq!(page.matches("<article").count(), 2);
    assert!(page.contains("<title>NOT VALID: leader-bottleneck, page-several</title>"));
    assert!(page.contains("NOT VALID</span> 1 of 2 results</p>"));
    assert!(page.contains("<h2>leader-bottleneck</h2>") && page.contains("<h2>page-several</h2>"));
    let unjudged = "all 4 runs may be quoted, whether 4 valid runs are linearizable is not known";
    assert!(page.contains(unjudged), "of results that are older than the judging of histories");
    assert!(page.contains("<a href=\"#r0-plots\">") && page.contains("<a href=\"#r1-plots\">"));
    let markdown = report::markdown(&[good.clone(), good]).unwrap();
    assert_eq!(markdown.matches("\n## leader-bottleneck").count() + 1, 2, "{markdown}");
}

#[test]
fn a_page_says_what_was_run_and_where_and_how_to_run_it_again() {
    let dir = fixture("faults-kill-random");
    let text = report::html(&[dir]).unwrap();
    for part in [
        "<dt>Command</dt><dd><code>/tmp/bench-final run workloads/faults-kill-random.toml",
        "bed5b9fedbf410a0efdc001c6eff23b19433c148, clean tree",
        "git checkout bed5b9fedbf410a0efdc001c6eff23b19433c148\ncargo run --release -- run ",
        "After each fault, at the longest",
        "<td>r1 (target: random)</td>",
        "kill r1",
        "&quot;runs_planned&quot;: 1",
        "acknowledged writes looked for",
        "<code>gaps.csv</code>",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn the_markdown_has_the_verdict_in_every_row_of_its_table() {
    let dir = written(&spoilt("page-markdown"));
    let text = report::markdown(&[dir]).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.contains(" conflicts | ")).collect();
    assert_eq!(rows.len(), 9, "{text}");
    for row in &rows {
        assert!(row.to_lowercase().ends_with(" valid |"), "{row}");
    }
    let verdict = text.find("**NOT VALID**: 6 of 27 runs may not be quoted").expect(&text);
    assert!(verdict < text.find("| point | protocol |").unwrap());
    assert!(text.contains("- **not valid**: "));
}

#[test]
fn a_line_of_very_many_points_is_thinned_and_the_page_says_so() {
    let event = |t_s| Event { t_s, event: "pause".to_owned(), detail: "r1".to_owned() };
    let pretence = Pretence {
        name: "page-long",
        conflicts: vec![0.0],
        repetitions: 1,
        seconds: 150.0,
        scale: 0.005,
        events: vec![event(20.0)],
        ..Pretence::default()
    };
    let dir = written(&pretence);
    let page = page("long", &[dir]);
    let note = between(&page, "<p class=\"note\">Lines are drawn through ", " points");
    assert_eq!(note.len(), 1);
    assert!(page.contains(" rows; the CSV files have all of them."));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}

#[test]
fn a_protocol_without_a_figure_has_no_line_and_formulas_stand_beside_what_was_measured() {
    let sparse = Pretence {
        name: "page-sparse",
        repetitions: 1,
        scale: 0.01,
        complete: false,
        ..Pretence::default()
    };
    let dir = written(&sparse);
    let row = FormulaRow {
        protocol: "epaxos".to_owned(),
        driver: "sim".to_owned(),
        point: "replicas=3,conflict_rate=1".to_owned(),
        site: "EU".to_owned(),
        formula_ns_min: Some(75_000_000),
        formula_ns_max: Some(150_000_000),
        commits: 40,
        commits_within: Some(39),
        median_ns: Some(150_000_001),
        note: "conflicts decide which path".to_owned(),
        ..FormulaRow::default()
    };
    let exact = FormulaRow {
        formula_ns_max: Some(75_000_000),
        difference_ns: Some(-2_500_000),
        site: "<VA>".to_owned(),
        ..row.clone()
    };
    write_rows(&dir, &[row, exact]).unwrap();
    let page = page("sparse", &[dir]);
    assert!(!page.contains("d=\"M\"") && !page.contains("d=\"MZ\"") && !page.contains("NaN"));
    let p99 = between(&page, "data-stem=\"latency-vs", "</figure>")[0];
    let p99 = between(p99, "<svg viewBox=\"0 0 720", "</svg>")[1];
    assert!(p99.contains("data-key=\"EPaxos\"") && !p99.contains("data-key=\"Paxos\""), "{p99}");
    let formulas = between(&page, "aria-label=\"Formulas of page-sparse\"", "</table>");
    let rows = between(formulas[0], "<tr><th scope=\"row\">", "</tr>");
    assert_eq!(rows.len(), 2);
    for (row, expected) in rows.iter().zip([
        ["<td>75 … 150</td>", "<td>150.000001</td>", "<td>–</td>", "<td>39 of 40</td>"],
        ["<td>75</td>", "<td>&lt;VA&gt;</td>", "<td>−2.5</td>", "<td>39 of 40</td>"],
    ]) {
        assert!(row.contains("<td class=\"verdict\">") && row.contains("100 % conflicts"), "{row}");
        expected.iter().for_each(|part| assert!(row.contains(part), "{part} is not in {row}"));
    }
}

#[test]
fn what_is_no_results_directory_is_refused() {
    let error = report::html(&[PathBuf::from("nowhere")]).unwrap_err().to_string();
    assert!(error.contains("nowhere") && !error.contains('\n'), "{error}");
    assert!(report::markdown(&[PathBuf::from("nowhere")]).is_err());
}

/// EPaxos answers nothing in the last half second, Multi-Paxos little at the highest rate; of Paxos' third repetition some
/// requests wait for long.
fn unanswered(name: &'static str) -> Pretence {
    Pretence {
        name,
        conflicts: vec![0.02],
        rates: vec![2_000.0, 8_000.0, 16_000.0],
        scale: 0.3,
        events: vec![Event { t_s: 1.5, event: "kill".to_owned(), detail: "r0".to_owned() }],
        unanswered: |identity, at_s, operation| {
            let rate = identity.rate_ops_per_s.unwrap_or_default();
            let (is_lost, ms) = match identity.protocol.as_str() {
                "multi-paxos" => (rate > 10_000.0 && operation % 7 < 4, 40),
                "epaxos" => (at_s > 1.5, 40),
                // At its highest rate no run is valid, so that the third counts.
                _ => (rate > 10_000.0 && identity.repetition == 3 && operation % 7 < 4, 900),
            };
            is_lost.then_some(Duration::from_millis(ms))
        },
        ..Pretence::default()
    }
}

/// The panels of a figure, as the script reads them.
fn panels(page: &str, stem: &str) -> Vec<serde_json::Value> {
    let figure = between(page, &format!("data-stem=\"{stem}"), "</figure>")[0];
    let texts = between(figure, "<script type=\"application/json\">", "</script>");
    texts.into_iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// Which of a point's figure, low and high end are lower bounds.
fn bounds_of(point: &serde_json::Value) -> [bool; 3] {
    let bits = point.get(5).map_or(0, |bits| bits.as_u64().expect("a sum of 1, 2 and 4"));
    assert!(bits > 0 || point.get(5).is_none(), "{point}");
    [1, 2, 4].map(|bit| bits & bit > 0)
}

#[test]
fn a_lower_bound_is_one_in_every_table_picture_and_sentence_of_a_page() {
    let dir = written(&unanswered("page-bounds"));
    let page = page("bounds", std::slice::from_ref(&dir));
    let rows: Vec<SummaryRow> = read_rows(&dir).unwrap();
    let latency = panels(&page, "latency-vs-rate");
    for (panel, column) in latency.iter().zip(["latency_us_p50", "latency_us_p99"]) {
        for (line, protocol) in
            panel["lines"].as_array().unwrap().iter().zip(["paxos", "multi-paxos", "epaxos"])
        {
            let points = line["points"].as_array().unwrap().iter();
            for (point, rate) in points.zip([2_000.0, 8_000.0, 16_000.0]) {
                let all = rows
                    .iter()
                    .filter(|row| row.protocol == protocol && row.rate_ops_per_s == Some(rate));
                let bounds = all.filter(|row| row.is_at_least(column)).count();
                // Of Paxos one of three, the largest; of the others all or none.
                let expected = [bounds == 3, bounds == 3, bounds > 0];
                assert_eq!(bounds_of(point), expected, "{protocol}, {rate}, {column}: {point}");
            }
        }
    }
    let figure = between(&page, "data-stem=\"latency-vs-rate", "</figure>")[0];
    assert!(figure.contains("data-key=\"≥ lower bound\""), "the legend");
    let caption = between(figure, "<figcaption", "</figcaption>")[0];
    assert!(caption.contains("≥: a lower bound, for not all requests were answered"), "{caption}");
    let pictures = between(figure, "<svg viewBox=\"0 0 720", "</svg>");
    // Multi-Paxos' and the high end of Paxos' spread; those, and EPaxos' at every rate.
    let carets: Vec<usize> =
        pictures.iter().map(|picture| picture.matches("class=\"caret\"").count()).collect();
    assert_eq!(carets, [2, 5]);
    for picture in &pictures {
        assert!(picture.contains("class=\"line bound\""), "{picture}");
        let about = between(picture, "<desc", "</desc>")[0];
        assert!(about.contains("≥40.0 ms at 16k (NOT VALID)"), "{about}");
        assert!(picture.contains("Multi-Paxos, 16k: ≥40.0 ms, NOT VALID</title>"), "{picture}");
    }
    let data = between(figure, "class=\"data\"", "</table>")[0];
    assert!(data.contains("<td class=\"value bad\">≥40.0 ms, NOT VALID</td>"), "{data}");
    assert!(data.contains(" ms … ≥900 ms), NOT VALID</td>"), "the spread's end: {data}");
    let results = between(&page, "<table class=\"results\">", "</table>")[0];
    assert!(results.contains("<td>≥40.0</td>") && page.contains(" ≥: a lower bound, for not"));
    let over_time = between(&page, "data-stem=\"latency-over-time", "</figure>")[0];
    let about =
        between(between(over_time, "<svg viewBox=\"0 0 720", "</svg>")[0], "<desc", "</desc>")[0];
    let expected = "EPaxos: 20 points, 0.4";
    assert!(
        about.contains(expected) && about.contains("≥40.2 ms, 5 of them lower bounds"),
        "{about}"
    );
    let throughput = between(&page, "data-stem=\"throughput-vs", "</figure>")[0];
    assert!(!throughput.contains("lower bound") && !throughput.contains("caret"));
    let markdown = report::markdown(&[dir]).unwrap();
    assert!(markdown.contains(" | ≥40.0 | ") && markdown.contains("mean. ≥: a lower bound"));
}

#[test]
fn without_lower_bounds_a_page_has_no_sign_of_them() {
    let page = page("exact", &[written(&spoilt("page-exact"))]);
    let body = page.split_once("<body>").unwrap().1.rsplit_once("<script>").unwrap().0;
    for part in ["≥", "caret", "lower bound"] {
        assert!(!body.contains(part), "{part}");
    }
}

#[test]
fn a_rate_in_the_last_part_of_a_tenth_of_a_second_is_over_its_own_length() {
    let dir = written(&Pretence {
        name: "page-partial",
        protocols: vec!["epaxos"],
        conflicts: vec![0.0],
        repetitions: 1,
        seconds: 0.55,
        ..Pretence::default()
    });
    let rows: Vec<TimeseriesRow> = read_rows(&dir).unwrap();
    let all: Vec<&TimeseriesRow> = rows.iter().filter(|row| row.site == "all").collect();
    assert_eq!(all.last().unwrap().width_ms, Some(50.0));
    let page = page("partial", &[dir]);
    let panel = &panels(&page, "throughput-over-time")[0];
    let points = panel["lines"][0]["points"].as_array().unwrap();
    assert_eq!((points.len(), panel["x"]["high"].as_f64()), (6, Some(0.55)));
    for (row, point) in all.iter().zip(points) {
        let (begin_s, width_s) = (row.t_ms as f64 / 1e3, row.width_s());
        let expected = [begin_s + width_s / 2.0, row.operations as f64 / width_s];
        for (drawn, expected) in [&point[0], &point[1]].into_iter().zip(expected) {
            let drawn = drawn.as_f64().unwrap();
            assert!((drawn - expected).abs() < 1e-4 * expected, "{drawn}, not {expected}");
        }
    }
}
