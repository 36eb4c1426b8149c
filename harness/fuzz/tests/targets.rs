//! A few thousand cases of every target; with `FUZZ_SECONDS` as many as fit into so long a time for each.

use std::time::Duration;

use fuzz::{
    TARGETS,
    run::{Until, run},
};

/// Chosen: all targets together take seconds.
const CASES: u64 = 2_000;
const CASES_IN_FILES: u64 = 100;
/// Any would do; it is the same every time.
const SEED: u64 = 1;

#[test]
fn no_decoder_falls_for_mangled_input() {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds: Option<u64> =
        seconds.map(|seconds| seconds.parse().expect("FUZZ_SECONDS is a number of seconds"));
    let mut failures = Vec::new();
    for target in TARGETS {
        let cases = if target.uses_files { CASES_IN_FILES } else { CASES };
        let until = seconds
            .map_or(Until::Cases(cases), |seconds| Until::Elapsed(Duration::from_secs(seconds)));
        match run(target, SEED, until) {
            Ok(tried) => println!("{}: {tried:?}", target.name),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_target_has_a_name_of_its_own() {
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TARGETS.len());
}
