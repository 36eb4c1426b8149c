//! A results directory: created when a run starts, filled run by run, readable at every moment.
//!
//! Rows reach their files when a run ends, so an interrupted sweep keeps what was measured. The row in `summary.csv` comes
//! last: a run whose row is there is all there, and [`ResultsDir::resume`] removes what is left of any other.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    csv_row::CsvRow,
    error::MeasureError,
    files::{RunKey, Table, columns, read_summary, run_of, whole_rows},
    hlog::{HistogramKind, file_safe, hlog_file_name, read_hlog, write_hlog},
    identity::Identity,
    kept::{KeptRow, RecoveryRow},
    knee::KneeRow,
    manifest::Manifest,
    network::NetworkRow,
    population::Population,
    returns::ReturnRow,
    rows::{
        CdfRow, EventRow, GapRow, LatencyRow, ReplicaRow, SummaryRow, TimeseriesRow, VerdictRow,
    },
    run::RunRecord,
};

/// Chosen: nobody starts more runs of one name and seed within a second.
const COLLISIONS_MAX: u32 = 1_000;

/// Chosen: a second in all. A process that is being started shares its parent's locks for an instant.
const LOCK_ATTEMPTS_MAX: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What `events.csv` says of a run that was ended before its time: not by itself.
const CUT_SHORT: [&str; 2] = ["interrupted", "failed"];

/// An open results directory.
#[derive(Debug)]
pub struct ResultsDir {
    path: PathBuf,
    /// Locked as long as this is open. The system lets go of it however the process ends.
    _lock: File,
    summary: Table,
    latency: Table,
    replicas: Table,
    timeseries: Table,
    events: Table,
    gaps: Table,
    returns: Table,
    kept: Table,
    recoveries: Table,
    networks: Table,
    knee: Table,
    verdicts: Table,
    distributions: BTreeMap<(String, String, String), Distribution>,
}

/// All repetitions of one protocol at one point: those that may be quoted, and the others.
#[derive(Debug, Default)]
struct Distribution {
    valid: Merged,
    not_valid: Merged,
}

#[derive(Debug, Default)]
struct Merged {
    repetitions: u32,
    latency: Population,
}

impl ResultsDir {
    /// Creates `<root>/<UTC>-<name>-<seed>/` with the manifest and empty files, and points `<root>/latest` at it.
    /// `swept` are the workload's swept keys without their tables; those that are not a column of `summary.csv` become
    /// one.
    ///
    /// # Errors
    /// If something cannot be created.
    pub fn create(
        root: &Path,
        manifest: &Manifest,
        swept: &[String],
    ) -> Result<Self, MeasureError> {
        let path = create_unique(root, manifest)?;
        for folder in ["hist", "logs", "plots"] {
            create_dir(&path.join(folder))?;
        }
        manifest.write(&path)?;
        let known = columns::<SummaryRow>();
        let extra = swept.iter().filter(|key| !known.contains(key)).cloned().collect();
        let results = Self {
            summary: Table::create_summary(&path, extra)?,
            latency: Table::create::<LatencyRow>(&path)?,
            replicas: Table::create::<ReplicaRow>(&path)?,
            timeseries: Table::create::<TimeseriesRow>(&path)?,
            events: Table::create::<EventRow>(&path)?,
            gaps: Table::create::<GapRow>(&path)?,
            returns: Table::create::<ReturnRow>(&path)?,
            kept: Table::create::<KeptRow>(&path)?,
            recoveries: Table::create::<RecoveryRow>(&path)?,
            networks: Table::create::<NetworkRow>(&path)?,
            knee: Table::create::<KneeRow>(&path)?,
            verdicts: Table::create::<VerdictRow>(&path)?,
            distributions: BTreeMap::new(),
            _lock: locked(&path)?,
            path,
        };
        results.write_cdf()?;
        point_latest(root, &results.path)?;
        Ok(results)
    }

