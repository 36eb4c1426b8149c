//! The rows of the CSV files, one type per file. The order of the fields is the order of the columns, and their names
//! are an interface: scripts outside this project read them.

use serde::{Deserialize, Serialize};

use crate::{
    csv_row::CsvRow,
    replica::Role,
    timeline::BUCKET_MS,
    verdict::{Checked, Linearizable, Severity},
};

/// The site or operation of a row that covers all of them.
pub const ALL: &str = "all";

/// A row of `summary.csv`: one run. `operations` were answered in the measured time, the latencies are of the `due` ones,
/// of which `censored` were never answered. `at_least` lists the columns of this row that are lower bounds, separated by
/// spaces. Results of older versions do not have the last four, and their latencies are of what was answered in time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the columns are explained in the design; units are in their names"
)]
pub struct SummaryRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub replicas: u32,
    pub offered_ops_per_s: Option<f64>,
    pub conflict_rate: Option<f64>,
    /// Empty if not as many at each.
    pub clients_per_site: Option<u32>,
    /// In all. Results of older versions do not have it.
    #[serde(default)]
    pub clients: Option<u32>,
    pub window: u32,
    pub mode: String,
    pub rate_ops_per_s: Option<f64>,
    pub value_bytes: u64,
    pub repetition: u32,
    pub operations: u64,
    pub errors: u64,
    pub unknown: u64,
    pub throughput_ops_per_s: Option<f64>,
    pub server_cpu_s: Option<f64>,
    pub client_cpu_s: Option<f64>,
    pub ops_per_cpu_s: Option<f64>,
    pub fast_path_ratio: Option<f64>,
    pub latency_us_mean: Option<f64>,
    pub latency_us_p50: Option<f64>,
    pub latency_us_p90: Option<f64>,
    pub latency_us_p99: Option<f64>,
    pub latency_us_p999: Option<f64>,
    pub latency_us_max: Option<f64>,
    pub service_us_p50: Option<f64>,
    pub service_us_p99: Option<f64>,
    pub commit_us_p50: Option<f64>,
    pub commit_us_p99: Option<f64>,
    pub execute_us_p50: Option<f64>,
    pub execute_us_p99: Option<f64>,
    pub valid: bool,
    pub linearizable: Linearizable,
    pub replicas_agree: Option<bool>,
    #[serde(default)]
    pub due: Option<u64>,
    #[serde(default)]
    pub censored: Option<u64>,
    #[serde(default)]
    pub generator_lag_us_p99: Option<f64>,
    #[serde(default)]
    pub at_least: String,
    /// The swept keys that have no column above, with their values; they follow as columns of their own.
    #[serde(skip)]
    pub swept: Vec<(String, String)>,
    /// The columns after those, named in [`CHECKED_COLUMNS`]. Results of older versions do not have them.
    #[serde(skip)]
    pub checked: Option<Checked>,
}

impl SummaryRow {
    /// Is the figure in this column a lower bound?
    pub fn is_at_least(&self, column: &str) -> bool {
        lists(&self.at_least, column)
    }

    /// Did the run contradict itself?
    pub fn is_violation(&self) -> bool {
        self.linearizable == Linearizable::False || self.replicas_agree == Some(false)
    }
}

/// Is `column` among those of `at_least`?
fn lists(at_least: &str, column: &str) -> bool {
    at_least.split(' ').any(|listed| listed == column)
}

/// The columns of `summary.csv` that say how much of the history was checked, as the fields of [`Checked`].
pub const CHECKED_COLUMNS: [&str; 5] =
    ["checked_operations", "checked_reads", "checked_keys", "history_operations", "history_keys"];

/// A row of `latency.csv`: one site and kind of operation of one run. `site` and `operation` may be [`ALL`]. `count` were due
/// in the measured time, of which `censored` were never answered; `at_least` lists the columns that are lower bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct LatencyRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub site: String,
    pub operation: String,
    pub count: u64,
    pub latency_us_mean: Option<f64>,
    pub latency_us_p50: Option<f64>,
    pub latency_us_p90: Option<f64>,
    pub latency_us_p99: Option<f64>,
    pub latency_us_p999: Option<f64>,
    pub latency_us_max: Option<f64>,
    pub service_us_p50: Option<f64>,
    pub service_us_p99: Option<f64>,
    #[serde(default)]
    pub censored: Option<u64>,
    #[serde(default)]
    pub at_least: String,
}

