//! A UDP socket under QUIC on which every datagram has a fate of its own.
//!
//! What is to leave or to arrive later waits in here. There is no task for it: whoever polls the socket for datagrams,
//! which is QUIC's endpoint for as long as it lives, sends on the way what is due, and is woken by an alarm with the
//! kernel's resolution. While nothing is asked of any way, datagrams pass as on a plain socket, segments included.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use measure::LayerReport;
use protocols::ReplicaId;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};
use rustc_hash::FxHashMap;

use super::{
    Layer, NetworkChange, NetworkPlan,
    queue::Queue,
    way::{Direction, Ways},
};
use crate::alarm::Alarm;

/// Chosen: a second of a gigabit and a half, each way; beyond it packets are lost, and counted apart.
const UNDER_WAY_BYTES_MAX: usize = 192 << 20;

/// Whose packets are impaired.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) plan: &'a NetworkPlan,
    /// The site: a replica's, or where clients live.
    pub(crate) site: ReplicaId,
    /// Where the replicas listen, by number; none where that is not known yet. What comes from or
    /// goes to any other address passes untouched.
    pub(crate) replicas: &'a [Option<SocketAddr>],
    /// Clients impair what they receive, too: replicas do not know where clients live.
    pub(crate) is_client: bool,
}

/// The handle of an [`EmulatedSocket`], for whoever changes its ways. Cloning shares.
#[derive(Clone)]
pub(crate) struct Emulator(Arc<Shared>);

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emulator")
    }
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn AsyncUdpSocket>,
    state: Mutex<State>,
    /// Is anything done on any way? Then each datagram is sent by itself.
    in_use: AtomicBool,
}

#[derive(Debug)]
struct State {
    replicas: FxHashMap<SocketAddr, ReplicaId>,
    out: Ways,
    /// None at a replica.
    incoming: Option<Ways>,
    leaving: Queue<Packet>,
    arriving: Queue<Packet>,
    alarm: Alarm,
    /// Tells when the socket takes packets again.
    writable: Pin<Box<dyn UdpPoller>>,
    /// The endpoint's.
    waker: Option<Waker>,
}

/// A datagram under way.
#[derive(Debug)]
struct Packet {
    /// The other side's.
    address: SocketAddr,
    /// This side's, as the system gave it.
    own_ip: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
    contents: Box<[u8]>,
}

/// The socket, for QUIC.
#[derive(Debug)]
pub(crate) struct EmulatedSocket(Arc<Shared>);

impl Emulator {
    /// Puts `inner` into the place. Needs a runtime.
    ///
    /// # Errors
    /// If the system has no timer left.
    pub(crate) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        place: &Place<'_>,
    ) -> io::Result<(Self, Arc<EmulatedSocket>)> {
        let Place { plan, site, replicas, is_client } = place;
        let ways = |direction| {
            let seed = (plan.seed, u8::from(*is_client));
            Ways::new(Layer::Packet, *site, direction, replicas.len(), seed)
                .with_delays(&plan.one_way_ns, &plan.jitter_ns)
        };
        let ids = ReplicaId::all(replicas.len());
        let state = State {
            replicas: (replicas.iter().zip(ids))
                .filter_map(|(address, id)| Some(((*address)?, id)))
                .collect(),
            out: ways(Direction::Out),
            incoming: is_client.then(|| ways(Direction::In)),
            leaving: Queue::new(UNDER_WAY_BYTES_MAX),
            arriving: Queue::new(UNDER_WAY_BYTES_MAX),
            alarm: Alarm::new()?,
            writable: inner.clone().create_io_poller(),
            waker: None,
        };
        let in_use = AtomicBool::new(state.in_use());
        let shared = Arc::new(Shared { inner, state: Mutex::new(state), in_use });
        Ok((Self(shared.clone()), Arc::new(EmulatedSocket(shared))))
    }

    /// Takes of `change` what concerns these packets. What is under way already arrives as it would have.
    pub(crate) fn change(&self, change: &NetworkChange) {
        let state = &mut *self.0.state();
        state.out.change(change);
        if let Some(incoming) = &mut state.incoming {
            incoming.change(change);
        }
        self.0.in_use.store(state.in_use(), Ordering::Relaxed);
    }

    /// From here on `replica` is at `address`, and nowhere else.
    pub(crate) fn moved(&self, replica: ReplicaId, address: SocketAddr) {
        let state = &mut *self.0.state();
        state.replicas.retain(|_, other| *other != replica);
        state.replicas.insert(address, replica);
    }

    /// What was done since the last [`Emulator::begin_measuring`].
    pub(crate) fn report(&self) -> LayerReport {
        let state = self.0.state();
        let mut report = state.out.report;
        if let Some(incoming) = &state.incoming {
            report.add(&incoming.report);
        }
        report
    }

    /// Counts anew.
    pub(crate) fn begin_measuring(&self) {
        let state = &mut *self.0.state();
        state.out.report = LayerReport::default();
        if let Some(incoming) = &mut state.incoming {
            incoming.report = LayerReport::default();
        }
    }
}

impl Shared {
    /// Nothing that holds the lock leaves the state half changed, so that a panic elsewhere is no reason to stop.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }
}

impl State {
    fn in_use(&self) -> bool {
        self.out.in_use || self.incoming.as_ref().is_some_and(|incoming| incoming.in_use)
    }