    /// Opens the directory `dir` of an interrupted sweep to go on with it. `planned` are all of its runs in their order,
    /// `swept` as for [`ResultsDir::create`]. Returns the rows of the runs that are kept, the first of the plan: those whose
    /// files are whole, that were not cut short, and of which `is_there` says the same. Of the others nothing is left.
    ///
    /// # Errors
    /// If a file is missing or not what it should be, runs are there that were not planned, or somebody else has it open.
    pub fn resume(
        dir: &Path,
        swept: &[String],
        planned: &[Identity],
        is_there: impl Fn(usize) -> bool,
    ) -> Result<(Self, Vec<SummaryRow>), MeasureError> {
        let lock = locked(dir)?;
        let made = made(dir, planned, is_there)?;
        let kept = |run: &RunKey| made.contains(run);
        let known = columns::<SummaryRow>();
        let extra = swept.iter().filter(|key| !known.contains(key)).cloned().collect();
        let mut results = Self {
            summary: Table::reopen_summary(dir, extra, &kept)?,
            latency: Table::reopen::<LatencyRow>(dir, &kept)?,
            replicas: Table::reopen::<ReplicaRow>(dir, &kept)?,
            timeseries: Table::reopen::<TimeseriesRow>(dir, &kept)?,
            events: Table::reopen::<EventRow>(dir, &kept)?,
            gaps: Table::reopen::<GapRow>(dir, &kept)?,
            returns: if dir.join(<ReturnRow as CsvRow>::FILE).exists() {
                Table::reopen::<ReturnRow>(dir, &kept)?
            } else {
                // Older versions had none.
                Table::create::<ReturnRow>(dir)?
            },
            kept: Table::reopen::<KeptRow>(dir, &kept)?,
            recoveries: Table::reopen::<RecoveryRow>(dir, &kept)?,
            networks: Table::reopen::<NetworkRow>(dir, &kept)?,
            knee: Table::reopen::<KneeRow>(dir, &kept)?,
            verdicts: Table::reopen::<VerdictRow>(dir, &kept)?,
            distributions: BTreeMap::new(),
            _lock: lock,
            path: dir.to_owned(),
        };
        let rows = read_summary(dir)?;
        for (row, identity) in rows.iter().zip(planned) {
            let read = |kind| read_hlog(&dir.join("hist").join(hlog_file_name(identity, kind)));
            let (known, censored) = (read(HistogramKind::Latency)?, read(HistogramKind::Censored)?);
            results.add_distribution(identity, row.valid, &Population::of(known, censored));
        }
        results.write_cdf()?;
        Ok((results, rows))
    }

    /// Where the results are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder for the processes' logs.
    pub fn logs_path(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Writes everything about one run. When this returns the files hold it.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn append(&mut self, run: &RunRecord) -> Result<(), MeasureError> {
        let rows = run.rows();
        self.write_histograms(run)?;
        self.verdicts.append(&rows.verdicts)?;
        self.networks.append(&rows.networks)?;
        self.knee.append(&rows.knee)?;
        self.latency.append(&rows.latency)?;
        self.replicas.append(&rows.replicas)?;
        self.timeseries.append(&rows.timeseries)?;
        self.events.append(&rows.events)?;
        self.gaps.append(&rows.gaps)?;
        self.returns.append(&rows.returns)?;
        self.kept.append(rows.kept.as_slice())?;
        self.recoveries.append(&rows.recoveries)?;
        // Last, since a reader takes a row here for a run that is all there.
        self.summary.append_summary(&rows.summary)?;
        self.add_distribution(&run.identity, run.verdict.valid, &run.merged().latency);
        self.write_cdf()
    }

    /// Rewrites the manifest.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), MeasureError> {
        manifest.write(&self.path)
    }

    fn write_histograms(&self, run: &RunRecord) -> Result<(), MeasureError> {
        let merged = run.merged();
        for (kind, histogram) in [
            (HistogramKind::Latency, merged.latency.known()),
            (HistogramKind::Censored, merged.latency.lower_bounds()),
            (HistogramKind::Service, merged.service.known()),
            (HistogramKind::Commit, run.merged_commit().known()),
            (HistogramKind::Execute, run.merged_execute().known()),
        ] {
            let path = self.path.join("hist").join(hlog_file_name(&run.identity, kind));
            write_hlog(&path, &run.identity, kind, run.started, run.elapsed, histogram)?;
        }
        Ok(())
    }

    fn add_distribution(&mut self, identity: &Identity, valid: bool, latency: &Population) {
        let Identity { protocol, driver, point, .. } = identity.clone();
        let distribution = self.distributions.entry((point, protocol, driver)).or_default();
        let merged = if valid { &mut distribution.valid } else { &mut distribution.not_valid };
        merged.repetitions += 1;
        merged.latency.merge(latency);
    }

    /// Rewrites `cdf.csv`, in one step: it holds merged figures, so rows cannot be appended.
    fn write_cdf(&self) -> Result<(), MeasureError> {
        let path = self.path.join(<CdfRow as CsvRow>::FILE);
        let scratch = self.path.join(".cdf");
        create_dir(&scratch)?;
        let mut table = Table::create::<CdfRow>(&scratch)?;
        for ((point, protocol, driver), distribution) in &self.distributions {
            table.append(&distribution.rows(protocol, driver, point))?;
        }
        fs::rename(scratch.join(<CdfRow as CsvRow>::FILE), &path)
            .and_then(|()| fs::remove_dir(&scratch))
            .map_err(|error| MeasureError::new(&path, error))
    }
}

