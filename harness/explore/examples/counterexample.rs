//! Looks for a broken rule of this build's cores in one small configuration.
//!
//! `scripts/mutants` builds it with a mistake in the tree, and asks:
//! `counterexample protocol=epaxos variant=sosp13 configuration=short-form states=4000000`.
//!
//! It exits with 0 if no state so far breaks a rule, with 1 if one does, whose rule and number of
//! events are in its last line, and with 2 if it is asked for something that does not exist.

use std::process::ExitCode;

use explore::{Limits, Setup, Subject, explore};
use protocols::{Protocol, Replica, epaxos::EPaxos, multi_paxos::MultiPaxos, paxos::Paxos};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match looked_for(&arguments) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(broken)) => {
            println!("{broken}");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("counterexample: {error}");
            ExitCode::from(2)
        }
    }
}

fn looked_for(options: &[String]) -> Result<Option<String>, String> {
    let (mut protocol, mut variant) = (None, None);
    let (mut configuration, mut states) = (None, None);
    for option in options {
        let bad = || format!("{option}: use protocol=P, variant=V, configuration=C or states=N");
        match option.split_once('=').ok_or_else(bad)? {
            ("protocol", name) => protocol = Some(name.parse::<Protocol>().map_err(|_| bad())?),
            ("variant", name) => variant = Some(name),
            ("configuration", name) => configuration = Some(name),
            ("states", number) => states = Some(number.parse::<usize>().map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    let (Some(protocol), Some(name), Some(states)) = (protocol, configuration, states) else {
        return Err("use protocol=P [variant=V] configuration=C states=N".to_owned());
    };
    // A core that fails an assertion need not say so: that is a broken rule.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !explore::is_stepping() {
            usual(panic);
        }
    }));
    let cores: [(Protocol, Explored); 3] = [
        (Paxos::PROTOCOL, explored::<Paxos>),
        (MultiPaxos::PROTOCOL, explored::<MultiPaxos>),
        (EPaxos::PROTOCOL, explored::<EPaxos>),
    ];
    let core = cores.into_iter().find(|(other, _)| *other == protocol);
    let (_, explored) = core.ok_or_else(|| format!("{protocol} has no mutants"))?;
    explored(variant.or(protocol.usual_variant()), name, states)
}

type Explored = fn(Option<&str>, &str, usize) -> Result<Option<String>, String>;

fn explored<R: Subject>(
    variant: Option<&str>,
    name: &str,
    states: usize,
) -> Result<Option<String>, String> {
    let named = |setup: &Setup<R>| {
        setup.name == name && R::PROTOCOL.variant_of(&setup.config.options) == variant
    };
    let setup = R::setups().into_iter().find(named);
    let setup = setup.ok_or_else(|| format!("{} has no configuration {name}", R::PROTOCOL))?;
    let limits = Limits { states_max: Some(states), ..Limits::default() };
    let found = explore(&setup, &limits).counterexample;
    Ok(found.map(|found| format!("{} after {} events", found.breach.rule, found.events)))
}
