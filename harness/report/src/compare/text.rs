//! A comparison for a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style as Paint};

use super::{Case, Compared, Judgement, Line, Side, noise};
use crate::{
    known::display_name,
    numbers::NONE,
    table::{Painted, Table, fold},
    terminal::Style,
};

const BOLD: Paint = Paint::new().bold();
const DIM: Paint = Paint::new().dimmed();
const GOOD: Paint = AnsiColor::Green.on_default();
const WARN: Paint = AnsiColor::Yellow.on_default().bold();
const BAD: Paint = AnsiColor::Red.on_default().bold();

/// Chosen: more findings than this are not read again below the table.
const FINDINGS_MAX: usize = 12;

impl Compared {
    /// The comparison for a terminal, at most 100 columns wide.
    pub fn text(&self, style: Style) -> String {
        let colour = style == Style::Colour;
        let paint = |text: &str, paint| Painted::new(text, paint).render(colour);
        let mut text = String::new();
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            text.push_str(&heading(name, side));
        }
        for warning in self.warnings() {
            let is_bad = warning.starts_with("VIOLATION");
            let said = if is_bad { warning } else { format!("warning: {warning}") };
            let shade = if is_bad { BAD } else { WARN };
            let _ = writeln!(text, "{}", paint(fold(&said, 4).trim_end(), shade));
        }
        text.push_str(&self.tables(colour));
        let _ = writeln!(text, "\n{}", paint(fold(&self.key(), 0).trim_end(), DIM));
        let _ = writeln!(text, "\n{} {}", paint("Summary:", BOLD), self.counts());
        let findings = self.findings();
        for finding in findings.iter().take(FINDINGS_MAX) {
            text.push_str(&fold(&format!("  {finding}"), 4));
        }
        if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS_MAX) {
            let _ = writeln!(text, "  … and {more} more, see the table");
        }
        text
    }

    /// A heading and a table per case; the columns line up across all of them.
    fn tables(&self, colour: bool) -> String {
        let mut table = Table::default();
        let between = noise::between_heading(&self.measured());
        for case in &self.cases {
            let header = ["", "A", "B", "change", between, "noise", "", "runs A / B"];
            table.push(header.map(|text| Painted::new(text, DIM)).into());
            case.lines.iter().for_each(|line| table.push(row(case, line)));
        }
        let mut lines = table.render(colour).into_iter();
        let mut text = String::new();
        for case in &self.cases {
            let at = match case.label.as_str() {
                "" => String::new(),
                label => format!(", {label}"),
            };
            let heading = format!("{}{at}", display_name(&case.protocol));
            let _ = writeln!(text, "\n{}", Painted::new(heading, BOLD).render(colour));
            for line in lines.by_ref().take(case.lines.len() + 1) {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }
}

/// What a side is of, and its verdict.
fn heading(name: &str, side: &Side) -> String {
    let what = format!("{name}: {} · {} · {}", side.dir.display(), side.origin, side.commit());
    let verdict = format!("   verdict: {}", side.verdict);
    format!("{}{}", fold(&what, 3), fold(&verdict, 5))
}

fn row(case: &Case, line: &Line) -> Vec<Painted> {
    let of_change = |text: fn(&noise::Measured) -> String| {
        line.change.as_ref().map_or_else(|| NONE.to_owned(), text)
    };
    let shade = match line.judgement {
        Judgement::WithinNoise => DIM,
        Judgement::Improved => GOOD,
        Judgement::Changed | Judgement::Missing | Judgement::LowerBound => WARN,
        Judgement::Regressed | Judgement::NotValid => BAD,
    };
    let clean = case.a.valid_runs == case.a.runs && case.b.valid_runs == case.b.runs;
    let mut row: Vec<Painted> = [
        line.figure.name.to_owned(),
        line.shown(line.a),
        line.shown(line.b),
        of_change(noise::Measured::change_text),
        of_change(noise::Measured::between_text),
        of_change(noise::Measured::noise_text),
    ]
    .map(Painted::plain)
    .into();
    row.push(Painted::new(line.judgement.words(), shade));
    row.push(Painted::new(case.verdicts(), if clean { GOOD } else { BAD }));
    row
}
