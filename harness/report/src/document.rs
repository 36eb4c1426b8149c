//! What a page and a Markdown text say of results alike, as text that nothing is escaped in yet: the facts, the table, the
//! faults, the formulas, and how to run it again.

use std::{fs, path::Path};

use measure::{Manifest, SummaryRow};

use crate::{
    cell::RunCount,
    error::ReportError,
    formula::Formula,
    known::display_name,
    numbers::{NONE, bounded, bytes},
    results::Results,
    terminal::{HEADERS, line, setting_text},
    verdict::Grade,
};

/// The file's name inside a results directory, unless another is asked for.
pub const PAGE_FILE: &str = "report.html";

/// The rows of one point in the table of results.
pub(crate) struct Block {
    /// What distinguishes the point; empty where there is only one.
    pub(crate) label: String,
    pub(crate) rows: Vec<Row>,
}

/// A line of a table whose last cell is the verdict.
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    pub(crate) grade: Grade,
}

/// A table with a verdict in the last cell of every row.
pub(crate) struct Sheet {
    pub(crate) headings: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// How many rows are not here, for there are too many.
    pub(crate) more: usize,
}

/// Chosen: a page of events is read, more are looked up in the file.
const EVENTS_MAX: usize = 200;

/// The headings of the table of results.
pub(crate) fn headings() -> Vec<String> {
    let join = |(above, below): (&&str, &&str)| match (*above, *below) {
        ("", "") => "protocol".to_owned(),
        (above, below) if above.ends_with('/') => format!("{above}{below}"),
        (above, below) => format!("{above} {below}").trim().to_owned(),
    };
    HEADERS[0].iter().zip(&HEADERS[1]).map(join).collect()
}

/// The table of results, the same figures as on the terminal.
pub(crate) fn blocks(results: &Results) -> Vec<Block> {
    let block = |point: &crate::results::Point| {
        let rows = results.protocols.iter().filter_map(|protocol| {
            let cell = results.cell(&point.text, protocol)?;
            let cells = line(results, protocol, &cell).into_iter().map(|cell| cell.text);
            Some(Row { cells: cells.collect(), grade: grade_of(cell.run_count()) })
        });
        Block { label: results.label(point, None), rows: rows.collect() }
    };
    results.points.iter().map(block).collect()
}

/// What may be done with a figure over these runs.
pub(crate) fn grade_of(run_count: RunCount) -> Grade {
    match (run_count.violation, run_count.valid_runs) {
        (true, _) => Grade::Violation,
        (false, 0) => Grade::NotValid,
        (false, valid) if valid < run_count.runs => Grade::Partly,
        (false, _) => Grade::Valid,
    }
}

