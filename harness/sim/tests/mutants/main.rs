//! Every mutant is noticed: by a golden script, by a hostile seed, or by both.
//!
//! `MUTANTS=write cargo test --release -p sim --features mutants --test mutants` looks for every mutant with as many seeds
//! as it takes and writes the table of `results/reference/mutants.md`; without it, the mutants that the soak is known to
//! miss are left to the scripts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../protocols/tests/support/script/mod.rs"]
mod script;
mod scripts;
mod soak;
mod table;

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    sync::{Mutex, Once},
    thread,
};

use protocols::{Protocol, epaxos::Variant, mutant::Mutant};

use table::Row;

/// How many seeds a mutant may survive. chosen: several times what the hardest one needs that is not left to the scripts.
const SEEDS_MAX: u64 = 2_000;

/// What random schedules come to seldom or never, and is left to the scripts. The first two make recoveries wait for each
/// other for ever, while the replicas that could end it stay down: the soak mends everything in the end. The third needs a
/// Validate that arrives twice, the second time when its recovery is over, and then another recovery without the others that
/// took part; the fourth an owner's Accept that a whole recovery overtakes; the last seven replicas, of which an owner and the
/// right three are away at once. That is about one seed in a thousand, and one in a few hundred. A promise that a checkpoint
/// forgets matters if its replica restarts between the promise and the acceptance that follows it within a round trip; logs that
/// a checkpoint collects, if two replicas have each dropped what the other lacks and those that lack nothing stay down.
const BEYOND_THE_SOAK: [(Mutant, Protocol); 9] = [
    (Mutant::SnapshotWithoutPromises, protocols::paxos::PROTOCOL),
    (Mutant::SnapshotWithoutPromises, protocols::multi_paxos::PROTOCOL),
    (Mutant::SnapshotWithoutPromises, protocols::epaxos::PROTOCOL),
    (Mutant::CheckpointCollects, protocols::epaxos::PROTOCOL),
    (Mutant::AnyMatching, protocols::epaxos::PROTOCOL),
    (Mutant::NoRowOwnerRule, protocols::epaxos::PROTOCOL),
    (Mutant::NoPhaseGuard, protocols::epaxos::PROTOCOL),
    (Mutant::PromiseIgnored, protocols::epaxos::PROTOCOL),
    (Mutant::MajorityIsFast, protocols::epaxos::PROTOCOL),
];

/// Cores that are made to fail their assertions need not say so.
fn silence_panics_of_cores() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_a_test = panic.location().is_some_and(|at| at.file().contains("mutants"));
            if of_a_test {
                usual(panic);
            }
        }));
    });
}

/// Is it left to the scripts? Of the published variant none is.
fn is_beyond_the_soak(mutant: Mutant, subject: Subject) -> bool {
    subject != PUBLISHED && BEYOND_THE_SOAK.contains(&(mutant, subject.protocol))
}

/// A protocol, and of EPaxos which one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Subject {
    protocol: Protocol,
    variant: Variant,
}

impl Subject {
    /// All that can be wrong.
    fn all() -> impl Iterator<Item = Self> {
        let corrected = [
            protocols::paxos::PROTOCOL,
            protocols::multi_paxos::PROTOCOL,
            protocols::epaxos::PROTOCOL,
        ]
        .map(|protocol| Self { protocol, variant: Variant::Star });
        corrected.into_iter().chain([PUBLISHED])
    }

    /// Those that make the mistake.
    fn of(mutant: Mutant) -> impl Iterator<Item = Self> {
        let corrected = mutant.protocols().iter();
        let corrected =
            corrected.map(|protocol| Self { protocol: *protocol, variant: Variant::Star });
        corrected.chain(mutant.is_of_published_variant().then_some(PUBLISHED))
    }
}

const PUBLISHED: Subject =
    Subject { protocol: protocols::epaxos::PROTOCOL, variant: Variant::Sosp13 };

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant {
            Variant::Star => self.protocol.fmt(f),
            variant => write!(f, "{} {variant}", self.protocol),
        }
    }
}

fn judge(mutant: Mutant, subject: Subject, thorough: bool) -> Row {
    let scripts = scripts::kills(Some(mutant), subject);
    let by_soak = thorough || !is_beyond_the_soak(mutant, subject);
    let soak = by_soak.then(|| soak::kill(Some(mutant), subject, 0..SEEDS_MAX)).flatten();
    let row = Row { mutant, subject, soak, scripts };
    println!("{row}");
    row
}

#[test]
fn every_mutant_is_noticed() {
    silence_panics_of_cores();
    let thorough = std::env::var("MUTANTS").is_ok_and(|mode| mode == "write");
    let jobs: VecDeque<_> =
        Mutant::ALL.iter().flat_map(|m| Subject::of(*m).map(|subject| (*m, subject))).collect();
    let (jobs, rows) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((mutant, subject)) = jobs.lock().unwrap().pop_front() else { return };
                    let row = judge(mutant, subject, thorough);
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|row| (row.mutant, row.subject.protocol, row.subject == PUBLISHED));
    if thorough {
        table::write(&rows);
    }
    let survivors: Vec<_> = rows.iter().filter(|row| !row.is_killed()).collect();
    assert!(survivors.is_empty(), "nothing notices {survivors:#?}");
    for row in &rows {
        let expected = !is_beyond_the_soak(row.mutant, row.subject);
        assert!(row.soak.is_some() || !expected, "the soak misses {row}");
    }
    table::check(&rows);
}

/// Without a mutant nothing is noticed: neither script nor seed accuses what is right.
#[test]
fn the_cores_as_they_are_break_no_rule() {
    silence_panics_of_cores();
    for subject in Subject::all() {
        let scripts = scripts::kills(None, subject);
        assert!(scripts.is_empty(), "{:?}", scripts.iter().map(|k| &k.script).collect::<Vec<_>>());
        let soak = soak::kill(None, subject, 0..50);
        assert!(soak.is_none(), "{subject}: {:?}", soak.map(|kill| (kill.seeds, kill.rule)));
    }
}
