//! `bench cluster down`: stops everything and removes it.

use std::{process::ExitCode, time::Duration};

use super::{block_on, hosted, lock, mebibytes, typed};
use cluster::{Description, Directory, Lines, Process};

use crate::{cli::cluster::DownArguments, exit::Failure, output};

/// Chosen: a replica answers before it stops, and then needs as long as its farewell.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(directory: &Directory, arguments: &DownArguments) -> Result<ExitCode, Failure> {
    let lock = lock(directory, "down")?;
    let root = directory.root().display().to_string();
    let Some(mut description) = directory.described()? else {
        directory.remove(&lock)?;
        output::print(&format!("removed {root}, where a cluster was never finished\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let stopped = match &description.lab {
        Some(_) if arguments.keep => {
            let text = "--keep: the replicas of this cluster are on other hosts, where their agents keep them up: stop those";
            return Err(Failure::usage(text));
        }
        Some(lab) => {
            hosted::down(directory, &description, lab, &lock)?;
            description.replicas()
        }
        None => stop(directory, &description)?,
    };
    let mut text = match stopped {
        0 => "no replica was alive".to_owned(),
        1 => "stopped 1 replica".to_owned(),
        stopped => format!("stopped {stopped} replicas"),
    };
    if arguments.keep {
        directory.sync(description.replicas())?;
        description.stopped = true;
        directory.describe(&description)?;
        let up = typed(directory, "cluster up");
        text.push_str(&format!(" and kept {root}: `{up}` starts the cluster again\n"));
    } else {
        let removed = directory.remove(&lock)?;
        let size = mebibytes(removed.bytes);
        text.push_str(&format!(" and removed {root} ({size} of data, logs and keys)"));
        text.push_str(if removed.whole { "\n" } else { ", but for what others put there\n" });
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Stops every replica: asks those that run, kills what does not go. Returns how many there were.
fn stop(directory: &Directory, description: &Description) -> Result<usize, Failure> {
    let (alive, running) = (description.alive(), description.running());
    let asked = block_on(async {
        let lines = Lines::new(directory, description)?;
        lines.shut_down(running).await;
        Ok(())
    });
    if let Err(failure) = asked {
        // Keys that cannot be read do not keep anything running.
        say!("the replicas are killed, as they cannot be asked to stop: {failure}");
    }
    let processes: Vec<Process> = alive.iter().filter_map(|id| description.process(id)).collect();
    for process in &processes {
        let is_asked = running.iter().any(|id| description.process(id) == Some(*process));
        if !(is_asked && process.is_gone_within(STOP_TIMEOUT)) {
            process.kill()?;
        }
    }
    Ok(processes.len())
}
