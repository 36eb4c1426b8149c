//! `bench explore`: every state of small configurations of a protocol, each checked.

use std::{
    fmt::Write,
    num::NonZeroUsize,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use explore::{Ended, Limits};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use serde_json::{Value, json};

use crate::{
    cli::{ExploreArguments, Format},
    exit::{self, Failure},
    explored::{Choice, Explored},
    output,
    progress::Progress,
    registry,
    subject::Subject,
};

/// Planned until the first configuration has been explored.
const CONFIGURATION_ESTIMATE: Duration = Duration::from_secs(10);

pub(crate) fn run(arguments: &ExploreArguments) -> Result<ExitCode, Failure> {
    let subject = Subject::new(arguments.protocol, arguments.variant.as_deref())?;
    silence_caught_panics();
    let choices = chosen(subject, arguments)?;
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let limits = Limits {
        states_max: arguments.states_max.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        depth_max: arguments.depth_max.map(usize::from),
        threads: arguments.threads.map_or(cores, usize::from),
    };
    let text = arguments.format == Format::Text;
    if text {
        output::print(&heading(&subject.name(), &limits))?;
    }
    let progress = Progress::new(choices.len(), CONFIGURATION_ESTIMATE, false);
    let mut timed = Vec::new();
    for choice in choices {
        progress.begin(match choice {
            Choice::Named(name) => name,
            Choice::Custom { .. } => "custom",
        });
        let (started, cpu_before_s) = (Instant::now(), cpu_s());
        let explored = (registry::of(subject.protocol).explore)(subject, choice, &limits)
            .expect("the names are those of the protocol");
        let cpu_s = cpu_s().zip(cpu_before_s).map(|(after, before)| after - before);
        let each = Timed { explored, wall_s: started.elapsed().as_secs_f64(), cpu_s };
        progress.end();
        if text {
            progress.clear();
            output::print(&each.line())?;
        }
        timed.push(each);
    }
    progress.clear();
    if text {
        output::print(&conclusion(&timed))?;
    } else {
        output::print(&format!("{:#}\n", json_of(subject, &limits, &timed)))?;
    }
    let clean = timed.iter().all(|each| each.explored.report.is_clean());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(exit::VIOLATION) })
}

/// A core's panic is reported as a broken rule, and prints nothing of its own.
fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !explore::is_stepping() {
            report(panic);
        }
    }));
}

/// The configurations that are asked for.
fn chosen(subject: Subject, arguments: &ExploreArguments) -> Result<Vec<Choice<'_>>, Failure> {
    if arguments.replicas.is_some() || arguments.commands.is_some() {
        let replicas = arguments.replicas.unwrap_or(3);
        let commands = usize::from(arguments.commands.unwrap_or(2));
        return Ok(vec![Choice::Custom { replicas, commands }]);
    }
    let all = (registry::of(subject.protocol).configurations)(subject);
    let names: Vec<&str> = all.into_iter().map(|(name, _)| name).collect();
    match &arguments.config {
        None => Ok(names.into_iter().map(Choice::Named).collect()),
        Some(name) if names.contains(&name.as_str()) => Ok(vec![Choice::Named(name)]),
        Some(name) => Err(Failure::usage(format!(
            "--config {name}: {} has no such configuration: use one of {}",
            subject.name(),
            names.join(", ")
        ))),
    }
}

/// A configuration that was explored, and how long that took.
struct Timed {
    explored: Explored,
    wall_s: f64,
    cpu_s: Option<f64>,
}

impl Timed {
    fn states_per_cpu_s(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a count of states")]
        let generated = self.explored.report.generated as f64;
        self.cpu_s.filter(|cpu_s| *cpu_s > 0.0).map(|cpu_s| generated / cpu_s)
    }

