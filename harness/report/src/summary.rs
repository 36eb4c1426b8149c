//! What the figures say in a sentence, and what a reader should be warned of.

use std::collections::BTreeSet;

use measure::{HOST_BOUND, Severity, SummaryRow};

use crate::{
    figure::{self, Column},
    known::display_name,
    numbers::{Ratio, Spread, bounded, digits3},
    results::{Point, Results},
};

/// What protocols are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criterion {
    /// The loop saturates the cluster.
    Throughput,
    /// The loop saturates the host, which all protocols share.
    PerCpuSecond,
    /// The rate is given, so that only latency can differ.
    LatencyP50,
}

/// The best protocol at one point against each of the others.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) point: Point,
    pub(crate) criterion: Criterion,
    pub(crate) best: String,
    pub(crate) others: Vec<Against>,
    /// What stands beside the figures.
    beyond: &'static str,
}

/// One other protocol: best over other, or its inverse for latencies.
#[derive(Debug)]
pub(crate) struct Against {
    pub(crate) protocol: String,
    pub(crate) ratio: Ratio,
    repeated: bool,
}

/// Something to know about the figures, with what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) severity: Severity,
    pub(crate) text: String,
    pub(crate) advice: String,
}

impl Criterion {
    pub(crate) const fn figure(self) -> Column<SummaryRow> {
        match self {
            Self::Throughput => figure::THROUGHPUT,
            Self::PerCpuSecond => figure::OPS_PER_CPU_S,
            Self::LatencyP50 => figure::LATENCY_P50,
        }
    }
}

impl Comparison {
    /// The sentence, without the point.
    pub(crate) fn text(&self) -> String {
        let best = display_name(&self.best);
        let others: Vec<String> = self
            .others
            .iter()
            .enumerate()
            .map(|(index, other)| {
                let ratio = other.text();
                let name = display_name(&other.protocol);
                match (index, self.criterion) {
                    (0, Criterion::Throughput) => {
                        format!("{ratio} times as many operations per second as {name}")
                    }
                    (0, Criterion::PerCpuSecond) => {
                        format!("{ratio} times as many operations per CPU-second as {name}")
                    }
                    (0, Criterion::LatencyP50) => format!("{ratio} times as fast as {name} at p50"),
                    _ => format!("{ratio} times {name}"),
                }
            })
            .collect();
        let verb = if self.criterion == Criterion::LatencyP50 { "answered" } else { "ran" };
        format!("{best} {verb} {}{}", others.join(", "), self.beyond)
    }
}

impl Against {
    fn text(&self) -> String {
        let Ratio { value, half, at_least, half_at_least } = self.ratio;
        let prefix = if at_least { "at least " } else { "" };
        if !self.repeated {
            return format!("{prefix}{}", digits3(value));
        }
        let within = if value - half <= 1.0 { " (within the spread)" } else { "" };
        if at_least {
            return format!("{prefix}{value:.2}{within}");
        }
        format!("{value:.2} ± {}{within}", bounded(half_at_least, format_args!("{half:.2}")))
    }
}

impl Results {
    /// A comparison per point at which at least two protocols have valid figures.
    pub(crate) fn comparisons(&self) -> Vec<Comparison> {
        self.points.iter().filter_map(|point| self.comparison(point)).collect()
    }

