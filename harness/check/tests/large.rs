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
