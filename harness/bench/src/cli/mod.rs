//! What users type. Names and meanings here are an interface: they change only on purpose.

pub(crate) mod agreement;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod hosts;

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf, process::ExitCode, str::FromStr};

use clap::{
    Arg, Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, TypedValueParser},
    error::ErrorKind,
};
use clap_complete::Shell;
use driver::storage::Durability;
use node::address::Address;
use protocols::{Protocol, either, registry};

pub(crate) use self::agreement::AgreementArguments;
use self::{
    client::ClientArguments,
    cluster::ClusterArguments,
    hosts::{AgentArguments, HostsArguments, KeysArguments},
};
use crate::{exit, program, registry as table, subject::Subject};

/// Compares Paxos, Multi-Paxos and EPaxos: latency, throughput, load per replica, and whether it was correct.
#[derive(Debug, Parser)]
#[command(name = program::name(), version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 valid; 1 the run failed or was interrupted; 2 usage or a bad workload file; \
    3 the run is not valid to quote, or a promise of its file was missed; 4 a consistency violation.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workload and report what was measured.
    Run(RunArguments),
    /// Redraw every plot of a results directory from its CSV files.
    Plot(PlotArguments),
    /// Write results as one HTML page that needs no network, or as Markdown for a pull request.
    Report(ReportArguments),
    /// Hold results against figures that a paper published, and both against what the matrix of sites promises.
    Published(PublishedArguments),
    /// Hold the results in B against those in A: what improved, what regressed, what is noise.
    Compare(CompareArguments),
    /// Simulate hostile schedules, one per seed, and check each.
    Soak(SoakArguments),
    /// Simulate one seed of a soak again, with its trace.
    Replay(ReplayArguments),
    /// Visit every state of small configurations of a protocol, and check each.
    Explore(ExploreArguments),
    /// Is the history of a key-value store in a file linearizable?
    Check(CheckArguments),
    /// Start, inspect, disturb and stop a cluster in the background.
    Cluster(ClusterArguments),
    /// Talk to a cluster: read and write keys, one at a time or many.
    Client(ClientArguments),
    /// List the protocols, and the workload files under ./workloads with the question that each answers.
    List,
    /// Show what round trips alone promise each protocol on a matrix of sites, under every leader.
    Topology(TopologyArguments),
    /// Measure on this host what work costs a replica, for simulations, and how well they then agree.
    Calibrate(CalibrateArguments),
    /// Run a workload on real replicas and simulated: does the simulator have the protocols in the
    /// same order?
    Agreement(AgreementArguments),
    /// Print a completion script for a shell.
    Completions(CompletionsArguments),
    /// Show the hosts of a laboratory: cores, round trips, clocks, and what is in the way.
    Hosts(HostsArguments),
    /// Make the keys of a laboratory of several hosts.
    Keys(KeysArguments),
    /// Keep this host at the service of a driver: `run --on` and `cluster up --on` start replicas
    /// here.
    Agent(AgentArguments),
    /// Be one replica, until an operator stops it. `run` and `cluster` start their replicas this way.
    Node(Box<NodeArguments>),
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct RunArguments {
    /// The workload file, such as workloads/quickstart.toml; with --resume, none or the same.
    #[arg(required_unless_present = "resume")]
    pub(crate) workload: Option<PathBuf>,
    /// Go on with an interrupted run: make the runs that its results directory lacks.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "dry_run"])]
    pub(crate) resume: Option<PathBuf>,
    /// Resume with another build, checkout or host than the one that began; the manifest records it.
    #[arg(long, requires = "resume")]
    pub(crate) force: bool,
    #[arg(long, value_name = "LAB", help = hosts::ON)]
    pub(crate) on: Option<PathBuf>,
    /// What carries out the runs; overrides cluster.driver.
    #[arg(long, value_enum)]
    pub(crate) driver: Option<DriverName>,
    /// Decides everything that is drawn; overrides seed.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<i64>,
    /// Where the results directory is made.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) out: PathBuf,
    /// Override a key of the workload file, such as load.window=4; TOML values, else strings.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Keep every request of every run in history/, answered or not, with when it was due: `scripts/recount` works the
    /// latencies out again from it. Without this a history is kept only as evidence.
    #[arg(long)]
    pub(crate) keep_history: bool,
    /// Print the plan and start nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// The drivers' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverName {
    /// Replica processes over QUIC.
    Quic,
    /// The simulator.
    Sim,
}

