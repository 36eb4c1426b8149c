//! The load of one run: every client of every site, in this process and on this thread.
//!
//! There is no task, channel or allocation per request: a wake reads all replies that have arrived, lets their clients
//! send again (or, in an open loop, sends what is due), and writes each session once. One look at the clock serves the
//! whole wake, taken before the replies are read: latencies err by less than a wake, to the side of being too long for
//! what is sent late in it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use driver::Reply;
use measure::NetworkReport;
use node::{
    alarm::Alarm,
    client::Session,
    emulator::NetworkChange,
    link::{Endpoint, SessionLink},
};
use protocols::{ReplicaId, ReplicaSet, Request};
use tokio::sync::watch;
use workload::Run;

use super::{grid::Grid, tamper::Tamper};
use crate::{
    clients::{
        self, OUTSTANDING_MAX, Pace, READ_BACK_BATCH, READ_BACK_KEYS_MAX, SWEEPS_PER_TIMEOUT,
        outstanding::{Clients, Closed, Handle, Overdue, client_id, place_of},
        tally::Tally,
    },
    history::{Recorder, WindowFile},
};

/// Chosen: so many reads of one session before the others have their turn.
const READS_PER_WAKE: usize = 8;
/// Chosen: the generator looks at the clock so often at least. What it was late for beyond that it stood still.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Chosen: an open loop holds back, too, while more than this is unsent.
const UNSENT_BYTES_MAX: usize = 256 << 20;

/// A session that was lost, unasked.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    pub(super) replica: ReplicaId,
    /// Which link it was.
    place: usize,
    pub(super) at_ns: u64,
    pub(super) reason: String,
    /// When there was one again.
    pub(super) mended_ns: Option<u64>,
}

/// A replica that was started again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Return {
    replica: ReplicaId,
    at_ns: u64,
    first_reply_ns: Option<u64>,
    /// It was killed once more.
    over: bool,
}

impl Return {
    /// From the restart to its first reply to a client, if there was one in this life.
    pub(super) fn first_reply(&self) -> Option<Duration> {
        self.first_reply_ns.map(|reply_ns| Duration::from_nanos(reply_ns - self.at_ns))
    }
}

/// The load of one run.
#[derive(Debug)]
pub(super) struct Generator {
    /// By the site from which they lead, if sites are told apart, then by replica.
    links: Vec<SessionLink>,
    grid: Grid,
    clients: Clients,
    pace: Pace,
    pub(super) tally: Tally,
    pub(super) history: Recorder,
    tamper: Tamper,
    /// Closing reads that were not answered.
    pub(super) closing_unanswered: u64,
    pub(super) losses: Vec<Loss>,
    /// The replicas that were started again, in the order of time.
    pub(super) returns: Vec<Return>,
    /// What was done to packets in the measured window, by site; empty on the bare loopback.
    pub(super) networks: Vec<NetworkReport>,
    /// Clients that may send their next request.
    ready: Vec<usize>,
    alarm: Alarm,
    start: Instant,
    sweep_every: Duration,
    next_sweep: Instant,
    issuing: bool,
    /// When the clock was looked at last, while that is watched.
    last_look: Option<Instant>,
    /// The longest time for which it was not although it should have been.
    pub(super) stood_still: Duration,
}

impl Generator {
    /// The clients of `run` over one session with each replica, or one from each site with each; nothing is sent yet.
    /// `is_kept` says whether their history is to be kept.
    ///
    /// # Errors
    /// If the system has no timer left.
    pub(super) fn new(
        run: &Run,
        sessions: Vec<(Endpoint, Session)>,
        (duration, client_timeout): (Duration, Duration),
        is_kept: bool,
    ) -> std::io::Result<Self> {
        let timeout_ns = u64::try_from(client_timeout.as_nanos()).unwrap_or(u64::MAX);
        let start = Instant::now();
        let sweep_every = (client_timeout / SWEEPS_PER_TIMEOUT).max(Duration::from_millis(1));
        let grid = Grid::new(run.point.replicas, sessions.len());
        Ok(Self {
            grid,
            networks: Vec::new(),
            links: sessions
                .into_iter()
                .map(|(endpoint, session)| SessionLink::new(endpoint, session))
                .collect(),
            clients: Clients::new(&run.point, run.seed, timeout_ns),
            pace: Pace::new(&run.point, run.seed),
            tally: Tally::new(run.point.replicas, duration),
            history: Recorder::new(run.point.value_bytes, is_kept)
                .of_all_kinds(run.point.is_mixed()),
            tamper: Tamper::asked_for(),
            closing_unanswered: 0,
            losses: Vec::new(),
            returns: Vec::new(),
            ready: Vec::new(),
            alarm: Alarm::new()?,
            start,
            sweep_every,
            next_sweep: start + sweep_every,
            issuing: false,
            last_look: None,
            stood_still: Duration::ZERO,
        })
    }

