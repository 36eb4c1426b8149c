//! Long histories: a verdict without a search where values are unique, and evidence that stays small.

use check::{Budget, History, Kind, Operation, Outcome, Verdict};

/// Each operation takes effect when it is invoked and ends when ten more were invoked; every third one writes
/// `value(number)`, the others read.
fn history(operations: u64, value: impl Fn(u64) -> String) -> Vec<Operation> {
    let mut last = None;
    let operation = |number: u64| {
        let (kind, outcome) = if number.is_multiple_of(3) {
            last = Some(value(number).into_bytes());
            (Kind::Put(last.clone().expect("just written")), Outcome::Done)
        } else {
            (Kind::Get, Outcome::Value(last.clone()))
        };
        let answer = Some((number + 10, outcome));
        Operation { process: number % 11, key: b"k".to_vec(), kind, invoke: number, answer }
    };
    (0..operations).map(operation).collect()
}

fn judge(operations: Vec<Operation>, budget: &Budget) -> Verdict {
    check::check(&operations.into_iter().collect::<History>(), budget, &mut || true)
}

const NO_SEARCH: Budget = Budget { steps_max: 0, memory_bytes_max: 0 };

#[test]
fn unique_values_need_no_search() {
    let good = history(60_000, |number| number.to_string());
    assert_eq!(judge(good, &NO_SEARCH), Verdict::Linearizable { operations: 60_000, keys: 1 });
}

#[test]
fn a_stale_read_in_a_long_history_has_small_evidence() {
    let mut bad = history(60_000, |number| number.to_string());
    bad[40_000].answer = Some((40_010, Outcome::Value(Some(b"39960".to_vec()))));
    let Verdict::NotLinearizable(witness) = judge(bad.clone(), &NO_SEARCH) else {
        panic!("39960 was overwritten long before");
    };
    assert!(
        witness.operations.contains(&bad[40_000]) && witness.operations.len() <= 6,
        "{witness}"
    );
    assert_eq!(witness.others + witness.operations.len(), 60_000);
    assert!(witness.reason.contains("\"39960\""), "{witness}");
}

#[test]
fn an_unanswered_write_counts_once_it_was_seen() {
    let mut operations = history(3_000, |number| number.to_string());
    for operation in operations.iter_mut().filter(|operation| operation.invoke.is_multiple_of(6)) {
        operation.answer = None;
    }
    let seen = judge(operations.clone(), &NO_SEARCH);
    assert_eq!(seen, Verdict::Linearizable { operations: 3_000, keys: 1 });
    // Seen at the end, it cannot have happened when its readers saw it.
    operations[2_999].answer = Some((3_009, Outcome::Value(Some(b"600".to_vec()))));
    assert!(matches!(judge(operations, &NO_SEARCH), Verdict::NotLinearizable(_)));
}

#[test]
fn repeated_values_are_searched_and_the_evidence_shrinks() {
    let good = history(6_000, |number| (number % 5).to_string());
    let verdict = judge(good.clone(), &Budget::default());
    assert_eq!(verdict, Verdict::Linearizable { operations: 6_000, keys: 1 });
    let verdict = judge(good.clone(), &NO_SEARCH);
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
    // A second key, whose search ends with a violation: a value that was never there when it was read.
    let mut bad = history(300, |number| (number % 5).to_string());
    bad[200].answer = Some((210, Outcome::Value(None)));
    let Verdict::NotLinearizable(witness) = judge(bad, &Budget::default()) else {
        panic!("the key was never absent again");
    };
    assert!(witness.operations.len() <= 3, "{witness}");
}

/// Every kind of command on one key, ten at a time, each taking effect halfway. A compare-and-set
/// expects what was there five commands ago.
fn of_all_kinds(operations: u64) -> Vec<Operation> {
    const CLIENTS: u64 = 10;
    const KNOWN_SINCE: usize = 5;
    let mut draw = 7u64;
    let mut below = |bound: u64| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % bound
    };
    let mut values: Vec<Option<Vec<u8>>> = vec![None];
    let mut made = Vec::new();
    for number in 0..operations {
        let before = values.last().cloned().flatten();
        let known = values[values.len().saturating_sub(KNOWN_SINCE).max(1) - 1].clone();
        let written = format!("<{number}>").into_bytes();
        let (kind, outcome, after) = match below(20) {
            0..6 => (Kind::Get, Outcome::Value(before.clone()), before),
            6..11 => (Kind::Put(written.clone()), Outcome::Done, Some(written)),
            11..15 => {
                let after = [before.unwrap_or_default(), written.clone()].concat();
                (Kind::Append(written), Outcome::Done, Some(after))
            }
            15 => (Kind::Delete, Outcome::Done, None),
            _ => {
                let swapped = known == before;
                let after = if swapped { Some(written.clone()) } else { before };
                let kind = Kind::CompareAndSet { expected: known, value: written };
                (kind, Outcome::Swapped(swapped), after)
            }
        };
        values.push(after);
        let at = 20 * number + 20 * CLIENTS;
        let (invoke, returned) = (at - 10 * CLIENTS - below(9), at + 10 * CLIENTS + below(9));
        let answer = Some((returned, outcome));
        made.push(Operation {
            process: number % CLIENTS,
            key: b"k".to_vec(),
            kind,
            invoke,
            answer,
        });
    }
    made
}

/// Reads are placed as soon as they can be, and no value is left that is still needed: without
/// these two rules a hundred times as many steps do not find the stale read.
#[test]
fn every_kind_of_command_on_a_contended_key_is_searched_in_few_steps() {
    let good = of_all_kinds(5_000);
    let few = Budget { steps_max: 100_000, memory_bytes_max: 1 << 28 };
    let expected = Verdict::Linearizable { operations: 5_000, keys: 1 };
    assert_eq!(judge(good.clone(), &few), expected);
    let mut bad = good;
    let mut reads = bad.iter_mut().filter(|operation| operation.kind == Kind::Get);
    let stale = reads.nth(200).expect("there are many");
    let first = Outcome::Value(Some(b"<3>".to_vec()));
    stale.answer = stale.answer.take().map(|(at, _)| (at, first));
    let stale = stale.clone();
    let Verdict::NotLinearizable(witness) = judge(bad, &few) else { panic!("<3> is long gone") };
    assert!(witness.operations.contains(&stale), "{witness}");
}

#[test]
fn a_violation_on_one_key_decides_though_another_is_unknown() {
    let mut both = history(300, |number| (number % 5).to_string());
    let read = Operation {
        process: 77,
        key: b"other".to_vec(),
        kind: Kind::Get,
        invoke: 0,
        answer: Some((1, Outcome::Value(Some(b"x".to_vec())))),
    };
    both.push(read.clone());
    let Verdict::NotLinearizable(witness) = judge(both, &NO_SEARCH) else {
        panic!("nobody wrote x");
    };
    assert_eq!((witness.operations.as_slice(), witness.others), ([read].as_slice(), 0));
}

#[test]
#[should_panic(expected = "no operation ends like this: c0 [5..4] get")]
fn an_answer_before_the_question_is_a_bug() {
    let answer = Some((4, Outcome::Value(None)));
    let operation = Operation { process: 0, key: vec![], kind: Kind::Get, invoke: 5, answer };
    History::default().push(operation);
}
