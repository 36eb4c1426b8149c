//! Scripted runs with every kind of command: clients of the state machine itself, and of ones that
//! are wrong in one place.

use std::fs;

use check::{Budget, Verdict, formats};
use measure::Linearizable;
use protocols::{ClientId, Command, Outcome, Request, RequestNumber, kv::Kv};
use workload::{APPEND_BYTES, Kind, Op, fill_value};

use super::{Invoked, Judged, Recorder};

const VALUE_BYTES: usize = 20;
const KEY: &[u8] = b"k";
const CLIENT: ClientId = ClientId(1);

/// One client, its requests one after the other unless a test says otherwise.
struct Script {
    recorder: Recorder,
    kv: Kv,
    now_ns: u64,
    writes: u64,
    reads: u64,
    /// Does the recorder see what takes effect, as in a simulation?
    is_seen: bool,
}

impl Script {
    fn new(is_seen: bool) -> Self {
        let recorder = Recorder::new(VALUE_BYTES, false).of_all_kinds(true);
        Self { recorder, kv: Kv::default(), now_ns: 0, writes: 0, reads: 0, is_seen }
    }

    fn begin(&mut self, kind: Kind) -> (Kind, RequestNumber, Invoked) {
        self.now_ns += 10;
        let count = if kind.is_read() { &mut self.reads } else { &mut self.writes };
        *count += 1;
        let number = match kind {
            Kind::Read => RequestNumber::read(*count),
            _ => RequestNumber::write(*count),
        };
        (kind, number, self.recorder.begin_as(kind, KEY, None, self.now_ns))
    }

    /// The request takes effect.
    fn apply(&mut self, (kind, number, invoked): (Kind, RequestNumber, Invoked)) -> Outcome {
        let (mut value, mut expected) = (Vec::new(), Vec::new());
        let bytes = if kind == Kind::Append { APPEND_BYTES } else { VALUE_BYTES };
        fill_value(&mut value, CLIENT.0, number.as_u64(), bytes);
        let is_there = self.recorder.expected(&invoked, &mut expected);
        let op = Op { kind, key: KEY, to: protocols::ReplicaId(0) };
        let command = op.command(&value, is_there.then_some(&*expected));
        if self.is_seen && !command.is_read() {
            self.recorder.took_effect(CLIENT, number);
        }
        self.kv.apply(&Request { client: CLIENT, number, unanswered_from: 1, command })
    }

    fn answer(&mut self, begun: (Kind, RequestNumber, Invoked), outcome: &Outcome, closing: bool) {
        self.now_ns += 10;
        let (_, number, invoked) = begun;
        self.recorder.answered(invoked, (CLIENT, number), outcome, (self.now_ns, closing));
    }

    /// A request from its beginning to its end.
    fn ask(&mut self, kind: Kind) -> Outcome {
        let begun = self.begin(kind);
        let outcome = self.apply(begun);
        self.answer(begun, &outcome, false);
        outcome
    }

    fn told(&mut self, kind: Kind, outcome: &Outcome) {
        let begun = self.begin(kind);
        self.answer(begun, outcome, false);
    }

    /// Sets the value to `value` behind the clients' backs.
    fn change(&mut self, value: &[u8]) {
        let command = Command::Put { key: KEY, value };
        let number = RequestNumber::write(1);
        self.kv.apply(&Request { client: ClientId(99), number, unanswered_from: 1, command });
    }

    /// The key is read at the end.
    fn judge(mut self) -> Judged {
        let begun = self.begin(Kind::Read);
        let outcome = self.apply(begun);
        self.answer(begun, &outcome, true);
        self.recorder.judge()
    }
}

/// The history in its file, as `bench check` judges it.
fn judged_from_file(judged: &Judged) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.jsonl");
    judged.write_lines(&file, 10_000).unwrap();
    let history = formats::parse(&fs::read_to_string(file).unwrap(), None).unwrap();
    check::check(&history, &Budget::default(), &mut || true)
}

const ALL: [Kind; 9] = [
    Kind::CompareAndSet,
    Kind::Append,
    Kind::Read,
    Kind::CompareAndSet,
    Kind::Delete,
    Kind::Append,
    Kind::Put,
    Kind::Append,
    Kind::Append,
];

#[test]
fn a_store_that_is_right_is_found_linearizable_with_and_without_its_order() {
    for is_seen in [false, true] {
        let mut script = Script::new(is_seen);
        let mut swaps = Vec::new();
        for round in 0..20 {
            for kind in ALL {
                if let Outcome::Swapped(swapped) = script.ask(kind) {
                    swaps.push(swapped);
                }
            }
            // Two at once, of which the second is first: the other finds something else than it
            // expected.
            let [one, other] = [Kind::CompareAndSet, Kind::Append].map(|kind| script.begin(kind));
            for begun in [other, one] {
                let outcome = script.apply(begun);
                assert_ne!(outcome, Outcome::Swapped(true), "round {round}");
                script.answer(begun, &outcome, false);
            }
        }
        assert_eq!(swaps, [true; 40], "nobody was faster");
        let judged = script.judge();
        assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
        assert_eq!((judged.checked.operations, judged.lost), (20 * 11 + 1, 0));
        let verdict = judged_from_file(&judged);
        assert_eq!(verdict, Verdict::Linearizable { operations: 20 * 11 + 1, keys: 1 });
    }
}

