//! The part of a page that is about one results directory.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::{
    chart::{svg, swatch},
    data,
    markup::{badge, boxed_table, embedded, escape, list, row, sheet, verdict_second},
};
use crate::{
    document::{self, Sheet},
    error::ReportError,
    plot::{
        figures,
        model::{Entry, Figure, Panel, Sample},
    },
    results::Results,
    terminal::{
        GAPS_HEADING, RETURNS_HEADING, findings, gap_lines, key_text, network_lines, severity_word,
    },
    verdict::Grade,
};

/// One results directory, read.
pub(super) struct Section {
    dir: PathBuf,
    results: Results,
    manifest: String,
    formulas: Option<Sheet>,
    pub(super) figures: Vec<Figure>,
}

/// A part of a section, which the contents name.
pub(super) struct Part {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    body: fn(&Section, place: usize, level: u8) -> String,
}

const PARTS: [Part; 8] = [
    Part { id: "run", title: "What was run, and where", body: |section, _, _| section.facts() },
    Part { id: "findings", title: "Findings", body: |section, _, level| section.findings(level) },
    Part { id: "table", title: "Results", body: |section, _, _| section.table() },
    Part { id: "plots", title: "Plots", body: Section::plots },
    Part { id: "events", title: "Faults and events", body: |section, _, _| section.events() },
    Part {
        id: "formulas",
        title: "Commit latency against the formulas",
        body: |section, _, _| section.formulas(),
    },
    Part { id: "manifest", title: "Manifest", body: |section, _, _| section.manifest() },
    Part {
        id: "files",
        title: "Files, and how to run it again",
        body: |section, _, _| section.files(),
    },
];

impl Section {
    pub(super) fn read(dir: &Path) -> Result<Self, ReportError> {
        let results = Results::read(dir)?;
        let formulas = document::formula_sheet(&results, dir)?;
        let figures = one_per_title(figures(&results));
        // The file itself: it may have more than this version knows of.
        let path = dir.join("manifest.json");
        let manifest =
            fs::read_to_string(&path).map_err(|error| ReportError::draw(&path, error))?;
        Ok(Self { dir: dir.to_owned(), results, manifest, formulas, figures })
    }

    pub(super) fn name(&self) -> &str {
        &self.results.manifest.name
    }

    pub(super) fn origin(&self) -> String {
        self.results.origin_text()
    }

    pub(super) fn grade(&self) -> Grade {
        self.results.grade().0
    }

    pub(super) fn reason(&self) -> String {
        self.results.grade().1
    }

