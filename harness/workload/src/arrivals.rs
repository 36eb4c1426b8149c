//! When an open loop sends: intended times, fixed before anything is sent, whatever the replies do.

use rand_chacha::ChaCha8Rng;

use crate::{
    model::{Arrival, Mode},
    plan::Point,
    seed::{self, Purpose},
};

const NS_PER_S: f64 = 1e9;

/// One intended send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntendedSend {
    /// From the start of the load, in nanoseconds. Never falls.
    pub at_ns: u64,
    /// The client of the site that sends.
    pub client: usize,
}

/// The sends of one site, for ever. The clients of the site take turns.
///
/// The cluster's rate is divided equally among the sites. Poisson gaps are exponential, drawn per site, so that the whole
/// cluster's sends are a Poisson process as well. Constant gaps are equal, and site s of N begins s/N of a gap late,
/// so that the whole cluster's sends are equally spaced.
#[derive(Clone, Debug)]
pub struct Arrivals {
    gap_ns: f64,
    times: Times,
    clients: usize,
    client: usize,
}

#[derive(Clone, Debug)]
enum Times {
    /// The next is drawn from the last, which is kept unrounded: nothing is lost over time.
    Poisson { last_ns: f64, rng: Box<ChaCha8Rng> },
    /// The next is computed from its number, not from the last one.
    Constant { phase_ns: f64, number: u64 },
}

impl Arrivals {
    /// The sends of site `site` of `point.replicas`. The same arguments give the same sends.
    ///
    /// # Panics
    /// If the point is no open loop: other loops have no intended times.
    pub fn new(point: &Point, run_seed: u64, site: usize) -> Self {
        assert!(point.mode == Mode::Open, "only an open loop has intended send times");
        let (sites, site_number) = (point.replicas as f64, site as f64);
        let gap_ns = NS_PER_S * sites / point.rate_ops_per_s;
        let times = match point.arrival {
            Arrival::Poisson => {
                let rng = seed::generator(run_seed, Purpose::Arrivals, site, 0);
                Times::Poisson { last_ns: 0.0, rng: Box::new(rng) }
            }
            Arrival::Constant => {
                Times::Constant { phase_ns: gap_ns * site_number / sites, number: 0 }
            }
        };
        Self { gap_ns, times, clients: point.clients_per_site, client: 0 }
    }

    /// The next send.
    pub fn next_send(&mut self) -> IntendedSend {
        let at_ns = match &mut self.times {
            Times::Poisson { last_ns, rng } => {
                *last_ns -= self.gap_ns * seed::unit(rng).ln();
                *last_ns
            }
            Times::Constant { phase_ns, number } => {
                let at_ns = *phase_ns + self.gap_ns * *number as f64;
                *number += 1;
                at_ns
            }
        };
        let client = self.client;
        self.client = (client + 1) % self.clients;
        #[expect(clippy::cast_possible_truncation, reason = "2^64 ns are five centuries")]
        IntendedSend { at_ns: at_ns as u64, client }
    }
}
