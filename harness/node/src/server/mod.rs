//! A replica among its peers and clients: the driver of one core behind a QUIC endpoint.
//!
//! A task per connection reads frames and steps the driver with them; the flush task then runs
//! behind all readers that were ready, carries the effects out and writes every outbox. All of it
//! shares one thread and one [`Node`], so that nothing is locked and nothing crosses a channel.

mod accept;
mod admission;
mod clients;
mod flush;
mod network;
mod operators;
mod outputs;
mod peers;
mod whereabouts;

use std::{
    cell::RefCell,
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use driver::{
    Driver,
    storage::{Durability, Journal, Owner, Past, Peers, Writer},
};
use protocols::{Replica, ReplicaId};
use quinn::{Incoming, RecvStream, VarInt};
use tokio::{sync::Notify, task::JoinSet};

use self::{
    admission::{Admission, Connections},
    outputs::Outputs,
    whereabouts::Whereabouts,
};
use crate::{
    NodeError,
    address::Address,
    clock::Clock,
    disk::{ProcessDisk, new_incarnation},
    emulator::{NetworkPlan, slow::Slow, socket::Place},
    failpoint,
    frame::FrameBuffer,
    identity::{Identity, Role},
    interrupt::Interrupt,
    limits::{HELLO_BYTES_MAX, HELLO_TIMEOUT},
    log::Log,
    options::Options,
    store::{Helper, ProcessStore},
    transport::Transport,
    wire::PeerHello,
};

/// Said at the start of a replica that verifies nobody, and worth saying wherever its figures are shown.
const INSECURE_WARNING: &str = "WARNING: --insecure: nobody is verified: whoever reaches this port can read and write \
    everything, and be a replica";

/// Why a connection was closed, for the other side.
mod close_code {
    use quinn::VarInt;

    /// The replica stops.
    pub(super) const STOPPING: VarInt = VarInt::from_u32(0);
    /// What was sent makes no sense.
    pub(super) const BAD_FRAME: VarInt = VarInt::from_u32(1);
    /// The other side may not do what it tried.
    pub(super) const REFUSED: VarInt = VarInt::from_u32(2);
    /// A newer connection of the same replica took over.
    pub(super) const REPLACED: VarInt = VarInt::from_u32(3);
    /// The replies were not read.
    pub(super) const NOT_READING: VarInt = VarInt::from_u32(4);
    /// The other side is a replica that was another when it was met: it may not go on.
    pub(super) const OTHER_INCARNATION: VarInt = VarInt::from_u32(5);
}

/// Everything of one replica that changes.
struct Node<R: Replica> {
    driver: Driver<R>,
    outputs: Outputs,
    store: ProcessStore,
    slow: Slow,
    /// The process' CPU time when the measuring began, in nanoseconds; 0 if it has not.
    cpu_ns_before: u64,
    /// The flush task's.
    flush: Option<Waker>,
}

impl<R: Replica> Node<R> {
    /// The driver may have been stepped: what its core asks for is carried out soon.
    fn wake_flush(&mut self) {
        if let Some(waker) = &self.flush {
            waker.wake_by_ref();
        }
    }
}

/// What every task of one replica holds.
struct Context<R: Replica> {
    node: RefCell<Node<R>>,
    transport: Transport,
    clock: Clock,
    id: ReplicaId,
    cluster: String,
    /// Is whoever comes believed?
    is_insecure: bool,
    peers: Whereabouts,
    incarnation: u64,
    /// Who the other replicas are.
    met: RefCell<Peers<ProcessDisk>>,
    /// How long a greeting may take to come.
    patience: Duration,
    log: Log,
    /// Told when an operator asks for the end, or something went wrong that ends everything.
    stop: Notify,
    /// What that was.
    failure: RefCell<Option<NodeError>>,
}

impl<R: Replica> Context<R> {
    /// What this replica says first to another.
    fn hello(&self) -> PeerHello {
        PeerHello {
            from: self.id,
            protocol: R::PROTOCOL,
            replicas: self.peers.len() as u64,
            incarnation: self.incarnation,
            known: self.met.borrow().known().to_vec(),
        }
    }

    /// The replica cannot go on.
    fn fail(&self, error: NodeError) {
        self.failure.borrow_mut().get_or_insert(error);
        self.stop.notify_one();
    }
}

type Shared<R> = Rc<Context<R>>;

/// Runs a replica until an operator stops it, or a signal, if it is to heed any.
///
/// # Errors
/// If the credentials cannot be loaded, the address cannot be bound, or the endpoint fails.
pub(crate) async fn serve<R: Replica>(
    options: &Options,
    seed: u64,
    interrupt: Option<Interrupt>,
) -> Result<(), NodeError> {
    let role = Role::Replica(options.id);
    let identity = match &options.credentials {
        Some(credentials) => Identity::load(credentials, role)?,
        None => Identity::insecure(role)?,
    };
    let known: Vec<_> = options.peers.iter().map(Address::fixed).collect();
    let place = options.network.as_ref().map(|plan| Place {
        plan,
        site: options.id,
        replicas: &known,
        is_client: false,
    });
    let transport = Transport::listening_at(&identity, options.listen, place.as_ref())?;
    let round_trip_max = options.network.as_ref().map(NetworkPlan::round_trip_max);
    let patience = HELLO_TIMEOUT + 4 * round_trip_max.unwrap_or_default();
    let log = Log::new(options.id);
    let replicas = options.config.replicas;
    log.line(format_args!(
        "one of {} replicas of {}, runs {} on {}",
        replicas,
        identity.cluster,
        R::PROTOCOL,
        options.listen
    ));
    let clock = Clock::start();
    let Beginning { incarnation, met, driver, store } =
        begin::<R>(options, &identity.cluster, (seed, clock), &log)?;
    if identity.is_insecure() {
        log.line(INSECURE_WARNING);
    }
    let draws_seed = options.network.as_ref().map_or(seed, |network| network.seed);
    let node = Node {
        driver,
        outputs: Outputs::new(options.id, &options.config, draws_seed, log.clone()),
        store,
        slow: Slow::new(),
        cpu_ns_before: 0,
        flush: None,
    };
    let shared = Rc::new(Context {
        node: RefCell::new(node),
        transport,
        clock,
        id: options.id,
        is_insecure: identity.is_insecure(),
        cluster: identity.cluster,
        peers: Whereabouts::new(&options.peers),
        incarnation,
        met: RefCell::new(met),
        patience,
        log,
        stop: Notify::new(),
        failure: RefCell::default(),
    });
    let end = CloseOnDrop(shared.transport.endpoint.clone());
    let result = run(&shared, interrupt).await;
    drop(end);
    shared.log.line("stopped");
    result
}

/// A replica as it begins: anew, or as what it had recorded.
struct Beginning<R: Replica> {
    incarnation: u64,
    met: Peers<ProcessDisk>,
    driver: Driver<R>,
    store: ProcessStore,
}

fn begin<R: Replica>(
    options: &Options,
    cluster: &str,
    (seed, clock): (u64, Clock),
    log: &Log,
) -> Result<Beginning<R>, NodeError> {
    let (id, config) = (options.id, options.config);
    let data = options.data.as_ref().filter(|_| options.durability != Durability::Memory);
    let Some(data) = data else {
        return Ok(Beginning {
            incarnation: new_incarnation(),
            met: Peers::in_memory(config.replicas),
            driver: Driver::new(id, &config, seed, clock.now()),
            store: ProcessStore::Absent,
        });
    };
    let start = Instant::now();
    let owner = Owner { cluster: cluster.to_owned(), replica: id, protocol: R::PROTOCOL, config };
    let mut past = Past::read(ProcessDisk::open(data)?, owner, new_incarnation())?;
    if failpoint::forgets_unsynced() {
        log.line("loses with this process what is not synced");
    }
    past.remarks.iter().for_each(|remark| log.line(remark));
    let journal = Journal::new(&past, options.log_bytes_kept);
    let mut driver = Driver::recover(id, &config, (seed, clock.now()), &past, journal)?;
    let recovery = start.elapsed();
    driver.began(options.durability, recovery);
    let replayed = driver.status().storage.records_replayed;
    let incarnation = past.directory.incarnation();
    let met = std::mem::replace(&mut past.peers, Peers::in_memory(0));
    log.line(format_args!(
        "incarnation {incarnation:016x}, durability {}: replayed {replayed} records{} in {:.1} ms from {}",
        options.durability,
        if past.snapshot.is_some() { " behind a snapshot" } else { "" },
        recovery.as_secs_f64() * 1e3,
        data.display()
    ));
    let synced = options.durability == Durability::Fsync;
    let writer = Writer::new(past, synced, options.log_bytes_kept)?;
    let store = if synced {
        ProcessStore::Synced(Helper::start(writer)?)
    } else {
        ProcessStore::Buffered { writer: Box::new(writer), failure: None }
    };
    Ok(Beginning { incarnation, met, driver, store })
}

async fn run<R: Replica>(
    shared: &Shared<R>,
    mut interrupt: Option<Interrupt>,
) -> Result<(), NodeError> {
    let mut tasks = JoinSet::new();
    let connections = Connections::default();
    tasks.spawn_local(flush::run(shared.clone()));
    for peer in ReplicaId::all(shared.peers.len()).filter(|peer| *peer > shared.id) {
        tasks.spawn_local(peers::keep_dialing(shared.clone(), peer));
    }
    loop {
        tokio::select! {
            () = shared.stop.notified() => {
                return shared.failure.borrow_mut().take().map_or(Ok(()), Err);
            }
            signal = raised(interrupt.as_mut()) => {
                shared.log.line(format_args!("stopping, as {signal} asked"));
                return Ok(());
            }
            incoming = shared.transport.endpoint.accept() => match incoming {
                Some(incoming) => receive(shared, &connections, incoming, &mut tasks),
                None => return Err(NodeError::EndpointFailed),
            },
            Some(ended) = tasks.join_next() => if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            },
        }
    }
}

