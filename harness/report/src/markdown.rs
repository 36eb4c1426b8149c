//! The results as GitHub's Markdown, for a pull request: the verdict, its reasons, the table, the findings, and where it was
//! run.

use std::{fmt::Write, path::PathBuf};

use crate::{
    document::{self, Row, Sheet},
    error::ReportError,
    results::Results,
    terminal::{
        GAPS_HEADING, RETURNS_HEADING, findings, gap_lines, key_text, network_lines, severity_word,
    },
};

/// The results in `dirs` as one Markdown text, a section each in their order.
///
/// # Errors
/// If a file of a directory is missing or not what it should be, or no run of it ended.
pub fn markdown(dirs: &[PathBuf]) -> Result<String, ReportError> {
    let mut text = String::new();
    for dir in dirs {
        let results = Results::read(dir)?;
        if !text.is_empty() {
            text.push('\n');
        }
        let formulas = document::formula_sheet(&results, dir)?;
        let _ = writeln!(text, "## {}\n", escape(&results.origin_text()));
        text.push_str(&verdict(&results));
        text.push_str(&table(&results));
        for (heading, lines) in [
            ("Findings", findings(&results)),
            (GAPS_HEADING, gap_lines(&results)),
            (RETURNS_HEADING, results.return_lines()),
            ("Emulated network", network_lines(&results)),
            ("Kept", results.kept_lines()),
        ] {
            if !lines.is_empty() {
                let _ = writeln!(text, "\n**{heading}**\n");
                lines.iter().for_each(|line| text.push_str(&item(line)));
            }
        }
        if let Some(formulas) = formulas {
            folded(&mut text, "Commit latency against the formulas", &sheet(&formulas));
        }
        if let Some(events) = document::events(&results) {
            folded(&mut text, &format!("{} events", results.events.len()), &sheet(&events));
        }
        let facts = document::facts(&results, dir);
        let facts: String =
            facts.iter().map(|(name, fact)| item(&format!("{name}: {fact}"))).collect();
        let commands = document::reproduce(&results.manifest).replace("```", "` ` `");
        let body = format!("{facts}\n```sh\n{commands}```\n");
        folded(&mut text, "What was run, where, and how to run it again", &body);
    }
    Ok(text)
}

/// The verdict with every reason.
fn verdict(results: &Results) -> String {
    let (grade, reason) = results.grade();
    let mut text = format!("**{}**: {}\n\n", grade.word(), escape(&reason));
    let _ = writeln!(text, "{}\n", escape(&results.verdict_text()));
    let warnings = results.warnings();
    for warning in &warnings {
        let advice = if warning.advice.is_empty() { "" } else { ": " };
        let what = escape(&format!("{}{advice}{}", warning.text, warning.advice));
        let _ = writeln!(text, "- **{}**: {what}", severity_word(warning.severity));
    }
    if !warnings.is_empty() {
        text.push('\n');
    }
    text
}

fn table(results: &Results) -> String {
    let blocks = document::blocks(results);
    let has_points = blocks.iter().any(|block| !block.label.is_empty());
    let point = |text: &str| has_points.then(|| text.to_owned());
    let headings: Vec<String> = point("point").into_iter().chain(document::headings()).collect();
    let rows: Vec<Row> = blocks
        .into_iter()
        .flat_map(|block| {
            let label = point(&block.label);
            block.rows.into_iter().map(move |row| Row {
                cells: label.iter().cloned().chain(row.cells).collect(),
                grade: row.grade,
            })
        })
        .collect();
    let key = escape(&key_text(results));
    format!("{}\n{key}\n", sheet(&Sheet { headings, rows, more: 0 }))
}

fn sheet(sheet: &Sheet) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&sheet.headings);
    text.push_str(&format!("|{}\n", "---|".repeat(sheet.headings.len())));
    sheet.rows.iter().for_each(|row| text.push_str(&line(&row.cells)));
    if sheet.more > 0 {
        let _ = writeln!(text, "\n… and {} more", sheet.more);
    }
    text
}

fn folded(text: &mut String, title: &str, body: &str) {
    let _ = writeln!(text, "\n<details><summary>{title}</summary>\n\n{body}\n</details>");
}

fn item(line: &str) -> String {
    format!("- {}\n", escape(line.trim()))
}

/// A text that is no markup, on one line.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\n' | '\r' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text() {
        assert_eq!(
            escape("a|b <script> *x* [y](z)\n# &"),
            r"a\|b &lt;script&gt; \*x\* \[y\](z) # &amp;"
        );
    }
}
