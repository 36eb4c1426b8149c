//! The run: takes events in order of time and hands them to whom they concern.

use std::{
    fmt,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
};

use protocols::{Effects, Replica, ReplicaId, Status, kv::Digest};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHasher;

use crate::{
    fault::{Fault, FaultPlan},
    host::{Arrival, Host, Outgoing},
    network::Links,
    observe::Observer,
    outcome::Counters,
    queue::{Nanos, Queue},
    scenario::Cluster,
    source::{Agenda, Outcomes, Source, Wish},
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
    /// An answer arrives at a client.
    Answer { client: u32, number: u64, outcomes: Outcomes },
    /// A time comes that the clients wait for.
    Wake(W),
    /// The n-th fault of the plan.
    Fault(usize),
    /// Time to see whether the cluster is at rest.
    RestCheck,
}

/// A cluster and its clients under way. Whoever holds one lets time pass and may interfere between events.
pub struct Simulation<R: Replica, S: Source> {
    pub(crate) cluster: Cluster,
    pub(crate) faults: FaultPlan,
    pub(crate) now: Nanos,
    pub(crate) queue: Queue<Event<R, S::Wake>>,
    pub(crate) hosts: Vec<Host<R>>,
    pub(crate) links: Links,
    pub(crate) source: S,
    /// What the clients want, between their being told something and its being done.
    agenda: Agenda<S::Wake>,
    /// When a client last had an answer or something asked for was decided.
    pub(crate) last_progress_at: Nanos,
    pub(crate) proposals: u64,
    pub(crate) decisions: u64,
    /// How long the cluster may go without progress and not come to rest.
    pub(crate) settle_ns_max: u64,
    pub(crate) trace: Trace,
    pub(crate) observer: Observer,
    pub(crate) effects: Effects<R>,
    /// What the replica that works has put out and not sent; empty where work takes no time.
    pub(crate) outgoing: Vec<Outgoing<R>>,
    hash: FxHasher,
    pub(crate) events: u64,
    /// How many events there were at this moment.
    at_once: u64,
    pub(crate) at_rest: bool,
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
            hosts: ReplicaId::all(n)
                .map(|id| Host::new(id, &cluster.config_of(R::PROTOCOL, id)))
                .collect(),
            links: Links::new(&cluster.network, rng(cluster.seed, 0)),
            source,
            agenda: Agenda::new(),
            last_progress_at: 0,
            proposals: 0,
            decisions: 0,
            settle_ns_max: u64::MAX,
            trace: Trace::new(cluster.trace_lines_max),
            observer: Observer::new(R::PROTOCOL, n, cluster.restarts),
            effects: Effects::default(),
            outgoing: Vec::new(),
            hash: FxHasher::default(),
            events: 0,
            at_once: 0,
            at_rest: false,
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

    /// An account of a rule that whoever holds the simulation finds broken, with the last events. The simulation is of no
    /// further use then.
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
        self.do_as_wished();
        told
    }

    /// What a replica says about itself; none if it is down.
    pub fn status(&self, replica: ReplicaId) -> Option<Status> {
        self.hosts[replica.index()].core.as_ref().map(Replica::status)
    }

    /// The digest of a replica's key-value state; of one that is down, of nothing.
    pub fn digest(&self, replica: ReplicaId) -> Digest {
        self.hosts[replica.index()].kv.digest()
    }

    /// How many requests a replica works on for its clients.
    pub fn pending(&self, replica: ReplicaId) -> usize {
        self.hosts[replica.index()].pending.len()
    }

    /// The requests that a replica has not executed for its clients: when each came in, in nanoseconds, and whether it is
    /// committed there.
    pub fn open(&self, replica: ReplicaId) -> impl Iterator<Item = (u64, bool)> {
        let pending = self.hosts[replica.index()].pending.values();
        let open = pending.filter(|pending| !pending.is_settled);
        open.map(|pending| (pending.since, pending.committed.is_some()))
    }

    /// Is a replica paused?
    pub fn is_paused(&self, replica: ReplicaId) -> bool {
        self.hosts[replica.index()].paused
    }

    /// What a replica has done so far.
    pub fn counters(&self, replica: ReplicaId) -> Counters {
        let mut counters = self.hosts[replica.index()].counters;
        counters.longest_component = self.longest_component_of(replica);
        counters
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
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(Breach::new(Broken::Assertion, text.to_owned()))
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
        let (at, event) = self.queue.pop().expect("whoever lets time pass has something to await");
        self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
        if self.at_once > EVENTS_AT_ONCE_MAX {
            let detail = format!("{EVENTS_AT_ONCE_MAX} events at one moment: nothing takes time");
            return Err(Breach::new(Broken::Liveness, detail));
        }
        self.now = at;
        match event {
            Event::Arrival { replica, arrival } => self.arrive(replica, arrival),
            Event::Ready { replica } => self.work_off(replica),
            Event::Answer { client, number, outcomes } => {
                self.note(ReplicaId(0), 5, &(client, number, &outcomes), || {
                    format!("client {} has its answer {number}", client + 1)
                });
                let told = |source: &mut S, agenda: &mut _| {
                    source.on_answer(client, number, outcomes, agenda)
                };
                if self.tell_source(told)? {
                    self.last_progress_at = self.now;
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
            Event::RestCheck => {
                self.at_rest = self.look_for_rest()?;
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
