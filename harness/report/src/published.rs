//! What papers published, beside what the matrix of sites promises and what runs gave: one table.
//!
//! The format of a file of published figures is in `workloads/published/README.md`. A value is looked up by protocol, number
//! of replicas, share of conflicts and site in `summary.csv` and `replicas.csv` of the results
//! directories, in their order, or in those of the one workload that the file names; the formula is
//! that of `formulas.csv`, which a simulated run writes. Where a directory has several such points,
//! for a value is swept that no paper's figure knows, the first is taken.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use measure::{ALL, LatencyRow, ReplicaRow, SummaryRow, read_rows};
use serde::Deserialize;

use crate::{
    cell::Cell,
    error::ReportError,
    figure::{self, Column, of_replica},
    formula::Formula,
    known::display_name,
    numbers::{BOUND_KEY, NONE, Observed, bounded, percent},
    results::Results,
    table::{Painted, Table, fold},
};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// For a terminal, at most 100 columns.
    Plain,
    /// GitHub's Markdown.
    Markdown,
}

/// A file of published figures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    figure: String,
    source: String,
    /// How exactly values could be read off.
    read_off_ms: f64,
    series: Vec<Series>,
}

/// Values of one protocol at several sites.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    /// The only one whose runs the values are held against.
    workload: Option<String>,
    protocol: String,
    replicas: u32,
    conflict_rate: f64,
    percentile: u8,
    latency: Latency,
    path: Option<Way>,
    ms: BTreeMap<String, Value>,
    /// What a reader should know of these values before comparing them.
    note: Option<String>,
    #[serde(default)]
    reasons: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Latency {
    Commit,
    Execute,
}

/// Which end of a formula's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Fast,
    Slow,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Value {
    One(f64),
    Range([f64; 2]),
}

/// One value beside its own.
struct Line {
    cells: [String; 9],
    /// Why the published value is so far from the formula, if it is.
    far: Option<String>,
    /// Is ours a lower bound?
    has_bound: bool,
    /// Is there one formula, and is ours that exactly?
    exact: Option<bool>,
}

/// The table of the published figures in `file` beside those of the results in `directories`, with every run's verdict.
///
/// # Errors
/// If a file cannot be read or is not what it should be, or no value of `file` has a run.
pub fn published(
    file: &Path,
    directories: &[PathBuf],
    markup: Markup,
) -> Result<String, ReportError> {
    let wrong = |what: String| ReportError::Published { path: file.to_owned(), what };
    let text =
        fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let read: File = toml::from_str(&text)
        .map_err(|error| wrong(format!("is no file of published figures: {}", error.message())))?;
    if let Some(series) = read.series.iter().find(|series| ![50, 99].contains(&series.percentile)) {
        return Err(wrong(format!("percentile = {}: use 50 or 99", series.percentile)));
    }
    let own = directories.iter().map(|dir| Own::read(dir)).collect::<Result<Vec<_>, _>>()?;
    let (mut lines, mut without) = (Vec::new(), 0);
    for series in &read.series {
        match own.iter().find_map(|own| Some((own, own.cell(series)?))) {
            Some((own, cell)) => lines.extend(own.lines(series, &cell, read.read_off_ms)),
            None => without += series.ms.len(),
        }
    }
    if lines.is_empty() {
        let what = "no value of it has a run here: run the workload that its first lines name";
        return Err(wrong(what.to_owned()));
    }
    Ok(text_of(&read, &own, &lines, without, markup))
}

/// A results directory, and what only this table reads of it.
struct Own {
    results: Results,
    formulas: Vec<Formula>,
    /// By point, in the order of the replicas.
    sites: BTreeMap<String, Vec<String>>,
}

impl Own {
    fn read(dir: &Path) -> Result<Self, ReportError> {
        let results = Results::read(dir)?;
        let formulas = results.formulas(dir)?;
        let mut sites: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in read_rows::<LatencyRow>(dir)? {
            let known = sites.entry(row.point).or_default();
            if row.site != ALL && !known.contains(&row.site) {
                known.push(row.site);
            }
        }
        Ok(Self { results, formulas, sites })
    }