/// A row of `replicas.csv`: one replica of one run, over the measured time. Messages and bytes are
/// the peers', counted per protocol message. What was written is that to be durable, empty where
/// nothing was; with durability `fsync` each write is one sync. `wakeups` is how often the replica
/// took in what was ready and flushed what that called for, `ordering_steps` how many rows
/// instances had to be put in order by: N an instance, or 0 where slots are the order.
/// `rss_bytes_max` is the most memory that the process ever had; `held_bytes_max` the most that its
/// core held in its log, in what waited and in snapshots; `queued_bytes_max` the most that waited
/// to be sent. `at_least` lists the columns that are lower bounds. Results of older versions do not
/// have these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `ReplicaCounters`; units are in the names")]
pub struct ReplicaRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub replicas: u32,
    pub replica: u32,
    pub role: Role,
    pub messages_in: u64,
    pub messages_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub client_requests: u64,
    pub client_replies: u64,
    pub cpu_s: Option<f64>,
    pub commands_led: u64,
    pub commands_executed: u64,
    pub queue_depth_max: u64,
    pub queue_depth_mean: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub commits_fast: Option<u64>,
    pub commits_slow: Option<u64>,
    pub commits_recovered: Option<u64>,
    pub component_commands_max: Option<u64>,
    pub commit_us_p50: Option<f64>,
    pub commit_us_p99: Option<f64>,
    pub execute_us_p50: Option<f64>,
    pub execute_us_p99: Option<f64>,
    #[serde(default)]
    pub records_written: Option<u64>,
    #[serde(default)]
    pub record_bytes_written: Option<u64>,
    #[serde(default)]
    pub records_per_write: Option<f64>,
    #[serde(default)]
    pub wakeups: Option<u64>,
    #[serde(default)]
    pub ordering_steps: Option<u64>,
    #[serde(default)]
    pub rss_bytes_max: Option<u64>,
    #[serde(default)]
    pub held_bytes_max: Option<u64>,
    #[serde(default)]
    pub queued_bytes_max: Option<u64>,
    #[serde(default)]
    pub at_least: String,
}

/// A row of `timeseries.csv`: `width_ms` of one site (or of [`ALL`]), from `t_ms` after the start of measuring; 100 ms, but for
/// what is left for the last row. `operations` are those that the site's clients saw answered then; `errors` and latencies
/// are of the requests that were due then. Commits and executions, and their latencies, are of those that happened then, of
/// requests that were asked of the site's replica. `at_least` lists the columns that are lower bounds. Results of older
/// versions lack commits, executions, largest latencies, widths and bounds, and have latencies of what was answered then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct TimeseriesRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub t_ms: u64,
    pub site: String,
    pub operations: u64,
    pub errors: u64,
    pub latency_us_p50: Option<f64>,
    pub latency_us_p99: Option<f64>,
    #[serde(default)]
    pub commits: Option<u64>,
    #[serde(default)]
    pub executions: Option<u64>,
    #[serde(default)]
    pub commit_us_p50: Option<f64>,
    #[serde(default)]
    pub commit_us_p99: Option<f64>,
    #[serde(default)]
    pub execute_us_p50: Option<f64>,
    #[serde(default)]
    pub execute_us_p99: Option<f64>,
    #[serde(default)]
    pub latency_us_max: Option<f64>,
    #[serde(default)]
    pub commit_us_max: Option<f64>,
    #[serde(default)]
    pub execute_us_max: Option<f64>,
    #[serde(default)]
    pub width_ms: Option<f64>,
    #[serde(default)]
    pub at_least: String,
}

impl ReplicaRow {
    /// Is the figure in this column a lower bound?
    pub fn is_at_least(&self, column: &str) -> bool {
        lists(&self.at_least, column)
    }
}

impl TimeseriesRow {
    /// How long the row's time is, in seconds.
    pub fn width_s(&self) -> f64 {
        self.width_ms.unwrap_or(BUCKET_MS as f64) / 1e3
    }

    /// Is the figure in this column a lower bound?
    pub fn is_at_least(&self, column: &str) -> bool {
        lists(&self.at_least, column)
    }
}

