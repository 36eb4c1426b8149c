//! Two results held against each other, figure by figure: what changed, and whether that is more than noise.
//!
//! [`workloads`] says whether the two are of one workload, [`noise`] what of a change is noise, [`text`], [`markdown`] and
//! [`json`] how it is told. Everything is taken from the two directories' manifests and CSV files.
//!
//! **Invariants.** Every line carries the verdicts of the runs on both sides. What is not valid, or is missing on a side,
//! is never called improved or regressed, and is counted apart. So is a lower bound, unless it decides: what is now at least
//! so much more than an exact figure has become more, and an exact figure so far below a lower bound less.

mod json;
mod markdown;
mod noise;
mod text;
mod workloads;

use std::path::{Path, PathBuf};

use measure::{Change, Manifest, SummaryRow};

use self::noise::{Floors, Measured};
pub use self::workloads::differing_keys;
use crate::{
    cell::Cell,
    error::ReportError,
    figure::{self, Column},
    numbers::{AtLeast, Observed, Spread, bounded, digits3, human, percent},
    results::Results,
};

/// Two results held against each other.
#[derive(Debug)]
pub struct Compared {
    a: Side,
    b: Side,
    /// The keys in which the workloads differ, each with both values; none unless the comparison was forced.
    differing: Vec<String>,
    cases: Vec<Case>,
    /// What was run on one side only.
    alone: Vec<String>,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Figures that are better by more than noise.
    pub improved: usize,
    /// Figures that are worse by more than noise.
    pub regressed: usize,
    /// Figures that are neither better nor worse, and other than noise.
    pub changed: usize,
    /// Figures that did not change by more than noise.
    pub within_noise: usize,
    /// Figures of which nothing can be said: not valid, not there on one side, or a lower bound that decides nothing. Runs that
    /// one side lacks count as one.
    pub not_compared: usize,
    /// Whether a run on either side contradicted itself.
    pub violation: bool,
}

/// One of the two results.
#[derive(Debug)]
struct Side {
    dir: PathBuf,
    manifest: Manifest,
    driver: String,
    origin: String,
    verdict: String,
    /// Whether a run of it contradicted itself, compared or not.
    violation: bool,
    /// Whether its latencies are of all that was due; those of older versions are of what was answered in time.
    counts_due: bool,
}

/// A protocol at a point, on both sides.
#[derive(Debug)]
struct Case {
    protocol: String,
    point: String,
    /// The point for people; empty if nothing was swept.
    label: String,
    a: Runs,
    b: Runs,
    lines: Vec<Line>,
}

/// The runs of one side.
#[derive(Debug)]
struct Runs {
    runs: usize,
    valid_runs: usize,
    valid: bool,
    verdict: String,
}

/// A figure on both sides.
#[derive(Debug)]
struct Line {
    figure: &'static Figure,
    a: Option<Spread>,
    b: Option<Spread>,
    change: Option<Measured>,
    judgement: Judgement,
}

/// What a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    WithinNoise,
    Improved,
    Regressed,
    Changed,
    /// A side's runs are not valid, or violate a rule.
    NotValid,
    Missing,
    /// A side's figure is a lower bound, which decides nothing.
    LowerBound,
}

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
    /// Neither way.
    Neutral,
}

/// A figure that is compared.
#[derive(Debug)]
struct Figure {
    column: Column<SummaryRow>,
    /// For people.
    name: &'static str,
    better: Better,
    change: Change,
    show: fn(f64) -> String,
}

/// What is compared, in this order.
const FIGURES: [Figure; 9] = [
    higher(figure::THROUGHPUT, "ops/s"),
    higher(figure::OPS_PER_CPU_S, "ops/CPU-s"),
    latency(figure::LATENCY_P50, "client p50"),
    latency(figure::LATENCY_P99, "client p99"),
    latency(figure::COMMIT_P50, "commit p50"),
    latency(figure::COMMIT_P99, "commit p99"),
    latency(figure::EXECUTE_P50, "exec p50"),
    latency(figure::EXECUTE_P99, "exec p99"),
    Figure {
        column: figure::FAST_PATH,
        name: "fast path",
        better: Better::Neutral,
        change: Change::Absolute,
        show: |ratio| percent((ratio * 1e3).round() / 1e3),
    },
];

