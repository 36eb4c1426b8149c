//! `bench calibrate`: what work costs a replica on this host, measured on real ones, and how far simulations with these
//! costs then agree with them.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use measure::{Host, Versions, read_rows, read_summary, utc_text};
use protocols::registry;
use workload::{Override, Plan, SimCosts, Workload, calibrated::Calibrated};

use self::costs::{Measured, MeasuredRun};
use super::{
    agreement::{self, Held, calibrated, held, spread},
    run::{Keeping, make},
};
use crate::{
    cli::CalibrateArguments,
    exit::{self, Failure},
    output,
};

pub(crate) mod costs;

pub(crate) fn run(arguments: &CalibrateArguments) -> Result<ExitCode, Failure> {
    match calibrate(arguments) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Ended::WithCode(code)) => Ok(ExitCode::from(code)),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

fn calibrate(arguments: &CalibrateArguments) -> Result<(), Ended> {
    let real = workload(&arguments.workload, &overrides("quic", None))?;
    refuse_all_but_puts(arguments, &real)?;
    let saturated = arguments.saturated.as_deref();
    // What cannot be run is refused before anything is.
    let real_saturated =
        saturated.map(|file| agreement::of_sizes(file, &overrides("quic", None))).transpose()?;
    let folder = arguments.out.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|error| cannot_write(arguments, &error))?;
    let asked = Asked {
        what: "calibrated",
        results: &arguments.results,
        quiet: arguments.quiet,
        only_valid: true,
    };
    let (loads, place) = made(&asked, &real)?;
    let mut places = vec![place];
    let mut saturated_loads = Vec::new();
    if let Some(real) = &real_saturated {
        let (loads, place) = made(&asked, real)?;
        saturated_loads = loads;
        places.push(place);
    }
    let measured =
        costs::fitted(&[loads.as_slice(), &saturated_loads].concat()).ok_or_else(|| {
            let remedy = "take two protocols, sizes of values, and windows into the workload";
            Failure::failed(format!("its runs do not tell the kinds of work apart: {remedy}"))
        })?;
    let with_costs = overrides("sim", Some(measured.costs));
    let (simulated, place) = made(&asked, &workload(&arguments.workload, &with_costs)?)?;
    places.push(place);
    let mut found =
        Found { measured, tried: held(&loads, &simulated), saturated: Vec::new(), places };
    if let (Some(file), Some(real)) = (saturated, &real_saturated) {
        let once = agreement::once(with_costs);
        let (simulated, place) = made(&asked, &agreement::of_sizes(file, &once)?)?;
        found.saturated = held(&saturated_loads, &simulated);
        found.places.push(place);
        output::print(&agreement::write(folder, real, &found.saturated)?)?;
    }
    fs::write(&arguments.out, document(&found)).map_err(|error| cannot_write(arguments, &error))?;
    output::print(&text(&found))?;
    output::print(&format!("\nWritten: {}\n", arguments.out.display()))?;
    Ok(())
}

/// What was measured, and what came of simulating it.
struct Found {
    measured: Measured,
    /// The loads of the workload.
    tried: Vec<Held>,
    /// Those of the saturated one, if there is one.
    saturated: Vec<Held>,
    /// The results directories, in the order in which they were made.
    places: Vec<PathBuf>,
}

impl Found {
    fn calibrated(&self) -> Calibrated {
        calibrated(&[self.tried.as_slice(), &self.saturated].concat())
    }
}

fn cannot_write(arguments: &CalibrateArguments, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: cannot be written: {error}", arguments.out.display()))
}

/// What a workload is run with: one of the drivers, and the simulator's costs.
fn overrides(driver: &'static str, costs: Option<SimCosts>) -> Vec<Override> {
    let driver = Override::by_flag("--driver", "cluster.driver", driver);
    let of_cpu = costs
        .into_iter()
        .flat_map(SimCosts::of_cpu)
        .map(|(key, cost)| Override::by_flag("the measured cost", &dotted(key), cost));
    [driver].into_iter().chain(of_cpu).collect()
}

/// The key of a cost in a workload file.
fn dotted(cost: &str) -> String {
    format!("sim.{cost}")
}

fn workload(file: &Path, overrides: &[Override]) -> Result<Workload, Failure> {
    let workload = Workload::load(file, overrides).map_err(Failure::usage)?;
    match workload.unsupported() {
        Some(error) => Err(Failure::usage(error)),
        None => Ok(workload),
    }
}