/// Waits for a signal, for ever if none is to be heeded.
async fn raised(interrupt: Option<&mut Interrupt>) -> &'static str {
    match interrupt {
        Some(interrupt) => interrupt.raised().await,
        None => std::future::pending().await,
    }
}

/// Somebody wants to connect.
fn receive<R: Replica>(
    shared: &Shared<R>,
    connections: &Connections,
    incoming: Incoming,
    tasks: &mut JoinSet<()>,
) {
    let address = incoming.remote_address();
    if shared.peers.contains(address) {
        tasks.spawn_local(accept::serve(shared.clone(), incoming, None));
        return;
    }
    match connections.admit(address.ip(), incoming.remote_address_validated()) {
        Admission::Admitted(place) => {
            tasks.spawn_local(accept::serve(shared.clone(), incoming, Some(place)));
        }
        // It cannot fail: who has not proven its address may be asked to.
        Admission::Prove => drop(incoming.retry()),
        Admission::Refused => {
            let text = format_args!("{address} was refused: there are connections enough");
            shared.log.repeated("too many connections", text);
            incoming.refuse();
        }
    }
}

/// Tells everybody connected that this replica is gone, however it ends.
struct CloseOnDrop(quinn::Endpoint);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(close_code::STOPPING, b"the replica stops");
    }
}

