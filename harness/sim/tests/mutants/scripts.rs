//! The golden scripts against a mutant: followed as far as they go, with the invariants and expectations as judges.

use std::panic::{AssertUnwindSafe, catch_unwind};

use protocols::{
    epaxos::{EPaxos, Variant},
    multi_paxos::MultiPaxos,
    mutant::Mutant,
    paxos::Paxos,
};

use crate::{
    Subject,
    script::{self, Mode, Words},
};

/// A script that a mutant fails.
pub(crate) struct Kill {
    /// The script.
    pub(crate) script: String,
    /// Which rule it broke.
    pub(crate) rule: String,
}

/// The scripts of `subject` that the mutant fails.
pub(crate) fn kills(mutant: Option<Mutant>, subject: Subject) -> Vec<Kill> {
    match (subject.protocol.name(), subject.variant) {
        ("paxos", _) => failed::<Paxos>(mutant, "paxos"),
        ("multi-paxos", _) => failed::<MultiPaxos>(mutant, "multi_paxos"),
        (_, Variant::Star) => failed::<EPaxos>(mutant, "epaxos"),
        (_, Variant::Sosp13) => failed::<EPaxos>(mutant, "epaxos_sosp13"),
    }
}

fn failed<R: Words>(mutant: Option<Mutant>, folder: &str) -> Vec<Kill> {
    let path = format!("{}/../../protocols/testdata/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let kills = files.into_iter().filter_map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        let run = || script::run::<R>(&text, Mode::Lenient, &|config| config.mutant = mutant);
        let rule = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => rule(&error),
            Err(_) => "Assertion".to_owned(),
        };
        let script = format!("{folder}/{}", file.file_stem().unwrap().to_str().unwrap());
        Some(Kill { script, rule })
    });
    kills.collect()
}

/// The rule in a script's complaint; what a script expects beyond the invariants is its own rule.
fn rule(error: &str) -> String {
    for (sign, rule) in
        [("agreement:", "Agreement"), ("visibility:", "Visibility"), ("liveness:", "Liveness")]
    {
        if error.contains(sign) {
            return rule.to_owned();
        }
    }
    "Expectation".to_owned()
}
