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
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
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
pub(crate) const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// As many as QUIC's implementation takes by itself.
const CONNECTION_ID_BYTES: usize = 8;
/// Chosen: so many may have knocked and not been looked at, each with so many bytes kept; the acceptor looks at once.
const INCOMING_MAX: usize = 256;
const INCOMING_BYTES_MAX: u64 = 16 << 10;

/// The largest datagram that path discovery looks for: what an Ethernet takes.
const DATAGRAM_BYTES_MAX: u16 = 1452;

/// An endpoint that accepts connections, and dials from where it listens.
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

    fn new(
        identity: &Identity,
        address: SocketAddr,
        server: Option<ServerConfig>,
        place: Option<&Place<'_>>,
    ) -> Result<Self, NodeError> {
        let mut config = EndpointConfig::default();
        if server.is_some() {
            resets(&mut config, identity);
        }
        let client = client_config(identity, place)?;
        Self::bind(&identity.cluster, address, (config, server, client), place)
    }

    fn bind(
        cluster: &str,
        address: SocketAddr,
        (config, server, client): (EndpointConfig, Option<ServerConfig>, ClientConfig),
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
        let runtime = Arc::new(TokioRuntime);
        let mut endpoint =
            Endpoint::new_with_abstract_socket(config, server, socket, runtime).map_err(failed)?;
        endpoint.set_default_client_config(client);
        Ok(Self { endpoint, emulator, cluster: cluster.to_owned() })
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
        let dialed = self.dial_named(&name, address, hello).await;
        dialed.map_err(|reason| NodeError::Unreachable { replica, address, reason })
    }

    /// Dials whoever must prove to have the certificate called `name`; the reason if that fails.
    pub(crate) async fn dial_named<H: serde::Serialize>(
        &self,
        name: &str,
        address: SocketAddr,
        hello: impl FnOnce() -> H,
    ) -> Result<Link, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let connecting = self.endpoint.connect(address, name).map_err(|error| text(&error))?;
        let connection = connecting.await.map_err(|error| text(&error))?;
        let (mut send, receive) = connection.open_bi().await.map_err(|error| text(&error))?;
        let mut frame = Vec::new();
        append_value_frame(&mut frame, &hello()).map_err(|error| text(&error))?;
        send.write_all(&frame).await.map_err(|error| text(&error))?;
        Ok(Link { connection, send, receive })
    }
}

/// How far a socket that only dials must reach. Each kind has one of its own, bound when it is
/// first needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// This host alone: nobody outside can send to the socket.
    Loopback,
    /// Every host that has an address of version 4.
    Version4,
    /// Every host that has one of version 6.
    Version6,
}

impl Reach {
    /// As far as `address`.
    fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) if address.ip().is_loopback() => Self::Loopback,
            SocketAddr::V4(_) => Self::Version4,
            SocketAddr::V6(_) => Self::Version6,
        }
    }

    /// As far as the farthest of `addresses`; none if no one socket reaches them all.
    fn of_all(addresses: &[SocketAddr]) -> Option<Self> {
        let mut reaches = addresses.iter().copied().map(Self::of);
        let first = reaches.next().unwrap_or(Self::Loopback);
        reaches.try_fold(first, |farthest, reach| match (farthest, reach) {
            (one, other) if one == other => Some(one),
            (Self::Version6, _) | (_, Self::Version6) => None,
            _ => Some(Self::Version4),
        })
    }

    /// Where a socket is bound that reaches so far.
    fn local(self) -> SocketAddr {
        match self {
            Self::Loopback => (Ipv4Addr::LOCALHOST, 0).into(),
            Self::Version4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Self::Version6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }
}

/// Only dials, from free ports. Cloning shares the sockets.
#[derive(Clone, Debug)]
pub struct Dialer {
    cluster: String,
    client: ClientConfig,
    /// At most one for each reach.
    bound: Arc<Mutex<Vec<(Reach, Transport)>>>,
    /// The one socket in an emulated network.
    pub(crate) emulator: Option<Emulator>,
}

