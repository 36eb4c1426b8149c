//! The `bench` command: runs protocols side by side on a cluster of real processes and reports what was measured,
//! together with whether it was correct.
//!
//! [`cli`] is what users type, [`commands`] has a module per command, [`registry`] a line per
//! protocol. [`quic`] carries out one run on a cluster of replica processes and [`sim`] on a
//! simulated one, both with the clients of [`load`]; [`history`] records what these saw and judges
//! it. [`standing`] is a cluster in the background, for the commands that start it and that talk to
//! it.
//!
//! **Invariants.** Whatever ends this program, no process that it started is left running, but those of `cluster`, which are
//! written down. Every error is one line. One
//! thread does everything, so that the CPU time of the load's clients is that of this process; only simulations, whose time
//! is their own, have more.

mod cli;
mod commands;
mod exit;
mod history;
mod interrupt;
mod load;
mod output;
mod progress;
mod quic;
mod registry;
mod sim;
mod standing;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command},
    exit::Failure,
};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // One line, as for every error; unwinding then ends the child processes.
        let text = panic.to_string().replace('\n', " ");
        eprintln!("bench: this is a bug: {text}");
    }));
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
        Command::Node(arguments) => commands::node::run(*arguments),
    }
}
