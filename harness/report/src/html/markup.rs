//! Text made safe for HTML. Everything that comes from a file goes through here.

use std::fmt::Write;

use crate::{
    document::{Row, Sheet},
    verdict::Grade,
};

/// A text for the content of an element or for a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON for a `script` element, which ends at the first `</script` whatever the JSON is.
pub(super) fn embedded(json: &serde_json::Value) -> String {
    json.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A word that marks how good something is, told apart by its shape as well.
pub(super) fn badge(grade: Grade, words: &str) -> String {
    let (class, sign) = match grade {
        Grade::Valid => ("good", "✓"),
        Grade::Partly => ("part", "!"),
        Grade::NotValid => ("bad", "✗"),
        Grade::Violation => ("bad worst", "✗"),
    };
    let words = escape(words);
    format!("<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign} </span>{words}</span>")
}

/// The last cell, a verdict, beside the first: so it is seen however narrow the page is.
pub(super) fn verdict_second<T: Clone>(cells: &[T]) -> Vec<T> {
    let mut cells = cells.to_vec();
    cells.get_mut(1..).unwrap_or_default().rotate_right(1);
    cells
}

/// A table in a box of its own that scrolls where it is wider than the page; `body` is its rows.
pub(super) fn boxed_table(label: &str, class: &str, headings: &[String], body: &str) -> String {
    let label = escape(label);
    let mut text = format!(
        "<div class=\"scroll\" role=\"group\" aria-label=\"{label}\" tabindex=\"0\">\
         <table class=\"{class}\"><caption class=\"hidden\">{label}</caption><thead><tr>"
    );
    for heading in headings {
        // A heading breaks between its words alone, not at a hyphen.
        let words = heading.split(' ').map(|word| format!("<span>{}</span>", escape(word)));
        let words: Vec<String> = words.collect();
        let _ = write!(text, "<th scope=\"col\">{}</th>", words.join(" "));
    }
    let _ = writeln!(text, "</tr></thead>{body}</table></div>");
    text
}

/// Chosen: a longer cell of a table may break its lines.
const LONG_MIN: usize = 28;

/// A row whose first cell is its heading, with its verdict beside it.
pub(super) fn row(row: &Row) -> String {
    let mut text = String::from("<tr>");
    for (place, cell) in verdict_second(&row.cells).iter().enumerate() {
        let _ = match place {
            0 => write!(text, "<th scope=\"row\">{}</th>", escape(cell)),
            1 => {
                write!(text, "<td class=\"verdict\">{}</td>", badge(row.grade, cell))
            }
            _ => {
                let long = if cell.chars().count() > LONG_MIN { " class=\"long\"" } else { "" };
                write!(text, "<td{long}>{}</td>", escape(cell))
            }
        };
    }
    text.push_str("</tr>\n");
    text
}

/// A whole sheet.
pub(super) fn sheet(label: &str, sheet: &Sheet, file: &str) -> String {
    let rows: String = sheet.rows.iter().map(row).collect();
    let headings = verdict_second(&sheet.headings);
    let mut text = boxed_table(label, "text", &headings, &format!("<tbody>\n{rows}</tbody>"));
    if sheet.more > 0 {
        let _ = writeln!(text, "<p class=\"note\">… and {} more, see {file}</p>", sheet.more);
    }
    text
}

/// A list of sentences.
pub(super) fn list(lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    format!("<ul>\n{items}</ul>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_text_attribute_or_script() {
        assert_eq!(
            escape("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;"
        );
        let json = serde_json::json!({ "key": "</script><script>alert(1)</script>&" });
        let text = embedded(&json);
        assert!(!text.contains(['<', '>', '&']), "{text}");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, json);
    }
}
