//! The summary for a terminal: a block per point, a line per protocol, a sentence, and warnings that say what to do.

use std::{fmt::Write, path::Path};

use anstyle::{AnsiColor, Style as Paint};
use measure::{LayerReport, Role, Severity, SummaryRow};

use crate::{
    cell::{Busiest, Cell},
    error::ReportError,
    figure::{self, Column},
    known::{display_name, usual_variant},
    numbers::{
        BOUND_KEY, NONE, Spread, SpreadName, bounded, digits3, human, human_beside, human_half,
        percent, spread_names,
    },
    results::{Point, Results},
    summary::{Comparison, Warning},
    table::{Painted, Table, fold},
};

/// Whether to paint. The caller knows its terminal and `NO_COLOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With ANSI colours.
    Colour,
}

const BOLD: Paint = Paint::new().bold();
const DIM: Paint = Paint::new().dimmed();
const GOOD: Paint = AnsiColor::Green.on_default();
const WARN: Paint = AnsiColor::Yellow.on_default().bold();
const BAD: Paint = AnsiColor::Red.on_default().bold();

pub(crate) const RETURNS_HEADING: &str = "Throughput back after each fault";
pub(crate) const GAPS_HEADING: &str = "After each fault, at the longest";

/// Chosen: more sentences than this are not read.
const COMPARISONS_MAX: usize = 8;

/// The summary of the results in `dir`, at most 100 columns wide.
///
/// # Errors
/// If a file is missing or not what it should be, or no run ended.
pub fn terminal(dir: &Path, style: Style) -> Result<String, ReportError> {
    let results = Results::read(dir)?;
    let colour = style == Style::Colour;
    let mut text = heading(&results, colour);
    text.push_str(&blocks(&results, colour));
    text.push('\n');
    text.push_str(&key(&results, colour));
    text.push_str(&comparisons(&results, colour));
    text.push_str(&bottlenecks(&results, colour));
    text.push_str(&gaps(&results, colour));
    text.push_str(&returns(&results, colour));
    text.push_str(&network(&results, colour));
    text.push_str(&kept(&results, colour));
    text.push('\n');
    text.push_str(&verdict(&results, colour));
    for warning in results.warnings() {
        text.push_str(&warning_text(&warning, colour));
    }
    Ok(text)
}

fn painted(text: &str, paint: Paint, colour: bool) -> String {
    Painted::new(text, paint).render(colour)
}

fn heading(results: &Results, colour: bool) -> String {
    let mut text = painted(fold(&results.origin_text(), 2).trim_end(), BOLD, colour);
    text.push('\n');
    text.push_str(&fold(&setting_text(results), 2));
    text
}

/// What all runs had in common.
pub(crate) fn setting_text(results: &Results) -> String {
    let row = &results.summary[0];
    let mut parts = vec![format!("{} loop", row.mode)];
    let constant = |key: &str| results.dimension(key).is_none();
    let mut say = |key: &str, part: String| parts.extend(constant(key).then_some(part));
    say("replicas", format!("{} replicas", row.replicas));
    match (results.counts_clients_in_all(), row.clients, row.clients_per_site) {
        (true, Some(clients), _) => say("clients", format!("{clients} clients")),
        (_, _, Some(clients)) => say("clients_per_site", format!("{clients} clients per site")),
        _ => {}
    }
    say("window", format!("window {}", row.window));
    say("value_bytes", format!("{} B values", row.value_bytes));
    if let Some(rate) = row.conflict_rate {
        say("conflict_rate", format!("{} conflicts", percent(rate)));
    }
    if let Some(p99_ms) = results.searched_p99_ms() {
        parts.push(format!("the highest rate with a p99 of at most {p99_ms} ms"));
    } else if let Some(rate) = row.rate_ops_per_s {
        say("rate_ops_per_s", format!("{} ops/s offered", human(rate)));
    }
    // What a reader takes for granted goes without saying.
    for protocol in &results.protocols {
        let variant = results.manifest.workload[protocol]["variant"].as_str();
        if let Some(variant) = variant.filter(|variant| usual_variant(protocol) != Some(*variant)) {
            parts.push(format!("{} variant {variant}", display_name(protocol)));
        }
    }
    parts.push(format!("{} s per run", results.manifest.duration_s));
    parts.join(" · ")
}