    /// Warnings, the heaviest first; findings that call for the same remedy are one warning.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.findings();
        warnings.extend(self.failed_operations());
        warnings.extend(self.absent_text().map(|text| Warning {
            severity: Severity::Warning,
            text,
            advice: String::new(),
        }));
        if !self.manifest.complete {
            warnings.push(Warning {
                severity: Severity::Invalid,
                text: format!(
                    "incomplete: {} of {} planned runs are here",
                    self.summary.len(),
                    self.manifest.runs_planned
                ),
                advice: "continue it with bench run --resume".to_owned(),
            });
        }
        warnings.extend(self.manifest.warnings.iter().map(|text| Warning {
            severity: Severity::Warning,
            text: text.clone(),
            advice: String::new(),
        }));
        warnings.sort_by_key(|warning| std::cmp::Reverse(warning.severity));
        warnings
    }

    fn comparison(&self, point: &Point) -> Option<Comparison> {
        let criterion = self.criterion(point);
        let mut beyond = "";
        let mut figures: Vec<(&String, Spread)> = self
            .protocols
            .iter()
            .filter_map(|protocol| {
                let cell = self.cell(&point.text, protocol).filter(super::cell::Cell::is_valid)?;
                if criterion != Criterion::LatencyP50 && beyond.is_empty() {
                    beyond = self.beyond(&cell);
                }
                Some((protocol, cell.spread(criterion.figure())?))
            })
            .collect();
        figures.sort_by(|a, b| b.1.median.total_cmp(&a.1.median));
        if criterion == Criterion::LatencyP50 {
            figures.reverse();
        }
        // Nobody knows how a lower bound below it compares with the least exact figure.
        let known = figures.iter().position(|(_, figure)| !figure.at_least.median)?;
        let ((best, best_figure), others) = figures[known..].split_first()?;
        let others: Vec<Against> = others
            .iter()
            .filter_map(|(protocol, figure)| {
                let ratio = match criterion {
                    Criterion::LatencyP50 => figure.ratio(best_figure)?,
                    _ => best_figure.ratio(figure)?,
                };
                let repeated = best_figure.count > 1 && figure.count > 1;
                Some(Against { protocol: (*protocol).clone(), ratio, repeated })
            })
            .collect();
        let best = (*best).clone();
        let point = point.clone();
        (!others.is_empty()).then_some(Comparison { point, criterion, best, others, beyond })
    }

    fn criterion(&self, point: &Point) -> Criterion {
        let host_bound =
            |row: &measure::VerdictRow| row.point == point.text && row.text.starts_with(HOST_BOUND);
        let open = |row: &SummaryRow| row.point == point.text && row.mode == "open";
        if self.searched_p99_ms().is_some() {
            Criterion::Throughput
        } else if self.summary.iter().any(open) {
            Criterion::LatencyP50
        } else if self.verdicts.iter().any(host_bound) {
            Criterion::PerCpuSecond
        } else {
            Criterion::Throughput
        }
    }

    fn findings(&self) -> Vec<Warning> {
        let mut groups: Vec<Vec<&measure::VerdictRow>> = Vec::new();
        for row in &self.verdicts {
            let same = |group: &&mut Vec<&measure::VerdictRow>| {
                group[0].severity == row.severity && group[0].advice == row.advice
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        let warning = |group: &Vec<&measure::VerdictRow>| {
            let first = group[0];
            if let Some(text) = told_apart(group) {
                let (severity, advice) = (first.severity, first.advice.clone());
                return Warning { severity, text, advice };
            }
            let point = self.points.iter().find(|point| point.text == first.point);
            let label =
                point.map(|point| self.label(point, None)).filter(|label| !label.is_empty());
            let at = label.map(|label| format!(", {label}")).unwrap_or_default();
            let text = format!(
                "{} ({}, first {}{at}, repetition {})",
                first.text,
                how_often(group),
                display_name(&first.protocol),
                first.repetition
            );
            Warning { severity: first.severity, text, advice: first.advice.clone() }
        };
        groups.iter().map(warning).collect()
    }

    /// What was left out of the directory, if anything was.
    pub(crate) fn absent_text(&self) -> Option<String> {
        let (last, others) = self.absent.split_last()?;
        let names = match others {
            [] => format!("{last} is"),
            _ => format!("{} and {last} are", others.join(", ")),
        };
        Some(format!("{names} not here: what is drawn and told from there is left out"))
    }

    /// What was refused, which no finding of a run says. What was never answered each run's own findings say, but for those
    /// of versions that did not count what was due.
    fn failed_operations(&self) -> Option<Warning> {
        let unsaid = |row: &SummaryRow| if row.due.is_none() { row.unknown } else { 0 };
        let errors: u64 = self.summary.iter().map(|row| row.errors).sum();
        let unknown: u64 = self.summary.iter().map(unsaid).sum();
        let runs = self.summary.iter().filter(|row| row.errors + unsaid(row) > 0).count();
        let said = match (errors, unknown) {
            (0, 0) => return None,
            (0, unknown) => format!("{unknown} operations have an unknown outcome"),
            (errors, 0) => format!("{errors} operations were refused"),
            _ => format!("{errors} operations were refused and {unknown} have an unknown outcome"),
        };
        Some(Warning {
            severity: Severity::Warning,
            text: format!("{said}, in {runs} of {} runs", self.summary.len()),
            advice: "see errors in timeseries.csv, and the replicas' logs".to_owned(),
        })
    }
}

/// In how many runs, and how many times if a run has it more than once.
fn how_often(group: &[&measure::VerdictRow]) -> String {
    let runs: BTreeSet<_> =
        group.iter().map(|row| (&row.protocol, &row.driver, &row.point, row.repetition)).collect();
    let runs = runs.len();
    let runs_text = format!("{runs} {}", if runs == 1 { "run" } else { "runs" });
    if group.len() == runs { runs_text } else { format!("{} times in {runs_text}", group.len()) }
}

/// Findings that are alike but for whom they name after their last colon (who was killed, say), as one text that names
/// each of them with the protocols it was in; none if they are equal or differ in more.
fn told_apart(group: &[&measure::VerdictRow]) -> Option<String> {
    let (said, _) = group[0].text.rsplit_once(": ")?;
    let mut named: Vec<(&str, Vec<String>)> = Vec::new();
    for row in group {
        let (also_said, who) = row.text.rsplit_once(": ")?;
        if also_said != said {
            return None;
        }
        let protocol = display_name(&row.protocol);
        match named.iter_mut().find(|(name, _)| *name == who) {
            Some((_, protocols)) if protocols.contains(&protocol) => {}
            Some((_, protocols)) => protocols.push(protocol),
            None => named.push((who, vec![protocol])),
        }
    }
    let named: Vec<String> = named
        .into_iter()
        .map(|(who, protocols)| format!("{who} in {}", protocols.join(" and ")))
        .collect();
    (named.len() > 1).then(|| format!("{said}: {} ({})", named.join(", "), how_often(group)))
}