    /// The runs that the series is of.
    fn cell(&self, series: &Series) -> Option<Cell<'_>> {
        if series.workload.as_ref().is_some_and(|name| *name != self.results.manifest.name) {
            return None;
        }
        let is_of = |row: &&SummaryRow| {
            row.protocol == series.protocol
                && row.replicas == series.replicas
                && row.conflict_rate == Some(series.conflict_rate)
        };
        let row = self.results.summary.iter().find(is_of)?;
        self.results.cell(&row.point, &row.protocol)
    }

    fn lines(&self, series: &Series, cell: &Cell<'_>, read_off_ms: f64) -> Vec<Line> {
        let point = &cell.rows[0].point;
        let sites = self.sites.get(point).map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<(&String, &Value)> = series.ms.iter().collect();
        values.sort_by_key(|(site, _)| sites.iter().position(|known| known == *site));
        let line = |(site, value): (&String, &Value)| {
            let ours_ms = match self.median_ms(series, point, site) {
                Some(ms) => Some(Observed::from(ms)),
                None => self.percentile_ms(
                    series,
                    cell,
                    sites.iter().position(|known| known == site),
                    site,
                ),
            };
            let formula = self.formula(series, point, site);
            series.line(site, *value, formula, ours_ms, read_off_ms, cell)
        };
        values.into_iter().map(line).collect()
    }

    /// The percentile at a replica, or over all of them; of several repetitions the median.
    fn percentile_ms(
        &self,
        series: &Series,
        cell: &Cell<'_>,
        replica: Option<usize>,
        site: &str,
    ) -> Option<Observed> {
        let (of_run, of_replica) = series.columns();
        let spread = match site {
            ALL => cell.spread(of_run),
            _ => self.results.spread_of_replica(cell, replica?, of_replica),
        };
        let (value, at_least) =
            spread.map(|spread| (spread.median / 1e3, spread.at_least.median))?;
        Some(Observed { value, at_least })
    }

    /// The simulator's own median, which is exact where a histogram's is not. None where not all was committed.
    fn median_ms(&self, series: &Series, point: &str, site: &str) -> Option<f64> {
        if (series.latency, series.percentile) != (Latency::Commit, 50) {
            return None;
        }
        let of = self.of_site(series, point, site).filter(|of| of.at_least_ns.is_none())?;
        of.row.median_ns.map(ms)
    }

    fn of_site(&self, series: &Series, point: &str, site: &str) -> Option<&Formula> {
        let is_of = |Formula { row, .. }: &&Formula| {
            row.protocol == series.protocol && row.point == point && row.site == site
        };
        self.formulas.iter().find(is_of)
    }

    fn formula(&self, series: &Series, point: &str, site: &str) -> Option<(f64, f64, Exactness)> {
        if series.latency != Latency::Commit {
            return None;
        }
        let Formula { row, at_least_ns } = self.of_site(series, point, site)?;
        let (least, most) = (ms(row.formula_ns_min?), ms(row.formula_ns_max?));
        let exactness = Exactness {
            is_one: row.formula_ns_min == row.formula_ns_max && series.percentile == 50,
            is_met: row.commits_within == Some(row.commits) && at_least_ns.is_none(),
        };
        Some(match series.path {
            Some(Way::Fast) => (least, least, exactness),
            Some(Way::Slow) => (most, most, exactness),
            None => (least, most, exactness),
        })
    }
}

fn ms(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "hours in nanoseconds")]
    let ms = ns as f64 / 1e6;
    ms
}

/// Is there one latency that the formula allows, and did every commit take it?
#[derive(Clone, Copy, Debug)]
struct Exactness {
    is_one: bool,
    is_met: bool,
}

impl Series {
    /// The series' figure over all replicas, and of one.
    fn columns(&self) -> (Column<SummaryRow>, Column<ReplicaRow>) {
        match (self.latency, self.percentile) {
            (Latency::Commit, 50) => (figure::COMMIT_P50, of_replica::COMMIT_P50),
            (Latency::Commit, _) => (figure::COMMIT_P99, of_replica::COMMIT_P99),
            (Latency::Execute, 50) => (figure::EXECUTE_P50, of_replica::EXECUTE_P50),
            (Latency::Execute, _) => (figure::EXECUTE_P99, of_replica::EXECUTE_P99),
        }
    }

