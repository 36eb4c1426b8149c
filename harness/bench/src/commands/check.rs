//! `bench check`: is a history file linearizable?

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use check::{Budget, Verdict, formats};

use crate::{
    cli::CheckArguments,
    exit::{self, Failure},
    output,
};

pub(crate) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let file = arguments.history.display();
    let text = fs::read(&arguments.history).map_err(|error| {
        Failure::usage(format!("{file}: cannot be read ({error}): name a file"))
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| Failure::usage(format!("{file}: is no text: name a history file")))?;
    let format = arguments.history_format.map(Into::into);
    let mut history =
        formats::parse(&text, format).map_err(|error| Failure::usage(format!("{file}:{error}")))?;
    if let Some(key) = &arguments.key {
        history = history.only(key.as_bytes());
        if history.operations().is_empty() {
            let remedy = "no operation is on this key: name one that the file has";
            return Err(Failure::usage(format!("{file}: --key {key}: {remedy}")));
        }
    }
    let budget = Budget {
        steps_max: u64::MAX,
        memory_bytes_max: usize::try_from(arguments.memory_mb << 20).unwrap_or(usize::MAX),
    };
    let start = Instant::now();
    let patience = Duration::from_secs(arguments.timeout_s);
    let verdict = check::check(&history, &budget, &mut || start.elapsed() < patience);
    let (text, code) = told(&verdict);
    output::print(&text)?;
    Ok(ExitCode::from(code))
}

fn told(verdict: &Verdict) -> (String, u8) {
    match verdict {
        Verdict::Linearizable { operations, keys } => {
            let keys = if *keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
            (format!("linearizable: {operations} operations on {keys}\n"), 0)
        }
        Verdict::NotLinearizable(witness) => {
            (format!("not linearizable: {witness}\n"), exit::VIOLATION)
        }
        Verdict::Unknown { key, reason } => {
            let key = key.escape_ascii();
            let remedy = "raise --timeout-s or --memory-mb";
            (format!("unknown: no more {reason} for key \"{key}\": {remedy}\n"), exit::NOT_VALID)
        }
    }
}
