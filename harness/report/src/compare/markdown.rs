//! A comparison as GitHub's Markdown, for a pull request.

use std::fmt::Write;

use super::{Compared, Judgement, noise};
use crate::{known::display_name, markdown::escape, numbers::NONE};

impl Compared {
    /// The comparison as GitHub's Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("**{}**\n\n", escape(&self.counts()));
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let what = format!("{} · {} · {}", side.dir.display(), side.origin, side.commit());
            let _ = writeln!(text, "* {name}: {}: {}", escape(&what), escape(&side.verdict));
        }
        for warning in self.warnings() {
            let _ = writeln!(text, "* **{}**", escape(&warning));
        }
        let between = noise::between_heading(&self.measured());
        let _ = write!(
            text,
            "\n| protocol | point | figure | A | B | change | {between} | noise | verdict | runs A / B |\n\
             |---|---|---|--:|--:|--:|--:|--:|---|---|\n",
        );
        for case in &self.cases {
            for line in &case.lines {
                let of_change = |text: fn(&noise::Measured) -> String| {
                    line.change.as_ref().map_or_else(|| NONE.to_owned(), text)
                };
                let words = line.judgement.words();
                let cells = [
                    display_name(&case.protocol),
                    if case.label.is_empty() { NONE.to_owned() } else { case.label.clone() },
                    line.figure.name.to_owned(),
                    line.shown(line.a),
                    line.shown(line.b),
                    of_change(noise::Measured::change_text),
                    of_change(noise::Measured::between_text),
                    of_change(noise::Measured::noise_text),
                    words.to_owned(),
                    case.verdicts(),
                ]
                .map(|cell| escape(&cell));
                let mut row = cells.join(" | ");
                if line.judgement != Judgement::WithinNoise {
                    row = row.replacen(&format!("| {words} |"), &format!("| **{words}** |"), 1);
                }
                let _ = writeln!(text, "| {row} |");
            }
        }
        let _ = writeln!(text, "\n{}", escape(&self.key()));
        text
    }
}