impl Dialer {
    /// Dials as `identity`. Needs a runtime.
    ///
    /// # Errors
    /// If the identity's certificate cannot be used.
    pub fn new(identity: &Identity) -> Result<Self, NodeError> {
        Ok(Self {
            cluster: identity.cluster.clone(),
            client: client_config(identity, None)?,
            bound: Arc::default(),
            emulator: None,
        })
    }

    /// The same in a place of an emulated network.
    pub(crate) fn at(identity: &Identity, place: &Place<'_>) -> Result<Self, NodeError> {
        let replicas: Vec<SocketAddr> = place.replicas.iter().copied().flatten().collect();
        let reach = Reach::of_all(&replicas).ok_or_else(|| {
            let text = "the replicas' addresses are of IP version 4 and of version 6: use one of them for all";
            NodeError::Options(text.to_owned())
        })?;
        let transport = Transport::new(identity, reach.local(), None, Some(place))?;
        Ok(Self {
            cluster: identity.cluster.clone(),
            client: client_config(identity, Some(place))?,
            emulator: transport.emulator.clone(),
            bound: Arc::new(Mutex::new(vec![(reach, transport)])),
        })
    }

    /// As [`Transport::dial`].
    ///
    /// # Errors
    /// As [`Transport::dial`], and if no socket can be had.
    pub async fn dial<H: serde::Serialize>(
        &self,
        replica: ReplicaId,
        address: SocketAddr,
        hello: &H,
    ) -> Result<Link, NodeError> {
        self.towards(address)?.dial(replica, address, hello).await
    }

    /// Waits until what closed connections had to say has left.
    pub async fn wait_idle(&self) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, transport) in bound {
            transport.endpoint.wait_idle().await;
        }
    }

    /// What dials `address`: in an emulated network the one socket that there is.
    pub(crate) fn towards(&self, address: SocketAddr) -> Result<Transport, NodeError> {
        let wanted = Reach::of(address);
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |reach: Reach| reach == wanted || self.emulator.is_some();
        if let Some((_, transport)) = bound.iter().find(|(reach, _)| fits(*reach)) {
            return Ok(transport.clone());
        }
        let configs = (EndpointConfig::default(), None, self.client.clone());
        let transport = Transport::bind(&self.cluster, wanted.local(), configs, None)?;
        bound.push((wanted, transport.clone()));
        Ok(transport)
    }
}

/// How `identity` dials.
fn client_config(
    identity: &Identity,
    place: Option<&Place<'_>>,
) -> Result<ClientConfig, NodeError> {
    let mut client = ClientConfig::new(Arc::new(tls::client(identity)?));
    client.transport_config(Arc::new(transport_config(place.map(|place| place.plan))));
    Ok(client)
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

/// What the kernel grants of the buffers of a socket like a replica's: of the receiving one, and of
/// the sending one, bytes.
///
/// # Errors
/// If no socket can be had.
pub(crate) fn granted_buffers() -> io::Result<(usize, usize)> {
    let socket = socket2::Socket::from(socket(Reach::Loopback.local())?);
    // The kernel doubles what is asked for, for its own bookkeeping.
    Ok((socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_reaches_what_is_dialed_and_no_farther() {
        let reach = |texts: &[&str]| {
            let addresses: Vec<SocketAddr> =
                texts.iter().map(|text| text.parse().expect("an address")).collect();
            Reach::of_all(&addresses).map(|reach| reach.local().to_string())
        };
        assert_eq!(reach(&["127.0.0.1:1", "127.0.0.1:2"]).as_deref(), Some("127.0.0.1:0"));
        assert_eq!(reach(&["127.0.0.1:1", "10.0.0.1:2"]).as_deref(), Some("0.0.0.0:0"));
        assert_eq!(reach(&["10.0.0.1:1"]).as_deref(), Some("0.0.0.0:0"));
        assert_eq!(reach(&["[::1]:1", "[fd00::1]:2"]).as_deref(), Some("[::]:0"));
        assert_eq!(reach(&["[::1]:1", "10.0.0.1:2"]), None);
    }
}