impl DriverName {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Sim => "sim",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    Text,
    /// One JSON document.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct PlotArguments {
    /// The results directory, such as results/latest.
    pub(crate) results: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// Results directories, such as results/latest; a section each.
    #[arg(value_name = "RESULTS", required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// The file; absent, report.html in the first directory, and standard output for Markdown.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A page for a browser.
    Html,
    /// GitHub's Markdown.
    Markdown,
}

#[derive(Args, Debug)]
pub(crate) struct PublishedArguments {
    /// The published figures, such as workloads/published/sosp13-fig4.toml.
    pub(crate) figures: PathBuf,
    /// Results directories; of several that have a value the first is taken.
    #[arg(value_name = "RESULTS", required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// How the table is written.
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub(crate) format: TableFormat,
}

#[derive(Args, Debug)]
#[command(after_help = COMPARE_EXIT_CODES)]
pub(crate) struct CompareArguments {
    /// The results directory to start from, such as one of the last release.
    #[arg(value_name = "A")]
    pub(crate) before: PathBuf,
    /// The results directory to hold against it.
    #[arg(value_name = "B")]
    pub(crate) after: PathBuf,
    /// End with exit code 1 if anything regressed, with 3 if not everything could be compared.
    #[arg(long)]
    pub(crate) fail_on_regression: bool,
    /// Compare results of different workloads all the same.
    #[arg(long)]
    pub(crate) force: bool,
    /// How the comparison is written.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub(crate) format: CompareFormat,
}

const COMPARE_EXIT_CODES: &str = "Exit codes: 0 compared; 2 usage, or different workloads; 4 a run on either side violates \
    consistency. With --fail-on-regression: 1 a figure regressed by more than noise; 3 none did, but runs are not valid or not \
    on both sides.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormat {
    /// Tables for people.
    Text,
    /// One JSON document.
    Json,
    /// GitHub's Markdown.
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// A table for people.
    Text,
    /// GitHub's Markdown.
    Markdown,
}

#[derive(Args, Debug)]
#[command(after_help = SOAK_EXIT_CODES)]
pub(crate) struct SoakArguments {
    #[arg(long, help = protocols_to("run"), value_parser = ProtocolName, hide_possible_values = true)]
    pub(crate) protocol: Protocol,
    #[arg(long, value_name = "NAME", value_parser = variant, help = variants())]
    pub(crate) variant: Option<String>,
    #[arg(long, help = LIVENESS_HELP)]
    pub(crate) liveness: bool,
    /// How many seeds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seeds: u32,
    /// The first of them; the others follow it.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) first_seed: u64,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

const LIVENESS_HELP: &str = "Let faults last: a majority of replicas is healthy, all else stays broken, and clients of the \
    healthy ones must go on having answers";

const SOAK_EXIT_CODES: &str = "Exit codes: 0 every seed is clean; 1 interrupted, all clean so far; 2 usage; 4 a seed \
    violates a rule or did not finish.";

#[derive(Args, Debug)]
#[command(after_help = REPLAY_EXIT_CODES)]
pub(crate) struct ReplayArguments {
    #[arg(long, help = protocols_to("run"), value_parser = ProtocolName, hide_possible_values = true)]
    pub(crate) protocol: Protocol,
    #[arg(long, value_name = "NAME", value_parser = variant, help = variants())]
    pub(crate) variant: Option<String>,
    #[arg(long, help = LIVENESS_HELP)]
    pub(crate) liveness: bool,
    /// Which seed.
    #[arg(long, value_name = "S")]
    pub(crate) seed: u64,
    /// How many lines of the trace are printed, the last ones; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) trace_lines: usize,
    /// Leave out faults as long as the same rule is violated, and show what is left.
    #[arg(long)]
    pub(crate) shrink: bool,
}

const REPLAY_EXIT_CODES: &str =
    "Exit codes: 0 the seed is clean; 2 usage; 4 it violates a rule or did not finish.";

#[derive(Args, Debug)]
#[command(after_help = explore_help())]
pub(crate) struct ExploreArguments {
    #[arg(long, help = protocols_to("explore"), value_parser = ProtocolName, hide_possible_values = true)]
    pub(crate) protocol: Protocol,
    #[arg(long, value_name = "NAME", value_parser = variant, help = variants())]
    pub(crate) variant: Option<String>,
    /// Only the configuration of this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["replicas", "commands"])]
    pub(crate) config: Option<String>,
    /// Explore so many replicas in place of the named configurations, with --commands, where nothing goes wrong but
    /// delay and order.
    #[arg(long, value_name = "N", value_parser = explored_replicas)]
    pub(crate) replicas: Option<usize>,
    /// Explore so many conflicting commands in place of the named configurations, with --replicas.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) commands: Option<u8>,
    /// Stop a configuration after about so many generated states; absent, at its own bound.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) states_max: Option<u64>,
    /// Go no deeper than so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) depth_max: Option<u16>,
    /// With how many threads; absent, one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) threads: Option<u8>,
    /// How the results are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// An odd number: the protocols' quorums are made for those.
fn explored_replicas(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(replicas @ (3 | 5 | 7)) => Ok(replicas),
        _ => Err("must be 3, 5 or 7".to_owned()),
    }
}

/// Reads the name of a protocol. Completions list all of them, those of other crates as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProtocolName;

impl TypedValueParser for ProtocolName {
    type Value = Protocol;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Protocol, clap::Error> {
        // The message for a name that no protocol has is the one that files give.
        Protocol::from_str.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let all = registry::all().into_iter();
        Some(Box::new(
            all.map(|protocol| PossibleValue::new(protocol.name()).help(protocol.description)),
        ))
    }
}

/// What `--protocol` says of itself.
fn protocols_to(verb: &str) -> String {
    let names: Vec<&str> = registry::all().into_iter().map(Protocol::name).collect();
    format!("What to {verb}: {}", either(&names))
}

/// What `--variant` says of itself.
fn variants() -> String {
    let of_one = |protocol: Protocol| {
        let usual = protocol.usual_variant()?;
        let choices: Vec<String> = protocol
            .variants()
            .iter()
            .map(|choice| format!("{}, {}", choice.name, choice.about))
            .collect();
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        let choices = choices.join(", or ");
        Some(format!("Which {}: {choices}; absent, {usual}", protocol.title))
    };
    registry::all().into_iter().filter_map(of_one).collect::<Vec<_>>().join(". ")
}

/// The name of a variant of some protocol.
fn variant(text: &str) -> Result<String, String> {
    let all = registry::all();
    let names: Vec<&str> =
        all.iter().flat_map(|protocol| protocol.variants()).map(|choice| choice.name).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("unknown variant: use {}", either(&names)))
}

