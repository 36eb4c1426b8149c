//! The `bench` command: runs protocols side by side on a cluster of real processes and reports what
//! was measured, together with whether it was correct.
//!
//! A program that has this library is the command. [`main`] knows the protocols of this repository;
//! [`main_with`] knows others as well, from a crate of one's own. `docs/own-protocol` is such a
//! crate:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! # use bench::protocols::paxos::Paxos as Mine;
//! fn main() -> ExitCode {
//!     bench::main_with([bench::Entry::of::<Mine>()])
//! }
//! ```
//!
//! The replica processes of a run are the same executable, started again, so that it serves what it
//! measures.
//!
//! `cli` is what users type, `commands` has a module per command, `registry` a line per protocol.
//! A run itself is the crate `run`, a cluster in the background the crate `cluster`.
//!
//! **Invariants.** Whatever ends this program, no process that it started is left running, but
//! those of `cluster`, which are written down. Every error is one line. One thread does everything,
//! so that the CPU time of the load's clients is that of this process; only simulations, whose time
//! is their own, have more.

#[macro_use]
mod program;

mod cli;
mod commands;
mod exit;
mod explored;
mod lab;
mod output;
mod progress;
mod registry;
mod subject;

use std::process::ExitCode;

pub use protocols;

pub use crate::registry::Entry;
use crate::{
    cli::{Cli, Command},
    exit::Failure,
};

/// Is the command `bench`, with the protocols of this repository: reads the command line, does what
/// it asks for, and says how that went.
pub fn main() -> ExitCode {
    main_with([])
}

/// Is the command `bench`, with the protocols of this repository and `own`, in this order. A
/// protocol whose name or facts cannot be used is one line on standard error and exit code 2, as is
/// a command line that cannot be used.
///
/// It takes the process over: it sets the panic hook and handles signals.
pub fn main_with(own: impl IntoIterator<Item = Entry>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // One line, as for every error; unwinding then ends the child processes.
        let text = panic.to_string().replace('\n', " ");
        say!("this is a bug: {text}");
    }));
    program::remember();
    // The parser lists the protocols: they must be known before it is made.
    if let Err(refused) = registry::add(own) {
        return Failure::usage(refused).report();
    }
    registry::tell_report();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Plot(arguments) => commands::plot::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Published(arguments) => commands::published::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Soak(arguments) => commands::soak::run(&arguments),
        Command::Replay(arguments) => commands::replay::run(&arguments),
        Command::Explore(arguments) => commands::explore::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Cluster(arguments) => commands::cluster::run(&arguments),
        Command::Client(arguments) => commands::client::run(&arguments),
        Command::List => commands::list::run(),
        Command::Calibrate(arguments) => commands::calibrate::run(&arguments),
        Command::Agreement(arguments) => commands::agreement::run(&arguments),
        Command::Topology(arguments) => commands::topology::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Hosts(arguments) => commands::hosts::run(&arguments),
        Command::Keys(arguments) => commands::keys::run(&arguments),
        Command::Agent(arguments) => commands::agent::run(&arguments),
        Command::Node(arguments) => commands::node::run(*arguments),
    }
}