    /// The clients begin.
    pub(super) fn begin(&mut self) {
        self.start = Instant::now();
        self.next_sweep = self.start + self.sweep_every;
        self.issuing = true;
        if let Pace::Replies { window } = self.pace {
            let places = 0..self.clients.len();
            self.ready = (0..window).flat_map(|_| places.clone()).collect();
        }
    }

    /// The measured window begins.
    pub(super) fn begin_window(&mut self) {
        let now_ns = self.now_ns();
        self.tally.begin(self.history.stamp(now_ns));
        self.last_look = Some(Instant::now());
        self.rows().for_each(|row| row[0].connector().begin_measuring());
    }

    /// The network between the sites of the clients and the replicas changes.
    pub(super) fn change_network(&self, change: &NetworkChange) {
        self.rows().for_each(|row| row[0].connector().network(change));
    }

    /// The links from each site; on the bare loopback all sites share theirs.
    fn rows(&self) -> impl Iterator<Item = &[SessionLink]> {
        self.links.chunks(self.grid.replicas)
    }

    /// The measured window ends; the load goes on.
    pub(super) fn end_window(&mut self) {
        let now_ns = self.now_ns();
        self.tally.end(self.history.stamp(now_ns));
        if self.grid.tells_sites_apart() {
            self.networks = self.rows().map(|row| row[0].connector().network_report()).collect();
        }
    }

    /// Lets the load go on until everything that was due in the window is answered or given up, at most until `deadline`.
    pub(super) async fn settle_until(&mut self, deadline: Instant) {
        poll_fn(|cx| {
            if self.is_settled() || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            let stepped = self.step(cx, deadline);
            if self.is_settled() { Poll::Ready(()) } else { stepped }
        })
        .await;
    }

    /// Is everything that was due in the window sent, and answered or given up?
    fn is_settled(&self) -> bool {
        self.pace.has_sent(self.tally.window().end_ns) && self.tally.is_settled()
    }

    /// The sending ends: what is outstanding may still be answered. What was due in the window and has no answer yet counts
    /// as long as it was waited for.
    pub(super) fn end_load(&mut self) {
        let now_ns = self.now_ns();
        let now_ns = self.history.stamp(now_ns);
        self.issuing = false;
        self.last_look = None;
        self.pace.give_up_unsent(&mut self.tally, now_ns);
        self.tally.close(self.clients.outstanding_requests(), now_ns);
    }

    /// What a kept history is counted by.
    pub(super) fn window_file(&self) -> WindowFile {
        clients::window_file(&self.tally, &self.clients)
    }

    /// How long was measured.
    pub(super) fn measured(&self) -> Duration {
        self.tally.elapsed(self.now_ns())
    }

    /// Seconds since the begin of the window.
    pub(super) fn since_begin_s(&self) -> f64 {
        self.tally.since_begin_s(self.now_ns())
    }

    /// `replica` was killed: its clients ask the next one, at once.
    pub(super) fn close(&mut self, replica: ReplicaId) {
        let places: Vec<usize> = self.grid.places_of(replica).collect();
        let asked: Vec<Handle> = places.iter().flat_map(|place| self.asked_over(*place)).collect();
        places.into_iter().for_each(|place| self.links[place].close());
        for returned in self.returns.iter_mut().filter(|returned| returned.replica == replica) {
            returned.over = true;
        }
        self.ask_again(asked);
    }

