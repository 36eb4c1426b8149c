//! Taking a target through many cases.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{Target, corpus, mutate::mutated};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many cases.
    Cases(u64),
    /// After so long.
    Elapsed(Duration),
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Inputs given to the target.
    pub cases: u64,
    /// How many of them it accepted.
    pub accepted: u64,
}

/// Gives `target` its corpus as it is, then mangled.
///
/// # Errors
/// The input at which it panicked, in words, or that its corpus cannot be read, or that it does not accept that.
pub fn run(target: &Target, seed: u64, until: Until) -> Result<Tried, String> {
    let corpus = corpus::read(target.name).map_err(|error| {
        format!("{}: no corpus: {error}: make it with `-- make-corpus`", target.name)
    })?;
    let mut tried = Tried::default();
    for input in &corpus {
        if !case(target, input)? {
            return Err(format!(
                "{}: its corpus is not accepted any more: make it anew with `-- make-corpus`: {}",
                target.name,
                hex(input)
            ));
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let begin = Instant::now();
    loop {
        let over = match until {
            Until::Cases(cases) => tried.cases >= cases,
            Until::Elapsed(time) => begin.elapsed() >= time,
        };
        if over {
            return Ok(tried);
        }
        let input = mutated(&corpus, &mut random);
        tried.cases += 1;
        tried.accepted += u64::from(case(target, &input)?);
    }
}

/// One input: accepted or not.
fn case(target: &Target, input: &[u8]) -> Result<bool, String> {
    panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)))
        .map_err(|_| format!("{}: panicked at {}", target.name, hex(input)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
