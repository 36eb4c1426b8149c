//! Scripted runs: clients of a store that is right, and of stores that are wrong in one place.

use std::{collections::HashMap, fs, time::Duration};

use check::{Budget, Verdict, formats};
use measure::Linearizable;
use protocols::{ClientId, Outcome, RequestNumber};
use workload::fill_value;

use super::{Invoked, Judged, Recorder};

const VALUE_BYTES: usize = 20;
const CLIENTS: usize = 6;

/// A deterministic stream of numbers (an LCG: quality is beside the point).
struct Draw(u64);

impl Draw {
    fn place(&mut self, places: usize) -> usize {
        usize::try_from(self.below(places as u64)).unwrap()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Where the store is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nowhere,
    /// The last write of all is acknowledged and lost.
    LostWrite,
    /// A read returns what another write had replaced.
    StaleRead,
    /// A write takes effect again after a later one.
    AppliedTwice,
    /// A read returns bytes that no client writes.
    Garbled,
}

struct Request {
    number: RequestNumber,
    key: &'static [u8],
    invoked: Invoked,
    /// What it will be answered with, once it has taken effect.
    outcome: Option<Outcome>,
}

/// A run under way.
struct Script {
    recorder: Recorder,
    draw: Draw,
    now_ns: u64,
    state: HashMap<&'static [u8], Vec<u8>>,
    clients: Vec<Option<Request>>,
    counts: Vec<[u64; 2]>,
    last_write: Option<(&'static [u8], Vec<u8>)>,
}

impl Script {
    fn new(seed: u64, recorder: Recorder) -> Self {
        Self {
            recorder,
            draw: Draw(seed),
            now_ns: 0,
            state: HashMap::new(),
            clients: (0..CLIENTS).map(|_| None).collect(),
            counts: vec![[0; 2]; CLIENTS],
            last_write: None,
        }
    }

    fn client(place: usize) -> ClientId {
        ClientId(place as u64 + 1)
    }

    fn begin(&mut self, place: usize, key: &'static [u8], is_read: bool) {
        let count = &mut self.counts[place][usize::from(is_read)];
        *count += 1;
        let number =
            if is_read { RequestNumber::read(*count) } else { RequestNumber::write(*count) };
        let invoked = self.recorder.begin(key, None, self.now_ns);
        self.clients[place] = Some(Request { number, key, invoked, outcome: None });
    }

    fn value(place: usize, number: RequestNumber) -> Vec<u8> {
        let mut value = Vec::new();
        fill_value(&mut value, Self::client(place).0, number.as_u64(), VALUE_BYTES);
        value
    }

    /// The request takes effect.
    fn apply(&mut self, place: usize) {
        let Some(request) = &mut self.clients[place] else { return };
        if request.outcome.is_some() {
            return;
        }
        request.outcome = Some(if request.number.is_read() {
            Outcome::Value(self.state.get(request.key).cloned())
        } else {
            let value = Self::value(place, request.number);
            let before = self.state.insert(request.key, value);
            self.last_write = before.map(|before| (request.key, before));
            Outcome::Done
        });
    }

    fn answer(&mut self, place: usize) {
        self.apply(place);
        if let Some(Request { number, invoked, outcome, .. }) = self.clients[place].take() {
            let outcome = outcome.expect("it was applied");
            let id = (Self::client(place), number);
            self.recorder.answered(invoked, id, &outcome, (self.now_ns, false));
        }
    }

    fn give_up(&mut self, place: usize) {
        if let Some(request) = self.clients[place].take() {
            let id = (Self::client(place), request.number);
            self.recorder.given_up(request.invoked, id, (self.now_ns, false));
        }
    }

