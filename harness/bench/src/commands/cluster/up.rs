//! `bench cluster up`: starts a cluster, or one again that was stopped or died.

use std::{fmt::Write, process::ExitCode};

use cluster::{
    Description, Directory, Lines, Lock, boot_id,
    start::{self, Starting},
};
use driver::storage::Durability;
use protocols::{Config, ReplicaId, ReplicaSet, registry};

use super::{block_on, hosted, list, typed, warn};
use crate::{
    cli::cluster::UpArguments,
    exit::{self, Failure},
    output, program,
};

pub(super) const REPLICAS: usize = 3;
/// What the killing of processes does not harm, at next to no cost.
pub(super) const DURABILITY: Durability = Durability::Buffered;
/// Between looking for a port and binding it another process may take it.
const PORT_ATTEMPTS: u32 = 3;

pub(super) fn run(directory: &Directory, arguments: &UpArguments) -> Result<ExitCode, Failure> {
    let lock = directory.lock_or_make(&format!("{} cluster up", program::name()))?;
    let text = match directory.described()? {
        None => match &arguments.on {
            Some(file) => hosted::up(directory, arguments, file, &lock)?,
            None => anew(directory, arguments, &lock)?,
        },
        Some(description) if description.lab.is_some() => {
            check_same(directory, &description, arguments)?;
            hosted::again(directory, &description)?
        }
        Some(description) => again(directory, description, arguments, &lock)?,
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A new cluster. If it does not come up, nothing is left of it.
fn anew(directory: &Directory, arguments: &UpArguments, lock: &Lock) -> Result<String, Failure> {
    warn(arguments.insecure);
    let made = make(directory, arguments, lock);
    if made.is_err() && directory.remove(lock).is_err() {
        say!("{}: cannot be removed: remove it by hand", directory.root().display());
    }
    let description = made?;
    Ok(told(directory, &description, "are up"))
}

fn make(
    directory: &Directory,
    arguments: &UpArguments,
    lock: &Lock,
) -> Result<Description, Failure> {
    let replicas = arguments.replicas.unwrap_or(REPLICAS);
    let addresses = start::addresses(replicas, arguments.base_port)?;
    directory.furnish(replicas, arguments.insecure)?;
    let protocol = arguments.protocol.unwrap_or(registry::USUAL);
    let durability = arguments.durability.unwrap_or(DURABILITY);
    let config = Config::new(replicas);
    let mut description =
        Description::new(protocol, durability, arguments.insecure, config, addresses);
    start_all(directory, &mut description, arguments.base_port.is_none(), lock)?;
    Ok(description)
}

/// A cluster that is there already, none of its replicas alive.
fn again(
    directory: &Directory,
    mut description: Description,
    arguments: &UpArguments,
    lock: &Lock,
) -> Result<String, Failure> {
    check_alive(directory, &description)?;
    check_same(directory, &description, arguments)?;
    check_kept(directory, &description, arguments)?;
    warn(description.is_insecure);
    let is_moved = match arguments.base_port {
        Some(base) => {
            let wanted = start::addresses(description.replicas(), Some(base))?;
            std::mem::replace(&mut description.addresses, wanted) != description.addresses
        }
        None => start::replace_taken(&mut description.addresses)?,
    };
    let was_stopped = description.stopped;
    description.boot_id = boot_id();
    description.stopped = false;
    description.cut.clear();
    start_all(directory, &mut description, arguments.base_port.is_none(), lock)?;
    let mut done = "are up again".to_owned();
    if !was_stopped {
        done.push_str(", which had died");
    }
    if is_moved {
        done.push_str(", on other ports");
    }
    Ok(told(directory, &description, &done))
}

/// Is it up already?
fn check_alive(directory: &Directory, description: &Description) -> Result<(), Failure> {
    let (root, alive) = (directory.root().display(), description.alive());
    if alive.is_empty() {
        return Ok(());
    }
    let dead = ReplicaSet::all(description.replicas()).difference(alive);
    Err(Failure::usage(if dead.is_empty() {
        let (status, down) = (typed(directory, "cluster status"), typed(directory, "cluster down"));
        format!("{root}: this cluster is up already: `{status}` shows it, `{down}` stops it")
    } else {
        let numbers: Vec<String> = dead.iter().map(|id| id.0.to_string()).collect();
        let restart = typed(directory, &format!("cluster restart {}", numbers.join(" ")));
        format!(
            "{root}: this cluster is up already, but {} died: `{restart}` starts what is dead again",
            list(dead)
        )
    }))
}

/// Is it what was asked for?
fn check_same(
    directory: &Directory,
    description: &Description,
    arguments: &UpArguments,
) -> Result<(), Failure> {
    let (root, down) = (directory.root().display(), typed(directory, "cluster down"));
    let differs = |asked: String, is: String| {
        Err(Failure::usage(format!(
            "{asked}: the cluster in {root} is of {is}: leave it away to start that one again, or remove it with \
             `{down}`"
        )))
    };
    if let Some(replicas) = arguments.replicas.filter(|asked| *asked != description.replicas()) {
        return differs(format!("-n {replicas}"), format!("{} replicas", description.replicas()));
    }
    if let Some(protocol) = arguments.protocol.filter(|asked| *asked != description.protocol) {
        return differs(format!("--protocol {protocol}"), description.protocol.to_string());
    }
    if let Some(durability) = arguments.durability.filter(|asked| *asked != description.durability)
    {
        let is = format!("durability {}", description.durability);
        return differs(format!("--durability {durability}"), is);
    }
    if arguments.on.is_some() && description.lab.is_none() {
        return differs("--on".to_owned(), "replicas on this host".to_owned());
    }
    if arguments.insecure && !description.is_insecure {
        return differs("--insecure".to_owned(), "replicas that verify everybody".to_owned());
    }
    Ok(())
}

/// Is everything there that the replicas had written?
fn check_kept(
    directory: &Directory,
    description: &Description,
    arguments: &UpArguments,
) -> Result<(), Failure> {
    let (root, down) = (directory.root().display(), typed(directory, "cluster down"));
    let went_down = !description.stopped && !description.is_of_this_boot();
    match description.durability {
        Durability::Memory => Err(Failure::usage(format!(
            "{root}: the cluster that was here kept everything in memory, and its replicas have ended: `{down}` removes \
             what is left"
        ))),
        // A replica that forgets what it promised can make the others lose what was acknowledged.
        Durability::Buffered if went_down && !arguments.accept_loss => {
            Err(Failure::usage(format!(
                "{root}: the machine went down while this cluster was up, and with durability buffered what was written last \
             may not have reached the disk: `{down}` removes it, and --accept-loss starts it all the same"
            )))
        }
        Durability::Buffered | Durability::Fsync => Ok(()),
    }
}

/// Starts every replica and waits until they are connected.
fn start_all(
    directory: &Directory,
    description: &mut Description,
    may_move: bool,
    lock: &Lock,
) -> Result<(), Failure> {
    block_on(async {
        let mut interrupt = exit::signals()?;
        let mut attempt = 1;
        loop {
            let mut starting = Starting::default();
            for id in ReplicaId::all(description.replicas()) {
                starting.start(directory, description, id, lock)?;
            }
            let lines = Lines::new(directory, description)?;
            let up = starting
                .wait_until_up(&lines, description, ReplicaSet::EMPTY, &mut interrupt)
                .await;
            match up {
                Ok(()) => {
                    starting.keep();
                    return Ok(());
                }
                Err(down) if down.is_port_taken() && may_move && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                    drop(starting);
                    start::replace_taken(&mut description.addresses)?;
                }
                Err(down) => return Err(Failure::failed(down)),
            }
        }
    })
}

/// What is up, and what to try next.
pub(super) fn told(directory: &Directory, description: &Description, done: &str) -> String {
    let mut text = format!(
        "{} replicas of {} (durability {}) {done} in {}\n\n",
        description.replicas(),
        description.protocol,
        description.durability,
        directory.root().display(),
    );
    let mut rows = vec![["replica", "process", "address"].map(str::to_owned)];
    for id in ReplicaId::all(description.replicas()) {
        let pid =
            description.process(id).map_or_else(String::new, |process| process.pid.to_string());
        rows.push([id.0.to_string(), pid, description.addresses[id.index()].to_string()]);
    }
    for line in output::aligned(&rows).lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("\nTry\n");
    for command in [
        "client put 114 514",
        "client get 114 --server all",
        "client batch-put -N 1000 --pipeline 1000 --random-key --random-server",
        "cluster kill 0",
        "cluster restart 0",
        "cluster partition 0",
        "cluster heal",
        "cluster status",
        "cluster down",
    ] {
        let _ = writeln!(text, "  {}", typed(directory, command));
    }
    text
}