fn refuse_all_but_puts(arguments: &CalibrateArguments, workload: &Workload) -> Result<(), Failure> {
    let commands = &workload.commands;
    let wanted = [
        ("write_ratio", &commands.write_ratio, 1.0),
        ("append_ratio", &commands.append_ratio, 0.0),
        ("delete_ratio", &commands.delete_ratio, 0.0),
        ("cas_ratio", &commands.cas_ratio, 0.0),
    ];
    let Some((key, _, share)) = wanted.iter().find(|(_, given, share)| given.values() != [*share])
    else {
        return Ok(());
    };
    let file = arguments.workload.display();
    let why = "the bytes of clients' requests are counted as those of puts";
    Err(Failure::usage(format!("{file}: commands.{key}: must be {share}: {why}")))
}

/// How runs are made whose replicas' CPU time is wanted.
pub(crate) struct Asked<'a> {
    /// What does not come about if a run is missing.
    pub(crate) what: &'static str,
    /// Where results directories are made.
    pub(crate) results: &'a Path,
    pub(crate) quiet: bool,
    /// Is a run that is not valid of no use?
    pub(crate) only_valid: bool,
}

/// Why there is nothing to go on with.
pub(crate) enum Ended {
    Failed(Failure),
    /// It has been said why.
    WithCode(u8),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Makes the runs of `workload`; gives what its replicas did, and where the results are.
pub(crate) fn made(
    asked: &Asked<'_>,
    workload: &Workload,
) -> Result<(Vec<MeasuredRun>, PathBuf), Ended> {
    let keeping = Keeping { out: asked.results, history: false, quiet: asked.quiet, lab: None };
    let plan = Plan::new(workload);
    let planned = plan.runs.len();
    let (tried, results) = make(workload, plan, &keeping)?;
    let place = results.display();
    let is_of_use = match tried.code() {
        0 => true,
        exit::NOT_VALID => !asked.only_valid,
        _ => false,
    };
    if !is_of_use {
        say!(
            "not {}: {} of {planned} runs are there, {} of them not valid: {place}/verdicts.csv says why",
            asked.what,
            tried.recorded,
            tried.not_valid
        );
        return Err(Ended::WithCode(tried.code()));
    }
    let summary = read_summary(&results).map_err(Failure::failed)?;
    let replicas = read_rows(&results).map_err(Failure::failed)?;
    let loads = costs::loads(&summary, &replicas).ok_or_else(|| {
        Failure::failed(format!(
            "{place}/replicas.csv: this host does not tell the CPU time of a process"
        ))
    })?;
    Ok((loads, results))
}

/// What was found, for people.
fn text(found: &Found) -> String {
    let Found { measured, tried, .. } = found;
    let SimCosts {
        cpu_us_per_wakeup,
        cpu_us_per_message,
        cpu_ns_per_byte,
        cpu_us_per_command,
        cpu_us_per_ordering_step,
        ..
    } = measured.costs;
    let mut text = format!(
        "A wakeup takes {cpu_us_per_wakeup} µs of CPU, a message {cpu_us_per_message} µs, a byte {cpu_ns_per_byte} ns, \
         a command {cpu_us_per_command} µs,\n\
         and each row by which it is put in order {cpu_us_per_ordering_step} µs.\n\
         Fitted to {} replicas in {} valid runs of {}; error of a replica's CPU time: {:.0} % (root mean square), {:.0} % \
         at most\n",
        measured.samples,
        measured.runs,
        measured.size,
        measured.error_rms * 100.0,
        measured.error_max * 100.0,
    );
    text.push_str("\nSimulated over real operations per CPU-second of all replicas\n\n");
    let of_all = |held: &Held| held.simulated.per_cpu_s / held.real.per_cpu_s;
    text.push_str(&table(tried, measured.size, of_all));
    text.push_str("\nSimulated over real operations per CPU-second of the busiest replica\n\n");
    text.push_str(&table(tried, measured.size, Held::ratio));
    text
}

/// A row per load, a column per size of values, and what is in each cell.
fn table(tried: &[Held], fitted: u32, cell: impl Fn(&Held) -> f64) -> String {
    let mut sizes: Vec<u64> = tried.iter().map(|held| held.value_bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut text = format!("  {:<48}", "values of");
    for size in &sizes {
        let _ = write!(text, "  {:>8}", format!("{size} B"));
    }
    text.push('\n');
    let mut lines: Vec<(String, Vec<&Held>)> = Vec::new();
    for held in tried {
        let not_fitted = if held.size == fitted { "" } else { ", not fitted" };
        let load = format!(
            "{}, {} replicas{not_fitted}, {} x {} outstanding",
            held.protocol, held.size, held.clients, held.window
        );
        match lines.iter_mut().find(|(known, _)| *known == load) {
            Some((_, at)) => at.push(held),
            None => lines.push((load, vec![held])),
        }
    }
    for (load, at) in lines {
        let _ = write!(text, "  {load:<48}");
        for size in &sizes {
            let at = at.iter().find(|held| held.value_bytes == *size);
            let shown = at.map_or_else(|| "–".to_owned(), |held| format!("{:.2}", cell(held)));
            let _ = write!(text, "  {shown:>8}");
        }
        text.push('\n');
    }
    text
}

/// What was found, as the file that workloads name.
fn document(found: &Found) -> String {
    let measured = &found.measured;
    let (host, versions) = (Host::probe(), Versions::current());
    let unknown = || "unknown".to_owned();
    let mut text = "# What work costs a replica, as `bench calibrate` measured it. A workload for the simulator \
                    takes it as\n# sim.calibration. What each of these is stands in harness/sim/src/cost.rs, and \
                    what was calibrated in\n# harness/workload/src/calibrated.rs.\n[sim]\n"
        .to_owned();
    for (key, cost) in measured.costs.of_cpu() {
        let _ = writeln!(text, "{key} = {cost:?}");
    }
    let calibrated = found.calibrated();
    for protocol in registry::all() {
        let Some(loads) = calibrated.of(protocol) else { continue };
        let _ = write!(
            text,
            "\n[sim.calibrated.{protocol}]\nreplicas = {:?}\nvalue_bytes = {:?}\nrequests_under_way = {:?}\n\
             bytes_under_way_max = {}\noperations_per_cpu_s_max = {:.0}\n",
            loads.replicas,
            loads.value_bytes,
            loads.requests_under_way,
            loads.bytes_under_way_max,
            loads.operations_per_cpu_s_max
        );
    }
    text.push_str("\n[measured]\n");
    let strings = [
        ("date_utc", utc_text(SystemTime::now())),
        ("cpu", host.cpu.unwrap_or_else(unknown)),
        ("kernel", host.kernel.unwrap_or_else(unknown)),
        ("commit", versions.git.as_ref().map_or_else(unknown, |git| git.commit.clone())),
        ("version", versions.version),
        ("rustc", versions.rustc.unwrap_or_else(unknown)),
    ];
    for (key, value) in strings {
        let _ = writeln!(text, "{key} = {value:?}");
    }
    let places: Vec<String> =
        found.places.iter().map(|place| place.display().to_string()).collect();
    let _ = writeln!(text, "runs = {places:?}    # the real ones, then the same simulated");
    let _ = writeln!(
        text,
        "cores = {}\ncommit_is_clean = {}\noptimised = {}\nfitted_replicas = {}\nfitted_runs_all_valid = {}\nsamples = {}\n\
         error_rms = {:.4}    # of a replica's CPU time, as a share of it\nerror_max = {:.4}",
        host.cores.unwrap_or(0),
        versions.git.is_some_and(|git| git.clean),
        !cfg!(debug_assertions),
        measured.size,
        measured.runs,
        measured.samples,
        measured.error_rms,
        measured.error_max,
    );
    text.push_str(
        "\n[measured.as_single_runs_are_left_out]    # each cost, the least and the most\n",
    );
    for ((key, _), range) in measured.costs.of_cpu().iter().zip(measured.ranges) {
        let _ = writeln!(text, "{key} = {range:?}");
    }
    for of in grouped(&found.tried) {
        text.push_str(&of);
    }
    text
}

/// Per protocol and size of the cluster: the spread of simulated over real.
fn grouped(tried: &[Held]) -> Vec<String> {
    let mut groups: Vec<(&str, u32)> =
        tried.iter().map(|held| (held.protocol.as_str(), held.size)).collect();
    groups.sort_unstable();
    groups.dedup();
    let of_group = |(protocol, size): &(&str, u32)| {
        let of_it = || {
            tried.iter().filter(|held| (held.protocol.as_str(), held.size) == (*protocol, *size))
        };
        let mut text =
            format!("\n[[simulated_over_real]]\nprotocol = {protocol:?}\nreplicas = {size}\n");
        let of_all = of_it().map(|held| held.simulated.per_cpu_s / held.real.per_cpu_s);
        let spreads = [
            ("operations_per_server_cpu_s", spread(of_all)),
            ("operations_per_busiest_cpu_s", spread(of_it().map(Held::ratio))),
        ];
        for (key, spread) in spreads {
            if let Some([least, median, most]) = spread {
                let _ = writeln!(
                    text,
                    "{key} = {{ least = {least:.3}, median = {median:.3}, most = {most:.3} }}"
                );
            }
        }
        text
    };
    groups.iter().map(of_group).collect()
}
