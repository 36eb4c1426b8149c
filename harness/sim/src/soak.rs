//! A run by a [`Scenario`]: a number of submissions per client, then rest, then everything is compared.

use std::collections::BTreeSet;

use driver::Reply;
use protocols::{ClientId, Outcome as CommandOutcome, Replica, ReplicaId, Request};
use rand_chacha::ChaCha8Rng;

use crate::{
    client::{Client, Late, Load},
    coverage::Rare,
    history::{Elements, History, elements, repeated_element},
    liveness::{ProgressAsked, Stretches},
    outcome::{Counters, Outcome, SiteLatencies},
    queue::Nanos,
    scenario::Scenario,
    simulation::{Simulation, rng},
    source::{Agenda, Ask, Source},
    store::SimStore,
    violation::{Breach, Broken, Violation},
};

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
    let cluster = scenario.cluster(R::PROTOCOL, lines_max);
    let clients = SoakClients::new(scenario);
    let mut simulation = Simulation::<R, _>::new(&cluster, &scenario.faults, clients);
    let ended = simulation.watched(|simulation| {
        if let Some(asked) = &scenario.progress {
            return simulation.run_while_faults_last(asked);
        }
        simulation.run_until_quiescent(scenario.settle_ns_max)?;
        simulation.check_final_state()
    });
    match ended {
        Ok(()) => Ok(simulation.into_outcome()),
        Err(violation) => Err(*violation),
    }
}

/// What clients of a soak wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SoakWake {
    /// A client makes its next submission.
    Submit { client: u32 },
    /// An attempt of a client's submission is over.
    Impatience { client: u32, number: u64 },
}

/// The clients of a soak.
#[derive(Debug)]
pub(crate) struct SoakClients<'s> {
    load: &'s Load,
    clients: Vec<Client>,
    rng: ChaCha8Rng,
    history: History,
    /// How many submissions were given up, and how often one was sent to another replica.
    given_up: u64,
    moved: u64,
    /// The writes that took effect, by client and index, in the order in which they did.
    effects: Vec<(ClientId, u64)>,
    /// What progress is asked for while faults last, and how long there was none.
    progress: Option<ProgressAsked>,
    stretches: Stretches,
    sites: Vec<SiteLatencies>,
}

impl<'s> SoakClients<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let (load, replicas) = (&scenario.load, scenario.config.replicas);
        let watched_from = scenario.progress.map_or(Nanos::MAX, |asked| asked.from_ns);
        let sites = load.sites.iter();
        let clients = sites.flat_map(|site| vec![site; load.clients_per_site]);
        let client = |(id, site)| Client::new(id, site, replicas, load);
        Self {
            load,
            clients: (1..).zip(clients).map(client).collect(),
            rng: rng(scenario.seed, 1),
            history: History::default(),
            given_up: 0,
            moved: 0,
            effects: Vec::new(),
            progress: scenario.progress,
            stretches: Stretches::new(watched_from),
            sites: vec![SiteLatencies::default(); replicas],
        }
    }

    /// A client makes its next submission, if it has one left, at its own site's replica.
    fn submit(&mut self, client: u32, agenda: &mut Agenda<SoakWake>) {
        let state = &mut self.clients[client as usize];
        let asked = self.progress.filter(|asked| !asked.healthy.contains(state.site));
        if asked.is_some_and(|asked| agenda.now_ns >= asked.others_until_ns) {
            return;
        }
        let Some(batch) = state.next(self.load, &mut self.rng, agenda.now_ns) else { return };
        let first_operation = self.history.invoke(&batch, agenda.now_ns);
        let number = state.await_answer(batch.clone(), first_operation, agenda.now_ns);
        let to = state.site;
        if self.is_watched(to) {
            self.stretches.opened(agenda.now_ns);
        }
        self.ask(number, Ask { client, to, batch }, agenda);
    }

    /// An attempt of submission `number` is over: if its client waits for it, it tries the next
    /// replica or gives up.
    fn retry(&mut self, client: u32, number: u64, agenda: &mut Agenda<SoakWake>) {
        match self.clients[client as usize].late(number, agenda.now_ns) {
            None => {}
            Some(Late::GivenUp) => {
                agenda.give_up();
                self.given_up += 1;
                if self.is_watched(self.clients[client as usize].site) {
                    self.stretches.closed();
                }
                agenda.wake_within(self.load.think_ns.clone(), SoakWake::Submit { client });
            }
            Some(Late::Again { to, batch, operations }) => {
                self.moved += 1;
                operations.into_iter().for_each(|place| self.history.retry(place));
                self.ask(number, Ask { client, to, batch }, agenda);
            }
        }
    }

    /// Must the clients of `site` have answers while faults last?
    fn is_watched(&self, site: ReplicaId) -> bool {
        self.progress.is_some_and(|asked| asked.healthy.contains(site))
    }

    fn ask(&self, number: u64, ask: Ask, agenda: &mut Agenda<SoakWake>) {
        let client = ask.client;
        agenda.ask(ask);
        if let Some(timeout) = self.load.timeout_ns {
            agenda.wake_within(timeout..=timeout, SoakWake::Impatience { client, number });
        }
    }
}

