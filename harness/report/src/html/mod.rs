//! One HTML page that needs nothing but itself: no network, no other file, no script to show everything that it has.
//!
//! [`section`] writes the part of one results directory, [`chart`] a panel as SVG and [`data`] the same as a table, a sentence
//! and JSON. What is drawn is what [`crate::plot`] draws; what is said is what the terminal says ([`crate::document`]). The
//! script `page.js` only adds: reading points off, toggling, zooming.
//!
//! **Invariants.** Every text from a file is escaped ([`markup`]). The page forbids its browser every load
//! ([`POLICY`]). Every row, every picture and every point carries the verdict of its runs.

mod chart;
mod colour;
mod data;
mod markup;
mod section;
mod thin;

use std::{fmt::Write, path::PathBuf};

use self::{
    markup::{badge, escape},
    section::Section,
};
use crate::{error::ReportError, verdict::Grade};

/// Nothing may be loaded from anywhere; the page's own styles and script are all there is.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src data:; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The results in `dirs` as one HTML page, a section each in their order.
///
/// # Errors
/// If a file of a directory is missing or not what it should be, or no run of it ended.
pub fn html(dirs: &[PathBuf]) -> Result<String, ReportError> {
    let mut sections = dirs.iter().map(|dir| Section::read(dir)).collect::<Result<Vec<_>, _>>()?;
    let thinned = thin::thin(sections.iter_mut().flat_map(|section| &mut section.figures));
    let alone = sections.len() == 1;
    let mut text = head(&sections);
    let _ = writeln!(text, "<body>\n<a class=\"skip\" href=\"#main\">Skip to the results</a>");
    text.push_str(&heading(&sections));
    text.push_str(&contents(&sections));
    text.push_str("<main id=\"main\" tabindex=\"-1\">\n");
    if let Some((before, left)) = thinned {
        let _ = writeln!(
            text,
            "<p class=\"note\">Lines are drawn through {left} of their {before} points, chosen so that their shape is \
             kept; the CSV files have all of them.</p>"
        );
    }
    for (place, section) in sections.iter().enumerate() {
        text.push_str(&section.html(place, alone));
    }
    let _ = write!(
        text,
        "</main>\n<footer><p>Written by <code>bench report</code> {} from the manifests and CSV files alone.</p></footer>\n\
         <div id=\"said\" class=\"hidden\" role=\"status\"></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    Ok(text)
}

fn names(sections: &[Section]) -> String {
    let names: Vec<&str> = sections.iter().map(Section::name).collect();
    names.join(", ")
}

fn head(sections: &[Section]) -> String {
    let (light, dark) = (colour::properties(false), colour::properties(true));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{}: {}</title>\n<style>\n:root {{ {light} }}\n\
         @media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{STYLE}</style>\n</head>\n",
        worst(sections).word(),
        escape(&names(sections)),
    )
}

/// The grade of the whole page is that of its worst results.
fn worst(sections: &[Section]) -> Grade {
    sections.iter().map(Section::grade).max().unwrap_or(Grade::NotValid)
}

/// The title, and the verdict before everything else.
fn heading(sections: &[Section]) -> String {
    let mut text = String::from("<header>\n");
    if let [section] = sections {
        let _ = writeln!(text, "<h1>{}</h1>", escape(section.name()));
        let _ = writeln!(text, "<p class=\"origin\">{}</p>", escape(&section.origin()));
        text.push_str(&section.banner(0));
    } else {
        let _ = writeln!(text, "<h1>{} results</h1>", sections.len());
        let worst = worst(sections);
        let class = if worst == Grade::Valid { "good" } else { "bad" };
        let _ = writeln!(text, "<div class=\"banner {class}\">");
        let such = sections.iter().filter(|section| section.grade() == worst).count();
        let _ = writeln!(
            text,
            "<p class=\"line\">{} {such} of {} results</p>\n<ul>",
            badge(worst, worst.word()),
            sections.len()
        );
        for (place, section) in sections.iter().enumerate() {
            let _ = writeln!(
                text,
                "<li>{} <a href=\"#r{place}\">{}</a>: {}</li>",
                badge(section.grade(), section.grade().word()),
                escape(section.name()),
                escape(&section.reason())
            );
        }
        text.push_str("</ul>\n</div>\n");
    }
    text.push_str("</header>\n");
    text
}

fn contents(sections: &[Section]) -> String {
    let mut text = String::from("<nav aria-label=\"Contents\">\n<ul>\n");
    for (place, section) in sections.iter().enumerate() {
        let parts: String = section
            .parts()
            .iter()
            .map(|part| format!("<li><a href=\"#r{place}-{}\">{}</a></li>\n", part.id, part.title))
            .collect();
        if sections.len() == 1 {
            text.push_str(&parts);
        } else {
            let name = escape(section.name());
            let _ = writeln!(text, "<li><a href=\"#r{place}\">{name}</a>\n<ul>\n{parts}</ul></li>");
        }
    }
    text.push_str("</ul>\n</nav>\n");
    text
}
