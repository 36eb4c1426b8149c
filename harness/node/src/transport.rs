//! QUIC endpoints, tuned for long-lived streams of many small messages.
//!
//! The constants were chosen by measuring a whole cluster (three processes and a load generator on two cores, a leader
//! that stores 16-byte writes at two followers, mutual TLS on), in thousands of operations per CPU-second, the median
//! of five interleaved runs with 1024 and with 128 requests in flight:
//!
//! | | 1024 | 128 |
//! |---|---|---|
//! | as set here | 617 | 374 |
//! | acknowledging every second packet, the default | 556 | 276 |
//! | acknowledging every tenth packet | 587 | 260 |
//! | without segmentation offload | 451 | 289 |
//! | congestion window beginning at 12 kB | 605 | 320 |
//! | datagrams up to 6,500 bytes | 662 | 368 |
//! | datagrams up to 16,000 bytes, without segmentation offload | 693 | 355 |
//!
//! Larger datagrams would gain a tenth, on the loopback alone: no network outside takes them, so they are not used.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use protocols::ReplicaId;
use quinn::{
    AckFrequencyConfig, AsyncUdpSocket, ClientConfig, Connection, ConnectionId,
    ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, RecvStream,
    Runtime, SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    congestion::CubicConfig,
};

use ring::hmac;

use crate::{
    NodeError,
    congestion::Fixed,
    emulator::{
        NetworkPlan,
        socket::{Emulator, Place},
    },
    frame::append_value_frame,
    identity::{Identity, Role},
    limits::{IDLE_TIMEOUT, STREAMS_MAX},
    tls,
};

const KEEP_ALIVE: Duration = Duration::from_millis(400);
/// Chosen: the first retransmission of a handshake comes after three times this, which is what a peer that is not up
/// yet costs.
const INITIAL_RTT: Duration = Duration::from_millis(30);
/// Bytes that one stream may have in flight before its reader takes them: the back-pressure of a replica that lags.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// Bytes written and not yet acknowledged that a connection keeps.
const SEND_WINDOW_BYTES: u64 = 8 << 20;
/// Acknowledge every so many packets, or after so long: an acknowledgement alone in a packet costs as much as a
/// packet of messages, and on a busy stream it rides along with one instead.
const ACK_EVERY_PACKETS: u32 = 32;
const ACK_DELAY_MAX: Duration = Duration::from_millis(5);
/// The congestion window starts at what a local network takes without loss; loss shrinks it as usual.
const INITIAL_WINDOW_BYTES: u64 = 4 << 20;
/// Chosen: a handful of flow-control windows, so that a burst is queued by the kernel and not lost.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// As many as QUIC's implementation takes by itself.
const CONNECTION_ID_BYTES: usize = 8;
/// Chosen: so many may have knocked and not been looked at, each with so many bytes kept; the acceptor looks at once.
const INCOMING_MAX: usize = 256;
const INCOMING_BYTES_MAX: u64 = 16 << 10;

/// The largest datagram that path discovery looks for: what an Ethernet takes.
const DATAGRAM_BYTES_MAX: u16 = 1452;

/// An endpoint that dials, and accepts if it is a replica's.
#[derive(Clone, Debug)]
pub struct Transport {
    /// The endpoint: whoever accepts takes the connections from it.
    pub endpoint: Endpoint,
    /// What impairs its packets, in an emulated network.
    pub(crate) emulator: Option<Emulator>,
    cluster: String,
}

impl Transport {
    /// A replica's endpoint, listening on `address`, on the bare loopback. Needs a runtime.
    ///
    /// # Errors
    /// If the address cannot be bound or the identity's certificate cannot be used.
    pub fn listening(identity: &Identity, address: SocketAddr) -> Result<Self, NodeError> {
        Self::listening_at(identity, address, None)
    }

    /// The same in a place of an emulated network, if there is one.
    pub(crate) fn listening_at(
        identity: &Identity,
        address: SocketAddr,
        place: Option<&Place<'_>>,
    ) -> Result<Self, NodeError> {
        let crypto = Arc::new(tls::server(identity)?);
        let mut config = ServerConfig::with_crypto(crypto);
        config.transport_config(Arc::new(transport_config(place.map(|place| place.plan))));
        config.migration(false);
        config
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size(INCOMING_BYTES_MAX)
            .incoming_buffer_size_total(INCOMING_BYTES_MAX * INCOMING_MAX as u64);
        Self::new(identity, address, Some(config), place)
    }

    /// An endpoint that only dials, from a free port of the loopback. Needs a runtime.
    ///
    /// # Errors
    /// As [`Transport::listening`].
    pub fn dialing(identity: &Identity) -> Result<Self, NodeError> {
        Self::dialing_at(identity, None)
    }

    /// The same in a place of an emulated network, if there is one.
    pub(crate) fn dialing_at(
        identity: &Identity,
        place: Option<&Place<'_>>,
    ) -> Result<Self, NodeError> {
        Self::new(identity, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, place)
    }

