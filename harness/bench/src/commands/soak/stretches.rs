//! How long clients of healthy replicas were without an answer, over the seeds in which faults
//! last.

use serde_json::{Value, json};
use sim::ProgressAsked;

/// Of how many hundred seeds the usual bound is asked for.
const USUAL_PERCENT: u64 = 99;

/// The longest stretch of each seed, in thousandths of the longest that is allowed.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    permille: Vec<u64>,
    /// How many seeds were within the bound that 99 of 100 should keep to.
    usual: u64,
    /// How many were stopped since it was too long.
    too_long: u64,
}

impl Stretches {
    /// Takes in a seed that ended, with its longest stretch.
    pub(crate) fn add(&mut self, longest_ns: u64, asked: &ProgressAsked) {
        self.permille.push(longest_ns.saturating_mul(1_000) / asked.stretch_ns_max.max(1));
        self.usual += u64::from(longest_ns <= asked.stretch_ns_usual);
    }

    /// Takes in a seed that was stopped when its stretch was too long.
    pub(crate) const fn add_too_long(&mut self) {
        self.too_long += 1;
    }

    fn seeds(&self) -> u64 {
        self.permille.len() as u64 + self.too_long
    }

    /// That share of the seeds has no longer stretch, in thousandths; none if it is longer than the
    /// bound.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let mut sorted = self.permille.clone();
        sorted.sort_unstable();
        let rank = (self.seeds() * percent).div_ceil(100).max(1);
        sorted.get(usize::try_from(rank - 1).unwrap_or(usize::MAX)).copied()
    }

    /// Do 99 of 100 seeds keep to the usual bound?
    fn is_usual(&self) -> bool {
        self.usual * 100 >= self.seeds() * USUAL_PERCENT
    }

    /// For people; no line if no seed was watched.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.seeds() == 0 {
            return Vec::new();
        }
        let told = |percent| {
            let permille = self.percentile(percent);
            permille.map_or_else(
                || "over it".to_owned(),
                |permille| format!("{}.{:03}", permille / 1_000, permille % 1_000),
            )
        };
        let kept = if self.is_usual() { "kept" } else { "NOT kept" };
        vec![
            format!(
                "longest of a seed, as a share of 4 T + 10 r: p50 {}, p99 {}, max {}; {} seeds over it",
                told(50),
                told(99),
                told(100),
                self.too_long
            ),
            format!(
                "{} of {} seeds within 2 T + 10 r, which 99 of 100 should be: {kept}",
                self.usual,
                self.seeds()
            ),
        ]
    }

    /// For programs; null if no seed was watched.
    pub(crate) fn json(&self) -> Value {
        if self.seeds() == 0 {
            return Value::Null;
        }
        json!({
            "seeds": self.seeds(),
            "seeds_over_4t_10r": self.too_long,
            "seeds_within_2t_10r": self.usual,
            "permille_of_4t_10r_p50": self.percentile(50),
            "permille_of_4t_10r_p99": self.percentile(99),
            "permille_of_4t_10r_max": self.percentile(100),
        })
    }
}

#[cfg(test)]
mod tests {
    use protocols::ReplicaSet;

    use super::*;

    const ASKED: ProgressAsked = ProgressAsked {
        healthy: ReplicaSet::EMPTY,
        others_until_ns: 0,
        from_ns: 0,
        until_ns: 1,
        stretch_ns_max: 2_000,
        stretch_ns_usual: 1_200,
    };

    #[test]
    fn shares_are_of_the_seeds_that_were_stopped_too() {
        let mut stretches = Stretches::default();
        assert!(stretches.lines().is_empty() && stretches.json().is_null());
        (0..98).for_each(|_| stretches.add(500, &ASKED));
        stretches.add(1_200, &ASKED);
        stretches.add(1_201, &ASKED);
        assert_eq!(stretches.percentile(50), Some(250));
        assert_eq!((stretches.percentile(99), stretches.percentile(100)), (Some(600), Some(600)));
        assert!(stretches.is_usual(), "99 of 100");
        assert!(
            stretches.lines()[1]
                .ends_with("99 of 100 seeds within 2 T + 10 r, which 99 of 100 should be: kept")
        );
        stretches.add_too_long();
        stretches.add_too_long();
        let lines = stretches.lines();
        let expected = "p50 0.250, p99 over it, max over it; 2 seeds over it";
        assert!(lines[0].ends_with(expected), "{lines:?}");
        assert!(
            lines[1].ends_with(
                "99 of 102 seeds within 2 T + 10 r, which 99 of 100 should be: NOT kept"
            )
        );
        assert!(stretches.json()["permille_of_4t_10r_max"].is_null());
    }
}
