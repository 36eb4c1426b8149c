//! A program of one's own, which has this library and a protocol that no crate of the workspace
//! knows. The protocol is that of `docs/own-protocol`.
//!
//! This file is the program and its test: without [`ENTRIES`] in its environment it starts itself
//! with it.

#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use std::{
    env,
    process::{Command, ExitCode, Output},
};

use bench::{Entry, protocols::paxos::Paxos};
use turns::Turns;

#[expect(
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "a crate of one's own has lints of its own"
)]
#[path = "../../../docs/own-protocol/src/turns.rs"]
mod turns;

/// Names the protocols that the program is to bring.
const ENTRIES: &str = "OWN_ENTRIES";

const TINY: &str = "name = \"tiny\"\nprotocols = [\"turns\"]\nrepetitions = 1\n\
    load = { clients_per_site = 2, warmup_s = 0.1, duration_s = 0.3 }\n";

fn main() -> ExitCode {
    match env::var(ENTRIES).as_deref() {
        Ok("turns") => bench::main_with([Entry::of::<Turns>()]),
        Ok("turns twice") => bench::main_with([Entry::of::<Turns>(), Entry::of::<Turns>()]),
        Ok("paxos") => bench::main_with([Entry::of::<Paxos>()]),
        Ok("none") => bench::main(),
        Ok(other) => panic!("{other:?} is no set of protocols"),
        Err(_) => {
            a_name_that_is_taken_is_one_line();
            it_is_there_by_name_only_where_it_was_brought();
            it_survives_hostile_schedules();
            its_replicas_are_this_executable();
            ExitCode::SUCCESS
        }
    }
}

fn started(entries: &str, arguments: &[&str]) -> Output {
    let program = env::current_exe().unwrap();
    Command::new(program).env(ENTRIES, entries).args(arguments).output().unwrap()
}

/// Ends with `code`; what it printed.
fn ended(entries: &str, arguments: &[&str], code: i32) -> (String, String) {
    let output = started(entries, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (stdout, stderr)
}

fn a_name_that_is_taken_is_one_line() {
    for (entries, name) in [("turns twice", "turns"), ("paxos", "paxos")] {
        let (stdout, stderr) = ended(entries, &["list"], 2);
        assert_eq!(stdout, "");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let line = format!(": another protocol is called \"{name}\"\n");
        assert!(stderr.starts_with("own-") && stderr.ends_with(&line), "{stderr}");
    }
}

fn it_is_there_by_name_only_where_it_was_brought() {
    let completions = ["completions", "bash"];
    let listed =
        |entries| ended(entries, &completions, 0).0.contains("paxos multi-paxos epaxos turns\"");
    assert!(listed("turns") && !listed("none"));
    let soak = ["soak", "--protocol", "turns", "--seeds", "1"];
    let (_, stderr) = ended("none", &soak, 2);
    assert!(stderr.contains("\"turns\" is no protocol"), "{stderr}");
}

fn it_survives_hostile_schedules() {
    let (stdout, _) = ended("turns", &["soak", "--protocol", "turns", "--seeds", "20"], 0);
    assert!(stdout.contains("No violation, no seed unfinished"), "{stdout}");
}

fn its_replicas_are_this_executable() {
    let place = tempfile::tempdir().unwrap();
    let [file, out] = ["w.toml", "out"].map(|name| place.path().join(name));
    std::fs::write(&file, TINY).unwrap();
    let [file, out] = [&file, &out].map(|path| path.to_str().unwrap());
    let output = started("turns", &["run", file, "--out", out, "--quiet"]);
    // A busy machine makes a run not valid to quote.
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{stdout}");
    assert!(stdout.contains("\n  Turns ") && stdout.contains("linearizable ("), "{stdout}");
}
