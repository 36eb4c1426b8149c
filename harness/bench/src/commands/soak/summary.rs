//! What the seeds of a soak add up to, and how it is told.

use std::{collections::BTreeMap, fmt::Write};

use protocols::Order;
use serde_json::{Value, json};
use sim::{Broken, Coverage, Outcome, Scenario, Violation};

use crate::{
    commands::{
        seeds::{Kind, checked, replay_command, rule, seconds},
        soak::stretches::Stretches,
    },
    subject::Subject,
};

/// A violation's particulars in the summary are cut here; a replay shows them in full.
const DETAIL_CHARS_MAX: usize = 160;

/// Sums over seeds. What a run counts is known of clean seeds alone.
#[derive(Debug, Default)]
pub(crate) struct BatchSummary {
    pub(crate) clean: u64,
    /// By the size of the cluster.
    seeds_by_replicas: BTreeMap<usize, u64>,
    operations: u64,
    retried: u64,
    faults: u64,
    crashes: u64,
    fast: u64,
    slow: u64,
    recovered: u64,
    snapshots: u64,
    longest_component: u64,
    simulated_ns: u64,
    stretches: Stretches,
    coverage: Coverage,
    pub(crate) violations: Vec<Violation>,
}

impl BatchSummary {
    /// Takes in what became of one seed.
    pub(crate) fn add(&mut self, scenario: &Scenario, ended: Result<Outcome, Violation>) {
        *self.seeds_by_replicas.entry(scenario.config.replicas).or_default() += 1;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(violation) => {
                if violation.breach.broken == Broken::Progress {
                    self.stretches.add_too_long();
                }
                self.violations.push(violation);
                return;
            }
        };
        self.clean += 1;
        self.faults += scenario.faults.breaking() as u64;
        self.operations += outcome.operations;
        let operations = outcome.history.operations().iter();
        self.retried += operations.filter(|operation| operation.attempts > 1).count() as u64;
        for counters in &outcome.replicas {
            self.crashes += counters.crashes;
            self.fast += counters.fast;
            self.slow += counters.slow;
            self.recovered += counters.recovered;
            self.snapshots += counters.installs;
        }
        self.longest_component = self.longest_component.max(outcome.longest_component);
        self.simulated_ns += outcome.simulated_ns;
        self.coverage += outcome.coverage;
        if let Some(asked) = &scenario.progress {
            self.stretches.add(outcome.longest_stretch_ns, asked);
        }
    }

    /// How many seeds were run.
    fn seeds(&self) -> u64 {
        self.seeds_by_replicas.values().sum()
    }

    fn unfinished(&self) -> usize {
        self.violations.iter().filter(|other| other.breach.broken == Broken::Liveness).count()
    }

    /// What share of such seeds may violate a rule for all that these seeds say, with 95 % confidence: the rule of three.
    /// None unless all were clean.
    fn violation_rate_max(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a count of seeds")]
        let seeds = self.clean as f64;
        (self.violations.is_empty() && self.clean > 0).then(|| (3.0 / seeds).min(1.0))
    }
}

/// What a soak took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: Option<f64>,
}

/// A soak that has ended.
#[derive(Debug)]
pub(crate) struct Soaked {
    pub(crate) subject: Subject,
    pub(crate) kind: Kind,
    pub(crate) first_seed: u64,
    /// How many seeds were asked for.
    pub(crate) seeds: u32,
    pub(crate) summary: BatchSummary,
    /// The signal that ended it.
    pub(crate) interrupted: Option<&'static str>,
    pub(crate) cost: Cost,
}

