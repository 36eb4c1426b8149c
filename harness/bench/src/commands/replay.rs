//! `bench replay`: one seed of a soak again, event by event, and the few faults that its violation needs.

use std::{fmt::Write, process::ExitCode};

use sim::{Outcome, Scenario, Shrunk, Violation};

use crate::{
    cli::ReplayArguments,
    commands::seeds::{self, Kind, replay_command, rule, seconds},
    exit::{self, Failure},
    output,
    subject::Subject,
};

/// Chosen: a plan has some forty entries, of which shrinking tries each a few times.
const SHRINK_RUNS_MAX: usize = 500;

pub(crate) fn run(arguments: &ReplayArguments) -> Result<ExitCode, Failure> {
    let subject = Subject::new(arguments.protocol, arguments.variant.as_deref())?;
    seeds::silence_simulated_panics();
    let lines_max = if arguments.trace_lines == 0 { usize::MAX } else { arguments.trace_lines };
    let kind = Kind::of(arguments.liveness);
    let scenario = seeds::scenario(subject, kind, arguments.seed, lines_max);
    let mut text = heading(subject, &scenario);
    let code = match seeds::run(subject.protocol, &scenario) {
        Ok(outcome) => {
            trace(&mut text, &outcome.trace, lines_max);
            clean(&mut text, &scenario, &outcome);
            if arguments.shrink {
                text.push_str("Nothing to shrink: no rule is violated\n");
            }
            ExitCode::SUCCESS
        }
        Err(violation) => {
            if arguments.shrink {
                violated(&mut text, &violation);
                let shrunk = seeds::shrink(subject.protocol, &scenario, SHRINK_RUNS_MAX);
                let shrunk = shrunk.expect("equal scenarios give equal runs");
                fewer_faults(&mut text, (subject, kind), &scenario, &shrunk);
            } else {
                trace(&mut text, &violation.trace, lines_max);
                violated(&mut text, &violation);
            }
            ExitCode::from(exit::VIOLATION)
        }
    };
    output::print(&text)?;
    Ok(code)
}

fn heading(subject: Subject, scenario: &Scenario) -> String {
    let (name, load) = (subject.name(), &scenario.load);
    if let Some(asked) = &scenario.progress {
        return format!(
            "{name}, seed {}: {} replicas, of which {:?} are healthy; {} clients at each of {:?} with {} submissions of {} \
             bytes under way each; {} faults that last from {:.3} s to {:.3} s; {:.3} s without an answer are too long\n",
            scenario.seed,
            scenario.config.replicas,
            asked.healthy,
            load.clients_per_site,
            load.sites,
            load.window,
            load.value_bytes,
            scenario.faults.breaking(),
            seconds(asked.from_ns),
            seconds(asked.until_ns),
            seconds(asked.stretch_ns_max),
        );
    }
    format!(
        "{name}, seed {}: {} replicas, {} clients per replica with {} submissions each, {} faults in {:.1} s\n",
        scenario.seed,
        scenario.config.replicas,
        load.clients_per_site,
        load.submissions,
        scenario.faults.breaking(),
        seconds(scenario.faults.end_ns()),
    )
}

fn trace(text: &mut String, lines: &[String], lines_max: usize) {
    let which = if lines.len() == lines_max {
        format!("the last {lines_max} lines (--trace-lines 0 prints all)")
    } else {
        format!("all {} lines", lines.len())
    };
    let _ = writeln!(text, "Trace, times in simulated milliseconds, {which}:");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

fn clean(text: &mut String, scenario: &Scenario, outcome: &Outcome) {
    if scenario.progress.is_some() {
        let longest_s = seconds(outcome.longest_stretch_ns);
        let _ = writeln!(text, "Longest stretch without an answer: {longest_s:.3} s");
    }
    let _ = writeln!(
        text,
        "Clean: {} operations, {} events, {:.1} s simulated\nTrace hash: {:016x}",
        outcome.operations,
        outcome.events,
        seconds(outcome.simulated_ns),
        outcome.trace_hash
    );
}

fn violated(text: &mut String, violation: &Violation) {
    let _ = writeln!(
        text,
        "VIOLATION after {:.3} s: {}\n  {}\nTrace hash: {:016x}",
        seconds(violation.at_ns),
        rule(violation.breach.broken),
        violation.breach.detail,
        violation.trace_hash
    );
}

/// The violation with as few faults as were found to be needed.
fn fewer_faults(
    text: &mut String,
    (subject, kind): (Subject, Kind),
    scenario: &Scenario,
    shrunk: &Shrunk,
) {
    let plan = &shrunk.scenario.faults;
    let why = if shrunk.minimal {
        "none of them can be left out alone".to_owned()
    } else {
        format!("perhaps not the fewest: the search ends after {SHRINK_RUNS_MAX} runs")
    };
    let _ = writeln!(
        text,
        "\nShrunk in {} runs from {} faults to {}, {why}; times in simulated milliseconds:\n{plan}",
        shrunk.runs,
        scenario.faults.breaking(),
        plan.breaking()
    );
    trace(text, &shrunk.violation.trace, scenario.trace_lines_max);
    violated(text, &shrunk.violation);
    let again = replay_command(subject, kind, scenario.seed);
    let _ = writeln!(text, "Again: {again} --shrink");
}

#[cfg(test)]
mod tests {
    use protocols::ReplicaId;
    use sim::{Breach, Broken, Fault, FaultPlan};

    use super::*;

    #[test]
    fn a_trace_says_whether_it_is_whole() {
        let lines = ["a".to_owned(), "b".to_owned()];
        let told = |lines_max| {
            let mut text = String::new();
            trace(&mut text, &lines, lines_max);
            text
        };
        assert!(told(2).contains("the last 2 lines (--trace-lines 0 prints all):\na\nb\n"));
        assert!(told(3).contains("all 2 lines:\na\nb\n"));
    }

    #[test]
    fn a_shrunk_violation_shows_its_faults_its_trace_and_its_hash() {
        let subject = Subject { protocol: protocols::epaxos::PROTOCOL, variant: Some("sosp13") };
        let scenario = seeds::scenario(subject, Kind::Hostile, 1, 1);
        let crash = (2_000_000, Fault::Crash(ReplicaId(1)));
        let shrunk = Shrunk {
            scenario: Scenario { faults: FaultPlan(vec![crash]), ..scenario.clone() },
            violation: Violation {
                protocol: protocols::epaxos::PROTOCOL,
                seed: 1,
                at_ns: 3_000_000,
                breach: Breach { broken: Broken::Agreement, detail: "who and where".to_owned() },
                trace_hash: 0xab,
                trace: vec!["the last event".to_owned()],
            },
            runs: 30,
            minimal: true,
        };
        let mut text = String::new();
        fewer_faults(&mut text, (subject, Kind::Hostile), &scenario, &shrunk);
        for expected in [
            "Shrunk in 30 runs from 20 faults to 1, none of them can be left out alone",
            "     2.000000 r1 crashes\n",
            "the last event\nVIOLATION after 0.003 s: agreement: ",
            "\n  who and where\nTrace hash: 00000000000000ab\n",
            "Again: bench replay --protocol epaxos --variant sosp13 --seed 1 --shrink\n",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
    }
}
