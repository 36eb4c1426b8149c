//! `bench run`: a plan, run by run, into a results directory and onto the terminal.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use measure::{
    ALL, FormulaRow, Manifest, ResultsDir, ReturnRow, RunRecord, SummaryRow, read_rows, write_rows,
};
use node::{agent::lab::Lab, identity};
use report::Style;
use run::{
    Ended, Stop,
    quic::{self, Hosts, Setting},
    simulated::{Simulated, formulas::Formulas},
};
use tokio::runtime::{Builder, LocalOptions};
use workload::{Driver, GivenTimeouts, Override, Plan, Run, Workload};

use crate::{
    cli::{Format, RunArguments},
    exit::{self, Failure},
    lab::{self, SshAgents},
    output, program,
    progress::Progress,
};

mod commits;
mod dry_run;
mod formula_table;
mod load_model;
mod resume;
mod simulated;

use self::commits::OfSites;

pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    match (&arguments.resume, &arguments.workload) {
        (Some(dir), file) => resume::run(arguments, dir, file.as_deref()),
        (None, Some(file)) => begin(arguments, file),
        (None, None) => unreachable!("the command line needs one of them"),
    }
}

fn begin(arguments: &RunArguments, file: &Path) -> Result<ExitCode, Failure> {
    let workload = load(arguments, file)?;
    let plan = Plan::new(&workload);
    if arguments.dry_run {
        output::print(&dry_run::table(&workload, &plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lab = hosts(arguments, &workload, &plan)?;
    let keeping = Keeping::of(arguments, lab.as_ref().map(|(lab, _)| lab));
    let (tried, path) = make(&workload, plan, &keeping)?;
    conclude(arguments, &tried, &path)
}

/// Where results go, and what is kept and shown on the way.
pub(crate) struct Keeping<'a> {
    /// Where the results directory is made.
    pub(crate) out: &'a Path,
    pub(crate) history: bool,
    pub(crate) quiet: bool,
    /// The hosts of the replicas; none if all are on this one.
    pub(crate) lab: Option<&'a Lab>,
}

/// The hosts that were named, of which those answer that the plan takes, with the agents that end
/// with this command; none if none were.
///
/// # Errors
/// If they cannot be used.
fn hosts(
    arguments: &RunArguments,
    workload: &Workload,
    plan: &Plan,
) -> Result<Option<(Lab, SshAgents)>, Failure> {
    let Some(file) = &arguments.on else { return Ok(None) };
    if workload.cluster.driver == Driver::Sim {
        let text = "--on: the simulator has no hosts: leave it away, or use --driver quic";
        return Err(Failure::usage(text));
    }
    let laboratory = lab::load(file)?;
    let replicas_max = plan.runs.iter().map(|run| run.point.replicas).max().unwrap_or(1);
    lab::check_room(&laboratory.lab, file, replicas_max)?;
    let agents = laboratory.start_agents()?;
    lab::check(&laboratory.lab, file, replicas_max)?;
    Ok(Some((laboratory.lab, agents)))
}

impl<'a> Keeping<'a> {
    fn of(arguments: &'a RunArguments, lab: Option<&'a Lab>) -> Self {
        let (history, quiet) = (arguments.keep_history, arguments.quiet);
        Self { out: &arguments.out, history, quiet, lab }
    }
}

/// Makes the runs of `plan` into a results directory of their own; also gives that.
///
/// # Errors
/// If nothing can be started, or nothing written.
pub(crate) fn make(
    workload: &Workload,
    plan: Plan,
    keeping: &Keeping<'_>,
) -> Result<(Tried, PathBuf), Failure> {
    let manifest = manifest(workload, &plan);
    let swept = swept_keys(&plan);
    let results = ResultsDir::create(keeping.out, &manifest, &swept).map_err(Failure::usage)?;
    carry_on(keeping, Sweep { workload, plan, made: Vec::new() }, manifest, results)
}

/// A sweep, or what is left of it.
struct Sweep<'a> {
    workload: &'a Workload,
    /// The runs that are to be made.
    plan: Plan,
    /// Those that were made before, each with its row.
    made: Vec<(Run, SummaryRow)>,
}

/// Makes the runs and writes what was measured, beside those that were made before.
fn carry_on(
    keeping: &Keeping<'_>,
    sweep: Sweep<'_>,
    mut manifest: Manifest,
    mut results: ResultsDir,
) -> Result<(Tried, PathBuf), Failure> {
    let Sweep { workload, plan, made } = sweep;
    let progress = Progress::new(plan.runs.len(), plan.run_estimate(), keeping.quiet);
    let setting = (&progress, keeping.history);
    let carried_out = match workload.cluster.driver {
        Driver::Quic => run_real(workload, &plan, &mut results, (setting, keeping.lab)),
        Driver::Sim => simulate(workload, (&plan, &made), &mut results, setting),
    };
    progress.clear();
    let mut tried = carried_out?;
    let returns: Vec<ReturnRow> = read_rows(results.path()).map_err(Failure::failed)?;
    tried.missed = returns.iter().any(|row| !row.kept && row.site != ALL);
    made.iter().for_each(|(_, row)| tried.count_made(row));
    if !tried.formulas.is_empty() {
        write_rows(results.path(), &tried.formulas).map_err(Failure::failed)?;
    }
    load_model::write(workload, results.path()).map_err(Failure::failed)?;
    manifest.end(tried.stop.is_none());
    results.write_manifest(&manifest).map_err(Failure::failed)?;
    if manifest.complete {
        commits::forget(results.path())?;
    }
    Ok((tried, results.path().to_owned()))
}

fn load(arguments: &RunArguments, file: &Path) -> Result<Workload, Failure> {
    let mut overrides = Vec::new();
    for text in &arguments.set {
        overrides.push(Override::parse(text).map_err(Failure::usage)?);
    }
    if let Some(driver) = arguments.driver {
        overrides.push(Override::by_flag("--driver", "cluster.driver", driver.name()));
    }
    if let Some(seed) = arguments.seed {
        overrides.push(Override::by_flag("--seed", "seed", seed));
    }
    let workload = Workload::load(file, &overrides).map_err(Failure::usage)?;
    match workload.unsupported() {
        Some(error) => Err(Failure::usage(error)),
        None => Ok(workload),
    }
}

fn manifest(workload: &Workload, plan: &Plan) -> Manifest {
    let full = serde_json::to_value(workload).expect("a workload is plain data");
    let timeouts = GivenTimeouts::from(workload.timeouts());
    let mut manifest = Manifest::starting(&workload.name, workload.seed, full);
    manifest.question.clone_from(&workload.question);
    manifest.duration_s = workload.load.duration_s;
    manifest.warmup_s = workload.load.warmup_s;
    manifest.runs_planned = plan.runs.len() as u64;
    manifest.timeouts = serde_json::to_value(timeouts).expect("timeouts are plain data");
    if cfg!(debug_assertions) && workload.cluster.driver == Driver::Quic {
        let warning = "built without full optimisation: figures to quote need --release";
        manifest.warnings.push(warning.to_owned());
    }
    manifest
}

/// The swept keys of all points, in the order of their names.
fn swept_keys(plan: &Plan) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, _) in plan.runs.iter().flat_map(|run| run.point.swept()) {
        if !keys.iter().any(|known| known == key) {
            keys.push((*key).to_owned());
        }
    }
    keys.sort();
    keys
}

