//! The run: takes events in order of time and hands them to whom they concern.

use std::{
    any::Any,
    fmt,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};

use driver::{Driver, Reply};
use measure::ReplicaReport;
use protocols::{Replica, ReplicaId, Status, kv::Digest};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHasher;

use crate::{
    coverage::Coverage,
    fault::{Fault, FaultPlan},
    host::{Arrival, Envelopes, SimReplica},
    network::Links,
    observe::Observer,
    outcome::Counters,
    progress::Progress,
    queue::{Nanos, Queue},
    scenario::Cluster,
    source::{Agenda, Source, Wish},
    store::{Begun, DiskStore, SimStore},
    trace::Trace,
    violation::{Breach, Broken, Violation},
};

/// Chosen: far more than any cluster does at one moment. Beyond it nothing that happens takes any time.
const EVENTS_AT_ONCE_MAX: u64 = 10_000_000;

/// What can happen.
#[derive(Debug)]
pub(crate) enum Event<R: Replica, W> {
    /// Something comes to a replica.
    Arrival { replica: ReplicaId, arrival: Arrival<R> },
    /// A replica's CPU is free for what came meanwhile.
    Ready { replica: ReplicaId },
    /// The answer to a request arrives at its client.
    Reply { client: u32, reply: Reply },
    /// A time comes that the clients wait for.
    Wake(W),
    /// The n-th fault of the plan.
    Fault(usize),
    /// Time to see whether the cluster is at rest.
    QuiescenceCheck,
}

/// A cluster and its clients under way. Its owner lets time pass and may interfere between events.
pub struct Simulation<R: Replica, S: Source> {
    pub(crate) cluster: Cluster,
    pub(crate) faults: FaultPlan,
    pub(crate) now: Nanos,
    pub(crate) queue: Queue<Event<R, S::Wake>>,
    pub(crate) hosts: Vec<SimReplica<R>>,
    pub(crate) links: Links,
    pub(crate) envelopes: Envelopes<R::Message>,
    pub(crate) source: S,
    /// What the clients want, between their being told something and its being done.
    agenda: Agenda<S::Wake>,
    pub(crate) progress: Progress,
    /// How long the cluster may go without progress and not come to rest.
    pub(crate) settle_ns_max: u64,
    pub(crate) trace: Trace,
    pub(crate) observer: Observer,
    pub(crate) coverage: Coverage,
    /// What disks draw.
    pub(crate) disk_random: ChaCha8Rng,
    pub(crate) hash: FxHasher,
    pub(crate) events: u64,
    /// How many events there were at this moment.
    at_once: u64,
    pub(crate) quiescent: bool,
}

impl<R: Replica, S: Source> fmt::Debug for Simulation<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now_ns, events) = (self.now, self.events);
        f.debug_struct("Simulation")
            .field("now_ns", &now_ns)
            .field("events", &events)
            .finish_non_exhaustive()
    }
}

/// A stream of random numbers of its own for each purpose, so that a change of one leaves the others as they were.
pub(crate) fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// A replica that has never been before.
fn first_life<R: Replica>(cluster: &Cluster, id: ReplicaId) -> SimReplica<R> {
    let (config, seed) = (cluster.config_of(R::PROTOCOL, id), cluster.seed_of(id, 0));
    let Some(storage) = &cluster.storage else {
        return SimReplica::new(Driver::new(id, &config, seed, 0), SimStore::Memory);
    };
    let mut disk = DiskStore::new(storage.clone(), cluster.owner::<R>(id));
    let begun = disk.begin_life(&config, (seed, 0));
    let Begun { driver, .. } = begun.expect("a new disk takes a new replica's data");
    SimReplica::new(driver, SimStore::Disk(Box::new(disk)))
}

