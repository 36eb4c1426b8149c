//! `bench cluster`: a cluster in the background, to play with.
//!
//! A module per subcommand: [`up`], [`status`], [`down`], [`processes`] for kill and restart, [`links`] for partition and heal.
//! [`hosted`] is what differs where the replicas are on hosts with agents. What they share, the
//! directory and the processes, is the crate `cluster`.

mod down;
mod hosted;
mod links;
mod processes;
mod status;
mod up;

use std::{fmt::Write, process::ExitCode};

use cluster::{Description, Directory, Lock};
use protocols::{ReplicaId, ReplicaSet};
use tokio::runtime::{Builder, LocalOptions};

use crate::{
    cli::cluster::{ClusterArguments, ClusterCommand, DATA},
    exit::Failure,
    program,
};

pub(crate) fn run(arguments: &ClusterArguments) -> Result<ExitCode, Failure> {
    let directory = Directory::new(&arguments.data);
    match &arguments.command {
        ClusterCommand::Up(arguments) => up::run(&directory, arguments),
        ClusterCommand::Status => status::run(&directory),
        ClusterCommand::Kill(arguments) => processes::kill(&directory, &arguments.replicas),
        ClusterCommand::Restart(arguments) => processes::restart(&directory, &arguments.replicas),
        ClusterCommand::Partition(arguments) => links::partition(&directory, arguments),
        ClusterCommand::Heal => links::heal(&directory),
        ClusterCommand::Down(arguments) => down::run(&directory, arguments),
    }
}

impl From<cluster::Error> for Failure {
    /// Says what is wrong, and what to type next.
    fn from(error: cluster::Error) -> Self {
        let program = program::name();
        let stop =
            format!("stop what `pgrep -f '{program} node'` shows of it, then remove the directory");
        let remedy = match &error {
            cluster::Error::NoCluster { .. } => {
                format!(
                    ": start one with `{program} cluster up`, or name its directory with --data"
                )
            }
            cluster::Error::NeverFinished { .. } => {
                format!(": `{program} cluster up` makes it anew, `down` removes it")
            }
            cluster::Error::Foreign { .. } => {
                ": name a new or empty directory with --data".to_owned()
            }
            cluster::Error::Malformed { .. } => format!(": {stop}"),
            cluster::Error::OtherVersion { .. } => {
                format!(": use the program that made it for `{program} cluster down`, or {stop}")
            }
            _ => String::new(),
        };
        let text = format!("{error}{remedy}");
        if error.is_usage() { Self::usage(text) } else { Self::failed(text) }
    }
}

/// Keeps other commands from changing the cluster in `directory` while `command` does.
fn lock(directory: &Directory, command: &str) -> Result<Lock, Failure> {
    Ok(directory.lock_existing(&format!("{} cluster {command}", program::name()))?)
}

/// Runs `body` on a runtime of one thread.
pub(crate) fn block_on<T>(body: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?
        .block_on(body)
}

/// The replicas that were named, each once.
pub(super) fn named(
    description: &Description,
    argument: &str,
    numbers: &[u8],
) -> Result<ReplicaSet, Failure> {
    let replicas = description.replicas();
    let mut set = ReplicaSet::EMPTY;
    for number in numbers {
        if usize::from(*number) >= replicas {
            let last = replicas - 1;
            return Err(Failure::usage(format!(
                "{argument} {number}: there is no such replica: they are 0 to {last}"
            )));
        }
        set.insert(ReplicaId(*number));
    }
    Ok(set)
}

/// Says loudly, beside what is printed, that nobody is verified.
pub(super) fn warn(is_insecure: bool) {
    if is_insecure {
        say!(
            "warning: this cluster is insecure: nobody is verified, and whoever reaches a port of it can read and write \
             everything"
        );
    }
}

/// How `bench client …` and `bench cluster …` are typed for this cluster.
pub(super) fn typed(directory: &Directory, command: &str) -> String {
    match directory.root().to_str() {
        Some(DATA) => format!("{} {command}", program::name()),
        _ => format!("{} {command} --data {}", program::name(), directory.root().display()),
    }
}

/// "replica 1", "replicas 0 and 2", "replicas 0, 1 and 2".
fn list(set: ReplicaSet) -> String {
    let mut text = if set.len() == 1 { "replica " } else { "replicas " }.to_owned();
    for (place, id) in set.iter().enumerate() {
        let joint = match place {
            0 => "",
            _ if place + 1 == set.len() => " and ",
            _ => ", ",
        };
        let _ = write!(text, "{joint}{}", id.0);
    }
    text
}

/// What the living replicas can still do.
fn prospects(description: &Description) -> String {
    let (running, all) = (description.running(), description.replicas());
    match running.len() {
        0 => "no replica is left: nothing is answered until a majority is back".to_owned(),
        left if description.is_majority(running) => {
            format!("{left} of {all} are left, a majority: commands are answered on")
        }
        left => format!(
            "{left} of {all} are left, no majority: nothing is answered until {} is back",
            if 2 * (left + 1) > all { "one more" } else { "a majority" }
        ),
    }
}

/// A size for people.
fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_listed_in_words() {
        let set = |ids: &[u8]| ids.iter().map(|id| ReplicaId(*id)).collect();
        assert_eq!(list(set(&[1])), "replica 1");
        assert_eq!(list(set(&[0, 2])), "replicas 0 and 2");
        assert_eq!(list(set(&[0, 1, 4])), "replicas 0, 1 and 4");
    }
}