    /// Any client takes its next step, `steps` times.
    fn go_on(&mut self, keys: &[&'static [u8]], steps: usize) {
        for _ in 0..steps {
            self.now_ns += self.draw.below(3);
            let place = self.draw.place(CLIENTS);
            let (key, dice) = (self.draw.place(keys.len()), self.draw.below(100));
            match (&self.clients[place], dice) {
                (None, _) => self.begin(place, keys[key], dice < 50),
                (Some(_), 0..30) => self.apply(place),
                (Some(_), 30..32) => self.give_up(place),
                (Some(_), _) => self.answer(place),
            }
        }
    }

    fn settle(&mut self) {
        (0..self.clients.len()).for_each(|place| self.answer(place));
    }

    fn read_now(&mut self, place: usize, key: &'static [u8], found: Option<Vec<u8>>) {
        self.now_ns += 10;
        self.begin(place, key, true);
        let request = self.clients[place].as_mut().expect("just begun");
        request.outcome = Some(Outcome::Value(found));
        self.answer(place);
    }

    fn write_now(&mut self, place: usize, key: &'static [u8]) -> Vec<u8> {
        self.now_ns += 10;
        self.begin(place, key, false);
        self.answer(place);
        self.state[key].clone()
    }

    /// Every key is read at the end.
    fn close(&mut self, keys: &[&'static [u8]]) {
        for key in keys {
            let found = self.state.get(key).cloned();
            self.read_now(0, key, found);
        }
    }
}

const KEYS: [&[u8]; 3] = [b"shared", b"other", b"third"];

fn run(seed: u64, wrong: Wrong) -> Judged {
    let mut script = Script::new(seed, Recorder::new(VALUE_BYTES, false));
    script.go_on(&KEYS, 400);
    script.settle();
    match wrong {
        Wrong::Nowhere => {}
        Wrong::LostWrite => {
            script.write_now(1, b"shared");
            script.write_now(2, b"shared");
            let (key, before) = script.last_write.clone().unwrap();
            script.state.insert(key, before);
        }
        Wrong::StaleRead => {
            let old = script.write_now(1, b"other");
            script.write_now(2, b"other");
            script.read_now(3, b"other", Some(old));
        }
        Wrong::AppliedTwice => {
            let old = script.write_now(1, b"third");
            let new = script.write_now(2, b"third");
            script.read_now(3, b"third", Some(new));
            script.state.insert(b"third", old);
        }
        Wrong::Garbled => {
            let mut garbled = script.write_now(1, b"third");
            garbled[17] = b'?';
            script.read_now(3, b"third", Some(garbled));
        }
    }
    script.go_on(&KEYS[..1], if wrong == Wrong::LostWrite { 0 } else { 100 });
    script.settle();
    script.close(&KEYS);
    script.recorder.judge()
}

/// The history in its file, as `bench check` judges it.
fn judged_from_file(judged: &Judged, lines_max: usize) -> (Verdict, usize) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.jsonl");
    judged.write_lines(&file, lines_max).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let history = formats::parse(&text, None).unwrap();
    let operations = history.operations().len();
    (check::check(&history, &Budget::default(), &mut || true), operations)
}

#[test]
fn a_store_that_is_right_is_found_linearizable_and_so_is_its_file() {
    for seed in 0..50 {
        let judged = run(seed, Wrong::Nowhere);
        assert_eq!(judged.linearizable, Linearizable::True, "seed {seed}: {:?}", judged.witness);
        let checked = judged.checked;
        assert!(checked.operations > 150 && checked.reads > 50 && checked.keys == 3, "{checked:?}");
        // Reads that were given up say nothing and are not kept.
        assert!(checked.operations_begun >= checked.operations, "{checked:?}");
        let (verdict, operations) = judged_from_file(&judged, 10_000);
        let expected = Verdict::Linearizable { operations, keys: 3 };
        assert_eq!((verdict, operations as u64), (expected, checked.operations));
    }
}

#[test]
fn a_store_that_is_wrong_in_one_place_is_found_out_with_a_witness_and_so_is_its_file() {
    let cases = [
        (Wrong::LostWrite, "shared"),
        (Wrong::StaleRead, "other"),
        (Wrong::AppliedTwice, "third"),
        (Wrong::Garbled, "third"),
    ];
    for (wrong, key) in cases {
        for seed in 0..50 {
            let judged = run(seed, wrong);
            assert_eq!(judged.linearizable, Linearizable::False, "{wrong:?}, seed {seed}");
            assert!(judged.reason.starts_with(&format!("key {key}: ")), "{}", judged.reason);
            let witness = judged.witness.as_ref().unwrap();
            assert!(witness.operations.len() <= 6, "{witness}");
            // The whole history, and what is left of it where there is no room.
            for lines_max in [10_000, 5] {
                let (verdict, lines) = judged_from_file(&judged, lines_max);
                let Verdict::NotLinearizable(again) = verdict else { panic!("{wrong:?}") };
                assert_eq!(again.key, key.as_bytes());
                assert!(lines_max > 5 || lines == witness.operations.len());
            }
        }
    }
}

#[test]
fn files_of_a_violation_have_a_text_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history");
    run(1, Wrong::StaleRead).keep(&history, "epaxos-r1", None).unwrap();
    let text = fs::read_to_string(history.join("epaxos-r1-witness.txt")).unwrap();
    assert!(text.starts_with("key \"other\":\n") && text.contains("] get -> \"c2#"), "{text}");
    run(1, Wrong::Nowhere).keep(&history, "paxos-r1", None).unwrap();
    let mut names: Vec<_> = fs::read_dir(&history)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["epaxos-r1-witness.txt", "epaxos-r1.jsonl", "paxos-r1.jsonl"]);
}

#[test]
fn a_client_that_gave_up_may_have_been_heard_at_any_time() {
    let mut script = Script::new(1, Recorder::new(VALUE_BYTES, false));
    script.begin(1, b"shared", false);
    let late = Script::value(1, script.clients[1].as_ref().unwrap().number);
    script.give_up(1);
    let kept = script.write_now(2, b"shared");
    script.read_now(3, b"shared", Some(kept.clone()));
    script.read_now(3, b"shared", Some(late));
    let mut relapsed = script;
    let judged = relapsed.recorder.judge();
    assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
    // But not twice.
    relapsed = Script::new(1, Recorder::new(VALUE_BYTES, false));
    relapsed.begin(1, b"shared", false);
    let late = Script::value(1, relapsed.clients[1].as_ref().unwrap().number);
    relapsed.give_up(1);
    for found in [&late, &relapsed.write_now(2, b"shared"), &late] {
        relapsed.read_now(3, b"shared", Some(found.clone()));
    }
    assert_eq!(relapsed.recorder.judge().linearizable, Linearizable::False);
}

/// An operation that follows another of the same instant is known to follow it.
#[test]
fn operations_of_one_instant_are_told_apart() {
    let mut script = Script::new(1, Recorder::new(VALUE_BYTES, false));
    for place in [1, 2] {
        script.begin(place, b"shared", false);
        script.answer(place);
    }
    script.begin(3, b"shared", true);
    let request = script.clients[3].as_mut().unwrap();
    request.outcome = Some(Outcome::Value(Some(Script::value(1, RequestNumber::write(1)))));
    script.answer(3);
    assert_eq!(script.recorder.judge().linearizable, Linearizable::False);
}

#[test]
fn nothing_and_no_time_are_no_pass() {
    let nothing = Recorder::new(VALUE_BYTES, false).judge();
    assert_eq!(nothing.linearizable, Linearizable::Unknown);
    let mut script = Script::new(1, Recorder::new(VALUE_BYTES, false));
    script.write_now(1, b"shared");
    let judged = script.recorder.judge_within(Duration::ZERO);
    assert_eq!(judged.linearizable, Linearizable::Unknown);
    assert!(judged.reason.contains("not enough"), "{}", judged.reason);
}

/// A long run of which `busy` of ten operations are on one key.
fn long(seed: u64, busy: u64) -> Script {
    let mut script = Script::new(seed, Recorder::bounded(VALUE_BYTES, 400));
    for _ in 0..600 {
        let keys = if script.draw.below(10) < busy { &KEYS[..1] } else { &KEYS[1..] };
        script.go_on(keys, 10);
    }
    script.settle();
    script
}

#[test]
fn a_record_that_is_full_keeps_whole_keys_the_contended_one_first() {
    for seed in 0..20 {
        let mut script = long(seed, 4);
        script.close(&KEYS);
        let kept = script.recorder.checked_keys(10);
        assert!(kept.contains(&KEYS[0].into()) && kept.len() < 3, "{kept:?}");
        let bound = 400 + 400 / 3 + 1;
        assert!(script.recorder.entries.len() <= bound);
        let judged = script.recorder.judge();
        assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
        let checked = judged.checked;
        assert!(checked.operations < checked.operations_begun / 3, "{checked:?}");
        assert_eq!((checked.keys, checked.keys_touched), (kept.len() as u64, 3));
    }
}

#[test]
fn of_a_key_that_is_too_busy_the_latest_operations_are_kept_and_the_last_write_still_counts() {
    for seed in 0..20 {
        let mut script = long(seed, 10);
        let first = Script::value(1, RequestNumber::write(1));
        script.close(&KEYS[..1]);
        let mut stale = long(seed, 10);
        stale.read_now(0, KEYS[0], Some(first));
        let judged = script.recorder.judge();
        assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
        assert!(judged.checked.operations > 150, "{:?}", judged.checked);
        assert!(matches!(judged_from_file(&judged, 1_000).0, Verdict::Linearizable { .. }));
        // What was left out long ago is read at the end.
        let judged = stale.recorder.judge();
        assert_eq!(judged.linearizable, Linearizable::False);
        assert!(judged.reason.contains("c2#1"), "{}", judged.reason);
        assert!(matches!(judged_from_file(&judged, 1_000).0, Verdict::NotLinearizable(_)));
    }
}

/// Requests of every kind: what a kept history says of each.
#[test]
fn a_kept_history_has_every_request_with_when_it_was_due() {
    let mut recorder = Recorder::new(VALUE_BYTES, true);
    let (client, other) = (ClientId(1), ClientId(2));
    let answered = recorder.begin(b"k", Some(3), 10);
    recorder.answered(answered, (client, RequestNumber::write(1)), &Outcome::Done, (20, false));
    let read = recorder.begin(b"k", Some(25), 30);
    let write = recorder.begin(b"k", None, 40);
    let refused = recorder.begin(b"k", None, 50);
    let until_ns = recorder.given_up(read, (client, RequestNumber::read(1)), (90, false));
    assert_eq!(until_ns, 90);
    recorder.given_up(write, (client, RequestNumber::write(2)), (95, false));
    recorder.refused(refused, (other, RequestNumber::write(1)), (96, false));
    let closing = recorder.begin(b"k", None, 100);
    let seen = Outcome::Value(Some(Script::value(0, RequestNumber::write(1))));
    recorder.answered(closing, (client, RequestNumber::read(2)), &seen, (110, true));
    let judged = recorder.judge();
    assert_eq!(judged.linearizable, Linearizable::True, "{}", judged.reason);
    assert!(!judged.is_thinned());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.jsonl");
    judged.write_lines(&file, 0).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let figures = |line: &serde_json::Value| {
        ["due_ns", "invoke_ns", "return_ns", "gave_up_ns"].map(|key| line[key].as_u64())
    };
    let mut found: Vec<_> = lines.iter().map(figures).collect();
    found.sort_unstable_by_key(|figures| figures[1]);
    let expected = [
        [Some(3), Some(10), Some(20), None],
        [Some(25), Some(30), None, Some(90)],
        [Some(40), Some(40), None, Some(95)],
        [Some(50), Some(50), None, Some(96)],
        [Some(100), Some(100), Some(110), None],
    ];
    assert_eq!(found, expected, "{text}");
    let flagged = |key: &str| lines.iter().filter(|line| line[key] == true).count();
    assert_eq!((flagged("refused"), flagged("closing")), (1, 1), "{text}");
    // What was refused had no effect: only four operations are judged.
    let history = formats::parse(&text, None).unwrap();
    assert_eq!(history.operations().len(), 4);
    let verdict = check::check(&history, &Budget::default(), &mut || true);
    assert!(matches!(verdict, Verdict::Linearizable { .. }), "{verdict:?}");
}

#[test]
fn a_kept_history_keeps_every_key_and_one_that_is_full_says_so() {
    let full = long(1, 4).recorder.judge();
    assert!(full.is_thinned());
    let mut recorder = Recorder::new(VALUE_BYTES, true);
    for key in 0..70_000u64 {
        let invoked = recorder.begin(&key.to_le_bytes(), None, key);
        let id = (ClientId(1), RequestNumber::write(key + 1));
        recorder.answered(invoked, id, &Outcome::Done, (key, false));
    }
    let judged = recorder.judge();
    assert!(!judged.is_thinned());
    assert_eq!((judged.checked.keys, judged.checked.operations), (70_000, 70_000));
}
