//! What each fault cost in silence, in sentences.

use measure::{ALL, COMMITS, EXECUTIONS, GapRow, REPLIES, WAITS};

use crate::{
    known::display_name,
    numbers::digits3,
    results::{Point, Results},
};

/// Chosen: of a run with more faults than this only those with the longest silences are told.
const STRIKES_MAX: usize = 4;

/// Chosen: at one of a few sites silences are this much longer by chance alone; beyond it the site is named.
const SITE_RATIO: f64 = 4.0;
/// Chosen: shorter waits are not worth a word, and a fault after which nobody waited longer, since another struck at the same
/// time, is not either.
const WAIT_MS_MIN: f64 = 1.0;

/// The silences after the faults of one protocol's runs at one point.
pub(crate) struct Gaps {
    pub(crate) protocol: String,
    /// One sentence per fault, in the order of time.
    pub(crate) sentences: Vec<String>,
    /// Faults that are not told.
    pub(crate) more: usize,
}

/// One fault of one run, with its rows.
struct Strike<'a> {
    rows: Vec<&'a GapRow>,
}

impl Results {
    /// What is to be said of each protocol at `point`; nothing where there were no faults. Of several repetitions the
    /// worst is told.
    pub(crate) fn gap_sentences(&self, point: &Point) -> Vec<Gaps> {
        let of = |protocol: &String| {
            let mut strikes = self.strikes(point, protocol);
            strikes.retain(Strike::is_worth_a_word);
            let repeated = self.cell(&point.text, protocol).is_some_and(|cell| cell.rows.len() > 1);
            let mut worst: Vec<&Strike<'_>> = strikes.iter().collect();
            worst.sort_by(|a, b| b.cost_ms().total_cmp(&a.cost_ms()));
            worst.truncate(STRIKES_MAX);
            worst
                .sort_by(|a, b| a.key().partial_cmp(&b.key()).unwrap_or(std::cmp::Ordering::Equal));
            let sentences: Vec<String> =
                worst.iter().map(|strike| strike.sentence(repeated)).collect();
            let more = strikes.len() - sentences.len();
            (!sentences.is_empty()).then(|| Gaps {
                protocol: display_name(protocol),
                sentences,
                more,
            })
        };
        self.protocols.iter().filter_map(of).collect()
    }

    /// The faults of the repetitions that count.
    fn strikes(&self, point: &Point, protocol: &str) -> Vec<Strike<'_>> {
        let Some(cell) = self.cell(&point.text, protocol) else { return Vec::new() };
        let counts = |row: &&GapRow| {
            row.protocol == protocol
                && row.point == point.text
                && cell.rows.iter().any(|run| run.repetition == row.repetition)
        };
        let mut strikes: Vec<Strike<'_>> = Vec::new();
        for row in self.gaps.iter().filter(counts) {
            match strikes.last_mut().filter(|strike| strike.is_of(row)) {
                Some(strike) => strike.rows.push(row),
                None => strikes.push(Strike { rows: vec![row] }),
            }
        }
        strikes
    }
}

impl Strike<'_> {
    fn is_of(&self, row: &GapRow) -> bool {
        let own = self.rows[0];
        (own.repetition, own.t_s, &own.event, &own.detail)
            == (row.repetition, row.t_s, &row.event, &row.detail)
    }

    fn is_worth_a_word(&self) -> bool {
        self.rows.iter().any(|row| row.gap_ms >= WAIT_MS_MIN)
    }

    /// Its place in time, among all repetitions.
    fn key(&self) -> (u32, f64) {
        (self.rows[0].repetition, self.rows[0].t_s)
    }

    /// What its clients felt at the longest: no reply, or a wait for an execution.
    fn cost_ms(&self) -> f64 {
        let replies = self.of(REPLIES).filter(|row| row.place == ALL);
        replies.chain(self.of(WAITS)).map(|row| row.gap_ms).fold(0.0, f64::max)
    }

    fn of<'s>(&'s self, what: &'s str) -> impl Iterator<Item = &'s GapRow> {
        self.rows.iter().copied().filter(move |row| row.what == what)
    }

    /// For instance: kill r0 (target: leader) at 4.00 s: no reply for 1553 ms (until 5.55 s), no commit for 1540 ms (r1),
    /// no execution for 1541 ms (r1); a committed request waited 3.20 ms for its execution (r2)
    fn sentence(&self, repeated: bool) -> String {
        let GapRow { event, detail, t_s, repetition, .. } = self.rows[0];
        let mut text = format!("{event} {detail} at {t_s:.2} s");
        if repeated {
            text.push_str(&format!(" (repetition {repetition})"));
        }
        let mut parts = Vec::new();
        if let Some(reply) = self.of(REPLIES).find(|row| row.place == ALL) {
            let until = match reply.ended {
                true => format!("until {:.2} s", reply.to_s),
                false => "to the end".to_owned(),
            };
            let site = self
                .of(REPLIES)
                .max_by(compare)
                .filter(|site| site.place != ALL && site.gap_ms >= SITE_RATIO * reply.gap_ms);
            let at_site = site
                .map(|site| format!("; at site {} for {} ms", site.place, digits3(site.gap_ms)))
                .unwrap_or_default();
            parts.push(format!("no reply for {} ms ({until}{at_site})", digits3(reply.gap_ms)));
        }
        for (what, word) in [(COMMITS, "no commit for"), (EXECUTIONS, "no execution for")] {
            parts.extend(self.range(what).map(|range| format!("{word} {range}")));
        }
        text.push_str(&format!(": {}", parts.join(", ")));
        let wait = self.of(WAITS).max_by(compare);
        if let Some(wait) = wait.filter(|wait| wait.gap_ms >= WAIT_MS_MIN) {
            text.push_str(&format!(
                "; a committed request waited {} ms for its execution ({})",
                digits3(wait.gap_ms),
                wait.place
            ));
        }
        text
    }

    /// The shortest and the longest among the living replicas, or one where they are alike.
    fn range(&self, what: &str) -> Option<String> {
        /// Chosen: nearer to each other than this, two figures are one.
        const ALIKE: f64 = 0.9;
        let (short, long) = (self.of(what).min_by(compare)?, self.of(what).max_by(compare)?);
        let text = |row: &GapRow| format!("{} ms ({})", digits3(row.gap_ms), row.place);
        Some(match short.gap_ms >= ALIKE * long.gap_ms {
            true => text(long),
            false => format!("{} … {}", text(short), text(long)),
        })
    }
}

fn compare(a: &&GapRow, b: &&GapRow) -> std::cmp::Ordering {
    a.gap_ms.total_cmp(&b.gap_ms)
}
