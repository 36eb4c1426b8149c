//! Sessions across the sizes at which their parts change: interval sets beyond one interval and by
//! the thousand, results up to the largest window and beyond, and all of it behind a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use protocols::{
    ClientId, Command, Outcome, Request, RequestNumber,
    kv::{Kv, NotASnapshot},
    session::{INTERVALS_MAX, IntervalSet, OUTCOMES_MAX, Sessions},
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// What the wire form of `value` decodes to.
fn decoded<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

/// The number of runs of neighbours in `plain`.
fn runs(plain: &BTreeSet<u64>) -> usize {
    plain.iter().filter(|number| !plain.contains(&(**number + 1))).count()
}

fn assert_agree(set: &IntervalSet, plain: &BTreeSet<u64>, what: &str) {
    assert_eq!(set.intervals(), runs(plain), "{what}");
    let near = plain.iter().flat_map(|number| [number.saturating_sub(1), *number, number + 1]);
    for number in near.chain([0]) {
        assert_eq!(set.contains(number), plain.contains(&number), "{what}: {number}");
    }
}

/// One interval is kept in place, a second one is not; thousands move when one is put between them
/// or taken out.
#[test]
fn gaps_that_open_and_close_by_the_thousand() {
    for gaps in [1, 2, 3, 4, 5, 64, 1_000, INTERVALS_MAX as u64 + 1] {
        let mut random = ChaCha8Rng::seed_from_u64(gaps);
        let (mut set, mut plain) = (IntervalSet::default(), BTreeSet::new());
        let mut odd: Vec<u64> = (0..gaps).map(|gap| 2 * gap + 1).collect();
        odd.shuffle(&mut random);
        for number in &odd {
            assert!(set.insert(*number) && plain.insert(*number));
        }
        assert_agree(&set, &plain, "every second number");
        assert_eq!(set.intervals() as u64, gaps);
        let mut even: Vec<u64> = (1..gaps).map(|gap| 2 * gap).collect();
        even.shuffle(&mut random);
        let half = even.len() / 2;
        for (at, number) in even.iter().enumerate() {
            assert!(set.insert(*number), "{number}");
            assert!(!set.insert(*number), "{number}");
            plain.insert(*number);
            assert_eq!(set.intervals() as u64, gaps - 1 - at as u64, "{number} closes a gap");
            if at == half {
                assert_agree(&set, &plain, "half of the gaps closed");
                let copy = decoded(&set);
                assert_eq!(copy, set);
                set = copy;
            }
        }
        assert_agree(&set, &plain, "no gap");
        assert_eq!(set.intervals(), 1);
        assert!(set.insert(0) && set.insert(2 * gaps), "at both ends");
        assert_eq!(set.intervals(), 1);
        assert!((0..=2 * gaps).all(|number| set.contains(number) && !set.insert(number)));
    }
}

/// Numbers come in runs of either direction, beside what is there, and twice.
#[test]
fn an_interval_set_is_a_set_however_it_grows() {
    for seed in 0..60 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut set, mut plain) = (IntervalSet::default(), BTreeSet::new());
        let span = [20, 300, 20_000, 1 << 62][random.random_range(0..4)];
        for step in 0..400 {
            let start: u64 = match random.random_range(0..3) {
                0 => random.random_range(1..=span),
                1 => *plain.iter().nth(random.random_range(0..=plain.len())).unwrap_or(&1),
                _ => plain.last().map_or(1, |last| last + random.random_range(1..3)),
            };
            let length = random.random_range(1..6);
            let upwards = random.random_bool(0.5);
            for offset in 0..length {
                let number = if upwards { start + offset } else { start.saturating_sub(offset) };
                let is_new = plain.insert(number);
                assert_eq!(set.insert(number), is_new, "seed {seed}, step {step}: {number}");
            }
            if step % 100 == 0 {
                assert_agree(&set, &plain, &format!("seed {seed}, step {step}"));
                assert_eq!(decoded(&set), set);
            }
        }
        assert_agree(&set, &plain, &format!("seed {seed}"));
        // The same numbers in another order make the same set.
        let mut numbers: Vec<u64> = plain.iter().copied().collect();
        numbers.shuffle(&mut random);
        let mut other = IntervalSet::default();
        assert!(numbers.iter().all(|number| other.insert(*number)));
        assert_eq!(other, set, "seed {seed}");
    }
}

/// A session said a second time: every write's result for ever, and the highest floor told.
#[derive(Default)]
struct Naive {
    applied: BTreeMap<u64, Outcome>,
    floor: u64,
}

impl Naive {
    fn outcome(&self, index: u64) -> Option<Outcome> {
        let outcome = self.applied.get(&index)?.clone();
        Some(if index < self.floor { Outcome::Forgotten } else { outcome })
    }

    fn admits(&self, floor: u64) -> bool {
        let kept = self.applied.range(self.floor.max(floor)..).count();
        let numbers: BTreeSet<u64> = self.applied.keys().copied().collect();
        kept < OUTCOMES_MAX && runs(&numbers) < INTERVALS_MAX
    }
}

