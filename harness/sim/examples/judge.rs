//! Judges the cores of this build: do hostile seeds, or a golden script, accuse them of breaking a
//! rule?
//!
//! `scripts/mutants` builds it with a mistake in the tree, and asks:
//!
//! * `judge soak protocol=epaxos variant=sosp13 seeds=400` runs the seeds from 0 on, each as `bench
//!   soak` does, and stops at the lowest one that breaks a rule.
//! * `judge script epaxos/sutra_trace` follows the script as far as it goes
//!   (`protocols/testdata/README.md`).
//!
//! It exits with 0 if nothing is wrong, with 1 if a rule is broken, which its last line names, and
//! with 2 if it is asked for something that does not exist.

#[path = "../../../protocols/tests/support/script/mod.rs"]
mod script;

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use protocols::{Protocol, Replica, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};
use script::{Mode, Words};
use sim::{Hostility, Outcome, Scenario, Violation, hostile, run};

/// As hostile as `bench soak`.
const HOSTILITY: Hostility = Hostility { replicas: None, faults: 20, crashes: true };

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let judged = match words[..] {
        ["soak", ref options @ ..] => soak(options),
        ["script", name] => golden(name),
        _ => Err("use `judge soak protocol=P [variant=V] seeds=N` or `judge script NAME`".into()),
    };
    match judged {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(broken)) => {
            println!("{broken}");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}

/// The lowest of the seeds that breaks a rule, and the rule.
fn soak(options: &[&str]) -> Result<Option<String>, String> {
    let (mut protocol, mut variant, mut seeds) = (None, None, None);
    for option in options {
        let bad = || format!("{option}: use protocol=P, variant=V or seeds=N");
        match option.split_once('=').ok_or_else(bad)? {
            ("protocol", name) => protocol = Some(name.parse::<Protocol>().map_err(|_| bad())?),
            ("variant", name) => variant = Some(name),
            ("seeds", number) => seeds = Some(number.parse::<u64>().map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    let (Some(protocol), Some(seeds)) = (protocol, seeds) else {
        return Err("a soak needs protocol=P and seeds=N".into());
    };
    if let Some(name) = variant
        && !protocol.variants().iter().any(|choice| choice.name == name)
    {
        return Err(format!("{protocol} has no variant {name}"));
    }
    let cores: [(Protocol, Run); 3] = [
        (Paxos::PROTOCOL, run::<Paxos>),
        (MultiPaxos::PROTOCOL, run::<MultiPaxos>),
        (EPaxos::PROTOCOL, run::<EPaxos>),
    ];
    let core = cores.into_iter().find(|(other, _)| *other == protocol);
    let (_, run) = core.ok_or_else(|| format!("{protocol} has no mutants"))?;
    silence_panics();
    let (next, found) = (AtomicU64::new(0), Mutex::new(None));
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let mut scenario = Scenario { trace_lines_max: 0, ..hostile(seed, &HOSTILITY) };
                    if let Some(name) = variant {
                        protocol.choose_variant(&mut scenario.config.options, name);
                    }
                    let Err(violation) = run(&scenario) else { continue };
                    let rule = format!("{:?}", violation.breach.broken);
                    // No thread takes another; those that are under way may be lower.
                    next.fetch_max(seeds, Ordering::Relaxed);
                    let mut lowest = found.lock().unwrap_or_else(|_| std::process::abort());
                    if lowest.as_ref().is_none_or(|(other, _)| seed < *other) {
                        *lowest = Some((seed, rule));
                    }
                }
            });
        }
    });
    let lowest = found.into_inner().map_err(|error| error.to_string())?;
    Ok(lowest.map(|(seed, rule)| format!("seed {seed}: {rule}")))
}

type Run = fn(&Scenario) -> Result<Outcome, Violation>;

/// The rule or expectation of a golden script that the cores break.
fn golden(name: &str) -> Result<Option<String>, String> {
    let path = format!("{}/../../protocols/testdata/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    silence_panics();
    match name.split('/').next() {
        Some("paxos") => Ok(followed::<Paxos>(&text)),
        Some("multi_paxos") => Ok(followed::<MultiPaxos>(&text)),
        Some("epaxos" | "epaxos_sosp13") => Ok(followed::<EPaxos>(&text)),
        _ => Err(format!("{name}: no core belongs to this folder")),
    }
}

fn followed<R: Words>(text: &str) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| script::run::<R>(text, Mode::Lenient))) {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(rule(&error)),
        Err(_) => Some("Assertion".to_owned()),
    }
}

/// The rule in a script's complaint; what a script expects beyond the invariants is its own rule.
fn rule(error: &str) -> String {
    let signs =
        [("agreement:", "Agreement"), ("visibility:", "Visibility"), ("liveness:", "Liveness")];
    let named = signs.into_iter().find(|(sign, _)| error.contains(sign));
    named.map_or("Expectation", |(_, rule)| rule).to_owned()
}

/// A core that fails an assertion need not say so: that is a broken rule.
fn silence_panics() {
    std::panic::set_hook(Box::new(|_| ()));
}
