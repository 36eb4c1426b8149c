//! Golden scripts: schedules that read as sequence diagrams and run as tests. `testdata/README.md` explains the language.
//!
//! A script is a text of comments, directives and, indented below each directive, what the replicas did about it. Running it
//! carries the directives out and compares. A rewriting run puts what happened in place of what was written; it is reviewed
//! as any other change.
//!
//! After every directive agreement and visibility are checked, whatever the script says.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directive;
mod expect;
#[path = "../net.rs"]
mod net;
mod pattern;
mod stage;
mod words;

use stage::Stage;
pub use words::Words;

/// How strictly a script is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every message and timer named is there, and what happens is what is written.
    Strict,
    /// As far as it goes: what is named and not there is passed over, and what is written is not compared. The
    /// expectations and the invariants alone decide. For cores that are known to be wrong.
    Lenient,
}

/// Runs the script `text` with the cores `R`, each configured by the script. Returns the script
/// with what happened in it; fails with the line at which a rule or an expectation is broken.
pub fn run<R: Words>(text: &str, mode: Mode) -> Result<String, String> {
    let mut net: Option<Stage<R>> = None;
    let mut rewritten = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("  ") {
            continue; // What was written about the directive before.
        }
        rewritten.push_str(line);
        rewritten.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |error: String| format!("line {number}: {line}: {error}");
        let done = directive::carry_out(&mut net, line, mode);
        let done =
            done.and_then(|()| net.as_mut().expect("the first directive makes it").world.check());
        done.map_err(at)?;
        for line in net.as_mut().expect("checked above").world.take_lines() {
            rewritten.push_str("  ");
            rewritten.push_str(&line);
            rewritten.push('\n');
        }
    }
    Ok(rewritten)
}

/// Runs the script at `path` strictly, and compares or, if the environment says `GOLDEN=rewrite`, rewrites it.
pub fn check_file<R: Words>(path: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let happened = run::<R>(&text, Mode::Strict).unwrap_or_else(|error| panic!("{path}: {error}"));
    if happened == text {
        return;
    }
    if std::env::var("GOLDEN").is_ok_and(|mode| mode == "rewrite") {
        std::fs::write(path, happened).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let differing = (1..).zip(text.lines().zip(happened.lines())).find(|(_, (a, b))| a != b);
    let (line, (written, happened)) = differing.unwrap_or((0, ("", "one ends before the other")));
    panic!(
        "{path}, line {line}:\n  written  {written}\n  happened {happened}\nIf that is as it should be, run with \
         GOLDEN=rewrite and review the difference"
    );
}
