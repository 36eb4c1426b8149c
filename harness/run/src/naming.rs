//! Which run is which: in rows of results, and in the names of files.

use measure::{Identity, LoadMode};
use workload::{Driver, Mode, Run};

/// What stands before the number of a step in its name.
const STEP: &str = "-step";

/// Which run this is, for results.
pub fn identity(run: &Run, driver: Driver) -> Identity {
    let point = &run.point;
    let count = |number: usize| u32::try_from(number).expect("workloads are checked to be smaller");
    Identity {
        protocol: run.protocol.name().to_owned(),
        driver: driver.name().to_owned(),
        point: point.canonical(),
        repetition: run.repetition,
        replicas: count(point.replicas),
        mode: match point.mode {
            Mode::Closed => LoadMode::Closed,
            Mode::Pipelined => LoadMode::Pipelined,
            Mode::Open => LoadMode::Open,
        },
        conflict_rate: point.conflict_rate(),
        clients: count(point.clients.clients()),
        window: count(point.window),
        rate_ops_per_s: point.open_rate(),
        value_bytes: point.value_bytes as u64,
        swept: point
            .swept()
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    }
}

/// A run's name in file names; that of a step begins with that of its search.
pub fn stem(run: &Run) -> String {
    let point = run.point.canonical().replace(' ', ",");
    let step = run.step.map_or_else(String::new, |step| format!("{STEP}{step}"));
    format!("{}-{point}-r{}{step}", run.protocol.name(), run.repetition)
}

/// Is `name` the one that a run or a step of its search has in file names, if `stem` is the run's?
pub fn is_of(stem: &str, name: &str) -> bool {
    let is_step = |rest: &str| {
        let step = rest.strip_prefix(STEP);
        step.is_some_and(|step| step.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || is_step(rest))
}

#[cfg(test)]
mod tests {
    use workload::{Plan, Workload};

    use super::*;

    #[test]
    fn a_run_and_the_steps_of_its_search_have_names_of_their_own() {
        let text = "name = \"x\"\nload.window = [1]\nprotocols = [\"epaxos\"]";
        let run = Plan::new(&Workload::parse("x.toml", text, &[]).unwrap()).runs[0].clone();
        let (of_run, of_step) = (stem(&run), stem(&run.at(12, 5.0)));
        assert_eq!(of_run, "epaxos-window=1-r1");
        assert_eq!(of_step, "epaxos-window=1-r1-step12");
        assert!(is_of(&of_run, &of_run) && is_of(&of_run, &of_step));
        for other in ["epaxos-window=1-r12", "epaxos-window=1-r1-stepx", "paxos-window=1-r1", ""] {
            assert!(!is_of(&of_run, other), "{other}");
        }
    }
}
