//! `cargo run --release -p fuzz --example fuzz -- <target|all> <seconds> [seed]`, or `-- make-corpus`.

use std::{process::ExitCode, time::Duration};

use fuzz::{
    TARGETS, corpus,
    run::{Until, run},
    samples,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match fuzz(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(arguments: &[&str]) -> Result<(), String> {
    let (name, seconds, seed) = match arguments {
        ["make-corpus"] => return make_corpus(),
        [name, seconds] => (name, seconds, "1"),
        [name, seconds, seed] => (name, seconds, *seed),
        _ => return Err(usage()),
    };
    let number =
        |text: &str| text.parse().map_err(|_| format!("{text}: not a number; {}", usage()));
    let (seconds, seed) = (number(seconds)?, number(seed)?);
    let chosen = TARGETS.iter().filter(|target| *name == "all" || target.name == *name);
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() {
        return Err(format!("{name}: no such target; {}", usage()));
    }
    for target in chosen {
        let tried = run(target, seed, Until::Elapsed(Duration::from_secs(seconds)))?;
        println!("{}: {} cases, {} accepted", target.name, tried.cases, tried.accepted);
    }
    Ok(())
}

fn make_corpus() -> Result<(), String> {
    for (name, inputs) in samples::all() {
        corpus::write(name, &inputs).map_err(|error| format!("{name}: {error}"))?;
        println!("{name}: {} inputs", inputs.len());
    }
    Ok(())
}

fn usage() -> String {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    format!("say <target> <seconds> [seed], or make-corpus; targets: all {}", names.join(" "))
}