/// A heading and a table per point; the columns line up across all of them.
fn blocks(results: &Results, colour: bool) -> String {
    let mut table = Table::default();
    let mut heights = Vec::new();
    for point in &results.points {
        let rows = rows(results, point);
        heights.push(rows.len());
        rows.into_iter().for_each(|row| table.push(row));
    }
    let mut lines = table.render(colour).into_iter();
    let mut text = String::new();
    for (point, height) in results.points.iter().zip(heights) {
        let label = results.label(point, None);
        text.push('\n');
        if !label.is_empty() {
            let _ = writeln!(text, "{}", painted(&label, BOLD, colour));
        }
        for line in lines.by_ref().take(height) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// The columns of the table, said in two lines.
pub(crate) const HEADERS: [[&str; 12]; 2] = [
    ["", "ops/s", "ms", "ms", "ms", "ops/", "commit", "exec", "fast", "busiest", "", ""],
    ["", "", "p50", "p99", "p99.9", "CPU-s", "p50", "p50", "path", "messages", "CPU", "verdict"],
];

fn rows(results: &Results, point: &Point) -> Vec<Vec<Painted>> {
    let headers = HEADERS.map(|header| header.map(|text| Painted::new(text, DIM)).into());
    let cells = results.protocols.iter().filter_map(|protocol| {
        Some(line(results, protocol, &results.cell(&point.text, protocol)?))
    });
    headers.into_iter().chain(cells).collect()
}

/// The figures of the table, in its order.
const FIGURES: [Column<SummaryRow>; 8] = [
    figure::THROUGHPUT,
    figure::LATENCY_P50,
    figure::LATENCY_P99,
    figure::LATENCY_P999,
    figure::OPS_PER_CPU_S,
    figure::COMMIT_P50,
    figure::EXECUTE_P50,
    figure::FAST_PATH,
];

/// A row of the table: the figures of a protocol at a point, the verdict last.
pub(crate) fn line(results: &Results, protocol: &str, cell: &Cell<'_>) -> Vec<Painted> {
    let [throughput, p50, p99, p999, per_cpu_s, commit, execute, fast_path] =
        FIGURES.map(|figure| cell.spread(figure));
    let millis = |spread: Option<Spread>| text_of(spread, |us| digits3(us / 1e3));
    let busiest = results.busiest(cell);
    let cpu_ratio = busiest.as_ref().and_then(|busiest| busiest.cpu_ratio);
    let beyond = results.beyond(cell);
    let mut row: Vec<Painted> = [
        with_spread(throughput) + beyond,
        millis(p50),
        millis(p99),
        millis(p999),
        text_of(per_cpu_s, human) + if per_cpu_s.is_some() { beyond } else { "" },
        millis(commit),
        millis(execute),
        text_of(fast_path, |ratio| percent((ratio * 1e3).round() / 1e3).replace(' ', "")),
        busiest.as_ref().map_or(NONE.to_owned(), busiest_text),
        times(cpu_ratio),
    ]
    .map(Painted::plain)
    .into();
    row.insert(0, Painted::new(display_name(protocol), BOLD));
    row.push(Painted::new(cell.verdict(), verdict_paint(cell)));
    row
}

fn verdict_paint(cell: &Cell<'_>) -> Paint {
    match (cell.is_valid(), cell.valid_runs == cell.runs) {
        (true, true) => GOOD,
        (true, false) => WARN,
        (false, _) => BAD,
    }
}

fn with_spread(spread: Option<Spread>) -> String {
    text_of_spread(spread, |spread| {
        let median = human(spread.median);
        let beside = |value| human_beside(spread.median, value);
        match spread.count {
            1 => median,
            _ if spread.coverage().is_some() => {
                format!("{median} [{}, {}]", beside(spread.low), beside(spread.high))
            }
            _ => format!("{median} ± {}", human_half(spread.median, spread.half())),
        }
    })
}

fn text_of(spread: Option<Spread>, format: impl Fn(f64) -> String) -> String {
    text_of_spread(spread, |spread| bounded(spread.at_least.median, format(spread.median)))
}

fn text_of_spread(spread: Option<Spread>, format: impl Fn(Spread) -> String) -> String {
    spread.map_or(NONE.to_owned(), format)
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.2}×"))
}

fn busiest_text(busiest: &Busiest) -> String {
    let letter = if busiest.role == Role::Leader { 'L' } else { 'r' };
    format!("{letter}{} {}", busiest.replica, times(Some(busiest.messages_ratio)))
}

fn key(results: &Results, colour: bool) -> String {
    painted(fold(&key_text(results), 0).trim_end(), DIM, colour) + "\n"
}

/// What the columns of the table mean.
pub(crate) fn key_text(results: &Results) -> String {
    let mut spreads = Vec::new();
    for of in spread_names(&results.repetitions_of(figure::THROUGHPUT)) {
        let SpreadName { name, is_interval, repetitions } = of;
        let printed = match is_interval {
            true => format!("median [{name}, in its unit]"),
            false => format!("median ± half of {name}"),
        };
        let of_what = if spreads.is_empty() { " repetitions" } else { "" };
        spreads.push(format!("{printed} over {repetitions}{of_what}"));
    }
    if spreads.is_empty() {
        spreads.push("one repetition, so the spread is not known".to_owned());
    }
    let shows_bound = results.cells().any(|cell| {
        let mut spreads = FIGURES.iter().filter_map(|figure| cell.spread(*figure));
        spreads.any(|spread| spread.at_least.median)
    });
    let beyond = if results.summary.iter().any(|run| results.is_beyond(run)) {
        " †: of a load on which the simulator's costs were not measured, not to be quoted."
    } else {
        ""
    };
    let bound = if shows_bound { format!(" {BOUND_KEY}.") } else { String::new() };
    format!(
        "ops/s: {}; latencies in ms; busiest: the replica (L: leader) with the most peer messages, and its \
         messages and CPU time over the replicas' mean.{bound}{beyond}",
        spreads.join(", or ")
    )
}

fn comparisons(results: &Results, colour: bool) -> String {
    list("Summary", &findings(results), colour)
}

/// A heading over indented lines; nothing if there are none.
fn list(heading: &str, lines: &[String], colour: bool) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", painted(heading, BOLD, colour));
    lines.iter().for_each(|line| text.push_str(&fold(&format!("  {line}"), 4)));
    text
}

