//! What the clients saw in the measured window.
//!
//! An operation counts if its answer comes within the window, whenever it was sent: throughput and latency are then of
//! the same operations, and what was carried in from the warm-up makes up for what is carried out at the end. In an open
//! loop latency counts from the intended send.

use std::time::Duration;

use measure::{Histogram, Silences, SiteRecord};

use super::clients::Pending;

/// The figures of one run, as they come. Times are in nanoseconds since the start of the load.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sites: Vec<SiteRecord>,
    /// When nothing was answered anywhere.
    pub(crate) replies: Silences,
    /// How late an open loop's requests left.
    pub(crate) lag: Histogram,
    /// Requests whose intended send is within the window.
    pub(crate) offered: u64,
    begin_ns: u64,
    end_ns: u64,
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
            lag: Histogram::new(),
            offered: 0,
            begin_ns: u64::MAX,
            end_ns: u64::MAX,
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

    /// An open loop intended to send at `intended_ns`.
    pub(crate) fn offer(&mut self, intended_ns: u64) {
        self.offered += u64::from(self.holds(intended_ns));
    }

    /// An open loop sent at `now_ns` what it intended to send at `intended_ns`.
    pub(crate) fn sent(&mut self, intended_ns: u64, now_ns: u64) {
        if self.holds(intended_ns) {
            self.lag.record_ns(now_ns - intended_ns);
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&mut self, site: usize, is_read: bool, pending: &Pending, now_ns: u64) {
        if self.holds(now_ns) {
            let latency_ns = now_ns - pending.intended_ns;
            let service_ns = now_ns - pending.sent_ns;
            let at_ns = now_ns - self.begin_ns;
            self.sites[site].record(at_ns, is_read, latency_ns, service_ns);
            self.replies.mark(at_ns);
        }
    }

    /// A request was refused, and has had no effect.
    pub(crate) fn refused(&mut self, site: usize, now_ns: u64) {
        if self.holds(now_ns) {
            self.sites[site].record_error(now_ns - self.begin_ns);
        }
    }

    /// A request was given up. It counts after the end of the window, too: what was still open there was sent in it.
    pub(crate) fn given_up(&mut self, site: usize, now_ns: u64) {
        if now_ns >= self.begin_ns {
            self.sites[site].record_unknown(now_ns - self.begin_ns);
        }
    }

    fn holds(&self, at_ns: u64) -> bool {
        (self.begin_ns..self.end_ns).contains(&at_ns)
    }
}
