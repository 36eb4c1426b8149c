//! What users type to hold the simulator against real clusters.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct AgreementArguments {
    /// What is run on both drivers; nothing of it but the size of the cluster may be swept.
    #[arg(
        value_name = "WORKLOAD",
        default_value = "workloads/leader-bottleneck-saturated.toml",
        conflicts_with = "of"
    )]
    pub(crate) workload: PathBuf,
    /// Print the table of the agreement.csv in this directory, and run nothing.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["set", "calibration", "out", "results"])]
    pub(crate) of: Option<PathBuf>,
    /// The costs of the simulator; absent: the workload's, or those that the simulator has by
    /// default.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Override a key of the workload file, such as load.duration_s=1; TOML values, else strings.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where agreement.csv and agreement.md are written.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) out: PathBuf,
    /// Where the results directories are made, of the real runs and of the same simulated.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
    /// Show no progress.
    #[arg(long)]
    pub(crate) quiet: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 both drivers have the protocols in one order at every size, whether runs are \
    valid or not, which the table says; 1 a run failed or was interrupted; 2 usage or a bad workload file; 3 the \
    simulator has another order; 4 a consistency violation.";