/// What became of a plan.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    pub(crate) recorded: u32,
    pub(crate) not_valid: u32,
    violations: u32,
    /// Was a promise of the workload file missed?
    missed: bool,
    /// Why not every run was made, with the run that ended early.
    stop: Option<(String, Stop)>,
    /// What formulas say of simulated latencies.
    formulas: Vec<FormulaRow>,
}

impl Tried {
    fn count(&mut self, record: &RunRecord) {
        self.recorded += 1;
        self.not_valid += u32::from(!record.verdict.valid);
        self.violations += u32::from(record.verdict.is_violation());
    }

    /// The same of a run that was made before.
    fn count_made(&mut self, row: &SummaryRow) {
        self.recorded += 1;
        self.not_valid += u32::from(!row.valid);
        self.violations += u32::from(row.is_violation());
    }

    /// How the program ends: the gravest of it.
    pub(crate) const fn code(&self) -> u8 {
        match (self.violations, &self.stop, self.not_valid) {
            (1.., _, _) => exit::VIOLATION,
            (_, Some(_), _) => exit::FAILED,
            (_, _, 1..) => exit::NOT_VALID,
            _ if self.missed => exit::NOT_VALID,
            _ => 0,
        }
    }
}

/// Makes one run after the other, until one ends before its time.
fn run_real(
    workload: &Workload,
    plan: &Plan,
    results: &mut ResultsDir,
    ((progress, keep_history), lab): ((&Progress, bool), Option<&Lab>),
) -> Result<Tried, Failure> {
    let cannot = |what: &str, error: &dyn std::fmt::Display| {
        Failure::failed(format!("cannot {what}: {error}"))
    };
    let credentials = tempfile::Builder::new()
        .prefix("bench-credentials-")
        .tempdir()
        .map_err(|error| cannot("make a directory for the credentials", &error))?;
    let replicas_max = plan.runs.iter().map(|run| run.point.replicas).max().unwrap_or(1);
    identity::create(credentials.path(), replicas_max).map_err(Failure::failed)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| cannot("start the runtime", &error))?;
    runtime.block_on(async {
        let mut interrupt = exit::signals()?;
        let mut tried = Tried::default();
        let path = results.path().to_owned();
        let logs = results.logs_path();
        let driver = lab.map(lab::driver).transpose()?;
        let hosts = lab.zip(driver.as_ref()).map(|(lab, driver)| Hosts { lab, driver });
        let setting = Setting {
            workload,
            credentials: credentials.path(),
            results: &path,
            logs: &logs,
            keep_history,
            hosts,
        };
        for run in &plan.runs {
            progress.begin(&run_name(run));
            let Ended { record, stop, witness, warnings, .. } =
                quic::run(setting, run, &mut interrupt, progress).await;
            for warning in warnings {
                progress.say(&line!("{warning}"));
            }
            if let Some(witness) = witness {
                let run = run_name(run);
                progress.say(&line!("{run}: not linearizable: {witness}"));
            }
            if let Some(record) = &record {
                tried.count(record);
                results.append(record).map_err(Failure::failed)?;
            }
            if let Some(stop) = stop {
                tried.stop = Some((run_name(run), stop));
                break;
            }
            progress.end();
        }
        if let Some(driver) = &driver {
            lab::farewell(driver).await;
        }
        Ok(tried)
    })
}