impl Soaked {
    /// How many seeds were clean when it was interrupted.
    pub(crate) fn clean_so_far(&self) -> String {
        let summary = &self.summary;
        format!(
            "{} of {} seeds run were clean, {} asked for",
            summary.clean,
            summary.seeds(),
            self.seeds
        )
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let (summary, mut text) = (&self.summary, String::new());
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<18} {value}");
        };
        row("Protocol", &self.subject.name());
        row("Seeds", &self.seeds_text());
        row("Faults", &self.faults_text());
        row("Crashes", &summary.crashes.to_string());
        row("Operations", &format!("{}, {} of them retried", summary.operations, summary.retried));
        if self.subject.protocol.has_fast_path {
            let (fast, slow, recovered) = (summary.fast, summary.slow, summary.recovered);
            row(
                "Committed",
                &format!(
                    "{fast} fast, {slow} slow, {recovered} recovered, as their leaders report"
                ),
            );
        }
        if self.subject.protocol.order == Order::Dependencies {
            row("Longest component", &format!("{} instances", summary.longest_component));
        }
        row("Snapshots", &format!("{} installed", summary.snapshots));
        row("Simulated time", &format!("{:.0} s", seconds(summary.simulated_ns)));
        row("Wall, CPU time", &self.cost_text());
        for (index, line) in summary.stretches.lines().iter().enumerate() {
            row(if index == 0 { "Without an answer" } else { "" }, line);
        }
        for (index, (rare, count)) in summary.coverage.iter().enumerate() {
            let name = if index == 0 { "Covered" } else { "" };
            row(name, &format!("{count:>8} {}", rare.name()));
        }
        for (index, (name, what)) in checked(self.subject.protocol, self.kind).enumerate() {
            row(if index == 0 { "Checked per seed" } else { "" }, &format!("{name}: {what}"));
        }
        for violation in &summary.violations {
            text.push_str(&self.violation_line(violation));
        }
        text.push_str(&self.conclusion());
        text
    }

    fn seeds_text(&self) -> String {
        let summary = &self.summary;
        let sizes = summary.seeds_by_replicas.iter();
        let sizes: Vec<_> = sizes.map(|(n, seeds)| format!("{seeds} with N = {n}")).collect();
        let only = if self.interrupted.is_some() { " before the interruption" } else { "" };
        let totals = if summary.violations.is_empty() {
            ""
        } else {
            "; the totals below are of clean seeds"
        };
        format!(
            "{} from {} on{only}: {}{totals}",
            summary.seeds(),
            self.first_seed,
            sizes.join(", ")
        )
    }

    fn faults_text(&self) -> String {
        let what = match self.kind {
            Kind::Hostile => {
                "loss, duplicates, delay, partitions, pauses, crashes, disks that fail, fill up and rot), all mended at the \
                 end but for what has rotted"
            }
            Kind::Lasting => {
                "replicas dead, paused, deaf, mute, cut off or slow, links cut, late or lossy), all of them outside a healthy \
                 majority and for ever"
            }
        };
        format!("{} drawn ({what}", self.summary.faults)
    }

    fn cost_text(&self) -> String {
        let cpu = self.cost.cpu_s.map_or_else(|| "unknown".to_owned(), |s| format!("{s:.1} s"));
        format!("{:.1} s, {cpu}: {:.1} seeds/s", self.cost.wall_s, self.seeds_per_s())
    }

    fn seeds_per_s(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of seeds")]
        let seeds = self.summary.seeds() as f64;
        seeds / self.cost.wall_s.max(1e-9)
    }

    /// A line for a shell: the command that shows it again, and as its comment what is wrong. What contradicts itself in a
    /// history follows it, also as comments.
    fn violation_line(&self, violation: &Violation) -> String {
        let words: Vec<_> = violation.breach.detail.split_whitespace().collect();
        let mut detail: String = words.join(" ");
        if let Some((cut, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(cut);
            detail.push('…');
        }
        let command = replay_command(self.subject, self.kind, violation.seed);
        let mut text = format!("{command}  # {}: {detail}\n", rule(violation.breach.broken));
        if violation.breach.broken == Broken::Linearizability {
            for line in violation.breach.detail.lines() {
                let _ = writeln!(text, "#   {line}");
            }
        }
        text
    }

    fn conclusion(&self) -> String {
        let summary = &self.summary;
        match summary.violation_rate_max() {
            Some(rate) => format!(
                "No violation, no seed unfinished. {} clean seeds: with 95 % confidence fewer than {:.2} % of such \
                 seeds violate what is checked (3/n)\n",
                summary.clean,
                rate * 1e2
            ),
            None if summary.violations.is_empty() => "No seed was run to its end\n".to_owned(),
            None => format!(
                "VIOLATIONS in {} of {} seeds, {} of them unfinished; each line above shows one again\n",
                summary.violations.len(),
                summary.seeds(),
                summary.unfinished()
            ),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let summary = &self.summary;
        let violations: Vec<_> =
            summary.violations.iter().map(|each| self.violation_json(each)).collect();
        json!({
            "protocol": self.subject.protocol.name(),
            "variant": self.subject.variant,
            "kind": match self.kind {
                Kind::Hostile => "hostile",
                Kind::Lasting => "liveness",
            },
            "first_seed": self.first_seed,
            "seeds_asked": self.seeds,
            "seeds": summary.seeds(),
            "seeds_clean": summary.clean,
            "seeds_unfinished": summary.unfinished(),
            "seeds_by_replicas": summary.seeds_by_replicas,
            "operations": summary.operations,
            "operations_retried": summary.retried,
            "faults": summary.faults,
            "crashes": summary.crashes,
            "committed_fast": summary.fast,
            "committed_slow": summary.slow,
            "committed_recovered": summary.recovered,
            "longest_component": summary.longest_component,
            "snapshots_installed": summary.snapshots,
            "simulated_s": seconds(summary.simulated_ns),
            "wall_s": self.cost.wall_s,
            "cpu_s": self.cost.cpu_s,
            "checked": checked(self.subject.protocol, self.kind).map(|(name, _)| name).collect::<Vec<_>>(),
            "covered": summary.coverage.iter().map(|(rare, count)| (rare.name(), count)).collect::<BTreeMap<_, _>>(),
            "without_an_answer": summary.stretches.json(),
            "violations": violations,
            "violation_rate_max_95": summary.violation_rate_max(),
            "interrupted": self.interrupted,
        })
    }

    fn violation_json(&self, violation: &Violation) -> Value {
        json!({
            "seed": violation.seed,
            "rule": format!("{:?}", violation.breach.broken),
            "detail": violation.breach.detail,
            "at_s": seconds(violation.at_ns),
            "trace_hash": format!("{:016x}", violation.trace_hash),
            "replay": replay_command(self.subject, self.kind, violation.seed),
        })
    }
}

#[cfg(test)]
mod tests {
    use sim::Breach;

    use super::*;

    fn violation(seed: u64, broken: Broken) -> Violation {
        let detail = format!("r1\n  {}", "x".repeat(200));
        let breach = Breach { broken, detail };
        let protocol = protocols::epaxos::PROTOCOL;
        Violation { protocol, seed, at_ns: 1, breach, trace_hash: 7, trace: Vec::new() }
    }

    fn soaked(clean: u64, violations: Vec<Violation>) -> Soaked {
        let seeds_by_replicas = [(3, clean), (5, violations.len() as u64)].into();
        Soaked {
            subject: Subject::usual(protocols::epaxos::PROTOCOL),
            kind: Kind::Hostile,
            first_seed: 0,
            seeds: 300,
            summary: BatchSummary {
                clean,
                violations,
                seeds_by_replicas,
                ..BatchSummary::default()
            },
            interrupted: None,
            cost: Cost { wall_s: 2.0, cpu_s: None },
        }
    }

    #[test]
    fn clean_seeds_bound_the_rate() {
        let soaked = soaked(300, Vec::new());
        assert!(soaked.text().ends_with(
            "300 clean seeds: with 95 % confidence fewer than 1.00 % of such seeds violate what is checked (3/n)\n"
        ));
        assert_eq!(soaked.json()["violation_rate_max_95"], 0.01);
    }

    #[test]
    fn a_violation_is_a_line_that_shows_it_again_and_bounds_nothing() {
        let violations =
            vec![violation(1259, Broken::Agreement), violation(1300, Broken::Liveness)];
        let soaked = soaked(298, violations);
        let text = soaked.text();
        let line = text.lines().find(|line| line.contains("1259")).unwrap();
        assert!(
            line.starts_with("bench replay --protocol epaxos --seed 1259  # agreement: "),
            "{line}"
        );
        assert!(line.contains(": r1 xxx") && line.ends_with("x…"), "{line}");
        assert!(text.contains("VIOLATIONS in 2 of 300 seeds, 1 of them unfinished"), "{text}");
        let json = soaked.json();
        assert_eq!(json["violations"][1]["replay"], "bench replay --protocol epaxos --seed 1300");
        assert_eq!(json["variant"], "star");
        assert!(json["violation_rate_max_95"].is_null());
    }

    #[test]
    fn a_violation_of_the_published_variant_names_it() {
        let mut soaked = soaked(1, vec![violation(7, Broken::Agreement)]);
        soaked.subject.variant = Some("sosp13");
        let text = soaked.text();
        assert!(text.starts_with("Protocol           epaxos, variant sosp13\n"), "{text}");
        let command = "\nbench replay --protocol epaxos --variant sosp13 --seed 7  # agreement: ";
        assert!(text.contains(command), "{text}");
    }

    #[test]
    fn a_history_that_contradicts_itself_is_shown_below_its_line() {
        let mut violation = violation(7, Broken::Linearizability);
        violation.breach.detail = "key \"k\":\n  c1 [1..2] put \"a\" -> done\nno order".to_owned();
        let text = soaked(1, vec![violation]).text();
        let expected = "--seed 7  # linearizability: the clients' history contradicts itself: key \"k\": c1 [1..2] put \
                        \"a\" -> done no order\n#   key \"k\":\n#     c1 [1..2] put \"a\" -> done\n#   no order\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn no_seed_supports_no_bound() {
        assert!(soaked(0, Vec::new()).text().ends_with("No seed was run to its end\n"));
    }
}
