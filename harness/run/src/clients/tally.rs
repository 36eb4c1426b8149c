//! What the clients saw in the measured window.
//!
//! **The population** of latency is every request that was *due* in the window: in an open loop by its schedule, in closed
//! and pipelined loops when it was sent. After the window the same load goes on, uncounted, until each of them is answered
//! or given up, or until [`Tally::close`]. A request that is not answered by then counts as long as it was waited for, as a
//! lower bound. **Throughput** is of what was answered within the window, whenever it was due.
//!
//! All times are those of the history's stamps, in nanoseconds since the start of the load, so that a kept history gives
//! the same figures again.

use std::time::Duration;

use measure::{Population, Silences, SiteRecord, Timed};

use super::outstanding::Pending;

/// The figures of one run, as they come.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sites: Vec<SiteRecord>,
    /// When nothing was answered anywhere.
    pub(crate) replies: Silences,
    /// How late an open loop's requests left that were due in the window.
    pub(crate) lag: Population,
    /// Requests that were due in the window.
    pub(crate) due: u64,
    /// Those of them that were sent, and neither answered nor given up.
    open: u64,
    /// Those of them that were never sent: of which site, and when they were due, since the start of the load.
    pub(crate) never_sent: Vec<(usize, u64)>,
    begin_ns: u64,
    end_ns: u64,
    /// When the population was closed, if it is.
    closed_ns: Option<u64>,
}

impl Tally {
    /// Nothing counts yet, of sites that have numbers for names.
    pub(crate) fn new(sites: usize, duration: Duration) -> Self {
        let names: Vec<String> = (0..sites).map(|site| site.to_string()).collect();
        Self::named(&names, duration)
    }

    /// Nothing counts yet, of sites with these names.
    pub(crate) fn named(sites: &[String], duration: Duration) -> Self {
        Self {
            sites: sites.iter().map(|site| SiteRecord::new(site, duration)).collect(),
            replies: Silences::default(),
            lag: Population::new(),
            due: 0,
            open: 0,
            never_sent: Vec::new(),
            begin_ns: u64::MAX,
            end_ns: u64::MAX,
            closed_ns: None,
        }
    }

    /// The window begins.
    pub(crate) const fn begin(&mut self, now_ns: u64) {
        self.begin_ns = now_ns;
    }

    /// The window ends.
    pub(crate) const fn end(&mut self, now_ns: u64) {
        self.end_ns = now_ns;
    }

    /// When the window began, ended, and the population was closed; what has not happened is at the end of time.
    pub(crate) fn window(&self) -> Window {
        let Self { begin_ns, end_ns, closed_ns, .. } = *self;
        Window { begin_ns, end_ns, closed_ns: closed_ns.unwrap_or(u64::MAX) }
    }

    /// How long the window was, or has been up to `now_ns`; zero if it has not begun.
    pub(crate) fn elapsed(&self, now_ns: u64) -> Duration {
        Duration::from_nanos(self.end_ns.min(now_ns).saturating_sub(self.begin_ns))
    }

    /// Seconds from the begin of the window to `at_ns`; negative before it.
    pub(crate) fn since_begin_s(&self, at_ns: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "times of a run in nanoseconds")]
        let s = (at_ns as f64 - self.begin_ns as f64) / 1e9;
        s
    }

    /// Was a request in the window that was due at `due_ns`?
    pub(crate) fn holds(&self, due_ns: u64) -> bool {
        (self.begin_ns..self.end_ns).contains(&due_ns)
    }

    /// Is everything that was due and sent in the window answered or given up?
    pub(crate) const fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// A request was sent at `sent_ns` that was due at `due_ns`; the one is the other unless the loop is open.
    pub(crate) fn sent(&mut self, due_ns: u64, sent_ns: u64) {
        if self.counts(due_ns) {
            self.due += 1;
            self.open += 1;
            self.lag.record_ns(sent_ns - due_ns);
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self, site: usize, is_read: bool, pending: &Pending, now_ns: u64) {
        if self.holds(now_ns) && !pending.closing {
            let at_ns = now_ns - self.begin_ns;
            self.sites[site].answer(at_ns);
            self.replies.mark(at_ns);
        }
        if let Some(times) = self.ended(pending, now_ns) {
            self.sites[site].record(is_read, times);
        }
    }

    /// A request was refused, and has had no effect.
    pub(crate) fn refused(&mut self, site: usize, is_read: bool, pending: &Pending, now_ns: u64) {
        if let Some(times) = self.ended(pending, now_ns) {
            self.sites[site].record_error(is_read, times);
        }
    }

    /// A request was given up.
    pub(crate) fn given_up(&mut self, site: usize, is_read: bool, pending: &Pending, now_ns: u64) {
        if let Some(times) = self.ended(pending, now_ns) {
            self.sites[site].record_unknown(is_read, times);
        }
    }

    /// A request of an open loop was due at `due_ns` and is not sent at `now_ns`, when the population is closed.
    pub(crate) fn unsent(&mut self, site: usize, due_ns: u64, now_ns: u64) {
        if self.counts(due_ns) {
            self.due += 1;
            self.never_sent.push((site, due_ns));
            self.lag.censor_ns(now_ns - due_ns);
            self.sites[site].record_unsent(due_ns - self.begin_ns, now_ns - self.begin_ns);
        }
    }

    /// Nothing more is waited for at `now_ns`: the requests that are open then, which are given by site, with whether they are
    /// reads, are unknown. Whatever comes later changes nothing.
    pub(crate) fn close<'a>(
        &mut self,
        open: impl Iterator<Item = (usize, bool, &'a Pending)>,
        now_ns: u64,
    ) {
        for (site, is_read, pending) in open {
            self.given_up(site, is_read, pending, now_ns);
        }
        debug_assert!(self.is_settled(), "{} requests are open and not accounted for", self.open);
        self.closed_ns.get_or_insert(now_ns);
    }

    /// The times of a request that is over, if it is one of the population.
    fn ended(&mut self, pending: &Pending, now_ns: u64) -> Option<Timed> {
        if pending.closing || !self.counts(pending.due_ns()) {
            return None;
        }
        self.open -= 1;
        Some(Timed {
            due_ns: pending.due_ns() - self.begin_ns,
            sent_ns: pending.sent_ns() - self.begin_ns,
            ended_ns: now_ns - self.begin_ns,
        })
    }

    fn counts(&self, due_ns: u64) -> bool {
        self.closed_ns.is_none() && self.holds(due_ns)
    }
}

/// When a run was measured, in nanoseconds since the start of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
    /// Until when answers were waited for.
    pub(crate) closed_ns: u64,
}