impl Source for SoakClients<'_> {
    type Wake = SoakWake;

    fn start(&mut self, agenda: &mut Agenda<SoakWake>) {
        for client in 0..self.clients.len() {
            let client = u32::try_from(client).expect("fewer than 2^32 clients");
            for _ in 0..self.load.window {
                agenda.wake_at(self.load.start_ns, SoakWake::Submit { client });
            }
        }
    }

    fn on_wake(&mut self, wake: SoakWake, agenda: &mut Agenda<SoakWake>) {
        match wake {
            SoakWake::Submit { client } => self.submit(client, agenda),
            SoakWake::Impatience { client, number } => self.retry(client, number, agenda),
        }
    }

    fn on_reply(
        &mut self,
        client: u32,
        reply: &Reply,
        agenda: &mut Agenda<SoakWake>,
    ) -> Result<bool, Breach> {
        let state = &mut self.clients[client as usize];
        // One that was refused tries another replica when its time is over.
        let Ok(outcome) = &reply.answer else { return Ok(false) };
        let Some((operation, whole)) = state.answered(reply.number, outcome) else {
            return Ok(false);
        };
        if *outcome == CommandOutcome::Forgotten {
            let request = self.history.operations()[operation].request();
            let detail = format!("{request:?}: its client waits, its result is gone");
            return Err(Breach::new(Broken::Answer, detail));
        }
        self.history.answer(operation, outcome.clone(), agenda.now_ns);
        let (site, is_whole) = (state.site, whole.is_some());
        if self.is_watched(site) {
            self.stretches.answered(agenda.now_ns);
            if is_whole {
                self.stretches.closed();
            }
        }
        if let Some(submission) = whole {
            self.sites[site.index()].client_ns.push(agenda.now_ns - submission.sent_at);
            agenda.wake_within(self.load.think_ns.clone(), SoakWake::Submit { client });
        }
        Ok(true)
    }

    fn site_of(&self, client: u32) -> ReplicaId {
        self.clients[client as usize].site
    }

    fn on_committed(&mut self, replica: ReplicaId, _: u64, latency_ns: u64) {
        self.sites[replica.index()].commit_ns.push(latency_ns);
    }

    fn on_executed(&mut self, replica: ReplicaId, _: u64, latency_ns: u64) {
        self.sites[replica.index()].execute_ns.push(latency_ns);
    }

    fn on_effect(&mut self, request: &Request<'_>) {
        self.effects.push((request.client, request.number.index()));
    }

    fn is_done(&self) -> bool {
        self.clients.iter().all(|client| client.is_done(self.load))
    }

    fn waiting(&self) -> String {
        let of = |(client, state): (u64, &Client)| {
            let requests: Vec<_> = state.waiting().collect();
            (!requests.is_empty()).then_some((client, requests))
        };
        let waiting: Vec<_> = (1..).zip(&self.clients).filter_map(of).collect();
        format!("{waiting:?}")
    }
}