impl<R: Replica, S: Source> Simulation<R, S> {
    /// A cluster at time 0, with the faults that are known beforehand and with clients that begin when they are told.
    ///
    /// # Panics
    /// If the network and the configuration differ in the number of replicas, which is a bug of the caller.
    pub fn new(cluster: &Cluster, faults: &FaultPlan, source: S) -> Self {
        let n = cluster.config.replicas;
        assert_eq!(cluster.network.one_way_ns.len(), n, "there is a site per replica");
        let mut simulation = Self {
            now: 0,
            queue: Queue::new(),
            hosts: ReplicaId::all(n).map(|id| first_life(cluster, id)).collect(),
            links: Links::new(&cluster.network, rng(cluster.seed, 0)),
            envelopes: Envelopes::default(),
            source,
            agenda: Agenda::new(),
            progress: Progress::default(),
            settle_ns_max: u64::MAX,
            trace: Trace::new(cluster.trace_lines_max),
            observer: Observer::new(R::PROTOCOL, n, cluster.storage.is_some()),
            coverage: Coverage::default(),
            disk_random: rng(cluster.seed, 4),
            hash: FxHasher::default(),
            events: 0,
            at_once: 0,
            quiescent: false,
            cluster: cluster.clone(),
            faults: faults.clone(),
        };
        for replica in ReplicaId::all(n) {
            simulation.arrive_at(0, replica, Arrival::Start { life: 0 });
        }
        for (index, (at, _)) in faults.0.iter().enumerate() {
            simulation.queue.push(*at, Event::Fault(index));
        }
        simulation.tell_source(Source::start);
        simulation
    }

    /// The simulated time, in nanoseconds.
    pub const fn now_ns(&self) -> u64 {
        self.now
    }

    /// Lets time pass until `at_ns`; what happens at that very moment is still to come.
    ///
    /// # Errors
    /// If a rule is broken. The simulation is of no further use then.
    pub fn run_until(&mut self, at_ns: u64) -> Result<(), Box<Violation>> {
        self.watched(|simulation| {
            while simulation.queue.next_at().is_some_and(|at| at < at_ns) {
                simulation.next_event()?;
            }
            simulation.now = simulation.now.max(at_ns);
            Ok(())
        })
    }

    /// As [`Simulation::run_until`], but ends as soon as the clients have all that they ask for.
    ///
    /// # Errors
    /// As [`Simulation::run_until`].
    pub fn run_until_done(&mut self, at_ns: u64) -> Result<(), Box<Violation>> {
        self.watched(|simulation| {
            while !simulation.source.is_done() {
                if simulation.queue.next_at().is_none_or(|at| at >= at_ns) {
                    simulation.now = simulation.now.max(at_ns);
                    break;
                }
                simulation.next_event()?;
            }
            Ok(())
        })
    }

    /// `fault` happens now.
    ///
    /// # Errors
    /// As [`Simulation::run_until`].
    pub fn strike_now(&mut self, fault: &Fault) -> Result<(), Box<Violation>> {
        self.watched(|simulation| simulation.strike(fault))
    }

    /// An account of a rule that the owner of the simulation finds broken, with the last events.
    /// The simulation is of no further use then.
    pub fn broken(&mut self, broken: Broken, detail: String) -> Box<Violation> {
        let found: Result<(), _> = self.watched(|_| Err(Breach::new(broken, detail)));
        found.expect_err("nothing but this breach is returned")
    }

    /// The clients.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Tells the clients something, upon which they may ask for something.
    pub fn tell_source<T>(&mut self, tell: impl FnOnce(&mut S, &mut Agenda<S::Wake>) -> T) -> T {
        self.agenda.now_ns = self.now;
        let told = tell(&mut self.source, &mut self.agenda);
        if std::mem::take(&mut self.agenda.has_given_up) {
            self.progress.last_at = self.now;
        }
        self.do_as_wished();
        told
    }

    /// What a replica says about itself; none if it is down.
    pub fn status(&self, replica: ReplicaId) -> Option<Status> {
        self.hosts[replica.index()].driver.as_ref().map(|driver| driver.core().status())
    }

    /// The digest of a replica's key-value state; of one that is down, of nothing.
    pub fn digest(&self, replica: ReplicaId) -> Digest {
        let driver = self.hosts[replica.index()].driver.as_ref();
        driver.map_or_else(Digest::default, Driver::digest)
    }

    /// How many requests a replica works on for its clients.
    pub fn pending(&self, replica: ReplicaId) -> usize {
        self.hosts[replica.index()].driver.as_ref().map_or(0, Driver::pending)
    }

    /// Is a replica paused?
    pub fn is_paused(&self, replica: ReplicaId) -> bool {
        self.hosts[replica.index()].paused
    }

