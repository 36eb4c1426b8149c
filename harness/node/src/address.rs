//! Where something listens, as people write it: a host, by name or number, and a port.

use std::{fmt, io, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;

use crate::NodeError;

/// A host and a UDP port. A name is resolved whenever it is needed, so that a host may move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// By number: it is resolved already.
    Fixed(SocketAddr),
    /// By name.
    Named {
        /// The host's name.
        host: String,
        /// Its port.
        port: u16,
    },
}

impl Address {
    /// The same with a port for a text that may lack one.
    ///
    /// # Errors
    /// If the text is no host, with or without a port.
    pub fn with_default_port(text: &str, port: u16) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Fixed(SocketAddr::new(ip, port)));
        }
        if text.contains(':') { text.parse() } else { Self::named(text, port) }
    }

    /// The same host with another port.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Self {
        match self {
            Self::Fixed(address) => Self::Fixed(SocketAddr::new(address.ip(), port)),
            Self::Named { host, .. } => Self::Named { host: host.clone(), port },
        }
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Fixed(address) => address.port(),
            Self::Named { port, .. } => *port,
        }
    }

    /// Where that is, if no name must be asked for.
    pub const fn fixed(&self) -> Option<SocketAddr> {
        match self {
            Self::Fixed(address) => Some(*address),
            Self::Named { .. } => None,
        }
    }

    /// Where that is now. Of a name's several addresses the first of version 4 is taken, or else
    /// the first. Needs a runtime.
    ///
    /// # Errors
    /// If the name is not known.
    pub async fn resolve(&self) -> Result<SocketAddr, NodeError> {
        let (host, port) = match self {
            Self::Fixed(address) => return Ok(*address),
            Self::Named { host, port } => (host, *port),
        };
        let unknown = |error| NodeError::Name { address: self.clone(), error };
        let found: Vec<SocketAddr> =
            lookup_host((host.as_str(), port)).await.map_err(unknown)?.collect();
        let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
        best.copied().ok_or_else(|| unknown(io::Error::other("it has no address")))
    }

    fn named(host: &str, port: u16) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(format!("\"{host}\" is no host's name or number"));
        }
        Ok(Self::Named { host: host.to_owned(), port })
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Fixed(address));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("\"{text}\" has no port: use HOST:PORT"))?;
        match port.parse() {
            Ok(port @ 1..) => Self::named(host, port),
            _ => Err(format!("\"{port}\" is no port: use 1 to 65535")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(address) => address.fmt(f),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Fixed(address)
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["127.0.0.1:7000", "[::1]:7000", "r0:7000", "host-1.lab.example:1"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.fixed().is_some(), text.parse::<SocketAddr>().is_ok());
        }
        let with_port = |text| Address::with_default_port(text, 7_000).map(String::from);
        assert_eq!(with_port("r0").unwrap(), "r0:7000");
        assert_eq!(with_port("r0:7001").unwrap(), "r0:7001");
        assert_eq!(with_port("10.0.0.1").unwrap(), "10.0.0.1:7000");
        assert_eq!(with_port("::1").unwrap(), "[::1]:7000");
        assert_eq!("r0:1".parse::<Address>().unwrap().at_port(2).to_string(), "r0:2");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(refused("r0").contains("has no port"));
        assert!(refused("r0:0").contains("is no port"));
        assert!(refused("r0:70000").contains("is no port"));
        assert!(refused(":7000").contains("is no host's name"));
        assert!(refused("a b:7000").contains("is no host's name"));
        assert!(refused("http://r0:7000").contains("is no host's name"));
    }

    #[test]
    fn names_are_resolved_and_unknown_ones_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let here: Address = "localhost:7000".parse().unwrap();
            assert!(here.resolve().await.unwrap().ip().is_loopback());
            let nowhere: Address = "no-such-host.invalid:7000".parse().unwrap();
            let error = nowhere.resolve().await.unwrap_err().to_string();
            assert!(error.contains("no-such-host.invalid:7000"), "{error}");
        });
    }
}