    /// Sends one datagram, now or later, or loses it.
    fn send(
        &mut self,
        inner: &dyn AsyncUdpSocket,
        to: ReplicaId,
        datagram: &Transmit<'_>,
    ) -> io::Result<()> {
        let now = Instant::now();
        let bytes = datagram.contents.len();
        for delay in self.out.fate(to, bytes, now) {
            if delay == Duration::ZERO {
                match inner.try_send(datagram) {
                    // Its fate is drawn: it leaves as soon as the socket takes it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    sent => {
                        sent?;
                        continue;
                    }
                }
            }
            let next_before = self.leaving.next_due();
            let packet = Packet {
                address: datagram.destination,
                own_ip: datagram.src_ip,
                ecn: datagram.ecn,
                contents: datagram.contents.into(),
            };
            if !self.leaving.push(now, delay, bytes, packet) {
                self.out.report.overflowed += 1;
            } else if next_before.is_none_or(|next| now + delay < next)
                && let Some(waker) = &self.waker
            {
                waker.wake_by_ref();
            }
        }
        Ok(())
    }

    /// Sends what is due. Returns when the next packet will be, if the socket is not what is waited for.
    fn send_due(&mut self, cx: &mut Context<'_>, inner: &dyn AsyncUdpSocket) -> Option<Instant> {
        let mut now = Instant::now();
        while let Some(waiting) = self.leaving.peek_due(now) {
            let packet = &waiting.item;
            let sent = inner.try_send(&Transmit {
                destination: packet.address,
                ecn: packet.ecn,
                contents: &packet.contents,
                segment_size: None,
                src_ip: packet.own_ip,
            });
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                match self.writable.as_mut().poll_writable(cx) {
                    Poll::Ready(Ok(())) => continue,
                    // An error shows at the next packet that the endpoint itself sends.
                    Poll::Ready(Err(_)) | Poll::Pending => return None,
                }
            }
            now = Instant::now();
            if let Some(waiting) = self.leaving.pop_due(now)
                && waiting.planned() > Duration::ZERO
            {
                self.out.delayed(waiting.planned(), now.saturating_duration_since(waiting.since));
            }
        }
        self.leaving.next_due()
    }

    /// A datagram has come.
    fn arrive(&mut self, now: Instant, meta: &RecvMeta, contents: &[u8]) {
        let fate = match (self.replicas.get(&meta.addr), &mut self.incoming) {
            (Some(from), Some(incoming)) => incoming.fate(*from, contents.len(), now),
            _ => smallvec::smallvec![Duration::ZERO],
        };
        for delay in fate {
            let packet = Packet {
                address: meta.addr,
                own_ip: meta.dst_ip,
                ecn: meta.ecn,
                contents: contents.into(),
            };
            if !self.arriving.push(now, delay, contents.len(), packet)
                && let Some(incoming) = &mut self.incoming
            {
                incoming.report.overflowed += 1;
            }
        }
    }

    /// Takes in everything that the socket has.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        inner: &dyn AsyncUdpSocket,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<()> {
        while let Poll::Ready(count) = inner.poll_recv(cx, bufs, meta) {
            let now = Instant::now();
            for (meta, buf) in meta.iter().zip(bufs.iter()).take(count?) {
                for datagram in buf[..meta.len].chunks(meta.stride.max(1)) {
                    self.arrive(now, meta, datagram);
                }
            }
        }
        Ok(())
    }

    /// Hands over what has arrived; returns how many datagrams.
    fn hand_over(&mut self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let now = Instant::now();
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some(waiting) = self.arriving.pop_due(now) else { break };
            if let Some(incoming) = &mut self.incoming
                && waiting.planned() > Duration::ZERO
            {
                incoming.delayed(waiting.planned(), now.saturating_duration_since(waiting.since));
            }
            let Packet { address, own_ip, ecn, contents } = waiting.item;
            let len = contents.len();
            buf[..len].copy_from_slice(&contents);
            *meta = RecvMeta { addr: address, len, stride: len, ecn, dst_ip: own_ip };
            count += 1;
        }
        count
    }
}

impl AsyncUdpSocket for EmulatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.0.is_in_use() {
            return self.0.inner.try_send(transmit);
        }
        let state = &mut *self.0.state();
        let Some(to) = state.replicas.get(&transmit.destination).copied() else {
            return self.0.inner.try_send(transmit);
        };
        // A transmission that was put together before the first change may hold several.
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for contents in transmit.contents.chunks(size) {
            let datagram = Transmit { contents, segment_size: None, ..transmit.clone() };
            state.send(&*self.0.inner, to, &datagram)?;
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.0.state();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        loop {
            let next_to_leave = state.send_due(cx, &*self.0.inner);
            let plain = state.arriving.is_empty()
                && !state.incoming.as_ref().is_some_and(|incoming| incoming.in_use);
            if plain {
                let received = self.0.inner.poll_recv(cx, bufs, meta);
                if received.is_ready() {
                    return received;
                }
            } else {
                state.read(cx, &*self.0.inner, bufs, meta)?;
                let count = state.hand_over(bufs, meta);
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
            }
            let next = [next_to_leave, state.arriving.next_due()].into_iter().flatten().min();
            match next {
                Some(next) if state.alarm.poll_at(cx, next).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        if self.0.is_in_use() { 1 } else { self.0.inner.max_transmit_segments() }
    }

    fn max_receive_segments(&self) -> usize {
        self.0.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.inner.may_fragment()
    }
}
