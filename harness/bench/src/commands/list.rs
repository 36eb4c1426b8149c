//! `bench list`: what there is to run.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use protocols::registry;
use workload::{Plan, Topology, Workload};

use crate::{
    exit::Failure,
    output::{self, folded},
    program,
    progress::short,
};

/// Where workload files are looked for.
const FOLDER: &str = "workloads";
/// Where site matrices are, inside it.
const TOPOLOGIES: &str = "topologies";

pub(crate) fn run() -> Result<ExitCode, Failure> {
    let mut text = "Protocols\n".to_owned();
    for protocol in registry::all() {
        let _ = writeln!(text, "  {:<12} {}", protocol.name, protocol.description);
    }
    let files = toml_files(Path::new(FOLDER));
    if files.is_empty() {
        let _ = writeln!(text, "\nNo workload files: there is no {FOLDER}/*.toml here");
    } else {
        let _ = writeln!(text, "\nWorkloads ({} run <file>)", program::name());
    }
    for file in files {
        text.push_str(&entry(&file));
    }
    let topologies = toml_files(&Path::new(FOLDER).join(TOPOLOGIES));
    if !topologies.is_empty() {
        text.push_str("\nTopologies (network.topology in a workload file)\n");
    }
    for file in topologies {
        text.push_str(&topology(&file));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// A file's name, its question, and how much there is to run; or what is wrong with it.
fn entry(file: &Path) -> String {
    let workload = match Workload::load(file, &[]) {
        Ok(workload) => workload,
        Err(error) => return format!("  {}\n    cannot be used: {error}\n", file.display()),
    };
    let plan = Plan::new(&workload);
    let mut text = format!(
        "  {}  ({} runs, about {})\n",
        file.display(),
        plan.runs.len(),
        short(plan.estimate())
    );
    for line in folded(workload.question.as_deref().unwrap_or("(opens with no question)")) {
        let _ = writeln!(text, "    {line}");
    }
    text
}

/// A topology's name, what it is, its sites and where its numbers come from; or what is wrong with it.
fn topology(file: &Path) -> String {
    let read = match Topology::load(file) {
        Ok(read) => read,
        Err(error) => return format!("  {}\n    cannot be used: {error}\n", file.display()),
    };
    let topology = read.topology;
    let name = topology.name.as_deref().unwrap_or("(no name)");
    let mut text = format!("  {name}  ({})\n", topology.sites.join(", "));
    let description = read.description.unwrap_or_else(|| "(opens with no description)".to_owned());
    for line in
        folded(&description).into_iter().chain(folded(&format!("Source: {}", topology.source)))
    {
        let _ = writeln!(text, "    {line}");
    }
    text
}