    /// Every replica begins to count and to time anew.
    pub fn begin_measuring(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            if let Some(driver) = &mut host.driver {
                driver.begin_measuring(now);
            }
            if let Some(retired) = &mut host.retired {
                *retired = driver::Meters::new(now);
            }
            host.counters = Counters::default();
        }
    }

    /// The measured time ends at every replica; what came in during it is timed until it is
    /// executed.
    pub fn end_measuring(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            if let Some(driver) = &mut host.driver {
                driver.end_measuring(now);
            }
            if let Some(retired) = &mut host.retired {
                retired.end(now);
            }
        }
    }

    /// What a replica has counted and timed since the measuring began, or since the start, in all
    /// its lives, with its CPU time if work takes any.
    pub fn report(&self, replica: ReplicaId) -> ReplicaReport {
        let host = &self.hosts[replica.index()];
        let mut report = match (&host.driver, &host.retired) {
            (Some(driver), _) => driver.report(self.now),
            (None, Some(retired)) => retired.report(self.now, std::iter::empty()),
            (None, None) => ReplicaReport::default(),
        };
        report.replica = u32::from(replica.0);
        report.cpu_ns = (!self.cluster.costs.is_none()).then_some(host.counters.busy_ns);
        report
    }

    /// What a replica has done since the start, or since the measuring began.
    pub fn counters(&self, replica: ReplicaId) -> Counters {
        let host = &self.hosts[replica.index()];
        host.counters.with(&self.report(replica).counters)
    }

    /// The clients, at the end.
    pub fn into_source(self) -> S {
        self.source
    }

    /// A hash over every event so far: when, to whom, what. Equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        self.hash.finish()
    }

    /// How many events there were.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Does `work`, and makes an account of whatever rule it breaks.
    pub(crate) fn watched<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Breach>,
    ) -> Result<T, Box<Violation>> {
        // A simulation that panicked is looked at for its trace alone.
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|panic| {
            Err(Breach::new(Broken::Assertion, panic_text(&*panic).to_owned()))
        });
        done.map_err(|breach| {
            Box::new(Violation {
                protocol: R::PROTOCOL,
                seed: self.cluster.seed,
                at_ns: self.now,
                breach,
                trace_hash: self.hash.finish(),
                trace: std::mem::replace(&mut self.trace, Trace::new(0)).into_lines(),
            })
        })
    }

    /// Something comes to a replica at `at`.
    pub(crate) fn arrive_at(&mut self, at: Nanos, replica: ReplicaId, arrival: Arrival<R>) {
        self.queue.push(at, Event::Arrival { replica, arrival });
    }

    /// What happens next happens.
    pub(crate) fn next_event(&mut self) -> Result<(), Breach> {
        let (at, event) = self.queue.pop().expect("time passes only while something is to come");
        self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
        if self.at_once > EVENTS_AT_ONCE_MAX {
            let detail = format!("{EVENTS_AT_ONCE_MAX} events at one moment: nothing takes time");
            return Err(Breach::new(Broken::Liveness, detail));
        }
        self.now = at;
        match event {
            Event::Arrival { replica, arrival } => self.arrive(replica, arrival),
            Event::Ready { replica } => self.work_off(replica),
            Event::Reply { client, reply } => {
                let Reply { number, answer, .. } = &reply;
                self.note(ReplicaId(0), 5, &(client, number, answer.as_ref().ok()), || {
                    format!("client {} has the answer to {number:?}: {answer:?}", client + 1)
                });
                let told = |source: &mut S, agenda: &mut _| source.on_reply(client, &reply, agenda);
                if self.tell_source(told)? {
                    self.progress.last_at = self.now;
                }
                Ok(())
            }
            Event::Wake(wake) => {
                self.tell_source(|source, agenda| source.on_wake(wake, agenda));
                Ok(())
            }
            Event::Fault(index) => {
                let fault = self.faults.0[index].1.clone();
                self.strike(&fault)
            }
            Event::QuiescenceCheck => {
                self.quiescent = self.check_quiescence()?;
                Ok(())
            }
        }
    }

    /// Takes an event into the trace hash, and into the trace if there is one.
    pub(crate) fn note(
        &mut self,
        replica: ReplicaId,
        kind: u8,
        what: &impl Hash,
        text: impl FnOnce() -> String,
    ) {
        self.events += 1;
        (self.now, replica, kind).hash(&mut self.hash);
        what.hash(&mut self.hash);
        self.trace.add(self.now, text);
    }

    fn do_as_wished(&mut self) {
        let mut wishes = std::mem::take(&mut self.agenda.wishes);
        for wish in wishes.drain(..) {
            match wish {
                Wish::Ask(ask) => self.deliver(ask),
                Wish::Wake { after, wake } => {
                    let at = self.now + self.links.draw(&after);
                    self.queue.push(at, Event::Wake(wake));
                }
            }
        }
        self.agenda.wishes = wishes;
    }
}
