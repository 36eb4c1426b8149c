//! What users type after `bench cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use driver::storage::Durability;
use protocols::{Protocol, registry};

use super::ProtocolName;

/// Where a cluster lives unless another directory is named.
pub(crate) const DATA: &str = "./.bench-cluster";

const EXIT_CODES: &str = "Exit codes: 0 done; 1 it failed (status: a replica does not answer); 2 usage, or the cluster's \
    state does not allow it; 4 replicas at rest disagree (status).";

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ClusterArguments {
    /// The cluster's directory.
    #[arg(long, value_name = "DIR", default_value = DATA, global = true)]
    pub(crate) data: PathBuf,
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Start a cluster in the background, or one again that was stopped.
    Up(UpArguments),
    /// Show every replica: its process, whom it is connected with, how far it is, and whether all agree.
    Status,
    /// Kill replicas with SIGKILL: each ends at once, with nothing said or written.
    Kill(ReplicasArguments),
    /// Start dead replicas again with what they had written; one that is alive is killed first.
    Restart(ReplicasArguments),
    /// Cut replicas off from each other.
    Partition(PartitionArguments),
    /// End every partition.
    Heal,
    /// Stop the cluster and remove its directory.
    Down(DownArguments),
}

/// What `--protocol` says of itself.
fn protocols() -> String {
    let run = super::protocols_to("run");
    format!("{run}; absent, {}, or what the cluster in the directory runs", registry::USUAL)
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct UpArguments {
    /// How many replicas, an odd number; absent, 3, or as many as the cluster in the directory has.
    #[arg(short = 'n', long = "replicas", value_name = "N", value_parser = odd)]
    pub(crate) replicas: Option<usize>,
    #[arg(long, help = protocols(), value_parser = ProtocolName, hide_possible_values = true)]
    pub(crate) protocol: Option<Protocol>,
    /// What a replica's records outlive: memory (nothing), buffered (a killed process), fsync (a power cut); absent,
    /// buffered, or what the cluster in the directory has.
    #[arg(long, value_name = "NAME")]
    pub(crate) durability: Option<Durability>,
    /// Verify nobody: whoever reaches a replica's port can read and write everything, and be a replica. For trying things
    /// out; every command for this cluster warns of it.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Replica 0 listens on this UDP port of the loopback, the others on those that follow; absent, on free ones.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: Option<u16>,
    #[arg(long, value_name = "LAB", help = super::hosts::ON)]
    pub(crate) on: Option<PathBuf>,
    /// Make the lab's keys in this directory first, if there are none, and wait for the agents to
    /// have them.
    #[arg(long, value_name = "DIR", requires = "on")]
    pub(crate) new_keys: Option<PathBuf>,
    /// Start a cluster again whose records may not all have reached the disk before the machine went down.
    #[arg(long)]
    pub(crate) accept_loss: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplicasArguments {
    /// Which replicas, counted from 0.
    #[arg(value_name = "REPLICA", required = true)]
    pub(crate) replicas: Vec<u8>,
}

#[derive(Args, Debug)]
#[command(after_help = PARTITION_HELP)]
pub(crate) struct PartitionArguments {
    /// Groups that hear only themselves, such as 0 1,2 or '0|1,2'; replicas that are not named are one more group.
    #[arg(value_name = "GROUP", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub(crate) groups: Vec<String>,
    /// One way: what these send does not reach those of --to.
    #[arg(long, value_name = "REPLICAS", value_delimiter = ',', requires = "to")]
    pub(crate) from: Vec<u8>,
    /// One way: whom it does not reach.
    #[arg(long, value_name = "REPLICAS", value_delimiter = ',', requires = "from")]
    pub(crate) to: Vec<u8>,
}

const PARTITION_HELP: &str = "A partition adds to those that there are, until `heal`. Clients and operators reach every \
    replica all the while.";

#[derive(Args, Debug)]
pub(crate) struct DownArguments {
    /// Keep the directory: `up` starts the cluster again with all that it holds.
    #[arg(long)]
    pub(crate) keep: bool,
}

pub(super) fn odd(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(replicas) if replicas % 2 == 1 && (3..=51).contains(&replicas) => Ok(replicas),
        _ => Err("must be odd, 3 to 51".to_owned()),
    }
}
