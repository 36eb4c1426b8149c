//! Both methods against each other and against every order tried by hand, on thousands of small random histories.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    Budget, Kind, Operation, Outcome, Verdict, ordered,
    register::{self, Access},
    search::{Found, search},
    unique::{self, Unique},
};

/// A random history, and the positions of the writes that took effect, in their order.
struct Drawn {
    operations: Vec<Operation>,
    writes: Vec<usize>,
}

/// What may occur in a random history.
#[derive(Clone, Copy)]
struct Shape {
    operations: usize,
    processes: u64,
    /// Of 100 operations, how many get no answer.
    unanswered: u32,
    /// The kinds drawn from: g, p, d, a, c.
    kinds: &'static [u8],
    /// Are values written once only?
    unique: bool,
}

/// A history of a register that is atomic, with answers changed at random where `lies`.
fn random(shape: Shape, lies: bool, rng: &mut ChaCha8Rng) -> Drawn {
    let mut free_at = vec![0u64; usize::try_from(shape.processes).unwrap()];
    let mut planned = Vec::new();
    for number in 0..shape.operations {
        let process = rng.random_range(0..free_at.len());
        let invoke = free_at[process] + rng.random_range(0..4u64);
        let point = invoke + rng.random_range(0..6u64);
        let returned = point + rng.random_range(0..6u64);
        free_at[process] = returned + 1;
        planned.push((point, invoke, returned, process as u64, number));
    }
    planned.sort_unstable();
    let mut state: Option<Vec<u8>> = None;
    let mut written: Vec<Option<Vec<u8>>> = vec![None];
    let (mut operations, mut writes) = (Vec::new(), Vec::new());
    for (_, invoke, returned, process, number) in planned {
        let value = match shape.unique {
            true => format!("{number:02}").into_bytes(),
            false => vec![b'a' + rng.random_range(0..2u8)],
        };
        let kind = match shape.kinds[rng.random_range(0..shape.kinds.len())] {
            b'g' => Kind::Get,
            b'p' => Kind::Put(value),
            b'd' => Kind::Delete,
            b'a' => Kind::Append(value),
            _ => {
                let guess = written[rng.random_range(0..written.len())].clone();
                let expected = if rng.random_bool(0.6) { state.clone() } else { guess };
                Kind::CompareAndSet { expected, value }
            }
        };
        let answered = !rng.random_ratio(shape.unanswered, 100);
        let happens = answered || rng.random_bool(0.5);
        let outcome = if happens { apply(&kind, &mut state) } else { Outcome::Done };
        written.push(state.clone());
        if happens && kind != Kind::Get {
            writes.push(operations.len());
        }
        let answer = answered.then_some((returned, outcome));
        operations.push(Operation { process, key: b"k".to_vec(), kind, invoke, answer });
    }
    if lies {
        lie(&mut operations, &written, rng);
    }
    Drawn { operations, writes }
}

fn lie(operations: &mut [Operation], written: &[Option<Vec<u8>>], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..operations.len());
    let operation = &mut operations[at];
    match &mut operation.answer {
        Some((_, Outcome::Value(value))) => {
            value.clone_from(&written[rng.random_range(0..written.len())]);
        }
        Some((_, Outcome::Swapped(swapped))) => *swapped = !*swapped,
        Some((returned, Outcome::Done)) => *returned = operation.invoke.max(*returned / 2),
        None => operation.answer = None,
    }
}

fn apply(kind: &Kind, state: &mut Option<Vec<u8>>) -> Outcome {
    match kind {
        Kind::Get => return Outcome::Value(state.clone()),
        Kind::Put(value) => *state = Some(value.clone()),
        Kind::Delete => *state = None,
        Kind::Append(value) => state.get_or_insert_default().extend_from_slice(value),
        Kind::CompareAndSet { expected, value } => {
            let swapped = state == expected;
            if swapped {
                *state = Some(value.clone());
            }
            return Outcome::Swapped(swapped);
        }
    }
    Outcome::Done
}

/// The definition itself: some order of the answered operations and some of the others explains every answer.
fn has_order(left: &[&Operation], state: &Option<Vec<u8>>) -> bool {
    if left.iter().all(|operation| operation.answer.is_none()) {
        return true;
    }
    let first_end = left.iter().map(|operation| operation.returned()).min().unwrap();
    (0..left.len()).filter(|&at| left[at].invoke <= first_end).any(|at| {
        let mut after = state.clone();
        let outcome = apply(&left[at].kind, &mut after);
        if left[at].answer.as_ref().is_some_and(|(_, answer)| *answer != outcome) {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(at);
        has_order(&rest, &after)
    })
}

/// Compares all methods on many histories of `shape`; how often the near-linear one said yes, no, and nothing.
fn compare(shape: Shape, seed: u64) -> [usize; 3] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut said = [0; 3];
    for round in 0..3_000 {
        let lies = round % 2 == 1;
        let Drawn { operations: history, writes } = random(shape, lies, &mut rng);
        let all: Vec<&Operation> = history.iter().collect();
        let found = search(&all, &Budget::default(), &mut || true);
        assert!(lies || found == Found::Order, "{}", listed(&history));
        let ordered: Vec<&Operation> = writes.iter().map(|&at| &history[at]).collect();
        let explained = ordered::explains(&all, &ordered);
        assert!(lies || explained, "the order that was is an explanation:\n{}", listed(&history));
        assert!(!explained || found == Found::Order, "{}", listed(&history));
        if shape.operations <= 7 {
            let expected = if has_order(&all, &None) { Found::Order } else { Found::NoOrder };
            assert_eq!(found, expected, "{}", listed(&history));
        }
        let unique = unique::check(&all);
        match &unique {
            Unique::Linearizable => assert_eq!(found, Found::Order, "{}", listed(&history)),
            Unique::Contradiction(contradiction) => {
                let reason = &contradiction.reason;
                assert_eq!(found, Found::NoOrder, "{reason}\n{}", listed(&history));
            }
            Unique::Undecided => {}
        }
        if shape.unique && shape.kinds.iter().all(|kind| b"gp".contains(kind)) {
            as_numbers(&history, found);
        }
        said[match unique {
            Unique::Linearizable => 0,
            Unique::Contradiction(_) => 1,
            Unique::Undecided => 2,
        }] += 1;
        judged(history, found);
    }
    said
}