impl Figure {
    /// Of the repetitions that count.
    fn values(&self, cell: &Cell<'_>) -> Vec<Observed> {
        cell.rows.iter().filter_map(|row| self.column.of(row)).collect()
    }
}

const fn higher(column: Column<SummaryRow>, name: &'static str) -> Figure {
    Figure { column, name, better: Better::Higher, change: Change::Relative, show: human }
}

const fn latency(column: Column<SummaryRow>, name: &'static str) -> Figure {
    let show = |us: f64| digits3(us / 1e3);
    Figure { column, name, better: Better::Lower, change: Change::Relative, show }
}

/// Holds the results in `b` against those in `a`. Different workloads are refused unless `force`.
///
/// # Errors
/// If a file is missing or not what it should be, no run ended, the workloads differ, or the two have nothing in common.
pub fn compare(a: &Path, b: &Path, force: bool) -> Result<Compared, ReportError> {
    let (of_a, of_b) = (Results::read(a)?, Results::read(b)?);
    let differing = workloads::differing(&of_a.manifest.workload, &of_b.manifest.workload);
    if !differing.is_empty() && !force {
        return Err(ReportError::NotComparable {
            what: format!(
                "{} and {} are of different workloads: {}: compare results of one workload file, or use --force",
                a.display(),
                b.display(),
                differing.join(", ")
            ),
        });
    }
    let (cases, alone) = cases(&of_a, &of_b);
    if cases.is_empty() {
        return Err(ReportError::NotComparable {
            what: format!(
                "{} and {} have no protocol at a point in common: compare results that share one",
                a.display(),
                b.display()
            ),
        });
    }
    Ok(Compared { a: Side::new(a, of_a), b: Side::new(b, of_b), differing, cases, alone })
}

/// What both have, in the order of `a`, and what only one has.
fn cases(a: &Results, b: &Results) -> (Vec<Case>, Vec<String>) {
    let floors = Floors::of(a, b);
    let (mut cases, mut alone) = (Vec::new(), Vec::new());
    for (results, other, name) in [(a, b, "A"), (b, a, "B")] {
        for point in &results.points {
            for protocol in &results.protocols {
                let Some(cell) = results.cell(&point.text, protocol) else { continue };
                let label = results.label(point, None);
                match other.cell(&point.text, protocol) {
                    None => {
                        let at = if label.is_empty() { label } else { format!(", {label}") };
                        alone.push(format!("{protocol}{at}: only in {name}"));
                    }
                    // Seen from both sides: taken once.
                    Some(_) if name == "B" => {}
                    Some(of_b) => {
                        let (protocol, point) = (protocol.clone(), point.text.clone());
                        cases.push(Case::new(protocol, point, label, &cell, &of_b, &floors));
                    }
                }
            }
        }
    }
    (cases, alone)
}

impl Side {
    fn new(dir: &Path, results: Results) -> Self {
        Self {
            dir: dir.to_owned(),
            driver: results.summary[0].driver.clone(),
            origin: results.origin_text(),
            verdict: results.verdict_text(),
            violation: results.summary.iter().any(SummaryRow::is_violation),
            counts_due: results.summary.iter().all(|row| row.due.is_some()),
            manifest: results.manifest,
        }
    }

    /// The commit that was checked out, shortened; whether the tree was changed.
    fn commit(&self) -> String {
        match &self.manifest.versions.git {
            None => "commit unknown".to_owned(),
            Some(git) => {
                let changes = if git.clean { "" } else { " with changes" };
                format!("commit {:.10}{changes}", git.commit)
            }
        }
    }
}

