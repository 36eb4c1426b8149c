//! The load of one simulated run: the clients of [`crate::load`], driven by simulated time.

use std::time::Duration;

use measure::{Histogram, SeriesRecorder};
use protocols::{Batch, Outcome, ReplicaId, ReplicaSet, Request, RequestNumber};
use sim::{Agenda, Ask, Breach, Broken, Outcomes, Source};
use workload::Run;

use crate::{
    history::Recorder,
    load::{
        OUTSTANDING_MAX, Pace, READ_BACK_BATCH, READ_BACK_KEYS_MAX, SENDS_MAX, SWEEPS_PER_TIMEOUT,
        clients::{Clients, Handle, Overdue, client_id},
        tally::Tally,
    },
};

/// How long an open loop that has to hold back waits before it tries again.
const HELD_BACK_NS: u64 = 1_000_000;

/// What the clients want to be woken for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wake {
    /// The next request of an open loop's site is due.
    Send(usize),
    /// Time to look for requests that are overdue.
    Sweep,
}

/// The latencies of one replica's commits and executions in the measured window.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    pub(super) commit: Histogram,
    pub(super) execute: Histogram,
    /// Both over time.
    pub(super) series: SeriesRecorder,
    /// Those of the commits, to the nanosecond.
    pub(super) commits_ns: Vec<u64>,
}

/// The load of one run.
#[derive(Debug)]
pub(super) struct Load {
    clients: Clients,
    pace: Pace,
    pub(super) tally: Tally,
    pub(super) history: Recorder,
    pub(super) latencies: Vec<Latencies>,
    /// Closing reads that were not answered.
    pub(super) closing_unanswered: u64,
    /// When the clients began, in simulated nanoseconds: everything they know is counted from there.
    start_ns: u64,
    /// When the measured window began, in simulated nanoseconds.
    window_ns: u64,
    sweep_every_ns: u64,
    /// Replicas that clients know to be gone: nothing is asked of them.
    gone: ReplicaSet,
    replicas: usize,
    issuing: bool,
    measuring: bool,
}

impl Load {
    /// The clients of `run`, who have not begun.
    pub(super) fn new(run: &Run, sites: &[String], duration: Duration, timeout: Duration) -> Self {
        let replicas = run.point.replicas;
        Self {
            clients: Clients::new(&run.point, run.seed, nanoseconds(timeout)),
            pace: Pace::new(&run.point, run.seed),
            tally: Tally::named(sites, duration),
            history: Recorder::new(run.point.value_bytes),
            latencies: (0..replicas).map(|_| Latencies::default()).collect(),
            closing_unanswered: 0,
            start_ns: 0,
            window_ns: 0,
            sweep_every_ns: nanoseconds(timeout / SWEEPS_PER_TIMEOUT).max(1_000_000),
            gone: ReplicaSet::EMPTY,
            replicas,
            issuing: false,
            measuring: false,
        }
    }

    /// The clients begin.
    pub(super) fn begin(&mut self, agenda: &mut Agenda<Wake>) {
        self.start_ns = agenda.now_ns;
        self.issuing = true;
        agenda.wake_at(self.start_ns + self.sweep_every_ns, Wake::Sweep);
        match &self.pace {
            Pace::Replies { window } => {
                for _ in 0..*window {
                    (0..self.clients.len()).for_each(|place| self.issue(place, 0, agenda));
                }
            }
            Pace::Schedule(sites) => {
                for (site, (_, next)) in sites.iter().enumerate() {
                    agenda.wake_at(self.start_ns + next.at_ns, Wake::Send(site));
                }
            }
        }
    }

