//! When an open loop sends: intended times, fixed before anything is sent, whatever the replies do.

use rand_chacha::ChaCha8Rng;

use crate::{
    model::Arrival,
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
/// The cluster's rate is divided equally among its clients, so that a site has its share by their
/// number. Poisson gaps are exponential, drawn per site, so that the whole cluster's sends are a
/// Poisson process as well. Constant gaps are those of the whole cluster, whose sends are equally
/// spaced: the first client of each site in turn, then the second of each site that has one, and so
/// on.
#[derive(Clone, Debug)]
pub struct Arrivals {
    times: Times,
    clients: usize,
    client: usize,
}

#[derive(Clone, Debug)]
enum Times {
    /// The next is drawn from the last, which is kept unrounded: nothing is lost over time.
    Poisson { gap_ns: f64, last_ns: f64, rng: Box<ChaCha8Rng> },
    /// The next is computed from its number, not from the last one.
    Constant(Turns),
}

/// The turns of one site's clients among all of the cluster's.
#[derive(Clone, Debug)]
struct Turns {
    /// From the send of one site's client to that of the same site's next, where all sites have a
    /// turn.
    round_ns: f64,
    site: u64,
    sites: u64,
    /// Of the site, and of the cluster.
    clients: [u64; 2],
    /// Of the site's next send.
    number: u64,
}

impl Turns {
    fn next_ns(&mut self) -> f64 {
        let Self { round_ns, site, sites, clients: [here, everywhere], number } = *self;
        self.number += 1;
        // The clients before it take their turns once more each time.
        let turn = (number % here) * sites + site + (number / here) * everywhere;
        let (round, place) = (turn / sites, turn % sites);
        round_ns * place as f64 / sites as f64 + round_ns * round as f64
    }
}

impl Arrivals {
    /// The sends of site `site` of `point.replicas`; none if it has no clients. The same arguments
    /// give the same sends.
    ///
    /// # Panics
    /// If the point is no open loop, or its rate is yet to be found: then there are no intended
    /// times.
    pub fn new(point: &Point, run_seed: u64, site: usize) -> Option<Self> {
        let rate = point.open_rate().expect("only an open loop with a rate has intended times");
        let clients = point.clients.at(site);
        if clients == 0 {
            return None;
        }
        let everywhere = point.clients.clients();
        let times = match point.arrival {
            Arrival::Poisson => {
                let rng = seed::generator(run_seed, Purpose::Arrivals, site, 0);
                let sites_like_it = everywhere as f64 / clients as f64;
                let gap_ns = NS_PER_S * sites_like_it / rate;
                Times::Poisson { gap_ns, last_ns: 0.0, rng: Box::new(rng) }
            }
            Arrival::Constant => Times::Constant(Turns {
                round_ns: NS_PER_S * point.replicas as f64 / rate,
                site: site as u64,
                sites: point.replicas as u64,
                clients: [clients as u64, everywhere as u64],
                number: 0,
            }),
        };
        Some(Self { times, clients, client: 0 })
    }

    /// The next send.
    pub fn next_send(&mut self) -> IntendedSend {
        let at_ns = match &mut self.times {
            Times::Poisson { gap_ns, last_ns, rng } => {
                *last_ns -= *gap_ns * seed::unit(rng).ln();
                *last_ns
            }
            Times::Constant(turns) => turns.next_ns(),
        };
        let client = self.client;
        self.client = (client + 1) % self.clients;
        #[expect(clippy::cast_possible_truncation, reason = "2^64 ns are five centuries")]
        IntendedSend { at_ns: at_ns as u64, client }
    }
}
