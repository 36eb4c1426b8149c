//! The table of mutants: what notices each of them.

use std::fmt;

use protocols::mutant::Mutant;

use crate::{Subject, scripts, soak};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/reference/mutants.md");

const HEAD: &str = "\
# Mutants

Wrong versions of the cores, of the driver and of the state machine (`protocols/src/mutant.rs`), and what notices them:
hostile seeds as `bench soak` runs them, with linearizability judged, counted from seed 0 to the first that breaks a rule; and
the golden scripts (`protocols/testdata/`) that end in a broken rule or expectation when the cores make the mistake.

Written by `MUTANTS=write cargo test --release -p sim --features mutants --test mutants`. Any change of the
cores or of the hostile scenarios deals the seeds anew: their number says how hard a mutant is to come by, no more. No number
means that 2,000 seeds did not notice it.

| mutant | protocol | killed by | seeds | rule broken |
|---|---|---|---|---|
";

/// What stands in the place of a killer.
const SURVIVES: &str = "**survives**";

/// What became of one mutant under one protocol.
pub(crate) struct Row {
    pub(crate) mutant: Mutant,
    pub(crate) subject: Subject,
    pub(crate) soak: Option<soak::Kill>,
    pub(crate) scripts: Vec<scripts::Kill>,
}

impl Row {
    pub(crate) fn is_killed(&self) -> bool {
        self.soak.is_some() || !self.scripts.is_empty()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.scripts.iter().map(|kill| format!("`{}`", kill.script));
        let killers: Vec<_> = self.soak.iter().map(|_| "soak".to_owned()).chain(names).collect();
        let killers = if killers.is_empty() { SURVIVES.to_owned() } else { killers.join(", ") };
        let seeds = self.soak.as_ref().map_or("–".to_owned(), |kill| kill.seeds.to_string());
        let mut rules: Vec<_> = self.soak.iter().map(|kill| kill.rule.as_str()).collect();
        rules.extend(self.scripts.iter().map(|kill| kill.rule.as_str()));
        rules.sort_unstable();
        rules.dedup();
        let (mutant, subject) = (self.mutant, self.subject);
        let rules = rules.join(", ");
        write!(f, "| {mutant:?} | {subject} | {killers} | {seeds} | {rules} |")
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes the table that is committed.
pub(crate) fn write(rows: &[Row]) {
    let mut text = HEAD.to_owned();
    for row in rows {
        text += &format!("{row}\n");
    }
    std::fs::write(PATH, text).unwrap_or_else(|error| panic!("{PATH}: {error}"));
}

/// The committed table has every row, and says of none that it survives. Seeds are not compared: they change with every
/// change of the cores.
pub(crate) fn check(rows: &[Row]) {
    let text = std::fs::read_to_string(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}"));
    for Row { mutant, subject, .. } in rows {
        let head = format!("| {mutant:?} | {subject} | ");
        let row = text.lines().find(|line| line.starts_with(&head));
        let row = row
            .unwrap_or_else(|| panic!("{PATH}: {head}… is missing: write it with MUTANTS=write"));
        assert!(!row.contains(SURVIVES), "{PATH}: {row}");
    }
}
