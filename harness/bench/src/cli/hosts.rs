//! What users type for a laboratory of several hosts.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use clap::{Args, Subcommand};

use super::Format;

/// What `--on` says of itself.
pub(crate) const ON: &str = "Put the replicas on the hosts that this file names, an agent's host each; absent, all on this one";

#[derive(Args, Debug)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the keys of a new laboratory: DIR/driver orders agents about, DIR/agent goes to every
    /// host.
    New(NewKeysArguments),
}

#[derive(Args, Debug)]
pub(crate) struct NewKeysArguments {
    /// The directory, made if need be.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Leave keys as they are that are there already.
    #[arg(long)]
    pub(crate) if_missing: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "It obeys one driver at a time, by its certificate. SIGTERM ends it, and its replicas with it. The \
    log goes to standard error."
)]
pub(crate) struct AgentArguments {
    /// The UDP address to listen on; replicas listen on the same one, at ports of their own.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7000")]
    pub(crate) listen: SocketAddr,
    /// The directory of the agents' keys: `agent` of what `keys new` made.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    /// Wait for the keys if they are not there yet.
    #[arg(long)]
    pub(crate) await_keys: bool,
    /// End when standard input does, as it does for an agent that ssh started, with its line.
    #[arg(long)]
    pub(crate) until_stdin_ends: bool,
    /// The directory that is this agent's alone, made if need be: what its replicas keep and log.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The UDP ports that its replicas may have, such as 7100-7199; absent, any that is free.
    #[arg(long, value_name = "FIRST-LAST", value_parser = ports)]
    pub(crate) ports: Option<RangeInclusive<u16>>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 every host can be used; 1 one cannot be reached, or does not obey; 2 usage or a bad file."
)]
pub(crate) struct HostsArguments {
    /// The file that names the hosts.
    #[arg(long, value_name = "LAB")]
    pub(crate) on: PathBuf,
    /// How the table is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0 && first <= last).then_some(first..=last)
    });
    range.ok_or_else(|| "must be two ports, such as 7100-7199".to_owned())
}
