//! Aligned columns within a line's width, and folding of long lines.

use anstyle::Style as Paint;

/// No line is longer than this many characters (a path or a name in it may force one).
pub(crate) const WIDTH_MAX: usize = 100;

const INDENT: usize = 2;

/// A text with the way it is to be painted, if anything is painted.
#[derive(Clone, Debug)]
pub(crate) struct Painted {
    pub(crate) text: String,
    pub(crate) paint: Paint,
}

/// Rows of equal length. The first and the last column are aligned left, those between right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Painted>>,
}

impl Painted {
    pub(crate) fn new(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Paint::new())
    }

    /// The text, painted if `colour`.
    pub(crate) fn render(&self, colour: bool) -> String {
        if !colour || self.paint == Paint::new() || self.text.is_empty() {
            return self.text.clone();
        }
        format!("{}{}{}", self.paint.render(), self.text, self.paint.render_reset())
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl Table {
    pub(crate) fn push(&mut self, row: Vec<Painted>) {
        self.rows.push(row);
    }

    /// The rows as lines.
    pub(crate) fn render(&self, colour: bool) -> Vec<String> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].width()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let gaps = columns.saturating_sub(1);
        let wide = INDENT + widths.iter().sum::<usize>() + 2 * gaps <= WIDTH_MAX;
        let gap = " ".repeat(if wide { 2 } else { 1 });
        let mut lines = Vec::new();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    let padding = " ".repeat(width - cell.width());
                    match column {
                        0 => format!("{}{padding}", cell.render(colour)),
                        _ if column + 1 == columns => cell.render(colour),
                        _ => format!("{padding}{}", cell.render(colour)),
                    }
                })
                .collect();
            lines.push(format!("{}{}", " ".repeat(INDENT), cells.join(&gap)).trim_end().to_owned());
        }
        lines
    }
}

/// Folds `text` at spaces, but not before a unit or around "±"; lines after the first are indented by `indent`.
pub(crate) fn fold(text: &str, indent: usize) -> String {
    const GLUE: &str = "\u{a0}";
    let body = text.trim_start();
    let body = body.replace(" ± ", &format!("{GLUE}±{GLUE}")).replace(" %", &format!("{GLUE}%"));
    let mut folded = " ".repeat(text.len() - text.trim_start().len());
    let mut width = folded.len();
    let mut first = true;
    for word in body.split(' ') {
        let length = word.chars().count();
        if !first && width + 1 + length > WIDTH_MAX {
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            width = indent;
        } else if !first {
            folded.push(' ');
            width += 1;
        }
        folded.push_str(word);
        width += length;
        first = false;
    }
    folded.push('\n');
    folded.replace(GLUE, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_not_bytes() {
        let mut table = Table::default();
        table.push(["a", "1 ± 2", "x"].map(Painted::plain).into());
        table.push(["long", "–", "y"].map(Painted::plain).into());
        assert_eq!(table.render(false), ["  a     1 ± 2  x", "  long      –  y"]);
    }

    #[test]
    fn painting_does_not_change_the_alignment() {
        let bold = Paint::new().bold();
        let mut table = Table::default();
        table.push(vec![Painted::plain("a"), Painted::new("1", bold), Painted::plain("x")]);
        assert_eq!(table.render(true), ["  a  \u{1b}[1m1\u{1b}[0m  x"]);
        assert_eq!(table.render(false), ["  a  1  x"]);
    }

    #[test]
    fn long_lines_fold_at_words() {
        let folded = fold(&"word ".repeat(40), 4);
        assert!(folded.lines().count() > 1);
        assert!(folded.lines().all(|line| line.chars().count() <= WIDTH_MAX));
        assert!(folded.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(fold("  indented", 4), "  indented\n");
        let glued = fold(&format!("{} 1 ± 2", "x".repeat(WIDTH_MAX - 5)), 2);
        assert!(glued.ends_with("\n  1 ± 2\n"), "{glued}");
    }
}
