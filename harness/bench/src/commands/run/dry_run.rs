//! `bench run --dry-run`: the plan as a table.

use std::{fmt::Write, time::Duration};

use workload::{Driver, Plan, SEARCH_STEPS_ABOUT, Search, Topology, Workload};

use crate::{output::aligned, progress::short};

/// Chosen: what fits on a screen.
const STRIKES_SHOWN: usize = 20;

/// The plan: a line per point with its protocols and repetitions, then where it happens, what is done meanwhile, and how
/// long it takes.
pub(crate) fn table(workload: &Workload, plan: &Plan) -> String {
    let mut points: Vec<(String, Vec<&'static str>, usize)> = Vec::new();
    for run in &plan.runs {
        let point = run.point.canonical();
        let protocol = run.protocol.name();
        let index = points.iter().position(|(text, ..)| *text == point).unwrap_or_else(|| {
            points.push((point, Vec::new(), 0));
            points.len() - 1
        });
        let (_, protocols, runs) = &mut points[index];
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
        *runs += 1;
    }
    let mut text = format!("{}, seed {}", workload.name, workload.seed);
    if let Some(question) = &workload.question {
        let _ = write!(text, ": {question}");
    }
    text.push_str("\n\n");
    let headings = ["point", "protocols", "repetitions", "runs", "about"];
    let mut rows = vec![headings.map(str::to_owned)];
    for (point, protocols, runs) in points {
        let runs_count = u32::try_from(runs).unwrap_or(u32::MAX);
        rows.push([
            point,
            protocols.join(" "),
            workload.repetitions.to_string(),
            runs.to_string(),
            short(plan.run_estimate() * runs_count),
        ]);
    }
    text.push_str(&aligned(&rows));
    text.push_str(&circumstances(workload));
    let simulated = match workload.cluster.driver {
        Driver::Quic => "",
        Driver::Sim => ", simulated",
    };
    let load = &workload.load;
    let windows = format!("{} s of warm-up and {} s measured", load.warmup_s, load.duration_s);
    let runs = match load.search {
        None => format!("{} runs, each {windows}{simulated}", plan.runs.len()),
        Some(Search { p99_ms_max, rate_start_ops_per_s }) => format!(
            "{} runs, each a search from {rate_start_ops_per_s} ops/s on for the highest rate with a p99 of at most \
             {p99_ms_max} ms, in about {SEARCH_STEPS_ABOUT} steps of {windows}{simulated}",
            plan.runs.len()
        ),
    };
    let about = short(plan.estimate());
    let _ = writeln!(text, "\n{runs}: about {about} in all. Nothing was started.");
    text
}

/// Where the replicas are and what is done to them; nothing if they are on the bare loopback and left alone.
fn circumstances(workload: &Workload) -> String {
    let mut text = String::new();
    if let Some(network) = &workload.network {
        let topology = &network.topology;
        let timeouts = workload.timeouts();
        let replicas_max = workload.cluster.replicas.values().iter().copied().max().unwrap_or(0);
        let _ = write!(
            text,
            "\nSites: {}{}{}\nRound trips up to {}; timeouts: retransmit {}, election {}, recovery {}, client {}\n",
            topology.sites[..replicas_max].join(", "),
            topology.name.as_ref().map_or_else(String::new, |name| format!(" ({name})")),
            jitter(topology),
            ms(workload.round_trip_max()),
            ms(timeouts.replica.retransmit),
            ms(timeouts.replica.election),
            ms(timeouts.replica.recovery),
            ms(timeouts.client),
        );
    }
    let strikes = workload.strikes();
    if !strikes.is_empty() {
        text.push_str("\nFaults, from the start of measuring\n");
    }
    for strike in strikes.iter().take(STRIKES_SHOWN) {
        let at_s = Duration::from_nanos(strike.at_ns).as_secs_f64();
        let _ = writeln!(text, "  {at_s} s  {}: {}", strike.action.name(), strike.action);
    }
    if let Some(more @ 1..) = strikes.len().checked_sub(STRIKES_SHOWN) {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

/// What is added to messages between the sites; nothing if nothing is.
fn jitter(topology: &Topology) -> String {
    let own = topology.pair_jitter_ms.values().copied().fold(0.0, f64::max);
    match topology.jitter_ms.max(own) {
        0.0 => String::new(),
        most_ms => format!(", jitter up to {most_ms} ms one way"),
    }
}

fn ms(duration: Duration) -> String {
    // To the microsecond: what is finer is an artefact of binary fractions.
    format!("{} ms", (duration.as_secs_f64() * 1e6).round() / 1e3)
}
