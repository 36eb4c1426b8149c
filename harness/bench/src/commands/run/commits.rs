//! The commits of simulated runs, kept until a sweep is complete: the formulas' file holds all repetitions together, so a
//! sweep that is resumed needs those of the runs that were made before, to the nanosecond.

use std::{
    fs,
    path::{Path, PathBuf},
};

use run::{
    naming,
    simulated::formulas::{Commits, Formulas},
};
use serde::{Deserialize, Serialize};
use workload::Run;

use crate::exit::Failure;

/// Inside a results directory that is not complete.
const FOLDER: &str = ".commits";

/// The commits of one run, by site.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OfSites(Vec<Commits>);

impl OfSites {
    pub(super) fn of(commits_ns: &[Vec<u64>]) -> Self {
        Self(commits_ns.iter().map(|of_site| Commits::of(of_site)).collect())
    }

    pub(super) fn add_to(&self, formulas: &mut Formulas<'_>, run: &Run) {
        for (site, commits) in self.0.iter().enumerate() {
            formulas.add(run, site, commits);
        }
    }

    /// Writes them, before anything says that the run was made.
    pub(super) fn write(&self, results: &Path, run: &Run) -> Result<(), Failure> {
        let file = file(results, run);
        let text = serde_json::to_string(self).expect("counts are plain data");
        fs::create_dir_all(results.join(FOLDER))
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))
    }
}

fn file(results: &Path, run: &Run) -> PathBuf {
    results.join(FOLDER).join(format!("{}.json", naming::stem(run)))
}

/// Whether those of `run` are there.
pub(super) fn are_there(results: &Path, run: &Run) -> bool {
    file(results, run).is_file()
}

/// Reads those of `run`.
pub(super) fn read(results: &Path, run: &Run) -> Result<OfSites, Failure> {
    let file = file(results, run);
    let fail = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{}: {error}: run it anew", file.display()))
    };
    let text = fs::read_to_string(&file).map_err(|error| fail(&error))?;
    serde_json::from_str(&text).map_err(|error| fail(&error))
}

/// Removes all of them.
pub(super) fn forget(results: &Path) -> Result<(), Failure> {
    let folder = results.join(FOLDER);
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))
}