/// Windows of every size around those at which a table grows, executed in any order, with floors
/// that follow the answers, fall behind or are told late, and writes that are skipped.
#[test]
fn sessions_agree_with_naive_ones_at_every_window() {
    let sizes = [1, 2, 4, 5, 8, 9, 300, OUTCOMES_MAX as u64 - 1, OUTCOMES_MAX as u64 + 1];
    for (seed, window) in (0..).zip(sizes) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut sessions = Sessions::default();
        let mut naive: BTreeMap<u64, Naive> = BTreeMap::new();
        for round in 0..4 {
            for client in 1..=2 {
                let id = ClientId(client);
                let model = naive.entry(client).or_default();
                let first = 1 + round * window;
                let mut indices: Vec<u64> =
                    (first..first + window).filter(|_| random.random_range(0..10) > 0).collect();
                indices.shuffle(&mut random);
                // The last client never takes an answer.
                let floors =
                    if client == 2 { 1..=1 } else { first.saturating_sub(window / 2)..=first };
                for index in indices {
                    let floor = random.random_range(floors.clone());
                    model.floor = model.floor.max(floor);
                    let is_new = !model.applied.contains_key(&index);
                    assert_eq!(sessions.begin(id, index, floor), is_new, "seed {seed}: {index}");
                    let outcome = match random.random_range(0..3) {
                        0 => Outcome::Done,
                        1 => Outcome::Swapped(random.random_bool(0.5)),
                        _ => Outcome::TooLong,
                    };
                    sessions.finish(id, index, outcome.clone());
                    model.applied.insert(index, outcome);
                    assert!(!sessions.begin(id, index, floor), "seed {seed}: {index} again");
                }
                for index in 0..=first + window {
                    let expected = model.outcome(index);
                    assert_eq!(sessions.outcome(id, index), expected, "seed {seed}: {index}");
                }
                for floor in [0, 1, model.floor, first, first + 1, first + window] {
                    let expected = model.admits(floor);
                    assert_eq!(sessions.admits(id, floor), expected, "seed {seed}: floor {floor}");
                }
            }
            let copy = decoded(&sessions);
            assert_eq!(copy, sessions, "seed {seed}");
            sessions = copy;
        }
        assert_eq!((sessions.len(), sessions.is_empty()), (2, false));
        assert_eq!(sessions.outcome(ClientId(3), 1), None);
    }
}

/// A client is refused the write after the one that fills its session, and none before.
#[test]
fn a_session_is_full_at_its_bound_and_not_before() {
    const FULL: u64 = OUTCOMES_MAX as u64;
    let (mut sessions, client) = (Sessions::default(), ClientId(1));
    for index in (1..FULL).rev() {
        assert!(sessions.begin(client, index, 1));
        sessions.finish(client, index, Outcome::Done);
    }
    assert!(sessions.admits(client, 1), "one place is left");
    sessions.begin(client, FULL, 1);
    sessions.finish(client, FULL, Outcome::Done);
    let sessions = decoded(&sessions);
    assert!(!sessions.admits(client, 0) && !sessions.admits(client, 1), "no place is left");
    assert!(sessions.admits(client, 2) && sessions.admits(client, u64::MAX));
    assert_eq!(sessions.outcome(client, 1), Some(Outcome::Done), "and nothing was forgotten");
}

const fn append(client: u64, index: u64, unanswered_from: u64) -> Request<'static> {
    let command = Command::Append { key: b"k", value: b"x" };
    let number = RequestNumber::write(index);
    Request { client: ClientId(client), number, unanswered_from, command }
}

/// A state with sessions of thousands of gaps and of the most results is the same behind its
/// snapshot: it answers every retry as before, applies none, and goes on alike.
#[test]
fn a_snapshot_keeps_large_sessions() {
    let (gappy, full) = (1, 2);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut kv = Kv::default();
    let mut order: Vec<u64> = (1..=INTERVALS_MAX as u64).collect();
    order.shuffle(&mut random);
    for index in &order {
        // Results of the upper half are kept, of every second write.
        assert_eq!(kv.apply(&append(gappy, 2 * index, INTERVALS_MAX as u64)), Outcome::Done);
        assert_eq!(kv.apply(&append(full, *index, 1)), Outcome::Done);
    }
    let snapshot = kv.snapshot();
    let mut restored = Kv::restore(&snapshot).unwrap();
    assert_eq!(restored, kv);
    for index in 0..=2 * INTERVALS_MAX as u64 + 1 {
        let retry = append(gappy, index, 1);
        let expected = match index {
            0 => None,
            _ if index % 2 == 1 => None,
            _ if index < INTERVALS_MAX as u64 => Some(Outcome::Forgotten),
            _ => Some(Outcome::Done),
        };
        assert_eq!(restored.answered(&retry), expected, "{index}");
        assert_eq!(kv.answered(&retry), expected, "{index}");
    }
    let digest = kv.digest();
    for index in &order {
        assert_eq!(restored.apply(&append(full, *index, 1)), Outcome::Done);
        let again = restored.apply(&append(gappy, 2 * index, 1));
        assert!(matches!(again, Outcome::Done | Outcome::Forgotten));
    }
    assert_eq!((restored.digest(), restored.value(b"k")), (digest, kv.value(b"k")));
    for index in &order {
        let gap = append(gappy, 2 * index - 1, 1);
        assert_eq!(restored.apply(&gap), kv.apply(&gap));
    }
    assert_eq!(restored, kv);
    assert_eq!(kv.digest().writes, 3 * INTERVALS_MAX as u64);
    assert_eq!(kv.value(b"k").unwrap().len(), 3 * INTERVALS_MAX);
}

#[test]
fn a_snapshot_that_is_cut_or_has_something_behind_it_is_none() {
    let mut kv = Kv::default();
    for index in 1..20 {
        kv.apply(&append(1, 2 * index, 5));
    }
    let snapshot = kv.snapshot();
    for length in 0..snapshot.len() {
        assert_eq!(Kv::restore(&snapshot[..length]), Err(NotASnapshot), "{length} bytes");
    }
    let more = [&snapshot[..], b"\0"].concat();
    assert_eq!(Kv::restore(&more), Err(NotASnapshot), "a byte more");
}