    /// How long ago the measured window began.
    pub(super) const fn since_window_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.window_ns)
    }

    /// The measured window begins.
    pub(super) fn begin_window(&mut self, now_ns: u64) {
        self.tally.begin(now_ns - self.start_ns);
        self.window_ns = now_ns;
        self.measuring = true;
    }

    /// The measured window ends, and so does the sending.
    pub(super) fn end_window(&mut self, now_ns: u64) {
        let now_ns = now_ns - self.start_ns;
        if let Pace::Schedule(sites) = &mut self.pace {
            // What was held back was offered all the same.
            for (arrivals, next) in sites {
                while next.at_ns < now_ns {
                    self.tally.offer(next.at_ns);
                    *next = arrivals.next_send();
                }
            }
        }
        self.tally.end(now_ns);
        self.issuing = false;
        self.measuring = false;
    }

    /// Nothing more is hoped for.
    pub(super) fn give_up_all(&mut self, now_ns: u64) {
        for handle in self.clients.open() {
            self.give_up(handle, now_ns - self.start_ns);
        }
    }

    /// Reads every checked key at a replica: whatever the last write of a key was, every replica must show it.
    pub(super) fn read_back(&mut self, to: ReplicaId, agenda: &mut Agenda<Wake>) {
        let keys = self.history.checked_keys(READ_BACK_KEYS_MAX);
        let now_ns = agenda.now_ns - self.start_ns;
        let place = self.clients.reader(to.index());
        for keys in keys.chunks(READ_BACK_BATCH) {
            self.clients.read_back(place, (to, keys), now_ns, &mut self.history, |requests| {
                agenda.ask(asked(place, to, requests));
            });
        }
    }

    /// A replica is gone, as its clients notice at once: what they asked of it they ask of the next one.
    pub(super) fn lose(&mut self, replica: ReplicaId, agenda: &mut Agenda<Wake>) {
        self.gone.insert(replica);
        let now_ns = agenda.now_ns - self.start_ns;
        for handle in self.clients.asked_of(replica) {
            self.again(handle, now_ns, agenda);
        }
    }

    /// A replica is back.
    pub(super) fn regain(&mut self, replica: ReplicaId) {
        self.gone.remove(replica);
    }

    /// The client at `place` sends its next request.
    fn issue(&mut self, place: usize, intended_ns: u64, agenda: &mut Agenda<Wake>) {
        let now_ns = agenda.now_ns - self.start_ns;
        let (gone, replicas) = (self.gone, self.replicas);
        let times = (intended_ns, now_ns);
        self.clients.issue(place, times, &mut self.history, |to, request| {
            let to = next_up(to, gone, replicas);
            agenda.ask(asked(place, to, std::slice::from_ref(request)));
        });
    }

    fn again(&mut self, handle: Handle, now_ns: u64, agenda: &mut Agenda<Wake>) {
        let (gone, replicas) = (self.gone, self.replicas);
        self.clients.again(handle, now_ns, |to, request| {
            let to = next_up(to, gone, replicas);
            agenda.ask(asked(handle.client, to, std::slice::from_ref(request)));
        });
    }

    /// Sends what is due at `site` of an open loop.
    fn send_due(&mut self, site: usize, agenda: &mut Agenda<Wake>) {
        let now_ns = agenda.now_ns - self.start_ns;
        let Pace::Schedule(sites) = &mut self.pace else { return };
        let (arrivals, next) = &mut sites[site];
        if self.clients.outstanding() >= OUTSTANDING_MAX {
            agenda.wake_at(agenda.now_ns + HELD_BACK_NS, Wake::Send(site));
            return;
        }
        let due = *next;
        *next = arrivals.next_send();
        agenda.wake_at(self.start_ns + next.at_ns, Wake::Send(site));
        self.tally.offer(due.at_ns);
        self.tally.sent(due.at_ns, now_ns);
        self.issue(self.clients.place(site, due.client), due.at_ns, agenda);
    }

    fn sweep(&mut self, agenda: &mut Agenda<Wake>) {
        let now_ns = agenda.now_ns - self.start_ns;
        for overdue in self.clients.overdue(now_ns, SENDS_MAX) {
            match overdue {
                Overdue::Again(handle) => self.again(handle, now_ns, agenda),
                Overdue::GiveUp(handle) => {
                    self.give_up(handle, now_ns);
                    self.go_on(handle.client, agenda);
                }
            }
        }
        agenda.wake_at(agenda.now_ns + self.sweep_every_ns, Wake::Sweep);
    }

    fn give_up(&mut self, handle: Handle, now_ns: u64) {
        let Some(closed) = self.clients.close(handle) else { return };
        self.history.given_up(closed.pending.invoked, (client_id(handle.client), handle.number));
        if closed.pending.closing {
            self.closing_unanswered += 1;
        } else {
            self.tally.given_up(closed.site, now_ns);
        }
    }

    /// The client at `place` waits for one request less.
    fn go_on(&mut self, place: usize, agenda: &mut Agenda<Wake>) {
        if self.issuing && matches!(self.pace, Pace::Replies { .. }) {
            self.issue(place, agenda.now_ns - self.start_ns, agenda);
        }
    }

    /// A request is answered; false if it was before, or if nobody waits for it any more.
    fn take_answer(&mut self, handle: Handle, outcome: &Outcome, now_ns: u64) -> bool {
        let Some(closed) = self.clients.close(handle) else { return false };
        let id = (client_id(handle.client), handle.number);
        let closing = closed.pending.closing;
        self.history.answered(closed.pending.invoked, id, outcome, (now_ns, closing));
        self.tally.answered(closed.site, handle.number.is_read(), &closed.pending, now_ns);
        true
    }
}