    fn new(
        identity: &Identity,
        address: SocketAddr,
        server: Option<ServerConfig>,
        place: Option<&Place<'_>>,
    ) -> Result<Self, NodeError> {
        let socket = socket(address).map_err(|error| NodeError::Bind { address, error })?;
        let failed = |error: io::Error| NodeError::System { doing: "start QUIC".to_owned(), error };
        let mut socket: Arc<dyn AsyncUdpSocket> =
            TokioRuntime.wrap_udp_socket(socket).map_err(failed)?;
        let mut emulator = None;
        if let Some(place) = place {
            let (handle, emulated) = Emulator::new(socket, place).map_err(failed)?;
            (emulator, socket) = (Some(handle), emulated);
        }
        let mut config = EndpointConfig::default();
        if server.is_some() {
            resets(&mut config, identity);
        }
        let runtime = Arc::new(TokioRuntime);
        let mut endpoint =
            Endpoint::new_with_abstract_socket(config, server, socket, runtime).map_err(failed)?;
        let mut client = ClientConfig::new(Arc::new(tls::client(identity)?));
        client.transport_config(Arc::new(transport_config(place.map(|place| place.plan))));
        endpoint.set_default_client_config(client);
        Ok(Self { endpoint, emulator, cluster: identity.cluster.clone() })
    }

    /// Dials `replica` at `address`, opens the connection's stream and sends `hello` on it, as a frame.
    ///
    /// # Errors
    /// If nobody answers there, or somebody who is not that replica of the same cluster.
    pub async fn dial<H: serde::Serialize>(
        &self,
        replica: ReplicaId,
        address: SocketAddr,
        hello: &H,
    ) -> Result<Link, NodeError> {
        self.dial_then(replica, address, || hello).await
    }

    /// As [`Transport::dial`], with the greeting made when the connection is there: before that it may take for ever.
    ///
    /// # Errors
    /// As [`Transport::dial`].
    pub(crate) async fn dial_then<H: serde::Serialize>(
        &self,
        replica: ReplicaId,
        address: SocketAddr,
        hello: impl FnOnce() -> H,
    ) -> Result<Link, NodeError> {
        let name = Role::Replica(replica).name(&self.cluster);
        let failed = |reason: String| NodeError::Unreachable { replica, address, reason };
        let connecting =
            self.endpoint.connect(address, &name).map_err(|error| failed(error.to_string()))?;
        let connection = connecting.await.map_err(|error| failed(error.to_string()))?;
        let (mut send, receive) =
            connection.open_bi().await.map_err(|error| failed(error.to_string()))?;
        let mut frame = Vec::new();
        append_value_frame(&mut frame, &hello()).map_err(|error| failed(error.to_string()))?;
        send.write_all(&frame).await.map_err(|error| failed(error.to_string()))?;
        Ok(Link { connection, send, receive })
    }
}

/// A connection with its one stream.
#[derive(Debug)]
pub struct Link {
    /// The connection, for closing it.
    pub connection: Connection,
    /// Where frames are written to.
    pub send: SendStream,
    /// Where frames are read from.
    pub receive: RecvStream,
}

/// `count` different UDP addresses of the loopback that are free now: for whoever must tell replicas each other's
/// addresses before they start.
///
/// # Errors
/// If the host has no free ports.
pub fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    // All are held until the last is found, so that they differ.
    let sockets: io::Result<Vec<_>> =
        (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    sockets?.iter().map(UdpSocket::local_addr).collect()
}

/// Lets a replica that was started again answer packets of connections of its last life with a reset that the other side
/// believes, since the key is that of its identity: nobody then talks to the dead until the idle time is over.
fn resets(config: &mut EndpointConfig, identity: &Identity) {
    let of_identity = hmac::Key::new(hmac::HMAC_SHA256, identity.key.secret_der());
    let secret = hmac::sign(&of_identity, b"stateless resets");
    config.reset_key(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref())));
    config.cid_generator(|| Box::new(ConnectionIds));
}

/// Draws connection ids, and takes any for one that an earlier life drew: the default drops packets that bear them.
#[derive(Debug)]
struct ConnectionIds;

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; CONNECTION_ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    // The kernel cuts these to its own limits, which is not an error.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn transport_config(network: Option<&NetworkPlan>) -> TransportConfig {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY_PACKETS))
        .max_ack_delay(Some(ACK_DELAY_MAX));
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(DATAGRAM_BYTES_MAX);
    // In an emulated network a connection and its handshake outlast the longest way there and back.
    let round_trip_max = network.map(NetworkPlan::round_trip_max).unwrap_or_default();
    let first_round_trip = network.map(NetworkPlan::first_round_trip_max).unwrap_or_default();
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT + 2 * round_trip_max).expect("some hours fit");
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT.max(first_round_trip))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .send_fairness(false)
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(congestion))
        .mtu_discovery_config(Some(mtu));
    if network.is_some() {
        let fixed = Fixed { window_bytes: INITIAL_WINDOW_BYTES };
        config.congestion_controller_factory(Arc::new(fixed));
    }
    config
}
