//! Histograms, load per replica, manifests and the CSV files of a run.
//!
//! A driver (real or simulated) fills one [`RunRecord`] per run and hands it to [`ResultsDir`], which derives every row
//! of every file from it by one function, [`RunRecord::rows`]. Whoever draws or compares reads those files back through
//! [`read_rows`] and [`Manifest::read`]; the format is known here and nowhere else.
//!
//! **Invariants.** This crate knows protocols only by name: it imports no core, no socket, no runtime and no plotting.
//! Percentiles come from merged histograms and are never averaged. A percentile that too few samples support is absent,
//! in memory (`None`) as in the files (an empty cell). A row is never written without the verdict of its run.

mod cgroup;
mod csv_row;
mod derive;
mod error;
mod files;
mod fit;
mod gaps;
mod histogram;
mod hlog;
mod host;
mod identity;
mod kept;
mod knee;
mod manifest;
mod median;
mod network;
mod population;
mod replica;
mod results;
mod returns;
mod rows;
mod run;
mod run_rows;
mod series;
mod silence;
mod timeline;
mod utc;
mod verdict;
mod windows;

pub use csv_row::CsvRow;
pub use error::MeasureError;
pub use files::{columns, read_rows, read_summary, write_rows};
pub use fit::{Fit, Mixture, fit};
pub use gaps::{COMMITS, EXECUTIONS, REPLIES, WAITS};
pub use histogram::{DecodeError, Histogram};
pub use hlog::{HistogramKind, hlog_file_name};
pub use host::{Host, HostCpu, boot_id, load_average, rss_bytes, rss_bytes_max};
pub use identity::Identity;
pub use kept::{Kept, KeptRow, Recovery, RecoveryRow};
pub use knee::{KneeRow, Step};
pub use manifest::{Git, Manifest, Resumed, Versions};
pub use median::{COVERAGE_MIN, Change, Interval, median_coverage};
pub use network::{LayerReport, NetworkReport, NetworkRow, SlowReport, network_findings};
pub use population::{Bound, Population};
pub use replica::{ReplicaCounters, ReplicaReport, Role, StateDigest, agreement};
pub use results::ResultsDir;
pub use returns::{Promise, RETURN_OVER_S, ReturnRow, site_name};
pub use rows::{
    ALL, CHECKED_COLUMNS, CdfRow, EventRow, FormulaRow, GapRow, LatencyRow, LoadModelRow,
    ReplicaRow, SummaryRow, TimeseriesRow, VerdictRow,
};
pub use run::{Event, OperationRecord, RunRecord, RunRows, SiteRecord, Timed};
pub use series::{Series, SeriesRecorder};
pub use silence::{Silence, Silences};
pub use timeline::{BUCKET_MS, Bucket, Timeline};
pub use utc::utc_text;
pub use verdict::{
    Checked, FOREIGN_LOAD, Finding, HOST_BOUND, Limits, Linearizable, LoadMode, NOT_TO_BE_QUOTED,
    RunFacts, Severity, Verdict, judge,
};
pub use windows::{Window, makes_windows, windows};