/// How reading a stream ended.
#[derive(Debug)]
struct Ended {
    reason: String,
    /// What to tell the other side, where it is to blame.
    code: Option<VarInt>,
}

impl Ended {
    /// The other side went away or cannot be reached.
    fn lost(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), code: None }
    }

    /// The other side did something that it must not do.
    fn fault(code: VarInt, reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string(), code: Some(code) }
    }
}

/// Reads once, whatever has arrived.
async fn read_more(receive: &mut RecvStream, buffer: &mut FrameBuffer) -> Result<(), Ended> {
    let room = buffer.room();
    let size = room.len();
    let count = receive
        .read(room)
        .await
        .map_err(Ended::lost)?
        .ok_or_else(|| Ended::lost("the stream was finished"))?;
    buffer.filled(count);
    if count == size {
        // There is more than one drain's worth: let the others have their turn.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads the first frame and decodes it.
async fn read_hello<T: serde::de::DeserializeOwned>(
    receive: &mut RecvStream,
    buffer: &mut FrameBuffer,
    patience: Duration,
) -> Result<T, Ended> {
    let read = async {
        loop {
            let frame = buffer
                .next_frame_within(HELLO_BYTES_MAX)
                .map_err(|error| Ended::fault(close_code::BAD_FRAME, error))?;
            if let Some(frame) = frame {
                return postcard::from_bytes(frame).map_err(|_| {
                    Ended::fault(close_code::BAD_FRAME, "the first frame is no greeting")
                });
            }
            read_more(receive, buffer).await?;
        }
    };
    tokio::time::timeout(patience, read)
        .await
        .unwrap_or_else(|_| Err(Ended::fault(close_code::REFUSED, "no greeting came")))
}