    /// The parts that have something in them.
    pub(super) fn parts(&self) -> Vec<&'static Part> {
        let has = |part: &&Part| match part.id {
            "findings" => !(self.said().iter().all(|(_, lines)| lines.is_empty())),
            "events" => !self.results.events.is_empty(),
            "formulas" => self.formulas.is_some(),
            "plots" => !self.figures.is_empty(),
            _ => true,
        };
        PARTS.iter().filter(has).collect()
    }

    /// The whole section; `alone` if the page has no other, so that its title and verdict stand above already.
    pub(super) fn html(&self, place: usize, alone: bool) -> String {
        let level = if alone { 2 } else { 3 };
        let mut text = format!("<article id=\"r{place}\">\n");
        if !alone {
            let (name, origin) = (escape(self.name()), escape(&self.origin()));
            let _ = writeln!(text, "<h2>{name}</h2>\n<p class=\"origin\">{origin}</p>");
            text.push_str(&self.banner(place));
        }
        for part in self.parts() {
            let (id, title) = (part.id, part.title);
            let _ = writeln!(text, "<section>\n<h{level} id=\"r{place}-{id}\">{title}</h{level}>");
            text.push_str(&(part.body)(self, place, level));
            text.push_str("</section>\n");
        }
        text.push_str("</article>\n");
        text
    }

    /// The verdict, with every reason.
    pub(super) fn banner(&self, place: usize) -> String {
        let (grade, reason) = self.results.grade();
        let class = if grade == Grade::Valid { "good" } else { "bad" };
        let mut text = format!(
            "<div class=\"banner {class}\" id=\"r{place}-verdict\">\n<p class=\"line\">{} {}</p>\n<p>{}</p>\n",
            badge(grade, grade.word()),
            escape(&reason),
            escape(&self.results.verdict_text()),
        );
        let warnings = self.results.warnings();
        if !warnings.is_empty() {
            text.push_str("<ul class=\"reasons\">\n");
            for warning in warnings {
                let advice = if warning.advice.is_empty() { "" } else { ": " };
                let _ = writeln!(
                    text,
                    "<li><strong>{}:</strong> {}{advice}{}</li>",
                    severity_word(warning.severity),
                    escape(&warning.text),
                    escape(&warning.advice)
                );
            }
            text.push_str("</ul>\n");
        }
        text.push_str("</div>\n");
        text
    }

    fn facts(&self) -> String {
        let mut text = String::from("<dl>\n");
        for (name, fact) in document::facts(&self.results, &self.dir) {
            let fact = escape(&fact);
            let fact = match name {
                "Command" | "Results" | "Commit" => format!("<code>{fact}</code>"),
                _ => fact,
            };
            let _ = writeln!(text, "<div><dt>{name}</dt><dd>{fact}</dd></div>");
        }
        text.push_str("</dl>\n");
        text
    }

    /// What is said in sentences, under their headings.
    fn said(&self) -> [(&'static str, Vec<String>); 5] {
        [
            ("", findings(&self.results)),
            (GAPS_HEADING, gap_lines(&self.results)),
            (RETURNS_HEADING, self.results.return_lines()),
            ("Emulated network", network_lines(&self.results)),
            ("Kept", self.results.kept_lines()),
        ]
    }

    fn findings(&self, level: u8) -> String {
        let below = level + 1;
        let mut text = self.verdict_line();
        for (heading, lines) in self.said() {
            if !heading.is_empty() && !lines.is_empty() {
                let _ = writeln!(text, "<h{below}>{heading}</h{below}>");
            }
            if !lines.is_empty() {
                text.push_str(&list(&lines));
            }
        }
        text
    }

    /// The verdict of all runs in a line, for what is taken from all of them.
    fn verdict_line(&self) -> String {
        let (grade, _) = self.results.grade();
        let verdict = escape(&self.results.verdict_text());
        format!("<p class=\"verdict-line\">{} {verdict}</p>\n", badge(grade, grade.word()))
    }

    fn table(&self) -> String {
        let headings = verdict_second(&document::headings());
        let mut body = String::new();
        for block in document::blocks(&self.results) {
            body.push_str("<tbody>\n");
            if !block.label.is_empty() {
                let (columns, label) = (headings.len(), escape(&block.label));
                let _ = writeln!(
                    body,
                    "<tr class=\"point\"><th scope=\"rowgroup\" colspan=\"{columns}\"><span>{label}</span></th></tr>"
                );
            }
            block.rows.iter().for_each(|line| body.push_str(&row(line)));
            body.push_str("</tbody>\n");
        }
        let table =
            boxed_table(&format!("Results of {}", self.name()), "results", &headings, &body);
        format!("{table}<p class=\"note\">{}</p>\n", escape(&key_text(&self.results)))
    }

    fn plots(&self, place: usize, level: u8) -> String {
        const LISTED_MIN: usize = 4;
        let figures = || self.figures.iter().enumerate();
        let mut text = String::new();
        if self.figures.len() >= LISTED_MIN {
            text.push_str("<ul class=\"links\">\n");
            for (number, figure) in figures() {
                let title = escape(&figure.title);
                let _ = writeln!(text, "<li><a href=\"#r{place}-f{number}\">{title}</a></li>");
            }
            text.push_str("</ul>\n");
        }
        for (number, figure) in figures() {
            text.push_str(&self.figure(&format!("r{place}-f{number}"), figure, level + 1));
        }
        text
    }

    fn figure(&self, id: &str, figure: &Figure, level: u8) -> String {
        let (title, stem) = (escape(&figure.title), escape(&figure.stem));
        let mut text = format!(
            "<figure class=\"plot\" id=\"{id}\" data-stem=\"{stem}\" aria-labelledby=\"{id}-h\">\n\
             <h{level} id=\"{id}-h\">{title}</h{level}>\n<ul class=\"legend\">\n"
        );
        for entry in legend(figure) {
            let label = escape(&entry.label);
            // What is no series of its own (the model's strokes across bars) is explained, and cannot be hidden.
            let class = if is_series(figure, &entry.label) { "entry" } else { "note" };
            let _ = writeln!(
                text,
                "<li><span class=\"{class}\" data-key=\"{label}\">{}{label}</span></li>",
                swatch(&entry)
            );
        }
        text.push_str("</ul>\n<div class=\"panels\">\n");
        for (number, panel) in figure.panels.iter().enumerate() {
            text.push_str(&self.panel(&format!("{id}-{number}"), figure, panel));
        }
        text.push_str("</div>\n");
        let (grade, _) = self.results.grade();
        let marks = self.results.marks_text(&figure.shown());
        let _ = writeln!(
            text,
            "<figcaption class=\"verdict-line\">{} {} · {}</figcaption>\n</figure>",
            badge(grade, grade.word()),
            escape(&self.results.verdict_text()),
            escape(&marks)
        );
        text
    }

    fn panel(&self, id: &str, figure: &Figure, panel: &Panel) -> String {
        let title = match panel.title.as_str() {
            "" => figure.title.clone(),
            of => format!("{}, {of}", figure.title),
        };
        let full = format!("{title}: {}", panel.y.label);
        let about = format!("{} Verdict: {}.", data::sentence(panel), self.results.verdict_text());
        let heading = match panel.title.as_str() {
            "" => String::new(),
            of => format!("<p class=\"of\">{}</p>\n", escape(of)),
        };
        format!(
            "<div class=\"panel\" id=\"{id}\">\n{heading}\
             <div class=\"canvas\" role=\"group\" aria-label=\"{label}\" tabindex=\"0\">\n{}\n</div>\n\
             <script type=\"application/json\">{}</script>\n\
             <details><summary>Data<span class=\"hidden\"> of {label}</span></summary>\n{}</details>\n</div>\n",
            svg(id, panel, &full, &about),
            embedded(&data::json(panel)),
            data::table(panel, &format!("Data of {full}")),
            label = escape(&full),
        )
    }

    fn events(&self) -> String {
        let events = document::events(&self.results);
        let table = events.map(|events| {
            let label = format!("Events of {}", self.name());
            const OPEN_MAX: usize = 20;
            let count = events.rows.len() + events.more;
            let open = if count <= OPEN_MAX { " open" } else { "" };
            let table = sheet(&label, &events, "events.csv");
            format!("<details{open}><summary>{count} events</summary>\n{table}</details>\n")
        });
        table.unwrap_or_default()
    }

    fn formulas(&self) -> String {
        let label = format!("Formulas of {}", self.name());
        self.formulas.as_ref().map(|rows| sheet(&label, rows, "formulas.csv")).unwrap_or_default()
    }

    fn manifest(&self) -> String {
        format!(
            "<details><summary>manifest.json in full</summary>\n\
             <pre tabindex=\"0\" role=\"group\" aria-label=\"Manifest of {}\">{}</pre></details>\n",
            escape(self.name()),
            escape(&self.manifest)
        )
    }

    fn files(&self) -> String {
        let mut rows = String::new();
        for [name, size, content] in document::files(&self.dir) {
            let (name, content) = (escape(&name), escape(&content));
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\"><code>{name}</code></th><td>{size}</td><td class=\"long\">{content}</td></tr>"
            );
        }
        let label = format!("Files of {}", self.name());
        let headings = ["file", "size", "content"].map(str::to_owned);
        let table = boxed_table(&label, "text", &headings, &format!("<tbody>\n{rows}</tbody>"));
        let commands = escape(&document::reproduce(&self.results.manifest));
        let label = escape(&format!("Commands that run {} again", self.name()));
        format!(
            "<pre tabindex=\"0\" role=\"group\" aria-label=\"{label}\">{commands}</pre>\n\
             <p class=\"note\">Beside this page, in <code>{}</code>:</p>\n{table}",
            escape(&self.dir.display().to_string())
        )
    }
}

/// On paper a figure has few panels, so that a title has many figures; here it has one.
fn one_per_title(figures: Vec<Figure>) -> Vec<Figure> {
    let mut merged: Vec<Figure> = Vec::new();
    for figure in figures {
        match merged.last_mut().filter(|last| last.title == figure.title) {
            Some(last) => last.panels.extend(figure.panels),
            None => merged.push(figure),
        }
    }
    merged
}

fn is_series(figure: &Figure, name: &str) -> bool {
    figure.panels.iter().any(|panel| {
        panel.lines.iter().any(|line| line.name == name)
            || panel.bars.iter().any(|bar| bar.name == name)
    })
}

/// The entries of the legend; of bars, which paper names on the axis, those of their names.
fn legend(figure: &Figure) -> Vec<Entry> {
    let mut entries = figure.legend.clone();
    for bar in figure.panels.iter().flat_map(|panel| &panel.bars) {
        if !entries.iter().any(|entry| entry.label == bar.name) {
            entries.push(Entry { label: bar.name.clone(), look: bar.look, sample: Sample::Line });
        }
    }
    entries
}