/// The busiest replica beside its model.
fn bottlenecks(results: &Results, colour: bool) -> String {
    match results.bottleneck_text() {
        text if text.is_empty() => text,
        text => format!("\n{}\n{text}", painted("Busiest replica", BOLD, colour)),
    }
}

/// How the protocols compare, a sentence per point.
pub(crate) fn findings(results: &Results) -> Vec<String> {
    let comparisons = results.comparisons();
    let told = comparisons.iter().take(COMPARISONS_MAX);
    let mut lines: Vec<String> = told.map(|comparison| sentence(results, comparison)).collect();
    if let Some(more @ 1..) = comparisons.len().checked_sub(COMPARISONS_MAX) {
        lines.push(format!("… and {more} more points, see summary.csv"));
    }
    lines
}

/// What each fault cost in silence.
fn gaps(results: &Results, colour: bool) -> String {
    list(GAPS_HEADING, &gap_lines(results), colour)
}

/// A sentence per fault that is told.
pub(crate) fn gap_lines(results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for point in &results.points {
        let all = results.gap_sentences(point);
        let label = match results.label(point, None) {
            label if label.is_empty() => String::new(),
            label => format!(", {label}"),
        };
        for of in all {
            for sentence in &of.sentences {
                lines.push(format!("{}{label}: {sentence}", of.protocol));
            }
            if of.more > 0 {
                lines.push(format!("  … and {} more faults, see gaps.csv", of.more));
            }
        }
    }
    lines
}

/// How soon throughput was back after each fault.
fn returns(results: &Results, colour: bool) -> String {
    list(RETURNS_HEADING, &results.return_lines(), colour)
}

/// What was done to the network on purpose.
fn network(results: &Results, colour: bool) -> String {
    list("Emulated network", &network_lines(results), colour)
}

/// What was done to the network on purpose, by layer, over all runs; nothing if nothing was.
pub(crate) fn network_lines(results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for (layer, name) in
        [("packet", "Packets, under QUIC"), ("message", "Messages between replicas, above QUIC")]
    {
        let mut all = LayerReport::default();
        let rows = results.networks.iter().filter(|row| row.layer == layer);
        rows.for_each(|row| all.add(&row.layer_report()));
        let words = all.in_words();
        if !words.is_empty() {
            lines.push(format!("{name}: {words}."));
        }
    }
    for row in &results.networks {
        if let (Some(asked), Some(had)) = (row.slow_factor_asked, row.slow_factor) {
            let (protocol, process) = (display_name(&row.protocol), &row.process);
            let point = results.points.iter().find(|point| point.text == row.point);
            let label = point.map(|point| results.label(point, None));
            let at = label.filter(|label| !label.is_empty());
            let at = at.map_or_else(String::new, |label| format!(", {label}"));
            lines.push(format!(
                "{protocol}{at}, {process}: {had:.2} times its CPU time ({asked:.2} asked)."
            ));
        }
    }
    lines
}

fn sentence(results: &Results, comparison: &Comparison) -> String {
    match results.label(&comparison.point, None) {
        label if label.is_empty() => comparison.text(),
        label => format!("At {label}: {}", comparison.text()),
    }
}

/// What became of acknowledged writes, and how replicas came back.
fn kept(results: &Results, colour: bool) -> String {
    list("Kept", &results.kept_lines(), colour)
}

fn verdict(results: &Results, colour: bool) -> String {
    let text = fold(&format!("Verdict: {}", results.verdict_text()), 4);
    let (word, text) = text.trim_end().split_once(' ').expect("more than a word");
    let cells = results.points.iter().flat_map(|point| {
        results.protocols.iter().filter_map(|protocol| results.cell(&point.text, protocol))
    });
    let clean = cells.into_iter().all(|cell| cell.valid_runs == cell.runs);
    let paint = if clean { GOOD } else { BAD };
    // Painted after folding, so that the codes do not count as width.
    format!("{} {}\n", painted(word, BOLD, colour), painted(text, paint, colour))
}

fn warning_text(warning: &Warning, colour: bool) -> String {
    let word = severity_word(warning.severity);
    let paint = if warning.severity == Severity::Warning { WARN } else { BAD };
    let advice = match warning.advice.as_str() {
        "" => String::new(),
        advice => format!(": {advice}"),
    };
    let text = fold(&format!("{word}: {}{advice}", warning.text), 4);
    // Painted after folding, so that the codes do not count as width.
    text.replacen(word, &painted(word, paint, colour), 1)
}

/// How grave a warning is.
pub(crate) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Missed => "missed",
        Severity::Invalid => "not valid",
        Severity::Violation => "VIOLATION",
    }
}