    fn line(
        &self,
        site: &str,
        value: Value,
        formula: Option<(f64, f64, Exactness)>,
        ours_ms: Option<Observed>,
        read_off_ms: f64,
        cell: &Cell<'_>,
    ) -> Line {
        let (low, high) = value.ends();
        let what = match self.latency {
            Latency::Commit => "commit",
            Latency::Execute => "execution",
        };
        let off = formula.map(|(least, most, _)| distance((low, high), (least, most)));
        let far = off.filter(|off| off.abs() > read_off_ms).map(|off| {
            format!(
                "{}, N={}, {} conflicts, {site}, p{} of {what}: {} from the formula: {}",
                display_name(&self.protocol),
                self.replicas,
                percent(self.conflict_rate),
                self.percentile,
                signed(off),
                self.reasons.get(site).map_or("no reason is known", String::as_str),
            )
        });
        let difference = ours_ms.and_then(|ours| difference_text(ours, (low, high)));
        let bounded_ms = |ms: Observed| bounded(ms.at_least, one(ms.value));
        Line {
            cells: [
                display_name(&self.protocol),
                self.replicas.to_string(),
                percent(self.conflict_rate),
                site.to_owned(),
                format!("p{} {what}", self.percentile),
                range(low, high),
                formula.map_or_else(|| NONE.to_owned(), |(least, most, _)| range(least, most)),
                match (ours_ms, cell.is_valid()) {
                    (None, _) => NONE.to_owned(),
                    (Some(ms), true) => bounded_ms(ms),
                    (Some(ms), false) => format!("{} NOT VALID", bounded_ms(ms)),
                },
                difference.unwrap_or_else(|| NONE.to_owned()),
            ],
            far,
            has_bound: ours_ms.is_some_and(|ms| ms.at_least),
            exact: formula
                .filter(|(_, _, exactness)| exactness.is_one)
                .map(|(_, _, met)| met.is_met),
        }
    }
}

impl Value {
    fn ends(self) -> (f64, f64) {
        match self {
            Self::One(ms) => (ms, ms),
            Self::Range([low, high]) => (low, high),
        }
    }
}

/// How far the first range is above the second (below it: less than zero); 0 if they meet.
fn distance((low, high): (f64, f64), (least, most): (f64, f64)) -> f64 {
    if low > most {
        low - most
    } else if high < least {
        high - least
    } else {
        0.0
    }
}

/// How far ours is above what was published; none where nobody knows, for ours is a lower bound and not above.
fn difference_text(ours: Observed, published: (f64, f64)) -> Option<String> {
    let above = distance((ours.value, ours.value), published);
    (!ours.at_least || above > 0.0).then(|| bounded(ours.at_least, signed(above)))
}

/// A tenth of a millisecond is more than any paper's figure tells.
fn one(ms: f64) -> String {
    let rounded = (ms * 10.0).round() / 10.0;
    format!("{rounded}")
}

fn range(low: f64, high: f64) -> String {
    if low == high { one(low) } else { format!("{}–{}", one(low), one(high)) }
}

fn signed(ms: f64) -> String {
    match one(ms.abs()).as_str() {
        "0" => "0".to_owned(),
        magnitude if ms < 0.0 => format!("−{magnitude}"),
        magnitude => format!("+{magnitude}"),
    }
}

const HEADINGS: [&str; 9] =
    ["protocol", "N", "conflicts", "site", "latency", "published", "formula", "ours", "difference"];