/// A run's name for people.
fn run_name(run: &Run) -> String {
    format!("{} at {}, repetition {}", run.protocol, run.point.canonical(), run.repetition)
}

/// Makes the runs on simulated clusters.
fn simulate(
    workload: &Workload,
    (plan, made): (&Plan, &[(Run, SummaryRow)]),
    results: &mut ResultsDir,
    (progress, keep_history): (&Progress, bool),
) -> Result<Tried, Failure> {
    let (path, halt) = (results.path().to_owned(), AtomicBool::new(false));
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("{} {}", program::name(), typed.join(" "));
    let setting = run::simulated::Setting {
        workload,
        results: &path,
        keep_history,
        halt: &halt,
        command: &command,
    };
    let mut formulas = Formulas::new(workload);
    if let Some(formulas) = &mut formulas {
        for (run, row) in made {
            commits::read(&path, run)?.add_to(formulas, run);
            if !row.valid {
                formulas.distrust(run);
            }
        }
    }
    let mut taker = TakeDown { plan, results, progress, formulas };
    let mut tried = simulated::run_all(plan, setting, &halt, progress, &mut taker)?;
    tried.formulas = taker.formulas.map(|formulas| formulas.rows()).unwrap_or_default();
    Ok(tried)
}

/// Takes simulated runs down.
struct TakeDown<'a> {
    plan: &'a Plan,
    results: &'a mut ResultsDir,
    progress: &'a Progress,
    /// None where there are no sites to compute with.
    formulas: Option<Formulas<'a>>,
}