impl Case {
    fn new(
        protocol: String,
        point: String,
        label: String,
        a: &Cell<'_>,
        b: &Cell<'_>,
        floors: &Floors,
    ) -> Self {
        let valid = a.is_valid() && b.is_valid();
        let lines = FIGURES
            .iter()
            .filter_map(|figure| Line::new(figure, a, b, valid, floors.floor(&protocol, figure)));
        let lines = lines.collect();
        Self { protocol, point, label, lines, a: Runs::new(a), b: Runs::new(b) }
    }

    /// Both verdicts, A's first.
    fn verdicts(&self) -> String {
        format!("{} / {}", self.a.verdict, self.b.verdict)
    }
}

impl Runs {
    fn new(cell: &Cell<'_>) -> Self {
        let (runs, valid_runs) = (cell.runs, cell.valid_runs);
        Self { runs, valid_runs, valid: cell.is_valid(), verdict: cell.verdict() }
    }
}

impl Line {
    /// None if neither side has the figure.
    fn new(
        figure: &'static Figure,
        a: &Cell<'_>,
        b: &Cell<'_>,
        valid: bool,
        floor: noise::Floor,
    ) -> Option<Self> {
        let (of_a, of_b) = (figure.values(a), figure.values(b));
        let (a, b) = (Spread::of(of_a.iter().copied()), Spread::of(of_b.iter().copied()));
        if a.is_none() && b.is_none() {
            return None;
        }
        let change = noise::measured(figure.change, &of_a, &of_b, floor);
        let judgement = match (&change, valid) {
            (_, false) => Judgement::NotValid,
            (None, true) => Judgement::Missing,
            (Some(measured), true) if !measured.decides() => Judgement::LowerBound,
            (Some(measured), true) if !measured.is_beyond_noise() => Judgement::WithinNoise,
            (Some(measured), true) => match (figure.better, measured.change > 0.0) {
                (Better::Neutral, _) => Judgement::Changed,
                (Better::Higher, true) | (Better::Lower, false) => Judgement::Improved,
                (Better::Higher, false) | (Better::Lower, true) => Judgement::Regressed,
            },
        };
        Some(Self { figure, a, b, change, judgement })
    }

    fn shown(&self, spread: Option<Spread>) -> String {
        let show =
            |spread: Spread| bounded(spread.at_least.median, (self.figure.show)(spread.median));
        spread.map_or_else(|| crate::numbers::NONE.to_owned(), show)
    }

    /// Is a side's figure, or an end of its spread, a lower bound?
    fn has_bound(&self) -> bool {
        let mut sides = [self.a, self.b].into_iter().flatten();
        sides.any(|spread| spread.at_least != AtLeast::default())
    }
}

impl Judgement {
    const fn words(self) -> &'static str {
        match self {
            Self::WithinNoise => "within noise",
            Self::Improved => "improved",
            Self::Regressed => "regressed",
            Self::Changed => "changed",
            Self::NotValid => "not valid",
            Self::Missing => "not compared",
            Self::LowerBound => "not compared (≥)",
        }
    }

    /// Why nothing can be said.
    const fn reason(self) -> Option<&'static str> {
        match self {
            Self::NotValid => Some("a side's runs are not valid"),
            Self::Missing => Some("a side has no figure"),
            Self::LowerBound => Some("a lower bound"),
            Self::WithinNoise | Self::Improved | Self::Regressed | Self::Changed => None,
        }
    }
}

impl Compared {
    /// What it comes to.
    pub fn outcome(&self) -> Outcome {
        let lines = || self.cases.iter().flat_map(|case| &case.lines);
        let count = |judgement| lines().filter(|line| line.judgement == judgement).count();
        Outcome {
            improved: count(Judgement::Improved),
            regressed: count(Judgement::Regressed),
            changed: count(Judgement::Changed),
            within_noise: count(Judgement::WithinNoise),
            not_compared: count(Judgement::NotValid)
                + count(Judgement::Missing)
                + count(Judgement::LowerBound)
                + self.alone.len()
                + [&self.a, &self.b].iter().filter(|side| !side.manifest.complete).count(),
            violation: self.a.violation || self.b.violation,
        }
    }

