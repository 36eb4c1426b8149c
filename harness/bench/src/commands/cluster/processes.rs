//! `bench cluster kill` and `restart`.

use std::{process::ExitCode, time::Instant};

use cluster::{Description, Directory, Lines, Lock, start::Starting};
use driver::storage::Durability;
use protocols::ReplicaSet;

use super::{block_on, hosted, links, list, lock, named, prospects, typed};
use crate::{
    exit::{self, Failure},
    output,
};

pub(super) fn kill(directory: &Directory, numbers: &[u8]) -> Result<ExitCode, Failure> {
    let _lock = lock(directory, "kill")?;
    let description = directory.description()?;
    let victims = named(&description, "kill", numbers)?;
    let dead = victims.difference(description.alive());
    if !dead.is_empty() {
        let verb = if dead.len() == 1 { "is" } else { "are" };
        return Err(Failure::usage(format!("{} {verb} dead already", list(dead))));
    }
    if let Some(lab) = &description.lab {
        return hosted::kill(directory, &description, lab, victims);
    }
    kill_all(&description, victims)?;
    let mut text = format!("killed {}: {}\n", list(victims), prospects(&description));
    text.push_str(&format!("  {}\n", typed(directory, "cluster status")));
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn kill_all(description: &Description, victims: ReplicaSet) -> Result<(), Failure> {
    for process in victims.iter().filter_map(|id| description.process(id)) {
        process.kill()?;
    }
    Ok(())
}

pub(super) fn restart(directory: &Directory, numbers: &[u8]) -> Result<ExitCode, Failure> {
    let lock = lock(directory, "restart")?;
    let mut description = directory.description()?;
    let wanted = named(&description, "restart", numbers)?;
    check_can_return(directory, &description)?;
    if let Some(lab) = &description.lab {
        return hosted::restart(directory, &description, lab, wanted);
    }
    let killed: ReplicaSet = wanted.intersection(description.alive());
    kill_all(&description, killed)?;
    let begun = Instant::now();
    block_on(bring_back(directory, &mut description, wanted, &lock))?;
    let verb = if wanted.len() == 1 { "is" } else { "are" };
    let mut text =
        format!("{} {verb} back after {:.2} s", list(wanted), begun.elapsed().as_secs_f64());
    if !killed.is_empty() {
        text.push_str(&format!("; {} had been alive and was killed first", list(killed)));
    }
    text.push('\n');
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// May a replica of this cluster start again by itself?
fn check_can_return(directory: &Directory, description: &Description) -> Result<(), Failure> {
    let (up, down) = (typed(directory, "cluster up"), typed(directory, "cluster down"));
    if description.durability == Durability::Memory {
        return Err(Failure::usage(format!(
            "restart: with durability memory a replica that died has forgotten what it promised, and the others refuse \
             it: `{down}` and `{up} --durability buffered`"
        )));
    }
    let is_down = description.stopped || !description.is_of_this_boot();
    if is_down && description.lab.is_none() {
        return Err(Failure::usage(format!(
            "restart: the whole cluster is down: `{up}` starts it"
        )));
    }
    Ok(())
}

async fn bring_back(
    directory: &Directory,
    description: &mut Description,
    wanted: ReplicaSet,
    lock: &Lock,
) -> Result<(), Failure> {
    let mut interrupt = exit::signals()?;
    let lines = Lines::new(directory, description)?;
    let mut starting = Starting::default();
    for id in wanted.iter() {
        starting.start(directory, description, id, lock)?;
    }
    let others = description.running().difference(wanted);
    match starting.wait_until_up(&lines, description, others, &mut interrupt).await {
        Ok(()) => {
            links::announce_cuts(&lines, wanted, description).await?;
            starting.keep();
            Ok(())
        }
        Err(down) if down.is_port_taken() => Err(Failure::failed(format!(
            "{down}: free that port, or move the whole cluster: `{} --keep`, then `up`",
            typed(directory, "cluster down")
        ))),
        Err(down) => Err(Failure::failed(down)),
    }
}
