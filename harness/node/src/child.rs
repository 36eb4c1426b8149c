//! Replica processes as their starter sees them: the arguments they take, and the end of one that
//! ended by itself.

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use driver::storage::Durability;
use protocols::{Config, Protocol, ReplicaId};

use crate::{address::Address, emulator::NetworkPlan};

/// How much of a log are a process' last words.
const LAST_WORDS_LINES: usize = 3;
const LAST_WORDS_CHARS: usize = 400;

/// What a replica process is told, whatever starts it.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// Which replica it is.
    pub id: ReplicaId,
    /// Which protocol it runs.
    pub protocol: Protocol,
    /// Where every replica listens, by number.
    pub addresses: &'a [Address],
    /// Where this one does, if its own host has another name for that.
    pub listen: Option<SocketAddr>,
    /// Of its core.
    pub config: &'a Config,
    /// What its records outlive.
    pub durability: Durability,
    /// The directory of its certificates; none if nobody is verified.
    pub credentials: Option<&'a Path>,
    /// Its data directory; none if it keeps nothing.
    pub data: Option<&'a Path>,
    /// The network to emulate; none is the bare one.
    pub network: Option<&'a NetworkPlan>,
    /// The process with which it must end; none if it leaves the terminal and lives on.
    pub parent: Option<u32>,
}

impl Arguments<'_> {
    /// The words behind the program's name.
    pub fn to_words(&self) -> Vec<OsString> {
        let peers: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        let config =
            serde_json::to_string(self.config).expect("a configuration is plain numbers and names");
        let mut words: Vec<OsString> = vec!["node".into()];
        let mut add = |name: &str, value: OsString| words.extend([name.into(), value]);
        add("--id", self.id.0.to_string().into());
        add("--protocol", self.protocol.name().into());
        let own = || peers[self.id.index()].clone();
        add("--listen", self.listen.map_or_else(own, |listen| listen.to_string()).into());
        add("--peers", peers.join(",").into());
        add("--config", config.into());
        add("--durability", self.durability.name().into());
        if let Some(data) = self.data {
            add("--data", data.into());
        }
        if let Some(network) = self.network {
            let text = serde_json::to_string(network).expect("a plan is plain numbers");
            add("--network", text.into());
        }
        if let Some(parent) = self.parent {
            add("--parent", parent.to_string().into());
        }
        if let Some(credentials) = self.credentials {
            add("--credentials", credentials.into());
        }
        let flags =
            [("--detach", self.parent.is_none()), ("--insecure", self.credentials.is_none())];
        words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()));
        words
    }
}

/// A replica process that ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which replica it was.
    pub replica: ReplicaId,
    /// How it ended.
    pub status: ExitStatus,
    /// The end of its log, as one line.
    pub last_words: String,
    /// Where its log is.
    pub log: PathBuf,
}

impl Death {
    /// Was a port that it needed taken?
    pub fn is_port_taken(&self) -> bool {
        self.last_words.contains("cannot bind UDP")
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replica: ReplicaId(number), status, last_words, log } = self;
        write!(
            f,
            "replica {number} ended by itself ({status}); its last words: {last_words} ({})",
            log.display()
        )
    }
}

/// The last lines of a log, as one line.
pub fn last_words(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join(" | ");
    match last.char_indices().rev().nth(LAST_WORDS_CHARS) {
        _ if last.is_empty() => "none".to_owned(),
        Some((cut, _)) => format!("\"…{}\"", &last[cut..]),
        None => format!("\"{last}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_one_bounded_line() {
        assert_eq!(last_words(""), "none");
        assert_eq!(last_words("a\n\nb\nc\n  d\n"), "\"b | c | d\"");
        let words = last_words(&"é".repeat(1_000));
        assert_eq!(words.chars().count(), LAST_WORDS_CHARS + 4, "{words}");
    }
}
