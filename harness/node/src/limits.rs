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
//! | requests that wait | [`PENDING_PER_CONNECTION_MAX`], [`PENDING_MAX`] |
//! | replies that are not read | [`UNREAD_REPLY_BYTES_MAX`], [`UNSENT_BYTES_MAX`] |
//! | connections | [`CONNECTIONS_PER_ADDRESS_MAX`], [`CONNECTIONS_MAX`], [`UNPROVEN_MAX`] |
//! | time for a handshake, a stream, a greeting; silence | [`HELLO_TIMEOUT`], [`IDLE_TIMEOUT`] |

use std::time::Duration;

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
/// Chosen: what a peer or client that does not read may cost, beside what QUIC keeps for it. A peer's further messages
/// are dropped, which its protocol makes good; a client is disconnected.
pub const UNSENT_BYTES_MAX: usize = 64 << 20;
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
