//! The search for the highest rate that a cluster bears.
//!
//! Each step is a run of its own, on a cluster of its own, with the seed of the run that is
//! searched for. The rate is doubled while the cluster bears it. Then the gap between the highest
//! rate that it bore and the lowest that it did not is halved, in proportion, until it is narrow
//! enough. The outcome is the run at the highest rate that the cluster bore. A step that failed
//! while other programs took the host's CPU says nothing of the cluster: a few of them are made
//! again.

use measure::{Finding, Severity, Step};
use workload::{Rate, Run, Search};

use crate::{Ended, Stop};

/// Chosen: the spread of repetitions on a quiet host is about as wide.
const GAP_MAX: f64 = 1.05;
/// Chosen: from one operation per second to the highest rate that there is, and five to close the
/// gap, take 29.
const STEPS_MAX: u32 = 32;
/// Chosen: whoever passes by is gone by then; a busy host stays busy.
const AGAIN_MAX: u32 = 3;
/// Chosen: rates for people; a twentieth of the gap at its narrowest is another rate still.
const DIGITS: i32 = 4;

/// Which rate is next, by what became of those before.
#[derive(Debug)]
struct Ladder {
    next: f64,
    /// The highest that the cluster bore.
    borne: Option<f64>,
    /// The lowest that it did not.
    refused: Option<f64>,
    steps: u32,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The highest rate that the cluster bears is within the gap above this one.
    Found(f64),
    /// The cluster does not bear the first rate, this one.
    LowestFails(f64),
    /// It bears this one, and no higher one may be tried.
    NoHigher(f64),
    /// It bears this one, and there were too many steps before the gap was narrow enough.
    TooManySteps(f64),
}

impl Ladder {
    const fn new(start: f64) -> Self {
        Self { next: start, borne: None, refused: None, steps: 0 }
    }

    /// What became of the next rate; the end, if there is nothing more to be tried.
    fn record_step(&mut self, bears: bool) -> Option<End> {
        self.steps += 1;
        let known = if bears { &mut self.borne } else { &mut self.refused };
        *known = Some(self.next);
        let Some(borne) = self.borne else { return Some(End::LowestFails(self.next)) };
        match self.refused {
            Some(refused) if refused / borne <= GAP_MAX => return Some(End::Found(borne)),
            None if borne >= Rate::OPS_PER_S_MAX => return Some(End::NoHigher(borne)),
            _ if self.steps >= STEPS_MAX => return Some(End::TooManySteps(borne)),
            Some(refused) => self.next = rounded((refused * borne).sqrt()),
            None => self.next = (2.0 * borne).min(Rate::OPS_PER_S_MAX),
        }
        None
    }
}

/// To so many digits.
fn rounded(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor()) / 10_f64.powi(DIGITS - 1);
    // A small unit is multiplied by its whole inverse, which leaves no artefact of binary
    // fractions.
    let per_unit = unit.recip().round();
    if unit >= 1.0 { (rate / unit).round() * unit } else { (rate * per_unit).round() / per_unit }
}

/// What a driver makes of a run.
pub(crate) trait Made {
    /// How it ended.
    fn ended(&mut self) -> &mut Ended;
}

impl Made for Ended {
    fn ended(&mut self) -> &mut Ended {
        self
    }
}

/// A search under way.
#[derive(Debug)]
pub(crate) struct Climb<'a, M> {
    run: &'a Run,
    search: Search,
    ladder: Ladder,
    steps: Vec<Step>,
    /// How many steps were made again.
    again: u32,
    /// The best so far, and the place of its step.
    best: Option<(usize, M)>,
    /// What is to be said of steps that ended worse than in figures.
    findings: Vec<Finding>,
}

impl<'a, M: Made> Climb<'a, M> {
    /// The search for the rate of `run`.
    pub(crate) fn new(run: &'a Run, search: Search) -> Self {
        let ladder = Ladder::new(search.rate_start_ops_per_s);
        let (steps, findings) = (Vec::new(), Vec::new());
        Self { run, search, ladder, steps, again: 0, best: None, findings }
    }

    /// The next step.
    pub(crate) fn next(&self) -> Run {
        let step = u32::try_from(self.steps.len() + 1).expect("a search has few steps");
        self.run.at(step, self.ladder.next)
    }

