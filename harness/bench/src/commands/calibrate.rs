//! `bench calibrate`: what work costs a replica on this host, measured on real ones, and how far simulations with these
//! costs then agree with them.

use std::{fmt::Write, fs, path::PathBuf, process::ExitCode, time::SystemTime};

use measure::{Host, Versions, read_rows, read_summary, utc_text};
use workload::{Clients, Override, Plan, SimCosts, Workload};

use self::{
    agreement::{Agreement, AtValue, spread},
    costs::{Load, Measured},
};
use super::run::{Keeping, make};
use crate::{cli::CalibrateArguments, exit::Failure, output};

mod agreement;
mod costs;

pub(crate) fn run(arguments: &CalibrateArguments) -> Result<ExitCode, Failure> {
    let real = load(arguments, "quic", None)?;
    if let Some(folder) = arguments.out.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot_write(arguments, &error))?;
    }
    let (loads, results) = match made(arguments, &real)? {
        Ok(made) => made,
        Err(code) => return Ok(code),
    };
    let measured = costs::fitted(&loads).ok_or_else(|| {
        let remedy = "add sizes of values, and of windows, to the workload";
        Failure::failed(format!("its runs do not tell wakeups, messages and bytes apart: {remedy}"))
    })?;
    let simulated = load(arguments, "sim", Some(measured.costs))?;
    let (simulated_loads, simulated_results) = match made(arguments, &simulated)? {
        Ok(made) => made,
        Err(code) => return Ok(code),
    };
    let agreement = agreement::of(&loads, &simulated_loads);
    let document = document(&measured, &agreement, &[results, simulated_results]);
    fs::write(&arguments.out, document).map_err(|error| cannot_write(arguments, &error))?;
    output::print(&text(&measured, &agreement))?;
    output::print(&format!("\nWritten: {}\n", arguments.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn cannot_write(arguments: &CalibrateArguments, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{}: cannot be written: {error}", arguments.out.display()))
}

/// The workload, for one of the drivers.
fn load(
    arguments: &CalibrateArguments,
    driver: &'static str,
    costs: Option<SimCosts>,
) -> Result<Workload, Failure> {
    let mut overrides = vec![Override::by_flag("--driver", "cluster.driver", driver)];
    if let Some(SimCosts { cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, .. }) = costs {
        let of = |key, cost: f64| Override::by_flag("the measured cost", key, cost);
        overrides.push(of("sim.cpu_us_per_wakeup", cpu_us_per_wakeup));
        overrides.push(of("sim.cpu_us_per_message", cpu_us_per_message));
        overrides.push(of("sim.cpu_ns_per_byte", cpu_ns_per_byte));
    }
    let workload = Workload::load(&arguments.workload, &overrides).map_err(Failure::usage)?;
    if workload.commands.write_ratio.values() != [1.0] {
        let file = arguments.workload.display();
        let remedy = "must be 1: the bytes of clients' requests are counted as those of writes";
        return Err(Failure::usage(format!("{file}: commands.write_ratio: {remedy}")));
    }
    if matches!(workload.load.clients, Clients::PerCluster(_)) {
        let file = arguments.workload.display();
        let remedy = "use load.clients_per_site: loads are told apart by it";
        return Err(Failure::usage(format!("{file}: load.clients: {remedy}")));
    }
    match workload.unsupported() {
        Some(error) => Err(Failure::usage(error)),
        None => Ok(workload),
    }
}

/// Makes the runs of `workload`; gives what its replicas did, and where the results are. A run that may not be quoted ends
/// it with its exit code.
fn made(
    arguments: &CalibrateArguments,
    workload: &Workload,
) -> Result<Result<(Vec<Load>, PathBuf), ExitCode>, Failure> {
    let keeping = Keeping { out: &arguments.results, history: false, quiet: arguments.quiet };
    let plan = Plan::new(workload);
    let planned = plan.runs.len();
    let (tried, results) = make(workload, plan, &keeping)?;
    let place = results.display();
    if tried.code() != 0 {
        eprintln!(
            "bench: not calibrated: {} of {} runs are there, {} of them not valid: {place}/verdicts.csv says why",
            tried.recorded, planned, tried.not_valid
        );
        return Ok(Err(ExitCode::from(tried.code())));
    }
    let summary = read_summary(&results).map_err(Failure::failed)?;
    let replicas = read_rows(&results).map_err(Failure::failed)?;
    let loads = costs::loads(&summary, &replicas).ok_or_else(|| {
        Failure::failed(format!(
            "{place}/replicas.csv: this host does not tell the CPU time of a process"
        ))
    })?;
    Ok(Ok((loads, results)))
}

/// What was found, for people.
fn text(measured: &Measured, agreement: &[Agreement]) -> String {
    let SimCosts { cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, .. } = measured.costs;
    let mut text = format!(
        "A wakeup takes {cpu_us_per_wakeup} µs of CPU, a message {cpu_us_per_message} µs, a byte {cpu_ns_per_byte} ns.\n\
         Fitted to {} replicas in {} valid runs of {}; error of a replica's CPU time: {:.0} % (root mean square), {:.0} % \
         at most\n",
        measured.samples,
        measured.runs,
        measured.size,
        measured.error_rms * 100.0,
        measured.error_max * 100.0,
    );
    let per_cpu_s = |at: &AtValue| Some(at.per_cpu_s);
    text.push_str("\nSimulated over real operations per CPU-second of all replicas\n\n");
    text.push_str(&table(agreement, measured.size, per_cpu_s));
    text.push_str(
        "\nSimulated throughput at saturation over real operations per CPU-second of the busiest replica\n\n",
    );
    text.push_str(&table(agreement, measured.size, |at| at.capacity));
    text
}

/// A row per load, a column per size of values, and what is in each cell.
fn table(agreement: &[Agreement], fitted: u32, cell: impl Fn(&AtValue) -> Option<f64>) -> String {
    let mut sizes: Vec<u64> =
        agreement.iter().flat_map(|of| &of.values).map(|at| at.value_bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut text = format!("  {:<48}", "values of");
    for size in &sizes {
        let _ = write!(text, "  {:>8}", format!("{size} B"));
    }
    text.push('\n');
    for of in agreement {
        let tried = if of.size == fitted { "" } else { ", not fitted" };
        let load = format!(
            "{}, {} replicas{tried}, {} x {} outstanding",
            of.protocol, of.size, of.clients_per_site, of.window
        );
        let _ = write!(text, "  {load:<48}");
        for size in &sizes {
            let at = of.values.iter().find(|at| at.value_bytes == *size);
            let shown =
                at.and_then(&cell).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let _ = write!(text, "  {shown:>8}");
        }
        text.push('\n');
    }
    text
}

/// What was found, as the file that workloads name.
fn document(measured: &Measured, agreement: &[Agreement], places: &[PathBuf; 2]) -> String {
    let SimCosts { cpu_us_per_wakeup, cpu_us_per_message, cpu_ns_per_byte, .. } = measured.costs;
    let (host, versions) = (Host::probe(), Versions::current());
    let unknown = || "unknown".to_owned();
    let mut text = format!(
        "# What work costs a replica, as `bench calibrate` measured it. A workload for the simulator takes it as\n\
         # sim.calibration. What a wakeup, a message and a byte are stands in harness/sim/src/cost.rs.\n\
         [sim]\n\
         cpu_us_per_wakeup = {cpu_us_per_wakeup:?}\n\
         cpu_us_per_message = {cpu_us_per_message:?}\n\
         cpu_ns_per_byte = {cpu_ns_per_byte:?}\n\n[measured]\n"
    );
    let strings = [
        ("date_utc", utc_text(SystemTime::now())),
        ("cpu", host.cpu.unwrap_or_else(unknown)),
        ("kernel", host.kernel.unwrap_or_else(unknown)),
        ("commit", versions.git.as_ref().map_or_else(unknown, |git| git.commit.clone())),
        ("version", versions.version),
        ("rustc", versions.rustc.unwrap_or_else(unknown)),
        ("real_runs", places[0].display().to_string()),
        ("simulated_runs", places[1].display().to_string()),
    ];
    for (key, value) in strings {
        let _ = writeln!(text, "{key} = {value:?}");
    }
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
    for of in grouped(agreement) {
        text.push_str(&of);
    }
    text
}

/// Per protocol and size of the cluster: the spread of simulated over real.
fn grouped(agreement: &[Agreement]) -> Vec<String> {
    let mut groups: Vec<(&str, u32)> =
        agreement.iter().map(|of| (of.protocol.as_str(), of.size)).collect();
    groups.sort_unstable();
    groups.dedup();
    let of_group = |(protocol, size): &(&str, u32)| {
        let values = || {
            let of_it =
                agreement.iter().filter(|of| (of.protocol.as_str(), of.size) == (*protocol, *size));
            of_it.flat_map(|of| &of.values)
        };
        let mut text =
            format!("\n[[simulated_over_real]]\nprotocol = {protocol:?}\nreplicas = {size}\n");
        let spreads = [
            ("operations_per_server_cpu_s", spread(values().map(|at| at.per_cpu_s))),
            ("capacity", spread(values().filter_map(|at| at.capacity))),
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