/// An operation whose value is a number.
#[derive(Clone)]
struct Numbered(Operation);

impl Access for Numbered {
    fn value(&self) -> u64 {
        let value = match &self.0.kind {
            Kind::Put(value) => Some(value.as_slice()),
            _ => self.0.read().flatten(),
        };
        // The numbers of `random` begin at 0, which stands for nothing here.
        value.map_or(register::ABSENT, |value| {
            1 + std::str::from_utf8(value).unwrap().parse::<u64>().unwrap()
        })
    }

    fn is_read(&self) -> bool {
        self.0.kind == Kind::Get
    }

    fn invoke(&self) -> u64 {
        self.0.invoke
    }

    fn returned(&self) -> u64 {
        self.0.returned()
    }
}

/// What is said of the same history when it is kept as numbers.
fn as_numbers(history: &[Operation], found: Found) {
    let mut numbered: Vec<Numbered> = history.iter().cloned().map(Numbered).collect();
    let Some(witness) = register::witness(&mut numbered, |numbered| numbered.0.clone()) else {
        assert_eq!(found, Found::Order, "{}", listed(history));
        return;
    };
    assert_eq!(found, Found::NoOrder, "{witness}\nof\n{}", listed(history));
    assert_eq!(witness.others + witness.operations.len(), history.len());
    let all: Vec<&Operation> = witness.operations.iter().collect();
    assert_eq!(search(&all, &Budget::default(), &mut || true), Found::NoOrder, "{witness}");
}

/// What the crate says as a whole; a witness is itself a violation, whatever else was in the history.
fn judged(history: Vec<Operation>, found: Found) {
    let text = listed(&history);
    let has_append = history.iter().any(|operation| matches!(operation.kind, Kind::Append(_)));
    match crate::check(&history.into_iter().collect(), &Budget::default(), &mut || true) {
        Verdict::Linearizable { .. } => assert_eq!(found, Found::Order, "{text}"),
        Verdict::NotLinearizable(witness) => {
            assert_eq!(found, Found::NoOrder, "{text}");
            assert!(!witness.operations.is_empty() && !witness.reason.is_empty());
            // What an append's readers saw of others is not repeated in the witness.
            let all: Vec<&Operation> = witness.operations.iter().collect();
            let again = search(&all, &Budget::default(), &mut || true);
            assert!(has_append || again == Found::NoOrder, "{witness}\nof\n{text}");
        }
        Verdict::Unknown { .. } => panic!("the budget is enough for a few operations: {text}"),
    }
}

fn listed(history: &[Operation]) -> String {
    history.iter().map(|operation| format!("{operation}\n")).collect()
}

const REGISTER: Shape =
    Shape { operations: 7, processes: 4, unanswered: 15, kinds: b"ggp", unique: true };

#[test]
fn registers() {
    let [yes, no, nothing] = compare(REGISTER, 1);
    assert!(yes > 1500 && no > 120 && nothing == 0, "{yes} {no} {nothing}");
    let large = Shape { operations: 24, processes: 6, ..REGISTER };
    let [yes, no, nothing] = compare(large, 2);
    assert!(yes > 1500 && no > 120 && nothing == 0, "{yes} {no} {nothing}");
}

#[test]
fn chains_of_compare_and_sets() {
    for (seed, operations) in [(3, 7), (4, 20)] {
        let shape = Shape { operations, kinds: b"gcccp", ..REGISTER };
        let [yes, no, _] = compare(shape, seed);
        assert!(yes > 50 && no > 200, "{yes} {no}");
    }
}

#[test]
fn appends() {
    for (seed, operations) in [(5, 7), (6, 18)] {
        let shape = Shape { operations, kinds: b"ggaaap", ..REGISTER };
        let [yes, no, nothing] = compare(shape, seed);
        assert!(yes > 1500 && no > 120 && nothing == 0, "{yes} {no} {nothing}");
    }
}

#[test]
fn everything_at_once() {
    for (seed, unique) in [(7, true), (8, false)] {
        let shape = Shape { kinds: b"gggpdac", unique, ..REGISTER };
        compare(shape, seed);
        compare(Shape { operations: 14, ..shape }, seed + 2);
    }
}

#[test]
fn deletes_that_nobody_saw() {
    let shape = Shape { kinds: b"gpppd", ..REGISTER };
    let [yes, no, _] = compare(shape, 11);
    assert!(yes > 200 && no > 50, "{yes} {no}");
}