    /// Takes down what became of the next step. Gives the outcome of the search if it ends there:
    /// at a step that contradicted itself or that a signal ended, if not at the rate that was
    /// looked for. A cluster that breaks down under a higher rate than one that it bore does not
    /// bear that.
    pub(crate) fn take(&mut self, mut made: M) -> Option<M> {
        let (place, rate) = (self.steps.len(), self.ladder.next);
        let Ended { record, stop, under_load, .. } = made.ended();
        let unmeasured = || Step {
            rate_ops_per_s: rate,
            why_not: Some("nothing was measured".to_owned()),
            ..Step::default()
        };
        let p99_ms_max = self.search.p99_ms_max;
        let mut step = record.as_ref().map_or_else(unmeasured, |record| record.step(p99_ms_max));
        if let Some(stop) = stop {
            step.why_not = Some(stop.text());
        }
        let (passed, spoilt) = (step.passed(), step.spoilt);
        self.steps.push(step);
        let is_violation = record.as_ref().is_some_and(|record| record.verdict.is_violation());
        let breaks_down = *under_load && self.best.is_some();
        let is_over = match stop {
            None => false,
            Some(Stop::Interrupted(_)) => true,
            Some(Stop::Died(_) | Stop::Failed(_)) => !breaks_down,
        };
        if is_violation || is_over {
            return Some(self.outcome(place, made, None));
        }
        if let Some(Stop::Died(death)) = stop {
            self.findings.push(Finding {
                severity: Severity::Warning,
                text: format!("at {rate} operations/s, which are not borne, died: {death}"),
                advice: "knee.csv has the step: read its logs".to_owned(),
            });
        }
        if spoilt && !passed && self.again < AGAIN_MAX {
            self.again += 1;
            return None;
        }
        let end = self.ladder.record_step(passed);
        if passed || self.best.is_none() {
            self.best = Some((place, made));
        }
        let (place, best) = end.and_then(|_| self.best.take())?;
        Some(self.outcome(place, best, end))
    }

    /// The step at `place` as the run that was searched for.
    fn outcome(&mut self, place: usize, mut made: M, end: Option<End>) -> M {
        self.steps[place].kept = true;
        let Some(record) = &mut made.ended().record else { return made };
        let verdict = &mut record.verdict;
        verdict.reasons.append(&mut self.findings);
        if let Some((text, advice)) = end.and_then(|end| self.doubt(end)) {
            verdict.valid = false;
            verdict.reasons.push(Finding {
                severity: Severity::Invalid,
                text,
                advice: advice.to_owned(),
            });
        }
        verdict.reasons.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        record.steps = std::mem::take(&mut self.steps);
        made
    }

