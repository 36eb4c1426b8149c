//! Simulated commit latencies beside what the formulas say of the matrix of sites, to the
//! nanosecond.

use std::collections::{BTreeMap, BTreeSet};

use measure::FormulaRow;
use protocols::Protocol;
use serde::{Deserialize, Serialize};
use workload::{Driver, Point, Prediction, Run, Workload};

/// The commits of every run of a plan, by protocol, point and site; repetitions together.
#[derive(Debug)]
pub struct Formulas<'a> {
    workload: &'a Workload,
    seen: BTreeMap<(Protocol, String, usize), Commits>,
    /// Whose runs are not all valid.
    not_valid: BTreeSet<(Protocol, String)>,
}

/// What the note of a row begins with whose runs are not all valid.
pub const NOT_VALID: &str = "NOT VALID";

/// The latency of a commit that never came: above every other.
pub(super) const NEVER_NS: u64 = u64::MAX;

/// How often each latency was seen. Without service times there are few different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commits(BTreeMap<u64, u64>);

impl<'a> Formulas<'a> {
    /// Nothing seen yet; none if there are no sites to compute with.
    pub fn new(workload: &'a Workload) -> Option<Self> {
        let simulated = workload.cluster.driver == Driver::Sim && workload.network.is_some();
        simulated.then(|| Self { workload, seen: BTreeMap::new(), not_valid: BTreeSet::new() })
    }

    /// Adds the commits of commands that came in at `site` while `run` was measured.
    pub fn add(&mut self, run: &Run, site: usize, commits: &Commits) {
        let place = (run.protocol, run.point.canonical(), site);
        let seen = self.seen.entry(place).or_default();
        for (commit_ns, count) in &commits.0 {
            *seen.0.entry(*commit_ns).or_insert(0) += count;
        }
    }

    /// Marks what `run` is part of: it is not valid.
    pub fn distrust(&mut self, run: &Run) {
        self.not_valid.insert((run.protocol, run.point.canonical()));
    }

    /// A row per protocol, point and site that was simulated, in the plan's order.
    pub fn rows(&self) -> Vec<FormulaRow> {
        let mut rows = Vec::new();
        for protocol in &self.workload.protocols {
            for point in self.workload.points(*protocol) {
                let sites = self.workload.sites(point.replicas);
                let names = sites.map(|sites| sites.names).unwrap_or_default();
                for (site, name) in names.into_iter().enumerate() {
                    let place = (*protocol, point.canonical(), site);
                    if let Some(commits) = self.seen.get(&place) {
                        let mut row = self.row(*protocol, &point, site, name, commits);
                        if self.not_valid.contains(&(*protocol, point.canonical())) {
                            let note = format!("{NOT_VALID}, {}", row.note);
                            row.note = note.trim_end_matches(", ").to_owned();
                        }
                        rows.push(row);
                    }
                }
            }
        }
        rows
    }

    fn row(
        &self,
        protocol: Protocol,
        point: &Point,
        site: usize,
        name: String,
        commits: &Commits,
    ) -> FormulaRow {
        let median_ns = commits.median_ns();
        let never = commits.within(NEVER_NS, NEVER_NS);
        let mut row = FormulaRow {
            protocol: protocol.name().to_owned(),
            driver: Driver::Sim.name().to_owned(),
            point: point.canonical(),
            conflict_rate: point.conflict_rate(),
            site: name,
            commits: commits.count(),
            median_ns,
            ..FormulaRow::default()
        };
        row = match self.workload.prediction(protocol, point, site) {
            Prediction::Exactly(ns) => FormulaRow {
                formula_ns_min: Some(ns),
                formula_ns_max: Some(ns),
                commits_within: Some(commits.within(ns, ns)),
                difference_ns: median_ns.map(|median_ns| signed(median_ns) - signed(ns)),
                ..row
            },
            Prediction::Between(least_ns, most_ns) => FormulaRow {
                formula_ns_min: Some(least_ns),
                formula_ns_max: Some(most_ns),
                commits_within: Some(commits.within(least_ns, most_ns)),
                note: "conflicts decide which path".to_owned(),
                ..row
            },
            Prediction::Nothing(why) => FormulaRow { note: why.to_owned(), ..row },
        };
        if never > 0 {
            let note = format!("{never} of {} commits never came; {}", commits.count(), row.note);
            row.note = note.trim_end_matches("; ").to_owned();
        }
        row
    }
}

impl Commits {
    /// How often each of `commits_ns` is there, in nanoseconds.
    pub fn of(commits_ns: &[u64]) -> Self {
        let mut commits = Self::default();
        for commit_ns in commits_ns {
            *commits.0.entry(*commit_ns).or_insert(0) += 1;
        }
        commits
    }

    fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The latency that half of the commits do not exceed: one that was seen, never a mean of two.
    /// None if half of them never came.
    fn median_ns(&self) -> Option<u64> {
        let half = self.count().div_ceil(2);
        let mut passed = 0;
        let median_ns = self.0.iter().find_map(|(latency_ns, count)| {
            passed += count;
            (passed >= half).then_some(*latency_ns)
        });
        median_ns.filter(|median_ns| *median_ns != NEVER_NS)
    }

    fn within(&self, least_ns: u64, most_ns: u64) -> u64 {
        self.0.range(least_ns..=most_ns).map(|(_, count)| count).sum()
    }
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).expect("less than three centuries")
}

#[cfg(test)]
mod tests {
    use workload::Plan;

    use super::*;

    const TEXT: &str = "name = \"x\"\nprotocols = [\"multi-paxos\"]\nrepetitions = 1\n\
        cluster = { driver = \"sim\", replicas = 3 }\n\
        sim = { cpu_us_per_message = 0, cpu_ns_per_byte = 0, nic_mbit_per_s = 0 }\n\
        network.topology = { source = \"invented\", sites = [\"A\", \"B\", \"C\"], \
        round_trip_ms = { A-B = 10, B-C = 20, A-C = 30 } }\nnetwork.jitter_ms = 0";

    fn workload() -> Workload {
        Workload::parse("x.toml", TEXT, &[]).unwrap()
    }

    /// A median of those that came would hide the others.
    #[test]
    fn commits_that_never_came_are_in_the_median_and_are_said() {
        let workload = workload();
        let first = |commits: &[u64]| {
            let mut formulas = Formulas::new(&workload).unwrap();
            formulas.add(&Plan::new(&workload).runs[0], 0, &Commits::of(commits));
            let [row] = formulas.rows().try_into().expect("one protocol, point and site");
            (row.commits, row.commits_within, row.median_ns, row.difference_ns, row.note)
        };
        let ten = 10_000_000;
        let all = first(&[ten, ten, ten]);
        assert_eq!(all, (3, Some(3), Some(ten), Some(0), String::new()));
        let most = first(&[ten, NEVER_NS, ten]);
        let note = "1 of 3 commits never came".to_owned();
        assert_eq!(most, (3, Some(2), Some(ten), Some(0), note));
        let half = first(&[NEVER_NS, NEVER_NS, ten]);
        let note = "2 of 3 commits never came".to_owned();
        assert_eq!(half, (3, Some(1), None, None, note));
    }

    #[test]
    fn without_sites_there_is_nothing_to_compute_with() {
        let bare =
            Workload::parse("x.toml", "name = \"x\"\ncluster.driver = \"sim\"", &[]).unwrap();
        assert!(Formulas::new(&bare).is_none());
    }
}
