//! `bench cluster` for a cluster whose replicas are on hosts with agents.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use cluster::{Description, Directory, Lines, Lock, hosted};
use node::{
    address::Address,
    agent::{
        lab::{Lab, PORT},
        line::Driver,
    },
    identity,
};
use protocols::{Config, ReplicaSet, registry};

use super::{block_on, links, list, typed, up};
use crate::{
    cli::cluster::UpArguments,
    exit::{self, Failure},
    lab, output,
};

/// Chosen: agents that wait for their keys notice them soon, and containers start within seconds.
const AGENTS_TIMEOUT: Duration = Duration::from_secs(60);
const AGENTS_POLL: Duration = Duration::from_millis(200);

/// A new cluster on the hosts that `--on` names.
pub(super) fn up(
    directory: &Directory,
    arguments: &UpArguments,
    file: &std::path::Path,
    lock: &Lock,
) -> Result<String, Failure> {
    if arguments.insecure || arguments.base_port.is_some() {
        let text = "--on: a cluster on several hosts verifies everybody, and its agents find its ports: leave --insecure \
             and --base-port away";
        return Err(Failure::usage(text));
    }
    if let Some(keys) = &arguments.new_keys {
        let is_there = keys.join("driver/authority.pem").exists();
        if !is_there {
            identity::create_lab(keys).map_err(Failure::failed)?;
        }
    }
    let laboratory = lab::load(file)?;
    laboratory.check_lasting()?;
    let lab = laboratory.lab;
    let replicas = arguments.replicas.unwrap_or(up::REPLICAS);
    lab::check_room(&lab, file, replicas)?;
    let made = make(directory, arguments, &lab, replicas, lock);
    if made.is_err() && directory.remove(lock).is_err() {
        say!("{}: cannot be removed: remove it by hand", directory.root().display());
    }
    let description = made?;
    Ok(up::told(directory, &description, "are up"))
}

fn make(
    directory: &Directory,
    arguments: &UpArguments,
    lab: &Lab,
    replicas: usize,
    lock: &Lock,
) -> Result<Description, Failure> {
    directory.furnish(replicas, false)?;
    let protocol = arguments.protocol.unwrap_or(registry::USUAL);
    let durability = arguments.durability.unwrap_or(up::DURABILITY);
    // Until their agents have found ports for them.
    let nowhere = vec![Address::Named { host: "nowhere".to_owned(), port: PORT }; replicas];
    let config = Config::new(replicas);
    let mut description = Description::new(protocol, durability, false, config, nowhere);
    description.lab = Some(lab.clone());
    let patience = arguments.new_keys.is_some().then_some(AGENTS_TIMEOUT);
    with_driver(lab, async |driver| {
        let mut interrupt = exit::signals()?;
        reach(driver, lab, replicas, patience).await?;
        let started = async {
            hosted::start(directory, &mut description, driver, lock).await?;
            let lines = Lines::new(directory, &description)?;
            hosted::wait_until_up(&lines, &description, &mut interrupt).await
        };
        let started = started.await;
        if started.is_err() {
            // Nothing is left of it, as far as its hosts can be reached.
            let _ = hosted::end(directory, &description, driver, lock).await;
        }
        Ok(started?)
    })?;
    Ok(description)
}

/// Waits for the agents, if that is asked for.
async fn reach(
    driver: &Driver,
    lab: &Lab,
    replicas: usize,
    patience: Option<Duration>,
) -> Result<(), Failure> {
    let hosts = lab.hosts_of(replicas).unwrap_or_default();
    let deadline = Instant::now() + patience.unwrap_or_default();
    loop {
        match driver.connect_all(&hosts).await {
            Ok(lines) => {
                for line in lines {
                    line.leave().await.map_err(Failure::failed)?;
                }
                return Ok(());
            }
            Err(_) if Instant::now() < deadline => tokio::time::sleep(AGENTS_POLL).await,
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

/// A cluster that is there already: its agents start its replicas by themselves.
pub(super) fn again(directory: &Directory, description: &Description) -> Result<String, Failure> {
    block_on(async {
        let mut interrupt = exit::signals()?;
        let lines = Lines::new(directory, description)?;
        Ok(hosted::wait_until_up(&lines, description, &mut interrupt).await?)
    })?;
    Ok(up::told(directory, description, "are up"))
}

pub(super) fn kill(
    directory: &Directory,
    description: &Description,
    lab: &Lab,
    victims: ReplicaSet,
) -> Result<ExitCode, Failure> {
    with_driver(lab, async |driver| {
        Ok(hosted::kill(directory, description, driver, victims).await?)
    })?;
    output::print(&format!(
        "killed {}\n  {}\n",
        list(victims),
        typed(directory, "cluster status")
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restart(
    directory: &Directory,
    description: &Description,
    lab: &Lab,
    wanted: ReplicaSet,
) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    with_driver(lab, async |driver| {
        let mut interrupt = exit::signals()?;
        hosted::restart(directory, description, driver, wanted).await?;
        let lines = Lines::new(directory, description)?;
        hosted::wait_until_up(&lines, description, &mut interrupt).await?;
        links::announce_cuts(&lines, wanted, description).await
    })?;
    let verb = if wanted.len() == 1 { "is" } else { "are" };
    let took = begun.elapsed().as_secs_f64();
    output::print(&format!("{} {verb} back after {took:.2} s\n", list(wanted)))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends every replica and removes what it kept.
pub(super) fn down(
    directory: &Directory,
    description: &Description,
    lab: &Lab,
    lock: &Lock,
) -> Result<(), Failure> {
    with_driver(lab, async |driver| Ok(hosted::end(directory, description, driver, lock).await?))
}

fn with_driver<T>(
    lab: &Lab,
    body: impl AsyncFnOnce(&Driver) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let driver = lab::driver(lab)?;
        let done = body(&driver).await;
        lab::farewell(&driver).await;
        done
    })
}