    /// `replica` was started again: its clients ask it again once `is_up` tells that it is up.
    pub(super) fn reopen(&mut self, replica: ReplicaId, is_up: &watch::Receiver<bool>) {
        let at_ns = self.now_ns();
        self.returns.push(Return { replica, at_ns, first_reply_ns: None, over: false });
        for place in self.grid.places_of(replica) {
            self.links[place].reopen(is_up.clone());
        }
    }

    /// Lets the load go on until `deadline`.
    pub(super) async fn drive_until(&mut self, deadline: Instant) {
        poll_fn(|cx| {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.step(cx, deadline)
        })
        .await;
    }

    /// Lets the load go on while `other` is not done.
    pub(super) async fn drive_while<F: Future>(&mut self, other: F) -> F::Output {
        let mut other = pin!(other);
        poll_fn(|cx| {
            if let Poll::Ready(output) = other.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let horizon = Instant::now() + Duration::from_secs(3600);
            let _: Poll<()> = self.step(cx, horizon);
            Poll::Pending
        })
        .await
    }

    /// Waits for what is outstanding, at most so long; what is left then is given up.
    pub(super) async fn drain(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        poll_fn(|cx| {
            if self.clients.outstanding() == 0 || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            let stepped = self.step(cx, deadline);
            if self.clients.outstanding() == 0 { Poll::Ready(()) } else { stepped }
        })
        .await;
        let now_ns = self.now_ns();
        for handle in self.clients.open() {
            self.give_up(handle, now_ns);
        }
    }

    /// Waits for nothing any more, as the run ended before its time.
    pub(super) fn abandon(&mut self) {
        let now_ns = self.now_ns();
        for handle in self.clients.open() {
            self.give_up(handle, now_ns);
        }
    }

    /// Reads every checked key at each of `replicas`, and waits for the answers, at most so long: whatever the last write of
    /// a key was, every replica must show it. First it waits, as long, for the sessions that are lost.
    pub(super) async fn read_back(&mut self, replicas: ReplicaSet, timeout: Duration) {
        self.have_sessions(replicas, timeout).await;
        let keys = self.history.checked_keys(READ_BACK_KEYS_MAX);
        let now_ns = self.now_ns();
        let Self { links, grid, clients, history, closing_unanswered, .. } = self;
        for to in replicas.iter() {
            let site = to.index();
            let Some(session) = &mut links[grid.place(site, to)].session else {
                *closing_unanswered += keys.len() as u64;
                continue;
            };
            let place = clients.reader(site);
            for keys in keys.chunks(READ_BACK_BATCH) {
                clients.read_back(place, (to, keys), now_ns, history, |requests| {
                    session.send_batch(requests);
                });
            }
        }
        self.drain(timeout).await;
    }

    /// Waits until there is a session with each of `replicas`, at most so long.
    async fn have_sessions(&mut self, replicas: ReplicaSet, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let grid = self.grid;
        let all = |links: &[SessionLink]| {
            let mut at_home = replicas.iter().map(|to| grid.place(to.index(), to));
            at_home.all(|place| links[place].session.is_some())
        };
        poll_fn(|cx| {
            if all(&self.links) || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            let stepped = self.step(cx, deadline);
            if all(&self.links) { Poll::Ready(()) } else { stepped }
        })
        .await;
    }

