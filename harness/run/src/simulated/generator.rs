//! The load of one simulated run: the clients of [`crate::clients`], driven by simulated time.

use std::time::Duration;

use driver::Reply;
use protocols::{Batch, Outcome, ReplicaId, ReplicaSet, Request};
use sim::{Agenda, Ask, Breach, Broken, Source};
use workload::Run;

use crate::{
    clients::{
        self, OUTSTANDING_MAX, Pace, READ_BACK_BATCH, READ_BACK_KEYS_MAX, SWEEPS_PER_TIMEOUT,
        outstanding::{Clients, Closed, Handle, Overdue, client_id},
        tally::Tally,
    },
    history::{Recorder, WindowFile},
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

/// The load of one run.
#[derive(Debug)]
pub(super) struct Generator {
    clients: Clients,
    pace: Pace,
    pub(super) tally: Tally,
    pub(super) history: Recorder,
    /// By replica: the latencies of the commits of what came in there in the window, in
    /// nanoseconds.
    pub(super) commits_ns: Vec<Vec<u64>>,
    /// Closing reads that were not answered.
    pub(super) closing_unanswered: u64,
    /// When the clients began, in simulated nanoseconds: everything they know is counted from there.
    start_ns: u64,
    /// When the measured window began and ended, in simulated nanoseconds; at the end of time if it has not.
    window_ns: u64,
    window_end_ns: u64,
    sweep_every_ns: u64,
    /// Replicas that clients know to be gone: nothing is asked of them.
    gone: ReplicaSet,
    replicas: usize,
    issuing: bool,
}

impl Generator {
    /// The clients of `run`, who have not begun. `is_kept` says whether their history is to be kept.
    pub(super) fn new(
        run: &Run,
        sites: &[String],
        (duration, timeout): (Duration, Duration),
        is_kept: bool,
    ) -> Self {
        let replicas = run.point.replicas;
        Self {
            clients: Clients::new(&run.point, run.seed, nanoseconds(timeout)),
            pace: Pace::new(&run.point, run.seed),
            tally: Tally::named(sites, duration),
            history: Recorder::new(run.point.value_bytes, is_kept)
                .of_all_kinds(run.point.is_mixed()),
            commits_ns: vec![Vec::new(); replicas],
            closing_unanswered: 0,
            start_ns: 0,
            window_ns: u64::MAX,
            window_end_ns: u64::MAX,
            sweep_every_ns: nanoseconds(timeout / SWEEPS_PER_TIMEOUT).max(1_000_000),
            gone: ReplicaSet::EMPTY,
            replicas,
            issuing: false,
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
                    (0..self.clients.len()).for_each(|place| self.issue(place, None, agenda));
                }
            }
            Pace::Schedule(sites) => {
                for (site, (_, next)) in sites.iter().enumerate() {
                    agenda.wake_at(self.start_ns + next.at_ns, Wake::Send(site));
                }
            }
        }
    }

    /// The measured window begins.
    pub(super) fn begin_window(&mut self, now_ns: u64) {
        self.tally.begin(self.history.stamp(now_ns - self.start_ns));
        self.window_ns = now_ns;
    }

    /// The measured window ends; the load goes on.
    pub(super) fn end_window(&mut self, now_ns: u64) {
        self.tally.end(self.history.stamp(now_ns - self.start_ns));
        self.window_end_ns = now_ns;
    }

    /// How long was measured.
    pub(super) fn measured(&self) -> Duration {
        self.tally.elapsed(u64::MAX)
    }

    /// Is everything that was due in the window sent, and answered or given up?
    fn is_settled(&self) -> bool {
        self.pace.has_sent(self.tally.window().end_ns) && self.tally.is_settled()
    }

    /// The sending ends. What was due in the window and has no answer yet counts as long as it was
    /// waited for.
    pub(super) fn end_load(&mut self, now_ns: u64) {
        let now_ns = self.history.stamp(now_ns - self.start_ns);
        self.issuing = false;
        self.pace.give_up_unsent(&mut self.tally, now_ns);
        self.tally.close(self.clients.outstanding_requests(), now_ns);
    }

    /// What a kept history is counted by.
    pub(super) fn window_file(&self) -> WindowFile {
        clients::window_file(&self.tally, &self.clients)
    }

    fn is_in_window(&self, at_ns: u64) -> bool {
        (self.window_ns..self.window_end_ns).contains(&at_ns)
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

    /// The client at `place` sends its next request, which was due at `due_ns` in an open loop and is now in others.
    fn issue(&mut self, place: usize, due_ns: Option<u64>, agenda: &mut Agenda<Wake>) {
        let now_ns = agenda.now_ns - self.start_ns;
        let (gone, replicas) = (self.gone, self.replicas);
        let times = (due_ns, now_ns);
        let (due_ns, sent_ns) =
            self.clients.issue(place, times, &mut self.history, |to, request| {
                let to = next_up(to, gone, replicas);
                agenda.ask(asked(place, to, std::slice::from_ref(request)));
            });
        self.tally.sent(due_ns, sent_ns);
    }

    fn again(&mut self, handle: Handle, now_ns: u64, agenda: &mut Agenda<Wake>) {
        let (gone, replicas) = (self.gone, self.replicas);
        self.clients.again(handle, now_ns, &self.history, |to, request| {
            let to = next_up(to, gone, replicas);
            agenda.ask(asked(handle.client, to, std::slice::from_ref(request)));
        });
    }

    /// Sends what is due at `site` of an open loop.
    fn send_due(&mut self, site: usize, agenda: &mut Agenda<Wake>) {
        let Pace::Schedule(sites) = &mut self.pace else { return };
        let (arrivals, next) = &mut sites[site];
        if self.clients.outstanding() >= OUTSTANDING_MAX {
            agenda.wake_at(agenda.now_ns + HELD_BACK_NS, Wake::Send(site));
            return;
        }
        let due = *next;
        *next = arrivals.next_send();
        agenda.wake_at(self.start_ns + next.at_ns, Wake::Send(site));
        self.issue(self.clients.place(site, due.client), Some(due.at_ns), agenda);
    }

    fn sweep(&mut self, agenda: &mut Agenda<Wake>) {
        let now_ns = agenda.now_ns - self.start_ns;
        for overdue in self.clients.overdue(now_ns) {
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
        let Closed { site, pending, .. } = closed;
        let id = (client_id(handle.client), handle.number);
        let until_ns = self.history.given_up(pending.invoked, id, (now_ns, pending.closing));
        self.closing_unanswered += u64::from(pending.closing);
        self.tally.given_up(site, handle.number.is_read(), &pending, until_ns);
    }

    /// The client at `place` waits for one request less.
    fn go_on(&mut self, place: usize, agenda: &mut Agenda<Wake>) {
        if self.issuing && matches!(self.pace, Pace::Replies { .. }) {
            self.issue(place, None, agenda);
        }
    }

    /// A request is answered; false if it was before, or if nobody waits for it any more.
    fn take_answer(&mut self, handle: Handle, outcome: &Outcome, now_ns: u64) -> bool {
        let Some(closed) = self.clients.close(handle) else { return false };
        let id = (client_id(handle.client), handle.number);
        let closing = closed.pending.closing;
        let at_ns = self.history.answered(closed.pending.invoked, id, outcome, (now_ns, closing));
        self.tally.answered(closed.site, handle.number.is_read(), &closed.pending, at_ns);
        true
    }
}

impl Source for Generator {
    type Wake = Wake;

    fn start(&mut self, _: &mut Agenda<Wake>) {}

    fn on_wake(&mut self, wake: Wake, agenda: &mut Agenda<Wake>) {
        match wake {
            Wake::Send(site) if self.issuing => self.send_due(site, agenda),
            Wake::Send(_) => {}
            Wake::Sweep => self.sweep(agenda),
        }
    }

    fn on_reply(
        &mut self,
        client: u32,
        reply: &Reply,
        agenda: &mut Agenda<Wake>,
    ) -> Result<bool, Breach> {
        // A request that was refused is asked again when its time is over.
        let Ok(outcome) = &reply.answer else { return Ok(false) };
        let now_ns = agenda.now_ns - self.start_ns;
        let (place, number) = (client as usize, reply.number);
        if !self.take_answer(Handle { client: place, number }, outcome, now_ns) {
            return Ok(false);
        }
        if *outcome == Outcome::Forgotten {
            let detail = format!("client {client}'s {number:?}: it waits, the result is gone");
            return Err(Breach { broken: Broken::Answer, detail });
        }
        self.go_on(place, agenda);
        Ok(true)
    }

    fn site_of(&self, client: u32) -> ReplicaId {
        ReplicaId::from_index(self.clients.site(client as usize))
    }

    fn on_committed(&mut self, replica: ReplicaId, now_ns: u64, latency_ns: u64) {
        // What comes when the load has ended is censored: replicas have reported by then.
        if self.issuing && self.is_in_window(now_ns - latency_ns) {
            self.commits_ns[replica.index()].push(latency_ns);
        }
    }

    fn on_effect(&mut self, request: &Request<'_>) {
        self.history.took_effect(request.client, request.number);
    }

    fn is_done(&self) -> bool {
        if self.issuing { self.is_settled() } else { self.clients.outstanding() == 0 }
    }

    fn waiting(&self) -> String {
        format!("{} requests", self.clients.outstanding())
    }
}

/// `requests` of the client at `place`, as one submission.
fn asked(place: usize, to: ReplicaId, requests: &[Request<'_>]) -> Ask {
    Ask {
        client: u32::try_from(place).expect("workloads are checked to have fewer clients"),
        to,
        batch: Batch::new(requests).expect("workloads are checked to have short values"),
    }
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