/// The names that `--config` takes, with what they are about.
fn explore_help() -> String {
    let lists: Vec<String> = Subject::all()
        .into_iter()
        .map(|subject| {
            let list = (table::of(subject.protocol).configurations)(subject).into_iter();
            let list = list.map(|(name, about)| format!("\n  {name:<20} {about}"));
            let options = subject.options();
            let options = options.strip_prefix("--protocol ").unwrap_or(&options);
            format!("{options}:{}\n\n", list.collect::<String>())
        })
        .collect();
    format!(
        "Configurations, all of a protocol's if none is named:\n\n{}Exit codes: 0 every rule holds and everything was \
         reached that must be; 2 usage; 4 a rule is broken, or something that must be reached was not.",
        lists.concat()
    )
}

#[derive(Args, Debug)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArguments {
    /// The history file.
    pub(crate) history: PathBuf,
    /// How it is written; absent, its content tells.
    #[arg(long = "format", value_name = "FORMAT", value_enum)]
    pub(crate) history_format: Option<HistoryFormat>,
    /// Check only this key.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// When the verdict is unknown, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) timeout_s: u64,
    /// With how much memory for one key the verdict is unknown, in MiB.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(..=1 << 20))]
    pub(crate) memory_mb: u64,
}

const CHECK_HELP: &str = r#"JSON lines: an operation per line, such as {"process":3,"key":"k","op":"put","value":"x",
"invoke_ns":10,"return_ns":20}; op is put, append, get (with "result", null if absent), delete or cas (with "expected",
"value" and "swapped"); no "return_ns": the outcome is unknown.

Exit codes: 0 linearizable; 2 usage or no history; 3 unknown, which is no pass; 4 not linearizable."#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// Own JSON lines.
    Json,
    /// Jepsen's EDN of a register or cas-register.
    Jepsen,
    /// Porcupine's KV text.
    Porcupine,
}