/// What was run, where and when, by name.
pub(crate) fn facts(results: &Results, dir: &Path) -> Vec<(&'static str, String)> {
    let manifest = &results.manifest;
    let mut facts = Vec::new();
    facts.extend(manifest.question.clone().map(|question| ("Question", question)));
    facts.push(("Workload", format!("{}, seed {}", manifest.name, manifest.seed)));
    facts.push(("Load", setting_text(results)));
    let protocols: Vec<String> = results.protocols.iter().map(|name| display_name(name)).collect();
    facts.push(("Protocols", protocols.join(", ")));
    let repetitions = results.summary.iter().map(|row| row.repetition).max().unwrap_or(1);
    facts.push((
        "Runs",
        format!(
            "{} of {} planned: {}, {}, {}",
            results.summary.len(),
            manifest.runs_planned,
            counted(results.protocols.len(), "protocol"),
            counted(results.points.len(), "point"),
            counted(usize::try_from(repetitions).unwrap_or(usize::MAX), "repetition"),
        ),
    ));
    facts.extend(results.summary.first().map(|row| ("Driver", driver(&row.driver))));
    facts.push(("Host", host(manifest)));
    facts.push(("Time", time(manifest)));
    facts.push(("Commit", commit(manifest)));
    let rustc = manifest.versions.rustc.as_deref().unwrap_or("compiler not known");
    facts.push(("Version", format!("{}, {rustc}", manifest.versions.version)));
    facts.push(("Command", shell(&manifest.command_line)));
    facts.push(("Results", dir.display().to_string()));
    facts
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn driver(name: &str) -> String {
    match name {
        "quic" => "quic: real replica processes over QUIC".to_owned(),
        "sim" => "sim: simulated replicas and network".to_owned(),
        other => other.to_owned(),
    }
}

fn host(manifest: &Manifest) -> String {
    let host = &manifest.host;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(host.hostname.clone());
    parts.extend(host.cpu.clone());
    parts.extend(host.cores.map(|cores| format!("{cores} cores")));
    #[expect(clippy::cast_precision_loss, reason = "a host's memory")]
    parts.extend(host.memory_bytes.map(|memory| bytes(memory as f64)));
    parts.extend(host.kernel.clone());
    let load = |average: [f64; 3]| average.map(|value| format!("{value:.2}")).join(" ");
    let loads = [("before", manifest.load_average_before), ("after", manifest.load_average_after)];
    parts.extend(
        loads
            .into_iter()
            .filter_map(|(when, average)| Some(format!("load average {when} {}", load(average?)))),
    );
    if parts.is_empty() { "not known".to_owned() } else { parts.join(" · ") }
}

fn time(manifest: &Manifest) -> String {
    match &manifest.ended_utc {
        Some(ended) => format!("{} to {ended}", manifest.started_utc),
        None => format!("from {}, no end noted", manifest.started_utc),
    }
}

fn commit(manifest: &Manifest) -> String {
    match &manifest.versions.git {
        Some(git) if git.clean => format!("{}, clean tree", git.commit),
        Some(git) => format!("{}, tree NOT clean: with changes of its own", git.commit),
        None => "not known".to_owned(),
    }
}

/// The commands that make the runs again.
pub(crate) fn reproduce(manifest: &Manifest) -> String {
    let mut text = String::new();
    if let Some(git) = &manifest.versions.git {
        text.push_str(&format!("git checkout {}", git.commit));
        text.push_str(if git.clean { "\n" } else { " # and the changes that the tree had\n" });
    }
    let arguments = manifest.command_line.get(1..).unwrap_or_default();
    text.push_str(format!("cargo run --release -- {}", shell(arguments)).trim_end());
    text.push('\n');
    text
}

/// Words as a shell takes them.
fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// What happened during the runs; none if nothing did.
pub(crate) fn events(results: &Results) -> Option<Sheet> {
    let row = |event: &measure::EventRow| {
        let run = results.summary.iter().find(|run| {
            (&run.protocol, &run.point, run.repetition)
                == (&event.protocol, &event.point, event.repetition)
        });
        let cells = [
            display_name(&event.protocol),
            label(results, &event.point),
            event.repetition.to_string(),
            format!("{:.2}", event.t_s),
            event.event.clone(),
            event.detail.clone(),
        ];
        judged(cells.into(), run)
    };
    let rows: Vec<Row> = results.events.iter().take(EVENTS_MAX).map(row).collect();
    let headings = ["protocol", "point", "repetition", "at (s)", "event", "detail", "run"];
    (!rows.is_empty()).then(|| Sheet {
        headings: headings.map(str::to_owned).into(),
        more: results.events.len() - rows.len(),
        rows,
    })
}

/// A row with the verdict of its run, which is not known of a run that did not end.
fn judged(mut cells: Vec<String>, run: Option<&SummaryRow>) -> Row {
    let grade = run.map_or(Grade::NotValid, Grade::of_run);
    cells.push(match (run, grade) {
        (None, _) => "NOT VALID: did not end".to_owned(),
        (_, Grade::Valid) => "valid".to_owned(),
        (_, grade) => grade.word().to_owned(),
    });
    Row { cells, grade }
}

/// Simulated commit latencies beside the formulas; none but of simulations between sites.
///
/// # Errors
/// If the file is not what it should be.
pub(crate) fn formula_sheet(results: &Results, dir: &Path) -> Result<Option<Sheet>, ReportError> {
    let row = |Formula { row, at_least_ns }: &Formula| {
        let known = at_least_ns.is_none();
        let difference = row.difference_ns.filter(|_| known).map(|ns| {
            let sign = if ns < 0 {
                "−"
            } else if ns > 0 {
                "+"
            } else {
                ""
            };
            format!("{sign}{}", ms(ns.unsigned_abs()))
        });
        let formula = match (row.formula_ns_min, row.formula_ns_max) {
            (Some(least), Some(most)) if least == most => ms(least),
            (Some(least), Some(most)) => format!("{} … {}", ms(least), ms(most)),
            _ => NONE.to_owned(),
        };
        let cell = results.cell(&row.point, &row.protocol);
        let run_count = cell.as_ref().map(crate::cell::Cell::run_count);
        let mut cells = vec![
            display_name(&row.protocol),
            label(results, &row.point),
            row.site.clone(),
            formula,
            match at_least_ns.or(row.median_ns) {
                Some(ns) => bounded(!known, ms(ns)),
                None => NONE.to_owned(),
            },
            difference.unwrap_or_else(|| NONE.to_owned()),
            match row.commits_within {
                Some(within) => format!("{within} of {}", row.commits),
                None => NONE.to_owned(),
            },
            row.note.clone(),
        ];
        cells.push(run_count.map_or_else(|| Grade::NotValid.word().to_owned(), RunCount::verdict));
        Row { cells, grade: run_count.map_or(Grade::NotValid, grade_of) }
    };
    let rows: Vec<Row> = results.formulas(dir)?.iter().map(row).collect();
    let headings = [
        "protocol",
        "point",
        "site",
        "formula (ms)",
        "median (ms)",
        "difference (ms)",
        "commits within",
        "note",
        "verdict",
    ];
    let headings = headings.map(str::to_owned).into();
    Ok((!rows.is_empty()).then_some(Sheet { headings, rows, more: 0 }))
}

/// Nanoseconds as milliseconds, all digits that there are.
fn ms(ns: u64) -> String {
    let (whole, rest) = (ns / 1_000_000, ns % 1_000_000);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{}", format!("{rest:06}").trim_end_matches('0')),
    }
}

