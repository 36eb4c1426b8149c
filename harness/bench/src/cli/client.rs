//! What users type after `bench client`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use protocols::{
    command::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    session::OUTCOMES_MAX,
};

use super::cluster::DATA;

const EXIT_CODES: &str = "A command that is not answered in time is sent again under the same number, to the next replica: \
    it takes effect once. If no answer comes at all it may have happened or not, and the program says so.\n\n\
    Exit codes: 0 done; 1 it failed, the key is absent, or what became of a command is not known; 2 usage.";

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ClientArguments {
    /// The cluster's directory.
    #[arg(long, value_name = "DIR", default_value = DATA, global = true)]
    pub(crate) data: PathBuf,
    /// Which replica is asked first, counted from 0, or all: each of them. Absent, the first that is alive.
    #[arg(long, value_name = "N|all", global = true)]
    pub(crate) server: Option<Server>,
    /// When a command is given up, in seconds; each of its attempts has an equal part of that.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds, global = true)]
    pub(crate) timeout: Duration,
    /// How often a command may be sent again.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(..=1000), global = true)]
    pub(crate) max_retry: u32,
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Ask every replica how far away it is, who leads, and how it reaches the others.
    Probe,
    /// Set the value of a key.
    Put(PutArguments),
    /// Print the value of a key, alone.
    Get(GetArguments),
    /// Set the value of a key, read it back and print it.
    PutGet(PutArguments),
    /// Set many values, many at a time, and sum up how that went.
    BatchPut(BatchArguments),
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct PutArguments {
    /// The key.
    #[arg(value_parser = key)]
    pub(crate) key: String,
    /// Its new value.
    #[arg(value_parser = value, allow_hyphen_values = true)]
    pub(crate) value: String,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct GetArguments {
    /// The key, or several: then there is a line for each.
    #[arg(required = true, value_name = "KEY", value_parser = key)]
    pub(crate) keys: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct BatchArguments {
    /// How many values are set. The value of put number i is i, padded with zeros.
    #[arg(short = 'N', long = "puts", value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) puts: u64,
    /// On how many keys: key-0, key-1 and so on.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keys: u64,
    /// How many may be unanswered at a time.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = pipeline)]
    pub(crate) pipeline: usize,
    /// Draw the key of every put; absent, they come in turn.
    #[arg(long)]
    pub(crate) random_key: bool,
    /// Draw the replica that is asked first for every put; absent, it is --server.
    #[arg(long)]
    pub(crate) random_server: bool,
    /// How long a value is.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_bytes)]
    pub(crate) value_bytes: usize,
    /// Decides everything that is drawn; absent, it is another one each time.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Show no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// This one first.
    One(u8),
    /// Each of them.
    All,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            _ => text
                .parse()
                .map(Self::One)
                .map_err(|_| "must be a replica's number, or all".to_owned()),
        }
    }
}

/// Chosen: nobody waits longer for one command.
const TIMEOUT_S_MAX: f64 = 3_600.0;

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(s) if s > 0.0 && s <= TIMEOUT_S_MAX => Ok(Duration::from_secs_f64(s)),
        _ => Err(format!("must be above 0 and at most {TIMEOUT_S_MAX} seconds")),
    }
}

fn key(text: &str) -> Result<String, String> {
    bounded(text, KEY_BYTES_MAX)
}

fn value(text: &str) -> Result<String, String> {
    bounded(text, VALUE_BYTES_MAX)
}

fn bounded(text: &str, bytes_max: usize) -> Result<String, String> {
    match text.len() {
        bytes if bytes > bytes_max => Err(format!("has {bytes} bytes: at most {bytes_max}")),
        _ => Ok(text.to_owned()),
    }
}

/// Chosen: room for the number of every put.
const VALUE_BYTES_MIN: usize = 16;

fn pipeline(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(pipeline) if (1..=OUTCOMES_MAX).contains(&pipeline) => Ok(pipeline),
        _ => Err(format!("must be 1 to {OUTCOMES_MAX}")),
    }
}

fn value_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!("must be {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX}")),
    }
}
