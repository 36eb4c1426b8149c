//! What the transport alone costs: a small frame to another thread and back.
//!
//! Two threads stand for a client and a replica: each with a runtime of its own like theirs, between them the cluster's
//! own QUIC with mutual TLS, one connection with one stream, on the loopback. No codec, no log and no state machine take
//! part. This round trip is the unit in which a protocol's latency under one client is best read: how many of it there
//! are tells how much the protocol adds, on whatever machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use measure::Histogram;
use node::{
    frame::{FrameBuffer, append_frame},
    identity::{self, Identity, Role},
    transport::{Dialer, Link, Transport},
    wire::ClientHello,
};
use protocols::ReplicaId;
use quinn::VarInt;
use tokio::runtime::{Builder, Runtime};

const REPLICA: ReplicaId = ReplicaId(0);
const FRAME_BYTES: usize = 64;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be had")
}

/// One end of the stream.
struct End {
    link: Link,
    buffer: FrameBuffer,
    /// The frame to write.
    frame: Vec<u8>,
}

impl End {
    fn new(link: Link) -> Self {
        let mut frame = Vec::new();
        append_frame(&mut frame, |bytes| bytes.extend_from_slice(&[7; FRAME_BYTES]))
            .expect("short enough");
        Self { link, buffer: FrameBuffer::default(), frame }
    }

    /// Reads until there is a whole frame; its length, or none once the other end is gone.
    async fn read(&mut self) -> Option<usize> {
        loop {
            if let Some(frame) = self.buffer.next_frame().expect("no frame is too long") {
                return Some(frame.len());
            }
            let count = self.link.receive.read(self.buffer.room()).await.ok()??;
            self.buffer.filled(count);
        }
    }

    async fn write(&mut self) {
        self.link.send.write_all(&self.frame).await.expect("the other end is there");
    }

    async fn round_trip(&mut self) {
        self.write().await;
        assert_eq!(self.read().await, Some(FRAME_BYTES), "what was sent comes back");
    }
}

/// Takes one connection, tells where through `address`, and sends a frame for each that comes until it is closed.
fn echo(credentials: &Path, address: &mpsc::Sender<SocketAddr>) {
    runtime().block_on(async {
        let identity = Identity::load(credentials, Role::Replica(REPLICA)).expect("just made");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let transport = Transport::listening(&identity, any).expect("a free port");
        let bound = transport.endpoint.local_addr().expect("it is bound");
        address.send(bound).expect("the other thread waits for it");
        let incoming = transport.endpoint.accept().await.expect("the endpoint stays open");
        let connection = incoming.await.expect("both are of one cluster");
        let (send, receive) = connection.accept_bi().await.expect("the dialing end opens it");
        let mut end = End::new(Link { connection, send, receive });
        end.read().await.expect("the dialing end greets");
        while end.read().await.is_some() {
            end.write().await;
        }
    });
}

async fn dial(credentials: &Path, address: SocketAddr) -> (Dialer, End) {
    let identity = Identity::load(credentials, Role::Client).expect("just made");
    let dialer = Dialer::new(&identity).expect("a free port");
    let hello = ClientHello { to: REPLICA };
    let link = dialer.dial(REPLICA, address, &hello).await.expect("the echo listens");
    (dialer, End::new(link))
}

/// The time of `count` round trips, each of which is recorded, too.
async fn round_trips(end: &mut End, count: u64, trips: &mut Histogram) -> Duration {
    let start = Instant::now();
    let mut last = start;
    for _ in 0..count {
        end.round_trip().await;
        let now = Instant::now();
        trips.record_ns(u64::try_from((now - last).as_nanos()).expect("far below centuries"));
        last = now;
    }
    last - start
}

fn ping_pong(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let credentials = directory.path();
    identity::create(credentials, 1).expect("the directory is empty");
    let (sender, address) = mpsc::channel();
    let runtime = runtime();
    let mut trips = Histogram::new();
    thread::scope(|scope| {
        scope.spawn(|| echo(credentials, &sender));
        let address = address.recv().expect("the echo says where it listens");
        let (dialer, mut end) = runtime.block_on(dial(credentials, address));
        criterion.bench_function("quic/ping-pong 64 B", |bencher| {
            bencher.iter_custom(|count| runtime.block_on(round_trips(&mut end, count, &mut trips)));
        });
        end.link.connection.close(VarInt::from_u32(0), b"measured");
        runtime.block_on(dialer.wait_idle());
    });
    // Criterion knows means of many round trips alone; latencies are given as percentiles of single ones.
    if let (Some(p50), Some(p99)) = (trips.percentile_us(50.0), trips.percentile_us(99.0)) {
        println!("{} single round trips: p50 {p50:.1} µs, p99 {p99:.1} µs\n", trips.len());
    }
}

criterion_group!(benches, ping_pong);
criterion_main!(benches);
