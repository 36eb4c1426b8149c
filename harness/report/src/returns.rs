//! How soon throughput was back after each fault, in sentences.

use measure::{ALL, ReturnRow, site_name};

use crate::{
    known::display_name,
    numbers::{digits3, percent},
    results::{Point, Results},
};

/// Chosen: more faults of one protocol at one point than this are not read.
const FAULTS_MAX: usize = 8;

impl Results {
    /// A sentence per fault of each protocol at each point; of several repetitions the worst is
    /// told.
    pub(crate) fn return_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for point in &self.points {
            for protocol in &self.protocols {
                lines.extend(self.returns_of(point, protocol));
            }
        }
        lines
    }

    fn returns_of(&self, point: &Point, protocol: &str) -> Vec<String> {
        let label = match self.label(point, None) {
            label if label.is_empty() => String::new(),
            label => format!(", {label}"),
        };
        let faults = self.faults_that_ended(point, protocol);
        let who = display_name(protocol);
        let told = faults.iter().take(FAULTS_MAX);
        let mut lines: Vec<String> =
            told.map(|rows| format!("{who}{label}: {}", sentence(rows))).collect();
        if let Some(more @ 1..) = faults.len().checked_sub(FAULTS_MAX) {
            lines.push(format!("  … and {more} more faults, see returns.csv"));
        }
        lines
    }

    /// The rows of the sites, by fault: the first fault of every repetition, then the second.
    fn faults_that_ended(&self, point: &Point, protocol: &str) -> Vec<Vec<&ReturnRow>> {
        let of_it = |row: &&ReturnRow| row.protocol == protocol && row.point == point.text;
        let rows: Vec<&ReturnRow> = self.returns.iter().filter(of_it).collect();
        let mut faults: Vec<Vec<&ReturnRow>> = Vec::new();
        for of_run in rows.chunk_by(|a, b| a.repetition == b.repetition) {
            let of_fault = of_run.chunk_by(|a, b| a.fault == b.fault && a.to_s == b.to_s);
            for (place, rows) in of_fault.enumerate() {
                if faults.len() <= place {
                    faults.push(Vec::new());
                }
                faults[place].extend(rows.iter().copied().filter(|row| row.site != ALL));
            }
        }
        faults
    }

    /// How many runs have a site that was not back in time after some fault, of how many that were
    /// looked at.
    pub(crate) fn runs_not_back(&self) -> (usize, usize) {
        let mut runs: Vec<(&str, &str, u32, bool)> = Vec::new();
        for row in &self.returns {
            let (protocol, point) = (row.protocol.as_str(), row.point.as_str());
            let is_it = |run: &&mut (&str, &str, u32, bool)| {
                (run.0, run.1, run.2) == (protocol, point, row.repetition)
            };
            let missed = !row.kept && row.site != ALL;
            match runs.iter_mut().find(is_it) {
                Some(run) => run.3 |= missed,
                None => runs.push((protocol, point, row.repetition, missed)),
            }
        }
        (runs.iter().filter(|run| run.3).count(), runs.len())
    }
}

/// What is said of one fault.
fn sentence(rows: &[&ReturnRow]) -> String {
    let Some(first) = rows.first() else { return "no site has clients".to_owned() };
    let ReturnRow { fault, promised_s, promised_share, .. } = first;
    let of_before =
        |row: &ReturnRow| row.lowest_ops_per_s / row.before_ops_per_s.max(f64::MIN_POSITIVE);
    let lowest = rows.iter().min_by(|a, b| of_before(a).total_cmp(&of_before(b)));
    let lowest = lowest.map_or_else(String::new, |row| {
        format!("; lowest {} ({})", share(of_before(row)), site_name(&row.site))
    });
    let missed: Vec<&&ReturnRow> = rows.iter().filter(|row| !row.kept).collect();
    let at_bound = |row: &ReturnRow| row.share_at_bound.unwrap_or(0.0);
    if let Some(worst) = missed.iter().min_by(|a, b| at_bound(a).total_cmp(&at_bound(b))) {
        let others = match missed.len() {
            1 => String::new(),
            some => format!(", and {} more", some - 1),
        };
        return format!(
            "{fault}: {} NOT BACK at {} within {promised_s} s: {} then{others}{lowest}",
            site_name(&worst.site),
            share(*promised_share),
            share(at_bound(worst)),
        );
    }
    let slowest = rows.iter().filter_map(|row| Some((row.returned_s?, &row.site)));
    let slowest = slowest.max_by(|a, b| a.0.total_cmp(&b.0));
    let (returned_s, site) = slowest.unwrap_or((0.0, &first.site));
    let back = match returned_s {
        0.0 => "back at once".to_owned(),
        s => format!("back after {} s at most ({})", digits3(s), site_name(site)),
    };
    format!("{fault}: {back}{lowest}")
}

fn share(share: f64) -> String {
    percent((share * 1e2).round() / 1e2)
}