    /// A line of the table, and a counterexample under it.
    fn line(&self) -> String {
        let report = &self.explored.report;
        let rules = if report.counterexample.is_some() { "BROKEN" } else { "hold" };
        let rate = self.states_per_cpu_s();
        let rate = rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{rate:.0}"));
        let mut text = format!(
            "{:<20} {:>11} {:>11} {:>5}  {:<8}  {:<6}  {:>7.1}  {:>12}  {}\n",
            report.name,
            report.unique,
            report.generated,
            report.depth,
            ended(report.ended),
            rules,
            self.wall_s,
            rate,
            self.explored.reached.join(", "),
        );
        if !self.explored.missing.is_empty() {
            let missing = self.explored.missing.join(", ");
            let _ = writeln!(text, "  NOT REACHED: {missing}");
        }
        if let Some(counterexample) = &report.counterexample {
            let _ = writeln!(text, "  A rule is broken after {} events:", counterexample.events);
            for line in &counterexample.lines {
                let _ = writeln!(text, "    {line}");
            }
        }
        text
    }

    fn json(&self) -> Value {
        let report = &self.explored.report;
        let counterexample = report.counterexample.as_ref();
        json!({
            "config": report.name,
            "states_generated": report.generated,
            "states_unique": report.unique,
            "depth": report.depth,
            "replica_states": report.replica_states,
            "messages": report.messages,
            "ended": ended(report.ended),
            "rules": report.rules.iter().map(|rule| rule.name()).collect::<Vec<_>>(),
            "reached": self.explored.reached,
            "not_reached": self.explored.missing,
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "states_per_cpu_s": self.states_per_cpu_s(),
            "broken": counterexample.map(|found| found.breach.rule.name()),
            "detail": counterexample.map(|found| found.breach.detail.clone()),
            "counterexample": counterexample.map(|found| found.lines.clone()),
        })
    }
}

fn heading(subject: &str, limits: &Limits) -> String {
    let threads = limits.threads;
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    format!(
        "{subject}, every state of each configuration, {threads}\n{:<20} {:>11} {:>11} {:>5}  {:<8}  {:<6}  {:>7}  \
         {:>12}  {}\n",
        "Configuration",
        "states",
        "generated",
        "depth",
        "search",
        "rules",
        "wall s",
        "per CPU s",
        "reached",
    )
}

const fn ended(ended: Ended) -> &'static str {
    match ended {
        Ended::Complete => "complete",
        Ended::StatesMax | Ended::DepthMax => "bounded",
        Ended::Broken => "stopped",
    }
}

fn conclusion(timed: &[Timed]) -> String {
    let count = timed.len();
    let bad = timed.iter().filter(|each| !each.explored.report.is_clean()).count();
    if bad > 0 {
        return format!("NOT CLEAN: {bad} of {count} configurations\n");
    }
    let states: usize = timed.iter().map(|each| each.explored.report.unique).sum();
    let complete =
        timed.iter().filter(|each| each.explored.report.ended == Ended::Complete).count();
    let rules = timed.first().map_or_else(String::new, |each| {
        each.explored.report.rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
    });
    let search = match count - complete {
        0 => "Every configuration is complete: there are no more states".to_owned(),
        bounded => format!(
            "{complete} of {count} configurations are complete: they have no more states. {bounded} ended at a bound, \
             the states nearest to the start first"
        ),
    };
    format!(
        "Every rule holds in all {states} states, and everything was reached that must be.\n{search}.\nRules: {rules}\n"
    )
}

fn json_of(subject: Subject, limits: &Limits, timed: &[Timed]) -> Value {
    json!({
        "protocol": subject.protocol.name(),
        "variant": subject.variant,
        "threads": limits.threads,
        "clean": timed.iter().all(|each| each.explored.report.is_clean()),
        "configurations": timed.iter().map(Timed::json).collect::<Vec<_>>(),
    })
}

/// CPU time of this process, all threads, user and system, in seconds.
fn cpu_s() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    Some(micros as f64 / 1e6)
}
