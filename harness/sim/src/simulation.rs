//! The run: takes events in order of time, steps the cores and carries out what they ask for.

use std::{
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use protocols::{Batch, Effects, Input, Replica, ReplicaId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHasher;

use crate::{
    client::Client,
    history::History,
    host::Host,
    network::Links,
    observe::Observer,
    outcome::{Outcome, SiteLatencies},
    queue::{Nanos, Queue},
    scenario::Scenario,
    timers::Expiry,
    trace::Trace,
    violation::{Breach, Broken, Violation},
};

/// What can happen.
#[derive(Debug)]
pub(crate) enum Event<R: Replica> {
    /// A replica's life begins.
    Start { replica: ReplicaId, life: u32 },
    /// A message arrives.
    Message { from: ReplicaId, to: ReplicaId, message: R::Message },
    /// A timer runs out, unless it was stopped or set again.
    Timer { replica: ReplicaId, timer: R::Timer, token: u64 },
    /// A captured state is handed over.
    Captured { replica: ReplicaId, life: u32, machine: Arc<[u8]> },
    /// A client's submission arrives at a replica.
    Request { replica: ReplicaId, client: u32, number: u64, batch: Batch },
    /// An answer arrives at a client.
    Answer { client: u32, number: u64, outcomes: Vec<protocols::Outcome> },
    /// A client makes its next submission.
    Submit { client: u32 },
    /// A client has waited long enough for the answer to its n-th attempt.
    Impatience { client: u32, number: u64, attempts: u32 },
    /// The n-th fault of the plan.
    Fault(usize),
    /// Time to see whether the cluster is at rest.
    RestCheck,
}

/// A run under way.
pub(crate) struct Simulation<'s, R: Replica> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) now: Nanos,
    pub(crate) queue: Queue<Event<R>>,
    pub(crate) hosts: Vec<Host<R>>,
    pub(crate) links: Links,
    pub(crate) clients: Vec<Client>,
    pub(crate) client_rng: ChaCha8Rng,
    pub(crate) history: History,
    pub(crate) sites: Vec<SiteLatencies>,
    /// When a client last had an answer or something asked for was decided.
    pub(crate) last_progress_at: Nanos,
    pub(crate) proposals: u64,
    pub(crate) decisions: u64,
    pub(crate) longest_component: u64,
    pub(crate) trace: Trace,
    pub(crate) observer: Observer,
    pub(crate) effects: Effects<R>,
    hash: FxHasher,
    events: u64,
    at_rest: bool,
}

/// Runs `scenario` with the cores `R`, until the faults are over, every client has its answers and the replicas are at
/// rest with equal states.
///
/// Fails with the first rule that is broken; the run is then repeated with its events written down. A scenario whose
/// network and configuration differ in the number of replicas is a bug of the caller and panics.
pub fn run<R: Replica>(scenario: &Scenario) -> Result<Outcome, Violation> {
    match attempt::<R>(scenario, 0) {
        Err(_) if scenario.trace_lines_max > 0 => replay::<R>(scenario),
        done => done,
    }
}

/// As [`run`], but writes down the last [`Scenario::trace_lines_max`] events whether or not a rule is broken: slower, and
/// otherwise the same, down to the trace hash.
pub fn replay<R: Replica>(scenario: &Scenario) -> Result<Outcome, Violation> {
    attempt::<R>(scenario, scenario.trace_lines_max)
}

fn attempt<R: Replica>(scenario: &Scenario, lines_max: usize) -> Result<Outcome, Violation> {
    let mut simulation = Simulation::<R>::new(scenario, lines_max);
    // A simulation that panicked is looked at for its trace alone.
    let ended =
        catch_unwind(AssertUnwindSafe(|| simulation.run_to_rest())).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(Breach::new(Broken::Assertion, text.to_owned()))
        });
    match ended {
        Ok(()) => Ok(simulation.into_outcome()),
        Err(breach) => Err(Violation {
            protocol: R::PROTOCOL,
            seed: scenario.seed,
            at_ns: simulation.now,
            breach,
            trace_hash: simulation.hash.finish(),
            trace: simulation.trace.into_lines(),
        }),
    }
}

/// A stream of random numbers of its own for each purpose, so that a change of one leaves the others as they were.
fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

impl<'s, R: Replica> Simulation<'s, R> {
    fn new(scenario: &'s Scenario, lines_max: usize) -> Self {
        let n = scenario.config.replicas;
        assert_eq!(scenario.network.one_way_ns.len(), n, "there is a site per replica");
        let sites = scenario.load.sites.iter();
        let clients = sites.flat_map(|site| vec![site; scenario.load.clients_per_site]);
        let mut simulation = Self {
            scenario,
            now: 0,
            queue: Queue::new(),
            hosts: ReplicaId::all(n).map(|id| Host::new(id, &scenario.config)).collect(),
            links: Links::new(scenario.network.clone(), rng(scenario.seed, 0)),
            clients: (1..).zip(clients).map(|(id, site)| Client::new(id, site)).collect(),
            client_rng: rng(scenario.seed, 1),
            history: History::default(),
            sites: vec![SiteLatencies::default(); n],
            last_progress_at: 0,
            proposals: 0,
            decisions: 0,
            longest_component: 0,
            trace: Trace::new(lines_max),
            observer: Observer::new(R::PROTOCOL, n),
            effects: Effects::default(),
            hash: FxHasher::default(),
            events: 0,
            at_rest: false,
        };
        simulation.schedule_beginning();
        simulation
    }

