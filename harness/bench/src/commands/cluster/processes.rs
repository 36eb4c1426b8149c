//! `bench cluster kill` and `restart`.

use std::process::ExitCode;

use protocols::ReplicaSet;

use super::{list, named, prospects, typed};
use crate::{
    exit::Failure,
    output,
    standing::{Description, Directory},
};

pub(super) fn kill(directory: &Directory, numbers: &[u8]) -> Result<ExitCode, Failure> {
    let _lock = directory.lock_existing("kill")?;
    let description = directory.description()?;
    let victims = named(&description, "kill", numbers)?;
    let dead = victims.difference(description.alive());
    if !dead.is_empty() {
        let verb = if dead.len() == 1 { "is" } else { "are" };
        return Err(Failure::usage(format!("{} {verb} dead already", list(dead))));
    }
    kill_all(&description, victims)?;
    let mut text = format!("killed {}: {}\n", list(victims), prospects(&description));
    text.push_str(&format!("  {}\n", typed(directory, "cluster status")));
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn kill_all(description: &Description, victims: ReplicaSet) -> Result<(), Failure> {
    for process in victims.iter().filter_map(|id| description.process(id)) {
        process.kill().map_err(Failure::failed)?;
    }
    Ok(())
}

pub(super) fn restart(directory: &Directory, numbers: &[u8]) -> Result<ExitCode, Failure> {
    let _lock = directory.lock_existing("restart")?;
    let description = directory.description()?;
    let _wanted = named(&description, "restart", numbers)?;
    let down = typed(directory, "cluster down");
    Err(Failure::usage(format!(
        "restart: the cluster keeps everything in memory, and a killed replica has forgotten what it promised: \
         `{down}`, then `up`"
    )))
}
