//! `bench explore`: every state of small configurations of a protocol, each checked.

use std::{
    fmt::Write,
    num::NonZeroUsize,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use explore::{Bounds, Ended, Limits, Mark, Marks, Report, Setup, Subject};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use serde_json::{Value, json};

use crate::{
    cli::{ExploreArguments, Format},
    commands::subject,
    exit::{self, Failure},
    output,
    progress::Progress,
    registry,
};

/// Planned until the first configuration has been explored.
const CONFIGURATION_ESTIMATE: Duration = Duration::from_secs(10);

/// The names of a protocol's configurations, those of one variant, with what they are about.
pub(crate) fn configurations<R: Subject>(
    subject: subject::Subject,
) -> Vec<(&'static str, &'static str)> {
    setups_of::<R>(subject).map(|setup| (setup.name, setup.about)).collect()
}

fn setups_of<R: Subject>(subject: subject::Subject) -> impl Iterator<Item = Setup<R>> {
    R::setups().into_iter().filter(move |setup| subject.is_of(&setup.config))
}

pub(crate) fn run(arguments: &ExploreArguments) -> Result<ExitCode, Failure> {
    let subject = subject::Subject::new(arguments.protocol, arguments.variant.as_deref())?;
    silence_caught_panics();
    (registry::of(arguments.protocol).explore)(subject, arguments)
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

/// Explores configurations of the cores `R`.
pub(crate) fn run_protocol<R: Subject>(
    subject: subject::Subject,
    arguments: &ExploreArguments,
) -> Result<ExitCode, Failure> {
    let setups = chosen::<R>(subject, arguments)?;
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
    let progress = Progress::new(setups.len(), CONFIGURATION_ESTIMATE, false);
    let mut explored = Vec::new();
    for setup in &setups {
        progress.begin(setup.name);
        let (started, cpu_before_s) = (Instant::now(), cpu_s());
        let report = explore::explore(setup, &limits);
        let cpu_s = cpu_s().zip(cpu_before_s).map(|(after, before)| after - before);
        let wall_s = started.elapsed().as_secs_f64();
        let reached = report.reached.iter().map(Mark::name::<R>).collect();
        let missing = report.missing.iter().map(|mark| mark.name::<R>()).collect();
        let each = Explored { report, reached, missing, wall_s, cpu_s };
        progress.end();
        if text {
            progress.clear();
            output::print(&each.line())?;
        }
        explored.push(each);
    }
    progress.clear();
    if text {
        output::print(&conclusion(&explored))?;
    } else {
        output::print(&format!("{:#}\n", json_of(subject, &limits, &explored)))?;
    }
    let clean = explored.iter().all(|each| each.report.is_clean());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(exit::VIOLATION) })
}

/// The configurations asked for.
fn chosen<R: Subject>(
    subject: subject::Subject,
    arguments: &ExploreArguments,
) -> Result<Vec<Setup<R>>, Failure> {
    if arguments.replicas.is_some() || arguments.commands.is_some() {
        let replicas = arguments.replicas.unwrap_or(3);
        let commands = usize::from(arguments.commands.unwrap_or(2));
        let about = "as the command line says";
        let reach = Marks::only(Mark::Everywhere);
        let mut setup = Setup::plain("custom", about, replicas, commands, Bounds::NONE, reach);
        subject.configure(&mut setup.config);
        return Ok(vec![setup]);
    }
    let all: Vec<_> = setups_of::<R>(subject).collect();
    let Some(name) = &arguments.config else { return Ok(all) };
    let names: Vec<_> = all.iter().map(|setup| setup.name).collect();
    let names = names.join(", ");
    let named: Vec<_> = all.into_iter().filter(|setup| setup.name == name).collect();
    if named.is_empty() {
        let subject = subject.name();
        return Err(Failure::usage(format!(
            "--config {name}: {subject} has no such configuration: use one of {names}"
        )));
    }
    Ok(named)
}

/// A configuration that was explored, and what it took.
struct Explored {
    report: Report,
    /// The names of the marks that were reached, and of those that should have been.
    reached: Vec<&'static str>,
    missing: Vec<&'static str>,
    wall_s: f64,
    cpu_s: Option<f64>,
}

impl Explored {
    fn states_per_cpu_s(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a count of states")]
        let generated = self.report.generated as f64;
        self.cpu_s.filter(|cpu_s| *cpu_s > 0.0).map(|cpu_s| generated / cpu_s)
    }

    /// A line of the table, and a counterexample under it.
    fn line(&self) -> String {
        let report = &self.report;
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
            self.reached.join(", "),
        );
        if !self.missing.is_empty() {
            let missing = self.missing.join(", ");
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
        let report = &self.report;
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
            "reached": self.reached,
            "not_reached": self.missing,
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

fn conclusion(explored: &[Explored]) -> String {
    let count = explored.len();
    let bad = explored.iter().filter(|each| !each.report.is_clean()).count();
    if bad > 0 {
        return format!("NOT CLEAN: {bad} of {count} configurations\n");
    }
    let states: usize = explored.iter().map(|each| each.report.unique).sum();
    let complete = explored.iter().filter(|each| each.report.ended == Ended::Complete).count();
    let rules = explored.first().map_or_else(String::new, |each| {
        each.report.rules.iter().map(|rule| rule.name()).collect::<Vec<_>>().join(", ")
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

fn json_of(subject: subject::Subject, limits: &Limits, explored: &[Explored]) -> Value {
    json!({
        "protocol": subject.protocol.name(),
        "variant": subject.variant,
        "threads": limits.threads,
        "clean": explored.iter().all(|each| each.report.is_clean()),
        "configurations": explored.iter().map(Explored::json).collect::<Vec<_>>(),
    })
}

/// CPU time of this process, all threads, user and system, in seconds.
fn cpu_s() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    Some(micros as f64 / 1e6)
}