    /// Why what was found is not what was looked for, and what to do.
    fn doubt(&self, end: End) -> Option<(String, &'static str)> {
        match end {
            End::Found(_) => {
                let refused = self.ladder.refused?;
                let is_bound = |step: &&Step| step.rate_ops_per_s == refused;
                let bound = self.steps.iter().rfind(is_bound).filter(|step| step.spoilt)?;
                let why = bound.why_not.clone()?;
                let text = format!("nobody knows whether {refused} operations/s are borne: {why}");
                Some((text, "stop them and run again"))
            }
            End::LowestFails(rate) => {
                let why = self.steps.last().and_then(|step| step.why_not.clone());
                let why = why.unwrap_or_default();
                let text =
                    format!("even the lowest rate, {rate} operations/s, is not borne: {why}");
                Some((text, "lower load.rate_start_ops_per_s, or raise load.p99_ms_max"))
            }
            End::NoHigher(rate) => {
                let text = format!("{rate} operations/s are borne, and no higher rate is tried");
                Some((text, "lower load.p99_ms_max: a limit is what is looked for"))
            }
            End::TooManySteps(rate) => {
                let text = format!(
                    "after {STEPS_MAX} steps {rate} operations/s are borne, and nobody knows what more"
                );
                Some((text, "raise load.rate_start_ops_per_s"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt,
        process::ExitStatus,
        time::{Duration, SystemTime},
    };

    use measure::{
        FOREIGN_LOAD, Identity, LoadMode, RunRecord, Silences, SiteRecord, Timed, Verdict,
    };
    use node::child::Death;
    use protocols::ReplicaId;
    use workload::{Plan, Workload};

    use super::*;
    use crate::Error;

    /// The rates that are tried where the cluster bears those up to `knee`, and the end.
    fn climbed(start: f64, knee: f64) -> (Vec<f64>, End) {
        let mut ladder = Ladder::new(start);
        let mut tried = Vec::new();
        loop {
            tried.push(ladder.next);
            if let Some(end) = ladder.record_step(ladder.next <= knee) {
                return (tried, end);
            }
            assert!(tried.len() < 100, "{tried:?}");
        }
    }

    #[test]
    fn the_rate_is_doubled_and_then_the_gap_halved_in_proportion() {
        let (tried, end) = climbed(1_000.0, 5_000.0);
        let doubled = [1_000.0, 2_000.0, 4_000.0, 8_000.0];
        assert_eq!(tried, [&doubled[..], &[5_657.0, 4_757.0, 5_188.0, 4_968.0]].concat());
        assert_eq!(end, End::Found(4_968.0));
    }

    /// Wherever the knee is: what is found is borne, and a twentieth more is not.
    #[test]
    fn a_knee_is_found_within_a_twentieth() {
        for start in [0.3, 1.0, 7.0, 1_000.0, 12_345.6] {
            let mut knee: f64 = start;
            while knee < 9e6 {
                let (tried, end) = climbed(start, knee);
                let End::Found(found) = end else { panic!("{start}, {knee}: {end:?}") };
                assert!(found <= knee && knee < found * GAP_MAX, "{start}, {knee}: {found}");
                assert!(tried.contains(&found) && tried.len() <= STEPS_MAX as usize);
                let mut sorted = tried.clone();
                sorted.sort_by(f64::total_cmp);
                sorted.dedup();
                assert_eq!(sorted.len(), tried.len(), "no rate is tried twice: {tried:?}");
                knee *= 1.37;
            }
        }
    }

    #[test]
    fn a_search_ends_where_there_is_no_knee() {
        assert_eq!(climbed(1_000.0, 999.0), (vec![1_000.0], End::LowestFails(1_000.0)));
        let (tried, end) = climbed(1_000.0, f64::INFINITY);
        assert_eq!(end, End::NoHigher(Rate::OPS_PER_S_MAX));
        assert_eq!(tried[tried.len() - 2..], [8_192_000.0, Rate::OPS_PER_S_MAX]);
        let (tried, end) = climbed(1e-6, f64::INFINITY);
        assert_eq!((tried.len(), end), (STEPS_MAX as usize, End::TooManySteps(tried[31])));
    }

    #[test]
    fn rates_have_four_digits() {
        let cases = [(45_254.833_9, 45_250.0), (1.234_567_8, 1.235), (0.031_622, 0.031_62)];
        for (rate, expected) in cases {
            assert_eq!(rounded(rate), expected);
        }
        assert_eq!(rounded(999_960.0), 1_000_000.0);
    }

    fn death() -> Death {
        Death {
            replica: ReplicaId(1),
            status: ExitStatus::from_raw(9),
            last_words: "\"no memory\"".to_owned(),
            log: "replica1.log".into(),
        }
    }

    fn failed() -> Stop {
        Error::NotGone { replica: ReplicaId(1), waited: Duration::from_secs(5) }.into()
    }

    /// What a scripted cluster makes of a step: its p99, and how it ended.
    fn made(run: &Run, p99_ms: f64, stop: Option<Stop>) -> Ended {
        let mut site = SiteRecord::new("0", Duration::from_secs(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few ms")]
        let latency_ns = (p99_ms * 1e6) as u64;
        for due_ns in (0..1_000).map(|at_ms| at_ms * 1_000_000) {
            site.answer(due_ns);
            let ended_ns = due_ns + latency_ns;
            site.record(false, Timed { due_ns, sent_ns: due_ns, ended_ns });
        }
        let record = RunRecord {
            identity: Identity {
                mode: LoadMode::Open,
                rate_ops_per_s: run.point.open_rate(),
                ..Identity::default()
            },
            started: SystemTime::UNIX_EPOCH,
            elapsed: Duration::from_secs(1),
            offered_ops_per_s: run.point.open_rate(),
            generator_lag: None,
            has_fast_path: false,
            sites: vec![site],
            replies: Silences::default(),
            replicas: Vec::new(),
            ended: Vec::new(),
            server_cpu_s: None,
            client_cpu_s: None,
            events: Vec::new(),
            promise: None,
            recoveries: Vec::new(),
            kept: None,
            networks: Vec::new(),
            steps: Vec::new(),
            verdict: Verdict { valid: true, ..Verdict::default() },
        };
        Ended { record: Some(record), stop, under_load: true, witness: None, warnings: Vec::new() }
    }

    /// Searches from 1000 with at most 20 ms, where `cluster` makes something of each step.
    fn searched(cluster: impl Fn(&Run, f64) -> Ended) -> Ended {
        let text =
            "name = \"x\"\nload = { mode = \"open\", rate_ops_per_s = \"max\", p99_ms_max = 20 }";
        let workload = Workload::parse("x.toml", text, &[]).unwrap();
        let plan = Plan::new(&workload);
        let mut climb = Climb::new(&plan.runs[0], workload.load.search.unwrap());
        loop {
            let run = climb.next();
            let ended = cluster(&run, run.point.open_rate().unwrap());
            if let Some(ended) = climb.take(ended) {
                return ended;
            }
        }
    }

    /// Bears up to 3000.
    fn p99_ms(rate: f64) -> f64 {
        if rate > 3_000.0 { 25.0 } else { 5.0 }
    }

    #[test]
    fn the_outcome_is_the_best_step_with_all_steps_beside_it() {
        let record = searched(|run, rate| made(run, p99_ms(rate), None)).record.unwrap();
        let rates: Vec<f64> = record.steps.iter().map(|step| step.rate_ops_per_s).collect();
        assert_eq!(rates, [1_000.0, 2_000.0, 4_000.0, 2_828.0, 3_363.0, 3_084.0, 2_953.0]);
        let passed: Vec<bool> = record.steps.iter().map(Step::passed).collect();
        assert_eq!(passed, [true, true, false, true, false, false, true]);
        let kept: Vec<bool> = record.steps.iter().map(|step| step.kept).collect();
        assert_eq!(kept, [false, false, false, false, false, false, true]);
        assert_eq!(record.identity.rate_ops_per_s, Some(2_953.0));
        assert!(record.verdict.valid && record.verdict.reasons.is_empty());
        let why = record.steps[2].why_not.as_deref().unwrap();
        assert!(why.starts_with("p99 25.") && why.ends_with(" ms, more than 20 ms"), "{why}");
    }

    /// The last step is one that failed: the outcome is an earlier one, with all that belongs to it.
    #[test]
    fn the_outcome_is_not_the_last_step() {
        let p99_ms = |rate: f64| if rate > 2_900.0 { 25.0 } else { rate / 1e3 };
        let record = searched(|run, rate| made(run, p99_ms(rate), None)).record.unwrap();
        assert_eq!(record.identity.rate_ops_per_s, Some(2_828.0));
        let kept = record.steps.iter().position(|step| step.kept);
        assert_eq!((kept, record.steps.len()), (Some(3), 7));
        let p99_us = record.merged().latency.percentile_us(99.0).unwrap().us;
        assert!((p99_us / 2_828.0 - 1.0).abs() < 0.01, "{p99_us}");
    }

    #[test]
    fn where_even_the_lowest_fails_the_run_says_so() {
        let record = searched(|run, _| made(run, 25.0, None)).record.unwrap();
        assert_eq!((record.steps.len(), record.steps[0].kept), (1, true));
        let verdict = record.verdict;
        assert!(!verdict.valid && verdict.reasons[0].severity == Severity::Invalid);
        let text = &verdict.reasons[0].text;
        let expected = "even the lowest rate, 1000 operations/s, is not borne: p99 25.";
        assert!(text.starts_with(expected), "{text}");
        let record = searched(|run, _| made(run, 1.0, None)).record.unwrap();
        assert_eq!(record.identity.rate_ops_per_s, Some(Rate::OPS_PER_S_MAX));
        assert!(!record.verdict.valid, "what has no end has no highest rate");
    }

    #[test]
    fn a_cluster_that_breaks_down_does_not_bear_the_rate() {
        let died = || Some(Stop::Died(death()));
        let ended = searched(|run, rate| match rate {
            4_000.0 => made(run, 5.0, died()),
            3_363.0 => Ended { record: None, ..made(run, 5.0, Some(failed())) },
            rate => made(run, p99_ms(rate), None),
        });
        assert!(ended.stop.is_none(), "the program goes on");
        let record = ended.record.unwrap();
        assert_eq!(record.identity.rate_ops_per_s, Some(2_953.0));
        assert_eq!(
            record.steps[4].why_not.as_deref(),
            Some("the run failed: replica 1 is not gone 5 s after its kill")
        );
        assert_eq!((record.steps[4].rate_ops_per_s, record.steps[4].valid), (3_363.0, false));
        assert!(record.verdict.valid, "a warning");
        let text = &record.verdict.reasons[0].text;
        let expected = format!("at 4000 operations/s, which are not borne, died: {}", death());
        assert_eq!((text.as_str(), record.verdict.reasons.len()), (expected.as_str(), 1));
        assert!(text.contains("no memory"), "{text}");
    }

    /// Spoils every step at `rate` but for those after the first `times`.
    fn spoilt_at(rate: f64, times: u32) -> RunRecord {
        let spoilt = std::cell::Cell::new(0);
        let ended = searched(|run, now| {
            let mut ended = made(run, p99_ms(now), None);
            if now == rate && spoilt.get() < times {
                spoilt.set(spoilt.get() + 1);
                let text = format!("{FOREIGN_LOAD} all of it");
                let finding = Finding { severity: Severity::Invalid, text, ..Finding::default() };
                let reasons = vec![finding];
                ended.record.as_mut().unwrap().verdict = Verdict { reasons, ..Verdict::default() };
            }
            ended
        });
        ended.record.unwrap()
    }

    #[test]
    fn a_step_that_others_spoilt_is_made_again() {
        let record = spoilt_at(2_000.0, 3);
        let rates: Vec<f64> = record.steps.iter().map(|step| step.rate_ops_per_s).collect();
        assert_eq!(rates[..6], [1_000.0, 2_000.0, 2_000.0, 2_000.0, 2_000.0, 4_000.0]);
        assert_eq!(record.identity.rate_ops_per_s, Some(2_953.0));
        assert!(record.verdict.valid && record.verdict.reasons.is_empty());
        // The bound above the best is refused for a reason of its own in the end.
        let record = spoilt_at(3_084.0, 2);
        assert_eq!(record.identity.rate_ops_per_s, Some(2_953.0));
        assert!(record.verdict.valid, "{:?}", record.verdict);
    }

    #[test]
    fn a_bound_that_others_spoilt_leaves_the_knee_unknown() {
        for rate in [3_084.0, 2_000.0] {
            let record = spoilt_at(rate, 99);
            let tried = record.steps.iter().filter(|step| step.rate_ops_per_s == rate);
            assert_eq!(tried.count(), 4);
            assert!(!record.verdict.valid);
            let text = &record.verdict.reasons[0].text;
            let expected = format!(
                "nobody knows whether {rate} operations/s are borne: other programs took all of it"
            );
            assert_eq!(*text, expected);
        }
    }

    #[test]
    fn what_is_no_answer_to_the_load_ends_the_search_as_any_run() {
        let at = |rate: f64, stop: Stop, under_load: bool| {
            searched(|run, now| {
                let stop = (now == rate).then(|| stop.clone());
                Ended { under_load, ..made(run, p99_ms(now), stop) }
            })
        };
        let failed = failed();
        for (rate, stop, under_load) in [
            (4_000.0, Stop::Interrupted("SIGINT"), true),
            (4_000.0, failed.clone(), false),
            // Nothing is known yet of what it bears.
            (1_000.0, failed, true),
            (1_000.0, Stop::Died(death()), true),
        ] {
            let ended = at(rate, stop.clone(), under_load);
            assert_eq!(ended.stop.map(|stop| stop.text()), Some(stop.text()));
            let record = ended.record.unwrap();
            assert_eq!(record.identity.rate_ops_per_s, Some(rate));
            assert!(record.steps.last().unwrap().kept);
        }
    }

    #[test]
    fn a_step_that_contradicts_itself_ends_the_search() {
        let ended = searched(|run, rate| {
            let mut ended = made(run, p99_ms(rate), None);
            let verdict = &mut ended.record.as_mut().unwrap().verdict;
            if rate == 4_000.0 {
                *verdict = Verdict { replicas_agree: Some(false), ..Verdict::default() };
            }
            ended
        });
        let record = ended.record.unwrap();
        assert!(record.verdict.is_violation() && record.steps.len() == 3);
        assert_eq!(record.identity.rate_ops_per_s, Some(4_000.0));
    }
}