/// A point of the files for people.
fn label(results: &Results, point: &str) -> String {
    let known = results.points.iter().find(|known| known.text == point);
    match known.map(|known| results.label(known, None)) {
        Some(label) if label.is_empty() => NONE.to_owned(),
        Some(label) => label,
        None => point.to_owned(),
    }
}

/// The files of the directory, each with what is in it; a folder with the number of its files.
pub(crate) fn files(dir: &Path) -> Vec<[String; 3]> {
    let mut files: Vec<[String; 3]> = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == PAGE_FILE {
            continue;
        }
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            let count = fs::read_dir(entry.path()).map_or(0, Iterator::count);
            files.push([format!("{name}/"), counted(count, "file"), content(&name).to_owned()]);
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a file's length")]
            let size = bytes(about.len() as f64);
            files.push([name.clone(), size, content(&name).to_owned()]);
        }
    }
    files.sort();
    files
}

/// What is in a file or a folder of this name; empty if it is none of ours.
fn content(name: &str) -> &'static str {
    match name {
        "manifest.json" => "the workload in full, seed, commit, versions, host, command line",
        "summary.csv" => "a row per protocol, point and repetition, with its verdict",
        "verdicts.csv" => "why a run is not valid, or what to know about it",
        "latency.csv" => "percentiles per site and operation",
        "replicas.csv" => "load per replica",
        "timeseries.csv" => "operations, errors and latencies per 100 ms and site",
        "events.csv" => "faults as they happened",
        "gaps.csv" => "the longest silences after each fault",
        "returns.csv" => "how soon throughput was back after each fault, at every site",
        "kept.csv" => "what became of acknowledged writes",
        "recoveries.csv" => "each restart, and how long it took",
        "network.csv" => "what was asked of the emulated network, and what was done",
        "knee.csv" => "the steps of every search for the highest rate",
        "formulas.csv" => "simulated commit latencies beside the formulas",
        "cdf.csv" => "the latency distribution, repetitions merged",
        "hist" => "HdrHistogram interval logs",
        "history" => "the clients' history, as bench check reads it",
        "logs" => "what each replica said",
        "plots" => "the plots as SVG and PNG",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        let words = ["bench", "--set", "protocols=[\"epaxos\"]", "it's", ""].map(str::to_owned);
        assert_eq!(shell(&words), r#"bench --set 'protocols=["epaxos"]' 'it'\''s' ''"#);
    }

    #[test]
    fn nanoseconds_keep_their_digits() {
        let cases = [(85_000_000, "85"), (85_000_001, "85.000001"), (500_000, "0.5"), (0, "0")];
        for (ns, expected) in cases {
            assert_eq!(ms(ns), expected);
        }
    }

    #[test]
    fn headings_are_whole() {
        let headings = headings();
        assert_eq!(
            headings[..6],
            ["protocol", "ops/s", "ms p50", "ms p99", "ms p99.9", "ops/CPU-s"]
        );
        assert_eq!(headings.last().map(String::as_str), Some("verdict"));
    }
}