#[test]
fn a_store_that_is_wrong_in_one_place_is_found_out() {
    type Wrong = fn(&mut Script);
    let cases: [(&str, Wrong); 6] = [
        ("an append twice", |script| {
            let Outcome::Value(Some(value)) = script.ask(Kind::Read) else { panic!() };
            let last = &value[value.len() - APPEND_BYTES..];
            script.change(&[&value, last].concat());
        }),
        ("a lost append", |script| {
            let Outcome::Value(Some(value)) = script.ask(Kind::Read) else { panic!() };
            script.change(&value[..value.len() - APPEND_BYTES]);
        }),
        ("a delete that is undone", |script| {
            let Outcome::Value(Some(value)) = script.ask(Kind::Read) else { panic!() };
            script.ask(Kind::Delete);
            script.change(&value);
        }),
        ("a compare-and-set that says it wrote", |script| {
            script.told(Kind::CompareAndSet, &Outcome::Swapped(true));
        }),
        ("a compare-and-set that says it did not", |script| {
            script.told(Kind::CompareAndSet, &Outcome::Swapped(false));
        }),
        ("garbled bytes", |script| script.change(b"not from here")),
    ];
    for (what, wrong) in cases {
        for is_seen in [false, true] {
            let mut script = Script::new(is_seen);
            ALL.into_iter().for_each(|kind| drop(script.ask(kind)));
            wrong(&mut script);
            let judged = script.judge();
            assert_eq!(judged.linearizable, Linearizable::False, "{what}, {is_seen}");
            let verdict = judged_from_file(&judged);
            assert!(matches!(verdict, Verdict::NotLinearizable(_)), "{what}: {verdict:?}");
        }
    }
}

#[test]
fn what_has_no_answer_may_have_happened_and_a_refused_append_has_not() {
    for happens in [false, true] {
        let mut script = Script::new(false);
        script.ask(Kind::Put);
        let begun @ (_, number, invoked) = script.begin(Kind::Append);
        if happens {
            script.apply(begun);
        }
        script.recorder.given_up(invoked, (CLIENT, number), (script.now_ns, false));
        // Nobody knows what a compare-and-set did whose result is gone.
        script.told(Kind::CompareAndSet, &Outcome::Forgotten);
        // It would have made the value too long, and changed nothing.
        script.told(Kind::Append, &Outcome::TooLong);
        let judged = script.judge();
        assert_eq!(judged.linearizable, Linearizable::True, "{happens}: {}", judged.reason);
        assert_eq!(judged.checked.operations, 4, "without the one that was too long");
    }
}

/// What is acknowledged and not there is counted, whatever kind it is; what a delete has removed is
/// not lost.
#[test]
fn lost_writes_are_counted_of_every_kind() {
    let mut script = Script::new(false);
    script.ask(Kind::Put);
    script.ask(Kind::Append);
    let Outcome::Value(Some(value)) = script.ask(Kind::Read) else { panic!() };
    script.ask(Kind::Append);
    script.ask(Kind::CompareAndSet);
    script.change(&value);
    assert_eq!(script.judge().lost, 2);
    let mut script = Script::new(false);
    script.ask(Kind::Put);
    script.ask(Kind::Delete);
    assert_eq!(script.judge().lost, 0);
}

/// A key that is too busy to be kept as a whole is not kept at all: its later half alone would
/// explain nothing.
#[test]
fn a_record_that_is_full_keeps_whole_keys_alone() {
    let bounded = |entries_max| Script {
        recorder: Recorder::bounded(VALUE_BYTES, entries_max).of_all_kinds(true),
        ..Script::new(false)
    };
    let mut script = bounded(100);
    (0..40).for_each(|_| ALL.into_iter().for_each(|kind| drop(script.ask(kind))));
    let judged = script.judge();
    assert_eq!(judged.linearizable, Linearizable::Unknown);
    assert!(judged.is_thinned());
    // A second key with little to it stays.
    let mut script = bounded(100);
    for round in 0..40u64 {
        ALL.into_iter().for_each(|kind| drop(script.ask(kind)));
        let invoked = script.recorder.begin_as(Kind::Append, b"other", None, script.now_ns);
        let id = (ClientId(2), RequestNumber::write(round + 1));
        script.recorder.answered(invoked, id, &Outcome::Done, (script.now_ns + 1, false));
    }
    let judged = script.judge();
    assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
    assert_eq!((judged.checked.keys, judged.checked.operations), (1, 40));
}