fn text_of(read: &File, own: &[Own], lines: &[Line], without: usize, markup: Markup) -> String {
    let mut text = String::new();
    let say = |text: &mut String, line: &str| match markup {
        Markup::Plain => text.push_str(&fold(line, 2)),
        Markup::Markdown => {
            let _ = writeln!(text, "{line}\n");
        }
    };
    match markup {
        Markup::Plain => say(&mut text, &read.figure),
        Markup::Markdown => say(&mut text, &format!("**{}**", read.figure)),
    }
    say(&mut text, &format!("Source: {}; read off to {} ms.", read.source, read.read_off_ms));
    if markup == Markup::Plain {
        text.push('\n');
    }
    text.push_str(&table(lines, markup));
    text.push('\n');
    say(
        &mut text,
        "In ms; difference: ours less published, 0 where it is within a published range.",
    );
    if lines.iter().any(|line| line.has_bound) {
        say(&mut text, &format!("{BOUND_KEY}."));
    }
    let with_one = lines.iter().filter_map(|line| line.exact);
    let (all, met) =
        with_one.fold((0, 0), |(all, met), is_met| (all + 1, met + usize::from(is_met)));
    if all > 0 {
        let equal = if met == all { "equals" } else { "DIFFERS from" };
        say(
            &mut text,
            &format!(
                "Ours {equal} the formula, for every commit and to the nanosecond, in {met} of {all} rows whose formula is one \
                 latency."
            ),
        );
    }
    let far: Vec<&String> = lines.iter().filter_map(|line| line.far.as_ref()).collect();
    if !far.is_empty() {
        let said = format!("Published values more than {} ms from the formula:", read.read_off_ms);
        say(&mut text, &said);
        for reason in far {
            match markup {
                Markup::Plain => text.push_str(&fold(&format!("  {reason}"), 4)),
                Markup::Markdown => {
                    let _ = writeln!(text, "- {reason}");
                }
            }
        }
        if markup == Markup::Markdown {
            text.push('\n');
        }
    }
    for series in &read.series {
        if let Some(note) = &series.note {
            let (protocol, conflicts) =
                (display_name(&series.protocol), percent(series.conflict_rate));
            let (n, percentile) = (series.replicas, series.percentile);
            say(
                &mut text,
                &format!("{protocol}, N={n}, {conflicts} conflicts, p{percentile}: {note}"),
            );
        }
    }
    if without > 0 {
        say(&mut text, &format!("{without} more published values have no run here."));
    }
    for own in own {
        let (origin, verdict) = (own.results.origin_text(), own.results.verdict_text());
        say(&mut text, &format!("Verdict of {origin}: {verdict}"));
    }
    text
}

fn table(lines: &[Line], markup: Markup) -> String {
    let cells = lines.iter().map(|line| line.cells.each_ref().map(String::as_str));
    let rows = std::iter::once(HEADINGS).chain(cells);
    match markup {
        Markup::Plain => {
            let mut table = Table::default();
            rows.for_each(|row| table.push(row.map(Painted::plain).into()));
            table.render(false).iter().fold(String::new(), |text, line| text + line + "\n")
        }
        Markup::Markdown => {
            let mut text = String::new();
            for (place, row) in rows.enumerate() {
                let _ = writeln!(text, "| {} |", row.join(" | "));
                if place == 0 {
                    text.push_str("|---|--:|--:|---|---|--:|--:|--:|--:|\n");
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_between_ranges() {
        assert_eq!(distance((5.0, 5.0), (1.0, 3.0)), 2.0);
        assert_eq!(distance((5.0, 7.0), (9.0, 9.0)), -2.0);
        assert_eq!(distance((5.0, 7.0), (6.0, 9.0)), 0.0);
        assert_eq!([0.04, -0.04, 1.25, -3.0].map(signed), ["0", "0", "+1.3", "−3"]);
        assert_eq!([range(85.0, 85.0), range(85.0, 170.5)], ["85", "85–170.5"]);
    }

    #[test]
    fn a_lower_bound_differs_from_what_was_published_only_above_it() {
        let of = |at_least, value| difference_text(Observed { value, at_least }, (80.0, 90.0));
        assert_eq!(of(false, 100.0).as_deref(), Some("+10"));
        assert_eq!(of(false, 75.0).as_deref(), Some("−5"));
        assert_eq!(of(true, 100.0).as_deref(), Some("≥+10"));
        assert_eq!([of(true, 75.0), of(true, 85.0)], [None, None], "it may be any");
    }
}
