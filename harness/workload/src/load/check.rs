//! What values must be to each other.

use super::fault_plan;
use crate::{
    document::Document,
    error::LoadError,
    model::{Arrival, Mode, Workload},
    plan::{POINTS_MAX, RUNS_MAX},
};

/// Refuses the first pair of values that contradict each other.
pub(super) fn together(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    mode(document, workload)?;
    leader(document, workload)?;
    size(document, workload)?;
    fault_plan::together(document, workload)
}

/// A key that its mode does not use may hold its default, and nothing else: nothing is read and then ignored.
fn mode(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let load = &workload.load;
    let window_above_1 = load.window.values().iter().any(|window| *window > 1);
    let refuse = |key: &str, remedy: &str| Err(document.error(key, remedy));
    match load.mode {
        Mode::Closed if window_above_1 => {
            return refuse("load.window", "must be 1 in a closed loop: use mode = \"pipelined\"");
        }
        Mode::Open if window_above_1 => {
            return refuse(
                "load.window",
                "must be 1: an open loop sends on time, whatever is outstanding",
            );
        }
        _ => {}
    }
    let rates = load.rate_ops_per_s.values();
    if load.mode == Mode::Open {
        if rates.iter().all(|rate| *rate > 0.0) {
            return Ok(());
        }
        return refuse("load.rate_ops_per_s", "must be above 0 in an open loop");
    }
    if rates.iter().any(|rate| *rate > 0.0) {
        return refuse(
            "load.rate_ops_per_s",
            "must be 0 outside an open loop: use mode = \"open\"",
        );
    }
    if load.arrival != Arrival::Poisson {
        return refuse("load.arrival", "goes with an open loop only: use mode = \"open\"");
    }
    Ok(())
}

pub(super) fn replicas_min(workload: &Workload) -> usize {
    workload.cluster.replicas.values().iter().copied().min().unwrap_or(0)
}

fn leader(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let smallest = replicas_min(workload);
    if workload.cluster.leader.values().iter().all(|leader| leader.index() < smallest) {
        return Ok(());
    }
    let remedy = format!("must be below {smallest}, the smallest number of replicas");
    Err(document.error("cluster.leader", remedy))
}

fn size(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    if workload.point_count() > POINTS_MAX {
        let swept = workload.sweeps().into_iter().filter(|(_, values)| *values > 1);
        let keys: Vec<&str> = swept.map(|(key, _)| key).collect();
        let remedy = format!(
            "{} swept together make {} points: must be at most {POINTS_MAX}, shorten a list",
            keys.join(", "),
            workload.point_count(),
        );
        return Err(LoadError::of_file(&document.origin.file, remedy));
    }
    let runs = workload.point_count() * workload.protocols.len() * workload.repetitions as usize;
    if runs > RUNS_MAX {
        let remedy = format!("makes {runs} runs: must be at most {RUNS_MAX} in all");
        return Err(document.error("repetitions", remedy));
    }
    Ok(())
}