impl From<HistoryFormat> for check::formats::Format {
    fn from(format: HistoryFormat) -> Self {
        match format {
            HistoryFormat::Json => Self::Json,
            HistoryFormat::Jepsen => Self::Jepsen,
            HistoryFormat::Porcupine => Self::Porcupine,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct TopologyArguments {
    /// The name of a topology, or the file of a topology or a workload, such as workloads/wan5.toml.
    #[arg(value_name = "MATRIX")]
    pub(crate) matrix: String,
    /// How many replicas, an odd number; again for more sizes. Absent: the workload's; 3, 5 and all sites of a topology.
    #[arg(short = 'n', long = "replicas", value_name = "N", value_parser = cluster::odd)]
    pub(crate) replicas: Vec<usize>,
    /// How the promises are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = CALIBRATE_EXIT_CODES)]
pub(crate) struct CalibrateArguments {
    /// The file that is written; a workload for the simulator takes it as sim.calibration.
    #[arg(long, value_name = "FILE", default_value = "results/calibration.toml")]
    pub(crate) out: PathBuf,
    /// What is run; of its clusters the smallest are fitted, and the others tried.
    #[arg(long, value_name = "FILE", default_value = "workloads/calibrate.toml")]
    pub(crate) workload: PathBuf,
    /// A workload that saturates clusters of several sizes: its smallest are fitted, too, and a
    /// table beside the file says whether the simulator has the protocols in the order of the real
    /// clusters at every size.
    #[arg(long, value_name = "FILE")]
    pub(crate) saturated: Option<PathBuf>,
    /// Where the results directories are made, of the real runs and of the same simulated.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
    /// Show no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

const CALIBRATE_EXIT_CODES: &str = "Exit codes: 0 measured; 1 a run failed or was interrupted, or the runs do not tell the \
    costs apart; 2 usage or a bad workload file; 3 a run is not valid, and nothing is written; 4 a consistency violation.";

#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// Which shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
#[command(
    after_help = "All replicas of a cluster must be given the same protocol, peers and config, and credentials \
    of one cluster. The log goes to standard error."
)]
pub(crate) struct NodeArguments {
    /// Which replica to be, counted from 0.
    #[arg(long, value_name = "N")]
    pub(crate) id: u8,
    #[arg(long, help = protocols_to("run"), value_parser = ProtocolName, hide_possible_values = true)]
    pub(crate) protocol: Protocol,
    /// The UDP address to listen on.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Where all replicas listen, in the order of their numbers, this one included: HOST:PORT each.
    /// A host's name is resolved whenever its replica is dialed.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    pub(crate) peers: Vec<Address>,
    /// The directory with the cluster's certificates and this replica's key.
    #[arg(long, value_name = "DIR", required_unless_present = "insecure")]
    pub(crate) credentials: Option<PathBuf>,
    /// Verify nobody: whoever reaches the port can read and write everything, and be a replica. For trying things out.
    #[arg(long, conflicts_with = "credentials")]
    pub(crate) insecure: bool,
    /// What the replica's records outlive: memory (nothing), buffered (the process), fsync (a power cut).
    #[arg(long, value_name = "NAME", default_value_t = Durability::Memory)]
    pub(crate) durability: Durability,
    /// The directory that is this replica's alone, made if need be; with --durability memory nothing is kept there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// For tests: how long a log may be, in bytes, before a snapshot takes its place.
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) log_bytes_kept: Option<u64>,
    /// The configuration of the protocol's core as JSON; absent, the defaults for as many replicas as peers.
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,
    /// The network to emulate between the sites of the replicas, as JSON; absent, the bare loopback.
    #[arg(long, value_name = "JSON")]
    pub(crate) network: Option<String>,
    /// End when the process with this id, which must be the one that starts this replica, ends.
    #[arg(long, value_name = "PID")]
    pub(crate) parent: Option<i32>,
    /// Leave the terminal: live on when it is closed.
    #[arg(long, conflicts_with = "parent")]
    pub(crate) detach: bool,
}

impl Cli {
    /// Reads the command line. Help and version are printed here; what is wrong is one line.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // A reader that went away is no reason to fail.
                let _ = error.print();
                ExitCode::SUCCESS
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                ExitCode::from(exit::USAGE)
            }
            _ => {
                say!("{}", first_paragraph(&error.to_string()));
                ExitCode::from(exit::USAGE)
            }
        })
    }
}

/// The parser's message without its usage and tips, on one line.
fn first_paragraph(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.trim().is_empty());
    let text = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    format!("{text}: see {} --help", program::name())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_parse_error_is_one_line() {
        let error = Cli::try_parse_from(["bench", "run"]).unwrap_err().to_string();
        assert_eq!(
            first_paragraph(&error),
            "the following required arguments were not provided: <WORKLOAD>: see bench --help"
        );
    }
}
