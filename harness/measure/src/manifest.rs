//! `manifest.json`: everything needed to run a measurement again and to judge where it was made.
//!
//! It is written when a run starts, with `complete = false`, and rewritten when it ends.

use std::{fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::MeasureError,
    host::{Host, load_average},
    utc::utc_text,
    verdict::Limits,
};

/// The file's name inside a results directory.
pub(crate) const FILE: &str = "manifest.json";

/// How a set of results came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The workload's name.
    pub name: String,
    /// The question that the workload file opens with. Results of older versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The seed everything was drawn from.
    pub seed: u64,
    /// Whether every planned run was made.
    pub complete: bool,
    /// When the first run started, UTC, as 2026-01-31T12:00:00Z.
    pub started_utc: String,
    /// When the last run ended; absent while running or after a crash.
    pub ended_utc: Option<String>,
    /// Planned time per run.
    pub duration_s: f64,
    /// Planned warm-up per run, excluded from all figures.
    pub warmup_s: f64,
    /// Number of runs planned: protocols × points × repetitions.
    pub runs_planned: u64,
    /// The command that was typed.
    pub command_line: Vec<String>,
    /// The workload in full, defaults included.
    pub workload: Value,
    /// The timeouts used, in milliseconds, by name (and by point where they differ).
    pub timeouts: Value,
    /// The limits by which runs were judged.
    pub limits: Limits,
    /// What was built.
    pub versions: Versions,
    /// What was measured on.
    pub host: Host,
    /// Load averages when it started.
    pub load_average_before: Option<[f64; 3]>,
    /// Load averages when it ended.
    pub load_average_after: Option<[f64; 3]>,
    /// What a reader of the results should know.
    pub warnings: Vec<String>,
    /// Each time that an interrupted sweep was continued; results of older versions do not have it.
    #[serde(default)]
    pub resumed: Vec<Resumed>,
}

/// When, with what and where an interrupted sweep was continued.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// When, UTC, as 2026-01-31T12:00:00Z.
    pub at_utc: String,
    /// How many runs were there already.
    pub runs_kept: u64,
    /// What was built.
    pub versions: Versions,
    /// What was measured on.
    pub host: Host,
    /// In what it differs from how the sweep began, if that was forced.
    pub forced: Vec<String>,
}

/// What was built, from what, with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This project's version.
    pub version: String,
    /// The compiler, if it was known at build time.
    pub rustc: Option<String>,
    /// The commit checked out in the working directory; `None` outside a repository.
    pub git: Option<Git>,
}

/// The state of a checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit's full hash.
    pub commit: String,
    /// Whether the tree had no changes.
    pub clean: bool,
}

impl Manifest {
    /// A manifest of a run that starts now on this host. The caller fills in its own fields.
    pub fn starting(name: &str, seed: u64, workload: Value) -> Self {
        Self {
            name: name.to_owned(),
            question: None,
            seed,
            complete: false,
            started_utc: utc_text(std::time::SystemTime::now()),
            ended_utc: None,
            duration_s: 0.0,
            warmup_s: 0.0,
            runs_planned: 0,
            command_line: std::env::args().collect(),
            workload,
            timeouts: Value::Null,
            limits: Limits::default(),
            versions: Versions::current(),
            host: Host::probe(),
            load_average_before: load_average(),
            load_average_after: None,
            warnings: Vec::new(),
            resumed: Vec::new(),
        }
    }

    /// In what this build, checkout and host differ from those that the sweep began with, as `commit (0123456789 and
    /// 9876543210)`.
    pub fn differing_here(&self) -> Vec<String> {
        let (versions, host) = (Versions::current(), Host::probe());
        let commit = |versions: &Versions| {
            versions.git.as_ref().map_or("unknown".to_owned(), |git| format!("{:.10}", git.commit))
        };
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let cores =
            |host: &Host| host.cores.map_or("unknown".to_owned(), |cores| cores.to_string());
        [
            ("version", self.versions.version.clone(), versions.version.clone()),
            ("commit", commit(&self.versions), commit(&versions)),
            ("host", known(&self.host.hostname), known(&host.hostname)),
            ("CPU", known(&self.host.cpu), known(&host.cpu)),
            ("cores", cores(&self.host), cores(&host)),
        ]
        .into_iter()
        .filter(|(_, began, here)| began != here)
        .map(|(what, began, here)| format!("{what} ({began} and {here})"))
        .collect()
    }

    /// Notes that an interrupted sweep goes on, with `runs_kept` runs made before; `forced` is in what it differs from how it
    /// began. A reader of its tables is told of that.
    pub fn resume(&mut self, runs_kept: u64, forced: Vec<String>) {
        let at_utc = utc_text(std::time::SystemTime::now());
        if !forced.is_empty() {
            let differing = forced.join(", ");
            self.warnings.push(format!(
                "resumed at {at_utc} after {runs_kept} runs with another {differing}: they are not alike"
            ));
        }
        self.complete = false;
        self.ended_utc = None;
        self.load_average_after = None;
        let (versions, host) = (Versions::current(), Host::probe());
        self.resumed.push(Resumed { at_utc, runs_kept, versions, host, forced });
    }

    /// Notes the end of the last run.
    pub fn end(&mut self, complete: bool) {
        self.complete = complete;
        self.ended_utc = Some(utc_text(std::time::SystemTime::now()));
        self.load_average_after = load_average();
    }

    /// Reads the manifest of a results directory.
    ///
    /// # Errors
    /// If it is missing or not a manifest.
    pub fn read(dir: &Path) -> Result<Self, MeasureError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).map_err(|error| {
            MeasureError::new(&path, format!("{error}; is this a results directory?"))
        })?;
        serde_json::from_str(&text).map_err(|error| MeasureError::new(&path, error))
    }

    /// Writes the manifest into a results directory, in one step: a reader sees the old one or the new one.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), MeasureError> {
        let path = dir.join(FILE);
        let mut text =
            serde_json::to_string_pretty(self).map_err(|error| MeasureError::new(&path, error))?;
        text.push('\n');
        let new = dir.join(".manifest.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| MeasureError::new(&path, error))
    }
}

impl Versions {
    /// Of this build, in this working directory.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: option_env!("MEASURE_RUSTC_VERSION").map(str::to_owned),
            git: Git::of(Path::new(".")),
        }
    }
}

impl Git {
    /// The checkout that `dir` is in; `None` if there is none, or no git to ask.
    pub fn of(dir: &Path) -> Option<Self> {
        let ask = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
        };
        let commit = ask(&["rev-parse", "HEAD"])?.trim().to_owned();
        let clean = ask(&["status", "--porcelain"])?.trim().is_empty();
        Some(Self { commit, clean })
    }
}
