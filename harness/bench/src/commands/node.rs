//! `bench node`: one replica.

use std::process::ExitCode;

use driver::storage::Durability;
use nix::unistd::setsid;
use node::{emulator::NetworkPlan, failpoint, replica_process::Options};
use protocols::{Config, ReplicaId, id::REPLICAS_MAX};

use crate::{cli::NodeArguments, exit::Failure, registry};

pub(crate) fn run(arguments: NodeArguments) -> Result<ExitCode, Failure> {
    let replicas = arguments.peers.len();
    if !(1..=REPLICAS_MAX).contains(&replicas) || usize::from(arguments.id) >= replicas {
        return Err(Failure::usage(format!(
            "--id {}: must be below the number of --peers, {replicas}, of which there may be {REPLICAS_MAX}",
            arguments.id
        )));
    }
    let config = match &arguments.config {
        None => Config::new(replicas),
        Some(json) => serde_json::from_str(json)
            .map_err(|error| Failure::usage(format!("--config {json}: {error}")))?,
    };
    if config.replicas != replicas {
        let of_config = config.replicas;
        return Err(Failure::usage(format!(
            "--config: is for {of_config} replicas, but --peers names {replicas}"
        )));
    }
    if arguments.durability != Durability::Memory && arguments.data.is_none() {
        let durability = arguments.durability;
        return Err(Failure::usage(format!(
            "--durability {durability}: needs --data, the directory that is this replica's alone"
        )));
    }
    let network = match &arguments.network {
        None => None,
        Some(json) => Some(
            serde_json::from_str::<NetworkPlan>(json)
                .map_err(|error| Failure::usage(format!("--network {json}: {error}")))?,
        ),
    };
    if let Some(plan) = &network {
        plan.check(replicas).map_err(|error| Failure::usage(format!("--network: {error}")))?;
    }
    failpoint::asked_for().map_err(Failure::usage)?;
    let options = Options {
        id: ReplicaId(arguments.id),
        config,
        listen: arguments.listen,
        peers: arguments.peers,
        credentials: arguments.credentials,
        durability: arguments.durability,
        data: arguments.data,
        log_bytes_kept: arguments.log_bytes_kept,
        parent: arguments.parent,
        network,
    };
    if arguments.detach {
        // A session of its own has no terminal, and whatever ends that one's processes passes by.
        setsid().map_err(|error| Failure::failed(format!("--detach: {error}")))?;
    }
    (registry::of(arguments.protocol).serve)(&options).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}