impl Distribution {
    /// Runs that are not valid are drawn only where there are no others.
    fn rows(&self, protocol: &str, driver: &str, point: &str) -> Vec<CdfRow> {
        let valid = self.valid.repetitions > 0;
        let merged = if valid { &self.valid } else { &self.not_valid };
        merged
            .latency
            .distribution_us()
            .into_iter()
            .map(|(quantile, latency)| CdfRow {
                protocol: protocol.to_owned(),
                driver: driver.to_owned(),
                point: point.to_owned(),
                repetitions: merged.repetitions,
                valid,
                quantile: (quantile * 1e9).round() / 1e9,
                latency_us: latency.us,
                at_least: latency.at_least,
            })
            .collect()
    }
}

/// The runs at the beginning of the plan that are all there.
fn made(
    dir: &Path,
    planned: &[Identity],
    is_there: impl Fn(usize) -> bool,
) -> Result<Vec<RunKey>, MeasureError> {
    let path = dir.join(<SummaryRow as CsvRow>::FILE);
    let summary = whole_rows(&path)?;
    let cut_short = cut_short(dir)?;
    let mut made = Vec::new();
    for (place, (_, record)) in summary.rows.iter().enumerate() {
        let run = run_of(&summary.header, record);
        let plan = planned.get(place).map(key_of);
        let Some(run) = run.filter(|run| plan.as_ref() == Some(run)) else {
            let what = format!(
                "row {} is not run {0} of the plan: edited, or of another workload; run it anew",
                place + 1
            );
            return Err(MeasureError::new(&path, what));
        };
        let hist = dir.join("hist");
        let has_histogram = [HistogramKind::Latency, HistogramKind::Censored]
            .into_iter()
            .all(|kind| hist.join(hlog_file_name(&planned[place], kind)).exists());
        let cut_short = cut_short.contains(&run) && !is_violation(&summary.header, record);
        if cut_short || !has_histogram || !is_there(place) {
            break;
        }
        made.push(run);
    }
    Ok(made)
}

/// Whether a run contradicted itself: then it stays, however it ended.
fn is_violation(header: &[String], record: &csv::StringRecord) -> bool {
    ["linearizable", "replicas_agree"].iter().any(|column| {
        let at = header.iter().position(|name| name == column);
        at.and_then(|at| record.get(at)) == Some("false")
    })
}

/// The runs that a signal, or something that could not be done, ended before their time. A replica that died did not: that
/// is an outcome.
fn cut_short(dir: &Path) -> Result<Vec<RunKey>, MeasureError> {
    let events = whole_rows(&dir.join(<EventRow as CsvRow>::FILE))?;
    let column = events.header.iter().position(|name| name == "event");
    let rows = events.rows.iter().filter(|(_, record)| {
        let event = column.and_then(|column| record.get(column));
        event.is_some_and(|event| CUT_SHORT.contains(&event))
    });
    Ok(rows.filter_map(|(_, record)| run_of(&events.header, record)).collect())
}

fn key_of(identity: &Identity) -> RunKey {
    let Identity { protocol, driver, point, repetition, .. } = identity;
    (protocol.clone(), driver.clone(), point.clone(), *repetition)
}

/// Locks a directory for as long as the file that is returned stays open.
fn locked(dir: &Path) -> Result<File, MeasureError> {
    let lock = File::open(dir).map_err(|error| MeasureError::new(dir, error))?;
    for _ in 0..LOCK_ATTEMPTS_MAX {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            // A file system that knows no locks is no reason not to measure.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(lock),
        }
    }
    Err(MeasureError::new(dir, "a run is writing it: wait for its end, or stop it"))
}

fn create_unique(root: &Path, manifest: &Manifest) -> Result<PathBuf, MeasureError> {
    create_dir(root)?;
    let started: String =
        manifest.started_utc.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let stem = format!("{started}-{}-{}", file_safe(&manifest.name), manifest.seed);
    for attempt in 1..=COLLISIONS_MAX {
        let name = if attempt == 1 { stem.clone() } else { format!("{stem}-{attempt}") };
        let path = root.join(name);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(MeasureError::new(&path, error)),
        }
    }
    Err(MeasureError::new(&root.join(stem), "exists, and so do all its numbered neighbours"))
}

fn create_dir(path: &Path) -> Result<(), MeasureError> {
    fs::create_dir_all(path).map_err(|error| MeasureError::new(path, error))
}

/// Makes `<root>/latest` a link to `target`, in one step: at no moment is there no link.
fn point_latest(root: &Path, target: &Path) -> Result<(), MeasureError> {
    let latest = root.join("latest");
    let new = root.join(format!(".latest-{}", std::process::id()));
    let name = target.file_name().expect("the directory was just created under a name");
    let _ = fs::remove_file(&new);
    std::os::unix::fs::symlink(name, &new)
        .and_then(|()| fs::rename(&new, &latest))
        .map_err(|error| MeasureError::new(&latest, error))
}