impl<R: Replica> Simulation<R, SoakClients<'_>> {
    /// Lets time pass until progress is asked for no more, as long as there is enough of it.
    fn run_while_faults_last(&mut self, asked: &ProgressAsked) -> Result<(), Breach> {
        loop {
            let next = self.queue.next_at().unwrap_or(Nanos::MAX).min(asked.until_ns);
            let overdue = self.source.stretches.began_at();
            let overdue = overdue.map_or(Nanos::MAX, |began| began + asked.stretch_ns_max);
            if next > overdue {
                self.now = overdue;
                return Err(self.no_progress(asked));
            }
            if next == asked.until_ns {
                self.now = next;
                self.source.stretches.end(next);
                return Ok(());
            }
            self.next_event()?;
        }
    }

    fn no_progress(&self, asked: &ProgressAsked) -> Breach {
        let statuses: Vec<_> =
            asked.healthy.iter().map(|replica| (replica, self.status(replica))).collect();
        let detail = format!(
            "no answer for {} ms to {} submissions, faults last from {} ms on; healthy replicas: {statuses:?}",
            asked.stretch_ns_max / 1_000_000,
            self.source.stretches.open(),
            asked.from_ns / 1_000_000,
        );
        Breach::new(Broken::Progress, detail)
    }

    /// What must hold at rest, beyond what the search for rest has found.
    fn check_final_state(&self) -> Result<(), Breach> {
        let history = &self.source.history;
        let (asked, applied) = (history.writes(), self.final_state().digest().writes);
        let answered = history.answered_writes();
        if !(answered..=asked).contains(&applied) {
            let detail =
                format!("{asked} writes were asked for, {answered} answered, {applied} applied");
            return Err(Breach::new(Broken::Writes, detail));
        }
        for key in self.source.load.append_only() {
            self.check_appends(&key)?;
        }
        history.check_reads()?;
        let value = |key: &[u8]| self.final_state().value(key).map(<[u8]>::to_vec);
        history.check_linearizability(&self.source.effects, self.now, value)
    }

    /// Everything appended to `key`, and answered, is in its value, once, and nothing that nobody
    /// appended. All replicas hold the same.
    fn check_appends(&self, key: &[u8]) -> Result<(), Breach> {
        let value = self.final_state().value(key).unwrap_or_default();
        let present: BTreeSet<_> = elements(value).collect();
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for (element, is_answered) in self.source.history.appended(key) {
            asked.insert(element);
            if is_answered {
                answered.insert(element);
            }
        }
        let fits = answered.is_subset(&present) && present.is_subset(&asked);
        if fits && repeated_element(value).is_none() {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        let [asked, answered] =
            [asked, answered].map(|set| set.into_iter().collect::<Vec<_>>().concat());
        let detail = format!(
            "{key} is [{}], appended was [{}], of which were answered [{}]",
            Elements(value),
            Elements(&asked),
            Elements(&answered)
        );
        Err(Breach::new(Broken::Writes, detail))
    }

    /// Takes in what is counted elsewhere of rare things.
    fn complete_coverage(&mut self, replicas: &[Counters]) {
        for replica in ReplicaId::all(self.hosts.len()) {
            self.count_rarities(replica);
        }
        let coverage = &mut self.coverage;
        for counters in replicas {
            coverage.add(Rare::FastCommit, counters.fast);
            coverage.add(Rare::SlowCommit, counters.slow);
            coverage.add(Rare::RecoveredCommit, counters.recovered);
            coverage.add(Rare::LearnedCommit, counters.learned);
            coverage.add(Rare::SnapshotInstalled, counters.installs);
        }
        for host in &self.hosts {
            let SimStore::Disk(disk) = &host.store else { continue };
            let counts = disk.disk.counts();
            coverage.add(Rare::SectorLost, counts.sectors_lost);
            coverage.add(Rare::RenameUndone, counts.renames_undone);
        }
        coverage.add(Rare::GivenUp, self.source.given_up);
        coverage.add(Rare::SessionMoved, self.source.moved);
    }

    fn into_outcome(mut self) -> Outcome {
        let (simulated_ns, trace_hash) = (self.now, self.trace_hash());
        let replicas: Vec<_> =
            ReplicaId::all(self.hosts.len()).map(|replica| self.counters(replica)).collect();
        self.complete_coverage(&replicas);
        Outcome {
            coverage: self.coverage,
            simulated_ns,
            events: self.events,
            trace_hash,
            operations: self.source.history.operations().len() as u64,
            sites: self.source.sites,
            longest_stretch_ns: self.source.stretches.longest_ns(),
            longest_component: replicas.iter().map(|of| of.longest_component).max().unwrap_or(0),
            replicas,
            history: self.source.history,
            trace: self.trace.into_lines(),
        }
    }
}
