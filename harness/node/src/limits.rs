//! How much anybody may ask of a replica. Each limit is checked before anything is allocated or kept for what is beyond it.
//!
//! | of what | where |
//! |---|---|
//! | keys, values, commands and bytes of a batch | [`protocols::command`], checked as a batch is decoded |
//! | dependencies in a message | [`protocols::id::REPLICAS_MAX`], one per row, checked as a message is decoded |
//! | frames of replicas | [`FRAME_BYTES_MAX`] |
//! | frames of clients | [`protocols::command::BATCH_BYTES_MAX`] |
//! | greetings, operators' questions | [`HELLO_BYTES_MAX`], [`CONTROL_BYTES_MAX`] |
//! | streams of a connection | [`STREAMS_MAX`], all of them in both directions |
//! | requests that wait | [`PENDING_PER_CONNECTION_MAX`], [`PENDING_MAX`], [`Budget::pending`] |
//! | what is kept for a silent replica | [`Config::kept_bytes_max`], half of [`Budget::all`] |
//! | messages that a peer does not take | [`Budget::to_a_peer`] |
//! | messages taken in while the disk is at work | [`UNFLUSHED_BYTES_MAX`] |
//! | replies that are not read | [`UNREAD_REPLY_BYTES_MAX`], [`Budget::to_clients`] |
//! | connections | [`CONNECTIONS_PER_ADDRESS_MAX`], [`CONNECTIONS_MAX`], [`UNPROVEN_MAX`] |
//! | time for a handshake, a stream, a greeting; silence | [`HELLO_TIMEOUT`], [`IDLE_TIMEOUT`] |

use std::time::Duration;

use protocols::Config;

pub use crate::frame::FRAME_BYTES_MAX;

/// Chosen: a greeting is a few numbers and one more for each replica there may be.
pub const HELLO_BYTES_MAX: usize = 4 << 10;
/// Chosen: what an operator says of the network is a few numbers for each pair of replicas.
pub const CONTROL_BYTES_MAX: usize = 1 << 20;
/// Everything that two parties have to say to each other goes over one stream.
pub const STREAMS_MAX: u32 = 1;
/// Chosen: so many requests of one connection may be pending; beyond it no more are read until some are answered, and
/// QUIC's flow control stops the client. At about 100 bytes each this is what one connection may cost.
pub const PENDING_PER_CONNECTION_MAX: usize = 1 << 14;
/// Chosen: the same for all connections together, those that are gone included. With what one read may bring beyond it,
/// this stays below the 65,536 batches that a core keeps for later before it drops one, so that none is ever dropped.
pub const PENDING_MAX: usize = 1 << 15;
/// Chosen: a longest frame. Beyond it nothing more is read of peers until effects were carried out,
/// and QUIC's flow control stops them.
pub const UNFLUSHED_BYTES_MAX: u64 = FRAME_BYTES_MAX as u64;
/// Chosen: beyond this many bytes of unread replies no further requests of the client are read.
pub const UNREAD_REPLY_BYTES_MAX: usize = 4 << 20;
/// Chosen: a host with clients opens one connection for all of them. Other replicas do not count where they dial from the
/// address that they listen on: clients on their host cannot take their places.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;
/// Chosen: a few hundred hosts. At about 50 kB each, idle ones cost what a small state costs.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Chosen: while so many handshakes are under way, whoever comes must first show that it receives what is sent to its
/// address (a retry, which costs a round trip): datagrams with forged senders then take no place.
pub const UNPROVEN_MAX: usize = 64;
/// Chosen: long enough for any handshake, stream or greeting, short enough that idle connections do not gather.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Chosen: a silent connection is given up after this; several keep-alives fit in.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes a replica may hold for others: all of it follows from [`Config::kept_bytes_max`],
/// which is half. Beside it there are the key-value state, what QUIC keeps for each connection, and
/// one message, request or reply of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// In all.
    pub all: usize,
    /// Keys and values of requests that are not answered; beyond it no more are read. An eighth.
    pub pending: usize,
    /// What waits for one peer; beyond it further messages to it are dropped, which its protocol
    /// makes good. A quarter, in equal parts.
    pub to_a_peer: usize,
    /// Replies that clients do not read; beyond it who reads too little is disconnected. An eighth.
    pub to_clients: usize,
}

impl Budget {
    /// Of a replica whose core was told this.
    pub fn of(config: &Config) -> Self {
        let kept = usize::try_from(config.kept_bytes_max).unwrap_or(usize::MAX);
        let all = kept.saturating_mul(2);
        let peers = config.replicas.saturating_sub(1).max(1);
        Self { all, pending: all / 8, to_a_peer: all / 4 / peers, to_clients: all / 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        for replicas in [1, 3, 5, 7] {
            let config = Config { kept_bytes_max: 128 << 20, ..Config::new(replicas) };
            let Budget { all, pending, to_a_peer, to_clients } = Budget::of(&config);
            assert_eq!(all, 256 << 20);
            let peers = to_a_peer * (replicas - 1).max(1);
            assert!((all - 8..=all).contains(&((128 << 20) + pending + peers + to_clients)));
        }
        let unbounded = Config { kept_bytes_max: u64::MAX, ..Config::new(3) };
        assert_eq!(Budget::of(&unbounded).all, usize::MAX);
    }
}
