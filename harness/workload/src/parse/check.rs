//! What values must be to each other.

use protocols::command::VALUE_BYTES_MAX;
use toml::Value;

use super::{fault_plan, returns};
use crate::{
    document::Document,
    error::LoadError,
    model::{Arrival, Driver, Mode, Rate, Workload},
    plan::{POINTS_MAX, RUNS_MAX},
    sweep::Sweep,
};

const RATE: &str = "load.rate_ops_per_s";

/// Refuses the first pair of values that contradict each other.
pub(super) fn together(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    mode(document, workload)?;
    mix(document, workload)?;
    leader(document, workload)?;
    size(document, workload)?;
    fault_plan::together(document, workload)?;
    returns::together(document, workload)
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
    let is_zero = |rate: &Rate| *rate == Rate::OpsPerS(0.0);
    if load.mode == Mode::Open {
        if rates.iter().any(is_zero) {
            return refuse(RATE, "must be above 0 in an open loop");
        }
        return requests(document, workload);
    }
    if !rates.iter().all(is_zero) {
        return refuse(RATE, "must be 0 outside an open loop: use mode = \"open\"");
    }
    if load.arrival != Arrival::Poisson {
        return refuse("load.arrival", "goes with an open loop only: use mode = \"open\"");
    }
    Ok(())
}

/// How many appends there may be to a put or a delete, which end a value's growth.
/// chosen: a value then has 16 appends on average at most, and none has the thousands by which one
/// would be too long.
const APPENDS_PER_END_MAX: f64 = 16.0;
/// chosen: appends have as much room as what they are put on the end of.
const APPENDED_VALUE_BYTES_MAX: usize = VALUE_BYTES_MAX / 2;

/// Appends, deletes and compare-and-sets are parts of the writes, and something ends the growth
/// that appends are.
fn mix(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    const APPEND: &str = "commands.append_ratio";
    /// What adding a few shares may be wrong by.
    const ROUNDING: f64 = 1e-9;
    let commands = &workload.commands;
    let bound = |ratio: &Sweep<f64>, pick: fn(f64, f64) -> f64| {
        ratio.values().iter().copied().reduce(pick).unwrap_or(0.0)
    };
    let parts = [
        (APPEND, &commands.append_ratio),
        ("commands.delete_ratio", &commands.delete_ratio),
        ("commands.cas_ratio", &commands.cas_ratio),
    ];
    let together: f64 = parts.iter().map(|(_, ratio)| bound(ratio, f64::max)).sum();
    let writes = bound(&commands.write_ratio, f64::min);
    if together > writes + ROUNDING {
        let given = parts.iter().find(|(key, _)| document.value(key).is_some());
        let key = given.map_or(APPEND, |(key, _)| key);
        let remedy = format!(
            "appends, deletes and compare-and-sets are writes: together they must be at most \
             write_ratio = {writes}, lower them or raise it"
        );
        return Err(document.error(key, remedy));
    }
    let appends = bound(&commands.append_ratio, f64::max);
    let ends = writes - together + bound(&commands.delete_ratio, f64::min);
    if appends > APPENDS_PER_END_MAX * ends + ROUNDING {
        let remedy = format!(
            "values would grow without end: must be at most {APPENDS_PER_END_MAX} times the share \
             of puts and deletes"
        );
        return Err(document.error(APPEND, remedy));
    }
    let is_long = |bytes: &usize| *bytes > APPENDED_VALUE_BYTES_MAX;
    if appends > 0.0 && commands.value_bytes.values().iter().any(is_long) {
        let remedy = format!("must be at most {APPENDED_VALUE_BYTES_MAX} with appends");
        return Err(document.error("commands.value_bytes", remedy));
    }
    Ok(())
}

/// Of an open loop at least one request must be due, and a search must be able to end.
fn requests(document: &Document, workload: &Workload) -> Result<(), LoadError> {
    let load = &workload.load;
    let whole_s = load.warmup_s + load.duration_s;
    let too_low = |key: &str, rate: f64, value: Option<&Value>| {
        let remedy = format!(
            "no request is due: fewer than one in {} s, warm-up included: must be at least {}",
            (whole_s * 1e6).round() / 1e6,
            (1e6 / whole_s).ceil() / 1e6
        );
        let error = || Err(document.origin.error(key, value, remedy));
        if rate * whole_s < 1.0 { error() } else { Ok(()) }
    };
    if let Some(search) = load.search {
        if workload.cluster.driver == Driver::Sim && workload.costs_nothing() {
            let remedy = "has no end where simulated work costs nothing: give [sim] a cost";
            return Err(document.error(RATE, remedy));
        }
        let key = "load.rate_start_ops_per_s";
        return too_low(key, search.rate_start_ops_per_s, document.value(key));
    }
    for (place, rate) in load.rate_ops_per_s.values().iter().enumerate() {
        if let Rate::OpsPerS(rate) = *rate {
            let value = document.value(RATE);
            let of_list = value.and_then(Value::as_array).and_then(|list| list.get(place));
            too_low(RATE, rate, of_list.or(value))?;
        }
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
        let sweeps = workload.sweeps();
        let swept = sweeps.iter().filter(|swept| swept.values > 1);
        let keys: Vec<&str> = swept.map(|swept| swept.key).collect();
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