impl Source for Load {
    type Wake = Wake;

    fn start(&mut self, _: &mut Agenda<Wake>) {}

    fn on_wake(&mut self, wake: Wake, agenda: &mut Agenda<Wake>) {
        match wake {
            Wake::Send(site) if self.issuing => self.send_due(site, agenda),
            Wake::Send(_) => {}
            Wake::Sweep => self.sweep(agenda),
        }
    }

    fn on_answer(
        &mut self,
        client: u32,
        number: u64,
        outcomes: Outcomes,
        agenda: &mut Agenda<Wake>,
    ) -> Result<bool, Breach> {
        let now_ns = agenda.now_ns - self.start_ns;
        let place = client as usize;
        let mut new = false;
        for (number, outcome) in numbers_from(number).zip(&outcomes) {
            if self.take_answer(Handle { client: place, number }, outcome, now_ns) {
                if *outcome == Outcome::Forgotten {
                    let detail =
                        format!("client {client}'s {number:?}: it waits, the result is gone");
                    return Err(Breach { broken: Broken::Answer, detail });
                }
                new = true;
                self.go_on(place, agenda);
            }
        }
        Ok(new)
    }

    fn site_of(&self, client: u32) -> ReplicaId {
        ReplicaId::from_index(self.clients.site(client as usize))
    }

    fn on_committed(&mut self, replica: ReplicaId, now_ns: u64, latency_ns: u64) {
        if self.measuring {
            let since_ns = self.since_window_ns(now_ns);
            let latencies = &mut self.latencies[replica.index()];
            latencies.commit.record_ns(latency_ns);
            latencies.series.committed(since_ns, latency_ns);
            latencies.commits_ns.push(latency_ns);
        }
    }

    fn on_executed(&mut self, replica: ReplicaId, now_ns: u64, latency_ns: u64, waited_ns: u64) {
        if self.measuring {
            let since_ns = self.since_window_ns(now_ns);
            let latencies = &mut self.latencies[replica.index()];
            latencies.execute.record_ns(latency_ns);
            latencies.series.executed(since_ns, latency_ns, since_ns.saturating_sub(waited_ns));
        }
    }

    fn on_commit_seen(&mut self, replica: ReplicaId, now_ns: u64) {
        if self.measuring {
            let since_ns = self.since_window_ns(now_ns);
            self.latencies[replica.index()].series.commit_seen(since_ns);
        }
    }

    fn on_execution_seen(&mut self, replica: ReplicaId, now_ns: u64) {
        if self.measuring {
            let since_ns = self.since_window_ns(now_ns);
            self.latencies[replica.index()].series.execution_seen(since_ns);
        }
    }

    fn is_done(&self) -> bool {
        !self.issuing && self.clients.outstanding() == 0
    }

    fn waiting(&self) -> String {
        format!("{} requests", self.clients.outstanding())
    }
}

/// `requests` of the client at `place`, as one submission. Its number is that of its first request.
fn asked(place: usize, to: ReplicaId, requests: &[Request<'_>]) -> Ask {
    Ask {
        client: u32::try_from(place).expect("workloads are checked to have fewer clients"),
        number: requests[0].number.as_u64(),
        to,
        batch: Batch::new(requests).expect("workloads are checked to have short values"),
    }
}

/// The numbers of a submission's requests. Several are reads of neighbouring numbers.
fn numbers_from(first: u64) -> impl Iterator<Item = RequestNumber> {
    let (index, is_read) = (first >> 1, first & 1 == 1);
    (index..).map(
        move |index| {
            if is_read { RequestNumber::read(index) } else { RequestNumber::write(index) }
        },
    )
}

/// The first of `to` and those after it that is not gone; `to` if all are.
fn next_up(to: ReplicaId, gone: ReplicaSet, replicas: usize) -> ReplicaId {
    (0..replicas)
        .map(|step| ReplicaId::from_index((to.index() + step) % replicas))
        .find(|replica| !gone.contains(*replica))
        .unwrap_or(to)
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