/// A row of `gaps.csv`: the longest silence after a fault, which answers for it until `until_s`. `what` is of what:
/// `reply` at a site (or [`ALL`]), `commit`, `execution`, or `wait` (a committed request for its execution) at a replica.
/// `ended` is false for a silence that outlasts the measuring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct GapRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub t_s: f64,
    pub event: String,
    pub detail: String,
    pub until_s: f64,
    pub what: String,
    pub place: String,
    pub gap_ms: f64,
    pub from_s: f64,
    pub to_s: f64,
    pub ended: bool,
}

/// A row of `events.csv`: a fault, or whatever else happened, `t_s` after the start of measuring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct EventRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub t_s: f64,
    pub event: String,
    pub detail: String,
}

/// A row of `verdicts.csv`: a finding about one run. A run without findings has no row here; whether it is valid stands
/// in `summary.csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Finding`")]
pub struct VerdictRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetition: u32,
    pub severity: Severity,
    pub text: String,
    pub advice: String,
}

/// A row of `cdf.csv`: a point of the latency distribution of all repetitions of a protocol at a point, merged.
/// `repetitions` of them were, all valid; runs that are not valid are left out unless there are no others. `at_least` tells
/// that the latency is a lower bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct CdfRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub repetitions: u32,
    pub valid: bool,
    pub quantile: f64,
    pub latency_us: f64,
    #[serde(default)]
    pub at_least: bool,
}

/// A row of `formulas.csv`: the commits of commands that came in at a site, in a simulation between known sites, beside
/// what a formula says of them. `formula_ns_min` and `formula_ns_max` are equal where it gives one figure, and empty
/// where there is no formula; `note` says why. `difference_ns` is the median's from that one figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct FormulaRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub conflict_rate: Option<f64>,
    pub site: String,
    pub formula_ns_min: Option<u64>,
    pub formula_ns_max: Option<u64>,
    pub commits: u64,
    pub commits_within: Option<u64>,
    pub median_ns: Option<u64>,
    pub difference_ns: Option<i64>,
    pub note: String,
}

/// A row of `load-model.csv`: what the busiest-replica model says that a replica does per operation, at the measured share
/// of slow paths. `capacity_ops_per_s` is what the whole cluster bears if this replica is the one that limits it, and
/// `saturates` whether its `cpu` or its `nic` then does; empty where work has no known cost. `note` says why there is no
/// model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct LoadModelRow {
    pub protocol: String,
    pub driver: String,
    pub point: String,
    pub replicas: u32,
    pub replica: u32,
    pub slow_path_ratio: f64,
    pub messages_per_op: Option<f64>,
    pub client_messages_per_op: Option<f64>,
    pub values_out_per_op: Option<f64>,
    pub capacity_ops_per_s: Option<f64>,
    pub saturates: String,
    pub note: String,
}

impl CsvRow for SummaryRow {
    const FILE: &'static str = "summary.csv";
    const NEWER: &'static [&'static str] =
        &["clients", "due", "censored", "generator_lag_us_p99", "at_least"];
}
impl CsvRow for LatencyRow {
    const FILE: &'static str = "latency.csv";
    const NEWER: &'static [&'static str] = &["censored", "at_least"];
}
impl CsvRow for ReplicaRow {
    const FILE: &'static str = "replicas.csv";
    const NEWER: &'static [&'static str] = &[
        "records_written",
        "record_bytes_written",
        "records_per_write",
        "wakeups",
        "ordering_steps",
        "rss_bytes_max",
        "held_bytes_max",
        "queued_bytes_max",
        "at_least",
    ];
}
impl CsvRow for TimeseriesRow {
    const FILE: &'static str = "timeseries.csv";
    const NEWER: &'static [&'static str] = &[
        "commits",
        "executions",
        "commit_us_p50",
        "commit_us_p99",
        "execute_us_p50",
        "execute_us_p99",
        "latency_us_max",
        "commit_us_max",
        "execute_us_max",
        "width_ms",
        "at_least",
    ];
}
impl CsvRow for GapRow {
    const FILE: &'static str = "gaps.csv";
}
impl CsvRow for EventRow {
    const FILE: &'static str = "events.csv";
}
impl CsvRow for VerdictRow {
    const FILE: &'static str = "verdicts.csv";
}
impl CsvRow for FormulaRow {
    const FILE: &'static str = "formulas.csv";
}
impl CsvRow for LoadModelRow {
    const FILE: &'static str = "load-model.csv";
}
impl CsvRow for CdfRow {
    const FILE: &'static str = "cdf.csv";
    const NEWER: &'static [&'static str] = &["at_least"];
}