impl simulated::Taker for TakeDown<'_> {
    fn take(
        &mut self,
        index: usize,
        simulated: Simulated,
        tried: &mut Tried,
    ) -> Result<(), Failure> {
        let run = &self.plan.runs[index];
        let name = run_name(run);
        let Simulated { ended, commits_ns, violation } = simulated;
        if let Some(formulas) = &mut self.formulas {
            let commits = OfSites::of(&commits_ns);
            commits.write(self.results.path(), run)?;
            commits.add_to(formulas, run);
            if ended.record.as_ref().is_some_and(|record| !record.verdict.valid) {
                formulas.distrust(run);
            }
        }
        if let Some(violation) = violation {
            self.progress.say(&line!("{name}: VIOLATION: {violation}"));
        }
        if let Some(witness) = ended.witness {
            self.progress.say(&line!("{name}: not linearizable: {witness}"));
        }
        for warning in ended.warnings {
            self.progress.say(&line!("{warning}"));
        }
        let Some(record) = ended.record else { return Ok(()) };
        tried.count(&record);
        self.results.append(&record).map_err(Failure::failed)
    }
}

/// Says what was measured and how it ended.
fn conclude(arguments: &RunArguments, tried: &Tried, path: &Path) -> Result<ExitCode, Failure> {
    if tried.recorded > 0 {
        match arguments.format {
            Format::Text => {
                let style = if output::takes_colour() { Style::Colour } else { Style::Plain };
                output::print(&report::terminal(path, style).map_err(Failure::failed)?)?;
                if let Some(table) = formula_table::table(&tried.formulas) {
                    output::print(&format!("\n{table}"))?;
                }
            }
            Format::Json => {
                let json = report::json(path).map_err(Failure::failed)?;
                output::print(&format!("{json:#}\n"))?;
            }
        }
        report::draw_all(path).map_err(Failure::failed)?;
    }
    let place = format!("Results: {} (plots/, summary.csv, logs/)", path.display());
    match arguments.format {
        Format::Text => output::print(&format!("{place}\n"))?,
        Format::Json if arguments.quiet => {}
        Format::Json => eprintln!("{place}"),
    }
    let kept = match tried.recorded {
        1 => "1 run, which is".to_owned(),
        runs => format!("{runs} runs, which are"),
    };
    match &tried.stop {
        None => {}
        Some((_, Stop::Interrupted(signal))) => {
            say!("interrupted by {signal}: kept {kept} in {}", path.display());
        }
        Some((run, Stop::Died(death))) => say!("{run}: {death}"),
        Some((run, Stop::Failed(error))) => say!("{run}: {error}"),
    }
    Ok(ExitCode::from(tried.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_outcome_is_the_exit_code() {
        let tried = |violations, stopped: bool, not_valid| Tried {
            recorded: 9,
            not_valid,
            violations,
            stop: stopped.then(|| (String::new(), Stop::Interrupted("SIGINT"))),
            missed: false,
            formulas: Vec::new(),
        };
        assert_eq!(tried(0, false, 0).code(), 0);
        assert_eq!(Tried { missed: true, ..tried(0, false, 0) }.code(), exit::NOT_VALID);
        assert_eq!(Tried { missed: true, ..tried(1, false, 0) }.code(), exit::VIOLATION);
        assert_eq!(tried(0, false, 1).code(), exit::NOT_VALID);
        assert_eq!(tried(0, true, 1).code(), exit::FAILED);
        assert_eq!(tried(1, true, 2).code(), exit::VIOLATION);
    }
}
