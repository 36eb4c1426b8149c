//! `bench soak`: a hostile simulation per seed, on all cores, each checked.

use std::{
    num::NonZeroUsize,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use run::Progress as _;
use sim::{Outcome, Scenario, Violation};
use tokio::{
    runtime::Builder,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::{
    cli::{Format, SoakArguments},
    commands::{
        seeds::{self, Kind},
        soak::summary::{BatchSummary, Cost, Soaked},
    },
    exit::{self, Failure},
    output,
    progress::Progress,
    subject::Subject,
};

mod stretches;
mod summary;

/// Planned until the first has been seen.
const SEED_ESTIMATE: Duration = Duration::from_millis(20);

/// What became of one seed.
type Report = (Scenario, Result<Outcome, Violation>);

pub(crate) fn run(arguments: &SoakArguments) -> Result<ExitCode, Failure> {
    let first = arguments.first_seed;
    let Some(end) = first.checked_add(u64::from(arguments.seeds)) else {
        return Err(Failure::usage(format!(
            "--first-seed {first}: with --seeds {} more there is no seed left: use a smaller one",
            arguments.seeds
        )));
    };
    let subject = Subject::new(arguments.protocol, arguments.variant.as_deref())?;
    seeds::silence_simulated_panics();
    let started = Instant::now();
    let seeds_max = usize::try_from(arguments.seeds).unwrap_or(usize::MAX);
    let progress = Progress::new(seeds_max, SEED_ESTIMATE, false);
    let kind = Kind::of(arguments.liveness);
    let (summary, interrupted) = soak((subject, kind), first..end, &progress)?;
    progress.clear();
    let cost = Cost { wall_s: started.elapsed().as_secs_f64(), cpu_s: cpu_s() };
    let seeds = arguments.seeds;
    let soaked = Soaked { subject, kind, first_seed: first, seeds, summary, interrupted, cost };
    match arguments.format {
        Format::Text => output::print(&soaked.text())?,
        Format::Json => output::print(&format!("{:#}\n", soaked.json()))?,
    }
    if let Some(signal) = interrupted {
        say!("interrupted by {signal}: {}", soaked.clean_so_far());
    }
    Ok(ExitCode::from(code(&soaked)))
}

/// The gravest outcome is the exit code.
const fn code(soaked: &Soaked) -> u8 {
    match (soaked.summary.violations.is_empty(), soaked.interrupted) {
        (false, _) => exit::VIOLATION,
        (true, Some(_)) => exit::FAILED,
        (true, None) => 0,
    }
}

/// Runs the seeds, a thread per core, until all are done or a signal asks for the end: then every thread finishes the
/// seed that it is at.
fn soak(
    (subject, kind): (Subject, Kind),
    seeds: std::ops::Range<u64>,
    progress: &Progress,
) -> Result<(BatchSummary, Option<&'static str>), Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let (reports_in, reports) = unbounded_channel();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            let (next, stop, reports_in) = (&next, &stop, reports_in.clone());
            scope.spawn(move || work((subject, kind), next, seeds.end, stop, &reports_in));
        }
        drop(reports_in);
        let collected = runtime.block_on(collect(subject, reports, &stop, progress));
        // Whatever ended the collecting, no thread begins another seed.
        stop.store(true, Ordering::Relaxed);
        collected
    })
}

/// One thread: takes the next seed until there is none.
fn work(
    (subject, kind): (Subject, Kind),
    next: &AtomicU64,
    end: u64,
    stop: &AtomicBool,
    reports: &UnboundedSender<Report>,
) {
    while !stop.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let scenario = seeds::scenario(subject, kind, seed, 0);
        let ended = seeds::run(subject.protocol, &scenario);
        if reports.send((scenario, ended)).is_err() {
            return;
        }
    }
}

/// Adds up what the threads report, until the last of them has ended; watches for signals meanwhile.
async fn collect(
    subject: Subject,
    mut reports: UnboundedReceiver<Report>,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<(BatchSummary, Option<&'static str>), Failure> {
    let mut interrupt = exit::signals()?;
    let mut summary = BatchSummary::default();
    let mut interrupted = None;
    let name = subject.name();
    progress.begin(&name);
    loop {
        tokio::select! {
            signal = interrupt.raised(), if interrupted.is_none() => {
                interrupted = Some(signal);
                stop.store(true, Ordering::Relaxed);
            }
            report = reports.recv() => {
                let Some((scenario, ended)) = report else { break };
                summary.add(&scenario, ended);
                progress.end();
                progress.begin(&name);
                let clean = summary.violations.is_empty();
                progress.phase(if clean { "clean so far" } else { "VIOLATION found" });
            }
        }
    }
    summary.violations.sort_by_key(|violation| violation.seed);
    Ok((summary, interrupted))
}

/// CPU time of this process, all threads, user and system, in seconds.
fn cpu_s() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let ns = usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds();
    u64::try_from(ns).ok().map(seeds::seconds)
}