    /// How the table is to be read.
    fn key(&self) -> String {
        let lines = || self.cases.iter().flat_map(|case| &case.lines);
        noise::key(&self.measured(), lines().any(Line::has_bound))
    }

    /// Every change that is known.
    fn measured(&self) -> Vec<&Measured> {
        let lines = self.cases.iter().flat_map(|case| &case.lines);
        lines.filter_map(|line| line.change.as_ref()).collect()
    }

    /// What a reader should know before the figures, a line each.
    fn warnings(&self) -> Vec<String> {
        let (a, b) = (&self.a.manifest, &self.b.manifest);
        let mut warnings = Vec::new();
        if self.outcome().violation {
            let which = |side: &Side, name: &'static str| side.violation.then_some(name);
            let which: Vec<&str> =
                [which(&self.a, "A"), which(&self.b, "B")].into_iter().flatten().collect();
            warnings.push(format!(
                "VIOLATION: runs of {} contradict themselves: no figure of such a protocol means anything",
                which.join(" and ")
            ));
        }
        if !self.differing.is_empty() {
            warnings.push(format!("different workloads, forced: {}", self.differing.join(", ")));
        }
        if (&a.host.cpu, a.host.cores, &a.host.hostname)
            != (&b.host.cpu, b.host.cores, &b.host.hostname)
        {
            warnings.push(format!(
                "different hosts, {} and {}: a change may be theirs",
                host_text(a),
                host_text(b)
            ));
        }
        if self.a.driver != self.b.driver {
            let drivers = (&self.a.driver, &self.b.driver);
            warnings.push(format!("different drivers, {} and {}", drivers.0, drivers.1));
        }
        if self.a.counts_due != self.b.counts_due {
            let (newer, older) = if self.a.counts_due { ("A", "B") } else { ("B", "A") };
            warnings.push(format!(
                "different populations: latencies of {newer} are of all that was due, those of {older}, an older version's, of \
                 what was answered in time"
            ));
        }
        if a.seed != b.seed {
            warnings.push(format!("different seeds, {} and {}", a.seed, b.seed));
        }
        for (side, name) in [(&self.a, "A"), (&self.b, "B")] {
            if !side.manifest.complete {
                warnings.push(format!("{name} is incomplete: `bench run --resume` continues it"));
            }
        }
        warnings.extend(self.alone.iter().cloned());
        warnings
    }

    /// Every figure that is told apart from noise, the worse ones first, as `regressed: EPaxos, 2 % conflicts, p99: …`.
    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for judgement in [Judgement::Regressed, Judgement::Improved] {
            for case in &self.cases {
                for line in case.lines.iter().filter(|line| line.judgement == judgement) {
                    let at = match case.label.as_str() {
                        "" => String::new(),
                        label => format!(", {label}"),
                    };
                    findings.push(format!(
                        "{}: {}{at}, {}: {} → {} ({})",
                        judgement.words(),
                        crate::known::display_name(&case.protocol),
                        line.figure.name,
                        line.shown(line.a),
                        line.shown(line.b),
                        line.change.as_ref().map(Measured::change_text).unwrap_or_default(),
                    ));
                }
            }
        }
        findings
    }

    /// For instance: 2 regressed · 1 improved · 50 within noise · 9 not compared
    fn counts(&self) -> String {
        let outcome = self.outcome();
        let parts = [
            (outcome.regressed, "regressed"),
            (outcome.improved, "improved"),
            (outcome.changed, "changed"),
            (outcome.within_noise, "within noise"),
            (outcome.not_compared, "not compared"),
        ];
        let said = parts.iter().filter(|(count, _)| *count > 0);
        said.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(" · ")
    }
}

fn host_text(manifest: &Manifest) -> String {
    let host = &manifest.host;
    let known =
        [host.hostname.clone(), host.cpu.clone(), host.cores.map(|cores| format!("{cores} cores"))];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() { "an unknown one".to_owned() } else { format!("({})", known.join(", ")) }
}