    /// One wake. Ready when `deadline` has passed.
    fn step(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            let now = Instant::now();
            self.look(now);
            let now_ns = nanoseconds(now.saturating_duration_since(self.start));
            self.read_replies(cx, now_ns);
            self.take_opened(cx, now_ns);
            let next_send = if self.issuing { self.issue(now_ns) } else { None };
            if now >= self.next_sweep {
                self.next_sweep = now + self.sweep_every;
                self.sweep(now_ns);
            }
            self.flush(cx, now_ns);
            let next_send = next_send.map(|at_ns| self.start + Duration::from_nanos(at_ns));
            let wake_at = deadline.min(self.next_sweep).min(now + LOOK_EVERY);
            let wake_at = next_send.map_or(wake_at, |at| wake_at.min(at));
            match self.alarm.poll_at(cx, wake_at) {
                Poll::Ready(()) if Instant::now() >= deadline => return Poll::Ready(()),
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The clock is looked at: how late is that?
    fn look(&mut self, now: Instant) {
        if let Some(last) = &mut self.last_look {
            let late = now.saturating_duration_since(*last).saturating_sub(LOOK_EVERY);
            self.stood_still = self.stood_still.max(late);
            *last = now;
        }
    }

    fn read_replies(&mut self, cx: &mut Context<'_>, now_ns: u64) {
        for place in 0..self.links.len() {
            for read in 1..=READS_PER_WAKE {
                let Self { links, clients, tally, history, tamper, ready, .. } = self;
                let Some(session) = &mut links[place].session else { break };
                let mut seen = Seen { clients, tally, history, tamper, ready };
                let on_reply = |reply| seen.on_reply(reply, now_ns);
                let replied = session.poll_replies(cx, on_reply);
                if matches!(replied, Poll::Ready(Ok(_))) {
                    self.note_return(place, now_ns);
                }
                match replied {
                    Poll::Pending => break,
                    // There may be more: come back as soon as the others had their turn.
                    Poll::Ready(Ok(_)) if read == READS_PER_WAKE => cx.waker().wake_by_ref(),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => self.lose(place, now_ns, &error),
                }
            }
        }
    }

    /// The replica of this place replied: if it was started again and this is its first reply since, that is noted.
    fn note_return(&mut self, place: usize, now_ns: u64) {
        let replica = self.grid.replica(place);
        let is_first = |returned: &&mut Return| {
            returned.replica == replica && !returned.over && returned.first_reply_ns.is_none()
        };
        if let Some(returned) = self.returns.iter_mut().find(is_first) {
            returned.first_reply_ns = Some(now_ns);
        }
    }

    /// The session with the replica of this place is lost: what was asked there is asked of the next one, at once.
    fn lose(&mut self, place: usize, at_ns: u64, error: &node::NodeError) {
        let replica = self.grid.replica(place);
        let asked = self.asked_over(place);
        if self.links[place].lose() {
            let reason = error.to_string();
            self.losses.push(Loss { replica, place, at_ns, reason, mended_ns: None });
        }
        self.ask_again(asked);
    }

    /// What goes over the session of the link at `place`: what was asked of its replica, and of those before it that have
    /// none.
    fn asked_over(&self, place: usize) -> Vec<Handle> {
        let at = self.grid.replica(place).index();
        let links = &self.links[self.grid.row(place)];
        let (before, from) = links.split_at(at);
        let without = |links: &[SessionLink]| {
            links.iter().rev().take_while(|link| link.session.is_none()).count()
        };
        let mut count = without(before);
        if count == before.len() {
            count += without(&from[1..]);
        }
        let all = links.len();
        let asked = (0..=count).map(|back| ReplicaId::from_index((at + all - back) % all));
        let is_here = |handle: &Handle| self.grid.is_from(place, self.clients.site(handle.client));
        asked.flat_map(|replica| self.clients.asked_of(replica)).filter(is_here).collect()
    }

    fn ask_again(&mut self, asked: Vec<Handle>) {
        let now_ns = self.now_ns();
        for handle in asked {
            self.send_again(handle, now_ns);
        }
    }

    fn send_again(&mut self, handle: Handle, now_ns: u64) {
        let row = self.grid.row_of_site(self.clients.site(handle.client));
        let links = &mut self.links[row];
        self.clients.again(handle, now_ns, &self.history, |to, request| send(links, to, request));
    }

    /// Takes in the sessions that are there again.
    fn take_opened(&mut self, cx: &mut Context<'_>, now_ns: u64) {
        for (place, link) in self.links.iter_mut().enumerate() {
            if link.poll_opened(cx) {
                let of_it = |loss: &&mut Loss| loss.place == place && loss.mended_ns.is_none();
                if let Some(loss) = self.losses.iter_mut().rev().find(of_it) {
                    loss.mended_ns = Some(now_ns);
                }
            }
        }
    }

    /// Sends what is to be sent by now; returns when the next request is due, if that is known.
    fn issue(&mut self, now_ns: u64) -> Option<u64> {
        let Self { links, grid, clients, pace, tally, history, ready, .. } = self;
        let Pace::Schedule(sites) = pace else {
            for place in ready.drain(..) {
                let links = &mut links[grid.row_of_site(clients.site(place))];
                let send = |to, request: &Request<'_>| send(links, to, request);
                let (due_ns, sent_ns) = clients.issue(place, (None, now_ns), history, send);
                tally.sent(due_ns, sent_ns);
            }
            return None;
        };
        ready.clear();
        let mut next_ns = u64::MAX;
        for (site, (arrivals, next)) in sites.iter_mut().enumerate() {
            while next.at_ns <= now_ns && has_room(links, clients) {
                let place = clients.place(site, next.client);
                let links = &mut links[grid.row_of_site(site)];
                let send = |to, request: &Request<'_>| send(links, to, request);
                let times = (Some(next.at_ns), now_ns);
                let (due_ns, sent_ns) = clients.issue(place, times, history, send);
                tally.sent(due_ns, sent_ns);
                *next = arrivals.next_send();
            }
            next_ns = next_ns.min(next.at_ns);
        }
        // What is held back is due already: replies and sweeps bring it on.
        (next_ns > now_ns).then_some(next_ns)
    }

    fn sweep(&mut self, now_ns: u64) {
        for overdue in self.clients.overdue(now_ns) {
            match overdue {
                Overdue::Again(handle) => self.send_again(handle, now_ns),
                Overdue::GiveUp(handle) => {
                    self.give_up(handle, now_ns);
                    self.ready.push(handle.client);
                }
            }
        }
    }

    fn give_up(&mut self, handle: Handle, now_ns: u64) {
        let Some(closed) = self.clients.close(handle) else { return };
        let Closed { site, pending, .. } = closed;
        let id = (client_id(handle.client), handle.number);
        let until_ns = self.history.given_up(pending.invoked, id, (now_ns, pending.closing));
        self.closing_unanswered += u64::from(pending.closing);
        self.tally.given_up(site, handle.number.is_read(), &pending, until_ns);
    }

    fn flush(&mut self, cx: &mut Context<'_>, now_ns: u64) {
        for place in 0..self.links.len() {
            let Some(session) = &mut self.links[place].session else { continue };
            if session.unsent_bytes() > 0
                && let Poll::Ready(Err(error)) = session.poll_flush(cx)
            {
                self.lose(place, now_ns, &error);
            }
        }
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }
}

/// What an answer changes.
struct Seen<'a> {
    clients: &'a mut Clients,
    tally: &'a mut Tally,
    history: &'a mut Recorder,
    tamper: &'a mut Tamper,
    ready: &'a mut Vec<usize>,
}

impl Seen<'_> {
    fn on_reply(&mut self, reply: Reply, now_ns: u64) {
        let Reply { client, number, answer } = reply;
        let handle = Handle { client: place_of(client), number };
        let Some(closed) = self.clients.close(handle) else { return };
        let pending = closed.pending;
        let (id, times) = ((client, number), (now_ns, pending.closing));
        let (site, is_read) = (closed.site, number.is_read());
        match self.tamper.with(&pending, answer) {
            Ok(outcome) => {
                let at_ns = self.history.answered(pending.invoked, id, &outcome, times);
                self.tally.answered(site, is_read, &pending, at_ns);
            }
            Err(_) => {
                // Another replica may have taken on what this one refuses.
                let at_ns = if closed.is_without_effect_if_refused {
                    self.history.refused(pending.invoked, id, times)
                } else {
                    self.history.given_up(pending.invoked, id, times)
                };
                self.tally.refused(site, is_read, &pending, at_ns);
            }
        }
        self.ready.push(handle.client);
    }
}

/// Puts `request` into the buffer of the session with `to`, or of the next one that is up.
fn send(links: &mut [SessionLink], to: ReplicaId, request: &Request<'_>) {
    let (before, from) = links.split_at_mut(to.index());
    let mut up = from.iter_mut().chain(before).filter_map(|link| link.session.as_mut());
    if let Some(session) = up.next() {
        session.send(request);
    }
}

fn has_room(links: &[SessionLink], clients: &Clients) -> bool {
    let unsent = links.iter().filter_map(|link| link.session.as_ref()).map(Session::unsent_bytes);
    clients.outstanding() < OUTSTANDING_MAX && unsent.sum::<usize>() < UNSENT_BYTES_MAX
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
