//! Ctrl-C and its like: noticed between and during runs, so that what was measured is kept and children are ended.
//!
//! A terminal that hangs up is not among them: `nohup` relies on that signal being left alone, and the children of a
//! process that it ends die with it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this program to end.
#[derive(Debug)]
pub struct Interrupt {
    terminal: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// From here on the signals are noticed instead of ending the process. Needs a runtime.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminal: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them; says which.
    pub async fn raised(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminal.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