    fn schedule_beginning(&mut self) {
        for replica in ReplicaId::all(self.hosts.len()) {
            self.queue.push(0, Event::Start { replica, life: 0 });
        }
        for (index, (at, _)) in self.scenario.faults.0.iter().enumerate() {
            self.queue.push(*at, Event::Fault(index));
        }
        for client in 0..self.clients.len() {
            for _ in 0..self.scenario.load.window {
                let submit = Event::Submit { client: client_index(client) };
                self.queue.push(self.scenario.load.start_ns, submit);
            }
        }
        self.queue.push(self.scenario.faults.end_ns(), Event::RestCheck);
    }

    fn run_to_rest(&mut self) -> Result<(), Breach> {
        while !self.at_rest {
            let (at, event) = self.queue.pop().expect("the next rest check is always queued");
            self.now = at;
            self.handle(event)?;
        }
        self.check_at_rest()
    }

    fn into_outcome(self) -> Outcome {
        Outcome {
            simulated_ns: self.now,
            events: self.events,
            trace_hash: self.hash.finish(),
            operations: self.history.operations().len() as u64,
            sites: self.sites,
            replicas: self.hosts.into_iter().map(|host| host.counters).collect(),
            longest_component: self.longest_component,
            history: self.history,
            trace: self.trace.into_lines(),
        }
    }

    fn handle(&mut self, event: Event<R>) -> Result<(), Breach> {
        if let Some(replica) = addressee(&event) {
            let host = &mut self.hosts[replica.index()];
            if host.paused {
                host.backlog.push(event);
                return Ok(());
            }
            if host.core.is_none() {
                return Ok(());
            }
        }
        match event {
            Event::Start { replica, life } if life == self.hosts[replica.index()].life => {
                self.note(replica, 0, &life, || format!("{replica} starts life {life}"));
                self.step(replica, Input::Start)
            }
            Event::Message { from, to, message } => {
                self.note(to, 1, &(from, &message), || format!("{from} -> {to} {message:?}"));
                self.hosts[to.index()].counters.messages_in += 1;
                self.step(to, Input::Message { from, message })
            }
            Event::Timer { replica, timer, token } => self.expire(replica, timer, token),
            Event::Captured { replica, life, machine }
                if life == self.hosts[replica.index()].life =>
            {
                self.note(replica, 3, &machine, || format!("{replica} has its state captured"));
                self.step(replica, Input::Captured(machine))
            }
            Event::Start { .. } | Event::Captured { .. } => Ok(()),
            Event::Request { replica, client, number, batch } => {
                let text = || format!("client {} -> {replica} {batch:?}", client + 1);
                self.note(replica, 4, &(client, number), text);
                self.serve(replica, client, number, batch)
            }
            Event::Answer { client, number, outcomes } => {
                self.note(ReplicaId(0), 5, &(client, number, &outcomes), || {
                    format!("client {} has its answer {number}", client + 1)
                });
                self.take_answer(client, number, outcomes)
            }
            Event::Submit { client } => {
                self.submit(client);
                Ok(())
            }
            Event::Impatience { client, number, attempts } => {
                self.retry(client, number, attempts);
                Ok(())
            }
            Event::Fault(index) => self.strike(index),
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

    fn expire(&mut self, replica: ReplicaId, timer: R::Timer, token: u64) -> Result<(), Breach> {
        match self.hosts[replica.index()].timers.expire(timer, token, self.now) {
            Expiry::Gone => Ok(()),
            Expiry::Later(at) => {
                self.queue.push(at, Event::Timer { replica, timer, token });
                Ok(())
            }
            Expiry::Due => {
                self.note(replica, 2, &timer, || format!("{replica} timer {timer:?}"));
                self.step(replica, Input::Timer(timer))
            }
        }
    }
}

/// Which replica an event is for: that of a crashed one is lost, that of a paused one waits.
const fn addressee<R: Replica>(event: &Event<R>) -> Option<ReplicaId> {
    match event {
        Event::Start { replica, .. }
        | Event::Message { to: replica, .. }
        | Event::Timer { replica, .. }
        | Event::Captured { replica, .. }
        | Event::Request { replica, .. } => Some(*replica),
        Event::Answer { .. }
        | Event::Submit { .. }
        | Event::Impatience { .. }
        | Event::Fault(_)
        | Event::RestCheck => None,
    }
}

fn client_index(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 clients")
}
