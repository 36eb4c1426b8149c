//! How the program ends: its exit codes, and the one line that goes with a failure.

use std::{fmt::Display, process::ExitCode};

use node::interrupt::Interrupt;

/// A run failed: a process died, or something that was needed could not be done. Also after Ctrl-C.
pub(crate) const FAILED: u8 = 1;
/// The command line or the workload file cannot be used; nothing was started.
pub(crate) const USAGE: u8 = 2;
/// The figures may not be quoted, or are not what the workload file promises.
pub(crate) const NOT_VALID: u8 = 3;
/// Replicas or histories contradict each other.
pub(crate) const VIOLATION: u8 = 4;

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    line: String,
}

impl Failure {
    /// What was typed, or the file that it names, cannot be used.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self { code: USAGE, line: one_line(&error) }
    }

    /// Something failed on the way.
    pub(crate) fn failed(error: impl Display) -> Self {
        Self { code: FAILED, line: one_line(&error) }
    }

    /// Says why, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        say!("{}", self.line);
        ExitCode::from(self.code)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

/// Notices the signals that ask this program to end, from here on. Needs a runtime.
///
/// # Errors
/// If the system refuses.
pub(crate) fn signals() -> Result<Interrupt, Failure> {
    Interrupt::new().map_err(|error| Failure::failed(format!("cannot watch signals: {error}")))
}

fn one_line(error: &impl Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
